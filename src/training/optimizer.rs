/*!
AdamW with moments that can be saved (Kingma and Ba 2015; Loshchilov and Hutter 2019), and clipping by norm.
*/

use tch::{Kind, Tensor};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.99;
const EPSILON: f64 = 1e-8;

/// AdamW's memory: running means of the gradients and of their squares, in the order of the parameters.
pub struct AdamW {
    /// Of the gradients.
    pub first_moments: Vec<Tensor>,
    /// Of their squares.
    pub second_moments: Vec<Tensor>,
}

impl AdamW {
    /// Nothing remembered.
    pub fn new(parameters: &[Tensor]) -> Self {
        let zeros = || parameters.iter().map(|p| p.detach().zeros_like()).collect();
        AdamW {
            first_moments: zeros(),
            second_moments: zeros(),
        }
    }

    /// Update number `step`, counted from 1. Weight decay is for matrices: pulling biases to zero regularises nothing.
    pub fn update(
        &mut self,
        parameters: &mut [Tensor],
        gradients: &[Tensor],
        step: u64,
        learning_rate: f64,
        weight_decay: f64,
    ) {
        let step = step.min(i32::MAX as u64) as i32;
        let first_bias = 1.0 - BETA1.powi(step);
        let second_bias = (1.0 - BETA2.powi(step)).sqrt();
        let moments = self.first_moments.iter_mut().zip(&mut self.second_moments);
        tch::no_grad(|| {
            for ((parameter, gradient), (first, second)) in
                parameters.iter_mut().zip(gradients).zip(moments)
            {
                let _ = first
                    .g_mul_scalar_(BETA1)
                    .g_add_(&(gradient * (1.0 - BETA1)));
                let scaled = gradient * (1.0 - BETA2).sqrt();
                let _ = second.g_mul_scalar_(BETA2).addcmul_(&scaled, &scaled);
                if parameter.dim() > 1 && weight_decay > 0.0 {
                    let _ = parameter.g_mul_scalar_(1.0 - learning_rate * weight_decay);
                }
                let mut denominator = second.sqrt();
                let _ = denominator
                    .g_div_scalar_(second_bias)
                    .g_add_scalar_(EPSILON);
                let _ =
                    parameter.addcdiv_(&(&*first * (-learning_rate / first_bias)), &denominator);
            }
        });
    }
}

/// Scales the gradients down to the norm `longest` together, if they are longer (Pascanu et al. 2013); 0 lets any pass.
/// Returns the norm that they had.
pub fn clip_norm(gradients: &mut [Tensor], longest: f64) -> f64 {
    tch::no_grad(|| {
        let norms: Vec<Tensor> = gradients
            .iter()
            .map(|g| g.norm().to_kind(Kind::Double))
            .collect();
        let norm = Tensor::stack(&norms, 0).norm().double_value(&[]);
        if longest > 0.0 && norm > longest {
            for gradient in gradients {
                let _ = gradient.g_mul_scalar_(longest / norm);
            }
        }
        norm
    })
}

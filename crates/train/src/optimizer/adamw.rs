/*!
AdamW with moments that can be saved (Kingma and Ba 2015; Loshchilov and Hutter 2019), and clipping by norm.
*/

use std::collections::BTreeMap;

use carousel_kernels::{AdamWStep, ThreadPool, adamw, sum_of_squares};
use tch::{Device, Kind, Tensor};

use crate::network::NamedTensors;
use crate::slices::{floats, floats_mut};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.99;
const EPSILON: f64 = 1e-8;
/// Numbers that are worth another thread.
const CHUNK: usize = 1 << 15;

/// AdamW's memory: running means of the gradients and of their squares, by the parameters' names.
pub struct AdamW {
    /// Of the gradients.
    pub first_moments: NamedTensors,
    /// Of their squares.
    pub second_moments: NamedTensors,
}

/// The rows, sorted, that may be other than zero in gradients of matrices of which only some rows take part, as few words
/// of a large vocabulary occur in a batch; by the parameters' names.
pub type SparseRows = BTreeMap<String, Vec<u32>>;

/// One update.
#[derive(Clone, Copy)]
pub struct Update<'a> {
    /// Its number, counted from 1.
    pub step: u64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Weight decay, for matrices: pulling biases to zero regularises nothing.
    pub weight_decay: f64,
    /// Gradients whose norm, all together, is larger are scaled down to it (Pascanu et al. 2013); 0 for no limit.
    pub clip_norm: f64,
    /// The fraction of the learning rate for a parameter, by its name; at 0 it is frozen.
    pub fraction: &'a dyn Fn(&str) -> f64,
    /// Where only some rows of a gradient take part, the other rows of the parameter and its moments stay as they are, as
    /// in PyTorch's SparseAdam.
    pub rows: &'a SparseRows,
}

/// The coefficients of an update for one parameter.
struct Step {
    gradient_scale: f64,
    /// What the weights are multiplied by first.
    keep: f64,
    /// The learning rate over the first moment's bias correction.
    rate: f64,
    second_correction: f64,
}

impl AdamW {
    /// Moments of zero.
    pub fn new(parameters: &NamedTensors) -> Self {
        let zeros = || parameters.map(|parameter| parameter.detach().zeros_like());
        AdamW {
            first_moments: zeros(),
            second_moments: zeros(),
        }
    }

    /// Updates the parameters that have a gradient. Returns the norm of all gradients; if that is not finite, nothing is
    /// updated.
    pub fn update(
        &mut self,
        parameters: &mut NamedTensors,
        gradients: &NamedTensors,
        update: Update,
        pool: &ThreadPool,
    ) -> f64 {
        let norm = norm(gradients, update.rows, pool);
        if !norm.is_finite() {
            return norm;
        }
        for (name, parameter) in parameters.iter_mut() {
            let fraction = (update.fraction)(name);
            let Some(gradient) = gradients.find(name).filter(|_| fraction != 0.0) else {
                continue;
            };
            let step = Step::new(&update, norm, fraction, parameter.dim() > 1);
            let moments = (
                self.first_moments.get_mut(name),
                self.second_moments.get_mut(name),
            );
            if parameter.device() == Device::Cpu {
                step.by_kernels(parameter, gradient, moments, update.rows.get(name), pool);
            } else {
                step.by_libtorch(parameter, gradient, moments);
            }
        }
        norm
    }
}

impl Step {
    fn new(update: &Update, norm: f64, fraction: f64, is_matrix: bool) -> Self {
        let clips = update.clip_norm > 0.0 && norm > update.clip_norm;
        let number = update.step.min(i32::MAX as u64) as i32;
        let decay = if is_matrix { update.weight_decay } else { 0.0 };
        Step {
            gradient_scale: if clips { update.clip_norm / norm } else { 1.0 },
            keep: 1.0 - update.learning_rate * fraction * decay,
            rate: update.learning_rate / (1.0 - BETA1.powi(number)) * fraction,
            second_correction: 1.0 / (1.0 - BETA2.powi(number)).sqrt(),
        }
    }

    fn by_kernels(
        &self,
        parameter: &mut Tensor,
        gradient: &Tensor,
        (first, second): (&mut Tensor, &mut Tensor),
        rows: Option<&Vec<u32>>,
        pool: &ThreadPool,
    ) {
        let step = AdamWStep {
            gradient_scale: self.gradient_scale as f32,
            betas: (BETA1 as f32, BETA2 as f32),
            keep: self.keep as f32,
            rate: self.rate as f32,
            second_correction: self.second_correction as f32,
            epsilon: EPSILON as f32,
        };
        let chunk = rows.map_or(CHUNK, |_| row_width(gradient));
        let moments = floats_mut(first)
            .chunks_mut(chunk)
            .zip(floats_mut(second).chunks_mut(chunk));
        let gradient = gradient.contiguous();
        let parts = floats_mut(parameter)
            .chunks_mut(chunk)
            .zip(floats(&gradient).chunks(chunk))
            .zip(moments);
        let mut parts: Vec<_> = chosen(parts, rows).collect();
        pool.for_each(
            parts.len(),
            &mut parts,
            |_, ((weights, gradients), (first, second))| {
                adamw(weights, gradients, first, second, step);
            },
        );
    }

    fn by_libtorch(
        &self,
        parameter: &mut Tensor,
        gradient: &Tensor,
        (first, second): (&mut Tensor, &mut Tensor),
    ) {
        tch::no_grad(|| {
            let gradient = gradient * self.gradient_scale;
            let _ = first
                .g_mul_scalar_(BETA1)
                .g_add_(&(&gradient * (1.0 - BETA1)));
            let _ = second
                .g_mul_scalar_(BETA2)
                .g_add_(&(gradient.square() * (1.0 - BETA2)));
            let spread = second.sqrt() * self.second_correction + EPSILON;
            let _ = parameter
                .g_mul_scalar_(self.keep)
                .addcdiv_(&(&*first * -self.rate), &spread);
        });
    }
}

/// Numbers in a row of a matrix.
pub fn row_width(matrix: &Tensor) -> usize {
    matrix.numel() / matrix.size()[0] as usize
}

/// The parts at some positions, sorted, or all.
fn chosen<T>(
    parts: impl Iterator<Item = T>,
    positions: Option<&Vec<u32>>,
) -> impl Iterator<Item = T> {
    let mut next = 0;
    let takes = move |position: usize| match positions {
        None => true,
        Some(positions) => {
            let chosen = positions.get(next).is_some_and(|&p| p as usize == position);
            next += usize::from(chosen);
            chosen
        }
    };
    let mut takes = takes;
    parts
        .enumerate()
        .filter(move |(position, _)| takes(*position))
        .map(|(_, part)| part)
}

/// The norm of all gradients together.
fn norm(gradients: &NamedTensors, rows: &SparseRows, pool: &ThreadPool) -> f64 {
    let squares = gradients
        .iter()
        .map(|(name, gradient)| match gradient.device() {
            Device::Cpu => {
                let rows = rows.get(name);
                let chunk = rows.map_or(CHUNK, |_| row_width(gradient));
                let gradient = gradient.contiguous();
                let parts = floats(&gradient).chunks(chunk);
                let mut parts: Vec<(&[f32], f64)> =
                    chosen(parts, rows).map(|part| (part, 0.0)).collect();
                pool.for_each(parts.len(), &mut parts, |_, (part, sum)| {
                    *sum = sum_of_squares(part)
                });
                parts.iter().map(|(_, sum)| sum).sum()
            }
            _ => gradient.square().sum(Kind::Double).double_value(&[]),
        });
    squares.sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named<const N: usize>(tensors: [Tensor; N]) -> NamedTensors {
        (0..N).map(|index| index.to_string()).zip(tensors).collect()
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap()
    }

    /// The numbers are PyTorch's:
    /// ```python
    /// w, b = Parameter(cos(arange(6.)).view(2, 3)), Parameter(sin(arange(3.)))
    /// opt = AdamW([{"params": [w], "weight_decay": 0.1}, {"params": [b], "weight_decay": 0.0}],
    ///             lr=0.05, betas=(0.9, 0.99), eps=1e-8)
    /// for step in 1, 2, 3:
    ///     w.grad, b.grad = sin(arange(6.) * step).view(2, 3), cos(arange(3.) + step)
    ///     clip_grad_norm_([w, b], 1.0)
    ///     opt.step()
    /// ```
    #[test]
    fn updates_agree_with_pytorch() {
        let range = |n: i64| Tensor::arange(n, (Kind::Float, Device::Cpu));
        let mut parameters = named([range(6).cos().view([2, 3]), range(3).sin()]);
        let mut optimizer = AdamW::new(&parameters);
        let mut norms = Vec::new();
        for step in 1..=3 {
            let gradients = named([
                (range(6) * step as i64).sin().view([2, 3]),
                (range(3) + step as i64).cos(),
            ]);
            let update = Update {
                step,
                learning_rate: 0.05,
                weight_decay: 0.1,
                clip_norm: 1.0,
                fraction: &|_| 1.0,
                rows: &SparseRows::new(),
            };
            let pool = ThreadPool::new(2);
            norms.push(optimizer.update(&mut parameters, &gradients, update, &pool));
        }
        let close = |found: Vec<f32>, expected: &[f32]| {
            let all = found
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(all, "{found:?} is not {expected:?}");
        };
        close(values(parameters.get("0")), &PYTORCH_W);
        close(values(parameters.get("1")), &PYTORCH_B);
        assert!((norms[0] - PYTORCH_NORM).abs() < 1e-6, "{norms:?}");
    }

    #[test]
    fn rows_without_gradients_stay_as_they_are() {
        let numbers = |phase: f64| {
            let numbers = Tensor::arange(50, (Kind::Float, Device::Cpu)) + phase;
            numbers.sin().view([10, 5])
        };
        let rows = [0u32, 3, 4, 9];
        let sparse = numbers(1.0);
        for row in (0..10).filter(|row| !rows.contains(row)) {
            let _ = sparse.get(i64::from(row)).zero_();
        }
        let gradients = named([sparse, numbers(2.0)]);
        let updated = |rows: &SparseRows| {
            let mut parameters = named([numbers(3.0), numbers(4.0)]);
            let mut optimizer = AdamW::new(&parameters);
            *optimizer.second_moments.get_mut("0") += 1.0;
            let update = Update {
                step: 2,
                learning_rate: 0.05,
                weight_decay: 0.1,
                clip_norm: 0.0,
                fraction: &|_| 1.0,
                rows,
            };
            let norm = optimizer.update(&mut parameters, &gradients, update, &ThreadPool::new(2));
            let moment = values(optimizer.second_moments.get("0"));
            (
                norm,
                [
                    values(parameters.get("0")),
                    moment,
                    values(parameters.get("1")),
                ],
            )
        };
        let (norm, all) = updated(&SparseRows::new());
        let (norm_of_some, some) = updated(&[("0".to_string(), rows.to_vec())].into());
        assert!((norm / norm_of_some - 1.0).abs() < 1e-6 && norm > 1.0);
        let before = values(&numbers(3.0));
        for row in 0..10 {
            let range = row * 5..(row + 1) * 5;
            let [weights, moments] = [0, 1].map(|which| &some[which][range.clone()]);
            if rows.contains(&(row as u32)) {
                assert_eq!(weights, &all[0][range.clone()]);
                assert_eq!(moments, &all[1][range.clone()]);
            } else {
                assert_eq!(weights, &before[range]);
                assert_eq!(moments, [1.0; 5]);
            }
        }
        // The other parameter has no rows to choose.
        assert_eq!(some[2], all[2]);
    }

    const PYTORCH_W: [f32; 6] = [
        0.985_074_9,
        0.389_777_27,
        -0.452_362_72,
        -1.026_987_2,
        -0.594_500_54,
        0.385_366_62,
    ];
    const PYTORCH_B: [f32; 3] = [-0.026_256_679, 0.986_940_4, 1.033_942];
    const PYTORCH_NORM: f64 = 2.119_501_4;
}

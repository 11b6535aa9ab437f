/*!
AdamW with moments that can be saved (Kingma and Ba 2015; Loshchilov and Hutter 2019), and clipping by norm.
*/

pub mod adam;
pub mod schedule;

use std::collections::BTreeMap;

use carousel_kernels::{AdamWStep, ThreadPool, adamw, sum_of_squares};
use tch::{Device, Kind, Tensor};

use crate::slices::{floats, floats_mut};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.99;
const EPSILON: f64 = 1e-8;
/// Numbers that are worth another thread's while.
const CHUNK: usize = 1 << 15;

/// AdamW's memory: running means of the gradients and of their squares, in the order of the parameters.
pub struct AdamW {
    /// Of the gradients.
    pub first_moments: Vec<Tensor>,
    /// Of their squares.
    pub second_moments: Vec<Tensor>,
}

/// Of matrices, by their places among the parameters, of which only some rows have gradients, as few of many words stand in
/// a batch: these rows, sorted.
pub type SomeRows = BTreeMap<usize, Vec<u32>>;

/// One update.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// Its number, counted from 1.
    pub step: u64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Weight decay, for matrices: pulling biases to zero regularises nothing.
    pub weight_decay: f64,
    /// The gradients are clipped: scaled down to this norm together, if they are longer (Pascanu et al. 2013); 0 lets
    /// any pass.
    pub clip_norm: f64,
    /// The share of the learning rate that each parameter takes; of 0, it stays as it is. Empty for all of it.
    pub shares: &'a [f64],
    /// Rows that have gradients: where only some of a matrix do, the others and their moments stay as they are, as in
    /// PyTorch's SparseAdam.
    pub rows: &'a SomeRows,
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

    /// Updates the parameters. One whose gradient is empty took no part, and stays as it is. Returns the norm that the gradients
    /// had; if that is no number, nothing is updated.
    pub fn update(
        &mut self,
        parameters: &mut [Tensor],
        gradients: &[Tensor],
        update: Update,
        pool: &ThreadPool,
    ) -> f64 {
        let Update {
            step,
            learning_rate,
            weight_decay,
            clip_norm,
            shares,
            rows,
        } = update;
        let norm = norm(gradients, rows, pool);
        if !norm.is_finite() {
            return norm;
        }
        let gradient_scale = if clip_norm > 0.0 && norm > clip_norm {
            clip_norm / norm
        } else {
            1.0
        };
        let step = step.min(i32::MAX as u64) as i32;
        let rate = learning_rate / (1.0 - BETA1.powi(step));
        let second_correction = 1.0 / (1.0 - BETA2.powi(step)).sqrt();
        let moments = self.first_moments.iter_mut().zip(&mut self.second_moments);
        for (index, ((parameter, gradient), (first, second))) in parameters
            .iter_mut()
            .zip(gradients)
            .zip(moments)
            .enumerate()
        {
            let share = shares.get(index).copied().unwrap_or(1.0);
            if share == 0.0 || gradient.numel() == 0 {
                continue;
            }
            let (learning_rate, rate) = (learning_rate * share, rate * share);
            let decay = if parameter.dim() > 1 {
                weight_decay
            } else {
                0.0
            };
            let keep = 1.0 - learning_rate * decay;
            if parameter.device() == Device::Cpu {
                let step = AdamWStep {
                    gradient_scale: gradient_scale as f32,
                    betas: (BETA1 as f32, BETA2 as f32),
                    keep: keep as f32,
                    rate: rate as f32,
                    second_correction: second_correction as f32,
                    epsilon: EPSILON as f32,
                };
                let rows = rows.get(&index);
                let chunk = rows.map_or(CHUNK, |_| width(gradient));
                let moments = floats_mut(first)
                    .chunks_mut(chunk)
                    .zip(floats_mut(second).chunks_mut(chunk));
                let gradient = gradient.contiguous();
                let parts = floats_mut(parameter)
                    .chunks_mut(chunk)
                    .zip(floats(&gradient).chunks(chunk))
                    .zip(moments);
                let mut parts: Vec<_> = some_of(parts, rows).collect();
                pool.for_each(
                    parts.len(),
                    &mut parts,
                    |_, ((weights, gradients), (first, second))| {
                        adamw(weights, gradients, first, second, step);
                    },
                );
                continue;
            }
            tch::no_grad(|| {
                let gradient = gradient * gradient_scale;
                let _ = first
                    .g_mul_scalar_(BETA1)
                    .g_add_(&(&gradient * (1.0 - BETA1)));
                let _ = second
                    .g_mul_scalar_(BETA2)
                    .g_add_(&(gradient.square() * (1.0 - BETA2)));
                let spread = second.sqrt() * second_correction + EPSILON;
                let _ = parameter
                    .g_mul_scalar_(keep)
                    .addcdiv_(&(&*first * -rate), &spread);
            });
        }
        norm
    }
}

/// Numbers in a row of a matrix.
pub fn width(matrix: &Tensor) -> usize {
    matrix.numel() / matrix.size()[0] as usize
}

/// The parts at some places, sorted, or all.
fn some_of<T>(
    parts: impl Iterator<Item = T>,
    places: Option<&Vec<u32>>,
) -> impl Iterator<Item = T> {
    let mut next = 0;
    parts
        .enumerate()
        .filter(move |(place, _)| match places {
            None => true,
            Some(places) => {
                let some = places.get(next).is_some_and(|&p| p as usize == *place);
                next += usize::from(some);
                some
            }
        })
        .map(|(_, part)| part)
}

/// The norm of all gradients together.
fn norm(gradients: &[Tensor], rows: &SomeRows, pool: &ThreadPool) -> f64 {
    let squares = gradients
        .iter()
        .enumerate()
        .filter(|(_, gradient)| gradient.numel() > 0)
        .map(|(index, gradient)| match gradient.device() {
            Device::Cpu => {
                let rows = rows.get(&index);
                let chunk = rows.map_or(CHUNK, |_| width(gradient));
                let gradient = gradient.contiguous();
                let parts = floats(&gradient).chunks(chunk);
                let mut parts: Vec<(&[f32], f64)> =
                    some_of(parts, rows).map(|part| (part, 0.0)).collect();
                pool.for_each(parts.len(), &mut parts, |_, (part, sum)| {
                    *sum = sum_of_squares(part);
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
        let range = |n: i64| Tensor::arange(n, (Kind::Float, tch::Device::Cpu));
        let mut parameters = [range(6).cos().view([2, 3]), range(3).sin()];
        let mut optimizer = AdamW::new(&parameters);
        let mut norms = Vec::new();
        for step in 1..=3 {
            let gradients = [
                (range(6) * step as i64).sin().view([2, 3]),
                (range(3) + step as i64).cos(),
            ];
            let update = Update {
                step,
                learning_rate: 0.05,
                weight_decay: 0.1,
                clip_norm: 1.0,
                shares: &[],
                rows: &SomeRows::new(),
            };
            let pool = ThreadPool::new(2);
            norms.push(optimizer.update(&mut parameters, &gradients, update, &pool));
        }
        let values = |tensor: &Tensor| Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
        let close = |found: Vec<f32>, expected: &[f32]| {
            assert!(
                found
                    .iter()
                    .zip(expected)
                    .all(|(a, b)| (a - b).abs() < 1e-6),
                "{found:?} is not {expected:?}"
            );
        };
        close(values(&parameters[0]), &PYTORCH_W);
        close(values(&parameters[1]), &PYTORCH_B);
        assert!((norms[0] - PYTORCH_NORM).abs() < 1e-6, "{norms:?}");
    }

    #[test]
    fn of_some_rows_the_others_stay_as_they_are() {
        let numbers = |phase: f64| {
            let numbers = Tensor::arange(50, (Kind::Float, Device::Cpu)) + phase;
            numbers.sin().view([10, 5])
        };
        let rows = [0u32, 3, 4, 9];
        let sparse = numbers(1.0);
        for row in (0..10).filter(|row| !rows.contains(row)) {
            let _ = sparse.get(i64::from(row)).zero_();
        }
        let gradients = [sparse, numbers(2.0)];
        let updated = |rows: &SomeRows| {
            let mut parameters = [numbers(3.0), numbers(4.0)];
            let mut optimizer = AdamW::new(&parameters);
            optimizer.second_moments[0] += 1.0;
            let update = Update {
                step: 2,
                learning_rate: 0.05,
                weight_decay: 0.1,
                clip_norm: 0.0,
                shares: &[],
                rows,
            };
            let norm = optimizer.update(&mut parameters, &gradients, update, &ThreadPool::new(2));
            let [first, second] = parameters;
            let moment = optimizer.second_moments.swap_remove(0);
            let values = |tensor: Tensor| Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
            (norm, [first, moment, second].map(values))
        };
        let ((norm, all), (norm_of_some, some)) = (
            updated(&SomeRows::new()),
            updated(&[(0, rows.to_vec())].into()),
        );
        assert!((norm / norm_of_some - 1.0).abs() < 1e-6 && norm > 1.0);
        let before = Vec::<f32>::try_from(numbers(3.0).flatten(0, -1)).unwrap();
        for row in 0..10 {
            let place = row * 5..(row + 1) * 5;
            let [weights, moments] = [0, 1].map(|which| &some[which][place.clone()]);
            if rows.contains(&(row as u32)) {
                assert_eq!(weights, &all[0][place.clone()]);
                assert_eq!(moments, &all[1][place.clone()]);
            } else {
                assert_eq!(weights, &before[place]);
                assert_eq!(moments, [1.0; 5]);
            }
        }
        // The other parameters have no rows to choose.
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

/*!
Arithmetic of the LSTM, for the units of a panel:

```text
i = σ(sum)     input gate       c′ = f · c + i · g
f = σ(sum)     forget gate      h′ = o · tanh(c′)
g = tanh(sum)  cell gate
o = σ(sum)     output gate
```

The gates are in libtorch's order: input, forget, cell, output.
*/

use super::step::{BackwardStep, ForwardStep};
use crate::cpu::{for_each_cpu, multiply_add};
use crate::elementwise::{sigmoid, sigmoid_times_tanh, tanh};

/// Number of gates: each has a vector of a panel.
pub(crate) const GATES: usize = 4;

for_each_cpu! {
    /// One step: `sums` is `[rows, 4, lanes]`; `cell` and `hidden` are `[rows, lanes]` and are replaced.
    ///
    /// # Panics
    /// If there are other than 8 or 16 lanes.
    pub(crate) fn step(sums: &[f32], cell: &mut [f32], hidden: &mut [f32], lanes: usize) {
        // A constant for the compiler, so that each row is one or two vectors.
        match lanes {
            8 => step_of::<FMA, 8>(sums, cell, hidden),
            16 => step_of::<FMA, 16>(sums, cell, hidden),
            _ => panic!("{lanes} lanes"),
        }
    }
}

#[inline(always)]
fn step_of<const FMA: bool, const LANES: usize>(
    sums: &[f32],
    cell: &mut [f32],
    hidden: &mut [f32],
) {
    let (sums, _) = sums.as_chunks::<LANES>();
    let (sums, _) = sums.as_chunks::<GATES>();
    let (cell, _) = cell.as_chunks_mut::<LANES>();
    let (hidden, _) = hidden.as_chunks_mut::<LANES>();
    for (([i, f, g, o], cell), hidden) in sums.iter().zip(cell).zip(hidden) {
        for lane in 0..LANES {
            let kept = sigmoid::<FMA>(f[lane]) * cell[lane];
            cell[lane] = kept + sigmoid_times_tanh::<FMA>(i[lane], g[lane]);
            hidden[lane] = sigmoid_times_tanh::<FMA>(o[lane], cell[lane]);
        }
    }
}

/// As [`step`], for training: the sums are replaced by the gates, and the cells before the step are kept.
///
/// # Panics
/// If there are other than 8 or 16 lanes.
pub(crate) fn forward(step: ForwardStep, lanes: usize) {
    let [gates, ..] = step.gates;
    forward_lanes(gates, step.before, step.after, step.hidden, lanes);
}

for_each_cpu! {
    fn forward_lanes(gates: &mut [f32], before: &[f32], after: &mut [f32], hidden: &mut [f32], lanes: usize) {
        match lanes {
            8 => forward_of::<FMA, 8>(gates, before, after, hidden),
            16 => forward_of::<FMA, 16>(gates, before, after, hidden),
            _ => panic!("{lanes} lanes"),
        }
    }
}

#[inline(always)]
fn forward_of<const FMA: bool, const LANES: usize>(
    gates: &mut [f32],
    before: &[f32],
    after: &mut [f32],
    hidden: &mut [f32],
) {
    let (gates, _) = gates.as_chunks_mut::<LANES>();
    let (gates, _) = gates.as_chunks_mut::<GATES>();
    let (before, _) = before.as_chunks::<LANES>();
    let (after, _) = after.as_chunks_mut::<LANES>();
    let (hidden, _) = hidden.as_chunks_mut::<LANES>();
    let rows = gates
        .iter_mut()
        .zip(before)
        .zip(after.iter_mut().zip(hidden));
    for (([i, f, g, o], before), (after, hidden)) in rows {
        for lane in 0..LANES {
            i[lane] = sigmoid::<FMA>(i[lane]);
            f[lane] = sigmoid::<FMA>(f[lane]);
            g[lane] = tanh::<FMA>(g[lane]);
            o[lane] = sigmoid::<FMA>(o[lane]);
            after[lane] = multiply_add::<FMA>(i[lane], g[lane], f[lane] * before[lane]);
            hidden[lane] = o[lane] * tanh::<FMA>(after[lane]);
        }
    }
}

/// Gradients of [`forward`].
///
/// # Panics
/// If there are other than 8 or 16 lanes.
pub(crate) fn backward(step: BackwardStep, lanes: usize) {
    let [gates, ..] = step.gates;
    backward_lanes(
        gates,
        step.carried,
        step.hidden_gradient,
        step.carried_gradient,
        step.bias_gradient,
        lanes,
    );
}

for_each_cpu! {
    fn backward_lanes(
        gates: &mut [f32],
        cells: (&[f32], &[f32]),
        hidden_gradient: &[f32],
        cell_gradient: &mut [f32],
        bias_gradient: &mut [f32],
        lanes: usize,
    ) {
        match lanes {
            8 => backward_of::<FMA, 8>(gates, cells, hidden_gradient, cell_gradient, bias_gradient),
            16 => backward_of::<FMA, 16>(gates, cells, hidden_gradient, cell_gradient, bias_gradient),
            _ => panic!("{lanes} lanes"),
        }
    }
}

#[inline(always)]
fn backward_of<const FMA: bool, const LANES: usize>(
    gates: &mut [f32],
    (before, after): (&[f32], &[f32]),
    hidden_gradient: &[f32],
    cell_gradient: &mut [f32],
    bias_gradient: &mut [f32],
) {
    let (gates, _) = gates.as_chunks_mut::<LANES>();
    let (gates, _) = gates.as_chunks_mut::<GATES>();
    let (before, _) = before.as_chunks::<LANES>();
    let (after, _) = after.as_chunks::<LANES>();
    let (hidden_gradient, _) = hidden_gradient.as_chunks::<LANES>();
    let (cell_gradient, _) = cell_gradient.as_chunks_mut::<LANES>();
    let (bias_gradient, _) = bias_gradient.as_chunks_mut::<LANES>();
    let rows = gates
        .iter_mut()
        .zip(before.iter().zip(after))
        .zip(hidden_gradient.iter().zip(cell_gradient));
    for ((gates, (before, after)), (d_hidden, d_cell)) in rows {
        let [input, forget, cell, output] = gates;
        for lane in 0..LANES {
            let (i, f, g, o) = (input[lane], forget[lane], cell[lane], output[lane]);
            let tanh_cell = tanh::<FMA>(after[lane]);
            let d_after = d_cell[lane] + d_hidden[lane] * o * (1.0 - tanh_cell * tanh_cell);
            d_cell[lane] = d_after * f;
            input[lane] = d_after * g * i * (1.0 - i);
            forget[lane] = d_after * before[lane] * f * (1.0 - f);
            cell[lane] = d_after * i * (1.0 - g * g);
            output[lane] = d_hidden[lane] * tanh_cell * o * (1.0 - o);
        }
        for (bias, gradient) in bias_gradient.iter_mut().zip(gates) {
            for lane in 0..LANES {
                bias[lane] += gradient[lane];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_gates_do_not_overflow() {
        let (mut cell, mut hidden) = ([0.5; 8], [0.0; 8]);
        let sums = [1e30, -1e30, 1e30, 1e30].map(|sum| [sum; 8]).concat();
        step(&sums, &mut cell, &mut hidden, 8);
        assert!((cell[0] - 1.0).abs() < 1e-6 && (hidden[0] - 1f32.tanh()).abs() < 1e-6);
    }
}

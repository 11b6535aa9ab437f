/*!
Sums, activations and updates along slices, as loops that the compiler makes vectors of.
*/

use crate::{LANES, multiply_add};

for_each_cpu! {
    /// Σ x².
    pub fn sum_of_squares(x: &[f32]) -> f64 {
        // Short blocks in float32 keep the vectors full; summing the blocks in float64 keeps the digits.
        let mut total = 0.0;
        // Loops, not closures: those would not be compiled for these instructions.
        for block in x.chunks(4096) {
            let mut sums = [0.0f32; LANES];
            let (lanes, rest) = block.as_chunks::<LANES>();
            for values in lanes {
                for lane in 0..LANES {
                    sums[lane] = multiply_add::<FMA>(values[lane], values[lane], sums[lane]);
                }
            }
            let rest: f32 = rest.iter().map(|v| v * v).sum();
            total += sums.iter().map(|&sum| f64::from(sum)).sum::<f64>() + f64::from(rest);
        }
        total
    }
}

/// The numbers of one AdamW update, the same for all weights of a tensor.
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    /// Every gradient is first multiplied by this (clipping).
    pub gradient_scale: f32,
    /// How much of the running means is kept: of the gradients, and of their squares.
    pub betas: (f32, f32),
    /// What the weights are multiplied by before they move (decoupled decay).
    pub keep: f32,
    /// The learning rate over the first mean's bias correction.
    pub rate: f32,
    /// One over the root of the second mean's bias correction.
    pub second_correction: f32,
    /// What keeps the division finite.
    pub epsilon: f32,
}

for_each_cpu! {
    /// One pass of AdamW over a tensor: weights, gradients and both moments, all of one length.
    pub fn adamw(weights: &mut [f32], gradients: &[f32], first: &mut [f32], second: &mut [f32], step: AdamWStep) {
        let (beta1, beta2) = step.betas;
        let moments = first.iter_mut().zip(second);
        for ((weight, gradient), (first, second)) in weights.iter_mut().zip(gradients).zip(moments) {
            let gradient = gradient * step.gradient_scale;
            *first = multiply_add::<FMA>(beta1, *first, (1.0 - beta1) * gradient);
            *second = multiply_add::<FMA>(beta2, *second, (1.0 - beta2) * gradient * gradient);
            let spread = multiply_add::<FMA>(second.sqrt(), step.second_correction, step.epsilon);
            *weight = *weight * step.keep - step.rate * *first / spread;
        }
    }
}

for_each_cpu! {
    /// The pointwise half of an LSTM step, for `lanes` units of each row. `gates` holds `[rows, 4, lanes]` sums, in
    /// libtorch's order input, forget, cell, output; `cell` and `hidden` are `[rows, lanes]` and are replaced.
    ///
    /// # Panics
    /// If there are other than 8 or 16 lanes.
    pub fn lstm_gates(gates: &[f32], cell: &mut [f32], hidden: &mut [f32], lanes: usize) {
        // A number known to the compiler, so that each row is a vector or two.
        match lanes {
            8 => lstm_gates_of::<FMA, 8>(gates, cell, hidden),
            16 => lstm_gates_of::<FMA, 16>(gates, cell, hidden),
            _ => panic!("{lanes} lanes"),
        }
    }
}

#[inline(always)]
fn lstm_gates_of<const FMA: bool, const LANES: usize>(
    gates: &[f32],
    cell: &mut [f32],
    hidden: &mut [f32],
) {
    let (gates, _) = gates.as_chunks::<LANES>();
    let (gates, _) = gates.as_chunks::<4>();
    let (cell, _) = cell.as_chunks_mut::<LANES>();
    let (hidden, _) = hidden.as_chunks_mut::<LANES>();
    for (([input, forget, candidate, output], cell), hidden) in gates.iter().zip(cell).zip(hidden) {
        for lane in 0..LANES {
            let kept = sigmoid::<FMA>(forget[lane]) * cell[lane];
            cell[lane] = kept + sigmoid_times_tanh::<FMA>(input[lane], candidate[lane]);
            hidden[lane] = sigmoid_times_tanh::<FMA>(output[lane], cell[lane]);
        }
    }
}

for_each_cpu! {
    /// As [`lstm_gates`], for training: the sums are replaced by the gates themselves, and the cells before the step are
    /// kept.
    ///
    /// # Panics
    /// If there are other than 8 or 16 lanes.
    pub fn lstm_forward(gates: &mut [f32], before: &[f32], after: &mut [f32], hidden: &mut [f32], lanes: usize) {
        match lanes {
            8 => lstm_forward_of::<FMA, 8>(gates, before, after, hidden),
            16 => lstm_forward_of::<FMA, 16>(gates, before, after, hidden),
            _ => panic!("{lanes} lanes"),
        }
    }
}

#[inline(always)]
fn lstm_forward_of<const FMA: bool, const LANES: usize>(
    gates: &mut [f32],
    before: &[f32],
    after: &mut [f32],
    hidden: &mut [f32],
) {
    let (gates, _) = gates.as_chunks_mut::<LANES>();
    let (gates, _) = gates.as_chunks_mut::<4>();
    let (before, _) = before.as_chunks::<LANES>();
    let (after, _) = after.as_chunks_mut::<LANES>();
    let (hidden, _) = hidden.as_chunks_mut::<LANES>();
    let rows = gates
        .iter_mut()
        .zip(before)
        .zip(after.iter_mut().zip(hidden));
    for (([input, forget, candidate, output], before), (after, hidden)) in rows {
        for lane in 0..LANES {
            input[lane] = sigmoid::<FMA>(input[lane]);
            forget[lane] = sigmoid::<FMA>(forget[lane]);
            candidate[lane] = tanh::<FMA>(candidate[lane]);
            output[lane] = sigmoid::<FMA>(output[lane]);
            after[lane] =
                multiply_add::<FMA>(input[lane], candidate[lane], forget[lane] * before[lane]);
            hidden[lane] = output[lane] * tanh::<FMA>(after[lane]);
        }
    }
}

for_each_cpu! {
    /// The way back through [`lstm_forward`] for one row: from the gradient of its hidden state, and that of the cell
    /// after it, which is replaced by that of the cell before it, to the gradients of the sums, which replace the gates
    /// and are added to those of the bias.
    ///
    /// # Panics
    /// If there are other than 8 or 16 lanes.
    pub fn lstm_backward(
        gates: &mut [f32],
        before: &[f32],
        after: &[f32],
        hidden_gradient: &[f32],
        cell_gradient: &mut [f32],
        bias_gradient: &mut [f32],
        lanes: usize,
    ) {
        match lanes {
            8 => lstm_backward_of::<FMA, 8>(gates, before, after, hidden_gradient, cell_gradient, bias_gradient),
            16 => lstm_backward_of::<FMA, 16>(gates, before, after, hidden_gradient, cell_gradient, bias_gradient),
            _ => panic!("{lanes} lanes"),
        }
    }
}

#[inline(always)]
fn lstm_backward_of<const FMA: bool, const LANES: usize>(
    gates: &mut [f32],
    before: &[f32],
    after: &[f32],
    hidden_gradient: &[f32],
    cell_gradient: &mut [f32],
    bias_gradient: &mut [f32],
) {
    let ([before], [after]) = (before.as_chunks::<LANES>().0, after.as_chunks::<LANES>().0) else {
        panic!("one row");
    };
    let ([hidden], [cell]) = (
        hidden_gradient.as_chunks::<LANES>().0,
        cell_gradient.as_chunks_mut::<LANES>().0,
    ) else {
        panic!("one row");
    };
    let [input, forget, candidate, output] = gates.as_chunks_mut::<LANES>().0 else {
        panic!("four gates");
    };
    let (bias, _) = bias_gradient.as_chunks_mut::<LANES>();
    for lane in 0..LANES {
        let (i, f, g, o) = (input[lane], forget[lane], candidate[lane], output[lane]);
        let squashed = tanh::<FMA>(after[lane]);
        let through = hidden[lane] * o * (1.0 - squashed * squashed);
        let carried = cell[lane] + through;
        cell[lane] = carried * f;
        input[lane] = carried * g * i * (1.0 - i);
        forget[lane] = carried * before[lane] * f * (1.0 - f);
        candidate[lane] = carried * i * (1.0 - g * g);
        output[lane] = hidden[lane] * squashed * o * (1.0 - o);
    }
    for (bias, gradient) in bias.iter_mut().zip([input, forget, candidate, output]) {
        for lane in 0..LANES {
            bias[lane] += gradient[lane];
        }
    }
}

#[inline(always)]
fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

#[inline(always)]
fn tanh<const FMA: bool>(x: f32) -> f32 {
    2.0 / (1.0 + exp::<FMA>(-2.0 * x)) - 1.0
}

/// σ(x) · tanh(y), with one division.
#[inline(always)]
fn sigmoid_times_tanh<const FMA: bool>(x: f32, y: f32) -> f32 {
    // Beyond these tanh is ±1, and so small an e⁻²ʸ cannot make the product below overflow. NaN stays NaN.
    let y = if y > 15.0 { 15.0 } else { y };
    let y = if y < -15.0 { -15.0 } else { y };
    let (e_to_x, e_to_y) = (exp::<FMA>(-x), exp::<FMA>(-2.0 * y));
    (1.0 - e_to_y) / ((1.0 + e_to_x) * (1.0 + e_to_y))
}

/// eˣ to about 2 units in the last place, without a branch or a call, so that loops over it become vectors: 2ⁿ · eʳ with
/// a polynomial for eʳ on |r| ≤ ½ ln 2 (Cephes' coefficients). Beyond float32's range it stays at the range's ends.
#[inline(always)]
fn exp<const FMA: bool>(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const COEFFICIENTS: [f32; 6] = [
        1.987_569_1e-4,
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ];
    // Not `clamp`: this way round NaN stays NaN.
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    // Adding this leaves the nearest whole number in the low bits; a cast would be a call for each number.
    const WHOLE: f32 = 12_582_912.0;
    let shifted = multiply_add::<FMA>(x, std::f32::consts::LOG2_E, WHOLE);
    let n = shifted - WHOLE;
    let r = multiply_add::<FMA>(n, -LN2_LOW, multiply_add::<FMA>(n, -LN2_HIGH, x));
    let mut sum = COEFFICIENTS[0];
    for coefficient in &COEFFICIENTS[1..] {
        sum = multiply_add::<FMA>(sum, r, *coefficient);
    }
    let e_to_r = multiply_add::<FMA>(sum * r, r, r + 1.0);
    e_to_r * f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()))
}

for_each_cpu! {
    /// Replaces logits by probabilities at a temperature above 0, but for a common factor: the likeliest has 1, and what
    /// is minus infinity or no number has 0.
    pub fn exponentials(logits: &mut [f32], temperature: f32) {
        let highest = highest(logits);
        // Finite, so that the highest stays the highest at the lowest temperature.
        let scale = (1.0 / temperature).min(f32::MAX);
        for logit in logits {
            let weight = exp::<FMA>((*logit - highest) * scale);
            *logit = if *logit > f32::NEG_INFINITY { weight } else { 0.0 };
        }
    }
}

/// The highest number, or minus infinity where there is none.
#[inline(always)]
fn highest(x: &[f32]) -> f32 {
    let (blocks, rest) = x.as_chunks::<LANES>();
    let mut highest = [f32::NEG_INFINITY; LANES];
    for values in blocks {
        for lane in 0..LANES {
            highest[lane] = if values[lane] > highest[lane] {
                values[lane]
            } else {
                highest[lane]
            };
        }
    }
    highest
        .iter()
        .chain(rest)
        .copied()
        .fold(f32::NEG_INFINITY, f32::max)
}

for_each_cpu! {
    /// ln Σ exp(x), without overflow; NaN if some are NaN.
    pub fn log_sum_exp(x: &[f32]) -> f64 {
        let (blocks, rest) = x.as_chunks::<LANES>();
        let highest = highest(x);
        if !highest.is_finite() {
            let missing = x.iter().any(|value| value.is_nan());
            return if missing { f64::NAN } else { f64::from(highest) };
        }
        let mut sums = [0.0f32; LANES];
        for values in blocks {
            for lane in 0..LANES {
                sums[lane] += exp::<FMA>(values[lane] - highest);
            }
        }
        // A loop, not a closure: that would not be compiled for these instructions.
        for (sum, &value) in sums.iter_mut().zip(rest) {
            *sum += exp::<FMA>(value - highest);
        }
        f64::from(highest) + sums.iter().map(|&sum| f64::from(sum)).sum::<f64>().ln()
    }
}

for_each_cpu! {
    /// The nats that a row of logits spends on `target`; the logits are replaced by their gradient times `scale`.
    pub fn cross_entropy_gradient(logits: &mut [f32], target: usize, scale: f32) -> f64 {
        let total = log_sum_exp(logits);
        let nats = total - f64::from(logits[target]);
        let total = total as f32;
        for logit in logits.iter_mut() {
            *logit = exp::<FMA>(*logit - total) * scale;
        }
        logits[target] -= scale;
        nats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        (0..count as u64)
            .map(|i| ((i * 2_654_435_761 + seed * 97) % 2001) as f32 / 1000.0 - 1.0)
            .collect()
    }

    #[test]
    fn squares_are_summed_as_their_plain_twin_sums_them() {
        for count in [0, 1, 31, 32, 33, 5000, 9001] {
            let x = numbers(count, 3);
            let expected: f64 = x.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
            assert!(
                (sum_of_squares(&x) - expected).abs() <= 1e-5 * expected,
                "{count}"
            );
        }
    }

    #[test]
    fn adamw_agrees_with_its_plain_twin() {
        let step = AdamWStep {
            gradient_scale: 0.5,
            betas: (0.9, 0.99),
            keep: 0.999,
            rate: 0.01,
            second_correction: 3.0,
            epsilon: 1e-8,
        };
        for count in [1, 15, 16, 17, 100] {
            let (mut weights, gradients) = (numbers(count, 1), numbers(count, 2));
            let (mut first, mut second) = (numbers(count, 3), numbers(count, 4));
            second.iter_mut().for_each(|v| *v = v.abs());
            let twin = |i: usize| {
                let gradient = f64::from(gradients[i]) * 0.5;
                let first = 0.9 * f64::from(first[i]) + 0.1 * gradient;
                let second = 0.99 * f64::from(second[i]) + 0.01 * gradient * gradient;
                f64::from(weights[i]) * 0.999 - 0.01 * first / (second.sqrt() * 3.0 + 1e-8)
            };
            let expected: Vec<f64> = (0..count).map(twin).collect();
            adamw(&mut weights, &gradients, &mut first, &mut second, step);
            for (found, expected) in weights.iter().zip(expected) {
                assert!(
                    (f64::from(*found) - expected).abs() < 1e-6,
                    "{found} {expected}"
                );
            }
        }
    }

    #[test]
    fn gates_agree_with_the_standard_library() {
        let mut x = -100.0f32;
        while x < 100.0 {
            let close = |found: f32, expected: f32, of: f32| (found - expected).abs() <= 4e-7 * of;
            assert!(
                close(
                    exp::<false>(x.min(88.0)),
                    x.clamp(-87.0, 88.0).exp(),
                    x.clamp(-87.0, 88.0).exp()
                ),
                "{x}"
            );
            assert!(
                close(sigmoid::<true>(x), 1.0 / (1.0 + (-x).exp()), 1.0),
                "{x}"
            );
            let product = |y: f32| y.tanh() / (1.0 + (-x).exp());
            for y in [x, -x, 0.3, -20.0] {
                assert!(
                    close(sigmoid_times_tanh::<true>(x, y), product(y), 1.0),
                    "{x} {y}"
                );
            }
            x += 0.037;
        }
        assert!(exp::<false>(f32::NAN).is_nan() && sigmoid::<false>(f32::NAN).is_nan());
    }

    #[test]
    fn extreme_logits_neither_overflow_nor_vanish() {
        assert!((log_sum_exp(&[1000.0, 1000.0]) - (1000.0 + 2f64.ln())).abs() < 1e-9);
        assert!((log_sum_exp(&[-1000.0, -1000.0]) - (-1000.0 + 2f64.ln())).abs() < 1e-9);
        for other in [0.0, f32::NAN, f32::INFINITY] {
            assert!(log_sum_exp(&[f32::NAN, other]).is_nan());
        }
        for count in [1, 31, 32, 65, 10_000] {
            let x = numbers(count, 5);
            let expected = x.iter().map(|&v| f64::from(v).exp()).sum::<f64>().ln();
            assert!((log_sum_exp(&x) - expected).abs() < 1e-6, "{count}");
        }
        let (mut cell, mut hidden) = ([0.5; 8], [0.0; 8]);
        let gates = [1e30, -1e30, 1e30, 1e30].map(|gate| [gate; 8]).concat();
        lstm_gates(&gates, &mut cell, &mut hidden, 8);
        assert!((cell[0] - 1.0).abs() < 1e-6 && (hidden[0] - 1f32.tanh()).abs() < 1e-6);
    }
}

/*!
Sums, activations and optimizer updates along slices, as loops that the compiler vectorizes.
*/

use crate::cpu::{LANES, for_each_cpu, multiply_add};

for_each_cpu! {
    /// Sum of squares, Σ x².
    pub fn sum_of_squares(x: &[f32]) -> f64 {
        // Short blocks in float32 keep the vectors full; summing the blocks in float64 keeps the precision.
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

for_each_cpu! {
    /// The product of each of `rows`, `[count, width]`, with `x`, `[width]`.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn dot_products(rows: &[f32], x: &[f32], products: &mut [f32]) {
        assert!(rows.len() == x.len() * products.len(), "whole rows");
        let (others, last) = x.as_chunks::<LANES>();
        for index in 0..products.len() {
            let row = &rows[index * x.len()..(index + 1) * x.len()];
            let (lanes, rest) = row.as_chunks::<LANES>();
            let mut sums = [0.0f32; LANES];
            for block in 0..lanes.len() {
                for lane in 0..LANES {
                    sums[lane] = multiply_add::<FMA>(lanes[block][lane], others[block][lane], sums[lane]);
                }
            }
            let mut product: f32 = sums.iter().sum();
            for position in 0..rest.len() {
                product += rest[position] * last[position];
            }
            products[index] = product;
        }
    }
}

for_each_cpu! {
    /// The sum of `rows`, `[count, width]`, each times its weight; `sum` is `[width]`, and replaced.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn weighted_sum(rows: &[f32], weights: &[f32], sum: &mut [f32]) {
        let width = sum.len();
        assert!(rows.len() == width * weights.len(), "a weight for each row");
        sum.fill(0.0);
        for index in 0..weights.len() {
            let (weight, row) = (weights[index], &rows[index * width..(index + 1) * width]);
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum = multiply_add::<FMA>(weight, *value, *sum);
            }
        }
    }
}

for_each_cpu! {
    /// The scores of additive attention (Bahdanau et al. 2015), `weights · tanh(key + query)` for each of `keys`,
    /// `[count, width]`.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn additive_scores(keys: &[f32], query: &[f32], weights: &[f32], scores: &mut [f32]) {
        let width = query.len();
        assert!(weights.len() == width && keys.len() == width * scores.len(), "whole keys");
        let (queries, last_queries) = query.as_chunks::<LANES>();
        let (factors, last_factors) = weights.as_chunks::<LANES>();
        for index in 0..scores.len() {
            let (key, rest) = keys[index * width..(index + 1) * width].as_chunks::<LANES>();
            let mut sums = [0.0f32; LANES];
            for block in 0..key.len() {
                for lane in 0..LANES {
                    let activated = tanh::<FMA>(key[block][lane] + queries[block][lane]);
                    sums[lane] = multiply_add::<FMA>(factors[block][lane], activated, sums[lane]);
                }
            }
            let mut score: f32 = sums.iter().sum();
            for position in 0..rest.len() {
                score += last_factors[position] * tanh::<FMA>(rest[position] + last_queries[position]);
            }
            scores[index] = score;
        }
    }
}

for_each_cpu! {
    /// Replaces each value by its hyperbolic tangent.
    pub fn tanh_in_place(values: &mut [f32]) {
        for value in values.iter_mut() {
            *value = tanh::<FMA>(*value);
        }
    }
}

for_each_cpu! {
    /// Replaces each value x by x · Φ(x), where Φ is the normal distribution's function (Hendrycks and Gimpel 2016).
    pub fn gelu_in_place(values: &mut [f32]) {
        for value in values.iter_mut() {
            *value *= 0.5 * (1.0 + error_function::<FMA>(*value * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

for_each_cpu! {
    /// Adds outputs of one step to running sums and maxima, and notes the step of each new maximum.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn add_to_pools(outputs: &[f32], step: u32, sums: &mut [f32], highest: &mut [f32], steps: &mut [u32]) {
        let count = outputs.len();
        assert!(sums.len() == count && highest.len() == count && steps.len() == count);
        for unit in 0..count {
            let output = outputs[unit];
            sums[unit] += output;
            let higher = output > highest[unit];
            highest[unit] = if higher { output } else { highest[unit] };
            steps[unit] = if higher { step } else { steps[unit] };
        }
    }
}

/// Coefficients of one AdamW update (Loshchilov and Hutter 2019), the same for all weights of a tensor.
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    /// Factor of all gradients (clipping).
    pub gradient_scale: f32,
    /// Decay of the running means: of the gradients, and of their squares.
    pub betas: (f32, f32),
    /// Factor of the weights before the update (decoupled weight decay).
    pub keep: f32,
    /// Learning rate, divided by the bias correction of the first mean.
    pub rate: f32,
    /// One over the square root of the bias correction of the second mean.
    pub second_correction: f32,
    /// Added to the divisor, so that it is not zero.
    pub epsilon: f32,
}

for_each_cpu! {
    /// One AdamW update of a tensor: weights, gradients and both moments, all of one length.
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
    /// Adds all rows of values, `[rows, width]`, to `sums`, `[width]`.
    pub(crate) fn add_rows(values: &[f32], sums: &mut [f32]) {
        for values in values.chunks_exact(sums.len()) {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += value;
            }
        }
    }
}

/// σ(x) = 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

/// tanh(x).
#[inline(always)]
pub(crate) fn tanh<const FMA: bool>(x: f32) -> f32 {
    2.0 / (1.0 + exp::<FMA>(-2.0 * x)) - 1.0
}

/// erf(x) to about 2⁻²²: the approximation 7.1.26 of Abramowitz and Stegun (1964).
#[inline(always)]
fn error_function<const FMA: bool>(x: f32) -> f32 {
    const COEFFICIENTS: [f32; 5] = [
        1.061_405_4,
        -1.453_152_1,
        1.421_413_8,
        -0.284_496_74,
        0.254_829_6,
    ];
    let size = x.abs();
    let t = 1.0 / multiply_add::<FMA>(0.327_591_1, size, 1.0);
    let mut sum = COEFFICIENTS[0];
    for coefficient in &COEFFICIENTS[1..] {
        sum = multiply_add::<FMA>(sum, t, *coefficient);
    }
    (1.0 - sum * t * exp::<FMA>(-size * size)).copysign(x)
}

/// σ(x) · tanh(y), with one division.
#[inline(always)]
pub(crate) fn sigmoid_times_tanh<const FMA: bool>(x: f32, y: f32) -> f32 {
    // Beyond these bounds tanh is ±1, and so small an e⁻²ʸ cannot make the product below overflow. NaN stays NaN.
    let y = if y > 15.0 { 15.0 } else { y };
    let y = if y < -15.0 { -15.0 } else { y };
    let (e_to_x, e_to_y) = (exp::<FMA>(-x), exp::<FMA>(-2.0 * y));
    (1.0 - e_to_y) / ((1.0 + e_to_x) * (1.0 + e_to_y))
}

/// eˣ to about 2 units in the last place, without a branch or a call, so that loops over it are vectorized: 2ⁿ · eʳ with a
/// polynomial for eʳ on |r| ≤ ½ ln 2 (Cephes' coefficients). Arguments beyond float32's range are clamped to it.
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
    // Written so that NaN stays NaN and the loop is vectorized.
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    // Adding this leaves the nearest integer in the low bits; a cast would be a call for each number.
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
    /// Replaces logits by unnormalized probabilities at a temperature above 0: the highest logit gets 1, and minus infinity
    /// and NaN get 0.
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

/// The largest number, or minus infinity if there is none.
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
    /// ln Σ exp(x), without overflow; NaN if any is NaN.
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
    /// Cross-entropy of `target` under a row of logits, in nats. The logits are replaced by the gradient times `scale`.
    pub(crate) fn cross_entropy_gradient(logits: &mut [f32], target: usize, scale: f32) -> f64 {
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
    use crate::twins::numbers;

    #[test]
    fn sum_of_squares_agrees_with_the_float64_twin() {
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
    fn dot_products_agree_with_the_float64_twin() {
        for (count, width) in [(0, 5), (1, 1), (3, 31), (4, 32), (7, 100), (2, 0)] {
            let (rows, x) = (numbers(count * width, 1), numbers(width, 2));
            let mut products = vec![0.0; count];
            dot_products(&rows, &x, &mut products);
            for (index, found) in products.into_iter().enumerate() {
                let row = rows[index * width..(index + 1) * width].iter();
                let terms = row.zip(&x).map(|(&a, &b)| f64::from(a) * f64::from(b));
                let expected: f64 = terms.sum();
                assert!(
                    (f64::from(found) - expected).abs() < 1e-4,
                    "{count} {width}"
                );
            }
        }
    }

    #[test]
    fn gelu_agrees_with_the_integral_of_the_normal_distribution() {
        // By Simpson's rule, in float64.
        let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let distribution = |x: f64| {
            let steps = 2000;
            let width = x / f64::from(steps);
            let weight = |step: i32| match step {
                0 | 2000 => 1.0,
                step if step % 2 == 1 => 4.0,
                _ => 2.0,
            };
            let terms = (0..=steps).map(|step| weight(step) * density(width * f64::from(step)));
            0.5 + terms.sum::<f64>() * width / 3.0
        };
        let mut values: Vec<f32> = (-80..=80).map(|tenths| tenths as f32 / 10.0).collect();
        values.extend([-100.0, 100.0, f32::NAN]);
        let mut found = values.clone();
        gelu_in_place(&mut found);
        for (&x, found) in values.iter().zip(found) {
            let expected = match f64::from(x) {
                x if x.is_nan() => {
                    assert!(found.is_nan());
                    continue;
                }
                x if x.abs() > 50.0 => x.max(0.0),
                x => x * distribution(x),
            };
            assert!(
                (f64::from(found) - expected).abs() < 1e-6,
                "{x}: {found} {expected}"
            );
        }
    }

    #[test]
    fn attention_agrees_with_the_float64_twin() {
        for (count, width) in [(0, 5), (1, 1), (3, 31), (4, 32), (7, 100)] {
            let (keys, query, factors) = (
                numbers(count * width, 1),
                numbers(width, 2),
                numbers(width, 3),
            );
            let mut scores = vec![0.0; count];
            additive_scores(&keys, &query, &factors, &mut scores);
            for (key, found) in keys.chunks_exact(width).zip(&scores) {
                let sums = key.iter().zip(&query).zip(&factors);
                let terms = sums.map(|((&key, &query), &factor)| {
                    f64::from(factor) * (f64::from(key) + f64::from(query)).tanh()
                });
                let expected: f64 = terms.sum();
                assert!(
                    (f64::from(*found) - expected).abs() < 1e-4,
                    "{count} {width}"
                );
            }
            let mut sum = vec![f32::NAN; width];
            weighted_sum(&keys, &scores, &mut sum);
            for (unit, found) in sum.into_iter().enumerate() {
                let terms = (0..count)
                    .map(|row| f64::from(keys[row * width + unit]) * f64::from(scores[row]));
                let expected: f64 = terms.sum();
                assert!(
                    (f64::from(found) - expected).abs() < 1e-3,
                    "{count} {width}"
                );
            }
        }
    }

    #[test]
    fn adamw_agrees_with_the_float64_twin() {
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
    fn exponentials_and_activations_agree_with_the_standard_library() {
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
    fn extreme_logits_do_not_overflow_or_vanish() {
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
    }
}

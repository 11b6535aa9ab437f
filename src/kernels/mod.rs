/*!
Arithmetic on slices, below both wings.

Products of a few rows read the weights once and take the widest vectors that the CPU has; larger ones are the
`gemm` crate's. Each has a plain twin in the tests.
*/

/// Rows up to which reading the weights once a row beats packing them.
const FEW_ROWS: usize = 3;
/// Lanes of partial sums: four registers of AVX2, or two of AVX-512.
const LANES: usize = 32;

/// `out[r][o] += Σ_k x[r][k] · weights[o][k]`: `x` is `[rows, inner]`, `weights` `[outer, inner]` as PyTorch keeps
/// them, `out` `[rows, outer]`, all row by row.
///
/// # Panics
/// If a slice's length is not the product of its sizes.
pub fn add_product(x: &[f32], weights: &[f32], out: &mut [f32], inner: usize) {
    let (rows, outer) = (x.len() / inner, weights.len() / inner);
    assert_eq!(
        (x.len(), weights.len(), out.len()),
        (rows * inner, outer * inner, rows * outer),
        "sizes of a matrix product"
    );
    if rows <= FEW_ROWS {
        for (row, out) in x.chunks_exact(inner).zip(out.chunks_exact_mut(outer)) {
            matrix_vector(weights, row, out);
        }
        return;
    }
    let parallelism = if rows * outer * inner > 1 << 20 {
        gemm::Parallelism::Rayon(0)
    } else {
        gemm::Parallelism::None
    };
    // SAFETY: the three slices have the sizes that the strides walk, checked above, and `out` is borrowed alone.
    unsafe {
        gemm::gemm(
            rows,
            outer,
            inner,
            out.as_mut_ptr(),
            1,
            outer as isize,
            true,
            x.as_ptr(),
            1,
            inner as isize,
            weights.as_ptr(),
            inner as isize,
            1,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// Compiles a loop once for each kind of CPU and chooses at run time. In the body, `FMA` says whether multiplying and
/// adding is one instruction.
macro_rules! for_each_cpu {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        $visibility fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn portable<const FMA: bool>($($argument: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,fma")]
                fn avx512($($argument: $type),*) $(-> $result)? { portable::<true>($($argument),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $type),*) $(-> $result)? { portable::<true>($($argument),*) }
                if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma") {
                    // SAFETY: the CPU has what the function was compiled for.
                    return unsafe { avx512($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the CPU has what the function was compiled for.
                    return unsafe { avx2($($argument),*) };
                }
            }
            portable::<false>($($argument),*)
        }
    };
}

/// a · b + c.
#[inline(always)]
fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

for_each_cpu! {
    fn matrix_vector(weights: &[f32], x: &[f32], out: &mut [f32]) {
        for (row, out) in weights.chunks_exact(x.len()).zip(out) {
            // Partial sums that the compiler keeps in vectors.
            let mut sums = [0.0f32; LANES];
            let (row_blocks, row_rest) = row.as_chunks::<LANES>();
            let (x_blocks, x_rest) = x.as_chunks::<LANES>();
            for (a, b) in row_blocks.iter().zip(x_blocks) {
                for lane in 0..LANES {
                    sums[lane] = multiply_add::<FMA>(a[lane], b[lane], sums[lane]);
                }
            }
            let mut sum: f32 = row_rest.iter().zip(x_rest).map(|(a, b)| a * b).sum();
            sum += sums.iter().sum::<f32>();
            *out += sum;
        }
    }
}

for_each_cpu! {
    /// Σ x².
    pub fn sum_of_squares(x: &[f32]) -> f64 {
        // Short blocks in float32 keep the vectors full; summing the blocks in float64 keeps the digits.
        let block = |block: &[f32]| {
            let mut sums = [0.0f32; LANES];
            let (lanes, rest) = block.as_chunks::<LANES>();
            for values in lanes {
                for lane in 0..LANES {
                    sums[lane] = multiply_add::<FMA>(values[lane], values[lane], sums[lane]);
                }
            }
            let rest: f32 = rest.iter().map(|v| v * v).sum();
            sums.iter().map(|&sum| f64::from(sum)).sum::<f64>() + f64::from(rest)
        };
        x.chunks(4096).map(block).sum()
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
    /// The pointwise half of an LSTM step. `gates` holds `[rows, 4 · hidden_size]` sums, in libtorch's order input,
    /// forget, cell, output; `cell` and `hidden` are `[rows, hidden_size]` and are replaced.
    pub fn lstm_gates(gates: &[f32], cell: &mut [f32], hidden: &mut [f32], hidden_size: usize) {
        let rows = cell.chunks_exact_mut(hidden_size).zip(hidden.chunks_exact_mut(hidden_size));
        for (gates, (cell, hidden)) in gates.chunks_exact(4 * hidden_size).zip(rows) {
            let (input, rest) = gates.split_at(hidden_size);
            let (forget, rest) = rest.split_at(hidden_size);
            let (candidate, output) = rest.split_at(hidden_size);
            let sums = input.iter().zip(forget).zip(candidate.iter().zip(output));
            for (((input, forget), (candidate, output)), (cell, hidden)) in sums.zip(cell.iter_mut().zip(hidden)) {
                let kept = sigmoid::<FMA>(*forget) * *cell;
                *cell = multiply_add::<FMA>(sigmoid::<FMA>(*input), tanh::<FMA>(*candidate), kept);
                *hidden = sigmoid::<FMA>(*output) * tanh::<FMA>(*cell);
            }
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
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = multiply_add::<FMA>(n, -LN2_LOW, multiply_add::<FMA>(n, -LN2_HIGH, x));
    let mut sum = COEFFICIENTS[0];
    for coefficient in &COEFFICIENTS[1..] {
        sum = multiply_add::<FMA>(sum, r, *coefficient);
    }
    let e_to_r = multiply_add::<FMA>(sum * r, r, r + 1.0);
    e_to_r * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

for_each_cpu! {
    /// ln Σ exp(x), without overflow; NaN if any is NaN.
    pub fn log_sum_exp(x: &[f32]) -> f64 {
        let (blocks, rest) = x.as_chunks::<LANES>();
        let mut highest = [f32::NEG_INFINITY; LANES];
        for values in blocks {
            for lane in 0..LANES {
                highest[lane] = if values[lane] > highest[lane] { values[lane] } else { highest[lane] };
            }
        }
        let highest = highest.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
        if !highest.is_finite() {
            return f64::from(highest);
        }
        let mut sums = [0.0f32; LANES];
        for values in blocks {
            for lane in 0..LANES {
                sums[lane] += exp::<FMA>(values[lane] - highest);
            }
        }
        let rest: f64 = rest.iter().map(|&value| f64::from(exp::<FMA>(value - highest))).sum();
        f64::from(highest) + (sums.iter().map(|&sum| f64::from(sum)).sum::<f64>() + rest).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn twin(x: &[f32], weights: &[f32], out: &mut [f32], inner: usize) {
        let outer = weights.len() / inner;
        for (r, row) in x.chunks_exact(inner).enumerate() {
            for (o, weights) in weights.chunks_exact(inner).enumerate() {
                let sum: f64 = row
                    .iter()
                    .zip(weights)
                    .map(|(&a, &b)| f64::from(a) * f64::from(b))
                    .sum();
                let out = &mut out[r * outer + o];
                *out += sum as f32;
            }
        }
    }

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        (0..count as u64)
            .map(|i| ((i * 2_654_435_761 + seed * 97) % 2001) as f32 / 1000.0 - 1.0)
            .collect()
    }

    proptest! {
        #[test]
        fn products_agree_with_their_plain_twin(
            rows in 1usize..9, outer in 1usize..70, inner in 1usize..150, seed in 0u64..1000,
        ) {
            let (x, weights) = (numbers(rows * inner, seed), numbers(outer * inner, seed + 1));
            let mut out = numbers(rows * outer, seed + 2);
            let mut expected = out.clone();
            add_product(&x, &weights, &mut out, inner);
            twin(&x, &weights, &mut expected, inner);
            for (a, b) in out.iter().zip(&expected) {
                prop_assert!((a - b).abs() < 1e-3, "{a} {b}");
            }
        }
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
            assert!(close(tanh::<true>(x), x.tanh(), 1.0), "{x}");
            x += 0.037;
        }
        assert!(exp::<false>(f32::NAN).is_nan() && sigmoid::<false>(f32::NAN).is_nan());
    }

    #[test]
    fn extreme_logits_neither_overflow_nor_vanish() {
        assert!((log_sum_exp(&[1000.0, 1000.0]) - (1000.0 + 2f64.ln())).abs() < 1e-9);
        assert!((log_sum_exp(&[-1000.0, -1000.0]) - (-1000.0 + 2f64.ln())).abs() < 1e-9);
        assert!(log_sum_exp(&[f32::NAN, 0.0]).is_nan());
        for count in [1, 31, 32, 65, 10_000] {
            let x = numbers(count, 5);
            let expected = x.iter().map(|&v| f64::from(v).exp()).sum::<f64>().ln();
            assert!((log_sum_exp(&x) - expected).abs() < 1e-6, "{count}");
        }
        let (mut cell, mut hidden) = ([0.5], [0.0]);
        lstm_gates(&[1e30, -1e30, 1e30, 1e30], &mut cell, &mut hidden, 1);
        assert!((cell[0] - 1.0).abs() < 1e-6 && (hidden[0] - 1f32.tanh()).abs() < 1e-6);
    }
}

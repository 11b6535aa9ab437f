/*!
Arithmetic on slices, below both wings.

Products of a few rows read the weights once and take the widest vectors that the CPU has; larger ones are the
`gemm` crate's. Each has a plain twin in the tests.
*/

/// Rows up to which reading the weights once a row beats packing them.
const FEW_ROWS: usize = 3;
/// Lanes of partial sums in a dot product: four registers of AVX2, or two of AVX-512.
const LANES: usize = 32;

/// `out[r][o] (+)= Σ_k x[r][k] · weights[o][k]`: `x` is `[rows, inner]`, `weights` `[outer, inner]` as PyTorch keeps
/// them, `out` `[rows, outer]`, all row by row. With `accumulate` the products are added to what `out` holds.
///
/// # Panics
/// If a slice's length is not the product of its sizes.
pub fn multiply_transposed(
    x: &[f32],
    weights: &[f32],
    out: &mut [f32],
    inner: usize,
    accumulate: bool,
) {
    let (rows, outer) = (x.len() / inner, weights.len() / inner);
    assert_eq!(
        (x.len(), weights.len(), out.len()),
        (rows * inner, outer * inner, rows * outer),
        "sizes of a matrix product"
    );
    if rows <= FEW_ROWS {
        for (row, out) in x.chunks_exact(inner).zip(out.chunks_exact_mut(outer)) {
            matrix_vector(weights, row, out, accumulate);
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
            accumulate,
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

fn matrix_vector(weights: &[f32], x: &[f32], out: &mut [f32], accumulate: bool) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU has what the function was compiled for.
            return unsafe { matrix_vector_avx512(weights, x, out, accumulate) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has what the function was compiled for.
            return unsafe { matrix_vector_avx2(weights, x, out, accumulate) };
        }
    }
    matrix_vector_portable(weights, x, out, accumulate, |a, b, c| a * b + c);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,fma")]
fn matrix_vector_avx512(weights: &[f32], x: &[f32], out: &mut [f32], accumulate: bool) {
    matrix_vector_portable(weights, x, out, accumulate, f32::mul_add);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn matrix_vector_avx2(weights: &[f32], x: &[f32], out: &mut [f32], accumulate: bool) {
    matrix_vector_portable(weights, x, out, accumulate, f32::mul_add);
}

/// One loop, compiled for each kind of CPU: `LANES` partial sums that the compiler keeps in vectors.
#[inline(always)]
fn matrix_vector_portable(
    weights: &[f32],
    x: &[f32],
    out: &mut [f32],
    accumulate: bool,
    multiply_add: impl Fn(f32, f32, f32) -> f32,
) {
    for (row, out) in weights.chunks_exact(x.len()).zip(out) {
        let mut sums = [0.0f32; LANES];
        let (row_blocks, row_rest) = row.as_chunks::<LANES>();
        let (x_blocks, x_rest) = x.as_chunks::<LANES>();
        for (a, b) in row_blocks.iter().zip(x_blocks) {
            for lane in 0..LANES {
                sums[lane] = multiply_add(a[lane], b[lane], sums[lane]);
            }
        }
        let mut sum: f32 = row_rest.iter().zip(x_rest).map(|(a, b)| a * b).sum();
        sum += sums.iter().sum::<f32>();
        *out = if accumulate { *out + sum } else { sum };
    }
}

/// The pointwise half of an LSTM step. `gates` holds `[rows, 4 · hidden_size]` sums, in libtorch's order input, forget,
/// cell, output; `cell` and `hidden` are `[rows, hidden_size]` and are replaced.
pub fn lstm_gates(gates: &[f32], cell: &mut [f32], hidden: &mut [f32], hidden_size: usize) {
    let rows = gates.chunks_exact(4 * hidden_size);
    for ((gates, cell), hidden) in rows
        .zip(cell.chunks_exact_mut(hidden_size))
        .zip(hidden.chunks_exact_mut(hidden_size))
    {
        for unit in 0..hidden_size {
            let input = sigmoid(gates[unit]);
            let forget = sigmoid(gates[hidden_size + unit]);
            let candidate = gates[2 * hidden_size + unit].tanh();
            let output = sigmoid(gates[3 * hidden_size + unit]);
            cell[unit] = forget * cell[unit] + input * candidate;
            hidden[unit] = output * cell[unit].tanh();
        }
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// ln Σ exp(x), without overflow.
pub fn log_sum_exp(x: &[f32]) -> f64 {
    let highest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !highest.is_finite() {
        return f64::from(highest);
    }
    let sum: f64 = x.iter().map(|&v| f64::from((v - highest).exp())).sum();
    f64::from(highest) + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn twin(x: &[f32], weights: &[f32], out: &mut [f32], inner: usize, accumulate: bool) {
        let outer = weights.len() / inner;
        for (r, row) in x.chunks_exact(inner).enumerate() {
            for (o, weights) in weights.chunks_exact(inner).enumerate() {
                let sum: f64 = row
                    .iter()
                    .zip(weights)
                    .map(|(&a, &b)| f64::from(a) * f64::from(b))
                    .sum();
                let out = &mut out[r * outer + o];
                *out = if accumulate { *out } else { 0.0 } + sum as f32;
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
            rows in 1usize..9, outer in 1usize..70, inner in 1usize..150, accumulate: bool, seed in 0u64..1000,
        ) {
            let (x, weights) = (numbers(rows * inner, seed), numbers(outer * inner, seed + 1));
            let mut out = numbers(rows * outer, seed + 2);
            let mut expected = out.clone();
            multiply_transposed(&x, &weights, &mut out, inner, accumulate);
            twin(&x, &weights, &mut expected, inner, accumulate);
            for (a, b) in out.iter().zip(&expected) {
                prop_assert!((a - b).abs() < 1e-3, "{a} {b}");
            }
        }
    }

    #[test]
    fn every_kind_of_cpu_gets_the_same_product() {
        let (x, weights) = (numbers(75, 1), numbers(75 * 9, 2));
        let mut expected = [0.0; 9];
        twin(&x, &weights, &mut expected, 75, false);
        let mut out = [0.0; 9];
        matrix_vector_portable(&weights, &x, &mut out, false, |a, b, c| a * b + c);
        assert!(out.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4));
    }

    #[test]
    fn extreme_logits_neither_overflow_nor_vanish() {
        assert!((log_sum_exp(&[1000.0, 1000.0]) - (1000.0 + 2f64.ln())).abs() < 1e-9);
        assert!((log_sum_exp(&[-1000.0, -1000.0]) - (-1000.0 + 2f64.ln())).abs() < 1e-9);
        assert!(log_sum_exp(&[f32::NAN, 0.0]).is_nan());
        let (mut cell, mut hidden) = ([0.5], [0.0]);
        lstm_gates(&[1e30, -1e30, 1e30, 1e30], &mut cell, &mut hidden, 1);
        assert_eq!((cell[0], hidden[0]), (1.0, 1f32.tanh()));
    }
}

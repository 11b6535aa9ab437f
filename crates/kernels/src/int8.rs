/*!
Rows of int8 for files: what int8 products make of weights, and the float32 weights of which they make the same again.
*/

use crate::rounding::encode_int8;

/// The integers of `weights`, `[_, inner]`, and the value of one step of each row: those that a [`crate::Matrix`] or
/// [`crate::Rows`] packs for int8 products.
///
/// # Panics
/// If the weights do not fill their rows.
pub fn int8_rows(weights: &[f32], inner: usize) -> (Vec<i8>, Vec<f32>) {
    assert_eq!(weights.len() % inner, 0, "whole rows of weights");
    let mut integers = Vec::with_capacity(weights.len());
    let mut words = vec![0; inner.div_ceil(4)];
    let encode = |row: &[f32]| {
        let step = encode_int8(row, 0, &mut words);
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        integers.extend(bytes.take(inner).map(|byte| byte as i8));
        step
    };
    let steps = weights.chunks_exact(inner).map(encode).collect();
    (integers, steps)
}

/// The float32 weights of rows that [`int8_rows`] made: integers times the step of their row. The largest of a row are those
/// of which the same step comes again, so that products in int8 are the same, bit for bit, as with the first weights.
///
/// # Panics
/// If the integers do not fill a row for each step.
pub fn int8_weights(integers: &[i8], steps: &[f32]) -> Vec<f32> {
    let inner = integers.len() / steps.len().max(1);
    assert_eq!(integers.len(), inner * steps.len(), "a row for each step");
    let mut weights = Vec::with_capacity(integers.len());
    for (row, &step) in integers.chunks_exact(inner.max(1)).zip(steps) {
        let largest = largest(step);
        weights.extend(row.iter().map(|&integer| match integer {
            -127 => -largest,
            127 => largest,
            _ => f32::from(integer) * step,
        }));
    }
    weights
}

/// The number whose 127th is `step`: the product may be the one beside it.
fn largest(step: f32) -> f32 {
    let product = 127.0 * step;
    let near = [product, product.next_up(), product.next_down()];
    let exact = near.into_iter().find(|number| number / 127.0 == step);
    exact.unwrap_or(product)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Kernel, Precision};
    use crate::layout::Layout;
    use crate::matrix::Matrix;
    use crate::rows::Rows;
    use crate::thread_pool::ThreadPool;
    use crate::twins::numbers;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_that_were_int8_are_packed_as_before(
            outer in 1usize..60, inner in 1usize..90, seed in 0u64..1000, exponent in -60i32..60,
        ) {
            let factor = 2.0f32.powi(exponent);
            let weights: Vec<f32> = numbers(outer * inner, seed).iter().map(|value| value * factor).collect();
            let (integers, steps) = int8_rows(&weights, inner);
            let again = int8_weights(&integers, &steps);
            prop_assert_eq!(int8_rows(&again, inner), (integers.clone(), steps.clone()));
            for (index, (value, integer)) in again.iter().zip(&integers).enumerate() {
                let product = f32::from(*integer) * steps[index / inner];
                prop_assert!((value - product).abs() <= product.abs() * f32::EPSILON);
            }
            let pool = ThreadPool::new(1);
            for kernel in Kernel::all(Precision::Int8) {
                let mut x = Rows::zeros(kernel, 1, inner);
                x.set(0, &numbers(inner, seed + 1));
                let products = |weights: &[f32]| {
                    let matrix = Matrix::pack(weights, inner, Layout::Plain, kernel, &pool);
                    matrix.sums(&vec![0.0; matrix.panels() * matrix.width()], &x, 0..1, &pool)
                };
                prop_assert_eq!(products(&weights), products(&again));
                let numbers: Vec<u32> = (0..outer as u32).collect();
                let gathered = |weights: &[f32]| Rows::gather(kernel, weights, inner, &numbers, &pool);
                prop_assert_eq!(gathered(&weights), gathered(&again));
            }
        }
    }

    #[test]
    fn rows_of_zeros_stay_zeros() {
        let (integers, steps) = int8_rows(&[0.0; 6], 3);
        assert_eq!((&integers[..], &steps[..]), (&[0; 6][..], &[0.0; 2][..]));
        assert_eq!(int8_weights(&integers, &steps), [0.0; 6]);
        assert!(int8_weights(&[], &[]).is_empty());
    }

    #[test]
    fn every_step_has_a_largest_number() {
        for bits in (0x3F80_0000u32..0x4000_0000).step_by(97) {
            let step = f32::from_bits(bits) / 127.0;
            assert_eq!(largest(step) / 127.0, step);
        }
    }
}

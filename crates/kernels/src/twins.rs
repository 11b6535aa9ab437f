/*!
What several tests share: numbers, and the float64 twin of an encoding.
*/

use crate::kernel::Precision;

/// All precisions.
pub(crate) const PRECISIONS: [Precision; 3] =
    [Precision::Float32, Precision::Bfloat16, Precision::Int8];

/// Numbers between -1 and 1, the same for the same seed.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    (0..count as u64)
        .map(|i| ((i * 2_654_435_761 + seed * 97) % 2001) as f32 / 1000.0 - 1.0)
        .collect()
}

/// The values of a row after encoding and decoding.
pub(crate) fn rounded(row: &[f32], precision: Precision) -> Vec<f64> {
    let largest = row.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
    let round = |&value: &f32| match precision {
        Precision::Float32 => f64::from(value),
        Precision::Bfloat16 => {
            let step = 2f64.powi(f64::from(value).abs().log2().floor() as i32 - 7);
            if value == 0.0 {
                0.0
            } else {
                (f64::from(value) / step).round_ties_even() * step
            }
        }
        Precision::Int8 => {
            if largest == 0.0 {
                return 0.0;
            }
            let steps = (value * (127.0 / largest)).round_ties_even();
            f64::from(steps) * f64::from(largest / 127.0)
        }
    };
    row.iter().map(round).collect()
}

/// A column of rows of `width` values.
pub(crate) fn column(values: &[f32], width: usize, at: usize) -> Vec<f32> {
    values.chunks_exact(width).map(|row| row[at]).collect()
}

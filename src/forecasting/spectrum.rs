/*!
Autocorrelations of long series by the fast Fourier transform.
*/

use std::f64::consts::TAU;

/// Autocorrelations of values around their mean at the lags 0 to `most`; all 0 where the values do not vary.
pub fn autocorrelations(values: &[f64], most: usize) -> Vec<f64> {
    let count = values.len();
    let mean = values.iter().sum::<f64>() / count.max(1) as f64;
    let most_known = most.min(count.saturating_sub(1));
    // A few lags are sooner summed than transformed.
    let mut products = match most_known > 256 && most_known.saturating_mul(count) > 200_000 {
        true => by_transform(values, mean, most_known),
        false => {
            let lag = |lag: usize| {
                let pairs = values.iter().zip(&values[lag.min(count)..]);
                pairs
                    .map(|(left, right)| (left - mean) * (right - mean))
                    .sum()
            };
            (0..=most_known).map(lag).collect::<Vec<f64>>()
        }
    };
    let variance = products.first().copied().unwrap_or(0.0);
    let constant = variance.is_nan() || variance <= 1e-20 * mean * mean * count as f64;
    for product in &mut products {
        *product = if constant { 0.0 } else { *product / variance };
    }
    products.resize(most + 1, 0.0);
    products
}

/// Sums of the products of values a lag apart, as the transform of the power at each frequency.
fn by_transform(values: &[f64], mean: f64, most: usize) -> Vec<f64> {
    let length = (values.len() + most + 1).next_power_of_two();
    let mut real = vec![0.0; length];
    let mut imaginary = vec![0.0; length];
    for (place, value) in real.iter_mut().zip(values) {
        *place = value - mean;
    }
    transform(&mut real, &mut imaginary);
    for (real, imaginary) in real.iter_mut().zip(&mut imaginary) {
        (*real, *imaginary) = (*real * *real + *imaginary * *imaginary, 0.0);
    }
    transform(&mut real, &mut imaginary);
    real[..=most]
        .iter()
        .map(|sum| sum / length as f64)
        .collect()
}

/// Discrete Fourier transform in place (Cooley and Tukey 1965), of a length that is a power of two.
fn transform(real: &mut [f64], imaginary: &mut [f64]) {
    let length = real.len();
    let bits = length.trailing_zeros();
    for index in 0..length {
        let reversed = if bits == 0 {
            0
        } else {
            index.reverse_bits() >> (usize::BITS - bits)
        };
        if index < reversed {
            real.swap(index, reversed);
            imaginary.swap(index, reversed);
        }
    }
    let mut half = 1;
    while half < length {
        let turns: Vec<(f64, f64)> = (0..half)
            .map(|index| (-TAU * index as f64 / (2 * half) as f64).sin_cos())
            .collect();
        let blocks = real
            .chunks_exact_mut(2 * half)
            .zip(imaginary.chunks_exact_mut(2 * half));
        for (real, imaginary) in blocks {
            let (real_low, real_high) = real.split_at_mut(half);
            let (imaginary_low, imaginary_high) = imaginary.split_at_mut(half);
            for (index, (sine, cosine)) in turns.iter().enumerate() {
                let (x, y) = (real_high[index], imaginary_high[index]);
                let (x, y) = (x * cosine - y * sine, x * sine + y * cosine);
                (real_high[index], imaginary_high[index]) =
                    (real_low[index] - x, imaginary_low[index] - y);
                real_low[index] += x;
                imaginary_low[index] += y;
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: deviations −1.5, −0.5, 0.5, 1.5 with products 1.25 and −1.5 over 5.
    #[test]
    fn autocorrelations_are_those_of_the_definition() {
        let values = autocorrelations(&[1.0, 2.0, 3.0, 4.0], 5);
        for (value, expected) in values.iter().zip([1.0, 0.25, -0.3, -0.45, 0.0, 0.0]) {
            assert!((value - expected).abs() < 1e-12);
        }
        assert_eq!(autocorrelations(&[7.0; 9], 2), [0.0; 3]);
        assert_eq!(autocorrelations(&[], 1), [0.0; 2]);
    }

    #[test]
    fn the_transform_gives_the_same_as_the_sums() {
        let values: Vec<f64> = (0..777)
            .map(|index| f64::from(index * index % 101))
            .collect();
        let mean = values.iter().sum::<f64>() / 777.0;
        let sums = by_transform(&values, mean, 300);
        for lag in [0, 1, 7, 101, 300] {
            let pairs = values.iter().zip(&values[lag..]);
            let expected: f64 = pairs
                .map(|(left, right)| (left - mean) * (right - mean))
                .sum();
            assert!((sums[lag] - expected).abs() < 1e-6 * sums[0]);
        }
    }
}

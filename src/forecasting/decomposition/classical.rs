/*!
Classical decomposition: a centred moving average as the trend, and a season of fixed shape.
*/

use super::averages::centred_average;
use super::gaps::filled;
use super::indices::SeasonalIndices;
use super::parts::{Composition, Decomposition};
use crate::error::Result;

/// Decomposes a series by one season. Trend and remainder are NaN for the first and the last half season.
///
/// # Errors
///
/// Those of [`SeasonalIndices::classical`].
pub fn classical(values: &[f64], season: usize, composition: Composition) -> Result<Decomposition> {
    let indices = SeasonalIndices::classical(values, season, composition)?;
    let trend = centred_average(&filled(values), season);
    let seasons: Vec<f64> = (0..values.len()).map(|place| indices.at(place)).collect();
    let remainder = (values.iter().zip(&trend).zip(&seasons))
        .map(|((value, trend), season)| {
            composition.without(composition.without(*value, *trend), *season)
        })
        .collect();
    Ok(Decomposition {
        composition,
        trend,
        seasons: vec![seasons],
        remainder,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `seasonal_decompose(y, model=…, period=12)` of statsmodels 0.15.
    #[test]
    fn parts_are_those_of_statsmodels() {
        let values: Vec<f64> = (0..60)
            .map(|step: i32| {
                let time = f64::from(step);
                let season = 10.0 * (std::f64::consts::TAU * time / 12.0).sin();
                100.0 + 0.5 * time + season + 3.0 * f64::from(step * 7 % 11 - 5)
            })
            .collect();
        let expected = [
            (
                Composition::Additive,
                [4.296875, 13.9883790378],
                [10.484375, 6.359375],
            ),
            (
                Composition::Multiplicative,
                [1.0373506438, 1.1229813371],
                [1.0992090055, 1.0406371227],
            ),
        ];
        for (composition, season, remainder) in expected {
            let found = classical(&values, 12, composition).unwrap();
            for (index, place) in [(0, 6), (1, 53)] {
                assert!((found.seasons[0][12 + 2 * index] - season[index]).abs() < 1e-9);
                assert!((found.trend[place] - [102.625, 127.25][index]).abs() < 1e-9);
                assert!((found.remainder[place] - remainder[index]).abs() < 1e-9);
            }
            assert!(found.trend[5].is_nan() && found.remainder[54].is_nan());
        }
    }
}

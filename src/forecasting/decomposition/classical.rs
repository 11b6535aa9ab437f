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

/*!
States at which a fit begins (Hyndman et al. 2002): a classical decomposition for the season, and a line through the
first values without it.
*/

use super::super::decomposition::indices::SeasonalIndices;
use super::super::decomposition::parts::Composition;
use super::form::{EtsForm, SeasonKind, TrendKind};
use super::parameters::Parameters;
use crate::error::Result;

/// States before the first of `values`, and smoothing parameters to begin with.
///
/// # Errors
///
/// Those of [`SeasonalIndices::classical`], for a form with a season.
pub(super) fn start(values: &[f64], form: EtsForm, season: usize) -> Result<Parameters> {
    let composition = match form.season {
        SeasonKind::None => None,
        SeasonKind::Additive => Some(Composition::Additive),
        SeasonKind::Multiplicative => Some(Composition::Multiplicative),
    };
    let indices = composition
        .map(|composition| SeasonalIndices::classical(values, season, composition))
        .transpose()?;
    let first = &values[..values.len().min((2 * season).max(10))];
    let adjusted = match &indices {
        Some(indices) => indices.removed(first),
        None => first.to_vec(),
    };
    let (first, slope) = line(&adjusted);
    let (level, slope) = match form.has_trend() {
        true => (first - slope, slope),
        false => (mean(&adjusted), 0.0),
    };
    Ok(Parameters {
        alpha: 0.3,
        beta: if form.has_trend() { 0.03 } else { 0.0 },
        gamma: if form.is_seasonal() { 0.05 } else { 0.0 },
        phi: match form.trend {
            TrendKind::Damped => 0.95,
            _ => 1.0,
        },
        level,
        slope,
        seasons: indices.map_or_else(Vec::new, |indices| indices.indices),
    })
}

/// Mean of the values that are known; 0 if there are none.
fn mean(values: &[f64]) -> f64 {
    let known = values.iter().filter(|value| value.is_finite());
    let count = known.clone().count().max(1);
    known.sum::<f64>() / count as f64
}

/// Value at the first place, and slope, of the line through the values that are known by least squares.
fn line(values: &[f64]) -> (f64, f64) {
    let known = || {
        let places = values.iter().enumerate();
        places.filter(|(_, value)| value.is_finite())
    };
    let count = known().count().max(1) as f64;
    let place = known().map(|(place, _)| place as f64).sum::<f64>() / count;
    let value = known().map(|(_, value)| value).sum::<f64>() / count;
    let (mut products, mut squares) = (0.0, 0.0);
    for (at, value_at) in known() {
        products += (at as f64 - place) * (value_at - value);
        squares += (at as f64 - place).powi(2);
    }
    let slope = match squares > 0.0 {
        true => products / squares,
        false => 0.0,
    };
    (value - slope * place, slope)
}

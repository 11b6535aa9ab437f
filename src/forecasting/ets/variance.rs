/*!
Standard errors of forecasts by exponential smoothing (Hyndman et al. 2008, chapter 6).
*/

use super::form::{ErrorKind, EtsForm, SeasonKind};
use super::parameters::Parameters;

/// What is expected of the values to come.
pub(super) struct Path {
    /// Level with its slope, at each step.
    pub bases: Vec<f64>,
    /// Season at each step: 0 or 1 without one.
    pub seasons: Vec<f64>,
    /// Both together.
    pub mean: Vec<f64>,
}

/// Standard errors of the forecasts along a path. `deviation` is that of the errors, absolute or relative.
///
/// With additive errors they are exact, but for a multiplicative season, where they are of first order in the errors.
/// With multiplicative errors they follow the recursion for the second moment of the level (classes 2 and 3 of chapter
/// 6).
pub(super) fn standard_errors(
    form: EtsForm,
    parameters: &Parameters,
    deviation: f64,
    path: &Path,
) -> Vec<f64> {
    match (form.error, form.season) {
        (ErrorKind::Additive, SeasonKind::Multiplicative) => {
            first_order(parameters, deviation, path)
        }
        (ErrorKind::Additive, _) => additive(parameters, deviation, path),
        (ErrorKind::Multiplicative, _) => multiplicative(form, parameters, deviation, path),
    }
}

/// How much of an error is left in the level with its slope after 1, 2, … steps; with `season`, also in an additive
/// season.
fn weights(parameters: &Parameters, count: usize, season: bool) -> Vec<f64> {
    let (mut power, mut sum) = (1.0, 0.0);
    let length = parameters.seasons.len();
    (1..=count)
        .map(|step| {
            power *= parameters.phi;
            sum += power;
            let seasonal = season && length > 0 && step % length == 0;
            let gamma = if seasonal { parameters.gamma } else { 0.0 };
            parameters.alpha + parameters.beta * sum + gamma
        })
        .collect()
}

/// Standard errors with additive errors and an additive season or none.
fn additive(parameters: &Parameters, deviation: f64, path: &Path) -> Vec<f64> {
    let mut sum = 1.0;
    let weights = weights(parameters, path.mean.len(), true);
    (weights.iter())
        .map(|weight| {
            let error = deviation * f64::sqrt(sum);
            sum += weight * weight;
            error
        })
        .collect()
}

/// Standard errors with additive errors and a multiplicative season, of first order.
fn first_order(parameters: &Parameters, deviation: f64, path: &Path) -> Vec<f64> {
    let count = path.mean.len();
    let weights = weights(parameters, count, false);
    let length = parameters.seasons.len().max(1);
    (0..count)
        .map(|step| {
            let mut sum = 1.0;
            for before in 0..step {
                let steps = step - before;
                let mut left = path.seasons[step] * weights[steps - 1] / path.seasons[before];
                if steps.is_multiple_of(length) {
                    left += parameters.gamma * path.bases[step] / path.bases[before];
                }
                sum += left * left;
            }
            deviation * sum.sqrt()
        })
        .collect()
}

/// Standard errors with multiplicative errors.
fn multiplicative(form: EtsForm, parameters: &Parameters, deviation: f64, path: &Path) -> Vec<f64> {
    let factors = form.season == SeasonKind::Multiplicative;
    let centre = if factors { &path.bases } else { &path.mean };
    // In parts of the greatest, for squares of large numbers overflow.
    let greatest = centre
        .iter()
        .fold(0.0f64, |most, value| most.max(value.abs()));
    let unit = if greatest > 0.0 { greatest } else { 1.0 };
    let weights = weights(parameters, centre.len(), !factors);
    let length = parameters.seasons.len().max(1);
    let variance = deviation * deviation;
    let of_season = 1.0 + variance * parameters.gamma * parameters.gamma;
    let mut moments: Vec<f64> = Vec::with_capacity(centre.len());
    let mut errors = Vec::with_capacity(centre.len());
    for (step, centre) in centre.iter().enumerate() {
        let square = (centre / unit).powi(2);
        let past = weights.iter().zip(moments.iter().rev());
        let moment = square
            + variance
                * past
                    .map(|(weight, moment)| weight * weight * moment)
                    .sum::<f64>();
        moments.push(moment);
        let (season, growth) = match factors {
            true => (path.seasons[step], of_season.powi((step / length) as i32)),
            false => (1.0, 1.0),
        };
        let spread = (moment * (1.0 + variance) * growth - square).max(0.0);
        errors.push(unit * season.abs() * spread.sqrt());
    }
    errors
}

/*!
Fit of exponential smoothing: states and smoothing parameters together, at the greatest likelihood times what is likely of
them beforehand.
*/

use super::descent::descend;
use super::form::EtsForm;
use super::likelihood::Likelihood;
use super::parameters::{Coordinates, Parameters};
use super::start::start;
use crate::error::Result;

/// Values of α among which the start is chosen.
const FIRST_ALPHAS: [f64; 4] = [0.05, 0.2, 0.5, 0.85];

/// A form fitted to values of which the greatest is 1.
#[derive(Clone, Debug)]
pub(super) struct Fitted {
    /// The form.
    pub form: EtsForm,
    /// Its parameters.
    pub parameters: Parameters,
    /// The same as coordinates.
    pub point: Vec<f64>,
    /// −2 logarithm of the likelihood, but for constants that all forms share.
    pub loss: f64,
    /// Standard deviation of the errors, absolute or relative.
    pub deviation: f64,
    /// Number of values that are known.
    pub count: usize,
}

impl Fitted {
    /// Corrected information criterion of Akaike, with the variance of the errors as a parameter; none with too few
    /// values for it.
    pub fn aicc(&self) -> Option<f64> {
        let parameters = (count_of_parameters(self.form, self.parameters.seasons.len()) + 1) as f64;
        let spare = self.count as f64 - parameters - 1.0;
        (spare > 0.0)
            .then(|| self.loss + 2.0 * parameters + 2.0 * parameters * (parameters + 1.0) / spare)
    }
}

/// Number of parameters that are estimated, without the variance of the errors.
pub(super) fn count_of_parameters(form: EtsForm, season: usize) -> usize {
    let start = Parameters {
        seasons: vec![0.0; if form.is_seasonal() { season } else { 0 }],
        ..NO_PARAMETERS
    };
    let coordinates = Coordinates {
        form,
        start: &start,
        unit: 1.0,
    };
    coordinates.count()
}

/// Parameters of which nothing is known.
const NO_PARAMETERS: Parameters = Parameters {
    alpha: 0.0,
    beta: 0.0,
    gamma: 0.0,
    phi: 1.0,
    level: 0.0,
    slope: 0.0,
    seasons: Vec::new(),
};

/// Fits a form to values of which the greatest is 1; `near` is a fit of a form with the same states to begin at.
///
/// # Errors
///
/// Those of [`start`].
pub(super) fn fit(
    values: &[f64],
    form: EtsForm,
    season: usize,
    near: Option<&Fitted>,
) -> Result<Fitted> {
    let first = start(values, form, season)?;
    let mut likelihood = Likelihood::new(form, values, &first);
    let mut point = match near {
        Some(near) => near.point.clone(),
        None => {
            let smoothing = first_smoothing(&mut likelihood, &first);
            likelihood.coordinates.point(&smoothing)
        }
    };
    // With fewer values than parameters there is nothing to estimate.
    if likelihood.count > point.len() as f64 {
        descend(&mut likelihood, &mut point);
    }
    likelihood.loss(&point);
    Ok(Fitted {
        form,
        parameters: likelihood.parameters().clone(),
        loss: likelihood.without_priors(),
        deviation: likelihood.deviation(point.len()),
        point,
        count: likelihood.count as usize,
    })
}

/// The best of some smoothing parameters at the states of the start.
fn first_smoothing(likelihood: &mut Likelihood, start: &Parameters) -> Parameters {
    let mut best = (f64::INFINITY, start.clone());
    for alpha in FIRST_ALPHAS {
        let trial = Parameters {
            alpha,
            beta: 0.1 * alpha,
            gamma: 0.1 * (1.0 - alpha),
            phi: 0.95,
            ..start.clone()
        };
        let loss = likelihood.loss(&likelihood.coordinates.point(&trial));
        if loss < best.0 {
            best = (loss, trial);
        }
    }
    best.1
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::form::{ErrorKind, SeasonKind, TrendKind};
    use super::*;

    /// A line, a season of 12 and remainders that repeat after 11, over its greatest value.
    pub fn series() -> Vec<f64> {
        let values = (0..60).map(|step: i32| {
            let time = f64::from(step);
            let season = 10.0 * (std::f64::consts::TAU * time / 12.0).sin();
            (100.0 + 0.5 * time + season + 3.0 * f64::from(step * 7 % 11 - 5)) / 150.0
        });
        values.collect()
    }

    /// Every form that is tried, and the additive ones with a multiplicative season.
    pub fn all_forms() -> Vec<EtsForm> {
        let mut forms = EtsForm::sensible(true);
        for trend in [TrendKind::None, TrendKind::Additive, TrendKind::Damped] {
            forms.push(EtsForm::new(
                ErrorKind::Additive,
                trend,
                SeasonKind::Multiplicative,
            ));
        }
        forms
    }

    #[test]
    fn a_fit_is_at_a_minimum() {
        let values = series();
        for form in all_forms() {
            let fitted = fit(&values, form, 12, None).unwrap();
            let first = start(&values, form, 12).unwrap();
            let mut likelihood = Likelihood::new(form, &values, &first);
            let loss = likelihood.loss(&fitted.point);
            let mut gradient = vec![0.0; fitted.point.len()];
            likelihood.gradient(&fitted.point, &mut gradient);
            assert!(
                gradient.iter().all(|slope| slope.abs() < 0.5),
                "{form} {gradient:?}"
            );
            for index in 0..fitted.point.len() {
                for step in [-0.2, 0.2] {
                    let mut moved = fitted.point.clone();
                    moved[index] += step;
                    assert!(likelihood.loss(&moved) > loss - 1e-3, "{form} {index}");
                }
            }
        }
    }
}

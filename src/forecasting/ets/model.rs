/*!
Exponential smoothing: fitted, or chosen among forms.
*/

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::super::forecast::Forecast;
use super::fit::{Fitted, count_of_parameters, fit};
use super::form::{ErrorKind, EtsForm, SeasonKind, TrendKind};
use super::parameters::Parameters;
use super::recursion::{States, forward};
use super::variance::{Path, standard_errors};
use crate::error::{Error, Result};

/// Longest season that a form can hold: each of its places is a parameter.
pub const LONGEST_SEASON: usize = 24;

/// How much better the criterion of a trend that goes on undamped has to be: forecasts gain by doubting it (Gardner
/// 2006), those of M3's monthly series 0.05 of OWA.
const DOUBT: f64 = 10.0;

/// A fitted model of exponential smoothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ets {
    /// Its form.
    pub form: EtsForm,
    /// Its parameters.
    pub parameters: Parameters,
    /// Standard deviation of the errors: in the series' unit, or relative where they are multiplicative.
    pub deviation: f64,
    /// Corrected information criterion of Akaike, comparable among forms fitted to the same values; none where these
    /// were too few for it.
    pub aicc: Option<f64>,
}

impl Ets {
    /// Fit of one form by maximum likelihood. `season` is its number of steps, for a form that has one.
    ///
    /// # Errors
    ///
    /// Without any value, with a value that is not above 0 for a form that needs it, and for a season that is longer
    /// than [`LONGEST_SEASON`] or than half the series.
    pub fn fit(values: &[f64], form: EtsForm, season: usize) -> Result<Self> {
        let scaled = Scaled::new(values)?;
        if form.needs_positive() && !scaled.positive {
            return Err(Error::new(format!(
                "{form} needs values above 0; take a form with additive errors and season"
            )));
        }
        if form.is_seasonal() && season > LONGEST_SEASON {
            return Err(Error::new(format!(
                "a season of {season} has too many states for exponential smoothing, which holds {LONGEST_SEASON}; take \
                 the season out first (STL), or a form without one"
            )));
        }
        let fitted = fit(&scaled.values, form, season, None)?;
        Ok(scaled.model(fitted))
    }

    /// The form with the least AICc among `forms`, an undamped trend being doubted, of which those that the values rule
    /// out are left out: multiplicative ones where a value is not above 0, those with more parameters than the values
    /// can tell, and seasonal ones where the season is longer than [`LONGEST_SEASON`] or than half the series.
    ///
    /// # Errors
    ///
    /// Without any value.
    pub fn select(values: &[f64], season: usize, forms: &[EtsForm]) -> Result<Self> {
        let scaled = Scaled::new(values)?;
        let seasons = 2..=LONGEST_SEASON.min(values.len() / 2);
        let possible = |form: &EtsForm| {
            (scaled.positive || !form.needs_positive())
                && (seasons.contains(&season) || !form.is_seasonal())
                && count_of_parameters(*form, season) + 2 < scaled.count
        };
        let forms: Vec<EtsForm> = forms.iter().copied().filter(possible).collect();
        let mut fits: Vec<Fitted> = Vec::with_capacity(forms.len());
        for form in forms {
            let near = fits.iter().find(|fitted| {
                fitted.form.trend == form.trend && fitted.form.season == form.season
            });
            fits.push(fit(&scaled.values, form, season, near)?);
        }
        let criterion = |fitted: &Fitted| {
            let doubt = if fitted.form.trend == TrendKind::Additive {
                DOUBT
            } else {
                0.0
            };
            fitted.aicc().map_or(f64::INFINITY, |aicc| aicc + doubt)
        };
        let best = fits.into_iter().min_by(|left, right| {
            (criterion(left).partial_cmp(&criterion(right))).unwrap_or(Ordering::Equal)
        });
        match best {
            Some(fitted) => Ok(scaled.model(fitted)),
            None => Ok(scaled.model(fit(&scaled.values, EtsForm::SIMPLE, 1, None)?)),
        }
    }

    /// Name of the form.
    pub fn name(&self) -> String {
        self.form.to_string()
    }

    /// What was expected of each value from those before it.
    pub fn predictions(&self, values: &[f64]) -> Vec<f64> {
        let mut states = States::first(&self.parameters);
        let mut tape = Vec::with_capacity(values.len());
        forward(self.form, &self.parameters, values, &mut states, &mut tape);
        tape.iter().map(|step| step.expected(self.form)).collect()
    }

    /// The values that follow `values`.
    pub fn forecast(&self, values: &[f64], horizon: usize) -> Forecast {
        let mut states = States::first(&self.parameters);
        forward(
            self.form,
            &self.parameters,
            values,
            &mut states,
            &mut Vec::new(),
        );
        let path = self.path(&states, horizon);
        let errors = standard_errors(self.form, &self.parameters, self.deviation, &path);
        Forecast::normal(path.mean, &errors)
    }

    /// What is expected of the values that follow.
    fn path(&self, states: &States, horizon: usize) -> Path {
        let phi = self.parameters.phi;
        let (mut power, mut sum) = (1.0, 0.0);
        let bases: Vec<f64> = (0..horizon)
            .map(|_| {
                power *= phi;
                sum += power;
                states.level + sum * states.slope
            })
            .collect();
        let season = |step: usize| match self.form.season {
            SeasonKind::None => 0.0,
            _ => states.seasons[(states.next + step) % states.seasons.len()],
        };
        let seasons: Vec<f64> = (0..horizon).map(season).collect();
        let mean = bases.iter().zip(&seasons);
        let mean = mean
            .map(|(base, season)| match self.form.season {
                SeasonKind::Multiplicative => base * season,
                _ => base + season,
            })
            .collect();
        Path {
            bases,
            seasons,
            mean,
        }
    }
}

/// Values over the greatest of them, so that squares neither overflow nor vanish.
struct Scaled {
    values: Vec<f64>,
    /// Greatest value, in absolute terms.
    unit: f64,
    /// Whether all are above 0.
    positive: bool,
    /// Number of values that are known.
    count: usize,
}

impl Scaled {
    fn new(values: &[f64]) -> Result<Self> {
        let known = || values.iter().copied().filter(|value| value.is_finite());
        let count = known().count();
        if count == 0 {
            return Err(Error::new(
                "exponential smoothing needs at least one value, and the series has none",
            ));
        }
        let greatest = known().fold(0.0f64, |most, value| most.max(value.abs()));
        let unit = if greatest > 0.0 { greatest } else { 1.0 };
        let scaled = |value: &f64| match value.is_finite() {
            true => value / unit,
            false => f64::NAN,
        };
        Ok(Scaled {
            values: values.iter().map(scaled).collect(),
            unit,
            positive: known().all(|value| value > 0.0),
            count,
        })
    }

    /// The model of a fit, in the series' own unit.
    fn model(&self, fitted: Fitted) -> Ets {
        let unit = self.unit;
        let aicc = (fitted.aicc()).map(|aicc| aicc + 2.0 * fitted.count as f64 * unit.ln());
        let mut parameters = fitted.parameters;
        parameters.level *= unit;
        parameters.slope *= unit;
        if fitted.form.season == SeasonKind::Additive {
            parameters
                .seasons
                .iter_mut()
                .for_each(|season| *season *= unit);
        }
        let deviation = match fitted.form.error {
            ErrorKind::Additive => fitted.deviation * unit,
            ErrorKind::Multiplicative => fitted.deviation,
        };
        Ets {
            form: fitted.form,
            parameters,
            deviation,
            aicc,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line, a season of 12 and remainders that repeat after 11.
    fn series() -> Vec<f64> {
        let values = (0..60).map(|step: i32| {
            let time = f64::from(step);
            let season = 10.0 * (std::f64::consts::TAU * time / 12.0).sin();
            100.0 + 0.5 * time + season + 3.0 * f64::from(step * 7 % 11 - 5)
        });
        values.collect()
    }

    /// A model whose parameters are given, not fitted; the deviation is the root mean square of its errors.
    fn given(form: EtsForm) -> Ets {
        let seasons = [
            2.0, 5.0, 8.0, 9.0, 6.0, 1.0, -3.0, -6.0, -9.0, -8.0, -5.0, 0.0,
        ];
        let parameters = Parameters {
            alpha: 0.3,
            beta: if form.has_trend() { 0.05 } else { 0.0 },
            gamma: if form.is_seasonal() { 0.1 } else { 0.0 },
            phi: if form.trend == TrendKind::Damped {
                0.9
            } else {
                1.0
            },
            level: 101.0,
            slope: if form.has_trend() { 0.4 } else { 0.0 },
            seasons: match form.season {
                SeasonKind::None => Vec::new(),
                SeasonKind::Additive => seasons.to_vec(),
                SeasonKind::Multiplicative => seasons.map(|x| 1.0 + x / 100.0).to_vec(),
            },
        };
        let mut model = Ets {
            form,
            parameters,
            deviation: 0.0,
            aicc: None,
        };
        let errors = series().into_iter().zip(model.predictions(&series()));
        let squares = errors.map(|(value, expected)| match form.error {
            ErrorKind::Additive => (value - expected).powi(2),
            ErrorKind::Multiplicative => (value / expected - 1.0).powi(2),
        });
        model.deviation = (squares.sum::<f64>() / 60.0).sqrt();
        model
    }

    const DAMPED_MULTIPLICATIVE: EtsForm = EtsForm::new(
        ErrorKind::Multiplicative,
        TrendKind::Damped,
        SeasonKind::Multiplicative,
    );
    const DAMPED_MIXED: EtsForm = EtsForm::new(
        ErrorKind::Multiplicative,
        TrendKind::Damped,
        SeasonKind::Additive,
    );

    /// By `ETSModel(…, initialization_method='known').smooth(…)` of statsmodels 0.15: fitted values at 0, 30 and 59,
    /// and forecasts of steps 1 and 14. With a multiplicative season by table 2.3 of Hyndman et al. written out in
    /// Python, for statsmodels moves that season by the level after the value.
    #[test]
    fn predictions_and_forecasts_are_those_of_statsmodels() {
        let expected = [
            (
                EtsForm::SIMPLE,
                [101.0, 120.8598067912, 124.8234053203],
                [125.6263837242, 125.6263837242],
            ),
            (
                EtsForm::HOLT_WINTERS_ADDITIVE,
                [103.4, 116.9646379812, 132.5013346826],
                [135.0213061906, 148.8397954914],
            ),
            (
                DAMPED_MULTIPLICATIVE,
                [103.3872, 115.1673432137, 133.4098087565],
                [136.4943444347, 146.3753007953],
            ),
            (
                DAMPED_MIXED,
                [103.36, 116.3381845035, 131.8487000888],
                [134.2744470223, 141.3480369765],
            ),
        ];
        for (form, predictions, forecasts) in expected {
            let model = given(form);
            let found = model.predictions(&series());
            for (place, expected) in [0, 30, 59].into_iter().zip(predictions) {
                assert!((found[place] - expected).abs() < 1e-8, "{form}");
            }
            let found = model.forecast(&series(), 14);
            for (step, expected) in [0, 13].into_iter().zip(forecasts) {
                assert!((found.mean[step] - expected).abs() < 1e-8, "{form}");
            }
        }
    }

    /// By statsmodels 0.15: `get_prediction(60, 73).forecast_variance` where it is exact, and deviations of 400,000
    /// simulated paths for multiplicative errors.
    #[test]
    fn standard_errors_are_those_of_statsmodels() {
        let damped = EtsForm {
            error: ErrorKind::Additive,
            ..DAMPED_MIXED
        };
        let expected = [
            (damped, 1e-8, [12.06128228, 12.75890419]),
            (DAMPED_MIXED, 5e-3, [14.597164, 15.906311]),
            (DAMPED_MULTIPLICATIVE, 5e-3, [14.847321, 16.345933]),
        ];
        for (form, tolerance, deviations) in expected {
            let forecast = given(form).forecast(&series(), 14);
            for (step, expected) in deviations.into_iter().enumerate() {
                let upper = forecast.intervals[1].upper[step];
                let error = (upper - forecast.mean[step]) / 1.959963984540054;
                assert!((error / expected - 1.0).abs() < tolerance, "{form} {error}");
            }
        }
    }

    #[test]
    fn what_was_generated_is_found_again() {
        let season = |step: i32| 1.0 + 0.3 * (f64::from(step) * std::f64::consts::TAU / 4.0).sin();
        let noise = |step: i32| 1.0 + 0.02 * f64::from(step * 7 % 11 - 5) / 5.0;
        let values: Vec<f64> = (0..80)
            .map(|step| (100.0 + 5.0 * f64::from(step)) * season(step) * noise(step))
            .collect();
        let model = Ets::select(&values, 4, &EtsForm::sensible(true)).unwrap();
        assert_eq!(model.form, EtsForm::HOLT_WINTERS_MULTIPLICATIVE);
        let forecast = model.forecast(&values, 4);
        for (step, found) in (80..).zip(forecast.mean) {
            let expected = (100.0 + 5.0 * f64::from(step)) * season(step);
            assert!((found / expected - 1.0).abs() < 0.02);
        }
    }

    #[test]
    fn odd_series_have_a_model_or_a_clear_error() {
        let line: Vec<f64> = (0..30).map(|step| 3.0 + 2.0 * f64::from(step)).collect();
        let model = Ets::select(&line, 4, &EtsForm::sensible(true)).unwrap();
        let forecast = model.forecast(&line, 3);
        for (found, expected) in forecast.mean.iter().zip([63.0, 65.0, 67.0]) {
            assert!((found - expected).abs() < 0.01, "{}", model.name());
        }
        let constant = Ets::select(&[5.0; 20], 4, &EtsForm::sensible(true)).unwrap();
        assert_eq!(constant.form, EtsForm::SIMPLE);
        assert_eq!(
            constant.forecast(&[5.0; 20], 2).intervals[1].upper,
            [5.0, 5.0]
        );
        let series = [
            vec![1.0],
            vec![1.0, 2.0],
            vec![1.0, f64::NAN, 3.0],
            vec![0.0; 12],
            (0..40)
                .map(|step| 1e300 * f64::from(step % 4 + 1))
                .collect(),
            (0..40)
                .map(|step| 1e-300 * f64::from(step % 5 + 1))
                .collect(),
            (0..40).map(|step| f64::from(step * step % 7 - 3)).collect(),
        ];
        for values in series {
            for form in EtsForm::sensible(false) {
                if let Ok(model) = Ets::fit(&values, form, 1) {
                    assert!(
                        model
                            .forecast(&values, 3)
                            .mean
                            .iter()
                            .all(|x| x.is_finite())
                    );
                }
            }
            let model = Ets::select(&values, 4, &EtsForm::sensible(true)).unwrap();
            let forecast = model.forecast(&values, 3);
            assert!(forecast.mean.iter().all(|x| x.is_finite()));
            assert!(forecast.intervals[1].upper.iter().all(|x| !x.is_nan()));
            let text = serde_json::to_string(&model).unwrap();
            assert_eq!(serde_json::from_str::<Ets>(&text).unwrap(), model);
        }
        for (values, season, word) in [
            (vec![f64::NAN; 3], 1, "has none"),
            (vec![1.0; 60], 25, "25"),
            (vec![1.0; 6], 4, "two seasons"),
            (vec![0.0; 60], 4, "above 0"),
        ] {
            let error = Ets::fit(&values, DAMPED_MULTIPLICATIVE, season).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}

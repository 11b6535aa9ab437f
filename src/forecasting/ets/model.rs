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

/// How much better the criterion of a trend that goes on undamped has to be: forecasts gain by doubting it (Gardner 2006),
/// those of M3's monthly series 0.05 of OWA.
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
    /// Corrected information criterion of Akaike, comparable among forms fitted to the same values; none where these were too few for it.
    pub aicc: Option<f64>,
}

impl Ets {
    /// Fit of one form by maximum likelihood. `season` is its number of steps, for a form that has one.
    ///
    /// # Errors
    ///
    /// Without any value, with a value that is not above 0 for a form that needs it, and for a season that is longer than
    /// [`LONGEST_SEASON`] or than half the series.
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

    /// The form with the least AICc among `forms`, an undamped trend being doubted, of which those that the values rule out are left out: multiplicative ones where a
    /// value is not above 0, those with more parameters than the values can tell, and seasonal ones where the season is
    /// longer than [`LONGEST_SEASON`] or than half the series.
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

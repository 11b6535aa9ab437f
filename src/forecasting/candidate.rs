/*!
Candidates: models that can be fitted to a series, before they are.
*/

use super::arima::{Choice, select};
use super::box_cox::BoxCox;
use super::decomposed::Seasons;
use super::ets::form::{EtsForm, TrendKind};
use super::ets::model::Ets;
use super::model::Model;
use super::naive::{Naive, NaiveKind};
use super::theta::{Theta, ThetaKind};
use crate::error::{Error, Result};

/// A model to be fitted.
#[derive(Clone, Debug, PartialEq)]
pub enum Candidate {
    /// A naive forecaster, with its season, or 1.
    Naive(NaiveKind, usize),
    /// Simple exponential smoothing.
    Ses,
    /// The exponential smoothing of the least AICc, of those whose trend, if any, is damped.
    Ets(usize),
    /// The same of those with such a trend alone.
    EtsWith(TrendKind, usize),
    /// Theta, with the season that is taken out if there is one.
    Theta(ThetaKind, usize),
    /// Theta of logarithms.
    LogTheta(usize),
    /// Seasons taken out by MSTL, Theta of what is left.
    DecomposedTheta(Seasons),
    /// The ARIMA of the least AICc.
    Arima(usize),
    /// The same with the columns beside the values, of which others know nothing.
    Regression(usize),
    /// The ARIMA of the least AICc of logarithms.
    LogArima(usize),
    /// Seasons taken out by MSTL, exponential smoothing of what is left.
    Decomposed(Seasons),
}

impl Candidate {
    /// What the candidate is called before it is fitted.
    pub fn name(&self) -> String {
        match self {
            Candidate::Naive(NaiveKind::SeasonalNaive, season) => {
                format!("seasonal naive ({season})")
            }
            Candidate::Naive(NaiveKind::Naive, _) => "naive".to_string(),
            Candidate::Naive(NaiveKind::Drift, _) => "drift".to_string(),
            Candidate::Naive(NaiveKind::Mean, _) => "mean".to_string(),
            Candidate::Ses => "simple exponential smoothing".to_string(),
            Candidate::Ets(_) => "ETS".to_string(),
            Candidate::EtsWith(TrendKind::None, _) => "ETS without a trend".to_string(),
            Candidate::EtsWith(..) => "ETS with a trend".to_string(),
            Candidate::Theta(ThetaKind::Dynamic, _) => "dynamic Theta".to_string(),
            Candidate::Theta(ThetaKind::Optimised, _) => "optimised Theta".to_string(),
            Candidate::LogTheta(_) => "Theta of logarithms".to_string(),
            Candidate::DecomposedTheta(seasons) => match seasons.logarithms {
                true => "log MSTL + Theta".to_string(),
                false => "MSTL + Theta".to_string(),
            },
            Candidate::Theta(..) => "Theta".to_string(),
            Candidate::Arima(_) => "ARIMA".to_string(),
            Candidate::Regression(_) => "ARIMA with regressors".to_string(),
            Candidate::LogArima(_) => "ARIMA of logarithms".to_string(),
            Candidate::Decomposed(seasons) => match seasons.logarithms {
                true => "log MSTL + ETS".to_string(),
                false => "MSTL + ETS".to_string(),
            },
        }
    }

    /// Fits the model to values without gaps, with columns of regressors, each at least as long.
    ///
    /// # Errors
    /// Values that the model cannot do with: too few, or not above 0 where logarithms are taken.
    pub fn fit(&self, values: &[f64], columns: &[Vec<f64>]) -> Result<Model> {
        match self {
            Candidate::Naive(kind, season) => Ok(Model::Naive(Naive {
                kind: *kind,
                season: *season,
            })),
            Candidate::Ses => Ets::fit(values, EtsForm::SIMPLE, 1).map(Model::Ets),
            Candidate::Ets(season) => damped_ets(values, *season).map(Model::Ets),
            Candidate::EtsWith(trend, season) => {
                let mut forms = EtsForm::sensible(*season > 1);
                forms.retain(|form| form.trend == *trend);
                Ets::select(values, *season, &forms).map(Model::Ets)
            }
            Candidate::Theta(kind, season) => Theta::fit(values, *kind, *season).map(Model::Theta),
            Candidate::LogTheta(season) => of_logarithms(values, |logarithms| {
                Theta::fit(logarithms, ThetaKind::Standard, *season).map(Model::Theta)
            }),
            Candidate::Arima(season) => arima(values, *season, &[]),
            Candidate::Regression(season) => arima(values, *season, columns),
            Candidate::LogArima(season) => {
                of_logarithms(values, |logarithms| arima(logarithms, *season, &[]))
            }
            Candidate::Decomposed(seasons) => {
                of_rest(values, seasons, |rest| Ok(Model::Ets(damped_ets(rest, 1)?)))
            }
            Candidate::DecomposedTheta(seasons) => of_rest(values, seasons, |rest| {
                Theta::fit(rest, ThetaKind::Standard, 1).map(Model::Theta)
            }),
        }
    }
}

/// A model of the values' logarithms.
fn of_logarithms(values: &[f64], fit: impl FnOnce(&[f64]) -> Result<Model>) -> Result<Model> {
    check_logarithms(values)?;
    let logarithms: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    Ok(Model::Transformed {
        transformation: BoxCox { lambda: 0.0 },
        model: Box::new(fit(&logarithms)?),
    })
}

/// A model of what is left of values without their seasons.
fn of_rest(
    values: &[f64],
    seasons: &Seasons,
    fit: impl FnOnce(&[f64]) -> Result<Model>,
) -> Result<Model> {
    if seasons.logarithms {
        check_logarithms(values)?;
    }
    Ok(Model::Decomposed {
        seasons: seasons.clone(),
        model: Box::new(fit(&seasons.parts(values)?.adjusted)?),
    })
}

fn check_logarithms(values: &[f64]) -> Result<()> {
    match values.iter().any(|value| *value <= 0.0) {
        true => Err(Error::new("there are values that have no logarithm")),
        false => Ok(()),
    }
}

fn arima(values: &[f64], season: usize, columns: &[Vec<f64>]) -> Result<Model> {
    let choice = Choice {
        regressors: columns,
        ..Choice::default()
    };
    Ok(Model::Arima(select(values, season, &choice)?.model))
}

fn damped_ets(values: &[f64], season: usize) -> Result<Ets> {
    let mut forms = EtsForm::sensible(season > 1);
    forms.retain(|form| form.trend != TrendKind::Additive);
    Ets::select(values, season, &forms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_candidate_can_be_fitted_and_has_a_name() {
        let values: Vec<f64> = (0..60)
            .map(|step| 100.0 + f64::from(step) + 10.0 * f64::from(step % 12))
            .collect();
        let seasons = |logarithms| Seasons {
            lengths: vec![12],
            logarithms,
        };
        let all = [
            Candidate::Naive(NaiveKind::SeasonalNaive, 12),
            Candidate::Ses,
            Candidate::Ets(12),
            Candidate::EtsWith(TrendKind::None, 12),
            Candidate::EtsWith(TrendKind::Damped, 12),
            Candidate::Theta(ThetaKind::Dynamic, 12),
            Candidate::Theta(ThetaKind::Optimised, 12),
            Candidate::LogTheta(12),
            Candidate::DecomposedTheta(seasons(true)),
            Candidate::Arima(12),
            Candidate::LogArima(12),
            Candidate::Decomposed(seasons(false)),
            Candidate::Decomposed(seasons(true)),
        ];
        for candidate in all {
            let model = candidate.fit(&values, &[]).unwrap();
            let forecast = model.forecast(&values, &[], 12);
            let worst = forecast.mean.iter().zip(60..).map(|(mean, step)| {
                (mean - 100.0 - f64::from(step) - 10.0 * f64::from(step % 12)).abs()
            });
            let limit = match candidate {
                Candidate::Ses => 120.0,
                Candidate::Naive(..) | Candidate::EtsWith(TrendKind::None, _) => 13.0,
                Candidate::Theta(..) | Candidate::DecomposedTheta(_) => 15.0,
                // Neither the line nor the season grows by a factor.
                Candidate::LogTheta(_) => 20.0,
                _ => 8.0,
            };
            let worst = worst.fold(0.0, f64::max);
            assert!(worst < limit, "{}: {worst}", candidate.name());
        }
    }

    #[test]
    fn logarithms_need_values_above_zero() {
        let error = Candidate::LogArima(1).fit(&[1.0, 0.0, 2.0, 3.0, 1.0, 2.0], &[]);
        assert!(error.unwrap_err().to_string().contains("no logarithm"));
    }
}

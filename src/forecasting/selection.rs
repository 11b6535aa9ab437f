/*!
Choice of a model by a backtest: each candidate forecasts what is known already, and counts as much as it was right.

The model is the mean of the candidates, weighted by the inverse square of their sMAPE over several origins: on the M3 and
M4 competitions' series such a mean is better than the candidate with the least error, which wins by chance as often as by
merit. The spread of the intervals is scaled by the errors of the same forecasts.
*/

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::accuracy::Accuracy;
use super::arima::{Arima, Orders, Terms};
use super::backtest::origins;
use super::candidate::Candidate;
use super::combination::weighted_forecast;
use super::decomposed::Seasons;
use super::decomposition::gaps::filled;
use super::ets::form::TrendKind;
use super::forecast::{Forecast, NORMAL_QUANTILES};
use super::model::Model;
use super::naive::NaiveKind;
use super::rolling::{Window, rolled};
use super::seasonality::suggested_seasons;
use super::theta::ThetaKind;
use crate::error::{Error, Result};

/// Number of values at the end of a series that candidates are fitted to.
const LONGEST: usize = 20_000;
/// Longest season whose places models hold one by one.
const LONGEST_SEASON: usize = 24;
/// Largest number of values to which an ARIMA is fitted.
const MOST_FOR_ARIMA: usize = 400;
/// The same with a season of so many steps at most.
const MOST_FOR_SEASONAL_ARIMA: usize = 1500;
/// Longest season with which an ARIMA is soon fitted.
const MONTHS: usize = 12;
/// Largest number of values to which an ARIMA with regressors is fitted: they may say what nothing else can.
const MOST_FOR_REGRESSION: usize = 4000;
/// Number of values beyond which a series without a season is left to the simple candidates, and to exponential smoothing
/// with a trend only where that is better by far: most such series walk at random.
const LONG: usize = 400;
/// Part of the least error of the simple candidates that exponential smoothing must stay below there.
const MARGIN: f64 = 0.8;
/// Fewest values that are forecast after each origin, if the series is long enough.
const LEAST_TRIED: usize = 6;
/// Seasons that are forecast after each origin, a horizon at a time, where that is shorter than a season.
const SEASONS_TRIED: usize = 4;
/// Origins of the backtest.
const ORIGINS: usize = 4;
/// Weight below which a candidate is left away.
const LEAST_WEIGHT: f64 = 0.02;
/// What an error counts as, at least, in percent.
const SMALLEST: f64 = 1e-6;
/// The errors that the intervals' spread begins from: so many, of this variance in units of their own.
const PRIOR: (f64, f64) = (20.0, 1.5);
/// Largest square of a standardised error that counts.
const LARGEST_SQUARE: f64 = 25.0;

/// A chosen model, and what led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// The model.
    pub model: Model,
    /// The candidates, from the best.
    pub scores: Vec<Score>,
    /// Number of origins that they were tried at.
    pub origins: usize,
    /// Sentences that say what was not tried, and why.
    pub left_out: Vec<String>,
}

/// A candidate's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Name of the fitted model, or of the candidate if it was left away.
    pub name: String,
    /// Its mean sMAPE in the backtest; none without one.
    pub smape: Option<f64>,
    /// Its weight in the model; 0 if it was left away.
    pub weight: f64,
}

/// Candidates, and what was not made one.
struct Field {
    candidates: Vec<Candidate>,
    left_out: Vec<String>,
}

/// Whether most of the values are missing, and those that are known are few: what gaps are filled with would outnumber what is
/// known, and candidates would be weighed by it. The choice then is one of an ARIMA that leaves the gaps as they are.
pub fn leaves_gaps(values: &[f64]) -> bool {
    let known = values.iter().filter(|value| value.is_finite()).count();
    2 * known < values.len() && known <= MOST_FOR_ARIMA
}

impl Field {
    /// Leaves out what takes long on values that lie on lines, `missing` of `count`.
    fn leave_out_arima(&mut self, missing: usize, count: usize) {
        self.candidates.retain(|candidate| {
            !matches!(
                candidate,
                Candidate::Arima(_) | Candidate::LogArima(_) | Candidate::Regression(_)
            )
        });
        self.left_out.push(format!(
            "ARIMA, as {missing} of {count} values are missing and too little is known between the gaps"
        ));
    }
}

/// Chooses a model for a series that may have seasons of some lengths, by what it says of the next `horizon` values. Gaps
/// (NaN) are filled by lines, unless [`leaves_gaps`]. With columns of regressors an ARIMA with these is among the candidates.
/// The columns, each at least as long as the values, are known ahead: at each origin of the backtest those of the steps after
/// it are given.
///
/// # Errors
/// Values none of which is known.
pub fn select(
    values: &[f64],
    columns: &[Vec<f64>],
    seasons: &[usize],
    horizon: usize,
) -> Result<Selection> {
    if !values.iter().any(|value| value.is_finite()) {
        return Err(Error::new("every value is missing"));
    }
    let is_sparse = leaves_gaps(values);
    if let Some(Ok(selection)) = is_sparse.then(|| with_gaps(values, columns, seasons)) {
        return Ok(selection);
    }
    let missing = values.iter().filter(|value| !value.is_finite()).count();
    let values = filled(values);
    let begin = values.len().saturating_sub(LONGEST);
    let (values, all) = (&values[begin..], values.len());
    let columns: Vec<Vec<f64>> = columns.iter().map(|one| one[begin..all].to_vec()).collect();
    let mut field = field(values, &columns, seasons);
    if is_sparse {
        field.leave_out_arima(missing, all);
    }
    if begin > 0 {
        field.left_out.push(format!(
            "the first {begin} of {all} values: candidates are fitted to the last {LONGEST}"
        ));
    }
    let mut trials = Trials::new(
        Known {
            values,
            columns: &columns,
        },
        seasons,
        horizon,
        &field.candidates,
    );
    trials.refuse(&field.candidates, values.len());
    let mut weights = trials.weights();
    let fitted = fitted(values, &columns, &field.candidates, &mut weights);
    let spread = trials.spread(&weights);
    let (scores, models) = scored(&field.candidates, (&trials.smape, &weights), fitted);
    let (models, weights) = models.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    if models.is_empty() {
        return Err(Error::new("no method can forecast the series"));
    }
    Ok(Selection {
        model: Model::Mean {
            models,
            weights,
            spread,
        },
        scores,
        origins: trials.origins.len(),
        left_out: field.left_out,
    })
}

/// How candidates did, those of the greatest weight first, and the models that were fitted, with their weights. `figures` are the
/// candidates' errors and weights.
fn scored(
    candidates: &[Candidate],
    figures: (&[Option<f64>], &[f64]),
    fitted: Vec<Fitted>,
) -> (Vec<Score>, Vec<(Model, f64)>) {
    let (mut scores, mut models) = (Vec::new(), Vec::new());
    let figures = figures.0.iter().zip(figures.1);
    for ((candidate, fitted), (&smape, &weight)) in candidates.iter().zip(fitted).zip(figures) {
        let name = match fitted {
            Fitted::New(model) => {
                let name = model.name();
                models.push((*model, weight));
                name
            }
            Fitted::Failed => candidate.name(),
            Fitted::Repeated => continue,
        };
        scores.push(Score {
            name,
            smape,
            weight,
        });
    }
    scores.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    (scores, models)
}

/// An ARIMA of a series most of whose values are missing, without a backtest.
///
/// # Errors
/// Values between which there is too little to estimate one.
fn with_gaps(values: &[f64], columns: &[Vec<f64>], seasons: &[usize]) -> Result<Selection> {
    let count = values.len();
    let model = match count <= MOST_FOR_SEASONAL_ARIMA {
        true => {
            let season = seasons.iter().copied().find(|&s| s <= MONTHS);
            Candidate::Regression(season.unwrap_or(1)).fit(values, columns)?
        }
        // A level that walks at random, seen through errors.
        false => {
            let terms = Terms {
                regressors: columns,
                ..Terms::default()
            };
            Model::Arima(Arima::fit(values, Orders::new(0, 1, 1), &terms)?)
        }
    };
    let missing = values.iter().filter(|value| !value.is_finite()).count();
    Ok(Selection {
        scores: vec![Score {
            name: model.name(),
            smape: None,
            weight: 1.0,
        }],
        model,
        origins: 0,
        left_out: vec![format!(
            "all candidates but ARIMA, as {missing} of {count} values are missing and the others need every value; --fill \
             linear makes them up"
        )],
    })
}

/// What a candidate is on the whole series.
enum Fitted {
    /// A model.
    New(Box<Model>),
    /// The same model as another candidate's before it: simple exponential smoothing may be what AICc chooses.
    Repeated,
    /// Left away, or not to be fitted.
    Failed,
}

/// Fits the candidates that have a weight. A model counts once, at the weight of its first candidate; the weights then sum
/// to 1 again.
fn fitted(
    values: &[f64],
    columns: &[Vec<f64>],
    candidates: &[Candidate],
    weights: &mut [f64],
) -> Vec<Fitted> {
    let mut all: Vec<Fitted> = Vec::with_capacity(candidates.len());
    for (candidate, weight) in candidates.iter().zip(&mut *weights) {
        let fit = match *weight > 0.0 {
            true => candidate.fit(values, columns).ok(),
            false => None,
        };
        let fitted = fit.map_or(Fitted::Failed, |model| {
            let is_model = |other: &Fitted| matches!(other, Fitted::New(other) if **other == model);
            match all.iter().any(is_model) {
                true => Fitted::Repeated,
                false => Fitted::New(Box::new(model)),
            }
        });
        if !matches!(fitted, Fitted::New(_)) {
            *weight = 0.0;
        }
        all.push(fitted);
    }
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= total);
    all
}

/// The seasons that so many values hold twice, the shortest first.
fn held_seasons(count: usize, seasons: &[usize], left_out: &mut Vec<String>) -> Vec<usize> {
    let mut held: Vec<usize> = seasons.iter().copied().filter(|&s| s > 1).collect();
    held.sort_unstable();
    held.retain(|&season| {
        let fits = 2 * season < count;
        if !fits {
            left_out.push(format!(
                "a season of {season}: {count} values hold less than two"
            ));
        }
        fits
    });
    held
}

/// The candidates for a series.
fn field(values: &[f64], columns: &[Vec<f64>], seasons: &[usize]) -> Field {
    let count = values.len();
    let mut left_out = Vec::new();
    let held = held_seasons(count, seasons, &mut left_out);
    let short = held.iter().copied().find(|&s| s <= LONGEST_SEASON);
    let season = short.unwrap_or(1);
    let mut candidates = vec![
        Candidate::Naive(NaiveKind::Naive, 1),
        Candidate::Theta(ThetaKind::Standard, season),
        Candidate::Theta(ThetaKind::Dynamic, season),
    ];
    if season == 1 {
        candidates.push(Candidate::Ses);
    }
    let seasonal = held
        .iter()
        .map(|&s| Candidate::Naive(NaiveKind::SeasonalNaive, s));
    candidates.extend(seasonal);
    let is_months = (2..=MONTHS).contains(&season);
    match is_months && held.len() == 1 && columns.is_empty() {
        true => candidates.extend(of_months(values, season)),
        false => candidates.push(Candidate::Ets(season)),
    }
    if held.len() > 1 || held.iter().any(|&s| s > LONGEST_SEASON) {
        candidates.extend(decomposed(values, &held));
    }
    let most = match is_months {
        true => MOST_FOR_SEASONAL_ARIMA,
        false => MOST_FOR_ARIMA,
    };
    match count <= most {
        true => candidates.extend([Candidate::Arima(season), Candidate::LogArima(season)]),
        false => left_out.push(format!(
            "ARIMA, for series of more than {most} values: --method arima fits one"
        )),
    }
    if !columns.is_empty() {
        match count <= MOST_FOR_REGRESSION {
            true => candidates.push(Candidate::Regression(season)),
            false => left_out.push(format!(
                "the columns beside the values, for series of more than {MOST_FOR_REGRESSION} values: --method sarima uses them"
            )),
        }
    }
    let of_logarithms = |candidate: &Candidate| {
        matches!(candidate, Candidate::LogArima(_) | Candidate::LogTheta(_))
    };
    candidates
        .retain(|candidate| !of_logarithms(candidate) || values.iter().all(|value| *value > 0.0));
    Field {
        candidates,
        left_out,
    }
}

/// Candidates for values with nothing but a season of a few steps, which differ by how they see trend and season: the mean of M3's
/// monthly series gains by them.
fn of_months(values: &[f64], season: usize) -> [Candidate; 5] {
    let seasons = Seasons {
        lengths: vec![season],
        logarithms: values.iter().all(|value| *value > 0.0),
    };
    [
        Candidate::EtsWith(TrendKind::None, season),
        Candidate::EtsWith(TrendKind::Damped, season),
        Candidate::Theta(ThetaKind::Optimised, season),
        Candidate::LogTheta(season),
        Candidate::DecomposedTheta(seasons),
    ]
}

/// Candidates that take several seasons, or a long one, out first.
fn decomposed(values: &[f64], seasons: &[usize]) -> Vec<Candidate> {
    let believed = suggested_seasons(values, seasons);
    let positive = values.iter().all(|value| *value > 0.0);
    let mut sets: Vec<(Vec<usize>, bool)> = vec![(seasons.to_vec(), positive)];
    if positive {
        sets.push((believed.clone(), true));
    }
    sets.push((believed, false));
    let shortest: Vec<usize> = seasons.iter().copied().take(1).collect();
    if seasons.len() > 1 {
        sets.push((shortest, false));
    }
    sets.retain(|(lengths, _)| !lengths.is_empty());
    let mut candidates: Vec<Candidate> = Vec::new();
    for (lengths, logarithms) in sets {
        let candidate = Candidate::Decomposed(Seasons {
            lengths,
            logarithms,
        });
        if !candidates.contains(&candidate) {
            candidates.push(candidate);
        }
    }
    candidates
}

/// What is known of a series.
#[derive(Clone, Copy)]
struct Known<'a> {
    values: &'a [f64],
    columns: &'a [Vec<f64>],
}

/// What the candidates forecast at each origin, and how well.
struct Trials<'a> {
    values: &'a [f64],
    /// Whether a season was suggested.
    seasonal: bool,
    origins: Vec<usize>,
    /// Number of values that are forecast after each origin, a horizon at a time.
    tried: usize,
    /// For each candidate, its forecast at each origin, where it could be fitted.
    forecasts: Vec<Vec<Option<Forecast>>>,
    /// For each candidate, its mean sMAPE.
    smape: Vec<Option<f64>>,
}

impl<'a> Trials<'a> {
    fn new(known: Known<'a>, seasons: &[usize], horizon: usize, all: &[Candidate]) -> Self {
        let Known { values, columns } = known;
        let season = seasons.iter().copied().filter(|&s| s <= LONGEST_SEASON);
        let least = (2 * season.max().unwrap_or(1)).max(8) + 2;
        // Enough is left to fit to, however far the forecasts are to reach.
        let most = (values.len() / 4).max(1);
        let horizon = horizon.clamp(1, most);
        let short = seasons.iter().copied().filter(|&s| s <= LONGEST_SEASON);
        let short = short.max().unwrap_or(1);
        // Of a horizon shorter than a season, a few days may be special; several seasons are not.
        let tried = match horizon < short {
            true => SEASONS_TRIED * short,
            false => horizon.max(LEAST_TRIED),
        };
        let tried = tried.min(most);
        let origins = origins(values.len(), tried, ORIGINS, tried, least);
        let forecasts: Vec<Vec<Option<Forecast>>> = all
            .iter()
            .map(|candidate| {
                let at = |&origin: &usize| {
                    let history = &values[..origin];
                    let model = candidate.fit(history, columns).ok()?;
                    let window = Window {
                        history: &|origin| Cow::Borrowed(&values[..origin]),
                        columns,
                        range: origin..origin + tried,
                        horizon,
                    };
                    let forecast = rolled(&model, &window, None).ok()?;
                    let finite = forecast.mean.iter().all(|mean| mean.is_finite());
                    finite.then_some(forecast)
                };
                origins.iter().map(at).collect()
            })
            .collect();
        let smape = forecasts.iter().map(|forecasts| {
            let pairs = forecasts.iter().zip(&origins);
            let errors: Vec<f64> = pairs
                .filter_map(|(forecast, &origin)| {
                    let actual = &values[origin..origin + tried];
                    Some(Accuracy::new(forecast.as_ref()?, actual, 1.0).smape)
                })
                .collect();
            let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
            (!errors.is_empty() && mean.is_finite()).then_some(mean)
        });
        Trials {
            values,
            seasonal: seasons.iter().any(|&season| season > 1),
            smape: smape.collect(),
            origins,
            tried,
            forecasts,
        }
    }

    /// Refuses, in a long series without a season, exponential smoothing that is not better by far than simpler ones.
    fn refuse(&mut self, candidates: &[Candidate], count: usize) {
        if self.seasonal || count <= LONG {
            return;
        }
        let is_ets = |candidate: &Candidate| matches!(candidate, Candidate::Ets(_));
        let simple = candidates.iter().zip(&self.smape);
        let simple = simple.filter(|(candidate, _)| !is_ets(candidate));
        let least = simple
            .filter_map(|(_, smape)| *smape)
            .fold(f64::INFINITY, f64::min);
        for (candidate, smape) in candidates.iter().zip(&mut self.smape) {
            if is_ets(candidate) && smape.is_none_or(|smape| smape > MARGIN * least) {
                *smape = None;
            }
        }
    }

    /// The candidates' weights, which sum to 1: equal without a backtest.
    fn weights(&self) -> Vec<f64> {
        let known = self.smape.iter().any(Option::is_some);
        let weight = |smape: &Option<f64>| match (smape, known) {
            (Some(smape), _) => (smape + SMALLEST).powi(-2),
            (None, true) => 0.0,
            (None, false) => 1.0,
        };
        let mut weights: Vec<f64> = self.smape.iter().map(weight).collect();
        for least in [0.0, LEAST_WEIGHT] {
            let total: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|weight| {
                *weight = if *weight / total < least {
                    0.0
                } else {
                    *weight / total
                }
            });
        }
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / total).collect()
    }

    /// What the intervals' widths are multiplied by, for errors of the backtest to have the size that they say.
    fn spread(&self, weights: &[f64]) -> f64 {
        let (mut number, mut squares) = (PRIOR.0, PRIOR.0 * PRIOR.1);
        for (at, &origin) in self.origins.iter().enumerate() {
            let all = self.forecasts.iter().zip(weights);
            let known = all.filter_map(|(forecasts, weight)| {
                Some((forecasts[at].clone()?, *weight)).filter(|(_, weight)| *weight > 0.0)
            });
            let (forecasts, weights): (Vec<Forecast>, Vec<f64>) = known.unzip();
            if forecasts.is_empty() {
                continue;
            }
            let mean = weighted_forecast(&forecasts, &weights);
            let interval = &mean.intervals[1];
            for step in 0..self.tried {
                let width = interval.upper[step] - interval.lower[step];
                let deviation = width / 2.0 / NORMAL_QUANTILES[1];
                let error = self.values[origin + step] - mean.mean[step];
                if deviation > 0.0 && error.is_finite() {
                    number += 1.0;
                    squares += (error / deviation).powi(2).min(LARGEST_SQUARE);
                }
            }
        }
        (squares / number).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(step: usize) -> f64 {
        50.0 + 10.0 * (std::f64::consts::TAU * step as f64 / 12.0).sin() + 0.1 * step as f64
    }

    #[test]
    fn what_was_right_in_the_backtest_weighs_most() {
        let values: Vec<f64> = (0..96).map(wave).collect();
        let selection = select(&values, &[], &[12], 12).unwrap();
        let naive = selection.scores.iter().find(|score| score.name == "naive");
        assert!(naive.unwrap().weight < 0.02);
        let total: f64 = selection.scores.iter().map(|score| score.weight).sum();
        assert!((total - 1.0).abs() < 1e-12);
        assert_eq!(selection.origins, 4);
        let forecast = selection.model.forecast(&values, &[], 12);
        let pairs = forecast.mean.iter().zip(96..);
        let worst = pairs.map(|(mean, step)| (mean - wave(step)).abs());
        assert!(worst.fold(0.0, f64::max) < 0.5);
    }

    /// Of a walk at random the least AICc is often that of simple exponential smoothing.
    #[test]
    fn a_model_counts_once() {
        let mut state = 1u64;
        let walk = (0..120).scan(100.0, |level, _| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            *level += (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
            Some(*level)
        });
        let walk: Vec<f64> = walk.collect();
        let chosen = Candidate::Ets(1).fit(&walk, &[]).unwrap();
        assert_eq!(chosen, Candidate::Ses.fit(&walk, &[]).unwrap());
        let selection = select(&walk, &[], &[], 6).unwrap();
        let Model::Mean {
            models, weights, ..
        } = &selection.model
        else {
            panic!("{:?}", selection.model);
        };
        let same = models.iter().filter(|model| **model == chosen);
        assert_eq!(same.count(), 1);
        let scores = selection.scores.iter();
        assert_eq!(
            scores.filter(|score| score.name == chosen.name()).count(),
            1
        );
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_not_tried_is_said() {
        let values: Vec<f64> = (0..500).map(wave).collect();
        let left_out = select(&values, &[], &[24, 365], 12).unwrap().left_out;
        assert!(left_out.iter().any(|one| one.starts_with("ARIMA, for")));
        assert!(left_out.iter().any(|one| one.contains("season of 365")));
    }

    /// Twelve values of which one came 40 years later: what lies between is not taken for known.
    #[test]
    fn gaps_that_are_most_of_a_series_stay_gaps() {
        let mut values = vec![f64::NAN; 480];
        let known = [3.0, 5.0, 4.0, 6.0, 5.0, 7.0, 6.0, 8.0, 7.0, 6.0, 8.0];
        values[..11].copy_from_slice(&known);
        values.push(9.0);
        assert!(leaves_gaps(&values) && !leaves_gaps(&known));
        let selection = select(&values, &[], &[12], 3).unwrap();
        assert!(matches!(selection.model, Model::Arima(_)));
        assert!(selection.left_out[0].contains("469 of 481 values are missing"));
        let forecast = selection.model.forecast(&values, &[], 1);
        let interval = &forecast.intervals[1];
        assert!(interval.upper[0] - interval.lower[0] > 2.0, "{forecast:?}");
        // Three values are too few for an ARIMA.
        values[3..11].fill(f64::NAN);
        values[1] = f64::NAN;
        let selection = select(&values, &[], &[12], 3).unwrap();
        assert!(selection.left_out[0].starts_with("ARIMA, as 478 of 481"));
        assert!(
            selection
                .scores
                .iter()
                .all(|score| !score.name.contains("ARIMA"))
        );
    }

    #[test]
    fn odd_series_have_a_forecast() {
        let line: Vec<f64> = (0..30).map(f64::from).collect();
        let odd: [&[f64]; 6] = [
            &[5.0],
            &[1.0, 2.0, 4.0],
            &[7.0; 40],
            &line,
            &[1e300, 1e299, 3e300, 2e300],
            &[-1.0, f64::NAN, 3.0, f64::NAN, f64::NAN, 2.0, 1.0],
        ];
        for values in odd {
            let selection = select(values, &[], &[12], 6).unwrap();
            let forecast = selection.model.forecast(&filled(values), &[], 6);
            assert_eq!(forecast.mean.len(), 6);
            assert!(
                forecast.mean.iter().all(|mean| mean.is_finite()),
                "{values:?}"
            );
        }
        let forecast = |values: &[f64]| {
            let selection = select(values, &[], &[], 3).unwrap();
            selection.model.forecast(values, &[], 3).mean
        };
        assert!(
            forecast(&[7.0; 40])
                .iter()
                .all(|mean| (mean - 7.0).abs() < 1e-6)
        );
        let pairs = forecast(&line).into_iter().zip(30..);
        assert!(
            pairs
                .into_iter()
                .all(|(mean, right)| (mean - f64::from(right)).abs() < 0.2)
        );
        assert!(select(&[f64::NAN], &[], &[], 3).is_err());
    }
}

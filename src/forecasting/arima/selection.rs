/*!
Choice of the orders of a seasonal ARIMA: differences by tests, the other orders by AICc, stepwise (Hyndman and Khandakar
2008; `auto.arima` in R).

Every candidate is estimated by its exact likelihood, from the parameters of the model that it is a neighbour of or from the
regression of Hannan and Rissanen, whichever is better.
*/

use super::super::fourier::Fourier;
use super::super::unit_roots::{
    Differences, SeasonalDifferences, differences, known, seasonal_differences,
};
use super::fit::{Estimate, TOLERANCE, Terms, estimate};
use super::model::Arima;
use super::orders::Orders;
use super::sample::{Sample, differenced};
use super::search::Search;
use super::start::{Start, detached};
use crate::error::{Error, Result};

/// Expected gain in log-likelihood below which the estimation of a candidate ends.
pub(super) const COARSE: f64 = 1e-3;
/// Number of values at the end of a series by which orders are chosen and estimated.
const LONGEST: usize = 20_000;
/// Longest season that the orders themselves hold; longer ones take Fourier terms.
pub(in super::super) const LONGEST_SEASON: usize = 200;
/// Most wave lengths that are tried.
const MOST_WAVES: usize = 12;

/// What may be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// Largest p.
    pub max_p: usize,
    /// Largest q.
    pub max_q: usize,
    /// Largest P.
    pub max_seasonal_p: usize,
    /// Largest Q.
    pub max_seasonal_q: usize,
    /// Number of differences; chosen by tests if there is none.
    pub d: Option<usize>,
    /// Number of seasonal differences; chosen by the strength of the season if there is none.
    pub seasonal_d: Option<usize>,
    /// Whether a constant may be tried.
    pub constant: bool,
    /// Whether all orders with p + q + P + Q ≤ 5 are tried, and not neighbours of the best alone.
    pub exhaustive: bool,
    /// Columns of numbers known at every step, each at least as long as the series.
    pub regressors: &'a [Vec<f64>],
}

impl Default for Choice<'_> {
    fn default() -> Self {
        Choice {
            max_p: 5,
            max_q: 5,
            max_seasonal_p: 2,
            max_seasonal_q: 2,
            d: None,
            seasonal_d: None,
            constant: true,
            exhaustive: false,
            regressors: &[],
        }
    }
}

impl Choice<'_> {
    /// Autoregressions alone: no differences, no moving average, no season.
    pub fn autoregressive() -> Self {
        Choice {
            max_q: 0,
            ..Choice::mixed()
        }
    }

    /// Moving averages alone: no differences, no autoregression, no season.
    pub fn moving_average() -> Self {
        Choice {
            max_p: 0,
            ..Choice::mixed()
        }
    }

    /// Autoregressions with moving averages: no differences, no season.
    pub fn mixed() -> Self {
        Choice {
            max_seasonal_p: 0,
            max_seasonal_q: 0,
            d: Some(0),
            seasonal_d: Some(0),
            ..Choice::default()
        }
    }
}

/// A model that was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its orders.
    pub orders: Orders,
    /// Whether it had a constant.
    pub constant: bool,
    /// Its AICc; none where it could not be estimated.
    pub aicc: Option<f64>,
    /// Whether it was refused, for a root too near to one that is not stationary or not invertible.
    pub refused: bool,
}

impl Candidate {
    /// Its orders, and its constant if it has one.
    pub fn name(&self) -> String {
        let constant = match self.constant {
            true => self.orders.constant_name(),
            false => "",
        };
        format!("{}{constant}", self.orders)
    }
}

/// The chosen model, and what led to it.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The model.
    pub model: Arima,
    /// Models tried, in this order.
    pub tried: Vec<Candidate>,
    /// Tests for differences, if they were asked.
    pub differences: Option<Differences>,
    /// Test for seasonal differences, if it was asked.
    pub seasonal: Option<SeasonalDifferences>,
    /// Sentences that say what was not tried, and why.
    pub left_out: Vec<String>,
}

/// The seasonal ARIMA with the least AICc among those that the steps come by. NaN in `values` is a missing value.
pub fn select(values: &[f64], season: usize, choice: &Choice<'_>) -> Result<Selection> {
    let mut left_out = Vec::new();
    let plain = Terms {
        constant: false,
        regressors: choice.regressors,
        fourier: None,
    };
    plain.check(values, &Orders::new(0, 0, 0))?;
    let begin = values.len().saturating_sub(LONGEST);
    if begin > 0 {
        left_out.push(format!(
            "the first {begin} of {} values: an ARIMA is chosen and estimated by the last {LONGEST}",
            values.len()
        ));
    }
    let count = known(&values[begin..]).len();
    if count < 4 {
        return Err(Error::new(format!(
            "choosing an ARIMA needs at least 4 known values, and the series has {count}; naive methods need fewer"
        )));
    }
    let mut problem = Problem {
        values,
        begin,
        season: season.max(1),
        terms: plain,
        d: 0,
        seasonal_d: 0,
        tests: None,
        seasonal: None,
    };
    problem.choose_waves(&mut left_out);
    problem.choose_differences(choice);
    let mut search = Search::new(&problem, choice, &mut left_out);
    search.run(choice.exhaustive);
    let (tried, best) = search.finish();
    let (best, estimate) = best.ok_or_else(|| {
        Error::new(format!(
            "no ARIMA can be estimated from the {count} known values of the series"
        ))
    })?;
    Ok(Selection {
        model: problem.polish(&tried[best], estimate),
        tried,
        differences: problem.tests,
        seasonal: problem.seasonal,
        left_out,
    })
}

/// A series with its regressors, and the differences chosen for it.
pub(super) struct Problem<'a> {
    values: &'a [f64],
    /// Number of values at the beginning that are left out.
    begin: usize,
    pub(super) season: usize,
    /// Regressors and waves; the constant is the search's.
    pub(super) terms: Terms<'a>,
    d: usize,
    seasonal_d: usize,
    tests: Option<Differences>,
    seasonal: Option<SeasonalDifferences>,
}

impl Problem<'_> {
    /// Number of known values.
    pub(super) fn known(&self) -> usize {
        known(&self.values[self.begin..]).len()
    }

    /// Orders p, q, P and Q with the differences chosen.
    pub(super) fn orders(&self, [p, q, seasonal_p, seasonal_q]: [usize; 4]) -> Orders {
        Orders::new(p, self.d, q).with_season(seasonal_p, self.seasonal_d, seasonal_q, self.season)
    }

    /// Sample for these orders, with or without a constant.
    pub(super) fn sample(
        &self,
        orders: &Orders,
        constant: bool,
        fourier: Option<Fourier>,
    ) -> Sample {
        let terms = Terms {
            constant,
            fourier,
            ..self.terms
        };
        let mut columns = terms.columns(orders, self.values.len());
        for column in &mut columns {
            column.drain(..self.begin);
        }
        Sample::new(&self.values[self.begin..], orders, &columns)
    }

    /// Fourier terms in place of a season that is too long, as many as AICc takes beside a short autoregression.
    fn choose_waves(&mut self, left_out: &mut Vec<String>) {
        let season = self.season;
        if season <= LONGEST_SEASON {
            return;
        }
        self.season = 1;
        let recent = &self.values[self.begin..];
        if known(recent).len() < 2 * season {
            left_out.push(format!(
                "the season of {season} steps: the series is shorter than two of it"
            ));
            return;
        }
        let orders = Orders::new(2, differences(recent, 1).count, 0);
        let mut least = f64::INFINITY;
        for order in 0..=MOST_WAVES.min(season / 2) {
            let fourier = (order > 0).then_some(Fourier { season, order });
            let sample = self.sample(&orders, orders.d == 0, fourier);
            let start = Start::new(&sample, 1).partials(&orders);
            let aicc = estimate(&sample, orders, &start, COARSE).map_or(f64::INFINITY, |e| e.aicc);
            if aicc < least {
                least = aicc;
                self.terms.fourier = fourier;
            }
        }
        left_out.push(format!(
            "seasonal orders: a season of {season} steps is longer than the {LONGEST_SEASON} that they hold, and {} stand in \
             for them",
            match self.terms.fourier {
                Some(fourier) => fourier.to_string(),
                None => "not even Fourier waves".to_string(),
            }
        ));
    }

    /// Differences: those asked for, and where none are, those of the tests on the series without its regression.
    fn choose_differences(&mut self, choice: &Choice<'_>) {
        let plain = Orders::new(0, 0, 0);
        let sample = self.sample(&plain, true, self.terms.fourier);
        let level = match sample.columns.len() {
            1 => self.values[self.begin..].to_vec(),
            _ => detached(&sample),
        };
        let seasonal = match (choice.seasonal_d, self.season) {
            (_, 1) => 0,
            (Some(asked), _) => asked,
            (None, season) => {
                let test = seasonal_differences(&level, season);
                self.seasonal = Some(test);
                test.count
            }
        };
        self.seasonal_d = seasonal;
        let level = differenced(&level, &self.orders([0; 4]));
        self.d = choice.d.unwrap_or_else(|| {
            let most = 2.min(3 - seasonal.min(3));
            let tests = differences(&level, most);
            let count = tests.count;
            self.tests = Some(tests);
            count
        });
    }

    /// The model of the search, estimated to the end.
    fn polish(&self, best: &Candidate, found: Estimate) -> Arima {
        let sample = self.sample(&best.orders, best.constant, self.terms.fourier);
        let start = &found.partials;
        let polished = estimate(&sample, best.orders, start, TOLERANCE);
        let terms = Terms {
            constant: best.constant,
            ..self.terms
        };
        let estimate = polished.unwrap_or(found);
        estimate.model(best.orders, &terms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::test_series::{mixed, noise, seasonal};
    use super::*;

    fn chosen(values: &[f64], season: usize) -> Selection {
        select(values, season, &Choice::default()).expect("a model")
    }

    /// The best of all models with at most 5 coefficients is not better by much than that of the steps.
    #[test]
    fn steps_find_a_model_near_to_the_best_of_all() {
        for (values, season) in [(mixed(130), 1), (seasonal(), 12), (noise(90, 8), 4)] {
            let steps = chosen(&values, season);
            let all = Choice {
                exhaustive: true,
                ..Choice::default()
            };
            let all = select(&values, season, &all).expect("a model");
            assert!(steps.tried.len() < all.tried.len() || season == 1);
            assert!(
                steps.model.aicc < all.model.aicc + 0.5,
                "{} {}, {} {}",
                steps.model.name(),
                steps.model.aicc,
                all.model.name(),
                all.model.aicc
            );
        }
    }

    #[test]
    fn differences_and_their_tests_are_told() {
        let found = chosen(&seasonal(), 12);
        assert_eq!(found.model.orders.seasonal_d, 1);
        assert!(
            found
                .seasonal
                .and_then(|test| test.strength)
                .is_some_and(|s| s > 0.8)
        );
        assert!(
            found
                .differences
                .is_some_and(|tests| !tests.tests.is_empty())
        );
        let least = found.tried.iter().filter(|tried| !tried.refused);
        let least = least
            .filter_map(|tried| tried.aicc)
            .fold(f64::INFINITY, f64::min);
        assert!((least - found.model.aicc).abs() < 0.01);
        assert!(found.left_out.is_empty());
    }

    #[test]
    fn restrictions_hold() {
        let values = seasonal();
        let orders =
            |choice: Choice<'_>| select(&values, 12, &choice).expect("a model").model.orders;
        let found = orders(Choice::autoregressive());
        assert_eq!(
            (
                found.d,
                found.q,
                found.seasonal_p + found.seasonal_q + found.seasonal_d
            ),
            (0, 0, 0)
        );
        let found = orders(Choice::moving_average());
        assert_eq!((found.p, found.d), (0, 0));
        let found = orders(Choice {
            d: Some(2),
            seasonal_d: Some(0),
            ..Choice::default()
        });
        assert_eq!((found.d, found.seasonal_d), (2, 0));
    }

    #[test]
    fn strange_series_have_a_model_or_an_error() {
        let line: Vec<f64> = (0..40).map(|step| 5.0 - 2.0 * f64::from(step)).collect();
        let found = chosen(&line, 12);
        let forecast = found.model.forecast(&line, &[], 3);
        assert!(
            (forecast.mean[2] - (5.0 - 2.0 * 42.0)).abs() < 1e-6,
            "{found:?}"
        );
        let constant = chosen(&[7.0; 30], 12).model.forecast(&[7.0; 30], &[], 2);
        assert!((constant.mean[1] - 7.0).abs() < 1e-9);
        for unit in [1e300, 1e-300, -1.0] {
            let values: Vec<f64> = seasonal().iter().map(|value| value * unit).collect();
            let forecast = chosen(&values, 12).model.forecast(&values, &[], 12);
            assert!(forecast.mean.iter().all(|value| value.is_finite()));
        }
        for values in [&[][..], &[1.0], &[1.0, 2.0, 5.0], &[f64::NAN; 50]] {
            assert!(select(values, 12, &Choice::default()).is_err());
        }
        for count in 4..30 {
            let values = &seasonal()[..count];
            let forecast = chosen(values, 12).model.forecast(values, &[], 5);
            assert!(
                forecast.mean.iter().all(|value| value.is_finite()),
                "{count}"
            );
        }
    }

    #[test]
    fn gaps_do_not_prevent_a_choice() {
        let mut values = seasonal();
        values[20..23].fill(f64::NAN);
        values[77] = f64::NAN;
        let found = chosen(&values, 12);
        assert_eq!(found.model.orders.seasonal_d, 1);
        assert!(
            found
                .model
                .forecast(&values, &[], 12)
                .mean
                .iter()
                .all(|value| value.is_finite())
        );
    }

    /// A wave of 300 steps, longer than the orders hold, is found as such.
    #[test]
    fn a_long_season_takes_waves() {
        let wave = |step: usize| (std::f64::consts::TAU * step as f64 / 300.0).sin();
        let noise = noise(900, 4).into_iter().enumerate();
        let values: Vec<f64> = noise
            .map(|(step, e)| 5.0 + 3.0 * wave(step) + 0.3 * e)
            .collect();
        let found = chosen(&values, 300);
        assert!(
            found
                .model
                .fourier
                .is_some_and(|fourier| fourier.order >= 1)
        );
        assert_eq!(found.left_out.len(), 1);
        let forecast = found.model.forecast(&values, &[], 225);
        assert!(
            (forecast.mean[74] - 8.0).abs() < 0.5,
            "{}",
            forecast.mean[74]
        );
        assert!(
            (forecast.mean[224] - 2.0).abs() < 0.5,
            "{}",
            forecast.mean[224]
        );
    }

    #[test]
    fn regressors_are_part_of_the_model() {
        let column: Vec<f64> = noise(130, 9);
        let pairs = mixed(130).into_iter().zip(&column);
        let values: Vec<f64> = pairs.map(|(value, x)| value + 4.0 * x).collect();
        let choice = Choice {
            regressors: &[column],
            ..Choice::default()
        };
        let found = select(&values, 1, &choice).expect("a model");
        assert!((found.model.regression[0] - 4.0).abs() < 0.2);
    }
}

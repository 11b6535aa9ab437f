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
const LONGEST_SEASON: usize = 200;
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

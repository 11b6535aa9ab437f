/*!
A series of which an ARIMA is chosen: its differences, by tests, and Fourier waves in place of a season that is too long.
*/

use super::super::fourier::Fourier;
use super::super::unit_roots::{
    Differences, SeasonalDifferences, differences, known, seasonal_differences,
};
use super::choice::Choice;
use super::fit::{Terms, estimate};
use super::orders::Orders;
use super::sample::{Sample, differenced};
use super::start::{Start, detached};

/// Expected gain in log-likelihood below which the estimation of a candidate ends.
pub(super) const COARSE: f64 = 1e-3;
/// Longest season that the orders themselves hold; longer ones take Fourier terms.
pub(in super::super) const LONGEST_SEASON: usize = 200;
/// Most wave lengths that are tried.
const MOST_WAVES: usize = 12;

/// A series with its regressors, and the differences chosen for it.
pub(super) struct Problem<'a> {
    values: &'a [f64],
    /// Number of values at the beginning that are left out.
    begin: usize,
    /// Steps in a season; 1 without one.
    pub season: usize,
    /// Regressors and waves; the constant is the search's.
    pub terms: Terms<'a>,
    d: usize,
    seasonal_d: usize,
    /// Tests for differences, if they were asked.
    pub tests: Option<Differences>,
    /// Test for seasonal differences, if it was asked.
    pub seasonal: Option<SeasonalDifferences>,
}

impl<'a> Problem<'a> {
    /// The values from `begin` on, without differences as yet.
    pub fn new(values: &'a [f64], begin: usize, season: usize, terms: Terms<'a>) -> Self {
        Problem {
            values,
            begin,
            season: season.max(1),
            terms,
            d: 0,
            seasonal_d: 0,
            tests: None,
            seasonal: None,
        }
    }

    /// Number of known values.
    pub fn known(&self) -> usize {
        known(&self.values[self.begin..]).len()
    }

    /// Orders p, q, P and Q with the differences chosen.
    pub fn orders(&self, [p, q, seasonal_p, seasonal_q]: [usize; 4]) -> Orders {
        Orders::new(p, self.d, q).with_season(seasonal_p, self.seasonal_d, seasonal_q, self.season)
    }

    /// Sample for these orders, with or without a constant.
    pub fn sample(&self, orders: &Orders, constant: bool, fourier: Option<Fourier>) -> Sample {
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
    pub fn choose_waves(&mut self, left_out: &mut Vec<String>) {
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
    pub fn choose_differences(&mut self, choice: &Choice<'_>) {
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
}

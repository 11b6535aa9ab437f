/*!
Predictions and forecasts of a fitted ARIMA.
*/

use super::super::forecast::Forecast;
use super::coefficients::Coefficients;
use super::fit::Terms;
use super::kalman::Filter;
use super::model::Arima;
use super::orders::Orders;
use super::state::State;

impl Arima {
    /// What was expected of each value from those before it; NaN for those that are lost to differences, and where the model
    /// has regressors.
    pub fn predictions(&self, values: &[f64]) -> Vec<f64> {
        self.predictions_with(values, &[])
    }

    /// The `horizon` values that follow, with exact standard errors; NaN where the model has regressors.
    pub fn forecast(&self, values: &[f64], horizon: usize) -> Forecast {
        self.forecast_with(values, &[], horizon)
    }

    /// Predictions with the regressors' columns, each at least as long as `values`.
    pub fn predictions_with(&self, values: &[f64], regressors: &[Vec<f64>]) -> Vec<f64> {
        let Some(level) = self.level(regressors, values.len()) else {
            return vec![f64::NAN; values.len()];
        };
        self.filter(values, &level, values.len()).expected
    }

    /// Forecast with the regressors' columns, each at least as long as `values` and the horizon together.
    pub fn forecast_with(
        &self,
        values: &[f64],
        regressors: &[Vec<f64>],
        horizon: usize,
    ) -> Forecast {
        let count = values.len() + horizon;
        let Some(level) = self.level(regressors, count) else {
            let unknown = vec![f64::NAN; horizon];
            return Forecast::normal(unknown.clone(), &unknown);
        };
        let last = values.iter().rposition(|value| !value.is_nan());
        let known = last.map_or(0, |last| last + 1);
        let filtered = self.filter(&values[..known], &level, count);
        let errors = self.standard_errors(&filtered.end, count - known);
        let mean = filtered.expected[values.len()..].to_vec();
        Forecast::normal(mean, &errors[values.len() - known..])
    }

    /// The regression at the first `count` steps; `None` if `regressors` are not those of the model.
    fn level(&self, regressors: &[Vec<f64>], count: usize) -> Option<Vec<f64>> {
        let waves = self.fourier.map_or(0, |fourier| fourier.len());
        let fits = regressors.len() + waves == self.regression.len()
            && regressors.iter().all(|column| column.len() >= count);
        if !fits {
            return None;
        }
        let terms = Terms {
            constant: self.constant.is_some(),
            regressors,
            fourier: self.fourier,
        };
        let mut level = vec![0.0; count];
        let weights = self.constant.iter().chain(&self.regression);
        for (column, weight) in terms.columns(&self.orders, count).iter().zip(weights) {
            for (sum, value) in level.iter_mut().zip(column) {
                *sum += weight * value;
            }
        }
        Some(level)
    }

    /// Filter of the values, and expectations of `count` of them and those that follow. A missing value is replaced by its
    /// expectation in those of the values after it that are differences from it.
    fn filter(&self, values: &[f64], level: &[f64], count: usize) -> Filtered {
        let differences = Differences::new(&self.orders);
        let state = state(&self.coefficients, &self.orders);
        let mut filter = Filter::new(&state, 1);
        let mut end = filter.clone();
        let first = values.iter().position(|value| !value.is_nan());
        let begin = first.map_or(count, |first| first + self.orders.lost());
        let mut expected = vec![f64::NAN; count];
        let mut filled = vec![f64::NAN; count];
        for time in 0..count {
            let value = values
                .get(time)
                .map_or(f64::NAN, |value| value - level[time]);
            filled[time] = value;
            if time == values.len() {
                end.clone_from(&filter);
            }
            if time < begin {
                continue;
            }
            let base = differences.base(&filled, time);
            let expectation = filter.expected(0) + base;
            expected[time] = expectation + level[time];
            let observed = differences.observed(values, time);
            if value.is_nan() {
                filled[time] = expectation;
            }
            match observed {
                true => filter.step(Some(&[value - expectation])),
                false => filter.step(None),
            }
        }
        if count == values.len() {
            end.clone_from(&filter);
        }
        Filtered { expected, end }
    }

    /// Standard errors of the values that follow the last known one: the innovations to come, weighted by what the integrated
    /// process makes of them, and what is not known of the state.
    fn standard_errors(&self, end: &Filter, count: usize) -> Vec<f64> {
        let differences = Differences::new(&self.orders);
        let state = state(&self.coefficients, &self.orders);
        let size = state.ar.len();
        let mut weights: Vec<f64> = Vec::with_capacity(count);
        // What the state adds to a difference, and to a value.
        let mut row = vec![0.0; size];
        if let Some(first) = row.first_mut() {
            *first = 1.0;
        }
        let mut rows: Vec<Vec<f64>> = Vec::new();
        let mut plain: Vec<f64> = Vec::with_capacity(count);
        let mut sum = 0.0;
        let mut errors = Vec::with_capacity(count);
        for step in 0..count {
            let past = (1..=step.min(size)).map(|lag| state.ar[lag - 1] * plain[step - lag]);
            let moving = match step {
                0 => 1.0,
                _ => state.ma.get(step - 1).copied().unwrap_or(0.0),
            };
            plain.push(moving + past.sum::<f64>());
            weights.push(plain[step] + differences.base(&weights, step));
            sum += weights[step] * weights[step];
            let mut variance = sum;
            if !end.settled {
                rows.push(differences.base_rows(&rows, step, &row));
                variance += quadratic(&end.covariance, &rows[step]);
                row = transposed_step(&state, &row);
            }
            errors.push(self.sigma * variance.sqrt());
        }
        errors
    }
}

/// What a filter expected, and where it stood after the last value.
struct Filtered {
    expected: Vec<f64>,
    end: Filter,
}

/// State of a model; that of a process without memory where the coefficients, read from a file, are not stationary.
fn state(coefficients: &Coefficients, orders: &Orders) -> State {
    let mut state = State::default();
    match state.set(coefficients, orders) {
        true => state,
        false => State::default(),
    }
}

/// Row vector after a step of the process without innovations: what the present state adds to a value a step later.
fn transposed_step(state: &State, row: &[f64]) -> Vec<f64> {
    let first: f64 = row.iter().zip(&state.ar).map(|(a, b)| a * b).sum();
    let shifted = row.iter().take(row.len().saturating_sub(1));
    std::iter::once(first).chain(shifted.copied()).collect()
}

/// Variance of a weighted sum of the state.
fn quadratic(covariance: &[f64], row: &[f64]) -> f64 {
    let size = row.len();
    let mut sum = 0.0;
    for (index, weight) in row.iter().enumerate() {
        let line = &covariance[index * size + index..(index + 1) * size];
        let products = row[index..].iter().zip(line).map(|(a, b)| a * b);
        sum += weight * (2.0 * products.sum::<f64>() - weight * line[0]);
    }
    sum.max(0.0)
}

/// The differences of the orders as a polynomial: a value is its difference and a sum of values before it.
struct Differences {
    /// Lags, and the weights of the values there.
    lags: Vec<(usize, f64)>,
}

impl Differences {
    fn new(orders: &Orders) -> Self {
        let mut polynomial = vec![1.0];
        let steps = std::iter::repeat_n(orders.season, orders.seasonal_d);
        for step in steps.chain(std::iter::repeat_n(1, orders.d)) {
            let mut next = polynomial.clone();
            next.resize(polynomial.len() + step, 0.0);
            for (index, value) in polynomial.iter().enumerate() {
                next[index + step] -= value;
            }
            polynomial = next;
        }
        let lags = polynomial.iter().enumerate().skip(1);
        Differences {
            lags: lags
                .filter(|(_, value)| **value != 0.0)
                .map(|(lag, value)| (lag, -value))
                .collect(),
        }
    }

    /// Weighted sum of the values before `time`, of which those before the beginning are 0.
    fn base(&self, values: &[f64], time: usize) -> f64 {
        let lags = self.lags.iter().filter(|(lag, _)| *lag <= time);
        lags.map(|(lag, weight)| weight * values[time - lag]).sum()
    }

    /// `row` and the weighted sum of the rows before `step`.
    fn base_rows(&self, rows: &[Vec<f64>], step: usize, row: &[f64]) -> Vec<f64> {
        let mut sum = row.to_vec();
        for (lag, weight) in self.lags.iter().filter(|(lag, _)| *lag <= step) {
            for (sum, value) in sum.iter_mut().zip(&rows[step - lag]) {
                *sum += weight * value;
            }
        }
        sum
    }

    /// Whether a value and all that it is a difference from are known.
    fn observed(&self, values: &[f64], time: usize) -> bool {
        let known = |time: usize| values.get(time).is_some_and(|value| !value.is_nan());
        known(time) && self.lags.iter().all(|(lag, _)| known(time - lag))
    }
}

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
    /// What was expected of each value from those before it, with the regressors' columns, each at least as long as `values`;
    /// NaN for those that are lost to differences, and where `regressors` are not those of the model.
    pub fn predictions(&self, values: &[f64], regressors: &[Vec<f64>]) -> Vec<f64> {
        let Some(level) = self.level(regressors, values.len()) else {
            return vec![f64::NAN; values.len()];
        };
        self.filter(values, &level, values.len()).expected
    }

    /// The `horizon` values that follow, with exact standard errors, with the regressors' columns, each at least as long as
    /// `values` and the horizon together; NaN where `regressors` are not those of the model.
    pub fn forecast(&self, values: &[f64], regressors: &[Vec<f64>], horizon: usize) -> Forecast {
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
    pub(super) fn level(&self, regressors: &[Vec<f64>], count: usize) -> Option<Vec<f64>> {
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
                if value.is_nan() && first.is_some_and(|first| time > first) {
                    filled[time] =
                        later(values, level, time, self.orders.season).unwrap_or(filled[time - 1]);
                }
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

/// The first known value whole seasons later, less its level, to stand for a missing one that nothing comes before.
fn later(values: &[f64], level: &[f64], time: usize, season: usize) -> Option<f64> {
    let seasons = (time..values.len()).step_by(season).skip(1);
    let mut rests = seasons.map(|time| values[time] - level[time]);
    rests.find(|value| !value.is_nan())
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

#[cfg(test)]
mod tests {
    use super::super::super::fourier::Fourier;
    use super::super::super::test_series::{mixed, seasonal};
    use super::*;

    fn model(orders: Orders, parts: [&[f64]; 3], sigma: f64) -> Arima {
        let [ar, ma, seasonal_ma] = parts.map(<[f64]>::to_vec);
        Arima {
            orders,
            coefficients: Coefficients {
                ar,
                ma,
                seasonal_ma,
                ..Coefficients::default()
            },
            constant: None,
            fourier: None,
            regression: Vec::new(),
            sigma,
            log_likelihood: 0.0,
            aicc: 0.0,
        }
    }

    fn near(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found} {expected}");
    }

    /// Standard error of a step, from the interval.
    fn error(forecast: &Forecast, step: usize) -> f64 {
        (forecast.intervals[1].upper[step] - forecast.mean[step]) / 1.959963984540054
    }

    /// Expected: statsmodels 0.15, SARIMAX.filter at these parameters and get_forecast; its start is not quite diffuse.
    #[test]
    fn forecasts_are_those_of_statsmodels() {
        let orders = Orders::new(1, 1, 1).with_season(0, 1, 1, 12);
        let model = model(orders, [&[0.3], &[-0.5], &[-0.6]], 0.7);
        let forecast = model.forecast(&seasonal(), &[], 14);
        let expected = [
            (0, 14.58325413027016, 0.7000081884875149),
            (1, 15.998725352220738, 0.8964478555170906),
            (12, 15.415051224265703, 1.9844747434504575),
            (13, 16.81108200148682, 2.1124243943203),
        ];
        for (step, mean, deviation) in expected {
            near(forecast.mean[step], mean, 1e-4);
            near(error(&forecast, step), deviation, 1e-5);
        }
        let predictions = model.predictions(&seasonal(), &[]);
        assert!(predictions[..13].iter().all(|value| value.is_nan()));
        near(predictions[13], 11.344189955508467, 1e-3);
        near(predictions[20], 11.101977149410105, 1e-3);
        near(predictions[129], 13.868849695966688, 1e-4);
    }

    /// Expected: the same, for a process that is stationary.
    #[test]
    fn a_stationary_process_is_predicted_from_its_first_value_on() {
        let series = mixed(130);
        let model = model(Orders::new(1, 0, 1), [&[0.5], &[0.3], &[]], 1.1);
        let predictions = model.predictions(&series, &[]);
        near(predictions[0], 0.0, 1e-12);
        near(predictions[1], -0.21225301312384295, 1e-9);
        near(predictions[5], 0.6979230947749875, 1e-9);
        let forecast = model.forecast(&series, &[], 3);
        let expected = [
            (0.9652333996535956, 1.1000000000938364),
            (0.4826166998267978, 1.4086873322535451),
            (0.2413083499133989, 1.4758048651542326),
        ];
        for (step, (mean, deviation)) in expected.into_iter().enumerate() {
            near(forecast.mean[step], mean, 1e-9);
            near(error(&forecast, step), deviation, 1e-9);
        }
    }

    /// A random walk with drift stays where it was last seen, and its error counts the steps since then.
    #[test]
    fn missing_values_at_the_end_are_forecast_too() {
        let mut walk = model(Orders::new(0, 1, 0), [&[], &[], &[]], 2.0);
        walk.constant = Some(0.5);
        let values = [f64::NAN, 1.0, 4.0, f64::NAN, f64::NAN];
        let forecast = walk.forecast(&values, &[], 2);
        near(forecast.mean[0], 5.5, 1e-12);
        near(error(&forecast, 1), 2.0 * 4f64.sqrt(), 1e-12);
        let predictions = walk.predictions(&values, &[]);
        assert!(predictions[..2].iter().all(|value| value.is_nan()));
        near(predictions[2], 1.5, 1e-12);
        near(predictions[4], 5.0, 1e-12);
    }

    /// What is missing in the first season is taken from the second.
    #[test]
    fn missing_values_of_the_first_season_are_those_of_a_later_one() {
        let orders = Orders::new(0, 0, 0).with_season(0, 1, 0, 3);
        let model = model(orders, [&[], &[], &[]], 1.0);
        let values = [1.0, f64::NAN, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(model.forecast(&values, &[], 3).mean, [4.0, 5.0, 6.0]);
        let values = [1.0, f64::NAN, 3.0, 4.0, f64::NAN];
        assert_eq!(model.forecast(&values, &[], 3).mean, [3.0, 4.0, 1.0]);
    }

    #[test]
    fn regressors_and_waves_move_the_level() {
        let mut level = model(Orders::new(0, 0, 0), [&[], &[], &[]], 1.0);
        level.regression = vec![2.0, 10.0, 0.0];
        level.fourier = Some(Fourier {
            season: 4,
            order: 1,
        });
        let column = vec![0.0, 1.0, 2.0, 3.0];
        let forecast = level.forecast(&[0.0, 0.0], std::slice::from_ref(&column), 2);
        near(forecast.mean[0], 4.0 - 10.0, 1e-12);
        near(forecast.mean[1], 6.0, 1e-12);
        assert!(level.forecast(&[0.0, 0.0], &[], 1).mean[0].is_nan());
        assert!(level.predictions(&[0.0, 0.0], &[])[0].is_nan());
    }

    #[test]
    fn histories_without_values_have_no_forecast() {
        let model = model(Orders::new(1, 1, 0), [&[0.5], &[], &[]], 1.0);
        for values in [&[][..], &[f64::NAN; 4]] {
            let forecast = model.forecast(values, &[], 3);
            assert_eq!(forecast.horizon(), 3);
            assert!(forecast.mean.iter().all(|value| value.is_nan()));
        }
        assert_eq!(model.forecast(&[2.0], &[], 0).horizon(), 0);
    }

    #[test]
    fn a_model_is_the_same_after_writing_and_reading() {
        let orders = Orders::new(1, 1, 1).with_season(0, 1, 1, 12);
        let model = model(orders, [&[0.3], &[-0.5], &[-0.6]], 0.7);
        let text = serde_json::to_string(&model).expect("json");
        assert_eq!(
            serde_json::from_str::<Arima>(&text).expect("a model"),
            model
        );
    }
}

/*!
Estimation of a seasonal ARIMA of given orders.
*/

use std::f64::consts::TAU;

use super::super::fourier::Fourier;
use super::coefficients::Coefficients;
use super::model::Arima;
use super::objective::Objective;
use super::orders::Orders;
use super::sample::Sample;
use super::scoring::maximize;
use super::start::Start;
use crate::error::{Error, Result};

/// Expected gain in log-likelihood below which an estimation ends.
pub(super) const TOLERANCE: f64 = 1e-8;

/// What a model has beside its orders.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// Whether there is a constant: a mean without differences, a drift with one. With two it has no meaning.
    pub constant: bool,
    /// Columns of numbers known at every step, each at least as long as the series.
    pub regressors: &'a [Vec<f64>],
    /// Waves of a long season.
    pub fourier: Option<Fourier>,
}

impl Terms<'_> {
    /// Columns of the regression at the first `count` steps: the constant's, those of the regressors, the waves'.
    pub(super) fn columns(&self, orders: &Orders, count: usize) -> Vec<Vec<f64>> {
        let constant = self.constant.then(|| match orders.differences() {
            0 => vec![1.0; count],
            _ => (1..=count).map(|step| step as f64).collect(),
        });
        let given = self
            .regressors
            .iter()
            .map(|column| column[..count].to_vec());
        let waves = self.fourier.map(|fourier| fourier.columns(count));
        let all = constant.into_iter().chain(given);
        all.chain(waves.into_iter().flatten()).collect()
    }

    /// Error if the terms do not go with the orders or the series.
    pub(super) fn check(&self, values: &[f64], orders: &Orders) -> Result<()> {
        orders.check()?;
        if self.constant && orders.differences() > 1 {
            return Err(Error::new(format!(
                "{orders} takes differences {} times, and what those leave of a constant is nothing: leave it out",
                orders.differences()
            )));
        }
        for (index, column) in (1..).zip(self.regressors) {
            if column.len() < values.len() {
                return Err(Error::new(format!(
                    "regressor {index} has {} values, the series {}",
                    column.len(),
                    values.len()
                )));
            }
            if !column.iter().all(|value| value.is_finite()) {
                return Err(Error::new(format!(
                    "regressor {index} has a missing or infinite value: fill it"
                )));
            }
        }
        match values.iter().position(|value| value.is_infinite()) {
            Some(index) => Err(Error::new(format!(
                "value {} of the series is infinite",
                index + 1
            ))),
            None => Ok(()),
        }
    }
}

/// Estimated parameters of a sample.
#[derive(Clone, Debug)]
pub(super) struct Estimate {
    /// Partial autocorrelations.
    pub partials: Vec<f64>,
    /// Regression coefficients, in the units of the series and of the columns.
    pub regression: Vec<f64>,
    /// Standard deviation of the innovations.
    pub sigma: f64,
    /// Logarithm of the likelihood.
    pub log_likelihood: f64,
    /// Corrected information criterion; infinite where there are too few values for one.
    pub aicc: f64,
}

/// Estimate from partial autocorrelations to start from; `None` where there is no likelihood at them.
pub(super) fn estimate(
    sample: &Sample,
    orders: Orders,
    start: &[f64],
    tolerance: f64,
) -> Option<Estimate> {
    let mut objective = Objective::new(sample, orders);
    let autoregressive = orders.p + orders.seasonal_p;
    let partials = maximize(&mut objective, start, autoregressive, tolerance)?;
    let count = sample.observed as f64;
    let coefficients = (partials.len() + sample.columns.len()) as f64;
    let constant = count * (1.0 + (TAU / count).ln() + 2.0 * sample.scale.ln());
    let log_likelihood = -0.5 * constant - objective.value;
    let parameters = coefficients + 1.0;
    let left = count - parameters - 1.0;
    let aicc = match left > 0.0 {
        true => 2.0 * parameters * (1.0 + (parameters + 1.0) / left) - 2.0 * log_likelihood,
        false => f64::INFINITY,
    };
    let scales = objective.regression().iter().zip(&sample.column_scales);
    let regression = scales.map(|(value, scale)| value * (sample.scale / scale));
    Some(Estimate {
        regression: regression.collect(),
        sigma: sample.scale * (objective.squares() / (count - coefficients)).sqrt(),
        log_likelihood,
        aicc,
        partials,
    })
}

impl Estimate {
    /// The fitted model.
    pub(super) fn model(self, orders: Orders, terms: &Terms<'_>) -> Arima {
        let mut regression = self.regression;
        let constant = terms.constant.then(|| regression.remove(0));
        Arima {
            orders,
            coefficients: Coefficients::from_partials(&self.partials, &orders),
            constant,
            fourier: terms.fourier,
            regression,
            sigma: self.sigma,
            log_likelihood: self.log_likelihood,
            aicc: self.aicc,
        }
    }
}

impl Arima {
    /// Maximum-likelihood estimate of a model of these orders and terms. NaN in `values` is a missing value.
    pub fn fit(values: &[f64], orders: Orders, terms: &Terms<'_>) -> Result<Self> {
        terms.check(values, &orders)?;
        let columns = terms.columns(&orders, values.len());
        let sample = Sample::new(values, &orders, &columns);
        let parameters = orders.coefficients() + columns.len() + 1;
        if sample.observed < parameters + 2 {
            return Err(Error::new(format!(
                "{orders} has {parameters} parameters to estimate, too many for the {} {} that the series has",
                sample.observed,
                match orders.differences() {
                    0 => "values",
                    _ => "differences",
                }
            )));
        }
        let start = Start::new(&sample, orders.season).partials(&orders);
        let estimate = estimate(&sample, orders, &start, TOLERANCE);
        let estimate = estimate.filter(|found| found.aicc.is_finite());
        let estimate = estimate
            .ok_or_else(|| Error::new(format!("{orders} has no likelihood on this series")))?;
        Ok(estimate.model(orders, terms))
    }

    /// Logarithm of the likelihood of a series at the parameters that the model has, `sigma` among them: that of its
    /// differences, NaN being missing. `None` where there is none: for coefficients that are not stationary, not invertible or
    /// not those of the orders, and regressors that are not those of the model.
    pub fn log_likelihood_of(&self, values: &[f64], regressors: &[Vec<f64>]) -> Option<f64> {
        let level = self.level(regressors, values.len())?;
        let rest = values.iter().zip(level).map(|(value, level)| value - level);
        let sample = Sample::new(&rest.collect::<Vec<_>>(), &self.orders, &[]);
        let partials = self.coefficients.partials()?;
        let mut objective = Objective::new(&sample, self.orders);
        if partials.len() != self.orders.coefficients() || !objective.evaluate(&partials) {
            return None;
        }
        let count = sample.observed as f64;
        let squares = objective.squares() * (sample.scale / self.sigma).powi(2);
        let constant = count * (TAU.ln() + 2.0 * self.sigma.ln());
        Some(-0.5 * (constant + objective.log_determinant() + squares))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::test_series::{mixed, seasonal};
    use super::*;

    fn fit(values: &[f64], orders: Orders, constant: bool) -> Arima {
        let terms = Terms {
            constant,
            ..Terms::default()
        };
        Arima::fit(values, orders, &terms).expect("a model")
    }

    /// No worse than the best that statsmodels 0.15 finds with simple_differencing=True and lbfgs, nm and powell after each
    /// other.
    #[test]
    fn the_optimum_is_no_worse_than_that_of_statsmodels() {
        let orders = |p, d, q| Orders::new(p, d, q);
        let cases = [
            (mixed(130), orders(1, 0, 1), false, -188.62345623),
            (
                seasonal(),
                orders(0, 1, 1).with_season(0, 1, 1, 12),
                false,
                -158.58882919,
            ),
            (
                seasonal(),
                orders(2, 0, 1).with_season(1, 0, 1, 12),
                true,
                -169.94745072,
            ),
            (
                seasonal(),
                orders(1, 1, 2).with_season(1, 1, 0, 12),
                false,
                -147.85308262,
            ),
            (
                seasonal(),
                orders(3, 0, 0).with_season(0, 1, 2, 12),
                true,
                -140.48936252,
            ),
        ];
        for (values, orders, constant, expected) in cases {
            let found = fit(&values, orders, constant);
            assert!(
                found.log_likelihood > expected - 2e-6,
                "{} {}",
                found.name(),
                found.log_likelihood
            );
        }
        let found = fit(&mixed(130), Orders::new(1, 0, 1), false);
        assert!((found.coefficients.ar[0] - 0.5269567).abs() < 1e-4);
        assert!((found.coefficients.ma[0] - 0.5297530).abs() < 1e-4);
        assert!((found.sigma2() * 128.0 / 130.0 - 1.05675039).abs() < 1e-5);
    }

    /// Expected: statsmodels 0.15, SARIMAX with exog.
    #[test]
    fn regression_coefficients_are_those_of_statsmodels() {
        let wave = |step: usize| (std::f64::consts::TAU * step as f64 / 30.0).cos();
        let column: Vec<f64> = (0..130).map(wave).collect();
        let pairs = seasonal().into_iter().zip(&column);
        let values: Vec<f64> = pairs.map(|(value, x)| value + 1.5 * x).collect();
        let terms = Terms {
            regressors: &[column],
            ..Terms::default()
        };
        let orders = Orders::new(1, 0, 1).with_season(0, 1, 1, 12);
        let found = Arima::fit(&values, orders, &terms).expect("a model");
        assert!(found.log_likelihood > -155.82770969281438 - 1e-6);
        assert!(
            (found.regression[0] - 1.4409901657547342).abs() < 1e-3,
            "{found:?}"
        );
    }

    /// Expected: statsmodels 0.15 with NaN for values 11 to 13, 51 and 91.
    #[test]
    fn missing_values_are_left_out() {
        let mut values = mixed(130);
        for index in [10, 11, 12, 50, 90] {
            values[index] = f64::NAN;
        }
        let found = fit(&values, Orders::new(1, 0, 1), false);
        assert!(found.log_likelihood > -182.55569221605057 - 1e-6);
        assert!((found.coefficients.ar[0] - 0.5361).abs() < 1e-3);
    }

    /// What a constant means: the mean, or the growth of a step.
    #[test]
    fn a_constant_is_a_mean_or_a_drift() {
        let noise = mixed(130);
        let level: Vec<f64> = noise.iter().map(|value| value + 1e6).collect();
        let found = fit(&level, Orders::new(1, 0, 1), true);
        let mean = found.constant.expect("a constant");
        let plain = fit(&noise, Orders::new(1, 0, 1), true);
        assert!((mean - 1e6 - plain.constant.expect("a constant")).abs() < 1e-5);
        assert!((found.log_likelihood - plain.log_likelihood).abs() < 1e-4);
        let line: Vec<f64> = (0..130).map(|step| 3.0 + 0.25 * f64::from(step)).collect();
        for orders in [
            Orders::new(0, 1, 0),
            Orders::new(0, 0, 0).with_season(0, 1, 0, 12),
        ] {
            let found = fit(&line, orders, true);
            assert!((found.constant.expect("a constant") - 0.25).abs() < 1e-12);
        }
    }

    /// At the optimum it is that of the estimate, whose variance has the coefficients in its degrees of freedom.
    #[test]
    fn the_likelihood_at_the_optimum_is_that_of_the_estimate() {
        let mut values = mixed(130);
        for gap in [None, Some(40)] {
            if let Some(gap) = gap {
                values[gap] = f64::NAN;
            }
            let mut found = fit(&values, Orders::new(1, 0, 1), true);
            let count = values.iter().filter(|value| !value.is_nan()).count() as f64;
            found.sigma *= ((count - 3.0) / count).sqrt();
            let log_likelihood = found.log_likelihood_of(&values, &[]).expect("one");
            assert!((log_likelihood - found.log_likelihood).abs() < 1e-8);
        }
        let mut found = fit(&mixed(130), Orders::new(1, 0, 1), true);
        assert_eq!(found.log_likelihood_of(&values, &[vec![1.0; 130]]), None);
        found.coefficients.ar.push(0.1);
        assert_eq!(found.log_likelihood_of(&values, &[]), None);
        found.coefficients.ar = vec![1.1];
        assert_eq!(found.log_likelihood_of(&values, &[]), None);
    }

    /// The unit of the values changes what has their unit, and nothing else.
    #[test]
    fn huge_and_tiny_values_are_fitted_alike() {
        let plain = fit(&seasonal(), Orders::new(1, 1, 1), false);
        for unit in [1e300, 1e-300] {
            let values: Vec<f64> = seasonal().iter().map(|value| value * unit).collect();
            let found = fit(&values, Orders::new(1, 1, 1), false);
            assert!((found.coefficients.ar[0] - plain.coefficients.ar[0]).abs() < 1e-6);
            assert!((found.sigma / unit - plain.sigma).abs() < 1e-6);
            assert!(found.log_likelihood.is_finite());
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_an_error() {
        let terms = Terms::default();
        let error = |values: &[f64], orders: Orders, terms: &Terms<'_>| {
            let fitted = Arima::fit(values, orders, terms);
            fitted.expect_err("an error").to_string()
        };
        let few = error(&[1.0, 2.0, 4.0], Orders::new(1, 0, 1), &terms);
        assert!(few.contains("3 values"), "{few}");
        assert!(error(&[f64::NAN; 9], Orders::new(0, 0, 1), &terms).contains("0 values"));
        assert!(error(&[], Orders::new(0, 1, 1), &terms).contains("0 differences"));
        let infinite = error(&[1.0, f64::INFINITY], Orders::new(0, 0, 0), &terms);
        assert!(infinite.contains("value 2"), "{infinite}");
        let short = Terms {
            regressors: &[vec![1.0; 3]],
            ..Terms::default()
        };
        assert!(error(&[1.0; 9], Orders::new(0, 0, 0), &short).contains("regressor 1"));
        let constant = Terms {
            constant: true,
            ..Terms::default()
        };
        assert!(error(&[1.0; 9], Orders::new(0, 2, 0), &constant).contains("leave it out"));
    }
}

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
}

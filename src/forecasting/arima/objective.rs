/*!
What an estimation makes small: the likelihood of a sample, with the variance of the innovations taken out.
*/

use super::kalman;
use super::likelihood;
use super::orders::Orders;
use super::sample::Sample;

/// Minus the logarithm of the likelihood, less what does not depend on the parameters, with its residuals.
#[derive(Debug)]
pub(super) struct Objective<'a> {
    sample: &'a Sample,
    computation: Computation<'a>,
    /// Value at the point evaluated last.
    pub value: f64,
    /// Residuals there, scaled so that the value is half the number of observations times the logarithm of the sum of their
    /// squares.
    pub residuals: Vec<f64>,
}

#[derive(Debug)]
enum Computation<'a> {
    Complete(Box<likelihood::Likelihood<'a>>),
    Gaps(Box<kalman::Likelihood<'a>>),
}

impl<'a> Objective<'a> {
    /// Objective for a sample.
    pub(super) fn new(sample: &'a Sample, orders: Orders) -> Self {
        let computation = match sample.complete() {
            true => Computation::Complete(Box::new(likelihood::Likelihood::new(sample, orders))),
            false => Computation::Gaps(Box::new(kalman::Likelihood::new(sample, orders))),
        };
        Objective {
            sample,
            computation,
            value: f64::INFINITY,
            residuals: Vec::new(),
        }
    }

    /// Evaluation at partial autocorrelations. False where there is no likelihood.
    pub(super) fn evaluate(&mut self, partials: &[f64]) -> bool {
        let (found, residuals, log_determinant) = match &mut self.computation {
            Computation::Complete(all) => {
                let found = all.evaluate(partials);
                (found, &all.residuals, all.log_determinant)
            }
            Computation::Gaps(all) => {
                let found = all.evaluate(partials);
                (found, &all.residuals, all.log_determinant)
            }
        };
        if !found {
            self.value = f64::INFINITY;
            return false;
        }
        let count = self.sample.observed as f64;
        let factor = (log_determinant / (2.0 * count)).exp();
        self.residuals.clear();
        self.residuals
            .extend(residuals.iter().map(|residual| residual * factor));
        let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
        let squares = squares.max(self.sample.least_squares);
        self.value = 0.5 * (count * squares.ln() + log_determinant);
        self.value.is_finite()
    }

    /// Number of values that are known.
    pub(super) fn observed(&self) -> f64 {
        self.sample.observed as f64
    }

    /// Regression coefficients at the point evaluated last, in the unit of the sample's columns.
    pub(super) fn regression(&self) -> &[f64] {
        match &self.computation {
            Computation::Complete(all) => &all.regression,
            Computation::Gaps(all) => &all.regression,
        }
    }

    /// Logarithm of the determinant of the covariance of the values at the point evaluated last, where innovations have
    /// variance 1.
    pub(super) fn log_determinant(&self) -> f64 {
        match &self.computation {
            Computation::Complete(all) => all.log_determinant,
            Computation::Gaps(all) => all.log_determinant,
        }
    }

    /// Sum of the squared residuals at the point evaluated last, with the variance of an innovation as unit.
    pub(super) fn squares(&self) -> f64 {
        let residuals = match &self.computation {
            Computation::Complete(all) => &all.residuals,
            Computation::Gaps(all) => &all.residuals,
        };
        let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
        squares.max(self.sample.least_squares)
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::super::super::test_series::{mixed, seasonal};
    use super::super::coefficients::Coefficients;
    use super::*;

    /// Logarithm of the likelihood at coefficients in the order ar, seasonal ar, ma, seasonal ma.
    fn log_likelihood(values: &[f64], orders: Orders, parts: [&[f64]; 4]) -> f64 {
        let [ar, seasonal_ar, ma, seasonal_ma] = parts.map(<[f64]>::to_vec);
        let coefficients = Coefficients {
            ar,
            ma,
            seasonal_ar,
            seasonal_ma,
        };
        let point = coefficients.partials().expect("stationary");
        let sample = Sample::new(values, &orders, &[]);
        let mut objective = Objective::new(&sample, orders);
        assert!(objective.evaluate(&point));
        let count = sample.observed as f64;
        -0.5 * count * (1.0 + (TAU / count).ln() + 2.0 * sample.scale.ln()) - objective.value
    }

    fn near(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
    }

    /// Expected: statsmodels 0.15, SARIMAX(simple_differencing=True, concentrate_scale=True).loglike at these parameters.
    #[test]
    fn the_likelihood_is_that_of_statsmodels() {
        let found = log_likelihood(
            &mixed(130),
            Orders::new(1, 0, 1),
            [&[0.5], &[], &[0.3], &[]],
        );
        near(found, -192.5117955326734);
        let orders = Orders::new(2, 1, 1).with_season(1, 1, 1, 12);
        let parts = [&[0.3, -0.2][..], &[0.2], &[-0.5], &[-0.6]];
        near(
            log_likelihood(&seasonal(), orders, parts),
            -164.12367121244577,
        );
        let orders = Orders::new(0, 1, 1).with_season(0, 1, 2, 12);
        let parts = [&[][..], &[], &[-0.4], &[-0.5, -0.1]];
        near(
            log_likelihood(&seasonal(), orders, parts),
            -176.5667953573726,
        );
    }

    /// Expected: the same, with values 11 to 13, 51 and 91 missing.
    #[test]
    fn the_likelihood_with_gaps_is_that_of_statsmodels() {
        let mut values = mixed(130);
        for index in [10, 11, 12, 50, 90] {
            values[index] = f64::NAN;
        }
        let found = log_likelihood(&values, Orders::new(1, 0, 1), [&[0.5], &[], &[0.3], &[]]);
        near(found, -185.7638301524933);
    }

    /// The two computations of a series without gaps, and of one that is shorter than the state.
    #[test]
    fn both_computations_agree() {
        let series = seasonal();
        let point = [0.3, 0.6, -0.2, 0.4, 0.5, 0.7, 0.2];
        let orders = Orders::new(2, 0, 2).with_season(1, 0, 2, 12);
        for count in [1, 2, 13, 24, 26, 130] {
            let values = &series[..count];
            let ones = vec![1.0; count];
            let steps: Vec<f64> = (0..count).map(|step| (step as f64).sin()).collect();
            let columns = if count > 3 {
                vec![ones, steps]
            } else {
                vec![ones]
            };
            let sample = Sample::new(values, &orders, &columns);
            let mut complete = likelihood::Likelihood::new(&sample, orders);
            let mut gaps = kalman::Likelihood::new(&sample, orders);
            assert!(complete.evaluate(&point) && gaps.evaluate(&point));
            let difference = complete.log_determinant - gaps.log_determinant;
            assert!(difference.abs() < 1e-8, "{count} {difference}");
            for (a, b) in complete.regression.iter().zip(&gaps.regression) {
                assert!((a - b).abs() < 1e-8, "{count} {a} {b}");
            }
            let squares = |all: &[f64]| all.iter().map(|x| x * x).sum::<f64>();
            let (a, b) = (squares(&complete.residuals), squares(&gaps.residuals));
            assert!((a - b).abs() < 1e-8 * (a + b) + 1e-20, "{count} {a} {b}");
        }
    }
}

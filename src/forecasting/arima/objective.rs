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

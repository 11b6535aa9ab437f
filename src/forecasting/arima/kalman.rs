/*!
Kalman filter of an ARMA: the likelihood of a series with gaps, and what is expected of each value from those before it.

In the form of [`super::state`], with one source of noise, the covariance of the state decays to zero where no value is
missing; from there on nothing but the few terms of the polynomials is left to compute (the steady state of Gardner, Harvey
and Phillips 1980).
*/

use super::cholesky::{dot, factorize, solve_lower, solve_upper};
use super::coefficients::Coefficients;
use super::orders::Orders;
use super::sample::Sample;
use super::state::State;

/// Variance of a state that counts for nothing beside that of an innovation, 1.
const SETTLED: f64 = 1e-12;

/// Filter of several series with the same gaps: their states, and the covariance that these share.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    /// Number of elements of a state.
    pub size: usize,
    /// Covariance of the errors of a state, row by row, of which the upper triangle counts.
    pub covariance: Vec<f64>,
    /// Whether the covariance is zero.
    pub settled: bool,
    states: Vec<Vec<f64>>,
    ar: Vec<f64>,
    /// φ + θ, what an innovation adds to the state.
    impact: Vec<f64>,
    first: Vec<f64>,
    drive: Vec<f64>,
}

impl Filter {
    /// Filter of so many series, before the first value.
    pub(super) fn new(state: &State, series: usize) -> Self {
        let size = state.ar.len();
        Filter {
            size,
            covariance: state.covariance.clone(),
            settled: size == 0,
            states: vec![vec![0.0; size]; series],
            ar: state.ar.clone(),
            impact: state.ar.iter().zip(&state.ma).map(|(a, m)| a + m).collect(),
            first: vec![0.0; size + 1],
            drive: vec![0.0; size],
        }
    }

    /// Expectation of the next value of a series.
    pub(super) fn expected(&self, series: usize) -> f64 {
        self.states[series].first().copied().unwrap_or(0.0)
    }

    /// Variance of the next value around its expectation, in units of that of an innovation.
    pub(super) fn variance(&self) -> f64 {
        match self.settled {
            true => 1.0,
            false => 1.0 + self.covariance[0],
        }
    }

    /// A step on: `errors` are the values less their expectations, none where they are missing.
    pub(super) fn step(&mut self, errors: Option<&[f64]>) {
        let size = self.size;
        if size == 0 {
            return;
        }
        let variance = self.variance();
        if self.settled {
            self.drive.copy_from_slice(&self.impact);
        } else {
            for row in 0..size {
                self.first[row] = self.covariance[row];
            }
            for row in 0..size {
                self.drive[row] =
                    self.first[row + 1] + self.ar[row] * self.first[0] + self.impact[row];
            }
        }
        for (series, state) in self.states.iter_mut().enumerate() {
            let expected = state[0];
            state.copy_within(1.., 0);
            state[size - 1] = 0.0;
            let error = errors.map_or(0.0, |errors| errors[series] / variance);
            let added = self.ar.iter().zip(&self.drive);
            for (element, (ar, drive)) in state.iter_mut().zip(added) {
                *element += ar * expected + drive * error;
            }
        }
        match (self.settled, errors) {
            (true, Some(_)) => {}
            (true, None) => {
                self.covariance.fill(0.0);
                self.first.fill(0.0);
                self.advance(None);
                self.settled = false;
            }
            (false, Some(_)) => {
                self.advance(Some(variance));
                let trace = (0..size).map(|row| self.covariance[row * size + row]);
                self.settled = trace.sum::<f64>() < SETTLED;
            }
            (false, None) => self.advance(None),
        }
    }

    /// Covariance of the next state, from that of this one, whose first row is kept aside.
    fn advance(&mut self, variance: Option<f64>) {
        let (size, ar, impact, first) = (self.size, &self.ar, &self.impact, &self.first);
        for row in 0..size {
            let known = variance.map_or(0.0, |variance| self.drive[row] / variance);
            let across = first[row + 1] + ar[row] * first[0];
            let (current, below) = self.covariance.split_at_mut((row + 1) * size);
            let current = &mut current[row * size..];
            for column in row..size {
                let after = match row + 1 < size && column + 1 < size {
                    true => below[column + 1],
                    false => 0.0,
                };
                current[column] = after
                    + ar[row] * first[column + 1]
                    + ar[column] * across
                    + impact[row] * impact[column]
                    - known * self.drive[column];
            }
        }
    }
}

/// Likelihood of a sample with gaps as a function of partial autocorrelations.
#[derive(Debug)]
pub(super) struct Likelihood<'a> {
    sample: &'a Sample,
    orders: Orders,
    state: State,
    coefficients: Coefficients,
    /// Standardized innovations of the values and of each column, one after the other.
    innovations: Vec<Vec<f64>>,
    /// Regression coefficients, in the unit of the sample's columns.
    pub regression: Vec<f64>,
    /// Standardized innovations of the values less the regression; 0 where a value is missing.
    pub residuals: Vec<f64>,
    /// Logarithm of the determinant of the covariance of the values, where innovations have variance 1.
    pub log_determinant: f64,
}

impl<'a> Likelihood<'a> {
    /// Likelihood of a sample that may have gaps.
    pub(super) fn new(sample: &'a Sample, orders: Orders) -> Self {
        Likelihood {
            sample,
            orders,
            state: State::default(),
            coefficients: Coefficients::default(),
            innovations: vec![Vec::new(); sample.columns.len() + 1],
            regression: Vec::new(),
            residuals: Vec::new(),
            log_determinant: 0.0,
        }
    }

    /// Computation of everything at these partial autocorrelations. False where there is no likelihood.
    pub(super) fn evaluate(&mut self, partials: &[f64]) -> bool {
        self.coefficients.set_partials(partials, &self.orders);
        if !self.state.set(&self.coefficients, &self.orders) {
            return false;
        }
        let columns = self.sample.columns.len();
        let mut filter = Filter::new(&self.state, columns + 1);
        let mut errors = vec![0.0; columns + 1];
        self.innovations.iter_mut().for_each(Vec::clear);
        self.log_determinant = 0.0;
        for (time, value) in self.sample.values.iter().enumerate() {
            if value.is_nan() {
                filter.step(None);
                self.innovations.iter_mut().for_each(|all| all.push(0.0));
                continue;
            }
            let variance = filter.variance();
            let deviation = variance.sqrt();
            self.log_determinant += variance.ln();
            for (series, error) in errors.iter_mut().enumerate() {
                let value = match series {
                    0 => *value,
                    _ => self.sample.columns[series - 1][time],
                };
                *error = value - filter.expected(series);
                self.innovations[series].push(*error / deviation);
            }
            filter.step(Some(&errors));
        }
        self.log_determinant.is_finite() && self.regress()
    }

    /// Least squares of the values' innovations on those of the columns, and what it leaves.
    fn regress(&mut self) -> bool {
        let count = self.sample.columns.len();
        let (values, columns) = self.innovations.split_at(1);
        let mut normal = vec![0.0; count * count];
        for row in 0..count {
            for column in 0..=row {
                normal[row * count + column] = dot(&columns[row], &columns[column]);
            }
        }
        if !factorize(&mut normal, count) {
            return false;
        }
        let regression = &mut self.regression;
        regression.clear();
        regression.extend(columns.iter().map(|column| dot(&values[0], column)));
        solve_lower(&normal, count, regression);
        solve_upper(&normal, count, regression);
        self.residuals.clone_from(&values[0]);
        for (column, weight) in columns.iter().zip(regression) {
            for (residual, value) in self.residuals.iter_mut().zip(column) {
                *residual -= *weight * value;
            }
        }
        self.residuals.iter().all(|value| value.is_finite())
    }
}

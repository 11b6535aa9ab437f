/*!
Exact Gaussian likelihood of a seasonal ARMA with regressors on a series without gaps.

With the state c before the first value known, the innovations are those of a filter with zeros before the beginning:
e = e0 − Z c, where e0 = θ(B)⁻¹ φ(B) w and the columns of Z are the impulse response of 1/θ(B), each a step later. So the
likelihood is that of a regression on c ~ N(0, C) (the form of Ljung and Box 1979 and of the diffuse filter of de Jong
1991), and its work, beside a few filters that cost as much as conditional least squares, does not depend on the length of
the series: Zᵀe0 and the first column of ZᵀZ are filters taken backward, and the other elements of ZᵀZ follow from those
before them on the diagonal. Where the impulse response has decayed, they all are constant: the steady state.
*/

use super::cholesky::{dot, factorize, solve_lower, solve_upper};
use super::coefficients::Coefficients;
use super::filters::{divide, multiply};
use super::orders::Orders;
use super::sample::Sample;
use super::state::State;

/// Size of an impulse response that counts for nothing.
const DECAYED: f64 = 1e-14;

/// Likelihood of a sample as a function of partial autocorrelations, with the room that its computation needs.
#[derive(Debug)]
pub(super) struct Likelihood<'a> {
    sample: &'a Sample,
    orders: Orders,
    coefficients: Coefficients,
    state: State,
    /// Size of the state, no longer than the series.
    size: usize,
    /// φ(B) of the values and of each column, and θ(B)⁻¹ of that.
    filtered: Vec<Vec<f64>>,
    innovations: Vec<Vec<f64>>,
    /// Zᵀ of the innovations of each column, then L Zᵀ, then what the factor of the system leaves of it.
    projections: Vec<Vec<f64>>,
    impulse: Vec<f64>,
    backward: Vec<f64>,
    gram: Vec<f64>,
    root: Vec<f64>,
    product: Vec<f64>,
    system: Vec<f64>,
    /// Regression coefficients, in the unit of the sample's columns.
    pub regression: Vec<f64>,
    /// Innovations, and after them the state before the beginning in units of its own deviation: the likelihood is that of
    /// their sum of squares, and of `log_determinant`.
    pub residuals: Vec<f64>,
    /// Logarithm of the determinant of the covariance of the values, where innovations have variance 1.
    pub log_determinant: f64,
}

impl<'a> Likelihood<'a> {
    /// Likelihood of a sample without gaps.
    pub(super) fn new(sample: &'a Sample, orders: Orders) -> Self {
        let columns = sample.columns.len() + 1;
        let size = State::size(&orders).min(sample.values.len());
        Likelihood {
            sample,
            orders,
            coefficients: Coefficients::default(),
            state: State::default(),
            size,
            filtered: vec![Vec::new(); columns],
            innovations: vec![Vec::new(); columns],
            projections: vec![Vec::new(); columns],
            impulse: Vec::new(),
            backward: Vec::new(),
            gram: vec![0.0; size * size],
            root: vec![0.0; size * size],
            product: vec![0.0; size * size],
            system: vec![0.0; size * size],
            regression: Vec::new(),
            residuals: Vec::new(),
            log_determinant: 0.0,
        }
    }

    /// Computation of everything at these partial autocorrelations. False where there is no likelihood.
    pub(super) fn evaluate(&mut self, partials: &[f64]) -> bool {
        self.coefficients.set_partials(partials, &self.orders);
        self.filter();
        self.log_determinant = 0.0;
        if self.size > 0 {
            if !self.state.set(&self.coefficients, &self.orders) {
                return false;
            }
            self.set_gram();
            if !self.set_system() {
                return false;
            }
        }
        self.set_regression() && self.set_residuals()
    }

    /// Filters of the values and of each column.
    fn filter(&mut self) {
        let (season, coefficients) = (self.orders.season, &self.coefficients);
        let columns = std::iter::once(&self.sample.values).chain(&self.sample.columns);
        let out = self.filtered.iter_mut().zip(&mut self.innovations);
        for (column, (filtered, innovations)) in columns.zip(out) {
            filtered.clone_from(column);
            multiply(
                filtered,
                &coefficients.ar,
                &coefficients.seasonal_ar,
                season,
            );
            innovations.clone_from(filtered);
            divide(
                innovations,
                &coefficients.ma,
                &coefficients.seasonal_ma,
                season,
            );
        }
    }

    /// θ(B)⁻¹ of the first `count` numbers of a series, taken backward: the first of them are left in `backward`, the last
    /// first.
    fn divide_backward(&mut self, count: usize, of: impl Fn(&Self) -> &[f64]) {
        let mut backward = std::mem::take(&mut self.backward);
        backward.clear();
        backward.extend(of(self)[..count].iter().rev());
        let coefficients = &self.coefficients;
        divide(
            &mut backward,
            &coefficients.ma,
            &coefficients.seasonal_ma,
            self.orders.season,
        );
        self.backward = backward;
    }

    /// ZᵀZ, and Zᵀ of the innovations of each column.
    fn set_gram(&mut self) {
        let (length, size) = (self.sample.values.len(), self.size);
        self.impulse.clear();
        self.impulse.resize(length, 0.0);
        self.impulse[0] = 1.0;
        let coefficients = &self.coefficients;
        divide(
            &mut self.impulse,
            &coefficients.ma,
            &coefficients.seasonal_ma,
            self.orders.season,
        );
        let decayed = self.impulse.iter().rposition(|x| x.abs() > DECAYED);
        let count = (decayed.map_or(1, |last| last + 1) + size).min(length);
        self.divide_backward(count, |own| &own.impulse);
        let first = self.backward.iter().rev();
        for (out, value) in self.gram.iter_mut().zip(first).take(size) {
            *out = *value;
        }
        for row in 1..size {
            let end = self.impulse[length - row];
            for column in row..size {
                let before = self.gram[(row - 1) * size + column - 1];
                self.gram[row * size + column] = before - end * self.impulse[length - column];
            }
            for column in 0..row {
                self.gram[row * size + column] = self.gram[column * size + row];
            }
        }
        for index in 0..self.innovations.len() {
            self.divide_backward(count, |own| &own.innovations[index]);
            let projection = &mut self.projections[index];
            projection.clear();
            projection.extend(self.backward.iter().rev().take(size));
        }
    }

    /// Factor L of the covariance of the state, that of the system 1 + Lᵀ ZᵀZ L, and what it leaves of the projections.
    fn set_system(&mut self) -> bool {
        let (size, full) = (self.size, self.state.ar.len());
        for row in 0..size {
            let line = &self.state.covariance[row * full..][..size];
            self.root[row * size..][..size].copy_from_slice(line);
        }
        if !factorize(&mut self.root, size) {
            return false;
        }
        // gram · L, and Lᵀ of that: only the lower triangle of L is not zero.
        self.product.fill(0.0);
        self.system.fill(0.0);
        for row in 0..size {
            for inner in 0..size {
                let weight = self.gram[row * size + inner];
                let line = &self.root[inner * size..][..=inner];
                let out = &mut self.product[row * size..][..=inner];
                for (out, value) in out.iter_mut().zip(line) {
                    *out += weight * value;
                }
            }
            for column in 0..=row {
                let weight = self.root[row * size + column];
                let line = &self.product[row * size..][..=column];
                let out = &mut self.system[column * size..][..=column];
                for (out, value) in out.iter_mut().zip(line) {
                    *out += weight * value;
                }
            }
        }
        for row in 0..size {
            self.system[row * size + row] += 1.0;
        }
        if !factorize(&mut self.system, size) {
            return false;
        }
        let diagonal = (0..size).map(|row| self.system[row * size + row]);
        self.log_determinant = 2.0 * diagonal.map(f64::ln).sum::<f64>();
        for projection in &mut self.projections {
            transpose_multiply(&self.root, size, projection);
            solve_lower(&self.system, size, projection);
        }
        self.log_determinant.is_finite()
    }

    /// Generalized least squares of the values on the columns.
    fn set_regression(&mut self) -> bool {
        let count = self.sample.columns.len();
        self.regression.clear();
        if count == 0 {
            return true;
        }
        let product = |a: usize, b: usize| {
            let state = dot(&self.projections[a], &self.projections[b]);
            dot(&self.innovations[a], &self.innovations[b]) - state
        };
        let mut normal = vec![0.0; count * count];
        for row in 0..count {
            for column in 0..=row {
                normal[row * count + column] = product(row + 1, column + 1);
            }
        }
        self.regression
            .extend((0..count).map(|row| product(0, row + 1)));
        if !factorize(&mut normal, count) {
            return false;
        }
        solve_lower(&normal, count, &mut self.regression);
        solve_upper(&normal, count, &mut self.regression);
        self.regression.iter().all(|value| value.is_finite())
    }

    /// Innovations given all values, and the state before them.
    fn set_residuals(&mut self) -> bool {
        let size = self.size;
        let (values, columns) = self.filtered.split_at_mut(1);
        let (projection, projections) = self.projections.split_at_mut(1);
        for (index, weight) in self.regression.iter().enumerate() {
            subtract(&mut values[0], &columns[index], *weight);
            subtract(&mut projection[0], &projections[index], *weight);
        }
        let (residuals, start) = (&mut self.residuals, &mut projection[0]);
        residuals.clone_from(&values[0]);
        if size > 0 {
            solve_upper(&self.system, size, start);
            for (row, residual) in residuals.iter_mut().enumerate().take(size) {
                *residual -= dot(&self.root[row * size..][..=row], &start[..=row]);
            }
        }
        let coefficients = &self.coefficients;
        divide(
            residuals,
            &coefficients.ma,
            &coefficients.seasonal_ma,
            self.orders.season,
        );
        residuals.extend_from_slice(&start[..size]);
        true
    }
}

/// Subtraction of a multiple.
fn subtract(values: &mut [f64], others: &[f64], weight: f64) {
    for (value, other) in values.iter_mut().zip(others) {
        *value -= weight * other;
    }
}

/// Replacement of a vector by Lᵀ of it.
fn transpose_multiply(lower: &[f64], size: usize, vector: &mut [f64]) {
    for row in 0..size {
        let weight = vector[row];
        vector[row] = 0.0;
        for (out, value) in vector[..=row].iter_mut().zip(&lower[row * size..]) {
            *out += weight * value;
        }
    }
}

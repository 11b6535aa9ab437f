/*!
State of an ARMA process: what its past adds to each of its next values.

With c_i = Σ_(j ≥ i) φ_j w_(i−j) + Σ_(j ≥ i) θ_j e_(i−j) for i = 1 … r, where r is the longest lag, and times before 1 are
the past, the process goes on by w = c_1 + e and c_i ← c_(i+1) + φ_i w + θ_i e. Its innovations have variance 1 here.
*/

use super::coefficients::Coefficients;
use super::orders::Orders;

/// Multiplied polynomials of a process, and the covariance of its state when nothing of the past is known.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Autoregressive coefficients φ from lag 1, as many as the state has numbers.
    pub ar: Vec<f64>,
    /// Moving-average coefficients θ from lag 1, as many.
    pub ma: Vec<f64>,
    /// Covariance of the state, row by row, symmetric.
    pub covariance: Vec<f64>,
    rows: Vec<f64>,
    plain: Vec<f64>,
    mixed: Vec<f64>,
    weights: Vec<f64>,
    first: Vec<f64>,
}

impl State {
    /// Size of the state of these orders.
    pub(super) fn size(orders: &Orders) -> usize {
        orders.longest_ar().max(orders.longest_ma())
    }

    /// Replacement of everything by that of other coefficients. False if the process is not stationary.
    pub(super) fn set(&mut self, coefficients: &Coefficients, orders: &Orders) -> bool {
        let size = State::size(orders);
        coefficients.multiplied_ar(orders.season, size, &mut self.ar);
        coefficients.multiplied_ma(orders.season, size, &mut self.ma);
        self.first.clear();
        self.first.resize(size + 1, 0.0);
        if orders.longest_ar() > 0 && !self.set_first_row(orders) {
            return false;
        }
        self.set_covariance(size);
        true
    }

    /// Covariances of the first number of the state with each, which are those of the next value with what the past adds to
    /// the values from it on.
    fn set_first_row(&mut self, orders: &Orders) -> bool {
        let size = self.ar.len();
        if !self.set_plain_autocovariances(orders) {
            return false;
        }
        self.set_mixed_autocovariances(orders, size);
        self.weights.clear();
        self.weights.push(1.0);
        let lags = nonzero(&self.ar);
        for time in 1..=size {
            let past = lags.iter().take_while(|(lag, _)| *lag <= time);
            let sum: f64 = past.map(|(lag, v)| v * self.weights[time - lag]).sum();
            self.weights.push(self.ma[time - 1] + sum);
        }
        for (lag, value) in lags {
            for row in 0..lag {
                self.first[row] += value * self.mixed[lag - row];
            }
        }
        for (lag, value) in nonzero(&self.ma) {
            for row in 0..lag {
                self.first[row] += value * self.weights[lag - row];
            }
        }
        true
    }

    /// Autocovariances of the autoregression without its moving average, from the rows of the Durbin–Levinson recursion taken
    /// backward.
    fn set_plain_autocovariances(&mut self, orders: &Orders) -> bool {
        let order = orders.longest_ar();
        let start = |count: usize| count * (count - 1) / 2;
        self.rows.clear();
        self.rows.resize(order * (order + 1) / 2, 0.0);
        self.rows[start(order)..].copy_from_slice(&self.ar[..order]);
        let mut variance = 1.0;
        for count in (1..=order).rev() {
            let (below, row) = self.rows.split_at_mut(start(count));
            let partial = row[count - 1];
            let remainder = 1.0 - partial * partial;
            if remainder.is_nan() || remainder <= 0.0 {
                return false;
            }
            variance /= remainder;
            if count > 1 {
                let below = &mut below[start(count - 1)..];
                let pairs = row[..count - 1].iter().zip(row[..count - 1].iter().rev());
                for (out, (low, high)) in below.iter_mut().zip(pairs) {
                    *out = (low + partial * high) / remainder;
                }
            }
        }
        let plain = &mut self.plain;
        plain.clear();
        plain.push(variance);
        for count in 1..=order {
            let row = &self.rows[start(count)..start(count) + count];
            let sum = row.iter().zip(plain.iter().rev()).map(|(a, g)| a * g).sum();
            plain.push(sum);
        }
        let lags = nonzero(&self.ar);
        for lag in order + 1..=self.ar.len() + orders.longest_ma() {
            plain.push(lags.iter().map(|(back, v)| v * plain[lag - back]).sum());
        }
        variance.is_finite()
    }

    /// Autocovariances of the process from lag 0 to `longest`, from those of its autoregression.
    fn set_mixed_autocovariances(&mut self, orders: &Orders, longest: usize) {
        let moving = orders.longest_ma();
        let lags = nonzero(&self.ma);
        let mut products = vec![0.0; moving + 1];
        products[0] = 1.0;
        for (lag, value) in &lags {
            products[*lag] += value;
            for (other, factor) in lags.iter().take_while(|(other, _)| other <= lag) {
                products[lag - other] += value * factor;
            }
        }
        self.mixed.clear();
        for lag in 0..=longest {
            let mut sum = products[0] * self.plain[lag];
            for (shift, product) in products.iter().enumerate().skip(1) {
                sum += product * (self.plain[lag + shift] + self.plain[lag.abs_diff(shift)]);
            }
            self.mixed.push(sum);
        }
    }

    /// Covariance from its first row: stationary, it is that of the next state, whose rows follow from those below them.
    fn set_covariance(&mut self, size: usize) {
        let (ar, ma, first) = (&self.ar, &self.ma, &self.first);
        self.covariance.clear();
        self.covariance.resize(size * size, 0.0);
        for row in (0..size).rev() {
            for column in row..size {
                let after = match column + 1 < size {
                    true => self.covariance[(row + 1) * size + column + 1],
                    false => 0.0,
                };
                let value = after
                    + ar[row] * first[column + 1]
                    + ar[column] * first[row + 1]
                    + ar[row] * ar[column] * first[0]
                    + (ar[row] + ma[row]) * (ar[column] + ma[column]);
                self.covariance[row * size + column] = value;
            }
        }
        for row in 0..size {
            for column in 0..row {
                self.covariance[row * size + column] = self.covariance[column * size + row];
            }
        }
    }
}

/// Lags, from 1, of the coefficients that are not 0.
fn nonzero(values: &[f64]) -> Vec<(usize, f64)> {
    let lags = (1..).zip(values.iter().copied());
    lags.filter(|(_, value)| *value != 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(ar: &[f64], ma: &[f64]) -> State {
        let coefficients = Coefficients {
            ar: ar.to_vec(),
            ma: ma.to_vec(),
            ..Coefficients::default()
        };
        let mut state = State::default();
        assert!(state.set(&coefficients, &Orders::new(ar.len(), 0, ma.len())));
        state
    }

    /// AR(1): c = φ w, and the variance of w is 1 / (1 − φ²).
    #[test]
    fn an_autoregression_has_the_variance_of_the_textbook() {
        let found = state(&[0.8], &[]).covariance[0];
        assert!((found - 0.64 / 0.36).abs() < 1e-12, "{found}");
    }

    /// MA(2): c = (θ1 e0 + θ2 e−1, θ2 e0).
    #[test]
    fn a_moving_average_has_the_covariance_of_its_innovations() {
        let found = state(&[], &[0.5, 0.4]).covariance;
        for (a, b) in found.iter().zip([0.25 + 0.16, 0.2, 0.2, 0.16]) {
            assert!((a - b).abs() < 1e-15);
        }
    }

    /// ARMA(1,1): the variance of w is (1 + 2 φθ + θ²) / (1 − φ²), of which 1 is of the next innovation.
    #[test]
    fn a_mixed_process_has_the_variance_of_the_textbook() {
        let found = state(&[0.7], &[0.4]).covariance[0] + 1.0;
        let expected = (1.0 + 2.0 * 0.28 + 0.16) / (1.0 - 0.49);
        assert!((found - expected).abs() < 1e-12);
    }

    /// The covariance does not change when the process goes a step on: its first row is what it was computed from.
    #[test]
    fn the_covariance_is_stationary() {
        let state = state(&[0.5, -0.3, 0.2], &[0.6, 0.3, -0.2, 0.5]);
        for (a, b) in state.covariance.iter().zip(&state.first[..4]) {
            assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn an_explosive_process_is_refused() {
        let coefficients = Coefficients {
            ar: vec![1.01],
            ..Coefficients::default()
        };
        assert!(!State::default().set(&coefficients, &Orders::new(1, 0, 0)));
    }
}

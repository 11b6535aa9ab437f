/*!
Coefficients of a seasonal ARMA, and the partial autocorrelations that are estimated in their place: between −1 and 1 each
of them makes a stationary and invertible process (Barndorff-Nielsen and Schou 1973; Jones 1980; Monahan 1984).
*/

use serde::{Deserialize, Serialize};

use super::orders::Orders;

/// Coefficients of (1 − Σ ar B^i)(1 − Σ seasonal_ar B^(s·i)) w = (1 + Σ ma B^i)(1 + Σ seasonal_ma B^(s·i)) e, where B is the
/// step backward and s the season.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Coefficients {
    /// Autoregressive coefficients, from lag 1.
    pub ar: Vec<f64>,
    /// Moving-average coefficients, from lag 1.
    pub ma: Vec<f64>,
    /// Autoregressive coefficients at whole seasons, from one season.
    pub seasonal_ar: Vec<f64>,
    /// Moving-average coefficients at whole seasons, from one season.
    pub seasonal_ma: Vec<f64>,
}

/// Lengths of the four parts of a vector of partial autocorrelations, in their order there.
pub(super) fn lengths(orders: &Orders) -> [usize; 4] {
    [orders.p, orders.seasonal_p, orders.q, orders.seasonal_q]
}

impl Coefficients {
    /// Coefficients of a vector of partial autocorrelations: of ar, seasonal_ar, and of ma and seasonal_ma with the sign
    /// turned.
    pub(super) fn from_partials(partials: &[f64], orders: &Orders) -> Self {
        let mut coefficients = Coefficients::default();
        coefficients.set_partials(partials, orders);
        coefficients
    }

    /// Replacement of the coefficients by those of other partial autocorrelations, without allocation.
    pub(super) fn set_partials(&mut self, partials: &[f64], orders: &Orders) {
        let [p, seasonal_p, q, _] = lengths(orders);
        let (ar, rest) = partials.split_at(p);
        let (seasonal_ar, rest) = rest.split_at(seasonal_p);
        let (ma, seasonal_ma) = rest.split_at(q);
        durbin_levinson(ar, &mut self.ar);
        durbin_levinson(seasonal_ar, &mut self.seasonal_ar);
        durbin_levinson(ma, &mut self.ma);
        durbin_levinson(seasonal_ma, &mut self.seasonal_ma);
        let moving = self.ma.iter_mut().chain(&mut self.seasonal_ma);
        moving.for_each(|value| *value = -*value);
    }

    /// Partial autocorrelations of the coefficients, in the order of [`Coefficients::from_partials`]; `None` if the process is
    /// not stationary or not invertible.
    pub(super) fn partials(&self) -> Option<Vec<f64>> {
        let turned = |values: &[f64]| values.iter().map(|value| -value).collect::<Vec<f64>>();
        let parts = [
            partials(&self.ar)?,
            partials(&self.seasonal_ar)?,
            partials(&turned(&self.ma))?,
            partials(&turned(&self.seasonal_ma))?,
        ];
        Some(parts.concat())
    }

    /// Whether every root of a polynomial has a modulus above its margin, 1 for just stationary or invertible; of the seasonal
    /// ones the roots in B^s. The margins are of ar, seasonal_ar, ma and seasonal_ma.
    pub(super) fn roots_beyond(&self, margins: [f64; 4]) -> bool {
        let beyond = |values: &[f64], sign: f64, margin: f64| {
            let scaled = values.iter().scan(1.0, |power, value| {
                *power *= margin;
                Some(sign * value * *power)
            });
            partials(&scaled.collect::<Vec<_>>()).is_some()
        };
        beyond(&self.ar, 1.0, margins[0])
            && beyond(&self.seasonal_ar, 1.0, margins[1])
            && beyond(&self.ma, -1.0, margins[2])
            && beyond(&self.seasonal_ma, -1.0, margins[3])
    }

    /// Product of the two autoregressive polynomials, without its 1: the coefficient of lag i + 1 at i, `length` of them.
    pub(super) fn multiplied_ar(&self, season: usize, length: usize, out: &mut Vec<f64>) {
        multiply(&self.ar, &self.seasonal_ar, (season, length, -1.0), out);
    }

    /// Product of the two moving-average polynomials, likewise.
    pub(super) fn multiplied_ma(&self, season: usize, length: usize, out: &mut Vec<f64>) {
        multiply(&self.ma, &self.seasonal_ma, (season, length, 1.0), out);
    }
}

/// Product of 1 + sign · Σ short B^i and 1 + sign · Σ seasonal B^(s·i), as coefficients with that sign again.
fn multiply(
    short: &[f64],
    seasonal: &[f64],
    (season, length, sign): (usize, usize, f64),
    out: &mut Vec<f64>,
) {
    out.clear();
    out.resize(length, 0.0);
    for (lag, value) in (1..).zip(short) {
        out[lag - 1] += value;
    }
    for (index, outer) in (1..).zip(seasonal) {
        let start = index * season;
        out[start - 1] += outer;
        for (lag, inner) in (1..).zip(short) {
            out[start + lag - 1] += sign * outer * inner;
        }
    }
}

/// Coefficients of the autoregression that has these partial autocorrelations (Durbin 1960).
fn durbin_levinson(partials: &[f64], out: &mut Vec<f64>) {
    out.clear();
    for &partial in partials {
        let count = out.len();
        for index in 0..count.div_ceil(2) {
            let (low, high) = (out[index], out[count - 1 - index]);
            out[index] = low - partial * high;
            out[count - 1 - index] = high - partial * low;
        }
        out.push(partial);
    }
}

/// Partial autocorrelations of an autoregression; `None` if it is not stationary.
pub(super) fn partials(coefficients: &[f64]) -> Option<Vec<f64>> {
    let mut row = coefficients.to_vec();
    for count in (1..=row.len()).rev() {
        let partial = row[count - 1];
        let remainder = 1.0 - partial * partial;
        if remainder.is_nan() || remainder <= 0.0 {
            return None;
        }
        for index in 0..(count - 1).div_ceil(2) {
            let (low, high) = (row[index], row[count - 2 - index]);
            row[index] = (low + partial * high) / remainder;
            row[count - 2 - index] = (high + partial * low) / remainder;
        }
    }
    Some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AR(2) with partial autocorrelations r1, r2: φ1 = r1 (1 − r2), φ2 = r2.
    #[test]
    fn two_partial_autocorrelations_are_those_of_the_textbook() {
        let mut coefficients = Vec::new();
        durbin_levinson(&[0.6, -0.5], &mut coefficients);
        assert!((coefficients[0] - 0.9).abs() < 1e-15);
        assert_eq!(coefficients[1], -0.5);
    }

    #[test]
    fn partial_autocorrelations_and_coefficients_are_inverse() {
        for given in [&[0.3, -0.8, 0.5, 0.9, -0.2][..], &[0.1, 0.2, 0.3, 0.4], &[]] {
            let mut coefficients = Vec::new();
            durbin_levinson(given, &mut coefficients);
            let found = partials(&coefficients).expect("stationary");
            for (a, b) in given.iter().zip(&found) {
                assert!((a - b).abs() < 1e-12, "{given:?} {found:?}");
            }
        }
    }

    #[test]
    fn an_explosive_autoregression_has_no_partial_autocorrelations() {
        assert_eq!(partials(&[1.2]), None);
        assert_eq!(partials(&[0.5, 0.6]), None);
        assert_eq!(partials(&[f64::NAN]), None);
    }

    /// 1 − 0.5 B has its root at 2, 1 + 0.8 B at −1.25.
    #[test]
    fn roots_are_compared_with_a_margin() {
        let of = |ar: f64, ma: f64| Coefficients {
            ar: vec![ar],
            ma: vec![ma],
            ..Coefficients::default()
        };
        assert!(of(0.5, 0.8).roots_beyond([1.9, 1.0, 1.2, 1.0]));
        assert!(!of(0.5, 0.8).roots_beyond([1.9, 1.0, 1.3, 1.0]));
        assert!(!of(0.5, 0.8).roots_beyond([2.1, 1.0, 1.2, 1.0]));
    }

    /// (1 − 0.5 B)(1 − 0.4 B²) = 1 − 0.5 B − 0.4 B² + 0.2 B³.
    #[test]
    fn polynomials_are_multiplied() {
        let coefficients = Coefficients {
            ar: vec![0.5],
            seasonal_ar: vec![0.4],
            ma: vec![0.5],
            seasonal_ma: vec![0.4],
        };
        let mut out = Vec::new();
        coefficients.multiplied_ar(2, 4, &mut out);
        assert_eq!(out, [0.5, 0.4, -0.2, 0.0]);
        coefficients.multiplied_ma(2, 3, &mut out);
        assert_eq!(out, [0.5, 0.4, 0.2]);
    }
}

/*!
Transformation of Box and Cox, which makes the size of a series' swings independent of its level.
*/

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Ends of the range of λ.
const RANGE: [f64; 2] = [-1.0, 2.0];

/// The transformation (yᵏ − 1) / k with k = λ, and the logarithm at λ = 0. For λ above 0, |y|ᵏ with the sign of y
/// (Bickel and Doksum 1981), so that it goes on below 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoxCox {
    /// The exponent λ.
    pub lambda: f64,
}

impl BoxCox {
    /// The transformation with the exponent of Guerrero (1993): over stretches as long as a season, or of 2 values
    /// without one, the deviation in proportion to the mean to the power of 1 − λ varies least.
    ///
    /// # Errors
    ///
    /// With a value that is not above 0, and with fewer than two stretches.
    pub fn guerrero(values: &[f64], season: usize) -> Result<Self> {
        if values.iter().any(|value| *value <= 0.0) {
            return Err(Error::new(
                "a Box–Cox transformation is chosen for values above 0 only, and there is one that is not",
            ));
        }
        let length = season.max(2);
        let stretches = values.rchunks_exact(length).filter_map(mean_and_deviation);
        let stretches: Vec<(f64, f64)> = stretches.collect();
        if stretches.len() < 2 {
            return Err(Error::new(format!(
                "{} values are too few to choose a Box–Cox transformation: it takes two stretches of {length} that are known",
                values.len()
            )));
        }
        let variation = |lambda: f64| {
            let ratios = stretches
                .iter()
                .map(|(mean, deviation)| deviation / mean.powf(1.0 - lambda));
            let ratios: Vec<f64> = ratios.collect();
            match mean_and_deviation(&ratios) {
                Some((mean, deviation)) if mean > 0.0 => deviation / mean,
                _ => 0.0,
            }
        };
        Ok(BoxCox {
            lambda: least(variation),
        })
    }

    /// A value transformed. NaN for one that is not above 0 where λ is not.
    pub fn transformed(&self, value: f64) -> f64 {
        match self.lambda {
            lambda if lambda.abs() < 1e-10 => value.ln(),
            lambda if lambda < 0.0 && value <= 0.0 => f64::NAN,
            lambda => (value.abs().powf(lambda).copysign(value) - 1.0) / lambda,
        }
    }

    /// A transformed value brought back: the median, if it is a forecast. Where λ is below 0, a value above every
    /// transformed one becomes infinite.
    pub fn restored(&self, value: f64) -> f64 {
        let lambda = self.lambda;
        if lambda.abs() < 1e-10 {
            return value.exp();
        }
        let power = lambda * value + 1.0;
        if lambda < 0.0 && power <= 0.0 {
            return f64::INFINITY;
        }
        power.abs().powf(1.0 / lambda).copysign(power)
    }

    /// The mean of a forecast brought back, of which `variance` is that on the transformed scale (Hyndman and
    /// Athanasopoulos, Forecasting: Principles and Practice, section 5.6): of second order, so for small variances.
    pub fn restored_mean(&self, value: f64, variance: f64) -> f64 {
        let median = self.restored(value);
        let lambda = self.lambda;
        if lambda.abs() < 1e-10 {
            return median * (1.0 + variance / 2.0);
        }
        let power = lambda * value + 1.0;
        median * (1.0 + variance * (1.0 - lambda) / (2.0 * power * power))
    }
}

/// Mean and standard deviation of values that are all known.
fn mean_and_deviation(values: &[f64]) -> Option<(f64, f64)> {
    let count = values.len() as f64;
    let mean = values.iter().map(|value| value / count).sum::<f64>();
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / (count - 1.0)).sqrt();
    (mean.is_finite() && deviation.is_finite()).then_some((mean, deviation))
}

/// The λ of least variation: by tenths, and then by golden sections around the best.
fn least(variation: impl Fn(f64) -> f64) -> f64 {
    let tenths = (0..=30).map(|tenth| RANGE[0] + f64::from(tenth) / 10.0);
    let mut best = (f64::INFINITY, 1.0);
    for lambda in tenths {
        let variation = variation(lambda);
        if variation < best.0 {
            best = (variation, lambda);
        }
    }
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = ((best.1 - 0.1).max(RANGE[0]), (best.1 + 0.1).min(RANGE[1]));
    for _ in 0..40 {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        match variation(left) <= variation(right) {
            true => high = right,
            false => low = left,
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `BoxCox().transform_boxcox(y, method='guerrero', window_length=12, scale='sd')` of statsmodels 0.15, and
    /// coreforecast's `boxcox_lambda`: 0.241159.
    #[test]
    fn the_exponent_is_that_of_statsmodels() {
        let values: Vec<f64> = (0..60)
            .map(|step: i32| {
                let time = f64::from(step);
                let season = 0.2 * (std::f64::consts::TAU * time / 12.0).sin();
                (4.0 + 0.02 * time + season).exp() + f64::from(step * 7 % 11 - 5)
            })
            .collect();
        let found = BoxCox::guerrero(&values, 12).unwrap();
        assert!((found.lambda - 0.2411594).abs() < 1e-6, "{}", found.lambda);
        assert!(BoxCox::guerrero(&values[..20], 12).is_err());
        assert!(BoxCox::guerrero(&[1.0, 0.0, 2.0, 3.0], 1).is_err());
    }

    /// By coreforecast's `boxcox`: 3 and −2 at λ = 0.3.
    #[test]
    fn values_come_back() {
        let transform = BoxCox { lambda: 0.3 };
        assert!((transform.transformed(3.0) - 1.30129723).abs() < 1e-8);
        assert!((transform.transformed(-2.0) + 7.43714804).abs() < 1e-8);
        for lambda in [-1.0, -0.5, 0.0, 0.3, 1.0, 2.0] {
            let transform = BoxCox { lambda };
            for value in [0.01, 1.0, 250.0] {
                let back = transform.restored(transform.transformed(value));
                assert!((back / value - 1.0).abs() < 1e-9);
            }
        }
        assert!(BoxCox { lambda: 0.0 }.transformed(-1.0).is_nan());
        assert_eq!(BoxCox { lambda: -1.0 }.restored(1.5), f64::INFINITY);
    }

    /// The mean of a lognormal distribution is exp(μ + σ²/2); at λ = 1 nothing is transformed.
    #[test]
    fn means_are_above_medians() {
        let mean = BoxCox { lambda: 0.0 }.restored_mean(2.0, 0.01);
        assert!((mean / 2.005f64.exp() - 1.0).abs() < 1e-4);
        assert_eq!(BoxCox { lambda: 1.0 }.restored_mean(4.0, 9.0), 5.0);
    }
}

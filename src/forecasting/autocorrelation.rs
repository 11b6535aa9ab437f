/*!
Autocorrelations and partial autocorrelations of a series, and the test of Ljung and Box that there are none.

A missing value (NaN) counts in no product; the sums are over the known pairs and the divisor is the number of values.
*/

use serde::Serialize;

/// Autocovariances at lags 0 to `longest`, with the mean taken out and the number of known values as divisor, so that they
/// are those of a stationary process. Lags longer than the series have 0.
pub fn autocovariances(values: &[f64], longest: usize) -> Vec<f64> {
    let known = values.iter().filter(|value| !value.is_nan());
    let (sum, count) = known.fold((0.0, 0u64), |(sum, n), value| (sum + value, n + 1));
    let count = count.max(1) as f64;
    let mean = sum / count;
    let centred: Vec<f64> = values
        .iter()
        .map(|value| if value.is_nan() { 0.0 } else { value - mean })
        .collect();
    (0..=longest)
        .map(|lag| {
            let pairs = centred.iter().zip(centred.iter().skip(lag));
            pairs.map(|(a, b)| a * b).sum::<f64>() / count
        })
        .collect()
}

/// Autocorrelations at lags 1 to `longest`; 0 for a constant series.
pub fn autocorrelations(values: &[f64], longest: usize) -> Vec<f64> {
    let covariances = autocovariances(values, longest);
    let ratio = |covariance: &f64| match covariances[0] > 0.0 {
        true => covariance / covariances[0],
        false => 0.0,
    };
    covariances[1..].iter().map(ratio).collect()
}

/// Partial autocorrelations at lags 1 to `longest`, by the recursion of Durbin and Levinson; 0 for a constant series.
pub fn partial_autocorrelations(values: &[f64], longest: usize) -> Vec<f64> {
    let correlations = autocorrelations(values, longest);
    let mut weights: Vec<f64> = Vec::with_capacity(longest);
    let mut variance = 1.0;
    let mut partials = Vec::with_capacity(longest);
    for count in 0..longest {
        let past = correlations[..count].iter().rev();
        let sum: f64 = weights.iter().zip(past).map(|(w, c)| w * c).sum();
        let partial = match variance > 0.0 {
            true => (correlations[count] - sum) / variance,
            false => 0.0,
        };
        let before = weights.clone();
        for (weight, other) in weights.iter_mut().zip(before.iter().rev()) {
            *weight -= partial * other;
        }
        weights.push(partial);
        variance *= 1.0 - partial * partial;
        partials.push(partial);
    }
    partials
}

/// Result of the test of Ljung and Box (1978).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LjungBox {
    /// Number of autocorrelations tested together.
    pub lags: usize,
    /// Statistic: n (n + 2) Σ r_k² / (n − k).
    pub statistic: f64,
    /// Probability of such a statistic or a larger one where there is no autocorrelation.
    pub p_value: f64,
}

/// Test that residuals have no autocorrelation up to `lags`, where `fitted` coefficients were estimated from them: `None` if
/// the series is no longer than the lags, or these no more than the coefficients.
pub fn ljung_box(residuals: &[f64], lags: usize, fitted: usize) -> Option<LjungBox> {
    let known = residuals.iter().filter(|value| !value.is_nan()).count();
    if known <= lags || lags <= fitted {
        return None;
    }
    let count = known as f64;
    let terms = (1..).zip(autocorrelations(residuals, lags));
    let sum: f64 = terms.map(|(lag, r)| r * r / (count - f64::from(lag))).sum();
    let statistic = count * (count + 2.0) * sum;
    Some(LjungBox {
        lags,
        statistic,
        p_value: chi_square_tail(statistic, (lags - fitted) as f64),
    })
}

/// Probability that a chi-square variable with so many degrees of freedom is larger than `value`.
pub fn chi_square_tail(value: f64, degrees: f64) -> f64 {
    upper_gamma(degrees / 2.0, value / 2.0)
}

/// Probability that a standard normal variable is smaller than `value`.
pub fn normal_probability(value: f64) -> f64 {
    let tail = 0.5 * upper_gamma(0.5, value * value / 2.0);
    if value < 0.0 { tail } else { 1.0 - tail }
}

/// Regularized upper incomplete gamma function Q(a, x): by the series below a + 1, by the continued fraction of Lentz above.
fn upper_gamma(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - log_gamma(a)).exp();
    if x < a + 1.0 {
        let mut term = 1.0 / a;
        let mut sum = term;
        for step in 1..10_000 {
            term *= x / (a + f64::from(step));
            sum += term;
            if term < sum * 1e-16 {
                break;
            }
        }
        return 1.0 - front * sum;
    }
    let tiny = 1e-300;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / tiny;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for step in 1..10_000 {
        let step = f64::from(step);
        let numerator = -step * (step - a);
        b += 2.0;
        d = 1.0 / nonzero(numerator * d + b, tiny);
        c = nonzero(b + numerator / c, tiny);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    front * fraction
}

/// A number, or a tiny one in place of 0.
fn nonzero(value: f64, tiny: f64) -> f64 {
    if value.abs() < tiny { tiny } else { value }
}

/// Logarithm of the gamma function of a positive number, by Stirling's series after a shift.
fn log_gamma(x: f64) -> f64 {
    let mut shifted = x;
    let mut product: f64 = 1.0;
    while shifted < 15.0 {
        product *= shifted;
        shifted += 1.0;
    }
    let inverse = 1.0 / shifted;
    let square = inverse * inverse;
    let series =
        inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (shifted - 0.5) * shifted.ln() - shifted + 0.5 * std::f64::consts::TAU.ln() + series
        - product.ln()
}

#[cfg(test)]
mod tests {
    use super::super::test_series::mixed;
    use super::*;

    fn near(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found} {expected}");
    }

    /// Expected: statsmodels 0.15, acf and pacf(method="ldb").
    #[test]
    fn autocorrelations_are_those_of_statsmodels() {
        let series = mixed(130);
        let expected = [
            0.695845420264,
            0.323480265026,
            0.142811134615,
            0.054789798856,
        ];
        for (found, expected) in autocorrelations(&series, 4).into_iter().zip(expected) {
            near(found, expected, 1e-10);
        }
        let expected = [
            0.695845420264,
            -0.311595285751,
            0.13828786673,
            -0.079481805996,
        ];
        for (found, expected) in partial_autocorrelations(&series, 4)
            .into_iter()
            .zip(expected)
        {
            near(found, expected, 1e-10);
        }
    }

    /// Expected: statsmodels 0.15, acorr_ljungbox with and without model_df=2.
    #[test]
    fn the_test_of_ljung_and_box_is_that_of_statsmodels() {
        let series = mixed(130);
        let test = ljung_box(&series, 6, 0).expect("a test");
        near(test.statistic, 85.352736, 1e-5);
        near(test.p_value / 2.789841e-16, 1.0, 1e-5);
        let test = ljung_box(&series, 6, 2).expect("a test");
        near(test.p_value / 1.276837e-17, 1.0, 1e-5);
        assert_eq!(ljung_box(&series, 2, 2), None);
        assert_eq!(ljung_box(&series[..6], 6, 0), None);
    }

    /// Expected: SciPy, stats.chi2.sf and stats.norm.cdf.
    #[test]
    fn tails_are_those_of_scipy() {
        near(chi_square_tail(3.0, 2.0), 0.2231301601484, 1e-12);
        near(chi_square_tail(20.0, 7.0), 0.005569683072946, 1e-14);
        near(chi_square_tail(0.5, 5.0), 0.9921232932326, 1e-12);
        near(chi_square_tail(100.0, 60.0), 9.168288614561e-4, 1e-15);
        assert_eq!(chi_square_tail(0.0, 3.0), 1.0);
        near(normal_probability(-1.5), 0.066807201269, 1e-11);
        near(normal_probability(0.3), 0.617911422189, 1e-11);
        near(normal_probability(2.5), 0.993790334674, 1e-11);
    }

    #[test]
    fn constant_and_empty_series_have_no_autocorrelation() {
        assert_eq!(autocorrelations(&[3.0; 5], 2), [0.0, 0.0]);
        assert_eq!(partial_autocorrelations(&[], 2), [0.0, 0.0]);
    }

    /// A missing value leaves the pairs that are known: of 1, −1, ?, −1, 1 the first and the last.
    #[test]
    fn missing_values_count_in_no_pair() {
        let covariances = autocovariances(&[1.0, -1.0, f64::NAN, -1.0, 1.0], 1);
        assert_eq!(covariances, [1.0, -0.5]);
    }
}

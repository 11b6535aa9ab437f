/*!
Tests for what has to be differenced: KPSS and ADF for unit roots, the strength of a season for seasonal ones.
*/

use serde::Serialize;

use super::arima::{difference, least_squares};
use super::autocorrelation::normal_probability;
use super::seasonal_strength::seasonal_strength;

/// Level below which the null hypothesis of a test is rejected.
pub const SIGNIFICANCE: f64 = 0.05;
/// Strength of a season above which values a season apart are differenced (Wang, Smith and Hyndman 2006).
pub const STRONG_SEASON: f64 = 0.64;
/// Number of values at the end of a series that the tests look at.
const LONGEST: usize = 10_000;

/// Result of the test of Kwiatkowski, Phillips, Schmidt and Shin (1992), whose null hypothesis is that there is no unit root.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Kpss {
    /// Statistic.
    pub statistic: f64,
    /// Number of autocovariances in the long-run variance.
    pub lags: usize,
    /// Probability of such a statistic or a larger one under the null hypothesis, from a table that ends at 0.01 and 0.1.
    pub p_value: f64,
}

/// Test of the known values around their mean, or around a line where `trend` is set. Without `lags`, ⌊3 √n / 13⌋ are taken,
/// as in R's `ndiffs`. `None` where the values vary too little for one.
pub fn kpss(values: &[f64], trend: bool, lags: Option<usize>) -> Option<Kpss> {
    let known = known(values);
    let count = known.len();
    let residuals = match trend {
        false => without_mean(&known),
        true => without_line(&known),
    };
    let lags = lags.unwrap_or((3.0 * (count as f64).sqrt() / 13.0) as usize);
    if count < 3 || lags >= count {
        return None;
    }
    let product = |lag: usize| -> f64 {
        let pairs = residuals.iter().zip(&residuals[lag..]);
        pairs.map(|(a, b)| a * b).sum()
    };
    let weights = (1..=lags).map(|lag| (1.0 - lag as f64 / (lags + 1) as f64) * product(lag));
    let variance = (product(0) + 2.0 * weights.sum::<f64>()) / count as f64;
    let sums = residuals.iter().scan(0.0, |sum: &mut f64, residual| {
        *sum += residual;
        Some(*sum * *sum)
    });
    let statistic = sums.sum::<f64>() / ((count * count) as f64 * variance);
    let table = match trend {
        false => [0.347, 0.463, 0.574, 0.739],
        true => [0.119, 0.146, 0.176, 0.216],
    };
    statistic.is_finite().then(|| Kpss {
        statistic,
        lags,
        p_value: interpolate(statistic, &table),
    })
}

/// Probability by lines between the table's statistics for 0.1, 0.05, 0.025 and 0.01.
fn interpolate(statistic: f64, table: &[f64; 4]) -> f64 {
    let levels = [0.1, 0.05, 0.025, 0.01];
    match table.iter().position(|critical| statistic <= *critical) {
        Some(0) => levels[0],
        None => levels[3],
        Some(index) => {
            let part = (statistic - table[index - 1]) / (table[index] - table[index - 1]);
            levels[index - 1] + part * (levels[index] - levels[index - 1])
        }
    }
}

/// Result of the augmented test of Dickey and Fuller (1979; Said and Dickey 1984), whose null hypothesis is a unit root.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Adf {
    /// Statistic: the value of the level before, over its standard error, in a regression of the differences.
    pub statistic: f64,
    /// Number of differences before that the regression has beside it.
    pub lags: usize,
    /// Probability of such a statistic or a smaller one under the null hypothesis (MacKinnon 1994).
    pub p_value: f64,
}

/// Test with a constant and `lags` differences, without them ⌊(n − 1)^(1/3)⌋; missing values are left out. `None` where the
/// values are too few or vary too little.
pub fn adf(values: &[f64], lags: Option<usize>) -> Option<Adf> {
    let known = known(values);
    let count = known.len();
    let lags = lags.unwrap_or((count.saturating_sub(1) as f64).cbrt() as usize);
    if count < 2 * lags + 5 {
        return None;
    }
    // Around their means, constant and all: the regression then needs no column for it.
    let changes = difference(&known, 1);
    let column = |source: &[f64], lag: usize| without_mean(&source[lags - lag..count - 1 - lag]);
    let target = column(&changes, 0);
    let mut columns = vec![column(&known, 0)];
    columns.extend((1..=lags).map(|lag| column(&changes, lag)));
    let (level, others) = columns.split_first()?;
    let rest = residuals(level, others)?;
    let target_rest = residuals(&target, others)?;
    let squares: f64 = rest.iter().map(|x| x * x).sum();
    let slope = rest
        .iter()
        .zip(&target_rest)
        .map(|(a, b)| a * b)
        .sum::<f64>()
        / squares;
    let errors = rest.iter().zip(&target_rest).map(|(a, b)| b - slope * a);
    let degrees = (target.len() - lags - 2) as f64;
    let variance = errors.map(|e| e * e).sum::<f64>() / degrees;
    let statistic = slope / (variance / squares).sqrt();
    statistic.is_finite().then(|| Adf {
        statistic,
        lags,
        p_value: mackinnon(statistic),
    })
}

/// Probability of an ADF statistic with a constant: the normal one of a polynomial (MacKinnon 1994, table 3; 2010).
fn mackinnon(statistic: f64) -> f64 {
    let polynomial = |coefficients: &[f64]| {
        let terms = coefficients.iter().rev();
        terms.fold(0.0, |sum, coefficient| sum * statistic + coefficient)
    };
    match statistic {
        s if s > 2.74 => 1.0,
        s if s < -18.83 => 0.0,
        s if s <= -1.61 => normal_probability(polynomial(&[2.1659, 1.4412, 0.038269])),
        _ => normal_probability(polynomial(&[1.7339, 0.93202, -0.12745, -0.010368])),
    }
}

/// How often a series has to be differenced, with the tests that say so.
#[derive(Clone, Debug, PartialEq)]
pub struct Differences {
    /// Number of differences.
    pub count: usize,
    /// Test of the series, and of its differences as far as they were taken.
    pub tests: Vec<Kpss>,
}

/// Number of differences, at most `most`, after which KPSS finds no unit root (Hyndman and Khandakar 2008; `ndiffs` in R).
pub fn differences(values: &[f64], most: usize) -> Differences {
    let mut known = known(tail(values));
    let mut tests = Vec::new();
    let mut count = 0;
    while !constant(&known) {
        let Some(test) = kpss(&known, false, None) else {
            break;
        };
        tests.push(test);
        if test.p_value >= SIGNIFICANCE || count == most {
            break;
        }
        known = difference(&known, 1);
        count += 1;
    }
    Differences { count, tests }
}

/// Whether values a season apart have to be differenced, with the evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeasonalDifferences {
    /// Number of differences, 0 or 1.
    pub count: usize,
    /// Strength of the season, from 0 to 1; none where the series is too short or constant.
    pub strength: Option<f64>,
}

/// One seasonal difference where the season is strong (`nsdiffs` in R).
pub fn seasonal_differences(values: &[f64], season: usize) -> SeasonalDifferences {
    let values = tail(values);
    let strength = match season < 2 || values.len() <= 2 * season || constant(&known(values)) {
        true => None,
        false => seasonal_strength(values, season),
    };
    let strong = strength.is_some_and(|strength| strength > STRONG_SEASON);
    SeasonalDifferences {
        count: usize::from(strong),
        strength,
    }
}

/// Whether all values are alike.
pub(super) fn constant(known: &[f64]) -> bool {
    known.windows(2).all(|pair| pair[0] == pair[1])
}

/// Values that are not missing.
pub(super) fn known(values: &[f64]) -> Vec<f64> {
    let known = values.iter().filter(|value| !value.is_nan());
    known.copied().collect()
}

/// The last values of a series, as many as are tested.
fn tail(values: &[f64]) -> &[f64] {
    &values[values.len().saturating_sub(LONGEST)..]
}

/// Values less their mean.
fn without_mean(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| value - mean).collect()
}

/// Values less the line of least squares.
fn without_line(values: &[f64]) -> Vec<f64> {
    let steps: Vec<f64> = (0..values.len()).map(|step| step as f64).collect();
    let (steps, values) = (without_mean(&steps), without_mean(values));
    residuals(&values, std::slice::from_ref(&steps)).unwrap_or(values)
}

/// Values less their regression on columns.
fn residuals(values: &[f64], columns: &[Vec<f64>]) -> Option<Vec<f64>> {
    let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let weights = least_squares(values, &slices)?;
    let mut rest = values.to_vec();
    for (column, weight) in columns.iter().zip(weights) {
        for (value, other) in rest.iter_mut().zip(column) {
            *value -= weight * other;
        }
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::super::test_series::{mixed, noise, seasonal};
    use super::*;

    fn near(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found} {expected}");
    }

    fn sums(values: &[f64]) -> Vec<f64> {
        let sums = values.iter().scan(0.0, |sum, value| {
            *sum += value;
            Some(*sum)
        });
        sums.collect()
    }

    /// Expected: statsmodels 0.15, kpss with nlags=3 and regression "c" and "ct".
    #[test]
    fn kpss_is_that_of_statsmodels() {
        let series = mixed(130);
        let expected = [
            (series.clone(), false, 1.3304537595144124, 0.01),
            (series.clone(), true, 0.09441531262345954, 0.1),
            (sums(&series), false, 2.621671421006255, 0.01),
            (sums(&series), true, 0.7442627639049237, 0.01),
        ];
        for (series, trend, statistic, p_value) in expected {
            let test = kpss(&series, trend, Some(3)).expect("a test");
            near(test.statistic, statistic, 1e-9);
            near(test.p_value, p_value, 1e-12);
        }
    }

    /// Halfway between the critical values for 0.1 and 0.05.
    #[test]
    fn the_table_is_interpolated() {
        near(
            interpolate(0.405, &[0.347, 0.463, 0.574, 0.739]),
            0.075,
            1e-12,
        );
    }

    /// Expected: statsmodels 0.15, adfuller with maxlag and autolag=None.
    #[test]
    fn adf_is_that_of_statsmodels() {
        let series = mixed(130);
        let expected = [
            (
                series.clone(),
                3,
                -4.429061136421517,
                0.00026358603998820004,
            ),
            (series.clone(), 5, -3.105326011276658, 0.026161542326899722),
            (sums(&series), 3, 3.066109552559436, 1.0),
        ];
        for (series, lags, statistic, p_value) in expected {
            let test = adf(&series, Some(lags)).expect("a test");
            near(test.statistic, statistic, 1e-8);
            near(test.p_value, p_value, 1e-8);
        }
    }

    #[test]
    fn noise_is_not_differenced_and_its_sums_are() {
        let noise = noise(200, 5);
        assert_eq!(differences(&noise, 2).count, 0);
        let once = differences(&sums(&noise), 2);
        assert_eq!((once.count, once.tests.len()), (1, 2));
        assert_eq!(differences(&sums(&sums(&noise)), 2).count, 2);
        assert_eq!(differences(&sums(&sums(&noise)), 1).count, 1);
    }

    #[test]
    fn constant_and_short_series_are_not_differenced() {
        assert_eq!(differences(&[4.0; 30], 2).count, 0);
        assert_eq!(differences(&[], 2).count, 0);
        assert_eq!(differences(&[f64::NAN; 9], 2).count, 0);
        let short = seasonal_differences(&[1.0, 2.0, 3.0], 12);
        assert_eq!((short.count, short.strength), (0, None));
        assert_eq!(adf(&[1.0; 40], None), None);
        assert_eq!(kpss(&[1.0; 40], false, None), None);
    }

    #[test]
    fn a_strong_season_is_differenced_and_noise_is_not() {
        assert_eq!(seasonal_differences(&seasonal(), 12).count, 1);
        let weak = seasonal_differences(&noise(120, 3), 12);
        assert_eq!(weak.count, 0);
        assert!(weak.strength.is_some_and(|strength| strength < 0.5));
    }
}

/*!
Seasons of a series: whether it has one of a given length, and which it has.
*/

use super::decomposition::gaps::filled;
use super::spectrum::autocorrelations;

/// Quantile of the normal distribution for the test of the M4 competition: 90 %, two-sided.
const M4_QUANTILE: f64 = 1.645;

/// Whether the values repeat after a season, as the M4 competition tests it for Naive2: there are three seasons, and the
/// autocorrelation at the season is beyond 1.645 of its standard errors (Bartlett's, from the lags before).
pub fn is_seasonal(values: &[f64], season: usize) -> bool {
    if season < 2 || values.len() < 3 * season {
        return false;
    }
    let correlations = autocorrelations(&filled(values), season);
    let squares: f64 = correlations[1..season].iter().map(|r| r * r).sum();
    let error = ((1.0 + 2.0 * squares) / values.len() as f64).sqrt();
    correlations[season].abs() > M4_QUANTILE * error
}

/*!
Strength of a season: the part of the variance, beside the trend, that the season of an STL decomposition explains (Wang,
Smith and Hyndman 2006).

STL is that of R's `mstl` and `nsdiffs`: the season smoothed over 11 of its years by local means, not robust.
*/

use super::decomposition::gaps::filled;
use super::decomposition::loess::Degree;
use super::decomposition::stl::Stl;

/// Values of the season that are averaged.
const SEASON_WINDOW: usize = 11;

/// Strength of a season, from 0 to 1; missing values are replaced by lines between their neighbours. `None` for fewer values
/// than two seasons and one.
pub fn seasonal_strength(values: &[f64], season: usize) -> Option<f64> {
    let is_known = values.iter().any(|value| value.is_finite());
    if season < 2 || values.len() <= 2 * season || !is_known {
        return None;
    }
    let stl = Stl {
        season_degree: Degree::Constant,
        low_pass_window: season | 1,
        ..Stl::new(season, SEASON_WINDOW)
    };
    let parts = stl.decompose(&filled(values)).ok()?;
    let both = parts.remainder.iter().zip(&parts.seasons[0]);
    let both: Vec<f64> = both.map(|(rest, season)| rest + season).collect();
    let strength = 1.0 - squares(&parts.remainder) / squares(&both);
    Some(strength.clamp(0.0, 1.0))
}

/// Sum of the squares around the mean.
fn squares(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::super::test_series::seasonal;
    use super::*;

    /// Expected: statsmodels 0.15, STL(period=12, seasonal=11, seasonal_deg=0), and 1 − var(resid) / var(resid + seasonal).
    #[test]
    fn the_strength_is_that_of_statsmodels() {
        let series = seasonal();
        let found = seasonal_strength(&series, 12).expect("a strength");
        assert!((found - 0.8750203929144136).abs() < 1e-9, "{found}");
        let found = seasonal_strength(&series[..40], 12).expect("a strength");
        assert!((found - 0.7587471465383391).abs() < 1e-9, "{found}");
    }

    #[test]
    fn gaps_become_lines() {
        let mut series = seasonal();
        let expected = (series[29] + series[31]) / 2.0;
        let mut filled = series.clone();
        (series[30], filled[30]) = (f64::NAN, expected);
        assert_eq!(
            seasonal_strength(&series, 12),
            seasonal_strength(&filled, 12)
        );
        assert_eq!(seasonal_strength(&[f64::NAN; 30], 12), None);
    }

    #[test]
    fn a_series_of_two_seasons_or_less_has_none() {
        assert_eq!(seasonal_strength(&[1.0; 24], 12), None);
        assert_eq!(seasonal_strength(&[1.0; 24], 1), None);
    }
}

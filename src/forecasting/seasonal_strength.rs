/*!
Strength of a season: the part of the variance, beside the trend, that the season of an STL decomposition explains (Wang,
Smith and Hyndman 2006).

STL is that of Cleveland, Cleveland, McRae and Terpenning (1990) with the constants of R's `mstl` and `nsdiffs`: the season
smoothed over 11 of its years by local means, the trend by local lines, not robust.
*/

/// Values of the season that are averaged.
const SEASON_WINDOW: usize = 11;
/// Rounds of taking the season and the trend from each other.
const ROUNDS: usize = 5;

/// Strength of a season, from 0 to 1; missing values are replaced by lines between their neighbours. `None` for fewer values
/// than two seasons and one.
pub fn seasonal_strength(values: &[f64], season: usize) -> Option<f64> {
    if season < 2 || values.len() <= 2 * season {
        return None;
    }
    let values = interpolated(values)?;
    let (seasonal, trend) = decompose(&values, season);
    let rest = |index: usize| values[index] - trend[index] - seasonal[index];
    let remainder: Vec<f64> = (0..values.len()).map(rest).collect();
    let both: Vec<f64> = remainder
        .iter()
        .zip(&seasonal)
        .map(|(r, s)| r + s)
        .collect();
    let strength = 1.0 - variance(&remainder) / variance(&both);
    Some(strength.clamp(0.0, 1.0))
}

/// Variance around the mean.
fn variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

/// Values with lines over the gaps, over those at the ends the nearest value; `None` if none is known.
fn interpolated(values: &[f64]) -> Option<Vec<f64>> {
    let mut result = values.to_vec();
    let first = values.iter().position(|value| !value.is_nan())?;
    result[..first].fill(values[first]);
    let mut last = first;
    for index in first + 1..values.len() {
        if values[index].is_nan() {
            result[index] = values[last];
            continue;
        }
        let rise = (values[index] - values[last]) / (index - last) as f64;
        for (step, between) in (1..).zip(&mut result[last + 1..index]) {
            *between = values[last] + rise * f64::from(step);
        }
        last = index;
    }
    Some(result)
}

/// Season and trend.
fn decompose(values: &[f64], season: usize) -> (Vec<f64>, Vec<f64>) {
    let count = values.len();
    let trend_window = (1.5 * season as f64 / (1.0 - 1.5 / SEASON_WINDOW as f64)).ceil() as usize;
    let mut trend = vec![0.0; count];
    let mut seasonal = vec![0.0; count];
    for _ in 0..ROUNDS {
        let rest: Vec<f64> = values.iter().zip(&trend).map(|(v, t)| v - t).collect();
        let cycle = cycle(&rest, season);
        let averages = moving_average(&moving_average(&cycle, season), season);
        let low = smooth(&moving_average(&averages, 3), season | 1, 1);
        for (index, out) in seasonal.iter_mut().enumerate() {
            *out = cycle[index + season] - low[index];
        }
        let rest: Vec<f64> = values.iter().zip(&seasonal).map(|(v, s)| v - s).collect();
        trend = smooth(&rest, trend_window | 1, 1);
    }
    (seasonal, trend)
}

/// Each place in the season smoothed over the seasons, from one season before the values to one after them.
fn cycle(values: &[f64], season: usize) -> Vec<f64> {
    let mut cycle = vec![0.0; values.len() + 2 * season];
    for place in 0..season {
        let own: Vec<f64> = values[place..].iter().step_by(season).copied().collect();
        let inner = smooth(&own, SEASON_WINDOW, 0);
        let window = SEASON_WINDOW.min(own.len());
        let before = local(&own, -1.0, 0..window, (SEASON_WINDOW, 0));
        let after = own.len() as f64;
        let end = local(
            &own,
            after,
            own.len() - window..own.len(),
            (SEASON_WINDOW, 0),
        );
        let all = std::iter::once(before).chain(inner).chain([end]);
        for (out, value) in cycle[place..].iter_mut().step_by(season).zip(all) {
            *out = value;
        }
    }
    cycle
}

/// Means of `window` neighbours: `window` − 1 fewer.
fn moving_average(values: &[f64], window: usize) -> Vec<f64> {
    let mean = |part: &[f64]| part.iter().sum::<f64>() / window as f64;
    values.windows(window).map(mean).collect()
}

/// Local regression, of degree 0 or 1, over an odd number of neighbours.
fn smooth(values: &[f64], window: usize, degree: usize) -> Vec<f64> {
    let (count, half) = (values.len(), window / 2);
    let width = window.min(count);
    let at = |index: usize| {
        let start = index.saturating_sub(half).min(count - width);
        local(values, index as f64, start..start + width, (window, degree))
    };
    (0..count).map(at).collect()
}

/// Value at `place` of a regression, of the degree that comes with the window, on the values of a range, weighted by the cube
/// of the cube of their nearness.
fn local(
    values: &[f64],
    place: f64,
    range: std::ops::Range<usize>,
    (window, degree): (usize, usize),
) -> f64 {
    let (first, last) = (range.start as f64, (range.end - 1) as f64);
    let farther = (window.saturating_sub(values.len()) / 2) as f64;
    let reach = (place - first).max(last - place) + farther;
    let weight = |index: usize| {
        let distance = (index as f64 - place).abs();
        if distance <= 0.001 * reach {
            1.0
        } else if distance <= 0.999 * reach {
            let ratio = distance / reach;
            (1.0 - ratio * ratio * ratio).powi(3)
        } else {
            0.0
        }
    };
    let (mut sum, mut by_place, mut by_square) = (0.0, 0.0, 0.0);
    let (mut total, mut product) = (0.0, 0.0);
    for index in range {
        let (weight, offset) = (weight(index), index as f64 - place);
        sum += weight;
        by_place += weight * offset;
        by_square += weight * offset * offset;
        total += weight * values[index];
        product += weight * offset * values[index];
    }
    let spread = by_square - by_place * by_place / sum;
    match degree == 1 && (spread / sum).sqrt() > 0.001 * (values.len() as f64 - 1.0) {
        true => (total - by_place * (product - by_place * total / sum) / spread) / sum,
        false => total / sum,
    }
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
        let unknown = f64::NAN;
        let found = interpolated(&[unknown, 1.0, unknown, unknown, 4.0, unknown]);
        assert_eq!(found, Some(vec![1.0, 1.0, 2.0, 3.0, 4.0, 4.0]));
        assert_eq!(interpolated(&[unknown; 3]), None);
    }

    #[test]
    fn a_series_of_two_seasons_or_less_has_none() {
        assert_eq!(seasonal_strength(&[1.0; 24], 12), None);
        assert_eq!(seasonal_strength(&[1.0; 24], 1), None);
    }
}

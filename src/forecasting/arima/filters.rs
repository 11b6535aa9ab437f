/*!
Filters of a series by polynomials of the step backward, with zeros before its beginning: the arithmetic in which nearly
all of the time of an estimation goes.

A seasonal polynomial is applied as two short ones after each other: the seasonal one, whose steps do not depend on each
other within a season, and the other, whose few last values are kept in registers.
*/

/// Replacement of `series` by (1 − Σ short B^i)(1 − Σ seasonal B^(s·i)) of it.
pub(super) fn multiply(series: &mut [f64], short: &[f64], seasonal: &[f64], season: usize) {
    multiply_one(series, short, 1);
    multiply_one(series, seasonal, season);
}

/// Replacement of `series` by (1 − Σ values B^(step·i)) of it, from its end, so that what is read was not yet replaced.
fn multiply_one(series: &mut [f64], values: &[f64], step: usize) {
    if values.is_empty() {
        return;
    }
    for time in (step..series.len()).rev() {
        let lags = (step..=time).step_by(step).zip(values);
        series[time] -= lags
            .map(|(lag, value)| value * series[time - lag])
            .sum::<f64>();
    }
}

/// Replacement of `series` by it over (1 + Σ short B^i)(1 + Σ seasonal B^(s·i)).
pub(super) fn divide(series: &mut [f64], short: &[f64], seasonal: &[f64], season: usize) {
    if !seasonal.is_empty() {
        divide_seasonal(series, seasonal, season);
    }
    match *short {
        [] => {}
        [a] => recursion([a], series),
        [a, b] => recursion([a, b], series),
        [a, b, c] => recursion([a, b, c], series),
        [a, b, c, d] => recursion([a, b, c, d], series),
        [a, b, c, d, e] => recursion([a, b, c, d, e], series),
        _ => divide_seasonal(series, short, 1),
    }
}

/// Replacement of `series` by it over (1 + Σ values B^(s·i)), a season at a time.
fn divide_seasonal(series: &mut [f64], values: &[f64], season: usize) {
    for start in (season..series.len()).step_by(season) {
        let (before, rest) = series.split_at_mut(start);
        let count = season.min(rest.len());
        for (back, value) in (season..=start).step_by(season).zip(values) {
            let lagged = &before[start - back..];
            for (now, then) in rest[..count].iter_mut().zip(lagged) {
                *now -= value * then;
            }
        }
    }
}

/// Replacement of `series` by it over (1 + Σ values B^i). The last value, on which the next waits, is subtracted last.
fn recursion<const N: usize>(values: [f64; N], series: &mut [f64]) {
    let mut last = [0.0; N];
    for now in series {
        let mut sum = *now;
        for lag in (1..N).rev() {
            sum -= values[lag] * last[lag];
        }
        sum -= values[0] * last[0];
        for lag in (1..N).rev() {
            last[lag] = last[lag - 1];
        }
        last[0] = sum;
        *now = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }

    /// (1 − 0.5 B)(1 − 0.25 B²) = 1 − 0.5 B − 0.25 B² + 0.125 B³, applied to an impulse.
    #[test]
    fn an_impulse_becomes_the_polynomial() {
        let mut series = [1.0, 0.0, 0.0, 0.0, 0.0];
        multiply(&mut series, &[0.5], &[0.25], 2);
        near(&series, &[1.0, -0.5, -0.25, 0.125, 0.0]);
    }

    /// 1 / (1 + 0.5 B) has the coefficients (−0.5)^i.
    #[test]
    fn an_impulse_divided_decays() {
        let mut series = [1.0, 0.0, 0.0, 0.0];
        divide(&mut series, &[0.5], &[], 1);
        near(&series, &[1.0, -0.5, 0.25, -0.125]);
    }

    #[test]
    fn dividing_undoes_multiplying_for_every_number_of_coefficients() {
        let series: Vec<f64> = (0..50).map(|i| f64::from(i * i % 17)).collect();
        let values = [0.4, -0.3, 0.2, 0.1, -0.2, 0.15, 0.05];
        for count in 0..=values.len() {
            for seasonal in [&[][..], &[0.5], &[0.5, -0.2]] {
                let negative = |v: &[f64]| v.iter().map(|v| -v).collect::<Vec<_>>();
                let mut filtered = series.clone();
                let short = &values[..count];
                multiply(&mut filtered, short, seasonal, 7);
                divide(&mut filtered, &negative(short), &negative(seasonal), 7);
                near(&filtered, &series);
            }
        }
    }

    #[test]
    fn a_series_shorter_than_the_lags_is_filtered() {
        let mut series = [2.0];
        multiply(&mut series, &[0.5, 0.2], &[0.3], 12);
        divide(&mut series, &[0.5, 0.2], &[0.3], 12);
        assert_eq!(series, [2.0]);
    }
}

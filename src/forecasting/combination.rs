/*!
Combinations: the mean or the median of what several models forecast, better on average than any of them (Bates and
Granger 1969; Petropoulos and Svetunkov 2020).
*/

use super::forecast::{Forecast, Interval};

/// Median of the models' forecasts, for each number by itself.
pub fn median_forecast(forecasts: &[Forecast]) -> Forecast {
    combined(forecasts, &medians)
}

/// Mean of the models' forecasts by weights that sum to 1, for each number by itself.
pub fn weighted_forecast(forecasts: &[Forecast], weights: &[f64]) -> Forecast {
    combined(forecasts, &|columns: &[Vec<f64>]| means(columns, weights))
}

fn combined(forecasts: &[Forecast], combine: &dyn Fn(&[Vec<f64>]) -> Vec<f64>) -> Forecast {
    let all = |of: &dyn Fn(&Forecast) -> &Vec<f64>| -> Vec<f64> {
        let columns: Vec<Vec<f64>> = forecasts.iter().map(|one| of(one).clone()).collect();
        combine(&columns)
    };
    let interval = |level: usize| Interval {
        lower: all(&|forecast| &forecast.intervals[level].lower),
        upper: all(&|forecast| &forecast.intervals[level].upper),
    };
    Forecast {
        mean: all(&|forecast| &forecast.mean),
        intervals: [interval(0), interval(1)],
    }
}

/// Mean of the columns at each row, by weights, of those that are known there; NaN where none is.
pub fn means(columns: &[Vec<f64>], weights: &[f64]) -> Vec<f64> {
    let rows = columns.first().map_or(0, Vec::len);
    let mean = |row: usize| {
        let values = columns.iter().map(|column| column[row]).zip(weights);
        let known = values.filter(|(value, _)| !value.is_nan());
        let (sum, total) = known.fold((0.0, 0.0), |(sum, total), (value, weight)| {
            (sum + weight * value, total + weight)
        });
        sum / total
    };
    (0..rows).map(mean).collect()
}

/// Median of the columns at each row; NaN where none is known.
pub fn medians(columns: &[Vec<f64>]) -> Vec<f64> {
    let rows = columns.first().map_or(0, Vec::len);
    let mut known = Vec::with_capacity(columns.len());
    (0..rows)
        .map(|row| {
            known.clear();
            known.extend(columns.iter().map(|column| column[row]));
            known.retain(|value| !value.is_nan());
            median(&mut known)
        })
        .collect()
}

/// Median of values, which are put in order; NaN if there are none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (count, middle) if count % 2 == 1 => values[middle],
        (_, middle) => (values[middle - 1] + values[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_or_the_mean_of_the_two_in_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
        let columns = [vec![1.0, f64::NAN], vec![5.0, 2.0], vec![3.0, 4.0]];
        assert_eq!(medians(&columns), [3.0, 3.0]);
        assert_eq!(means(&columns, &[0.5, 0.25, 0.25]), [2.5, 3.0]);
    }

    #[test]
    fn a_combined_forecast_has_the_median_of_each_number() {
        let of = |mean: f64, error: f64| Forecast::normal(vec![mean], &[error]);
        let combined = median_forecast(&[of(1.0, 1.0), of(2.0, 1.0), of(9.0, 5.0)]);
        assert_eq!(combined.mean, [2.0]);
        let expected = of(2.0, 1.0).intervals;
        assert_eq!(combined.intervals[0].lower, expected[0].lower);
    }
}

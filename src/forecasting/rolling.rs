/*!
Forecasts of values that are known, one horizon after another, by a model whose parameters stay as they were fitted.
*/

use std::ops::Range;

use super::forecast::{Forecast, Interval};
use super::model::Model;

/// Forecasts of the values in `window`, `horizon` steps at a time: each from all values before its first step.
pub fn rolled(model: &Model, values: &[f64], window: Range<usize>, horizon: usize) -> Forecast {
    let empty = || Interval {
        lower: Vec::with_capacity(window.len()),
        upper: Vec::with_capacity(window.len()),
    };
    let mut all = Forecast {
        mean: Vec::with_capacity(window.len()),
        intervals: [empty(), empty()],
    };
    for origin in window.clone().step_by(horizon.max(1)) {
        let steps = horizon.max(1).min(window.end - origin);
        let next = model.forecast(&values[..origin], steps);
        all.mean.extend(next.mean);
        for (all, next) in all.intervals.iter_mut().zip(next.intervals) {
            all.lower.extend(next.lower);
            all.upper.extend(next.upper);
        }
    }
    all
}

/// Forecasts of the values in `window`, `horizon` steps at a time, by `forecast` of an origin and a number of steps.
///
/// # Errors
/// What `forecast` fails with.
pub fn rolled_by<E>(
    window: Range<usize>,
    horizon: usize,
    mut forecast: impl FnMut(usize, usize) -> std::result::Result<Forecast, E>,
) -> std::result::Result<Forecast, E> {
    let empty = || Interval {
        lower: Vec::with_capacity(window.len()),
        upper: Vec::with_capacity(window.len()),
    };
    let mut all = Forecast {
        mean: Vec::with_capacity(window.len()),
        intervals: [empty(), empty()],
    };
    for origin in window.clone().step_by(horizon.max(1)) {
        let steps = horizon.max(1).min(window.end - origin);
        let next = forecast(origin, steps)?;
        all.mean.extend(next.mean);
        for (all, next) in all.intervals.iter_mut().zip(next.intervals) {
            all.lower.extend(next.lower);
            all.upper.extend(next.upper);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::naive::{Naive, NaiveKind};
    use super::*;

    #[test]
    fn each_horizon_begins_with_all_values_before_it() {
        let model = Model::Naive(Naive {
            kind: NaiveKind::Naive,
            season: 1,
        });
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(rolled(&model, &values, 2..6, 1).mean, [2.0, 3.0, 4.0, 5.0]);
        let by_three = rolled(&model, &values, 2..6, 3);
        assert_eq!(by_three.mean, [2.0, 2.0, 2.0, 5.0]);
        assert_eq!(by_three.intervals[1].upper.len(), 4);
    }
}

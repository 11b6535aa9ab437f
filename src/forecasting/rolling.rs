/*!
Forecasts of values that are known, one horizon after another, by a model whose parameters stay as they were fitted, or are
estimated anew as values come in.
*/

use std::borrow::Cow;
use std::ops::Range;

use super::forecast::{Forecast, Interval};
use super::model::Model;
use crate::error::Result;

/// Values to be tested on, after those to learn from.
#[derive(Clone)]
pub struct Window<'a> {
    /// As many values as are asked for, from the first, as they were known then: gaps are filled from these alone.
    pub history: &'a dyn Fn(usize) -> Cow<'a, [f64]>,
    /// Columns of regressors, to the end of the window at least.
    pub columns: &'a [Vec<f64>],
    /// The values to be tested on.
    pub range: Range<usize>,
    /// Number of steps that are forecast at a time.
    pub horizon: usize,
}

/// Forecasts of a window, a horizon at a time: each from all values before its first step. The parameters are estimated
/// anew from these at the first step, and then after every `refit` steps, if there is such a number.
///
/// # Errors
/// Values that the model cannot be fitted to.
pub fn rolled(model: &Model, window: &Window<'_>, refit: Option<usize>) -> Result<Forecast> {
    let Window {
        history,
        columns,
        range,
        horizon,
    } = window;
    let columns = *columns;
    let mut refitted: Option<Model> = None;
    let mut due = range.start;
    rolled_by(range.clone(), *horizon, |origin, steps| {
        let history = &*history(origin);
        if let Some(every) = refit.filter(|_| origin >= due) {
            let last = refitted.as_ref().unwrap_or(model);
            refitted = Some(last.refitted(history, columns)?);
            due = origin + every;
        }
        let model = refitted.as_ref().unwrap_or(model);
        Ok(model.forecast(history, columns, steps))
    })
}

/// Forecasts of the values in `window`, `horizon` steps at a time, by `forecast` of an origin and a number of steps.
///
/// # Errors
/// What `forecast` fails with.
pub fn rolled_by(
    window: Range<usize>,
    horizon: usize,
    mut forecast: impl FnMut(usize, usize) -> Result<Forecast>,
) -> Result<Forecast> {
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
    use super::super::arima::{Arima, Orders, Terms};
    use super::super::naive::{Naive, NaiveKind};
    use super::super::test_series::mixed;
    use super::*;

    fn rolled_means(model: &Model, window: &Window<'_>, refit: Option<usize>) -> Vec<f64> {
        rolled(model, window, refit).unwrap().mean
    }

    #[test]
    fn each_horizon_begins_with_all_values_before_it() {
        let model = Model::Naive(Naive {
            kind: NaiveKind::Naive,
            season: 1,
        });
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let window = Window {
            history: &|origin| Cow::Borrowed(&values[..origin]),
            columns: &[],
            range: 2..6,
            horizon: 1,
        };
        assert_eq!(rolled_means(&model, &window, None), [2.0, 3.0, 4.0, 5.0]);
        let by_three = Window {
            horizon: 3,
            ..window
        };
        let by_three = rolled(&model, &by_three, Some(1)).unwrap();
        assert_eq!(by_three.mean, [2.0, 2.0, 2.0, 5.0]);
        assert_eq!(by_three.intervals[1].upper.len(), 4);
    }

    #[test]
    fn parameters_are_estimated_anew_after_so_many_steps() {
        let values = mixed(130);
        let fit = |count: usize| {
            let orders = Orders::new(1, 0, 1);
            Model::Arima(Arima::fit(&values[..count], orders, &Terms::default()).unwrap())
        };
        let window = Window {
            history: &|origin| Cow::Borrowed(&values[..origin]),
            columns: &[],
            range: 90..95,
            horizon: 1,
        };
        let one = |model: &Model, origin: usize| model.forecast(&values[..origin], &[], 1).mean[0];
        let first = fit(60);
        let refitted = rolled_means(&first, &window, Some(2));
        let right = [(90, 90), (90, 91), (92, 92), (92, 93), (94, 94)];
        for (mean, (fitted, origin)) in refitted.into_iter().zip(right) {
            assert!((mean - one(&fit(fitted), origin)).abs() < 1e-9);
            assert!((mean - one(&first, origin)).abs() > 1e-6);
        }
        let kept = rolled_means(&first, &window, None);
        assert_eq!(kept, [90, 91, 92, 93, 94].map(|origin| one(&first, origin)));
    }
}

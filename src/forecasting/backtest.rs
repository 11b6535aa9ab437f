/*!
Backtests: forecasts from several origins within the history, each from what came before it alone, against what came.
*/

use super::accuracy::{Accuracy, scale};
use super::forecast::Forecast;

/// Lengths of the histories of a backtest, the shortest first: the last ends `horizon` values before the end, the others
/// `stride` values apart. Those with fewer than `least` values are left out.
pub fn origins(
    count: usize,
    horizon: usize,
    number: usize,
    stride: usize,
    least: usize,
) -> Vec<usize> {
    let last = count.saturating_sub(horizon);
    let lengths = (0..number).filter_map(|back| last.checked_sub(back * stride.max(1)));
    let mut lengths: Vec<usize> = lengths.filter(|length| *length >= least.max(1)).collect();
    lengths.reverse();
    lengths
}

/// Accuracy at each origin of what `forecast` says from the history before it, for the next `horizon` values or those there
/// are. MASE is scaled by the seasonal naive forecast within each history.
///
/// # Errors
/// What `forecast` fails with.
pub fn backtest<E>(
    values: &[f64],
    horizon: usize,
    season: usize,
    origins: &[usize],
    mut forecast: impl FnMut(&[f64], usize) -> Result<Forecast, E>,
) -> Result<Vec<Accuracy>, E> {
    let accuracy = |&origin: &usize| {
        let (history, rest) = values.split_at(origin);
        let actual = &rest[..horizon.min(rest.len())];
        let forecast = forecast(history, actual.len())?;
        Ok(Accuracy::new(&forecast, actual, scale(history, season)))
    };
    origins.iter().map(accuracy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecasting::naive::{Naive, NaiveKind};

    #[test]
    fn the_last_origin_leaves_a_horizon_and_the_others_lie_before_it() {
        assert_eq!(origins(20, 4, 3, 2, 1), [12, 14, 16]);
        assert_eq!(origins(20, 4, 9, 4, 8), [8, 12, 16]);
        assert!(origins(3, 4, 2, 1, 1).is_empty());
    }

    #[test]
    fn each_origin_is_forecast_from_what_came_before_it() {
        let values: Vec<f64> = (0..10).map(f64::from).collect();
        let naive = Naive {
            kind: NaiveKind::Naive,
            season: 1,
        };
        let mut lengths = Vec::new();
        let accuracies = backtest(&values, 2, 1, &[4, 9], |history, horizon| {
            lengths.push((history.len(), horizon));
            Ok::<_, ()>(naive.forecast(history, horizon))
        });
        assert_eq!(lengths, [(4, 2), (9, 1)]);
        let errors: Vec<f64> = accuracies.unwrap().iter().map(|a| a.mae).collect();
        assert_eq!(errors, [1.5, 1.0]);
    }
}

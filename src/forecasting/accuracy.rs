/*!
Accuracy of forecasts, as the M4 competition defines it (Makridakis et al. 2020): sMAPE, MASE, and OWA against Naive2.
*/

use serde::{Deserialize, Serialize};

use super::forecast::Forecast;

/// Errors of a forecast against the values that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Symmetric mean absolute percentage error: the mean of 200 |y − ŷ| / (|y| + |ŷ|), where both are 0 counted as 0.
    pub smape: f64,
    /// Mean absolute scaled error: the mean absolute error over that of the seasonal naive forecast within the history.
    pub mase: f64,
    /// Mean absolute error, in the series' own unit.
    pub mae: f64,
    /// Fraction of the values within each interval of [`super::forecast::LEVELS`].
    pub coverage: [f64; 2],
}

/// The scale of MASE: mean absolute difference of values a season apart, over those that are known; 0 if there are none.
pub fn scale(history: &[f64], season: usize) -> f64 {
    let pairs = history.iter().zip(history.iter().skip(season.max(1)));
    mean(pairs.map(|(before, after)| (after - before).abs()))
}

impl Accuracy {
    /// Errors of a forecast of the values `actual`, of which those that are not known (NaN) are left out. `scale` is that of
    /// MASE; where it is 0, as in a constant history, MASE is 0 for a forecast without error and infinite for another.
    pub fn new(forecast: &Forecast, actual: &[f64], scale: f64) -> Self {
        let pairs = || forecast.mean.iter().zip(actual);
        let mae = mean(pairs().map(|(expected, actual)| (actual - expected).abs()));
        let smape = mean(pairs().map(|(expected, actual)| {
            // Halves, for sums of the largest numbers overflow.
            let (expected, actual) = (expected / 2.0, actual / 2.0);
            let size = expected.abs() + actual.abs();
            match size == 0.0 {
                true => 0.0,
                false => 200.0 * ((actual - expected).abs() / size),
            }
        }));
        let coverage = forecast.intervals.each_ref().map(|interval| {
            let ends = interval.lower.iter().zip(&interval.upper);
            mean(
                ends.zip(actual)
                    .map(|((lower, upper), actual)| match actual.is_nan() {
                        true => f64::NAN,
                        false => f64::from(u8::from((lower..=upper).contains(&actual))),
                    }),
            )
        });
        let mase = match mae == 0.0 {
            true => 0.0,
            false => mae / scale,
        };
        Accuracy {
            smape,
            mase,
            mae,
            coverage,
        }
    }

    /// Mean of several accuracies, each figure by itself; infinite ones are left out.
    pub fn mean(all: &[Accuracy]) -> Self {
        let figure = |of: fn(&Accuracy) -> f64| mean(all.iter().map(of).filter(|x| x.is_finite()));
        Accuracy {
            smape: figure(|a| a.smape),
            mase: figure(|a| a.mase),
            mae: figure(|a| a.mae),
            coverage: [figure(|a| a.coverage[0]), figure(|a| a.coverage[1])],
        }
    }

    /// Overall weighted average: the mean of sMAPE and MASE, each over that of Naive2 on the same series.
    pub fn owa(&self, naive2: &Accuracy) -> f64 {
        (self.smape / naive2.smape + self.mase / naive2.mase) / 2.0
    }
}

/// Mean of the values that are known; 0 if there are none.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let known = values.filter(|value| !value.is_nan());
    let (sum, count) = known.fold((0.0, 0u64), |(sum, count), value| (sum + value, count + 1));
    sum / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: errors 1 and 2 on values 9 and 18 forecast as 10 and 20; differences of the history 2 and 4.
    #[test]
    fn errors_are_those_of_the_definitions() {
        let forecast = Forecast::normal(vec![10.0, 20.0], &[1.0, 0.5]);
        let accuracy = Accuracy::new(&forecast, &[9.0, 18.0], scale(&[1.0, 3.0, 7.0], 1));
        assert!((accuracy.smape - (200.0 / 19.0 + 400.0 / 38.0) / 2.0).abs() < 1e-12);
        assert!((accuracy.mase - 0.5).abs() < 1e-12);
        assert!((accuracy.mae - 1.5).abs() < 1e-12);
        assert_eq!(accuracy.coverage, [0.5, 0.5]);
    }

    #[test]
    fn unknown_values_are_left_out() {
        let forecast = Forecast::normal(vec![10.0, 20.0], &[1.0, 1.0]);
        let accuracy = Accuracy::new(&forecast, &[12.0, f64::NAN], 1.0);
        assert_eq!((accuracy.mae, accuracy.coverage), (2.0, [0.0, 0.0]));
    }

    #[test]
    fn a_constant_series_forecast_rightly_has_no_error() {
        let forecast = Forecast::normal(vec![5.0], &[0.0]);
        let accuracy = Accuracy::new(&forecast, &[5.0], scale(&[5.0; 9], 1));
        assert_eq!((accuracy.smape, accuracy.mase), (0.0, 0.0));
        assert_eq!(accuracy.coverage, [1.0, 1.0]);
    }
}

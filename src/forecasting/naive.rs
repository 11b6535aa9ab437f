/*!
Naive forecasts, which any other has to beat: the last value, the last season, the line through the ends, the mean
(Hyndman and Athanasopoulos, Forecasting: Principles and Practice, section 5.2).
*/

use serde::{Deserialize, Serialize};

use super::forecast::Forecast;

/// What a naive forecast repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NaiveKind {
    /// The last value.
    Naive,
    /// The value a season before.
    SeasonalNaive,
    /// The last value, moved on by the mean difference of neighbours.
    Drift,
    /// The mean of all values.
    Mean,
}

/// A naive forecaster.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Naive {
    /// What is repeated.
    pub kind: NaiveKind,
    /// Number of steps in a season, for the seasonal kind; 1 for none.
    pub season: usize,
}

impl Naive {
    /// The value that is expected `step` steps (from 1) after `history`; the last value where that has less than a season.
    fn expected(&self, history: &[f64], step: usize) -> f64 {
        let count = history.len();
        let Some(&last) = history.last() else {
            return f64::NAN;
        };
        match self.kind {
            NaiveKind::SeasonalNaive if (1..=count).contains(&self.season) => {
                history[count - self.season + (step - 1) % self.season]
            }
            NaiveKind::Naive | NaiveKind::SeasonalNaive => last,
            NaiveKind::Drift if count > 1 => {
                last + step as f64 * (last - history[0]) / (count - 1) as f64
            }
            NaiveKind::Drift => last,
            NaiveKind::Mean => history.iter().sum::<f64>() / count as f64,
        }
    }

    /// What was expected of each value from those before it; NaN where too few were.
    pub fn predictions(&self, values: &[f64]) -> Vec<f64> {
        let first = match self.kind {
            NaiveKind::SeasonalNaive => self.season.max(1),
            NaiveKind::Drift => 2,
            _ => 1,
        };
        // A running sum, for a mean over all that came before each value would take quadratic time.
        let mut sum = 0.0;
        let mut predictions = Vec::with_capacity(values.len());
        for index in 0..values.len() {
            predictions.push(match self.kind {
                _ if index < first => f64::NAN,
                NaiveKind::Mean => sum / index as f64,
                _ => self.expected(&values[..index], 1),
            });
            sum += values[index];
        }
        predictions
    }

    /// The next values, with intervals by the standard errors that these forecasts have under their own models.
    pub fn forecast(&self, values: &[f64], horizon: usize) -> Forecast {
        let errors = values.iter().zip(self.predictions(values));
        let errors: Vec<f64> = errors
            .map(|(value, expected)| value - expected)
            .filter(|error| !error.is_nan())
            .collect();
        // In units of the largest, for squares of large numbers overflow.
        let largest = errors
            .iter()
            .fold(0.0f64, |most, error| most.max(error.abs()));
        let unit = if largest > 0.0 { largest } else { 1.0 };
        let squares = errors.iter().map(|error| (error / unit).powi(2));
        let deviation = unit * (squares.sum::<f64>() / errors.len().max(1) as f64).sqrt();
        let count = values.len().max(1) as f64;
        let growth = |step: usize| {
            let steps = step as f64;
            match self.kind {
                NaiveKind::Naive => steps.sqrt(),
                NaiveKind::SeasonalNaive => ((step - 1) / self.season.max(1) + 1) as f64,
                NaiveKind::Drift => (steps * (1.0 + steps / (count - 1.0).max(1.0))).sqrt(),
                NaiveKind::Mean => (1.0 + 1.0 / count).sqrt(),
            }
        };
        let growth = |step: usize| match self.kind {
            NaiveKind::SeasonalNaive => growth(step).sqrt(),
            _ => growth(step),
        };
        let mean = (1..=horizon)
            .map(|step| self.expected(values, step))
            .collect();
        let errors: Vec<f64> = (1..=horizon).map(|step| deviation * growth(step)).collect();
        Forecast::normal(mean, &errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast(kind: NaiveKind, season: usize, values: &[f64], horizon: usize) -> Vec<f64> {
        Naive { kind, season }.forecast(values, horizon).mean
    }

    #[test]
    fn errors_of_huge_values_are_finite() {
        let naive = Naive {
            kind: NaiveKind::Naive,
            season: 1,
        };
        let forecast = |unit: f64| naive.forecast(&[unit, 3.0 * unit, 2.0 * unit], 1);
        let ratio = forecast(1e300).intervals[0].upper[0] / forecast(1.0).intervals[0].upper[0];
        assert!((ratio / 1e300 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn each_kind_repeats_what_it_says() {
        let values = [1.0, 5.0, 3.0, 2.0, 7.0];
        assert_eq!(forecast(NaiveKind::Naive, 1, &values, 2), [7.0, 7.0]);
        assert_eq!(
            forecast(NaiveKind::SeasonalNaive, 2, &values, 3),
            [2.0, 7.0, 2.0]
        );
        assert_eq!(forecast(NaiveKind::Drift, 1, &values, 2), [8.5, 10.0]);
        assert_eq!(forecast(NaiveKind::Mean, 1, &values, 1), [3.6]);
    }

    #[test]
    fn a_history_shorter_than_a_season_repeats_its_last_value() {
        assert_eq!(
            forecast(NaiveKind::SeasonalNaive, 12, &[4.0, 6.0], 2),
            [6.0, 6.0]
        );
        assert_eq!(forecast(NaiveKind::Drift, 1, &[4.0], 2), [4.0, 4.0]);
    }

    /// The errors of the naive forecast of 0, 1, 3, 2 are 1, 2 and −1: their root mean square is √2.
    #[test]
    fn intervals_grow_with_the_root_of_the_steps() {
        let naive = Naive {
            kind: NaiveKind::Naive,
            season: 1,
        };
        let forecast = naive.forecast(&[0.0, 1.0, 3.0, 2.0], 4);
        let width = |step: usize| forecast.intervals[1].upper[step] - 2.0;
        assert!((width(0) - 1.959963984540054 * 2f64.sqrt()).abs() < 1e-12);
        assert!((width(3) / width(0) - 2.0).abs() < 1e-12);
    }
}

/*!
Windows of series, as a network reads them: for each step a row of inputs, and the values that are to be predicted.
*/

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::numeric_series::NumericSeries;
use super::scaling::{Scaling, Smoothed};
use crate::checkpoint::numbers::Numbers;
use crate::error::{Error, Result};

/// The scalings of a series and of the columns beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesScaling {
    /// The series' name.
    pub id: String,
    /// That of its values.
    pub values: Scaling,
    /// Those of the other columns.
    pub others: Vec<Scaling>,
    /// Those of the columns known ahead.
    pub known: Vec<Standard>,
}

/// Mean and standard deviation of a column that is known ahead.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standard {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub deviation: f64,
}

impl Standard {
    fn of(values: &[f64]) -> Self {
        let known: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
        let count = known.len().max(1) as f64;
        let mean = known.iter().sum::<f64>() / count;
        let squares = known.iter().map(|value| (value - mean).powi(2));
        Standard {
            mean,
            deviation: (squares.sum::<f64>() / count).sqrt(),
        }
    }

    /// A value in standard deviations from the mean; 0 where it is missing or never changes.
    fn of_value(&self, value: Option<&f64>) -> f64 {
        let value = value.map_or(0.0, |value| (value - self.mean) / self.deviation);
        if value.is_finite() { value } else { 0.0 }
    }
}

impl SeriesScaling {
    /// Fits the scalings of a series and its columns.
    pub fn fit(series: &NumericSeries, numbers: &Numbers) -> Self {
        let scaling = |values: &Vec<f64>| Scaling::fit(values, numbers.season, numbers.logarithms);
        let length = series.values.len();
        SeriesScaling {
            id: series.id.clone(),
            values: scaling(&series.values),
            others: series.others.iter().map(scaling).collect(),
            known: (series.known.iter())
                .map(|known| Standard::of(&known[..length.min(known.len())]))
                .collect(),
        }
    }
}

/// A series as a network reads it.
#[derive(Clone, Debug)]
pub struct Windows {
    numbers: Numbers,
    /// Values that a step predicts.
    horizon: usize,
    values: Smoothed,
    others: Vec<Smoothed>,
    /// Shared by paths that go on differently from here.
    known: Arc<[Vec<f64>]>,
}

impl Windows {
    /// The windows of a series, by its scalings.
    ///
    /// # Errors
    /// Columns that do not belong together, or other ones than the network reads.
    pub fn new(
        series: &NumericSeries,
        scaling: &SeriesScaling,
        numbers: &Numbers,
        horizon: usize,
    ) -> Result<Self> {
        series.check()?;
        let found = [series.others.len(), series.known.len()];
        let read = [numbers.others, numbers.known];
        if found != read || scaling.others.len() != found[0] || scaling.known.len() != found[1] {
            return Err(Error::new(format!(
                "the network reads {} other columns and {} that are known ahead, but series {} has {} and {}",
                read[0], read[1], series.id, found[0], found[1]
            )));
        }
        let others = series.others.iter().zip(&scaling.others);
        let known = series.known.iter().zip(&scaling.known);
        Ok(Windows {
            numbers: numbers.clone(),
            horizon,
            values: scaling.values.smooth(&series.values),
            others: others
                .map(|(values, scaling)| scaling.smooth(values))
                .collect(),
            known: known
                .map(|(values, standard)| {
                    let length = values.len().max(series.values.len() + horizon);
                    (0..length)
                        .map(|step| standard.of_value(values.get(step)))
                        .collect()
                })
                .collect(),
        })
    }

    /// Goes on by values that came after the last; of the columns of which the past is known, nothing is known there.
    pub fn extend(&mut self, values: &[f64]) {
        self.values.extend(values);
        let missing = vec![f64::NAN; values.len()];
        let others = self.others.iter_mut();
        others.for_each(|other| other.extend(&missing));
    }

    /// Number of steps of the series.
    pub fn steps(&self) -> usize {
        self.values.len()
    }

    /// The scaling of the series' values.
    pub fn scaling(&self) -> &Scaling {
        self.values.scaling()
    }

    /// Appends what step `now` reads, [`Numbers::input_size`] numbers.
    pub fn read(&self, now: usize, inputs: &mut Vec<f32>) {
        let numbers = &self.numbers;
        for column in std::iter::once(&self.values).chain(&self.others) {
            inputs.extend((0..numbers.lags).map(|lag| column.past(now, lag) as f32));
        }
        let ahead = 1..=numbers.seasons_ahead(self.horizon);
        inputs.extend(ahead.map(|ahead| self.values.season_ahead(now, ahead) as f32));
        let ahead = 1..=numbers.long_season_ahead(self.horizon);
        let before = ahead.map(|ahead| numbers.long_season - ahead);
        inputs.extend(before.map(|lag| self.values.past(now, lag) as f32));
        for column in self.known.iter() {
            let at = |step: Option<usize>| step.and_then(|step| column.get(step)).copied();
            let ahead = 1..=self.horizon;
            inputs.extend(
                ahead
                    .clone()
                    .map(|ahead| at(Some(now + ahead)).unwrap_or(0.0) as f32),
            );
            if numbers.season > 1 {
                let before = |ahead: usize| (now + ahead).checked_sub(numbers.season);
                inputs.extend(ahead.map(|ahead| at(before(ahead)).unwrap_or(0.0) as f32));
            }
        }
        inputs.push((self.values.scaling().spread / 2.0 + 1.0) as f32);
    }

    /// Appends the values that step `now` is to predict, of which those from step `end` on count as missing (NaN).
    pub fn targets(&self, now: usize, end: usize, targets: &mut Vec<f32>) {
        targets.extend((1..=self.horizon).map(|ahead| match now + ahead < end {
            true => self.values.target(now, ahead) as f32,
            false => f32::NAN,
        }));
    }

    /// The value that a prediction of step `now` stands for, `ahead` steps later.
    pub fn restore(&self, now: usize, ahead: usize, prediction: f64) -> f64 {
        self.values.restore(now, ahead, prediction)
    }

    /// The steps of the window that ends with step `now`; `None` before the series begins, where a step reads zeros.
    pub fn window(&self, now: usize) -> impl Iterator<Item = Option<usize>> {
        let window = self.numbers.window;
        (0..window).map(move |index| (now + 1 + index).checked_sub(window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(season: usize) -> Numbers {
        Numbers {
            window: 3,
            lags: 2,
            season,
            long_season: 0,
            logarithms: false,
            others: 1,
            known: 1,
        }
    }

    fn plain(unit: f64, season: usize) -> Scaling {
        Scaling {
            logarithm: false,
            season,
            level: 1.0,
            seasonal: 0.0,
            unit,
            spread: -2.0,
        }
    }

    /// Level smoothing of 1: the level is the last value, so that lag 0 is 0 and lag 1 the last difference.
    #[test]
    fn windows_are_those_made_by_hand() {
        let series = NumericSeries {
            id: "a".to_string(),
            values: vec![1.0, 2.0, 4.0, 7.0],
            others: vec![vec![0.0, 1.0, 0.0, 5.0]],
            known: vec![vec![0.0, 1.0, 0.0, 1.0, 0.0, 1.0]],
        };
        let scaling = SeriesScaling {
            id: "a".to_string(),
            values: plain(1.0, 1),
            others: vec![plain(2.0, 1)],
            known: vec![Standard {
                mean: 0.5,
                deviation: 0.5,
            }],
        };
        let windows = Windows::new(&series, &scaling, &numbers(1), 2).unwrap();
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        windows.read(2, &mut inputs);
        windows.targets(2, 4, &mut targets);
        // Own lags, other's lags, known one and two steps ahead, spread.
        assert_eq!(inputs, [0.0, -2.0, 0.0, 0.5, 1.0, -1.0, 0.0]);
        assert_eq!(inputs.len(), numbers(1).input_size(2));
        assert_eq!(targets[0], 3.0);
        assert!(targets[1].is_nan());
        assert_eq!(windows.restore(2, 1, 3.0), 7.0);
        let steps: Vec<_> = windows.window(1).collect();
        assert_eq!(steps, [None, Some(0), Some(1)]);
        // What the last step knows ahead reaches beyond the values.
        inputs.clear();
        windows.read(3, &mut inputs);
        assert_eq!(inputs[4..6], [-1.0, 1.0]);
    }

    /// What is read and restored after them is what it is in a series that had them from the start.
    #[test]
    fn windows_go_on_by_values() {
        let values: Vec<f64> = (0..30).map(|i| f64::from(i * 7 % 13)).collect();
        let whole = NumericSeries {
            others: vec![[&values[..24], &[f64::NAN; 6]].concat()],
            known: vec![(0..33).map(|i| f64::from(i % 5)).collect()],
            ..NumericSeries::of_values("d", values.clone())
        };
        let scaling = SeriesScaling::fit(&whole, &numbers(7));
        let windows =
            |series: &NumericSeries| Windows::new(series, &scaling, &numbers(7), 3).unwrap();
        let (whole, mut part) = (windows(&whole), windows(&whole.until(24)));
        part.extend(&values[24..28]);
        part.extend(&values[28..]);
        assert_eq!(part.steps(), 30);
        for now in 20..30 {
            let [mut expected, mut found] = [Vec::new(), Vec::new()];
            whole.read(now, &mut expected);
            part.read(now, &mut found);
            assert_eq!(found, expected);
            assert_eq!(part.restore(now, 2, 0.5), whole.restore(now, 2, 0.5));
        }
    }

    #[test]
    fn other_columns_than_the_network_reads_are_refused() {
        let series = NumericSeries::of_values("b", vec![1.0, 2.0, 3.0]);
        let scaling = SeriesScaling::fit(&series, &numbers(1));
        let message = Windows::new(&series, &scaling, &numbers(1), 2).unwrap_err();
        assert!(message.to_string().contains("1 other columns"), "{message}");
    }

    #[test]
    fn a_step_reads_as_many_numbers_as_its_layer_takes() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i % 7)).collect();
        let series = NumericSeries {
            others: vec![values.clone()],
            known: vec![values.clone()],
            ..NumericSeries::of_values("c", values)
        };
        for (season, long_season, horizon) in [(1, 0, 3), (7, 0, 3), (7, 21, 20), (7, 14, 20)] {
            let numbers = Numbers {
                long_season,
                ..numbers(season)
            };
            let scaling = SeriesScaling::fit(&series, &numbers);
            let windows = Windows::new(&series, &scaling, &numbers, horizon).unwrap();
            let mut inputs = Vec::new();
            (0..40).for_each(|now| windows.read(now, &mut inputs));
            assert_eq!(inputs.len(), 40 * numbers.input_size(horizon));
            assert!(inputs.iter().all(|input| input.is_finite()));
        }
    }
}

/*!
A series of numbers, with its dates and with what a model may use beside it.
*/

use serde::{Deserialize, Serialize};

use super::date::Date;
use super::dates::{Dates, Places};
use super::step::Step;
use crate::error::{Error, Result};

/// A series of numbers, the oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What it is called: its id, its column, or both.
    pub id: String,
    /// The values; NaN where one is missing.
    #[serde(with = "missing_as_null")]
    pub values: Vec<f64>,
    /// Their dates; without any, values are counted from 1.
    pub dates: Option<Dates>,
    /// What a model may use beside the values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regressors: Vec<Regressor>,
}

/// Numbers beside those of a series, one for each of its values and for those that follow, as far as they are known ahead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Regressor {
    /// What it is called: its column, and the category that a 1 stands for.
    pub name: String,
    /// The numbers.
    #[serde(with = "missing_as_null")]
    pub values: Vec<f64>,
    /// Whether it is known ahead.
    pub known_ahead: bool,
}

/// What new rows brought to a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extension {
    /// Values after those that were there.
    pub added: usize,
    /// Values that changed.
    pub replaced: usize,
    /// Missing values between the old end and the first new one.
    pub gap: usize,
    /// Values before the beginning of the series, which are left out.
    pub early: usize,
}

impl Series {
    /// A series without dates, and without what is missing at its beginning and at its end.
    ///
    /// # Errors
    /// Infinite values, or none at all.
    pub fn of_values(id: &str, values: &[f64]) -> Result<Self> {
        if let Some(at) = values.iter().position(|value| value.is_infinite()) {
            return Err(Error::usage(format!(
                "{id}: number {} is infinite; a missing value is NaN",
                at + 1
            )));
        }
        let is_known = |value: &f64| !value.is_nan();
        let start = values.iter().position(is_known);
        let (Some(start), Some(last)) = (start, values.iter().rposition(is_known)) else {
            return Err(Error::usage(format!("{id}: there is no number")));
        };
        Ok(Series {
            id: id.to_string(),
            values: values[start..=last].to_vec(),
            dates: None,
            regressors: Vec::new(),
        })
    }

    /// The date of a value as text, or its number where there are no dates; it goes on after the last value.
    pub fn label(&self, index: usize) -> String {
        label(self.dates.as_ref(), index)
    }

    /// The step between two values, if it is known.
    pub fn step(&self) -> Option<&Step> {
        self.dates.as_ref().and_then(Dates::step)
    }

    /// Number of values that are known.
    pub fn known(&self) -> usize {
        self.values.iter().filter(|value| !value.is_nan()).count()
    }

    /// The part of the series with these values.
    pub fn part(&self, range: std::ops::Range<usize>) -> Series {
        let mut dates = self
            .dates
            .as_ref()
            .map(|dates| dates.without_first(range.start));
        if let Some(dates) = &mut dates {
            dates.truncate(range.len());
        }
        let regressor = |regressor: &Regressor| Regressor {
            values: regressor.values[range.start.min(regressor.values.len())..].to_vec(),
            ..regressor.clone()
        };
        Series {
            id: self.id.clone(),
            values: self.values[range.clone()].to_vec(),
            dates,
            regressors: self.regressors.iter().map(regressor).collect(),
        }
    }

    /// Adds the values of new rows: those with dates at their places, others after the last. What both have is as the new rows
    /// say.
    ///
    /// # Errors
    /// If only one of both has dates, or the new ones lie very far away.
    pub fn extend(&mut self, new: &Series) -> Result<Extension> {
        let old = self.values.len();
        let (Some(dates), Some(new_dates)) = (&mut self.dates, &new.dates) else {
            if self.dates.is_some() != new.dates.is_some() {
                return Err(self.unlike(new));
            }
            self.values.extend(&new.values);
            self.extend_regressors(new, old);
            return Ok(Extension {
                added: new.values.len(),
                ..Extension::default()
            });
        };
        let new_dates: Vec<Date> = (0..new.values.len()).map(|at| new_dates.date(at)).collect();
        let mut extension = Extension::default();
        match &mut dates.places {
            Places::Regular { step, first } => {
                let (step, first) = (*step, *first);
                let places = new_dates.iter().map(|&date| step.index(date) - first);
                let far = places.clone().max().unwrap_or_default();
                if far > 2 * (old as i64) + 10_000 {
                    return Err(Error::new(format!(
                        "the new rows of {} are {} steps after its last one; are their dates right?",
                        self.id,
                        far - old as i64
                    )));
                }
                for (place, &value) in places.zip(&new.values) {
                    self.put(place, value, &mut extension);
                }
            }
            Places::Irregular { dates } => {
                for (&date, &value) in new_dates.iter().zip(&new.values) {
                    match dates.binary_search(&date) {
                        Ok(at) => {
                            extension.replaced += usize::from(self.values[at] != value);
                            self.values[at] = value;
                        }
                        Err(at) if at == dates.len() => {
                            dates.push(date);
                            self.values.push(value);
                            extension.added += 1;
                        }
                        Err(_) => extension.early += 1,
                    }
                }
            }
        }
        self.extend_regressors(new, old);
        let added = &self.values[old..];
        extension.gap = added.iter().take_while(|value| value.is_nan()).count();
        extension.added = added.iter().filter(|value| !value.is_nan()).count();
        Ok(extension)
    }

    /// The error of new rows of which only one side has dates.
    fn unlike(&self, new: &Series) -> Error {
        let dates = |series: &Series| match series.dates {
            Some(_) => "dates",
            None => "no dates",
        };
        Error::new(format!(
            "{} has {}, and the new rows have {}; give a file like the one that it was fitted on",
            self.id,
            dates(self),
            dates(new)
        ))
    }

    /// Where a row of `new` belongs, with its values added to `old` ones before; `None` before the beginning.
    fn place_of(&self, new: &Series, at: usize, old: usize) -> Option<usize> {
        let (Some(dates), Some(new_dates)) = (&self.dates, &new.dates) else {
            return Some(old + at);
        };
        let date = new_dates.date(at);
        match &dates.places {
            Places::Regular { step, first } => usize::try_from(step.index(date) - first).ok(),
            Places::Irregular { dates } => match at.checked_sub(new.values.len()) {
                Some(after) => Some(self.values.len() + after),
                None => dates.binary_search(&date).ok(),
            },
        }
    }

    /// Adds the numbers of new rows, whose values were added to `old` ones, to those of the columns beside the values. A
    /// category that new rows do not have is 0 where they have others of its column.
    fn extend_regressors(&mut self, new: &Series, old: usize) {
        let rows = new.regressors.iter().map(|one| one.values.len()).max();
        let rows = 0..rows.unwrap_or_default();
        let places: Vec<Option<usize>> = rows.map(|at| self.place_of(new, at, old)).collect();
        let column = |name: &str| name.split_once('=').map(|(column, _)| column.to_string());
        for own in &mut self.regressors {
            let same = new.regressors.iter().find(|one| one.name == own.name);
            let family = column(&own.name).and_then(|name| {
                let mut others = new.regressors.iter();
                others.find(|one| column(&one.name).as_ref() == Some(&name))
            });
            let numbers: Vec<f64> = match (same, family) {
                (Some(same), _) => same.values.clone(),
                (None, Some(other)) => other.values.iter().map(|value| 0.0 * value).collect(),
                (None, None) => continue,
            };
            for (&place, number) in places.iter().zip(numbers) {
                let Some(place) = place.filter(|_| !number.is_nan()) else {
                    continue;
                };
                if place >= own.values.len() {
                    own.values.resize(place + 1, f64::NAN);
                }
                own.values[place] = number;
            }
        }
    }

    /// Puts a value at its place on the grid.
    fn put(&mut self, place: i64, value: f64, extension: &mut Extension) {
        let Ok(place) = usize::try_from(place) else {
            extension.early += 1;
            return;
        };
        if place >= self.values.len() {
            self.values.resize(place + 1, f64::NAN);
        } else if !value.is_nan() && self.values[place] != value && !self.values[place].is_nan() {
            extension.replaced += 1;
        }
        if !value.is_nan() {
            self.values[place] = value;
        }
    }
}

/// The date of a value as text, or its number where there are no dates.
pub fn label(dates: Option<&Dates>, index: usize) -> String {
    match dates {
        Some(dates) => dates.text(index),
        None => (index + 1).to_string(),
    }
}

/// NaN as null, which JSON has instead.
mod missing_as_null {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        let known = values
            .iter()
            .map(|value| Some(*value).filter(|value| !value.is_nan()));
        serializer.collect_seq(known)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let values: Vec<Option<f64>> = Vec::deserialize(deserializer)?;
        Ok(values
            .into_iter()
            .map(|value| value.unwrap_or(f64::NAN))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::date::{DAY, DateStyle};
    use super::*;

    #[test]
    fn series_of_values_begin_and_end_with_a_number() {
        let nan = f64::NAN;
        let series = Series::of_values("x", &[nan, 1.0, nan, 2.0, nan]).unwrap();
        assert_eq!(series.values.len(), 3);
        assert_eq!(series.known(), 2);
        for (values, said) in [
            (&[1.0, f64::INFINITY][..], "number 2 is infinite"),
            (&[nan], "no number"),
        ] {
            let error = Series::of_values("x", values).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    fn daily(first: i64, values: &[f64]) -> Series {
        let step = Step::Fixed {
            milliseconds: DAY,
            phase: 0,
        };
        Series {
            id: "x".to_string(),
            values: values.to_vec(),
            dates: Some(Dates {
                style: DateStyle::default(),
                places: Places::Regular { step, first },
            }),
            regressors: Vec::new(),
        }
    }

    #[test]
    fn new_rows_are_put_at_their_dates() {
        let mut series = daily(100, &[1.0, 2.0, 3.0]);
        let extension = series.extend(&daily(102, &[3.0, 4.0])).unwrap();
        assert_eq!(series.values, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(
            (extension.added, extension.replaced, extension.gap),
            (1, 0, 0)
        );
        let extension = series.extend(&daily(106, &[9.0])).unwrap();
        assert_eq!((extension.added, extension.gap), (1, 2));
        assert!(series.values[5].is_nan());
        assert_eq!(series.label(6), "1970-04-17");
        let extension = series.extend(&daily(99, &[7.0, 8.0])).unwrap();
        assert_eq!(
            (extension.early, extension.replaced, series.values[0]),
            (1, 1, 8.0)
        );
        assert!(series.extend(&daily(90_000, &[1.0])).is_err());
    }

    #[test]
    fn columns_beside_the_values_are_put_at_the_same_dates() {
        let with = |mut series: Series, columns: &[(&str, &[f64])]| {
            let regressor = |&(name, values): &(&str, &[f64])| Regressor {
                name: name.to_string(),
                values: values.to_vec(),
                known_ahead: true,
            };
            series.regressors = columns.iter().map(regressor).collect();
            series
        };
        let old = daily(100, &[1.0, 2.0]);
        let mut series = with(
            old,
            &[
                ("heat", &[5.0, 6.0, 7.0]),
                ("day=free", &[0.0, 1.0, 1.0]),
                ("day=working", &[1.0, 0.0, 0.0]),
            ],
        );
        let new = daily(102, &[3.0]);
        let new = with(
            new,
            &[
                ("day=working", &[1.0, 1.0]),
                ("heat", &[8.0, f64::NAN, 9.0]),
            ],
        );
        series.extend(&new).unwrap();
        let [heat, free, working] = &series.regressors[..] else {
            panic!("{series:?}");
        };
        assert_eq!(heat.values[..3], [5.0, 6.0, 8.0]);
        assert!(heat.values[3].is_nan());
        assert_eq!(heat.values[4], 9.0);
        assert_eq!(free.values, [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(working.values, [1.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn missing_values_are_null_in_json() {
        let series = daily(0, &[1.5, f64::NAN]);
        let json = serde_json::to_string(&series).unwrap();
        assert!(json.contains("[1.5,null]"), "{json}");
        let back: Series = serde_json::from_str(&json).unwrap();
        assert!(back.values[1].is_nan() && back.dates == series.dates);
    }
}

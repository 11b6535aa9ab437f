/*!
The dates of a series, which go on into the future.
*/

use serde::{Deserialize, Serialize};

use super::date::{Date, DateStyle, Resolution, month_length};
use super::date_text::{DateOrder, DateText};
use super::step::Step;
use crate::error::{Error, Result};

/// The dates of a series' values, the oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dates {
    /// How they are written.
    pub style: DateStyle,
    /// Where they are.
    pub places: Places,
}

/// Where the dates of a series are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Places {
    /// One after another on the grid of a step.
    Regular {
        /// The step.
        step: Step,
        /// The first value's place on its grid.
        first: i64,
    },
    /// Anywhere.
    Irregular {
        /// The dates.
        dates: Vec<Date>,
    },
}

impl Dates {
    /// The step, if they have a regular one.
    pub fn step(&self) -> Option<&Step> {
        match &self.places {
            Places::Regular { step, .. } => Some(step),
            Places::Irregular { .. } => None,
        }
    }

    /// The date of a value; beyond the last one they go on by the step, or without one by the mean of all steps.
    pub fn date(&self, index: usize) -> Date {
        match &self.places {
            Places::Regular { step, first } => step.date(first + index as i64),
            Places::Irregular { dates } => match (dates.get(index), dates.first(), dates.last()) {
                (Some(&date), ..) => date,
                (None, Some(first), Some(last)) => {
                    let mean = (last.0 - first.0) / (dates.len() as i64 - 1).max(1);
                    Date(last.0 + mean * (index - dates.len() + 1) as i64)
                }
                _ => Date::default(),
            },
        }
    }

    /// The date of a value as text.
    pub fn text(&self, index: usize) -> String {
        self.date(index).text(self.style)
    }

    /// Index of the first value, of `count`, whose date is not before `date`; `count` if there is none.
    pub fn index_of(&self, date: Date, count: usize) -> usize {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = (low + high) / 2;
            match self.date(middle) < date {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    /// The dates without the first ones.
    pub fn without_first(&self, count: usize) -> Self {
        let places = match &self.places {
            Places::Regular { step, first } => Places::Regular {
                step: *step,
                first: first + count as i64,
            },
            Places::Irregular { dates } => Places::Irregular {
                dates: dates.iter().skip(count).copied().collect(),
            },
        };
        Dates {
            style: self.style,
            places,
        }
    }

    /// Keeps the dates of `count` values.
    pub fn truncate(&mut self, count: usize) {
        if let Places::Irregular { dates } = &mut self.places {
            dates.truncate(count);
        }
    }
}

/// A time that an option names: a day, a month, a quarter or a year, from its first moment to its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first moment.
    pub first: Date,
    /// The last moment.
    pub last: Date,
}

impl std::str::FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong =
            || format!("“{text}” is no date; give one as 2019-03-01, 2019-03, 2019Q1 or 2019");
        let parsed = DateText::new(text).ok_or_else(wrong)?;
        let orders = [
            DateOrder::YearMonthDay,
            DateOrder::YearMonth,
            DateOrder::YearQuarter,
            DateOrder::Year,
        ];
        let found = orders
            .into_iter()
            .find_map(|order| Some((order, parsed.date(order)?)));
        let (order, first) = found.ok_or_else(wrong)?;
        let (year, month, _) = first.civil();
        let days = |months: i64| -> i64 {
            (month..month + months)
                .map(|month| month_length(year, month))
                .sum()
        };
        let milliseconds = match parsed.resolution(order) {
            Resolution::Year => days(12) * super::date::DAY,
            Resolution::Quarter => days(3) * super::date::DAY,
            Resolution::Month => days(1) * super::date::DAY,
            Resolution::Day => super::date::DAY,
            Resolution::Minute => super::date::MINUTE,
            _ => super::date::SECOND,
        };
        Ok(Period {
            first,
            last: Date(first.0 + milliseconds - 1),
        })
    }
}

/// The parts of a series that a model learns from and is tested on, by dates; each end is one of the series' where none
/// is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// The first date to learn from.
    pub train_from: Option<Period>,
    /// The last date to learn from.
    pub train_until: Option<Period>,
    /// The first date to be tested on.
    pub test_from: Option<Period>,
    /// The last date to be tested on.
    pub test_until: Option<Period>,
}

/// Ranges of a series' values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Those to learn from.
    pub train: std::ops::Range<usize>,
    /// Those to be tested on, if any were asked for.
    pub test: Option<std::ops::Range<usize>>,
}

impl Windows {
    /// Whether no window was given.
    pub fn is_empty(&self) -> bool {
        *self == Windows::default()
    }

    /// Whether there is something to be tested on.
    pub fn has_test(&self) -> bool {
        self.test_from.is_some() || self.test_until.is_some()
    }

    /// The ranges of a series of `count` values; `id` is what it is called.
    ///
    /// # Errors
    /// Windows of a series without dates, windows that are empty, or values to be tested on that were learnt from.
    pub fn split(&self, dates: Option<&Dates>, count: usize, id: &str) -> Result<Split> {
        if self.is_empty() {
            return Ok(Split {
                train: 0..count,
                test: None,
            });
        }
        let Some(dates) = dates else {
            return Err(Error::usage(format!(
                "{id} has no dates for --train-from, --train-until, --test-from and --test-until; name its column of dates \
                 with --date-column"
            )));
        };
        let start = |period: Option<Period>| period.map_or(0, |p| dates.index_of(p.first, count));
        let end = |period: Option<Period>| {
            period.map_or(count, |p| dates.index_of(Date(p.last.0 + 1), count))
        };
        let test_start = self.test_from.map(|_| start(self.test_from));
        let train = start(self.train_from)..match (self.train_until, test_start) {
            (None, Some(test)) => test,
            (until, _) => end(until),
        };
        let test = self
            .has_test()
            .then(|| test_start.unwrap_or(train.end)..end(self.test_until));
        let known = format!(
            "{} to {}",
            dates.text(0),
            dates.text(count.saturating_sub(1))
        );
        if train.is_empty() {
            return Err(Error::new(format!(
                "no value of {id} lies between --train-from and --train-until; its dates are {known}"
            )));
        }
        match &test {
            Some(test) if test.is_empty() => Err(Error::new(format!(
                "no value of {id} lies between --test-from and --test-until; its dates are {known}"
            ))),
            Some(test) if test.start < train.end => Err(Error::usage(
                "the test window begins before the training window ends: what was learnt from tests nothing; give a later \
                 --test-from, or an earlier --train-until",
            )),
            _ => Ok(Split { train, test }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(text: &str) -> Period {
        text.parse().unwrap()
    }

    fn daily(first: &str) -> Dates {
        let step = Step::Fixed {
            milliseconds: super::super::date::DAY,
            phase: 0,
        };
        Dates {
            style: DateStyle::default(),
            places: Places::Regular {
                step,
                first: step.index(period(first).first),
            },
        }
    }

    #[test]
    fn periods_reach_from_their_first_moment_to_their_last() {
        let style = DateStyle {
            resolution: Resolution::Second,
            offset: None,
        };
        for (text, first, last) in [
            ("2019", "2019-01-01 00:00:00", "2019-12-31 23:59:59"),
            ("2020Q1", "2020-01-01 00:00:00", "2020-03-31 23:59:59"),
            ("2020-02", "2020-02-01 00:00:00", "2020-02-29 23:59:59"),
            ("2020-02-03", "2020-02-03 00:00:00", "2020-02-03 23:59:59"),
            (
                "2020-02-03 10:00",
                "2020-02-03 10:00:00",
                "2020-02-03 10:00:59",
            ),
        ] {
            let period = period(text);
            assert_eq!(period.first.text(style), first);
            assert_eq!(period.last.text(style), last);
        }
        assert!("soon".parse::<Period>().unwrap_err().contains("2019-03"));
    }

    #[test]
    fn windows_are_ranges_of_values() {
        let dates = daily("2018-12-30");
        let windows = Windows {
            train_until: Some(period("2018")),
            test_from: Some(period("2019-01-03")),
            ..Windows::default()
        };
        let split = windows.split(Some(&dates), 10, "x").unwrap();
        assert_eq!((split.train, split.test), (0..2, Some(4..10)));
        let message = |windows: Windows, dates: Option<&Dates>| {
            windows.split(dates, 10, "x").unwrap_err().to_string()
        };
        assert!(message(windows, None).contains("--date-column"));
        let empty = Windows {
            train_from: Some(period("2030")),
            ..Windows::default()
        };
        assert!(message(empty, Some(&dates)).contains("2018-12-30 to 2019-01-08"));
        let overlapping = Windows {
            test_from: Some(period("2018")),
            ..windows
        };
        assert!(message(overlapping, Some(&dates)).contains("learnt from"));
    }

    #[test]
    fn dates_go_on_after_the_last() {
        let dates = daily("2020-02-27");
        assert_eq!(dates.text(2), "2020-02-29");
        assert_eq!(dates.without_first(2).text(1), "2020-03-01");
        let irregular = Dates {
            places: Places::Irregular {
                dates: ["2020-01-01", "2020-01-02", "2020-01-11"]
                    .map(|text| period(text).first)
                    .to_vec(),
            },
            ..dates
        };
        assert_eq!(irregular.text(3), "2020-01-16");
        assert_eq!(irregular.index_of(period("2020-01-03").first, 3), 2);
    }
}

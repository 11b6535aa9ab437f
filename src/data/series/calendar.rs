/*!
The calendar as numbers: where in the day, the week and the year the dates of a series are.
*/

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

use super::date::{DAY, Date, MINUTE, day_number};
use super::dates::{Dates, Places};
use super::step::Step;

/// Days of a week.
const WEEK: i64 = 7;
/// Days of a month and of a year, at least.
const MONTH: i64 = 28;
const YEAR: i64 = 365;
/// Fewest steps of a cycle by which its sine and its cosine are two columns.
const FEWEST_STEPS: i64 = 3;

/// A cycle of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cycle {
    /// The day, from midnight.
    Day,
    /// The week, from Monday.
    Week,
    /// The year, from the first of January.
    Year,
}

impl Cycle {
    /// All of them, the shortest first.
    pub const ALL: [Cycle; 3] = [Cycle::Day, Cycle::Week, Cycle::Year];

    /// What is told of it.
    pub fn name(self) -> &'static str {
        match self {
            Cycle::Day => "hour of day",
            Cycle::Week => "day of week",
            Cycle::Year => "day of year",
        }
    }

    /// Its length in days, at least.
    fn days(self) -> i64 {
        match self {
            Cycle::Day => 1,
            Cycle::Week => WEEK,
            Cycle::Year => YEAR,
        }
    }

    /// The part of it that has passed at a date, from 0 to 1.
    fn phase(self, date: Date) -> f64 {
        let time = date.time() as f64 / DAY as f64;
        match self {
            Cycle::Day => time,
            Cycle::Week => (date.weekday() as f64 + time) / WEEK as f64,
            Cycle::Year => {
                let (year, ..) = date.civil();
                let [first, next] = [year, year + 1].map(|year| day_number((year, 1, 1)));
                ((date.day() - first) as f64 + time) / (next - first) as f64
            }
        }
    }
}

impl Dates {
    /// The cycles that they go through in three steps or more.
    pub fn cycles(&self) -> Vec<Cycle> {
        let step = match &self.places {
            Places::Regular { step, .. } => match *step {
                Step::Fixed { milliseconds, .. } => milliseconds,
                Step::BusinessDays => DAY,
                Step::Months { count, .. } => count * MONTH * DAY,
            },
            Places::Irregular { .. } => self.date(1).0 - self.date(0).0,
        };
        let mut all = Cycle::ALL.to_vec();
        all.retain(|cycle| cycle.days() * DAY >= FEWEST_STEPS * step);
        all
    }

    /// Sine and cosine of each of the cycles at the first `count` dates, which go on after the last, on their own clock.
    pub fn columns(&self, cycles: &[Cycle], count: usize) -> Vec<Vec<f64>> {
        let offset = i64::from(self.style.offset.unwrap_or_default()) * MINUTE;
        let column = |cycle: Cycle, function: fn(f64) -> f64| {
            let local = (0..count).map(|index| Date(self.date(index).0 + offset));
            local
                .map(|date| function(TAU * cycle.phase(date)))
                .collect()
        };
        let both = |&cycle: &Cycle| [column(cycle, f64::sin), column(cycle, f64::cos)];
        cycles.iter().flat_map(both).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::date::{DateStyle, HOUR};
    use super::*;

    fn regular(step: Step, first: Date) -> Dates {
        Dates {
            style: DateStyle::default(),
            places: Places::Regular {
                step,
                first: step.index(first),
            },
        }
    }

    fn fixed(milliseconds: i64) -> Step {
        Step::Fixed {
            milliseconds,
            phase: 0,
        }
    }

    fn months(count: i64) -> Step {
        Step::Months {
            count,
            phase: 0,
            day: 1,
        }
    }

    #[test]
    fn cycles_are_those_longer_than_two_steps() {
        use Cycle::{Day, Week, Year};
        let start = Date::of_civil((2020, 1, 1)).unwrap();
        for (step, expected) in [
            (fixed(HOUR), vec![Day, Week, Year]),
            (fixed(12 * HOUR), vec![Week, Year]),
            (fixed(DAY), vec![Week, Year]),
            (Step::BusinessDays, vec![Week, Year]),
            (fixed(7 * DAY), vec![Year]),
            (months(1), vec![Year]),
            (months(3), vec![Year]),
            (months(12), vec![]),
        ] {
            assert_eq!(regular(step, start).cycles(), expected, "{step:?}");
        }
        let irregular = Dates {
            style: DateStyle::default(),
            places: Places::Irregular {
                dates: vec![start, Date(start.0 + DAY)],
            },
        };
        assert_eq!(irregular.cycles(), [Week, Year]);
    }

    #[test]
    fn columns_are_sines_and_cosines_of_what_has_passed() {
        // A Monday at noon, at six and at midnight, and the first of July of a leap year, by whose days 182/366 have passed.
        let monday = Date::of_civil((2024, 7, 1)).unwrap();
        let dates = regular(fixed(6 * HOUR), Date(monday.0 + 12 * HOUR));
        let found = dates.columns(&[Cycle::Day, Cycle::Week], 3);
        let week = |hours: f64| TAU * hours / 168.0;
        let expected = [
            [0.0, -1.0, 0.0],
            [-1.0, 0.0, 1.0],
            [week(12.0).sin(), week(18.0).sin(), week(24.0).sin()],
            [week(12.0).cos(), week(18.0).cos(), week(24.0).cos()],
        ];
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        let year = regular(fixed(DAY), monday).columns(&[Cycle::Year], 1);
        assert!((year[0][0] - (TAU * 182.0 / 366.0).sin()).abs() < 1e-12);
    }

    #[test]
    fn the_clock_is_the_series_own() {
        let mut dates = regular(fixed(HOUR), Date(0));
        dates.style.offset = Some(90);
        let [sine, _] = &dates.columns(&[Cycle::Day], 1)[..] else {
            panic!("a sine and a cosine");
        };
        assert!((sine[0] - (TAU * 1.5 / 24.0).sin()).abs() < 1e-12);
    }
}

/*!
The step of a series: the time from one date to the next, and the dates that follow from it.
*/

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::date::{DAY, Date, HOUR, MINUTE, Resolution, SECOND, month_length, month_of_index};

/// Part of the dates that have to lie on the grid of a step.
const REGULAR: f64 = 0.9;
/// Part of the dates that have to be one step after the one before.
const STEADY: f64 = 0.5;
/// Days after which a month may be over.
const MONTH_DAYS: std::ops::RangeInclusive<i64> = 28..=31;

/// The time from one date to the next. Each step has a grid: dates that lie on it have consecutive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A time that is always as long.
    Fixed {
        /// Its length.
        milliseconds: i64,
        /// Where on the clock the grid lies.
        phase: i64,
    },
    /// Days from Monday to Friday.
    BusinessDays,
    /// Calendar months.
    Months {
        /// Their number.
        count: i64,
        /// Index of the first month of the grid.
        phase: i64,
        /// Day of the month, with 31 for its end.
        day: i64,
    },
}

impl Step {
    /// Number of the date's place on the grid; a date between two places has the number of the one before.
    pub fn index(&self, date: Date) -> i64 {
        match *self {
            Step::Fixed {
                milliseconds,
                phase,
            } => (date.0 - phase).div_euclid(milliseconds),
            // Days are counted from a Thursday.
            Step::BusinessDays => 5 * (date.day() + 3).div_euclid(7) + date.weekday().min(4),
            Step::Months { count, phase, .. } => (date.month_index() - phase).div_euclid(count),
        }
    }

    /// The date of a place on the grid.
    pub fn date(&self, index: i64) -> Date {
        match *self {
            Step::Fixed {
                milliseconds,
                phase,
            } => Date(index * milliseconds + phase),
            Step::BusinessDays => Date((7 * index.div_euclid(5) + index.rem_euclid(5) - 3) * DAY),
            Step::Months { count, phase, day } => {
                let (year, month) = month_of_index(index * count + phase);
                let day = day.min(month_length(year, month));
                Date(super::date::day_number((year, month, day)) * DAY)
            }
        }
    }

    /// Whether a date lies on the grid; any day of a month lies on that of months.
    pub fn holds(&self, date: Date) -> bool {
        match *self {
            Step::Months { count, phase, .. } => (date.month_index() - phase) % count == 0,
            _ => self.date(self.index(date)) == date,
        }
    }

    /// What it is called: hourly, daily, monthly, every 15 minutes.
    pub fn name(&self) -> String {
        let every = |count: i64, unit: &str| match count {
            1 => format!("every {unit}"),
            count => format!("every {count} {unit}s"),
        };
        match *self {
            Step::BusinessDays => "business days".to_string(),
            Step::Months { count, .. } => match count {
                1 => "monthly".to_string(),
                3 => "quarterly".to_string(),
                12 => "yearly".to_string(),
                count if count % 12 == 0 => every(count / 12, "year"),
                count => every(count, "month"),
            },
            Step::Fixed { milliseconds, .. } => match milliseconds {
                HOUR => "hourly".to_string(),
                DAY => "daily".to_string(),
                WEEK => "weekly".to_string(),
                length if length % WEEK == 0 => every(length / WEEK, "week"),
                length if length % DAY == 0 => every(length / DAY, "day"),
                length if length % HOUR == 0 => every(length / HOUR, "hour"),
                length if length % MINUTE == 0 => every(length / MINUTE, "minute"),
                length if length % SECOND == 0 => every(length / SECOND, "second"),
                length => every(length, "millisecond"),
            },
        }
    }

    /// Numbers of steps after which such series usually repeat themselves: days, weeks and years; none for years.
    pub fn usual_seasons(&self) -> Vec<usize> {
        let whole = |lengths: &[i64], step: i64| {
            let counts = lengths.iter().filter(|&&length| length % step == 0);
            let counts = counts.map(|length| (length / step) as usize);
            counts.filter(|&count| count > 1).collect()
        };
        match *self {
            Step::BusinessDays => vec![5],
            Step::Months { count, .. } => whole(&[12], count),
            Step::Fixed { milliseconds, .. } if milliseconds < MINUTE => {
                whole(&[MINUTE, HOUR], milliseconds)
            }
            Step::Fixed { milliseconds, .. } if milliseconds < DAY => {
                whole(&[DAY, WEEK], milliseconds)
            }
            Step::Fixed {
                milliseconds: DAY, ..
            } => vec![7, 365],
            Step::Fixed {
                milliseconds: WEEK, ..
            } => vec![52],
            Step::Fixed { .. } => Vec::new(),
        }
    }

    /// The step that a single date suggests by the smallest part that it has.
    pub(super) fn of_resolution(resolution: Resolution, date: Date) -> Self {
        let months = |count: i64| Step::Months {
            count,
            phase: date.month_index().rem_euclid(count),
            day: 1,
        };
        let milliseconds = match resolution {
            Resolution::Year => return months(12),
            Resolution::Quarter => return months(3),
            Resolution::Month => return months(1),
            Resolution::Day => DAY,
            Resolution::Minute => MINUTE,
            Resolution::Second => SECOND,
            Resolution::Millisecond => 1,
        };
        Step::Fixed {
            milliseconds,
            phase: date.0.rem_euclid(milliseconds),
        }
    }

    /// The step of dates that ascend; `None` where they have no regular one, or there is one date alone.
    pub fn infer(dates: &[Date]) -> Option<Self> {
        let days_only = dates.iter().all(|date| date.time() == 0);
        let usual = usual_difference(dates)?;
        let calendar = || match usual % DAY {
            0 if days_only => Self::calendar(dates, usual / DAY),
            _ => None,
        };
        let step = calendar().unwrap_or_else(|| Self::fixed(dates, usual));
        let regular = dates.iter().filter(|&&date| step.holds(date)).count();
        let distance = |pair: &[Date]| step.index(pair[1]) - step.index(pair[0]);
        let (mut apart, mut steady) = (1, 1);
        for pair in dates.windows(2) {
            apart += usize::from(distance(pair) > 0);
            steady += usize::from(distance(pair) == 1);
        }
        let enough = |count: usize, part: f64| count as f64 >= part * dates.len() as f64;
        let fits = enough(regular, REGULAR) && enough(apart, REGULAR) && enough(steady, STEADY);
        fits.then_some(step)
    }

    /// A step of months or business days, by the usual number of days between two dates.
    fn calendar(dates: &[Date], days: i64) -> Option<Self> {
        if days == 1 {
            let is_weekend = |date: &Date| date.weekday() > 4;
            let (first, last) = (dates.first()?, dates.last()?);
            let spans_weekend = last.day() - first.day() > 6;
            return (spans_weekend && !dates.iter().any(is_weekend)).then_some(Step::BusinessDays);
        }
        let months: Vec<Date> = dates.iter().map(|date| Date(date.month_index())).collect();
        let count = usual_difference(&months).filter(|&count| count > 0)?;
        let has_length = (MONTH_DAYS.start() * count..=MONTH_DAYS.end() * count).contains(&days);
        let always = dates
            .windows(2)
            .all(|pair| pair[1].0 - pair[0].0 == days * DAY);
        let (mut in_turn, mut steady) = (1, 1);
        for pair in months.windows(2) {
            in_turn += usize::from(pair[0] < pair[1]);
            steady += usize::from(pair[1].0 - pair[0].0 == count);
        }
        let is_steady = steady as f64 >= REGULAR * dates.len() as f64;
        let day = |date: &Date| match date.is_month_end() {
            true => 31,
            false => date.civil().2,
        };
        let same_day = dates.windows(2).all(|pair| day(&pair[0]) == day(&pair[1]));
        // Any day of a month will do, unless the dates are always as far apart, and then not on the same day.
        let fits = match always && dates.len() > 2 {
            true => has_length && same_day,
            false => has_length || (is_steady && !always),
        };
        if !fits || in_turn < dates.len() {
            return None;
        }
        let phase = usual(months.iter().map(|month| month.0.rem_euclid(count)))?;
        let ends = dates.iter().filter(|date| date.is_month_end()).count();
        let latest = dates.iter().map(|date| date.civil().2).min()?;
        // Ends of business months lie a few days before the month's.
        let day = match 2 * ends > dates.len() || latest > 25 {
            true => 31,
            false => usual(dates.iter().map(|date| date.civil().2))?,
        };
        Some(Step::Months { count, phase, day })
    }

    fn fixed(dates: &[Date], milliseconds: i64) -> Self {
        let phase = usual(dates.iter().map(|date| date.0.rem_euclid(milliseconds)));
        Step::Fixed {
            milliseconds,
            phase: phase.unwrap_or_default(),
        }
    }
}

const WEEK: i64 = 7 * DAY;

/// The most frequent difference of neighbours that are not alike, the smallest of equally frequent ones.
fn usual_difference(dates: &[Date]) -> Option<i64> {
    let differences = dates.windows(2).map(|pair| pair[1].0 - pair[0].0);
    usual(differences.filter(|&difference| difference > 0))
}

/// The most frequent number, the smallest of equally frequent ones.
fn usual(numbers: impl Iterator<Item = i64>) -> Option<i64> {
    let mut counts: HashMap<i64, usize> = HashMap::new();
    let mut last: Option<(i64, usize)> = None;
    // Runs of equal numbers are counted together: most series are one.
    for number in numbers {
        match &mut last {
            Some((value, count)) if *value == number => *count += 1,
            _ => {
                if let Some((value, count)) = last.replace((number, 1)) {
                    *counts.entry(value).or_default() += count;
                }
            }
        }
    }
    if let Some((value, count)) = last {
        *counts.entry(value).or_default() += count;
    }
    let best = counts
        .into_iter()
        .max_by_key(|&(value, count)| (count, std::cmp::Reverse(value)));
    best.map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::super::date::DateStyle;
    use super::super::date_text::{DateOrder, DateText};
    use super::*;

    fn dates(texts: &[&str]) -> Vec<Date> {
        let date = |text: &&str| {
            let text = DateText::new(text).unwrap();
            let mut orders = DateOrder::ALL.into_iter();
            orders.find_map(|order| text.date(order)).unwrap()
        };
        texts.iter().map(date).collect()
    }

    #[test]
    fn steps_are_found_and_go_on() {
        for case in [
            "2020-01, 2020-02, 2020-04 | monthly | 2020-05-01",
            "2019-12-31, 2020-01-31, 2020-02-29 | monthly | 2020-03-31",
            "2020-01-15, 2020-02-15, 2020-03-15 | monthly | 2020-04-15",
            "2020-01-30, 2020-02-28, 2020-03-31 | monthly | 2020-04-30",
            "2020-01-03, 2020-02-20, 2020-03-11, 2020-04-28 | monthly | 2020-05-03",
            "1956-01, 1956-04, 1956-07 | quarterly | 1956-10-01",
            "1956Q4, 1957Q1, 1957Q2 | quarterly | 1957-07-01",
            "1956, 1957, 1958 | yearly | 1959-01-01",
            "1956, 1958, 1960 | every 2 years | 1962-01-01",
            "1956-06-30, 1957-06-30, 1958-06-30 | yearly | 1959-06-30",
            "2020-01-01, 2020-01-02, 2020-01-04 | daily | 2020-01-05",
            "2020-01-02, 2020-01-03, 2020-01-06, 2020-01-07, 2020-01-08, 2020-01-09 | business days | 2020-01-10",
            "2020-01-01, 2020-01-08, 2020-01-15 | weekly | 2020-01-22",
            "2020-01-01, 2020-01-29, 2020-02-26 | every 4 weeks | 2020-03-25",
            "2020-01-01, 2020-02-10, 2020-03-21, 2020-04-30 | every 40 days | 2020-06-09",
            "2020-01-01 10:00, 2020-01-01 11:00 | hourly | 2020-01-01 12:00",
            "2020-01-01 10:07, 2020-01-01 10:22, 2020-01-01 10:37 | every 15 minutes | 2020-01-01 10:52",
        ] {
            let parts: Vec<&str> = case.split(" | ").collect();
            let dates = dates(&parts[0].split(", ").collect::<Vec<_>>());
            let step = Step::infer(&dates).unwrap_or_else(|| panic!("{case}"));
            assert_eq!(step.name(), parts[1], "{case}");
            let next = step.date(step.index(*dates.last().unwrap()) + 1);
            let resolution = match next.time() {
                0 => Resolution::Day,
                _ => Resolution::Minute,
            };
            let style = DateStyle {
                resolution,
                offset: None,
            };
            assert_eq!(next.text(style), parts[2], "{case}");
        }
    }

    #[test]
    fn irregular_dates_have_no_step() {
        let texts = [
            "2020-01-01",
            "2020-01-02",
            "2020-01-07",
            "2020-03-01",
            "2020-03-05",
        ];
        assert_eq!(Step::infer(&dates(&texts)), None);
        let texts = [
            "2020-01-01 10:00",
            "2020-01-01 10:17",
            "2020-01-01 11:40",
            "2020-01-02 03:12",
            "2020-01-02 09:59",
        ];
        assert_eq!(Step::infer(&dates(&texts)), None);
        assert_eq!(Step::infer(&dates(&texts[..1])), None);
    }

    #[test]
    fn places_on_a_grid_are_consecutive() {
        let friday = dates(&["2020-01-03"])[0];
        let step = Step::BusinessDays;
        assert_eq!(step.date(step.index(friday)), friday);
        assert_eq!(step.index(Date(friday.0 + 3 * DAY)), step.index(friday) + 1);
        let step = Step::Months {
            count: 3,
            phase: 1,
            day: 31,
        };
        for index in -50..50 {
            assert_eq!(step.index(step.date(index)), index);
        }
    }

    #[test]
    fn usual_seasons_are_days_weeks_and_years() {
        let fixed = |milliseconds| {
            Step::Fixed {
                milliseconds,
                phase: 0,
            }
            .usual_seasons()
        };
        assert_eq!(fixed(HOUR), [24, 168]);
        assert_eq!(fixed(15 * MINUTE), [96, 672]);
        assert_eq!(fixed(DAY), [7, 365]);
        assert_eq!(fixed(WEEK), [52]);
        let months = |count| {
            Step::Months {
                count,
                phase: 0,
                day: 1,
            }
            .usual_seasons()
        };
        assert_eq!(months(1), [12]);
        assert_eq!(months(3), [4]);
        assert!(months(12).is_empty());
    }
}

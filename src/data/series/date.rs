/*!
Dates of a series: milliseconds on its own clock, and the proleptic Gregorian calendar over them.
*/

use serde::{Deserialize, Serialize};

/// Milliseconds of a second.
pub(super) const SECOND: i64 = 1000;
/// Milliseconds of a minute.
pub(super) const MINUTE: i64 = 60 * SECOND;
/// Milliseconds of an hour.
pub(super) const HOUR: i64 = 60 * MINUTE;
/// Milliseconds of a day.
pub(super) const DAY: i64 = 24 * HOUR;

/// A moment: milliseconds since the beginning of 1970, in UTC where the series has time zones, else on its own clock.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Date(pub i64);

/// The smallest part that the dates of a series have.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// Years, as in 1956.
    Year,
    /// Quarters, as in 1956Q1.
    Quarter,
    /// Months, as in 1956-01.
    Month,
    /// Days, as in 1956-01-31.
    #[default]
    Day,
    /// Minutes, as in 1956-01-31 13:45.
    Minute,
    /// Seconds, as in 1956-01-31 13:45:10.
    Second,
    /// Milliseconds, as in 1956-01-31 13:45:10.250.
    Millisecond,
}

/// How dates are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DateStyle {
    /// The smallest part that is written.
    pub resolution: Resolution,
    /// The time zone that they are written in, in minutes east of UTC; none for a clock without a zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i32>,
}

/// Year, month (from 1) and day (from 1).
pub(super) type Civil = (i64, i64, i64);

impl Date {
    /// The beginning of a day; `None` for one that no calendar has. Years reach from 1 to 9999.
    pub(super) fn of_civil((year, month, day): Civil) -> Option<Self> {
        let is_real = (1..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=month_length(year, month)).contains(&day);
        is_real.then(|| Date(day_number((year, month, day)) * DAY))
    }

    /// Number of the day, from the first of January 1970.
    pub(super) fn day(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    /// Milliseconds since midnight.
    pub(super) fn time(self) -> i64 {
        self.0.rem_euclid(DAY)
    }

    /// Year, month and day.
    pub(super) fn civil(self) -> Civil {
        civil(self.day())
    }

    /// Number of the month since January of the year 0.
    pub(super) fn month_index(self) -> i64 {
        let (year, month, _) = self.civil();
        12 * year + month - 1
    }

    /// Day of the week, from 0 for Monday.
    pub(super) fn weekday(self) -> i64 {
        (self.day() + 3).rem_euclid(7)
    }

    /// Whether its day is the last one of a month.
    pub(super) fn is_month_end(self) -> bool {
        let (year, month, day) = self.civil();
        day == month_length(year, month)
    }

    /// The date as text.
    pub fn text(self, style: DateStyle) -> String {
        let offset = style.offset.unwrap_or_default();
        let local = Date(self.0 + i64::from(offset) * MINUTE);
        let (year, month, day) = local.civil();
        let date = match style.resolution {
            Resolution::Year => return format!("{year:04}"),
            Resolution::Quarter => return format!("{year:04}Q{}", (month - 1) / 3 + 1),
            Resolution::Month => return format!("{year:04}-{month:02}"),
            _ => format!("{year:04}-{month:02}-{day:02}"),
        };
        let time = local.time();
        let (hour, minute) = (time / HOUR, time / MINUTE % 60);
        let (second, millisecond) = (time / SECOND % 60, time % SECOND);
        let time = match style.resolution {
            Resolution::Minute => format!(" {hour:02}:{minute:02}"),
            Resolution::Second => format!(" {hour:02}:{minute:02}:{second:02}"),
            Resolution::Millisecond => {
                format!(" {hour:02}:{minute:02}:{second:02}.{millisecond:03}")
            }
            _ => return date,
        };
        let zone = match style.offset {
            None => String::new(),
            Some(0) => "Z".to_string(),
            Some(offset) => {
                let sign = if offset < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
            }
        };
        date + &time + &zone
    }
}

/// The month of an index as [`Date::month_index`] counts: its year, and its number from 1.
pub(super) fn month_of_index(index: i64) -> (i64, i64) {
    (index.div_euclid(12), index.rem_euclid(12) + 1)
}

/// Number of days of a month.
pub(super) fn month_length(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Number of a day since the first of January 1970, counted in years that begin in March (Howard Hinnant's
/// `days_from_civil`).
pub(super) fn day_number((year, month, day): Civil) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day's number: the inverse of [`day_number`].
fn civil(number: i64) -> Civil {
    let shifted = number + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Date of a day of an ISO week: week 1 is the one with the first Thursday of the year. `weekday` is 0 for Monday.
pub(super) fn of_iso_week(year: i64, week: i64, weekday: i64) -> Option<Date> {
    let fourth = Date::of_civil((year, 1, 4))?;
    let monday = fourth.day() - fourth.weekday();
    let date = Date((monday + 7 * (week - 1) + weekday) * DAY);
    let fits = (1..=53).contains(&week) && (0..7).contains(&weekday);
    // Most years have 52 weeks: the Thursday of a week lies in its year.
    let thursday = Date((monday + 7 * (week - 1) + 3) * DAY);
    (fits && thursday.civil().0 == year).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of days by Python's `date.toordinal() - 719163`.
    #[test]
    fn days_are_counted_as_the_calendar_has_them() {
        for (civil_date, number) in [
            ((1970, 1, 1), 0),
            ((2000, 2, 29), 11_016),
            ((1900, 3, 1), -25_508),
            ((1700, 1, 1), -98_615),
            ((2024, 12, 31), 20_088),
        ] {
            assert_eq!(day_number(civil_date), number, "{civil_date:?}");
            assert_eq!(civil(number), civil_date);
        }
        for number in -800_000..100_000 {
            assert_eq!(day_number(civil(number)), number);
        }
    }

    #[test]
    fn days_that_no_calendar_has_are_none() {
        for wrong in [(2023, 2, 29), (2023, 4, 31), (2023, 13, 1), (0, 1, 1)] {
            assert_eq!(Date::of_civil(wrong), None, "{wrong:?}");
        }
        assert!(Date::of_civil((2024, 2, 29)).unwrap().weekday() == 3);
    }

    /// As Python's `date.fromisocalendar` has them.
    #[test]
    fn iso_weeks_begin_on_monday() {
        let text = |date: Option<Date>| date.unwrap().text(DateStyle::default());
        assert_eq!(text(of_iso_week(2020, 1, 0)), "2019-12-30");
        assert_eq!(text(of_iso_week(2020, 53, 6)), "2021-01-03");
        assert_eq!(of_iso_week(2021, 53, 0), None);
    }

    #[test]
    fn dates_are_written_to_their_smallest_part() {
        let date = Date(Date::of_civil((1961, 4, 3)).unwrap().0 + 13 * HOUR + 5 * MINUTE + 7250);
        let text = |resolution, offset| date.text(DateStyle { resolution, offset });
        assert_eq!(text(Resolution::Year, None), "1961");
        assert_eq!(text(Resolution::Quarter, None), "1961Q2");
        assert_eq!(text(Resolution::Month, None), "1961-04");
        assert_eq!(text(Resolution::Day, None), "1961-04-03");
        assert_eq!(text(Resolution::Minute, None), "1961-04-03 13:05");
        assert_eq!(text(Resolution::Second, Some(0)), "1961-04-03 13:05:07Z");
        assert_eq!(
            text(Resolution::Millisecond, Some(-90)),
            "1961-04-03 11:35:07.250-01:30"
        );
    }
}

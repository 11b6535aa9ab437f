/*!
Dates as text. A field is taken apart into numbers, names and a time; which number is the day, and which the month, is
decided for a whole column.
*/

use super::date::{
    Civil, DAY, Date, HOUR, MINUTE, Resolution, SECOND, month_of_index, of_iso_week,
};

/// The order of the numbers of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DateOrder {
    YearMonthDay,
    DayMonthYear,
    MonthDayYear,
    YearMonth,
    MonthYear,
    YearQuarter,
    QuarterYear,
    YearWeek,
    Year,
    /// A year and the part of it that is over at the beginning or in the middle of a month: 1960.083 is February.
    FractionalMonth,
    /// The same of any day.
    FractionalDay,
    /// Seconds or milliseconds since 1970, in UTC.
    Unix,
}

impl DateOrder {
    /// Every order, those that are preferred first.
    pub const ALL: [DateOrder; 12] = [
        DateOrder::YearMonthDay,
        DateOrder::DayMonthYear,
        DateOrder::MonthDayYear,
        // Years may all be whole; and where every field is as 1960.5, it is the middle of the year and not May.
        DateOrder::Year,
        DateOrder::FractionalMonth,
        DateOrder::YearMonth,
        DateOrder::MonthYear,
        DateOrder::YearQuarter,
        DateOrder::QuarterYear,
        DateOrder::YearWeek,
        DateOrder::Unix,
        DateOrder::FractionalDay,
    ];

    /// Whether it is that of years with a fraction, which numbers that are no dates may be as well.
    pub fn is_fractional(self) -> bool {
        matches!(self, DateOrder::FractionalMonth | DateOrder::FractionalDay)
    }

    /// What it is called in messages.
    pub fn name(self) -> &'static str {
        match self {
            DateOrder::YearMonthDay => "year-month-day",
            DateOrder::DayMonthYear => "day/month/year",
            DateOrder::MonthDayYear => "month/day/year",
            DateOrder::YearMonth => "year-month",
            DateOrder::MonthYear => "month/year",
            DateOrder::YearQuarter => "year and quarter",
            DateOrder::QuarterYear => "quarter and year",
            DateOrder::YearWeek => "year and week",
            DateOrder::Year => "years",
            DateOrder::FractionalMonth => "years with a fraction that says the month",
            DateOrder::FractionalDay => "years with a fraction that says the day",
            DateOrder::Unix => "times since 1970 in UTC",
        }
    }
}

/// A part of a date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Part {
    value: i64,
    digits: u8,
    kind: Kind,
}

/// What a part is by the letters around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Number,
    Month,
    Quarter,
    Week,
    /// Digits behind the decimal mark of a year.
    Fraction,
}

/// Most digits of a fraction that are read: they tell a day from the next.
const FRACTION_DIGITS: usize = 9;

/// A field that may be a date, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DateText {
    parts: [Part; 3],
    count: u8,
    /// Milliseconds since midnight.
    time: i64,
    /// What the time is given to; [`Resolution::Day`] without one.
    time_resolution: Resolution,
    /// Minutes east of UTC.
    pub offset: Option<i32>,
}

impl DateText {
    /// Takes a field apart; `None` for what can be no date.
    pub fn new(field: &str) -> Option<Self> {
        let mut text = DateText::default();
        let mut scanner = Scanner {
            bytes: field.trim().as_bytes(),
        };
        if !scanner.peek()?.is_ascii_alphanumeric() {
            return None;
        }
        while let Some(byte) = scanner.peek() {
            if byte.is_ascii_digit() {
                scanner.number(&mut text)?;
            } else if byte.is_ascii_alphabetic() {
                scanner.word(&mut text)?;
            } else if matches!(byte, b'-' | b'/' | b'.' | b' ' | b',' | b'_') {
                scanner.bytes = &scanner.bytes[1..];
            } else {
                return None;
            }
        }
        (text.count > 0).then_some(text)
    }

    fn push(&mut self, value: i64, digits: u8, kind: Kind) -> Option<()> {
        let part = self.parts.get_mut(usize::from(self.count))?;
        *part = Part {
            value,
            digits,
            kind,
        };
        self.count += 1;
        Some(())
    }

    /// Whether it is a date in an order that numbers seldom have by chance: in any but a fraction of years.
    pub fn is_date(&self) -> bool {
        let mut orders = DateOrder::ALL.into_iter();
        orders.any(|order| !order.is_fractional() && self.date(order).is_some())
    }

    /// The part of a year behind its decimal mark, from 0 to 1, and its digits, none for a whole year; `None` if it is no such
    /// year.
    pub fn fraction(&self) -> Option<(f64, u8)> {
        let [year, behind, _] = self.parts;
        match (self.count, behind.kind) {
            (1, _) if year.digits == 4 && year.kind == Kind::Number => Some((0.0, 0)),
            (2, Kind::Fraction) => {
                let unit = 10f64.powi(-i32::from(behind.digits));
                Some((behind.value as f64 * unit, behind.digits))
            }
            _ => None,
        }
    }

    /// What the date is given to, if its numbers have an order.
    pub fn resolution(&self, order: DateOrder) -> Resolution {
        match order {
            DateOrder::Year => Resolution::Year,
            DateOrder::YearQuarter | DateOrder::QuarterYear => Resolution::Quarter,
            DateOrder::FractionalMonth if self.parts[1].value == 0 => Resolution::Year,
            DateOrder::YearMonth | DateOrder::MonthYear | DateOrder::FractionalMonth => {
                Resolution::Month
            }
            DateOrder::Unix if self.parts[0].digits > 10 => Resolution::Millisecond,
            DateOrder::Unix => Resolution::Second,
            _ => self.time_resolution,
        }
    }

    /// The moment that it stands for with its numbers in an order, in UTC if it has a time zone; `None` if it cannot have
    /// that order.
    pub fn date(&self, order: DateOrder) -> Option<Date> {
        let [a, b, c] = self.parts;
        let day = match (order, self.count) {
            (DateOrder::YearMonthDay, 1) if a.digits == 8 => {
                Date::of_civil((a.value / 10_000, a.value / 100 % 100, a.value % 100))
            }
            (DateOrder::YearMonthDay, 3) if a.digits == 4 => civil(a, b, c),
            (DateOrder::DayMonthYear, 3) => civil(c, b, a),
            (DateOrder::MonthDayYear, 3) => civil(c, a, b),
            (DateOrder::YearMonth, 1) if a.digits == 6 => {
                Date::of_civil((a.value / 100, a.value % 100, 1))
            }
            (DateOrder::YearMonth, 2) if a.digits == 4 && b.kind == Kind::Fraction => {
                let kind = Kind::Number;
                month(a, Part { kind, ..b })
            }
            (DateOrder::YearMonth, 2) if a.digits == 4 => month(a, b),
            (DateOrder::FractionalMonth, _) => month_of_fraction(a.value, self.fraction()?),
            (DateOrder::FractionalDay, _) => day_of_fraction(a.value, self.fraction()?.0),
            (DateOrder::MonthYear, 2) if b.digits == 4 || a.kind == Kind::Month => month(b, a),
            (DateOrder::YearQuarter, 2) if a.digits == 4 => quarter(a, b),
            (DateOrder::QuarterYear, 2) if b.digits == 4 => quarter(b, a),
            (DateOrder::YearWeek, 2) => week(a, b, 1),
            (DateOrder::YearWeek, 3) => week(a, b, c.value),
            (DateOrder::Year, 1) if a.digits == 4 && a.kind == Kind::Number => {
                Date::of_civil((a.value, 1, 1))
            }
            (DateOrder::Unix, 1) => return unix(a),
            _ => None,
        }?;
        let offset = i64::from(self.offset.unwrap_or_default());
        Some(Date(day.0 + self.time - offset * MINUTE))
    }
}

/// A year; two digits stand for 1970 to 2069.
fn year(part: Part) -> Option<i64> {
    match (part.kind, part.digits) {
        (Kind::Number, 4) => Some(part.value),
        (Kind::Number, 2) if part.value < 70 => Some(2000 + part.value),
        (Kind::Number, 2) => Some(1900 + part.value),
        _ => None,
    }
}

fn civil(year_part: Part, month: Part, day: Part) -> Option<Date> {
    let is_month = matches!(month.kind, Kind::Number | Kind::Month) && month.digits <= 2;
    let is_day = day.kind == Kind::Number && day.digits <= 2;
    let parts: Civil = (year(year_part)?, month.value, day.value);
    (is_month && is_day)
        .then(|| Date::of_civil(parts))
        .flatten()
}

fn month(year_part: Part, month: Part) -> Option<Date> {
    let first = Part {
        value: 1,
        digits: 1,
        kind: Kind::Number,
    };
    civil(year_part, month, first)
}

/// The month of a year that begins, or is half over, when this part of the year is; `None` if none is. With few digits the
/// part is known to half of the last one.
fn month_of_fraction(year: i64, (fraction, digits): (f64, u8)) -> Option<Date> {
    const LARGEST_DOUBT: f64 = 0.09;
    let months = 12.0 * fraction;
    let doubt = (6.6 * 10f64.powi(-i32::from(digits)) + 1e-6).min(LARGEST_DOUBT);
    let begins = (months - months.round()).abs() <= doubt;
    let is_half_over = digits > 2 && (months - months.floor() - 0.5).abs() <= doubt;
    let month = match begins {
        true => months.round(),
        false => months.floor(),
    };
    let (year, month) = month_of_index(12 * year + month as i64);
    (begins || is_half_over).then(|| Date::of_civil((year, month, 1)))?
}

/// The day nearest to a part of a year.
fn day_of_fraction(year: i64, fraction: f64) -> Option<Date> {
    let (first, next) = (
        Date::of_civil((year, 1, 1))?,
        Date::of_civil((year + 1, 1, 1))?,
    );
    let days = (next.day() - first.day()) as f64 * fraction;
    Some(Date((first.day() + days.round() as i64) * DAY))
}

fn quarter(year_part: Part, quarter: Part) -> Option<Date> {
    let is_quarter = quarter.kind == Kind::Quarter && (1..=4).contains(&quarter.value);
    let date = (year(year_part)?, 3 * quarter.value - 2, 1);
    is_quarter.then(|| Date::of_civil(date)).flatten()
}

fn week(year_part: Part, week: Part, weekday: i64) -> Option<Date> {
    match week.kind {
        Kind::Week => of_iso_week(year(year_part)?, week.value, weekday - 1),
        _ => None,
    }
}

fn unix(part: Part) -> Option<Date> {
    match part.digits {
        9 | 10 => Some(Date(part.value * SECOND)),
        12 | 13 => Some(Date(part.value)),
        _ => None,
    }
}

/// What is left of a field.
struct Scanner<'f> {
    bytes: &'f [u8],
}

/// Months, and other words that dates have.
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Beginnings of the names of weekdays.
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl<'f> Scanner<'f> {
    fn peek(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    fn take_while(&mut self, is: impl Fn(u8) -> bool) -> &'f [u8] {
        let end = self.bytes.iter().position(|&byte| !is(byte));
        let (taken, rest) = self.bytes.split_at(end.unwrap_or(self.bytes.len()));
        self.bytes = rest;
        taken
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.bytes = &self.bytes[usize::from(is_next)..];
        is_next
    }

    fn digits(&mut self) -> Option<(i64, u8)> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        let length = u8::try_from(digits.len()).ok();
        let length = length.filter(|length| (1..=14).contains(length))?;
        Some((value(digits), length))
    }

    /// A number of the date, or the time.
    fn number(&mut self, text: &mut DateText) -> Option<()> {
        let start = self.bytes;
        let (number, digits) = self.digits()?;
        match (self.peek(), digits) {
            (Some(b':'), 1 | 2) if text.count > 0 => {
                self.bytes = start;
                self.time(text)
            }
            (_, 12 | 14) if text.count == 0 && number >= 10i64.pow(u32::from(digits) - 1) => {
                self.compact(text, &start[..usize::from(digits)])
            }
            (Some(b'.' | b','), 4) if text.count == 0 && self.ends_in_digits() => {
                text.push(number, digits, Kind::Number)?;
                let rest = &std::mem::take(&mut self.bytes)[1..];
                let rest = &rest[..rest.len().min(FRACTION_DIGITS)];
                text.push(value(rest), rest.len() as u8, Kind::Fraction)
            }
            _ => text.push(number, digits, Kind::Number),
        }
    }

    /// Whether nothing but digits follows the next byte.
    fn ends_in_digits(&self) -> bool {
        self.bytes.len() > 1 && self.bytes[1..].iter().all(u8::is_ascii_digit)
    }

    /// Date and time without anything between them, or milliseconds.
    fn compact(&mut self, text: &mut DateText, digits: &[u8]) -> Option<()> {
        let (date, time) = digits.split_at(8);
        let day = value(date);
        let is_date = Date::of_civil((day / 10_000, day / 100 % 100, day % 100)).is_some()
            && day > 17_000_000;
        if !is_date {
            return text.push(value(digits), digits.len() as u8, Kind::Number);
        }
        text.push(day, 8, Kind::Number)?;
        compact_time(text, time)
    }

    /// A word: the name of a month or a weekday, or a letter that says what follows.
    fn word(&mut self, text: &mut DateText) -> Option<()> {
        let word = self.take_while(|byte| byte.is_ascii_alphabetic());
        let word = std::str::from_utf8(word).ok()?.to_ascii_lowercase();
        let kind = match &word[..] {
            "t" if text.count > 0 => return self.time(text),
            "z" | "utc" | "gmt" if text.time_resolution > Resolution::Day => {
                text.offset = Some(text.offset.unwrap_or_default());
                return Some(());
            }
            "am" | "pm" if text.time_resolution > Resolution::Day => return noon(text, &word),
            "st" | "nd" | "rd" | "th" if text.count > 0 => return Some(()),
            "q" => Kind::Quarter,
            "w" => Kind::Week,
            "m" => Kind::Month,
            name if name.len() >= 3 => return named(text, name),
            _ => return None,
        };
        let (value, digits) = self.digits()?;
        text.push(value, digits, kind)
    }

    /// A time, as 13:45, 13:45:10.5, 1:45 pm, or 1345 after a T; and a time zone.
    fn time(&mut self, text: &mut DateText) -> Option<()> {
        if text.time_resolution > Resolution::Day {
            return None;
        }
        let start = self.bytes;
        let (hour, digits) = self.digits()?;
        if digits > 2 {
            compact_time(text, &start[..usize::from(digits)])?;
            return self.zone(text);
        }
        let mut time = hour * HOUR;
        text.time_resolution = Resolution::Minute;
        if self.take(b':') {
            let (minute, _) = self.digits().filter(|(minute, _)| *minute < 60)?;
            time += minute * MINUTE;
        }
        if self.take(b':') {
            let (second, _) = self.digits().filter(|(second, _)| *second < 61)?;
            time += second * SECOND;
            text.time_resolution = Resolution::Second;
            if self.take(b'.') || self.take(b',') {
                time += thousandths(self.take_while(|byte| byte.is_ascii_digit()));
                text.time_resolution = Resolution::Millisecond;
            }
        }
        // The hour 24 is the next day's first.
        text.time = Some(time).filter(|&time| time <= DAY)?;
        self.zone(text)
    }

    /// A time zone after a time, if there is one.
    fn zone(&mut self, text: &mut DateText) -> Option<()> {
        let rest = self.bytes.trim_ascii_start();
        let sign = match rest.first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Some(()),
        };
        self.bytes = &rest[1..];
        let (number, digits) = self.digits()?;
        let minutes = match (digits, self.take(b':')) {
            (1 | 2, true) => 60 * number + self.digits()?.0,
            (1 | 2, false) => 60 * number,
            (4, false) => 60 * (number / 100) + number % 100,
            _ => return None,
        };
        text.offset = Some(sign * i32::try_from(minutes).ok().filter(|m| *m <= 18 * 60)?);
        Some(())
    }
}

/// The name of a month, or of a weekday, which is passed over.
fn named(text: &mut DateText, name: &str) -> Option<()> {
    if name == "sept" {
        return text.push(9, 2, Kind::Month);
    }
    if let Some(month) = MONTHS.iter().position(|month| month.starts_with(name)) {
        return text.push(month as i64 + 1, 2, Kind::Month);
    }
    let is_weekday = WEEKDAYS.contains(&&name[..3]) && (name.len() < 5 || name.ends_with("day"));
    is_weekday.then_some(())
}

/// Hours before or after noon.
fn noon(text: &mut DateText, word: &str) -> Option<()> {
    let hours = text.time / HOUR;
    if !(1..=12).contains(&hours) {
        return None;
    }
    text.time = text.time % HOUR + (hours % 12 + if word == "pm" { 12 } else { 0 }) * HOUR;
    Some(())
}

/// A time of digits alone.
fn compact_time(text: &mut DateText, digits: &[u8]) -> Option<()> {
    let part = |range| digits.get(range).map(value);
    let (hour, minute) = (part(0..2)?, part(2..4)?);
    let second = match digits.len() {
        4 => 0,
        6 => part(4..6)?,
        _ => return None,
    };
    text.time = hour * HOUR + minute * MINUTE + second * SECOND;
    text.time_resolution = match digits.len() {
        4 => Resolution::Minute,
        _ => Resolution::Second,
    };
    (hour < 24 && minute < 60 && second < 61).then_some(())
}

/// The first three digits behind a decimal mark, as thousandths.
fn thousandths(digits: &[u8]) -> i64 {
    let digit = |at: usize| digits.get(at).map_or(0, |digit| i64::from(digit - b'0'));
    100 * digit(0) + 10 * digit(1) + digit(2)
}

/// The number that at most 14 digits stand for.
fn value(digits: &[u8]) -> i64 {
    digits
        .iter()
        .fold(0, |value, digit| 10 * value + i64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::super::date::DateStyle;
    use super::DateOrder::*;
    use super::*;

    fn read(field: &str, order: DateOrder) -> Option<String> {
        let text = DateText::new(field)?;
        let resolution = text.resolution(order);
        let style = DateStyle {
            resolution,
            offset: text.offset,
        };
        Some(text.date(order)?.text(style))
    }

    #[test]
    fn dates_are_read_in_every_usual_way() {
        for (field, order, expected) in [
            ("1956-01-31", YearMonthDay, "1956-01-31"),
            (" 1956/1/31 ", YearMonthDay, "1956-01-31"),
            ("19560131", YearMonthDay, "1956-01-31"),
            ("31.01.1956", DayMonthYear, "1956-01-31"),
            ("31/1/56", DayMonthYear, "2056-01-31"),
            ("31 Jan 1996", DayMonthYear, "1996-01-31"),
            ("Tue, 2nd of", DayMonthYear, ""),
            ("Tue, 2nd January 1996", DayMonthYear, "1996-01-02"),
            ("January 2, 1996", MonthDayYear, "1996-01-02"),
            ("1/31/1956", MonthDayYear, "1956-01-31"),
            ("1956-01", YearMonth, "1956-01"),
            ("195601", YearMonth, "1956-01"),
            ("1956M01", YearMonth, "1956-01"),
            ("1956 Jan", YearMonth, "1956-01"),
            ("01/1956", MonthYear, "1956-01"),
            ("Sept 96", MonthYear, "1996-09"),
            ("1956Q3", YearQuarter, "1956Q3"),
            ("1956-q3", YearQuarter, "1956Q3"),
            ("Q3 1956", QuarterYear, "1956Q3"),
            ("2020-W53", YearWeek, "2020-12-28"),
            ("1956", Year, "1956"),
            ("1600000000", Unix, "2020-09-13 12:26:40"),
            ("1600000000250", Unix, "2020-09-13 12:26:40.250"),
            ("2020-09-13T12:26", YearMonthDay, "2020-09-13 12:26"),
            ("20200913T122640", YearMonthDay, "2020-09-13 12:26:40"),
            ("202009131226", YearMonthDay, "2020-09-13 12:26"),
            (
                "2020-09-13 12:26:40.25Z",
                YearMonthDay,
                "2020-09-13 12:26:40.250Z",
            ),
            ("13.9.2020 0:26", DayMonthYear, "2020-09-13 00:26"),
            ("9/13/2020 12:26 AM", MonthDayYear, "2020-09-13 00:26"),
            ("9/13/2020 1:26 pm", MonthDayYear, "2020-09-13 13:26"),
            ("2020-09-13 24:00", YearMonthDay, "2020-09-14 00:00"),
            (
                "2020-10-25T02:30:00+02:00",
                YearMonthDay,
                "2020-10-25 02:30:00+02:00",
            ),
            (
                "2020-10-25 02:30 -0330",
                YearMonthDay,
                "2020-10-25 02:30-03:30",
            ),
            (
                "2020-10-25 02:30:00 UTC",
                YearMonthDay,
                "2020-10-25 02:30:00Z",
            ),
        ] {
            let expected = Some(expected.to_string()).filter(|text| !text.is_empty());
            assert_eq!(read(field, order), expected, "{field}");
        }
    }

    #[test]
    fn years_may_have_a_fraction() {
        for (field, order, expected) in [
            ("1956.01", YearMonth, "1956-01"),
            ("1960.083", FractionalMonth, "1960-02"),
            ("1960.0833333333333", FractionalMonth, "1960-02"),
            ("1960,9167", FractionalMonth, "1960-12"),
            ("1960.17", FractionalMonth, "1960-03"),
            ("1960.2083", FractionalMonth, "1960-03"),
            ("1960.25", FractionalMonth, "1960-04"),
            ("1960.9999999999", FractionalMonth, "1961-01"),
            ("1700.0", FractionalMonth, "1700"),
            ("1700", FractionalMonth, "1700"),
            ("1700.5", FractionalMonth, "1700-07"),
            ("1958.2027", FractionalDay, "1958-03-16"),
            ("1974.0", FractionalDay, "1974-01-01"),
        ] {
            assert_eq!(read(field, order), Some(expected.to_string()), "{field}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for field in [
            "",
            "-5",
            "12.5x",
            "total",
            "1.2.3.4",
            "32/13/2020",
            "2020-13",
            "2020Q5",
            "12:30",
            "é",
            "2020-01-01 25:00",
            "2020-01-01 10:61",
            "99999999999999999",
            "1e5",
            "-1960.5",
            "196.5",
            "2020-01-01 10:00 10:00",
        ] {
            let found = DateOrder::ALL.iter().find_map(|&order| read(field, order));
            assert_eq!(found, None, "{field}");
        }
    }
}

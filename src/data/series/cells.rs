/*!
Fields that hold a number, or none.
*/

use serde::{Deserialize, Serialize};

/// What stands for a missing value, in lower case.
const MISSING: [&str; 15] = [
    "", "na", "nan", "n/a", "#n/a", "#na", "null", "none", "nil", "-", "--", ".", "..", "?",
    "missing",
];
/// What may stand beside a number, and is not part of it.
const UNITS: [char; 7] = ['$', '€', '£', '¥', '%', '"', '\u{a0}'];

/// The mark between a number's whole part and its decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decimal {
    /// A point; commas may part thousands.
    #[default]
    Point,
    /// A comma; points may part thousands.
    Comma,
}

impl Decimal {
    /// The mark.
    pub fn mark(self) -> char {
        match self {
            Decimal::Point => '.',
            Decimal::Comma => ',',
        }
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    /// A finite number.
    Number(f64),
    /// Nothing, or what stands for it.
    Missing,
    /// An infinite number, or one too large.
    Infinite,
    /// Anything else.
    Text,
}

/// A field without the spaces and units around its number.
pub(super) fn trimmed(field: &str) -> &str {
    let is_beside = |c: char| c.is_whitespace() || UNITS.contains(&c);
    field.trim_matches(is_beside)
}

/// Whether a field stands for a missing value.
pub(super) fn is_missing(field: &str) -> bool {
    let field = field.trim();
    field.len() <= 7 && MISSING.iter().any(|name| name.eq_ignore_ascii_case(field))
}

/// Whether a field is a number, with either decimal mark.
pub(super) fn is_number(field: &str) -> bool {
    let is = |decimal| matches!(cell(field, decimal), Cell::Number(_) | Cell::Infinite);
    is(Decimal::Point) || is(Decimal::Comma)
}

/// What a field holds, with one of the decimal marks.
pub(super) fn cell(field: &str, decimal: Decimal) -> Cell {
    let of_value = |value: f64| match value.is_finite() {
        true => Cell::Number(value),
        false if value.is_nan() => Cell::Missing,
        false => Cell::Infinite,
    };
    if decimal == Decimal::Point
        && let Ok(value) = field.parse()
    {
        return of_value(value);
    }
    if is_missing(field) {
        return Cell::Missing;
    }
    let plain = plain(trimmed(field), decimal);
    match plain.and_then(|plain| plain.parse().ok()) {
        Some(value) => of_value(value),
        None => Cell::Text,
    }
}

/// A number without separators of thousands, and with a decimal point; `None` if these stand elsewhere than before groups of
/// digits.
fn plain(field: &str, decimal: Decimal) -> Option<String> {
    let mark = decimal.mark();
    let (whole, rest) = match field.find([mark, 'e', 'E']) {
        Some(at) => field.split_at(at),
        None => (field, ""),
    };
    let whole = whole.replace('\u{2212}', "-");
    let unit_after_sign = |c: char| c.is_whitespace() || UNITS.contains(&c);
    let (sign, digits) = match whole.strip_prefix(['-', '+']) {
        Some(digits) => (&whole[..1], digits.trim_start_matches(unit_after_sign)),
        None => ("", &whole[..]),
    };
    let separator = digits.chars().find(|c| !c.is_ascii_digit());
    let digits = match separator {
        None => digits.to_string(),
        Some(letter) if letter.is_ascii_alphabetic() => digits.to_string(),
        Some(separator) => {
            let is_separator =
                matches!(separator, '.' | ',' | '\'' | '’' | '_') || separator.is_whitespace();
            let mut groups = digits.split(separator);
            let first = groups.next()?;
            let groups: Vec<&str> = groups.collect();
            let is_digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
            // Two digits in a group but the last: as lakhs and crores are written.
            let last = groups.len() - 1;
            let are_groups = (groups.iter().enumerate()).all(|(at, group)| {
                is_digits(group) && (group.len() == 3 || (group.len() == 2 && at < last))
            });
            let fits = is_separator && (1..=3).contains(&first.len()) && is_digits(first);
            (fits && are_groups).then(|| first.to_string() + &groups.concat())?
        }
    };
    let rest = match rest.strip_prefix(mark) {
        Some(decimals) => format!(".{decimals}"),
        None => rest.to_string(),
    };
    Some(format!("{sign}{digits}{rest}"))
}

/// What fields say of the decimal mark of their column.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DecimalEvidence {
    /// Numbers in which it can only be a point.
    pub points: usize,
    /// Numbers in which it can only be a comma.
    pub commas: usize,
    /// Numbers with one comma before three digits.
    pub unclear: usize,
    /// Numbers with more than three digits together, before any mark.
    pub ungrouped: usize,
}

impl DecimalEvidence {
    /// Takes a field into account.
    pub fn add(&mut self, field: &str) {
        let field = trimmed(field).trim_start_matches(['-', '+', '\u{2212}']);
        let bytes = field.as_bytes();
        if !bytes
            .first()
            .is_some_and(|byte| byte.is_ascii_digit() || b".,".contains(byte))
        {
            return;
        }
        let before = bytes
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.ungrouped += usize::from(before > 3);
        let Some(last) = bytes.iter().rposition(|byte| b".,".contains(byte)) else {
            return;
        };
        let mark = bytes[last];
        let count = |wanted: u8| bytes.iter().filter(|&&byte| byte == wanted).count();
        let (same, other) = (count(mark), count(if mark == b'.' { b',' } else { b'.' }));
        let is_point = mark == b'.';
        let three = bytes.len() - last == 4 && bytes[last + 1..].iter().all(u8::is_ascii_digit);
        let may_be_group = three && (1..=3).contains(&before) && bytes[0] != b'0';
        match (same, other) {
            (1, 0) if may_be_group && is_point => {}
            (1, 0) if may_be_group => self.unclear += 1,
            // Several alike part thousands: the decimal mark is the other one.
            (2.., 0) => self.vote(!is_point),
            _ => self.vote(is_point),
        }
    }

    fn vote(&mut self, point: bool) {
        self.points += usize::from(point);
        self.commas += usize::from(!point);
    }

    /// The decimal mark that most speaks for, and whether nothing decides it.
    pub fn decimal(&self) -> (Decimal, bool) {
        match self {
            _ if self.commas > self.points => (Decimal::Comma, false),
            _ if self.points > 0 || self.unclear == 0 => (Decimal::Point, false),
            // Who parts thousands does it in every number.
            _ if self.ungrouped > 0 => (Decimal::Comma, true),
            _ => (Decimal::Point, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cell::*;
    use super::*;

    #[test]
    fn numbers_are_read_with_either_mark() {
        use Decimal::{Comma, Point};
        for (field, decimal, expected) in [
            ("1.5", Point, Number(1.5)),
            (" -1.5e3 ", Point, Number(-1500.0)),
            ("1,234,567.5", Point, Number(1_234_567.5)),
            ("1 234 567", Point, Number(1_234_567.0)),
            ("1'234.5", Point, Number(1234.5)),
            ("12,34,567", Point, Number(1_234_567.0)),
            ("$1,234", Point, Number(1234.0)),
            ("-$1,234", Point, Number(-1234.0)),
            ("\u{2212}5 %", Point, Number(-5.0)),
            (".5", Point, Number(0.5)),
            ("1,5", Comma, Number(1.5)),
            ("1.234,5", Comma, Number(1234.5)),
            ("1\u{202f}234,5 €", Comma, Number(1234.5)),
            ("1,5e-2", Comma, Number(0.015)),
            ("1,5", Point, Text),
            ("1,23,4", Point, Text),
            ("1.5", Comma, Text),
            ("12 apples", Point, Text),
            ("1-2", Point, Text),
            ("", Point, Missing),
            ("#N/A", Comma, Missing),
            ("NaN", Comma, Missing),
            ("nan", Point, Missing),
            ("inf", Point, Infinite),
            ("-Infinity", Comma, Infinite),
            ("1e999", Point, Infinite),
        ] {
            assert_eq!(cell(field, decimal), expected, "{field}");
        }
    }

    #[test]
    fn the_decimal_mark_is_decided_by_the_whole_column() {
        use Decimal::{Comma, Point};
        for (fields, expected) in [
            (&["1,234", "5,6"][..], (Comma, false)),
            (&["1,234", "5.6"], (Point, false)),
            (&["1,234", "999"], (Point, true)),
            (&["1,234", "12345"], (Comma, true)),
            (&["1.234,5"], (Comma, false)),
            (&["1,234.5"], (Point, false)),
            (&["1.234", "2.345"], (Point, false)),
            (&["1.234.567"], (Comma, false)),
            (&["1,234,567"], (Point, false)),
            (&["0,234"], (Comma, false)),
            (&["12", "n/a", ""], (Point, false)),
        ] {
            let mut evidence = DecimalEvidence::default();
            fields.iter().for_each(|field| evidence.add(field));
            assert_eq!(evidence.decimal(), expected, "{fields:?}");
        }
    }
}

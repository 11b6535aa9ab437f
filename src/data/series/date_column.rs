/*!
A column of dates: the order of day and month is decided by all of its fields.
*/

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::date::{Date, DateStyle, MINUTE, Resolution};
use super::date_text::{DateOrder, DateText};
use super::findings::Findings;
use super::number_column::quoted;
use super::table::{Column, Table};
use crate::error::{Error, Result};

/// Which of two numbers of a date is the day, where both may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DayOrder {
    /// Day, month, year.
    DayFirst,
    /// Month, day, year.
    MonthFirst,
}

/// The dates of the rows of a table.
pub(super) struct DateColumn {
    /// A date for each row, where there is one.
    pub dates: Vec<Option<Date>>,
    /// How they are written.
    pub style: DateStyle,
    /// How they were read.
    pub order: DateOrder,
}

impl DateColumn {
    /// Reads the dates in `fields`, which messages call `name`.
    ///
    /// # Errors
    /// If fewer than half of the fields are dates.
    pub fn read(
        fields: &Column,
        table: &Table,
        name: &str,
        asked: Option<DayOrder>,
        findings: &mut Findings,
    ) -> Result<Self> {
        let texts: Vec<Option<DateText>> = fields.fields().map(DateText::new).collect();
        let counts = DateOrder::ALL.map(|order| {
            let read = texts.iter().flatten();
            read.filter(|text| text.date(order).is_some()).count()
        });
        let most = counts.iter().max().copied().unwrap_or_default();
        if 2 * most < texts.len() || most == 0 {
            let wrong = fields.fields().next().unwrap_or_default();
            return Err(Error::new(format!(
                "{name} of {} holds no dates: line {} “{}”; name the column of dates with --date-column",
                findings.file,
                table.lines.first().unwrap_or(&1),
                quoted(wrong)
            )));
        }
        let orders: Vec<DateOrder> = (DateOrder::ALL.into_iter().zip(counts))
            .filter(|&(_, count)| count == most)
            .map(|(order, _)| order)
            .collect();
        let order = choose(&orders, &texts, asked, name, findings);
        let (dates, style) = resolve(&texts, order, findings);
        for ((date, field), &line) in dates.iter().zip(fields.fields()).zip(&table.lines) {
            if date.is_none() {
                findings
                    .no_date
                    .add(|| format!("line {line} “{}”", quoted(field)));
            }
        }
        Ok(DateColumn {
            dates,
            style,
            order,
        })
    }
}

/// Chooses among orders that fit equally well: the one that was asked for, or the one whose dates go forward the most evenly.
fn choose(
    orders: &[DateOrder],
    texts: &[Option<DateText>],
    asked: Option<DayOrder>,
    name: &str,
    findings: &mut Findings,
) -> DateOrder {
    use DateOrder::{DayMonthYear, MonthDayYear};
    let is_unclear = orders.contains(&DayMonthYear) && orders.contains(&MonthDayYear);
    match (asked, orders.first()) {
        (Some(DayOrder::DayFirst), Some(DayMonthYear | MonthDayYear)) => return DayMonthYear,
        (Some(DayOrder::MonthFirst), Some(DayMonthYear | MonthDayYear)) => return MonthDayYear,
        (_, Some(&first)) if !is_unclear => return first,
        _ => {}
    }
    let [day, month] = [DayMonthYear, MonthDayYear].map(|order| unevenness(texts, order));
    let (order, option) = match month < day {
        true => (MonthDayYear, "dmy"),
        false => (DayMonthYear, "mdy"),
    };
    let reason = match month == day {
        true => "nothing in the file decides it",
        false => "which gives the more even steps",
    };
    findings.notes.push(format!(
        "{}: the dates of {name} may be read as day/month or as month/day; they are taken for {}, {reason}; --date-order \
         {option} reads them otherwise",
        findings.file,
        order.name()
    ));
    order
}

/// How uneven dates are: the number of steps backwards, and of different lengths of steps in days and in months, whichever
/// are fewer.
fn unevenness(texts: &[Option<DateText>], order: DateOrder) -> (usize, usize) {
    let dates: Vec<Date> = texts
        .iter()
        .flatten()
        .filter_map(|text| text.date(order))
        .collect();
    let backwards = dates.windows(2).filter(|pair| pair[1] < pair[0]).count();
    let different = |number: fn(Date) -> i64| {
        let steps = dates
            .windows(2)
            .map(|pair| number(pair[1]) - number(pair[0]));
        steps.collect::<BTreeSet<i64>>().len()
    };
    let same_day = dates
        .windows(2)
        .all(|pair| pair[0].civil().2 == pair[1].civil().2);
    let months = match same_day {
        true => different(Date::month_index),
        false => usize::MAX,
    };
    (
        backwards.min(dates.len() - backwards),
        different(|date| date.0).min(months),
    )
}

/// The dates in an order, and how they are written. Times of day alone at midnight are none.
fn resolve(
    texts: &[Option<DateText>],
    order: DateOrder,
    findings: &mut Findings,
) -> (Vec<Option<Date>>, DateStyle) {
    let moment = |text: &Option<DateText>| text.as_ref()?.date(order);
    let local = |text: &Option<DateText>| {
        let offset = i64::from(text.as_ref()?.offset.unwrap_or_default());
        Some(Date(moment(text)?.0 + offset * MINUTE))
    };
    let read = || texts.iter().flatten();
    let finest = read().map(|text| text.resolution(order)).max();
    let finest = finest.unwrap_or_default();
    let days_only = texts.iter().filter_map(local).all(|date| date.time() == 0);
    if days_only {
        let fractions = read().filter_map(DateText::fraction);
        let mut fractions = fractions.map(|(fraction, _)| fraction);
        let first = fractions.next();
        // The middle of every year, or its beginning, says the year alone.
        let is_year = order.is_fractional() && fractions.all(|other| Some(other) == first);
        let style = DateStyle {
            resolution: match is_year {
                true => Resolution::Year,
                false => finest.min(Resolution::Day),
            },
            offset: None,
        };
        return (texts.iter().map(local).collect(), style);
    }
    let offsets: BTreeSet<Option<i32>> = read().map(|text| text.offset).collect();
    // Of a series that goes through a change of clocks, what follows has the zone of its end.
    let last = read().next_back().and_then(|text| text.offset);
    let offset = match order {
        DateOrder::Unix => Some(0),
        _ => last,
    };
    let style = DateStyle {
        resolution: finest,
        offset,
    };
    if offsets.len() > 1 {
        let zone = |offset: &Option<i32>| {
            let style = DateStyle {
                resolution: Resolution::Minute,
                offset: *offset,
            };
            let text = Date(0).text(style);
            match offset {
                Some(_) => text[16..].to_string(),
                None => "none".to_string(),
            }
        };
        let zones: Vec<String> = offsets.iter().map(zone).collect();
        findings.notes.push(format!(
            "{}: the times have the zones {}; they are put on one clock, and written with that of the last",
            findings.file,
            zones.join(" and ")
        ));
    }
    (texts.iter().map(moment).collect(), style)
}

/// One column of dates for several that hold their parts, such as year and quarter. `names` are in lower case.
pub(super) fn joined(table: &Table, columns: &[usize], names: &[String]) -> Column {
    let rows = 0..table.rows();
    let mut joined = Column::default();
    let mut text = String::new();
    for row in rows {
        text.clear();
        for (at, &column) in columns.iter().enumerate() {
            let field = table.columns[column].get(row).trim();
            let field = field.strip_suffix(".0").unwrap_or(field);
            let name = names.get(column).map_or("", |name| name);
            let has_time = name.contains("time") || name.contains("hour");
            match at {
                0 => {}
                _ if name.contains("quarter") || name.contains("qtr") => {
                    text.push_str(if field.starts_with(['q', 'Q']) {
                        ""
                    } else {
                        "Q"
                    });
                }
                _ if has_time => text.push(' '),
                _ => text.push('-'),
            }
            text.push_str(field);
            if has_time && !field.contains(':') && at > 0 {
                text.push_str(":00");
            }
        }
        joined.push(&text);
    }
    joined
}

/*!
What the columns of a file of series hold: dates, values, names of series, and what else a model may use.
*/

use super::super::columns::{no_column, requested};
use super::cells::{is_missing, is_number};
use super::date::Date;
use super::date_text::{DateOrder, DateText};
use super::options::SeriesOptions;
use super::step::Step;
use super::table::{Column, Table, is_list};
use crate::error::{Error, Result};

/// Years with a fraction that a column is taken for without being asked for.
const RECENT_YEARS: std::ops::Range<i64> = 1500..2200;
/// Number of rows that columns are guessed from.
const SAMPLE_ROWS: usize = 200;
/// Usual names of columns of dates, the most likely first.
const DATE_NAMES: [&str; 14] = [
    "date",
    "datetime",
    "timestamp",
    "ds",
    "time",
    "period",
    "year",
    "month",
    "week",
    "day",
    "quarter",
    "datum",
    "observation_date",
    "index",
];
/// Usual names of columns of values.
const VALUE_NAMES: [&str; 8] = [
    "value", "values", "y", "target", "x", "sales", "demand", "count",
];
/// Usual names of columns that say which series a row belongs to.
const ID_NAMES: [&str; 10] = [
    "id",
    "unique_id",
    "series",
    "series_id",
    "item",
    "item_id",
    "product",
    "store",
    "symbol",
    "sensor",
];
/// Names of columns of years.
const YEAR_NAMES: [&str; 2] = ["year", "yr"];
/// Names of columns of quarters.
const QUARTER_NAMES: [&str; 2] = ["quarter", "qtr"];
/// Names of columns of months.
const MONTH_NAMES: [&str; 2] = ["month", "mon"];
/// Names of columns of times of day.
const TIME_NAMES: [&str; 2] = ["time", "hour"];

/// What the columns hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roles {
    /// The columns of the dates, or of their parts.
    pub dates: Vec<usize>,
    /// The column that says which series a row belongs to.
    pub id: Option<usize>,
    /// Whether that was asked for.
    pub id_is_certain: bool,
    /// The columns of the values.
    pub values: Vec<usize>,
    /// The columns that a model may use beside them, and whether these are known ahead.
    pub regressors: Vec<(usize, bool)>,
    /// Whether each row holds the values of a whole series.
    pub lists: bool,
}

impl Roles {
    /// Finds the columns: those that are asked for, else those with usual names, else by what is in them.
    ///
    /// # Errors
    /// A column that is asked for and does not exist; no column of numbers.
    pub fn find(table: &Table, options: &SeriesOptions, file: &str) -> Result<Self> {
        let names = table.lower_names();
        let find = |column: &String, option: &str| {
            requested(column, &names, table.columns.len())
                .ok_or_else(|| no_column(column, option, &table.names, table.columns.len(), file))
        };
        let all = |columns: &[String], option: &str| -> Result<Vec<usize>> {
            columns.iter().map(|column| find(column, option)).collect()
        };
        let mut roles = Roles {
            dates: all(&options.date_columns, "--date-column")?,
            values: all(&options.value_columns, "--value-column")?,
            id: all(options.id_column.as_slice(), "--id-column")?
                .first()
                .copied(),
            ..Roles::default()
        };
        roles.id_is_certain = roles.id.is_some();
        let used = all(&options.regressors, "--regressors")?;
        let known = all(&options.known, "--known")?;
        let used = used.into_iter().filter(|column| !known.contains(column));
        roles.regressors = used.map(|column| (column, false)).collect();
        roles
            .regressors
            .extend(known.iter().map(|&column| (column, true)));
        roles.lists = roles.find_lists(table, &names);
        if roles.dates.is_empty() && !roles.lists {
            roles.dates = roles.find_dates(table, &names);
        }
        roles.id = roles.id.or_else(|| roles.usual(&names, &ID_NAMES));
        if roles.values.is_empty() {
            roles.values = roles.find_values(table, &names);
        }
        if roles.values.is_empty() {
            return Err(Error::new(format!(
                "no column of numbers was found in {file}: its columns are {}; name one with --value-column",
                table.all_names()
            )));
        }
        roles.check(table, file)?;
        Ok(roles)
    }

    fn check(&self, table: &Table, file: &str) -> Result<()> {
        let twice = (self.values.iter()).find(|&&column| {
            self.dates.contains(&column) || (self.id_is_certain && self.id == Some(column))
        });
        match twice {
            Some(&column) => Err(Error::usage(format!(
                "{} of {file} is asked for as a column of values and as another one too; give two",
                table.name(column)
            ))),
            None => Ok(()),
        }
    }

    fn is_taken(&self, column: usize) -> bool {
        self.dates.contains(&column)
            || self.values.contains(&column)
            || self.id == Some(column)
            || self.regressors.iter().any(|&(taken, _)| taken == column)
    }

    fn usual(&self, names: &[String], usual: &[&str]) -> Option<usize> {
        let position = |usual: &&str| names.iter().position(|name| name == usual);
        let mut found = usual.iter().filter_map(position);
        found.find(|&column| !self.is_taken(column))
    }

    /// Whether a column holds lists of numbers; it is then that of the values.
    fn find_lists(&mut self, table: &Table, names: &[String]) -> bool {
        let holds_lists = |column: usize| most(&table.columns[column], is_list);
        if !self.values.is_empty() {
            return self.values.iter().all(|&column| holds_lists(column));
        }
        let found =
            (0..table.columns.len()).find(|&column| !self.is_taken(column) && holds_lists(column));
        self.values = found.into_iter().collect();
        let first = (0..table.columns.len()).find(|&column| !self.is_taken(column));
        if found.is_some() && self.id.is_none() {
            self.id = self.usual(names, &ID_NAMES).or(first);
        }
        found.is_some()
    }

    fn find_dates(&self, table: &Table, names: &[String]) -> Vec<usize> {
        if let Some(parts) = parts(table, names) {
            return parts;
        }
        let free = |column: &usize| !self.is_taken(*column);
        let named = DATE_NAMES
            .iter()
            .filter_map(|usual| names.iter().position(|name| name == usual));
        let similar =
            (0..names.len()).filter(|&at| names[at].contains("date") || names[at].contains("time"));
        let by_name = named.chain(similar).filter(free);
        let by_name = by_name.into_iter().find(|&column| {
            let fields = &table.columns[column];
            holds_dates(fields) || holds_fractional_years(fields)
        });
        let by_content = || {
            (0..table.columns.len()).filter(free).find(|&column| {
                let fields = &table.columns[column];
                (holds_dates(fields) && !most(fields, is_number))
                    || (column == 0 && table.columns.len() > 1 && holds_years(fields))
                    || (table.columns.len() > 1 && holds_fractional_years(fields))
            })
        };
        by_name.or_else(by_content).into_iter().collect()
    }

    /// The columns of values: one with a usual name, else all that hold numbers, or nothing yet.
    fn find_values(&self, table: &Table, names: &[String]) -> Vec<usize> {
        let is_empty = |column: &usize| sample(&table.columns[*column]).next().is_none();
        let has_numbers = |column: &usize| most(&table.columns[*column], is_number);
        let some_have =
            (0..table.columns.len()).any(|column| !self.is_taken(column) && has_numbers(&column));
        let holds = |column: &usize| match some_have {
            true => has_numbers(column),
            false => is_empty(column),
        };
        if let Some(usual) = self.usual(names, &VALUE_NAMES).filter(&holds) {
            return vec![usual];
        }
        let free = (0..table.columns.len()).filter(|&column| !self.is_taken(column));
        let numbers: Vec<usize> = free.filter(&holds).collect();
        let is_count = |column: &usize| {
            let name = names.get(*column).map_or("", |name| name);
            let has_name =
                name.is_empty() || name.starts_with("unnamed") || name == "index" || name == "row";
            has_name && !names.is_empty() && counts(&table.columns[*column])
        };
        let others: Vec<usize> = numbers
            .iter()
            .copied()
            .filter(|column| !is_count(column))
            .collect();
        match others.is_empty() {
            true => numbers,
            false => others,
        }
    }
}

/// The columns of the parts of dates: year and quarter; year, month, day and hour; or date and time.
fn parts(table: &Table, names: &[String]) -> Option<Vec<usize>> {
    let find = |usual: &[&str]| {
        let position = |usual: &&str| names.iter().position(|name| name == usual);
        usual.iter().find_map(position)
    };
    let time = find(&TIME_NAMES);
    let Some(year) = find(&YEAR_NAMES) else {
        let date = find(&["date"]).filter(|&date| holds_dates(&table.columns[date]))?;
        let has_time = |field: &str| field.contains(':');
        let is_day = !most(&table.columns[date], has_time);
        let times = time.filter(|&time| {
            is_day && most(&table.columns[time], |f| f.len() < 13 && !f.contains('-'))
        });
        return times.map(|time| vec![date, time]);
    };
    if let Some(quarter) = find(&QUARTER_NAMES) {
        return Some(vec![year, quarter]);
    }
    let month = find(&MONTH_NAMES)?;
    let smaller = [find(&["day"]), time].into_iter().map_while(|part| part);
    Some([year, month].into_iter().chain(smaller).collect())
}

/// The first fields of a column that are not missing.
fn sample(column: &Column) -> impl Iterator<Item = &str> {
    let known = column.fields().take(SAMPLE_ROWS).map(str::trim);
    known.filter(|field| !is_missing(field))
}

/// Whether most fields are of a kind.
fn most(column: &Column, is: impl Fn(&str) -> bool) -> bool {
    let (mut count, mut fitting) = (0, 0);
    for field in sample(column) {
        count += 1;
        fitting += usize::from(is(field));
    }
    count > 0 && 3 * fitting > 2 * count
}

fn holds_dates(column: &Column) -> bool {
    most(column, |field| {
        DateText::new(field).is_some_and(|text| text.is_date())
    })
}

/// Whether a column holds years with a fraction that ascend by a regular step.
fn holds_fractional_years(column: &Column) -> bool {
    let texts: Option<Vec<DateText>> = sample(column).map(DateText::new).collect();
    let texts = texts.unwrap_or_default();
    let has_digits = |text: &DateText| text.fraction().is_some_and(|(_, digits)| digits > 0);
    if !texts.iter().any(has_digits) {
        return false;
    }
    let orders = [DateOrder::FractionalMonth, DateOrder::FractionalDay];
    orders.into_iter().any(|order| {
        let dates: Option<Vec<Date>> = texts.iter().map(|text| text.date(order)).collect();
        let dates = dates.unwrap_or_default();
        let is_recent = |date: &Date| RECENT_YEARS.contains(&date.civil().0);
        let ascends = dates.windows(2).all(|pair| pair[0] < pair[1]);
        ascends && dates.iter().all(is_recent) && Step::infer(&dates).is_some()
    })
}

/// Whether a column holds years, or days written as one number, that ascend.
fn holds_years(column: &Column) -> bool {
    let year = |field: &str| {
        let text = DateText::new(field)?;
        let order = match field.len() {
            4 => DateOrder::Year,
            8 => DateOrder::YearMonthDay,
            _ => return None,
        };
        let date = text.date(order)?;
        (1000..3000).contains(&date.civil().0).then_some(date)
    };
    let mut last = None;
    sample(column).all(|field| {
        let date = year(field);
        let ascends = date.is_some() && date > last;
        last = date;
        ascends
    }) && last.is_some()
}

/// Whether a column counts its rows.
fn counts(column: &Column) -> bool {
    let mut last: Option<i64> = None;
    sample(column).all(|field| {
        let number = field.parse().ok();
        let follows = last.is_none_or(|last| number == Some(last + 1));
        last = number;
        follows && number.is_some()
    })
}

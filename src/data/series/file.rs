/*!
A file of series: one or several columns of values, rows of many series, or a whole series in each row.
*/

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use super::assembly::Placement;
use super::cells::{Cell, Decimal, cell, is_missing};
use super::date_column::{DateColumn, joined};
use super::findings::Findings;
use super::number_column::{NumberColumn, quoted};
use super::options::SeriesOptions;
use super::roles::Roles;
use super::table::{Column, Table};
use super::time_series::{Regressor, Series};
use crate::error::{Error, Result};
use crate::text::source::InvalidBytes;
use crate::text::text_reader::TextReader;

/// Largest number of categories of a column that a model may use.
const MOST_CATEGORIES: usize = 50;
/// Invalid bytes are refused.
const CONVERTED: InvalidBytes = InvalidBytes::Refused("convert the file to UTF-8");

/// The series of a file, and how they were read.
#[derive(Clone, Debug)]
pub struct SeriesFile {
    /// The series, in the order of the file.
    pub series: Vec<Series>,
    /// What the columns were taken for, in a sentence.
    pub columns: String,
    /// What is uncertain, was changed or left out.
    pub notes: Vec<String>,
}

impl SeriesFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// A file that cannot be read, is not text, or has no column of numbers; columns that were asked for and do not fit.
    pub fn open(path: &Path, options: &SeriesOptions) -> Result<Self> {
        let name = path.display().to_string();
        Self::of_text(TextReader::open(path, CONVERTED)?, &name, options)
    }

    /// Reads `input`, such as a pipe, whose name in messages is `name`.
    ///
    /// # Errors
    /// As [`SeriesFile::open`].
    pub fn read(
        input: impl Read + Send + 'static,
        name: &str,
        options: &SeriesOptions,
    ) -> Result<Self> {
        Self::of_text(TextReader::new(input, name, CONVERTED)?, name, options)
    }

    fn of_text(input: TextReader, file: &str, options: &SeriesOptions) -> Result<Self> {
        let mut table = Table::read(input, file)?;
        let mut findings = Findings::new(file);
        if options.names_no_column() {
            table.lengthen(file);
        }
        findings.notes.append(&mut table.notes);
        let roles = Roles::find(&table, options, file)?;
        let reader = Reader {
            table: &table,
            options,
            file,
        };
        let read = match roles.lists {
            true => reader.lists(&roles, &mut findings),
            false => reader.rows(&roles, &mut findings)?,
        };
        if read.series.is_empty() {
            return Err(Error::new(format!(
                "there are no numbers in {file}: every value of {} is missing",
                table.name(roles.values[0])
            )));
        }
        Ok(SeriesFile {
            notes: findings.into_notes(),
            ..read
        })
    }
}

/// A file that is being read.
struct Reader<'a> {
    table: &'a Table,
    options: &'a SeriesOptions,
    file: &'a str,
}

/// Rows of a table by the series that they belong to, in the order of their first rows.
type Groups<'t> = Vec<(&'t str, Vec<usize>)>;

impl Reader<'_> {
    /// Series whose values stand one in a row.
    fn rows(&self, roles: &Roles, findings: &mut Findings) -> Result<SeriesFile> {
        let table = self.table;
        let dates = self.dates(roles, findings)?;
        let regressors = self.regressors(roles, findings)?;
        let mut values = Vec::new();
        for &column in &roles.values {
            let numbers = NumberColumn::read(table, column, self.options.decimal, self.file)?;
            findings.notes.extend(numbers.notes);
            values.push(numbers.values);
        }
        let id = self.id(roles, dates.as_ref(), findings);
        let mut series = Vec::new();
        for (name, rows) in groups(table, id) {
            let of_column = |column: usize| match (id, roles.values.len()) {
                (None, _) => table.short_name(column),
                (Some(_), 1) => name.to_string(),
                (Some(_), _) => format!("{name} {}", table.short_name(column)),
            };
            let first = of_column(roles.values[0]);
            let placement = Placement::new(&rows, dates.as_ref(), table, &first, findings);
            for (&column, numbers) in roles.values.iter().zip(&values) {
                let id = of_column(column);
                series.extend(placement.series(&id, numbers, &regressors, findings));
            }
        }
        Ok(SeriesFile {
            series,
            columns: self.describe(roles, dates.as_ref(), id),
            notes: Vec::new(),
        })
    }

    /// Series that each stand in a row, apart by spaces.
    fn lists(&self, roles: &Roles, findings: &mut Findings) -> SeriesFile {
        let table = self.table;
        let mut series = Vec::new();
        if table.columns.len() == 1 {
            findings.notes.push(format!(
                "{}: each row is taken for a series, its values apart by spaces; a row of names makes columns of them",
                self.file
            ));
        }
        let ids = roles.id.map(|id| &table.columns[id]);
        for (row, &line) in table.lines.iter().enumerate() {
            for &column in &roles.values {
                let id = ids.map_or_else(
                    || (row + 1).to_string(),
                    |ids| ids.get(row).trim().to_string(),
                );
                let values = self.list(table.columns[column].get(row), line, findings);
                let known = |value: &f64| !value.is_nan();
                let ends = values
                    .iter()
                    .position(known)
                    .zip(values.iter().rposition(known));
                let Some((start, end)) = ends else {
                    findings.empty.add(|| format!("line {line} ({id})"));
                    continue;
                };
                series.push(Series {
                    id,
                    values: values[start..=end].to_vec(),
                    dates: None,
                    regressors: Vec::new(),
                });
            }
        }
        SeriesFile {
            series,
            columns: self.describe(roles, None, roles.id),
            notes: Vec::new(),
        }
    }

    fn list(&self, field: &str, line: u64, findings: &mut Findings) -> Vec<f64> {
        let decimal = self.options.decimal.unwrap_or(Decimal::Point);
        let number = |part: &str| match cell(part, decimal) {
            Cell::Number(value) => value,
            Cell::Missing => f64::NAN,
            Cell::Infinite | Cell::Text => {
                findings
                    .no_number
                    .add(|| format!("line {line} “{}”", quoted(part)));
                f64::NAN
            }
        };
        field.split_ascii_whitespace().map(number).collect()
    }

    fn dates(&self, roles: &Roles, findings: &mut Findings) -> Result<Option<DateColumn>> {
        let table = self.table;
        let whole;
        let (fields, name): (&Column, String) = match roles.dates[..] {
            [] => return Ok(None),
            [one] => (&table.columns[one], table.name(one)),
            ref parts => {
                whole = joined(table, parts, &table.lower_names());
                (&whole, self.names(parts))
            }
        };
        DateColumn::read(fields, table, &name, self.options.day_order, findings).map(Some)
    }

    /// The columns that a model may use beside the values; categories become a number for each, the most frequent last.
    fn regressors(&self, roles: &Roles, findings: &mut Findings) -> Result<Vec<Regressor>> {
        let mut all = Vec::new();
        for &(column, known_ahead) in &roles.regressors {
            let numbers = NumberColumn::read(self.table, column, self.options.decimal, self.file);
            let name = self.table.short_name(column);
            match numbers {
                Ok(numbers) => {
                    findings.notes.extend(numbers.notes);
                    all.push(Regressor {
                        name,
                        values: numbers.values,
                        known_ahead,
                    });
                }
                Err(_) => all.extend(self.categories(column, &name, known_ahead)?),
            }
        }
        Ok(all)
    }

    fn categories(&self, column: usize, name: &str, known_ahead: bool) -> Result<Vec<Regressor>> {
        let fields = &self.table.columns[column];
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for field in fields.fields().filter(|field| !is_missing(field)) {
            *counts.entry(field.trim()).or_default() += 1;
        }
        let mut categories: Vec<(&str, usize)> = counts.into_iter().collect();
        categories.sort_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)));
        if categories.len() > MOST_CATEGORIES {
            return Err(Error::new(format!(
                "{} of {} has {} different texts, and a model can use {MOST_CATEGORIES} at most; name a column of numbers or of \
                 fewer categories",
                self.table.name(column),
                self.file,
                categories.len()
            )));
        }
        let regressor = |&(category, _): &(&str, usize)| Regressor {
            name: format!("{name}={category}"),
            values: fields
                .fields()
                .map(|field| match is_missing(field) {
                    true => f64::NAN,
                    false => f64::from(u8::from(field.trim() == category)),
                })
                .collect(),
            known_ahead,
        };
        Ok(categories.iter().map(regressor).collect())
    }

    /// The column of the series' names: a usual one is taken for that only if it has several names, and dates, if there are any,
    /// that come more than once. Without a usual one, dates that come again and again make one of a column of text.
    fn id(
        &self,
        roles: &Roles,
        dates: Option<&DateColumn>,
        findings: &mut Findings,
    ) -> Option<usize> {
        if roles.id_is_certain {
            return roles.id;
        }
        let table = self.table;
        let distinct = |column: usize| {
            let fields = table.columns[column].fields().map(str::trim);
            fields.collect::<std::collections::HashSet<_>>().len()
        };
        let rows = table.rows();
        let Some(dates) = dates else {
            let is_id = |column: &usize| (2..=rows / 2).contains(&distinct(*column));
            return roles.id.filter(is_id);
        };
        let days: std::collections::HashSet<_> = dates.dates.iter().flatten().collect();
        let repeats = days.len() < rows - rows / 10;
        let separates = |column: &usize| {
            let column = *column;
            let fields = table.columns[column].fields().map(str::trim);
            let pairs = fields.zip(&dates.dates);
            let pairs: std::collections::HashSet<_> = pairs.collect();
            distinct(column) > 1 && pairs.len() >= rows - rows / 10
        };
        if !repeats {
            let is_id = |column: &usize| (2..=rows / 3).contains(&distinct(*column));
            return roles.id.filter(is_id);
        }
        let is_taken = |column: &usize| {
            roles.values.contains(column)
                || roles.dates.contains(column)
                || roles.regressors.iter().any(|(taken, _)| taken == column)
        };
        let free = (0..table.columns.len()).filter(|column| !is_taken(column));
        let found = roles.id.into_iter().chain(free).find(separates);
        if let Some(found) = found {
            findings.notes.push(format!(
                "{}: dates come again and again; {} says which series a row belongs to; --id-column says otherwise",
                self.file,
                table.name(found)
            ));
        }
        found
    }

    fn names(&self, columns: &[usize]) -> String {
        let names = columns.iter().map(|&column| self.table.name(column));
        names.collect::<Vec<_>>().join(", ")
    }

    /// What the columns were taken for.
    fn describe(&self, roles: &Roles, dates: Option<&DateColumn>, id: Option<usize>) -> String {
        let mut parts = Vec::new();
        match dates {
            Some(dates) => parts.push(format!(
                "dates in {}, read as {}",
                self.names(&roles.dates),
                dates.order.name()
            )),
            None => parts.push("no dates".to_string()),
        }
        parts.push(format!("values in {}", self.names(&roles.values)));
        if let Some(id) = id {
            parts.push(format!("series by {}", self.table.name(id)));
        }
        if !roles.regressors.is_empty() {
            let columns: Vec<usize> = roles.regressors.iter().map(|&(column, _)| column).collect();
            parts.push(format!("beside them {}", self.names(&columns)));
        }
        parts.join("; ")
    }
}

/// The rows of each series.
fn groups(table: &Table, id: Option<usize>) -> Groups<'_> {
    let Some(id) = id else {
        return vec![("", (0..table.rows()).collect())];
    };
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut groups: Groups = Vec::new();
    for (row, field) in table.columns[id].fields().enumerate() {
        let name = field.trim();
        let at = *places.entry(name).or_insert(groups.len());
        if at == groups.len() {
            groups.push((name, Vec::new()));
        }
        groups[at].1.push(row);
    }
    groups
}

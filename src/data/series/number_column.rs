/*!
A column of numbers: its decimal mark is decided by all of its fields.
*/

use super::cells::{Cell, Decimal, DecimalEvidence, cell};
use super::table::{Column, Table};
use crate::error::{Error, Result};

/// Number of fields that are quoted in a message.
const QUOTED: usize = 3;
/// Longest part of a field that is quoted.
const QUOTED_LENGTH: usize = 24;

/// The numbers of a column, and what had to be said of them.
pub(super) struct NumberColumn {
    /// A number for each row; NaN where none is known.
    pub values: Vec<f64>,
    /// What is uncertain or was left out.
    pub notes: Vec<String>,
}

/// Fields that are no numbers.
#[derive(Default)]
struct Others {
    count: usize,
    first: Vec<String>,
}

impl Others {
    fn push(&mut self, line: u64, field: &str) {
        self.count += 1;
        if self.first.len() < QUOTED {
            self.first.push(format!("line {line} “{}”", quoted(field)));
        }
    }

    fn text(&self) -> String {
        let more = match self.count - self.first.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        self.first.join(", ") + &more
    }
}

/// The beginning of a field, for a message.
pub(super) fn quoted(field: &str) -> String {
    let field = field.trim();
    match field.chars().count() > QUOTED_LENGTH {
        true => field.chars().take(QUOTED_LENGTH).collect::<String>() + "…",
        false => field.to_string(),
    }
}

impl NumberColumn {
    /// Reads a column of a table, with a decimal mark if it was given.
    ///
    /// # Errors
    /// If more than half of its fields are text.
    pub fn read(
        table: &Table,
        column: usize,
        decimal: Option<Decimal>,
        file: &str,
    ) -> Result<Self> {
        let fields = &table.columns[column];
        let name = table.name(column);
        let mut notes = Vec::new();
        let decimal = decimal.unwrap_or_else(|| decide(fields, &name, file, &mut notes));
        let (mut texts, mut infinite) = (Others::default(), Others::default());
        let mut values = Vec::with_capacity(table.rows());
        for (field, &line) in fields.fields().zip(&table.lines) {
            values.push(match cell(field, decimal) {
                Cell::Number(value) => value,
                Cell::Missing => f64::NAN,
                Cell::Infinite => {
                    infinite.push(line, field);
                    f64::NAN
                }
                Cell::Text => {
                    texts.push(line, field);
                    f64::NAN
                }
            });
        }
        let known = values.iter().filter(|value| !value.is_nan()).count();
        if texts.count > known {
            return Err(Error::new(format!(
                "{name} of {file} holds no numbers: {}; name another column with --value-column",
                texts.text()
            )));
        }
        if texts.count > 0 {
            notes.push(format!(
                "{file}: text among the numbers of {name} is taken for missing values: {}",
                texts.text()
            ));
        }
        if infinite.count > 0 {
            notes.push(format!(
                "{file}: infinite numbers of {name} are taken for missing values: {}",
                infinite.text()
            ));
        }
        Ok(NumberColumn { values, notes })
    }
}

/// Decides the decimal mark, and says so where a comma or a doubt is involved.
fn decide(fields: &Column, name: &str, file: &str, notes: &mut Vec<String>) -> Decimal {
    let mut evidence = DecimalEvidence::default();
    fields.fields().for_each(|field| evidence.add(field));
    let (decimal, is_unclear) = evidence.decimal();
    let example = || {
        let comma = fields.fields().find(|field| field.contains(','));
        quoted(comma.unwrap_or_default())
    };
    let (how, option) = match decimal {
        Decimal::Point => ("commas between thousands", "--decimal ,"),
        Decimal::Comma => ("a decimal comma", "--decimal ."),
    };
    if is_unclear {
        notes.push(format!(
            "{file}: {name} has numbers such as {}, which may be read in two ways; they are taken for numbers with {how}; \
             {option} reads them otherwise",
            example()
        ));
    } else if decimal == Decimal::Comma {
        notes.push(format!("{file}: {name} has {how}, as in {}", example()));
    }
    decimal
}

/*!
Documents from the rows of a table: columns separated by a delimiter, with or without a header.
*/

use std::collections::{BTreeSet, VecDeque};
use std::io;

use csv::ByteRecord;

use super::columns::{ColumnPositions, column_name};
use super::csv_records::{CsvRecord, CsvRecords};
use super::document::{Document, DocumentOptions, ParsedDocument, clean_label};
use super::lines::DocumentInput;
use crate::error::{Error, Result};

/// Number of rows that are read ahead to find the columns.
const SAMPLE_ROWS: usize = 200;

/// A reader of documents from a table.
pub(super) struct TableReader {
    records: CsvRecords<DocumentInput>,
    /// Rows that were read to find the columns.
    read_ahead: VecDeque<CsvRecord>,
    columns: TableColumns,
}

/// Number of columns, and positions of the label and the text.
struct TableColumns {
    label: Option<usize>,
    text: usize,
    count: usize,
    label_required: bool,
    /// Whether a field's outer quotation marks are removed here, because the parser keeps them.
    removes_quotes: bool,
}

/// Whether a table has a header, and where its label and text are.
struct TableGuess {
    has_header: bool,
    positions: ColumnPositions,
    /// A note for the user where the guess may be wrong.
    note: Option<String>,
}

impl TableReader {
    /// Reads the first rows and finds the columns. Notes on uncertain guesses are added to `notes`.
    ///
    /// # Errors
    /// A file that cannot be read, is empty, or lacks a column.
    pub fn new(
        input: DocumentInput,
        delimiter: u8,
        file: &str,
        options: &DocumentOptions,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        // In TSV files a quotation mark is mostly an ordinary character, and may stand alone.
        let is_tsv = delimiter == b'\t';
        let mut records = CsvRecords::new(input, delimiter, !is_tsv);
        let mut read_ahead = read_sample(&mut records)
            .map_err(|e| Error::new(format!("cannot read {file}: {e}")))?;
        let names = first_row(&read_ahead, file)?;
        let guess = TableGuess::new(&read_ahead, &names, options, file)?;
        let (label, text) = guess
            .positions
            .required("column", &names, options.labels, file)?;
        if guess.has_header {
            read_ahead.pop_front();
        }
        notes.extend(guess.note);
        Ok(TableReader {
            records,
            read_ahead,
            columns: TableColumns {
                label,
                text,
                count: names.len(),
                label_required: options.labels,
                removes_quotes: is_tsv,
            },
        })
    }

    /// The next document, with the number of the line that it begins on.
    pub fn document(&mut self) -> io::Result<Option<(u64, ParsedDocument)>> {
        let record = match self.read_ahead.pop_front() {
            Some(record) => Some(record),
            None => self.records.read()?,
        };
        let document = |CsvRecord { line, fields }| {
            let document = fields.and_then(|fields| self.columns.document(&fields));
            (line, document)
        };
        Ok(record.map(document))
    }
}

impl TableColumns {
    fn document(&self, record: &ByteRecord) -> ParsedDocument {
        if record.len() != self.count {
            return Err(format!(
                "number of columns is {}, expected {}",
                record.len(),
                self.count
            ));
        }
        let label = self
            .label
            .map(|label| self.field(&record[label]))
            .transpose()?;
        Ok(Document {
            label: clean_label(label, self.label_required)?,
            text: self.field(&record[self.text])?,
        })
    }

    fn field(&self, field: &[u8]) -> std::result::Result<String, String> {
        let text = std::str::from_utf8(field).map_err(|_| "invalid UTF-8".to_string())?;
        let quoted = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        Ok(match quoted {
            Some(inner) if self.removes_quotes => inner.replace("\"\"", "\""),
            _ => text.to_string(),
        })
    }
}

impl TableGuess {
    /// Finds the columns by name. Without a header, a single column holds texts, two are distinguished by their values, and
    /// of more nothing is known.
    fn new(
        rows: &VecDeque<CsvRecord>,
        names: &[String],
        options: &DocumentOptions,
        file: &str,
    ) -> Result<Self> {
        let named = ColumnPositions::by_name(names, options, file)?;
        let requested = options.text_column.is_some() || options.label_column.is_some();
        let has_header =
            requested || named.text.is_some() || (named.label.is_some() && names.len() > 1);
        let positions = match (has_header, names.len()) {
            (false, 2) => return Ok(Self::by_values(rows, options.labels, file)),
            (false, 1) => ColumnPositions {
                text: Some(0),
                ..named
            },
            (true, 2) => named.complete_pair(names, options.labels),
            _ => named,
        };
        Ok(TableGuess {
            has_header,
            positions,
            note: None,
        })
    }

    /// Guesses the label of two unnamed columns: the one with fewer distinct values. The first row is a header if its
    /// label does not occur again. Where labels are not required it is always kept as data, as reading a header as a text
    /// does less harm than losing a text.
    fn by_values(rows: &VecDeque<CsvRecord>, label_required: bool, file: &str) -> Self {
        let label = usize::from(distinct_values(rows, 1) < distinct_values(rows, 0));
        let value = |row: &CsvRecord| {
            let fields = row.fields.as_ref().ok()?;
            fields.get(label).map(column_name)
        };
        let first = rows.front().and_then(value);
        let recurs = rows.iter().skip(1).any(|row| value(row) == first);
        let has_header = label_required && !recurs;
        let note = format!(
            "{file}: columns guessed from their values: labels in column {}, texts in column {}; the first row is {}",
            label + 1,
            2 - label,
            if has_header { "a header" } else { "data" }
        );
        TableGuess {
            has_header,
            positions: ColumnPositions {
                label: Some(label),
                text: Some(1 - label),
            },
            note: Some(note),
        }
    }
}

fn read_sample(records: &mut CsvRecords<DocumentInput>) -> io::Result<VecDeque<CsvRecord>> {
    let mut rows = VecDeque::new();
    while rows.len() < SAMPLE_ROWS {
        match records.read()? {
            Some(record) => rows.push_back(record),
            None => break,
        }
    }
    Ok(rows)
}

/// The fields of the first row as column names, which they are if it is a header.
fn first_row(rows: &VecDeque<CsvRecord>, file: &str) -> Result<Vec<String>> {
    match rows.front().map(|first| &first.fields) {
        Some(Ok(fields)) => Ok(fields.iter().map(column_name).collect()),
        Some(Err(reason)) => Err(Error::new(format!(
            "the first row of {file} cannot be read: {reason}"
        ))),
        None => Err(Error::new(format!("there are no documents in {file}"))),
    }
}

fn distinct_values(rows: &VecDeque<CsvRecord>, column: usize) -> usize {
    let fields = rows.iter().filter_map(|row| row.fields.as_ref().ok());
    let values: BTreeSet<&[u8]> = fields.filter_map(|fields| fields.get(column)).collect();
    values.len()
}

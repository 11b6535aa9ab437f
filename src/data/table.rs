/*!
Documents from the rows of a table: columns separated by a delimiter, with or without a header.
*/

use std::collections::VecDeque;
use std::io;

use super::columns::{ColumnPositions, column_name};
use super::csv_records::{CsvRecord, CsvRecords};
use super::document::{Document, DocumentOptions, ParsedDocument, clean_label};
use super::table_sample::{Header, TableSample};
use super::tsv_quotes::TsvQuotes;
use crate::error::{Error, Result};
use crate::text::text_reader::TextReader;

/// Number of rows that are read ahead to find the columns.
const SAMPLE_ROWS: usize = 200;

/// A reader of documents from a table.
pub(super) struct TableReader {
    pub(super) records: CsvRecords<TextReader>,
    /// Rows that were read to find the columns.
    read_ahead: VecDeque<CsvRecord>,
    /// What is done with quotation marks that the parser left, in tables with tabs.
    quotes: Option<TsvQuotes>,
    columns: TableColumns,
}

/// Number of columns, and positions of the label and the text.
struct TableColumns {
    label: Option<usize>,
    text: usize,
    count: usize,
    label_required: bool,
}

impl TableReader {
    /// Reads the first rows and finds the columns. Notes on uncertain guesses are added to `notes`.
    ///
    /// # Errors
    /// A file that cannot be read, is empty, or lacks a column.
    pub fn new(
        input: TextReader,
        delimiter: u8,
        file: &str,
        options: &DocumentOptions,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let is_tsv = delimiter == b'\t';
        let mut records = CsvRecords::new(input, delimiter, !is_tsv);
        let mut read_ahead = read_sample(&mut records).map_err(|e| Error::of_reader(file, e))?;
        let quotes = is_tsv.then(|| TsvQuotes::of(&read_ahead));
        if let Some(quotes) = &quotes {
            read_ahead.iter_mut().for_each(|row| quotes.remove(row));
        }
        let sample = TableSample::new(&read_ahead, file)?;
        let header = header(&sample, options);
        let columns = TableColumns::new(&sample, header, options, file)?;
        notes.extend(note(&sample, header, &columns, file));
        if header != Header::Absent {
            read_ahead.pop_front();
        }
        Ok(TableReader {
            records,
            read_ahead,
            quotes,
            columns,
        })
    }

    /// The next document, with the number of the line that it begins on.
    pub fn document(&mut self) -> io::Result<Option<(u64, ParsedDocument)>> {
        let record = match self.read_ahead.pop_front() {
            Some(record) => Some(record),
            None => {
                let mut record = self.records.read()?;
                if let (Some(record), Some(quotes)) = (&mut record, &self.quotes) {
                    quotes.remove(record);
                }
                record
            }
        };
        let document = |CsvRecord { line, fields }| {
            let document = fields.and_then(|fields| self.columns.document(&fields));
            (line, document)
        };
        Ok(record.map(document))
    }
}

impl TableColumns {
    /// Finds the columns that are asked for, or else those with usual names. Without a header, a single column holds texts,
    /// two are distinguished by their values, and of more nothing is known.
    fn new(
        sample: &TableSample,
        header: Header,
        options: &DocumentOptions,
        file: &str,
    ) -> Result<Self> {
        let (names, count) = match header {
            Header::Absent => (&[][..], sample.width),
            _ => (&sample.names[..], sample.names.len()),
        };
        let requested = ColumnPositions::requested(names, count, options, file)?;
        let named = requested.or_usual(names);
        let found = match count {
            1 => ColumnPositions {
                text: named.text.or(Some(0).filter(|_| named.label.is_none())),
                ..named
            },
            2 if named == ColumnPositions::default() => {
                let label = sample.label_of_two();
                ColumnPositions {
                    label: Some(label),
                    text: Some(1 - label),
                }
            }
            2 => named.complete_pair(names, options.labels),
            _ => named,
        };
        let (label, text) = found.required("column", names, options.labels, file)?;
        Ok(TableColumns {
            label,
            text,
            count,
            label_required: options.labels,
        })
    }

    fn document(&self, record: &[String]) -> ParsedDocument {
        if record.len() != self.count {
            return Err(format!(
                "number of columns is {}, expected {}",
                record.len(),
                self.count
            ));
        }
        let label = self.label.map(|label| record[label].clone());
        Ok(Document {
            label: clean_label(label, self.label_required)?,
            text: record[self.text].clone(),
        })
    }
}

/// Whether the first row is a header: for certain if a column is asked for by a name in it. Numbers say nothing about that.
fn header(sample: &TableSample, options: &DocumentOptions) -> Header {
    let number = |column: &Option<String>| column.as_ref()?.trim().parse::<usize>().ok();
    let is_name = |column: &Option<String>| match column {
        Some(name) => number(column).is_none() && sample.names.contains(&column_name(name)),
        None => false,
    };
    if is_name(&options.label_column) || is_name(&options.text_column) {
        return Header::Certain;
    }
    let position = |column| number(column).and_then(|number| number.checked_sub(1));
    let asked = ColumnPositions {
        label: position(&options.label_column),
        text: position(&options.text_column),
    };
    let likely = asked.or_usual(&sample.names);
    let of_two = || match likely.text.filter(|&text| text < 2) {
        Some(text) => 1 - text,
        None => sample.label_of_two(),
    };
    let of_two = (sample.width == 2).then(of_two);
    sample.header(likely.label.or(of_two))
}

/// What was guessed, for the user.
fn note(
    sample: &TableSample,
    header: Header,
    columns: &TableColumns,
    file: &str,
) -> Option<String> {
    let name = |column: usize| match header {
        Header::Absent => format!("column {}", column + 1),
        _ => format!("column {} ({})", column + 1, sample.names[column]),
    };
    let first = match header {
        Header::Certain => return None,
        Header::Likely => "taken for a header",
        Header::Absent => "taken for data, as there seems to be no header",
    };
    let texts = format!("texts in {}", name(columns.text));
    let columns = match columns.label {
        Some(label) => format!("labels in {}, {texts}", name(label)),
        None => texts,
    };
    Some(format!("{file}: the first row is {first}; {columns}"))
}

fn read_sample(records: &mut CsvRecords<TextReader>) -> io::Result<VecDeque<CsvRecord>> {
    let mut rows = VecDeque::new();
    while rows.len() < SAMPLE_ROWS {
        match records.read()? {
            Some(record) => rows.push_back(record),
            None => break,
        }
    }
    Ok(rows)
}

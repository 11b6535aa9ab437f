/*!
Documents from the rows of a table: columns separated by a delimiter, with or without a header.
*/

use std::collections::VecDeque;
use std::io;

use serde_json::{Map, Value};

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
    /// The fields of the header, if there is one.
    header: Option<Vec<String>>,
    /// Lines on which the header came again.
    repeated: Vec<u64>,
}

/// Number of columns, and positions of the label and the text.
struct TableColumns {
    label: Option<usize>,
    text: usize,
    count: usize,
    label_required: bool,
    /// Names of the columns, if what else a row holds is kept.
    names: Option<Vec<String>>,
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
        notes.extend(note_of_twins(&sample, header, &columns, file));
        let header = match header {
            Header::Absent => None,
            _ => read_ahead.pop_front().and_then(|row| row.fields.ok()),
        };
        Ok(TableReader {
            records,
            read_ahead,
            quotes,
            columns,
            header,
            repeated: Vec::new(),
        })
    }

    /// What is to be said of a header that came again, as in a table joined from several.
    pub fn note(&self, skipped_lines: u64) -> Option<String> {
        let first = self.repeated.first()? + skipped_lines;
        let more = match self.repeated.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Some(format!(
            "the header comes again on line {first}{more}, which is no document and left out"
        ))
    }

    /// Whether a record is the header again. Where a table consists of one column, it may be a text.
    fn repeats_header(&self, record: &CsvRecord) -> bool {
        let (Some(header), Ok(fields)) = (&self.header, &record.fields) else {
            return false;
        };
        // A file that was appended may have brought its byte order mark.
        let plain = |field: &String| field.trim_start_matches('\u{feff}').trim().to_string();
        header.len() > 1 && header.iter().map(plain).eq(fields.iter().map(plain))
    }

    /// The next document, with the number of the line that it begins on.
    pub fn document(&mut self) -> io::Result<Option<(u64, ParsedDocument)>> {
        let mut record = self.record()?;
        while let Some(again) = record.take_if(|record| self.repeats_header(record)) {
            self.repeated.push(again.line);
            record = self.record()?;
        }
        let document = |CsvRecord { line, fields }| {
            let document = fields.and_then(|fields| self.columns.document(&fields));
            (line, document)
        };
        Ok(record.map(document))
    }

    /// The next record.
    fn record(&mut self) -> io::Result<Option<CsvRecord>> {
        if let Some(record) = self.read_ahead.pop_front() {
            return Ok(Some(record));
        }
        let mut record = self.records.read()?;
        if let (Some(record), Some(quotes)) = (&mut record, &self.quotes) {
            quotes.remove(record);
        }
        Ok(record)
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
            names: options
                .keeps_fields
                .then(|| field_names(sample.fields(header), count)),
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
            fields: self.other_fields(record),
        })
    }

    /// What a record holds besides its text, if that is kept.
    fn other_fields(&self, record: &[String]) -> Map<String, Value> {
        let named = self.names.iter().flatten().zip(record).enumerate();
        let others = named.filter(|(column, _)| *column != self.text);
        others
            .map(|(_, (name, field))| (name.clone(), Value::from(field.clone())))
            .collect()
    }
}

/// Names for the fields of rows: those of the header, or else the numbers of the columns. Of equal names, the second and
/// later ones have the number of their column too.
fn field_names(header: &[String], count: usize) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(count);
    for column in 0..count {
        let name = header.get(column).map_or("", |name| name.trim());
        let number = column + 1;
        names.push(match name {
            "" => number.to_string(),
            name if names.iter().any(|earlier| earlier == name) => format!("{name}.{number}"),
            name => name.to_string(),
        });
    }
    names
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

/// Which of several columns of one name is read.
fn note_of_twins(
    sample: &TableSample,
    header: Header,
    columns: &TableColumns,
    file: &str,
) -> Option<String> {
    let names = match header {
        Header::Absent => return None,
        _ => &sample.names,
    };
    let read = columns.label.into_iter().chain([columns.text]);
    let twins = |&column: &usize| names.iter().filter(|name| **name == names[column]).count();
    let mut several = read.filter(|column| twins(column) > 1);
    let column = several.next()?;
    Some(format!(
        "{file} has {} columns named “{}”; column {} is read, and --text-column and --label-column choose others by their \
         numbers",
        twins(&column),
        names[column],
        column + 1
    ))
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

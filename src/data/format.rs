/*!
Guesses of a file's layout, and of the delimiter of its columns, from its name and its beginning.
*/

use std::cmp::Reverse;
use std::path::Path;

use csv::ByteRecord;

use super::columns::{column_name, is_usual_name};
use super::csv_records::{CsvRecord, CsvRecords};
use super::document::Format;

/// Delimiters that columns may have, the most likely first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Number of rows that the delimiter is guessed from.
const SAMPLE_ROWS: usize = 50;

/// The layout that the extension of a file's name stands for.
pub fn format_of_name(path: &Path) -> Option<Format> {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    match extension.to_lowercase().as_str() {
        "csv" => Some(Format::Csv),
        "tsv" | "tab" => Some(Format::Tsv),
        "jsonl" | "ndjson" | "json" => Some(Format::Jsonl),
        _ => None,
    }
}

/// Guesses the layout of a file that begins with `head`. A line of prose has commas too: a file is a table only if a
/// column has a usual name, or labels are required.
pub(super) fn guess_format(head: &[u8], labels_required: bool) -> Format {
    if head.trim_ascii_start().starts_with(b"{") {
        return Format::Jsonl;
    }
    let delimiter = guess_delimiter(head);
    let has_usual_name = split_names(first_line(head), delimiter)
        .iter()
        .any(|name| is_usual_name(name));
    match delimiter {
        _ if !labels_required && !has_usual_name => Format::Lines,
        b'\t' => Format::Tsv,
        _ => Format::Csv,
    }
}

/// Guesses the delimiter: the one that divides the first row into the most usual column names, then the most rows into
/// as many fields as the first row, then the first row into the most fields.
pub(super) fn guess_delimiter(head: &[u8]) -> u8 {
    // Of equals the first wins, as `min_by_key` takes the first.
    DELIMITERS
        .into_iter()
        .min_by_key(|&delimiter| Reverse(delimiter_score(head, delimiter)))
        .expect("DELIMITERS is not empty")
}

/// Number of usual column names, of rows as long as the first, and of fields of the first row; zeros without columns.
fn delimiter_score(head: &[u8], delimiter: u8) -> (usize, usize, usize) {
    let mut records = CsvRecords::new(head, delimiter, delimiter != b'\t');
    let next = || records.read().ok().flatten();
    let names = |record: CsvRecord| Some(record.fields.ok()?.iter().map(column_name).collect());
    let mut rows: Vec<Vec<String>> = std::iter::from_fn(next)
        .take(SAMPLE_ROWS)
        .map(|record| names(record).unwrap_or_default())
        .collect();
    // A first record that does not end within `head` is represented by its first line.
    if rows.first().is_some_and(Vec::is_empty) {
        rows[0] = split_names(first_line(head), delimiter);
    }
    let Some(first) = rows.first().filter(|first| first.len() > 1) else {
        return (0, 0, 0);
    };
    let usual = first.iter().filter(|name| is_usual_name(name)).count();
    let same_length = rows.iter().filter(|row| row.len() == first.len()).count();
    (usual, same_length, first.len())
}

fn first_line(head: &[u8]) -> &[u8] {
    head.split(|&byte| byte == b'\n').next().unwrap_or(head)
}

/// The column names of a header line.
fn split_names(line: &[u8], delimiter: u8) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .from_reader(line);
    let mut record = ByteRecord::new();
    match reader.read_byte_record(&mut record) {
        Ok(true) => record.iter().map(column_name).collect(),
        _ => Vec::new(),
    }
}

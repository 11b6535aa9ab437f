/*!
Documents, with their labels if they have some: CSV, TSV and JSONL, or a document a line; read one by one, so that a file
may be larger than memory.

A row that cannot be read is told of by its number and left out; what is wrong with the file as a whole is an error.
*/

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use csv::ByteRecord;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::csv_records::{CsvRecord, CsvRecords};
use crate::error::{Error, Result};

/// What a column of labels is called, the likeliest first.
const LABELS: [&str; 10] = [
    "label",
    "labels",
    "sentiment",
    "class",
    "category",
    "target",
    "rating",
    "stars",
    "polarity",
    "y",
];
/// What a column of texts is called, the likeliest first.
const TEXTS: [&str; 12] = [
    "text", "review", "sentence", "document", "content", "body", "comment", "message", "tweet",
    "title", "phrase", "x",
];
/// What a column is called that holds anything but labels.
const NO_LABELS: [&str; 6] = ["id", "index", "row", "number", "date", "url"];
/// What stands between two columns.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// LabelledRows that are looked at to tell columns without names apart.
const LOOKED_AT: usize = 200;
/// LabelledRows that are looked at to tell what stands between columns.
const GUESSED_BY: usize = 50;
/// Broken rows that are told of one by one.
const TOLD: u64 = 20;
/// Bytes that are looked at to tell formats apart.
const HEAD: usize = 1 << 16;

/// How documents are laid out in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A document a line
    Lines,
    /// DocumentColumns between commas, or semicolons
    Csv,
    /// DocumentColumns between tabs
    Tsv,
    /// A JSON object a line
    Jsonl,
}

/// How to read labelled documents from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentOptions {
    /// The layout; by the name and beginning of the file if not given.
    pub format: Option<Format>,
    /// The column, or key, of the labels; guessed if not given.
    pub label_column: Option<String>,
    /// The column, or key, of the texts; guessed if not given.
    pub text_column: Option<String>,
    /// Whether documents without labels are of no use.
    #[serde(default)]
    pub labels: bool,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its label, where there is a column of them.
    pub label: Option<String>,
    /// Its text.
    pub text: String,
}

/// A row of a file: a document, or what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledRow {
    /// Its number, counted from 1 without the header.
    pub number: u64,
    /// The line of the file that it begins on.
    pub line: u64,
    /// What it holds.
    pub document: std::result::Result<Document, String>,
}

/// How many rows there were, and how many of them could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// All.
    pub all: u64,
    /// Those that could not be read.
    pub broken: u64,
}

impl Count {
    /// Counts a row, and gives its document. Of the first rows that have none it is told why.
    pub fn take(&mut self, row: LabelledRow, tell: &mut dyn FnMut(String)) -> Option<Document> {
        self.all += 1;
        let LabelledRow { number, line, .. } = row;
        row.document
            .inspect_err(|why| {
                self.broken += 1;
                if self.broken <= TOLD {
                    tell(format!("row {number} (line {line}) is skipped: {why}"));
                }
            })
            .ok()
    }

    /// An error if a row could not be read.
    pub fn check(&self) -> Result<()> {
        match self.broken {
            0 => Ok(()),
            broken => Err(Error::new(format!(
                "{broken} of {} rows were skipped as they could not be read",
                self.all
            ))),
        }
    }
}

/// The rows of a file, in its order.
pub struct LabelledRows {
    source: Source,
    number: u64,
    name: String,
    /// How the file was understood, where that was not certain.
    pub notes: Vec<String>,
}

enum Source {
    Lines {
        reader: Box<dyn BufRead + Send>,
        line: u64,
    },
    Table {
        records: Box<CsvRecords<Box<dyn BufRead + Send>>>,
        ahead: VecDeque<CsvRecord>,
        columns: DocumentColumns,
    },
    Objects {
        reader: Box<dyn BufRead + Send>,
        line: u64,
        keys: Keys,
        ahead: VecDeque<String>,
    },
}

/// What label and text are called in an object.
struct Keys {
    label: Option<String>,
    text: String,
    /// Whether a document without a label is of no use.
    needs_label: bool,
}

/// Where label and text stand in a record, and how many fields it has.
struct DocumentColumns {
    label: Option<usize>,
    text: usize,
    count: usize,
    /// Whether a document without a label is of no use.
    needs_label: bool,
    /// Whether quotation marks around a field are left to us.
    unquoted: bool,
}

impl LabelledRows {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// A file that cannot be read, is empty, or does not have the columns.
    pub fn open(path: &Path, options: &DocumentOptions) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::file("read", path, e))?;
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        let by_name = match extension.to_lowercase().as_str() {
            "csv" => Some(Format::Csv),
            "tsv" | "tab" => Some(Format::Tsv),
            "jsonl" | "ndjson" | "json" => Some(Format::Jsonl),
            _ => None,
        };
        let options = DocumentOptions {
            format: options.format.or(by_name),
            ..options.clone()
        };
        Self::read(file, &path.display().to_string(), &options)
    }

    /// Reads rows from anything; `name` is for messages.
    ///
    /// # Errors
    /// As [`LabelledRows::open`].
    pub fn read(
        input: impl Read + Send + 'static,
        name: &str,
        options: &DocumentOptions,
    ) -> Result<Self> {
        let mut input = BufReader::with_capacity(HEAD, input);
        let failed = |e: io::Error| Error::new(format!("cannot read {name}: {e}"));
        // A pipe may give less at once than there is; then what comes first is all there is to go by, but for blank lines.
        let mut blank = 0;
        loop {
            let head = input.fill_buf().map_err(failed)?;
            if head.is_empty() {
                return Err(Error::new(format!("there are no documents in {name}")));
            }
            let lines = head.iter().filter(|&&byte| byte == b'\n').count();
            if !head.iter().all(u8::is_ascii_whitespace) {
                break;
            }
            blank += lines as u64;
            let length = head.len();
            input.consume(length);
        }
        let head = input.fill_buf().map_err(failed)?;
        let mark = head.starts_with(&[0xEF, 0xBB, 0xBF]);
        let head = if mark { &head[3..] } else { head };
        let format = options
            .format
            .unwrap_or_else(|| guess(head, options.labels));
        let delimiter = match format {
            Format::Tsv => b'\t',
            _ => delimiter(head),
        };
        if mark {
            input.consume(3);
        }
        let reader: Box<dyn BufRead + Send> = Box::new(input);
        let mut notes = Vec::new();
        let source = match format {
            Format::Lines if options.labels => {
                return Err(Error::new(format!(
                    "{name} is no CSV, TSV or JSONL with a column of labels"
                )));
            }
            Format::Lines => Source::Lines {
                reader,
                line: blank,
            },
            Format::Csv | Format::Tsv => table(reader, delimiter, name, options, &mut notes)?,
            Format::Jsonl => objects(reader, name, options)?,
        };
        Ok(LabelledRows {
            source,
            number: 0,
            name: name.to_string(),
            notes,
        })
    }

    /// The next row; its number is set by the caller.
    fn row(&mut self) -> io::Result<Option<(u64, std::result::Result<Document, String>)>> {
        match &mut self.source {
            Source::Lines { reader, line } => {
                while let Some(found) = read_line(reader, line)? {
                    match found {
                        Ok(text) if text.trim().is_empty() => {}
                        found => {
                            let document = found.map(|text| Document { label: None, text });
                            return Ok(Some((*line, document)));
                        }
                    }
                }
                Ok(None)
            }
            Source::Table {
                records,
                ahead,
                columns,
            } => {
                let record = match ahead.pop_front() {
                    Some(record) => Some(record),
                    None => records.read()?,
                };
                let row = |CsvRecord { line, fields }| {
                    (line, fields.and_then(|fields| columns.document(&fields)))
                };
                Ok(record.map(row))
            }
            Source::Objects {
                reader,
                line,
                keys,
                ahead,
            } => {
                if let Some(first) = ahead.pop_front() {
                    return Ok(Some((*line, keys.document(&first))));
                }
                while let Some(found) = read_line(reader, line)? {
                    match found {
                        Ok(found) if found.trim().is_empty() => {}
                        found => {
                            let document = found.and_then(|found| keys.document(&found));
                            return Ok(Some((*line, document)));
                        }
                    }
                }
                Ok(None)
            }
        }
    }
}

impl Iterator for LabelledRows {
    type Item = Result<LabelledRow>;

    fn next(&mut self) -> Option<Result<LabelledRow>> {
        let found = self.row().transpose()?;
        self.number += 1;
        let lines = matches!(self.source, Source::Lines { .. });
        Some(match found {
            Ok((line, document)) => Ok(LabelledRow {
                // Of lines, the number is that of the line, blank ones counted.
                number: if lines { line } else { self.number },
                line,
                document,
            }),
            Err(e) => Err(Error::new(format!("cannot read {}: {e}", self.name))),
        })
    }
}

impl DocumentColumns {
    fn document(&self, record: &ByteRecord) -> std::result::Result<Document, String> {
        if record.len() != self.count {
            return Err(format!(
                "it has {} columns, and the first row has {}",
                record.len(),
                self.count
            ));
        }
        let field = |index: usize| {
            let text = std::str::from_utf8(&record[index]);
            let text = text.map_err(|_| "it is not UTF-8".to_string())?;
            // Left where quotation marks are not the format's.
            let quoted = text
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            Ok::<_, String>(match quoted {
                Some(inner) if self.unquoted => inner.replace("\"\"", "\""),
                _ => text.to_string(),
            })
        };
        let label = self.label.map(field).transpose()?;
        let label = trimmed(label, self.needs_label)?;
        Ok(Document {
            label,
            text: field(self.text)?,
        })
    }
}

/// The next line without its end, and its number; bytes that are no text are the row's trouble alone.
fn read_line(
    reader: &mut dyn BufRead,
    line: &mut u64,
) -> io::Result<Option<std::result::Result<String, String>>> {
    let mut bytes = Vec::new();
    if reader.read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    *line += 1;
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    Ok(Some(
        String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_string()),
    ))
}

/// The format of a file that begins so.
fn guess(head: &[u8], labels: bool) -> Format {
    let first = head.split(|&byte| byte == b'\n').next().unwrap_or(head);
    if head.trim_ascii_start().starts_with(b"{") {
        return Format::Jsonl;
    }
    // A line of prose has commas too: only the name of a column, or the wish for labels, makes it a table.
    let named = fields(first, delimiter(head))
        .iter()
        .any(|field| LABELS.contains(&field.as_str()) || TEXTS.contains(&field.as_str()));
    if !labels && !named {
        return Format::Lines;
    }
    match delimiter(head) {
        b'\t' => Format::Tsv,
        _ => Format::Csv,
    }
}

/// What stands between the columns: whatever parts the first line into names that are known, else the most rows into as
/// many fields as the first.
fn delimiter(head: &[u8]) -> u8 {
    let worth = |&delimiter: &u8| {
        let mut records = CsvRecords::new(head, delimiter, delimiter != b'\t');
        let next = || records.read().ok().flatten();
        let split = |record: CsvRecord| Some(record.fields.ok()?.iter().map(lower).collect());
        let mut rows: Vec<Vec<String>> = std::iter::from_fn(next)
            .take(GUESSED_BY)
            .map(|record| split(record).unwrap_or_default())
            .collect();
        // A first record that goes on beyond what is looked at shows its first line.
        if rows.first().is_some_and(Vec::is_empty) {
            let line = head.split(|&byte| byte == b'\n').next().unwrap_or(head);
            rows[0] = fields(line, delimiter);
        }
        let known =
            |field: &&String| LABELS.contains(&field.as_str()) || TEXTS.contains(&field.as_str());
        let first = rows.first().map_or(&[][..], Vec::as_slice);
        let alike = rows.iter().filter(|row| row.len() == first.len()).count();
        // Of equals the first wins: `max_by_key` takes the last, so they are turned round.
        match first.len() {
            0 | 1 => (0, 0, 0),
            count => (first.iter().filter(known).count(), alike, count),
        }
    };
    let turned = DELIMITERS.iter().rev();
    *turned
        .max_by_key(|delimiter| worth(delimiter))
        .expect("there are some")
}

/// The fields of a header, in lower case.
fn fields(line: &[u8], delimiter: u8) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .from_reader(line);
    let mut record = ByteRecord::new();
    match reader.read_byte_record(&mut record) {
        Ok(true) => record.iter().map(lower).collect(),
        _ => Vec::new(),
    }
}

fn lower(field: &[u8]) -> String {
    String::from_utf8_lossy(field).trim().to_lowercase()
}

/// The first of `known` that is among `names`.
fn find(names: &[String], known: &[&str]) -> Option<usize> {
    known
        .iter()
        .find_map(|known| names.iter().position(|name| name == known))
}

/// The column that was asked for by name.
fn named(
    asked: Option<&String>,
    option: &str,
    names: &[String],
    file: &str,
) -> Result<Option<usize>> {
    let Some(asked) = asked else { return Ok(None) };
    let place = names.iter().position(|name| *name == asked.to_lowercase());
    place.map(Some).ok_or_else(|| {
        Error::new(format!(
            "{file} has no column {asked} ({option}); its columns are {}",
            names.join(", ")
        ))
    })
}

fn table(
    reader: Box<dyn BufRead + Send>,
    delimiter: u8,
    name: &str,
    options: &DocumentOptions,
    notes: &mut Vec<String>,
) -> Result<Source> {
    // Between tabs a quotation mark is most often just that, and may stand alone.
    let mut records = CsvRecords::new(reader, delimiter, delimiter != b'\t');
    let mut ahead = VecDeque::new();
    while ahead.len() < LOOKED_AT {
        match records.read() {
            Ok(Some(record)) => ahead.push_back(record),
            Ok(None) => break,
            Err(e) => return Err(Error::new(format!("cannot read {name}: {e}"))),
        }
    }
    let first = match ahead.front().map(|first| &first.fields) {
        Some(Ok(first)) => first,
        Some(Err(why)) => {
            return Err(Error::new(format!(
                "the first row of {name} cannot be read: {why}"
            )));
        }
        None => return Err(Error::new(format!("there are no documents in {name}"))),
    };
    let names: Vec<String> = first.iter().map(lower).collect();
    let count = names.len();
    let asked = options.text_column.is_some() || options.label_column.is_some();
    let mut label = named(
        options.label_column.as_ref(),
        "--label-column",
        &names,
        name,
    )?;
    let mut text = named(options.text_column.as_ref(), "--text-column", &names, name)?;
    label = label.or_else(|| find(&names, &LABELS));
    let free = |place: &usize| Some(*place) != label;
    text = text.or_else(|| find(&names, &TEXTS).filter(free));
    let header = asked || text.is_some() || (label.is_some() && count > 1);
    if header {
        ahead.pop_front();
        // Of two columns, the other.
        if count == 2 && text.is_none() {
            text = label.map(|label| 1 - label);
        }
        if count == 2 && label.is_none() && options.labels {
            let other = text.map(|text| 1 - text);
            label = other.filter(|&other| !NO_LABELS.contains(&&names[other][..]));
        }
    } else if count == 1 {
        text = Some(0);
    } else if count == 2 {
        let place = fewer_values(&ahead);
        (label, text) = (Some(place), Some(1 - place));
        // A name does not come again, and a label does.
        let value = |record: &CsvRecord| {
            let fields = record.fields.as_ref().ok()?;
            fields.get(place).map(lower)
        };
        let repeated = ahead
            .iter()
            .skip(1)
            .any(|row| value(row) == value(&ahead[0]));
        // Without labels to learn, a row too many does less harm than one too few.
        if !repeated && options.labels {
            ahead.pop_front();
        }
        notes.push(format!(
            "{name}: column {} is taken for the labels, column {} for the texts{}",
            place + 1,
            2 - place,
            if repeated || !options.labels {
                "; there is no header"
            } else {
                ""
            }
        ));
    }
    let listing = || {
        format!(
            "its columns are {}",
            names
                .iter()
                .map(|name| format!("“{name}”"))
                .collect::<Vec<_>>()
                .join(", ")
        )
    };
    let Some(text) = text else {
        return Err(Error::new(format!(
            "no column of {name} is known for texts: {}; name it with --text-column",
            listing()
        )));
    };
    if label.is_none() && options.labels {
        return Err(Error::new(format!(
            "no column of {name} is known for labels: {}; name it with --label-column",
            listing()
        )));
    }
    Ok(Source::Table {
        records: Box::new(records),
        ahead,
        columns: DocumentColumns {
            label,
            text,
            count,
            needs_label: options.labels,
            unquoted: delimiter == b'\t',
        },
    })
}

/// Which of two columns has the fewer different values.
fn fewer_values(rows: &VecDeque<CsvRecord>) -> usize {
    let different = |place: usize| {
        let read = rows.iter().filter_map(|row| row.fields.as_ref().ok());
        let values: BTreeSet<&[u8]> = read.filter_map(|fields| fields.get(place)).collect();
        values.len()
    };
    usize::from(different(1) < different(0))
}

fn objects(
    mut reader: Box<dyn BufRead + Send>,
    name: &str,
    options: &DocumentOptions,
) -> Result<Source> {
    let mut line = 0;
    let failed = |e| Error::new(format!("cannot read {name}: {e}"));
    let first = loop {
        match read_line(&mut reader, &mut line).map_err(failed)? {
            Some(Ok(text)) if text.trim().is_empty() => {}
            Some(found) => break found.unwrap_or_default(),
            None => break String::new(),
        }
    };
    let Ok(Value::Object(object)) = serde_json::from_str(&first) else {
        return Err(Error::new(format!(
            "the first line of {name} is no JSON object"
        )));
    };
    let keys: BTreeMap<String, String> = object
        .keys()
        .map(|key| (key.to_lowercase(), key.clone()))
        .collect();
    let names: Vec<String> = keys.keys().cloned().collect();
    let asked = (options.label_column.as_ref(), options.text_column.as_ref());
    let label = named(asked.0, "--label-column", &names, name)?.or_else(|| find(&names, &LABELS));
    let free = |place: &usize| Some(*place) != label;
    let text = named(asked.1, "--text-column", &names, name)?
        .or_else(|| find(&names, &TEXTS).filter(free));
    let Some(text) = text else {
        return Err(Error::new(format!(
            "no key of {name} is known for texts: its keys are {}; name it with --text-column",
            names.join(", ")
        )));
    };
    if label.is_none() && options.labels {
        return Err(Error::new(format!(
            "no key of {name} is known for labels: its keys are {}; name it with --label-column",
            names.join(", ")
        )));
    }
    Ok(Source::Objects {
        reader,
        line,
        keys: Keys {
            label: label.map(|place| keys[&names[place]].clone()),
            text: keys[&names[text]].clone(),
            needs_label: options.labels,
        },
        ahead: VecDeque::from([first]),
    })
}

impl Keys {
    fn document(&self, line: &str) -> std::result::Result<Document, String> {
        let object: Value =
            serde_json::from_str(line).map_err(|e| format!("it is no JSON: {e}"))?;
        let string = |key: &str| match object.get(key) {
            Some(Value::String(string)) => Ok(Some(string.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            Some(Value::Null) | None => Ok(None),
            Some(_) => Err(format!("its “{key}” is no text")),
        };
        let label = self.label.as_deref().map(string).transpose()?.flatten();
        let text = string(&self.text)?;
        Ok(Document {
            label: match &self.label {
                Some(_) => trimmed(Some(label.unwrap_or_default()), self.needs_label)?,
                None => None,
            },
            text: text.ok_or_else(|| format!("it has no “{}”", self.text))?,
        })
    }
}

/// A label without space around it; none of nothing, unless one is needed.
fn trimmed(label: Option<String>, needed: bool) -> std::result::Result<Option<String>, String> {
    match label.map(|label| label.trim().to_string()) {
        Some(label) if label.is_empty() && needed => Err("it has no label".to_string()),
        Some(label) if label.is_empty() => Ok(None),
        label => Ok(label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, options: &DocumentOptions) -> Result<LabelledRows> {
        LabelledRows::read(io::Cursor::new(text.as_bytes().to_vec()), "x", options)
    }

    fn labelled() -> DocumentOptions {
        DocumentOptions {
            labels: true,
            ..DocumentOptions::default()
        }
    }

    fn pairs(text: &str) -> Vec<(String, String)> {
        let rows = read(text, &labelled()).unwrap();
        rows.map(|row| row.unwrap().document.unwrap())
            .map(|document| (document.label.unwrap(), document.text))
            .collect()
    }

    #[test]
    fn tables_and_objects_are_told_apart() {
        let expected = [("good", "a, \"b\"\nc"), ("bad", "d;e\tf")]
            .map(|(label, text)| (label.to_string(), text.to_string()));
        let files = [
            "label,text\ngood,\"a, \"\"b\"\"\nc\"\nbad,d;e\tf\n",
            "text;sentiment\n\"a, \"\"b\"\"\nc\";good\n\"d;e\tf\";bad\n",
            "{\"label\": \"good\", \"text\": \"a, \\\"b\\\"\\nc\"}\n\n{\"text\": \"d;e\\tf\", \"label\": \"bad\"}\n",
            "\u{feff}id,label,text\n1,good,\"a, \"\"b\"\"\nc\"\n2,bad,d;e\tf\n",
        ];
        for file in files {
            assert_eq!(pairs(file), expected, "{file}");
        }
    }

    #[test]
    fn between_tabs_a_quotation_mark_may_stand_alone() {
        let file = "Label\tText\r\ngood\t\"a \"\"b\"\"\"\r\nbad\t\"d e\ngood\tf\"\n";
        let expected = [("good", "a \"b\""), ("bad", "\"d e"), ("good", "f\"")]
            .map(|(label, text)| (label.to_string(), text.to_string()));
        assert_eq!(pairs(file), expected);
    }

    #[test]
    fn where_no_labels_are_wanted_none_is_missed() {
        for file in [
            "text,label\nfine,\ndull,bad\n",
            "\n{\"text\": \"fine\", \"label\": null}\n{\"text\": \"dull\", \"label\": \" bad \"}\n",
        ] {
            let rows = read(file, &DocumentOptions::default()).unwrap();
            let labels: Vec<_> = rows
                .map(|row| row.unwrap().document.unwrap().label)
                .collect();
            assert_eq!(labels, [None, Some("bad".to_string())], "{file}");
            let broken = read(file, &labelled()).unwrap();
            let broken = broken.filter(|row| row.as_ref().unwrap().document.is_err());
            assert_eq!(broken.count(), 1);
        }
    }

    #[test]
    fn what_stands_between_columns_is_told_by_all_rows() {
        let rows = "1,so; so; good\n0,very bad\n1,fine; really\n0,awful\n";
        let found = pairs(rows);
        assert_eq!(found.len(), 4);
        assert_eq!(found[0], ("1".to_string(), "so; so; good".to_string()));
    }

    #[test]
    fn a_quotation_mark_that_is_never_closed_costs_one_row() {
        let rows = read("label,text\ngood,\"a\nbad,b\ngood,\"c, d\"\n", &labelled()).unwrap();
        let mut count = Count::default();
        let mut told = Vec::new();
        let mut tell = |message| told.push(message);
        let texts: Vec<String> = rows
            .filter_map(|row| count.take(row.unwrap(), &mut tell))
            .map(|document| document.text)
            .collect();
        assert_eq!(texts, ["b", "c, d"]);
        assert_eq!(
            told,
            ["row 1 (line 2) is skipped: a quotation mark in it seems never to be closed"]
        );
        assert_eq!((count.all, count.broken), (3, 1));
        assert!(count.check().is_err());
    }

    #[test]
    fn columns_without_names_are_known_by_their_values() {
        let rows = "so good,1\nvery bad,0\nfine,1\nawful,0\n";
        let expected = [
            ("1", "so good"),
            ("0", "very bad"),
            ("1", "fine"),
            ("0", "awful"),
        ]
        .map(|(label, text)| (label.to_string(), text.to_string()));
        assert_eq!(pairs(rows), expected);
        assert_eq!(pairs(&format!("what,kind\n{rows}")), expected);
    }

    #[test]
    fn what_is_missing_is_named() {
        let table = [
            (
                "a,b,c\n1,2,3\n",
                "no column of x is known for texts: its columns are “a”, “b”, “c”; name it with --text-column",
            ),
            (
                "id,n,text\n1,2,3\n",
                "no column of x is known for labels: its columns are “id”, “n”, “text”; name it with --label-column",
            ),
            (
                "{\"text\": 1}\n",
                "no key of x is known for labels: its keys are text; name it with --label-column",
            ),
            ("  \n", "there are no documents in x"),
        ];
        for (text, message) in table {
            let error = read(text, &labelled()).err().unwrap();
            assert_eq!(error.to_string(), message);
        }
        let options = DocumentOptions {
            label_column: Some("Colour".to_string()),
            ..labelled()
        };
        let error = read("id,text\n1,a\n", &options).err().unwrap();
        assert_eq!(
            error.to_string(),
            "x has no column Colour (--label-column); its columns are id, text"
        );
    }

    #[test]
    fn broken_rows_are_told_by_their_number() {
        let rows = read(
            "label,text\ngood,a\nbad\ngood,b,c\n,d\nbad,e\n",
            &labelled(),
        )
        .unwrap();
        let told: Vec<_> = rows
            .map(|row| row.unwrap())
            .filter_map(|row| row.document.err().map(|why| (row.number, row.line, why)))
            .collect();
        assert_eq!(
            told,
            [
                (
                    2,
                    3,
                    "it has 1 columns, and the first row has 2".to_string()
                ),
                (
                    3,
                    4,
                    "it has 3 columns, and the first row has 2".to_string()
                ),
                (4, 5, "it has no label".to_string()),
            ]
        );
        let rows = read(
            "{\"label\": 1, \"text\": \"a\"}\nno\n{\"label\": 2}\n",
            &labelled(),
        )
        .unwrap();
        let told: Vec<_> = rows.filter_map(|row| row.unwrap().document.err()).collect();
        assert!(told[0].starts_with("it is no JSON: "), "{told:?}");
        assert_eq!(told[1], "it has no “text”");
    }

    #[test]
    fn lines_are_documents_where_no_labels_are_wanted() {
        let rows = read("one, two\n\nthree\n", &DocumentOptions::default()).unwrap();
        let texts: Vec<_> = rows
            .map(|row| row.unwrap())
            .map(|row| (row.line, row.document.unwrap().text))
            .collect();
        assert_eq!(
            texts,
            [(1, "one, two".to_string()), (3, "three".to_string())]
        );
    }
}

/*!
Pairs from the rows of a table, or from JSON Lines.
*/

use std::collections::VecDeque;
use std::io::BufRead;
use std::path::Path;

use serde_json::{Map, Value};

use super::pair::{NumberedPairs, Pair, PairOptions};
use super::rows::{Sides, is_header};
use crate::data::columns::column_name;
use crate::data::csv_records::{CsvRecord, CsvRecords};
use crate::data::format::{format_of_name, guess_delimiter, guess_format, separator_line};
use crate::data::labelled::Format;
use crate::data::lines::LineReader;
use crate::data::tsv_quotes::TsvQuotes;
use crate::error::{Error, Result};
use crate::text::source::InvalidBytes;
use crate::text::text_reader::TextReader;

/// Bytes that the layout is guessed from.
const HEAD_BYTES: usize = 1 << 16;
/// Rows that could not be read and are reported one by one.
const MAX_REPORTED: usize = 5;
/// The key of an object that holds both sides, by their languages.
const TRANSLATION: &str = "translation";

/// The rows of a file.
pub(super) fn read_table(path: &Path, options: &PairOptions) -> Result<NumberedPairs> {
    let input = TextReader::open(path, InvalidBytes::lossy(options.lossy))?;
    let format = options.format.or_else(|| format_of_name(path));
    of_text(input, format, options, &path.display().to_string())
}

fn of_text(
    mut input: TextReader,
    format: Option<Format>,
    options: &PairOptions,
    file: &str,
) -> Result<NumberedPairs> {
    let mut notes = Vec::new();
    // Fills what is decoded.
    input.piece()?;
    let decoded = input.decoded().as_bytes();
    let head = &decoded[..decoded.len().min(HEAD_BYTES)];
    let format = format.unwrap_or_else(|| match guess_format(head, true) {
        Format::Jsonl => Format::Jsonl,
        _ => Format::Csv,
    });
    let found = match format {
        Format::Jsonl => of_objects(input, options, file),
        Format::Csv | Format::Tsv => {
            let separator = separator_line(head);
            let delimiter = match (separator, format) {
                (Some((delimiter, _)), _) => delimiter,
                (None, Format::Tsv) => b'\t',
                (None, _) => guess_delimiter(head),
            };
            input.consume(separator.map_or(0, |(_, length)| length));
            of_columns(input, delimiter, options, file)
        }
        Format::Lines | Format::Fasttext => Err(Error::usage(
            "pairs are in csv, tsv or jsonl; two files line by line are given with --source and --target",
        )),
    }?;
    notes.extend(found.1);
    Ok((found.0, notes))
}

fn of_columns(
    input: TextReader,
    delimiter: u8,
    options: &PairOptions,
    file: &str,
) -> Result<NumberedPairs> {
    let is_tsv = delimiter == b'\t';
    let mut records = CsvRecords::new(input, delimiter, !is_tsv);
    let mut rows: VecDeque<CsvRecord> = VecDeque::new();
    let failed = |e| Error::of_reader(file, e);
    while let Some(record) = records.read().map_err(failed)? {
        rows.push_back(record);
    }
    if is_tsv {
        let quotes = TsvQuotes::of(&rows);
        rows.iter_mut().for_each(|row| quotes.remove(row));
    }
    let width = (rows.iter()).find_map(|row| row.fields.as_ref().ok().map(Vec::len));
    let width = width.ok_or_else(|| Error::new(format!("there are no pairs in {file}")))?;
    let names = |row: &CsvRecord| -> Vec<String> {
        let fields = row.fields.iter().flatten();
        fields.map(|field| column_name(field)).collect()
    };
    let header = names(&rows[0]);
    let has_header = is_header(&header, options);
    let sides = match has_header {
        true => Sides::find(&header, options, "column", file)?,
        false => Sides::find(&vec![String::new(); width], options, "column", file)?,
    };
    let mut notes = Vec::new();
    let name = |at: usize| match has_header {
        true => format!("column {} ({})", at + 1, header[at]),
        false => format!("column {}", at + 1),
    };
    let first = match has_header {
        true => "a header",
        false => "a pair, as there seems to be no header",
    };
    notes.push(format!(
        "{file}: the first row is taken for {first}; sources in {}, targets in {}",
        name(sides.source),
        name(sides.target)
    ));
    let mut taken = Taken::default();
    for (number, row) in (1..).zip(rows.into_iter().skip(has_header as usize)) {
        let pair = row.fields.and_then(|fields| of_fields(fields, sides));
        taken.add(number, row.line, pair);
    }
    notes.extend(taken.note(file));
    notes.extend((records.reader.notes().replacements()).map(|note| format!("{file}: {note}")));
    Ok((taken.pairs, notes))
}

fn of_fields(mut fields: Vec<String>, sides: Sides) -> std::result::Result<Pair, String> {
    let count = fields.len();
    let mut take = |at: usize| (fields.get_mut(at).map(std::mem::take)).ok_or(count);
    match (take(sides.source), take(sides.target)) {
        (Ok(source), Ok(target)) => Ok(Pair { source, target }),
        _ => Err(format!("it has {count} columns")),
    }
}

fn of_objects(input: TextReader, options: &PairOptions, file: &str) -> Result<NumberedPairs> {
    let mut lines = LineReader::new(input);
    let (mut taken, mut sides, mut number) = (Taken::default(), None, 0);
    while let Some(line) = lines.line().map_err(|e| Error::of_reader(file, e))? {
        number += 1;
        let object = match serde_json::from_str::<Map<String, Value>>(&line.text) {
            Ok(mut object) => match object.remove(TRANSLATION) {
                Some(Value::Object(inner)) => inner,
                Some(other) => {
                    object.insert(TRANSLATION.to_string(), other);
                    object
                }
                None => object,
            },
            Err(e) => {
                taken.add(number, line.number, Err(format!("no JSON object: {e}")));
                continue;
            }
        };
        if sides.is_none() {
            let keys: Vec<&String> = object.keys().collect();
            let names: Vec<String> = keys.iter().map(|key| column_name(key)).collect();
            let found = Sides::find(&names, options, "key", file)?;
            sides = Some([found.source, found.target].map(|at| keys[at].clone()));
        }
        let [source, target] = sides.as_ref().expect("found at the first object");
        let string = |key: &String| match object.get(key) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Null) => Ok(String::new()),
            _ => Err(format!("it has no text under “{key}”")),
        };
        let pair =
            string(source).and_then(|source| string(target).map(|target| Pair { source, target }));
        taken.add(number, line.number, pair);
    }
    let mut notes = Vec::new();
    if let Some([source, target]) = &sides {
        notes.push(format!(
            "{file}: sources under “{source}”, targets under “{target}”"
        ));
    }
    notes.extend(taken.note(file));
    notes.extend((lines.input.notes().replacements()).map(|note| format!("{file}: {note}")));
    Ok((taken.pairs, notes))
}

/// Pairs of the rows that could be read, and messages of those that could not.
#[derive(Default)]
struct Taken {
    pairs: Vec<(u64, Pair)>,
    broken: Vec<String>,
}

impl Taken {
    fn add(&mut self, number: u64, line: u64, pair: std::result::Result<Pair, String>) {
        match pair {
            Ok(pair) => self.pairs.push((number, pair)),
            Err(reason) => (self.broken).push(format!("row {number} (line {line}): {reason}")),
        }
    }

    fn note(&self, file: &str) -> Option<String> {
        let shown = &self.broken[..self.broken.len().min(MAX_REPORTED)];
        (!shown.is_empty()).then(|| {
            format!(
                "{file}: {} rows could not be read and are left out: {}",
                self.broken.len(),
                shown.join("; ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type PlainPair = (String, String);

    fn read(text: &str, options: &PairOptions) -> Result<(Vec<PlainPair>, Vec<String>)> {
        let input = std::io::Cursor::new(text.as_bytes().to_vec());
        let input = TextReader::new(input, "x", InvalidBytes::lossy(false))?;
        let (pairs, notes) = of_text(input, options.format, options, "x")?;
        let plain = |(_, pair): (u64, Pair)| (pair.source, pair.target);
        Ok((pairs.into_iter().map(plain).collect(), notes))
    }

    #[test]
    fn layouts_are_guessed() {
        let expected = [("Go.", "Va !"), ("So, yes", "Alors, oui")]
            .map(|(source, target)| (source.to_string(), target.to_string()));
        for text in [
            "Go.\tVa !\nSo, yes\tAlors, oui\n",
            "source\ttarget\nGo.\tVa !\nSo, yes\tAlors, oui\n",
            "fr,en\nVa !,Go.\n\"Alors, oui\",\"So, yes\"\n",
            "Go.\tVa !\tCC-BY 1\nSo, yes\tAlors, oui\tCC-BY 2\n",
            "{\"en\": \"Go.\", \"fr\": \"Va !\"}\n{\"en\": \"So, yes\", \"fr\": \"Alors, oui\"}\n",
            "{\"translation\": {\"en\": \"Go.\", \"fr\": \"Va !\"}}\n\
             {\"translation\": {\"en\": \"So, yes\", \"fr\": \"Alors, oui\"}}\n",
        ] {
            let mut options = PairOptions::default();
            if text.starts_with("fr") {
                options.source_column = Some("en".to_string());
            }
            assert_eq!(read(text, &options).unwrap().0, expected, "{text}");
        }
    }

    #[test]
    fn rows_that_cannot_be_read_are_left_out_and_named() {
        let (pairs, notes) = read("a\tb\nc\nd\te\n", &PairOptions::default()).unwrap();
        assert_eq!(pairs.len(), 2);
        let expected =
            "1 rows could not be read and are left out: row 2 (line 2): it has 1 columns";
        assert!(
            notes.iter().any(|note| note.contains(expected)),
            "{notes:?}"
        );
        let error = read("a\nb\n", &PairOptions::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("--source and --target"), "{error}");
    }
}

/*!
Documents from JSON Lines: one JSON object a line.
*/

use std::collections::{BTreeMap, VecDeque};
use std::io;

use serde_json::{Map, Value};

use super::columns::ColumnPositions;
use super::document::{Document, DocumentOptions, ParsedDocument, clean_label};
use super::lines::{Line, LineReader};
use crate::error::{Error, Result};
use crate::text::text_reader::TextReader;

/// Number of lines that are read ahead to find the keys.
const SAMPLE_LINES: usize = 50;

/// A reader of documents from JSON objects.
pub(super) struct JsonLinesReader {
    pub(super) lines: LineReader,
    /// Lines that were read to find the keys.
    read_ahead: VecDeque<Line>,
    keys: ObjectKeys,
}

/// Keys of the label and the text in an object.
struct ObjectKeys {
    label: Option<String>,
    text: String,
    label_required: bool,
    keeps_fields: bool,
}

impl JsonLinesReader {
    /// Reads the first lines and finds the keys.
    ///
    /// # Errors
    /// A file that cannot be read, has no objects, or lacks a key.
    pub fn new(input: TextReader, file: &str, options: &DocumentOptions) -> Result<Self> {
        let mut lines = LineReader::new(input);
        let mut read_ahead = VecDeque::new();
        while read_ahead.len() < SAMPLE_LINES
            && let Some(line) = lines.line().map_err(|e| Error::of_reader(file, e))?
        {
            read_ahead.push_back(line);
        }
        let keys = ObjectKeys::new(&read_ahead, file, options)?;
        Ok(JsonLinesReader {
            lines,
            read_ahead,
            keys,
        })
    }

    /// The next document, with the number of its line.
    pub fn document(&mut self) -> io::Result<Option<(u64, ParsedDocument)>> {
        let line = match self.read_ahead.pop_front() {
            Some(first) => Some(first),
            None => self.lines.line()?,
        };
        let document = |line: Line| (line.number, self.keys.document(&line.text));
        Ok(line.map(document))
    }
}

impl ObjectKeys {
    /// The keys among those of the first lines that are objects.
    fn new(lines: &VecDeque<Line>, file: &str, options: &DocumentOptions) -> Result<Self> {
        let mut by_name: BTreeMap<String, String> = BTreeMap::new();
        for line in lines {
            let object: Map<String, Value> = serde_json::from_str(&line.text).unwrap_or_default();
            for key in object.keys() {
                by_name
                    .entry(key.to_lowercase())
                    .or_insert_with(|| key.clone());
            }
        }
        if by_name.is_empty() {
            return Err(Error::new(format!(
                "the first line of {file} is not a JSON object; give one object a line, or another --format"
            )));
        }
        let names: Vec<String> = by_name.keys().cloned().collect();
        let found = ColumnPositions::requested(&names, 0, options, file)?.or_usual(&names);
        let (label, text) = found.required("key", &names, options.labels, file)?;
        let key = |position: usize| by_name[&names[position]].clone();
        Ok(ObjectKeys {
            label: label.map(key),
            text: key(text),
            label_required: options.labels,
            keeps_fields: options.keeps_fields,
        })
    }

    fn document(&self, line: &str) -> ParsedDocument {
        let object: Value = serde_json::from_str(line).map_err(|e| format!("invalid JSON: {e}"))?;
        let fields = || match &object {
            Value::Object(all) if self.keeps_fields => {
                let others = all.iter().filter(|(key, _)| **key != self.text);
                others
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect()
            }
            _ => Map::new(),
        };
        let string = |key: &str| match object.get(key) {
            Some(Value::String(string)) => Ok(Some(string.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            Some(Value::Null) | None => Ok(None),
            Some(_) => Err(format!("“{key}” is not a string")),
        };
        let label = match &self.label {
            // A missing label is treated as an empty one.
            Some(key) => Some(string(key)?.unwrap_or_default()),
            None => None,
        };
        let text = string(&self.text)?;
        Ok(Document {
            label: clean_label(label, self.label_required)?,
            text: text.ok_or_else(|| format!("“{}” is missing", self.text))?,
            fields: fields(),
        })
    }
}

/*!
Documents from JSON Lines: one JSON object a line.
*/

use std::collections::BTreeMap;
use std::io;

use serde_json::Value;

use super::columns::ColumnPositions;
use super::document::{Document, DocumentOptions, ParsedDocument, clean_label};
use super::lines::{DocumentInput, Line, LineReader};
use crate::error::{Error, Result};

/// A reader of documents from JSON objects.
pub(super) struct JsonLinesReader {
    lines: LineReader,
    /// The first line, which was read to find the keys.
    first: Option<Line>,
    keys: ObjectKeys,
}

/// Keys of the label and the text in an object.
struct ObjectKeys {
    label: Option<String>,
    text: String,
    label_required: bool,
}

impl JsonLinesReader {
    /// Reads the first object and finds the keys.
    ///
    /// # Errors
    /// A file that cannot be read, does not begin with an object, or lacks a key.
    pub fn new(input: DocumentInput, file: &str, options: &DocumentOptions) -> Result<Self> {
        let mut lines = LineReader::new(input);
        let first = lines
            .line()
            .map_err(|e| Error::new(format!("cannot read {file}: {e}")))?;
        let text = first.as_ref().and_then(|line| line.text.as_deref().ok());
        let Ok(Value::Object(object)) = serde_json::from_str(text.unwrap_or_default()) else {
            return Err(Error::new(format!(
                "the first line of {file} is not a JSON object; give one object a line, or another --format"
            )));
        };
        let by_name: BTreeMap<String, &String> =
            object.keys().map(|key| (key.to_lowercase(), key)).collect();
        let names: Vec<String> = by_name.keys().cloned().collect();
        let (label, text) = ColumnPositions::by_name(&names, options, file)?.required(
            "key",
            &names,
            options.labels,
            file,
        )?;
        let key = |position: usize| by_name[&names[position]].clone();
        let keys = ObjectKeys {
            label: label.map(key),
            text: key(text),
            label_required: options.labels,
        };
        Ok(JsonLinesReader { lines, first, keys })
    }

    /// The next document, with the number of its line.
    pub fn document(&mut self) -> io::Result<Option<(u64, ParsedDocument)>> {
        let line = match self.first.take() {
            Some(first) => Some(first),
            None => self.lines.line()?,
        };
        let document = |line: Line| {
            let document = line.text.and_then(|text| self.keys.document(&text));
            (line.number, document)
        };
        Ok(line.map(document))
    }
}

impl ObjectKeys {
    fn document(&self, line: &str) -> ParsedDocument {
        let object: Value = serde_json::from_str(line).map_err(|e| format!("invalid JSON: {e}"))?;
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
        })
    }
}

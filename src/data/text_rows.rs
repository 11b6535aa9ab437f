/*!
Texts from a file of lines, of JSON objects, or a table, with what else their rows hold.
*/

use std::path::Path;

use serde_json::{Map, Value};

use super::document::{Document, DocumentOptions, Format};
use super::format::format_of_name;
use super::labelled::{LabelledRow, LabelledRows};
use crate::error::{Error, Result};
use crate::text::text_reader::TextReader;

/// A text, and the other fields of its row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextRow {
    /// The text.
    pub text: String,
    /// The other fields; none in a file of lines.
    pub fields: Map<String, Value>,
}

impl TextRow {
    /// The fields of a result, with those of the row that it does not have.
    pub fn with_fields(&self, result: Value) -> Value {
        let mut all = self.fields.clone();
        match result {
            Value::Object(own) => all.extend(own),
            _ => unreachable!("a result is an object"),
        }
        Value::Object(all)
    }

    /// Names of the fields that a result has too, so that the row's own are lost in it.
    pub fn hidden_by<'r>(&'r self, result: &Value) -> impl Iterator<Item = &'r String> {
        self.fields.keys().filter(|key| result.get(key).is_some())
    }
}

/// A file of texts: its content, and how it is understood.
pub struct TextFile<'f> {
    /// Its content.
    pub input: TextReader,
    /// Its name.
    pub name: &'f str,
    /// The key, or the name or number of the column, of the texts.
    pub column: &'f str,
}

impl TextFile<'_> {
    /// The rows of the file, by the ending of its name: a table, of which a column holds the texts; an object in each line,
    /// whose text stands under a key; otherwise lines, each a text. Blank lines are left out. What was guessed is added to
    /// `notes`.
    ///
    /// # Errors
    /// A row that is not one; a file without rows.
    pub fn rows(mut self, notes: &mut Vec<String>) -> Result<Vec<TextRow>> {
        let rows: Vec<TextRow> = match format_of_name(Path::new(self.name)) {
            Some(format @ (Format::Csv | Format::Tsv)) => return self.table(format, notes),
            Some(Format::Jsonl) => self.lines(|file, number, line| {
                object_row(line, file.column).ok_or_else(|| {
                    Error::new(format!(
                        "line {number} of {} is not a JSON object with a text under {:?}; give one such object a line, or \
                         a file of lines whose name ends with .txt",
                        file.name, file.column
                    ))
                })
            })?,
            _ => self.lines(|_, _, line| {
                Ok(TextRow {
                    text: line.to_string(),
                    fields: Map::new(),
                })
            })?,
        };
        match rows.is_empty() {
            true => Err(Error::new(format!("there is no text in {}", self.name))),
            false => Ok(rows),
        }
    }

    /// The rows of lines that are not blank.
    fn lines(
        &mut self,
        row: impl Fn(&Self, usize, &str) -> Result<TextRow>,
    ) -> Result<Vec<TextRow>> {
        let content = self.input.rest()?;
        // As lines of documents end: CRLF has become LF.
        let lines = (1..).zip(content.split(['\n', '\r']));
        let lines = lines.filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(number, line)| row(self, number, line))
            .collect()
    }

    fn table(self, format: Format, notes: &mut Vec<String>) -> Result<Vec<TextRow>> {
        let options = DocumentOptions {
            format: Some(format),
            text_column: Some(self.column.to_string()),
            keeps_fields: true,
            ..DocumentOptions::default()
        };
        let mut rows = LabelledRows::of_text(self.input, self.name, &options)?;
        notes.append(&mut rows.notes);
        let mut texts = Vec::new();
        for row in rows.by_ref() {
            let LabelledRow {
                number,
                line,
                document,
            } = row?;
            let Document { text, fields, .. } = document.map_err(|reason| {
                let name = self.name;
                Error::new(format!(
                    "row {number} (line {line}) of {name} cannot be read: {reason}"
                ))
            })?;
            texts.push(TextRow { text, fields });
        }
        notes.extend(rows.closing_notes());
        match texts.is_empty() {
            true => Err(Error::new(format!("there is no text in {}", self.name))),
            false => Ok(texts),
        }
    }
}

fn object_row(line: &str, key: &str) -> Option<TextRow> {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(line) else {
        return None;
    };
    match fields.remove(key) {
        Some(Value::String(text)) => Some(TextRow { text, fields }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::source::InvalidBytes;
    use serde_json::json;

    fn rows(content: &str, name: &str, column: &str) -> Result<Vec<TextRow>> {
        let content = std::io::Cursor::new(content.as_bytes().to_vec());
        let input = TextReader::new(content, name, InvalidBytes::Replaced)?;
        TextFile {
            input,
            name,
            column,
        }
        .rows(&mut Vec::new())
    }

    #[test]
    fn rows_are_lines_objects_or_those_of_a_table_by_the_name_of_the_file() {
        let object = r#"{"id": 7, "prompt": "It was"}"#;
        let texts = |content, file| -> Vec<String> {
            let rows = rows(content, file, "prompt").unwrap();
            rows.into_iter().map(|row| row.text).collect()
        };
        assert_eq!(texts("one\n\n two \n", "a.txt"), ["one", " two "]);
        assert_eq!(texts(object, "a.txt"), [object]);
        assert_eq!(texts(object, "a.jsonl.gz"), ["It was"]);
        let read = rows(object, "b.JSONL", "prompt").unwrap();
        assert_eq!(read[0].text, "It was");
        let result = read[0].with_fields(json!({"text": " late"}));
        assert_eq!(result, json!({"id": 7, "text": " late"}));
        // Results have the last word.
        let own = json!({"id": 1});
        assert_eq!(read[0].with_fields(own.clone()), own);
        assert_eq!(Vec::from_iter(read[0].hidden_by(&own)), ["id"]);
        let table = rows("Id;prompt\n7;It was\n8;\"a;b\"\n", "c.csv", "prompt").unwrap();
        assert_eq!(table[1].text, "a;b");
        assert_eq!(table[0].with_fields(json!({})), json!({"Id": "7"}));
    }

    #[test]
    fn broken_rows_are_named() {
        let message = |content, name| rows(content, name, "text").unwrap_err().to_string();
        let broken = "{\"text\": \"a\"}\n\n{\"text\": 3}\n";
        assert!(
            message(broken, "rows.jsonl").starts_with("line 3 of rows.jsonl is not a JSON object")
        );
        assert_eq!(
            message("\n \n", "rows.jsonl"),
            "there is no text in rows.jsonl"
        );
        assert_eq!(
            message("text,n\na,1\nb\n", "rows.csv"),
            "row 2 (line 3) of rows.csv cannot be read: number of columns is 1, expected 2"
        );
        assert_eq!(
            message("review,n\na,1\n", "rows.csv"),
            "rows.csv has no column text (--text-column); its columns are review, n"
        );
    }
}

/*!
Texts from a file of lines or of JSON objects, with what else their rows hold.
*/

use serde_json::{Map, Value};

use crate::error::{Error, Result};

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
}

/// The rows of a file. One whose name ends with `.jsonl` or `.ndjson` has an object in each line, whose text stands under
/// `key`; of any other, each line is a text. Blank lines are left out.
///
/// # Errors
/// A line that is not such an object; a file without rows.
pub fn text_rows(content: &str, file: &str, key: &str) -> Result<Vec<TextRow>> {
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_json = ["jsonl", "ndjson"].contains(&&extension.to_lowercase()[..]);
    let lines = (1..).zip(content.lines());
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let row = |(number, line): (usize, &str)| {
        match is_json {
        false => Ok(TextRow {
            text: line.to_string(),
            fields: Map::new(),
        }),
        true => object_row(line, key).ok_or_else(|| {
            Error::new(format!(
                "line {number} of {file} is not a JSON object with a text under {key:?}; give one such object a line, or \
                 a file of lines with another ending than .{extension}"
            ))
        }),
    }
    };
    let rows: Vec<TextRow> = lines.map(row).collect::<Result<_>>()?;
    match rows.is_empty() {
        true => Err(Error::new(format!("there is no text in {file}"))),
        false => Ok(rows),
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
    use serde_json::json;

    #[test]
    fn rows_are_lines_or_objects_by_the_name_of_the_file() {
        let object = r#"{"id": 7, "prompt": "It was"}"#;
        let texts = |content, file| -> Vec<String> {
            let rows = text_rows(content, file, "prompt").unwrap();
            rows.into_iter().map(|row| row.text).collect()
        };
        assert_eq!(texts("one\n\n two \n", "a.txt"), ["one", " two "]);
        assert_eq!(texts(object, "a.txt"), [object]);
        let rows = text_rows(object, "b.JSONL", "prompt").unwrap();
        assert_eq!(rows[0].text, "It was");
        let result = rows[0].with_fields(json!({"text": " late"}));
        assert_eq!(result, json!({"id": 7, "text": " late"}));
        // Results have the last word.
        assert_eq!(rows[0].with_fields(json!({"id": 1})), json!({"id": 1}));
    }

    #[test]
    fn broken_rows_are_named() {
        let message = |content| {
            let error = text_rows(content, "rows.jsonl", "text").unwrap_err();
            error.to_string()
        };
        let broken = "{\"text\": \"a\"}\n\n{\"text\": 3}\n";
        assert!(message(broken).starts_with("line 3 of rows.jsonl is not a JSON object"));
        assert_eq!(message("\n \n"), "there is no text in rows.jsonl");
    }
}

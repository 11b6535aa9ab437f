/*!
Documents from lines as fastText has them: `__label__` and the label, a space, the text.
*/

use std::io;

use serde_json::Map;

use super::document::{Document, ParsedDocument, clean_label};
use super::lines::LineReader;

/// What a label begins with.
pub(super) const PREFIX: &str = "__label__";

/// The document of a line. Of several labels none is the document's.
fn document(line: &str, label_required: bool) -> ParsedDocument {
    let (mut labels, mut text) = (Vec::new(), line.trim());
    while let Some(rest) = text.strip_prefix(PREFIX) {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        labels.push(&rest[..end]);
        text = rest[end..].trim_start();
    }
    let label = match labels[..] {
        [label] => label,
        [_, _, ..] if label_required => {
            return Err(format!(
                "it has the labels {}, and a document has one",
                labels.join(", ")
            ));
        }
        _ => "",
    };
    Ok(Document {
        label: clean_label(Some(label.to_string()), label_required)?,
        text: text.to_string(),
        fields: Map::new(),
    })
}

/// The next document, with the number of its line.
pub(super) fn read(
    lines: &mut LineReader,
    label_required: bool,
) -> io::Result<Option<(u64, ParsedDocument)>> {
    let line = lines.line()?;
    Ok(line.map(|line| (line.number, document(&line.text, label_required))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_one_label_before_its_text() {
        let read = |line: &str, required| {
            document(line, required).map(|document| (document.label, document.text))
        };
        let (good, text) = (Some("good".to_string()), "a __label__ in  it".to_string());
        let line = "__label__good  a __label__ in  it ";
        assert_eq!(read(line, true), Ok((good, text)));
        let several = "__label__a __label__b\tboth";
        assert_eq!(
            read(several, true).unwrap_err(),
            "it has the labels a, b, and a document has one"
        );
        assert_eq!(read(several, false), Ok((None, "both".to_string())));
        assert_eq!(read("none", true).unwrap_err(), "the label is missing");
        assert_eq!(read("none", false), Ok((None, "none".to_string())));
        assert_eq!(
            read("__label__only", true),
            Ok((Some("only".to_string()), String::new()))
        );
    }
}

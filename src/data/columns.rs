/*!
Which of a table's columns, or of an object's keys, hold the labels and the texts, by their names.
*/

use super::document::DocumentOptions;
use crate::error::{Error, Result};

/// Usual names of label columns, the most likely first.
const LABEL_NAMES: [&str; 10] = [
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
/// Usual names of text columns, the most likely first.
const TEXT_NAMES: [&str; 12] = [
    "text", "review", "sentence", "document", "content", "body", "comment", "message", "tweet",
    "title", "phrase", "x",
];
/// Names of columns that do not hold labels.
const OTHER_NAMES: [&str; 6] = ["id", "index", "row", "number", "date", "url"];

/// A field as a column name: lower case, trimmed.
pub(super) fn column_name(field: &[u8]) -> String {
    String::from_utf8_lossy(field).trim().to_lowercase()
}

/// Whether labels or texts usually have this name.
pub(super) fn is_usual_name(name: &str) -> bool {
    LABEL_NAMES.contains(&name) || TEXT_NAMES.contains(&name)
}

/// Positions of the label and of the text among the columns, where they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ColumnPositions {
    /// Position of the label.
    pub label: Option<usize>,
    /// Position of the text.
    pub text: Option<usize>,
}

impl ColumnPositions {
    /// Finds the columns that `options` names, or else those with usual names. `names` are in lower case.
    ///
    /// # Errors
    /// If a column that `options` names does not exist.
    pub fn by_name(names: &[String], options: &DocumentOptions, file: &str) -> Result<Self> {
        let label = requested(&options.label_column, "--label-column", names, file)?;
        let text = requested(&options.text_column, "--text-column", names, file)?;
        let label = label.or_else(|| first_usual(names, &LABEL_NAMES));
        let is_free = |position: &usize| Some(*position) != label;
        let text = text.or_else(|| first_usual(names, &TEXT_NAMES).filter(is_free));
        Ok(ColumnPositions { label, text })
    }

    /// Fills in the unknown one of two columns: it is the other one. A label is only guessed if it is
    /// `label_required`, and not in a column whose name shows that it holds something else.
    pub fn complete_pair(self, names: &[String], label_required: bool) -> Self {
        let text = self.text.or(self.label.map(|label| 1 - label));
        let other = text.map(|text| 1 - text);
        let guessed =
            other.filter(|&other| label_required && !OTHER_NAMES.contains(&names[other].as_str()));
        ColumnPositions {
            label: self.label.or(guessed),
            text,
        }
    }

    /// The positions of the label and of the text. `kind` is `column` or `key`, for the message.
    ///
    /// # Errors
    /// If the text is unknown, or the label is unknown and required.
    pub fn required(
        self,
        kind: &str,
        names: &[String],
        label_required: bool,
        file: &str,
    ) -> Result<(Option<usize>, usize)> {
        let missing = |what: &str| {
            let names: Vec<String> = names.iter().map(|name| format!("“{name}”")).collect();
            Error::new(format!(
                "no {what} {kind} was found in {file}: its {kind}s are {}; name it with --{what}-column",
                names.join(", ")
            ))
        };
        let text = self.text.ok_or_else(|| missing("text"))?;
        if self.label.is_none() && label_required {
            return Err(missing("label"));
        }
        Ok((self.label, text))
    }
}

/// The position of the first of `usual` names that is among `names`.
fn first_usual(names: &[String], usual: &[&str]) -> Option<usize> {
    usual
        .iter()
        .find_map(|usual| names.iter().position(|name| name == usual))
}

/// The position of the column that the user named with `option`.
fn requested(
    column: &Option<String>,
    option: &str,
    names: &[String],
    file: &str,
) -> Result<Option<usize>> {
    let Some(column) = column else {
        return Ok(None);
    };
    let position = names.iter().position(|name| *name == column.to_lowercase());
    position.map(Some).ok_or_else(|| {
        Error::new(format!(
            "{file} has no column {column} ({option}); its columns are {}",
            names.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_of_two_columns_is_the_missing_one() {
        let complete = |names: [&str; 2], label_required| {
            let names = names.map(str::to_string);
            let options = DocumentOptions::default();
            let found = ColumnPositions::by_name(&names, &options, "x").unwrap();
            let pair = found.complete_pair(&names, label_required);
            (pair.label, pair.text)
        };
        assert_eq!(complete(["words", "class"], true), (Some(1), Some(0)));
        assert_eq!(complete(["kind", "review"], true), (Some(0), Some(1)));
        assert_eq!(complete(["kind", "review"], false), (None, Some(1)));
        assert_eq!(complete(["id", "review"], true), (None, Some(1)));
        assert_eq!(complete(["text", "label"], false), (Some(1), Some(0)));
    }
}

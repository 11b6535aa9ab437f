/*!
Which of a table's columns, or of an object's keys, hold the labels and the texts, by their names and numbers.
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
pub(super) fn column_name(field: &str) -> String {
    field.trim().to_lowercase()
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
    /// The columns that `options` ask for: by a name among `names`, in lower case, or else by a number up to `count`.
    ///
    /// # Errors
    /// If a column that they ask for does not exist, or is asked for twice.
    pub fn requested(
        names: &[String],
        count: usize,
        options: &DocumentOptions,
        file: &str,
    ) -> Result<Self> {
        let position = |column: &Option<String>, option: &str| match column {
            Some(column) => requested(column, names, count)
                .map(Some)
                .ok_or_else(|| no_column(column, option, names, count, file)),
            None => Ok(None),
        };
        let label = position(&options.label_column, "--label-column")?;
        let text = position(&options.text_column, "--text-column")?;
        match label.is_some() && label == text {
            true => Err(Error::new(format!(
                "--label-column and --text-column are the same column of {file}; give two"
            ))),
            false => Ok(ColumnPositions { label, text }),
        }
    }

    /// Fills in what is unknown with the columns that have usual names. `names` are in lower case.
    pub fn or_usual(self, names: &[String]) -> Self {
        let label = self
            .label
            .or_else(|| first_usual(names, &LABEL_NAMES, self.text));
        let text = self.text.or_else(|| first_usual(names, &TEXT_NAMES, label));
        ColumnPositions { label, text }
    }

    /// Fills in the unknown one of two columns: it is the other one. A label is only guessed if it is
    /// `label_required`, and not in a column whose name shows that it holds something else. Without a header there are no
    /// `names`.
    pub fn complete_pair(self, names: &[String], label_required: bool) -> Self {
        let text = self.text.or(self.label.map(|label| 1 - label));
        let other = text.map(|text| 1 - text);
        let is_other = |position: usize| {
            let name = names.get(position);
            name.is_some_and(|name| OTHER_NAMES.contains(&name.as_str()))
        };
        let guessed = other.filter(|&other| label_required && !is_other(other));
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
            if names.is_empty() {
                return Error::new(format!(
                    "no {what} {kind} was found in {file}: it has no header; give the {kind}'s number with --{what}-column"
                ));
            }
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

/// The position of the first of `usual` names that is among `names`, and not `taken`.
fn first_usual(names: &[String], usual: &[&str], taken: Option<usize>) -> Option<usize> {
    let position = |usual: &&str| names.iter().position(|name| name == usual);
    let mut found = usual.iter().filter_map(position);
    found.find(|position| Some(*position) != taken)
}

/// The position of the column that is asked for by its name or number.
pub(super) fn requested(column: &str, names: &[String], count: usize) -> Option<usize> {
    let named = names.iter().position(|name| *name == column_name(column));
    let number = || column.trim().parse::<usize>().ok();
    named.or_else(|| {
        number()
            .filter(|number| (1..=count).contains(number))?
            .checked_sub(1)
    })
}

/// The error that a column that was asked for with `option` does not exist.
pub(super) fn no_column(
    column: &str,
    option: &str,
    names: &[String],
    count: usize,
    file: &str,
) -> Error {
    Error::new(match names {
        [] => format!(
            "{file} has no column {column} ({option}): it has no header; give a number from 1 to {count}"
        ),
        names => format!(
            "{file} has no column {column} ({option}); its columns are {}",
            names.join(", ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_of_two_columns_is_the_missing_one() {
        let complete = |names: [&str; 2], label_required| {
            let names = names.map(str::to_string);
            let found = ColumnPositions::default().or_usual(&names);
            let pair = found.complete_pair(&names, label_required);
            (pair.label, pair.text)
        };
        assert_eq!(complete(["words", "class"], true), (Some(1), Some(0)));
        assert_eq!(complete(["kind", "review"], true), (Some(0), Some(1)));
        assert_eq!(complete(["kind", "review"], false), (None, Some(1)));
        assert_eq!(complete(["id", "review"], true), (None, Some(1)));
        assert_eq!(complete(["text", "label"], false), (Some(1), Some(0)));
    }

    #[test]
    fn columns_are_asked_for_by_name_before_number() {
        let ask = |label: &str, text: &str| {
            let options = DocumentOptions {
                label_column: Some(label.to_string()),
                text_column: Some(text.to_string()),
                ..DocumentOptions::default()
            };
            let names = ["id", "3", "text"].map(str::to_string);
            ColumnPositions::requested(&names, 3, &options, "x")
                .map(|found| (found.label.unwrap(), found.text.unwrap()))
                .map_err(|error| error.to_string())
        };
        assert_eq!(ask("1", "Text"), Ok((0, 2)));
        assert_eq!(ask("3", "1"), Ok((1, 0)));
        assert_eq!(
            ask("4", "1").unwrap_err(),
            "x has no column 4 (--label-column); its columns are id, 3, text"
        );
        assert_eq!(
            ask("id", "1").unwrap_err(),
            "--label-column and --text-column are the same column of x; give two"
        );
    }
}

/*!
A document with its label, and the options of reading documents from a file.
*/

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Layout of documents in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One document a line, without labels.
    Lines,
    /// Columns separated by commas, semicolons or bars.
    Csv,
    /// Columns separated by tabs.
    Tsv,
    /// One JSON object a line.
    Jsonl,
    /// One document a line, after `__label__` and its label.
    Fasttext,
}

/// Options of reading documents from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentOptions {
    /// The layout; `None`: guessed from the file's name and beginning.
    pub format: Option<Format>,
    /// Name or number of the column, or the key, of the labels; `None`: guessed.
    pub label_column: Option<String>,
    /// Name or number of the column, or the key, of the texts; `None`: guessed.
    pub text_column: Option<String>,
    /// Whether every document must have a label.
    #[serde(default)]
    pub labels: bool,
    /// Whether invalid bytes are replaced instead of refused.
    #[serde(default)]
    pub lossy: bool,
    /// Whether a document keeps what else its row holds.
    #[serde(skip)]
    pub keeps_fields: bool,
}

impl DocumentOptions {
    /// Whether they say anything about the layout.
    pub fn give_layout(&self) -> bool {
        self.format.is_some() || self.label_column.is_some() || self.text_column.is_some()
    }
}

/// A text with its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The label, if the file has one for this document.
    pub label: Option<String>,
    /// The text.
    pub text: String,
    /// What else its row holds, the label among it, by the names of the columns or keys, if that is kept: see
    /// [`DocumentOptions::keeps_fields`].
    pub fields: Map<String, Value>,
}

/// A document, or the reason why its row could not be read.
pub(super) type ParsedDocument = std::result::Result<Document, String>;

/// Trims a label. An empty one becomes `None`, or an error if a label is required.
pub(super) fn clean_label(
    label: Option<String>,
    required: bool,
) -> std::result::Result<Option<String>, String> {
    match label.map(|label| label.trim().to_string()) {
        Some(label) if label.is_empty() && required => Err("the label is missing".to_string()),
        Some(label) if label.is_empty() => Ok(None),
        label => Ok(label),
    }
}

/*!
Levels of tokens, and where words end.
*/

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Unicode characters.
    #[serde(rename = "char")]
    Character,
    /// Bytes, not decoded.
    #[serde(rename = "byte")]
    Byte,
    /// Words, punctuation marks and line ends.
    #[serde(rename = "word")]
    Word,
    /// Subwords trained on the corpus (byte-pair encoding).
    #[serde(rename = "bpe")]
    Subword,
}

/// Where words end, at word level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// At spaces and punctuation; the text's own spacing is kept.
    #[default]
    Natural,
    /// At white space only, with one token for each line end, as for the Penn Treebank.
    Whitespace,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Character => "char",
            Level::Byte => "byte",
            Level::Word => "word",
            Level::Subword => "bpe",
        })
    }
}

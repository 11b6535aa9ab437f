/*!
Words to numbers. Nothing here knows what a model is.

[`source`] reads files as text, [`vocabulary`] makes a vocabulary of it, [`tokenizer`] defines how the two meet,
[`encoder`] does the same fast, and [`corpus`] keeps the ids on disk.
*/

pub mod corpus;
pub mod encoder;
pub mod features;
pub mod source;
pub mod spelling;
pub mod streams;
pub mod tokenizer;
pub mod vocabulary;

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Unicode characters
    #[serde(rename = "char")]
    Character,
    /// Bytes, whatever they mean
    #[serde(rename = "byte")]
    Byte,
    /// Words, punctuation and line ends
    #[serde(rename = "word")]
    Word,
    /// Pieces of words learnt on the corpus (byte-pair encoding)
    #[serde(rename = "bpe")]
    Subword,
}

/// Where words end, at word level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// At spaces and punctuation; the text's own spacing is kept
    #[default]
    Natural,
    /// At white space alone, with one token for each line's end, as the Penn Treebank is read
    Whitespace,
}

/// Which way a text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From its beginning.
    Forward,
    /// From its end.
    Reverse,
}

impl Direction {
    /// The token that is read after `step` others of a text that begins with the end of the line before it; that comes first
    /// both ways.
    pub fn token(self, text: &[u32], step: usize) -> Option<u32> {
        match self {
            Direction::Reverse if (1..text.len()).contains(&step) => Some(text[text.len() - step]),
            _ => text.get(step).copied(),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_begin_with_the_end_of_a_line() {
        let read = |direction: Direction, text: &[u32]| -> Vec<u32> {
            let tokens = (0..9).map_while(|step| direction.token(text, step));
            tokens.collect()
        };
        assert_eq!(read(Direction::Forward, &[9, 1, 2, 3]), [9, 1, 2, 3]);
        assert_eq!(read(Direction::Reverse, &[9, 1, 2, 3]), [9, 3, 2, 1]);
        assert_eq!(read(Direction::Reverse, &[9]), [9]);
        assert!(read(Direction::Reverse, &[]).is_empty());
    }
}

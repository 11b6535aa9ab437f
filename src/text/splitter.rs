/*!
Regular expressions that divide a text into tokens, and a splitter for text that comes in pieces.
*/

use regex::Regex;

use super::level::{Level, Split};

/// Any one character. (The flag that lets a dot match a line end differs between regex engines.)
const CHARACTER_PATTERN: &str = r"[\s\S]";
/// A word with the space before it, one punctuation mark with the space before it, a line end, or other white space.
/// Together the matches are the whole text. No lookaround, so that every regex engine agrees.
const WORD_PATTERN: &str =
    r"\n| ?[\p{L}\p{M}\p{N}_]+(?:['’][\p{L}\p{M}\p{N}_]+)*| ?[^\s\p{L}\p{M}\p{N}_]|[^\S\n]";
/// The same for subwords, which are merged within a match only: runs of marks, digits and white space stay whole.
const SUBWORD_PATTERN: &str =
    r"\n+| ?[\p{L}\p{M}_]+(?:['’][\p{L}\p{M}_]+)*| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}_]+|[^\S\n]+";
/// Words between white space, and line ends.
const WHITESPACE_PATTERN: &str = r"\n|\S+";

/// Number of bytes after a match that its end can depend on: an apostrophe and a letter.
const LOOK_AHEAD: usize = 16;

/// The regular expression whose matches are the tokens, or, for subwords, what tokens do not cross.
pub(super) fn pattern(level: Level, split: Split) -> &'static str {
    match (level, split) {
        (Level::Word, Split::Whitespace) => WHITESPACE_PATTERN,
        (Level::Word, Split::Natural) => WORD_PATTERN,
        (Level::Subword, _) => SUBWORD_PATTERN,
        (Level::Character | Level::Byte, _) => CHARACTER_PATTERN,
    }
}

/// Splits text that comes in pieces into the matches of a pattern.
pub(super) struct Splitter {
    pattern: Regex,
    pending: String,
}

impl Splitter {
    /// A splitter at the start of a text.
    pub fn new(level: Level, split: Split) -> Self {
        Splitter {
            pattern: Regex::new(pattern(level, split)).expect("the patterns are valid"),
            pending: String::new(),
        }
    }

    /// Takes the next piece, and passes on every match that no further piece can change.
    pub fn push(&mut self, piece: &str, mut each: impl FnMut(&str)) {
        self.pending.push_str(piece);
        let certain = self.pending.len().saturating_sub(LOOK_AHEAD);
        let mut done = 0;
        for found in self.pattern.find_iter(&self.pending) {
            if found.end() > certain {
                break;
            }
            each(found.as_str());
            done = found.end();
        }
        self.pending.drain(..done);
    }

    /// Passes on the remaining matches at the end of the text.
    pub fn finish(&mut self, mut each: impl FnMut(&str)) {
        self.pattern
            .find_iter(&self.pending)
            .for_each(|found| each(found.as_str()));
        self.pending.clear();
    }
}

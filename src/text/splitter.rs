/*!
Regular expressions that divide a text into tokens, and a splitter for text that comes in pieces.
*/

use std::sync::OnceLock;

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

/// Most characters of a part of a text that subwords are merged in. Learning merges and encoding take time that grows with
/// the square of this, so that a line without a space may not be one part.
const MOST_CHARACTERS: usize = 64;

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

/// The same, compiled once: that takes longer than a short text does, and so does what a clone would find out anew.
fn compiled(level: Level, split: Split) -> &'static Regex {
    static COMPILED: [OnceLock<Regex>; 4] = [const { OnceLock::new() }; 4];
    let place = match (level, split) {
        (Level::Word, Split::Whitespace) => 0,
        (Level::Word, Split::Natural) => 1,
        (Level::Subword, _) => 2,
        (Level::Character | Level::Byte, _) => 3,
    };
    let compile = || Regex::new(pattern(level, split)).expect("the patterns are valid");
    COMPILED[place].get_or_init(compile)
}

/// The regular expression that cuts long matches, for the tokenizer's file.
pub(super) fn cut_pattern() -> String {
    format!(r"[\s\S]{{1,{MOST_CHARACTERS}}}")
}

/// How a text is divided before its parts are looked up: by a level's pattern, and perhaps into parts of bounded length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Division {
    /// What a token is.
    pub level: Level,
    /// Where words end.
    pub split: Split,
    /// Whether long matches are cut, see [`cut_pattern`].
    pub cuts: bool,
}

/// Divides text that comes in pieces.
#[derive(Clone)]
pub(super) struct Splitter {
    pattern: &'static Regex,
    /// Most characters of a part.
    most: usize,
    pending: String,
    /// Number of pending bytes from which on they are searched again: a match that is as long as a text must not be searched
    /// with every piece of it.
    enough: usize,
}

impl Splitter {
    /// A splitter at the start of a text.
    pub fn new(division: Division) -> Self {
        Splitter {
            pattern: compiled(division.level, division.split),
            most: if division.cuts {
                MOST_CHARACTERS
            } else {
                usize::MAX
            },
            pending: String::new(),
            enough: 0,
        }
    }

    /// The parts of a whole text.
    pub fn parts<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.pattern.find_iter(text);
        found.flat_map(|found| cut(found.as_str(), self.most))
    }

    /// Takes the next piece, and passes on every part that no further piece can change.
    pub fn push(&mut self, piece: &str, mut each: impl FnMut(&str)) {
        self.pending.push_str(piece);
        if self.pending.len() < self.enough {
            return;
        }
        let certain = self.pending.len().saturating_sub(LOOK_AHEAD);
        let mut done = 0;
        for found in self.pattern.find_iter(&self.pending) {
            if found.end() > certain {
                break;
            }
            cut(found.as_str(), self.most).for_each(&mut each);
            done = found.end();
        }
        self.pending.drain(..done);
        self.enough = 2 * self.pending.len();
    }

    /// Passes on the remaining parts at the end of the text.
    pub fn finish(&mut self, each: impl FnMut(&str)) {
        let pending = std::mem::take(&mut self.pending);
        self.parts(&pending).for_each(each);
        self.enough = 0;
    }
}

/// A match in parts of at most `most` characters.
fn cut(found: &str, most: usize) -> impl Iterator<Item = &str> {
    let mut rest = found;
    std::iter::from_fn(move || {
        // Characters are bytes at least.
        let end = match rest.len() <= most {
            true => rest.len(),
            false => {
                let after = rest.char_indices().nth(most);
                after.map_or(rest.len(), |(at, _)| at)
            }
        };
        let (part, later) = rest.split_at(end);
        rest = later;
        (!part.is_empty()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, piece: usize, cuts: bool) -> Vec<String> {
        let mut splitter = Splitter::new(Division {
            level: Level::Subword,
            split: Split::Natural,
            cuts,
        });
        let mut parts = Vec::new();
        let characters: Vec<char> = text.chars().collect();
        for piece in characters.chunks(piece) {
            let piece: String = piece.iter().collect();
            splitter.push(&piece, |part| parts.push(part.to_string()));
        }
        splitter.finish(|part| parts.push(part.to_string()));
        parts
    }

    #[test]
    fn long_matches_are_cut_wherever_pieces_end() {
        let text = format!("so {}é{}'s\n", "世".repeat(100), "ab".repeat(70));
        let whole = parts(&text, 1000, true);
        let lengths: Vec<usize> = whole.iter().map(|part| part.chars().count()).collect();
        assert_eq!(lengths, [2, 64, 64, 64, 52, 1]);
        assert_eq!(whole.concat(), text);
        for piece in [1, 7, 63, 64, 65, 200] {
            assert_eq!(parts(&text, piece, true), whole, "{piece}");
        }
        // Models that learnt before there were cuts.
        assert_eq!(parts(&text, 7, false).len(), 3);
    }

    #[test]
    fn a_long_match_is_not_searched_with_every_piece() {
        let mut splitter = Splitter::new(Division {
            level: Level::Word,
            split: Split::Natural,
            cuts: false,
        });
        let mut searches = 0;
        for _ in 0..1000 {
            let before = splitter.enough;
            splitter.push("aaaaaaaaaa", |_| ());
            searches += usize::from(splitter.enough != before);
        }
        assert!((5..20).contains(&searches), "{searches}");
    }
}

/*!
Text to ids, fast: a table for characters, a hash for words, a hash of words already cut for subwords.

The `tokenizers` crate encodes 1 to 8 MB/s; this does ten to a hundred times that. A property test holds the two
equal, at the edges of pieces too.
*/

use regex::Regex;
use rustc_hash::FxHashMap;
use tokenizers::Model;

use super::Level;
use super::tokenizer::{Tokenizer, byte_characters, pattern};

/// How many bytes beyond a match its end can depend on: an apostrophe and a letter.
const LOOK_AHEAD: usize = 16;
/// Words whose subwords are remembered at once.
const REMEMBERED_WORDS: usize = 1 << 19;
/// Longer words are rare, and too dear to remember.
const REMEMBERED_LENGTH: usize = 64;

/// Cuts text that comes in pieces into the matches of a pattern.
pub struct Splitter {
    pattern: Regex,
    pending: String,
}

impl Splitter {
    /// A splitter for the tokens, or the words around subwords, of a tokenizer.
    pub fn new(level: Level, split: super::Split) -> Self {
        let pattern = Regex::new(pattern(level, split))
            .expect("the patterns of the tokenizer are regular expressions");
        Splitter {
            pattern,
            pending: String::new(),
        }
    }

    /// Takes the next piece, and hands over every match that no further piece can change.
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

    /// Hands over the matches that are left when no more text will come.
    pub fn finish(&mut self, mut each: impl FnMut(&str)) {
        self.pattern
            .find_iter(&self.pending)
            .for_each(|found| each(found.as_str()));
        self.pending.clear();
    }
}

impl Tokenizer {
    /// The ids of a text, and its characters or words that are not in the vocabulary.
    pub fn encode(&self, text: &str) -> (Vec<u32>, Vec<String>) {
        Encoder::new(self).encode(text)
    }
}

/// Turns text that comes in pieces into ids.
pub struct Encoder<'t> {
    means: Means<'t>,
}

enum Means<'t> {
    Bytes,
    Characters {
        ids: Vec<u32>,
        unknown: u32,
    },
    Words {
        splitter: Splitter,
        vocabulary: Vocabulary<'t>,
    },
    Subwords {
        splitter: Splitter,
        words: Box<SubwordCache<'t>>,
    },
}

struct Vocabulary<'t> {
    ids: FxHashMap<&'t [u8], u32>,
    unknown: u32,
    forgiving: bool,
}

impl<'t> Encoder<'t> {
    /// An encoder at the start of a text.
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Self::with(tokenizer, false)
    }

    /// An encoder for what texts say, not how they are set: of words, one that the vocabulary lacks is read as the first
    /// of these that it has: after a space or after none, with straight apostrophes, in lower case, capitalised, in
    /// capitals. Characters, bytes and subwords are as [`Encoder::new`] has them.
    pub fn forgiving(tokenizer: &'t Tokenizer) -> Self {
        Self::with(tokenizer, true)
    }

    fn with(tokenizer: &'t Tokenizer, forgiving: bool) -> Self {
        let ids = 0..tokenizer.vocab_size() as u32;
        let splitter = || Splitter::new(tokenizer.level(), tokenizer.split());
        let means = match (tokenizer.level(), tokenizer.unknown()) {
            (Level::Character, Some(unknown)) => {
                let characters: Vec<(char, u32)> = ids
                    .filter_map(|id| Some((only_character(tokenizer.piece(id))?, id)))
                    .collect();
                let last = characters
                    .iter()
                    .map(|&(c, _)| c as usize)
                    .max()
                    .unwrap_or(0);
                let mut table = vec![unknown; last + 1];
                characters
                    .into_iter()
                    .for_each(|(c, id)| table[c as usize] = id);
                Means::Characters {
                    ids: table,
                    unknown,
                }
            }
            (Level::Word, Some(unknown)) => Means::Words {
                splitter: splitter(),
                vocabulary: Vocabulary {
                    ids: ids.map(|id| (tokenizer.piece(id), id)).collect(),
                    unknown,
                    forgiving,
                },
            },
            (Level::Subword, _) => Means::Subwords {
                splitter: splitter(),
                words: Box::new(SubwordCache::new(tokenizer.subword_model())),
            },
            _ => Means::Bytes,
        };
        Encoder { means }
    }

    /// The ids of a whole text, and its characters or words that are not in the vocabulary. Making an encoder takes
    /// longer than encoding a short text: of many texts, all should go through one.
    pub fn encode(&mut self, text: &str) -> (Vec<u32>, Vec<String>) {
        let mut ids = Vec::new();
        let mut strangers = Vec::new();
        let mut stranger = |word: &str| strangers.push(word.to_string());
        self.push(text.as_bytes(), &mut ids, &mut stranger);
        self.finish(&mut ids, &mut stranger);
        (ids, strangers)
    }

    /// Appends the ids of the next piece of text, and hands over what is not in the vocabulary.
    ///
    /// # Panics
    /// If a level other than bytes is given a piece that is not UTF-8: [`super::source::read`] gives none.
    pub fn push(&mut self, piece: &[u8], ids: &mut Vec<u32>, stranger: &mut impl FnMut(&str)) {
        if let Means::Bytes = self.means {
            ids.extend(piece.iter().map(|&byte| u32::from(byte)));
            return;
        }
        let piece = std::str::from_utf8(piece).expect("text was decoded before");
        match &mut self.means {
            Means::Bytes => {}
            Means::Characters {
                ids: table,
                unknown,
            } => ids.extend(piece.chars().map(|c| {
                let id = table.get(c as usize).copied().unwrap_or(*unknown);
                if id == *unknown {
                    stranger(c.encode_utf8(&mut [0; 4]));
                }
                id
            })),
            Means::Words {
                splitter,
                vocabulary,
            } => splitter.push(piece, |word| ids.push(vocabulary.id(word, stranger))),
            Means::Subwords { splitter, words } => {
                splitter.push(piece, |word| words.encode(word, ids))
            }
        }
    }

    /// Appends the ids that are left when no more text will come.
    pub fn finish(&mut self, ids: &mut Vec<u32>, stranger: &mut impl FnMut(&str)) {
        match &mut self.means {
            Means::Bytes | Means::Characters { .. } => {}
            Means::Words {
                splitter,
                vocabulary,
            } => splitter.finish(|word| ids.push(vocabulary.id(word, stranger))),
            Means::Subwords { splitter, words } => splitter.finish(|word| words.encode(word, ids)),
        }
    }
}

fn only_character(piece: &[u8]) -> Option<char> {
    let mut characters = std::str::from_utf8(piece).ok()?.chars();
    characters.next().filter(|_| characters.next().is_none())
}

impl Vocabulary<'_> {
    fn id(&self, word: &str, stranger: &mut impl FnMut(&str)) -> u32 {
        let known = |word: &str| self.ids.get(word.as_bytes()).copied();
        let forgiven = || spellings(word).find_map(|spelling| known(&spelling));
        known(word)
            .or_else(|| self.forgiving.then(forgiven).flatten())
            .unwrap_or_else(|| {
                stranger(word);
                self.unknown
            })
    }
}

/// Other ways to set a word, after a space or not, the nearest first.
fn spellings(word: &str) -> impl Iterator<Item = String> {
    let spaced = word.starts_with(' ');
    let straight = word.trim_start_matches(' ').replace('’', "'");
    let lower = straight.to_lowercase();
    let mut rest = lower.chars();
    let capitalised = rest
        .next()
        .map(|first| first.to_uppercase().chain(rest).collect())
        .unwrap_or_default();
    let upper = straight.to_uppercase();
    [straight, lower, capitalised, upper]
        .into_iter()
        .filter(|word: &String| !word.is_empty())
        .flat_map(move |word| {
            let after_space = format!(" {word}");
            match spaced {
                true => [after_space, word],
                false => [word, after_space],
            }
        })
}

struct SubwordCache<'t> {
    model: &'t tokenizers::ModelWrapper,
    byte_characters: [char; 256],
    /// Where in `ids` a word's subwords lie.
    words: FxHashMap<Box<str>, (u32, u32)>,
    ids: Vec<u32>,
}

impl<'t> SubwordCache<'t> {
    fn new(model: &'t tokenizers::ModelWrapper) -> Self {
        SubwordCache {
            model,
            byte_characters: byte_characters(),
            words: FxHashMap::default(),
            ids: Vec::new(),
        }
    }

    fn encode(&mut self, word: &str, ids: &mut Vec<u32>) {
        if let Some(&(start, end)) = self.words.get(word) {
            ids.extend_from_slice(&self.ids[start as usize..end as usize]);
            return;
        }
        let written: String = word
            .bytes()
            .map(|byte| self.byte_characters[byte as usize])
            .collect();
        let tokens = self
            .model
            .tokenize(&written)
            .expect("byte-level subwords have a token for every byte");
        let before = ids.len();
        ids.extend(tokens.iter().map(|token| token.id));
        if word.len() > REMEMBERED_LENGTH {
            return;
        }
        if self.words.len() == REMEMBERED_WORDS {
            self.words.clear();
            self.ids.clear();
        }
        let start = self.ids.len() as u32;
        self.ids.extend_from_slice(&ids[before..]);
        self.words
            .insert(word.into(), (start, self.ids.len() as u32));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Split;

    #[test]
    fn a_forgiving_encoder_reads_words_as_they_are_known() {
        let known = [" don't", "good", " good", " Paris", " DVD"];
        let words = known.map(str::to_string).to_vec();
        let tokenizer = Tokenizer::words(Split::Natural, words);
        let read = |text: &str| {
            let (ids, strangers) = Encoder::forgiving(&tokenizer).encode(text);
            let pieces = ids.iter().map(|&id| tokenizer.piece(id));
            let pieces: Vec<&str> = pieces.map(|p| std::str::from_utf8(p).unwrap()).collect();
            (pieces.concat(), strangers)
        };
        assert_eq!(
            read("Don’t GOOD paris dvd"),
            (" don't good Paris DVD".to_string(), vec![])
        );
        let (_, strangers) = read("good\tbetter ");
        assert_eq!(strangers, ["\t", "better", " "]);
        assert_eq!(tokenizer.encode(" Good").1, [" Good"]);
    }
}

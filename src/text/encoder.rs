/*!
Text to ids, fast: a table for characters, a hash for words, a hash of words already cut for subwords.

The `tokenizers` crate encodes 1 to 8 MB/s; this does ten to a hundred times that. A property test holds the two
equal, at the edges of pieces too; a forgiving encoder, which classifiers read with, knows some words besides.
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
        words: WordIds<'t>,
    },
    Subwords {
        splitter: Splitter,
        words: Box<SubwordCache<'t>>,
    },
}

struct WordIds<'t> {
    exact: FxHashMap<&'t [u8], u32>,
    /// By what [`folded`] makes of them; empty unless the encoder is forgiving.
    folded: FxHashMap<String, u32>,
    unknown: u32,
}

impl<'t> Encoder<'t> {
    /// An encoder at the start of a text.
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Self::with(tokenizer, false)
    }

    /// An encoder for what texts say, not how they are set: a word that the vocabulary lacks is read as one that
    /// differs from it only in the space before it, or else in capitals or the kind of its apostrophe, the most frequent
    /// of those. Characters, bytes and subwords are as [`Encoder::new`] has them.
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
                words: WordIds::new(tokenizer, unknown, forgiving),
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
            Means::Words { splitter, words } => {
                splitter.push(piece, |word| ids.push(words.id(word, stranger)))
            }
            Means::Subwords { splitter, words } => {
                splitter.push(piece, |word| words.encode(word, ids))
            }
        }
    }

    /// Appends the ids that are left when no more text will come.
    pub fn finish(&mut self, ids: &mut Vec<u32>, stranger: &mut impl FnMut(&str)) {
        match &mut self.means {
            Means::Bytes | Means::Characters { .. } => {}
            Means::Words { splitter, words } => {
                splitter.finish(|word| ids.push(words.id(word, stranger)))
            }
            Means::Subwords { splitter, words } => splitter.finish(|word| words.encode(word, ids)),
        }
    }
}

fn only_character(piece: &[u8]) -> Option<char> {
    let mut characters = std::str::from_utf8(piece).ok()?.chars();
    characters.next().filter(|_| characters.next().is_none())
}

impl<'t> WordIds<'t> {
    fn new(tokenizer: &'t Tokenizer, unknown: u32, forgiving: bool) -> Self {
        let ids = 0..tokenizer.vocab_size() as u32;
        let mut by_fold = FxHashMap::default();
        // The first is the most frequent.
        for id in ids.clone().filter(|&id| forgiving && id != unknown) {
            if let Ok(word) = std::str::from_utf8(tokenizer.piece(id)) {
                by_fold.entry(folded(word)).or_insert(id);
            }
        }
        WordIds {
            exact: ids.map(|id| (tokenizer.piece(id), id)).collect(),
            folded: by_fold,
            unknown,
        }
    }

    fn id(&self, word: &str, stranger: &mut impl FnMut(&str)) -> u32 {
        let exact = |word: &str| self.exact.get(word.as_bytes()).copied();
        let respaced = || match word.strip_prefix(' ') {
            Some(bare) => exact(bare),
            None => exact(&format!(" {word}")),
        };
        let forgiven = || respaced().or_else(|| self.folded.get(&folded(word)).copied());
        let forgiving = !self.folded.is_empty();
        exact(word)
            .or_else(|| forgiving.then(forgiven).flatten())
            .unwrap_or_else(|| {
                stranger(word);
                self.unknown
            })
    }
}

/// A word in lower case, with straight apostrophes and without the space before it.
fn folded(word: &str) -> String {
    let bare = word.strip_prefix(' ').unwrap_or(word);
    bare.to_lowercase().replace('’', "'")
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
        let known = [" don't", " can’t", " good", "good", " McDonald", " SS"];
        let words = known.map(str::to_string).to_vec();
        let tokenizer = Tokenizer::words(Split::Natural, words);
        let read = |text: &str| {
            let (ids, strangers) = Encoder::forgiving(&tokenizer).encode(text);
            let pieces = ids.iter().map(|&id| tokenizer.piece(id));
            let pieces: Vec<&str> = pieces.map(|p| std::str::from_utf8(p).unwrap()).collect();
            (pieces.concat(), strangers)
        };
        let as_known = " don't can’t can’t good McDonald SS".to_string();
        assert_eq!(
            read("Don’t can't CAN’T GOOD mcdonald ss"),
            (as_known, vec![])
        );
        let (_, strangers) = read("good\tbetter ß <unk> ");
        assert_eq!(strangers, ["\t", "better", " ß", " <", "unk", ">", " "]);
        assert_eq!(tokenizer.encode(" Good").1, [" Good"]);
    }
}

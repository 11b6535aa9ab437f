/*!
A vocabulary from a text.

Characters and words are counted over the whole training text; subwords are learnt by the `tokenizers` crate on an
evenly spread sample.
*/

use ahash::AHashMap;
use compact_str::CompactString;
use rustc_hash::FxHashMap;
use tokenizers::models::bpe::{BPE, BpeTrainer};

use super::encoder::Splitter;
use super::tokenizer::{Tokenizer, byte_characters};
use super::{Level, Split};
use crate::error::{Error, Result};

/// Subwords are learnt on at most this much text.
pub const SUBWORD_SAMPLE: u64 = 100_000_000;
/// Different words that are counted at once; beyond that the rarest are let go.
const COUNTED_WORDS: usize = 2_000_000;

/// How a vocabulary is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VocabularyConfig {
    /// What a token is.
    pub level: Level,
    /// Where words end.
    pub split: Split,
    /// The most tokens there may be; as many as the text has where it is not given (subwords: by the text's size).
    pub vocab_size: Option<usize>,
    /// How often a character or word must occur to get a token of its own.
    pub min_count: u64,
}

/// Counts a text that comes in pieces, then makes a [`Tokenizer`] of it.
pub struct VocabularyTrainer {
    vocabulary: VocabularyConfig,
    characters: Vec<u64>,
    splitter: Splitter,
    words: FxHashMap<Box<str>, u64>,
    /// Words that occurred no more often than this may have been let go.
    let_go: u64,
    /// Bytes of the text, and how many were seen.
    bytes: u64,
    seen: u64,
    sampled: u64,
}

impl VocabularyTrainer {
    /// A learner for a text of `bytes` bytes.
    pub fn new(vocabulary: VocabularyConfig, bytes: u64) -> Self {
        VocabularyTrainer {
            vocabulary,
            characters: Vec::new(),
            splitter: Splitter::new(vocabulary.level, vocabulary.split),
            words: FxHashMap::default(),
            let_go: 0,
            bytes,
            seen: 0,
            sampled: 0,
        }
    }

    /// Counts the next piece of text.
    pub fn push(&mut self, piece: &[u8]) {
        if self.vocabulary.level == Level::Byte {
            return;
        }
        let piece = std::str::from_utf8(piece).expect("text was decoded before");
        for c in piece.chars() {
            if self.characters.len() <= c as usize {
                self.characters.resize(c as usize + 1, 0);
            }
            self.characters[c as usize] += 1;
        }
        let counts_words = match self.vocabulary.level {
            Level::Word => true,
            Level::Subword => self.sampled(piece.len() as u64),
            Level::Character | Level::Byte => false,
        };
        self.seen += piece.len() as u64;
        if counts_words {
            let words = &mut self.words;
            self.splitter.push(piece, |word| count(words, word));
            self.let_go_of_the_rarest();
        }
    }

    /// Whether the next piece, of `length` bytes, belongs to the sample: all of a small text, and of a large one as
    /// much as keeps step with what was seen.
    fn sampled(&mut self, length: u64) -> bool {
        let step = |bytes: u64| u128::from(bytes);
        let take = self.bytes <= SUBWORD_SAMPLE
            || step(self.sampled + length) * step(self.bytes)
                <= step(self.seen + length) * step(SUBWORD_SAMPLE);
        if take {
            self.sampled += length;
        }
        take
    }

    fn let_go_of_the_rarest(&mut self) {
        while self.words.len() > COUNTED_WORDS {
            self.let_go += 1;
            let least = self.let_go;
            self.words.retain(|_, count| *count > least);
        }
    }

    /// How often each character occurred.
    pub fn character_counts(&self) -> std::collections::BTreeMap<char, u64> {
        let counted = self
            .characters
            .iter()
            .enumerate()
            .filter(|&(_, &count)| count > 0);
        counted
            .map(|(code, &count)| {
                (
                    char::from_u32(code as u32).expect("counted by a character"),
                    count,
                )
            })
            .collect()
    }

    /// Makes the tokenizer.
    ///
    /// # Errors
    /// If the wanted vocabulary is too small for the level.
    pub fn finish(mut self) -> Result<Tokenizer> {
        let words = &mut self.words;
        self.splitter.finish(|word| count(words, word));
        let VocabularyConfig {
            level,
            split,
            vocab_size,
            min_count,
        } = self.vocabulary;
        match level {
            Level::Byte => Ok(Tokenizer::bytes()),
            Level::Character => {
                let counted = self.character_counts();
                let mut characters: Vec<(char, u64)> = counted
                    .into_iter()
                    .filter(|&(_, n)| n >= min_count)
                    .collect();
                characters.sort_by_key(|&(c, count)| (std::cmp::Reverse(count), c));
                characters.truncate(room(vocab_size, 1)?);
                let mut characters: Vec<char> = characters.into_iter().map(|(c, _)| c).collect();
                characters.sort_unstable();
                Ok(Tokenizer::characters(&characters))
            }
            Level::Word => {
                let unknown = self.words.contains_key(super::tokenizer::UNKNOWN);
                let mut words: Vec<(Box<str>, u64)> = self
                    .words
                    .into_iter()
                    .filter(|&(_, n)| n >= min_count)
                    .collect();
                words.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                words.truncate(room(vocab_size, usize::from(!unknown))?);
                Ok(Tokenizer::words(
                    split,
                    words.into_iter().map(|(word, _)| word.into()).collect(),
                ))
            }
            Level::Subword => self.learn_subwords(),
        }
    }

    fn learn_subwords(self) -> Result<Tokenizer> {
        let vocab_size = self
            .vocabulary
            .vocab_size
            .unwrap_or_else(|| default_subwords(self.bytes));
        if vocab_size < 257 {
            return Err(Error::usage(format!(
                "--vocab-size {vocab_size} is too small for bpe, which has a token for each of the 256 bytes; give 257 or more"
            )));
        }
        let table = byte_characters();
        let written: AHashMap<CompactString, u64> = self
            .words
            .into_iter()
            .map(|(word, count)| {
                (
                    word.bytes().map(|byte| table[byte as usize]).collect(),
                    count,
                )
            })
            .collect();
        let trainer = BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(vocab_size)
            .min_frequency(2)
            .initial_alphabet(table.into_iter().collect())
            .max_token_length(Some(32))
            .build();
        let mut model = BPE::default();
        trainer
            .do_train(&written, &mut model)
            .map_err(|e| Error::new(format!("no subwords could be learnt: {e}")))?;
        Ok(Tokenizer::subwords(Level::Subword, model))
    }
}

fn count(words: &mut FxHashMap<Box<str>, u64>, word: &str) {
    match words.get_mut(word) {
        Some(count) => *count += 1,
        None => {
            words.insert(word.into(), 1);
        }
    }
}

/// How many tokens of the text fit beside the `reserved` ones.
fn room(vocab_size: Option<usize>, reserved: usize) -> Result<usize> {
    match vocab_size {
        None => Ok(usize::MAX),
        Some(size) if size > reserved => Ok(size - reserved),
        Some(size) => Err(Error::usage(format!(
            "--vocab-size {size} leaves no room for the text; give 2 or more"
        ))),
    }
}

/// Subwords for a text of so many bytes: each should occur some hundred times.
fn default_subwords(bytes: u64) -> usize {
    ((bytes / 500) as usize).clamp(512, 16_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(text: &str, level: Level, vocab_size: Option<usize>, min_count: u64) -> Tokenizer {
        let vocabulary = VocabularyConfig {
            level,
            split: Split::Natural,
            vocab_size,
            min_count,
        };
        let mut learner = VocabularyTrainer::new(vocabulary, text.len() as u64);
        learner.push(text.as_bytes());
        learner.finish().unwrap()
    }

    fn pieces(tokenizer: &Tokenizer) -> Vec<String> {
        (0..tokenizer.vocab_size() as u32)
            .map(|id| String::from_utf8_lossy(tokenizer.piece(id)).into_owned())
            .collect()
    }

    #[test]
    fn characters_are_sorted_and_the_rarest_go_first() {
        assert_eq!(
            pieces(&learn("banana\n", Level::Character, None, 1)),
            ["<unk>", "\n", "a", "b", "n"]
        );
        assert_eq!(
            pieces(&learn("banana\n", Level::Character, Some(3), 1)),
            ["<unk>", "a", "n"]
        );
        assert_eq!(
            pieces(&learn("banana\n", Level::Character, None, 2)),
            ["<unk>", "a", "n"]
        );
    }

    #[test]
    fn words_are_sorted_by_how_often_they_occur() {
        let text = "a b a\nc, a";
        assert_eq!(
            pieces(&learn(text, Level::Word, None, 1)),
            ["<unk>", " a", "\n", " b", ",", "a", "c"]
        );
        assert_eq!(pieces(&learn(text, Level::Word, None, 2)), ["<unk>", " a"]);
    }

    #[test]
    fn subwords_are_the_bytes_and_what_occurs_often() {
        let tokenizer = learn(
            &"the cat sat on the mat\n".repeat(50),
            Level::Subword,
            Some(262),
            1,
        );
        assert_eq!(tokenizer.vocab_size(), 262);
        assert!(pieces(&tokenizer).contains(&"at".to_string()));
        let mut learner = VocabularyTrainer::new(
            VocabularyConfig {
                level: Level::Subword,
                split: Split::Natural,
                vocab_size: Some(10),
                min_count: 1,
            },
            1,
        );
        learner.push(b"x");
        assert!(learner.finish().is_err());
    }

    #[test]
    fn the_sample_is_spread_evenly_and_bounded() {
        let bytes = 10 * SUBWORD_SAMPLE;
        let vocabulary = VocabularyConfig {
            level: Level::Subword,
            split: Split::Natural,
            vocab_size: None,
            min_count: 1,
        };
        for piece in [1 << 20, 3_000_000, 40_000] {
            let mut learner = VocabularyTrainer::new(vocabulary, bytes);
            let mut taken = Vec::new();
            while learner.seen < bytes {
                taken.push(learner.sampled(piece));
                learner.seen += piece;
            }
            assert!(learner.sampled <= SUBWORD_SAMPLE && learner.sampled > SUBWORD_SAMPLE * 9 / 10);
            for part in taken.chunks_exact(taken.len() / 5) {
                let share = part.iter().filter(|&&t| t).count() as f64 / part.len() as f64;
                assert!((share - 0.1).abs() < 0.03, "{share}");
            }
        }
    }

    #[test]
    fn subwords_are_learnt_from_every_one_of_many_small_files() {
        let vocabulary = VocabularyConfig {
            level: Level::Subword,
            split: Split::Natural,
            vocab_size: Some(300),
            min_count: 1,
        };
        let mut learner = VocabularyTrainer::new(vocabulary, 600);
        for text in ["A title", "zwölfte zwölfte zwölfte zwölfte"] {
            learner.push(text.as_bytes());
        }
        assert!(pieces(&learner.finish().unwrap()).contains(&" zwölfte".to_string()));
    }
}

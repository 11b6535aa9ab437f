/*!
A vocabulary made from a text: [`VocabularyConfig`] says how, [`VocabularyTrainer`] makes it.

Characters and words are counted over the whole training text; subwords are trained by the `tokenizers` crate on an
evenly spread sample.
*/

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::hash::BuildHasher;

use ahash::AHashMap;
use compact_str::CompactString;
use rustc_hash::{FxBuildHasher, FxHashMap};
use tokenizers::models::bpe::{BPE, BpeTrainer};

use super::level::{Level, Split};
use super::normalization::Normalization;
use super::splitter::{Division, Splitter};
use super::tokenizer::{BYTE_CHARACTERS, Tokenizer, UNKNOWN, in_byte_characters};
use crate::error::{Error, Result};

/// Largest number of bytes of text that subwords are trained on.
const SUBWORD_SAMPLE: u64 = 100_000_000;
/// Largest number of distinct words counted; beyond that the rarest are dropped.
const COUNTED_WORDS: usize = 2_000_000;

/// Largest number of bytes of distinct words that merges are learnt from, and of what that costs: each byte of a word is
/// merged about once, which takes time that grows with the length of the word. Of a text without spaces, whose parts are
/// all long and different, the second bound counts: 8192 parts of 64 letters. Of another the first one does: its 200,000
/// most frequent words. Either takes a second or two.
const MERGED: Merged = Merged {
    bytes: 1 << 21,
    work: 1 << 25,
};

/// How a vocabulary is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VocabularyConfig {
    /// What a token is.
    pub level: Level,
    /// Where words end.
    pub split: Split,
    /// Largest number of tokens; `None`: as many as the text has (for subwords: chosen by the size of the text).
    pub vocab_size: Option<usize>,
    /// Number of occurrences that a character or word needs to become a token.
    pub min_count: u64,
    /// The form in which characters are read. Runs that began before there was one read them as they are written.
    #[serde(default, skip_serializing_if = "Normalization::is_none")]
    pub normalization: Normalization,
}

impl VocabularyConfig {
    /// Checks that there is something to learn: a token besides the unknown one and white space.
    ///
    /// # Errors
    /// What left nothing, and what helps.
    pub fn check_learnt(&self, tokenizer: &Tokenizer) -> Result<()> {
        if !tokenizer.is_blank() {
            return Ok(());
        }
        let (unit, other) = match self.level {
            Level::Word => ("word", "another --level, such as char or bpe"),
            _ => ("character", "another --level, such as byte"),
        };
        let is_full = self.vocab_size == Some(tokenizer.vocab_size());
        Err(Error::new(match (self.vocab_size, self.min_count) {
            (Some(size), _) if is_full => format!(
                "--vocab-size {size} has room for white space and unknown {unit}s only, so that there is nothing to learn; give \
                 a larger one, or {other}"
            ),
            (_, least @ 2..) => format!(
                "no {unit} of the text occurs {least} times or more, so that there is nothing to learn; give --min-count 1, \
                 {other}, or more text"
            ),
            _ => "there is nothing to learn from a text of white space; give more text".to_string(),
        }))
    }
}

/// Counts a text that comes in pieces, and makes a [`Tokenizer`] from the counts.
pub struct VocabularyTrainer {
    config: VocabularyConfig,
    /// Number of occurrences of each character, by its code point.
    characters: Vec<u64>,
    splitter: Splitter,
    words: FxHashMap<Box<str>, u64>,
    /// Words that occurred at most this often may have been dropped.
    pruned: u64,
    /// Number of bytes of the whole text.
    bytes: u64,
    /// Number of bytes that were pushed.
    seen: u64,
    /// Number of bytes that words were counted in, at subword level.
    sampled: u64,
}

impl VocabularyTrainer {
    /// A trainer for a text of `bytes` bytes.
    pub fn new(config: VocabularyConfig, bytes: u64) -> Self {
        VocabularyTrainer {
            config,
            characters: Vec::new(),
            splitter: Splitter::new(Division {
                level: config.level,
                split: config.split,
                cuts: true,
            }),
            words: FxHashMap::default(),
            pruned: 0,
            bytes,
            seen: 0,
            sampled: 0,
        }
    }

    /// Counts the next piece of text, which is in the form of the vocabulary.
    ///
    /// # Panics
    /// If a piece is not UTF-8 at another level than bytes.
    pub fn push(&mut self, piece: &[u8]) {
        if self.config.level == Level::Byte {
            return;
        }
        let piece = std::str::from_utf8(piece).expect("pieces of text are UTF-8");
        for c in piece.chars() {
            if self.characters.len() <= c as usize {
                self.characters.resize(c as usize + 1, 0);
            }
            self.characters[c as usize] += 1;
        }
        let counts_words = match self.config.level {
            Level::Word => true,
            Level::Subword => self.sample(piece.len() as u64),
            Level::Character | Level::Byte => false,
        };
        self.seen += piece.len() as u64;
        if counts_words {
            let words = &mut self.words;
            self.splitter.push(piece, |word| count(words, word));
            self.prune_rare_words();
        }
    }

    /// Whether the next piece, of `length` bytes, belongs to the sample: all of a small text does, and an even fraction of
    /// a large one.
    fn sample(&mut self, length: u64) -> bool {
        let wide = |bytes: u64| u128::from(bytes);
        let take = self.bytes <= SUBWORD_SAMPLE
            || wide(self.sampled + length) * wide(self.bytes)
                <= wide(self.seen + length) * wide(SUBWORD_SAMPLE);
        if take {
            self.sampled += length;
        }
        take
    }

    fn prune_rare_words(&mut self) {
        while self.words.len() > COUNTED_WORDS {
            self.pruned += 1;
            let pruned = self.pruned;
            self.words.retain(|_, count| *count > pruned);
        }
    }

    /// Number of occurrences of each character that occurred.
    pub fn character_counts(&self) -> BTreeMap<char, u64> {
        let counted = self
            .characters
            .iter()
            .enumerate()
            .filter(|&(_, &count)| count > 0);
        counted
            .map(|(code, &count)| {
                (
                    char::from_u32(code as u32).expect("codes are those of characters"),
                    count,
                )
            })
            .collect()
    }

    /// Makes the tokenizer.
    ///
    /// # Errors
    /// If the requested vocabulary is too small for the level.
    pub fn finish(self) -> Result<Tokenizer> {
        self.finish_noted().map(|(tokenizer, _)| tokenizer)
    }

    /// Makes the tokenizer, with a note for the user if it was learnt from a part of the words only.
    ///
    /// # Errors
    /// As [`VocabularyTrainer::finish`].
    pub fn finish_noted(mut self) -> Result<(Tokenizer, Option<String>)> {
        let words = &mut self.words;
        self.splitter.finish(|word| count(words, word));
        let normalization = self.config.normalization;
        let (tokenizer, note) = match self.config.level {
            Level::Byte => (Tokenizer::bytes(), None),
            Level::Character => (self.character_tokenizer()?, None),
            Level::Word => (self.word_tokenizer()?, None),
            Level::Subword => self.subword_tokenizer()?,
        };
        Ok((tokenizer.with_normalization(normalization), note))
    }

    /// The most frequent characters, in the order of their code points.
    fn character_tokenizer(self) -> Result<Tokenizer> {
        let mut counts: Vec<(char, u64)> = self.character_counts().into_iter().collect();
        counts.retain(|&(_, count)| count >= self.config.min_count);
        counts.sort_by_key(|&(c, count)| (Reverse(count), c));
        counts.truncate(free_tokens(self.config.vocab_size, 1)?);
        let mut characters: Vec<char> = counts.into_iter().map(|(c, _)| c).collect();
        characters.sort_unstable();
        Ok(Tokenizer::characters(&characters))
    }

    /// The most frequent words, in the order of their frequency.
    fn word_tokenizer(self) -> Result<Tokenizer> {
        let has_unknown = self.words.contains_key(UNKNOWN);
        let mut counts: Vec<(Box<str>, u64)> = self.words.into_iter().collect();
        counts.retain(|&(_, count)| count >= self.config.min_count);
        counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts.truncate(free_tokens(
            self.config.vocab_size,
            usize::from(!has_unknown),
        )?);
        let words = counts.into_iter().map(|(word, _)| word.into()).collect();
        Ok(Tokenizer::words(self.config.split, words))
    }

    /// Subwords by byte-pair encoding of the sampled words.
    fn subword_tokenizer(self) -> Result<(Tokenizer, Option<String>)> {
        let vocab_size = self
            .config
            .vocab_size
            .unwrap_or_else(|| default_subword_count(self.bytes));
        if vocab_size < 257 {
            return Err(Error::usage(format!(
                "--vocab-size {vocab_size} is too small for bpe, which has a token for each of the 256 bytes; give 257 or more"
            )));
        }
        let all = self.words.len();
        let words = merged_words(self.words, MERGED);
        let note = (words.len() < all).then(|| {
            format!(
                "subwords are learnt from the {} most frequent of {all} words and unbroken parts",
                words.len()
            )
        });
        let written: AHashMap<CompactString, u64> = words
            .into_iter()
            .map(|(word, count)| (in_byte_characters(&word).collect(), count))
            .collect();
        let trainer = BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(vocab_size)
            .min_frequency(2)
            .initial_alphabet(BYTE_CHARACTERS.into_iter().collect())
            .max_token_length(Some(32))
            .build();
        let mut model = BPE::default();
        trainer
            .do_train(&written, &mut model)
            .map_err(|e| Error::new(format!("cannot train the subword vocabulary: {e}")))?;
        Ok((Tokenizer::subwords(Level::Subword, model), note))
    }
}

/// An amount of words that merges are learnt from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Merged {
    /// Their bytes.
    bytes: usize,
    /// The sum of the squares of their lengths in bytes.
    work: usize,
}

impl Merged {
    /// The amount with another word.
    fn with(self, word: &str) -> Self {
        Merged {
            bytes: self.bytes + word.len(),
            work: self.work + word.len().pow(2),
        }
    }

    /// Whether it is not more than another.
    fn is_within(self, most: Self) -> bool {
        self.bytes <= most.bytes && self.work <= most.work
    }
}

/// The most frequent words, together of at most so much; of equally frequent ones, any.
fn merged_words(words: FxHashMap<Box<str>, u64>, most: Merged) -> Vec<(Box<str>, u64)> {
    let mut all: Vec<(Box<str>, u64)> = words.into_iter().collect();
    let whole = all
        .iter()
        .fold(Merged::default(), |sum, (word, _)| sum.with(word));
    if whole.is_within(most) {
        return all;
    }
    // Not in the order of the alphabet: a part of that would stand for some letters only.
    all.sort_by_cached_key(|(word, count)| (Reverse(*count), FxBuildHasher.hash_one(word)));
    let mut taken = Merged::default();
    let fits = |(word, _): &(Box<str>, u64)| {
        taken = taken.with(word);
        taken.is_within(most)
    };
    all.into_iter().take_while(fits).collect()
}

fn count(words: &mut FxHashMap<Box<str>, u64>, word: &str) {
    match words.get_mut(word) {
        Some(count) => *count += 1,
        None => {
            words.insert(word.into(), 1);
        }
    }
}

/// Number of tokens that a vocabulary has besides `reserved` ones.
fn free_tokens(vocab_size: Option<usize>, reserved: usize) -> Result<usize> {
    match vocab_size {
        None => Ok(usize::MAX),
        Some(size) if size > reserved => Ok(size - reserved),
        Some(size) => Err(Error::usage(format!(
            "--vocab-size {size} leaves no tokens for the text; give 2 or more"
        ))),
    }
}

/// Default number of subwords for a text of `bytes` bytes: each should occur about a hundred times.
fn default_subword_count(bytes: u64) -> usize {
    ((bytes / 500) as usize).clamp(512, 16_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train(text: &str, level: Level, vocab_size: Option<usize>, min_count: u64) -> Tokenizer {
        let vocabulary = VocabularyConfig {
            level,
            split: Split::Natural,
            vocab_size,
            min_count,
            normalization: Normalization::of(level),
        };
        let mut trainer = VocabularyTrainer::new(vocabulary, text.len() as u64);
        trainer.push(text.as_bytes());
        trainer.finish().unwrap()
    }

    fn pieces(tokenizer: &Tokenizer) -> Vec<String> {
        (0..tokenizer.vocab_size() as u32)
            .map(|id| String::from_utf8_lossy(tokenizer.piece(id)).into_owned())
            .collect()
    }

    #[test]
    fn characters_are_sorted_and_the_rarest_are_dropped() {
        assert_eq!(
            pieces(&train("banana\n", Level::Character, None, 1)),
            ["<unk>", "\n", "a", "b", "n"]
        );
        assert_eq!(
            pieces(&train("banana\n", Level::Character, Some(3), 1)),
            ["<unk>", "a", "n"]
        );
        assert_eq!(
            pieces(&train("banana\n", Level::Character, None, 2)),
            ["<unk>", "a", "n"]
        );
    }

    #[test]
    fn words_are_sorted_by_frequency() {
        let text = "a b a\nc, a";
        assert_eq!(
            pieces(&train(text, Level::Word, None, 1)),
            ["<unk>", " a", "\n", " b", ",", "a", "c"]
        );
        assert_eq!(pieces(&train(text, Level::Word, None, 2)), ["<unk>", " a"]);
    }

    #[test]
    fn subwords_are_the_bytes_and_frequent_sequences() {
        let tokenizer = train(
            &"the cat sat on the mat\n".repeat(50),
            Level::Subword,
            Some(262),
            1,
        );
        assert_eq!(tokenizer.vocab_size(), 262);
        assert!(pieces(&tokenizer).contains(&"at".to_string()));
        let mut trainer = VocabularyTrainer::new(
            VocabularyConfig {
                level: Level::Subword,
                split: Split::Natural,
                vocab_size: Some(10),
                min_count: 1,
                normalization: Normalization::None,
            },
            1,
        );
        trainer.push(b"x");
        assert!(trainer.finish().is_err());
    }

    #[test]
    fn of_too_many_words_the_most_frequent_are_merged() {
        let words: FxHashMap<Box<str>, u64> = [("often", 9), ("once", 1), ("some", 3)]
            .into_iter()
            .map(|(word, count)| (word.into(), count))
            .collect();
        let most = |bytes, work| Merged { bytes, work };
        let merged = |bytes| {
            let mut merged = merged_words(words.clone(), most(bytes, 1000));
            merged.sort();
            merged.into_iter().map(|(word, _)| word).collect::<Vec<_>>()
        };
        assert_eq!(merged(13), ["often".into(), "once".into(), "some".into()]);
        assert_eq!(merged(12), ["often".into(), "some".into()]);
        assert_eq!(merged(8), ["often".into()]);
        // Of unique words, not only those at the beginning of the alphabet.
        let unique = (0..2000).map(|number| (format!("{number:04}").into(), 1));
        let part = merged_words(unique.collect(), most(2000, 1 << 20));
        let late = part.iter().filter(|(word, _)| word[..] >= *"1000").count();
        assert_eq!(part.len(), 500);
        assert!((150..350).contains(&late), "{late}");
    }

    #[test]
    fn a_vocabulary_of_nothing_but_unknown_is_an_error() {
        let check = |text: &str, level, vocab_size, min_count| {
            let config = VocabularyConfig {
                level,
                split: Split::Natural,
                vocab_size,
                min_count,
                normalization: Normalization::Nfc,
            };
            let checked = config.check_learnt(&train(text, level, vocab_size, min_count));
            checked
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        let unique = "each word stands here once\nor never\n";
        let found = check(unique, Level::Word, None, 2);
        assert!(
            found.contains("no word of the text occurs 2 times") && found.contains("--min-count 1")
        );
        assert_eq!(check(unique, Level::Word, None, 1), "");
        assert_eq!(check("ab\nba\n", Level::Character, None, 2), "");
        assert!(check("ab\ncd\n", Level::Character, None, 2).contains("no character"));
        assert!(check("a a\n\n\n", Level::Word, Some(2), 1).contains("--vocab-size 2 has room"));
        assert!(check(" \n\n", Level::Word, None, 1).contains("white space"));
        assert_eq!(check(" \n", Level::Byte, None, 1), "");
        assert_eq!(check(" \n", Level::Subword, None, 1), "");
    }

    #[test]
    fn a_text_without_a_space_is_learnt_in_parts() {
        let text = "ab".repeat(200_000);
        let tokenizer = train(&text, Level::Subword, Some(264), 1);
        let (ids, _) = tokenizer.encode(&text);
        assert!(ids.len() <= text.len() / 16, "{}", ids.len());
        assert_eq!(tokenizer.decode(&ids), text);
        assert_eq!(
            tokenizer.encode_reference(&text[..1000]),
            tokenizer.encode(&text[..1000]).0
        );
    }

    #[test]
    fn what_merges_are_learnt_from_is_bounded_in_work() {
        let mut state = 1u32;
        let mut letter = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            "ACGT"
                .chars()
                .nth((state >> 30) as usize)
                .expect("one of four")
        };
        let genes: String = (0..2_000_000).map(|_| letter()).collect();
        let config = VocabularyConfig {
            level: Level::Subword,
            split: Split::Natural,
            vocab_size: Some(300),
            min_count: 1,
            normalization: Normalization::None,
        };
        let mut trainer = VocabularyTrainer::new(config, genes.len() as u64);
        trainer.push(genes.as_bytes());
        let mut words = FxHashMap::default();
        trainer.splitter.finish(|word| count(&mut words, word));
        let part = merged_words(words.clone(), MERGED);
        // Of n letters in parts of 64, n / 64 · 64².
        let work: usize = part.iter().map(|(word, _)| word.len().pow(2)).sum();
        assert!(words.len() > 30_000 && work <= 1 << 25, "{work}");
        assert_eq!(part.len(), 8192);
        trainer.words = words;
        let (_, note) = trainer.finish_noted().unwrap();
        assert!(
            note.unwrap()
                .starts_with("subwords are learnt from the 8192 most frequent of 31")
        );
    }

    #[test]
    fn the_sample_is_spread_evenly_and_bounded() {
        let bytes = 10 * SUBWORD_SAMPLE;
        let vocabulary = VocabularyConfig {
            level: Level::Subword,
            split: Split::Natural,
            vocab_size: None,
            min_count: 1,
            normalization: Normalization::None,
        };
        for piece in [1 << 20, 3_000_000, 40_000] {
            let mut trainer = VocabularyTrainer::new(vocabulary, bytes);
            let mut taken = Vec::new();
            while trainer.seen < bytes {
                taken.push(trainer.sample(piece));
                trainer.seen += piece;
            }
            assert!(trainer.sampled <= SUBWORD_SAMPLE && trainer.sampled > SUBWORD_SAMPLE * 9 / 10);
            for part in taken.chunks_exact(taken.len() / 5) {
                let fraction = part.iter().filter(|&&t| t).count() as f64 / part.len() as f64;
                assert!((fraction - 0.1).abs() < 0.03, "{fraction}");
            }
        }
    }

    #[test]
    fn subwords_are_trained_on_all_small_files() {
        let vocabulary = VocabularyConfig {
            level: Level::Subword,
            split: Split::Natural,
            vocab_size: Some(300),
            min_count: 1,
            normalization: Normalization::None,
        };
        let mut trainer = VocabularyTrainer::new(vocabulary, 600);
        for text in ["A title", "zwölfte zwölfte zwölfte zwölfte"] {
            trainer.push(text.as_bytes());
        }
        assert!(pieces(&trainer.finish().unwrap()).contains(&" zwölfte".to_string()));
    }
}

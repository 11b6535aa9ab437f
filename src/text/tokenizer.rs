/*!
The vocabulary: its tokens, their ids, and decoding of ids to text.

At every level the tokenizer is one of the `tokenizers` crate, saved in that crate's format, so that Python's `tokenizers`
gives the same ids. The crate defines the ids; [`super::encoder`] computes them faster.
*/

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;
use std::sync::LazyLock;

use ahash::AHashMap;
use serde::Deserialize;
use tokenizers::Model;
use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as DecoderSequence;
use tokenizers::decoders::wordpiece::WordPiece;
use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::normalizers::{NFC, NormalizerWrapper, Replace};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizerSequence;
use tokenizers::pre_tokenizers::split::{Split as SplitPreTokenizer, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;

use super::level::{Level, Split};
use super::normalization::Normalization;
use super::source::ReadMode;
use super::splitter::{Division, cut_pattern, pattern};
use crate::error::{Error, Result};
use crate::files;

/// The unknown token: it stands for characters and words outside the vocabulary.
pub const UNKNOWN: &str = "<unk>";

/// A vocabulary, with encoding of text as token ids and decoding of token ids to text.
#[derive(Clone)]
pub struct Tokenizer {
    level: Level,
    split: Split,
    normalization: Normalization,
    /// Whether subwords are merged in parts of bounded length only.
    cuts: bool,
    inner: tokenizers::Tokenizer,
    /// The bytes of each token, by its id.
    pieces: Vec<Vec<u8>>,
    unknown: Option<u32>,
}

impl Tokenizer {
    /// A tokenizer of the 256 bytes; the id of a byte is its value.
    pub fn bytes() -> Self {
        let vocabulary: AHashMap<String, u32> = BYTE_CHARACTERS
            .iter()
            .zip(0..)
            .map(|(c, id)| (c.to_string(), id))
            .collect();
        Self::subwords(Level::Byte, BPE::new(vocabulary, Vec::new()))
    }

    /// A tokenizer of characters, in the order of their ids, from 1; id 0 is [`UNKNOWN`].
    pub fn characters(characters: &[char]) -> Self {
        let tokens = characters.iter().map(char::to_string).collect();
        Self::word_level(Level::Character, Split::Natural, tokens)
    }

    /// A tokenizer of words, in the order of their ids. [`UNKNOWN`] gets id 0 unless it is one of the words, as in the Penn
    /// Treebank.
    pub fn words(split: Split, words: Vec<String>) -> Self {
        Self::word_level(Level::Word, split, words)
    }

    /// This vocabulary extended by the tokens that only another one of the same level has. Vocabularies of bytes and
    /// subwords stay as they are: they can already encode any text.
    pub fn extended(&self, other: &Tokenizer) -> Self {
        if matches!(self.level, Level::Byte | Level::Subword) {
            return Self::of(self.level, self.split, self.inner.clone());
        }
        let own: HashSet<&Vec<u8>> = self.pieces.iter().collect();
        let new = other.pieces.iter().filter(|piece| !own.contains(piece));
        let all = self.pieces.iter().chain(new);
        let words = all.map(|piece| String::from_utf8_lossy(piece).into_owned());
        // `word_level` always puts the unknown token before characters.
        let skipped = usize::from(self.level == Level::Character);
        Self::word_level(self.level, self.split, words.skip(skipped).collect())
            .with_normalization(self.normalization)
    }

    /// This vocabulary for texts in another form.
    pub(super) fn with_normalization(mut self, normalization: Normalization) -> Self {
        self.inner.with_normalizer(match normalization {
            Normalization::None => None,
            Normalization::Nfc => Some(NFC),
        });
        self.normalization = normalization;
        self
    }

    /// A tokenizer of these tokens, in the order of their ids, at the level of characters or words; those of several characters
    /// never occur in a text of characters. [`UNKNOWN`] is one of them, at the level of characters the first.
    pub fn of_tokens(level: Level, split: Split, mut tokens: Vec<String>) -> Self {
        if level == Level::Character && tokens.first().is_some_and(|first| first == UNKNOWN) {
            tokens.remove(0);
        }
        Self::word_level(level, split, tokens)
    }

    fn word_level(level: Level, split: Split, mut words: Vec<String>) -> Self {
        if level == Level::Character || !words.iter().any(|w| w == UNKNOWN) {
            words.insert(0, UNKNOWN.to_string());
        }
        let vocabulary: AHashMap<String, u32> = words.into_iter().zip(0..).collect();
        let model = WordLevel::builder()
            .vocab(vocabulary)
            .unk_token(UNKNOWN.to_string())
            .build()
            .expect("a vocabulary in memory needs no file");
        let mut inner = tokenizers::Tokenizer::new(model);
        let pattern = pattern(level, split);
        match split {
            Split::Natural => {
                inner.with_pre_tokenizer(Some(isolate(pattern)));
                inner.with_decoder(Some(Fuse::new()));
            }
            Split::Whitespace => {
                inner.with_pre_tokenizer(Some(keep_only(pattern)));
                inner.with_decoder(Some(spaced_decoder()));
            }
        }
        Self::of(level, split, inner)
    }

    /// A tokenizer of subwords over the characters that stand for bytes.
    pub(super) fn subwords(level: Level, model: BPE) -> Self {
        let mut inner = tokenizers::Tokenizer::new(model);
        if level == Level::Byte {
            inner.with_pre_tokenizer(Some(byte_characters()));
            inner.with_decoder(Some(byte_characters()));
        } else {
            divide_into_subwords(&mut inner);
        }
        Self::of(level, Split::Natural, inner)
    }

    fn of(level: Level, split: Split, inner: tokenizers::Tokenizer) -> Self {
        let subwords = matches!(level, Level::Byte | Level::Subword);
        let unknown = if subwords {
            None
        } else {
            inner.token_to_id(UNKNOWN)
        };
        let pieces = (0..inner.get_vocab_size(true) as u32)
            .map(|id| {
                let token = inner.id_to_token(id).unwrap_or_default();
                if subwords {
                    token.chars().filter_map(byte_of_character).collect()
                } else {
                    token.into_bytes()
                }
            })
            .collect();
        Tokenizer {
            level,
            split,
            normalization: match inner.get_normalizer() {
                Some(NormalizerWrapper::NFC(_)) => Normalization::Nfc,
                _ => Normalization::None,
            },
            cuts: cuts(&inner),
            inner,
            pieces,
            unknown,
        }
    }

    /// Loads tokenizer.json; `level` and `split` are those of config.json.
    ///
    /// # Errors
    /// If the file cannot be read or is invalid, or has no token for some text at this level.
    pub fn load(path: &Path, level: Level, split: Split) -> Result<Self> {
        let own = Self::of(level, split, read(path)?);
        match own.encodes_anything() {
            true => Ok(own),
            false => Err(Error::new(format!(
                "{} has no tokens for any text at the level {level}; it is damaged, or belongs to another model",
                path.display()
            ))),
        }
    }

    /// Loads a tokenizer.json whose level is not known; `None` if it divides texts in another way than this program.
    ///
    /// # Errors
    /// If the file cannot be read or is invalid.
    pub fn load_own(path: &Path) -> Result<Option<Self>> {
        let inner = read(path)?;
        let division = division_of(&inner);
        let own = division.map(|(level, split)| Self::of(level, split, inner));
        Ok(own.filter(Self::encodes_anything))
    }

    /// Loads a tokenizer.json of byte-pair encoding over bytes, as GPT-2 has it, with this program's division of texts in place
    /// of its own; `None` if it is of another kind.
    ///
    /// # Errors
    /// As [`Tokenizer::load_own`].
    pub fn load_byte_level(path: &Path) -> Result<Option<Self>> {
        let mut inner = read(path)?;
        let ModelWrapper::BPE(model) = inner.get_model() else {
            return Ok(None);
        };
        let parts = [&model.continuing_subword_prefix, &model.end_of_word_suffix];
        let marks_parts = parts.into_iter().flatten().any(|part| !part.is_empty());
        let normalizes = !matches!(
            inner.get_normalizer(),
            None | Some(NormalizerWrapper::NFC(_))
        );
        if marks_parts || normalizes || !is_byte_level(&inner) {
            return Ok(None);
        }
        divide_into_subwords(&mut inner);
        let own = Self::of(Level::Subword, Split::Natural, inner);
        Ok(Some(own).filter(Self::encodes_anything))
    }

    /// Whether it has a token for anything: for each byte, in the place of its value at the level of bytes, or for what is
    /// unknown.
    fn encodes_anything(&self) -> bool {
        match self.level {
            Level::Character => self.unknown == Some(0),
            Level::Word => self.unknown.is_some(),
            Level::Byte => {
                (self.pieces.iter().zip(0u8..=255)).all(|(piece, byte)| *piece == [byte])
            }
            Level::Subword => {
                let known = |character: &char| self.inner.token_to_id(&character.to_string());
                BYTE_CHARACTERS
                    .iter()
                    .all(|character| known(character).is_some())
            }
        }
    }

    /// The tokenizer in the format of the `tokenizers` crate.
    pub fn to_json(&self) -> String {
        self.inner
            .to_string(true)
            .expect("a tokenizer is plain data")
    }

    /// What a token is.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Where words end.
    pub fn split(&self) -> Split {
        self.split
    }

    /// Number of tokens of the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.pieces.len()
    }

    /// Id of the unknown token; `None` for bytes and subwords, which encode any text.
    pub fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// The token that precedes a text: the line end, or the unknown token if the vocabulary has no line end.
    pub fn line_end(&self) -> u32 {
        let found = self.pieces.iter().position(|piece| piece == b"\n");
        found.map_or(self.unknown.unwrap_or(0), |id| id as u32)
    }

    /// The bytes of a token; with [`Split::Whitespace`], without the space before it.
    pub fn piece(&self, id: u32) -> &[u8] {
        &self.pieces[id as usize]
    }

    /// Whether it has no token for text: nothing but the unknown token and white space.
    pub fn is_blank(&self) -> bool {
        let unknown = self.unknown.map(|id| self.piece(id));
        let blank = |piece: &[u8]| String::from_utf8_lossy(piece).trim().is_empty();
        let mut pieces = self.pieces.iter();
        unknown.is_some() && pieces.all(|piece| Some(&piece[..]) == unknown || blank(piece))
    }

    /// The token that is never generated: the unknown token, unless it is a word of the text like any other, as in a text
    /// that is split at white space.
    pub fn barred(&self) -> Option<u32> {
        self.unknown.filter(|_| self.split != Split::Whitespace)
    }

    /// How files are read for this tokenizer.
    pub fn read_mode(&self) -> ReadMode {
        ReadMode::of(self.level, self.split, self.normalization)
    }

    /// The form in which it reads characters. Models that learnt before there was one read them as they are written.
    pub fn normalization(&self) -> Normalization {
        self.normalization
    }

    /// A whole text in the form in which it is read.
    pub fn normalized<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.normalization.apply(text)
    }

    /// How texts are divided.
    pub(super) fn division(&self) -> Division {
        Division {
            level: self.level,
            split: self.split,
            cuts: self.cuts,
        }
    }

    /// Encodes a text by the `tokenizers` crate: slow, but the reference for [`super::encoder`].
    pub fn encode_reference(&self, text: &str) -> Vec<u32> {
        self.inner
            .encode(text, false)
            .expect("every level has a token for anything")
            .get_ids()
            .to_vec()
    }

    /// Decodes token ids to text.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut decoder = Decoder::new(self);
        let mut text: String = ids.iter().map(|&id| decoder.push(id)).collect();
        text.push_str(&decoder.finish());
        text
    }

    /// The subwords of a part of a text, by the `tokenizers` crate.
    pub(super) fn subwords_of(&self, part: &str) -> impl Iterator<Item = u32> + use<> {
        let written: String = in_byte_characters(part).collect();
        let tokens = self.inner.get_model().tokenize(&written);
        let tokens = tokens.expect("byte-level subwords have a token for every byte");
        tokens.into_iter().map(|token| token.id)
    }
}

/// The part of a tokenizer.json that the `tokenizers` crate panics at where it is no JSON.
#[derive(Deserialize)]
struct DecoderPart {
    #[serde(default, rename = "decoder")]
    _decoder: serde_json::Value,
}

/// Reads a tokenizer.json whose ids are those of a vocabulary: from 0, without gaps.
fn read(path: &Path) -> Result<tokenizers::Tokenizer> {
    let json = files::read_text(path)?;
    let invalid = |e: String| {
        let path = path.display();
        Error::new(format!("{path} is not a valid tokenizer: {e}"))
    };
    serde_json::from_str::<DecoderPart>(&json).map_err(|e| invalid(e.to_string()))?;
    let inner: tokenizers::Tokenizer = json
        .parse()
        .map_err(|e: Box<dyn std::error::Error + Send + Sync>| invalid(e.to_string()))?;
    let size = inner.get_vocab_size(true) as u32;
    match (0..size).find(|&id| inner.id_to_token(id).is_none()) {
        None => Ok(inner),
        Some(id) => Err(invalid(format!(
            "it has {size} tokens, but none of them has the id {id}"
        ))),
    }
}

/// Decodes token ids one at a time to whole characters.
#[derive(Clone)]
pub struct Decoder<'t> {
    tokenizer: &'t Tokenizer,
    /// The first bytes of an incomplete character.
    pending: Vec<u8>,
    /// Whether a space precedes the next word.
    inside_line: bool,
}

impl<'t> Decoder<'t> {
    /// A decoder at the start of a text.
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Decoder {
            tokenizer,
            pending: Vec::new(),
            inside_line: false,
        }
    }

    /// The text that `id` adds: empty while a character is incomplete, U+FFFD for invalid UTF-8.
    pub fn push(&mut self, id: u32) -> String {
        let piece = self.tokenizer.piece(id);
        if self.tokenizer.split == Split::Whitespace {
            let line_end = piece == b"\n";
            if std::mem::replace(&mut self.inside_line, !line_end) && !line_end {
                self.pending.push(b' ');
            }
        }
        self.pending.extend_from_slice(piece);
        let complete = match self.pending.utf8_chunks().last() {
            Some(last) if could_continue(last.invalid()) => {
                self.pending.len() - last.invalid().len()
            }
            _ => self.pending.len(),
        };
        let text = String::from_utf8_lossy(&self.pending[..complete]).into_owned();
        self.pending.drain(..complete);
        text
    }

    /// The rest of the text: U+FFFD if the last character is incomplete.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        text
    }
}

/// Bytes as characters, without a space before the text and without a division of its own.
fn byte_characters() -> ByteLevel {
    ByteLevel::new(false, true, false)
}

/// Divides texts before subwords are merged.
fn divide_into_subwords(inner: &mut tokenizers::Tokenizer) {
    inner.with_pre_tokenizer(Some(PreTokenizerSequence::new(vec![
        PreTokenizerWrapper::Split(isolate(pattern(Level::Subword, Split::Natural))),
        PreTokenizerWrapper::Split(isolate(&cut_pattern())),
        PreTokenizerWrapper::ByteLevel(byte_characters()),
    ])));
    inner.with_decoder(Some(byte_characters()));
}

/// The level of a tokenizer of this program, and where its words end; `None` for others.
fn division_of(inner: &tokenizers::Tokenizer) -> Option<(Level, Split)> {
    let is_words = matches!(inner.get_model(), ModelWrapper::WordLevel(_));
    match (inner.get_pre_tokenizer()?, is_words) {
        (PreTokenizerWrapper::Split(own), true) => {
            let all = [
                (Level::Character, Split::Natural),
                (Level::Word, Split::Natural),
                (Level::Word, Split::Whitespace),
            ];
            all.into_iter().find(|&(level, split)| match split {
                Split::Natural => *own == isolate(pattern(level, split)),
                Split::Whitespace => *own == keep_only(pattern(level, split)),
            })
        }
        (PreTokenizerWrapper::ByteLevel(own), false) => {
            let is_bytes =
                *own == byte_characters() && inner.get_vocab_size(true) == BYTE_CHARACTERS.len();
            is_bytes.then_some((Level::Byte, Split::Natural))
        }
        (PreTokenizerWrapper::Sequence(sequence), false) => {
            let subwords = isolate(pattern(Level::Subword, Split::Natural));
            let is_own = sequence.as_ref().first() == Some(&PreTokenizerWrapper::Split(subwords));
            is_own.then_some((Level::Subword, Split::Natural))
        }
        _ => None,
    }
}

/// Whether bytes are what a tokenizer merges.
fn is_byte_level(inner: &tokenizers::Tokenizer) -> bool {
    let is_bytes = |part: &PreTokenizerWrapper| matches!(part, PreTokenizerWrapper::ByteLevel(_));
    inner.get_pre_tokenizer().is_some_and(|own| match own {
        PreTokenizerWrapper::Sequence(sequence) => sequence.as_ref().iter().any(is_bytes),
        other => is_bytes(other),
    })
}

/// Whether a tokenizer cuts long parts of a text, as those of subwords do since there is a rule for it.
fn cuts(inner: &tokenizers::Tokenizer) -> bool {
    let cut = PreTokenizerWrapper::Split(isolate(&cut_pattern()));
    match inner.get_pre_tokenizer() {
        Some(PreTokenizerWrapper::Sequence(sequence)) => sequence.as_ref().contains(&cut),
        _ => false,
    }
}

/// Whether bytes are the beginning of a character.
fn could_continue(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && std::str::from_utf8(bytes)
            .is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none())
}

/// Splits a text into the matches of a pattern, which cover it.
fn isolate(pattern: &str) -> SplitPreTokenizer {
    split_by(pattern, SplitDelimiterBehavior::Isolated, false)
}

/// Splits a text into the matches of a pattern, without what lies between.
fn keep_only(pattern: &str) -> SplitPreTokenizer {
    split_by(pattern, SplitDelimiterBehavior::Removed, true)
}

fn split_by(pattern: &str, behavior: SplitDelimiterBehavior, invert: bool) -> SplitPreTokenizer {
    SplitPreTokenizer::new(SplitPattern::Regex(pattern.to_string()), behavior, invert)
        .expect("the patterns are valid")
}

/// A decoder that joins words by spaces, but not at line ends.
fn spaced_decoder() -> DecoderSequence {
    let replace_by_line_end = |found: &str| {
        DecoderWrapper::Replace(
            Replace::new(found.to_string(), "\n").expect("a plain string is a pattern"),
        )
    };
    DecoderSequence::new(vec![
        // Words with the prefix would get no space before them: it must be one that never occurs.
        DecoderWrapper::WordPiece(WordPiece::new("\u{10FFFF}".to_string(), false)),
        DecoderWrapper::Fuse(Fuse::new()),
        replace_by_line_end(" \n"),
        replace_by_line_end("\n "),
    ])
}

/// The printable character that stands for each byte in a byte-level vocabulary: GPT-2's table, as in the `tokenizers`
/// crate.
pub(super) static BYTE_CHARACTERS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut table = ['\0'; 256];
    let mut substitute = 256;
    for byte in 0..=255u8 {
        table[byte as usize] = match byte {
            b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => byte as char,
            _ => {
                substitute += 1;
                char::from_u32(substitute - 1).expect("256 to 323 are letters")
            }
        };
    }
    table
});

/// A text in the characters that stand for its bytes.
pub(super) fn in_byte_characters(text: &str) -> impl Iterator<Item = char> {
    text.bytes().map(|byte| BYTE_CHARACTERS[byte as usize])
}

/// The byte that a character of [`BYTE_CHARACTERS`] stands for.
fn byte_of_character(c: char) -> Option<u8> {
    // The substitutes from 256 on are those of the bytes that are not printable, in their order.
    match c as u32 {
        code @ 256..=288 => Some((code - 256) as u8),
        code @ 289..=322 => Some((code - 289 + 127) as u8),
        323 => Some(0xAD),
        code @ 0..=255 => Some(code as u8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_their_characters_are_one_to_one() {
        for (byte, character) in BYTE_CHARACTERS.into_iter().enumerate() {
            assert_eq!(byte_of_character(character), Some(byte as u8), "{byte}");
        }
        assert_eq!(byte_of_character('世'), None);
    }

    #[test]
    fn incomplete_characters_are_held_back() {
        let tokenizer = Tokenizer::bytes();
        let mut decoder = Decoder::new(&tokenizer);
        let pieces: Vec<String> = "é😀".bytes().map(|b| decoder.push(b.into())).collect();
        assert_eq!(pieces, ["", "é", "", "", "", "😀"]);
        assert_eq!(decoder.push(0xF0), "");
        assert_eq!(decoder.push(b'a'.into()), "\u{FFFD}a");
        assert_eq!(decoder.push(0xC3), "");
        assert_eq!(decoder.finish(), "\u{FFFD}");
    }

    #[test]
    fn invalid_bytes_are_not_held_back() {
        let tokenizer = Tokenizer::bytes();
        let mut decoder = Decoder::new(&tokenizer);
        let text: String = (0..1500).map(|_| decoder.push(0x80)).collect();
        assert_eq!(text.chars().count(), 1500);
    }

    #[test]
    fn words_are_decoded_with_their_spacing() {
        let words = [
            "Well", ",", " she", " said", ":", " \"", "no", "!\"", "\n", "!", "\"",
        ];
        let tokenizer = Tokenizer::words(Split::Natural, words.map(String::from).to_vec());
        let text = "Well, she said: \"no!\"\n";
        let (ids, unknown_words) = tokenizer.encode(text);
        assert_eq!(unknown_words, [""; 0]);
        assert_eq!(tokenizer.decode(&ids), text);
        assert_eq!(tokenizer.encode_reference(text), ids);
    }

    #[test]
    fn both_forms_of_a_word_are_one_token() {
        let composed = vec!["caf\u{e9}".to_string(), " na\u{ef}ve".to_string()];
        let text = "cafe\u{301} nai\u{308}ve";
        let old = Tokenizer::words(Split::Natural, composed);
        assert_eq!(old.encode(text).0, [0, 0]);
        let new = old.with_normalization(Normalization::Nfc);
        assert_eq!(new.encode(text), (vec![1, 2], vec![]));
        assert_eq!(new.encode_reference(text), [1, 2]);
        // The file decides, also for a vocabulary that is extended.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        let extended = new.extended(&Tokenizer::words(Split::Natural, vec!["b".into()]));
        for (tokenizer, size) in [(new, 3), (extended, 4)] {
            std::fs::write(&path, tokenizer.to_json()).unwrap();
            let loaded = Tokenizer::load(&path, Level::Word, Split::Natural).unwrap();
            assert_eq!(loaded.normalization(), Normalization::Nfc);
            assert_eq!(
                (loaded.encode(text).0, loaded.vocab_size()),
                (vec![1, 2], size)
            );
        }
    }

    #[test]
    fn tokenizers_from_before_there_were_cuts_merge_across_them() {
        let json = Tokenizer::subwords(Level::Subword, BPE::default()).to_json();
        let inner: tokenizers::Tokenizer = json.parse().unwrap();
        assert!(cuts(&inner) && !cuts(&Tokenizer::bytes().inner));
        let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json["pre_tokenizer"]["pretokenizers"]
            .as_array_mut()
            .unwrap()
            .remove(1);
        let old: tokenizers::Tokenizer = json.to_string().parse().unwrap();
        assert!(!cuts(&old));
    }

    #[test]
    fn the_penn_treebank_is_encoded_as_words_and_line_ends() {
        let words = ["the", "N", UNKNOWN, "\n"].map(String::from).to_vec();
        let tokenizer = Tokenizer::words(Split::Whitespace, words);
        assert_eq!(tokenizer.vocab_size(), 4);
        let (ids, unknown_words) = tokenizer.encode(" the N <unk> \n the market\n");
        assert_eq!(ids, [0, 1, 2, 3, 0, 2, 3]);
        assert_eq!(unknown_words, ["market"]);
        assert_eq!(tokenizer.decode(&ids[..5]), "the N <unk>\nthe");
    }
}

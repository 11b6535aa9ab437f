/*!
The vocabulary, and what each of its entries is in text.

Whatever the level, the tokenizer is one `Tokenizer` of the `tokenizers` crate, saved in that crate's own format, so
that Python's `tokenizers` gives the same ids. The crate defines the ids; [`super::encoder`] finds them faster.
*/

use std::path::Path;

use ahash::AHashMap;
use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as DecoderSequence;
use tokenizers::decoders::wordpiece::WordPiece;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::normalizers::Replace;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizerSequence;
use tokenizers::pre_tokenizers::split::{Split as SplitPreTokenizer, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;

use super::source::Form;
use super::{Level, Split};
use crate::error::{Error, Result};
use crate::files;

/// What stands for characters and words outside the vocabulary.
pub const UNKNOWN: &str = "<unk>";

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

/// A learnt vocabulary with its two directions, text to ids and ids to text.
#[derive(Clone)]
pub struct Tokenizer {
    level: Level,
    split: Split,
    inner: tokenizers::Tokenizer,
    /// The bytes that each id stands for.
    pieces: Vec<Vec<u8>>,
    unknown: Option<u32>,
}

impl Tokenizer {
    /// All 256 bytes; the id of a byte is its value.
    pub fn bytes() -> Self {
        let vocabulary: AHashMap<String, u32> = byte_characters()
            .iter()
            .zip(0..)
            .map(|(c, id)| (c.to_string(), id))
            .collect();
        Self::subwords(Level::Byte, BPE::new(vocabulary, Vec::new()))
    }

    /// Characters in the order of their ids; id 0 is [`UNKNOWN`].
    pub fn characters(characters: &[char]) -> Self {
        let written = characters.iter().map(char::to_string).collect();
        Self::word_level(Level::Character, Split::Natural, written)
    }

    /// Words in the order of their ids. [`UNKNOWN`] comes first unless it is one of them, as in the Penn Treebank.
    pub fn words(split: Split, words: Vec<String>) -> Self {
        Self::word_level(Level::Word, split, words)
    }

    /// This vocabulary, and after it what another of the same level has besides. Bytes and subwords, which can write
    /// anything already, stay as they are.
    pub fn grown(&self, other: &Tokenizer) -> Self {
        if matches!(self.level, Level::Byte | Level::Subword) {
            return Self::of(self.level, self.split, self.inner.clone());
        }
        let own: std::collections::HashSet<&Vec<u8>> = self.pieces.iter().collect();
        let new = other.pieces.iter().filter(|piece| !own.contains(piece));
        let all = self.pieces.iter().chain(new);
        let words = all.map(|piece| String::from_utf8_lossy(piece).into_owned());
        // Characters begin with the token for the unknown whatever comes.
        let skipped = usize::from(self.level == Level::Character);
        Self::word_level(self.level, self.split, words.skip(skipped).collect())
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
        if split == Split::Whitespace {
            inner.with_pre_tokenizer(Some(split_by(
                pattern,
                SplitDelimiterBehavior::Removed,
                true,
            )));
            // Words are joined by spaces, lines by line ends: the prefix that would suppress a space is one no text has.
            let unspaced = |found: &str| {
                DecoderWrapper::Replace(
                    Replace::new(found.to_string(), "\n").expect("a plain string is a pattern"),
                )
            };
            inner.with_decoder(Some(DecoderSequence::new(vec![
                DecoderWrapper::WordPiece(WordPiece::new("\u{10FFFF}".to_string(), false)),
                DecoderWrapper::Fuse(Fuse::new()),
                unspaced(" \n"),
                unspaced("\n "),
            ])));
        } else {
            inner.with_pre_tokenizer(Some(split_by(
                pattern,
                SplitDelimiterBehavior::Isolated,
                false,
            )));
            inner.with_decoder(Some(Fuse::new()));
        }
        Self::of(level, split, inner)
    }

    /// Subwords that `model` learnt over the characters that stand for bytes.
    pub(super) fn subwords(level: Level, model: BPE) -> Self {
        let mut inner = tokenizers::Tokenizer::new(model);
        let bytes = ByteLevel::new(false, true, false);
        if level == Level::Byte {
            inner.with_pre_tokenizer(Some(bytes));
        } else {
            let words = split_by(
                pattern(level, Split::Natural),
                SplitDelimiterBehavior::Isolated,
                false,
            );
            inner.with_pre_tokenizer(Some(PreTokenizerSequence::new(vec![
                PreTokenizerWrapper::Split(words),
                PreTokenizerWrapper::ByteLevel(bytes),
            ])));
        }
        inner.with_decoder(Some(bytes));
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
            inner,
            pieces,
            unknown,
        }
    }

    /// Loads tokenizer.json; `level` and `split` are what config.json says of it.
    pub fn load(path: &Path, level: Level, split: Split) -> Result<Self> {
        let json = files::read_text(path)?;
        let inner: tokenizers::Tokenizer = json.parse().map_err(|e| {
            Error::new(format!(
                "{} is not a tokenizer that can be read: {e}",
                path.display()
            ))
        })?;
        Ok(Self::of(level, split, inner))
    }

    /// The `tokenizers` crate's own format.
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

    /// How many different tokens there are.
    pub fn vocab_size(&self) -> usize {
        self.pieces.len()
    }

    /// The id of what is outside the vocabulary, where anything can be.
    pub fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// The token that stands before a text's first: the end of a line, where the vocabulary has one.
    pub fn line_end(&self) -> u32 {
        let found = self.pieces.iter().position(|piece| piece == b"\n");
        found.map_or(self.unknown.unwrap_or(0), |id| id as u32)
    }

    /// The bytes that a token stands for. With [`Split::Whitespace`], without the space before it.
    pub fn piece(&self, id: u32) -> &[u8] {
        &self.pieces[id as usize]
    }

    /// What files are read as for this tokenizer.
    pub fn form(&self) -> Form {
        match (self.level, self.split) {
            (Level::Byte, _) => Form::Bytes,
            (_, Split::Whitespace) => Form::Lines,
            _ => Form::Text,
        }
    }

    /// The ids of a text, by the `tokenizers` crate: the definition that [`super::encoder`] is held to.
    pub fn define(&self, text: &str) -> Vec<u32> {
        self.inner
            .encode(text, false)
            .expect("every level has a token for anything")
            .get_ids()
            .to_vec()
    }

    /// The text of some ids.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut decoder = Decoder::new(self);
        let mut text: String = ids.iter().map(|&id| decoder.push(id)).collect();
        text.push_str(&decoder.finish());
        text
    }

    /// The subword model, for [`super::encoder`].
    pub(super) fn subword_model(&self) -> &tokenizers::ModelWrapper {
        self.inner.get_model()
    }
}

/// Ids to text, one at a time, in whole characters.
#[derive(Clone)]
pub struct Decoder<'t> {
    tokenizer: &'t Tokenizer,
    /// The first bytes of a character whose last have not come yet.
    pending: Vec<u8>,
    /// Whether the next word is set off by a space.
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

    /// The text that `id` adds: empty while a character is incomplete, U+FFFD for bytes that cannot be text.
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

    /// What is left when no more will come.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        text
    }
}

/// Whether bytes that are no character yet may become one.
fn could_continue(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && std::str::from_utf8(bytes)
            .is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none())
}

/// The regular expression whose matches are the tokens, or what tokens are made within.
pub(super) fn pattern(level: Level, split: Split) -> &'static str {
    match (level, split) {
        (Level::Word, Split::Whitespace) => WHITESPACE_PATTERN,
        (Level::Word, Split::Natural) => WORD_PATTERN,
        (Level::Subword, _) => SUBWORD_PATTERN,
        (Level::Character | Level::Byte, _) => CHARACTER_PATTERN,
    }
}

fn split_by(pattern: &str, behavior: SplitDelimiterBehavior, invert: bool) -> SplitPreTokenizer {
    SplitPreTokenizer::new(SplitPattern::Regex(pattern.to_string()), behavior, invert)
        .expect("the patterns of this file are regular expressions")
}

/// The printable character that stands for each byte in a byte-level vocabulary: GPT-2's table, which the `tokenizers`
/// crate follows.
pub(super) fn byte_characters() -> [char; 256] {
    let mut table = ['\0'; 256];
    let mut stand_in = 256;
    for byte in 0..=255u8 {
        table[byte as usize] = match byte {
            b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => byte as char,
            _ => {
                stand_in += 1;
                char::from_u32(stand_in - 1).expect("256 to 323 are letters")
            }
        };
    }
    table
}

fn byte_of_character(c: char) -> Option<u8> {
    // The stand-ins count through the bytes that are not printable, in their order.
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
    fn bytes_and_the_characters_that_stand_for_them_are_one_to_one() {
        for (byte, character) in byte_characters().into_iter().enumerate() {
            assert_eq!(byte_of_character(character), Some(byte as u8), "{byte}");
        }
        assert_eq!(byte_of_character('世'), None);
    }

    #[test]
    fn half_a_character_waits_for_its_other_half() {
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
    fn a_stream_of_stray_bytes_is_never_held_back() {
        let tokenizer = Tokenizer::bytes();
        let mut decoder = Decoder::new(&tokenizer);
        let text: String = (0..1500).map(|_| decoder.push(0x80)).collect();
        assert_eq!(text.chars().count(), 1500);
    }

    #[test]
    fn words_come_back_with_their_spacing() {
        let words = [
            "Well", ",", " she", " said", ":", " \"", "no", "!\"", "\n", "!", "\"",
        ];
        let tokenizer = Tokenizer::words(Split::Natural, words.map(String::from).to_vec());
        let text = "Well, she said: \"no!\"\n";
        let (ids, strangers) = tokenizer.encode(text);
        assert_eq!(strangers, [""; 0]);
        assert_eq!(tokenizer.decode(&ids), text);
        assert_eq!(tokenizer.define(text), ids);
    }

    #[test]
    fn the_treebank_is_read_as_words_and_line_ends() {
        let words = ["the", "N", UNKNOWN, "\n"].map(String::from).to_vec();
        let tokenizer = Tokenizer::words(Split::Whitespace, words);
        assert_eq!(tokenizer.vocab_size(), 4);
        let (ids, strangers) = tokenizer.encode(" the N <unk> \n the market\n");
        assert_eq!(ids, [0, 1, 2, 3, 0, 2, 3]);
        assert_eq!(strangers, ["market"]);
        assert_eq!(tokenizer.decode(&ids[..5]), "the N <unk>\nthe");
    }
}

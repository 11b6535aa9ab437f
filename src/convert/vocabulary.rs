/*!
The vocabulary of a model of another program: its tokens, and which row of the model's matrices each has.
*/

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::files;
use crate::text::source::InvalidBytes;
use crate::text::text_reader::TextReader;
use crate::text::tokenizer::{Tokenizer, UNKNOWN};
use crate::text::{Level, Split};

/// The vocabulary of bytes.
const BYTES: usize = 256;
/// What fastai calls the unknown token.
const FASTAI_UNKNOWN: &str = "xxunk";
/// What corpora of sentences, such as the Penn Treebank's, call the line end.
const LINE_END: &str = "<eos>";
/// Tokens that a line of a file cannot be, and how they are written there.
const WRITTEN: [(&str, &str); 3] = [("\\n", "\n"), ("\\t", "\t"), ("\\r", "\r")];

/// A vocabulary, and the rows of its tokens.
pub struct Vocabulary {
    /// The tokens, in this program's order.
    pub tokenizer: Tokenizer,
    /// The row of each in the other program's matrices; `None` for a token that the other program did not have.
    pub rows: Vec<Option<usize>>,
    /// What is to be said of it.
    pub notes: Vec<String>,
    /// What it was read from, for messages.
    origin: String,
}

impl Vocabulary {
    /// The 256 bytes.
    pub fn bytes() -> Self {
        Self::unchanged(Tokenizer::bytes(), "--level byte".to_string())
    }

    /// Reads a file with a token a line, in the order of their ids; `\n`, `\t` and `\r` are written so.
    ///
    /// # Errors
    /// A file that cannot be read, or has a token twice.
    pub fn of_file(path: &Path, level: Level) -> Result<Self> {
        let refused = InvalidBytes::Refused("convert the file to UTF-8");
        let text = TextReader::open(path, refused)?.rest()?;
        let lines = text.strip_suffix('\n').unwrap_or(&text).split('\n');
        let token = |line: &str| {
            let written = WRITTEN.iter().find(|(written, _)| *written == line);
            written.map_or(line, |(_, token)| token).to_string()
        };
        Self::of_tokens(lines.map(token).collect(), level, path)
    }

    /// Reads a `tokenizer.json`, this program's or of Hugging Face. The level is that of the file, unless only its words are
    /// taken.
    ///
    /// # Errors
    /// A file that cannot be read, or whose tokenizer is of another kind; words without a level.
    pub fn of_tokenizer(path: &Path, level: Option<Level>) -> Result<Self> {
        let origin = path.display().to_string();
        if let Some(tokenizer) = Tokenizer::load_own(path)? {
            if level.is_some_and(|level| level != tokenizer.level()) {
                return Err(Error::usage(format!(
                    "{origin} is of the level {}; leave --level away",
                    tokenizer.level()
                )));
            }
            return Ok(Self::unchanged(tokenizer, origin));
        }
        let json: Value = serde_json::from_str(&files::read_text(path)?)
            .map_err(|e| Error::new(format!("{origin} cannot be understood: {e}")))?;
        let kind = json["model"]["type"].as_str().unwrap_or_default();
        if kind == "WordLevel" {
            let level = level.ok_or_else(|| {
                Error::usage(format!(
                    "{origin} divides texts in a way of its own; say with --level word or --level char what its tokens are"
                ))
            })?;
            let mut vocabulary = Self::of_tokens(words(&json, &origin)?, level, path)?;
            vocabulary.notes.push(format!(
                "of {origin} the tokens are taken; texts are divided as this program does at --level {level}"
            ));
            return Ok(vocabulary);
        }
        let tokenizer = Tokenizer::load_byte_level(path)?.ok_or_else(|| {
            Error::new(format!(
                "{origin} is a tokenizer of the kind {kind}; this program reads its own, WordLevel, and BPE of bytes (ByteLevel) \
                 with a token for each of the 256"
            ))
        })?;
        let mut vocabulary = Self::unchanged(tokenizer, origin);
        vocabulary.notes.push(format!(
            "the merges of {} are taken, and texts are divided before by this program's rules: around apostrophes, digits and \
             spaces some tokens may be others",
            vocabulary.origin
        ));
        Ok(vocabulary)
    }

    /// A vocabulary whose tokens are in the order of the rows.
    fn unchanged(tokenizer: Tokenizer, origin: String) -> Self {
        Vocabulary {
            rows: (0..tokenizer.vocab_size()).map(Some).collect(),
            tokenizer,
            notes: Vec::new(),
            origin,
        }
    }

    /// The vocabulary of tokens in the order of their rows.
    fn of_tokens(tokens: Vec<String>, level: Level, path: &Path) -> Result<Self> {
        let origin = path.display().to_string();
        if level == Level::Byte {
            return Err(Error::usage(format!(
                "the tokens of {origin} are no bytes, whose ids are their values; give --level word or --level char"
            )));
        }
        let mut notes = Vec::new();
        let mut tokens = tokens;
        let mut known: HashMap<String, usize> = HashMap::new();
        for (line, token) in (1..).zip(&tokens) {
            if let Some(before) = known.insert(token.clone(), line) {
                return Err(Error::new(format!(
                    "{origin}: the token {token:?} of line {line} is that of line {before} too; each has a line of its own"
                )));
            }
        }
        let mut rename = |from: &str, to: &str, note: &str| {
            if let Some(&line) = known.get(from).filter(|_| !known.contains_key(to)) {
                tokens[line - 1] = to.to_string();
                notes.push(format!("{from} of {origin} is taken for {note}"));
            }
        };
        rename(FASTAI_UNKNOWN, UNKNOWN, "the unknown token");
        if level == Level::Word {
            rename(LINE_END, "\n", "the line end");
        }
        let mut rows: Vec<Option<usize>> = (0..tokens.len()).map(Some).collect();
        let unknown = tokens.iter().position(|token| token == UNKNOWN);
        match (unknown, level) {
            // This program's characters begin with the unknown one.
            (Some(row), Level::Character) => {
                let moved = (tokens.remove(row), rows.remove(row));
                tokens.insert(0, moved.0);
                rows.insert(0, moved.1);
            }
            (Some(_), _) => {}
            (None, _) => {
                tokens.insert(0, UNKNOWN.to_string());
                rows.insert(0, None);
                notes.push(format!(
                    "{origin} has no unknown token: {UNKNOWN} is added, with a probability below 1e-13"
                ));
            }
        }
        let spaced = tokens
            .iter()
            .any(|token| token.len() > 1 && token.starts_with(' '));
        let split = match (level, spaced) {
            (Level::Word, false) => Split::Whitespace,
            _ => Split::Natural,
        };
        Ok(Vocabulary {
            tokenizer: Tokenizer::of_tokens(level, split, tokens),
            rows,
            notes,
            origin,
        })
    }

    /// Checks that a model has so many rows.
    ///
    /// # Errors
    /// If it has others.
    pub fn check(&self, vocab_size: usize) -> Result<()> {
        let own = self.rows.iter().flatten().count();
        match own == vocab_size {
            true => Ok(()),
            false => Err(Error::new(format!(
                "{} has {own} tokens, but the model's embedding has {vocab_size} rows; give the vocabulary of this model",
                self.origin
            ))),
        }
    }

    /// The vocabulary where none was given: bytes, if there are as many rows.
    ///
    /// # Errors
    /// Another number of rows, with what to give.
    pub fn default_of(vocab_size: usize) -> Result<Self> {
        match vocab_size {
            BYTES => Ok(Self::bytes()),
            _ => Err(Error::usage(format!(
                "the model has {vocab_size} tokens, and its file does not tell which; give them with --vocabulary FILE (a token a \
                 line, in the order of their ids) and --level word or char, or with --tokenizer tokenizer.json"
            ))),
        }
    }
}

/// The tokens of a WordLevel tokenizer and those added to it, in the order of their ids.
fn words(json: &Value, origin: &str) -> Result<Vec<String>> {
    let mut tokens: Vec<(u64, String)> = Vec::new();
    let own = json["model"]["vocab"].as_object().into_iter().flatten();
    tokens.extend(own.filter_map(|(token, id)| Some((id.as_u64()?, token.clone()))));
    for added in json["added_tokens"].as_array().into_iter().flatten() {
        if let Some((id, token)) = added["id"].as_u64().zip(added["content"].as_str()) {
            tokens.push((id, token.to_string()));
        }
    }
    tokens.sort();
    tokens.dedup();
    let in_order = (0..).zip(&tokens).all(|(place, (id, _))| place == *id);
    match in_order && !tokens.is_empty() {
        true => Ok(tokens.into_iter().map(|(_, token)| token).collect()),
        false => Err(Error::new(format!(
            "{origin}: its tokens do not have the ids from 0 on, each once"
        ))),
    }
}

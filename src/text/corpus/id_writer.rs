/*!
Encodes text to a file of token ids, and counts what is written.
*/

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::characters::count_characters;
use super::ids::IdWidth;
use crate::error::{Error, Result};
use crate::metrics::TextSize;
use crate::text::encoder::Encoder;
use crate::text::spelling::Spelling;
use crate::text::tokenizer::Tokenizer;

/// Counts of a text that was written.
#[derive(Default)]
pub(super) struct TextCounts {
    pub size: TextSize,
    /// Number of occurrences of each token.
    pub token_counts: Vec<u64>,
    /// Number of characters or words that are not in the vocabulary.
    pub unknown: u64,
    /// Cost of spelling those, in nats; 0 unless [`IdWriter::count_spelling`] was called.
    pub spelling_nats: f64,
}

/// Writes the ids of text that comes in pieces.
pub(super) struct IdWriter<'a> {
    path: &'a Path,
    out: BufWriter<File>,
    width: IdWidth,
    tokenizer: &'a Tokenizer,
    encoder: Encoder<'a>,
    spelling: Option<Spelling>,
    counts: TextCounts,
    /// Ids and bytes of a piece, kept for their allocations.
    ids: Vec<u32>,
    bytes: Vec<u8>,
}

impl<'a> IdWriter<'a> {
    /// A writer to `file`. `path` is for messages.
    pub fn new(file: File, path: &'a Path, tokenizer: &'a Tokenizer) -> Self {
        IdWriter {
            path,
            out: BufWriter::new(file),
            width: IdWidth::of(tokenizer.vocab_size()),
            tokenizer,
            encoder: Encoder::new(tokenizer),
            spelling: None,
            counts: Self::no_counts(tokenizer),
            ids: Vec::new(),
            bytes: Vec::new(),
        }
    }

    fn no_counts(tokenizer: &Tokenizer) -> TextCounts {
        TextCounts {
            token_counts: vec![0; tokenizer.vocab_size()],
            ..TextCounts::default()
        }
    }

    /// Counts the cost of spelling unknown words from here on.
    pub fn count_spelling(&mut self, spelling: Spelling) {
        self.spelling = Some(spelling);
    }

    /// Writes the next piece of the text.
    pub fn push(&mut self, piece: &[u8]) -> Result<()> {
        self.counts.size.bytes += piece.len() as u64;
        self.counts.size.characters += count_characters(piece);
        self.encode(Some(piece))
    }

    /// Ends the text and returns its counts. Another text may follow.
    pub fn finish_text(&mut self) -> Result<TextCounts> {
        self.encode(None)?;
        self.encoder = Encoder::new(self.tokenizer);
        let none = Self::no_counts(self.tokenizer);
        Ok(std::mem::replace(&mut self.counts, none))
    }

    /// Encodes a piece, or the end of the text.
    fn encode(&mut self, piece: Option<&[u8]>) -> Result<()> {
        let mut unknown_word = |word: &str| {
            self.counts.unknown += 1;
            self.counts.spelling_nats += self
                .spelling
                .as_ref()
                .map_or(0.0, |spelling| spelling.nats(word));
        };
        match piece {
            Some(piece) => self.encoder.push(piece, &mut self.ids, &mut unknown_word),
            None => self.encoder.finish(&mut self.ids, &mut unknown_word),
        }
        self.ids
            .iter()
            .for_each(|&id| self.counts.token_counts[id as usize] += 1);
        self.counts.size.tokens += self.ids.len() as u64;
        self.bytes.clear();
        self.width.append(&self.ids, &mut self.bytes);
        self.ids.clear();
        self.out
            .write_all(&self.bytes)
            .map_err(|e| Error::file("write", self.path, e))
    }

    /// Writes everything to the disk.
    pub fn flush(&mut self) -> Result<()> {
        self.out
            .flush()
            .and_then(|()| self.out.get_ref().sync_data())
            .map_err(|e| Error::file("write", self.path, e))
    }
}

/*!
Files encoded for evaluation.
*/

use std::path::PathBuf;

use super::id_writer::IdWriter;
use super::ids::Ids;
use crate::error::{Error, Result};
use crate::metrics::TextSize;
use crate::text::source::{self, InvalidBytes};
use crate::text::spelling::Spelling;
use crate::text::tokenizer::Tokenizer;

/// Token ids of files, and their counts.
pub struct EncodedText {
    /// The token ids.
    pub ids: Ids,
    /// Size of the text.
    pub size: TextSize,
    /// Number of characters or words that are not in the vocabulary.
    pub unknown: u64,
    /// Cost of spelling those, in nats.
    pub spelling_nats: f64,
    /// Notes for the user on how the files were decoded.
    pub notes: Vec<String>,
}

/// Encodes files to a temporary file, which is deleted with the ids.
///
/// # Errors
/// Files that cannot be read; invalid UTF-8, unless it is replaced.
pub fn encode_files(
    files: &[PathBuf],
    tokenizer: &Tokenizer,
    spelling: &Spelling,
    invalid: InvalidBytes,
) -> Result<EncodedText> {
    let folder = std::env::temp_dir();
    let file =
        tempfile::tempfile().map_err(|e| Error::file("create a temporary file in", &folder, e))?;
    let copy = file
        .try_clone()
        .map_err(|e| Error::file("use a temporary file in", &folder, e))?;
    let mut writer = IdWriter::new(copy, &folder, tokenizer);
    writer.count_spelling(spelling.clone());
    let notes = source::read(files, tokenizer.read_mode(), invalid, &mut |piece| {
        writer.push(piece)
    })?;
    let counts = writer.finish_text()?;
    writer.flush()?;
    Ok(EncodedText {
        ids: Ids::map(&file, &folder, tokenizer.vocab_size())?,
        size: counts.size,
        unknown: counts.unknown,
        spelling_nats: counts.spelling_nats,
        notes: notes.messages(),
    })
}

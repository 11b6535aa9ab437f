/*!
The first pass over a corpus, for its size and hash, and later passes, which divide it into its two parts.
*/

use std::path::PathBuf;

use super::characters::{count_characters, offset_of_character};
use super::plan::{CorpusPlan, Validation};
use crate::error::Result;
use crate::metrics::TextSize;
use crate::text::source::{self, InvalidBytes};

/// Result of the first pass over a corpus.
pub(super) struct Scan {
    /// Size of the text, without validation files.
    pub text: TextSize,
    /// Number of characters of the text that belong to the training part.
    pub train_characters: u64,
    /// Hash of all bytes read, which later passes must reproduce.
    pub bytes_hash: blake3::Hash,
    /// Hash of the corpus: of the bytes, and of where the validation files begin.
    pub hash: String,
    /// Notes for the user on how the files were decoded.
    pub notes: Vec<String>,
}

/// A part of a corpus.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CorpusPart {
    Train,
    Valid,
}

impl Scan {
    /// Reads the whole corpus.
    pub fn new(plan: &CorpusPlan) -> Result<Self> {
        let mut hasher = blake3::Hasher::new();
        let mut text = TextSize::default();
        let notes = read(plan, &plan.files, &mut |piece| {
            hasher.update(piece);
            text.bytes += piece.len() as u64;
            text.characters += count_characters(piece);
            Ok(())
        })?;
        let valid_notes = read(plan, plan.valid_files(), &mut |piece| {
            hasher.update(piece);
            Ok(())
        })?;
        let valid_notes = valid_notes.into_iter();
        let bytes_hash = hasher.finalize();
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(bytes_hash.as_bytes())
            .update(&text.bytes.to_le_bytes());
        Ok(Scan {
            train_characters: train_characters(&plan.validation, text.characters),
            text,
            bytes_hash,
            hash: hasher.finalize().to_hex().to_string(),
            notes: notes
                .into_iter()
                .chain(valid_notes.map(|note| format!("validation: {note}")))
                .collect(),
        })
    }
}

/// Reads a corpus again, and passes on each piece with its part. The training part comes first.
pub(super) fn read_parts(
    plan: &CorpusPlan,
    scan: &Scan,
    each: &mut dyn FnMut(CorpusPart, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut left = scan.train_characters;
    read(plan, &plan.files, &mut |piece| {
        let characters = count_characters(piece);
        if characters <= left {
            left -= characters;
            return each(CorpusPart::Train, piece);
        }
        let end = offset_of_character(piece, left as usize);
        left = 0;
        if end > 0 {
            each(CorpusPart::Train, &piece[..end])?;
        }
        each(CorpusPart::Valid, &piece[end..])
    })?;
    read(plan, plan.valid_files(), &mut |piece| {
        each(CorpusPart::Valid, piece)
    })?;
    Ok(())
}

/// Reads files as the plan says; returns the notes for the user.
fn read(
    plan: &CorpusPlan,
    files: &[PathBuf],
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Vec<String>> {
    let invalid = match plan.lossy {
        true => InvalidBytes::Replaced,
        false => InvalidBytes::Refused(
            "convert the file, read it as bytes (--level byte), or replace invalid bytes (--lossy)",
        ),
    };
    source::read(files, plan.read_mode(), invalid, each).map(|notes| notes.messages())
}

fn train_characters(validation: &Validation, characters: u64) -> u64 {
    match validation {
        Validation::Default => characters - default_valid_characters(characters),
        Validation::Fraction(fraction) => (characters as f64 * (1.0 - fraction)).floor() as u64,
        Validation::Files(_) => characters,
    }
}

/// Default number of validation characters: a tenth, but 2,000 if that is more, and at most a fifth of a small text.
fn default_valid_characters(characters: u64) -> u64 {
    let tenth = characters - (characters as f64 * 0.9).floor() as u64;
    tenth.max((characters / 5).min(2_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_texts_have_a_larger_validation_fraction() {
        for (characters, expected) in [
            (1_115_394, 111_540),
            (1_000, 200),
            (15_000, 2_000),
            (30_000, 3_000),
        ] {
            assert_eq!(default_valid_characters(characters), expected);
        }
    }
}

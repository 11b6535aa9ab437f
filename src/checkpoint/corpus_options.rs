/*!
How a corpus is to be read, by the options that were given: its files, its vocabulary, and the validation data.
*/

use std::path::PathBuf;

use super::arguments::TrainArguments;
use crate::error::{Error, Result};
use crate::files::absolute;
use crate::text::corpus::{CorpusPlan, Validation};
use crate::text::source::list_files;
use crate::text::vocabulary::VocabularyConfig;
use crate::text::{Level, Normalization, Split};

impl TrainArguments {
    /// How the vocabulary is to be made.
    ///
    /// # Errors
    /// Options that contradict the level.
    pub fn vocabulary(&self) -> Result<VocabularyConfig> {
        let level = self.level.unwrap_or(Level::Character);
        let split = self.split.unwrap_or_default();
        if self.split.is_some() && level != Level::Word {
            return Err(Error::usage(format!(
                "--split is for --level word, not for {level}"
            )));
        }
        if self.vocab_size.is_some() && level == Level::Byte {
            return Err(Error::usage(
                "--vocab-size is not for --level byte, which always has 256 tokens",
            ));
        }
        if self.min_count.is_some() && matches!(level, Level::Byte | Level::Subword) {
            return Err(Error::usage(format!(
                "--min-count is for characters and words, not for {level}"
            )));
        }
        let natural_words = level == Level::Word && split == Split::Natural;
        Ok(VocabularyConfig {
            level,
            split,
            vocab_size: self.vocab_size.or((level == Level::Word).then_some(30_000)),
            min_count: self.min_count.unwrap_or(if natural_words { 2 } else { 1 }),
            normalization: Normalization::of(level),
        })
    }

    /// The validation data.
    ///
    /// # Errors
    /// A fraction that is not between 0 and 1.
    pub fn validation(&self) -> Result<Validation> {
        let Some(given) = &self.valid else {
            return Ok(Validation::Default);
        };
        match given.parse::<f64>() {
            Ok(fraction) if fraction > 0.0 && fraction < 1.0 => Ok(Validation::Fraction(fraction)),
            Ok(fraction) => Err(Error::usage(format!(
                "--valid {fraction} is not a fraction: give a number above 0 and below 1, or the name of a file"
            ))),
            Err(_) => Ok(Validation::Files(vec![PathBuf::from(given)])),
        }
    }

    /// The plan of the text in the files and folders at `paths`. The name of a validation file becomes absolute, so that it
    /// can be recorded.
    ///
    /// # Errors
    /// Options that contradict each other, files that do not exist.
    pub fn corpus_plan(&mut self, paths: &[PathBuf]) -> Result<CorpusPlan> {
        let validation = match self.validation()? {
            Validation::Files(files) => {
                let files = absolute(files)?;
                self.valid = files.first().map(|file| file.display().to_string());
                Validation::Files(corpus_files(&files)?)
            }
            fraction => fraction,
        };
        Ok(CorpusPlan {
            files: corpus_files(paths)?,
            validation,
            lossy: self.lossy,
            vocabulary: self.vocabulary()?,
            from: None,
        })
    }

    /// The error that there is no validation data.
    pub fn nothing_to_validate(&self) -> Error {
        Error::new(match self.validation() {
            Ok(Validation::Files(_)) => "the validation file (--valid) has no text",
            _ => {
                "the corpus is too small to validate on a part of it; give more text, or a validation file with --valid"
            }
        })
    }
}

/// Absolute paths of the files of a corpus.
///
/// # Errors
/// Paths that do not exist, and pipes, which cannot be read again.
fn corpus_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let files = absolute(list_files(paths)?)?;
    match files.iter().find(|file| file.exists() && !file.is_file()) {
        None => Ok(files),
        Some(pipe) => Err(Error::new(format!(
            "{} is no file, and a corpus is read several times; give a pipe as -, or write a file",
            pipe.display()
        ))),
    }
}

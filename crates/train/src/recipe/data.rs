/*!
How the data is to be read: the vocabulary, and the validation data.
*/

use std::path::PathBuf;

use carousel::checkpoint::arguments::TrainArguments;
use carousel::error::{Error, Result};
use carousel::text::corpus::Validation;
use carousel::text::vocabulary::VocabularyConfig;
use carousel::text::{Level, Split};

/// How the vocabulary is to be made.
///
/// # Errors
/// Options that contradict the level.
pub fn vocabulary(arguments: &TrainArguments) -> Result<VocabularyConfig> {
    let level = arguments.level.unwrap_or(Level::Character);
    let split = arguments.split.unwrap_or_default();
    if arguments.split.is_some() && level != Level::Word {
        return Err(Error::usage(format!(
            "--split is for --level word, not for {level}"
        )));
    }
    if arguments.vocab_size.is_some() && level == Level::Byte {
        return Err(Error::usage(
            "--vocab-size is not for --level byte, which always has 256 tokens",
        ));
    }
    if arguments.min_count.is_some() && matches!(level, Level::Byte | Level::Subword) {
        return Err(Error::usage(format!(
            "--min-count is for characters and words, not for {level}"
        )));
    }
    let natural_words = level == Level::Word && split == Split::Natural;
    Ok(VocabularyConfig {
        level,
        split,
        vocab_size: arguments
            .vocab_size
            .or((level == Level::Word).then_some(30_000)),
        min_count: arguments
            .min_count
            .unwrap_or(if natural_words { 2 } else { 1 }),
    })
}

/// The validation data.
///
/// # Errors
/// A fraction that is not between 0 and 1.
pub fn validation(arguments: &TrainArguments) -> Result<Validation> {
    let Some(given) = &arguments.valid else {
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

/*!
A language model, opened from its checkpoint.
*/

use super::predictor::Predictor;
use crate::checkpoint::parts::Head;
use crate::checkpoint::{Directory, ModelConfig};
use crate::error::{Error, Result};
use crate::text::tokenizer::Tokenizer;
use carousel_kernels::Precision;

/// A language model: what predicts the next token, and the tokenizer.
pub struct Model {
    /// Configuration of the network.
    pub config: ModelConfig,
    /// Tokenizer with the vocabulary.
    pub tokenizer: Tokenizer,
    /// What predicts the next token.
    pub predictor: Predictor,
}

impl Model {
    /// Opens a checkpoint, and checks that its parts belong together. It computes with up to `threads` threads.
    ///
    /// # Errors
    /// A checkpoint that is damaged, or of a classifier or a translator.
    pub fn open(directory: &Directory, precision: Precision, threads: usize) -> Result<Self> {
        let config = directory.load_config()?;
        config.check_no_translator(directory.path())?;
        if let Head::Labels(_) = config.head {
            return Err(Error::new(format!(
                "{} is a classifier, not a language model; use it with `carousel classify`",
                directory.path().display()
            )));
        }
        // Of a forecaster, this says what it is for.
        let tokenizer = directory.load_tokenizer(&config)?;
        let weights = directory.load_weights(&config)?;
        let line_end = tokenizer.line_end();
        let predictor = Predictor::load(&config, &weights, line_end, precision, threads)?;
        Ok(Model {
            config,
            tokenizer,
            predictor,
        })
    }

    /// Checks that there is a token to write. Before training refused to begin with such a vocabulary, there were models
    /// without one.
    ///
    /// # Errors
    /// If there is none.
    pub fn check_writes(&self) -> Result<()> {
        let tokenizer = &self.tokenizer;
        match tokenizer.vocab_size() == 1 && tokenizer.barred().is_some() {
            false => Ok(()),
            true => Err(Error::new(
                "the model has no token but the unknown one, so that it can write nothing; train it again, with a lower \
                 --min-count or another --level",
            )),
        }
    }
}

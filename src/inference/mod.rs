/*!
What is done with a trained model, in plain Rust: nothing here needs libtorch.
*/

pub mod classifier;
pub mod evaluation;
pub mod explanation;
pub mod generator;
pub mod linear;
pub mod recurrent;
pub mod sampling;

use crate::checkpoint::config::Task;
use crate::checkpoint::{Directory, ModelConfig};
use crate::error::{Error, Result};
use crate::text::tokenizer::Tokenizer;
use carousel_kernels::Precision;

/// A checkpoint, opened.
pub struct Model {
    /// What the network is.
    pub config: ModelConfig,
    /// Its vocabulary.
    pub tokenizer: Tokenizer,
    /// Its weights, ready to step.
    pub network: recurrent::Network,
}

impl Model {
    /// Opens a checkpoint, and checks that its parts belong together. Up to `threads` threads will work on its steps.
    pub fn open(directory: &Directory, precision: Precision, threads: usize) -> Result<Self> {
        let config = directory.load_config()?;
        if config.task != Task::LanguageModel {
            return Err(Error::new(format!(
                "{} is a classifier and writes nothing; `carousel classify` asks it",
                directory.path().display()
            )));
        }
        let tokenizer = directory.load_tokenizer(&config)?;
        let weights = directory.load_weights(&config)?;
        let network =
            recurrent::Network::load(&config, |name| weights.floats(name), precision, threads)?;
        Ok(Model {
            config,
            tokenizer,
            network,
        })
    }
}

/*!
From what was asked for to every option resolved: the one place where defaults are chosen.

[`language_model::resolve`] and [`classifier::resolve`] turn [`TrainArguments`] and the circumstances into a [`ModelConfig`]
and a [`TrainingConfig`]. The machine's speed matters only where the budget is one of time.
*/

pub mod classifier;
mod defaults;
pub mod language_model;
mod ranges;

use std::path::PathBuf;
use std::time::Duration;

use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::Head;
use carousel::checkpoint::arguments::TrainArguments;
use carousel::checkpoint::record::{Budget, TrainingConfig};
use carousel::error::{Error, Result};
use carousel::text::corpus::Validation;
use carousel::text::vocabulary::VocabularyConfig;
use carousel::text::{Level, Split};

/// The default budget.
const DEFAULT_TIME: Duration = Duration::from_secs(180);
/// Most evaluations of a budget in steps or epochs by default.
const EVALUATIONS: u64 = 20;
/// Most validation tokens that an evaluation during training reads.
pub const MOST_VALID_TOKENS: usize = 1 << 18;

/// Arguments resolved, with a reason for each thing that was chosen or changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The network.
    pub config: ModelConfig,
    /// The training; what depends on the machine is filled in later.
    pub training: TrainingConfig,
    /// What the program chose, and why.
    pub chosen: Vec<String>,
}

/// What defaults depend on besides what was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Entries of the vocabulary.
    pub vocab_size: usize,
    /// Tokens of the training part.
    pub train_tokens: usize,
    /// Tokens of the validation part.
    pub valid_tokens: usize,
    /// Training speed of the [`language_model::nominal`] network on this machine, in tokens a second; `None` where it was
    /// not measured.
    pub speed: Option<f64>,
}

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

/// When training ends.
///
/// # Errors
/// An empty budget.
pub fn budget(arguments: &TrainArguments) -> Result<Budget> {
    let budget = match (arguments.time, arguments.epochs, arguments.steps) {
        (_, Some(epochs), _) => Budget::Epochs(epochs),
        (_, _, Some(steps)) => Budget::Steps(steps),
        (time, None, None) => Budget::Seconds(time.unwrap_or(DEFAULT_TIME).as_secs_f64()),
    };
    match budget {
        Budget::Epochs(n) if !(n > 0.0 && n <= 1e9) => Err(Error::usage(format!(
            "--epochs {n} is no budget; give a number above 0"
        ))),
        Budget::Steps(0) => Err(Error::usage("--steps 0 is no budget; give 1 or more")),
        Budget::Seconds(s) if s <= 0.0 => {
            Err(Error::usage("--time 0 is no budget; give 30s, 2m, 1h …"))
        }
        budget => Ok(budget),
    }
}

/// Fills in what a model that is gone on from has, or refuses another value that was given.
///
/// # Errors
/// If another value was given.
pub fn keep<T: Copy + PartialEq + std::fmt::Display>(
    model: &str,
    option: &str,
    given: &mut Option<T>,
    own: T,
) -> Result<()> {
    if *given.get_or_insert(own) == own {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{model} has {option} {own}, and --from keeps that; leave {option} away"
    )))
}

/// Fills in the sizes of a model that is gone on from.
///
/// # Errors
/// As [`keep`].
pub fn keep_sizes(model: &str, config: &ModelConfig, arguments: &mut TrainArguments) -> Result<()> {
    let (tokens, recurrent) = (config.tokens(), config.recurrent());
    keep(
        model,
        "--hidden-size",
        &mut arguments.hidden_size,
        recurrent.hidden_size,
    )?;
    keep(
        model,
        "--embedding-size",
        &mut arguments.embedding_size,
        tokens.embedding_size,
    )?;
    keep(
        model,
        "--num-layers",
        &mut arguments.num_layers,
        recurrent.num_layers,
    )?;
    keep(
        model,
        "--bidirectional",
        &mut arguments.bidirectional,
        recurrent.bidirectional,
    )
}

/// Steps between two evaluations of a classifier whose budget comes to so many steps.
pub fn between_evaluations(steps: u64) -> u64 {
    steps.div_ceil(EVALUATIONS).max(1)
}

/// Steps of a budget; `None` where the clock decides.
pub fn total_steps(budget: &Budget, steps_in_pass: usize) -> Option<u64> {
    match *budget {
        Budget::Steps(steps) => Some(steps),
        Budget::Epochs(epochs) => Some(((epochs * steps_in_pass as f64).round() as u64).max(1)),
        Budget::Seconds(_) => None,
    }
}

/// Bytes that training holds: weights, their gradients, two moments and the copies that a rescue and a save need; what
/// each step keeps for its gradients; logits. `streams` are those of an evaluation.
pub fn memory(config: &ModelConfig, training: &TrainingConfig, streams: usize) -> u64 {
    let (input, recurrent) = (config.tokens(), config.recurrent());
    let tokens = training.batch_size * training.bptt;
    // In each layer four gates, the sums they began with, their gradients encoded by rows and by columns; cell, output,
    // its dropout and its gradient; the embedding and its gradient.
    let layers = recurrent.num_layers * 20 * recurrent.hidden_size + 2 * input.embedding_size;
    let layers = recurrent.directions().len() * layers;
    // The logits' gradients, by rows and by columns; an evaluation keeps logits.
    let logits = match config.head {
        Head::NextToken(_) => (2 * tokens).max(2 * 64 * streams) * input.vocab_size,
        Head::Labels(_) => 0,
    };
    (4 * (4 + 6) * config.parameters() + 4 * (tokens * layers + logits)) as u64
}

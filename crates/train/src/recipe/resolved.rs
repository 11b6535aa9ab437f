/*!
What the recipe depends on, and its result.
*/

use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::record::TrainingConfig;

/// Largest number of validation tokens that an evaluation during training reads.
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
    /// Training speed of the nominal network on this machine, in tokens a second; `None` where it was
    /// not measured.
    pub speed: Option<f64>,
}

/*!
What a run reports, through one callback.
*/

use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::cross_validation::{CrossValidation, Fold};
use carousel::checkpoint::record::{Budget, Evaluation, Finish, TrainingConfig};
use carousel::text::Level;

/// An event of a run.
#[derive(Clone, Debug)]
pub enum Event {
    /// A note for the user.
    Note(String),
    /// The plan, before the first step.
    Plan(Box<Plan>),
    /// An update of the weights.
    Step(StepReport),
    /// A validation.
    Evaluated {
        /// Its figures.
        evaluation: Evaluation,
        /// Whether it is the best so far, so that the weights were saved.
        best: bool,
        /// What these weights write, if they were saved.
        sample: Option<String>,
    },
    /// The end.
    Finished(Finish),
    /// Cross-validation, before its first run: the number of folds, and the budget of each run.
    CrossValidation {
        /// Number of folds.
        folds: usize,
        /// Budget of each of their runs, and of that of the model itself.
        budget: Budget,
    },
    /// A fold of cross-validation that was trained and tested.
    Fold {
        /// The fold, counted from 1.
        number: usize,
        /// Number of folds.
        of: usize,
        /// Its figures.
        fold: Fold,
    },
    /// The figures of all folds.
    CrossValidated(Box<CrossValidation>),
    /// The end of a run whose weights were not worth replacing the model that was there.
    Discarded,
}

/// Receives a run's events.
pub type Notify<'a> = &'a mut dyn FnMut(Event);

/// The plan of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The network.
    pub config: ModelConfig,
    /// The training.
    pub training: TrainingConfig,
    /// The data.
    pub data: DataSummary,
    /// Tokens per character, if losses are to be shown in bits per character.
    pub tokens_per_character: Option<f64>,
    /// What the program chose, and why.
    pub chosen: Vec<String>,
    /// Steps of one pass.
    pub steps_per_epoch: usize,
    /// Steps of the whole budget; an estimate for a time budget.
    pub total_steps: u64,
    /// Bytes of weights, gradients, moments and activations.
    pub memory: u64,
    /// Training speed, measured on a few steps.
    pub tokens_per_second: f64,
    /// Seconds of the whole budget; an estimate, unless it is a time budget.
    pub seconds: f64,
    /// The step that the run goes on from; 0 for a new one.
    pub resumed_at: u64,
}

/// The data of a run, in numbers.
#[derive(Clone, Debug)]
pub enum DataSummary {
    /// A corpus of text.
    Text {
        /// What a token is.
        level: Level,
        /// Tokens of the training part.
        train_tokens: u64,
        /// Tokens of the validation part.
        valid_tokens: u64,
        /// Tokens of the validation part that each evaluation reads, from its start.
        evaluated_tokens: u64,
        /// Entries of the vocabulary.
        vocab_size: u64,
        /// The first rows of the first window.
        rows: Vec<ExampleRow>,
    },
    /// Labelled documents.
    Documents {
        /// What a token is.
        level: Level,
        /// Documents of the training part.
        train_documents: u64,
        /// Their tokens.
        train_tokens: u64,
        /// Documents of the validation part.
        valid_documents: u64,
        /// The labels, with their numbers of training documents.
        labels: Vec<(String, u64)>,
        /// Words, n-grams and pieces of words that have weights.
        ngrams: u64,
        /// Number of documents that are longer than the limit of the backward pass, and that limit in tokens.
        long_documents: (u64, u64),
        /// Excerpts of long documents that are read in each pass, besides the documents.
        excerpts: u64,
        /// Accuracy of naive Bayes on the validation part.
        naive_bayes: f64,
        /// Accuracy of the most frequent label on the validation part.
        majority: f64,
    },
    /// Sentences with their translations.
    Pairs {
        /// What a token is.
        level: Level,
        /// Pairs of the training part.
        train_pairs: u64,
        /// Their tokens, of the sources and of the targets.
        train_tokens: [u64; 2],
        /// Pairs of the validation part.
        valid_pairs: u64,
        /// Entries of the vocabularies of the source and of the target.
        vocab_sizes: [u64; 2],
        /// Whether they are one.
        shared_vocabulary: bool,
        /// BLEU of the sources as they are, and of the translations of the nearest training sentences.
        baselines: [f64; 2],
    },
    /// Series of numbers.
    Series {
        /// Number of series.
        series: u64,
        /// Windows of the training part.
        train_windows: u64,
        /// Windows of the validation part.
        valid_windows: u64,
        /// The first windows: values that are read, and those to predict.
        rows: Vec<ExampleRow>,
    },
}

/// The beginning of a row of a window, a text for each token.
#[derive(Clone, Debug)]
pub struct ExampleRow {
    /// The first tokens that are read, and the last one.
    pub inputs: Vec<String>,
    /// For each of them, the tokens that it is to predict; none where it predicts nothing.
    pub targets: Vec<Vec<String>>,
}

/// An update of the weights.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Its number, counted from 1.
    pub step: u64,
    /// Passes over the training part so far.
    pub epoch: f64,
    /// Loss, smoothed over recent steps.
    pub smooth_loss: f64,
    /// Fraction of the budget that is spent.
    pub spent: f64,
    /// Recent training speed.
    pub tokens_per_second: f64,
    /// Seconds left of the budget; an estimate, unless it is a time budget.
    pub seconds_left: f64,
}

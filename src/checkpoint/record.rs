/*!
training.json: what produced a model, and how it went.
*/

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::metrics::LanguageScore;
use crate::settings::{Precision, Schedule, Settings};
use crate::text::corpus::{CorpusPlan, Statistics};

/// When training ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// After so many seconds of the whole command.
    Seconds(f64),
    /// After so many passes over the training part.
    Epochs(f64),
    /// After so many updates of the weights.
    Steps(u64),
}

/// Every option of a training run as it was resolved at the start. A resumed run obeys it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// When training ends.
    pub budget: Budget,
    /// Parallel streams that the training part is cut into.
    pub batch_size: usize,
    /// Window length: tokens a stream before each update.
    pub bptt: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// How it runs over the budget.
    pub schedule: Schedule,
    /// Share of the budget over which the learning rate rises from zero.
    pub warmup: f64,
    /// Decoupled weight decay of AdamW, on matrices.
    pub weight_decay: f64,
    /// The longest gradient; longer ones are scaled down to it. 0 switches it off.
    pub clip_norm: f64,
    /// Share of symbols whose vectors are dropped for a window (Gal and Ghahramani 2016).
    #[serde(default)]
    pub embedding_dropout: f64,
    /// Share of recurrent weights dropped for a window (DropConnect as Merity et al. 2018 use it).
    #[serde(default)]
    pub weight_drop: f64,
    /// How much of the averaged weights is kept at each step (Polyak and Juditsky 1992); 0 for no averages.
    #[serde(default)]
    pub ema: f64,
    /// Evaluations without a better one before training stops early. 0 switches it off.
    pub patience: u64,
    /// Steps between evaluations; 0 where a time budget leaves it to the measured speed.
    pub evaluate_every: u64,
    /// What everything random comes from.
    pub seed: u64,
    /// How the factors of products are kept; never [`Precision::Auto`].
    #[serde(default = "float32")]
    pub precision: Precision,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Threads of libtorch; other numbers give other roundings.
    pub threads: i32,
}

/// What runs used before they could choose.
fn float32() -> Precision {
    Precision::F32
}

/// One evaluation on the validation part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Updates before it.
    pub step: u64,
    /// Passes over the training part before it.
    pub epoch: f64,
    /// Mean training loss since the evaluation before, in nats per token.
    pub train_loss: f64,
    /// Mean validation loss, in nats per token.
    pub valid_loss: f64,
    /// The validation loss as people compare it.
    pub bits_per_character: f64,
    /// Seconds of training so far.
    pub seconds: f64,
}

/// What the network has to beat, measured on the validation part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baselines {
    /// Every token equally likely.
    pub uniform: LanguageScore,
    /// Every token as likely as it is frequent in the training part.
    pub unigram: LanguageScore,
}

/// What was asked for, as it was typed: in training.json from the first second, so that a run that was killed while it
/// read its corpus can be begun again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The version of carousel.
    pub version: String,
    /// The files and folders to learn from, as absolute paths.
    pub paths: Vec<PathBuf>,
    /// The options.
    pub settings: Settings,
}

/// training.json. Until the corpus has been read, it holds the request alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What was asked for.
    pub request: Request,
    /// Every option as resolved.
    pub options: Options,
    /// The options that the program chose, each with its reason.
    pub chosen: Vec<String>,
    /// Why training ended; absent while it has not.
    pub finished: Option<Finish>,
    /// How it went.
    pub evaluations: Vec<Evaluation>,
    /// What the network has to beat.
    pub baselines: Baselines,
    /// What was read, and how.
    pub corpus: CorpusPlan,
    /// Tokens of the validation part that evaluations during training read, from its start.
    pub valid_tokens_read: usize,
    /// What the corpus was found to be.
    pub statistics: Statistics,
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The budget is spent.
    Budget,
    /// No better evaluation within the patience.
    Patience,
    /// The loss exploded too often.
    Diverged,
}

impl Record {
    /// The evaluation whose weights were kept.
    pub fn best(&self) -> Option<&Evaluation> {
        self.evaluations
            .iter()
            .filter(|e| e.valid_loss.is_finite())
            .min_by(|a, b| a.valid_loss.total_cmp(&b.valid_loss))
    }

    /// The corpus files, for showing.
    pub fn files(&self) -> &[PathBuf] {
        &self.corpus.files
    }
}

/*!
training.json: what produced a model, and how it went.
*/

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::arguments::{Schedule, TrainArguments, TrainingPrecision};
use crate::data::labelled::DocumentOptions;
use crate::metrics::{ClassificationScore, LanguageScore};
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
pub struct TrainingConfig {
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
    /// Share of the places of all vectors dropped for a window (Gal and Ghahramani 2016).
    #[serde(default)]
    pub input_dropout: f64,
    /// Share of recurrent weights dropped for a window (DropConnect as Merity et al. 2018 use it).
    #[serde(default)]
    pub weight_drop: f64,
    /// How far a text's vectors are pushed to where its label is told worst (Miyato et al. 2017), in typical sizes of a number in
    /// them; 0 for not at all.
    #[serde(default)]
    pub adversarial: f64,
    /// Symbols that compete with the right one in a training step, about; 0 for all.
    #[serde(default)]
    pub candidates: usize,
    /// How much of the averaged weights is kept at each step (Polyak and Juditsky 1992); 0 for no averages.
    #[serde(default)]
    pub ema: f64,
    /// Evaluations without a better one before training stops early. 0 switches it off.
    pub patience: u64,
    /// Steps between evaluations; 0 where a time budget leaves it to the measured speed.
    pub evaluate_every: u64,
    /// What everything random comes from.
    pub seed: u64,
    /// How the factors of products are kept; never [`TrainingPrecision::Auto`].
    #[serde(default = "float32")]
    pub precision: TrainingPrecision,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Threads of libtorch; other numbers give other roundings.
    pub threads: i32,
}

/// What runs used before they could choose.
fn float32() -> TrainingPrecision {
    TrainingPrecision::F32
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
    /// What was found.
    #[serde(flatten)]
    pub figures: Figures,
    /// Seconds of training so far.
    pub seconds: f64,
}

/// What an evaluation finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Mean validation loss, in nats: per token of a language model, per document of a classifier.
    pub valid_loss: f64,
    /// A language model's loss as people compare it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits_per_character: Option<f64>,
    /// Share of the documents that a classifier told right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Mean of the labels' F1, which is what a classifier is chosen by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
}

impl Figures {
    /// Whether these are better: a higher F1 where there is one, of equals the lower loss.
    pub fn better_than(&self, other: &Figures) -> bool {
        match (self.macro_f1, other.macro_f1) {
            (Some(own), Some(other)) if own != other => own > other,
            _ => self.valid_loss < other.valid_loss,
        }
    }
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
    #[serde(rename = "settings")]
    pub arguments: TrainArguments,
    /// Where documents and labels lie, for a classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<DocumentOptions>,
}

/// training.json. Until the corpus has been read, it holds the request alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record<Subject> {
    /// What was asked for.
    pub request: Request,
    /// Every option as resolved.
    #[serde(rename = "options")]
    pub training: TrainingConfig,
    /// The options that the program chose, each with its reason.
    pub chosen: Vec<String>,
    /// Why training ended; absent while it has not.
    pub finished: Option<Finish>,
    /// How it went.
    pub evaluations: Vec<Evaluation>,
    /// What was learnt from.
    #[serde(flatten)]
    pub subject: Subject,
}

/// What a language model was learnt from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextRecord {
    /// What the network has to beat.
    pub baselines: Baselines,
    /// What was read, and how.
    pub corpus: CorpusPlan,
    /// Tokens of the validation part that evaluations during training read, from its start.
    pub valid_tokens_read: usize,
    /// What the corpus was found to be.
    pub statistics: Statistics,
}

/// What a classifier was learnt from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DocumentsRecord {
    /// Documents to train on.
    pub train_documents: u64,
    /// Documents to measure on.
    pub valid_documents: u64,
    /// How often each label is met in the training part, in the labels' order.
    pub label_counts: Vec<u64>,
    /// Hash of the documents and their labels.
    pub hash: String,
    /// Whether the layers were taken over from a model, and are thawed one by one.
    pub thaws: bool,
    /// What the network has to beat, measured on the validation part.
    pub baselines: NaiveBaselines,
}

/// What a classifier has to beat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NaiveBaselines {
    /// Always the label that is met most.
    pub majority: ClassificationScore,
    /// Naive Bayes on words and pairs of words.
    pub naive_bayes: ClassificationScore,
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

impl<Subject> Record<Subject> {
    /// The evaluation whose weights were kept.
    pub fn best(&self) -> Option<&Evaluation> {
        let better =
            |best: &'_ Evaluation, other: &'_ Evaluation| other.figures.better_than(&best.figures);
        let finite = self
            .evaluations
            .iter()
            .filter(|evaluation| evaluation.figures.valid_loss.is_finite());
        finite.reduce(|best, other| if better(best, other) { other } else { best })
    }
}

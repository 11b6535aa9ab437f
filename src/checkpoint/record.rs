/*!
training.json: the request, the resolved options, the data and the evaluations of a training run.
*/

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use super::arguments::{
    GradientMethod, GradientPrecision, RecurrentInit, Schedule, TrainArguments, TrainingPrecision,
};
use super::cross_validation::CrossValidation;
use crate::data::labelled::DocumentOptions;
use crate::data::pairs::{LanguageProfile, PairOptions};
use crate::metrics::{
    ClassificationScore, ConfidenceBin, LanguageScore, TextSize, confidence_bins,
};
use crate::text::corpus::{CorpusPlan, CorpusStatistics, Validation};
use crate::text::spelling::Spelling;
use crate::text::tokenizer::Tokenizer;
use crate::text::vocabulary::VocabularyConfig;

/// When training ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// After a number of seconds of the whole command.
    Seconds(f64),
    /// After a number of passes over the training data.
    Epochs(f64),
    /// After a number of updates of the weights.
    Steps(u64),
}

/// Options of a training run, as resolved at its start. A resumed run uses the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingConfig {
    /// When training ends.
    pub budget: Budget,
    /// Parallel streams that the training data is cut into; documents in a batch of a classifier.
    pub batch_size: usize,
    /// Window length: tokens of a stream before each update.
    pub bptt: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// How the learning rate changes over the budget.
    pub schedule: Schedule,
    /// Fraction of the budget over which the learning rate rises from zero.
    pub warmup: f64,
    /// Decoupled weight decay of AdamW, on matrices.
    pub weight_decay: f64,
    /// Largest norm of the gradients, to which larger ones are scaled down; 0 for no limit.
    pub clip_norm: f64,
    /// Fraction of the vocabulary whose vectors are dropped, for a whole window (Gal and Ghahramani 2016).
    #[serde(default)]
    pub embedding_dropout: f64,
    /// Fraction of the components of token vectors dropped, for a whole window (Gal and Ghahramani 2016).
    #[serde(default)]
    pub input_dropout: f64,
    /// Fraction of recurrent weights dropped, for a whole window (DropConnect as in Merity et al. 2018).
    #[serde(default)]
    pub weight_drop: f64,
    /// Length of the adversarial perturbation of a text's vectors (Miyato et al. 2017), in units of the root mean square of
    /// their components; 0 for none.
    #[serde(default)]
    pub adversarial: f64,
    /// The part of a target's probability that a translator spreads over the whole vocabulary (Szegedy et al. 2016).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_smoothing: f64,
    /// About how many tokens take part in the softmax of a training step; 0 for all.
    #[serde(default)]
    pub candidates: usize,
    /// Decay of the moving average of the weights (Polyak and Juditsky 1992); 0 for no average.
    #[serde(default)]
    pub ema: f64,
    /// Number of evaluations without improvement before training stops early; 0 for never.
    pub patience: u64,
    /// Steps between evaluations; 0 where a time budget lets the measured speed decide.
    pub evaluate_every: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// Precision of the factors of matrix products; never [`TrainingPrecision::Auto`].
    #[serde(default = "float32")]
    pub precision: TrainingPrecision,
    /// What computes gradients; [`GradientMethod::Auto`] in runs from before there was a choice.
    #[serde(default)]
    pub gradients: GradientMethod,
    /// What the recurrent weights begin as.
    #[serde(default)]
    pub recurrent_init: RecurrentInit,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Number of libtorch's threads, which affects rounding.
    pub threads: i32,
    /// Number of processes that train together.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub world_size: usize,
    /// In what precision they send gradients.
    #[serde(default)]
    pub gradient_precision: GradientPrecision,
    /// Steps that each takes alone before all take one together (Douillard et al. 2023); 1 for none.
    #[serde(default = "one_step")]
    pub sync_every: u64,
}

fn one_step() -> u64 {
    1
}

fn one() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// Precision of runs from before it was an option.
fn float32() -> TrainingPrecision {
    TrainingPrecision::F32
}

/// One evaluation on the validation data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Updates of the weights before it.
    pub step: u64,
    /// Passes over the training data before it.
    pub epoch: f64,
    /// Mean training loss since the last evaluation, in nats per token.
    pub train_loss: f64,
    /// Its results.
    #[serde(flatten)]
    pub figures: Figures,
    /// Seconds of training before it.
    pub seconds: f64,
}

/// Results of one evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Mean validation loss, in nats: per token of a language model, per document of a classifier.
    pub valid_loss: f64,
    /// Validation loss of a language model, in bits per character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits_per_character: Option<f64>,
    /// BLEU of a translator's greedy translations of some validation pairs, from 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bleu: Option<f64>,
    /// Mean loss of a language model's network alone, where n-grams are interpolated with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_loss: Option<f64>,
    /// Accuracy of a classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Mean of the labels' F1, by which the best classifier was chosen before there was a balanced accuracy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
    /// Mean recall of the labels, by which the best classifier is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced_accuracy: Option<f64>,
}

impl Figures {
    /// Whether these results are better: by the balanced accuracy where both have one, else by the macro F1 where both have
    /// one; of equal ones, and without, by the loss.
    pub fn better_than(&self, other: &Figures) -> bool {
        let both = |figure: fn(&Figures) -> Option<f64>| figure(self).zip(figure(other));
        match both(|f| f.balanced_accuracy).or_else(|| both(|f| f.macro_f1)) {
            Some((own, other)) if own != other => own > other,
            _ => self.valid_loss < other.valid_loss,
        }
    }

    /// The figure that [`Figures::better_than`] compares first: its name and its value.
    pub fn deciding(&self) -> (&'static str, f64) {
        match (self.balanced_accuracy, self.macro_f1) {
            (Some(balanced), _) => ("balanced accuracy", balanced),
            (None, Some(f1)) => ("macro F1", f1),
            (None, None) => ("validation loss", self.valid_loss),
        }
    }

    /// Words after `best` that say what the best was chosen by, where that is not the loss.
    pub fn chosen_by(&self) -> String {
        match (self.deciding(), self.accuracy) {
            ((figure, _), Some(_)) => format!(" by {figure}"),
            _ => String::new(),
        }
    }
}

/// A baseline of a language model, evaluated on a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Its name: uniform, unigram, ngram-N or xz.
    pub name: String,
    /// Its score. That under xz has the bits of the unknown words in its loss too.
    #[serde(flatten)]
    pub score: LanguageScore,
}

impl Baseline {
    /// A baseline with its score.
    pub fn new(name: impl Into<String>, score: LanguageScore) -> Self {
        Baseline {
            name: name.into(),
            score,
        }
    }
}

/// Reads a list of baselines, or an object of two, as they were written before there were others.
fn baselines<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Baseline>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        List(Vec<Baseline>),
        Two {
            uniform: LanguageScore,
            unigram: LanguageScore,
        },
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::List(list) => list,
        Written::Two { uniform, unigram } => vec![
            Baseline::new("uniform", uniform),
            Baseline::new("unigram", unigram),
        ],
    })
}

/// training.json of an n-gram model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NgramRecord {
    /// The request.
    pub request: Request,
    /// Its score on the validation data.
    pub validation: LanguageScore,
    /// Seconds of the whole command, reading and counting.
    pub seconds: f64,
    /// The training data and baselines.
    #[serde(flatten)]
    pub subject: TextRecord,
}

/// training.json of a network that another program trained. What it learnt from is not known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportRecord {
    /// The version of carousel; no options, and no paths.
    pub request: Request,
    /// Name of the file that the network was read from.
    pub imported: String,
    /// The vocabulary's settings, and an empty corpus.
    #[serde(flatten)]
    pub subject: TextRecord,
}

impl ImportRecord {
    /// The record of a network with this vocabulary that was read from a file.
    pub fn new(imported: String, tokenizer: &Tokenizer) -> Self {
        ImportRecord {
            request: Request {
                version: env!("CARGO_PKG_VERSION").to_string(),
                paths: Vec::new(),
                arguments: TrainArguments::default(),
                documents: None,
                pairs: None,
            },
            imported,
            subject: TextRecord {
                baselines: Vec::new(),
                corpus: CorpusPlan {
                    files: Vec::new(),
                    validation: Validation::Default,
                    lossy: false,
                    vocabulary: VocabularyConfig {
                        level: tokenizer.level(),
                        split: tokenizer.split(),
                        vocab_size: Some(tokenizer.vocab_size()),
                        min_count: 1,
                        normalization: tokenizer.normalization(),
                    },
                    from: None,
                },
                valid_tokens_read: 0,
                statistics: CorpusStatistics {
                    train: TextSize::default(),
                    valid: TextSize::default(),
                    valid_unknown: 0,
                    valid_spelling_nats: 0.0,
                    hash: String::new(),
                    notes: Vec::new(),
                    spelling: Spelling::default(),
                    token_counts: vec![0; tokenizer.vocab_size()],
                },
            },
        }
    }
}

/// The request for a training run, as it was typed. It is written before the corpus is read, so that a run that is killed
/// early can be started again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The version of carousel.
    pub version: String,
    /// Files and folders of training data, as absolute paths.
    pub paths: Vec<PathBuf>,
    /// The options that were given.
    #[serde(rename = "settings")]
    pub arguments: TrainArguments,
    /// Layout of the labelled documents, for a classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<DocumentOptions>,
    /// Layout of the pairs, for a translator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<PairLayout>,
}

/// How a translator's pairs lie in files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PairLayout {
    /// Line by line in two files, the source's and the target's; two more may hold the validation pairs.
    Lines,
    /// The rows of tables or of JSON Lines.
    Table(PairOptions),
}

/// training.json of a run whose data has been read; before, it holds the request alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record<Subject> {
    /// The request.
    pub request: Request,
    /// The options as resolved.
    #[serde(rename = "options")]
    pub training: TrainingConfig,
    /// Options that the program chose, each with its reason.
    pub chosen: Vec<String>,
    /// Why training ended, once it has.
    pub finished: Option<Finish>,
    /// All evaluations, in order.
    pub evaluations: Vec<Evaluation>,
    /// The training data and baselines.
    #[serde(flatten)]
    pub subject: Subject,
}

impl TextRecord {
    /// Whether it is known what the model learnt from: not if another program trained it.
    pub fn knows_corpus(&self) -> bool {
        self.statistics.train.tokens > 0
    }
}

/// Training data and baselines of a language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextRecord {
    /// Baselines on the validation data.
    #[serde(deserialize_with = "baselines")]
    pub baselines: Vec<Baseline>,
    /// The files, and how they were read.
    pub corpus: CorpusPlan,
    /// Tokens that evaluations during training read, from the start of the validation data.
    pub valid_tokens_read: usize,
    /// Sizes and counts of the corpus.
    pub statistics: CorpusStatistics,
}

/// Training data of a forecaster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesRecord {
    /// Number of series.
    pub series: u64,
    /// Number of training windows.
    pub train_windows: u64,
    /// Number of validation windows.
    pub valid_windows: u64,
    /// Values at the end of each series that validate and are not learnt from.
    pub valid_steps: u64,
    /// Hash of the series.
    pub hash: String,
}

/// Training data of a translator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairsRecord {
    /// Number of training pairs.
    pub train_pairs: u64,
    /// Their tokens, of the sources and of the targets, with line ends.
    pub train_tokens: [u64; 2],
    /// Number of validation pairs.
    pub valid_pairs: u64,
    /// Hash of all pairs.
    pub hash: String,
    /// What tells the languages apart.
    #[serde(default)]
    pub profile: LanguageProfile,
    /// BLEU of what a translator has to beat, on the validation pairs whose translations are scored in training.
    #[serde(default)]
    pub baselines: PairBaselines,
}

/// BLEU of what a translator has to beat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PairBaselines {
    /// The source as it is.
    pub copy: f64,
    /// The translation of the training sentence that is nearest to the source.
    pub nearest: f64,
}

/// Training data and baselines of a classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DocumentsRecord {
    /// Number of training documents.
    pub train_documents: u64,
    /// Number of validation documents.
    pub valid_documents: u64,
    /// Number of training documents of each label, in the labels' order.
    pub label_counts: Vec<u64>,
    /// Hash of the documents and their labels.
    pub hash: String,
    /// Whether the layers come from a trained model, and are unfrozen one by one (Howard and Ruder 2018).
    pub thaws: bool,
    /// Baselines on the validation data.
    pub baselines: NaiveBaselines,
    /// Predictions of the validation documents by the best weights; none before there are some, and in older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validated: Option<ValidationRecord>,
    /// Figures on the test documents, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<TestRecord>,
    /// Cross-validation, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_validation: Option<CrossValidation>,
}

/// How well documents were predicted, and how far the probabilities can be trusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationRecord {
    /// The score.
    #[serde(flatten)]
    pub score: ClassificationScore,
    /// Documents by the probability of the label that was predicted.
    pub confidence_bins: Vec<ConfidenceBin>,
}

impl ValidationRecord {
    /// Record of the predicted probabilities of all labels, for each document.
    pub fn new(labels: &[String], truth: &[usize], predicted: &[Vec<f64>]) -> Self {
        ValidationRecord {
            score: ClassificationScore::of_probabilities(labels, truth, predicted),
            confidence_bins: confidence_bins(truth, predicted),
        }
    }
}

/// Figures on documents that nothing was chosen by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestRecord {
    /// Score of the best weights, once the run is finished.
    #[serde(flatten)]
    pub score: Option<ClassificationScore>,
    /// Baselines on the same documents.
    pub baselines: NaiveBaselines,
}

/// Baselines of a classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NaiveBaselines {
    /// Always the most frequent label.
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
    /// The loss diverged too often.
    Diverged,
}

impl<Subject> Record<Subject> {
    /// The best evaluation, whose weights were saved.
    pub fn best(&self) -> Option<&Evaluation> {
        best(&self.evaluations)
    }
}

/// The best of some evaluations, whose weights are saved.
pub fn best(evaluations: &[Evaluation]) -> Option<&Evaluation> {
    let finite = evaluations
        .iter()
        .filter(|evaluation| evaluation.figures.valid_loss.is_finite());
    finite.reduce(
        |best, other| match other.figures.better_than(&best.figures) {
            true => other,
            false => best,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(balanced_accuracy: Option<f64>, macro_f1: Option<f64>, valid_loss: f64) -> Figures {
        Figures {
            valid_loss,
            macro_f1,
            balanced_accuracy,
            ..Figures::default()
        }
    }

    #[test]
    fn the_best_is_chosen_by_the_figure_that_both_have() {
        // Which is better, and by what.
        let table = [
            (
                figures(Some(0.8), Some(0.6), 0.9),
                figures(Some(0.7), Some(0.9), 0.1),
                "balanced accuracy",
            ),
            (
                figures(Some(0.8), Some(0.6), 0.1),
                figures(Some(0.8), Some(0.9), 0.2),
                "balanced accuracy",
            ),
            // Evaluations from before there was a balanced accuracy.
            (
                figures(None, Some(0.9), 0.9),
                figures(None, Some(0.6), 0.1),
                "macro F1",
            ),
            (
                figures(None, Some(0.9), 0.9),
                figures(Some(0.8), Some(0.6), 0.1),
                "macro F1",
            ),
            (
                figures(None, None, 0.1),
                figures(None, None, 0.2),
                "validation loss",
            ),
        ];
        for (better, worse, by) in table {
            assert!(better.better_than(&worse), "{better:?}");
            assert!(!worse.better_than(&better), "{better:?}");
            assert_eq!(better.deciding().0, by);
        }
    }

    #[test]
    fn old_evaluations_are_read() {
        let old = r#"{"step":3,"epoch":1.0,"train_loss":0.5,"valid_loss":0.4,"accuracy":0.8,"macro_f1":0.7,"seconds":2.0}"#;
        let read: Evaluation = serde_json::from_str(old).unwrap();
        assert_eq!(read.figures.deciding(), ("macro F1", 0.7));
    }
}

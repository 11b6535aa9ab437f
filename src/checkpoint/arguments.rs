/*!
Options of a training command as they were given, before defaults are resolved. training.json records them, so that a
run can be started again.
*/

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::architecture::{InitialState, Leak, Predict, optional_activation_name};
use super::encoder_decoder::Attention;
use super::transformer::Positions;
use crate::text::preprocessing::Preprocessing;
use crate::text::{Level, Split};
use carousel_kernels::recurrent::{Activation, Cell};

/// The options of `carousel train`, `carousel train-classifier` and `carousel train-translator`. What is `None` is chosen by the recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainArguments {
    /// What a token is.
    pub level: Option<Level>,
    /// Where words end, at word level.
    pub split: Option<Split>,
    /// Most entries of the vocabulary.
    pub vocab_size: Option<usize>,
    /// How often a character or word must occur to get a token.
    pub min_count: Option<u64>,
    /// The validation data: a file, or a fraction of the data.
    pub valid: Option<String>,
    /// Replace invalid UTF-8 instead of refusing it.
    pub lossy: bool,
    /// A file of documents that a classifier is tested on once, at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// Number of folds that a classifier is cross-validated with before it is trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// What is done to a text before a classifier reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<Preprocessing>,
    /// How the documents of rare and of frequent labels count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,

    /// The model to go on from: a folder, or the name of one that ships.
    pub from: Option<String>,
    /// What layers are made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<CellChoice>,
    /// Number of heads of a transformer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<usize>,
    /// Most tokens that a transformer's prediction depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// How a transformer knows a token's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positions: Option<Positions>,
    /// The activation of a cell without gates.
    #[serde(
        with = "optional_activation_name",
        skip_serializing_if = "Option::is_none"
    )]
    pub activation: Option<Activation>,
    /// The part of their state that leaky units keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leak: Option<Leak>,
    /// The steps that skip connections go back; empty if they were not given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<usize>,
    /// Whether products are normalised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_norm: Option<bool>,
    /// Whether layers have residual connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residual: Option<bool>,
    /// The state that texts and windows begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_state: Option<InitialState>,
    /// The steps of a window that predict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predict: Option<Predict>,
    /// Number of tokens that a step predicts at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub horizon: Option<usize>,
    /// What the recurrent weights begin as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurrent_init: Option<RecurrentInit>,
    /// Width of a token's vector.
    pub embedding_size: Option<usize>,
    /// Width of each layer's hidden state.
    pub hidden_size: Option<usize>,
    /// Stacked recurrent layers.
    pub num_layers: Option<usize>,
    /// Fraction of a layer's outputs dropped.
    pub dropout: Option<f64>,
    /// Fraction of the vocabulary whose vectors are dropped.
    pub embedding_dropout: Option<f64>,
    /// Fraction of the components of token vectors dropped.
    pub input_dropout: Option<f64>,
    /// Fraction of recurrent weights dropped.
    pub weight_drop: Option<f64>,
    /// Whether the embedding is the output's weights too.
    pub tie_weights: Option<bool>,
    /// Whether texts are read from their end too.
    pub bidirectional: Option<bool>,
    /// How a translator's decoder looks at the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<Attention>,
    /// Whether a translator's decoder reads what the output read a step before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_feeding: Option<bool>,
    /// The vocabularies of a translator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<Vocabularies>,
    /// The part of a target's probability that is spread over the whole vocabulary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,

    /// How long to train, by the wall clock.
    pub time: Option<Duration>,
    /// How long to train, in passes over the data.
    pub epochs: Option<f64>,
    /// How long to train, in updates of the weights.
    pub steps: Option<u64>,
    /// About how many tokens take part in a step's softmax; 0 for all.
    pub candidates: Option<usize>,
    /// Length of the adversarial perturbation of token vectors.
    pub adversarial: Option<f64>,
    /// Streams or documents in a batch.
    pub batch_size: Option<usize>,
    /// Window length: tokens of a stream before each update.
    pub bptt: Option<usize>,
    /// The highest learning rate.
    pub learning_rate: Option<f64>,
    /// How the learning rate changes over the budget.
    pub schedule: Option<Schedule>,
    /// Fraction of the budget over which the learning rate rises.
    pub warmup: Option<f64>,
    /// Weight decay, on matrices.
    pub weight_decay: Option<f64>,
    /// Largest norm of the gradients; 0 for no limit.
    pub clip_norm: Option<f64>,
    /// Decay of the moving average of the weights; 0 for no average.
    pub ema: Option<f64>,
    /// Number of evaluations without improvement before training stops; 0 for never.
    pub patience: Option<u64>,
    /// Seed of everything random.
    pub seed: Option<u64>,
    /// Precision of matrix products.
    pub precision: Option<TrainingPrecision>,
    /// What computes gradients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradients: Option<GradientMethod>,
    /// Where to compute.
    pub device: Option<DeviceChoice>,
    /// In what precision several processes send gradients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient_precision: Option<GradientPrecision>,
    /// Steps that each of several processes takes alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_every: Option<u64>,

    /// The baseline that is learnt instead of a network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineChoice>,
    /// Most tokens of n-grams: of that baseline, or of those beside a network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<usize>,
    /// Most tokens of the cache beside a network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<usize>,
    /// Whether n-grams and a cache are interpolated with the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpolate: Option<bool>,
}

/// What layers are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CellChoice {
    /// A recurrent cell.
    Recurrent(Cell),
    /// Attention, and a feed-forward layer.
    Transformer,
}

impl CellChoice {
    /// The name of a transformer's layers.
    const TRANSFORMER: &str = "transformer";

    /// All of them.
    pub fn all() -> impl Iterator<Item = CellChoice> {
        let cells = Cell::ALL.into_iter().map(CellChoice::Recurrent);
        cells.chain([CellChoice::Transformer])
    }

    /// Its name, in files and options.
    pub fn name(self) -> &'static str {
        match self {
            CellChoice::Recurrent(cell) => cell.name(),
            CellChoice::Transformer => Self::TRANSFORMER,
        }
    }
}

impl FromStr for CellChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let known = Self::all().find(|choice| choice.name() == text);
        known.ok_or_else(|| {
            let names: Vec<&str> = Self::all().map(Self::name).collect();
            format!("there is no cell {text}; give {}", names.join(", "))
        })
    }
}

impl TryFrom<String> for CellChoice {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl From<CellChoice> for String {
    fn from(choice: CellChoice) -> Self {
        choice.name().to_string()
    }
}

/// The vocabularies of a translator's source and target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vocabularies {
    /// One for both, learnt from both, with one embedding.
    #[default]
    Shared,
    /// One for each.
    Apart,
}

/// How the documents of rare and of frequent labels count in a classifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// Each document counts alike, so that probabilities follow how frequent labels are.
    #[default]
    None,
    /// Each label counts alike, as if all were as frequent.
    Balanced,
}

/// A baseline that is a model of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BaselineChoice {
    /// N-grams with Kneser–Ney smoothing.
    Ngram,
}

/// Precision of the factors of products in training; sums are float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingPrecision {
    /// Whichever is faster on this machine.
    Auto,
    /// float32.
    F32,
    /// bfloat16.
    Bf16,
}

/// The precision in which processes that train together send gradients, and add them up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GradientPrecision {
    /// float32.
    #[default]
    F32,
    /// bfloat16: half the bytes.
    Bf16,
}

/// What computes the gradients of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GradientMethod {
    /// Kernels on the CPU, autograd elsewhere.
    #[default]
    Auto,
    /// libtorch's automatic differentiation: the reference.
    Autograd,
    /// This program's kernels, on the CPU.
    Kernels,
}

/// What recurrent weights begin as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecurrentInit {
    /// A random orthogonal matrix for each gate (Saxe et al. 2014).
    #[default]
    Orthogonal,
    /// The identity for each gate (Le et al. 2015).
    Identity,
    /// Uniform within 1/√hidden_size, as PyTorch has it.
    Uniform,
}

/// The requested device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// The first GPU that libtorch finds, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU with this number.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = |n: &str| n.parse().ok().map(DeviceChoice::Cuda);
        match text {
            "auto" => Some(DeviceChoice::Auto),
            "cpu" => Some(DeviceChoice::Cpu),
            "cuda" => Some(DeviceChoice::Cuda(0)),
            _ => text.strip_prefix("cuda:").and_then(number),
        }
        .ok_or_else(|| "give auto, cpu, cuda or cuda:N".to_string())
    }
}

/// How the learning rate changes over the budget, after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Falls along half a cosine.
    Cosine,
    /// Falls along a straight line.
    Linear,
    /// Stays the same.
    Constant,
    /// Is halved when the validation loss has stopped falling.
    Plateau,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_parsed() {
        let table = [
            ("auto", Some(DeviceChoice::Auto)),
            ("cpu", Some(DeviceChoice::Cpu)),
            ("cuda:3", Some(DeviceChoice::Cuda(3))),
            ("gpu", None),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse().ok(), expected);
        }
    }
}

/*!
The parts of a network, input, body and head, and the names and shapes of their tensors, which are PyTorch's.
*/

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::text::{Direction, Level, Split};
use carousel_kernels::recurrent::Cell;

/// Names and shapes of tensors, in a fixed order.
pub type TensorShapes = Vec<(String, Vec<usize>)>;

/// The vectors of tokens.
pub const EMBEDDING: &str = "embedding.weight";
/// The output's weights, where they are not the embedding.
pub const OUTPUT_WEIGHT: &str = "output.weight";
/// The output's bias.
pub const OUTPUT_BIAS: &str = "output.bias";
/// The weights of a classifier's head.
pub const HEAD_WEIGHT: &str = "head.weight";
/// The bias of a classifier's head.
pub const HEAD_BIAS: &str = "head.bias";
/// Vectors of words by latent semantic analysis, a row for each token.
pub const LSA_WEIGHT: &str = "semantics.weight";
/// Hashes of the n-grams that have weights, sorted; the bits of an int32 tensor.
pub const NGRAM_HASHES: &str = "ngrams.numbers";
/// Weights of the n-grams, `[ngrams, labels]`.
pub const NGRAM_WEIGHTS: &str = "ngrams.weight";
/// Bias of the linear classifier.
pub const NGRAM_BIAS: &str = "ngrams.bias";
/// The tensors of the n-grams of one length.
pub const NGRAM_LEVEL_TENSORS: [&str; 3] = ["tokens", "counts", "children"];
/// Scales of the head's and the linear classifier's logits.
pub const CALIBRATION_SCALES: &str = "calibration.scales";
/// Calibration's bias of each label.
pub const CALIBRATION_BIAS: &str = "calibration.bias";

/// The tensors of a recurrent layer, without the stack and the layer's number.
pub const LAYER_TENSORS: [&str; 4] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];

/// Number of vectors that the outputs of a direction are pooled to: the last output, and the mean and the maximum of all
/// (Howard and Ruder 2018).
pub const POOLED: usize = 3;

/// What a network reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Input {
    /// Tokens of a text.
    Tokens(Tokens),
}

/// Tokens and their embedding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    /// What a token is.
    pub level: Level,
    /// Where words end.
    pub split: Split,
    /// Entries of the vocabulary.
    pub vocab_size: usize,
    /// Width of a token's vector; 0 for n-grams, which have none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub embedding_size: usize,
}

/// What turns vectors of tokens into outputs for each position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    /// Stacked recurrent layers.
    Recurrent(Recurrent),
    /// N-grams, which are counted instead of learnt by gradients.
    Ngram(Ngrams),
}

/// The n-grams of a text, for interpolated modified Kneser–Ney smoothing (Chen and Goodman 1998).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ngrams {
    /// Most tokens of an n-gram.
    pub order: usize,
    /// Number of n-grams of each length.
    pub ngrams: Vec<usize>,
    /// Whether no n-gram reaches across a line end.
    pub by_line: bool,
}

/// Stacked recurrent layers. A bidirectional body has a second stack that reads texts from their end, as the language
/// models of Peters et al. (2018) do: both share embedding and output, and a classifier's head takes both. The forward stack
/// alone generates and scores text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recurrent {
    /// The cell of each layer.
    #[serde(with = "cell_name")]
    pub cell: Cell,
    /// Width of the hidden state of each layer.
    pub hidden_size: usize,
    /// Stacked layers.
    pub num_layers: usize,
    /// Fraction of units dropped in training, between layers and before the head.
    pub dropout: f64,
    /// Whether texts are read from their end too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub bidirectional: bool,
}

/// What predicts from the body's outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Head {
    /// Predicts the next token: a language model.
    NextToken(NextToken),
    /// Predicts a text's label: a classifier.
    Labels(Labels),
}

/// A softmax over the vocabulary at each position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextToken {
    /// Whether the output's weights are the embedding's (Press and Wolf 2017).
    pub tie_weights: bool,
    /// Width of the words' vectors by latent semantic analysis, for classifiers that go on from the model; 0 without.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lsa_size: usize,
}

/// A softmax over labels of a text's pooled outputs, and beside it a linear classifier of n-grams of words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Labels {
    /// The labels, in the order of the logits.
    pub labels: Vec<String>,
    /// Number of words, pairs and triples of words that have weights.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ngrams: usize,
}

/// A cell by its name.
pub(super) mod cell_name {
    use carousel_kernels::recurrent::Cell;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(cell: &Cell, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(cell.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cell, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = Cell::ALL.into_iter().find(|cell| cell.name() == name);
        known.ok_or_else(|| {
            D::Error::custom(format!(
                "unknown cell `{name}`; this program has {}",
                Cell::ALL.map(Cell::name).join(", ")
            ))
        })
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The name of the stack that reads a text in a direction.
pub fn stack_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "rnn",
        Direction::Reverse => "reverse",
    }
}

/// The name of a recurrent layer's tensor, `which` of [`LAYER_TENSORS`].
pub fn layer_tensor(direction: Direction, which: &str, layer: usize) -> String {
    format!("{}.{which}_l{layer}", stack_name(direction))
}

impl Tokens {
    /// The embedding's tensor.
    pub fn tensors(&self) -> TensorShapes {
        vec![(
            EMBEDDING.to_string(),
            vec![self.vocab_size, self.embedding_size],
        )]
    }
}

impl Recurrent {
    /// The directions in which texts are read.
    pub fn directions(&self) -> &'static [Direction] {
        match self.bidirectional {
            false => &[Direction::Forward],
            true => &[Direction::Forward, Direction::Reverse],
        }
    }

    /// The positions of a direction's layers among those of all directions.
    pub fn stack(&self, direction: Direction) -> Range<usize> {
        match direction {
            Direction::Forward => 0..self.num_layers,
            Direction::Reverse => self.num_layers..2 * self.num_layers,
        }
    }

    /// Number of inputs of a classifier's head.
    pub fn pooled_size(&self) -> usize {
        self.directions().len() * POOLED * self.hidden_size
    }

    /// The tensors of all layers, over inputs of this width.
    pub fn tensors(&self, input_size: usize) -> TensorShapes {
        let rows = self.cell.gates() * self.hidden_size;
        let mut tensors = Vec::new();
        for &direction in self.directions() {
            for layer in 0..self.num_layers {
                let input_size = if layer == 0 {
                    input_size
                } else {
                    self.hidden_size
                };
                let shapes = [
                    vec![rows, input_size],
                    vec![rows, self.hidden_size],
                    vec![rows],
                    vec![rows],
                ];
                let names = LAYER_TENSORS.map(|which| layer_tensor(direction, which, layer));
                tensors.extend(names.into_iter().zip(shapes));
            }
        }
        tensors
    }
}

/// The name of a tensor of the n-grams of `length` tokens, `which` of [`NGRAM_LEVEL_TENSORS`].
pub fn ngram_tensor(length: usize, which: &str) -> String {
    format!("ngrams.{length}.{which}")
}

impl Ngrams {
    /// The tensors, all of int32: tokens and counts of each length, and below the longest where those that continue an n-gram
    /// begin.
    pub fn tensors(&self) -> TensorShapes {
        let mut tensors = Vec::new();
        for (length, &ngrams) in (1..).zip(&self.ngrams) {
            let [tokens, counts, children] =
                NGRAM_LEVEL_TENSORS.map(|which| ngram_tensor(length, which));
            tensors.extend([(tokens, vec![ngrams]), (counts, vec![ngrams])]);
            if length < self.order {
                tensors.push((children, vec![ngrams + 1]));
            }
        }
        tensors
    }
}

impl NextToken {
    /// The output's tensors that are learnt by gradients.
    pub fn tensors(&self, vocab_size: usize, hidden_size: usize) -> TensorShapes {
        let weight =
            (!self.tie_weights).then(|| (OUTPUT_WEIGHT.to_string(), vec![vocab_size, hidden_size]));
        weight
            .into_iter()
            .chain([(OUTPUT_BIAS.to_string(), vec![vocab_size])])
            .collect()
    }

    /// The tensors that are not learnt by gradients: vectors by latent semantic analysis.
    pub fn fitted(&self, vocab_size: usize) -> TensorShapes {
        let shape = (LSA_WEIGHT.to_string(), vec![vocab_size, self.lsa_size]);
        (self.lsa_size > 0).then_some(shape).into_iter().collect()
    }
}

impl Labels {
    /// The head's tensors that are learnt by gradients.
    pub fn tensors(&self, pooled_size: usize) -> TensorShapes {
        let labels = self.labels.len();
        vec![
            (HEAD_WEIGHT.to_string(), vec![labels, pooled_size]),
            (HEAD_BIAS.to_string(), vec![labels]),
        ]
    }

    /// The tensors that are not learnt by gradients: the linear classifier and the calibration.
    pub fn fitted(&self) -> TensorShapes {
        let labels = self.labels.len();
        let named = |name: &str, shape: Vec<usize>| (name.to_string(), shape);
        vec![
            named(NGRAM_HASHES, vec![self.ngrams]),
            named(NGRAM_WEIGHTS, vec![self.ngrams, labels]),
            named(NGRAM_BIAS, vec![labels]),
            named(CALIBRATION_SCALES, vec![2]),
            named(CALIBRATION_BIAS, vec![labels]),
        ]
    }
}

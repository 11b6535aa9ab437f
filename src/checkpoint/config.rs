/*!
What a network is: everything that decides the names and shapes of its tensors.
*/

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::text::{Direction, Level, Split};

/// The version of the checkpoint directory that this program writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// The numbers of the runs of words that have weights, ordered; as int32, whose bits they are.
pub const NGRAM_NUMBERS: &str = "ngrams.numbers";
/// Their weights, a row each.
pub const NGRAM_WEIGHTS: &str = "ngrams.weight";
/// What their sums begin with.
pub const NGRAM_BIAS: &str = "ngrams.bias";
/// What the head's and the runs' logits are multiplied with before they are added: the calibration.
pub const SCALES: &str = "calibration.scales";
/// What is added for each label.
pub const LABEL_BIAS: &str = "calibration.bias";

/// A layer's tensors: input and recurrent weights, and a bias of each.
const TENSORS_OF_A_LAYER: usize = 4;

/// A language model's vectors of words by the documents that they are met in, a row for each token.
pub const SEMANTICS: &str = "semantics.weight";

/// What the recurrent layers are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    /// Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).
    Lstm,
}

/// What the network is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Predict the next token.
    LanguageModel,
    /// Tell what label a text has.
    Classifier,
}

/// config.json. A language model is embedding → `num_layers` recurrent layers → dropout → output. A classifier has, instead of
/// the output, a head over what the last layer's outputs come to over the whole text, and beside all that weights of
/// words, pairs and triples of words.
///
/// What is `bidirectional` has a second stack of recurrent layers, which reads texts from their end, as the language models of
/// Peters et al. (2018) do: both share embedding and output, and a classifier's head sees both. Writing and predicting are
/// done by the first alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// [`FORMAT_VERSION`] of the program that wrote it.
    pub format_version: u32,
    /// What the network is for.
    pub task: Task,
    /// What a token is.
    pub level: Level,
    /// Where words end.
    pub split: Split,
    /// What the recurrent layers are made of.
    pub cell: Cell,
    /// How many different tokens there are.
    pub vocab_size: usize,
    /// Width of a token's vector.
    pub embedding_size: usize,
    /// Width of the hidden state of each layer.
    pub hidden_size: usize,
    /// How many recurrent layers are stacked.
    pub num_layers: usize,
    /// Share of units dropped in training, between layers and before the output.
    pub dropout: f64,
    /// Whether the output's weights are the embedding's (Press and Wolf 2017).
    pub tie_weights: bool,
    /// Whether texts are read from their end too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub bidirectional: bool,
    /// What a classifier tells; empty for a language model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// How many words, pairs and triples of words a classifier has weights for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ngrams: usize,
    /// Width of a language model's vectors of words by the documents that they are met in; 0 without them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub semantics: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The name of the layers that read a text one way.
pub fn stack_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "rnn",
        Direction::Reverse => "reverse",
    }
}

/// What the head sees of a text, each way that it is read: its last output, and the mean and the highest of all (Howard and
/// Ruder 2018).
pub const POOLED: usize = 3;

impl ModelConfig {
    /// The ways that texts are read.
    pub fn directions(&self) -> &'static [Direction] {
        match self.bidirectional {
            false => &[Direction::Forward],
            true => &[Direction::Forward, Direction::Reverse],
        }
    }

    /// The places, among all recurrent layers, of those that read one way.
    pub fn stack(&self, direction: Direction) -> Range<usize> {
        match direction {
            Direction::Forward => 0..self.num_layers,
            Direction::Reverse => self.num_layers..2 * self.num_layers,
        }
    }

    /// Which of [`ModelConfig::tensors`], by its place, belongs to the layers that read one way alone, and which way.
    pub fn direction_of(&self, tensor: usize) -> Option<Direction> {
        let layer = tensor.checked_sub(1)? / TENSORS_OF_A_LAYER;
        let mut directions = self.directions().iter().copied();
        directions.find(|&direction| self.stack(direction).contains(&layer))
    }

    /// How many numbers a classifier's head sees of a text.
    pub fn pooled(&self) -> usize {
        self.directions().len() * POOLED * self.hidden_size
    }

    /// The name and shape of every tensor that is learnt by gradients, in PyTorch's names, in a fixed order.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let gates = 4 * self.hidden_size;
        let mut tensors = vec![(
            "embedding.weight".to_string(),
            vec![self.vocab_size, self.embedding_size],
        )];
        for &direction in self.directions() {
            let rnn = stack_name(direction);
            for layer in 0..self.num_layers {
                let input_size = if layer == 0 {
                    self.embedding_size
                } else {
                    self.hidden_size
                };
                let own: [(String, Vec<usize>); TENSORS_OF_A_LAYER] = [
                    (format!("{rnn}.weight_ih_l{layer}"), vec![gates, input_size]),
                    (
                        format!("{rnn}.weight_hh_l{layer}"),
                        vec![gates, self.hidden_size],
                    ),
                    (format!("{rnn}.bias_ih_l{layer}"), vec![gates]),
                    (format!("{rnn}.bias_hh_l{layer}"), vec![gates]),
                ];
                tensors.extend(own);
            }
        }
        if self.task == Task::Classifier {
            let labels = self.labels.len();
            tensors.push(("head.weight".to_string(), vec![labels, self.pooled()]));
            tensors.push(("head.bias".to_string(), vec![labels]));
            return tensors;
        }
        if !self.tie_weights {
            tensors.push((
                "output.weight".to_string(),
                vec![self.vocab_size, self.hidden_size],
            ));
        }
        tensors.push(("output.bias".to_string(), vec![self.vocab_size]));
        tensors
    }

    /// The name and shape of every other tensor.
    pub fn fitted(&self) -> Vec<(String, Vec<usize>)> {
        if self.task == Task::LanguageModel {
            let shape = vec![self.vocab_size, self.semantics];
            return match self.semantics {
                0 => Vec::new(),
                _ => vec![(SEMANTICS.to_string(), shape)],
            };
        }
        vec![
            (NGRAM_NUMBERS.to_string(), vec![self.ngrams]),
            (
                NGRAM_WEIGHTS.to_string(),
                vec![self.ngrams, self.labels.len()],
            ),
            (NGRAM_BIAS.to_string(), vec![self.labels.len()]),
            (SCALES.to_string(), vec![2]),
            (LABEL_BIAS.to_string(), vec![self.labels.len()]),
        ]
    }

    /// How many numbers are learnt.
    pub fn parameters(&self) -> usize {
        self.tensors()
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum()
    }

    /// Sizes that can be.
    ///
    /// # Errors
    /// A size of zero, a dropout outside [0, 1), tied weights of different width.
    pub fn check(&self) -> Result<()> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("embedding_size", self.embedding_size),
            ("hidden_size", self.hidden_size),
            ("num_layers", self.num_layers),
        ];
        for (name, size) in sizes {
            if size == 0 || size > 1 << 24 {
                return Err(Error::new(format!(
                    "{name} is {size}; it must be between 1 and {}",
                    1 << 24
                )));
            }
        }
        if (self.task == Task::Classifier) != (self.labels.len() > 1) {
            return Err(Error::new(format!(
                "labels are {:?}; a classifier has two or more, and a language model none",
                self.labels
            )));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::new(format!(
                "dropout is {}; it must be at least 0 and below 1",
                self.dropout
            )));
        }
        if self.tie_weights && self.embedding_size != self.hidden_size {
            return Err(Error::new(format!(
                "tied weights need an embedding as wide as the hidden state, but embedding_size is {} and hidden_size {}",
                self.embedding_size, self.hidden_size
            )));
        }
        Ok(())
    }
}

/// Whether a checkpoint of this format can be read.
///
/// # Errors
/// If it is another than [`FORMAT_VERSION`].
pub fn check_version(format_version: u32) -> Result<()> {
    if format_version != FORMAT_VERSION {
        return Err(Error::new(format!(
            "the checkpoint has format version {format_version}, and this program reads version {FORMAT_VERSION}; \
             use the version of carousel that wrote it"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_counted_as_pytorch_counts_them() {
        let mut config = ModelConfig {
            format_version: FORMAT_VERSION,
            task: Task::LanguageModel,
            level: Level::Character,
            split: Split::Natural,
            cell: Cell::Lstm,
            vocab_size: 65,
            embedding_size: 512,
            hidden_size: 512,
            num_layers: 2,
            dropout: 0.0,
            tie_weights: false,
            bidirectional: false,
            labels: Vec::new(),
            ngrams: 0,
            semantics: 0,
        };
        // sum(p.numel()) over nn.Embedding(65, 512), nn.LSTM(512, 512, 2), nn.Linear(512, 65)
        assert_eq!(config.parameters(), 33_280 + 4_202_496 + 33_345);
        config.tie_weights = true;
        assert_eq!(config.parameters(), 33_280 + 4_202_496 + 65);
        config.bidirectional = true;
        assert_eq!(config.parameters(), 33_280 + 2 * 4_202_496 + 65);
        let directions: Vec<_> = (0..18).map(|tensor| config.direction_of(tensor)).collect();
        let both = [[Some(Direction::Forward); 8], [Some(Direction::Reverse); 8]].concat();
        assert_eq!(directions, [vec![None], both, vec![None]].concat());
        config.bidirectional = false;
        assert_eq!(config.direction_of(8), Some(Direction::Forward));
        assert_eq!(config.direction_of(9), None);
        assert!(config.check().is_ok());
        config.embedding_size = 100;
        assert!(config.check().is_err());
    }
}

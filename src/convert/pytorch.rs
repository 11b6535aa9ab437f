/*!
A PyTorch language model as a model of this program, with the same logits.
*/

use carousel_kernels::recurrent::{Activation, Cell};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::network::{Layer, Network};
use super::state_dict::StateDict;
use super::vocabulary::Vocabulary;
use crate::checkpoint::ModelConfig;
use crate::checkpoint::architecture::{
    EMBEDDING, NextToken, OUTPUT_BIAS, OUTPUT_WEIGHT, Recurrent, Tokens,
};
use crate::checkpoint::parts::{Body, Head, Input};
use crate::error::{Error, Result};
use crate::text::Direction;

/// How much less than the mean logit that of a token is that the other program did not have: its probability is below 1e-13.
const UNLIKELY: f32 = 30.0;

/// A model that was made of another program's.
pub struct Imported {
    /// What the network is.
    pub config: ModelConfig,
    /// Its weights, as the bytes of a safetensors file.
    pub weights: Vec<u8>,
    /// What is to be said of it.
    pub notes: Vec<String>,
}

/// A network that was found in a state dict.
pub struct Found<'a> {
    tensors: &'a StateDict<'a>,
    network: Network,
}

impl<'a> Found<'a> {
    /// Finds the network.
    ///
    /// # Errors
    /// A state dict of another network.
    pub fn find(tensors: &'a StateDict<'a>) -> Result<Self> {
        Ok(Found {
            network: Network::find(tensors)?,
            tensors,
        })
    }

    /// Entries of its vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.network.vocab_size
    }

    /// Makes a model of it, which reads the tokens of `vocabulary`. Only plain recurrent layers have an `activation`; without
    /// one it is PyTorch's own, tanh.
    ///
    /// # Errors
    /// A vocabulary of another size; an activation for a cell that has its own; numbers that are not finite.
    pub fn model(
        &self,
        vocabulary: &Vocabulary,
        activation: Option<Activation>,
    ) -> Result<Imported> {
        let network = &self.network;
        vocabulary.check(network.vocab_size)?;
        let mut notes = Vec::new();
        if activation.is_some() && network.cell != Cell::Rnn {
            return Err(Error::usage(format!(
                "the activation of {} is fixed; --activation is for nn.RNN",
                network.cell.name()
            )));
        }
        if activation.is_none() && network.cell == Cell::Rnn {
            notes.push(
                "a state dict does not tell the activation of nn.RNN; it is taken to be tanh, unless --activation relu is given"
                    .to_string(),
            );
        }
        let widths: Vec<usize> = (network.layers.iter())
            .map(|layer| layer.hidden_size)
            .collect();
        let hidden_size = widths.iter().copied().max().unwrap_or(0);
        if widths.iter().any(|&width| width != hidden_size) {
            let listed: Vec<String> = widths.iter().map(usize::to_string).collect();
            notes.push(format!(
                "the layers are {} wide; all become {hidden_size} wide, by units whose weights are zero: they stay at zero, and \
                 what the model computes is the same",
                listed.join(", ")
            ));
        }
        let config = self.config(vocabulary, hidden_size, activation);
        config.check()?;
        let weights = self.weights(&config, vocabulary)?;
        Ok(Imported {
            config,
            weights,
            notes,
        })
    }

    fn config(
        &self,
        vocabulary: &Vocabulary,
        hidden_size: usize,
        activation: Option<Activation>,
    ) -> ModelConfig {
        let network = &self.network;
        let tie_weights = network.output.is_none();
        let tokenizer = &vocabulary.tokenizer;
        ModelConfig {
            input: Input::Tokens(Tokens {
                level: tokenizer.level(),
                split: tokenizer.split(),
                vocab_size: tokenizer.vocab_size(),
                embedding_size: match tie_weights {
                    true => hidden_size,
                    false => network.layers[0].input_size,
                },
            }),
            body: Body::Recurrent(Recurrent {
                activation: activation.unwrap_or_default(),
                ..Recurrent::new(network.cell, hidden_size, network.layers.len())
            }),
            head: Head::NextToken(NextToken {
                tie_weights,
                ..NextToken::default()
            }),
        }
    }

    /// The weights under this program's names.
    fn weights(&self, config: &ModelConfig, vocabulary: &Vocabulary) -> Result<Vec<u8>> {
        let network = &self.network;
        let recurrent = config.recurrent();
        let mut tensors = vec![(
            EMBEDDING.to_string(),
            self.rows(&network.embedding, vocabulary, config.input_size())?,
        )];
        if let Some(output) = &network.output {
            let rows = self.rows(output, vocabulary, recurrent.hidden_size)?;
            tensors.push((OUTPUT_WEIGHT.to_string(), rows));
        }
        tensors.push((OUTPUT_BIAS.to_string(), self.output_bias(vocabulary)?));
        for (number, layer) in network.layers.iter().enumerate() {
            let reads = match number {
                0 => config.input_size(),
                _ => recurrent.hidden_size,
            };
            let names = recurrent.layer_names(Direction::Forward, number);
            let padded = Padded {
                tensors: self.tensors,
                layer,
                gates: recurrent.cell.gates(),
                hidden_size: recurrent.hidden_size,
            };
            tensors.push((names.weight_ih, padded.matrix(&layer.weight_ih, reads)?));
            for name in names.weight_hh {
                let matrix = padded.matrix(&layer.weight_hh, recurrent.hidden_size)?;
                tensors.push((name, matrix));
            }
            tensors.push((names.bias_ih, padded.bias(layer.bias_ih.as_deref())?));
            tensors.push((names.bias_hh, padded.bias(layer.bias_hh.as_deref())?));
        }
        serialize(config, tensors)
    }

    /// The rows of a matrix in the order of the vocabulary, `width` wide. A token that has none gets the mean of all.
    fn rows(&self, name: &str, vocabulary: &Vocabulary, width: usize) -> Result<Vec<f32>> {
        let values = self.tensors.floats(name)?;
        let own = values.len() / self.network.vocab_size;
        let mean: Vec<f32> = (0..own)
            .map(|column| {
                let values = values.iter().skip(column).step_by(own);
                let sum: f64 = values.map(|&value| f64::from(value)).sum();
                (sum / self.network.vocab_size as f64) as f32
            })
            .collect();
        let mut rows = Vec::with_capacity(vocabulary.rows.len() * width);
        for row in &vocabulary.rows {
            rows.extend_from_slice(row.map_or(&mean[..], |row| &values[row * own..][..own]));
            rows.resize(rows.len() + width - own, 0.0);
        }
        Ok(rows)
    }

    /// The output's bias in the order of the vocabulary.
    fn output_bias(&self, vocabulary: &Vocabulary) -> Result<Vec<f32>> {
        let values = match &self.network.output_bias {
            Some(name) => self.tensors.floats(name)?,
            None => vec![0.0; self.network.vocab_size],
        };
        let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
        let unlikely = (sum / values.len() as f64) as f32 - UNLIKELY;
        let bias = |row: &Option<usize>| row.map_or(unlikely, |row| values[row]);
        Ok(vocabulary.rows.iter().map(bias).collect())
    }
}

/// A layer that is made wider. A unit whose weights are all zero stays at zero: tanh(0) and relu(0) are, and so are the state
/// of an LSTM, a half of zero and a half of tanh(0), and of a GRU.
struct Padded<'a> {
    tensors: &'a StateDict<'a>,
    layer: &'a Layer,
    gates: usize,
    hidden_size: usize,
}

impl Padded<'_> {
    /// A matrix over `reads` inputs: zeros after the columns, and after the rows of each gate.
    fn matrix(&self, name: &str, reads: usize) -> Result<Vec<f32>> {
        let values = self.tensors.floats(name)?;
        let columns = values.len() / (self.gates * self.layer.hidden_size);
        let mut padded = vec![0.0; self.gates * self.hidden_size * reads];
        for (row, values) in values.chunks_exact(columns).enumerate() {
            let (gate, unit) = (row / self.layer.hidden_size, row % self.layer.hidden_size);
            let at = (gate * self.hidden_size + unit) * reads;
            padded[at..at + columns].copy_from_slice(values);
        }
        Ok(padded)
    }

    /// A bias; zeros where there is none.
    fn bias(&self, name: Option<&str>) -> Result<Vec<f32>> {
        match name {
            Some(name) => self.matrix(name, 1),
            None => Ok(vec![0.0; self.gates * self.hidden_size]),
        }
    }
}

/// The bytes of a safetensors file of a model's tensors.
fn serialize(config: &ModelConfig, tensors: Vec<(String, Vec<f32>)>) -> Result<Vec<u8>> {
    let shapes = config.tensors();
    let bytes: Vec<(String, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, values)| {
            (
                name,
                values.into_iter().flat_map(f32::to_le_bytes).collect(),
            )
        })
        .collect();
    let views = shapes.into_iter().map(|(name, shape)| {
        let own = bytes.iter().find(|(other, _)| *other == name);
        let (_, bytes) = own.expect("every tensor of the configuration was made");
        let view = TensorView::new(Dtype::F32, shape, bytes);
        (name, view.expect("a tensor's bytes fill its shape"))
    });
    safetensors::serialize(views, None)
        .map_err(|e| Error::new(format!("the weights cannot be written: {e}")))
}

/*!
The network's forward pass: one step of one text, many steps of a prompt, or many texts side by side.
*/

use crate::checkpoint::ModelConfig;
use crate::checkpoint::directory::Weights;
use crate::error::Result;
use crate::kernels;

/// A network's weights in float32.
pub struct Network {
    vocab_size: usize,
    embedding_size: usize,
    hidden_size: usize,
    /// `[vocab_size, embedding_size]`.
    embedding: Vec<f32>,
    layers: Vec<Layer>,
    /// `[vocab_size, hidden_size]`; `None` where it is the embedding.
    output: Option<Vec<f32>>,
    output_bias: Vec<f32>,
}

struct Layer {
    input_size: usize,
    /// `[4 · hidden_size, input_size]`.
    weight_ih: Vec<f32>,
    /// `[4 · hidden_size, hidden_size]`.
    weight_hh: Vec<f32>,
    /// The sum of PyTorch's two.
    bias: Vec<f32>,
}

/// What the network remembers of the texts it reads side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    streams: usize,
    /// A layer each: `[streams, hidden_size]`.
    hidden: Vec<Vec<f32>>,
    cell: Vec<Vec<f32>>,
}

impl State {
    /// Empties the memory of one stream.
    pub fn forget(&mut self, stream: usize) {
        for values in self.hidden.iter_mut().chain(&mut self.cell) {
            let width = values.len() / self.streams;
            values[stream * width..(stream + 1) * width].fill(0.0);
        }
    }
}

/// The steps whose logits are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    All,
    /// The last alone.
    Last,
}

impl Network {
    /// Takes over the weights of a checkpoint, whose shapes have been checked.
    pub fn load(config: &ModelConfig, weights: &Weights) -> Result<Self> {
        let layers = (0..config.num_layers).map(|layer| {
            let bias_ih = weights.floats(&format!("rnn.bias_ih_l{layer}"))?;
            let bias_hh = weights.floats(&format!("rnn.bias_hh_l{layer}"))?;
            Ok(Layer {
                input_size: if layer == 0 {
                    config.embedding_size
                } else {
                    config.hidden_size
                },
                weight_ih: weights.floats(&format!("rnn.weight_ih_l{layer}"))?,
                weight_hh: weights.floats(&format!("rnn.weight_hh_l{layer}"))?,
                bias: bias_ih.iter().zip(&bias_hh).map(|(a, b)| a + b).collect(),
            })
        });
        Ok(Network {
            vocab_size: config.vocab_size,
            embedding_size: config.embedding_size,
            hidden_size: config.hidden_size,
            embedding: weights.floats("embedding.weight")?,
            layers: layers.collect::<Result<_>>()?,
            output: if config.tie_weights {
                None
            } else {
                Some(weights.floats("output.weight")?)
            },
            output_bias: weights.floats("output.bias")?,
        })
    }

    /// How many logits a step gives.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// An empty memory for texts read side by side.
    pub fn zero_state(&self, streams: usize) -> State {
        let zeros = vec![vec![0.0; streams * self.hidden_size]; self.layers.len()];
        State {
            streams,
            hidden: zeros.clone(),
            cell: zeros,
        }
    }

    /// Reads `tokens`, time-major `[steps, streams]`, and returns the wanted logits, `[steps or 1, streams, vocab_size]`.
    ///
    /// # Panics
    /// If a token is not in the vocabulary, or the tokens do not fill the streams.
    pub fn forward(&self, tokens: &[u32], state: &mut State, wanted: Wanted) -> Vec<f32> {
        let (streams, hidden_size) = (state.streams, self.hidden_size);
        assert_eq!(tokens.len() % streams, 0, "tokens fill the streams");
        let mut inputs = Vec::with_capacity(tokens.len() * self.embedding_size);
        for &token in tokens {
            let row = token as usize * self.embedding_size;
            inputs.extend_from_slice(&self.embedding[row..row + self.embedding_size]);
        }
        for (index, layer) in self.layers.iter().enumerate() {
            // The input products of all steps are one matrix product; the recurrent ones must go step by step.
            let mut gates: Vec<f32> = layer
                .bias
                .iter()
                .copied()
                .cycle()
                .take(tokens.len() * 4 * hidden_size)
                .collect();
            kernels::add_product(&inputs, &layer.weight_ih, &mut gates, layer.input_size);
            let (hidden, cell) = (&mut state.hidden[index], &mut state.cell[index]);
            let mut outputs = Vec::with_capacity(tokens.len() * hidden_size);
            for step in gates.chunks_exact_mut(streams * 4 * hidden_size) {
                kernels::add_product(hidden, &layer.weight_hh, step, hidden_size);
                kernels::lstm_gates(step, cell, hidden, hidden_size);
                outputs.extend_from_slice(hidden);
            }
            inputs = outputs;
        }
        let wanted = match wanted {
            Wanted::All => &inputs[..],
            Wanted::Last => &inputs[inputs.len() - streams * hidden_size..],
        };
        let rows = wanted.len() / hidden_size;
        let mut logits: Vec<f32> = self
            .output_bias
            .iter()
            .copied()
            .cycle()
            .take(rows * self.vocab_size)
            .collect();
        let output = self.output.as_ref().unwrap_or(&self.embedding);
        kernels::add_product(wanted, output, &mut logits, hidden_size);
        logits
    }
}

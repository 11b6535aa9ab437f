/*!
A slow and simple forward pass that keeps everything it computes: hidden states, cell states and gates.

It follows the equations of the papers line by line, in float32 and without kernels, so that what is inside can be looked
at. The tests hold it to the kernels' hidden states.
*/

use std::collections::VecDeque;

use crate::checkpoint::architecture::{EMBEDDING, LayerTensors, Leak, Recurrent};
use crate::checkpoint::{ModelConfig, WeightsFile};
use crate::error::Result;
use crate::text::Direction;
use carousel_kernels::recurrent::{Activation, Cell};

/// Added to a variance, as PyTorch does.
const EPSILON: f32 = 1e-5;
/// Sums that are added up side by side, so that the compiler uses vectors.
const LANES: usize = 16;

/// The weights of an embedding and of the layers that read forwards, as the file has them.
pub struct PlainNetwork {
    recurrent: Recurrent,
    embedding: Vec<f32>,
    embedding_size: usize,
    layers: Vec<LayerTensors<Vec<f32>>>,
}

/// The state of one text: a layer's state for each layer.
pub type PlainState = Vec<PlainLayer>;

/// What a layer holds after a step.
#[derive(Clone, Debug)]
pub struct PlainLayer {
    /// The latest hidden states, the last one first, as many as recurrence reads.
    pub hidden: VecDeque<Vec<f32>>,
    /// The cell state of an LSTM; empty for other cells.
    pub cell: Vec<f32>,
    /// The gates' activations at the last step, in the order of [`gate_names`].
    pub gates: Vec<Vec<f32>>,
}

/// Names of a cell's gates; none for cells without.
pub fn gate_names(cell: Cell) -> &'static [&'static str] {
    match cell {
        Cell::Lstm => &["input", "forget", "output"],
        Cell::Gru => &["reset", "update"],
        Cell::Rnn | Cell::Leaky | Cell::Skip => &[],
    }
}

impl PlainNetwork {
    /// Reads the weights of a checkpoint.
    ///
    /// # Errors
    /// Weights that are missing or not finite.
    pub fn load(config: &ModelConfig, weights: &WeightsFile) -> Result<Self> {
        let recurrent = config.recurrent();
        let layer = |index| {
            let names = recurrent.layer_names(Direction::Forward, index);
            names.try_map(|name| Ok(weights.floats(&name)?.into_owned()))
        };
        Ok(PlainNetwork {
            embedding: weights.floats(EMBEDDING)?.into_owned(),
            embedding_size: config.tokens().embedding_size,
            layers: (0..recurrent.num_layers)
                .map(layer)
                .collect::<Result<_>>()?,
            recurrent: recurrent.clone(),
        })
    }

    /// The layers.
    pub fn recurrent(&self) -> &Recurrent {
        &self.recurrent
    }

    /// The part of its state that each leaky unit of a layer keeps; empty for other cells.
    pub fn leak(&self, layer: usize) -> Vec<f32> {
        match (self.recurrent.leak, &self.layers[layer].leak) {
            (Some(Leak::Fixed(leak)), _) => vec![leak as f32; self.recurrent.hidden_size],
            (_, Some(odds)) => odds.iter().map(|&odds| sigmoid(odds)).collect(),
            _ => Vec::new(),
        }
    }

    /// The state before the first token.
    pub fn zero_state(&self) -> PlainState {
        let zeros = vec![0.0; self.recurrent.hidden_size];
        let history = self.recurrent.layer_spec().history();
        let is_lstm = self.recurrent.cell == Cell::Lstm;
        let layer = PlainLayer {
            hidden: vec![zeros.clone(); history].into(),
            cell: if is_lstm { zeros } else { Vec::new() },
            gates: Vec::new(),
        };
        vec![layer; self.recurrent.num_layers]
    }

    /// Reads a token.
    ///
    /// # Panics
    /// If the token is not in the vocabulary.
    pub fn step(&self, token: u32, state: &mut PlainState) {
        let row = token as usize * self.embedding_size;
        let mut below = self.embedding[row..row + self.embedding_size].to_vec();
        for (index, layer) in state.iter_mut().enumerate() {
            self.layer_step(index, &below, layer);
            let hidden = &layer.hidden[0];
            below = match self.recurrent.residual && index > 0 {
                true => below.iter().zip(hidden).map(|(x, h)| x + h).collect(),
                false => hidden.clone(),
            };
        }
    }

    fn layer_step(&self, index: usize, input: &[f32], state: &mut PlainLayer) {
        let weights = &self.layers[index];
        let gains = |which: usize| weights.norms.as_ref().map(|norms| &norms[which][..]);
        let mut x = products(&weights.weight_ih, input);
        finish(&mut x, gains(0), &weights.bias_ih);
        let mut h = vec![0.0; x.len()];
        let lags = self.recurrent.layer_spec().lags;
        for (matrix, lag) in weights.weight_hh.iter().zip(lags) {
            let terms = products(matrix, &state.hidden[lag - 1]);
            h.iter_mut().zip(terms).for_each(|(h, term)| *h += term);
        }
        finish(&mut h, gains(1), &weights.bias_hh);
        let hidden = self.cell_step(&x, &h, &self.leak(index), state);
        state.hidden.pop_back();
        state.hidden.push_front(hidden);
    }

    /// The new hidden state; replaces the cell state and the gates.
    fn cell_step(&self, x: &[f32], h: &[f32], leak: &[f32], state: &mut PlainLayer) -> Vec<f32> {
        let size = self.recurrent.hidden_size;
        let sum = |gate: usize, unit: usize| x[gate * size + unit] + h[gate * size + unit];
        let gate =
            |gate: usize| -> Vec<f32> { (0..size).map(|unit| sigmoid(sum(gate, unit))).collect() };
        let activated = |unit: usize| match self.recurrent.activation {
            Activation::Tanh => sum(0, unit).tanh(),
            Activation::Relu => sum(0, unit).max(0.0),
        };
        let before = &state.hidden[0];
        match self.recurrent.cell {
            Cell::Rnn | Cell::Skip => (0..size).map(activated).collect(),
            Cell::Leaky => {
                let units = (0..size).zip(before).zip(leak);
                let keep = |((unit, before), leak): ((usize, &f32), &f32)| {
                    leak * before + (1.0 - leak) * activated(unit)
                };
                units.map(keep).collect()
            }
            Cell::Gru => {
                let (r, z) = (gate(0), gate(1));
                let new = |unit: usize| {
                    let n = (x[2 * size + unit] + r[unit] * h[2 * size + unit]).tanh();
                    (1.0 - z[unit]) * n + z[unit] * before[unit]
                };
                let hidden = (0..size).map(new).collect();
                state.gates = vec![r, z];
                hidden
            }
            Cell::Lstm => {
                let (i, f, o) = (gate(0), gate(1), gate(3));
                for (unit, cell) in state.cell.iter_mut().enumerate() {
                    *cell = f[unit] * *cell + i[unit] * sum(2, unit).tanh();
                }
                let outputs = o.iter().zip(&state.cell);
                let hidden = outputs.map(|(o, cell)| o * cell.tanh()).collect();
                state.gates = vec![i, f, o];
                hidden
            }
        }
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `matrix`, `[outer, inner]`, times a vector of `inner` values.
fn products(matrix: &[f32], vector: &[f32]) -> Vec<f32> {
    let product = |row: &[f32]| {
        let (mut sums, whole) = ([0.0; LANES], vector.len() / LANES * LANES);
        let blocks = row[..whole].chunks_exact(LANES);
        for (row, vector) in blocks.zip(vector.chunks_exact(LANES)) {
            for lane in 0..LANES {
                sums[lane] += row[lane] * vector[lane];
            }
        }
        let rest = row[whole..].iter().zip(&vector[whole..]);
        sums.iter().sum::<f32>() + rest.map(|(a, b)| a * b).sum::<f32>()
    };
    matrix.chunks_exact(vector.len()).map(product).collect()
}

/// Normalises products if there are gains, and adds the bias.
fn finish(products: &mut [f32], gains: Option<&[f32]>, bias: &[f32]) {
    if let Some(gains) = gains {
        let count = products.len() as f32;
        let mean = products.iter().sum::<f32>() / count;
        let variance = products.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / count;
        let scale = 1.0 / (variance + EPSILON).sqrt();
        for (product, gain) in products.iter_mut().zip(gains) {
            *product = (*product - mean) * scale * gain;
        }
    }
    products
        .iter_mut()
        .zip(bias)
        .for_each(|(x, bias)| *x += bias);
}

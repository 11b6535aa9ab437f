/*!
The recurrent layers over a window, forward and backward.

Of a small vocabulary the first layer's input products are computed once for each token of the vocabulary, not for each
position: a table, made anew for each window; its gradients are summed by token before they are multiplied.
*/

use std::ops::Range;

use tch::Tensor;

use crate::network::State;
use crate::slices::floats;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::{LAYER_TENSORS, layer_tensor};
use carousel::text::Direction;
use carousel_kernels::recurrent::{OutputGradients, Start, TABLE_TOKENS, Tape, start};
use carousel_kernels::{Kernel, Layout, Matrix, PackedWeights, Rows, ThreadPool};

use super::embedding::{self, TokenSums, multiply};
use super::memory::StepMemory;
use super::window_input::WindowInput;

/// Numbers that are worth another thread.
const CHUNK: usize = 1 << 15;

/// The layers of all directions.
pub struct LayerStack {
    kernel: Kernel,
    layers: Vec<TapedLayer>,
    batch_size: usize,
}

struct TapedLayer {
    /// The names of its parameters, in the order of [`LAYER_TENSORS`].
    names: [String; 4],
    input: PackedWeights,
    recurrent: PackedWeights,
    tape: Tape,
}

/// Activations of a window, besides those on the tapes.
pub struct Activations {
    /// The positions of its layers among all.
    layers: Range<usize>,
    /// Whether the first layer's input products are a table.
    table: bool,
    /// The tokens of the rows of `embedded`.
    tokens: Vec<u32>,
    embedded: Rows,
    /// The rows of a tape's outputs that follow the state before the window.
    after: Range<usize>,
    /// Each layer's outputs with dropout, where there is some.
    dropped: Vec<Option<Rows>>,
    /// Each layer's state after the window, part by part.
    states: Vec<Vec<Vec<f32>>>,
}

impl LayerStack {
    /// Layers for windows of `batch_size` streams.
    pub fn new(config: &ModelConfig, batch_size: usize, kernel: Kernel) -> Self {
        let recurrent = config.recurrent();
        let hidden_size = recurrent.hidden_size;
        let layer = |(direction, index): (Direction, usize)| {
            let input_size = if index == 0 {
                config.tokens().embedding_size
            } else {
                hidden_size
            };
            let rows = recurrent.cell.gates() * hidden_size;
            let cell = recurrent.cell;
            let weights = |inner, layout: Layout| PackedWeights::zeros(rows, inner, layout, kernel);
            TapedLayer {
                names: LAYER_TENSORS.map(|which| layer_tensor(direction, which, index)),
                input: weights(input_size, cell.input_layout()),
                recurrent: weights(hidden_size, cell.recurrent_layout()),
                tape: Tape::new(cell, hidden_size, batch_size, kernel),
            }
        };
        let directions = recurrent.directions().iter();
        let all = directions
            .flat_map(|&direction| (0..recurrent.num_layers).map(move |index| (direction, index)));
        LayerStack {
            kernel,
            layers: all.map(layer).collect(),
            batch_size,
        }
    }

    /// The kernel of all products.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Sets the number of streams of the next windows.
    pub fn set_batch_size(&mut self, batch_size: usize) {
        self.batch_size = batch_size;
        for layer in &mut self.layers {
            layer.tape.set_streams(batch_size);
        }
    }

    /// Runs over a window from a state, with a perturbation of the vectors that are read, `[panels, rows, width]`, if there
    /// is one. `may_share` says whether equal tokens have equal vectors, so that a table may serve.
    pub fn forward(
        &mut self,
        window: &WindowInput,
        state: &State,
        perturbation: Option<&[f32]>,
        may_share: bool,
        pool: &ThreadPool,
    ) -> Activations {
        let config = &window.network.config;
        let vocab_size = config.tokens().vocab_size;
        let table = may_share && vocab_size <= TABLE_TOKENS && window.masks.inputs.is_none();
        let tokens = match table {
            true => (0..vocab_size as u32).collect(),
            false => window.inputs.to_vec(),
        };
        let (batch_size, kernel) = (self.batch_size, self.kernel);
        let embedded = embedding::embed(window, &tokens, perturbation, batch_size, kernel, pool);
        let mut activations = Activations {
            layers: config.recurrent().stack(window.direction),
            table,
            tokens,
            embedded,
            after: batch_size..batch_size + window.inputs.len(),
            dropped: Vec::new(),
            states: Vec::new(),
        };
        for index in 0..activations.layers.len() {
            self.forward_layer(index, window, state, &mut activations, pool);
        }
        activations
    }

    fn forward_layer(
        &mut self,
        index: usize,
        window: &WindowInput,
        state: &State,
        activations: &mut Activations,
        pool: &ThreadPool,
    ) {
        let position = activations.layers.start + index;
        let (below, layer) = self.layers.split_at_mut(position);
        let layer = &mut layer[0];
        let [w_ih, w_hh, b_ih, b_hh] = window.network.layer(window.direction, index).map(floats);
        layer.input.fill(w_ih, None, pool);
        layer.recurrent.fill(
            w_hh,
            window.masks.recurrent[index].as_ref().map(floats),
            pool,
        );
        let bias: Vec<f32> = b_ih.iter().zip(b_hh).map(|(a, b)| a + b).collect();
        let bias = start(&layer.input.forward, &bias);
        let (x, rows) = activations.inputs_of(below, index);
        let before: Vec<Tensor> = state
            .layer(position)
            .iter()
            .map(Tensor::contiguous)
            .collect();
        let before: Vec<&[f32]> = before.iter().map(floats).collect();
        let products = &layer.input.forward;
        if index == 0 && activations.table {
            let values = products.sums(&bias, x, rows, pool);
            let start = Start {
                values: &values,
                rows: window.inputs,
            };
            layer
                .tape
                .forward(&layer.recurrent, Some(start), &before, pool);
        } else {
            let starts = layer.tape.starts(&layer.recurrent, rows.len());
            products.fill_sums(&bias, x, rows, starts, pool);
            layer.tape.forward(&layer.recurrent, None, &before, pool);
        }
        activations.states.push(layer.tape.state());
        let outputs = layer.tape.outputs();
        let times = |mask: &Tensor| outputs.times(activations.after.clone(), floats(mask), pool);
        let dropped = window.masks.outputs[index].as_ref().map(times);
        activations.dropped.push(dropped);
    }

    /// Runs backward over a window: from gradients with respect to the last layer's outputs, `[panels, rows, width]`, computes
    /// those of the layers' parameters, and adds to those of the embedding. Returns the gradients with respect to the
    /// vectors that were read, `[panels, rows, width]`.
    pub fn backward(
        &mut self,
        window: &WindowInput,
        activations: &Activations,
        outputs_gradient: Vec<f32>,
        memory: &mut StepMemory,
        pool: &ThreadPool,
    ) -> Vec<f32> {
        let mut above = outputs_gradient;
        for index in (0..activations.layers.len()).rev() {
            let position = activations.layers.start + index;
            let layer = &mut self.layers[position];
            let outputs = OutputGradients {
                gradients: &above,
                mask: window.masks.outputs[index].as_ref().map(floats),
            };
            layer.tape.backward(&layer.recurrent, outputs, pool);
            self.recurrent_gradients(index, window, activations, memory, pool);
            let below = self.input_gradients(index, window, activations, memory, pool);
            memory
                .scratch
                .put_back(std::mem::replace(&mut above, below));
        }
        let width = self.kernel.width();
        embedding::add_gradient(
            window,
            &activations.tokens,
            &mut above,
            width,
            &mut memory.gradients,
        );
        above
    }

    /// Gradients of a layer's biases and recurrent weights.
    fn recurrent_gradients(
        &self,
        index: usize,
        window: &WindowInput,
        activations: &Activations,
        memory: &mut StepMemory,
        pool: &ThreadPool,
    ) {
        let StepMemory { gradients, scratch } = memory;
        let layer = &self.layers[activations.layers.start + index];
        let [_, w_hh, biases @ ..] = &layer.names;
        let row = |position: usize| layer.recurrent.forward.row(position);
        for name in biases {
            let gradient = gradients.get_mut(name);
            for (position, value) in layer.tape.bias_gradient().iter().enumerate() {
                if let Some(row) = row(position) {
                    gradient[row] = *value;
                }
            }
        }
        let rows = window.inputs.len();
        scratch
            .gradients
            .set_panels(layer.tape.sums_gradient(), rows, pool);
        scratch.inputs.set_rows(layer.tape.outputs(), 0..rows, pool);
        let gradient = gradients.get_mut(w_hh);
        scratch
            .gradients
            .products(&scratch.inputs, row, gradient, pool);
        if let Some(mask) = &window.masks.recurrent[index] {
            let mut parts: Vec<_> = gradient
                .chunks_mut(CHUNK)
                .zip(floats(mask).chunks(CHUNK))
                .collect();
            pool.for_each(pool.threads(), &mut parts, |_, (gradient, factors)| {
                multiply(gradient, factors)
            });
        }
    }

    /// Gradients of a layer's input weights, and, returned, those with respect to its inputs.
    fn input_gradients(
        &self,
        index: usize,
        window: &WindowInput,
        activations: &Activations,
        memory: &mut StepMemory,
        pool: &ThreadPool,
    ) -> Vec<f32> {
        let StepMemory { gradients, scratch } = memory;
        let layer = &self.layers[activations.layers.start + index];
        let layout = &layer.recurrent.forward;
        let by_token;
        let sums_gradient = if index == 0 && activations.table {
            let vocab_size = activations.tokens.len();
            let sums = sum_by_token(layout, &layer.tape, window.inputs, vocab_size, pool);
            scratch.gradients.set_panels(&sums, vocab_size, pool);
            by_token = rows_of(layout, &sums, vocab_size, pool);
            &by_token
        } else {
            layer.tape.gradients()
        };
        let (x, rows) = activations.inputs_of(&self.layers, index);
        scratch.inputs.set_rows(x, rows, pool);
        let row = |position: usize| layout.row(position);
        let gradient = gradients.get_mut(&layer.names[0]);
        scratch
            .gradients
            .products(&scratch.inputs, row, gradient, pool);
        scratch.products(
            &layer.input.backward,
            sums_gradient,
            0..sums_gradient.len(),
            pool,
        )
    }
}

impl Activations {
    /// The last layer's outputs as the head reads them: rows, and which of them.
    pub fn outputs<'a>(&'a self, stack: &'a LayerStack) -> (&'a Rows, Range<usize>) {
        self.inputs_of(&stack.layers, self.layers.len())
    }

    /// The last layer's outputs without dropout, `[(steps + 1) · batch_size, hidden_size]`, the state before the window
    /// first.
    pub fn plain_outputs<'a>(&self, stack: &'a LayerStack) -> &'a Rows {
        stack.layers[self.layers.end - 1].tape.outputs()
    }

    /// The inputs of layer `index`: rows, and which of them.
    fn inputs_of<'a>(&'a self, layers: &'a [TapedLayer], index: usize) -> (&'a Rows, Range<usize>) {
        match index.checked_sub(1) {
            None => (&self.embedded, 0..self.embedded.len()),
            Some(below) => match &self.dropped[below] {
                Some(rows) => (rows, 0..rows.len()),
                None => {
                    let below = &layers[self.layers.start + below];
                    (below.tape.outputs(), self.after.clone())
                }
            },
        }
    }

    /// The state after the window; layers of another direction keep theirs.
    pub fn state(&self, before: &State) -> State {
        let (first, count) = (self.layers.start as i64, self.layers.len() as i64);
        let after = |(part, before): (usize, &Tensor)| {
            let own: Vec<f32> = self
                .states
                .iter()
                .flat_map(|parts| &parts[part])
                .copied()
                .collect();
            let after = before.copy();
            let mut place = after.narrow(0, first, count);
            place.copy_(&Tensor::from_slice(&own).view_as(&place));
            after
        };
        State {
            parts: before.parts.iter().enumerate().map(after).collect(),
        }
    }
}

/// The gradients of a layer's sums, added up for each token that was read: `[panels, vocab_size, width]`.
fn sum_by_token(
    layout: &Matrix,
    tape: &Tape,
    inputs: &[u32],
    vocab_size: usize,
    pool: &ThreadPool,
) -> Vec<f32> {
    let width = layout.width();
    let mut sums = vec![0.0f32; layout.panels() * vocab_size * width];
    let gradients = tape.sums_gradient().chunks_exact(inputs.len() * width);
    let mut parts: Vec<_> = sums
        .chunks_exact_mut(vocab_size * width)
        .zip(gradients)
        .collect();
    let by_token = TokenSums {
        tokens: inputs,
        factors: None,
        size: width,
    };
    pool.for_each(pool.threads(), &mut parts, |_, (sums, gradients)| {
        by_token.add(gradients, width, sums)
    });
    sums
}

/// Values in panels, `[panels, rows, width]`, encoded row by row in the panels' layout.
fn rows_of(layout: &Matrix, values: &[f32], rows: usize, pool: &ThreadPool) -> Rows {
    let width = layout.width();
    let mut encoded = Rows::zeros(layout.kernel(), rows, layout.panels() * width);
    let read = |row: usize, into: &mut [f32]| {
        let panels = values.chunks_exact(rows * width);
        for (into, panel) in into.chunks_exact_mut(width).zip(panels) {
            into.copy_from_slice(&panel[row * width..(row + 1) * width]);
        }
    };
    encoded.set_all(0..rows, read, pool);
    encoded
}

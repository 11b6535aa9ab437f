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
use carousel::checkpoint::architecture::EMBEDDING;
use carousel::text::Direction;
use carousel_kernels::recurrent::{OutputGradients, Start, TABLE_TOKENS, Tape};
use carousel_kernels::{Kernel, Matrix, Rows, ThreadPool};

use super::embedding::{self, TokenSums, Vectors, multiply};
use super::memory::StepMemory;
use super::taped_layer::{InputWeights, TapedLayer};
use super::window_input::WindowInput;

/// The layers of all directions.
pub struct LayerStack {
    kernel: Kernel,
    layers: Vec<TapedLayer>,
    batch_size: usize,
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
    /// Each layer's outputs as the next layer or the head reads them, where they are not those on the tape: with dropout, or
    /// with what the layer read added.
    changed: Vec<Option<Rows>>,
    /// Whether what a layer above the first reads is added to its outputs.
    residual: bool,
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
            let names = recurrent.layer_names(direction, index);
            TapedLayer::new(recurrent, names, input_size, batch_size, kernel)
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
        let vectors = Vectors::of(window);
        let embedded = embedding::embed(vectors, &tokens, perturbation, batch_size, kernel, pool);
        let mut activations = Activations {
            layers: config.recurrent().stack(window.direction),
            table,
            tokens,
            embedded,
            after: {
                let first = config.recurrent().layer_spec().history() * batch_size;
                first..first + window.inputs.len()
            },
            changed: Vec::new(),
            residual: config.recurrent().residual,
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
        let parameters = &window.network.parameters;
        layer.pack(parameters, window.masks.recurrent[index].as_ref(), pool);
        let (x, rows) = activations.inputs_of(below, index);
        let before: Vec<Tensor> = state
            .layer(position)
            .iter()
            .map(Tensor::contiguous)
            .collect();
        let before: Vec<&[f32]> = before.iter().map(floats).collect();
        if index == 0 && activations.table {
            let weights = layer.weights(parameters);
            let terms = input_terms(&layer.input.forward, weights.bias_ih, x, rows, pool);
            let values = layer.spec.start(&terms, weights.bias_hh, self.kernel);
            let start = Start {
                values: &values,
                rows: window.inputs,
            };
            layer
                .tape
                .forward(&layer.recurrent, Some(start), &before, pool);
        } else {
            layer.forward(parameters, (x, rows), &before, pool);
        }
        activations.states.push(layer.tape.state());
        let mask = window.masks.outputs[index].as_ref().map(floats);
        let changed = activations.changed_outputs(below, layer, mask, pool);
        activations.changed.push(changed);
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
            layer.backward(outputs, pool);
            if !layer.names.initial.is_empty() {
                let found = layer.tape.initial_gradients(&layer.recurrent, pool);
                for (name, mut found) in layer.names.initial.iter().zip(found) {
                    if !window.is_first {
                        // What came before has no gradient.
                        found.fill(0.0);
                    }
                    memory.gradients.get_mut(name).copy_from_slice(&found);
                }
            }
            let mask = window.masks.recurrent[index].as_ref();
            let parameters = &window.network.parameters;
            layer.recurrent_gradients(parameters, (mask, window.inputs.len()), memory, pool);
            let mut below = self.input_gradients(index, window, activations, memory, pool);
            if activations.residual && index > 0 {
                let sums = below.iter_mut().zip(&above);
                sums.for_each(|(below, above)| *below += above);
            }
            memory
                .scratch
                .put_back(std::mem::replace(&mut above, below));
        }
        let width = self.kernel.width();
        embedding::add_gradient(
            Vectors::of(window),
            &activations.tokens,
            &mut above,
            width,
            memory.gradients.get_mut(EMBEDDING),
        );
        above
    }

    /// Gradients of a layer's input weights, and, returned, those with respect to its inputs.
    fn input_gradients(
        &mut self,
        index: usize,
        window: &WindowInput,
        activations: &Activations,
        memory: &mut StepMemory,
        pool: &ThreadPool,
    ) -> Vec<f32> {
        let (below, layer) = self.layers.split_at_mut(activations.layers.start + index);
        let layer = &mut layer[0];
        let (x, rows) = activations.inputs_of(below, index);
        if index > 0 || !activations.table {
            return layer.input_gradients((x, rows), memory, pool);
        }
        let layout = &layer.input.forward;
        let vocab_size = activations.tokens.len();
        let sums = sum_by_token(layout, &layer.tape, window.inputs, vocab_size, pool);
        let panels: Vec<&[f32]> = sums.chunks_exact(vocab_size * layout.width()).collect();
        (memory.scratch.gradients).set_panels(&panels, vocab_size, pool);
        let sums_gradient = rows_of(layout, &sums, vocab_size, pool);
        let weights = InputWeights {
            packed: &layer.input,
            name: &layer.names.weight_ih,
        };
        weights.gradients(&sums_gradient, (x, rows), memory, pool)
    }
}

/// The terms of the input of some rows, `[rows, gates · hidden_size]` in PyTorch's order.
fn input_terms(
    weights: &Matrix,
    bias: &[f32],
    x: &Rows,
    rows: Range<usize>,
    pool: &ThreadPool,
) -> Vec<f32> {
    let (count, width, outer) = (rows.len(), weights.width(), bias.len());
    let zeros = vec![0.0; weights.panels() * width];
    let panels = weights.sums(&zeros, x, rows, pool);
    let mut terms = vec![0.0; count * outer];
    for (index, panel) in panels.chunks_exact(count * width).enumerate() {
        for at in 0..width {
            let Some(output) = weights.row(index * width + at) else {
                continue;
            };
            for row in 0..count {
                terms[row * outer + output] = panel[row * width + at] + bias[output];
            }
        }
    }
    terms
}

impl Activations {
    /// The last layer's outputs as the head reads them: rows, and which of them.
    pub fn outputs<'a>(&'a self, stack: &'a LayerStack) -> (&'a Rows, Range<usize>) {
        self.inputs_of(&stack.layers, self.layers.len())
    }

    /// The last layer's outputs without dropout, and which rows are of the window.
    pub fn plain_outputs<'a>(&'a self, stack: &'a LayerStack) -> (&'a Rows, Range<usize>) {
        if self.residual && self.layers.len() > 1 {
            return self.outputs(stack);
        }
        let outputs = stack.layers[self.layers.end - 1].tape.outputs();
        (outputs, self.after.clone())
    }

    /// The outputs of the next layer as they are read, where they are not those on the tape.
    fn changed_outputs(
        &self,
        below: &[TapedLayer],
        layer: &TapedLayer,
        mask: Option<&[f32]>,
        pool: &ThreadPool,
    ) -> Option<Rows> {
        let outputs = layer.tape.outputs();
        let index = self.changed.len();
        if !self.residual || index == 0 {
            return mask.map(|mask| outputs.times(self.after.clone(), mask, pool));
        }
        let (x, rows) = self.inputs_of(below, index);
        let size = layer.spec.hidden_size;
        let mut sums = Rows::zeros(layer.input.forward.kernel(), rows.len(), size);
        let read = |row: usize, values: &mut [f32]| {
            outputs.get(self.after.start + row, values);
            if let Some(mask) = mask {
                multiply(values, &mask[row * size % mask.len()..][..size]);
            }
            let mut read = vec![0.0; size];
            x.get(rows.start + row, &mut read);
            let more = values.iter_mut().zip(read);
            more.for_each(|(value, more)| *value += more);
        };
        sums.set_all(0..rows.len(), read, pool);
        Some(sums)
    }

    /// The inputs of layer `index`: rows, and which of them.
    fn inputs_of<'a>(&'a self, layers: &'a [TapedLayer], index: usize) -> (&'a Rows, Range<usize>) {
        match index.checked_sub(1) {
            None => (&self.embedded, 0..self.embedded.len()),
            Some(below) => match &self.changed[below] {
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
    let mut parts: Vec<_> = sums
        .chunks_exact_mut(vocab_size * width)
        .zip(tape.input_sums_gradient())
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

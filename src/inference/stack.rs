/*!
Stacked recurrent layers: their weights, their state, and a step of all of them over vectors or a table of tokens.
*/

use std::borrow::Cow;

use carousel_kernels::recurrent::{Layer, LayerState, Start, normalise_rows, side_by_side};
use carousel_kernels::{Kernel, Layout, Matrix, Precision, Rows, ThreadPool};

use super::affine::rows_of_panels;
use crate::checkpoint::architecture::{LayerTensors, Leak, Recurrent};
use crate::error::Result;
use crate::text::Direction;

/// The layers that read a sequence in one direction, packed for the CPU at hand.
pub struct Stack {
    /// The input products of the first layer for each token, with its bias, `[panels, vocab_size, width]`, where the
    /// vocabulary is small.
    table: Option<Vec<f32>>,
    layers: Vec<PackedLayer>,
    /// The state that a text begins with.
    initial: Vec<LayerState>,
    kernel: Kernel,
    /// Whether what a layer above the first reads is added to its outputs.
    residual: bool,
}

struct PackedLayer {
    layer: Layer,
    /// The biases, `[panels, 1, width]`.
    bias: Vec<f32>,
}

/// What the first layer reads.
#[derive(Clone, Copy)]
pub enum Inputs<'a> {
    /// Tokens, for which the stack has a table.
    Tokens(&'a [u32]),
    /// Vectors of the first layer's input size.
    Vectors(&'a Rows),
}

impl Inputs<'_> {
    /// Number of tokens or vectors.
    fn len(self) -> usize {
        match self {
            Inputs::Tokens(tokens) => tokens.len(),
            Inputs::Vectors(rows) => rows.len(),
        }
    }
}

/// The state of texts that are read side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentState {
    streams: usize,
    layers: Vec<LayerState>,
    /// With residual connections, the sum of all layers' hidden states.
    residual: Option<ResidualSum>,
    /// Units that are set to a value after every step.
    clamps: Vec<Clamp>,
}

/// A unit whose hidden state is held at a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    /// Its layer, from 0.
    pub layer: usize,
    /// Its number in the layer, from 0.
    pub unit: usize,
    /// The value.
    pub value: f32,
}

/// The sum of the hidden states of some layers.
#[derive(Clone, Debug, PartialEq)]
struct ResidualSum {
    /// `[groups, streams, units]`.
    values: Vec<f32>,
    /// As products take it, `[streams, hidden_size]`.
    encoded: Rows,
}

impl ResidualSum {
    /// The sum of the first layer alone.
    fn begin(&mut self, first: &LayerState) {
        self.values.clear();
        self.values.extend_from_slice(first.hidden());
        self.encoded.clone_from(first.encoded());
    }

    /// Adds the next layer.
    fn add(&mut self, next: &LayerState, pool: &ThreadPool) {
        let values = self.values.iter_mut().zip(next.hidden());
        values.for_each(|(sum, hidden)| *sum += hidden);
        let streams = self.encoded.len();
        (self.encoded).set_panels(0..streams, &self.values, next.units(), pool);
    }
}

impl RecurrentState {
    /// Number of texts that are read side by side.
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// Memory that it takes, in bytes: the same however much has been read.
    pub fn bytes(&self) -> usize {
        let residual = self.residual.iter();
        let sums = residual.map(|sum| size_of_val(&sum.values[..]) + sum.encoded.bytes());
        self.layers.iter().map(LayerState::bytes).chain(sums).sum()
    }

    /// The states of the given streams, side by side, each as often as it is named.
    pub fn select(&self, streams: &[usize]) -> RecurrentState {
        let layers = self.layers.iter().map(|layer| layer.select(streams));
        let layers: Vec<LayerState> = layers.collect();
        let residual = self.residual.as_ref().map(|sum| {
            let mut encoded = Rows::clone(layers[0].encoded());
            for (row, &stream) in streams.iter().enumerate() {
                encoded.copy(row, &sum.encoded, stream);
            }
            let width = layers[0].units();
            let groups = sum.values.chunks_exact(self.streams * width);
            let own = |group: &[f32]| -> Vec<f32> {
                let of = |&stream: &usize| &group[stream * width..(stream + 1) * width];
                streams.iter().flat_map(of).copied().collect()
            };
            let values = groups.flat_map(own).collect();
            ResidualSum { values, encoded }
        });
        RecurrentState {
            streams: streams.len(),
            layers,
            residual,
            clamps: self.clamps.clone(),
        }
    }

    /// Puts the streams of another state after these.
    ///
    /// # Panics
    /// If they are of different stacks, or other units are held in them.
    pub fn append(&mut self, other: &RecurrentState) {
        assert_eq!(self.clamps, other.clamps, "the same units are held");
        let units = self.layers[0].units();
        let widths = [self.streams, other.streams].map(|streams| streams * units);
        for (layer, other) in self.layers.iter_mut().zip(&other.layers) {
            layer.append(other);
        }
        if let (Some(sum), Some(other)) = (&mut self.residual, &other.residual) {
            sum.values = side_by_side([&sum.values, &other.values], widths);
            sum.encoded.append(&other.encoded);
        }
        self.streams += other.streams;
    }

    /// Holds units at values from the next step on.
    ///
    /// # Panics
    /// If there is no such unit, at the next step.
    pub fn clamp(&mut self, clamps: &[Clamp]) {
        self.clamps = clamps.to_vec();
    }

    /// The state of a layer.
    pub fn layer(&self, layer: usize) -> &LayerState {
        &self.layers[layer]
    }

    /// The stack's outputs at the last step, as products take them, `[streams, hidden_size]`.
    pub fn output(&self) -> &Rows {
        match &self.residual {
            Some(sum) => &sum.encoded,
            None => self.layers.last().expect("a layer").encoded(),
        }
    }

    /// Writes one stream's outputs at the last step to `values`, `[hidden_size]`.
    pub fn hidden_of(&self, stream: usize, values: &mut [f32]) {
        let units = self.layers[0].units();
        let groups = self.hidden().chunks_exact(self.streams * units);
        for (out, group) in values.chunks_mut(units).zip(groups) {
            out.copy_from_slice(&group[stream * units..][..out.len()]);
        }
    }

    /// The stack's outputs at the last step, `[groups, streams, units]`.
    pub fn hidden(&self) -> &[f32] {
        match &self.residual {
            Some(sum) => &sum.values,
            None => self.layers.last().expect("a layer").hidden(),
        }
    }
}

impl Stack {
    /// Packs the layers that read in a direction. `floats` gives weights for the names of [`Recurrent::tensors`]. With an
    /// embedding, and its width, the first layer's products are computed for all tokens, and it reads tokens.
    ///
    /// # Errors
    /// Those of `floats`.
    pub fn load<'w>(
        recurrent: &Recurrent,
        direction: Direction,
        embedding: Option<(&[f32], usize)>,
        floats: impl Fn(&str) -> Result<Cow<'w, [f32]>>,
        kernel: Kernel,
        pool: &ThreadPool,
    ) -> Result<Self> {
        let (mut table, mut layers) = (None, Vec::with_capacity(recurrent.num_layers));
        let mut initial = Vec::with_capacity(recurrent.num_layers);
        for index in 0..recurrent.num_layers {
            let names = recurrent.layer_names(direction, index);
            let weights = names.try_map(|name| floats(&name))?;
            let mut layer = layer_of(recurrent, &weights, kernel, pool);
            match embedding.filter(|_| index == 0) {
                Some((embedding, size)) => {
                    let terms = input_terms(embedding, size, &weights, pool);
                    table = Some(layer.start(&terms, &weights.bias_hh));
                }
                None => {
                    let input_size = weights.weight_ih.len() / weights.bias_ih.len();
                    layer = layer.with_input(&weights.weight_ih, input_size, pool);
                }
            }
            let bias = layer.start(&weights.bias_ih, &weights.bias_hh);
            initial.push(learnt_state(&layer, &weights.initial, pool));
            layers.push(PackedLayer { layer, bias });
        }
        Ok(Stack {
            table,
            layers,
            initial,
            kernel,
            residual: recurrent.residual,
        })
    }

    /// The state that texts which are read side by side begin with.
    pub fn initial_state(&self, streams: usize) -> RecurrentState {
        let initial = self.initial.iter();
        self.state(
            initial
                .map(|layer| layer.select(&vec![0; streams]))
                .collect(),
        )
    }

    /// The state whose parts are given for each stream, layer by layer, `[streams, layers, parts, hidden_size]`.
    ///
    /// # Panics
    /// If the values do not fill the parts.
    pub fn state_of(&self, values: &[f32], pool: &ThreadPool) -> RecurrentState {
        let spec = self.layers[0].layer.spec();
        let width = spec.parts().len() * spec.hidden_size;
        let layers = self.layers.iter().enumerate().map(|(index, packed)| {
            let streams = values.chunks_exact(self.layers.len() * width);
            let own = streams.flat_map(|values| &values[index * width..(index + 1) * width]);
            let own: Vec<f32> = own.copied().collect();
            packed.layer.state_of(&own, pool)
        });
        self.state(layers.collect())
    }

    fn state(&self, layers: Vec<LayerState>) -> RecurrentState {
        let residual = self.residual.then(|| ResidualSum {
            values: layers[0].hidden().to_vec(),
            encoded: layers[0].encoded().clone(),
        });
        RecurrentState {
            streams: layers[0].encoded().len(),
            layers,
            residual,
            clamps: Vec::new(),
        }
    }

    /// Sets one stream of a state to that which texts begin with. What residual connections add up is computed anew at the
    /// next step.
    pub fn reset(&self, state: &mut RecurrentState, stream: usize) {
        for (layer, initial) in state.layers.iter_mut().zip(&self.initial) {
            layer.copy(stream, initial);
        }
    }

    /// Reads sequences of these lengths side by side, the longest first, each from its initial state: `step` takes each step,
    /// from 0, of those that have not come to their end, which are the first, as many as the state has streams.
    ///
    /// # Panics
    /// If a sequence is longer than the one before.
    pub fn read_side_by_side(
        &self,
        lengths: &[usize],
        mut step: impl FnMut(usize, &mut RecurrentState),
    ) {
        assert!(lengths.is_sorted_by(|a, b| a >= b), "the longest first");
        let mut state = self.initial_state(lengths.len());
        for index in 0..lengths.first().copied().unwrap_or(0) {
            let left = lengths.partition_point(|&length| length > index);
            if left < state.streams {
                state = state.select(&(0..left).collect::<Vec<_>>());
            }
            step(index, &mut state);
        }
    }

    /// One step of all layers.
    pub fn step(&self, inputs: Inputs, state: &mut RecurrentState, pool: &ThreadPool) {
        self.step_beside(inputs, state, |_| Vec::new(), pool);
    }

    /// One step of all layers, of which those above the first read, beside the outputs of the layer below, a context:
    /// what `context` makes of the first layer's outputs, `[streams, context_size]`. Returns the context.
    pub fn step_beside(
        &self,
        inputs: Inputs,
        state: &mut RecurrentState,
        context: impl FnOnce(&Rows) -> Vec<f32>,
        pool: &ThreadPool,
    ) -> Vec<f32> {
        let zeros = vec![0; inputs.len()];
        let RecurrentState {
            layers,
            residual,
            clamps,
            ..
        } = state;
        let (mut below, first_start) = match (inputs, &self.table) {
            (Inputs::Tokens(rows), Some(values)) => (None, Some(Start { values, rows })),
            (Inputs::Vectors(rows), _) => (Some(Cow::Borrowed(rows)), None),
            (Inputs::Tokens(_), None) => panic!("a stack with a table of tokens"),
        };
        let (mut context, mut contexts) = (Some(context), Vec::new());
        for (index, (packed, state)) in self.layers.iter().zip(layers).enumerate() {
            let start = first_start.filter(|_| index == 0).unwrap_or(Start {
                values: &packed.bias,
                rows: &zeros,
            });
            packed.layer.step(start, below.as_deref(), state, pool);
            hold(clamps, index, packed, state, pool);
            match residual {
                Some(sum) if index == 0 => sum.begin(state),
                Some(sum) => sum.add(state, pool),
                None => {}
            }
            if let Some(context) = context.take() {
                contexts = context(state.encoded());
            }
            if index + 1 == self.layers.len() {
                break;
            }
            below = Some(match (&*residual, contexts.is_empty()) {
                (Some(sum), true) => Cow::Borrowed(&sum.encoded),
                (None, true) => Cow::Borrowed(state.encoded()),
                (Some(sum), false) => Cow::Owned(self.joined(&sum.values, &contexts, pool)),
                (None, false) => Cow::Owned(self.joined(state.hidden(), &contexts, pool)),
            });
        }
        contexts
    }

    /// The stack's outputs at the last step with a context beside them, `[streams, hidden_size + context_size]`, as products
    /// take them.
    pub fn output_beside(
        &self,
        state: &RecurrentState,
        context: &[f32],
        pool: &ThreadPool,
    ) -> Rows {
        self.joined(state.hidden(), context, pool)
    }

    /// Outputs, `[groups, streams, units]`, with a context beside them.
    fn joined(&self, outputs: &[f32], context: &[f32], pool: &ThreadPool) -> Rows {
        let spec = self.layers[0].layer.spec();
        let (size, units) = (spec.hidden_size, spec.cell.units(self.kernel));
        let streams = outputs.len() / size.next_multiple_of(units);
        let context_size = context.len() / streams;
        let mut rows = Rows::zeros(self.kernel, streams, size + context_size);
        let read = |stream: usize, values: &mut [f32]| {
            let (hidden, beside) = values.split_at_mut(size);
            let groups = outputs.chunks_exact(streams * units);
            for (out, group) in hidden.chunks_mut(units).zip(groups) {
                out.copy_from_slice(&group[stream * units..][..out.len()]);
            }
            beside.copy_from_slice(&context[stream * context_size..][..context_size]);
        };
        rows.set_all(0..streams, read, pool);
        rows
    }

    /// Reads what `inputs` has of all steps, time-major `[steps, streams]`, and returns the last layer's outputs, `[steps,
    /// streams]`. The input products of all steps are one matrix product for each layer; the recurrent ones must go step by
    /// step.
    pub fn outputs(&self, inputs: Inputs, state: &mut RecurrentState, pool: &ThreadPool) -> Rows {
        let (count, streams) = (inputs.len(), state.streams);
        let numbers: Vec<u32> = (0..count as u32).collect();
        let RecurrentState {
            layers,
            residual,
            clamps,
            ..
        } = state;
        let mut residuals: Vec<ResidualSum> = Vec::new();
        let mut below: Option<Rows> = None;
        for (index, (packed, state)) in self.layers.iter().zip(layers).enumerate() {
            let sums;
            let (values, rows) = match (&below, inputs, &self.table) {
                (None, Inputs::Tokens(tokens), Some(table)) => (table, tokens),
                (None, Inputs::Tokens(_), None) => panic!("a stack with a table of tokens"),
                (Some(below), _, _) | (None, Inputs::Vectors(below), _) => {
                    sums = packed.layer.input_sums(&packed.bias, below, pool);
                    (&sums, &numbers[..])
                }
            };
            let hidden_size = packed.layer.spec().hidden_size;
            let mut outputs = Rows::zeros(self.kernel, count, hidden_size);
            for (step, rows) in rows.chunks_exact(streams).enumerate() {
                let start = Start { values, rows };
                packed.layer.step(start, None, state, pool);
                hold(clamps, index, packed, state, pool);
                if let Some(zeros) = residual.as_ref().filter(|_| index == 0) {
                    residuals.push(zeros.clone());
                    residuals[step].begin(state);
                } else if residual.is_some() {
                    residuals[step].add(state, pool);
                }
                let encoded = match residuals.get(step) {
                    Some(sum) => &sum.encoded,
                    None => state.encoded(),
                };
                for stream in 0..streams {
                    outputs.copy(step * streams + stream, encoded, stream);
                }
            }
            below = Some(outputs);
        }
        *residual = residuals.pop();
        below.expect("a layer")
    }
}

/// The state that texts begin with: zeros, or what a layer has learnt.
fn learnt_state(layer: &Layer, parts: &[Cow<[f32]>], pool: &ThreadPool) -> LayerState {
    // All hidden states that recurrence reads are the one that was learnt.
    let count = layer.spec().parts().len();
    let part = |index: usize| parts.get(index).or(parts.last());
    let values: Vec<&[f32]> = (0..count)
        .filter_map(|index| Some(&**part(index)?))
        .collect();
    match values.is_empty() {
        true => layer.zero_state(1),
        false => layer.state_of(&values.concat(), pool),
    }
}

/// Sets the units of a layer that are held at values.
fn hold(
    clamps: &[Clamp],
    layer: usize,
    packed: &PackedLayer,
    state: &mut LayerState,
    pool: &ThreadPool,
) {
    for clamp in clamps.iter().filter(|clamp| clamp.layer == layer) {
        state.set_unit(packed.layer.spec(), clamp.unit, clamp.value, pool);
    }
}

/// A layer without weights for its input.
fn layer_of(
    recurrent: &Recurrent,
    weights: &LayerTensors<Cow<[f32]>>,
    kernel: Kernel,
    pool: &ThreadPool,
) -> Layer {
    let mut layer = Layer::new(recurrent.layer_spec(), &weights.weight_hh, kernel, pool);
    match (recurrent.leak, &weights.leak) {
        (Some(Leak::Fixed(leak)), _) => {
            layer = layer.with_leak(&vec![leak as f32; recurrent.hidden_size]);
        }
        (_, Some(odds)) => {
            let leak: Vec<f32> = odds
                .iter()
                .map(|odds| 1.0 / (1.0 + (-odds).exp()))
                .collect();
            layer = layer.with_leak(&leak);
        }
        _ => {}
    }
    match &weights.norms {
        Some([input, recurrent]) => layer.with_norms(input, recurrent),
        None => layer,
    }
}

/// The first layer's products with its input bias for every token of the vocabulary, `[vocab_size, gates · hidden_size]` in
/// PyTorch's order, in float32.
fn input_terms(
    embedding: &[f32],
    embedding_size: usize,
    weights: &LayerTensors<Cow<[f32]>>,
    pool: &ThreadPool,
) -> Vec<f32> {
    let kernel = Kernel::fastest(Precision::Float32);
    let outer = weights.bias_ih.len();
    let matrix = Matrix::pack(
        &weights.weight_ih,
        embedding_size,
        Layout::Plain,
        kernel,
        pool,
    );
    let tokens: Vec<u32> = (0..(embedding.len() / embedding_size) as u32).collect();
    let x = Rows::gather(kernel, embedding, embedding_size, &tokens, pool);
    let zeros = vec![0.0; matrix.panels() * matrix.width()];
    let panels = matrix.sums(&zeros, &x, 0..x.len(), pool);
    let mut terms = rows_of_panels(&panels, x.len(), matrix.width(), outer);
    if let Some([gains, _]) = &weights.norms {
        normalise_rows(&mut terms, gains);
    }
    for row in terms.chunks_exact_mut(outer) {
        row.iter_mut()
            .zip(&*weights.bias_ih)
            .for_each(|(term, bias)| *term += bias);
    }
    terms
}

/*!
Recurrent layers over an embedding or over numbers: one step of one text, many steps of a prompt, or many texts side by
side.
*/

use std::borrow::Cow;

use carousel_kernels::recurrent::{Layer, LayerState, Start, TABLE_TOKENS, normalise_rows};
use carousel_kernels::{Kernel, Layout, Matrix, Precision, Rows, ThreadPool};

use crate::checkpoint::ModelConfig;
use crate::checkpoint::architecture::{EMBEDDING, Input, LayerTensors, Leak, Recurrent};
use crate::error::Result;
use crate::text::Direction;

/// An embedding, if tokens are read, and recurrent layers, packed for the CPU at hand.
pub struct RecurrentNetwork {
    /// `[vocab_size, embedding_size]`, and its width; `None` where the first layers have tables, or numbers are read.
    embedding: Option<(Vec<f32>, usize)>,
    /// A stack for each direction in which texts are read.
    stacks: Vec<Stack>,
    kernel: Kernel,
    /// Number of units in a group.
    units: usize,
    /// Whether what a layer above the first reads is added to its outputs.
    residual: bool,
    /// Width of what the first layer reads.
    input_size: usize,
    pool: ThreadPool,
}

/// The layers that read a text in one direction.
struct Stack {
    direction: Direction,
    /// The input products of the first layer for each token, with its bias, `[panels, vocab_size, width]`, where the
    /// vocabulary is small.
    table: Option<Vec<f32>>,
    layers: Vec<PackedLayer>,
    /// The state that a text begins with.
    initial: Vec<LayerState>,
}

struct PackedLayer {
    layer: Layer,
    /// The biases, `[panels, 1, width]`.
    bias: Vec<f32>,
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

    /// The stack's outputs at the last step, `[groups, streams, units]`.
    pub fn hidden(&self) -> &[f32] {
        match &self.residual {
            Some(sum) => &sum.values,
            None => self.layers.last().expect("a layer").hidden(),
        }
    }
}

impl RecurrentNetwork {
    /// Packs the weights that `floats` gives for the names of [`ModelConfig::tensors`], in their shapes, for the given
    /// directions.
    pub fn load<'w>(
        config: &ModelConfig,
        directions: &[Direction],
        floats: impl Fn(&str) -> Result<Cow<'w, [f32]>>,
        kernel: Kernel,
        threads: usize,
    ) -> Result<Self> {
        let pool = ThreadPool::new(threads);
        let recurrent = config.recurrent();
        let (embedding, has_tables) = match &config.input {
            Input::Tokens(tokens) => (floats(EMBEDDING)?, tokens.vocab_size <= TABLE_TOKENS),
            Input::Numbers(_) => (Cow::Borrowed(&[][..]), false),
        };
        let stack = |&direction: &Direction| -> Result<Stack> {
            let (mut table, mut layers) = (None, Vec::with_capacity(recurrent.num_layers));
            let mut initial = Vec::with_capacity(recurrent.num_layers);
            for index in 0..recurrent.num_layers {
                let names = recurrent.layer_names(direction, index);
                let weights = names.try_map(|name| floats(&name))?;
                let mut layer = layer_of(recurrent, &weights, kernel, &pool);
                if has_tables && index == 0 {
                    let terms = input_terms(&embedding, config.input_size(), &weights, &pool);
                    table = Some(layer.start(&terms, &weights.bias_hh));
                } else {
                    let input_size = weights.weight_ih.len() / weights.bias_ih.len();
                    layer = layer.with_input(&weights.weight_ih, input_size, &pool);
                }
                let bias = layer.start(&weights.bias_ih, &weights.bias_hh);
                initial.push(match &weights.initial[..] {
                    [] => layer.zero_state(1),
                    parts => layer.state_of(&parts[0], parts.last().expect("a part"), &pool),
                });
                layers.push(PackedLayer { layer, bias });
            }
            Ok(Stack {
                direction,
                table,
                layers,
                initial,
            })
        };
        let stacks = directions.iter().map(stack).collect::<Result<_>>()?;
        Ok(RecurrentNetwork {
            embedding: (!has_tables && !embedding.is_empty())
                .then(|| (embedding.into_owned(), config.input_size())),
            stacks,
            kernel,
            units: recurrent.cell.units(kernel),
            residual: recurrent.residual,
            input_size: config.input_size(),
            pool,
        })
    }

    /// The thread pool that its steps run on.
    pub fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    /// Number of units in a group of the last layer's outputs.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The state that texts which are read side by side begin with.
    pub fn initial_state(&self, streams: usize) -> RecurrentState {
        self.initial_of(self.forward_stack(), streams)
    }

    fn initial_of(&self, stack: &Stack, streams: usize) -> RecurrentState {
        let initial = stack.initial.iter();
        let layers: Vec<LayerState> = initial
            .map(|layer| layer.select(&vec![0; streams]))
            .collect();
        let residual = self.residual.then(|| ResidualSum {
            values: layers[0].hidden().to_vec(),
            encoded: layers[0].encoded().clone(),
        });
        RecurrentState {
            streams,
            layers,
            residual,
            clamps: Vec::new(),
        }
    }

    /// Sets one stream of a state to that which texts begin with. What residual connections add up is computed anew at the
    /// next step.
    pub fn reset(&self, state: &mut RecurrentState, stream: usize) {
        let initial = &self.forward_stack().initial;
        for (layer, initial) in state.layers.iter_mut().zip(initial) {
            layer.copy(stream, initial);
        }
    }

    /// The layers that read a text from its beginning.
    fn forward_stack(&self) -> &Stack {
        &self.stacks[0]
    }

    /// Reads `tokens`, time-major `[steps, streams]`, forwards, to advance the state.
    pub fn read(&self, tokens: &[u32], state: &mut RecurrentState) {
        if tokens.len() == state.streams {
            self.step(self.forward_stack(), tokens, state);
        } else if !tokens.is_empty() {
            self.outputs(tokens, state);
        }
    }

    /// Reads texts side by side, the longest first, each from its initial state, in every direction. After each step `each` is
    /// given the direction's index, how many texts still had a token, and the last layer's outputs for these, `[panels,
    /// texts, lanes]`.
    ///
    /// # Panics
    /// If a text is longer than the one before, or a token is not in the vocabulary.
    pub fn read_texts(&self, texts: &[&[u32]], mut each: impl FnMut(usize, usize, &[f32])) {
        assert!(texts.is_sorted_by_key(|text| std::cmp::Reverse(text.len())));
        for (index, stack) in self.stacks.iter().enumerate() {
            self.read_direction(stack, texts, |reading, hidden| each(index, reading, hidden));
        }
    }

    fn read_direction(&self, stack: &Stack, texts: &[&[u32]], mut each: impl FnMut(usize, &[f32])) {
        let mut state = self.initial_of(stack, texts.len());
        let mut reading = texts.len();
        for step in 0..texts.first().map_or(0, |text| text.len()) {
            let left = texts[..reading].partition_point(|text| text.len() > step);
            if left < reading {
                state = state.select(&(0..left).collect::<Vec<_>>());
                reading = left;
            }
            let tokens = texts[..reading].iter();
            let tokens: Vec<u32> = tokens
                .filter_map(|text| stack.direction.token(text, step))
                .collect();
            self.step(stack, &tokens, &mut state);
            each(reading, state.hidden());
        }
    }

    /// One step of all layers.
    fn step(&self, stack: &Stack, tokens: &[u32], state: &mut RecurrentState) {
        let zeros = vec![0; tokens.len()];
        let embedded = self.embed(tokens);
        let RecurrentState {
            layers,
            residual,
            clamps,
            ..
        } = state;
        let mut below = embedded.as_ref();
        for (index, (packed, state)) in stack.layers.iter().zip(layers).enumerate() {
            let start = match (&stack.table, below) {
                (Some(values), None) => Start {
                    values,
                    rows: tokens,
                },
                _ => Start {
                    values: &packed.bias,
                    rows: &zeros,
                },
            };
            packed.layer.step(start, below, state, &self.pool);
            hold(clamps, index, packed, state, &self.pool);
            match residual {
                Some(sum) if index == 0 => sum.begin(state),
                Some(sum) => sum.add(state, &self.pool),
                None => {}
            }
            below = Some(match residual {
                Some(sum) => &sum.encoded,
                None => state.encoded(),
            });
        }
    }

    /// Reads `tokens`, time-major `[steps, streams]`, forwards, and returns the last layer's outputs, `[steps, streams]`.
    /// The input products of all steps are one matrix product for each layer; the recurrent ones must go step by step.
    pub fn outputs(&self, tokens: &[u32], state: &mut RecurrentState) -> Rows {
        self.outputs_of(self.embed(tokens), tokens, state)
    }

    /// Reads numbers, time-major `[steps, streams, input_size]`, as [`RecurrentNetwork::outputs`] reads tokens.
    pub fn outputs_of_numbers(&self, numbers: &[f32], state: &mut RecurrentState) -> Rows {
        let size = self.input_size;
        let rows: Vec<u32> = (0..(numbers.len() / size) as u32).collect();
        let inputs = Rows::gather(self.kernel, numbers, size, &rows, &self.pool);
        self.outputs_of(Some(inputs), &rows, state)
    }

    /// Outputs for inputs, or where the first layer has a table for the tokens of all steps.
    fn outputs_of(
        &self,
        mut inputs: Option<Rows>,
        tokens: &[u32],
        state: &mut RecurrentState,
    ) -> Rows {
        let streams = state.streams;
        let numbers: Vec<u32> = (0..tokens.len() as u32).collect();
        let stack = self.forward_stack();
        let RecurrentState {
            layers,
            residual,
            clamps,
            ..
        } = state;
        let mut residuals: Vec<ResidualSum> = Vec::new();
        for (index, (packed, state)) in stack.layers.iter().zip(layers).enumerate() {
            let sums;
            let (values, rows) = match (&stack.table, &inputs) {
                (Some(table), None) => (table, tokens),
                (_, Some(inputs)) => {
                    sums = packed.layer.input_sums(&packed.bias, inputs, &self.pool);
                    (&sums, &numbers[..])
                }
                (None, None) => unreachable!("an embedding gives inputs"),
            };
            let hidden_size = packed.layer.spec().hidden_size;
            let mut outputs = Rows::zeros(self.kernel, tokens.len(), hidden_size);
            for (step, rows) in rows.chunks_exact(streams).enumerate() {
                let start = Start { values, rows };
                packed.layer.step(start, None, state, &self.pool);
                hold(clamps, index, packed, state, &self.pool);
                if let Some(zeros) = residual.as_ref().filter(|_| index == 0) {
                    residuals.push(zeros.clone());
                    residuals[step].begin(state);
                } else if residual.is_some() {
                    residuals[step].add(state, &self.pool);
                }
                let encoded = match residuals.get(step) {
                    Some(sum) => &sum.encoded,
                    None => state.encoded(),
                };
                for stream in 0..streams {
                    outputs.copy(step * streams + stream, encoded, stream);
                }
            }
            inputs = Some(outputs);
        }
        *residual = residuals.pop();
        inputs.expect("a layer")
    }

    /// The tokens' vectors; `None` where the first layers have tables.
    fn embed(&self, tokens: &[u32]) -> Option<Rows> {
        let (embedding, size) = self.embedding.as_ref()?;
        Some(Rows::gather(
            self.kernel,
            embedding,
            *size,
            tokens,
            &self.pool,
        ))
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

/// `[panels, rows, width]` as `[rows, outer]`.
pub(super) fn rows_of_panels(panels: &[f32], rows: usize, width: usize, outer: usize) -> Vec<f32> {
    let mut all = Vec::with_capacity(rows * outer);
    for row in 0..rows {
        for (index, panel) in panels.chunks_exact(rows * width).enumerate() {
            let own = width.min(outer - index * width);
            all.extend_from_slice(&panel[row * width..row * width + own]);
        }
    }
    all
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

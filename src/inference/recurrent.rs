/*!
Recurrent layers over an embedding: one step of one text, many steps of a prompt, or many texts side by side.
*/

use std::borrow::Cow;

use carousel_kernels::recurrent::{Layer, LayerState, Start, TABLE_TOKENS};
use carousel_kernels::{Kernel, Layout, Matrix, Precision, Rows, ThreadPool};

use crate::checkpoint::ModelConfig;
use crate::checkpoint::architecture::{EMBEDDING, layer_tensor};
use crate::error::Result;
use crate::text::Direction;

/// An embedding and recurrent layers, packed for the CPU at hand.
pub struct RecurrentNetwork {
    /// `[vocab_size, embedding_size]`, and its width; `None` where the first layers have tables.
    embedding: Option<(Vec<f32>, usize)>,
    /// A stack for each direction in which texts are read.
    stacks: Vec<Stack>,
    kernel: Kernel,
    pool: ThreadPool,
}

/// The layers that read a text in one direction.
struct Stack {
    direction: Direction,
    /// The input products of the first layer for each token, with its bias, `[panels, vocab_size, width]`, where the
    /// vocabulary is small.
    table: Option<Vec<f32>>,
    layers: Vec<PackedLayer>,
}

struct PackedLayer {
    layer: Layer,
    /// The sum of PyTorch's two biases, `[panels, 1, width]`.
    bias: Vec<f32>,
}

/// The state of texts that are read side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentState {
    streams: usize,
    layers: Vec<LayerState>,
}

impl RecurrentState {
    /// Number of texts that are read side by side.
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// Resets the state of one stream to zero.
    pub fn reset(&mut self, stream: usize) {
        self.layers.iter_mut().for_each(|layer| layer.reset(stream));
    }

    /// The states of the given streams, side by side, each as often as it is named.
    pub fn select(&self, streams: &[usize]) -> RecurrentState {
        RecurrentState {
            streams: streams.len(),
            layers: self
                .layers
                .iter()
                .map(|layer| layer.select(streams))
                .collect(),
        }
    }

    /// The last layer's outputs at the last step, as products take them, `[streams, hidden_size]`.
    pub fn output(&self) -> &Rows {
        self.layers.last().expect("a layer").encoded()
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
        let (tokens, recurrent) = (config.tokens(), config.recurrent());
        let embedding = floats(EMBEDDING)?;
        let has_tables = tokens.vocab_size <= TABLE_TOKENS;
        let stack = |&direction: &Direction| -> Result<Stack> {
            let own = |which: &str, layer: usize| floats(&layer_tensor(direction, which, layer));
            let (mut table, mut layers) = (None, Vec::with_capacity(recurrent.num_layers));
            for index in 0..recurrent.num_layers {
                let (bias_ih, bias_hh) = (own("bias_ih", index)?, own("bias_hh", index)?);
                let bias: Vec<f32> = bias_ih
                    .iter()
                    .zip(bias_hh.iter())
                    .map(|(a, b)| a + b)
                    .collect();
                let input = own("weight_ih", index)?;
                let hidden_size = recurrent.hidden_size;
                let mut layer = Layer::new(
                    recurrent.cell,
                    &own("weight_hh", index)?,
                    hidden_size,
                    kernel,
                    &pool,
                );
                if has_tables && index == 0 {
                    let sums =
                        input_products(&embedding, tokens.embedding_size, &input, &bias, &pool);
                    table = Some(layer.start(&sums));
                } else {
                    let input_size = input.len() / (recurrent.cell.gates() * hidden_size);
                    layer = layer.with_input(Matrix::pack(
                        &input,
                        input_size,
                        recurrent.cell.input_layout(),
                        kernel,
                        &pool,
                    ));
                }
                let bias = layer.start(&bias);
                layers.push(PackedLayer { layer, bias });
            }
            Ok(Stack {
                direction,
                table,
                layers,
            })
        };
        let stacks = directions.iter().map(stack).collect::<Result<_>>()?;
        Ok(RecurrentNetwork {
            embedding: (!has_tables).then(|| (embedding.into_owned(), tokens.embedding_size)),
            stacks,
            kernel,
            pool,
        })
    }

    /// The thread pool that its steps run on.
    pub fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    /// Number of units in a panel of the last layer's outputs.
    pub fn lanes(&self) -> usize {
        self.kernel.lanes()
    }

    /// The state before the first token of texts that are read side by side.
    pub fn zero_state(&self, streams: usize) -> RecurrentState {
        let zeros = |packed: &PackedLayer| packed.layer.zero_state(streams);
        RecurrentState {
            streams,
            layers: self.forward_stack().layers.iter().map(zeros).collect(),
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

    /// Reads texts side by side, the longest first, each from a zero state, in every direction. After each step `each` is
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
        let mut state = self.zero_state(texts.len());
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
            each(reading, state.layers.last().expect("a layer").hidden());
        }
    }

    /// One step of all layers.
    fn step(&self, stack: &Stack, tokens: &[u32], state: &mut RecurrentState) {
        let zeros = vec![0; tokens.len()];
        let embedded = self.embed(tokens);
        let mut below = embedded.as_ref();
        for (packed, state) in stack.layers.iter().zip(&mut state.layers) {
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
            below = Some(state.encoded());
        }
    }

    /// Reads `tokens`, time-major `[steps, streams]`, forwards, and returns the last layer's outputs, `[steps, streams]`.
    /// The input products of all steps are one matrix product for each layer; the recurrent ones must go step by step.
    pub fn outputs(&self, tokens: &[u32], state: &mut RecurrentState) -> Rows {
        let streams = state.streams;
        let numbers: Vec<u32> = (0..tokens.len() as u32).collect();
        let stack = self.forward_stack();
        let mut inputs = self.embed(tokens);
        for (packed, state) in stack.layers.iter().zip(&mut state.layers) {
            let sums;
            let (values, rows) = match (&stack.table, &inputs) {
                (Some(table), None) => (table, tokens),
                (_, Some(inputs)) => {
                    let weights = packed.layer.input().expect("weights of the input");
                    sums = weights.sums(&packed.bias, inputs, 0..inputs.len(), &self.pool);
                    (&sums, &numbers[..])
                }
                (None, None) => unreachable!("an embedding gives inputs"),
            };
            let mut outputs = Rows::zeros(self.kernel, tokens.len(), packed.layer.hidden_size());
            for (step, rows) in rows.chunks_exact(streams).enumerate() {
                packed
                    .layer
                    .step(Start { values, rows }, None, state, &self.pool);
                for stream in 0..streams {
                    outputs.copy(step * streams + stream, state.encoded(), stream);
                }
            }
            inputs = Some(outputs);
        }
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

/// The first layer's input products with its bias for every token of the vocabulary, `[vocab_size, gates · hidden_size]` in
/// PyTorch's order, in float32.
fn input_products(
    embedding: &[f32],
    embedding_size: usize,
    weights: &[f32],
    bias: &[f32],
    pool: &ThreadPool,
) -> Vec<f32> {
    let kernel = Kernel::fastest(Precision::Float32);
    let weights = Matrix::pack(weights, embedding_size, Layout::Plain, kernel, pool);
    let tokens: Vec<u32> = (0..(embedding.len() / embedding_size) as u32).collect();
    let x = Rows::gather(kernel, embedding, embedding_size, &tokens, pool);
    let mut padded = bias.to_vec();
    padded.resize(weights.panels() * weights.width(), 0.0);
    let panels = weights.sums(&padded, &x, 0..x.len(), pool);
    rows_of_panels(&panels, x.len(), weights.width(), bias.len())
}

/*!
The network's forward pass: one step of one text, many steps of a prompt, or many texts side by side.
*/

use std::borrow::Cow;

use crate::checkpoint::ModelConfig;
use crate::checkpoint::config::{Task, stack_name};
use crate::error::Result;
use crate::text::Direction;
use carousel_kernels::recurrent;
use carousel_kernels::recurrent::{LayerState, Start, TABLE_SYMBOLS};
use carousel_kernels::{Kernel, Layout, Matrix, Precision, Rows, ThreadPool};

/// A network's weights, packed for the CPU at hand.
pub struct Network {
    vocab_size: usize,
    /// `[vocab_size, embedding_size]`, and how wide it is; none where the first layers have tables.
    embedding: Option<(Vec<f32>, usize)>,
    /// For each way that texts are read.
    stacks: Vec<Stack>,
    /// `[vocab_size, hidden_size]`.
    /// Weights, and a bias of `[panels · width]`; a classifier has none.
    output: Option<(Matrix, Vec<f32>)>,
    kernel: Kernel,
    pool: ThreadPool,
}

/// The layers that read a text one way.
struct Stack {
    direction: Direction,
    /// What the first layer makes of each token, the sums of its gates, `[panels, vocab_size, width]`, where there are so few
    /// that these are kept.
    table: Option<Vec<f32>>,
    layers: Vec<Layer>,
}

struct Layer {
    lstm: recurrent::Layer,
    /// The sum of PyTorch's two, `[panels, 1, width]`.
    bias: Vec<f32>,
}

/// What the network remembers of the texts it reads side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    streams: usize,
    layers: Vec<LayerState>,
}

impl State {
    /// Empties the memory of one stream.
    pub fn forget(&mut self, stream: usize) {
        self.layers
            .iter_mut()
            .for_each(|layer| layer.forget(stream));
    }

    /// The memories of the given streams, side by side, each as often as it is named.
    pub fn select(&self, streams: &[usize]) -> State {
        State {
            streams: streams.len(),
            layers: self
                .layers
                .iter()
                .map(|layer| layer.select(streams))
                .collect(),
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
    /// Packs the weights that `floats` gives for the names of [`ModelConfig::tensors`], in their shapes.
    pub fn load<'w>(
        config: &ModelConfig,
        floats: impl Fn(&str) -> Result<Cow<'w, [f32]>>,
        precision: Precision,
        threads: usize,
    ) -> Result<Self> {
        let (kernel, pool) = (Kernel::fastest(precision), ThreadPool::new(threads));
        let (vocab_size, hidden_size) = (config.vocab_size, config.hidden_size);
        let embedding = floats("embedding.weight")?;
        let output = match config.task {
            Task::Classifier => None,
            Task::LanguageModel => {
                let output = if config.tie_weights {
                    embedding.clone()
                } else {
                    floats("output.weight")?
                };
                let output = Matrix::pack(&output, hidden_size, Layout::Plain, kernel, &pool);
                let mut bias = floats("output.bias")?.into_owned();
                bias.resize(output.panels() * output.width(), 0.0);
                Some((output, bias))
            }
        };

        let few = vocab_size <= TABLE_SYMBOLS;
        let directions = match config.task {
            Task::Classifier => config.directions(),
            // What predicts the next token knows only those before it.
            Task::LanguageModel => &[Direction::Forward],
        };
        let stack = |&direction: &Direction| -> Result<Stack> {
            let own = |name: &str, layer: usize| {
                floats(&format!("{}.{name}_l{layer}", stack_name(direction)))
            };
            let (mut table, mut layers) = (None, Vec::with_capacity(config.num_layers));
            for index in 0..config.num_layers {
                let (bias_ih, bias_hh) = (own("bias_ih", index)?, own("bias_hh", index)?);
                let bias: Vec<f32> = bias_ih
                    .iter()
                    .zip(bias_hh.iter())
                    .map(|(a, b)| a + b)
                    .collect();
                let input = own("weight_ih", index)?;
                let recurrent = own("weight_hh", index)?;
                let mut lstm = recurrent::Layer::new(&recurrent, hidden_size, kernel, &pool);
                if few && index == 0 {
                    let sums = all_sums(&embedding, config.embedding_size, &input, &bias, &pool);
                    table = Some(lstm.start(&sums));
                } else {
                    let input_size = input.len() / (4 * hidden_size);
                    lstm = lstm.with_input(Matrix::pack(
                        &input,
                        input_size,
                        Layout::Gates,
                        kernel,
                        &pool,
                    ));
                }
                let bias = lstm.start(&bias);
                layers.push(Layer { lstm, bias });
            }
            Ok(Stack {
                direction,
                table,
                layers,
            })
        };
        let stacks = directions.iter().map(stack).collect::<Result<_>>()?;
        Ok(Network {
            vocab_size,
            embedding: (!few).then(|| (embedding.into_owned(), config.embedding_size)),
            stacks,
            output,
            kernel,
            pool,
        })
    }

    /// How many logits a step gives.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The threads that share its steps.
    pub fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    /// An empty memory for texts read side by side.
    pub fn zero_state(&self, streams: usize) -> State {
        let zeros = |layer: &Layer| layer.lstm.zero_state(streams);
        State {
            streams,
            layers: self.forward_stack().layers.iter().map(zeros).collect(),
        }
    }

    /// The layers that read a text from its beginning.
    fn forward_stack(&self) -> &Stack {
        &self.stacks[0]
    }

    /// Reads `tokens`, time-major `[steps, streams]`, and returns the wanted logits, `[steps or 1, streams, vocab_size]`.
    ///
    /// # Panics
    /// If a token is not in the vocabulary, or the tokens do not fill the streams.
    pub fn forward(&self, tokens: &[u32], state: &mut State, wanted: Wanted) -> Vec<f32> {
        let streams = state.streams;
        assert_eq!(tokens.len() % streams, 0, "tokens fill the streams");
        if wanted == Wanted::All && tokens.len() > streams {
            let outputs = self.many_steps(tokens, state);
            return self.logits(&outputs);
        }
        self.read(tokens, state);
        self.logits(state.layers.last().expect("a layer").encoded())
    }

    /// Reads `tokens` as [`Network::forward`] does, for what the state remembers of them.
    pub fn read(&self, tokens: &[u32], state: &mut State) {
        if tokens.len() == state.streams {
            self.step(self.forward_stack(), tokens, state);
        } else if !tokens.is_empty() {
            self.many_steps(tokens, state);
        }
    }

    /// Reads texts side by side, the longest first, each from an empty memory, in every way that the network reads. `hear` is
    /// told, after each step, which way it is (its place among them), how many texts still had a token, and the last layer's
    /// outputs for them, `[panels, texts, lanes]`.
    ///
    /// # Panics
    /// If a text is longer than the one before, or a token is not in the vocabulary.
    pub fn read_texts(&self, texts: &[&[u32]], mut hear: impl FnMut(usize, usize, &[f32])) {
        assert!(texts.is_sorted_by_key(|text| std::cmp::Reverse(text.len())));
        for (way, stack) in self.stacks.iter().enumerate() {
            self.read_one_way(stack, texts, |reading, hidden| hear(way, reading, hidden));
        }
    }

    fn read_one_way(&self, stack: &Stack, texts: &[&[u32]], mut hear: impl FnMut(usize, &[f32])) {
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
            hear(reading, state.layers.last().expect("a layer").hidden());
        }
    }

    /// Units of a panel of the last layer's outputs.
    pub fn lanes(&self) -> usize {
        self.kernel.lanes()
    }

    /// One step of all layers.
    fn step(&self, stack: &Stack, tokens: &[u32], state: &mut State) {
        let zeros = vec![0; tokens.len()];
        let embedded = self.embed(tokens);
        let mut below = embedded.as_ref();
        for (layer, state) in stack.layers.iter().zip(&mut state.layers) {
            let start = match (&stack.table, below) {
                (Some(values), None) => Start {
                    values,
                    rows: tokens,
                },
                _ => Start {
                    values: &layer.bias,
                    rows: &zeros,
                },
            };
            layer.lstm.step(start, below, state, &self.pool);
            below = Some(state.encoded());
        }
    }

    /// Many steps, layer by layer: the input products of all steps are one matrix product, the recurrent ones must go
    /// step by step. Returns the last layer's outputs, `[steps, streams]`.
    fn many_steps(&self, tokens: &[u32], state: &mut State) -> Rows {
        let streams = state.streams;
        let numbers: Vec<u32> = (0..tokens.len() as u32).collect();
        let stack = self.forward_stack();
        let mut inputs = self.embed(tokens);
        for (layer, state) in stack.layers.iter().zip(&mut state.layers) {
            let sums;
            let (values, rows) = match (&stack.table, &inputs) {
                (Some(table), None) => (table, tokens),
                (_, Some(inputs)) => {
                    sums = self.sums(layer, inputs);
                    (&sums, &numbers[..])
                }
                (None, None) => unreachable!("an embedding gives inputs"),
            };
            let mut outputs = Rows::zeros(self.kernel, tokens.len(), layer.lstm.hidden_size());
            for (step, rows) in rows.chunks_exact(streams).enumerate() {
                layer
                    .lstm
                    .step(Start { values, rows }, None, state, &self.pool);
                for stream in 0..streams {
                    outputs.copy(step * streams + stream, state.encoded(), stream);
                }
            }
            inputs = Some(outputs);
        }
        inputs.expect("a layer")
    }

    /// The bias and the products of all inputs, in the order of a [`Start`].
    fn sums(&self, layer: &Layer, inputs: &Rows) -> Vec<f32> {
        let weights = layer.lstm.input().expect("weights of the input");
        weights.sums(&layer.bias, inputs, 0..inputs.len(), &self.pool)
    }

    /// The tokens' vectors; none where the first layers have tables.
    fn embed(&self, tokens: &[u32]) -> Option<Rows> {
        let (embedding, size) = self.embedding.as_ref()?;
        Some(Rows::chosen(
            self.kernel,
            embedding,
            *size,
            tokens,
            &self.pool,
        ))
    }

    fn logits(&self, outputs: &Rows) -> Vec<f32> {
        let (output, bias) = self
            .output
            .as_ref()
            .expect("a language model has an output");
        let panels = output.sums(bias, outputs, 0..outputs.len(), &self.pool);
        rows_of_panels(&panels, outputs.len(), output.width(), self.vocab_size)
    }
}

/// `[panels, rows, width]` as `[rows, outer]`.
fn rows_of_panels(panels: &[f32], rows: usize, width: usize, outer: usize) -> Vec<f32> {
    let mut all = Vec::with_capacity(rows * outer);
    for row in 0..rows {
        for (index, panel) in panels.chunks_exact(rows * width).enumerate() {
            let own = width.min(outer - index * width);
            all.extend_from_slice(&panel[row * width..row * width + own]);
        }
    }
    all
}

/// The first layer's sums for every symbol, `[vocab_size, 4 · hidden_size]` as PyTorch orders them, in float32.
fn all_sums(
    embedding: &[f32],
    embedding_size: usize,
    weights: &[f32],
    bias: &[f32],
    pool: &ThreadPool,
) -> Vec<f32> {
    let kernel = Kernel::fastest(Precision::Float32);
    let weights = Matrix::pack(weights, embedding_size, Layout::Plain, kernel, pool);
    let symbols: Vec<u32> = (0..(embedding.len() / embedding_size) as u32).collect();
    let x = Rows::chosen(kernel, embedding, embedding_size, &symbols, pool);
    let mut padded = bias.to_vec();
    padded.resize(weights.panels() * weights.width(), 0.0);
    let panels = weights.sums(&padded, &x, 0..x.len(), pool);
    rows_of_panels(&panels, x.len(), weights.width(), bias.len())
}

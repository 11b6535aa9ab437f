/*!
Recurrent layers over an embedding or over numbers: one step of one text, many steps of a prompt, or many texts side by
side.
*/

use std::borrow::Cow;

use carousel_kernels::recurrent::TABLE_TOKENS;
use carousel_kernels::{Kernel, Rows, ThreadPool};

use super::stack::{Inputs, RecurrentState, Stack};
use crate::checkpoint::ModelConfig;
use crate::checkpoint::architecture::EMBEDDING;
use crate::checkpoint::parts::Input;
use crate::error::Result;
use crate::text::Direction;

/// An embedding, if tokens are read, and recurrent layers, packed for the CPU at hand.
pub struct RecurrentNetwork {
    /// `[vocab_size, embedding_size]`, and its width; `None` where the first layers have tables, or numbers are read.
    embedding: Option<(Vec<f32>, usize)>,
    /// A stack for each direction in which texts are read.
    stacks: Vec<(Direction, Stack)>,
    kernel: Kernel,
    /// Number of units in a group.
    units: usize,
    /// Width of what the first layer reads.
    input_size: usize,
    pool: ThreadPool,
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
        let (recurrent, size) = (config.recurrent(), config.input_size());
        let (embedding, has_tables) = match &config.input {
            Input::Tokens(tokens) => (floats(EMBEDDING)?, tokens.vocab_size <= TABLE_TOKENS),
            Input::Numbers(_) => (Cow::Borrowed(&[][..]), false),
        };
        let table_of = has_tables.then_some((&*embedding, size));
        let stack = |&direction: &Direction| {
            let stack = Stack::load(recurrent, direction, table_of, &floats, kernel, &pool)?;
            Ok((direction, stack))
        };
        let stacks = directions.iter().map(stack).collect::<Result<_>>()?;
        Ok(RecurrentNetwork {
            embedding: (!has_tables && !embedding.is_empty())
                .then(|| (embedding.into_owned(), size)),
            stacks,
            kernel,
            units: recurrent.cell.units(kernel),
            input_size: size,
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
        self.forward_stack().initial_state(streams)
    }

    /// Sets one stream of a state to that which texts begin with. What residual connections add up is computed anew at the
    /// next step.
    pub fn reset(&self, state: &mut RecurrentState, stream: usize) {
        self.forward_stack().reset(state, stream);
    }

    /// The layers that read a text from its beginning.
    fn forward_stack(&self) -> &Stack {
        &self.stacks[0].1
    }

    /// Reads `tokens`, time-major `[steps, streams]`, forwards, to advance the state.
    pub fn read(&self, tokens: &[u32], state: &mut RecurrentState) {
        if tokens.len() == state.streams() {
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
        let lengths: Vec<usize> = texts.iter().map(|text| text.len()).collect();
        for (index, (direction, stack)) in self.stacks.iter().enumerate() {
            stack.read_side_by_side(&lengths, |step, state| {
                let reading = texts[..state.streams()].iter();
                let tokens: Vec<u32> = reading
                    .filter_map(|text| direction.token(text, step))
                    .collect();
                self.step(stack, &tokens, state);
                each(index, tokens.len(), state.hidden());
            });
        }
    }

    /// One step of all layers.
    fn step(&self, stack: &Stack, tokens: &[u32], state: &mut RecurrentState) {
        let embedded = self.embed(tokens);
        stack.step(inputs(tokens, &embedded), state, &self.pool);
    }

    /// Reads `tokens`, time-major `[steps, streams]`, forwards, and returns the last layer's outputs, `[steps, streams]`.
    pub fn outputs(&self, tokens: &[u32], state: &mut RecurrentState) -> Rows {
        let embedded = self.embed(tokens);
        (self.forward_stack()).outputs(inputs(tokens, &embedded), state, &self.pool)
    }

    /// Reads numbers, time-major `[steps, streams, input_size]`, as [`RecurrentNetwork::outputs`] reads tokens.
    pub fn outputs_of_numbers(&self, numbers: &[f32], state: &mut RecurrentState) -> Rows {
        let size = self.input_size;
        let rows: Vec<u32> = (0..(numbers.len() / size) as u32).collect();
        let inputs = Rows::gather(self.kernel, numbers, size, &rows, &self.pool);
        (self.forward_stack()).outputs(Inputs::Vectors(&inputs), state, &self.pool)
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

/// What the first layer reads: the tokens' vectors, or where it has a table, the tokens.
fn inputs<'a>(tokens: &'a [u32], embedded: &'a Option<Rows>) -> Inputs<'a> {
    match embedded {
        Some(embedded) => Inputs::Vectors(embedded),
        None => Inputs::Tokens(tokens),
    }
}

/*!
Networks that predict the next token: recurrent layers, and a softmax over the vocabulary.
*/

use std::borrow::Cow;
use std::ops::Range;

use carousel_kernels::{Kernel, Precision, Rows, ThreadPool};

use super::affine::Affine;
use super::recurrent::RecurrentNetwork;
use super::stack::RecurrentState;
use crate::checkpoint::ModelConfig;
use crate::error::Result;
use crate::text::Direction;

/// A language model's weights, packed for the CPU at hand.
pub struct NextTokenNetwork {
    body: RecurrentNetwork,
    /// `[horizon · vocab_size, hidden_size]`.
    output: Affine,
    hidden_size: usize,
    vocab_size: usize,
    /// Number of tokens that a step predicts.
    horizon: usize,
}

/// The steps whose logits are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    All,
    /// The last alone.
    Last,
}

impl NextTokenNetwork {
    /// Packs the weights that `floats` gives for the names of [`ModelConfig::tensors`], in their shapes. The layers that
    /// read backwards are left out: a prediction knows only the tokens before it.
    pub fn load<'w>(
        config: &ModelConfig,
        floats: impl Fn(&str) -> Result<Cow<'w, [f32]>>,
        precision: Precision,
        threads: usize,
    ) -> Result<Self> {
        let kernel = Kernel::fastest(precision);
        let body = RecurrentNetwork::load(config, &[Direction::Forward], &floats, kernel, threads)?;
        let (weight, bias) = config.head_tensors();
        let output = Affine::pack(&floats(weight)?, floats(bias)?, kernel, body.pool());
        Ok(NextTokenNetwork {
            body,
            output,
            hidden_size: config.recurrent().hidden_size,
            vocab_size: config.tokens().vocab_size,
            horizon: config.next_token().horizon,
        })
    }

    /// Number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Number of tokens that a step predicts at once.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// The thread pool that its steps run on.
    pub fn pool(&self) -> &ThreadPool {
        self.body.pool()
    }

    /// The state that streams which are read side by side begin with.
    pub fn initial_state(&self, streams: usize) -> RecurrentState {
        self.body.initial_state(streams)
    }

    /// Reads `tokens`, time-major `[steps, streams]`, and returns the wanted logits, `[steps or 1, streams, horizon,
    /// vocab_size]`.
    ///
    /// # Panics
    /// If a token is not in the vocabulary, or the tokens do not fill the streams.
    pub fn forward(&self, tokens: &[u32], state: &mut RecurrentState, wanted: Wanted) -> Vec<f32> {
        assert_eq!(tokens.len() % state.streams(), 0, "tokens fill the streams");
        if wanted == Wanted::All && tokens.len() > state.streams() {
            return self.logits(&self.body.outputs(tokens, state), 0..tokens.len());
        }
        self.body.read(tokens, state);
        self.logits(state.output(), 0..state.streams())
    }

    /// Reads `tokens`, time-major `[steps, streams]`, and returns the outputs of the last layer, `[steps, streams]`.
    pub fn outputs(&self, tokens: &[u32], state: &mut RecurrentState) -> Rows {
        match tokens.len() == state.streams() {
            true => {
                self.body.read(tokens, state);
                state.output().clone()
            }
            false => self.body.outputs(tokens, state),
        }
    }

    /// Decodes one row of outputs into `values`.
    pub fn output(&self, outputs: &Rows, row: usize, values: &mut Vec<f32>) {
        values.resize(self.hidden_size, 0.0);
        outputs.get(row, values);
    }

    /// Reads `tokens` as [`NextTokenNetwork::forward`] does, but computes no logits.
    pub fn read(&self, tokens: &[u32], state: &mut RecurrentState) {
        self.body.read(tokens, state);
    }

    /// Sets one stream of a state to that which texts begin with.
    pub fn reset(&self, state: &mut RecurrentState, stream: usize) {
        self.body.reset(state, stream);
    }

    /// The logits of a range of outputs, `[rows, horizon, vocab_size]`.
    pub fn logits(&self, outputs: &Rows, rows: Range<usize>) -> Vec<f32> {
        self.output.outputs(outputs, rows, self.pool())
    }
}

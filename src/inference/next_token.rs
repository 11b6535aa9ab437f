/*!
Networks that predict the next token: recurrent layers or a transformer, and a softmax over the vocabulary.
*/

use std::borrow::Cow;
use std::ops::Range;

use carousel_kernels::{Kernel, Precision, Rows, ThreadPool};

use super::affine::Affine;
use super::recurrent::RecurrentNetwork;
use super::stack::{Clamp, RecurrentState};
use super::transformer::{TransformerNetwork, TransformerState};
use crate::checkpoint::ModelConfig;
use crate::error::Result;
use crate::text::Direction;

/// A language model's weights, packed for the CPU at hand.
pub struct NextTokenNetwork {
    body: Layers,
    /// `[horizon · vocab_size, hidden_size]`.
    output: Affine,
    hidden_size: usize,
    vocab_size: usize,
    /// Number of tokens that a step predicts.
    horizon: usize,
}

/// What turns tokens into outputs.
enum Layers {
    Recurrent(RecurrentNetwork),
    Transformer(Box<TransformerNetwork>),
}

impl Layers {
    fn pool(&self) -> &ThreadPool {
        match self {
            Layers::Recurrent(layers) => layers.pool(),
            Layers::Transformer(layers) => layers.pool(),
        }
    }
}

/// What a network knows of the texts that it reads side by side.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkState {
    /// The state of recurrent layers.
    Recurrent(RecurrentState),
    /// The windows of a transformer.
    Transformer(TransformerState),
}

impl NetworkState {
    /// Number of texts that are read side by side.
    pub fn streams(&self) -> usize {
        match self {
            NetworkState::Recurrent(state) => state.streams(),
            NetworkState::Transformer(state) => state.streams(),
        }
    }

    /// Memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            NetworkState::Recurrent(state) => state.bytes(),
            NetworkState::Transformer(state) => state.bytes(),
        }
    }

    /// The states of the given streams, side by side, each as often as it is named.
    pub fn select(&self, streams: &[usize]) -> Self {
        match self {
            NetworkState::Recurrent(state) => NetworkState::Recurrent(state.select(streams)),
            NetworkState::Transformer(state) => NetworkState::Transformer(state.select(streams)),
        }
    }

    /// Puts the streams of another state after these.
    ///
    /// # Panics
    /// If they are of different networks, or other units are held in them.
    pub fn append(&mut self, other: Self) {
        match (self, other) {
            (NetworkState::Recurrent(state), NetworkState::Recurrent(other)) => {
                state.append(&other);
            }
            (NetworkState::Transformer(state), NetworkState::Transformer(other)) => {
                state.append(other);
            }
            _ => unreachable!("states of one network"),
        }
    }

    /// Holds units at fixed values from the next step on; a transformer has no units.
    pub fn clamp(&mut self, clamps: &[Clamp]) {
        if let NetworkState::Recurrent(state) = self {
            state.clamp(clamps);
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
        let body = match config.transformer() {
            Some(shape) => {
                let layers = TransformerNetwork::load(shape, &floats, kernel, threads)?;
                Layers::Transformer(Box::new(layers))
            }
            None => {
                let forward = [Direction::Forward];
                let layers = RecurrentNetwork::load(config, &forward, &floats, kernel, threads)?;
                Layers::Recurrent(layers)
            }
        };
        let (weight, bias) = config.head_tensors();
        let output = Affine::pack(&floats(weight)?, floats(bias)?, kernel, body.pool());
        Ok(NextTokenNetwork {
            body,
            output,
            hidden_size: config.hidden_size(),
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
    pub fn initial_state(&self, streams: usize) -> NetworkState {
        match &self.body {
            Layers::Recurrent(layers) => NetworkState::Recurrent(layers.initial_state(streams)),
            Layers::Transformer(layers) => NetworkState::Transformer(layers.initial_state(streams)),
        }
    }

    /// Reads `tokens`, time-major `[steps, streams]`, and returns the wanted logits, `[steps or 1, streams, horizon,
    /// vocab_size]`.
    ///
    /// # Panics
    /// If a token is not in the vocabulary, the tokens do not fill the streams, or the state is another network's.
    pub fn forward(&self, tokens: &[u32], state: &mut NetworkState, wanted: Wanted) -> Vec<f32> {
        let streams = state.streams();
        assert_eq!(tokens.len() % streams, 0, "tokens fill the streams");
        match (&self.body, state) {
            (Layers::Recurrent(layers), NetworkState::Recurrent(state))
                if wanted == Wanted::Last || tokens.len() == streams =>
            {
                layers.read(tokens, state);
                self.logits(state.output(), 0..streams)
            }
            (_, state) => {
                let first = match wanted {
                    Wanted::All => 0,
                    Wanted::Last => tokens.len() - streams,
                };
                self.logits(&self.outputs(tokens, state), first..tokens.len())
            }
        }
    }

    /// Reads `tokens`, time-major `[steps, streams]`, and returns the outputs of the last layer, `[steps, streams]`.
    ///
    /// # Panics
    /// As [`NextTokenNetwork::forward`].
    pub fn outputs(&self, tokens: &[u32], state: &mut NetworkState) -> Rows {
        match (&self.body, state) {
            (Layers::Recurrent(layers), NetworkState::Recurrent(state)) => {
                if tokens.len() > state.streams() {
                    return layers.outputs(tokens, state);
                }
                layers.read(tokens, state);
                state.output().clone()
            }
            (Layers::Transformer(layers), NetworkState::Transformer(state)) => {
                layers.outputs(tokens, state)
            }
            _ => unreachable!("a state belongs to its network"),
        }
    }

    /// Decodes one row of outputs into `values`.
    pub fn output(&self, outputs: &Rows, row: usize, values: &mut Vec<f32>) {
        values.resize(self.hidden_size, 0.0);
        outputs.get(row, values);
    }

    /// Reads `tokens` as [`NextTokenNetwork::forward`] does, but computes no logits.
    ///
    /// # Panics
    /// As [`NextTokenNetwork::forward`].
    pub fn read(&self, tokens: &[u32], state: &mut NetworkState) {
        match (&self.body, state) {
            (Layers::Recurrent(layers), NetworkState::Recurrent(state)) => {
                layers.read(tokens, state);
            }
            (_, state) => {
                self.outputs(tokens, state);
            }
        }
    }

    /// Sets one stream of a state to that which texts begin with.
    ///
    /// # Panics
    /// If the state is another network's.
    pub fn reset(&self, state: &mut NetworkState, stream: usize) {
        match (&self.body, state) {
            (Layers::Recurrent(layers), NetworkState::Recurrent(state)) => {
                layers.reset(state, stream);
            }
            (Layers::Transformer(layers), NetworkState::Transformer(state)) => {
                layers.reset(state, stream);
            }
            _ => unreachable!("a state belongs to its network"),
        }
    }

    /// The logits of a range of outputs, `[rows, horizon, vocab_size]`.
    pub fn logits(&self, outputs: &Rows, rows: Range<usize>) -> Vec<f32> {
        self.output.outputs(outputs, rows, self.pool())
    }
}

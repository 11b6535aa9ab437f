/*!
What predicts the next token: a network, n-grams, or several of them, behind one interface with one kind of state.
*/

use super::interpolation::{Interpolated, InterpolatedState};
use super::next_token::{NetworkState, NextTokenNetwork, Wanted};
use super::stack::Clamp;
use crate::baselines::{KneserNey, NgramContexts};
use crate::checkpoint::parts::Body;
use crate::checkpoint::{ModelConfig, WeightsFile};
use crate::error::{Error, Result};
use carousel_kernels::{Precision, ThreadPool};

/// What predicts the next token.
pub enum Predictor {
    /// A network.
    Network(NextTokenNetwork),
    /// N-grams.
    Ngram(KneserNey),
    /// A network with n-grams and a cache, interpolated.
    Interpolated(Box<Interpolated>),
}

/// What a predictor knows of the texts that it reads side by side.
#[derive(Clone, Debug, PartialEq)]
pub enum PredictorState {
    /// The state of a network.
    Network(NetworkState),
    /// The contexts of each text.
    Ngram(Vec<NgramContexts>),
    /// That of all parts.
    Interpolated(InterpolatedState),
}

impl PredictorState {
    /// Number of texts that are read side by side.
    pub fn streams(&self) -> usize {
        match self {
            PredictorState::Network(state) => state.streams(),
            PredictorState::Ngram(texts) => texts.len(),
            PredictorState::Interpolated(state) => state.streams(),
        }
    }

    /// Whether what is read from now on is the model's own, which a cache does not keep.
    pub fn reads_own(&mut self, own: bool) {
        if let PredictorState::Interpolated(state) = self {
            state.hold_caches(own);
        }
    }

    /// Holds units of a network at fixed values from the next step on; n-grams have no units.
    pub fn clamp(&mut self, clamps: &[Clamp]) {
        match self {
            PredictorState::Network(state) => state.clamp(clamps),
            PredictorState::Interpolated(state) => state.clamp(clamps),
            PredictorState::Ngram(_) => {}
        }
    }

    /// Puts the streams of another state after these.
    ///
    /// # Panics
    /// If they are of different predictors, or other units are held in them.
    pub fn append(&mut self, other: Self) {
        match (self, other) {
            (PredictorState::Network(state), PredictorState::Network(other)) => state.append(other),
            (PredictorState::Ngram(texts), PredictorState::Ngram(others)) => texts.extend(others),
            (PredictorState::Interpolated(state), PredictorState::Interpolated(other)) => {
                state.append(other);
            }
            _ => unreachable!("states of one predictor"),
        }
    }

    /// The states of the given streams, side by side, each as often as it is named.
    pub fn select(&self, streams: &[usize]) -> Self {
        match self {
            PredictorState::Network(state) => PredictorState::Network(state.select(streams)),
            PredictorState::Ngram(texts) => {
                PredictorState::Ngram(streams.iter().map(|&stream| texts[stream]).collect())
            }
            PredictorState::Interpolated(state) => {
                PredictorState::Interpolated(state.select(streams))
            }
        }
    }
}

impl Predictor {
    /// Loads the weights of a checkpoint. N-grams have one precision.
    ///
    /// # Errors
    /// Weights that are damaged, or of another kind of model.
    pub fn load(
        config: &ModelConfig,
        weights: &WeightsFile,
        line_end: u32,
        precision: Precision,
        threads: usize,
    ) -> Result<Self> {
        Ok(match &config.body {
            Body::Recurrent(_) | Body::Transformer(_) => {
                let floats = |name: &str| weights.floats(name);
                let network = NextTokenNetwork::load(config, floats, precision, threads)?;
                match &config.next_token().interpolation {
                    None => Predictor::Network(network),
                    Some(interpolation) => {
                        let all = Interpolated::load(network, interpolation, weights, line_end)?;
                        Predictor::Interpolated(Box::new(all))
                    }
                }
            }
            Body::Ngram(ngrams) => {
                Predictor::Ngram(KneserNey::load(ngrams, weights, line_end, threads)?)
            }
            Body::EncoderDecoder(_) | Body::TransformerEncoderDecoder(_) => {
                return Err(Error::new(
                    "this model translates; `carousel translate` uses it",
                ));
            }
        })
    }

    /// Number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        match self {
            Predictor::Network(network) => network.vocab_size(),
            Predictor::Ngram(ngrams) => ngrams.vocab_size(),
            Predictor::Interpolated(all) => all.network.vocab_size(),
        }
    }

    /// Number of tokens that a step predicts at once.
    pub fn horizon(&self) -> usize {
        match self {
            Predictor::Network(network) => network.horizon(),
            Predictor::Ngram(_) | Predictor::Interpolated(_) => 1,
        }
    }

    /// Sets one stream of a state to that which texts begin with.
    ///
    /// # Panics
    /// If the state is another predictor's.
    pub fn reset(&self, state: &mut PredictorState, stream: usize) {
        match (self, state) {
            (Predictor::Network(network), PredictorState::Network(state)) => {
                network.reset(state, stream);
            }
            (Predictor::Ngram(_), PredictorState::Ngram(texts)) => {
                texts[stream] = NgramContexts::default();
            }
            (Predictor::Interpolated(all), PredictorState::Interpolated(state)) => {
                all.reset(state, stream);
            }
            _ => unreachable!("a state belongs to its predictor"),
        }
    }

    /// The thread pool that its steps run on.
    pub fn pool(&self) -> &ThreadPool {
        match self {
            Predictor::Network(network) => network.pool(),
            Predictor::Ngram(ngrams) => ngrams.pool(),
            Predictor::Interpolated(all) => all.network.pool(),
        }
    }

    /// The state that streams which are read side by side begin with.
    pub fn initial_state(&self, streams: usize) -> PredictorState {
        match self {
            Predictor::Network(network) => PredictorState::Network(network.initial_state(streams)),
            Predictor::Ngram(_) => PredictorState::Ngram(vec![NgramContexts::default(); streams]),
            Predictor::Interpolated(all) => {
                PredictorState::Interpolated(all.initial_state(streams))
            }
        }
    }

    /// Reads `tokens`, time-major `[steps, streams]`, and returns the wanted logits, `[steps or 1, streams, horizon,
    /// vocab_size]`; where n-grams take part, they are log probabilities.
    ///
    /// # Panics
    /// If a token is not in the vocabulary, the tokens do not fill the streams, or the state is another predictor's.
    pub fn forward(&self, tokens: &[u32], state: &mut PredictorState, wanted: Wanted) -> Vec<f32> {
        match (self, state) {
            (Predictor::Network(network), PredictorState::Network(state)) => {
                network.forward(tokens, state, wanted)
            }
            (Predictor::Ngram(ngrams), PredictorState::Ngram(texts)) => {
                ngrams.forward(tokens, texts, wanted == Wanted::All)
            }
            (Predictor::Interpolated(all), PredictorState::Interpolated(state)) => {
                all.forward(tokens, state, wanted)
            }
            _ => unreachable!("a state belongs to its predictor"),
        }
    }

    /// Reads `tokens` as [`Predictor::forward`] does, but computes no logits.
    pub fn read(&self, tokens: &[u32], state: &mut PredictorState) {
        match (self, state) {
            (Predictor::Network(network), PredictorState::Network(state)) => {
                network.read(tokens, state);
            }
            (Predictor::Ngram(ngrams), PredictorState::Ngram(texts)) => ngrams.read(tokens, texts),
            (Predictor::Interpolated(all), PredictorState::Interpolated(state)) => {
                all.read(tokens, state);
            }
            _ => unreachable!("a state belongs to its predictor"),
        }
    }
}

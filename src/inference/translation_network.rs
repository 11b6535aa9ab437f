/*!
Networks that turn one sequence into another, recurrent or transformers: many sources are encoded side by side, and many targets
are read or written step by step.
*/

use std::borrow::Cow;

use carousel_kernels::Precision;

use super::encoder_decoder::{DecoderState, Encoded, EncoderDecoderNetwork};
use super::transformer_encoder_decoder::{
    TransformerDecoderState, TransformerEncoded, TransformerEncoderDecoderNetwork,
};
use crate::checkpoint::ModelConfig;
use crate::error::Result;

/// A translator's weights, packed for the CPU at hand.
pub enum TranslationNetwork {
    /// Recurrent layers.
    Recurrent(Box<EncoderDecoderNetwork>),
    /// Layers of attention.
    Transformer(Box<TransformerEncoderDecoderNetwork>),
}

/// Sources that have been read.
pub enum EncodedSources {
    /// By recurrent layers.
    Recurrent(Encoded),
    /// By a transformer.
    Transformer(TransformerEncoded),
}

/// The state of a decoder that writes several targets side by side.
#[derive(Clone)]
pub enum TargetState {
    /// Of recurrent layers.
    Recurrent(DecoderState),
    /// Of a transformer.
    Transformer(TransformerDecoderState),
}

impl TargetState {
    /// The states of the given streams, side by side, each as often as it is named.
    pub fn select(&self, streams: &[usize]) -> Self {
        match self {
            TargetState::Recurrent(state) => TargetState::Recurrent(state.select(streams)),
            TargetState::Transformer(state) => TargetState::Transformer(state.select(streams)),
        }
    }
}

impl TranslationNetwork {
    /// Packs the weights that `floats` gives for the names of [`ModelConfig::tensors`], in their shapes. It computes with up
    /// to `threads` threads.
    ///
    /// # Errors
    /// Those of `floats`.
    ///
    /// # Panics
    /// If the configuration is of another kind of network.
    pub fn load<'w>(
        config: &ModelConfig,
        floats: impl Fn(&str) -> Result<Cow<'w, [f32]>>,
        precision: Precision,
        threads: usize,
    ) -> Result<Self> {
        Ok(match config.transformer_encoder_decoder() {
            Some(body) => {
                let network = TransformerEncoderDecoderNetwork::load(
                    config, body, floats, precision, threads,
                )?;
                TranslationNetwork::Transformer(Box::new(network))
            }
            None => {
                let network = EncoderDecoderNetwork::load(config, floats, precision, threads)?;
                TranslationNetwork::Recurrent(Box::new(network))
            }
        })
    }

    /// Number of tokens in the target's vocabulary.
    pub fn vocab_size(&self) -> usize {
        match self {
            TranslationNetwork::Recurrent(network) => network.vocab_size(),
            TranslationNetwork::Transformer(network) => network.vocab_size(),
        }
    }

    /// Whether the decoder looks at the source at each step.
    pub fn has_attention(&self) -> bool {
        match self {
            TranslationNetwork::Recurrent(network) => network.has_attention(),
            TranslationNetwork::Transformer(_) => true,
        }
    }

    /// Reads sources side by side.
    ///
    /// # Panics
    /// If a source has no tokens, or one that is not in the vocabulary.
    pub fn encode(&self, sources: &[&[u32]]) -> EncodedSources {
        match self {
            TranslationNetwork::Recurrent(network) => {
                EncodedSources::Recurrent(network.encode(sources))
            }
            TranslationNetwork::Transformer(network) => {
                EncodedSources::Transformer(network.encode(sources))
            }
        }
    }

    /// The state that the targets of the sources begin with, a stream for each.
    ///
    /// # Panics
    /// If the sources were encoded by another kind of network.
    pub fn initial_state(&self, encoded: &EncodedSources) -> TargetState {
        match (self, encoded) {
            (TranslationNetwork::Recurrent(network), EncodedSources::Recurrent(encoded)) => {
                TargetState::Recurrent(network.initial_state(encoded))
            }
            (TranslationNetwork::Transformer(network), EncodedSources::Transformer(encoded)) => {
                TargetState::Transformer(network.initial_state(encoded))
            }
            _ => unreachable!("sources belong to their network"),
        }
    }

    /// Reads the next token of each target; `sources` says whose target each stream is. Returns the weights of the sources'
    /// positions, which are none without attention; of a transformer those of the last layer, the mean of its heads.
    ///
    /// # Panics
    /// If there is no such token or source, not one of both for each stream, or the state is another network's.
    pub fn step(
        &self,
        tokens: &[u32],
        sources: &[usize],
        encoded: &EncodedSources,
        state: &mut TargetState,
    ) -> Vec<Vec<f32>> {
        match (self, encoded, state) {
            (
                TranslationNetwork::Recurrent(network),
                EncodedSources::Recurrent(encoded),
                TargetState::Recurrent(state),
            ) => network.step(tokens, sources, encoded, state),
            (
                TranslationNetwork::Transformer(network),
                EncodedSources::Transformer(encoded),
                TargetState::Transformer(state),
            ) => network.step(tokens, sources, encoded, state),
            _ => unreachable!("a state belongs to its network"),
        }
    }

    /// Gives `work` the logits of each target's next token after a step, `[vocab_size]`, with an item of the stream's own, on
    /// several threads. `buffer` keeps its memory for the next step.
    ///
    /// # Panics
    /// If there is not an item for each stream, or the state is another network's.
    pub fn for_each_logits<T: Send>(
        &self,
        state: &TargetState,
        items: &mut [T],
        buffer: &mut Vec<f32>,
        work: impl Fn(usize, &mut [f32], &mut T) + Sync,
    ) {
        match (self, state) {
            (TranslationNetwork::Recurrent(network), TargetState::Recurrent(state)) => {
                network.for_each_logits(state, items, buffer, work);
            }
            (TranslationNetwork::Transformer(network), TargetState::Transformer(state)) => {
                network.for_each_logits(state, items, buffer, work);
            }
            _ => unreachable!("a state belongs to its network"),
        }
    }
}

#[cfg(test)]
pub(super) mod testing;

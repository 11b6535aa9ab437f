/*!
Transformers that turn one sequence into another: many sources are encoded side by side, and many targets are read or written
step by step. The decoder keeps the keys and values of what each target has read, and of the source once for all of its targets.
The equations are at [`TransformerEncoderDecoder`].
*/

use std::borrow::Cow;

use carousel_kernels::{Kernel, Precision, Rows, ThreadPool};

use super::affine::Affine;
use super::transformer_layer::{Engine, HeadMemory, PackedLayer, rotations};
use crate::checkpoint::ModelConfig;
use crate::checkpoint::architecture::EMBEDDING;
use crate::checkpoint::encoder_decoder::{DECODER, ENCODER};
use crate::checkpoint::transformer_encoder_decoder::TransformerEncoderDecoder;
use crate::checkpoint::transformer_layer::LayerShape;
use crate::error::Result;

/// Most tokens of sources that are read at once, so that what is kept of them stays small.
const MOST_TOKENS: usize = 2048;

/// The weights of an encoder and a decoder of attention, packed for the CPU at hand.
pub struct TransformerEncoderDecoderNetwork {
    shape: LayerShape,
    /// The vectors of the source's tokens, `[vocab_size, hidden_size]`.
    source: Vec<f32>,
    /// Those of the target's, where they are others.
    target: Option<Vec<f32>>,
    encoder: PackedStack,
    decoder: PackedStack,
    output: Affine,
    vocab_size: usize,
    kernel: Kernel,
    pool: ThreadPool,
}

/// Layers, and the gains of the normalisation after them.
struct PackedStack {
    layers: Vec<PackedLayer>,
    norm: Vec<f32>,
}

/// Sources that have been read.
pub struct TransformerEncoded {
    /// The keys and values of each source, of the heads of the decoder's layers, `[layers, heads]`.
    sources: Vec<Vec<HeadMemory>>,
}

/// The state of a decoder that writes several targets side by side, of the same number of tokens so far.
#[derive(Clone)]
pub struct TransformerDecoderState {
    /// The keys and values of what each target has read, of the heads of the layers, `[layers, heads]`.
    streams: Vec<Vec<HeadMemory>>,
    /// Number of tokens that each has read.
    read: usize,
    /// What the output read at the last step, `[streams, hidden_size]`.
    outputs: Vec<f32>,
}

impl TransformerDecoderState {
    /// Number of targets.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// The states of the given streams, side by side, each as often as it is named.
    pub fn select(&self, streams: &[usize]) -> Self {
        let size = self.outputs.len() / self.streams.len().max(1);
        let outputs = streams.iter();
        let outputs = outputs.flat_map(|&stream| &self.outputs[stream * size..(stream + 1) * size]);
        TransformerDecoderState {
            outputs: outputs.copied().collect(),
            streams: streams
                .iter()
                .map(|&stream| self.streams[stream].clone())
                .collect(),
            read: self.read,
        }
    }
}

impl TransformerEncoderDecoderNetwork {
    /// Packs the weights that `floats` gives for the names of [`ModelConfig::tensors`], in their shapes. It computes with up
    /// to `threads` threads.
    ///
    /// # Errors
    /// Those of `floats`.
    ///
    /// # Panics
    /// If `body` is not that of the configuration.
    pub fn load<'w>(
        config: &ModelConfig,
        body: &TransformerEncoderDecoder,
        floats: impl Fn(&str) -> Result<Cow<'w, [f32]>>,
        precision: Precision,
        threads: usize,
    ) -> Result<Self> {
        let (kernel, pool) = (Kernel::fastest(precision), ThreadPool::new(threads));
        let shape = body.shape();
        let engine = Engine {
            shape,
            kernel,
            pool: &pool,
        };
        let stack = |name: &str, crosses: bool| -> Result<PackedStack> {
            let layer = |layer: usize| -> Result<PackedLayer> {
                let tensors = shape.layer(name, layer, crosses);
                let tensors = tensors.try_map(|(name, _)| floats(&name))?;
                Ok(PackedLayer::pack(tensors, engine))
            };
            Ok(PackedStack {
                layers: (0..body.num_layers).map(layer).collect::<Result<_>>()?,
                norm: floats(&LayerShape::last_norm(name))?.into_owned(),
            })
        };
        let written = body.written();
        let target = || Ok(floats(written.embedding())?.into_owned());
        let (weight, bias) = config.head_tensors();
        Ok(TransformerEncoderDecoderNetwork {
            shape,
            source: floats(EMBEDDING)?.into_owned(),
            target: (!body.shared_vocabulary).then(target).transpose()?,
            encoder: stack(ENCODER, false)?,
            decoder: stack(DECODER, true)?,
            output: Affine::pack(&floats(weight)?, floats(bias)?, kernel, &pool),
            vocab_size: written.tokens.vocab_size,
            kernel,
            pool,
        })
    }

    /// Number of tokens in the target's vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn engine(&self) -> Engine<'_> {
        Engine {
            shape: self.shape,
            kernel: self.kernel,
            pool: &self.pool,
        }
    }

    /// The vectors of tokens, `[tokens, hidden_size]`.
    fn vectors<'t>(&self, embedding: &[f32], tokens: impl Iterator<Item = &'t u32>) -> Vec<f32> {
        let width = self.shape.hidden_size;
        let vector = |&token: &u32| {
            let first = token as usize * width;
            embedding[first..first + width].iter().copied()
        };
        tokens.flat_map(vector).collect()
    }

    /// Reads sources side by side.
    ///
    /// # Panics
    /// If a source has no tokens, or one that is not in the vocabulary.
    pub fn encode(&self, sources: &[&[u32]]) -> TransformerEncoded {
        let mut encoded = Vec::with_capacity(sources.len());
        while encoded.len() < sources.len() {
            let left = &sources[encoded.len()..];
            let tokens = left.iter().scan(0, |sum, source| {
                *sum += source.len();
                Some(*sum)
            });
            let fitting = tokens.take_while(|&tokens| tokens <= MOST_TOKENS).count();
            encoded.extend(self.encode_at_once(&left[..fitting.max(1)]));
        }
        TransformerEncoded { sources: encoded }
    }

    /// The keys and values of sources for the decoder's heads.
    fn encode_at_once(&self, sources: &[&[u32]]) -> Vec<Vec<HeadMemory>> {
        let engine = self.engine();
        let lengths: Vec<usize> = sources.iter().map(|source| source.len()).collect();
        let tokens = sources.iter().flat_map(|source| *source);
        let mut vectors = self.vectors(&self.source, tokens);
        for layer in &self.encoder.layers {
            let projected = layer.self_attention.projected(&vectors, engine);
            let seen = engine.attend_all(&projected, &lengths);
            layer.self_attention.add(&seen, &mut vectors, engine);
            layer.feed_forward.add(&mut vectors, engine);
        }
        let outputs = engine.normalised(&vectors, &self.encoder.norm);
        let mut encoded = vec![Vec::new(); sources.len()];
        for layer in &self.decoder.layers {
            let attention = layer.cross_attention.iter();
            let keys_and_values = attention.flat_map(|one| one.keys_and_values(&outputs, engine));
            let keys_and_values: Vec<f32> = keys_and_values.collect();
            let memories = engine.memories(&keys_and_values, &lengths);
            for (encoded, memories) in encoded.iter_mut().zip(memories) {
                encoded.extend(memories);
            }
        }
        encoded
    }

    /// The state that the targets of the sources begin with, a stream for each.
    pub fn initial_state(&self, encoded: &TransformerEncoded) -> TransformerDecoderState {
        let nothing = vec![HeadMemory::default(); self.decoder.layers.len() * self.shape.heads];
        TransformerDecoderState {
            streams: vec![nothing; encoded.sources.len()],
            read: 0,
            outputs: vec![0.0; encoded.sources.len() * self.shape.hidden_size],
        }
    }

    /// Reads the next token of each target; `sources` says whose target each stream is. Returns the weights of the sources'
    /// positions in the last layer, the mean of its heads.
    ///
    /// # Panics
    /// If there is no such token or source, or not one of both for each stream.
    pub fn step(
        &self,
        tokens: &[u32],
        sources: &[usize],
        encoded: &TransformerEncoded,
        state: &mut TransformerDecoderState,
    ) -> Vec<Vec<f32>> {
        let (engine, heads) = (self.engine(), self.shape.heads);
        let embedding = self.target.as_ref().unwrap_or(&self.source);
        let mut vectors = self.vectors(embedding, tokens.iter());
        let before = vec![state.read; tokens.len()];
        let rotation = rotations(self.shape, state.read..state.read + 1);
        let mut weights = Vec::new();
        for (index, layer) in self.decoder.layers.iter().enumerate() {
            let of_layer = index * heads..(index + 1) * heads;
            let attention = &layer.self_attention;
            let projected = attention.projected(&vectors, engine);
            let streams = state.streams.iter_mut();
            let memories = streams.map(|memories| &mut memories[of_layer.clone()]);
            let seen = engine.attend_back(&projected, memories.collect(), &before, |_| &rotation);
            attention.add(&seen, &mut vectors, engine);
            if let Some(attention) = &layer.cross_attention {
                let queries = attention.queries(&vectors, engine);
                let memories = sources.iter();
                let memories: Vec<&[HeadMemory]> = memories
                    .map(|&source| &encoded.sources[source][of_layer.clone()])
                    .collect();
                let across = engine.attend_across(&queries, &memories);
                attention.add(&across.seen, &mut vectors, engine);
                weights = across.weights;
            }
            layer.feed_forward.add(&mut vectors, engine);
        }
        state.outputs = vectors;
        state.read += 1;
        weights
    }

    /// Gives `work` the logits of each target's next token after a step, `[vocab_size]`, with an item of the stream's own, on
    /// several threads. `buffer` keeps its memory for the next step.
    ///
    /// # Panics
    /// If there is not an item for each stream.
    pub fn for_each_logits<T: Send>(
        &self,
        state: &TransformerDecoderState,
        items: &mut [T],
        buffer: &mut Vec<f32>,
        work: impl Fn(usize, &mut [f32], &mut T) + Sync,
    ) {
        let rows: Rows = self.engine().normalised(&state.outputs, &self.decoder.norm);
        self.output
            .for_each_row(&rows, items, buffer, &self.pool, work);
    }
}

#[cfg(test)]
pub(super) mod tests;

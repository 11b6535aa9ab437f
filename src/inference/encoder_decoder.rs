/*!
Networks that turn one sequence into another: many sources are encoded side by side, and many targets are read or written
step by step. The equations are at [`EncoderDecoder`].
*/

use std::borrow::Cow;
use std::cmp::Reverse;

use carousel_kernels::{Kernel, Precision, Rows, ThreadPool, tanh_in_place};

use super::affine::Affine;
use super::attention::{Attender, Memory};
use super::stack::{Inputs, RecurrentState, Stack};
use crate::checkpoint::ModelConfig;
use crate::checkpoint::architecture::{EMBEDDING, OUTPUT_BIAS};
use crate::checkpoint::encoder_decoder::{
    BRIDGE_BIAS, BRIDGE_WEIGHT, DECODER, ENCODER, EncoderDecoder, READOUT_BIAS, READOUT_WEIGHT,
};
use crate::error::Result;
use crate::text::Direction;

/// The weights of an encoder and a decoder, packed for the CPU at hand.
pub struct EncoderDecoderNetwork {
    source: Embedding,
    /// `None` where source and target have one.
    target: Option<Embedding>,
    encoder: Vec<(Direction, Stack)>,
    bridge: Affine,
    decoder: Stack,
    attender: Option<Attender>,
    input_feeding: bool,
    readout: Affine,
    output: Affine,
    hidden_size: usize,
    memory_size: usize,
    vocab_size: usize,
    kernel: Kernel,
    pool: ThreadPool,
}

/// Vectors of tokens, `[vocab_size, size]`.
struct Embedding {
    vectors: Vec<f32>,
    size: usize,
}

/// Sources that have been read.
pub struct Encoded {
    /// What attention looks at, for each source; empty without attention.
    memories: Vec<Memory>,
    /// The last outputs of each direction, `[sources, memory_size]`.
    last: Vec<f32>,
}

/// The state of a decoder that writes several targets side by side.
#[derive(Clone)]
pub struct DecoderState {
    layers: RecurrentState,
    /// What the output read at the last step, `[streams, embedding_size]`.
    readouts: Vec<f32>,
}

impl DecoderState {
    /// The states of the given streams, side by side, each as often as it is named.
    pub fn select(&self, streams: &[usize]) -> Self {
        let size = self.readouts.len() / self.layers.streams();
        let readouts = streams.iter();
        let readouts = readouts.map(|&stream| &self.readouts[stream * size..(stream + 1) * size]);
        DecoderState {
            layers: self.layers.select(streams),
            readouts: readouts.collect::<Vec<_>>().concat(),
        }
    }
}

impl EncoderDecoderNetwork {
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
        let body = config.encoder_decoder().expect("an encoder and a decoder");
        let (kernel, pool) = (Kernel::fastest(precision), ThreadPool::new(threads));
        let embedding = |name: &str, size: usize| -> Result<Embedding> {
            let vectors = floats(name)?.into_owned();
            Ok(Embedding { vectors, size })
        };
        let affine = |weight: &str, bias: &str| -> Result<Affine> {
            Ok(Affine::pack(&floats(weight)?, floats(bias)?, kernel, &pool))
        };
        let target = || embedding(body.written().embedding(), body.target.embedding_size);
        Ok(EncoderDecoderNetwork {
            source: embedding(EMBEDDING, config.tokens().embedding_size)?,
            target: (!body.shared_vocabulary).then(target).transpose()?,
            encoder: load_encoder(body, &floats, kernel, &pool)?,
            bridge: affine(BRIDGE_WEIGHT, BRIDGE_BIAS)?,
            decoder: {
                let floats = |name: &str| floats(&format!("{DECODER}{name}"));
                Stack::load(
                    &body.decoder,
                    Direction::Forward,
                    None,
                    floats,
                    kernel,
                    &pool,
                )?
            },
            attender: Attender::load(body, &floats, kernel, &pool)?,
            input_feeding: body.input_feeding,
            readout: affine(READOUT_WEIGHT, READOUT_BIAS)?,
            output: affine(
                body.written().output_weight(config.next_token()),
                OUTPUT_BIAS,
            )?,
            hidden_size: body.encoder.hidden_size,
            memory_size: body.memory_size(),
            vocab_size: body.target.vocab_size,
            kernel,
            pool,
        })
    }

    /// Number of tokens in the target's vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The thread pool that its steps run on.
    pub fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    /// Whether the decoder looks at the source at each step.
    pub fn has_attention(&self) -> bool {
        self.attender.is_some()
    }

    /// Reads sources side by side.
    ///
    /// # Panics
    /// If a source has no tokens, or one that is not in the vocabulary.
    pub fn encode(&self, sources: &[&[u32]]) -> Encoded {
        let mut order: Vec<usize> = (0..sources.len()).collect();
        order.sort_by_key(|&index| Reverse(sources[index].len()));
        let lengths: Vec<usize> = order.iter().map(|&index| sources[index].len()).collect();
        let width = self.memory_size;
        let mut last = vec![0.0; sources.len() * width];
        let mut memories: Vec<Vec<f32>> = match &self.attender {
            Some(_) => sources
                .iter()
                .map(|source| vec![0.0; source.len() * width])
                .collect(),
            None => Vec::new(),
        };
        for (number, (direction, stack)) in self.encoder.iter().enumerate() {
            let first = number * self.hidden_size;
            stack.read_side_by_side(&lengths, |step, state| {
                let reading = &order[..state.streams()];
                let position = |source: usize| match direction {
                    Direction::Forward => step,
                    Direction::Reverse => sources[source].len() - 1 - step,
                };
                let tokens = reading
                    .iter()
                    .map(|&source| sources[source][position(source)]);
                let tokens: Vec<u32> = tokens.collect();
                stack.step(Inputs::Vectors(&self.embed(&tokens)), state, &self.pool);
                for (stream, &source) in reading.iter().enumerate() {
                    let place = source * width + first;
                    let output = &mut last[place..place + self.hidden_size];
                    state.hidden_of(stream, output);
                    if let Some(memory) = memories.get_mut(source) {
                        let place = position(source) * width + first;
                        memory[place..place + self.hidden_size].copy_from_slice(output);
                    }
                }
            });
        }
        let memory =
            |(attender, values): (&Attender, Vec<f32>)| attender.memory(values, &self.pool);
        let attender = self.attender.iter().cycle();
        Encoded {
            memories: attender.zip(memories).map(memory).collect(),
            last,
        }
    }

    /// The vectors of a source's tokens.
    fn embed(&self, tokens: &[u32]) -> Rows {
        let Embedding { vectors, size } = &self.source;
        Rows::gather(self.kernel, vectors, *size, tokens, &self.pool)
    }

    /// The state that the targets of the sources begin with, a stream for each.
    pub fn initial_state(&self, encoded: &Encoded) -> DecoderState {
        let sources: Vec<u32> = (0..(encoded.last.len() / self.memory_size) as u32).collect();
        let (last, width) = (&encoded.last, self.memory_size);
        let rows = Rows::gather(self.kernel, last, width, &sources, &self.pool);
        let mut parts = self.bridge.outputs(&rows, 0..rows.len(), &self.pool);
        tanh_in_place(&mut parts);
        DecoderState {
            layers: self.decoder.state_of(&parts, &self.pool),
            readouts: vec![0.0; sources.len() * self.target().size],
        }
    }

    /// The target's vectors.
    fn target(&self) -> &Embedding {
        self.target.as_ref().unwrap_or(&self.source)
    }

    /// Reads the next token of each target; `sources` says whose target each stream is. Returns the weights of the sources'
    /// positions, which are none without attention.
    ///
    /// # Panics
    /// If there is no such token or source, or not one of both for each stream.
    pub fn step(
        &self,
        tokens: &[u32],
        sources: &[usize],
        encoded: &Encoded,
        state: &mut DecoderState,
    ) -> Vec<Vec<f32>> {
        let inputs = self.decoder_inputs(tokens, &state.readouts);
        let (layers, pool) = (&mut state.layers, &self.pool);
        let mut weights = Vec::new();
        let attend = |first: &Rows| {
            let Some(attender) = &self.attender else {
                return Vec::new();
            };
            let memories = sources.iter().map(|&source| &encoded.memories[source]);
            let memories: Vec<&Memory> = memories.collect();
            let attended = attender.attend(first, &memories, pool);
            weights = attended.weights;
            attended.contexts
        };
        let contexts = (self.decoder).step_beside(Inputs::Vectors(&inputs), layers, attend, pool);
        let outputs = self.decoder.output_beside(layers, &contexts, pool);
        state.readouts = self.readout.outputs(&outputs, 0..outputs.len(), pool);
        tanh_in_place(&mut state.readouts);
        weights
    }

    /// What the decoder's first layer reads.
    fn decoder_inputs(&self, tokens: &[u32], readouts: &[f32]) -> Rows {
        let Embedding { vectors, size } = self.target();
        if !self.input_feeding {
            return Rows::gather(self.kernel, vectors, *size, tokens, &self.pool);
        }
        let mut inputs = Rows::zeros(self.kernel, tokens.len(), 2 * size);
        let read = |stream: usize, values: &mut [f32]| {
            let token = tokens[stream] as usize;
            values[..*size].copy_from_slice(&vectors[token * size..(token + 1) * size]);
            values[*size..].copy_from_slice(&readouts[stream * size..(stream + 1) * size]);
        };
        inputs.set_all(0..tokens.len(), read, &self.pool);
        inputs
    }

    /// Gives `work` the logits of each target's next token after a step, `[vocab_size]`, with an item of the stream's own, on
    /// several threads. `buffer` keeps its memory for the next step.
    ///
    /// # Panics
    /// If there is not an item for each stream.
    pub fn for_each_logits<T: Send>(
        &self,
        state: &DecoderState,
        items: &mut [T],
        buffer: &mut Vec<f32>,
        work: impl Fn(usize, &mut [f32], &mut T) + Sync,
    ) {
        let (readouts, size) = (&state.readouts, self.target().size);
        let streams: Vec<u32> = (0..(readouts.len() / size) as u32).collect();
        let rows = Rows::gather(self.kernel, readouts, size, &streams, &self.pool);
        self.output
            .for_each_row(&rows, items, buffer, &self.pool, work);
    }
}

/// The encoder's layers, for each direction.
fn load_encoder<'w>(
    body: &EncoderDecoder,
    floats: impl Fn(&str) -> Result<Cow<'w, [f32]>>,
    kernel: Kernel,
    pool: &ThreadPool,
) -> Result<Vec<(Direction, Stack)>> {
    let floats = |name: &str| floats(&format!("{ENCODER}{name}"));
    let directions = body.encoder.directions().iter();
    let stack = |&direction: &Direction| {
        let stack = Stack::load(&body.encoder, direction, None, floats, kernel, pool)?;
        Ok((direction, stack))
    };
    directions.map(stack).collect()
}

#[cfg(test)]
pub(super) mod tests;

/*!
Dropout masks for training, the same for all steps of a window.
*/

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use crate::slices::floats_mut;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::Recurrent;
use carousel::checkpoint::parts::Input;
use carousel::checkpoint::record::TrainingConfig;
use carousel::checkpoint::transformer_encoder_decoder::TransformerEncoderDecoder;
use carousel_kernels::ThreadPool;

/// Parts of a transformer's layer that add to what passes through, in an encoder and in a decoder.
const PARTS: [usize; 2] = [2, 3];
/// Factors of a mask that are worth another thread.
const CHUNK: usize = 1 << 15;

/// Dropout masks of one direction for a window: 0 for what is dropped, else one over the fraction that is kept.
pub struct DropoutMasks {
    /// Of the vocabulary's vectors, `[vocab_size, 1]` (Gal and Ghahramani 2016).
    pub embedding: Option<Tensor>,
    /// Of the vectors' components, `[batch_size, embedding_size]` (Gal and Ghahramani 2016).
    pub inputs: Option<Tensor>,
    /// Of each layer's recurrent weights, `[gates · hidden_size, hidden_size]` (Merity et al. 2018).
    pub recurrent: Vec<Option<Tensor>>,
    /// Of each layer's outputs, as the layer above or the head reads them, `[batch_size, hidden_size]` (Gal and
    /// Ghahramani 2016). Of a transformer, of what attention and then the feed-forward layer of each layer adds, anew for
    /// each token, `[bptt · batch_size, hidden_size]` (Vaswani et al. 2017).
    pub outputs: Vec<Option<Tensor>>,
}

impl DropoutMasks {
    /// Masks that drop nothing.
    pub fn none(config: &ModelConfig) -> Self {
        let none = |count: usize| (0..count).map(|_| None).collect();
        let [recurrent, outputs] = counts(config);
        DropoutMasks {
            embedding: None,
            inputs: None,
            recurrent: none(recurrent),
            outputs: none(outputs),
        }
    }

    /// Masks by the fractions of the configuration; the seed decides what is dropped.
    pub fn draw(
        config: &ModelConfig,
        training: &TrainingConfig,
        device: Device,
        seed: u64,
        pool: &ThreadPool,
    ) -> Self {
        let vocab_size = match &config.input {
            Input::Tokens(tokens) => tokens.vocab_size,
            Input::Numbers(_) => 0,
        };
        let mut source = MaskSource::new(seed, device, pool);
        let mut mask = |dropped, size: [usize; 2]| source.draw(dropped, size);
        let [recurrent, outputs] = counts(config);
        let (streams, size) = (training.batch_size, config.hidden_size());
        let gates = config.carried().map_or(0, |layers| layers.cell.gates());
        let rows = match config.carried() {
            Some(_) => streams,
            None => training.bptt * streams,
        };
        DropoutMasks {
            embedding: mask(training.embedding_dropout, [vocab_size, 1]),
            inputs: mask(training.input_dropout, [streams, config.input_size()]),
            recurrent: (0..recurrent)
                .map(|_| mask(training.weight_drop, [gates * size, size]))
                .collect(),
            outputs: (0..outputs)
                .map(|_| mask(config.dropout(), [rows, size]))
                .collect(),
        }
    }

    /// Other masks of the same shapes.
    pub fn map(&self, make: impl Fn(&Tensor) -> Tensor) -> Self {
        let one = |mask: &Option<Tensor>| mask.as_ref().map(&make);
        DropoutMasks {
            embedding: one(&self.embedding),
            inputs: one(&self.inputs),
            recurrent: self.recurrent.iter().map(one).collect(),
            outputs: self.outputs.iter().map(one).collect(),
        }
    }
}

/// Numbers of masks of recurrent weights, and of outputs.
fn counts(config: &ModelConfig) -> [usize; 2] {
    match config.transformer() {
        Some(shape) => [0, 2 * shape.num_layers],
        None => [config.num_layers(); 2],
    }
}

/// The size of a batch of sources with their targets.
#[derive(Clone, Copy, Debug)]
pub struct BatchSize {
    /// Number of pairs.
    pub pairs: usize,
    /// Steps of the longest source, and of the longest target.
    pub steps: [usize; 2],
}

impl BatchSize {
    /// That of sources and their targets.
    pub fn of(sources: &[&[u32]], targets: &[&[u32]]) -> Self {
        let longest = |side: &[&[u32]]| side.iter().map(|text| text.len()).max().unwrap_or(0);
        BatchSize {
            pairs: sources.len(),
            steps: [sources, targets].map(longest),
        }
    }
}

/// Dropout masks of a translator for a batch, as in [`DropoutMasks`]. Those of a transformer drop anew for each token, and have
/// in place of `pairs` as many rows as the steps of its side have tokens, `[steps · pairs, _]`.
pub struct TranslationMasks {
    /// Of the vectors of the source's and of the target's vocabulary, `[vocab_size, 1]`.
    pub tokens: [Option<Tensor>; 2],
    /// Of the components of the source's and of the target's vectors, `[pairs, embedding_size]`.
    pub inputs: [Option<Tensor>; 2],
    /// Of each of the encoder's layers, those of all directions; of a transformer, of what each part of each layer adds.
    pub encoder: Vec<LayerMasks>,
    /// Of each of the decoder's layers, or of their parts.
    pub decoder: Vec<LayerMasks>,
    /// Of what the output reads, `[pairs, embedding_size]`.
    pub readout: Option<Tensor>,
}

/// Dropout masks of a layer.
#[derive(Default)]
pub struct LayerMasks {
    /// Of its recurrent weights, `[gates · hidden_size, hidden_size]`.
    pub recurrent: Option<Tensor>,
    /// Of its outputs, `[pairs, hidden_size]`.
    pub outputs: Option<Tensor>,
}

impl TranslationMasks {
    /// Masks that drop nothing.
    pub fn none(config: &ModelConfig) -> Self {
        let none = |count: usize| (0..count).map(|_| LayerMasks::default()).collect();
        let [encoder, decoder] = match config.transformer_encoder_decoder() {
            Some(body) => PARTS.map(|parts| parts * body.num_layers),
            None => {
                let body = config.encoder_decoder().expect("a translator");
                [&body.encoder, &body.decoder].map(stacked)
            }
        };
        TranslationMasks {
            tokens: [None, None],
            inputs: [None, None],
            encoder: none(encoder),
            decoder: none(decoder),
            readout: None,
        }
    }

    /// Masks for a batch by the fractions of the configuration; the seed decides what is dropped. What the output reads is
    /// dropped like the decoder's outputs.
    pub fn draw(
        config: &ModelConfig,
        training: &TrainingConfig,
        size: BatchSize,
        device: Device,
        seed: u64,
        pool: &ThreadPool,
    ) -> Self {
        let mut source = MaskSource::new(seed, device, pool);
        if let Some(body) = config.transformer_encoder_decoder() {
            return Self::draw_transformer(config, body, training, size, &mut source);
        }
        let body = config.encoder_decoder().expect("a translator");
        let pairs = size.pairs;
        let mut mask = |dropped, size: [usize; 2]| source.draw(dropped, size);
        let vocabularies = [config.tokens(), &body.target];
        let tokens = vocabularies.map(|v| mask(training.embedding_dropout, [v.vocab_size, 1]));
        let inputs = vocabularies.map(|v| mask(training.input_dropout, [pairs, v.embedding_size]));
        let mut layers = |layers: &Recurrent| {
            let (size, gates) = (layers.hidden_size, layers.cell.gates());
            let one = |_| LayerMasks {
                recurrent: mask(training.weight_drop, [gates * size, size]),
                outputs: mask(layers.dropout, [pairs, size]),
            };
            (0..stacked(layers)).map(one).collect()
        };
        TranslationMasks {
            tokens,
            inputs,
            encoder: layers(&body.encoder),
            decoder: layers(&body.decoder),
            readout: mask(body.decoder.dropout, [pairs, body.target.embedding_size]),
        }
    }

    /// The same of a transformer.
    fn draw_transformer(
        config: &ModelConfig,
        body: &TransformerEncoderDecoder,
        training: &TrainingConfig,
        size: BatchSize,
        source: &mut MaskSource,
    ) -> Self {
        let mut mask = |dropped, size: [usize; 2]| source.draw(dropped, size);
        let rows = size.steps.map(|steps| steps * size.pairs);
        let vocabularies = [config.tokens(), &body.target];
        let tokens = vocabularies.map(|v| mask(training.embedding_dropout, [v.vocab_size, 1]));
        let inputs = rows.map(|rows| mask(training.input_dropout, [rows, body.hidden_size]));
        let mut parts = |side: usize| {
            let one = |_| LayerMasks {
                recurrent: None,
                outputs: mask(body.dropout, [rows[side], body.hidden_size]),
            };
            (0..PARTS[side] * body.num_layers).map(one).collect()
        };
        TranslationMasks {
            tokens,
            inputs,
            encoder: parts(0),
            decoder: parts(1),
            readout: None,
        }
    }

    /// Other masks of the same shapes.
    pub fn map(&self, make: impl Fn(&Tensor) -> Tensor) -> Self {
        let one = |mask: &Option<Tensor>| mask.as_ref().map(&make);
        let layers = |layers: &Vec<LayerMasks>| {
            let layer = |layer: &LayerMasks| LayerMasks {
                recurrent: one(&layer.recurrent),
                outputs: one(&layer.outputs),
            };
            layers.iter().map(layer).collect()
        };
        TranslationMasks {
            tokens: self.tokens.each_ref().map(one),
            inputs: self.inputs.each_ref().map(one),
            encoder: layers(&self.encoder),
            decoder: layers(&self.decoder),
            readout: one(&self.readout),
        }
    }
}

/// Number of a recurrent stack's layers, of all directions.
fn stacked(layers: &Recurrent) -> usize {
    layers.directions().len() * layers.num_layers
}

/// Draws masks one after another from one sequence of random words.
struct MaskSource<'a> {
    random: ChaCha8Rng,
    device: Device,
    pool: &'a ThreadPool,
    /// Random words used so far.
    used: u128,
}

impl<'a> MaskSource<'a> {
    fn new(seed: u64, device: Device, pool: &'a ThreadPool) -> Self {
        MaskSource {
            random: ChaCha8Rng::seed_from_u64(seed),
            device,
            pool,
            used: 0,
        }
    }

    /// A mask `[rows, columns]`; none if nothing is to be dropped. Sixteen bits decide each factor, so that the fraction is
    /// exact to a 65,536th and drawing costs little beside a step.
    fn draw(&mut self, dropped: f64, [rows, columns]: [usize; 2]) -> Option<Tensor> {
        if dropped <= 0.0 || rows == 0 {
            return None;
        }
        let threshold = (dropped * 65536.0).round() as u32;
        let kept = ((1.0 / (1.0 - dropped)) as f32).to_bits();
        let mut mask = Tensor::empty([rows as i64, columns as i64], (Kind::Float, Device::Cpu));
        let mut parts: Vec<_> = floats_mut(&mut mask).chunks_mut(CHUNK).collect();
        let (random, used) = (&self.random, self.used);
        // A word decides two factors. Each part begins at its own place in the sequence, whichever thread draws it.
        self.pool
            .for_each(parts.len(), &mut parts, |part, factors| {
                let mut random = random.clone();
                random.set_word_pos(used + (part * CHUNK / 2) as u128);
                let mut bytes = vec![0; 2 * factors.len()];
                random.fill_bytes(&mut bytes);
                let (pairs, _) = bytes.as_chunks::<2>();
                for (factor, &pair) in factors.iter_mut().zip(pairs) {
                    let keeps = u32::from(u16::from_le_bytes(pair)) >= threshold;
                    *factor = f32::from_bits(if keeps { kept } else { 0 });
                }
            });
        self.used += (rows * columns).div_ceil(2) as u128;
        Some(mask.to_device(self.device))
    }
}

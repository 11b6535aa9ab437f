/*!
The forward pass of a translator: an encoder, attention and a decoder ([`EncoderDecoder`] has the equations).

All values are time-major, `[steps, pairs, width]`; sequences that are shorter than the longest are filled up at their end,
and nothing depends on what they are filled up with.
*/

use tch::{Kind, Tensor};

use super::cells;
use super::dropout::{LayerMasks, TranslationMasks};
use super::parameters::NamedTensors;
use super::recurrent::Network;
use carousel::checkpoint::architecture::{EMBEDDING, LayerTensors, Recurrent};
use carousel::checkpoint::encoder_decoder::{
    ATTENTION_BIAS, Attention, BRIDGE_BIAS, BRIDGE_WEIGHT, DECODER, ENCODER, EncoderDecoder,
    KEY_WEIGHT, QUERY_WEIGHT, READOUT_BIAS, READOUT_WEIGHT, SCORE_WEIGHT,
};
use carousel::text::Direction;

/// A translator's network for a batch: its parameters and masks in the kind of the products.
pub struct Translation<'a> {
    /// The encoder and the decoder.
    pub body: &'a EncoderDecoder,
    parameters: NamedTensors,
    masks: TranslationMasks,
    output: &'static str,
}

/// The sources of a batch.
pub struct Sources {
    /// Token ids, `[steps, pairs]`.
    pub tokens: Tensor,
    /// The length of each, `[pairs]`.
    pub lengths: Tensor,
}

/// What the decoder sees of the sources.
pub struct Memory {
    /// The encoder's outputs, `[steps, pairs, memory_size]`.
    pub outputs: Tensor,
    /// The last output of each direction, `[pairs, memory_size]`.
    pub last: Tensor,
    /// Where no source is: `[pairs, 1, steps]`.
    pub padding: Tensor,
}

/// The decoder between two steps.
pub struct DecoderState {
    /// The parts of each layer's state, `[1, pairs, hidden_size]`.
    pub layers: Vec<Vec<Tensor>>,
    /// What the output read a step before, `[1, pairs, embedding_size]`; nothing without input feeding.
    pub readout: Option<Tensor>,
}

/// The layers of one direction.
pub struct Layers<'a> {
    recurrent: &'a Recurrent,
    weights: Vec<LayerTensors<Tensor>>,
    masks: &'a [LayerMasks],
}

impl Sources {
    /// Sequences, `[steps, pairs, …]`, each from its last step to its first; what they are filled up with stays.
    pub fn reversed(&self, sequences: &Tensor) -> Tensor {
        let steps = self.steps();
        let last: Tensor = self.lengths.unsqueeze(0) - 1;
        let from = (&last - &steps).where_self(&steps.less_equal_tensor(&last), &steps);
        self.gathered(sequences, &from)
    }

    /// The last step of each sequence, `[pairs, …]`.
    fn last(&self, sequences: &Tensor) -> Tensor {
        let last: Tensor = self.lengths.unsqueeze(0) - 1;
        self.gathered(sequences, &last).squeeze_dim(0)
    }

    /// The steps `from`, `[_, pairs]`, of each sequence.
    fn gathered(&self, sequences: &Tensor, from: &Tensor) -> Tensor {
        let mut size = sequences.size();
        size[0] = from.size()[0];
        let mut index = from.shallow_clone();
        while index.dim() < size.len() {
            index = index.unsqueeze(-1);
        }
        sequences.gather(0, &index.expand(&size, false), false)
    }

    /// Where a source is, `[pairs, 1, 1, steps]`.
    pub fn seen(&self) -> Tensor {
        let seen = self.steps().less_tensor(&self.lengths.unsqueeze(0));
        seen.tr().unsqueeze(1).unsqueeze(1)
    }

    fn steps(&self) -> Tensor {
        let steps = Tensor::arange(self.tokens.size()[0], (Kind::Int64, self.tokens.device()));
        steps.unsqueeze(-1)
    }
}

impl<'a> Translation<'a> {
    /// A network with masks, and with products in a kind of numbers.
    pub fn new(network: &'a Network, masks: &TranslationMasks, kind: Kind) -> Self {
        let (output, _) = network.config.head_tensors();
        Translation {
            body: network.config.encoder_decoder().expect("a translator"),
            parameters: network.parameters.map(|tensor| tensor.to_kind(kind)),
            masks: masks.map(|mask| mask.to_kind(kind)),
            output,
        }
    }

    fn get(&self, name: &str) -> &Tensor {
        self.parameters.get(name)
    }

    /// The encoder's layers of a direction.
    fn encoder(&self, direction: Direction) -> Layers<'_> {
        let recurrent = &self.body.encoder;
        let masks = &self.masks.encoder[recurrent.stack(direction)];
        self.layers(ENCODER, recurrent, direction, masks)
    }

    /// The decoder's layers.
    pub fn decoder(&self) -> Layers<'_> {
        let masks = &self.masks.decoder;
        self.layers(DECODER, &self.body.decoder, Direction::Forward, masks)
    }

    fn layers<'l>(
        &self,
        prefix: &str,
        recurrent: &'l Recurrent,
        direction: Direction,
        masks: &'l [LayerMasks],
    ) -> Layers<'l> {
        let weights = (0..recurrent.num_layers).zip(masks).map(|(layer, masks)| {
            let names = recurrent.layer_names(direction, layer);
            let mut weights =
                names.map(|name| self.get(&format!("{prefix}{name}")).shallow_clone());
            weights.weight_hh[0] = masked(&weights.weight_hh[0], &masks.recurrent);
            weights
        });
        Layers {
            recurrent,
            weights: weights.collect(),
            masks,
        }
    }

    /// The vectors of tokens, `[steps, pairs]`, of the source (0) or of the target (1).
    pub fn vectors(&self, tokens: &Tensor, side: usize) -> Tensor {
        let name = [EMBEDDING, self.body.written().embedding()][side];
        let embedding = masked(self.get(name), &self.masks.tokens[side]);
        let vectors = Tensor::embedding(&embedding, tokens, -1, false, false);
        masked(&vectors, &self.masks.inputs[side])
    }

    /// Reads the sources.
    pub fn encode(&self, sources: &Sources) -> Memory {
        let vectors = self.vectors(&sources.tokens, 0);
        let directions = self.body.encoder.directions().iter();
        let outputs = directions.map(|&direction| {
            let layers = self.encoder(direction);
            let state = layers.initial_state(vectors.size()[1]);
            match direction {
                Direction::Forward => layers.read(&vectors, state),
                Direction::Reverse => {
                    sources.reversed(&layers.read(&sources.reversed(&vectors), state))
                }
            }
        });
        let outputs: Vec<Tensor> = outputs.collect();
        self.memory(sources, &Tensor::cat(&outputs, -1))
    }

    /// What the decoder sees of the sources, from the encoder's outputs, `[steps, pairs, memory_size]`.
    pub fn memory(&self, sources: &Sources, outputs: &Tensor) -> Memory {
        let directions = self.body.encoder.directions();
        let halves = outputs.chunk(directions.len() as i64, -1);
        let last = directions
            .iter()
            .zip(halves)
            .map(|(direction, half)| match direction {
                Direction::Forward => sources.last(&half),
                Direction::Reverse => half.get(0),
            });
        let last: Vec<Tensor> = last.collect();
        let lengths = sources.lengths.unsqueeze(0);
        let padding = sources.steps().greater_equal_tensor(&lengths);
        Memory {
            outputs: outputs.shallow_clone(),
            last: Tensor::cat(&last, -1),
            padding: padding.tr().unsqueeze(1),
        }
    }

    /// The decoder before its first step.
    pub fn begin(&self, memory: &Memory) -> DecoderState {
        let (weight, bias) = (self.get(BRIDGE_WEIGHT), self.get(BRIDGE_BIAS));
        let states = memory.last.linear(weight, Some(bias)).tanh();
        let decoder = &self.body.decoder;
        let mut states = states
            .chunk(bias.size()[0] / decoder.hidden_size as i64, -1)
            .into_iter();
        let parts = decoder.layer_spec().parts().len();
        let layers = 0..decoder.num_layers;
        let part = |state: Tensor| state.unsqueeze(0).contiguous();
        let layers = layers.map(|_| states.by_ref().take(parts).map(part).collect());
        let size = [
            1,
            memory.last.size()[0],
            self.body.target.embedding_size as i64,
        ];
        let nothing = || Tensor::zeros(size, (memory.last.kind(), memory.last.device()));
        DecoderState {
            layers: layers.collect(),
            readout: self.body.input_feeding.then(nothing),
        }
    }

    /// What the output reads at each step, `[steps, pairs, embedding_size]`, after the vectors of the target's tokens.
    pub fn readouts(&self, vectors: &Tensor, memory: &Memory, state: &mut DecoderState) -> Tensor {
        let decoder = self.decoder();
        let Some(mut readout) = state.readout.take() else {
            return self.decode(&decoder, vectors, memory, &mut state.layers);
        };
        let mut readouts = Vec::new();
        for vectors in vectors.split(1, 0) {
            let inputs = Tensor::cat(&[vectors, readout], -1);
            readout = self.decode(&decoder, &inputs, memory, &mut state.layers);
            readouts.push(readout.shallow_clone());
        }
        state.readout = Some(readout);
        Tensor::cat(&readouts, 0)
    }

    /// The same for what the first layer reads.
    fn decode(
        &self,
        decoder: &Layers,
        inputs: &Tensor,
        memory: &Memory,
        state: &mut [Vec<Tensor>],
    ) -> Tensor {
        let mut outputs = decoder.layer(0, inputs, &mut state[0]);
        let context = self.context(&outputs, memory);
        let with_context = |outputs: &Tensor| match &context {
            Some(context) => Tensor::cat(&[outputs, context], -1),
            None => outputs.shallow_clone(),
        };
        for (layer, state) in state.iter_mut().enumerate().skip(1) {
            outputs = decoder.layer(layer, &with_context(&outputs), state);
        }
        self.readout(&with_context(&outputs))
    }

    /// What the output reads, from the decoder's outputs and the context.
    pub fn readout(&self, outputs: &Tensor) -> Tensor {
        let (weight, bias) = (self.get(READOUT_WEIGHT), self.get(READOUT_BIAS));
        masked(
            &outputs.linear(weight, Some(bias)).tanh(),
            &self.masks.readout,
        )
    }

    /// The context that each query finds in the memory, `[steps, pairs, memory_size]`; nothing without attention.
    pub fn context(&self, queries: &Tensor, memory: &Memory) -> Option<Tensor> {
        // From here on [pairs, steps, width], as products of batches have it.
        let memories = memory.outputs.transpose(0, 1);
        let project = |x: &Tensor, name: &str| x.matmul(&self.get(name).tr()).transpose(0, 1);
        let scores = match self.body.attention {
            Attention::None => return None,
            Attention::Dot => project(queries, QUERY_WEIGHT).bmm(&memories.transpose(1, 2)),
            Attention::Additive => {
                let queries = project(queries, QUERY_WEIGHT).unsqueeze(2);
                let keys = project(&memory.outputs, KEY_WEIGHT).unsqueeze(1);
                let sums = queries + keys + self.get(ATTENTION_BIAS);
                sums.tanh().matmul(self.get(SCORE_WEIGHT))
            }
        };
        let scores = scores.masked_fill(&memory.padding, f64::NEG_INFINITY);
        let weights = scores.softmax(-1, scores.kind());
        Some(weights.bmm(&memories).transpose(0, 1))
    }

    /// Logits for rows of what the output reads, `[rows, vocab_size]`, in the kind of `bias`, the output's.
    pub fn logits(&self, rows: &Tensor, bias: &Tensor) -> Tensor {
        let own = bias.to_kind(rows.kind());
        rows.linear(self.get(self.output), Some(&own))
            .to_kind(bias.kind())
    }
}

impl Layers<'_> {
    /// The state before the first step of `pairs` sequences: learnt, or zeros.
    fn initial_state(&self, pairs: i64) -> Vec<Vec<Tensor>> {
        let (size, parts) = (
            self.recurrent.hidden_size as i64,
            self.recurrent.layer_spec().parts(),
        );
        let of = |weights: &LayerTensors<Tensor>| {
            let zeros = weights.bias_hh.narrow(0, 0, size).zeros_like();
            let part = |part: usize| {
                let last = weights.initial.len().saturating_sub(1);
                let begin = weights.initial.get(part.min(last)).unwrap_or(&zeros);
                begin
                    .view([1, 1, -1])
                    .expand([1, pairs, size], false)
                    .contiguous()
            };
            (0..parts.len()).map(part).collect()
        };
        self.weights.iter().map(of).collect()
    }

    /// The last layer's outputs, `[steps, pairs, hidden_size]`.
    fn read(&self, inputs: &Tensor, mut state: Vec<Vec<Tensor>>) -> Tensor {
        let mut outputs = inputs.shallow_clone();
        for (layer, state) in state.iter_mut().enumerate() {
            outputs = self.layer(layer, &outputs, state);
        }
        outputs
    }

    /// Outputs of a layer, which goes on from its state.
    fn layer(&self, layer: usize, inputs: &Tensor, state: &mut Vec<Tensor>) -> Tensor {
        let (outputs, after) = cells::forward(self.recurrent, inputs, state, &self.weights[layer]);
        *state = after;
        let outputs = masked(&outputs, &self.masks[layer].outputs);
        match self.recurrent.residual && layer > 0 {
            true => outputs + inputs.narrow(-1, 0, self.recurrent.hidden_size as i64),
            false => outputs,
        }
    }
}

/// Values with their mask, if they have one.
fn masked(values: &Tensor, mask: &Option<Tensor>) -> Tensor {
    match mask {
        Some(mask) => values * mask,
        None => values.shallow_clone(),
    }
}

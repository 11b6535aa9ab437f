/*!
A translator: its recurrent layers and its output by kernels, over all steps at once, and between them attention, the bridge
and what the output reads by libtorch's automatic differentiation, whose leaves are the layers' outputs.

Sequences are filled up at their end, in the order in which a layer reads them: what they are filled up with changes nothing
before it, and no gradient comes from there.
*/

use tch::{Device, Kind, Tensor};

use crate::gradients::batch::{PairBatch, Window};
use crate::network::{DecoderState, LayerMasks, Memory, Network, Translation};
use crate::optimizer::SparseRows;
use crate::precision;
use crate::slices::floats;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::{EMBEDDING, Recurrent};
use carousel::checkpoint::arguments::TrainingPrecision;
use carousel::checkpoint::encoder_decoder::{
    ATTENTION_BIAS, BRIDGE_BIAS, BRIDGE_WEIGHT, DECODER, ENCODER, KEY_WEIGHT, QUERY_WEIGHT,
    READOUT_BIAS, READOUT_WEIGHT, SCORE_WEIGHT,
};
use carousel::text::Direction;
use carousel_kernels::recurrent::OutputGradients;
use carousel_kernels::{Kernel, Rows, ThreadPool};

use super::buffers::GradientBuffers;
use super::embedding::{self, Vectors};
use super::memory::StepMemory;
use super::next_token::{NextTokenHead, Output};
use super::panels::{of_rows, rows_of};
use super::scratch::Scratch;
use super::taped_layer::TapedLayer;

/// Kernels of a translator, and what they keep from one step to the next.
pub struct TranslationKernels {
    /// The encoder's layers of each direction.
    encoder: Vec<Layers>,
    decoder: Layers,
    head: NextTokenHead,
    memory: StepMemory,
}

/// Layers, and what they read of a batch.
struct Layers {
    recurrent: Recurrent,
    taped: Vec<TapedLayer>,
    /// What each layer read, `[steps · pairs, _]`.
    read: Vec<Rows>,
}

/// What a step is of.
#[derive(Clone, Copy)]
struct Step<'a> {
    network: &'a Network,
    batch: &'a PairBatch<'a>,
    pool: &'a ThreadPool,
}

/// The decoder's outputs over a batch.
struct Decoded {
    /// The first layer's, a leaf.
    queries: Tensor,
    /// What attention found by them in the memory, and a leaf of the same values.
    context: Option<(Tensor, Tensor)>,
    /// The last layer's, a leaf: the queries, if there is one layer.
    outputs: Tensor,
}

/// Gradients with respect to what the output reads of.
struct OutputsGradient {
    /// The last layer's outputs, `[steps, pairs, hidden_size]`.
    outputs: Tensor,
    /// The context, `[steps, pairs, memory_size]`.
    context: Option<Tensor>,
}

impl TranslationKernels {
    /// Kernels in a precision.
    pub fn new(config: &ModelConfig, precision: TrainingPrecision) -> Self {
        let kernel = Kernel::fastest(precision::of_kernels(precision));
        let body = config.encoder_decoder().expect("a translator");
        let sizes = [config.tokens().embedding_size, body.encoder.hidden_size];
        let encoder = (body.encoder.directions().iter())
            .map(|&direction| Layers::new(&body.encoder, (ENCODER, direction), sizes, kernel));
        let above = body.decoder.hidden_size + body.context_size();
        let stack = (DECODER, Direction::Forward);
        let sizes = [body.decoder_input_size(), above];
        TranslationKernels {
            encoder: encoder.collect(),
            decoder: Layers::new(&body.decoder, stack, sizes, kernel),
            head: NextTokenHead::default(),
            memory: StepMemory {
                gradients: GradientBuffers::zeros(config),
                scratch: Scratch::new(kernel),
            },
        }
    }

    /// Loss and gradients of a batch.
    pub fn step(&mut self, network: &Network, batch: &PairBatch, pool: &ThreadPool) -> Window {
        let step = Step {
            network,
            batch,
            pool,
        };
        self.clear(step);
        let translation = Translation::new(network, batch.masks, Kind::Float);
        let memory = self.encode(step);
        let seen = translation.memory(&batch.sources(Device::Cpu), &memory);
        let begin = translation.begin(&seen);
        let decoded = self.decode(step, &translation, &seen, &begin);
        let (loss, gradient) = self.predict(step, &translation, &decoded);
        let (mut memory_gradient, states) = self.decode_backward(step, &memory, &decoded, gradient);
        memory_gradient += self.begin_backward(step, &memory, &begin, &states);
        self.encode_backward(step, &memory_gradient);
        Window {
            loss,
            gradients: self.memory.gradients.of(&network.config, &[]),
            rows: SparseRows::new(),
            state: None,
            tokens: batch.target_tokens(),
            weight: 1.0,
        }
    }

    /// Clears the gradients that are only added to. Tied weights need no clearing: the output writes all of them first.
    fn clear(&mut self, step: Step) {
        let config = &step.network.config;
        let body = config.encoder_decoder().expect("a translator");
        let (output, _) = config.head_tensors();
        for name in [EMBEDDING, body.written().embedding()] {
            if name != output {
                self.memory.gradients.clear(name, None, step.pool);
            }
        }
    }

    /// The encoder's outputs, `[steps, pairs, memory_size]`, a leaf.
    fn encode(&mut self, step: Step) -> Tensor {
        let batch = step.batch;
        let halves = (0..self.encoder.len()).map(|index| {
            let direction = step.directions()[index];
            let input = step.vectors(0, &batch.source_steps(direction), self.kernel());
            let layers = &mut self.encoder[index];
            let masks = &batch.masks.encoder[layers.recurrent.stack(direction)];
            let zeros = vec![0.0; batch.pairs() * layers.recurrent.hidden_size];
            let state = vec![&zeros[..]; layers.recurrent.layer_spec().parts().len()];
            let mut outputs = layers.forward(0, input, (&state, masks), step);
            for layer in 1..layers.taped.len() {
                let input = encoded(&outputs, step.pool, self.memory.scratch.kernel);
                outputs = layers.forward(layer, input, (&state, masks), step);
            }
            step.in_order(direction, &outputs)
        });
        let halves: Vec<Tensor> = halves.collect();
        Tensor::cat(&halves, -1).set_requires_grad(true)
    }

    /// Runs the decoder over the targets.
    fn decode(
        &mut self,
        step: Step,
        translation: &Translation,
        seen: &Memory,
        begin: &DecoderState,
    ) -> Decoded {
        let (kernel, masks) = (self.kernel(), &step.batch.masks.decoder);
        let states: Vec<Vec<&[f32]>> = (begin.layers.iter())
            .map(|parts| parts.iter().map(floats).collect())
            .collect();
        let input = step.vectors(1, &step.batch.input_steps(), kernel);
        let first = self.decoder.forward(0, input, (&states[0], masks), step);
        let queries = first.set_requires_grad(true);
        let context = translation.context(&queries, seen).map(|found| {
            let leaf = found.detach().copy().set_requires_grad(true);
            (found, leaf)
        });
        let mut outputs = queries.shallow_clone();
        for (layer, state) in states.iter().enumerate().skip(1) {
            let inputs = with_context(&outputs, &context).detach();
            let input = encoded(&inputs, step.pool, kernel);
            outputs = self.decoder.forward(layer, input, (state, masks), step);
            outputs = outputs.set_requires_grad(true);
        }
        Decoded {
            queries,
            context,
            outputs,
        }
    }

    /// The mean loss of the targets' tokens, and the gradients of what the output reads of; those of the output's and of the
    /// readout's parameters are written.
    fn predict(
        &mut self,
        step: Step,
        translation: &Translation,
        decoded: &Decoded,
    ) -> (f64, OutputsGradient) {
        let targets = step.batch.target_steps();
        let predicting = (0i64..)
            .zip(&targets)
            .filter(|(_, target)| target.is_some());
        let predicting: Vec<i64> = predicting.map(|(row, _)| row).collect();
        let targets: Vec<u32> = targets.into_iter().flatten().collect();
        let readouts = translation.readout(&with_context(&decoded.outputs, &decoded.context));
        let rows = readouts.view([-1, readouts.size()[2]]);
        let rows = rows.index_select(0, &Tensor::from_slice(&predicting));
        let input = encoded(&rows.detach(), step.pool, self.kernel());
        let output = Output {
            network: step.network,
            sampled: None,
            ahead: 0,
            targets: &targets,
            smoothing: step.batch.label_smoothing as f32,
        };
        let all = (&input, 0..input.len());
        let (nats, panels) = self.head.output(output, all, &mut self.memory, step.pool);
        let gradient = self.rows_of(panels, &rows);
        let context = decoded.context.as_ref().map(|(_, leaf)| leaf);
        let leaves: Vec<&Tensor> = [&decoded.outputs].into_iter().chain(context).collect();
        let names = [READOUT_WEIGHT, READOUT_BIAS];
        let mut found = self.pull_back(step, (&rows, &gradient), &leaves, &names);
        let gradient = OutputsGradient {
            context: context.and_then(|_| found.pop()),
            outputs: found.remove(0),
        };
        (nats / targets.len() as f64, gradient)
    }

    /// Runs backward over the decoder and attention. Returns the gradients of the memory, and of the state that each layer
    /// began with, part by part.
    fn decode_backward(
        &mut self,
        step: Step,
        memory: &Tensor,
        decoded: &Decoded,
        gradient: OutputsGradient,
    ) -> (Tensor, Vec<Vec<Vec<f32>>>) {
        let hidden = self.decoder.recurrent.hidden_size as i64;
        let OutputsGradient {
            mut outputs,
            mut context,
        } = gradient;
        let mut states = Vec::new();
        for layer in (1..self.decoder.taped.len()).rev() {
            let (inputs, state) = self.decoder_layer_backward(layer, &outputs, step);
            states.insert(0, state);
            let like = with_context(&decoded.outputs, &decoded.context);
            let inputs = self.rows_of(inputs, &like);
            let below = inputs.narrow(-1, 0, hidden);
            outputs = match self.decoder.recurrent.residual {
                true => below + outputs,
                false => below,
            };
            context = context.map(|context| {
                let width = context.size()[2];
                context + inputs.narrow(-1, hidden, width)
            });
        }
        let mut memory_gradient = memory.zeros_like();
        if let (Some((found, _)), Some(gradient)) = (&decoded.context, &context) {
            let names = [QUERY_WEIGHT, KEY_WEIGHT, ATTENTION_BIAS, SCORE_WEIGHT];
            let leaves = [&decoded.queries, memory];
            let pulled = self.pull_back(step, (found, gradient), &leaves, &names);
            outputs += &pulled[0];
            memory_gradient += &pulled[1];
        }
        let (mut inputs, state) = self.decoder_layer_backward(0, &outputs, step);
        states.insert(0, state);
        step.add_embedding(1, &step.batch.input_steps(), &mut inputs, &mut self.memory);
        (memory_gradient, states)
    }

    fn decoder_layer_backward(
        &mut self,
        layer: usize,
        outputs: &Tensor,
        step: Step,
    ) -> (Vec<f32>, Vec<Vec<f32>>) {
        let masks = &step.batch.masks.decoder;
        (self.decoder).backward(layer, (outputs, masks), step, &mut self.memory)
    }

    /// The gradient of the memory through the state that the decoder began with, from that state's.
    fn begin_backward(
        &mut self,
        step: Step,
        memory: &Tensor,
        begin: &DecoderState,
        states: &[Vec<Vec<f32>>],
    ) -> Tensor {
        let parts: Vec<&Tensor> = begin.layers.iter().flatten().collect();
        let gradients: Vec<f32> = states.iter().flatten().flatten().copied().collect();
        let all = Tensor::cat(&parts, 0);
        let gradient = Tensor::from_slice(&gradients).view_as(&all);
        let names = [BRIDGE_WEIGHT, BRIDGE_BIAS];
        self.pull_back(step, (&all, &gradient), &[memory], &names)
            .remove(0)
    }

    /// Runs backward over the encoder, from the gradient of the memory.
    fn encode_backward(&mut self, step: Step, memory_gradient: &Tensor) {
        let batch = step.batch;
        let halves = memory_gradient.chunk(self.encoder.len() as i64, -1);
        for (index, half) in halves.iter().enumerate() {
            let direction = step.directions()[index];
            let layers = &mut self.encoder[index];
            let masks = &batch.masks.encoder[layers.recurrent.stack(direction)];
            let mut outputs = step.in_order(direction, half);
            for layer in (0..layers.taped.len()).rev() {
                let gradient = (&outputs, masks);
                let (mut inputs, _) = layers.backward(layer, gradient, step, &mut self.memory);
                if layer == 0 {
                    let tokens = batch.source_steps(direction);
                    step.add_embedding(0, &tokens, &mut inputs, &mut self.memory);
                    break;
                }
                let below = rows_of(&inputs, &outputs, self.memory.scratch.kernel.width());
                outputs = match layers.recurrent.residual {
                    true => below + outputs,
                    false => below,
                };
            }
        }
    }

    /// From the gradient of a value to those of leaves; those of the parameters with these names that there are, are written.
    fn pull_back(
        &mut self,
        step: Step,
        (value, gradient): (&Tensor, &Tensor),
        leaves: &[&Tensor],
        names: &[&str],
    ) -> Vec<Tensor> {
        let parameters = &step.network.parameters;
        let named: Vec<(&str, &Tensor)> = (names.iter())
            .filter_map(|&name| Some((name, parameters.find(name)?)))
            .collect();
        let own = named.iter().map(|(_, parameter)| *parameter);
        let inputs: Vec<&Tensor> = leaves.iter().copied().chain(own).collect();
        // The sum of products has the gradient as its own.
        let sum = (value * gradient).sum(Kind::Float);
        let mut found = Tensor::run_backward(&[sum], &inputs, false, false);
        for ((name, _), found) in named.iter().zip(found.split_off(leaves.len())) {
            let gradient = self.memory.gradients.get_mut(name);
            gradient.copy_from_slice(floats(&found.contiguous()));
        }
        found
    }

    /// Gradients in panels as a tensor of this shape; their memory is used again.
    fn rows_of(&mut self, panels: Vec<f32>, like: &Tensor) -> Tensor {
        let rows = rows_of(&panels, like, self.kernel().width());
        self.memory.scratch.put_back(panels);
        rows
    }

    fn kernel(&self) -> Kernel {
        self.memory.scratch.kernel
    }
}

impl Layers {
    /// Layers of which the first reads as many numbers as the first size says, and those above it as the second.
    fn new(
        recurrent: &Recurrent,
        (prefix, direction): (&str, Direction),
        [first, above]: [usize; 2],
        kernel: Kernel,
    ) -> Self {
        let layer = |layer: usize| {
            let names = recurrent.layer_names(direction, layer);
            let names = names.map(|name| format!("{prefix}{name}"));
            let size = if layer == 0 { first } else { above };
            TapedLayer::new(recurrent, names, size, 1, kernel)
        };
        Layers {
            taped: (0..recurrent.num_layers).map(layer).collect(),
            read: Vec::new(),
            recurrent: recurrent.clone(),
        }
    }

    /// The outputs of a layer, as those above it read them, `[steps, pairs, hidden_size]`. The layers run from the first on.
    fn forward(
        &mut self,
        layer: usize,
        input: Rows,
        (state, masks): (&[&[f32]], &[LayerMasks]),
        step: Step,
    ) -> Tensor {
        let (pairs, parameters) = (step.batch.pairs(), &step.network.parameters);
        let (taped, masks) = (&mut self.taped[layer], &masks[layer]);
        taped.tape.set_streams(pairs);
        taped.pack(parameters, masks.recurrent.as_ref(), step.pool);
        taped.forward(parameters, (&input, 0..input.len()), state, step.pool);
        let (size, first) = (taped.spec.hidden_size, taped.spec.history() * pairs);
        let outputs = taped.tape.outputs();
        let mut values = vec![0.0; input.len() * size];
        for (row, values) in values.chunks_exact_mut(size).enumerate() {
            outputs.get(first + row, values);
        }
        let shape = [-1, pairs as i64, size as i64];
        let mut values = Tensor::from_slice(&values).view(shape);
        if let Some(mask) = &masks.outputs {
            values *= mask;
        }
        if self.recurrent.residual && layer > 0 {
            values += decoded(&input, pairs).narrow(-1, 0, size as i64);
        }
        self.read.truncate(layer);
        self.read.push(input);
        values
    }

    /// Runs backward over a layer, from the gradient of its outputs without what it read: writes the gradients of its
    /// parameters, and returns those of what it read, in panels, and of the state that it began with.
    fn backward(
        &mut self,
        layer: usize,
        (outputs, masks): (&Tensor, &[LayerMasks]),
        step: Step,
        memory: &mut StepMemory,
    ) -> (Vec<f32>, Vec<Vec<f32>>) {
        let (taped, masks) = (&mut self.taped[layer], &masks[layer]);
        let input = &self.read[layer];
        let gradients = of_rows(outputs, memory.scratch.kernel.width());
        let outputs = OutputGradients {
            gradients: &gradients,
            mask: masks.outputs.as_ref().map(floats),
        };
        taped.backward(outputs, step.pool);
        let state = taped.tape.state_gradients(&taped.recurrent, step.pool);
        let read = (masks.recurrent.as_ref(), input.len());
        taped.recurrent_gradients(&step.network.parameters, read, memory, step.pool);
        let inputs = taped.input_gradients((input, 0..input.len()), memory, step.pool);
        (inputs, state)
    }
}

impl<'a> Step<'a> {
    fn directions(self) -> &'static [Direction] {
        let body = self.network.config.encoder_decoder();
        body.expect("a translator").encoder.directions()
    }

    /// The vectors of the source (0) or the target (1).
    fn vectors_of(self, side: usize) -> (&'static str, Vectors<'a>) {
        let body = self.network.config.encoder_decoder();
        let target = body.expect("a translator").written().embedding();
        let name = [EMBEDDING, target][side];
        let masks = self.batch.masks;
        let masks = [&masks.tokens[side], &masks.inputs[side]];
        (name, Vectors::new(self.network.parameters.get(name), masks))
    }

    /// Encodes the vectors of tokens, `[steps, pairs]`.
    fn vectors(self, side: usize, tokens: &[u32], kernel: Kernel) -> Rows {
        let (_, vectors) = self.vectors_of(side);
        embedding::embed(vectors, tokens, None, self.batch.pairs(), kernel, self.pool)
    }

    /// Adds the gradients of what the first layer read, in panels, to those of the vectors of its tokens.
    fn add_embedding(
        self,
        side: usize,
        tokens: &[u32],
        inputs: &mut [f32],
        memory: &mut StepMemory,
    ) {
        let (name, vectors) = self.vectors_of(side);
        let width = memory.scratch.kernel.width();
        let gradient = memory.gradients.get_mut(name);
        embedding::add_gradient(vectors, tokens, inputs, width, gradient);
    }

    /// Values of the source's steps, `[steps, pairs, _]`, from the order in which a direction reads them to that of the source,
    /// or back.
    fn in_order(self, direction: Direction, values: &Tensor) -> Tensor {
        match direction {
            Direction::Forward => values.contiguous(),
            Direction::Reverse => self.batch.sources(Device::Cpu).reversed(values),
        }
    }
}

/// Outputs with the context beside them, if there is one.
fn with_context(outputs: &Tensor, context: &Option<(Tensor, Tensor)>) -> Tensor {
    match context {
        Some((_, context)) => Tensor::cat(&[outputs, context], -1),
        None => outputs.shallow_clone(),
    }
}

/// Encodes values, `[…, size]`, row by row.
fn encoded(values: &Tensor, pool: &ThreadPool, kernel: Kernel) -> Rows {
    let size = *values.size().last().expect("rows have a width") as usize;
    let values = values.contiguous();
    let values = floats(&values);
    let mut rows = Rows::zeros(kernel, values.len() / size, size);
    let read = |row: usize, into: &mut [f32]| into.copy_from_slice(&values[row * size..][..size]);
    rows.set_all(0..values.len() / size, read, pool);
    rows
}

/// Decodes rows, `[steps, pairs, size]`.
fn decoded(rows: &Rows, pairs: usize) -> Tensor {
    let size = rows.inner();
    let mut values = vec![0.0; rows.len() * size];
    for (row, values) in values.chunks_exact_mut(size).enumerate() {
        rows.get(row, values);
    }
    Tensor::from_slice(&values).view([-1, pairs as i64, size as i64])
}

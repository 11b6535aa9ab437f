/*!
A language model as an ONNX graph of one step: a token and the state before it to logits and the state after it.

Every cell is written with elementary operations, so that the graph computes what this program does. The equations are those
of `crates/train/src/network/cells.rs` and of [`LayerShape`](crate::checkpoint::transformer_layer::LayerShape).
*/

use std::borrow::Cow;

use carousel_kernels::recurrent::{Activation, Cell};
use prost::Message;
use serde_json::{Map, Value as Json, json};

use super::graph::{Builder, Dim, Value};
use super::onnx_messages::{Entry, Model, OperatorSet};
use crate::checkpoint::architecture::{
    EMBEDDING, InitialState, Interpolation, LayerTensors, Leak, NextToken, Recurrent, TensorShapes,
};
use crate::checkpoint::directory::TOKENIZER;
use crate::checkpoint::parts::{Body, Head};
use crate::checkpoint::transformer::{POSITION_EMBEDDING, Positions, TRANSFORMER, Transformer};
use crate::checkpoint::transformer_layer::{
    AttentionTensors, FeedForwardTensors, LayerShape, NORM_EPSILON,
};
use crate::checkpoint::{ModelConfig, WeightsFile};
use crate::error::{Error, Result};
use crate::text::Direction;
use crate::text::tokenizer::Tokenizer;

/// Version of the format, and of the operators: those that have a layer normalisation.
const IR_VERSION: i64 = 8;
const OPERATORS: i64 = 17;
/// Most numbers of float32 in a file of protocol buffers, which has less than 2 GiB, with room for everything else.
const MOST_PARAMETERS: usize = (i32::MAX as usize - (1 << 24)) / 4;
/// What the name of a state after the step adds to that before it.
const NEXT: &str = "_next";
/// The sizes of inputs that differ between calls.
const BATCH: &str = "batch";
const PAST: &str = "past";
const PAST_AND_ONE: &str = "past + 1";

/// The bytes of an ONNX file of a language model.
///
/// The graph reads `token`, int64 `[batch]`, and the state; it computes `logits`, `[batch, vocab_size]`, or `[batch, horizon,
/// vocab_size]` of a model that predicts several tokens at once, and for each input of the state an output whose name ends with
/// `_next`. The state of recurrent layers is `hidden_l0`, `[batch, hidden_size]`, and so on; that of a transformer `keys_l0` and
/// `values_l0`, `[batch, heads, past, head_size]`, to which a token is added.
///
/// N-grams and a cache beside the network are left out ([`leaves_out`]).
///
/// # Errors
/// A model that is no language model of one network; weights that cannot be read, or are too large for a file.
pub fn language_model(
    config: &ModelConfig,
    weights: &WeightsFile,
    tokenizer: &Tokenizer,
) -> Result<Vec<u8>> {
    let head = check(config)?;
    if config.parameters() > MOST_PARAMETERS {
        return Err(Error::new(
            "the weights take more than 2 GiB in float32, which an ONNX file cannot hold",
        ));
    }
    let mut writer = Writer {
        graph: Builder::default(),
        weights,
        shapes: config.tensors(),
        state: Map::new(),
    };
    let token = writer.graph.input("token", true, &[Dim::Named(BATCH)]);
    let embedding = writer.weight(EMBEDDING)?;
    let vectors = writer.graph.along("Gather", &[&embedding, &token], 0);
    let outputs = match &config.body {
        Body::Transformer(body) => writer.transformer(body, vectors)?,
        _ => writer.recurrent(config.recurrent(), vectors)?,
    };
    writer.logits(config, head, &outputs)?;
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "carousel".to_string(),
        producer_version: env!("CARGO_PKG_VERSION").to_string(),
        doc_string: "One step of a language model: a token and the state before it, to logits and the state after it."
            .to_string(),
        metadata_props: metadata(config, tokenizer, writer.state),
        graph: Some(writer.graph.finish("step")),
        opset_import: vec![OperatorSet {
            domain: String::new(),
            version: OPERATORS,
        }],
    };
    Ok(model.encode_to_vec())
}

/// What a graph of a model leaves out of it, such as `n-grams of up to 5 tokens`.
pub fn leaves_out(config: &ModelConfig) -> Option<String> {
    match &config.head {
        Head::NextToken(head) => head.interpolation.as_ref().map(Interpolation::description),
        _ => None,
    }
}

/// Checks that a model can be written as a graph; returns its head.
///
/// # Errors
/// A model that is no language model of one network.
pub fn check(config: &ModelConfig) -> Result<&NextToken> {
    let kind = match (&config.body, &config.head) {
        (Body::Recurrent(_) | Body::Transformer(_), Head::NextToken(head)) => return Ok(head),
        (Body::Ngram(_), _) => "an n-gram model, which is counts and no network",
        (_, Head::Labels(_)) => "a classifier, which reads n-grams of words beside its network",
        (_, Head::Values(_)) => "a forecaster, which scales numbers before and after its network",
        _ => "a translator",
    };
    Err(Error::new(format!(
        "this is {kind}; language models of recurrent layers and of transformers can be written as ONNX"
    )))
}

/// What is told beside the graph.
fn metadata(config: &ModelConfig, tokenizer: &Tokenizer, state: Map<String, Json>) -> Vec<Entry> {
    let mut entries = vec![
        ("tokenizer", TOKENIZER.to_string()),
        ("level", tokenizer.level().to_string()),
        ("first_token", tokenizer.line_end().to_string()),
        ("initial_state", Json::Object(state).to_string()),
    ];
    if let Some(body) = config.transformer() {
        entries.push(("context", body.context.to_string()));
    }
    let entry = |(key, value): (&str, String)| Entry {
        key: key.to_string(),
        value,
    };
    entries.into_iter().map(entry).collect()
}

/// A graph, and where its weights come from.
struct Writer<'a> {
    graph: Builder,
    weights: &'a WeightsFile,
    /// Of the weights.
    shapes: TensorShapes,
    /// Shape and first numbers of each input of the state.
    state: Map<String, Json>,
}

impl Writer<'_> {
    /// A weight by its name, which it has in the graph too.
    fn weight(&mut self, name: &str) -> Result<Value> {
        let own = self.shapes.iter().find(|(other, _)| other == name);
        let (_, shape) = own.expect("a tensor of the configuration");
        let values: Cow<[f32]> = self.weights.floats(name)?;
        Ok(self.graph.floats(name, shape, &values))
    }

    /// An input of the state, and what it begins with: zeros, or a learnt vector.
    fn state(&mut self, name: &str, size: usize, learnt: Option<&str>) -> Result<Value> {
        let begins = match learnt {
            Some(learnt) => json!({"shape": [BATCH, size], "values": self.weights.floats(learnt)?}),
            None => json!({"shape": [BATCH, size], "value": 0}),
        };
        self.state.insert(name.to_string(), begins);
        let shape = [Dim::Named(BATCH), Dim::Fixed(size)];
        Ok(self.graph.input(name, false, &shape))
    }

    /// Stacked recurrent layers over the vectors of tokens.
    fn recurrent(&mut self, body: &Recurrent, vectors: Value) -> Result<Value> {
        let mut outputs = vectors;
        for number in 0..body.num_layers {
            let names = body.layer_names(Direction::Forward, number);
            let learnt = match body.initial_state {
                InitialState::Learned => names.initial.clone(),
                _ => Vec::new(),
            };
            let mut state = Vec::new();
            for (part, name) in body.layer_spec().parts().iter().enumerate() {
                // All hidden states that a cell remembers begin alike.
                let first = learnt.get(part).or(learnt.last());
                let name = format!("{name}_l{number}");
                state.push(self.state(&name, body.hidden_size, first.map(|name| &name[..]))?);
            }
            // These are in the metadata.
            let layer = LayerTensors {
                initial: Vec::new(),
                ..names
            };
            let layer = layer.try_map(|name| self.weight(&name))?;
            let after = self.step(body, &layer, &outputs, &state);
            // The hidden states before move on by one.
            let moved = state.iter().take(state.len() - after.len());
            let next: Vec<&Value> = after.iter().chain(moved).collect();
            let shape = [Dim::Named(BATCH), Dim::Fixed(body.hidden_size)];
            for (name, value) in state.iter().zip(next) {
                self.graph.output(&format!("{name}{NEXT}"), value, &shape);
            }
            outputs = match body.residual && number > 0 {
                true => self.graph.op("Add", &[&outputs, &after[0]]),
                false => after[0].clone(),
            };
        }
        Ok(outputs)
    }

    /// A layer's hidden state after a step, and the cell state of an LSTM.
    fn step(
        &mut self,
        body: &Recurrent,
        layer: &LayerTensors<Value>,
        inputs: &str,
        state: &[Value],
    ) -> Vec<Value> {
        let graph = &mut self.graph;
        let (x, h) = terms(graph, body, layer, inputs, state);
        match body.cell {
            Cell::Rnn | Cell::Skip => vec![activated(graph, body.activation, &x, &h)],
            Cell::Leaky => {
                let new = activated(graph, body.activation, &x, &h);
                let leak = match (body.leak, &layer.leak) {
                    (_, Some(odds)) => graph.op("Sigmoid", &[odds]),
                    (Some(Leak::Fixed(leak)), _) => graph.number(leak as f32),
                    _ => unreachable!("leaky units have a leak"),
                };
                vec![between(graph, &new, &state[0], &leak)]
            }
            Cell::Gru => {
                let (x, h) = (graph.split(&x, 3, 1), graph.split(&h, 3, 1));
                let [reset, update] = [0, 1].map(|gate| {
                    let sum = graph.op("Add", &[&x[gate], &h[gate]]);
                    graph.op("Sigmoid", &[&sum])
                });
                let past = graph.op("Mul", &[&reset, &h[2]]);
                let sum = graph.op("Add", &[&x[2], &past]);
                let new = graph.op("Tanh", &[&sum]);
                vec![between(graph, &new, &state[0], &update)]
            }
            Cell::Lstm => {
                let sums = graph.op("Add", &[&x, &h]);
                let sums = graph.split(&sums, 4, 1);
                let [input, forget, output] =
                    [0, 1, 3].map(|gate| graph.op("Sigmoid", &[&sums[gate]]));
                let new = graph.op("Tanh", &[&sums[2]]);
                let kept = graph.op("Mul", &[&forget, &state[1]]);
                let added = graph.op("Mul", &[&input, &new]);
                let cell = graph.op("Add", &[&kept, &added]);
                let squashed = graph.op("Tanh", &[&cell]);
                vec![graph.op("Mul", &[&output, &squashed]), cell]
            }
        }
    }

    /// A transformer's layers over the vectors of tokens.
    fn transformer(&mut self, body: &Transformer, vectors: Value) -> Result<Value> {
        let past: Vec<[Value; 2]> = (0..body.num_layers)
            .map(|layer| self.memories(body, layer))
            .collect();
        let place = self.place(&past[0][0]);
        let mut vectors = vectors;
        let rotation = match body.positions {
            Positions::Rotary => Some(self.rotation(body, &place)),
            Positions::Learned => {
                let table = self.weight(POSITION_EMBEDDING)?;
                let own = self.graph.along("Gather", &[&table, &place], 0);
                vectors = self.graph.op("Add", &[&vectors, &own]);
                None
            }
        };
        for (number, past) in past.iter().enumerate() {
            let layer = body.layer(number).try_map(|(name, _)| self.weight(&name))?;
            let tensors = &layer.self_attention;
            let seen = self.attention(body.shape(), tensors, &vectors, past, rotation.as_ref());
            vectors = self.graph.op("Add", &[&vectors, &seen]);
            let made = self.feed_forward(&layer.feed_forward, &vectors);
            vectors = self.graph.op("Add", &[&vectors, &made]);
        }
        let gains = self.weight(&LayerShape::last_norm(TRANSFORMER))?;
        Ok(self.graph.normalised(&vectors, &gains, NORM_EPSILON))
    }

    /// The keys and values of a layer so far.
    fn memories(&mut self, body: &Transformer, layer: usize) -> [Value; 2] {
        let size = body.hidden_size / body.heads;
        ["keys", "values"].map(|which| {
            let name = format!("{which}_l{layer}");
            let begins = json!({"shape": [BATCH, body.heads, 0, size], "value": 0});
            self.state.insert(name.clone(), begins);
            let shape = memory_shape(body.shape(), PAST);
            self.graph.input(&name, false, &shape)
        })
    }

    /// The number of tokens so far, `[1]`.
    fn place(&mut self, keys: &str) -> Value {
        let shape = self.graph.op("Shape", &[keys]);
        let which = self.graph.integers(&[1], &[2]);
        self.graph.along("Gather", &[&shape, &which], 0)
    }

    /// Cosines and sines of the angles of a place, `[1, head_size / 2]` each.
    fn rotation(&mut self, body: &Transformer, place: &str) -> [Value; 2] {
        let half = body.hidden_size / body.heads / 2;
        let angles: Vec<f64> = (0..body.context)
            .flat_map(|place| body.shape().angles(place))
            .collect();
        let cosines: Vec<f32> = angles.iter().map(|angle| angle.cos() as f32).collect();
        let sines: Vec<f32> = angles.iter().map(|angle| angle.sin() as f32).collect();
        [("cosines", cosines), ("sines", sines)].map(|(name, values)| {
            let table = self.graph.floats(name, &[body.context, half], &values);
            self.graph.along("Gather", &[&table, place], 0)
        })
    }

    /// What the heads see, and with it the keys and values of this token.
    fn attention(
        &mut self,
        shape: LayerShape,
        tensors: &AttentionTensors<Value>,
        vectors: &str,
        past: &[Value; 2],
        rotation: Option<&[Value; 2]>,
    ) -> Value {
        let size = shape.hidden_size / shape.heads;
        let normalised = self.graph.normalised(vectors, &tensors.norm, NORM_EPSILON);
        let projected = self.graph.affine(&normalised, &tensors.in_proj, "");
        let parts = self.graph.split(&projected, 3, 1);
        let by_head = self
            .graph
            .integers(&[4], &[-1, shape.heads as i64, 1, size as i64]);
        let mut parts: Vec<Value> = (parts.iter())
            .map(|part| self.graph.op("Reshape", &[part, &by_head]))
            .collect();
        if let Some(rotation) = rotation {
            for part in &mut parts[..2] {
                *part = self.turned(part, rotation);
            }
        }
        let mut memories = Vec::new();
        for (past, new) in past.iter().zip(&parts[1..]) {
            let all = self.graph.along("Concat", &[past, new], 2);
            let dims = memory_shape(shape, PAST_AND_ONE);
            self.graph.output(&format!("{past}{NEXT}"), &all, &dims);
            memories.push(all);
        }
        let keys = self.graph.transposed(&memories[0], &[0, 1, 3, 2]);
        let scores = self.graph.op("MatMul", &[&parts[0], &keys]);
        let scale = self.graph.number((1.0 / (size as f64).sqrt()) as f32);
        let scores = self.graph.op("Mul", &[&scores, &scale]);
        let weights = self.graph.along("Softmax", &[&scores], -1);
        let seen = self.graph.op("MatMul", &[&weights, &memories[1]]);
        let side_by_side = self.graph.integers(&[2], &[-1, shape.hidden_size as i64]);
        let seen = self.graph.op("Reshape", &[&seen, &side_by_side]);
        self.graph.affine(&seen, &tensors.out_proj, "")
    }

    /// Queries or keys turned by the angles of their place: each number of the first half with that of the second.
    fn turned(&mut self, part: &str, [cosines, sines]: &[Value; 2]) -> Value {
        let graph = &mut self.graph;
        let halves = graph.split(part, 2, 3);
        let [a, b] =
            [(0, cosines), (1, sines)].map(|(half, by)| graph.op("Mul", &[&halves[half], by]));
        let first = graph.op("Sub", &[&a, &b]);
        let [a, b] =
            [(1, cosines), (0, sines)].map(|(half, by)| graph.op("Mul", &[&halves[half], by]));
        let second = graph.op("Add", &[&a, &b]);
        graph.along("Concat", &[&first, &second], 3)
    }

    /// The feed-forward layer, with gelu(x) = x (1 + erf(x / √2)) / 2 within.
    fn feed_forward(&mut self, tensors: &FeedForwardTensors<Value>, vectors: &str) -> Value {
        let graph = &mut self.graph;
        let normalised = graph.normalised(vectors, &tensors.norm, NORM_EPSILON);
        let sums = graph.affine(&normalised, &tensors.linear1, "");
        let numbers = [std::f32::consts::FRAC_1_SQRT_2, 1.0, 0.5];
        let [root, one, half] = numbers.map(|value| graph.number(value));
        let scaled = graph.op("Mul", &[&sums, &root]);
        let error = graph.op("Erf", &[&scaled]);
        let share = graph.op("Add", &[&error, &one]);
        let share = graph.op("Mul", &[&share, &half]);
        let activated = graph.op("Mul", &[&sums, &share]);
        graph.affine(&activated, &tensors.linear2, "")
    }

    /// The output of the graph.
    fn logits(&mut self, config: &ModelConfig, head: &NextToken, outputs: &str) -> Result<()> {
        let (weight, bias) = config.head_tensors();
        let weight = match head.tie_weights {
            // It is in the graph already.
            true => weight.to_string(),
            false => self.weight(weight)?,
        };
        let bias = self.weight(bias)?;
        let logits = self.graph.affine(outputs, &weight, &bias);
        let size = config.tokens().vocab_size;
        let (logits, shape) = match head.horizon {
            1 => (logits, vec![Dim::Named(BATCH), Dim::Fixed(size)]),
            horizon => {
                let by_step = self
                    .graph
                    .integers(&[3], &[-1, horizon as i64, size as i64]);
                let logits = self.graph.op("Reshape", &[&logits, &by_step]);
                (
                    logits,
                    vec![Dim::Named(BATCH), Dim::Fixed(horizon), Dim::Fixed(size)],
                )
            }
        };
        self.graph.output("logits", &logits, &shape);
        Ok(())
    }
}

fn memory_shape(shape: LayerShape, tokens: &str) -> [Dim<'_>; 4] {
    let size = shape.hidden_size / shape.heads;
    [
        Dim::Named(BATCH),
        Dim::Fixed(shape.heads),
        Dim::Named(tokens),
        Dim::Fixed(size),
    ]
}

/// A layer's terms of the input and of the hidden states, for all gates.
fn terms(
    graph: &mut Builder,
    body: &Recurrent,
    layer: &LayerTensors<Value>,
    inputs: &str,
    state: &[Value],
) -> (Value, Value) {
    let first_bias = |bias: &Value| match layer.norms {
        Some(_) => String::new(),
        None => bias.clone(),
    };
    let x = graph.affine(inputs, &layer.weight_ih, &first_bias(&layer.bias_ih));
    let mut h = first_bias(&layer.bias_hh);
    for (lag, weight) in body.layer_spec().lags.iter().zip(&layer.weight_hh) {
        // Part 0 is the last hidden state, part 1 the one before. What is added is the sum so far.
        h = graph.affine(&state[lag - 1], weight, &h);
    }
    let Some([input_gains, hidden_gains]) = &layer.norms else {
        return (x, h);
    };
    let mut normalised = |sum: &str, gains: &str, bias: &str| {
        let normalised = graph.normalised(sum, gains, NORM_EPSILON);
        graph.op("Add", &[&normalised, bias])
    };
    (
        normalised(&x, input_gains, &layer.bias_ih),
        normalised(&h, hidden_gains, &layer.bias_hh),
    )
}

fn activated(graph: &mut Builder, activation: Activation, x: &str, h: &str) -> Value {
    let sum = graph.op("Add", &[x, h]);
    let operator = match activation {
        Activation::Tanh => "Tanh",
        Activation::Relu => "Relu",
    };
    graph.op(operator, &[&sum])
}

/// `new + part · (old − new)`.
fn between(graph: &mut Builder, new: &str, old: &str, part: &str) -> Value {
    let difference = graph.op("Sub", &[old, new]);
    let kept = graph.op("Mul", &[part, &difference]);
    graph.op("Add", &[new, &kept])
}

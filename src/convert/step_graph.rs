/*!
One step of a language model as a graph: a token and the state before it, to logits and the state after it.

The layers of transformers are written as [`LayerShape`] has them.
*/

use serde_json::{Map, Value as Json, json};

use super::graph::{Dim, Value};
use super::network_graph::{NetworkGraph, state_parts};
use super::onnx_messages::{FLOAT, Graph, INT64};
use crate::checkpoint::architecture::{EMBEDDING, NextToken, Recurrent};
use crate::checkpoint::parts::Body;
use crate::checkpoint::transformer::{POSITION_EMBEDDING, Positions, TRANSFORMER, Transformer};
use crate::checkpoint::transformer_layer::{
    AttentionTensors, FeedForwardTensors, LayerShape, NORM_EPSILON,
};
use crate::checkpoint::{ModelConfig, WeightsFile};
use crate::error::Result;
use crate::text::Direction;

/// What the name of a state after the step adds to that before it.
const NEXT: &str = "_next";
/// The sizes of inputs that differ between calls.
const BATCH: &str = "batch";
const PAST: &str = "past";
const PAST_AND_ONE: &str = "past + 1";

/// The graph of a step, and the shape and first numbers of each input of its state.
///
/// It reads `token`, int64 `[batch]`, and the state; it computes `logits`, `[batch, vocab_size]`, or `[batch, horizon,
/// vocab_size]` of a model that predicts several tokens at once, and for each input of the state an output whose name ends with
/// `_next`. The state of recurrent layers is `hidden_l0`, `[batch, hidden_size]`, and so on; that of a transformer `keys_l0` and
/// `values_l0`, `[batch, heads, past, head_size]`, to which a token is added.
///
/// # Errors
/// Weights that cannot be read.
pub fn step_graph(
    config: &ModelConfig,
    head: &NextToken,
    weights: &WeightsFile,
) -> Result<(Graph, Map<String, Json>)> {
    let mut writer = Writer {
        network: NetworkGraph::new(config, weights),
        state: Map::new(),
    };
    let graph = &mut writer.network.graph;
    let token = graph.input("token", INT64, &[Dim::Named(BATCH)]);
    let embedding = writer.network.weight(EMBEDDING)?;
    let graph = &mut writer.network.graph;
    let vectors = graph.along("Gather", &[&embedding, &token], 0);
    let outputs = match &config.body {
        Body::Transformer(body) => writer.transformer(body, vectors)?,
        _ => writer.recurrent(config.recurrent(), vectors)?,
    };
    writer.logits(config, head, &outputs)?;
    Ok((writer.network.graph.finish("step"), writer.state))
}

/// A graph with a state.
struct Writer<'a> {
    network: NetworkGraph<'a>,
    /// Shape and first numbers of each input of the state.
    state: Map<String, Json>,
}

impl Writer<'_> {
    /// An input of the state, and what it begins with: zeros, or a learnt vector.
    fn state(&mut self, name: &str, size: usize, learnt: Option<&str>) -> Result<Value> {
        let begins = match learnt {
            Some(learnt) => {
                json!({"shape": [BATCH, size], "values": self.network.numbers(learnt)?})
            }
            None => json!({"shape": [BATCH, size], "value": 0}),
        };
        self.state.insert(name.to_string(), begins);
        let shape = [Dim::Named(BATCH), Dim::Fixed(size)];
        Ok(self.network.graph.input(name, FLOAT, &shape))
    }

    /// Stacked recurrent layers over the vectors of tokens.
    fn recurrent(&mut self, body: &Recurrent, vectors: Value) -> Result<Value> {
        let mut states = Vec::new();
        for parts in state_parts(body, Direction::Forward) {
            let parts = parts.iter();
            let part =
                parts.map(|part| self.state(&part.name, body.hidden_size, part.learnt.as_deref()));
            states.push(part.collect::<Result<Vec<Value>>>()?);
        }
        let stack = (body, Direction::Forward);
        let (outputs, next) = self.network.recurrent_step(stack, vectors, &states)?;
        let shape = [Dim::Named(BATCH), Dim::Fixed(body.hidden_size)];
        for (name, value) in states.iter().flatten().zip(next.iter().flatten()) {
            let name = format!("{name}{NEXT}");
            self.network.graph.output(&name, value, &shape);
        }
        Ok(outputs)
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
                let table = self.network.weight(POSITION_EMBEDDING)?;
                let own = self.network.graph.along("Gather", &[&table, &place], 0);
                vectors = self.network.graph.op("Add", &[&vectors, &own]);
                None
            }
        };
        for (number, past) in past.iter().enumerate() {
            let layer = body
                .layer(number)
                .try_map(|(name, _)| self.network.weight(&name))?;
            let tensors = &layer.self_attention;
            let seen = self.attention(body.shape(), tensors, &vectors, past, rotation.as_ref());
            vectors = self.network.graph.op("Add", &[&vectors, &seen]);
            let made = self.feed_forward(&layer.feed_forward, &vectors);
            vectors = self.network.graph.op("Add", &[&vectors, &made]);
        }
        let gains = self.network.weight(&LayerShape::last_norm(TRANSFORMER))?;
        Ok(self
            .network
            .graph
            .normalised(&vectors, &gains, NORM_EPSILON))
    }

    /// The keys and values of a layer so far.
    fn memories(&mut self, body: &Transformer, layer: usize) -> [Value; 2] {
        let size = body.hidden_size / body.heads;
        ["keys", "values"].map(|which| {
            let name = format!("{which}_l{layer}");
            let begins = json!({"shape": [BATCH, body.heads, 0, size], "value": 0});
            self.state.insert(name.clone(), begins);
            let shape = memory_shape(body.shape(), PAST);
            self.network.graph.input(&name, FLOAT, &shape)
        })
    }

    /// The number of tokens so far, `[1]`.
    fn place(&mut self, keys: &str) -> Value {
        let shape = self.network.graph.op("Shape", &[keys]);
        let which = self.network.graph.integers(&[1], &[2]);
        self.network.graph.along("Gather", &[&shape, &which], 0)
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
            let table = self
                .network
                .graph
                .floats(name, &[body.context, half], &values);
            self.network.graph.along("Gather", &[&table, place], 0)
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
        let normalised = self
            .network
            .graph
            .normalised(vectors, &tensors.norm, NORM_EPSILON);
        let projected = self.network.graph.affine(&normalised, &tensors.in_proj, "");
        let parts = self.network.graph.split(&projected, 3, 1);
        let by_head = self
            .network
            .graph
            .integers(&[4], &[-1, shape.heads as i64, 1, size as i64]);
        let mut parts: Vec<Value> = (parts.iter())
            .map(|part| self.network.graph.op("Reshape", &[part, &by_head]))
            .collect();
        if let Some(rotation) = rotation {
            for part in &mut parts[..2] {
                *part = self.turned(part, rotation);
            }
        }
        let mut memories = Vec::new();
        for (past, new) in past.iter().zip(&parts[1..]) {
            let all = self.network.graph.along("Concat", &[past, new], 2);
            let dims = memory_shape(shape, PAST_AND_ONE);
            self.network
                .graph
                .output(&format!("{past}{NEXT}"), &all, &dims);
            memories.push(all);
        }
        let keys = self.network.graph.transposed(&memories[0], &[0, 1, 3, 2]);
        let scores = self.network.graph.op("MatMul", &[&parts[0], &keys]);
        let scale = self
            .network
            .graph
            .number((1.0 / (size as f64).sqrt()) as f32);
        let scores = self.network.graph.op("Mul", &[&scores, &scale]);
        let weights = self.network.graph.along("Softmax", &[&scores], -1);
        let seen = self.network.graph.op("MatMul", &[&weights, &memories[1]]);
        let side_by_side = self
            .network
            .graph
            .integers(&[2], &[-1, shape.hidden_size as i64]);
        let seen = self.network.graph.op("Reshape", &[&seen, &side_by_side]);
        self.network.graph.affine(&seen, &tensors.out_proj, "")
    }

    /// Queries or keys turned by the angles of their place: each number of the first half with that of the second.
    fn turned(&mut self, part: &str, [cosines, sines]: &[Value; 2]) -> Value {
        let graph = &mut self.network.graph;
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
        let graph = &mut self.network.graph;
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
            false => self.network.weight(weight)?,
        };
        let bias = self.network.weight(bias)?;
        let logits = self.network.graph.affine(outputs, &weight, &bias);
        let size = config.tokens().vocab_size;
        let (logits, shape) = match head.horizon {
            1 => (logits, vec![Dim::Named(BATCH), Dim::Fixed(size)]),
            horizon => {
                let by_step = self
                    .network
                    .graph
                    .integers(&[3], &[-1, horizon as i64, size as i64]);
                let logits = self.network.graph.op("Reshape", &[&logits, &by_step]);
                (
                    logits,
                    vec![Dim::Named(BATCH), Dim::Fixed(horizon), Dim::Fixed(size)],
                )
            }
        };
        self.network.graph.output("logits", &logits, &shape);
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

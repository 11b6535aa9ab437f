/*!
What graphs of ONNX have of a network: its weights by their names, and a step of its recurrent layers.

Every cell is written with elementary operations, so that the graph computes what this program does. The equations are those
of `crates/train/src/network/cells.rs`.
*/

use std::borrow::Cow;

use carousel_kernels::recurrent::{Activation, Cell};

use super::graph::{Builder, Value};
use crate::checkpoint::architecture::{InitialState, LayerTensors, Leak, Recurrent, TensorShapes};
use crate::checkpoint::transformer_layer::NORM_EPSILON;
use crate::checkpoint::{ModelConfig, WeightsFile};
use crate::error::Result;
use crate::text::Direction;

/// A graph that is being put together, and the weights that go into it.
pub struct NetworkGraph<'a> {
    /// The graph.
    pub graph: Builder,
    weights: &'a WeightsFile,
    shapes: TensorShapes,
}

/// A part of a layer's state.
pub struct StatePart {
    /// Its name, such as `hidden_l0`.
    pub name: String,
    /// The tensor that a text begins with, where that is learnt and not zeros.
    pub learnt: Option<String>,
}

/// The state of each layer that reads texts in a direction.
pub fn state_parts(body: &Recurrent, direction: Direction) -> Vec<Vec<StatePart>> {
    let of_layer = |number: usize| {
        let learnt = match body.initial_state {
            InitialState::Learned => body.layer_names(direction, number).initial,
            _ => Vec::new(),
        };
        let parts = body.layer_spec().parts().into_iter().enumerate();
        let part = |(part, name): (usize, String)| StatePart {
            name: format!("{name}_l{number}"),
            // All hidden states that a cell remembers begin alike.
            learnt: learnt.get(part).or(learnt.last()).cloned(),
        };
        parts.map(part).collect()
    };
    (0..body.num_layers).map(of_layer).collect()
}

impl<'a> NetworkGraph<'a> {
    /// An empty graph for a model.
    pub fn new(config: &ModelConfig, weights: &'a WeightsFile) -> Self {
        NetworkGraph {
            graph: Builder::default(),
            weights,
            shapes: config.tensors(),
        }
    }

    /// A weight by its name, which it has in the graph too, once.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn weight(&mut self, name: &str) -> Result<Value> {
        if self.graph.has_constant(name) {
            return Ok(name.to_string());
        }
        let own = self.shapes.iter().find(|(other, _)| other == name);
        let (_, shape) = own.expect("a tensor of the configuration");
        let values = self.weights.floats(name)?;
        Ok(self.graph.floats(name, shape, &values))
    }

    /// The numbers of a weight.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn numbers(&self, name: &str) -> Result<Cow<'a, [f32]>> {
        self.weights.floats(name)
    }

    /// A step of stacked recurrent layers: their outputs, and the state of each after it.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn recurrent_step(
        &mut self,
        (body, direction): (&Recurrent, Direction),
        inputs: Value,
        states: &[Vec<Value>],
    ) -> Result<(Value, Vec<Vec<Value>>)> {
        let mut outputs = inputs;
        let mut next = Vec::new();
        for (number, state) in states.iter().enumerate() {
            // What a text begins with is no part of a step.
            let names = LayerTensors {
                initial: Vec::new(),
                ..body.layer_names(direction, number)
            };
            let layer = names.try_map(|name| self.weight(&name))?;
            let mut after = step(&mut self.graph, body, &layer, &outputs, state);
            outputs = match body.residual && number > 0 {
                true => self.graph.op("Add", &[&outputs, &after[0]]),
                false => after[0].clone(),
            };
            // The hidden states before move on by one.
            let moved = state.len() - after.len();
            after.extend_from_slice(&state[..moved]);
            next.push(after);
        }
        Ok((outputs, next))
    }
}

/// A layer's hidden state after a step, and the cell state of an LSTM.
fn step(
    graph: &mut Builder,
    body: &Recurrent,
    layer: &LayerTensors<Value>,
    inputs: &str,
    state: &[Value],
) -> Vec<Value> {
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
            let [input, forget, output] = [0, 1, 3].map(|gate| graph.op("Sigmoid", &[&sums[gate]]));
            let new = graph.op("Tanh", &[&sums[2]]);
            let kept = graph.op("Mul", &[&forget, &state[1]]);
            let added = graph.op("Mul", &[&input, &new]);
            let cell = graph.op("Add", &[&kept, &added]);
            let squashed = graph.op("Tanh", &[&cell]);
            vec![graph.op("Mul", &[&output, &squashed]), cell]
        }
    }
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

/*!
A classifier's recurrent part as a graph: whole texts, side by side, to logits of their labels.

Each direction is a loop over the tokens (ONNX's Scan), which carries the state of the layers and what is pooled of their
outputs.
*/

use super::graph::{Builder, Dim, Value};
use super::network_graph::{NetworkGraph, StatePart, state_parts};
use super::onnx_messages::{BOOL, FLOAT, Graph, INT64};
use crate::checkpoint::architecture::{
    EMBEDDING, HEAD_BIAS, HEAD_WEIGHT, Labels, Recurrent, stack_name,
};
use crate::checkpoint::{ModelConfig, WeightsFile};
use crate::error::Result;
use crate::text::Direction;

/// The sizes of inputs that differ between calls.
const BATCH: &str = "batch";
const STEPS: &str = "steps";
/// What is pooled of the outputs of a text, in the order in which the head reads it: the last, the sum, of which the mean is
/// made, and the maximum. With the number that it begins with.
const POOLS: [(&str, f32); 3] = [("last", 0.0), ("sum", 0.0), ("highest", f32::NEG_INFINITY)];

/// The graph: it reads `tokens`, int64 `[batch, steps]`, and `lengths`, int64 `[batch]`, the number of tokens of each text, 1 or
/// more; what stands behind a text's last token is any token. It computes `logits`, `[batch, labels]`.
///
/// # Errors
/// Weights that cannot be read.
pub fn classifier_graph(
    config: &ModelConfig,
    head: &Labels,
    weights: &WeightsFile,
) -> Result<Graph> {
    let mut network = NetworkGraph::new(config, weights);
    let texts = Texts::read(&mut network.graph);
    let embedding = network.weight(EMBEDDING)?;
    let body = config.recurrent();
    let mut pooled = Vec::new();
    for &direction in body.directions() {
        let graph = &mut network.graph;
        let tokens = texts.in_direction(graph, direction);
        let vectors = graph.along("Gather", &[&embedding, &tokens], 0);
        let vectors = (&vectors[..], config.input_size());
        pooled.extend(read(&mut network, (body, direction), &texts, vectors)?);
    }
    let (weight, bias) = (network.weight(HEAD_WEIGHT)?, network.weight(HEAD_BIAS)?);
    let graph = &mut network.graph;
    let parts: Vec<&str> = pooled.iter().map(String::as_str).collect();
    let pooled = graph.along("Concat", &parts, 1);
    let logits = graph.affine(&pooled, &weight, &bias);
    let shape = [Dim::Named(BATCH), Dim::Fixed(head.labels.len())];
    graph.output("logits", &logits, &shape);
    Ok(network.graph.finish("classifier"))
}

/// The texts, and what is computed of their lengths.
struct Texts {
    /// `[steps, batch]`.
    tokens: Value,
    /// `[batch]`.
    lengths: Value,
    /// Numbers of the steps, `[steps, 1]`.
    steps: Value,
    /// Whether a text has a token at a step, `[steps, batch, 1]`.
    reads: Value,
    /// Number of texts, `[1]`.
    count: Value,
}

impl Texts {
    fn read(graph: &mut Builder) -> Self {
        let shape = [Dim::Named(BATCH), Dim::Named(STEPS)];
        let tokens = graph.input("tokens", INT64, &shape);
        let lengths = graph.input("lengths", INT64, &shape[..1]);
        let shape = graph.op("Shape", &[&tokens]);
        let [zero, one] = [0, 1].map(|number| graph.integers(&[], &[number]));
        let number = graph.along("Gather", &[&shape, &one], 0);
        let steps = graph.op("Range", &[&zero, &number, &one]);
        let column = graph.integers(&[2], &[-1, 1]);
        let steps = graph.op("Reshape", &[&steps, &column]);
        let reads = graph.op("Less", &[&steps, &lengths]);
        let last_axis = graph.integers(&[1], &[2]);
        Texts {
            tokens: graph.transposed(&tokens, &[1, 0]),
            reads: graph.op("Unsqueeze", &[&reads, &last_axis]),
            count: graph.op("Shape", &[&lengths]),
            lengths,
            steps,
        }
    }

    /// The tokens as they are read, `[steps, batch]`, see [`Direction::token`]: backwards, the line end is the first as well, and
    /// token length − step comes at a step.
    fn in_direction(&self, graph: &mut Builder, direction: Direction) -> Value {
        match direction {
            Direction::Forward => self.tokens.clone(),
            Direction::Reverse => {
                let places = graph.op("Sub", &[&self.lengths, &self.steps]);
                let places = graph.op("Mod", &[&places, &self.lengths]);
                graph.along("GatherElements", &[&self.tokens, &places], 0)
            }
        }
    }

    /// A vector for each of the texts, `[batch, size]`.
    fn each(&self, graph: &mut Builder, vector: &str, size: usize) -> Value {
        let size = graph.integers(&[1], &[size as i64]);
        let shape = graph.along("Concat", &[&self.count, &size], 0);
        graph.op("Expand", &[vector, &shape])
    }
}

/// What is pooled of the outputs of the layers that read vectors of a width in a direction, `[batch, hidden_size]` each.
fn read(
    network: &mut NetworkGraph,
    stack: (&Recurrent, Direction),
    texts: &Texts,
    (vectors, width): (&str, usize),
) -> Result<[Value; 3]> {
    let (body, direction) = stack;
    let size = body.hidden_size;
    let parts: Vec<StatePart> = state_parts(body, direction).into_iter().flatten().collect();
    let mut inputs = Vec::new();
    for part in &parts {
        let first = match &part.learnt {
            Some(name) => network.weight(name)?,
            None => network.graph.number(0.0),
        };
        inputs.push(texts.each(&mut network.graph, &first, size));
    }
    for (_, first) in POOLS {
        let first = network.graph.number(first);
        inputs.push(texts.each(&mut network.graph, &first, size));
    }
    inputs.extend([vectors.to_string(), texts.reads.clone()]);
    let step = step(network, stack, width)?;
    let graph = &mut network.graph;
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let after = graph.scan(&inputs, parts.len() + POOLS.len(), step);
    let [last, sum, highest] = after.last_chunk().expect("three pools").clone();
    let lengths = graph.cast(&texts.lengths, FLOAT);
    let column = graph.integers(&[2], &[-1, 1]);
    let lengths = graph.op("Reshape", &[&lengths, &column]);
    let mean = graph.op("Div", &[&sum, &lengths]);
    Ok([last, mean, highest])
}

/// The graph of a step: the state, what was pooled, the tokens' vectors and whether each text has a token, to the state and what
/// is pooled after it.
fn step(network: &mut NetworkGraph, stack: (&Recurrent, Direction), width: usize) -> Result<Graph> {
    let (body, direction) = stack;
    // Names of a loop's values are not those of the graph around it.
    let prefix = format!("{}.", stack_name(direction));
    let around = std::mem::replace(&mut network.graph, Builder::within(&prefix));
    let shape = [Dim::Named(BATCH), Dim::Fixed(body.hidden_size)];
    let graph = &mut network.graph;
    let mut input = |name: &str| graph.input(&format!("{prefix}{name}"), FLOAT, &shape);
    let of_layer = |parts: &Vec<StatePart>| parts.iter().map(|part| input(&part.name)).collect();
    let states: Vec<Vec<Value>> = state_parts(body, direction).iter().map(of_layer).collect();
    let pools = POOLS.map(|(name, _)| graph.input(&format!("{prefix}{name}"), FLOAT, &shape));
    let numbers = [Dim::Named(BATCH), Dim::Fixed(width)];
    let vectors = graph.input(&format!("{prefix}vectors"), FLOAT, &numbers);
    let reads = graph.input(
        &format!("{prefix}reads"),
        BOOL,
        &[Dim::Named(BATCH), Dim::Fixed(1)],
    );
    let (outputs, next) = network.recurrent_step(stack, vectors, &states)?;
    let graph = &mut network.graph;
    let pooled = [
        outputs.clone(),
        graph.op("Add", &[&pools[1], &outputs]),
        graph.op("Max", &[&pools[2], &outputs]),
    ];
    // After its end nothing of a text is pooled, whatever the layers go on with.
    let pooled = pools
        .iter()
        .zip(&pooled)
        .map(|(before, after)| graph.op("Where", &[&reads, after, before]));
    let pooled: Vec<Value> = pooled.collect();
    for (number, value) in next.iter().flatten().chain(&pooled).enumerate() {
        graph.output(&format!("{prefix}next{number}"), value, &shape);
    }
    let step = std::mem::replace(&mut network.graph, around);
    Ok(step.finish(stack_name(direction)))
}

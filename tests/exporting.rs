use std::collections::BTreeMap;

use carousel::checkpoint::architecture::{
    InitialState, Labels, Leak, NextToken, Recurrent, Tokens,
};
use carousel::checkpoint::parts::{Body, Head, Input};
use carousel::checkpoint::transformer::{Positions, Transformer};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::convert::onnx_messages::{FLOAT, Graph, Model as OnnxModel, Node};
use carousel::inference::Model;
use carousel::inference::next_token::Wanted;
use carousel::inference::recurrent_classifier::RecurrentClassifier;
use carousel::text::preprocessing::Preprocessing;
use carousel::text::tokenizer::Tokenizer;
use carousel_kernels::Precision;
use carousel_kernels::recurrent::{Activation, Cell};
use prost::Message;

use crate::sandbox::{Sandbox, model_by_hand, save_model};

/// Numbers with a shape, row by row.
#[derive(Clone, Debug, PartialEq)]
struct Tensor {
    shape: Vec<usize>,
    values: Vec<f64>,
}

type Values = BTreeMap<String, Tensor>;

impl Tensor {
    fn new(shape: &[usize], values: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{shape:?}");
        Tensor {
            shape: shape.to_vec(),
            values,
        }
    }

    fn map(&self, function: impl Fn(f64) -> f64) -> Self {
        let values = self.values.iter().map(|&value| function(value));
        Tensor::new(&self.shape, values.collect())
    }

    /// The products of the sizes before an axis, that of the axis, and those after it.
    fn around(&self, axis: i64) -> [usize; 3] {
        let axis = axis.rem_euclid(self.shape.len() as i64) as usize;
        let (before, rest) = self.shape.split_at(axis);
        [before.iter().product(), rest[0], rest[1..].iter().product()]
    }

    /// Two tensors, number by number; sizes of one, and those that are missing in front, are repeated.
    fn with(&self, other: &Tensor, function: impl Fn(f64, f64) -> f64) -> Self {
        let rank = self.shape.len().max(other.shape.len());
        let padded = |tensor: &Tensor| {
            let mut shape = vec![1; rank - tensor.shape.len()];
            shape.extend(&tensor.shape);
            shape
        };
        let (one, two) = (padded(self), padded(other));
        let shape: Vec<usize> = one.iter().zip(&two).map(|(a, b)| *a.max(b)).collect();
        let at = |own: &[usize], mut flat: usize| {
            let (mut offset, mut stride) = (0, 1);
            for axis in (0..rank).rev() {
                let index = flat % shape[axis];
                flat /= shape[axis];
                offset += if own[axis] == 1 { 0 } else { index * stride };
                stride *= own[axis];
            }
            offset
        };
        let values = (0..shape.iter().product())
            .map(|flat| function(self.values[at(&one, flat)], other.values[at(&two, flat)]));
        Tensor::new(&shape, values.collect())
    }

    fn transposed(&self, order: &[usize]) -> Self {
        let shape: Vec<usize> = order.iter().map(|&axis| self.shape[axis]).collect();
        let stride = |axis: usize| self.shape[axis + 1..].iter().product::<usize>();
        let value = |mut flat: usize| {
            let mut offset = 0;
            for (place, &axis) in order.iter().enumerate().rev() {
                offset += flat % shape[place] * stride(axis);
                flat /= shape[place];
            }
            self.values[offset]
        };
        Tensor::new(&shape, (0..self.values.len()).map(value).collect())
    }

    /// Matrix products over the last two axes; those before are the same for both.
    fn product(&self, other: &Tensor) -> Self {
        let rank = self.shape.len();
        let (rows, inner, columns) = (
            self.shape[rank - 2],
            self.shape[rank - 1],
            other.shape[rank - 1],
        );
        assert_eq!(self.shape[..rank - 2], other.shape[..rank - 2]);
        assert_eq!(other.shape[rank - 2], inner);
        let mut values = Vec::new();
        let matrices = self
            .values
            .chunks(rows * inner)
            .zip(other.values.chunks(inner * columns));
        for (one, two) in matrices {
            for row in one.chunks(inner) {
                let cell =
                    |column: usize| (0..inner).map(|i| row[i] * two[i * columns + column]).sum();
                values.extend((0..columns).map(cell).collect::<Vec<f64>>());
            }
        }
        let shape = [&self.shape[..rank - 1], &[columns]].concat();
        Tensor::new(&shape, values)
    }
}

/// The error function, by its series: Σ 2 (−1)ⁿ x²ⁿ⁺¹ / (√π n! (2 n + 1)).
fn error_function(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn integer(node: &Node, name: &str) -> i64 {
    let own = node
        .attribute
        .iter()
        .find(|attribute| attribute.name == name);
    own.map_or(0, |attribute| attribute.i)
}

/// What a node computes.
fn computed(node: &Node, inputs: &[Option<&Tensor>]) -> Vec<Tensor> {
    let input = |which: usize| inputs[which].expect("an input");
    let first = input(0);
    let last_axis = |function: &dyn Fn(&[f64]) -> Vec<f64>| {
        let size = *first.shape.last().unwrap();
        Tensor::new(
            &first.shape,
            first.values.chunks(size).flat_map(function).collect(),
        )
    };
    vec![match &node.op_type[..] {
        "Identity" => first.clone(),
        "Add" => first.with(input(1), |a, b| a + b),
        "Sub" => first.with(input(1), |a, b| a - b),
        "Mul" => first.with(input(1), |a, b| a * b),
        "Div" => first.with(input(1), |a, b| a / b),
        "Mod" => first.with(input(1), f64::rem_euclid),
        "Max" => first.with(input(1), f64::max),
        "Less" => first.with(input(1), |a, b| f64::from(a < b)),
        // Of truth values there are 0 and 1 here.
        "Where" => {
            let [yes, no] = [input(1), input(2)].map(|tensor| first.with(tensor, |_, b| b));
            let chosen = first.with(&yes, |which, _| which).values;
            let values = chosen.iter().zip(yes.values.iter().zip(&no.values));
            let values = values.map(|(&which, (yes, no))| if which == 1.0 { *yes } else { *no });
            Tensor::new(&yes.shape, values.collect())
        }
        "Cast" => first.clone(),
        "Range" => {
            let steps = first.values[0] as usize..input(1).values[0] as usize;
            Tensor::new(&[steps.len()], steps.map(|step| step as f64).collect())
        }
        "Unsqueeze" => {
            let mut shape = first.shape.clone();
            shape.insert(input(1).values[0] as usize, 1);
            Tensor::new(&shape, first.values.clone())
        }
        "Expand" => {
            let shape: Vec<usize> = input(1).values.iter().map(|&size| size as usize).collect();
            let zeros = Tensor::new(&shape, vec![0.0; shape.iter().product()]);
            first.with(&zeros, |value, _| value)
        }
        "GatherElements" => {
            assert_eq!(integer(node, "axis"), 0);
            let columns = first.shape[1];
            let rows = input(1).values.iter().enumerate();
            let values = rows.map(|(at, &row)| first.values[row as usize * columns + at % columns]);
            Tensor::new(&input(1).shape, values.collect())
        }
        "Scan" => return scanned(node, inputs),
        "Tanh" => first.map(f64::tanh),
        "Relu" => first.map(|x| x.max(0.0)),
        "Sigmoid" => first.map(|x| 1.0 / (1.0 + (-x).exp())),
        "Erf" => first.map(error_function),
        "MatMul" => first.product(input(1)),
        "Gemm" => {
            assert_eq!(integer(node, "transB"), 1);
            let product = first.product(&input(1).transposed(&[1, 0]));
            match inputs.get(2).copied().flatten() {
                Some(bias) => product.with(bias, |a, b| a + b),
                None => product,
            }
        }
        "Gather" => {
            assert_eq!(
                (integer(node, "axis"), first.shape.len().min(2)),
                (0, first.shape.len())
            );
            let size: usize = first.shape[1..].iter().product();
            let rows = input(1).values.iter().map(|&row| row as usize);
            let values = rows.flat_map(|row| first.values[row * size..][..size].to_vec());
            Tensor::new(
                &[&input(1).shape[..], &first.shape[1..]].concat(),
                values.collect(),
            )
        }
        "Shape" => {
            let sizes = first.shape.iter().map(|&size| size as f64);
            Tensor::new(&[first.shape.len()], sizes.collect())
        }
        "Reshape" => {
            let wanted = &input(1).values;
            let known: f64 = wanted.iter().filter(|&&size| size > 0.0).product();
            let free = first.values.len() / known as usize;
            let size = |&size: &f64| if size < 0.0 { free } else { size as usize };
            Tensor::new(
                &wanted.iter().map(size).collect::<Vec<_>>(),
                first.values.clone(),
            )
        }
        "Transpose" => {
            let order: Vec<usize> = node.attribute[0]
                .ints
                .iter()
                .map(|&axis| axis as usize)
                .collect();
            first.transposed(&order)
        }
        "Concat" => {
            let axis = integer(node, "axis");
            let all: Vec<&Tensor> = inputs.iter().map(|input| input.unwrap()).collect();
            let [before, ..] = first.around(axis);
            let part = |tensor: &&Tensor, row: usize| {
                let size = tensor.values.len() / before;
                tensor.values[row * size..][..size].to_vec()
            };
            let rows = (0..before).flat_map(|row| all.iter().flat_map(move |one| part(one, row)));
            let mut shape = first.shape.clone();
            let axis = axis.rem_euclid(shape.len() as i64) as usize;
            shape[axis] = all.iter().map(|one| one.shape[axis]).sum();
            Tensor::new(&shape, rows.collect())
        }
        "Softmax" => last_axis(&|row| {
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            row.iter().map(|x| x.exp() / sum).collect()
        }),
        "LayerNormalization" => {
            let epsilon = f64::from(
                node.attribute
                    .iter()
                    .find(|a| a.name == "epsilon")
                    .unwrap()
                    .f,
            );
            let gains = &input(1).values;
            last_axis(&|row| {
                let mean = row.iter().sum::<f64>() / row.len() as f64;
                let variance =
                    row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
                let scale = 1.0 / (variance + epsilon).sqrt();
                row.iter()
                    .zip(gains)
                    .map(|(x, gain)| (x - mean) * scale * gain)
                    .collect()
            })
        }
        "Split" => {
            let axis = integer(node, "axis");
            let [before, size, after] = first.around(axis);
            let own = size / node.output.len();
            let mut shape = first.shape.clone();
            shape[axis as usize] = own;
            let part = |part: usize| {
                let rows = (0..before).map(|row| (row * size + part * own) * after);
                let values = rows.flat_map(|at| first.values[at..at + own * after].to_vec());
                Tensor::new(&shape, values.collect())
            };
            return (0..node.output.len()).map(part).collect();
        }
        other => panic!("{other} is no operation that is written"),
    }]
}

/// What a loop computes: the states after the last step.
fn scanned(node: &Node, inputs: &[Option<&Tensor>]) -> Vec<Tensor> {
    let body = node.attribute.iter().find(|own| own.name == "body");
    let body = body.unwrap().g.as_ref().unwrap();
    let constants = constants(body);
    let states = inputs.len() - integer(node, "num_scan_inputs") as usize;
    let (states, scanned) = inputs.split_at(states);
    let mut states: Vec<Tensor> = states.iter().map(|state| state.unwrap().clone()).collect();
    for step in 0..scanned[0].unwrap().shape[0] {
        let element = |whole: &Option<&Tensor>| {
            let whole = whole.unwrap();
            let size: usize = whole.shape[1..].iter().product();
            Tensor::new(
                &whole.shape[1..],
                whole.values[step * size..][..size].to_vec(),
            )
        };
        let values = states.into_iter().chain(scanned.iter().map(element));
        let names = body.input.iter().map(|input| input.name.clone());
        let mut outputs = run(body, &constants, names.zip(values).collect());
        let next = (body.output.iter()).map(|output| outputs.remove(&output.name).unwrap());
        states = next.collect();
    }
    states
}

/// The outputs of a graph, in float64.
fn run(graph: &Graph, constants: &Values, inputs: Values) -> Values {
    let mut values = inputs;
    for node in &graph.node {
        let found: Vec<Option<&Tensor>> = node
            .input
            .iter()
            .map(|name| values.get(name).or(constants.get(name)))
            .collect();
        let missing = node
            .input
            .iter()
            .zip(&found)
            .find(|(name, value)| !name.is_empty() && value.is_none());
        assert!(missing.is_none(), "{missing:?}");
        let computed = computed(node, &found);
        values.extend(node.output.iter().cloned().zip(computed));
    }
    let output = |name: &str| (name.to_string(), values[name].clone());
    graph
        .output
        .iter()
        .map(|value| output(&value.name))
        .collect()
}

fn constants(graph: &Graph) -> Values {
    let constant = |tensor: &carousel::convert::onnx_messages::Tensor| {
        let shape: Vec<usize> = tensor.dims.iter().map(|&size| size as usize).collect();
        let values: Vec<f64> = match tensor.data_type {
            FLOAT => (tensor.raw_data.as_chunks::<4>().0.iter())
                .map(|&bytes| f64::from(f32::from_le_bytes(bytes)))
                .collect(),
            _ => (tensor.raw_data.as_chunks::<8>().0.iter())
                .map(|&bytes| i64::from_le_bytes(bytes) as f64)
                .collect(),
        };
        (tensor.name.clone(), Tensor::new(&shape, values))
    };
    graph.initializer.iter().map(constant).collect()
}

const ALPHABET: [char; 7] = ['\n', 'a', 'b', 'c', 'd', 'é', ' '];

fn config(body: Body, head: NextToken, embedding_size: usize) -> ModelConfig {
    ModelConfig {
        input: Input::Tokens(Tokens {
            level: carousel::text::Level::Character,
            split: carousel::text::Split::Natural,
            vocab_size: ALPHABET.len() + 1,
            embedding_size,
        }),
        body,
        head: Head::NextToken(head),
    }
}

fn bodies() -> Vec<Body> {
    let layers = |cell: Cell| Recurrent::new(cell, 6, 2);
    let relu = Recurrent {
        activation: Activation::Relu,
        ..Recurrent::new(Cell::Rnn, 6, 1)
    };
    let leaky = |leak: Leak| Recurrent {
        leak: Some(leak),
        ..layers(Cell::Leaky)
    };
    let recurrent = vec![
        layers(Cell::Rnn),
        relu,
        layers(Cell::Gru),
        layers(Cell::Lstm),
        leaky(Leak::Fixed(0.75)),
        leaky(Leak::Learnt),
        Recurrent {
            skip: vec![2, 4],
            initial_state: InitialState::Learned,
            ..layers(Cell::Skip)
        },
        Recurrent {
            layer_norm: true,
            residual: true,
            ..Recurrent::new(Cell::Gru, 6, 3)
        },
        Recurrent {
            layer_norm: true,
            bidirectional: true,
            initial_state: InitialState::Learned,
            ..layers(Cell::Lstm)
        },
    ];
    let transformers = [Positions::Rotary, Positions::Learned].map(|positions| Transformer {
        positions,
        heads: 3,
        ..Transformer::new(12, 2, 32)
    });
    let recurrent = recurrent.into_iter().map(Body::Recurrent);
    recurrent
        .chain(transformers.map(Body::Transformer))
        .collect()
}

/// The state that a graph begins with, for one text, as its metadata has it.
fn initial_state(model: &OnnxModel) -> Values {
    let entry = model
        .metadata_props
        .iter()
        .find(|entry| entry.key == "initial_state");
    let described: serde_json::Value = serde_json::from_str(&entry.unwrap().value).unwrap();
    let begin = |(name, value): (&String, &serde_json::Value)| {
        let sizes = value["shape"].as_array().unwrap().iter();
        let shape: Vec<usize> = sizes
            .map(|size| size.as_u64().unwrap_or(1) as usize)
            .collect();
        let values = match value["values"].as_array() {
            Some(values) => values.iter().map(|value| value.as_f64().unwrap()).collect(),
            None => vec![value["value"].as_f64().unwrap(); shape.iter().product()],
        };
        (name.clone(), Tensor::new(&shape, values))
    };
    described.as_object().unwrap().iter().map(begin).collect()
}

fn check(sandbox: &Sandbox, config: &ModelConfig) {
    let onnx = exported(sandbox, config);
    let graph = onnx.graph.as_ref().unwrap();
    let constants = constants(graph);
    let own = Model::open(&Directory::at(sandbox.path("model")), Precision::Float32, 1).unwrap();
    let mut own_state = own.predictor.initial_state(1);
    let mut state = initial_state(&onnx);
    let names: Vec<&String> = graph.input.iter().map(|input| &input.name).collect();
    assert!(
        names
            .iter()
            .all(|name| *name == "token" || state.contains_key(*name)),
        "{names:?}"
    );
    for step in 0..20u32 {
        let token = (step * step + 3 * step) % (ALPHABET.len() as u32 + 1);
        let expected = own
            .predictor
            .forward(&[token], &mut own_state, Wanted::Last);
        state.insert(
            "token".to_string(),
            Tensor::new(&[1], vec![f64::from(token)]),
        );
        let outputs = run(graph, &constants, state);
        let found = &outputs["logits"].values;
        assert_eq!(found.len(), expected.len());
        for (found, &expected) in found.iter().zip(&expected) {
            assert!(
                (found - f64::from(expected)).abs() < 1e-4 * f64::from(expected.abs().max(1.0)),
                "{step}: {found} {expected} {config:?}"
            );
        }
        let next = outputs.into_iter().filter_map(|(name, value)| {
            let before = name.strip_suffix("_next")?;
            Some((before.to_string(), value))
        });
        state = next.collect();
    }
}

#[test]
fn graphs_compute_what_models_do() {
    let sandbox = Sandbox::new();
    for body in bodies() {
        let width = match &body {
            Body::Transformer(body) => body.hidden_size,
            _ => 5,
        };
        check(&sandbox, &config(body, NextToken::default(), width));
    }
}

/// Writes the graph of a model, and reads it.
fn exported(sandbox: &Sandbox, config: &ModelConfig) -> OnnxModel {
    save_model(
        &sandbox.path("model"),
        &Tokenizer::characters(&ALPHABET),
        config,
    );
    sandbox
        .carousel("export -m model --onnx model.onnx --overwrite")
        .success();
    OnnxModel::decode(&sandbox.read("model.onnx")[..]).unwrap()
}

#[test]
fn graphs_of_classifiers_compute_their_recurrent_part() {
    let sandbox = Sandbox::new();
    let texts: [&[u32]; 4] = [&[0, 3, 1, 7, 2, 5], &[0], &[0, 4, 4], &[0, 6]];
    for body in bodies() {
        if matches!(body, Body::Transformer(_)) {
            continue;
        }
        let mut config = config(body, NextToken::default(), 5);
        config.head = Head::Labels(Labels {
            labels: ["good", "bad", "neither"].map(String::from).to_vec(),
            ngrams: 2,
            preprocessing: Preprocessing::None,
        });
        let onnx = exported(&sandbox, &config);
        let graph = onnx.graph.as_ref().unwrap();
        let weights = Directory::at(sandbox.path("model")).load_weights(&config);
        let weights = weights.unwrap();
        let floats = |name: &str| weights.floats(name);
        let own = RecurrentClassifier::load(&config, floats, Precision::Float32, 1).unwrap();
        // What stands behind a text is never read.
        let padded = texts.iter().flat_map(|text| {
            let padding = text.len() as u32..6;
            text.iter().copied().chain(padding).map(f64::from)
        });
        let lengths = texts.iter().map(|text| text.len() as f64);
        let inputs = Values::from([
            ("tokens".to_string(), Tensor::new(&[4, 6], padded.collect())),
            ("lengths".to_string(), Tensor::new(&[4], lengths.collect())),
        ]);
        let found = &run(graph, &constants(graph), inputs)["logits"].values;
        let expected = own.logits(&texts).concat();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-4,
                "{found} {expected} {config:?}"
            );
        }
    }
}

#[test]
fn tied_weights_and_several_tokens_at_once_are_written() {
    let sandbox = Sandbox::new();
    let layers = || Body::Recurrent(Recurrent::new(Cell::Lstm, 6, 1));
    let tied = NextToken {
        tie_weights: true,
        ..NextToken::default()
    };
    check(&sandbox, &config(layers(), tied, 6));
    let several = NextToken {
        horizon: 3,
        ..NextToken::default()
    };
    check(&sandbox, &config(layers(), several, 5));
}

#[test]
fn a_graph_is_written_once_and_of_language_models_alone() {
    let sandbox = Sandbox::new();
    model_by_hand(&sandbox.path("model"), "abc\n", 1, false);
    let line = "export -m model --onnx model.onnx";
    sandbox.carousel(line).success();
    let again = sandbox.carousel(line);
    assert_eq!(again.code, Some(2), "{again:?}");
    sandbox.carousel(&format!("{line} --overwrite")).success();
    for flags in ["-o copy", "--precision f16"] {
        let outcome = sandbox.carousel(&format!("{line} {flags}"));
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
    }
    let neither = sandbox.carousel("export -m model");
    assert_eq!(neither.code, Some(2), "{neither:?}");
    sandbox.write("text", "one two three four five six seven\n".repeat(30));
    sandbox
        .carousel("train text -o ngrams --baseline ngram -q")
        .success();
    let outcome = sandbox.carousel("export -m ngrams --onnx ngrams.onnx");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("this is an n-gram model"),
        "{}",
        outcome.err
    );
    assert!(!sandbox.path("ngrams.onnx").exists());
}

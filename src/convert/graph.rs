/*!
A graph of ONNX operations, put together one by one.
*/

use super::onnx_messages::{
    Attribute, Dimension, FLOAT, Graph, INT64, Node, Shape, Size, Tensor, TensorType, Type,
    ValueInfo,
};

/// A size of an input or an output.
#[derive(Clone, Copy, Debug)]
pub enum Dim<'a> {
    /// Always the same.
    Fixed(usize),
    /// Another at each call.
    Named(&'a str),
}

/// The name of a value in a graph.
pub type Value = String;

/// A graph that is being put together. Its operations are those of ONNX; a method says which.
#[derive(Default)]
pub struct Builder {
    graph: Graph,
    /// What names that are made up here begin with.
    prefix: String,
}

impl Builder {
    /// A graph inside of another, whose names do not begin with `prefix`.
    pub fn within(prefix: &str) -> Self {
        Builder {
            prefix: prefix.to_string(),
            ..Builder::default()
        }
    }

    /// The graph, with a name.
    pub fn finish(self, name: &str) -> Graph {
        Graph {
            name: name.to_string(),
            ..self.graph
        }
    }

    /// Weights, or other constants in float32.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Value {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(name, (FLOAT, shape), bytes.collect())
    }

    /// Whether there is a constant of a name.
    pub fn has_constant(&self, name: &str) -> bool {
        self.graph.initializer.iter().any(|own| own.name == name)
    }

    /// Integers.
    pub fn integers(&mut self, shape: &[usize], values: &[i64]) -> Value {
        let name = format!("{}integers{}", self.prefix, self.graph.initializer.len());
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(&name, (INT64, shape), bytes.collect())
    }

    /// One number.
    pub fn number(&mut self, value: f32) -> Value {
        let name = format!("{}number{}", self.prefix, self.graph.initializer.len());
        self.floats(&name, &[], &[value])
    }

    fn constant(&mut self, name: &str, kind: (i32, &[usize]), raw_data: Vec<u8>) -> Value {
        let (data_type, shape) = kind;
        self.graph.initializer.push(Tensor {
            dims: shape.iter().map(|&size| size as i64).collect(),
            data_type,
            name: name.to_string(),
            raw_data,
        });
        name.to_string()
    }

    /// What is read, of elements such as [`FLOAT`].
    pub fn input(&mut self, name: &str, elements: i32, shape: &[Dim]) -> Value {
        self.graph.input.push(info(name, elements, shape));
        name.to_string()
    }

    /// Makes a value an output of this name.
    pub fn output(&mut self, name: &str, value: &str, shape: &[Dim]) {
        self.node("Identity", &[value], &[name.to_string()], Vec::new());
        self.graph.output.push(info(name, FLOAT, shape));
    }

    /// An operation without settings.
    pub fn op(&mut self, operator: &str, inputs: &[&str]) -> Value {
        self.op_with(operator, inputs, Vec::new())
    }

    /// An operation along an axis.
    pub fn along(&mut self, operator: &str, inputs: &[&str], axis: i64) -> Value {
        self.op_with(operator, inputs, vec![integer("axis", axis)])
    }

    /// W · x + b for each row x: `weight` is `[outputs, inputs]`; without a bias it is an empty name.
    pub fn affine(&mut self, rows: &str, weight: &str, bias: &str) -> Value {
        self.op_with("Gemm", &[rows, weight, bias], vec![integer("transB", 1)])
    }

    /// Rows brought to mean 0 and variance 1, times gains (Ba et al. 2016).
    pub fn normalised(&mut self, rows: &str, gains: &str, epsilon: f64) -> Value {
        let epsilon = Attribute {
            name: "epsilon".to_string(),
            f: epsilon as f32,
            r#type: 1,
            ..Attribute::default()
        };
        let settings = vec![integer("axis", -1), epsilon];
        self.op_with("LayerNormalization", &[rows, gains], settings)
    }

    /// The dimensions in another order.
    pub fn transposed(&mut self, value: &str, order: &[i64]) -> Value {
        let order = Attribute {
            name: "perm".to_string(),
            ints: order.to_vec(),
            r#type: 7,
            ..Attribute::default()
        };
        self.op_with("Transpose", &[value], vec![order])
    }

    /// Equal parts of the columns, or of another axis.
    pub fn split(&mut self, value: &str, parts: usize, axis: i64) -> Vec<Value> {
        self.node_of_parts("Split", &[value], parts, vec![integer("axis", axis)])
    }

    /// Numbers as other elements, such as [`FLOAT`].
    pub fn cast(&mut self, value: &str, elements: i32) -> Value {
        self.op_with("Cast", &[value], vec![integer("to", i64::from(elements))])
    }

    /// A loop over the first axis of the inputs after the first `states`; the values of these after it. The graph of a step
    /// reads the states and an element of each other input, and computes the states.
    pub fn scan(&mut self, inputs: &[&str], states: usize, step: Graph) -> Vec<Value> {
        let step = Attribute {
            name: "body".to_string(),
            g: Some(step),
            r#type: 5,
            ..Attribute::default()
        };
        let scanned = (inputs.len() - states) as i64;
        let settings = vec![step, integer("num_scan_inputs", scanned)];
        self.node_of_parts("Scan", inputs, states, settings)
    }

    fn node_of_parts(
        &mut self,
        operator: &str,
        inputs: &[&str],
        parts: usize,
        settings: Vec<Attribute>,
    ) -> Vec<Value> {
        let name = self.made_up(operator);
        let names: Vec<Value> = (0..parts).map(|part| format!("{name}.{part}")).collect();
        self.node(operator, inputs, &names, settings);
        names
    }

    /// A name for what an operation computes.
    fn made_up(&self, operator: &str) -> Value {
        let (operator, number) = (operator.to_lowercase(), self.graph.node.len());
        format!("{}{operator}{number}", self.prefix)
    }

    fn op_with(&mut self, operator: &str, inputs: &[&str], settings: Vec<Attribute>) -> Value {
        let output = self.made_up(operator);
        self.node(operator, inputs, std::slice::from_ref(&output), settings);
        output
    }

    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[Value],
        attribute: Vec<Attribute>,
    ) {
        let given = inputs.iter().rposition(|input| !input.is_empty());
        let inputs = &inputs[..given.map_or(0, |last| last + 1)];
        self.graph.node.push(Node {
            input: inputs.iter().map(|input| input.to_string()).collect(),
            output: outputs.to_vec(),
            name: outputs[0].clone(),
            op_type: operator.to_string(),
            attribute,
        });
    }
}

fn integer(name: &str, value: i64) -> Attribute {
    Attribute {
        name: name.to_string(),
        i: value,
        r#type: 2,
        ..Attribute::default()
    }
}

fn info(name: &str, elem_type: i32, shape: &[Dim]) -> ValueInfo {
    let dim = shape.iter().map(|dim| Dimension {
        value: Some(match dim {
            Dim::Fixed(size) => Size::Fixed(*size as i64),
            Dim::Named(name) => Size::Named(name.to_string()),
        }),
    });
    ValueInfo {
        name: name.to_string(),
        r#type: Some(Type {
            tensor_type: Some(TensorType {
                elem_type,
                shape: Some(Shape { dim: dim.collect() }),
            }),
        }),
    }
}

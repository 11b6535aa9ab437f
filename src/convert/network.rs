/*!
A language model in a state dict, found by the shapes and the last words of names: an embedding, stacked recurrent layers,
and a linear decoder.
*/

use std::collections::BTreeMap;

use carousel_kernels::recurrent::Cell;

use super::state_dict::StateDict;
use crate::error::{Error, Result};

/// What the networks are that can be read, for messages.
const READ: &str = "networks of an embedding, nn.LSTM, nn.GRU or nn.RNN, and a linear decoder are read, and AWD-LSTM";
/// What is wrapped around the tensors of a layer (Merity et al. 2018, and fastai).
const WRAPPER: &str = "module.";
/// What the recurrent weights end with before weights are dropped.
const RAW: &str = "_raw";
/// What names of embeddings have, where shapes leave a choice.
const EMBEDDINGS: [&str; 4] = ["emb", "encoder", "wte", "lookup"];

/// Names of the tensors of a recurrent layer, and its sizes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    /// `[gates · hidden_size, input_size]`.
    pub weight_ih: String,
    /// `[gates · hidden_size, hidden_size]`.
    pub weight_hh: String,
    /// `[gates · hidden_size]`; `None` in layers without.
    pub bias_ih: Option<String>,
    /// As `bias_ih`.
    pub bias_hh: Option<String>,
    /// Width of what it reads.
    pub input_size: usize,
    /// Width of its state.
    pub hidden_size: usize,
}

/// Names of the tensors of a language model, and its sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// What the layers are made of.
    pub cell: Cell,
    /// The layers, the one over the embedding first.
    pub layers: Vec<Layer>,
    /// `[vocab_size, embedding_size]`.
    pub embedding: String,
    /// `[vocab_size, hidden_size]`; `None` where it is the embedding.
    pub output: Option<String>,
    /// `[vocab_size]`; `None` without one.
    pub output_bias: Option<String>,
    /// Entries of the vocabulary.
    pub vocab_size: usize,
}

impl Network {
    /// Finds the network in a state dict.
    ///
    /// # Errors
    /// A state dict of another network, with the names of what was not understood.
    pub fn find(tensors: &StateDict<'_>) -> Result<Self> {
        let stacks = stacks(tensors);
        if stacks.is_empty() {
            return Err(Error::new(format!(
                "there are no recurrent layers among the tensors ({}); {READ}",
                listed(tensors.shapes().map(|(name, _)| name))
            )));
        }
        let layers = layers(tensors, stacks)?;
        let cell = cell(tensors, &layers)?;
        let (ends, rest) = Search::new(tensors, &layers).ends()?;
        if !rest.is_empty() {
            return Err(Error::new(format!(
                "the network has more than can be read: {}; {READ}",
                listed(rest.into_iter())
            )));
        }
        Ok(Network {
            cell,
            layers,
            vocab_size: ends.vocab_size,
            embedding: ends.embedding,
            output: ends.output,
            output_bias: ends.output_bias,
        })
    }
}

/// The first names, for messages.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 6;
    let names: Vec<&str> = names.collect();
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}

/// A name of a tensor of a layer, taken apart.
struct LayerName<'a> {
    /// The module, without its wrapper.
    module: String,
    /// `weight_ih`, `weight_hh`, `bias_ih` or `bias_hh`.
    which: &'a str,
    /// Number of the layer in its module.
    layer: usize,
    /// Whether weights are yet to be dropped.
    is_raw: bool,
}

impl<'a> LayerName<'a> {
    fn of(name: &'a str) -> Option<Self> {
        let (whole, is_raw) = match name.strip_suffix(RAW) {
            Some(whole) => (whole, true),
            None => (name, false),
        };
        let (module, last) = match whole.rfind('.') {
            Some(dot) => whole.split_at(dot + 1),
            None => ("", whole),
        };
        let (which, layer) = last.rsplit_once("_l")?;
        let known = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].contains(&which);
        Some(LayerName {
            module: module.strip_suffix(WRAPPER).unwrap_or(module).to_string(),
            which,
            layer: layer.parse().ok().filter(|_| known)?,
            is_raw,
        })
    }
}

/// The parts of a name, numbers as numbers, so that `rnns.10` comes after `rnns.9`.
fn natural(name: &str) -> Vec<(usize, String)> {
    let part = |part: &str| match part.parse() {
        Ok(number) => (number, String::new()),
        Err(_) => (usize::MAX, part.to_string()),
    };
    name.split('.').map(part).collect()
}

/// Layers by the parts of their modules' names and by their numbers.
type Stacks = BTreeMap<(Vec<(usize, String)>, usize), Layer>;

/// The tensors of layers.
fn stacks(tensors: &StateDict) -> Stacks {
    let mut stacks = Stacks::new();
    for (name, _) in tensors.shapes() {
        let Some(parts) = LayerName::of(name) else {
            continue;
        };
        let layer = stacks
            .entry((natural(&parts.module), parts.layer))
            .or_default();
        match parts.which {
            "weight_ih" => layer.weight_ih = name.to_string(),
            // Beside the raw weights may stand those that the last step of training used, some of them dropped.
            "weight_hh" if parts.is_raw || layer.weight_hh.is_empty() => {
                layer.weight_hh = name.to_string();
            }
            "bias_ih" => layer.bias_ih = Some(name.to_string()),
            "bias_hh" => layer.bias_hh = Some(name.to_string()),
            _ => {}
        }
    }
    stacks
}

/// The layers in their order, with their sizes.
fn layers(tensors: &StateDict, stacks: Stacks) -> Result<Vec<Layer>> {
    let mut layers: Vec<Layer> = Vec::new();
    for layer in stacks.into_values() {
        let matrix = |name: &str| match tensors.shape(name) {
            Some(&[rows, columns]) => Some([rows, columns]),
            _ => None,
        };
        let both = matrix(&layer.weight_ih).zip(matrix(&layer.weight_hh));
        let Some(([rows, input_size], [recurrent_rows, hidden_size])) = both else {
            let found = [&layer.weight_ih, &layer.weight_hh].map(|name| &name[..]);
            return Err(Error::new(format!(
                "a recurrent layer lacks one of weight_ih and weight_hh, or they are no matrices; there is {}",
                listed(found.into_iter().filter(|name| !name.is_empty()))
            )));
        };
        let is_bias = |name: &Option<String>| {
            let shape = name.as_ref().map(|name| tensors.shape(name));
            shape.is_none_or(|shape| shape == Some(&[rows]))
        };
        let reads = layers.last().map_or(input_size, |below| below.hidden_size);
        if rows != recurrent_rows
            || input_size != reads
            || !is_bias(&layer.bias_ih)
            || !is_bias(&layer.bias_hh)
        {
            return Err(Error::new(format!(
                "{} is [{rows}, {input_size}] and {} [{recurrent_rows}, {hidden_size}], over {reads} inputs, which are not the \
                 sizes of stacked layers; {READ}",
                layer.weight_ih, layer.weight_hh
            )));
        }
        layers.push(Layer {
            input_size,
            hidden_size,
            ..layer
        });
    }
    Ok(layers)
}

/// What the layers are made of, by the number of their gates.
fn cell(tensors: &StateDict, layers: &[Layer]) -> Result<Cell> {
    let gates = |layer: &Layer| {
        let rows = tensors.shape(&layer.weight_hh).map_or(0, |shape| shape[0]);
        rows.is_multiple_of(layer.hidden_size)
            .then_some(rows / layer.hidden_size)
    };
    let first = gates(&layers[0]);
    let same = layers.iter().all(|layer| gates(layer) == first);
    match first.filter(|_| same) {
        Some(1) => Ok(Cell::Rnn),
        Some(3) => Ok(Cell::Gru),
        Some(4) => Ok(Cell::Lstm),
        _ => Err(Error::new(format!(
            "{} has rows of neither an LSTM, a GRU nor an RNN, or the layers differ; {READ}",
            layers[0].weight_hh
        ))),
    }
}

/// Whether a tensor belongs to one of the layers, or is a copy of its recurrent weights with some dropped.
fn is_of_layer(name: &str, layers: &[Layer]) -> bool {
    let own = |layer: &Layer| {
        let biases = [&layer.bias_ih, &layer.bias_hh];
        let dropped = || {
            let parts = LayerName::of(name).zip(LayerName::of(&layer.weight_hh));
            parts.is_some_and(|(one, raw)| {
                raw.is_raw
                    && (one.which, one.layer, one.module) == (raw.which, raw.layer, raw.module)
            })
        };
        name == layer.weight_ih
            || name == layer.weight_hh
            || biases.into_iter().flatten().any(|bias| bias == name)
            || dropped()
    };
    layers.iter().any(own)
}

/// What is below and above the layers.
struct Ends {
    embedding: String,
    output: Option<String>,
    output_bias: Option<String>,
    vocab_size: usize,
}

/// The search for the ends among the tensors that belong to no layer.
struct Search<'a> {
    tensors: &'a StateDict<'a>,
    rest: Vec<&'a str>,
    /// Width of what the first layer reads.
    input_size: usize,
    /// Width of the last layer.
    hidden_size: usize,
}

impl<'a> Search<'a> {
    fn new(tensors: &'a StateDict<'a>, layers: &[Layer]) -> Self {
        let names = tensors.shapes().map(|(name, _)| name);
        Search {
            tensors,
            rest: names.filter(|name| !is_of_layer(name, layers)).collect(),
            input_size: layers[0].input_size,
            hidden_size: layers[layers.len() - 1].hidden_size,
        }
    }

    /// The ends, and the names of what is neither.
    fn ends(self) -> Result<(Ends, Vec<&'a str>)> {
        // A linear layer has a bias, an embedding has none.
        let outputs = self.matrices(self.hidden_size, true);
        let embedding = self.embedding(&outputs)?;
        let output = self.output(&outputs, embedding)?;
        let vocab_size = self.rows(embedding);
        let weight = output.unwrap_or(embedding);
        if self.rows(weight) != vocab_size {
            return Err(Error::new(format!(
                "the embedding {embedding} has {vocab_size} rows, but the decoder {weight} has {}; a language model predicts the \
                 tokens that it reads",
                self.rows(weight)
            )));
        }
        // The bias alone is left of a decoder whose weights a file leaves out, as they are the embedding's.
        let lone = || {
            let is_bias = |name: &&&str| self.tensors.shape(name) == Some(&[vocab_size]);
            self.rest.iter().find(is_bias).map(|name| name.to_string())
        };
        let output_bias = self.bias(weight).or_else(lone);
        let is_own = |name: &str| {
            name == weight
                || Some(name) == output_bias.as_deref()
                || self.tensors.equal(name, embedding)
        };
        let rest = self.rest.iter().copied().filter(|name| !is_own(name));
        let rest = rest.collect();
        let own = output.filter(|name| !self.tensors.equal(name, embedding));
        let ends = Ends {
            output: own.map(String::from),
            embedding: embedding.to_string(),
            output_bias,
            vocab_size,
        };
        Ok((ends, rest))
    }

    /// The matrices of so many columns, with a bias beside them or without.
    fn matrices(&self, columns: usize, biased: bool) -> Vec<&'a str> {
        let is_matrix = |name: &&str| {
            let shape = self.tensors.shape(name);
            matches!(shape, Some(&[_, found]) if found == columns)
                && self.bias(name).is_some() == biased
        };
        self.rest.iter().copied().filter(is_matrix).collect()
    }

    /// The bias of a linear layer.
    fn bias(&self, weight: &str) -> Option<String> {
        let bias = format!("{}bias", weight.strip_suffix("weight")?);
        (self.tensors.shape(&bias) == Some(&[self.rows(weight)])).then_some(bias)
    }

    fn rows(&self, name: &str) -> usize {
        self.tensors.shape(name).map_or(0, |shape| shape[0])
    }

    /// The embedding; `outputs` are the linear layers of the last layer's width.
    fn embedding(&self, outputs: &[&'a str]) -> Result<&'a str> {
        let inputs = self.matrices(self.input_size, false);
        // Where weights are tied, a file may hold one of the two alone.
        if let ([], [output], true) = (&inputs[..], outputs, self.input_size == self.hidden_size) {
            return Ok(output);
        }
        let is_named = |name: &&str| EMBEDDINGS.iter().any(|part| name.contains(part));
        let named: Vec<&str> = inputs.iter().copied().filter(is_named).collect();
        match (&inputs[..], &named[..]) {
            ([one], _) => Ok(one),
            (_, [first, others @ ..])
                if others.iter().all(|other| self.tensors.equal(other, first)) =>
            {
                Ok(first)
            }
            ([], _) => Err(Error::new(format!(
                "there is no embedding: no matrix of {} columns, as the first layer reads; {READ}",
                self.input_size
            ))),
            _ => Err(Error::new(format!(
                "there are several matrices that could be the embedding: {}; name it embedding.weight",
                listed(inputs.into_iter())
            ))),
        }
    }

    /// The decoder's weights, which may be a copy of the embedding's; `None` where the embedding's are used.
    fn output(&self, outputs: &[&'a str], embedding: &str) -> Result<Option<&'a str>> {
        let vocab_size = self.rows(embedding);
        let is_other =
            |name: &&str| self.rows(name) == vocab_size && !self.tensors.equal(name, embedding);
        let found = match outputs {
            [] => self
                .matrices(self.hidden_size, false)
                .into_iter()
                .find(is_other),
            [one] => Some(*one),
            several => {
                return Err(Error::new(format!(
                    "there are several linear layers of {} inputs: {}; {READ}",
                    self.hidden_size,
                    listed(several.iter().copied())
                )));
            }
        };
        match found.is_none() && self.input_size != self.hidden_size {
            true => Err(Error::new(format!(
                "there is no decoder: no matrix of [{vocab_size}, {}]; {READ}",
                self.hidden_size
            ))),
            false => Ok(found),
        }
    }
}

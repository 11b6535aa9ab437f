/*!
Inputs, bodies and heads of networks of tokens, and the names and shapes of their tensors, which are PyTorch's.
*/

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::preprocessing::Preprocessing;
use crate::text::{Direction, Level, Split};
use carousel_kernels::recurrent::{Activation, Cell, LayerSpec};

/// Names and shapes of tensors, in a fixed order.
pub type TensorShapes = Vec<(String, Vec<usize>)>;

/// The vectors of tokens.
pub const EMBEDDING: &str = "embedding.weight";
/// The output's weights, where they are not the embedding.
pub const OUTPUT_WEIGHT: &str = "output.weight";
/// The output's bias.
pub const OUTPUT_BIAS: &str = "output.bias";
/// The weights of a classifier's head.
pub const HEAD_WEIGHT: &str = "head.weight";
/// The bias of a classifier's head.
pub const HEAD_BIAS: &str = "head.bias";
/// Vectors of words by latent semantic analysis, a row for each token.
pub const LSA_WEIGHT: &str = "semantics.weight";
/// Hashes of the n-grams that have weights, sorted; the bits of an int32 tensor.
pub const NGRAM_HASHES: &str = "ngrams.numbers";
/// Weights of the n-grams, `[ngrams, labels]`.
pub const NGRAM_WEIGHTS: &str = "ngrams.weight";
/// Bias of the linear classifier.
pub const NGRAM_BIAS: &str = "ngrams.bias";
/// The tensors of the n-grams of one length.
pub const NGRAM_LEVEL_TENSORS: [&str; 3] = ["tokens", "counts", "children"];
/// Weights of the n-grams beside a network, for each number of tokens that they know of a context.
pub const INTERPOLATION_WEIGHTS: &str = "interpolation.weights";
/// Weights of the cache beside a network, as of the n-grams, and the scale of its products.
pub const CACHE_WEIGHTS: &str = "cache.weights";
/// Scale of the products of the cache's outputs, `[1]`.
pub const CACHE_SCALE: &str = "cache.scale";
/// Scales of the head's and the linear classifier's logits.
pub const CALIBRATION_SCALES: &str = "calibration.scales";
/// Calibration's bias of each label.
pub const CALIBRATION_BIAS: &str = "calibration.bias";
/// Hashes of the documents that a classifier learnt from, `[documents, 2]`; the bits of an int32 tensor. Classifiers from
/// before there were any have none.
pub const DOCUMENT_HASHES: &str = "documents.hashes";

/// Most steps that a connection skips: so many hidden states are kept.
const MOST_SKIPPED: usize = 1024;

/// A leak that is learnt, in files and options.
const LEARN: &str = "learn";

/// Number of vectors that the outputs of a direction are pooled to: the last output, and the mean and the maximum of all
/// (Howard and Ruder 2018).
pub const POOLED: usize = 3;

/// Tokens and their embedding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    /// What a token is.
    pub level: Level,
    /// Where words end.
    pub split: Split,
    /// Entries of the vocabulary.
    pub vocab_size: usize,
    /// Width of a token's vector; 0 for n-grams, which have none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub embedding_size: usize,
}

/// The n-grams of a text, for interpolated modified Kneser–Ney smoothing (Chen and Goodman 1998).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ngrams {
    /// Most tokens of an n-gram.
    pub order: usize,
    /// Number of n-grams of each length.
    pub ngrams: Vec<usize>,
    /// Whether no n-gram reaches across a line end.
    pub by_line: bool,
}

/// What is interpolated with a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interpolation {
    /// N-grams of its training data.
    #[serde(flatten)]
    pub ngrams: Ngrams,
    /// Most tokens of a continuous cache; 0 without one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache: usize,
}

/// Stacked recurrent layers. A bidirectional body has a second stack that reads texts from their end, as the language
/// models of Peters et al. (2018) do: both share embedding and output, and a classifier's head takes both. The forward stack
/// alone generates and scores text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recurrent {
    /// The cell of each layer.
    #[serde(with = "cell_name")]
    pub cell: Cell,
    /// The activation of a cell without gates.
    #[serde(default, with = "activation_name", skip_serializing_if = "is_default")]
    pub activation: Activation,
    /// The part of their state that leaky units keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leak: Option<Leak>,
    /// The steps, besides the last one, whose hidden states a cell with skip connections reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<usize>,
    /// Width of the hidden state of each layer.
    pub hidden_size: usize,
    /// Stacked layers.
    pub num_layers: usize,
    /// Fraction of units dropped in training, between layers and before the head.
    pub dropout: f64,
    /// Whether texts are read from their end too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub bidirectional: bool,
    /// Whether the products of a layer are normalised (Ba et al. 2016).
    #[serde(default, skip_serializing_if = "is_false")]
    pub layer_norm: bool,
    /// Whether what a layer above the first reads is added to its outputs (He et al. 2016).
    #[serde(default, skip_serializing_if = "is_false")]
    pub residual: bool,
    /// The state that a text, and a window in training, begins with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub initial_state: InitialState,
}

/// The part of their state that leaky units keep at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Leak {
    /// The same part for all units.
    Fixed(f64),
    /// A part for each unit, which is learnt.
    Learnt,
}

/// A softmax over the vocabulary at each position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextToken {
    /// Whether the output's weights are the embedding's (Press and Wolf 2017).
    pub tie_weights: bool,
    /// Width of the words' vectors by latent semantic analysis, for classifiers that go on from the model; 0 without.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lsa_size: usize,
    /// The steps of a window that predict in training.
    #[serde(default, skip_serializing_if = "is_default")]
    pub predict: Predict,
    /// Number of tokens that a step predicts at once: one output for each.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub horizon: usize,
    /// What is interpolated with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpolation: Option<Interpolation>,
}

impl Default for NextToken {
    /// One token at every step, with weights of its own.
    fn default() -> Self {
        NextToken {
            tie_weights: false,
            lsa_size: 0,
            predict: Predict::Every,
            horizon: 1,
            interpolation: None,
        }
    }
}

/// The steps of a window that predict in training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Predict {
    /// Every step.
    #[default]
    Every,
    /// The last step alone: a window gives one target.
    Last,
}

/// The state that a text, and a window in training, begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitialState {
    /// A text begins with zeros, and a window with the state after the window before it.
    #[default]
    Carried,
    /// Texts and windows begin with zeros.
    Zero,
    /// Texts and windows begin with a state that is learnt.
    Learned,
}

/// A softmax over labels of a text's pooled outputs, and beside it a linear classifier of n-grams of words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Labels {
    /// The labels, in the order of the logits.
    pub labels: Vec<String>,
    /// Number of words, pairs and triples of words that have weights, and of other features beside them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ngrams: usize,
    /// What is done to a text before it is read.
    #[serde(default, skip_serializing_if = "Preprocessing::is_none")]
    pub preprocessing: Preprocessing,
}

/// A cell by its name.
pub(super) mod cell_name {
    use carousel_kernels::recurrent::Cell;
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(cell: &Cell, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(cell.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cell, D::Error> {
        super::named(deserializer, "cell", &Cell::ALL, Cell::name)
    }
}

/// An activation by its name.
pub(super) mod activation_name {
    use carousel_kernels::recurrent::Activation;
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(
        activation: &Activation,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(activation.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Activation, D::Error> {
        super::named(
            deserializer,
            "activation",
            &Activation::ALL,
            Activation::name,
        )
    }
}

/// An activation by its name, if there is one.
pub(super) mod optional_activation_name {
    use carousel_kernels::recurrent::Activation;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Serialized as [`super::activation_name`] has it.
    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Named(#[serde(with = "super::activation_name")] Activation);

    pub fn serialize<S: Serializer>(
        activation: &Option<Activation>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        activation.map(Named).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Activation>, D::Error> {
        let named = Option::<Named>::deserialize(deserializer)?;
        Ok(named.map(|Named(activation)| activation))
    }
}

/// Reads one of some named things.
fn named<'de, T: Copy, D: Deserializer<'de>>(
    deserializer: D,
    what: &str,
    all: &[T],
    name_of: fn(T) -> &'static str,
) -> Result<T, D::Error> {
    let name = String::deserialize(deserializer)?;
    let known = all.iter().copied().find(|&one| name_of(one) == name);
    known.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|&one| name_of(one)).collect();
        D::Error::custom(format!(
            "unknown {what} `{name}`; this program has {}",
            names.join(", ")
        ))
    })
}

impl Serialize for Leak {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Leak::Fixed(leak) => serializer.serialize_f64(*leak),
            Leak::Learnt => serializer.serialize_str(LEARN),
        }
    }
}

impl<'de> Deserialize<'de> for Leak {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text.parse().map_err(D::Error::custom),
            other => other.to_string().parse().map_err(D::Error::custom),
        }
    }
}

impl FromStr for Leak {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fixed = text.parse().ok().filter(|leak| (0.0..1.0).contains(leak));
        match (text, fixed) {
            (LEARN, _) => Ok(Leak::Learnt),
            (_, Some(leak)) => Ok(Leak::Fixed(leak)),
            _ => Err(format!(
                "{text} is no leak; give a fraction from 0 to below 1, or {LEARN}"
            )),
        }
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Leak::Fixed(leak) => leak.fmt(f),
            Leak::Learnt => LEARN.fmt(f),
        }
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn one() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The name of the stack that reads a text in a direction.
pub fn stack_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "rnn",
        Direction::Reverse => "reverse",
    }
}

/// The tensors of a recurrent layer, or something of each.
#[derive(Clone, Debug)]
pub struct LayerTensors<T> {
    /// `[gates · hidden_size, input_size]`.
    pub weight_ih: T,
    /// For each lag, `[gates · hidden_size, hidden_size]`.
    pub weight_hh: Vec<T>,
    /// `[gates · hidden_size]`.
    pub bias_ih: T,
    /// `[gates · hidden_size]`.
    pub bias_hh: T,
    /// Log odds of a learnt leak, `[hidden_size]`.
    pub leak: Option<T>,
    /// Gains of normalised products, of the input and of the hidden state, `[gates · hidden_size]`.
    pub norms: Option<[T; 2]>,
    /// A learnt initial state: the hidden state, and the cell state of an LSTM, `[hidden_size]`.
    pub initial: Vec<T>,
}

impl<T> LayerTensors<T> {
    /// What `make` makes of each.
    pub fn map<U>(self, mut make: impl FnMut(T) -> U) -> LayerTensors<U> {
        let never: Result<_, std::convert::Infallible> = self.try_map(|one| Ok(make(one)));
        let Ok(tensors) = never;
        tensors
    }

    /// What `make` makes of each, unless it fails.
    ///
    /// # Errors
    /// The first of `make`.
    pub fn try_map<U, E>(
        self,
        mut make: impl FnMut(T) -> Result<U, E>,
    ) -> Result<LayerTensors<U>, E> {
        Ok(LayerTensors {
            weight_ih: make(self.weight_ih)?,
            weight_hh: self
                .weight_hh
                .into_iter()
                .map(&mut make)
                .collect::<Result<_, E>>()?,
            bias_ih: make(self.bias_ih)?,
            bias_hh: make(self.bias_hh)?,
            leak: self.leak.map(&mut make).transpose()?,
            norms: match self.norms {
                Some([input, recurrent]) => Some([make(input)?, make(recurrent)?]),
                None => None,
            },
            initial: (self.initial.into_iter().map(&mut make)).collect::<Result<_, E>>()?,
        })
    }

    /// All of them, in a fixed order.
    pub fn into_vec(self) -> Vec<T> {
        let mut all = vec![self.weight_ih];
        all.extend(self.weight_hh);
        all.extend([self.bias_ih, self.bias_hh]);
        all.extend(self.leak);
        all.extend(self.norms.into_iter().flatten());
        all.extend(self.initial);
        all
    }
}

impl Tokens {
    /// The embedding's tensor.
    pub fn tensors(&self) -> TensorShapes {
        vec![(
            EMBEDDING.to_string(),
            vec![self.vocab_size, self.embedding_size],
        )]
    }
}

impl Recurrent {
    /// Layers without options.
    pub fn new(cell: Cell, hidden_size: usize, num_layers: usize) -> Self {
        Recurrent {
            cell,
            activation: Activation::default(),
            leak: None,
            skip: Vec::new(),
            hidden_size,
            num_layers,
            dropout: 0.0,
            bidirectional: false,
            layer_norm: false,
            residual: false,
            initial_state: InitialState::default(),
        }
    }

    /// The cell and its options in words, such as `leaky, leak 0.9, layer norm`.
    pub fn cell_description(&self) -> String {
        let mut words = vec![match self.cell {
            Cell::Rnn | Cell::Gru | Cell::Lstm => self.cell.name().to_uppercase(),
            Cell::Leaky | Cell::Skip => self.cell.name().to_string(),
        }];
        if self.activation != Activation::default() {
            words.push(self.activation.name().to_string());
        }
        if let Some(leak) = self.leak {
            words.push(match leak {
                Leak::Fixed(leak) => format!("leak {leak}"),
                Leak::Learnt => "leak learnt".to_string(),
            });
        }
        if !self.skip.is_empty() {
            let steps: Vec<String> = self.skip.iter().map(usize::to_string).collect();
            words.push(format!("skipping {} steps", steps.join(" and ")));
        }
        if self.layer_norm {
            words.push("layer norm".to_string());
        }
        if self.residual {
            words.push("residual".to_string());
        }
        words.join(", ")
    }

    /// What each layer computes.
    pub fn layer_spec(&self) -> LayerSpec {
        LayerSpec {
            cell: self.cell,
            activation: self.activation,
            hidden_size: self.hidden_size,
            lags: [&[1], &self.skip[..]].concat(),
        }
    }

    /// Names and shapes of the tensors of a layer over inputs of this width.
    pub fn layer(
        &self,
        direction: Direction,
        layer: usize,
        input_size: usize,
    ) -> LayerTensors<(String, Vec<usize>)> {
        let (size, rows) = (self.hidden_size, self.cell.gates() * self.hidden_size);
        let stack = stack_name(direction);
        let tensor =
            |which: &str, shape: &[usize]| (format!("{stack}.{which}_l{layer}"), shape.to_vec());
        let weight_hh = |lag: usize| match lag {
            1 => tensor("weight_hh", &[rows, size]),
            _ => tensor(&format!("weight_skip{lag}"), &[rows, size]),
        };
        let norms = || ["norm_ih", "norm_hh"].map(|which| tensor(which, &[rows]));
        let initial = |names: &[&str]| names.iter().map(|which| tensor(which, &[size])).collect();
        LayerTensors {
            weight_ih: tensor("weight_ih", &[rows, input_size]),
            weight_hh: self.layer_spec().lags.into_iter().map(weight_hh).collect(),
            bias_ih: tensor("bias_ih", &[rows]),
            bias_hh: tensor("bias_hh", &[rows]),
            leak: (self.leak == Some(Leak::Learnt)).then(|| tensor("leak", &[size])),
            norms: self.layer_norm.then(norms),
            initial: match (self.initial_state, self.cell) {
                (InitialState::Learned, Cell::Lstm) => initial(&["initial_hidden", "initial_cell"]),
                (InitialState::Learned, _) => initial(&["initial_hidden"]),
                _ => Vec::new(),
            },
        }
    }

    /// Names of the tensors of a layer.
    pub fn layer_names(&self, direction: Direction, layer: usize) -> LayerTensors<String> {
        self.layer(direction, layer, 0).map(|(name, _)| name)
    }

    /// The directions in which texts are read.
    pub fn directions(&self) -> &'static [Direction] {
        match self.bidirectional {
            false => &[Direction::Forward],
            true => &[Direction::Forward, Direction::Reverse],
        }
    }

    /// The positions of a direction's layers among those of all directions.
    pub fn stack(&self, direction: Direction) -> Range<usize> {
        match direction {
            Direction::Forward => 0..self.num_layers,
            Direction::Reverse => self.num_layers..2 * self.num_layers,
        }
    }

    /// Number of inputs of a classifier's head.
    pub fn pooled_size(&self) -> usize {
        self.directions().len() * POOLED * self.hidden_size
    }

    /// The tensors of all layers: the first reads `input_size` numbers, those above it `above`.
    pub fn tensors(&self, input_size: usize, above: usize) -> TensorShapes {
        let mut tensors = Vec::new();
        for &direction in self.directions() {
            for layer in 0..self.num_layers {
                let input_size = match layer {
                    0 => input_size,
                    _ => above,
                };
                tensors.extend(self.layer(direction, layer, input_size).into_vec());
            }
        }
        tensors
    }

    /// Checks that the cell's options suit it.
    ///
    /// # Errors
    /// An option of another cell, or one that is missing.
    pub fn check(&self) -> Result<(), String> {
        let cell = self.cell.name();
        if self.activation != Activation::Tanh && self.cell.has_gates() {
            return Err(format!(
                "the activation of {cell} is fixed; --activation is for rnn, leaky and skip"
            ));
        }
        match (self.cell, self.leak) {
            (Cell::Leaky, None) => return Err("leaky units need a leak".to_string()),
            (Cell::Leaky, _) | (_, None) => {}
            _ => return Err(format!("{cell} has no leak; --leak is for --cell leaky")),
        }
        match (self.cell, &self.skip[..]) {
            (Cell::Skip, []) => Err("skip connections need steps to skip".to_string()),
            (Cell::Skip, skip) => check_skip(skip),
            (_, []) => Ok(()),
            _ => Err(format!(
                "{cell} has no skip connections; --skip is for --cell skip"
            )),
        }
    }
}

/// Checks the steps of skip connections.
fn check_skip(skip: &[usize]) -> Result<(), String> {
    if let Some(wrong) = skip
        .iter()
        .find(|&&steps| !(2..=MOST_SKIPPED).contains(&steps))
    {
        return Err(format!(
            "a connection over {wrong} steps is not possible; give 2 to {MOST_SKIPPED}, such as --skip 4"
        ));
    }
    match skip.is_sorted_by(|a, b| a < b) {
        true => Ok(()),
        false => Err("give the steps of --skip in ascending order, each once".to_string()),
    }
}

/// The name of a tensor of the n-grams of `length` tokens, `which` of [`NGRAM_LEVEL_TENSORS`].
pub fn ngram_tensor(length: usize, which: &str) -> String {
    format!("ngrams.{length}.{which}")
}

impl Ngrams {
    /// The tensors, all of int32: tokens and counts of each length, and below the longest where those that continue an n-gram
    /// begin.
    pub fn tensors(&self) -> TensorShapes {
        let mut tensors = Vec::new();
        for (length, &ngrams) in (1..).zip(&self.ngrams) {
            let [tokens, counts, children] =
                NGRAM_LEVEL_TENSORS.map(|which| ngram_tensor(length, which));
            tensors.extend([(tokens, vec![ngrams]), (counts, vec![ngrams])]);
            if length < self.order {
                tensors.push((children, vec![ngrams + 1]));
            }
        }
        tensors
    }
}

impl Interpolation {
    /// What it is in words, such as `n-grams of up to 5 tokens and a cache of 500 tokens`.
    pub fn description(&self) -> String {
        let cache = match self.cache {
            0 => String::new(),
            tokens => format!(" and a cache of {tokens} tokens"),
        };
        format!("n-grams of up to {} tokens{cache}", self.ngrams.order)
    }

    /// The n-grams' tensors, then their weights, and those and the scale of a cache.
    pub fn tensors(&self) -> TensorShapes {
        let order = self.ngrams.order;
        let mut tensors = self.ngrams.tensors();
        tensors.push((INTERPOLATION_WEIGHTS.to_string(), vec![order]));
        if self.cache > 0 {
            tensors.push((CACHE_WEIGHTS.to_string(), vec![order]));
            tensors.push((CACHE_SCALE.to_string(), vec![1]));
        }
        tensors
    }
}

impl NextToken {
    /// The output's tensors that are learnt by gradients: the rows of the next token first, then of the one after.
    pub fn tensors(&self, vocab_size: usize, hidden_size: usize) -> TensorShapes {
        let outputs = self.horizon * vocab_size;
        let weight =
            (!self.tie_weights).then(|| (OUTPUT_WEIGHT.to_string(), vec![outputs, hidden_size]));
        weight
            .into_iter()
            .chain([(OUTPUT_BIAS.to_string(), vec![outputs])])
            .collect()
    }

    /// The tensors that are not learnt by gradients: vectors by latent semantic analysis, and what is interpolated.
    pub fn fitted(&self, vocab_size: usize) -> TensorShapes {
        let vectors = (LSA_WEIGHT.to_string(), vec![vocab_size, self.lsa_size]);
        let mut tensors: TensorShapes =
            (self.lsa_size > 0).then_some(vectors).into_iter().collect();
        if let Some(interpolation) = &self.interpolation {
            tensors.extend(interpolation.tensors());
        }
        tensors
    }
}

impl Labels {
    /// The head's tensors that are learnt by gradients.
    pub fn tensors(&self, pooled_size: usize) -> TensorShapes {
        let labels = self.labels.len();
        vec![
            (HEAD_WEIGHT.to_string(), vec![labels, pooled_size]),
            (HEAD_BIAS.to_string(), vec![labels]),
        ]
    }

    /// The tensors that are not learnt by gradients: the linear classifier and the calibration.
    pub fn fitted(&self) -> TensorShapes {
        let labels = self.labels.len();
        let named = |name: &str, shape: Vec<usize>| (name.to_string(), shape);
        vec![
            named(NGRAM_HASHES, vec![self.ngrams]),
            named(NGRAM_WEIGHTS, vec![self.ngrams, labels]),
            named(NGRAM_BIAS, vec![labels]),
            named(CALIBRATION_SCALES, vec![2]),
            named(CALIBRATION_BIAS, vec![labels]),
        ]
    }
}

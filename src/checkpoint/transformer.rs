/*!
Transformers that predict the next token from a window of tokens (Vaswani et al. 2017): the names and shapes of their tensors.
*/

use serde::{Deserialize, Serialize};

use super::architecture::TensorShapes;

/// The vectors of positions, where they are learnt, `[context, hidden_size]`.
pub const POSITION_EMBEDDING: &str = "position_embedding.weight";
/// The gains of the last normalisation, `[hidden_size]`.
pub const LAST_NORM: &str = "transformer.norm.weight";
/// What is added to a variance before its root is taken, as in PyTorch.
pub const NORM_EPSILON: f64 = 1e-5;
/// The period, over 2π, of the slowest rotation: the base of its frequencies.
const ROTARY_BASE: f64 = 10_000.0;
/// Width of a head, unless their number is given.
const HEAD_SIZE: usize = 32;
/// Width of the feed-forward layers in widths of the network.
const FEED_FORWARD: usize = 4;

/// A stack of blocks of attention and feed-forward layers, of which the decoder of Vaswani et al. (2017) is made, without a
/// source. A token sees itself and those before it in its window.
///
/// With `x` the vectors of tokens, and those of their positions where these are learnt, each layer adds to them
///
/// - `W_out [a_1; …; a_heads]`, where head `h` gives `a_t = Σ_s softmax_s(q_t · k_s / √head_size) v_s` over `s ≤ t`, with
///   `q`, `k` and `v` its parts of `W_in norm_1(x)`,
/// - `W_2 gelu(W_1 norm_2(x))` (Hendrycks and Gimpel 2016),
///
/// and the outputs are `norm(x)`. Each norm is a layer normalisation (Ba et al. 2016) with gains and without biases, before
/// what it belongs to (Xiong et al. 2020). With rotary positions (Su et al. 2021) each half of `q` and `k` is turned by angles
/// that grow with the position, so that their product depends on the distance alone. The layers are those of PyTorch's
/// `nn.TransformerEncoderLayer(hidden_size, heads, feed_forward_size, activation="gelu", norm_first=True, bias=False)` under a
/// causal mask, but for rotary positions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transformer {
    /// Width of the vectors that pass through all layers.
    pub hidden_size: usize,
    /// Stacked layers.
    pub num_layers: usize,
    /// Number of parts of the width that attend apart from each other.
    pub heads: usize,
    /// Most tokens that a prediction depends on.
    pub context: usize,
    /// How a token's place in its window is known.
    #[serde(default)]
    pub positions: Positions,
    /// Width of the feed-forward layers.
    pub feed_forward_size: usize,
    /// Fraction of what each layer adds that is dropped in training.
    pub dropout: f64,
}

/// How a token's place in its window is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Positions {
    /// By turning queries and keys (Su et al. 2021).
    #[default]
    Rotary,
    /// By a vector for each place, which is learnt.
    Learned,
}

impl Positions {
    /// Its name, in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Positions::Rotary => "rotary",
            Positions::Learned => "learned",
        }
    }
}

/// The tensors of a layer, or something of each.
#[derive(Clone, Debug)]
pub struct TransformerTensors<T> {
    /// The gains before attention, `[hidden_size]`.
    pub norm1: T,
    /// Queries, keys and values, below each other, `[3 · hidden_size, hidden_size]`.
    pub in_proj: T,
    /// `[hidden_size, hidden_size]`.
    pub out_proj: T,
    /// The gains before the feed-forward layer, `[hidden_size]`.
    pub norm2: T,
    /// `[feed_forward_size, hidden_size]`.
    pub linear1: T,
    /// `[hidden_size, feed_forward_size]`.
    pub linear2: T,
}

impl<T> TransformerTensors<T> {
    /// What `make` makes of each, unless it fails.
    ///
    /// # Errors
    /// The first of `make`.
    pub fn try_map<U, E>(
        self,
        mut make: impl FnMut(T) -> Result<U, E>,
    ) -> Result<TransformerTensors<U>, E> {
        Ok(TransformerTensors {
            norm1: make(self.norm1)?,
            in_proj: make(self.in_proj)?,
            out_proj: make(self.out_proj)?,
            norm2: make(self.norm2)?,
            linear1: make(self.linear1)?,
            linear2: make(self.linear2)?,
        })
    }

    /// What `make` makes of each.
    pub fn map<U>(self, mut make: impl FnMut(T) -> U) -> TransformerTensors<U> {
        let never: Result<_, std::convert::Infallible> = self.try_map(|one| Ok(make(one)));
        let Ok(tensors) = never;
        tensors
    }
}

impl Transformer {
    /// Layers of a width with the usual heads, as near to one for each 32 of the width as it can be divided, and feed-forward layers of four times the
    /// width.
    pub fn new(hidden_size: usize, num_layers: usize, context: usize) -> Self {
        let suits = |&heads: &usize| hidden_size.is_multiple_of(2 * heads);
        let distance = |&heads: &usize| (heads * HEAD_SIZE).abs_diff(hidden_size);
        Transformer {
            hidden_size,
            num_layers,
            heads: (1..=hidden_size)
                .filter(suits)
                .min_by_key(distance)
                .unwrap_or(1),
            context,
            positions: Positions::default(),
            feed_forward_size: FEED_FORWARD * hidden_size,
            dropout: 0.0,
        }
    }

    /// Width of a head.
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.heads
    }

    /// It in words, such as `transformer, 4 heads, context 128, rotary positions`.
    pub fn description(&self) -> String {
        format!(
            "transformer, {} heads, context {}, {} positions",
            self.heads,
            self.context,
            self.positions.name()
        )
    }

    /// Number of a window's first tokens that are left behind when it is full and another token comes: the second half is then
    /// read again, as the beginning of the next window.
    pub fn left_behind(&self) -> usize {
        self.context - self.context / 2
    }

    /// The angles by which a place turns each pair of numbers of a head: number `i` with number `i + head_size / 2`.
    pub fn angles(&self, position: usize) -> impl Iterator<Item = f64> {
        let pairs = self.head_size() / 2;
        let frequency = move |pair: usize| ROTARY_BASE.powf(-(pair as f64) / pairs as f64);
        (0..pairs).map(move |pair| position as f64 * frequency(pair))
    }

    /// What the names of a layer's tensors begin with.
    fn prefix(layer: usize) -> String {
        format!("transformer.layers.{layer}.")
    }

    /// The layer that a tensor belongs to; `None` for other tensors.
    pub fn layer_of(&self, tensor: &str) -> Option<usize> {
        (0..self.num_layers).find(|&layer| tensor.starts_with(&Self::prefix(layer)))
    }

    /// Names and shapes of the tensors of a layer.
    pub fn layer(&self, layer: usize) -> TransformerTensors<(String, Vec<usize>)> {
        let (width, inner) = (self.hidden_size, self.feed_forward_size);
        let tensor = |which: &str, shape: &[usize]| (Self::prefix(layer) + which, shape.to_vec());
        TransformerTensors {
            norm1: tensor("norm1.weight", &[width]),
            in_proj: tensor("self_attn.in_proj_weight", &[3 * width, width]),
            out_proj: tensor("self_attn.out_proj.weight", &[width, width]),
            norm2: tensor("norm2.weight", &[width]),
            linear1: tensor("linear1.weight", &[inner, width]),
            linear2: tensor("linear2.weight", &[width, inner]),
        }
    }

    /// All tensors, between the embedding and the head.
    pub fn tensors(&self) -> TensorShapes {
        let mut tensors = Vec::new();
        if self.positions == Positions::Learned {
            let shape = vec![self.context, self.hidden_size];
            tensors.push((POSITION_EMBEDDING.to_string(), shape));
        }
        for layer in 0..self.num_layers {
            let of_layer = self.layer(layer);
            tensors.extend([
                of_layer.norm1,
                of_layer.in_proj,
                of_layer.out_proj,
                of_layer.norm2,
                of_layer.linear1,
                of_layer.linear2,
            ]);
        }
        tensors.push((LAST_NORM.to_string(), vec![self.hidden_size]));
        tensors
    }

    /// Checks that the sizes suit each other.
    ///
    /// # Errors
    /// Heads that do not divide the width; rotary positions with heads of an odd width; a context of a single token.
    pub fn check(&self) -> Result<(), String> {
        let (heads, width) = (self.heads, self.hidden_size);
        if heads == 0 || !width.is_multiple_of(heads) {
            return Err(format!(
                "{heads} heads do not divide a width of {width} into equal parts; give other --heads, or another --hidden-size"
            ));
        }
        if self.positions == Positions::Rotary && !self.head_size().is_multiple_of(2) {
            return Err(format!(
                "rotary positions turn pairs of numbers, but each of {heads} heads has {} of a width of {width}; give other \
                 --heads, or --positions learned",
                self.head_size()
            ));
        }
        match self.context {
            0 | 1 => Err(format!(
                "a context of {} tokens leaves nothing to attend to; give 2 or more with --context",
                self.context
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_divide_the_width_into_even_parts() {
        let table = [
            (16, 1),
            (64, 2),
            (96, 3),
            (128, 4),
            (100, 2),
            (130, 5),
            (384, 12),
        ];
        for (width, expected) in table {
            let transformer = Transformer::new(width, 2, 64);
            assert_eq!(transformer.heads, expected, "{width}");
            assert_eq!(transformer.check(), Ok(()));
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let possible = Transformer::new(12, 2, 8);
        let learned = Positions::Learned;
        let table = [
            (
                Transformer {
                    heads: 5,
                    ..possible.clone()
                },
                false,
            ),
            (
                Transformer {
                    heads: 0,
                    ..possible.clone()
                },
                false,
            ),
            (
                Transformer {
                    heads: 4,
                    ..possible.clone()
                },
                false,
            ),
            (
                Transformer {
                    heads: 4,
                    positions: learned,
                    ..possible.clone()
                },
                true,
            ),
            (
                Transformer {
                    context: 1,
                    ..possible.clone()
                },
                false,
            ),
            (possible, true),
        ];
        for (transformer, expected) in table {
            assert_eq!(transformer.check().is_ok(), expected, "{transformer:?}");
        }
    }
}

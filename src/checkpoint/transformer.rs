/*!
Transformers that predict the next token from a window of tokens (Vaswani et al. 2017): the names and shapes of their tensors.
*/

use serde::{Deserialize, Serialize};

use super::architecture::TensorShapes;
use super::transformer_layer::{FEED_FORWARD, LayerShape, TransformerTensors, usual_heads};

/// The vectors of positions, where they are learnt, `[context, hidden_size]`.
pub const POSITION_EMBEDDING: &str = "position_embedding.weight";
/// What the names of its layers' tensors begin with.
pub const TRANSFORMER: &str = "transformer.";
/// Width of a head, unless their number is given.
const HEAD_SIZE: usize = 32;

/// A stack of layers of attention and feed-forward layers, of which the decoder of Vaswani et al. (2017) is made, without a
/// source. A token sees itself and those before it in its window.
///
/// The layers read the vectors of tokens, and of their positions added to them where these are learnt; [`LayerShape`] says what
/// each adds. The outputs are `norm(x)`. The layers are those of PyTorch's
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

impl Transformer {
    /// Layers of a width with the usual heads, as near to one for each 32 of the width as it can be divided, and feed-forward
    /// layers of four times the width.
    pub fn new(hidden_size: usize, num_layers: usize, context: usize) -> Self {
        Transformer {
            hidden_size,
            num_layers,
            heads: usual_heads(hidden_size, HEAD_SIZE),
            context,
            positions: Positions::default(),
            feed_forward_size: FEED_FORWARD * hidden_size,
            dropout: 0.0,
        }
    }

    /// The sizes of each layer.
    pub fn shape(&self) -> LayerShape {
        LayerShape {
            hidden_size: self.hidden_size,
            heads: self.heads,
            feed_forward_size: self.feed_forward_size,
        }
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

    /// The layer that a tensor belongs to; `None` for other tensors.
    pub fn layer_of(&self, tensor: &str) -> Option<usize> {
        (0..self.num_layers)
            .find(|&layer| tensor.starts_with(&LayerShape::prefix(TRANSFORMER, layer)))
    }

    /// Names and shapes of the tensors of a layer.
    pub fn layer(&self, layer: usize) -> TransformerTensors<(String, Vec<usize>)> {
        self.shape().layer(TRANSFORMER, layer, false)
    }

    /// All tensors, between the embedding and the head.
    pub fn tensors(&self) -> TensorShapes {
        let mut tensors = Vec::new();
        if self.positions == Positions::Learned {
            let shape = vec![self.context, self.hidden_size];
            tensors.push((POSITION_EMBEDDING.to_string(), shape));
        }
        tensors.extend(self.shape().tensors(TRANSFORMER, self.num_layers, false));
        tensors
    }

    /// Checks that the sizes suit each other.
    ///
    /// # Errors
    /// Heads that do not divide the width; rotary positions with heads of an odd width; a context of a single token.
    pub fn check(&self) -> Result<(), String> {
        self.shape().check(self.positions == Positions::Rotary)?;
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

/*!
Transformers that turn one sequence into another (Vaswani et al. 2017): an encoder over the source, and a decoder that writes
the target; the names and shapes of their tensors.
*/

use serde::{Deserialize, Serialize};

use super::architecture::{NextToken, TensorShapes, Tokens};
use super::encoder_decoder::{DECODER, ENCODER, Target};
use super::transformer_layer::{FEED_FORWARD, LayerShape, usual_heads};

/// Usual width of a head, but for narrow networks, which have a number of heads.
const HEAD_SIZE: usize = 64;
const HEADS: usize = 4;

/// An encoder and a decoder of attention and feed-forward layers.
///
/// Both read the vectors of tokens; [`LayerShape`] says what each layer adds to them. In the encoder's layers a token sees all
/// of its sentence. In the decoder's, a token sees itself and those before it, and by cross-attention all of the encoder's
/// outputs. Both end with a norm; the output is `W y + b`, where `y` are the decoder's outputs. Positions are rotary, so that no
/// sentence is too long. The layers are those of PyTorch's `nn.Transformer(hidden_size, heads, num_layers, num_layers,
/// feed_forward_size, activation="gelu", norm_first=True, bias=False)`, but for rotary positions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransformerEncoderDecoder {
    /// What the decoder reads and writes.
    pub target: Tokens,
    /// Whether source and target have one vocabulary, and one embedding.
    #[serde(default)]
    pub shared_vocabulary: bool,
    /// Width of the vectors that pass through all layers.
    pub hidden_size: usize,
    /// Stacked layers of the encoder, and of the decoder.
    pub num_layers: usize,
    /// Number of parts of the width that attend apart from each other.
    pub heads: usize,
    /// Width of the feed-forward layers.
    pub feed_forward_size: usize,
    /// Fraction of the vectors of tokens, and of what each layer adds to them, that is dropped in training.
    pub dropout: f64,
}

impl TransformerEncoderDecoder {
    /// Layers of a width with the usual heads, about four or one for each 64 of the width, and feed-forward layers of four
    /// times the width.
    pub fn new(target: Tokens, shared_vocabulary: bool, num_layers: usize) -> Self {
        let hidden_size = target.embedding_size;
        TransformerEncoderDecoder {
            target,
            shared_vocabulary,
            hidden_size,
            num_layers,
            heads: usual_heads(hidden_size, HEAD_SIZE.min(hidden_size / HEADS)),
            feed_forward_size: FEED_FORWARD * hidden_size,
            dropout: 0.0,
        }
    }

    /// What it writes.
    pub fn written(&self) -> Target<'_> {
        Target {
            tokens: &self.target,
            shared_vocabulary: self.shared_vocabulary,
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

    /// It in words, such as `transformer, 4 heads`.
    pub fn description(&self) -> String {
        format!("transformer, {} heads", self.heads)
    }

    /// All tensors, for a source of these tokens.
    pub fn tensors(&self, source: &Tokens, head: &NextToken) -> TensorShapes {
        let stack = |name, crosses| self.shape().tensors(name, self.num_layers, crosses);
        [
            self.written().embedding_tensors(source),
            stack(ENCODER, false),
            stack(DECODER, true),
            self.written().output_tensors(head),
        ]
        .concat()
    }

    /// Checks that the parts suit each other, for a source of these tokens.
    ///
    /// # Errors
    /// A shared vocabulary of two sizes, vectors of tokens of another width, heads that do not divide it.
    pub fn check(&self, source: &Tokens, head: &NextToken) -> Result<(), String> {
        self.written().check(source, head)?;
        for tokens in [source, &self.target] {
            if tokens.embedding_size != self.hidden_size {
                return Err(format!(
                    "the vectors of tokens pass through all layers of a transformer, and have its width, but embedding_size is \
                     {} and hidden_size {}; leave --embedding-size away",
                    tokens.embedding_size, self.hidden_size
                ));
            }
        }
        self.shape().check(true)
    }
}

/*!
The layers that transformers are made of: the names and shapes of their tensors.
*/

use super::architecture::TensorShapes;

/// What is added to a variance before its root is taken, as in PyTorch.
pub const NORM_EPSILON: f64 = 1e-5;
/// Usual width of feed-forward layers, in widths of the network.
pub const FEED_FORWARD: usize = 4;
/// The period, over 2π, of the slowest rotation: the base of its frequencies.
const ROTARY_BASE: f64 = 10_000.0;

/// The sizes of a layer of attention and of a feed-forward layer (Vaswani et al. 2017).
///
/// With `x` the vectors that pass through the layers, each layer adds to them, one after the other,
///
/// - self-attention, `W_out [a_1; …; a_heads]`, where head `h` gives `a_t = Σ_s softmax_s(q_t · k_s / √head_size) v_s`, with
///   `q`, `k` and `v` its parts of `W_in norm(x)`,
/// - in the decoder of a translator cross-attention: the same, but for `k` and `v`, which are parts of `W_in m`, where `m` are
///   the encoder's outputs,
/// - `W_2 gelu(W_1 norm(x))` (Hendrycks and Gimpel 2016).
///
/// Each norm is a layer normalisation (Ba et al. 2016) with gains and without biases, before what it belongs to (Xiong et al.
/// 2020). With rotary positions (Su et al. 2021) each half of `q` and `k` of self-attention is turned by angles that grow with
/// the position, so that their product depends on the distance alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// Width of the vectors that pass through all layers.
    pub hidden_size: usize,
    /// Number of parts of the width that attend apart from each other.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub feed_forward_size: usize,
}

/// The tensors of a layer, or something of each.
#[derive(Clone, Debug)]
pub struct TransformerTensors<T> {
    /// What a token sees of those of its own sequence.
    pub self_attention: AttentionTensors<T>,
    /// What a token sees of the source, in a translator's decoder.
    pub cross_attention: Option<AttentionTensors<T>>,
    /// What is made of each vector alone.
    pub feed_forward: FeedForwardTensors<T>,
}

/// The tensors of attention.
#[derive(Clone, Debug)]
pub struct AttentionTensors<T> {
    /// The gains before it, `[hidden_size]`.
    pub norm: T,
    /// Queries, keys and values, below each other, `[3 · hidden_size, hidden_size]`.
    pub in_proj: T,
    /// `[hidden_size, hidden_size]`.
    pub out_proj: T,
}

/// The tensors of a feed-forward layer.
#[derive(Clone, Debug)]
pub struct FeedForwardTensors<T> {
    /// The gains before it, `[hidden_size]`.
    pub norm: T,
    /// `[feed_forward_size, hidden_size]`.
    pub linear1: T,
    /// `[hidden_size, feed_forward_size]`.
    pub linear2: T,
}

impl<T> AttentionTensors<T> {
    fn try_map<U, E>(
        self,
        mut make: impl FnMut(T) -> Result<U, E>,
    ) -> Result<AttentionTensors<U>, E> {
        Ok(AttentionTensors {
            norm: make(self.norm)?,
            in_proj: make(self.in_proj)?,
            out_proj: make(self.out_proj)?,
        })
    }
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
        let cross = self.cross_attention;
        Ok(TransformerTensors {
            self_attention: self.self_attention.try_map(&mut make)?,
            cross_attention: cross
                .map(|tensors| tensors.try_map(&mut make))
                .transpose()?,
            feed_forward: FeedForwardTensors {
                norm: make(self.feed_forward.norm)?,
                linear1: make(self.feed_forward.linear1)?,
                linear2: make(self.feed_forward.linear2)?,
            },
        })
    }

    /// What `make` makes of each.
    pub fn map<U>(self, mut make: impl FnMut(T) -> U) -> TransformerTensors<U> {
        let never: Result<_, std::convert::Infallible> = self.try_map(|one| Ok(make(one)));
        let Ok(tensors) = never;
        tensors
    }

    /// All of them, in a fixed order.
    pub fn into_vec(self) -> Vec<T> {
        let attention = [Some(self.self_attention), self.cross_attention];
        let attention = attention.into_iter().flatten();
        let mut all: Vec<T> = attention
            .flat_map(|tensors| [tensors.norm, tensors.in_proj, tensors.out_proj])
            .collect();
        let last = self.feed_forward;
        all.extend([last.norm, last.linear1, last.linear2]);
        all
    }
}

impl LayerShape {
    /// Width of a head.
    pub fn head_size(self) -> usize {
        self.hidden_size / self.heads
    }

    /// The angles by which a place turns each pair of numbers of a head: number `i` with number `i + head_size / 2`.
    pub fn angles(self, position: usize) -> impl Iterator<Item = f64> {
        let pairs = self.head_size() / 2;
        let frequency = move |pair: usize| ROTARY_BASE.powf(-(pair as f64) / pairs as f64);
        (0..pairs).map(move |pair| position as f64 * frequency(pair))
    }

    /// What the names of the tensors of layer `layer` begin with, where those of the stack begin with `stack`.
    pub fn prefix(stack: &str, layer: usize) -> String {
        format!("{stack}layers.{layer}.")
    }

    /// Names and shapes of the tensors of layer `layer` of a stack, with cross-attention if it `crosses`: those of PyTorch's
    /// `nn.TransformerEncoderLayer`, or `nn.TransformerDecoderLayer`.
    pub fn layer(
        self,
        stack: &str,
        layer: usize,
        crosses: bool,
    ) -> TransformerTensors<(String, Vec<usize>)> {
        let (width, inner) = (self.hidden_size, self.feed_forward_size);
        let prefix = Self::prefix(stack, layer);
        let tensor = |which: &str, shape: &[usize]| (format!("{prefix}{which}"), shape.to_vec());
        let norm = |number: usize| tensor(&format!("norm{number}.weight"), &[width]);
        let attention = |which: &str, number: usize| AttentionTensors {
            norm: norm(number),
            in_proj: tensor(&format!("{which}.in_proj_weight"), &[3 * width, width]),
            out_proj: tensor(&format!("{which}.out_proj.weight"), &[width, width]),
        };
        TransformerTensors {
            self_attention: attention("self_attn", 1),
            cross_attention: crosses.then(|| attention("multihead_attn", 2)),
            feed_forward: FeedForwardTensors {
                norm: norm(2 + usize::from(crosses)),
                linear1: tensor("linear1.weight", &[inner, width]),
                linear2: tensor("linear2.weight", &[width, inner]),
            },
        }
    }

    /// The name of the gains of a stack's last normalisation, `[hidden_size]`.
    pub fn last_norm(stack: &str) -> String {
        format!("{stack}norm.weight")
    }

    /// The tensors of a stack of so many layers, and of the normalisation after the last.
    pub fn tensors(self, stack: &str, num_layers: usize, crosses: bool) -> TensorShapes {
        let layers = 0..num_layers;
        let layers = layers.flat_map(|layer| self.layer(stack, layer, crosses).into_vec());
        let last = (Self::last_norm(stack), vec![self.hidden_size]);
        layers.chain([last]).collect()
    }

    /// Checks that the sizes suit each other; `rotates` says whether queries and keys are turned.
    ///
    /// # Errors
    /// Heads that do not divide the width; rotary positions with heads of an odd width.
    pub fn check(self, rotates: bool) -> Result<(), String> {
        let (heads, width) = (self.heads, self.hidden_size);
        if heads == 0 || !width.is_multiple_of(heads) {
            return Err(format!(
                "{heads} heads do not divide a width of {width} into equal parts; give other --heads, or another --hidden-size"
            ));
        }
        match rotates && !self.head_size().is_multiple_of(2) {
            true => Err(format!(
                "rotary positions turn pairs of numbers, but each of {heads} heads has {} of a width of {width}; give other \
                 --heads, or another --hidden-size",
                self.head_size()
            )),
            false => Ok(()),
        }
    }
}

/// The number of heads that divides a width into parts of about a size, whose numbers can be turned in pairs.
pub fn usual_heads(hidden_size: usize, head_size: usize) -> usize {
    let suits = |&heads: &usize| hidden_size.is_multiple_of(2 * heads);
    let distance = |&heads: &usize| (heads * head_size).abs_diff(hidden_size);
    let all = (1..=hidden_size).filter(suits);
    all.min_by_key(distance).unwrap_or(1)
}

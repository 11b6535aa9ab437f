/*!
A transformer's layer in libtorch's operations, as its equations have it ([`LayerShape`]). The vectors that pass through the
layers keep the parameters' kind; products are in another.
*/

use tch::{Device, Kind, Tensor};

use carousel::checkpoint::transformer_layer::{
    AttentionTensors, FeedForwardTensors, LayerShape, NORM_EPSILON,
};

/// How the layers of a stack read a batch.
pub(super) struct Layers<'a> {
    /// Their sizes.
    pub shape: LayerShape,
    /// The kind of the products.
    pub kind: Kind,
    /// The angle of each pair of numbers at each step, `[steps, head_size / 2]`; nothing where positions are learnt.
    pub angles: Option<&'a Tensor>,
    /// Whether a token sees no later ones.
    pub causal: bool,
    /// Which tokens of its own sequences are seen, `[batch_size, 1, 1, steps]`; all, if there is no mask.
    pub seen: Option<&'a Tensor>,
}

/// Another sequence that is seen.
pub(super) struct Other<'a> {
    /// Its outputs, `[steps, batch_size, hidden_size]`, in the kind of the products.
    pub outputs: &'a Tensor,
    /// Which of them are seen, `[batch_size, 1, 1, steps]`.
    pub seen: &'a Tensor,
}

/// Queries, keys and values, `[batch_size, heads, steps, head_size]` each.
struct Heads {
    query: Tensor,
    key: Tensor,
    value: Tensor,
}

impl Layers<'_> {
    /// What a layer adds by self-attention to the vectors, `[steps, batch_size, hidden_size]`.
    pub fn self_attention(&self, x: &Tensor, weights: &AttentionTensors<&Tensor>) -> Tensor {
        let read = norm(x, weights.norm).to_kind(self.kind);
        let [query, key, value] = self.heads::<3>(&linear(&read, weights.in_proj));
        let turned = |x: Tensor| match self.angles {
            Some(angles) => turned(&x, angles),
            None => x,
        };
        let heads = Heads {
            query: turned(query),
            key: turned(key),
            value,
        };
        linear(&attend(&heads, self.seen, self.causal), weights.out_proj)
    }

    /// What a layer adds by attention to another sequence.
    pub fn cross_attention(
        &self,
        x: &Tensor,
        other: &Other,
        weights: &AttentionTensors<&Tensor>,
    ) -> Tensor {
        let read = norm(x, weights.norm).to_kind(self.kind);
        let width = self.shape.hidden_size as i64;
        let parts = weights.in_proj.split_with_sizes([width, 2 * width], 0);
        let [query] = self.heads::<1>(&linear(&read, &parts[0]));
        let [key, value] = self.heads::<2>(&linear(other.outputs, &parts[1]));
        let heads = Heads { query, key, value };
        linear(&attend(&heads, Some(other.seen), false), weights.out_proj)
    }

    /// What a layer adds by its feed-forward layer.
    pub fn feed_forward(&self, x: &Tensor, weights: &FeedForwardTensors<&Tensor>) -> Tensor {
        let read = norm(x, weights.norm).to_kind(self.kind);
        linear(
            &linear(&read, weights.linear1).gelu("none"),
            weights.linear2,
        )
    }

    /// Queries, keys or values of all heads, `[batch_size, heads, steps, head_size]` each, which lie side by side.
    fn heads<const N: usize>(&self, projected: &Tensor) -> [Tensor; N] {
        let (heads, size) = (self.shape.heads as i64, self.shape.head_size() as i64);
        let [steps, batch_size] = [projected.size()[0], projected.size()[1]];
        let parts = projected
            .view([steps, batch_size, N as i64, heads, size])
            .permute([2, 1, 3, 0, 4]);
        std::array::from_fn(|part| parts.get(part as i64))
    }
}

/// Layer normalisation with gains (Ba et al. 2016).
pub(super) fn norm(x: &Tensor, gains: &Tensor) -> Tensor {
    x.layer_norm(gains.size(), Some(gains), None, NORM_EPSILON, false)
}

/// Vectors with what is added to them, `[steps, batch_size, hidden_size]`, of which a mask drops some. The mask is of at least so
/// many rows, `[_, hidden_size]`.
pub(super) fn added(x: &Tensor, added: &Tensor, mask: Option<&Tensor>) -> Tensor {
    // Not in place: the norms need what they read for their gradients.
    x + dropped(&added.to_kind(x.kind()), mask)
}

/// Values, `[steps, batch_size, hidden_size]`, of which a mask drops some.
pub(super) fn dropped(x: &Tensor, mask: Option<&Tensor>) -> Tensor {
    match mask {
        Some(mask) => x * mask.narrow(0, 0, x.size()[0] * x.size()[1]).view_as(x),
        None => x.shallow_clone(),
    }
}

/// The angle of each pair at each step, `[steps, head_size / 2]`, in float64.
pub(super) fn angles(shape: LayerShape, steps: usize, device: Device) -> Tensor {
    let angles: Vec<f64> = (0..steps).flat_map(|step| shape.angles(step)).collect();
    Tensor::from_slice(&angles)
        .view([steps as i64, -1])
        .to_device(device)
}

/// Products with a matrix.
fn linear(x: &Tensor, weight: &Tensor) -> Tensor {
    x.linear::<Tensor>(&weight.to_kind(x.kind()), None)
}

/// What each query sees of the values, all heads side by side, `[steps, batch_size, hidden_size]` (Vaswani et al. 2017).
fn attend(heads: &Heads, seen: Option<&Tensor>, causal: bool) -> Tensor {
    let Heads { query, key, value } = heads;
    let found = Tensor::scaled_dot_product_attention::<&Tensor>(
        query, key, value, seen, 0.0, causal, None, false,
    );
    let [batch_size, heads, steps, size] = query.size()[..] else {
        panic!("queries are [batch_size, heads, steps, head_size]");
    };
    found
        .permute([2, 0, 1, 3])
        .reshape([steps, batch_size, heads * size])
}

/// Turns each number of the first half with its partner of the second (Su et al. 2021).
fn turned(x: &Tensor, angles: &Tensor) -> Tensor {
    let (cosine, sine) = (
        angles.cos().to_kind(x.kind()),
        angles.sin().to_kind(x.kind()),
    );
    let halves = x.chunk(2, -1);
    let (first, second) = (&halves[0], &halves[1]);
    Tensor::cat(
        &[
            first * &cosine - second * &sine,
            second * &cosine + first * &sine,
        ],
        -1,
    )
}

/// The initial values of a transformer's tensor with this name and shape: matrices uniform within 1/√inputs, as PyTorch has
/// them, and those whose products are added to what passes through the `num_layers` layers smaller, the more layers there are
/// (Radford et al. 2019); vectors of tokens and positions small; gains one.
pub(super) fn initial(num_layers: usize, name: &str, size: &[i64]) -> Tensor {
    const SMALL: f64 = 0.02;
    let float_cpu = (Kind::Float, Device::Cpu);
    let bound = || 1.0 / (size[1] as f64).sqrt();
    let uniform = |bound: f64| Tensor::empty(size, float_cpu).uniform_(-bound, bound);
    match name {
        name if name.contains("norm") => Tensor::ones(size, float_cpu),
        name if name.contains("embedding") => Tensor::randn(size, float_cpu) * SMALL,
        name if name.contains("bias") => Tensor::zeros(size, float_cpu),
        name if name.ends_with("out_proj.weight") || name.ends_with("linear2.weight") => {
            uniform(bound() / (2.0 * num_layers as f64).sqrt())
        }
        _ => uniform(bound()),
    }
}

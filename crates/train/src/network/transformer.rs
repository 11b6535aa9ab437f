/*!
The forward pass of a transformer's layers, in libtorch's operations, as its equations have it
([`Transformer`](carousel::checkpoint::transformer::Transformer)).
*/

use tch::{Device, Kind, Tensor};

use super::recurrent::{Network, Reading};
use carousel::checkpoint::transformer::{
    LAST_NORM, NORM_EPSILON, POSITION_EMBEDDING, Positions, Transformer, TransformerTensors,
};

impl Network {
    /// The layers' outputs over the vectors of a window, `[steps, batch_size, hidden_size]` both, in the kind of the products.
    /// The vectors that pass through the layers keep the parameters' kind.
    ///
    /// # Panics
    /// If the window is longer than the context.
    pub(super) fn transformed(
        &self,
        shape: &Transformer,
        vectors: &Tensor,
        reading: &Reading,
    ) -> Tensor {
        let [steps, batch_size, width] = vectors.size()[..] else {
            panic!("vectors are [steps, batch_size, hidden_size]");
        };
        assert!(steps as usize <= shape.context, "a window of the context");
        let (kind, own) = (reading.kind, self.parameters.get(LAST_NORM).kind());
        let angles = (shape.positions == Positions::Rotary)
            .then(|| angles(shape, steps as usize).to_device(vectors.device()));
        let mut x = vectors.to_kind(own);
        if shape.positions == Positions::Learned {
            let places = self.parameters.get(POSITION_EMBEDDING);
            x = &x + places.narrow(0, 0, steps).unsqueeze(1);
        }
        let dropped = |part: usize, added: Tensor| match &reading.masks.outputs[part] {
            Some(mask) => {
                let mask = mask.narrow(0, 0, steps * batch_size);
                added.to_kind(own) * mask.view([steps, batch_size, width])
            }
            None => added.to_kind(own),
        };
        for layer in 0..shape.num_layers {
            let weights = shape
                .layer(layer)
                .map(|(name, _)| self.parameters.get(&name));
            let read = norm(&x, weights.norm1).to_kind(kind);
            // Not in place: the norms need what they read for their gradients.
            x = &x
                + dropped(
                    2 * layer,
                    attention(shape, &read, &weights, angles.as_ref()),
                );
            let read = norm(&x, weights.norm2).to_kind(kind);
            x = &x + dropped(2 * layer + 1, feed_forward(&read, &weights));
        }
        norm(&x, self.parameters.get(LAST_NORM)).to_kind(kind)
    }
}

/// Layer normalisation with gains (Ba et al. 2016).
fn norm(x: &Tensor, gains: &Tensor) -> Tensor {
    x.layer_norm(gains.size(), Some(gains), None, NORM_EPSILON, false)
}

/// Products with a matrix.
fn linear(x: &Tensor, weight: &Tensor) -> Tensor {
    x.linear::<Tensor>(&weight.to_kind(x.kind()), None)
}

/// What each token sees of itself and those before it (Vaswani et al. 2017).
fn attention(
    shape: &Transformer,
    x: &Tensor,
    weights: &TransformerTensors<&Tensor>,
    angles: Option<&Tensor>,
) -> Tensor {
    let (heads, head_size) = (shape.heads as i64, shape.head_size() as i64);
    let [steps, batch_size] = [x.size()[0], x.size()[1]];
    // [3, batch_size, heads, steps, head_size]
    let projected = linear(x, weights.in_proj)
        .view([steps, batch_size, 3, heads, head_size])
        .permute([2, 1, 3, 0, 4]);
    let [query, key, value] = [0, 1, 2].map(|part| projected.get(part));
    let turned = |x: Tensor| angles.map_or_else(|| x.shallow_clone(), |angles| turned(&x, angles));
    let seen = Tensor::scaled_dot_product_attention::<Tensor>(
        &turned(query),
        &turned(key),
        &value,
        None,
        0.0,
        true,
        None,
        false,
    );
    let seen = seen
        .permute([2, 0, 1, 3])
        .reshape([steps, batch_size, heads * head_size]);
    linear(&seen, weights.out_proj)
}

fn feed_forward(x: &Tensor, weights: &TransformerTensors<&Tensor>) -> Tensor {
    linear(&linear(x, weights.linear1).gelu("none"), weights.linear2)
}

/// The angle of each pair at each step, `[steps, head_size / 2]`, in float64.
fn angles(shape: &Transformer, steps: usize) -> Tensor {
    let angles: Vec<f64> = (0..steps).flat_map(|step| shape.angles(step)).collect();
    Tensor::from_slice(&angles).view([steps as i64, -1])
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
/// them, and those whose products are added to what passes through the layers smaller, the more layers there are (Radford et
/// al. 2019); vectors of tokens and positions small; gains one.
pub(super) fn initial(shape: &Transformer, name: &str, size: &[i64]) -> Tensor {
    const SMALL: f64 = 0.02;
    let float_cpu = (Kind::Float, Device::Cpu);
    let bound = || 1.0 / (size[1] as f64).sqrt();
    let uniform = |bound: f64| Tensor::empty(size, float_cpu).uniform_(-bound, bound);
    match name {
        name if name.contains("norm") => Tensor::ones(size, float_cpu),
        name if name.contains("embedding") => Tensor::randn(size, float_cpu) * SMALL,
        name if name.contains("bias") => Tensor::zeros(size, float_cpu),
        name if name.ends_with("out_proj.weight") || name.ends_with("linear2.weight") => {
            uniform(bound() / (2.0 * shape.num_layers as f64).sqrt())
        }
        _ => uniform(bound()),
    }
}

/*!
The forward pass of a transformer's layers, in libtorch's operations, as its equations have it
([`Transformer`](carousel::checkpoint::transformer::Transformer)).
*/

use tch::Tensor;

use super::recurrent::{Network, Reading};
use super::transformer_layer::{Layers, added, angles, norm};
use carousel::checkpoint::transformer::{POSITION_EMBEDDING, Positions, TRANSFORMER, Transformer};
use carousel::checkpoint::transformer_layer::LayerShape;

impl Network {
    /// The layers' outputs over the vectors of a window, `[steps, batch_size, hidden_size]` both, in the kind of the products.
    /// The vectors that pass through the layers keep the parameters' kind.
    ///
    /// # Panics
    /// If the window is longer than the context.
    pub(super) fn transformed(
        &self,
        body: &Transformer,
        vectors: &Tensor,
        reading: &Reading,
    ) -> Tensor {
        let (steps, kind) = (vectors.size()[0], reading.kind);
        assert!(steps as usize <= body.context, "a window of the context");
        let gains = self.parameters.get(&LayerShape::last_norm(TRANSFORMER));
        let rotates = body.positions == Positions::Rotary;
        let angles = rotates.then(|| angles(body.shape(), steps as usize, vectors.device()));
        let mut x = vectors.to_kind(gains.kind());
        if body.positions == Positions::Learned {
            let places = self.parameters.get(POSITION_EMBEDDING);
            x = &x + places.narrow(0, 0, steps).unsqueeze(1);
        }
        let layers = Layers {
            shape: body.shape(),
            kind,
            angles: angles.as_ref(),
            causal: true,
            seen: None,
        };
        let masks = &reading.masks.outputs;
        for layer in 0..body.num_layers {
            let weights = body
                .layer(layer)
                .map(|(name, _)| self.parameters.get(&name));
            let seen = layers.self_attention(&x, &weights.self_attention);
            x = added(&x, &seen, masks[2 * layer].as_ref());
            let made = layers.feed_forward(&x, &weights.feed_forward);
            x = added(&x, &made, masks[2 * layer + 1].as_ref());
        }
        norm(&x, gains).to_kind(kind)
    }
}

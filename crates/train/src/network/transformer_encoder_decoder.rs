/*!
The forward pass of a translator that is a transformer, in libtorch's operations, as its equations have it
([`TransformerEncoderDecoder`]).

All values are time-major, `[steps, pairs, width]`; sequences that are shorter than the longest are filled up at their end,
and nothing depends on what they are filled up with.
*/

use tch::{Kind, Tensor};

use super::dropout::{LayerMasks, TranslationMasks};
use super::encoder_decoder::Sources;
use super::recurrent::Network;
use super::transformer_layer::{Layers, Other, added, angles, dropped, norm};
use carousel::checkpoint::architecture::EMBEDDING;
use carousel::checkpoint::encoder_decoder::{DECODER, ENCODER};
use carousel::checkpoint::transformer_encoder_decoder::TransformerEncoderDecoder;
use carousel::checkpoint::transformer_layer::LayerShape;

/// A translator's network for a batch.
pub struct TransformerTranslation<'a> {
    network: &'a Network,
    body: &'a TransformerEncoderDecoder,
    masks: &'a TranslationMasks,
    kind: Kind,
}

impl<'a> TransformerTranslation<'a> {
    /// A network with masks, and with products in a kind of numbers.
    pub fn new(
        network: &'a Network,
        body: &'a TransformerEncoderDecoder,
        masks: &'a TranslationMasks,
        kind: Kind,
    ) -> Self {
        TransformerTranslation {
            network,
            body,
            masks,
            kind,
        }
    }

    /// The decoder's outputs, `[steps, pairs, hidden_size]`, in the kind of the products, after the target's tokens `read`,
    /// `[steps, pairs]`.
    pub fn outputs(&self, sources: &Sources, read: &Tensor) -> Tensor {
        let seen = sources.seen();
        let memory = self.stack(ENCODER, &sources.tokens, Some(&seen), None);
        let other = Other {
            outputs: &memory,
            seen: &seen,
        };
        self.stack(DECODER, read, None, Some(&other))
    }

    /// The outputs of the encoder, or of the decoder, which sees another sequence.
    fn stack(
        &self,
        stack: &str,
        tokens: &Tensor,
        seen: Option<&Tensor>,
        other: Option<&Other>,
    ) -> Tensor {
        let shape = self.body.shape();
        let angles = angles(shape, tokens.size()[0] as usize, tokens.device());
        let layers = Layers {
            shape,
            kind: self.kind,
            angles: Some(&angles),
            causal: other.is_some(),
            seen,
        };
        let side = usize::from(other.is_some());
        let all_masks = [&self.masks.encoder, &self.masks.decoder][side];
        let mut x = self.vectors(tokens, side);
        let each = all_masks.chunks_exact(all_masks.len() / self.body.num_layers);
        for (layer, masks) in each.enumerate() {
            let tensors = shape.layer(stack, layer, other.is_some());
            let weights = tensors.map(|(name, _)| self.network.parameters.get(&name));
            let mut masks = masks.iter().map(|mask: &LayerMasks| mask.outputs.as_ref());
            let mut mask = || masks.next().flatten();
            let found = layers.self_attention(&x, &weights.self_attention);
            x = added(&x, &found, mask());
            if let (Some(weights), Some(other)) = (&weights.cross_attention, other) {
                x = added(&x, &layers.cross_attention(&x, other, weights), mask());
            }
            let made = layers.feed_forward(&x, &weights.feed_forward);
            x = added(&x, &made, mask());
        }
        let gains = self.network.parameters.get(&LayerShape::last_norm(stack));
        norm(&x, gains).to_kind(self.kind)
    }

    /// The vectors of tokens, `[steps, pairs]`, of the source (0) or of the target (1).
    fn vectors(&self, tokens: &Tensor, side: usize) -> Tensor {
        let name = [EMBEDDING, self.body.written().embedding()][side];
        let embedding = self.network.parameters.get(name);
        let masked = self.masks.tokens[side].as_ref();
        let embedding = masked.map_or_else(|| embedding.shallow_clone(), |mask| embedding * mask);
        let vectors = Tensor::embedding(&embedding, tokens, -1, false, false);
        dropped(&vectors, self.masks.inputs[side].as_ref())
    }
}

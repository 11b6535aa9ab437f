/*!
The forward pass of embedding or numbers, recurrent layers or a transformer, and the next-token or values head.
A bidirectional network has a second stack, which reads texts from their end, over the same embedding.

The parameters are this program's own, under PyTorch's names, over libtorch's LSTM operation: `tch::nn::lstm` freezes its
dropout when it is built, and would drop units in evaluation too.
*/

use tch::{Device, Kind, Tensor};

use super::cells;
use super::dropout::DropoutMasks;
use super::parameters::NamedTensors;
use super::state::State;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::{EMBEDDING, InitialState, LayerTensors, Recurrent};
use carousel::text::Direction;

/// A network's configuration and parameters.
pub struct Network {
    /// Its configuration.
    pub config: ModelConfig,
    /// Its parameters, named and ordered as in [`ModelConfig::tensors`]; each asks for gradients.
    pub parameters: NamedTensors,
}

/// How a window is read.
pub struct Reading<'a> {
    /// The direction, which chooses the stack.
    pub direction: Direction,
    /// Dropout masks.
    pub masks: &'a DropoutMasks,
    /// Kind of the numbers in products. Parameters, logits and state keep theirs.
    pub kind: Kind,
    /// What is added to the vectors that are read, `[steps, batch_size, embedding_size]`.
    pub perturbation: Option<&'a Tensor>,
}

impl Network {
    /// The device of its parameters.
    pub fn device(&self) -> Device {
        self.head().1.device()
    }

    /// A layer's parameters.
    pub fn layer(&self, direction: Direction, layer: usize) -> LayerTensors<&Tensor> {
        let names = self.config.recurrent().layer_names(direction, layer);
        names.map(|name| self.parameters.get(&name))
    }

    /// The head's weights, which may be the embedding, and its bias.
    pub fn head(&self) -> (&Tensor, &Tensor) {
        let (weight, bias) = self.config.head_tensors();
        (self.parameters.get(weight), self.parameters.get(bias))
    }

    /// The same network with its parameters on a device; they share their values where they are there already.
    pub fn to_device(&self, device: Device) -> Network {
        Network {
            config: self.config.clone(),
            parameters: self.parameters.map(|tensor| tensor.to_device(device)),
        }
    }

    /// The same network with its parameters in another kind of number, each asking for gradients.
    pub fn to_kind(&self, kind: Kind) -> Network {
        let to_kind = |tensor: &Tensor| tensor.detach().to_kind(kind).set_requires_grad(true);
        Network {
            config: self.config.clone(),
            parameters: self.parameters.map(to_kind),
        }
    }

    /// Reads token ids, `[steps, batch_size]`, by the layers of one direction. Returns the last layer's outputs, `[steps,
    /// batch_size, hidden_size]`, in the kind of the products, and the state afterwards.
    pub fn outputs(&self, tokens: &Tensor, state: &State, reading: &Reading) -> (Tensor, State) {
        let embedding = self.parameters.get(EMBEDDING);
        let embedding = masked(embedding, reading.masks.embedding.as_ref());
        let vectors = Tensor::embedding(&embedding, tokens, -1, false, false);
        self.outputs_of(&vectors, state, reading)
    }

    /// Reads vectors or numbers, `[steps, batch_size, input_size]`, as [`Network::outputs`] reads token ids.
    pub fn outputs_of(
        &self,
        vectors: &Tensor,
        state: &State,
        reading: &Reading,
    ) -> (Tensor, State) {
        let (masks, kind) = (reading.masks, reading.kind);
        let own = vectors.kind();
        let mut outputs = vectors.to_kind(kind);
        if let Some(perturbation) = reading.perturbation {
            outputs = &outputs + perturbation.to_kind(kind);
        }
        if let Some(mask) = &masks.inputs {
            outputs = &outputs * mask.to_kind(kind);
        }
        if let Some(shape) = self.config.transformer() {
            let nothing = State { parts: Vec::new() };
            return (self.transformed(shape, &outputs, reading), nothing);
        }
        let recurrent = self.config.recurrent();
        let mut parts: Vec<Vec<Tensor>> = state.parts.iter().map(|part| part.split(1, 0)).collect();
        for (layer, position) in recurrent.stack(reading.direction).enumerate() {
            let before = parts
                .iter()
                .map(|part| part[position].contiguous().to_kind(kind));
            let before: Vec<Tensor> = before.collect();
            let weights = self.layer(reading.direction, layer);
            let mut weights = weights.map(|tensor| tensor.to_kind(kind));
            if let Some(mask) = &masks.recurrent[layer] {
                weights.weight_hh[0] = &weights.weight_hh[0] * mask.to_kind(kind);
            }
            let (after, state) = cells::forward(recurrent, &outputs, &before, &weights);
            for (part, after) in parts.iter_mut().zip(state) {
                part[position] = after.to_kind(own);
            }
            let after = match &masks.outputs[layer] {
                Some(mask) => after * mask.to_kind(kind),
                None => after,
            };
            outputs = match recurrent.residual && layer > 0 {
                true => outputs + after,
                false => after,
            };
        }
        let parts = parts.iter().map(|layers| Tensor::cat(layers, 0)).collect();
        (outputs, State { parts })
    }

    /// The learnt state that texts and windows begin with, for `batch_size` of them; `None` if it is not learnt.
    pub fn initial_state(&self, batch_size: i64) -> Option<State> {
        let learns = |layers: &&Recurrent| layers.initial_state == InitialState::Learned;
        let recurrent = self.config.carried().filter(learns)?;
        let size = recurrent.hidden_size as i64;
        let directions = recurrent.directions().iter();
        let layers: Vec<Vec<Tensor>> = directions
            .flat_map(|&direction| (0..recurrent.num_layers).map(move |layer| (direction, layer)))
            .map(|(direction, layer)| {
                let learnt = self.layer(direction, layer).initial;
                let rows =
                    |tensor: &Tensor| tensor.view([1, 1, -1]).expand([1, batch_size, size], false);
                learnt.into_iter().map(rows).collect()
            })
            .collect();
        // All hidden states that a cell remembers begin alike.
        let part = |part: usize| {
            let of_layer =
                |learnt: &Vec<Tensor>| learnt[part.min(learnt.len() - 1)].shallow_clone();
            Tensor::cat(&layers.iter().map(of_layer).collect::<Vec<_>>(), 0)
        };
        Some(State {
            parts: (0..recurrent.layer_spec().parts().len())
                .map(part)
                .collect(),
        })
    }

    /// Logits of the head for rows of outputs, `[rows, horizon · vocab_size]`, from [`Network::outputs`]; of a forecaster the
    /// quantiles, `[rows, horizon · quantiles]`.
    pub fn logits(&self, outputs: &Tensor) -> Tensor {
        let (weight, bias) = self.head();
        let (own, kind) = (weight.kind(), outputs.kind());
        let rows = outputs.view([-1, self.config.hidden_size() as i64]);
        rows.linear(&weight.to_kind(kind), Some(&bias.to_kind(kind)))
            .to_kind(own)
    }

    /// Reads token ids as [`Network::outputs`] does, dropping nothing, for the logits, `[steps · batch_size, vocab_size]`.
    pub fn predict(&self, tokens: &Tensor, state: &State) -> (Tensor, State) {
        let reading = Reading {
            direction: Direction::Forward,
            masks: &DropoutMasks::none(&self.config),
            kind: self.parameters.get(EMBEDDING).kind(),
            perturbation: None,
        };
        let (outputs, next) = self.outputs(tokens, state, &reading);
        (self.logits(&outputs), next)
    }
}

/// A parameter with its mask, if it has one.
fn masked(parameter: &Tensor, mask: Option<&Tensor>) -> Tensor {
    mask.map_or_else(|| parameter.shallow_clone(), |mask| parameter * mask)
}

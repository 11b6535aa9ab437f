/*!
The forward pass step by step, which keeps the state of every layer at every step.
*/

use tch::Tensor;

use super::cells;
use super::recurrent::Network;
use super::state::State;
use carousel::checkpoint::architecture::EMBEDDING;
use carousel::text::Direction;

/// What a network computes over a window.
pub struct Unrolled {
    /// The last layer's outputs at the last step, `[batch_size, hidden_size]`.
    pub outputs: Tensor,
    /// For each step and layer the parts of the state afterwards, `[1, batch_size, hidden_size]`. Whatever reads a state reads
    /// this very tensor, so that its gradient is that of all paths.
    pub states: Vec<Vec<Vec<Tensor>>>,
}

impl Network {
    /// Reads token ids, `[steps, batch_size]`, forwards, dropping nothing.
    pub fn unrolled(&self, tokens: &Tensor, state: &State) -> Unrolled {
        let recurrent = self.config.recurrent();
        let layers = 0..recurrent.num_layers;
        let weights: Vec<_> = layers
            .clone()
            .map(|layer| {
                self.layer(Direction::Forward, layer)
                    .map(Tensor::shallow_clone)
            })
            .collect();
        let part = |part: &Tensor, layer: usize| part.narrow(0, layer as i64, 1).contiguous();
        let mut parts: Vec<Vec<Tensor>> = layers
            .map(|layer| state.parts.iter().map(|all| part(all, layer)).collect())
            .collect();
        let embedding = self.parameters.get(EMBEDDING);
        let inputs = Tensor::embedding(embedding, tokens, -1, false, false);
        let (mut outputs, mut states) = (Tensor::new(), Vec::new());
        for input in inputs.split(1, 0) {
            let mut below = input;
            for (layer, weights) in weights.iter().enumerate() {
                parts[layer] = cells::forward(recurrent, &below, &parts[layer], weights).1;
                let hidden = &parts[layer][0];
                below = match recurrent.residual && layer > 0 {
                    true => below + hidden,
                    false => hidden.shallow_clone(),
                };
            }
            let copy = |layer: &Vec<Tensor>| layer.iter().map(Tensor::shallow_clone).collect();
            states.push(parts.iter().map(copy).collect());
            outputs = below.squeeze_dim(0);
        }
        Unrolled { outputs, states }
    }
}

/*!
The state that recurrent layers carry from one window to the next.
*/

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::Recurrent;

/// What the cells keep of each stream: a tensor for each part of the cell's state, in the order of [`LayerSpec::parts`],
/// `[layers, batch_size, hidden_size]`, over the layers of all directions.
///
/// [`LayerSpec::parts`]: carousel_kernels::recurrent::LayerSpec::parts
#[derive(Debug)]
pub struct State {
    /// The parts; the first is the hidden state.
    pub parts: Vec<Tensor>,
}

impl State {
    /// The state before the first token.
    pub fn zeros(recurrent: &Recurrent, batch_size: usize, device: Device) -> Self {
        let layers = recurrent.directions().len() * recurrent.num_layers;
        let size = [layers, batch_size, recurrent.hidden_size].map(|size| size as i64);
        let parts = recurrent.layer_spec().parts();
        State {
            parts: parts
                .iter()
                .map(|_| Tensor::zeros(size, (Kind::Float, device)))
                .collect(),
        }
    }

    /// The state before the first window of training; without parts where no state goes on from window to window.
    pub fn before_training(config: &ModelConfig, batch_size: usize, device: Device) -> Self {
        match config.carried() {
            Some(recurrent) => Self::zeros(recurrent, batch_size, device),
            None => State { parts: Vec::new() },
        }
    }

    /// The result of `make` for each part.
    pub fn map(&self, make: impl Fn(&Tensor) -> Tensor) -> Self {
        State {
            parts: self.parts.iter().map(make).collect(),
        }
    }

    /// The same values, without the gradients of how they were computed.
    pub fn detach(&self) -> Self {
        self.map(Tensor::detach)
    }

    /// The parts of one layer, `[batch_size, hidden_size]` each.
    pub fn layer(&self, layer: usize) -> Vec<Tensor> {
        self.parts
            .iter()
            .map(|part| part.get(layer as i64))
            .collect()
    }

    /// Resets one stream of some layers to zero.
    pub fn reset(&mut self, layers: Range<usize>, stream: usize) {
        for part in &mut self.parts {
            let layers = part.narrow(0, layers.start as i64, layers.len() as i64);
            let _ = layers.select(1, stream as i64).zero_();
        }
    }
}

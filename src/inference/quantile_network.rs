/*!
Networks that predict quantiles of the next numbers, or their mean and deviation: recurrent layers over numbers, and a linear output.
*/

use std::borrow::Cow;

use carousel_kernels::{Kernel, Precision};

use super::affine::Affine;
use super::recurrent::RecurrentNetwork;
use crate::checkpoint::ModelConfig;
use crate::error::Result;
use crate::text::Direction;

/// A forecaster's weights, packed for the CPU at hand.
pub struct QuantileNetwork {
    body: RecurrentNetwork,
    /// `[horizon · outputs of a value, hidden_size]`.
    output: Affine,
}

impl QuantileNetwork {
    /// Packs the weights that `floats` gives for the names of [`ModelConfig::tensors`], in their shapes. It computes with up
    /// to `threads` threads.
    ///
    /// # Errors
    /// Those of `floats`.
    pub fn load<'w>(
        config: &ModelConfig,
        floats: impl Fn(&str) -> Result<Cow<'w, [f32]>>,
        threads: usize,
    ) -> Result<Self> {
        let kernel = Kernel::fastest(Precision::Float32);
        let forwards = [Direction::Forward];
        let body = RecurrentNetwork::load(config, &forwards, &floats, kernel, threads)?;
        let (weight, bias) = config.head_tensors();
        let output = Affine::pack(&floats(weight)?, floats(bias)?, kernel, body.pool());
        Ok(QuantileNetwork { body, output })
    }

    /// Outputs of the last steps of windows, which are time-major, `[steps, streams, input_size]`: `[streams, horizon,
    /// outputs of a value]`.
    pub fn outputs(&self, inputs: &[f32], streams: usize) -> Vec<f32> {
        let mut state = self.body.initial_state(streams);
        self.body.outputs_of_numbers(inputs, &mut state);
        (self.output).outputs(state.output(), 0..streams, self.body.pool())
    }
}

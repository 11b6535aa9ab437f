/*!
Loss and gradients of a step, behind one interface: by libtorch's automatic differentiation, which is the reference and
works on any device, or by this program's kernels, which are tested against it and are faster on the CPU.
*/

mod autograd;
mod batch;
mod kernels;
mod pooling;
pub mod reach;
pub mod sampled_softmax;

pub use autograd::{Autograd, TranslationLosses, translation_losses, values_loss};
pub use batch::{Batch, MAX_BACKWARD, NumberBatch, PairBatch, StreamBatch, TextBatch, Window};
pub use kernels::{Kernels, TranslationKernels};

use tch::Device;

use crate::network::Network;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::arguments::GradientMethod;
use carousel::checkpoint::record::TrainingConfig;
use carousel::error::{Error, Result};
use carousel_kernels::ThreadPool;

/// A method to compute gradients.
pub enum Gradients {
    /// libtorch's automatic differentiation.
    Autograd(Autograd),
    /// Kernels on the CPU.
    Kernels(Box<Kernels>),
    /// The same for translators.
    Translation(Box<TranslationKernels>),
}

impl Gradients {
    /// The method of the training options.
    pub fn new(config: &ModelConfig, training: &TrainingConfig) -> Self {
        match training.gradients {
            GradientMethod::Autograd => Gradients::Autograd(Autograd::new(training.precision)),
            _ if config.encoder_decoder().is_some() => {
                let kernels = TranslationKernels::new(config, training.precision);
                Gradients::Translation(Box::new(kernels))
            }
            _ => Gradients::Kernels(Box::new(Kernels::new(
                config,
                training.batch_size,
                training.precision,
            ))),
        }
    }

    /// Loss and gradients of a batch.
    pub fn step(&mut self, network: &Network, batch: &Batch, pool: &ThreadPool) -> Window {
        match self {
            Gradients::Autograd(autograd) => autograd.step(network, batch),
            Gradients::Kernels(kernels) => kernels.step(network, batch, pool),
            Gradients::Translation(kernels) => match batch {
                Batch::Pairs(batch) => kernels.step(network, batch, pool),
                _ => unreachable!("a translator reads pairs"),
            },
        }
    }
}

/// The method to take on a device, where it was left open.
///
/// # Errors
/// Kernels asked for on a GPU.
pub fn method(
    asked: GradientMethod,
    config: &ModelConfig,
    device: Device,
) -> Result<GradientMethod> {
    let Some(layers) = config.last_layers() else {
        // Transformers have no kernels.
        return Ok(GradientMethod::Autograd);
    };
    let normalised = layers.layer_norm;
    if config.forecaster().is_some() {
        return match asked {
            GradientMethod::Kernels => Err(Error::usage(
                "--gradients kernels is for text; leave it away for a series",
            )),
            _ => Ok(GradientMethod::Autograd),
        };
    }
    let feeds = (config.encoder_decoder()).is_some_and(|body| body.input_feeding);
    if feeds && asked == GradientMethod::Kernels {
        return Err(Error::usage(
            "there are no kernels for --input-feeding; leave --gradients kernels away",
        ));
    }
    match asked {
        GradientMethod::Auto if device == Device::Cpu && !normalised && !feeds => {
            Ok(GradientMethod::Kernels)
        }
        GradientMethod::Auto => Ok(GradientMethod::Autograd),
        GradientMethod::Kernels if device != Device::Cpu => Err(Error::usage(
            "--gradients kernels is for the CPU; leave it away, or give --device cpu",
        )),
        asked => Ok(asked),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod translation_tests;

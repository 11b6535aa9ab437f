/*!
Initial parameters.
*/

use tch::{Device, Kind, Tensor};

use super::cells;
use super::parameters::NamedTensors;
use super::recurrent::Network;
use super::transformer_layer;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::{EMBEDDING, Recurrent};
use carousel::checkpoint::arguments::RecurrentInit;
use carousel::checkpoint::encoder_decoder::{ENCODER, TARGET_EMBEDDING};
use carousel::checkpoint::parts::Body;

const FLOAT_CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

impl Network {
    /// A network with initial parameters, drawn from libtorch's random number generator.
    ///
    /// Input and output weights are uniform within 1/√hidden_size, as PyTorch has them, and so are those of connections that
    /// skip steps; recurrent ones as asked for, gate by gate; biases zero, but for what the cell asks for; leaks spread from
    /// an eighth to nineteen twentieths; gains one.
    pub fn initialise(config: &ModelConfig, init: RecurrentInit, device: Device) -> Self {
        let initial = |(name, shape): (String, Vec<usize>)| {
            let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
            let tensor = initial(config, init, &name, &shape).to_device(device);
            (name, tensor.set_requires_grad(true))
        };
        let parameters: NamedTensors = config.tensors().into_iter().map(initial).collect();
        Network {
            config: config.clone(),
            parameters,
        }
    }
}

fn initial(config: &ModelConfig, init: RecurrentInit, name: &str, shape: &[i64]) -> Tensor {
    if let Body::Transformer(_) | Body::TransformerEncoderDecoder(_) = config.body {
        return transformer_layer::initial(config.num_layers(), name, shape);
    }
    let recurrent = layers_of(config, name);
    let uniform = |bound: f64| Tensor::empty(shape, FLOAT_CPU).uniform_(-bound, bound);
    match name {
        // As output weights, an embedding of unit variance would give large random logits.
        EMBEDDING | TARGET_EMBEDDING if config.tie_weights() => uniform(0.1),
        TARGET_EMBEDDING => Tensor::randn(shape, FLOAT_CPU),
        EMBEDDING => Tensor::randn(shape, FLOAT_CPU),
        name if name.contains(".weight_hh") => match init {
            RecurrentInit::Orthogonal => by_gate(recurrent, |size| {
                Tensor::linalg_qr(&Tensor::randn([size, size], FLOAT_CPU), "reduced").0
            }),
            RecurrentInit::Identity => by_gate(recurrent, |size| Tensor::eye(size, FLOAT_CPU)),
            RecurrentInit::Uniform => uniform(1.0 / (recurrent.hidden_size as f64).sqrt()),
        },
        name if name.contains(".leak") => Tensor::empty(shape, FLOAT_CPU).uniform_(-2.0, 3.0),
        name if name.contains(".norm_") => Tensor::ones(shape, FLOAT_CPU),
        name if name.contains(".initial_") => Tensor::zeros(shape, FLOAT_CPU),
        name if name.contains(".bias_ih") => {
            let bias = Tensor::zeros(shape, FLOAT_CPU);
            cells::initialise_bias(recurrent.cell, &bias, recurrent.hidden_size as i64);
            bias
        }
        name if name.contains("bias") => Tensor::zeros(shape, FLOAT_CPU),
        _ => uniform(1.0 / (recurrent.hidden_size as f64).sqrt()),
    }
}

/// The layers that a tensor belongs to, or whose width is that of what it reads.
fn layers_of<'c>(config: &'c ModelConfig, name: &str) -> &'c Recurrent {
    match &config.body {
        Body::EncoderDecoder(body) if name.starts_with(ENCODER) => &body.encoder,
        _ => config.last_layers().expect("recurrent layers"),
    }
}

/// A square matrix for each gate, below each other.
fn by_gate(recurrent: &Recurrent, matrix: impl Fn(i64) -> Tensor) -> Tensor {
    let size = recurrent.hidden_size as i64;
    let gates: Vec<Tensor> = (0..recurrent.cell.gates()).map(|_| matrix(size)).collect();
    Tensor::cat(&gates, 0)
}

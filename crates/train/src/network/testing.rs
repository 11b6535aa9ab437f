//! Small networks for tests.

use tch::{Device, Kind, Tensor};

use super::Network;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::{Body, Head, Input, Labels, NextToken, Recurrent, Tokens};
use carousel::checkpoint::record::TrainingConfig;
use carousel::text::{Level, Split};
use carousel_kernels::recurrent::Cell;

/// A language model of two layers over seven tokens.
pub fn config(tie_weights: bool, dropout: f64) -> ModelConfig {
    ModelConfig {
        input: Input::Tokens(Tokens {
            level: Level::Character,
            split: Split::Natural,
            vocab_size: 7,
            embedding_size: if tie_weights { 3 } else { 5 },
        }),
        body: Body::Recurrent(Recurrent {
            cell: Cell::Lstm,
            hidden_size: 3,
            num_layers: 2,
            dropout,
            bidirectional: false,
        }),
        head: Head::NextToken(NextToken {
            tie_weights,
            lsa_size: 0,
        }),
    }
}

/// The same with a head for three labels.
pub fn classifier_config(dropout: f64) -> ModelConfig {
    ModelConfig {
        head: Head::Labels(Labels {
            labels: ["a", "b", "c"].map(String::from).to_vec(),
            ngrams: 0,
        }),
        ..config(false, dropout)
    }
}

/// Training options for a batch of this size, without dropout.
pub fn training(batch_size: usize) -> TrainingConfig {
    let (_, nominal) = crate::recipe::language_model::nominal(1);
    TrainingConfig {
        batch_size,
        ..nominal
    }
}

/// Every tensor filled with 0.5 · cos(0, k, 2k, …), where k counts the tensors from 1.
pub fn network_of_cosines(config: &ModelConfig) -> Network {
    let network = Network::initialise(config, Device::Cpu);
    for ((_, parameter), k) in network.parameters.iter().zip(1..) {
        let count = Tensor::arange(parameter.numel() as i64, (Kind::Float, Device::Cpu));
        let values = ((count * k).cos() * 0.5).view(parameter.size().as_slice());
        tch::no_grad(|| parameter.shallow_clone().copy_(&values));
    }
    network
}

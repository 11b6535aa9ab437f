//! Small networks for tests.

use tch::{Device, Kind, Tensor};

use super::Network;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::{Labels, Leak, NextToken, Recurrent, Tokens};
use carousel::checkpoint::arguments::RecurrentInit;
use carousel::checkpoint::encoder_decoder::{Attention, EncoderDecoder};
use carousel::checkpoint::parts::{Body, Head, Input};
use carousel::checkpoint::record::TrainingConfig;
use carousel::checkpoint::transformer_encoder_decoder::TransformerEncoderDecoder;
use carousel::text::preprocessing::Preprocessing;
use carousel::text::{Level, Split};
use carousel_kernels::recurrent::{Activation, Cell};

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
            dropout,
            ..Recurrent::new(Cell::Lstm, 3, 2)
        }),
        head: Head::NextToken(NextToken {
            tie_weights,
            ..NextToken::default()
        }),
    }
}

/// The same with a head for three labels.
pub fn classifier_config(dropout: f64) -> ModelConfig {
    ModelConfig {
        head: Head::Labels(Labels {
            labels: ["a", "b", "c"].map(String::from).to_vec(),
            ngrams: 0,
            preprocessing: Preprocessing::None,
        }),
        ..config(false, dropout)
    }
}

/// A translator between seven tokens and eight, or of seven tokens: an encoder of GRUs that reads both ways and a decoder of
/// two LSTMs.
pub fn translator_config(
    attention: Attention,
    input_feeding: bool,
    shared_vocabulary: bool,
) -> ModelConfig {
    let mut config = config(true, 0.0);
    config.body = Body::EncoderDecoder(EncoderDecoder {
        target: Tokens {
            vocab_size: if shared_vocabulary { 7 } else { 8 },
            ..config.tokens().clone()
        },
        shared_vocabulary,
        encoder: Recurrent {
            bidirectional: true,
            ..Recurrent::new(Cell::Gru, 2, 1)
        },
        decoder: Recurrent::new(Cell::Lstm, 4, 2),
        attention,
        input_feeding,
    });
    config
}

/// The same as a transformer: two layers with two heads.
pub fn transformer_translator_config(shared_vocabulary: bool) -> ModelConfig {
    let mut config = config(true, 0.0);
    config.tokens_mut().embedding_size = 8;
    let target = Tokens {
        vocab_size: if shared_vocabulary { 7 } else { 8 },
        ..config.tokens().clone()
    };
    config.body = Body::TransformerEncoderDecoder(TransformerEncoderDecoder {
        heads: 2,
        feed_forward_size: 10,
        ..TransformerEncoderDecoder::new(target, shared_vocabulary, 2)
    });
    config
}

/// Training options for a batch of this size, without dropout.
pub fn training(batch_size: usize) -> TrainingConfig {
    let (_, nominal) = crate::recipe::language_model::nominal(1);
    TrainingConfig {
        batch_size,
        ..nominal
    }
}

/// The options of every cell, on layers of this shape.
pub fn every_cell(layers: &Recurrent) -> Vec<Recurrent> {
    let with = |cell| Recurrent {
        cell,
        ..layers.clone()
    };
    let leak = |leak| Recurrent {
        leak: Some(leak),
        ..with(Cell::Leaky)
    };
    let plain = vec![
        with(Cell::Rnn),
        Recurrent {
            activation: Activation::Relu,
            ..with(Cell::Rnn)
        },
        leak(Leak::Fixed(0.9)),
        leak(Leak::Learnt),
        Recurrent {
            skip: vec![2, 5],
            ..with(Cell::Skip)
        },
        with(Cell::Gru),
        with(Cell::Lstm),
    ];
    let residual = plain.iter().map(|layers| Recurrent {
        residual: true,
        ..layers.clone()
    });
    residual.chain(plain.clone()).collect()
}

/// The same, and each with layer normalisation.
pub fn every_reference(layers: &Recurrent) -> Vec<Recurrent> {
    let all = every_cell(layers);
    let normalised = all.iter().map(|layers| Recurrent {
        layer_norm: true,
        ..layers.clone()
    });
    normalised.chain(all.clone()).collect()
}

/// Makes recurrent weights so small that states neither grow nor turn chaotic.
pub fn calm(network: &Network) {
    let recurrent = network.config.recurrent();
    let lags = recurrent.layer_spec().lags.len();
    let factor = 1.0 / (lags as f64 * (recurrent.hidden_size as f64).sqrt());
    for (name, parameter) in network.parameters.iter() {
        if name.contains("weight_hh") || name.contains("weight_skip") {
            let _ = tch::no_grad(|| parameter.shallow_clone().g_mul_scalar_(factor));
        }
    }
}

/// Every tensor filled with 0.5 · cos(0, k, 2k, …), where k counts the tensors from 1.
pub fn network_of_cosines(config: &ModelConfig) -> Network {
    let network = Network::initialise(config, RecurrentInit::default(), Device::Cpu);
    for ((_, parameter), k) in network.parameters.iter().zip(1..) {
        let count = Tensor::arange(parameter.numel() as i64, (Kind::Float, Device::Cpu));
        let values = ((count * k).cos() * 0.5).view(parameter.size().as_slice());
        tch::no_grad(|| parameter.shallow_clone().copy_(&values));
    }
    network
}

//! The kernels of a translator against the reference in float64.

use tch::{Device, Kind};

use super::tests::{COARSE_PRECISIONS, PRECISIONS, assert_same_gradients, double};
use super::{Autograd, Batch, PairBatch, TranslationKernels};
use crate::network::testing::{every_cell, network_of_cosines, training, translator_config};
use crate::network::{BatchSize, Network, TranslationMasks};
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::arguments::TrainingPrecision;
use carousel::checkpoint::encoder_decoder::{Attention, EncoderDecoder};
use carousel::checkpoint::parts::Body;
use carousel_kernels::ThreadPool;

fn body(config: &mut ModelConfig) -> &mut EncoderDecoder {
    match &mut config.body {
        Body::EncoderDecoder(body) => body,
        _ => unreachable!("a translator"),
    }
}

/// Made-up sentences of these lengths.
fn sentences(lengths: &[usize], vocab_size: usize) -> Vec<Vec<u32>> {
    let sentence = |&length: &usize| -> Vec<u32> {
        let token = |i: usize| ((i * i * 3 + 7 * length + 1) % vocab_size) as u32;
        (1..length).map(token).chain([0]).collect()
    };
    lengths.iter().map(sentence).collect()
}

/// A network whose recurrent weights are so small that states are not chaotic.
fn calm_network(config: &ModelConfig) -> Network {
    let network = network_of_cosines(config);
    for (name, parameter) in network.parameters.iter() {
        if name.contains("weight_") {
            let factor = 1.5 / (parameter.size()[1] as f64).sqrt();
            let _ = tch::no_grad(|| parameter.shallow_clone().g_mul_scalar_(factor));
        }
    }
    network
}

fn check(config: &ModelConfig, precisions: &[(TrainingPrecision, f64)]) {
    let network = calm_network(config);
    let target_size = config.written().vocab_size;
    let sources = sentences(&[4, 1, 7, 6], config.tokens().vocab_size);
    let targets = sentences(&[3, 9, 1, 8], target_size);
    let sources: Vec<&[u32]> = sources.iter().map(|side| &side[..]).collect();
    let targets: Vec<&[u32]> = targets.iter().map(|side| &side[..]).collect();
    let pool = ThreadPool::new(2);
    let mut options = training(sources.len());
    (options.embedding_dropout, options.input_dropout) = (0.1, 0.2);
    options.weight_drop = 0.2;
    let drawn = TranslationMasks::draw(
        config,
        &options,
        BatchSize::of(&sources, &targets),
        Device::Cpu,
        5,
        &pool,
    );
    for masks in [TranslationMasks::none(config), drawn] {
        let batch = PairBatch {
            sources: &sources,
            targets: &targets,
            label_smoothing: 0.1,
            masks: &masks,
        };
        let doubles = masks.map(double);
        let exact = PairBatch {
            masks: &doubles,
            ..batch
        };
        let reference = Autograd { kind: Kind::Double };
        let expected = reference.step(&network.to_kind(Kind::Double), &Batch::Pairs(exact));
        for &(precision, tolerance) in precisions {
            let mut kernels = TranslationKernels::new(config, precision);
            // Other pairs first, fewer and in another order, as what is kept must not show.
            let none = TranslationMasks::none(config);
            let other = PairBatch {
                sources: &sources[1..],
                targets: &targets[..3],
                masks: &none,
                ..batch
            };
            kernels.step(&network, &other, &pool);
            let found = kernels.step(&network, &batch, &pool);
            assert_eq!(found.tokens, expected.tokens);
            let what = format!("{config:?} {precision:?}");
            assert_same_gradients(&found, &expected, tolerance, &what);
        }
    }
}

#[test]
fn kernels_of_translators_agree_with_autograd() {
    // Sizes that fill panels and sizes that do not.
    for attention in Attention::ALL {
        for (shared, layers, hidden_size) in [(true, 1, 32), (false, 2, 19)] {
            let mut config = translator_config(attention, false, shared);
            config.tokens_mut().vocab_size = 40;
            let body = body(&mut config);
            body.target.vocab_size = if shared { 40 } else { 67 };
            body.encoder.hidden_size = hidden_size;
            (body.encoder.num_layers, body.decoder.num_layers) = (layers, layers);
            body.decoder.hidden_size = hidden_size + 5;
            (body.encoder.dropout, body.decoder.dropout) = (0.3, 0.2);
            check(&config, &PRECISIONS);
        }
    }
}

#[test]
fn kernels_of_translators_of_every_cell_agree_with_autograd() {
    let config = translator_config(Attention::Dot, false, true);
    let layers = config.encoder_decoder().unwrap().decoder.clone();
    for cell in every_cell(&layers) {
        let mut config = config.clone();
        let body = body(&mut config);
        body.decoder = cell.clone();
        body.encoder = cell;
        body.encoder.bidirectional = true;
        // Few numbers; what bfloat16 changes is checked above.
        check(&config, &COARSE_PRECISIONS[..1]);
    }
}

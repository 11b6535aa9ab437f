//! The kernels against the reference in float64.

use tch::{Device, Kind, Tensor};

use super::sampled_softmax::SampledTokens;
use super::{Autograd, Batch, Kernels, StreamBatch, TextBatch, Window};
use crate::network::testing::{
    calm, classifier_config, config, every_cell, network_of_cosines, training,
};
use crate::network::{DropoutMasks, Network, State};
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::{InitialState, NextToken, Predict, Recurrent};
use carousel::checkpoint::arguments::TrainingPrecision;
use carousel::checkpoint::parts::Head;
use carousel::text::Direction;
use carousel_kernels::ThreadPool;
use carousel_kernels::recurrent::Activation;

/// Precisions, and how far from the reference they may be.
pub const PRECISIONS: [(TrainingPrecision, f64); 2] = [
    (TrainingPrecision::F32, 1e-5),
    (TrainingPrecision::Bf16, 0.1),
];

/// The same for cells whose gradients depend on the sign of a sum, or on which output is the highest: rounding may change it.
const EXACT_PRECISION: [(TrainingPrecision, f64); 1] = [PRECISIONS[0]];
pub const COARSE_PRECISIONS: [(TrainingPrecision, f64); 2] = [
    (TrainingPrecision::F32, 1e-4),
    (TrainingPrecision::Bf16, 0.2),
];

pub fn double(tensor: &Tensor) -> Tensor {
    tensor.detach().to_kind(Kind::Double)
}

/// The largest difference, relative to the largest value.
fn difference(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.size(), expected.size());
    let expected = double(expected);
    let off = (double(found) - &expected).abs().max();
    off.double_value(&[]) / expected.abs().max().double_value(&[]).max(1e-6)
}

pub fn assert_same_gradients(found: &Window, expected: &Window, tolerance: f64, what: &str) {
    assert!(
        (found.loss / expected.loss - 1.0).abs() < tolerance,
        "{what}: {} {}",
        found.loss,
        expected.loss
    );
    assert_eq!(
        found.gradients.iter().count(),
        expected.gradients.iter().count()
    );
    assert_eq!(found.rows, expected.rows, "{what}");
    for (name, gradient) in found.gradients.iter() {
        let off = difference(gradient, expected.gradients.get(name));
        assert!(off < tolerance, "{what} {name}: {off}");
    }
}

/// The reference in float64 for a window of streams.
fn reference(network: &Network, batch: &StreamBatch) -> Window {
    let (state, masks) = (batch.state.map(double), batch.masks.map(double));
    let batch = StreamBatch {
        state: &state,
        masks: &masks,
        ..*batch
    };
    Autograd { kind: Kind::Double }.step(&network.to_kind(Kind::Double), &Batch::Streams(batch))
}

#[test]
fn kernels_agree_with_autograd_on_streams() {
    // With a table of input products and without, tied and not, sizes that fill vectors and sizes that do not, and either
    // direction of two.
    let shapes = [
        (7, 5, 3, 1, false, Direction::Forward),
        (7, 20, 20, 2, true, Direction::Reverse),
        (65, 16, 64, 2, false, Direction::Forward),
        (700, 24, 33, 3, false, Direction::Reverse),
        (600, 40, 40, 1, true, Direction::Forward),
    ];
    for (vocab_size, embedding_size, hidden_size, num_layers, tie_weights, direction) in shapes {
        let mut config = config(tie_weights, 0.4);
        (
            config.tokens_mut().vocab_size,
            config.tokens_mut().embedding_size,
        ) = (vocab_size, embedding_size);
        let recurrent = config.recurrent_mut();
        (recurrent.hidden_size, recurrent.num_layers) = (hidden_size, num_layers);
        recurrent.bidirectional = num_layers == 2 || direction == Direction::Reverse;
        check_streams(&network_of_cosines(&config), direction, &PRECISIONS);
    }
}

#[test]
fn kernels_of_every_cell_agree_with_autograd() {
    // Sizes that fill panels and sizes that do not, windows longer and shorter than what is skipped.
    for (vocab_size, embedding_size, hidden_size) in [(7, 5, 64), (600, 24, 70)] {
        let mut config = config(false, 0.4);
        (
            config.tokens_mut().vocab_size,
            config.tokens_mut().embedding_size,
        ) = (vocab_size, embedding_size);
        config.recurrent_mut().hidden_size = hidden_size;
        for layers in every_cell(&config.recurrent().clone()) {
            *config.recurrent_mut() = layers;
            let network = network_of_cosines(&config);
            calm(&network);
            let precisions = match config.recurrent().activation {
                Activation::Tanh => &COARSE_PRECISIONS[..],
                Activation::Relu => &COARSE_PRECISIONS[..1],
            };
            check_streams(&network, Direction::Forward, precisions);
        }
    }
}

#[test]
fn kernels_of_every_head_and_of_a_learnt_state_agree_with_autograd() {
    for (predict, horizon) in [(Predict::Every, 3), (Predict::Last, 1), (Predict::Last, 3)] {
        let mut config = config(false, 0.4);
        config.tokens_mut().vocab_size = 70;
        config.recurrent_mut().hidden_size = 20;
        config.head = Head::NextToken(NextToken {
            predict,
            horizon,
            ..NextToken::default()
        });
        for layers in every_cell(&config.recurrent().clone()) {
            *config.recurrent_mut() = Recurrent {
                initial_state: InitialState::Learned,
                ..layers
            };
            let network = network_of_cosines(&config);
            calm(&network);
            check_streams(&network, Direction::Forward, &COARSE_PRECISIONS[..1]);
        }
    }
}

#[test]
fn kernels_agree_with_autograd_on_texts_that_begin_with_a_learnt_state() {
    let mut config = classifier_config(0.4);
    config.tokens_mut().vocab_size = 600;
    (
        config.recurrent_mut().hidden_size,
        config.recurrent_mut().initial_state,
    ) = (12, InitialState::Learned);
    check_labels(&network_of_cosines(&config), &PRECISIONS);
}

fn check_streams(network: &Network, direction: Direction, precisions: &[(TrainingPrecision, f64)]) {
    let (streams, config) = (5, &network.config);
    let mut options = training(streams);
    (options.embedding_dropout, options.weight_drop) = (0.2, 0.3);
    options.input_dropout = if config.recurrent().num_layers == 2 {
        0.0
    } else {
        0.4
    };
    let vocab_size = config.tokens().vocab_size;
    let ids = |shift: usize| -> Vec<u32> {
        (0..7 * streams)
            .map(|i| ((i * i + shift) % vocab_size) as u32)
            .collect()
    };
    let head = config.next_token();
    let targets_of = |inputs: &[u32], shift: usize| -> Vec<u32> {
        let predicting = match head.predict {
            Predict::Every => inputs.len(),
            Predict::Last => streams,
        };
        let all = ids(shift).into_iter().cycle();
        all.take(head.horizon * predicting).collect()
    };
    let inputs = ids(1);
    let targets = targets_of(&inputs, 2);
    let mut phases = 0..;
    let state = State {
        parts: State::zeros(config.recurrent(), streams, Device::Cpu)
            .parts
            .iter()
            .map(|part| {
                let numbers = Tensor::arange(part.numel() as i64, (Kind::Float, Device::Cpu));
                ((numbers + phases.next().unwrap()).sin() * 0.5).view_as(part)
            })
            .collect(),
    };
    let pool = ThreadPool::new(2);
    let drawn = DropoutMasks::draw(config, &options, Device::Cpu, 1, &pool);
    for masks in [DropoutMasks::none(config), drawn] {
        let batch = StreamBatch {
            direction,
            batch_size: streams,
            inputs: &inputs,
            targets: &targets,
            sampled: None,
            state: &state,
            masks: &masks,
        };
        let expected = reference(network, &batch);
        for &(precision, tolerance) in precisions {
            let mut kernels = Kernels::new(config, streams, precision);
            // Another window first, shorter and in every direction, as what is kept must not show.
            let shorter = ids(3)[..inputs.len() / streams / 2 * streams].to_vec();
            let others = targets_of(&shorter, 4);
            for &direction in config.recurrent().directions() {
                let other = StreamBatch {
                    direction,
                    inputs: &shorter,
                    targets: &others,
                    ..batch
                };
                kernels.step(network, &Batch::Streams(other), &pool);
            }
            let found = kernels.step(network, &Batch::Streams(StreamBatch { ..batch }), &pool);
            assert_same_gradients(
                &found,
                &expected,
                tolerance,
                &format!("{config:?} {precision:?}"),
            );
            let parts = found.state.unwrap().parts;
            for (found, expected) in parts.iter().zip(&expected.state.as_ref().unwrap().parts) {
                assert!(difference(found, expected) < tolerance);
            }
        }
    }
}

#[test]
fn kernels_agree_with_autograd_on_labels() {
    for (vocab_size, size, num_layers, bidirectional) in
        [(9, 5, 1, false), (600, 33, 2, false), (600, 20, 2, true)]
    {
        let mut config = classifier_config(0.4);
        config.tokens_mut().vocab_size = vocab_size;
        let recurrent = config.recurrent_mut();
        (recurrent.hidden_size, recurrent.num_layers) = (size, num_layers);
        recurrent.bidirectional = bidirectional;
        check_labels(&network_of_cosines(&config), &PRECISIONS);
    }
    let mut config = classifier_config(0.4);
    // Of a small vocabulary a text's tokens would repeat themselves, and so would the outputs: no maximum would be clear.
    config.tokens_mut().vocab_size = 600;
    (
        config.recurrent_mut().hidden_size,
        config.recurrent_mut().bidirectional,
    ) = (12, true);
    for layers in every_cell(&config.recurrent().clone()) {
        *config.recurrent_mut() = layers;
        let network = network_of_cosines(&config);
        calm(&network);
        check_labels(&network, &EXACT_PRECISION);
    }
}

/// Made-up tokens.
fn text(config: &ModelConfig, length: usize) -> Vec<u32> {
    let vocab_size = config.tokens().vocab_size;
    (0..length)
        .map(|i| ((i * i * 3 + length) % vocab_size) as u32)
        .collect()
}

fn check_labels(network: &Network, precisions: &[(TrainingPrecision, f64)]) {
    let config = &network.config;
    let pool = ThreadPool::new(2);
    let [texts, others] =
        [[17, 9, 9, 1], [23, 11, 8, 2]].map(|lengths| lengths.map(|n| text(config, n)));
    let texts: Vec<&[u32]> = texts.iter().map(|text| &text[..]).collect();
    let others: Vec<&[u32]> = others.iter().map(|text| &text[..]).collect();
    let masks = [3, 4].map(|seed| {
        let mut masks = DropoutMasks::draw(config, &training(4), Device::Cpu, seed, &pool);
        // The head's inputs have a mask of their own.
        *masks.outputs.last_mut().unwrap() = None;
        masks
    });
    let doubles = [0, 1].map(|index: usize| masks[index].map(double));
    let seen = 4 * config.recurrent().pooled_size();
    let dropping: Vec<f32> = (0..seen)
        .map(|i| if i % 3 == 0 { 0.0 } else { 1.5 })
        .collect();
    for (head_mask, perturbation) in [
        (None, 0.0),
        (Some(&dropping[..]), 0.0),
        (Some(&dropping[..]), 0.7),
    ] {
        let batch = |texts, masks| {
            Batch::Texts(TextBatch {
                texts,
                labels: &[2, 0, 1, 2],
                weights: &[1.0, 2.0, 0.5],
                noise: &[0.0, 0.3, 0.0, 0.5],
                head_mask,
                masks,
                perturbation,
            })
        };
        let double_network = network.to_kind(Kind::Double);
        let expected =
            Autograd { kind: Kind::Double }.step(&double_network, &batch(&texts, &doubles));
        for &(precision, tolerance) in precisions {
            let mut kernels = Kernels::new(config, 2, precision);
            // Others first, as what is kept must not show.
            kernels.step(network, &batch(&others, &masks), &pool);
            let found = kernels.step(network, &batch(&texts, &masks), &pool);
            // The maximum may be another after rounding.
            let what = format!("{config:?} {perturbation} {precision:?}");
            assert_same_gradients(&found, &expected, 3.0 * tolerance, &what);
            assert_eq!((found.tokens, expected.tokens), (36, 36));
            let mut read = texts.concat();
            // The padding of short texts.
            read.push(0);
            read.sort_unstable();
            read.dedup();
            assert_eq!(found.rows, [("embedding.weight".to_string(), read)].into());
        }
    }
}

#[test]
fn kernels_agree_with_autograd_on_long_texts() {
    // Gradients flow through the last window alone, and the perturbation is of that.
    let mut config = classifier_config(0.0);
    config.recurrent_mut().bidirectional = true;
    let network = network_of_cosines(&config);
    let texts = [text(&config, 2500), text(&config, 2040), text(&config, 30)];
    let texts: Vec<&[u32]> = texts.iter().map(|text| &text[..]).collect();
    let masks = [DropoutMasks::none(&config), DropoutMasks::none(&config)];
    let batch = Batch::Texts(TextBatch {
        texts: &texts,
        labels: &[2, 0, 1],
        weights: &[1.0; 3],
        noise: &[0.0; 3],
        head_mask: None,
        masks: &masks,
        perturbation: 0.5,
    });
    let expected = Autograd { kind: Kind::Double }.step(&network.to_kind(Kind::Double), &batch);
    let mut kernels = Kernels::new(&config, 3, TrainingPrecision::F32);
    let found = kernels.step(&network, &batch, &ThreadPool::new(2));
    // Float32 over 2,048 steps.
    assert_same_gradients(&found, &expected, 1e-3, "long texts");
}

#[test]
fn kernels_agree_with_autograd_on_a_sampled_softmax() {
    for tie_weights in [false, true] {
        let mut config = config(tie_weights, 0.0);
        (
            config.tokens_mut().vocab_size,
            config.tokens_mut().embedding_size,
        ) = (700, 24);
        (
            config.recurrent_mut().hidden_size,
            config.recurrent_mut().num_layers,
        ) = (24, 1);
        let network = network_of_cosines(&config);
        let ids = |by: usize| -> Vec<u32> { (0..20).map(|i| (i * by % 700) as u32).collect() };
        let (inputs, targets) = (ids(31), ids(17));
        let state = State::zeros(config.recurrent(), 4, Device::Cpu);
        let masks = DropoutMasks::none(&config);
        let sample = |targets: &[u32], more: &[u32]| {
            let mut tokens = [targets, more].concat();
            tokens.sort_unstable();
            tokens.dedup();
            let corrections = tokens
                .iter()
                .map(|&token| -(token as f32) / 400.0)
                .collect();
            SampledTokens {
                tokens,
                corrections,
            }
        };
        let sampled = sample(&targets, &[5, 600, 699]);
        let batch = StreamBatch {
            direction: Direction::Forward,
            batch_size: 4,
            inputs: &inputs,
            targets: &targets,
            sampled: Some(&sampled),
            state: &state,
            masks: &masks,
        };
        let expected = reference(&network, &batch);
        let mut kernels = Kernels::new(&config, 4, TrainingPrecision::F32);
        let pool = ThreadPool::new(2);
        // Others first, as what is kept must not show.
        let (before, after) = (ids(29), ids(13));
        let others = sample(&after, &[]);
        let other = StreamBatch {
            inputs: &before,
            targets: &after,
            sampled: Some(&others),
            ..batch
        };
        kernels.step(&network, &Batch::Streams(other), &pool);
        let found = kernels.step(&network, &Batch::Streams(batch), &pool);
        assert_same_gradients(&found, &expected, 1e-4, &format!("tied: {tie_weights}"));
    }
}

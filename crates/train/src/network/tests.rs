//! The reference network against PyTorch's numbers and against the slopes of its loss.

use tch::{Device, Kind, Reduction, Tensor};

use super::testing::{
    calm, classifier_config, config, every_cell, every_reference, network_of_cosines, training,
};
use super::{DropoutMasks, Network, State, cells};
use crate::gradients::{Autograd, Batch, StreamBatch, TextBatch, Window};
use crate::slices::floats;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::{InitialState, NextToken, Predict, Recurrent};
use carousel::checkpoint::arguments::RecurrentInit;
use carousel::checkpoint::parts::{Body, Head};
use carousel::checkpoint::record::TrainingConfig;
use carousel::checkpoint::transformer::{Positions, Transformer};
use carousel::inference::next_token::{NextTokenNetwork, Wanted};
use carousel::text::Direction;
use carousel_kernels::{Precision, ThreadPool};

/// Three steps of two streams.
const INPUTS: [u32; 6] = [1, 4, 2, 5, 3, 6];
const TARGETS: [u32; 6] = [2, 5, 3, 6, 4, 0];

fn assert_close(found: &Tensor, expected: &[f32]) {
    let found = Vec::<f32>::try_from(found.flatten(0, -1)).unwrap();
    assert_eq!(found.len(), expected.len());
    let close = found
        .iter()
        .zip(expected)
        .all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(close, "{found:?}\nis not\n{expected:?}");
}

/// Loss and gradients of a window of streams in a kind of number.
fn step(
    network: &Network,
    kind: Kind,
    direction: Direction,
    state: &State,
    masks: &DropoutMasks,
) -> Window {
    let batch = StreamBatch {
        direction,
        batch_size: 2,
        inputs: &INPUTS,
        targets: &TARGETS,
        sampled: None,
        state,
        masks,
    };
    Autograd { kind }.step(network, &Batch::Streams(batch))
}

/// The numbers are PyTorch's:
/// ```python
/// lstm, e, o = nn.LSTM(5, 3, 2), nn.Embedding(7, 5), nn.Linear(3, 7)
/// for k, p in enumerate([e.weight, *lstm.parameters(), o.weight, o.bias], 1):
///     p.data = (torch.cos(torch.arange(p.numel()).float() * k) * 0.5).view(p.shape)
/// ys, (h, c) = lstm(e(torch.tensor([[1, 4], [2, 5], [3, 6]])))
/// print(o(ys)[-1], h, c, F.cross_entropy(o(ys).view(-1, 7), torch.tensor([2, 5, 3, 6, 4, 0])))
/// ```
#[test]
fn the_network_agrees_with_pytorch() {
    let network = network_of_cosines(&config(false, 0.0));
    let zeros = State::zeros(network.config.recurrent(), 2, Device::Cpu);
    let ids = Tensor::from_slice(&INPUTS.map(i64::from)).view([3, 2]);
    let (logits, state) = network.predict(&ids, &zeros);
    #[rustfmt::skip]
    assert_close(&logits.narrow(0, 4, 2), &[
        0.207_655_07, -0.174_665_36, -0.262_202_95, 0.243_594_88, 0.339_341_88, -0.288_709_2, -0.431_724_64,
        0.211_314_95, -0.171_157, -0.264_780_46, 0.239_291_36, 0.340_591_73, -0.284_020_1, -0.431_527_9,
    ]);
    let [hidden, cell] = &state.parts[..] else {
        panic!("an LSTM's state has two parts");
    };
    #[rustfmt::skip]
    assert_close(hidden, &[
        0.123_493_77, -0.223_113_83, -0.054_028_15, 0.158_460_77, -0.204_591_7, -0.030_422_702,
        -0.327_218_06, 0.231_972_13, -0.153_965_53, -0.323_819_7, 0.229_861_42, -0.148_696_14,
    ]);
    #[rustfmt::skip]
    assert_close(cell, &[
        0.223_625_02, -0.437_367_23, -0.089_142_844, 0.256_165_4, -0.470_791_8, -0.046_263_605,
        -0.873_335_6, 0.543_735_3, -0.244_504_18, -0.856_982_8, 0.547_553_1, -0.239_588_75,
    ]);
    let masks = DropoutMasks::none(&network.config);
    let window = step(&network, Kind::Float, Direction::Forward, &zeros, &masks);
    assert!((window.loss - 1.981_091).abs() < 1e-5);
}

/// Compares the gradients of a loss with its slopes, number by number, in float64.
pub fn check_slopes(
    network: &Network,
    directions: &[Direction],
    step: impl Fn(&Network) -> Window,
) {
    const NUDGE: f64 = 1e-6;
    let gradients = step(network).gradients;
    for (name, parameter) in network.parameters.iter() {
        let direction = network.config.direction_of(name);
        let takes_part = direction.is_none_or(|direction| directions.contains(&direction));
        assert_eq!(gradients.find(name).is_some(), takes_part, "{name}");
        let Some(gradient) = gradients.find(name) else {
            continue;
        };
        for at in 0..parameter.numel() as i64 {
            let nudged = |by: f64| {
                let nudge = |by: f64| tch::no_grad(|| parameter.view(-1).get(at).g_add_scalar_(by));
                let _ = nudge(by);
                let loss = step(network).loss;
                let _ = nudge(-by);
                loss
            };
            let slope = (nudged(NUDGE) - nudged(-NUDGE)) / (2.0 * NUDGE);
            let found = gradient.view(-1).double_value(&[at]);
            assert!(
                (found - slope).abs() < 1e-7,
                "{name} {at}: {found} is not {slope}"
            );
        }
    }
}

#[test]
fn gradients_of_next_tokens_are_the_slopes_of_the_loss() {
    let networks = [
        (false, Direction::Forward),
        (true, Direction::Forward),
        (true, Direction::Reverse),
    ];
    for (tie_weights, direction) in networks {
        let mut config = config(tie_weights, 0.0);
        config.recurrent_mut().bidirectional = direction == Direction::Reverse;
        let network = network_of_cosines(&config).to_kind(Kind::Double);
        let zeros =
            State::zeros(config.recurrent(), 2, Device::Cpu).map(|part| part.to_kind(Kind::Double));
        let masks = DropoutMasks::none(&config);
        check_slopes(&network, &[direction], |network| {
            step(network, Kind::Double, direction, &zeros, &masks)
        });
    }
}

#[test]
fn gradients_of_every_cell_are_the_slopes_of_the_loss() {
    let mut config = config(false, 0.0);
    for layers in every_reference(&config.recurrent().clone()) {
        *config.recurrent_mut() = layers;
        let network = network_of_cosines(&config).to_kind(Kind::Double);
        let zeros =
            State::zeros(config.recurrent(), 2, Device::Cpu).map(|part| part.to_kind(Kind::Double));
        let masks = DropoutMasks::none(&config);
        check_slopes(&network, &[Direction::Forward], |network| {
            step(network, Kind::Double, Direction::Forward, &zeros, &masks)
        });
    }
}

#[test]
fn gradients_of_every_head_and_of_a_learnt_state_are_the_slopes_of_the_loss() {
    let targets: Vec<u32> = [TARGETS, INPUTS].concat();
    let last: Vec<u32> = [&TARGETS[4..], &INPUTS[4..]].concat();
    for (predict, targets) in [(Predict::Every, &targets), (Predict::Last, &last)] {
        for cell in every_cell(config(false, 0.0).recurrent()) {
            let mut config = config(false, 0.0);
            *config.recurrent_mut() = Recurrent {
                initial_state: InitialState::Learned,
                ..cell
            };
            config.head = Head::NextToken(NextToken {
                predict,
                horizon: 2,
                ..NextToken::default()
            });
            let network = network_of_cosines(&config).to_kind(Kind::Double);
            let zeros = State::zeros(config.recurrent(), 2, Device::Cpu);
            let masks = DropoutMasks::none(&config);
            check_slopes(&network, &[Direction::Forward], |network| {
                let batch = StreamBatch {
                    direction: Direction::Forward,
                    batch_size: 2,
                    inputs: &INPUTS,
                    targets,
                    sampled: None,
                    state: &zeros,
                    masks: &masks,
                };
                Autograd { kind: Kind::Double }.step(network, &Batch::Streams(batch))
            });
        }
    }
}

#[test]
fn cells_step_by_step_agree_with_libtorchs_operations() {
    let config = config(false, 0.0);
    for layers in every_cell(config.recurrent()) {
        let inputs = (Tensor::arange(4 * 2 * 5, (Kind::Double, Device::Cpu)) * 0.7).sin();
        let tensor = |(name, shape): (String, Vec<usize>)| {
            let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
            let count = shape.iter().product::<i64>();
            let phase = name.len() as f64;
            ((Tensor::arange(count, (Kind::Double, Device::Cpu)) + phase) * 1.3)
                .cos()
                .view(&shape[..])
        };
        let weights = layers.layer(Direction::Forward, 0, 5).map(tensor);
        let parts = layers.layer_spec().parts();
        let state = parts.iter().enumerate().map(|(index, _)| {
            let count = Tensor::arange(2 * 3, (Kind::Double, Device::Cpu));
            (count + index as f64).sin().view([1, 2, 3])
        });
        let state: Vec<Tensor> = state.collect();
        let inputs = inputs.view([4, 2, 5]);
        let (expected, expected_state) = cells::forward(&layers, &inputs, &state, &weights);
        let (found, found_state) = cells::unrolled(&layers, &inputs, &state, &weights);
        let pairs = found_state.iter().zip(&expected_state);
        for (found, expected) in pairs.chain([(&found, &expected)]) {
            let off = (found - expected).abs().max().double_value(&[]);
            assert!(off < 1e-12, "{layers:?}: {off}");
        }
    }
}

#[test]
fn every_cell_gives_the_same_numbers_in_inference() {
    // The engine's steps are tested against a loop in float64; here the whole network is, with a table and without.
    let states = [InitialState::Carried, InitialState::Learned];
    for (vocab_size, initial_state) in [7, 600].into_iter().zip(states) {
        let mut config = config(false, 0.0);
        config.tokens_mut().vocab_size = vocab_size;
        config.recurrent_mut().hidden_size = 19;
        config.recurrent_mut().initial_state = initial_state;
        config.head = Head::NextToken(NextToken {
            horizon: 2,
            ..NextToken::default()
        });
        for layers in every_reference(&config.recurrent().clone()) {
            *config.recurrent_mut() = layers;
            let network = network_of_cosines(&config);
            calm(&network);
            let floats = |name: &str| Ok(floats(network.parameters.get(name)).into());
            let engine = NextTokenNetwork::load(&config, floats, Precision::Float32, 2).unwrap();
            let zeros = || State::zeros(config.recurrent(), 2, Device::Cpu);
            let initial = network.initial_state(2).unwrap_or_else(zeros);
            let ids = Tensor::from_slice(&INPUTS.map(i64::from)).view([3, 2]);
            let (expected, _) = network.predict(&ids, &initial);
            let expected = Vec::<f32>::try_from(expected.flatten(0, -1)).unwrap();
            let mut state = engine.initial_state(2);
            let all = engine.forward(&INPUTS, &mut state, Wanted::All);
            let mut apart = engine.initial_state(2);
            let steps = INPUTS.chunks(2);
            let steps = steps.flat_map(|tokens| engine.forward(tokens, &mut apart, Wanted::Last));
            for found in [all, steps.collect()] {
                assert_eq!(found.len(), expected.len());
                for (a, b) in found.iter().zip(&expected) {
                    assert!((a - b).abs() < 1e-4, "{config:?}: {a} {b}");
                }
            }
        }
    }
}

#[test]
fn gradients_of_labels_are_the_slopes_of_the_loss() {
    let texts: [&[u32]; 3] = [&[0, 4, 2, 6, 1], &[0, 3, 5], &[0]];
    for bidirectional in [false, true] {
        let mut config = classifier_config(0.0);
        config.recurrent_mut().bidirectional = bidirectional;
        let network = network_of_cosines(&config).to_kind(Kind::Double);
        let seen = texts.len() * config.recurrent().pooled_size();
        let head_mask: Vec<f32> = (0..seen)
            .map(|i| if i % 3 == 0 { 0.0 } else { 1.5 })
            .collect();
        let masks = [DropoutMasks::none(&config), DropoutMasks::none(&config)];
        check_slopes(&network, config.recurrent().directions(), |network| {
            let batch = TextBatch {
                texts: &texts,
                labels: &[2, 0, 1],
                weights: &[1.0, 2.0, 0.5],
                noise: &[0.0, 0.3, 0.5],
                head_mask: Some(&head_mask),
                masks: &masks,
                perturbation: 0.0,
            };
            Autograd { kind: Kind::Double }.step(network, &Batch::Texts(batch))
        });
    }
}

/// The CPU, and a GPU where there is one.
fn devices() -> Vec<Device> {
    let gpu = tch::Cuda::is_available().then_some(Device::Cuda(0));
    [Device::Cpu].into_iter().chain(gpu).collect()
}

#[test]
fn bfloat16_products_hardly_change_loss_and_gradients() {
    for device in devices() {
        let mut config = config(true, 0.3);
        (
            config.tokens_mut().vocab_size,
            config.tokens_mut().embedding_size,
        ) = (40, 24);
        config.recurrent_mut().hidden_size = 24;
        let mut training = training(3);
        (training.embedding_dropout, training.weight_drop) = (0.1, 0.2);
        tch::manual_seed(5);
        let network = Network::initialise(&config, RecurrentInit::Orthogonal, device);
        let ids = |by: u32| -> Vec<u32> { (0..36).map(|i| (i * by + 3) % 40).collect() };
        let (inputs, targets) = (ids(7), ids(11));
        let state = State::zeros(config.recurrent(), 3, device);
        let masks = DropoutMasks::draw(&config, &training, device, 1, &ThreadPool::new(2));
        let batch = Batch::Streams(StreamBatch {
            direction: Direction::Forward,
            batch_size: 3,
            inputs: &inputs,
            targets: &targets,
            sampled: None,
            state: &state,
            masks: &masks,
        });
        let [exact, mixed] =
            [Kind::Float, Kind::BFloat16].map(|kind| Autograd { kind }.step(&network, &batch));
        assert_eq!(mixed.state.unwrap().parts[0].kind(), Kind::Float);
        assert!((exact.loss - mixed.loss).abs() < 0.01, "{device:?}");
        assert_ne!(exact.loss, mixed.loss, "bfloat16 was used on {device:?}");
        for (name, exact) in exact.gradients.iter() {
            let mixed = mixed.gradients.get(name);
            assert_eq!(mixed.kind(), Kind::Float);
            let off = (exact - mixed).norm().double_value(&[]);
            let length = exact.norm().double_value(&[]);
            assert!(off < 0.05 * length, "{device:?}: {off} of {length}");
        }
    }
}

#[test]
fn masks_drop_the_asked_fraction_and_keep_the_mean() {
    let mut config = config(false, 0.5);
    (
        config.recurrent_mut().hidden_size,
        config.tokens_mut().vocab_size,
    ) = (200, 400);
    let mut options = training(2);
    (options.embedding_dropout, options.weight_drop) = (0.5, 0.5);
    options.input_dropout = 0.5;
    let draw = |config: &ModelConfig, options| {
        DropoutMasks::draw(config, options, Device::Cpu, 1, &ThreadPool::new(2))
    };
    let masks = draw(&config, &options);
    let DropoutMasks {
        embedding,
        inputs,
        recurrent,
        outputs,
    } = &masks;
    let all = [embedding, inputs]
        .into_iter()
        .chain(recurrent)
        .chain(outputs);
    let sizes = [[400, 1], [2, 5], [800, 200], [800, 200], [2, 200], [2, 200]];
    for (mask, size) in all.zip(sizes) {
        let mask = mask.as_ref().unwrap();
        assert_eq!(mask.size(), size);
        let kept = Vec::<f32>::try_from(mask.flatten(0, -1)).unwrap();
        assert!(kept.iter().all(|&factor| factor == 0.0 || factor == 2.0));
        let mean = kept.iter().sum::<f32>() / kept.len() as f32;
        assert!((mean - 1.0).abs() < 0.3 || kept.len() < 20, "{mean}");
    }
    config.recurrent_mut().dropout = 0.0;
    let masks = draw(&config, &training(2));
    let mut layers = masks.outputs.iter().chain(&masks.recurrent);
    assert!(masks.embedding.is_none() && masks.inputs.is_none() && layers.all(Option::is_none));
}

#[test]
fn a_fresh_network_is_uniform_and_its_forget_gates_are_open() {
    for tie_weights in [false, true] {
        let mut config = config(tie_weights, 0.0);
        (
            config.tokens_mut().vocab_size,
            config.recurrent_mut().hidden_size,
        ) = (50, 32);
        config.tokens_mut().embedding_size = 32;
        let network = Network::initialise(&config, RecurrentInit::Orthogonal, Device::Cpu);
        let tokens = Tensor::arange(50, (Kind::Int64, Device::Cpu)).view([25, 2]);
        let zeros = State::zeros(config.recurrent(), 2, Device::Cpu);
        let (logits, _) = network.predict(&tokens, &zeros);
        let targets = tokens.roll([1], [0]).view([-1]);
        let loss = logits.cross_entropy_loss::<Tensor>(&targets, None, Reduction::Mean, -100, 0.0);
        let loss = loss.double_value(&[]);
        assert!((loss - 50f64.ln()).abs() < 0.15, "{loss}");
        let recurrent = network.parameters.get("rnn.weight_hh_l0").narrow(0, 0, 32);
        let identity = recurrent.matmul(&recurrent.tr());
        let off = identity - Tensor::eye(32, (Kind::Float, Device::Cpu));
        let off = off.abs().max().double_value(&[]);
        assert!(off < 1e-5, "recurrent weights are orthogonal: {off}");
        let bias = network.parameters.get("rnn.bias_ih_l0");
        assert_eq!(bias.narrow(0, 32, 32).min().double_value(&[]), 1.0);
        assert_eq!(bias.narrow(0, 64, 64).abs().max().double_value(&[]), 0.0);
    }
}

/// A transformer of two layers of this width and these heads, over a vocabulary of 7.
fn transformer(hidden_size: usize, heads: usize, positions: Positions) -> ModelConfig {
    let mut config = config(hidden_size == 6, 0.0);
    config.tokens_mut().embedding_size = hidden_size;
    config.body = Body::Transformer(Transformer {
        hidden_size,
        num_layers: 2,
        heads,
        context: 5,
        positions,
        feed_forward_size: 10,
        dropout: 0.0,
    });
    config.check().unwrap();
    config
}

/// Every kind of transformer, small.
fn every_transformer() -> Vec<ModelConfig> {
    vec![
        transformer(4, 2, Positions::Rotary),
        transformer(6, 1, Positions::Rotary),
        transformer(6, 3, Positions::Learned),
    ]
}

/// The state of streams that nothing goes on in.
fn no_state() -> State {
    State { parts: Vec::new() }
}

/// Logits after each token of a window, by loops in float64.
fn naive_logits(network: &Network, shape: &Transformer, tokens: &[u32]) -> Vec<Vec<f64>> {
    let values = |name: &str| -> Vec<f64> {
        Vec::try_from(network.parameters.get(name).to_kind(Kind::Double).view(-1)).unwrap()
    };
    let product = |weights: &[f64], x: &[f64]| -> Vec<f64> {
        let row = |row: &[f64]| row.iter().zip(x).map(|(weight, x)| weight * x).sum();
        weights.chunks_exact(x.len()).map(row).collect()
    };
    let norm = |x: &[f64], gains: &[f64]| -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let scaled = x.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt());
        scaled.zip(gains).map(|(x, gain)| x * gain).collect()
    };
    let turn = |x: &mut [f64], place: usize| {
        let pairs = x.len() / 2;
        for pair in 0..pairs {
            let angle = place as f64 / 10_000f64.powf(pair as f64 / pairs as f64);
            let (a, b) = (x[pair], x[pair + pairs]);
            x[pair] = a * angle.cos() - b * angle.sin();
            x[pair + pairs] = a * angle.sin() + b * angle.cos();
        }
    };
    let width = shape.hidden_size;
    let embedding = values("embedding.weight");
    let rows = tokens.iter().map(|&token| token as usize);
    let mut x: Vec<Vec<f64>> = rows
        .map(|token| embedding[token * width..(token + 1) * width].to_vec())
        .collect();
    if shape.positions == Positions::Learned {
        let places = values("position_embedding.weight");
        for (x, place) in x.iter_mut().zip(places.chunks_exact(width)) {
            x.iter_mut().zip(place).for_each(|(x, place)| *x += place);
        }
    }
    for layer in 0..shape.num_layers {
        let of = |name: &str| values(&format!("transformer.layers.{layer}.{name}.weight"));
        let projections = values(&format!(
            "transformer.layers.{layer}.self_attn.in_proj_weight"
        ));
        let projected: Vec<Vec<f64>> = x
            .iter()
            .map(|x| product(&projections, &norm(x, &of("norm1"))))
            .collect();
        for step in 0..x.len() {
            let mut seen = Vec::new();
            for head in 0..shape.heads {
                let size = shape.shape().head_size();
                let part = |step: usize, part: usize| {
                    let first = part * width + head * size;
                    let mut part_of = projected[step][first..first + size].to_vec();
                    if part < 2 && shape.positions == Positions::Rotary {
                        turn(&mut part_of, step);
                    }
                    part_of
                };
                let query = part(step, 0);
                let weights: Vec<f64> = (0..=step)
                    .map(|other| {
                        let products = query.iter().zip(part(other, 1)).map(|(q, k)| q * k);
                        (products.sum::<f64>() / (size as f64).sqrt()).exp()
                    })
                    .collect();
                let sum: f64 = weights.iter().sum();
                seen.extend((0..size).map(|unit| {
                    let terms = weights.iter().enumerate();
                    let terms = terms.map(|(other, weight)| weight / sum * part(other, 2)[unit]);
                    terms.sum::<f64>()
                }));
            }
            let added = product(&of("self_attn.out_proj"), &seen);
            x[step]
                .iter_mut()
                .zip(added)
                .for_each(|(x, added)| *x += added);
        }
        for x in &mut x {
            let inner = product(&of("linear1"), &norm(x, &of("norm2")));
            let gelu = |x: &f64| {
                let erf = Tensor::from(x / 2f64.sqrt()).erf().double_value(&[]);
                x * (1.0 + erf) / 2.0
            };
            let added = product(&of("linear2"), &inner.iter().map(gelu).collect::<Vec<_>>());
            x.iter_mut().zip(added).for_each(|(x, added)| *x += added);
        }
    }
    let (weight, bias) = network.config.head_tensors();
    let (gains, weight, bias) = (
        values("transformer.norm.weight"),
        values(weight),
        values(bias),
    );
    let logits = x.iter().map(|x| product(&weight, &norm(x, &gains)));
    logits
        .map(|logits| logits.iter().zip(&bias).map(|(x, bias)| x + bias).collect())
        .collect()
}

#[test]
fn a_transformer_agrees_with_loops_in_float64() {
    for config in every_transformer() {
        let network = network_of_cosines(&config).to_kind(Kind::Double);
        let tokens = [3, 1, 6, 1, 2];
        let expected = naive_logits(&network, config.transformer().unwrap(), &tokens);
        // Beside another stream.
        let both: Vec<i64> = tokens
            .iter()
            .flat_map(|&token| [i64::from(token), 5])
            .collect();
        let ids = Tensor::from_slice(&both).view([5, 2]);
        let (found, state) = network.predict(&ids, &no_state());
        let found = Vec::<f64>::try_from(found.view([5, 2, 7]).select(1, 0).reshape([-1])).unwrap();
        for (found, expected) in found.iter().zip(expected.concat()) {
            assert!(
                (found - expected).abs() < 1e-9,
                "{config:?}: {found} {expected}"
            );
        }
        assert!(state.parts.is_empty());
    }
}

#[test]
fn gradients_of_a_transformer_are_the_slopes_of_the_loss() {
    for config in every_transformer() {
        let network = network_of_cosines(&config).to_kind(Kind::Double);
        let options = TrainingConfig {
            bptt: 3,
            ..training(2)
        };
        let mut dropping = config.clone();
        if let Body::Transformer(transformer) = &mut dropping.body {
            transformer.dropout = 0.4;
        }
        let pool = ThreadPool::new(1);
        let masks = DropoutMasks::draw(&dropping, &options, Device::Cpu, 1, &pool);
        let masks = masks.map(|mask| mask.to_kind(Kind::Double));
        for masks in [masks, DropoutMasks::none(&config)] {
            check_slopes(&network, &[Direction::Forward], |network| {
                step(
                    network,
                    Kind::Double,
                    Direction::Forward,
                    &no_state(),
                    &masks,
                )
            });
        }
    }
}

#[test]
fn a_transformer_gives_the_same_numbers_in_inference_beyond_its_context() {
    for mut config in every_transformer() {
        config.tokens_mut().vocab_size = 40;
        let context = config.transformer().unwrap().context;
        let network = network_of_cosines(&config);
        let tokens: Vec<u32> = (0..17).map(|i| (i * i * 3 + 1) % 40).collect();
        let ids = |tokens: &[u32]| {
            let ids: Vec<i64> = tokens.iter().map(|&id| i64::from(id)).collect();
            Tensor::from_slice(&ids).view([-1, 1])
        };
        // Each window begins with the second half of the one before.
        let (mut expected, mut begin) = (Vec::new(), 0);
        for end in 0..tokens.len() {
            if end - begin == context {
                begin = end - context / 2;
            }
            let (logits, _) = network.predict(&ids(&tokens[begin..=end]), &no_state());
            let last = logits.get(logits.size()[0] - 1);
            expected.push(Vec::<f32>::try_from(last).unwrap());
        }
        let floats = |name: &str| Ok(floats(network.parameters.get(name)).into());
        let engine = NextTokenNetwork::load(&config, floats, Precision::Float32, 2).unwrap();
        let close = |found: &[f32], expected: &[f32]| {
            let pairs = found.iter().zip(expected);
            found.len() == expected.len() && pairs.clone().all(|(a, b)| (a - b).abs() < 1e-4)
        };
        let mut state = engine.initial_state(1);
        let all = engine.forward(&tokens, &mut state, Wanted::All);
        assert!(close(&all, &expected.concat()), "{config:?}");
        // A second stream begins later, after other tokens, and a copy goes on from the middle.
        let mut apart = engine.initial_state(2);
        engine.read(&[9, 8, 7, 6, 5, 4], &mut apart);
        engine.reset(&mut apart, 0);
        engine.reset(&mut apart, 1);
        engine.read(&[30, tokens[0], 31, tokens[1]], &mut apart);
        engine.reset(&mut apart, 0);
        for (step, expected) in expected.iter().enumerate().skip(2) {
            let both = [tokens[step - 2], tokens[step]];
            let found = engine.forward(&both, &mut apart, Wanted::Last);
            assert!(close(&found[40..], expected), "{config:?} {step}");
            let mut copy = apart.select(&[1]);
            if let Some(next) = tokens.get(step + 1) {
                engine.read(&[*next], &mut copy);
            }
            assert_eq!(copy.streams(), 1);
        }
    }
}

/*!
Validation, as `carousel evaluate` does it: on the CPU by the same code, on a GPU over the same streams (but for a transformer,
which is validated on the CPU).
*/

use std::borrow::Cow;

use tch::{Device, Kind, Reduction, Tensor};

use crate::network::{Network, State};
use crate::slices::floats;
use carousel::inference::evaluation::{CacheLookup, predict_tokens};
use carousel::inference::interpolation::CACHE_SCALES;
use carousel::inference::next_token::NextTokenNetwork;
use carousel::inference::recurrent_classifier::RecurrentClassifier;
use carousel::inference::translation_network::TranslationNetwork;
use carousel::inference::translator::Translator;
use carousel::text::corpus::Ids;
use carousel::text::streams::{EvaluationStreams, Target};
use carousel::text::tokenizer::Tokenizer;
use carousel_kernels::Precision;

/// Largest number of steps that are read at once.
const WINDOW: usize = 64;
/// Largest number of logits that are held at once.
const LOGITS: usize = 1 << 24;
/// The target that libtorch's cross entropy ignores.
const IGNORED: i64 = -100;

/// How a network predicts the tokens of a text.
pub struct TokenLosses {
    /// The loss of each, in nats.
    pub nats: Vec<f64>,
    /// With a cache, the probability of each at each of its scales.
    pub cached: Option<Vec<Vec<f64>>>,
}

/// The network's losses on the tokens of `ids`, and how a cache that keeps `cache` tokens predicts them, unless that is 0.
/// Each token is predicted once, the first after `line_end`; nothing is dropped.
pub fn token_losses(
    network: &Network,
    ids: &Ids,
    line_end: u32,
    cache: usize,
    threads: usize,
) -> TokenLosses {
    let on_cpu;
    let horizon = network.config.next_token().horizon;
    let network = match (network.device(), horizon, cache) {
        (Device::Cpu, ..) => network,
        (_, 1, 0) if network.config.carried().is_some() => {
            return TokenLosses {
                nats: by_libtorch(network, ids, line_end),
                cached: None,
            };
        }
        _ => {
            on_cpu = network.to_device(Device::Cpu);
            &on_cpu
        }
    };
    let packed = NextTokenNetwork::load(
        &network.config,
        |name| Ok(values(network, name)),
        Precision::Float32,
        threads,
    )
    .expect("every tensor is there");
    let lookup = (cache > 0).then_some(CacheLookup {
        capacity: cache,
        scales: &CACHE_SCALES,
    });
    let mut losses = TokenLosses {
        nats: vec![0.0; ids.len()],
        cached: lookup.map(|lookup| vec![vec![0.0; ids.len()]; lookup.scales.len()]),
    };
    predict_tokens(
        &packed,
        ids,
        line_end,
        lookup,
        |_| (),
        |token| {
            losses.nats[token.position] = token.nats;
            let found = token.cached.into_iter().flatten();
            for (cached, found) in losses.cached.iter_mut().flatten().zip(found) {
                cached[token.position] = found;
            }
        },
    );
    losses
}

/// The recurrent part of a classifier, packed for inference, which is on the CPU.
pub fn encoder(network: &Network, threads: usize) -> RecurrentClassifier {
    let network = network.to_device(Device::Cpu);
    RecurrentClassifier::load(
        &network.config,
        |name| Ok(values(&network, name)),
        Precision::Float32,
        threads,
    )
    .expect("every tensor is there")
}

/// A translator, packed for inference, which is on the CPU.
pub fn translator(
    network: &Network,
    tokenizers: (Tokenizer, Option<Tokenizer>),
    threads: usize,
) -> Translator {
    let network = network.to_device(Device::Cpu);
    let packed = TranslationNetwork::load(
        &network.config,
        |name| Ok(values(&network, name)),
        Precision::Float32,
        threads,
    );
    let packed = packed.expect("every tensor is there");
    Translator::new(network.config.clone(), tokenizers, packed)
}

fn values<'n>(network: &'n Network, name: &str) -> Cow<'n, [f32]> {
    Cow::Borrowed(floats(network.parameters.get(name)))
}

fn by_libtorch(network: &Network, ids: &Ids, line_end: u32) -> Vec<f64> {
    let streams = EvaluationStreams::new(ids.len());
    let device = network.device();
    let recurrent = network.config.recurrent();
    let row = streams.streams * network.config.tokens().vocab_size;
    let mut nats = vec![0.0; ids.len()];
    tch::no_grad(|| {
        let zeros = || State::zeros(recurrent, streams.streams, device);
        let initial = network.initial_state(streams.streams as i64);
        let initial = initial.unwrap_or_else(zeros);
        let mut state = initial.map(Tensor::copy);
        for window in streams.windows(ids, line_end, (LOGITS / row).clamp(1, WINDOW)) {
            if window.resets_first_stream {
                for (part, initial) in state.parts.iter().zip(&initial.parts) {
                    part.select(1, 0).copy_(&initial.select(1, 0));
                }
            }
            let inputs: Vec<i64> = window.inputs.iter().map(|&id| i64::from(id)).collect();
            let inputs = Tensor::from_slice(&inputs)
                .view([-1, streams.streams as i64])
                .to_device(device);
            let (logits, next) = network.predict(&inputs, &state);
            state = next;
            if window.targets.iter().any(Option::is_some) {
                let id = |target: &Option<Target>| target.map_or(IGNORED, |t| i64::from(t.id));
                let targets = window.targets.iter().map(id);
                let targets = Tensor::from_slice(&targets.collect::<Vec<_>>()).to_device(device);
                let loss = logits.cross_entropy_loss::<Tensor>(
                    &targets,
                    None,
                    Reduction::None,
                    IGNORED,
                    0.0,
                );
                let loss = loss.to_kind(Kind::Float).to_device(Device::Cpu);
                for (target, &loss) in window.targets.iter().zip(floats(&loss)) {
                    if let Some(target) = target {
                        nats[target.position] = loss.into();
                    }
                }
            }
        }
    });
    nats
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradients::{Batch, Kernels, TextBatch};
    use crate::network::DropoutMasks;
    use crate::network::testing::{classifier_config, config, network_of_cosines};
    use crate::run::{TrainingState, model_weights};
    use crate::tasks::classifier::calibration;
    use carousel::checkpoint::Directory;
    use carousel::checkpoint::arguments::TrainingPrecision;
    use carousel::inference;
    use carousel::inference::next_token::Wanted;
    use carousel::inference::sampling::{Choice, Sampling, argmax_token};
    use carousel::text::corpus::encode_files;
    use carousel::text::source::InvalidBytes;
    use carousel::text::spelling::Spelling;
    use carousel_kernels::ThreadPool;

    const FLOAT_CPU: (Kind, Device) = (Kind::Float, Device::Cpu);
    const FEW: [char; 6] = ['\n', 'a', 'b', 'c', 'd', 'e'];

    /// A network as training has it, and the same as the light program reads it from a checkpoint.
    fn both(
        folder: &std::path::Path,
        tie_weights: bool,
        characters: &[char],
        large_weights: bool,
    ) -> (Network, inference::Model) {
        let mut config = config(tie_weights, 0.3);
        config.tokens_mut().vocab_size = characters.len() + 1;
        let network = network_of_cosines(&config);
        if large_weights {
            // Large weights without a pattern, so that a greedy text does not repeat one token.
            tch::no_grad(|| {
                for parameter in network.parameters.tensors() {
                    let numbers = Tensor::arange(parameter.numel() as i64, FLOAT_CPU);
                    let values = (numbers.square() * 0.37 + parameter.numel() as f64).cos() * 2.5;
                    parameter.shallow_clone().copy_(&values.view_as(parameter));
                }
            });
        }
        let directory = Directory::at(folder);
        let streams = State::zeros(config.recurrent(), 1, Device::Cpu);
        let state = TrainingState::new(network, false, streams);
        directory
            .save_weights(&model_weights(&state, &[]).unwrap())
            .unwrap();
        directory
            .save_description(&config, &Tokenizer::characters(characters))
            .unwrap();
        let model = inference::Model::open(&directory, Precision::Float32, 1).unwrap();
        (state.network, model)
    }

    #[test]
    fn inference_gives_the_logits_of_libtorch() {
        let folder = tempfile::tempdir().unwrap();
        // With a small vocabulary the first layer's input products are a table, with a large one they are computed.
        let many: Vec<char> = ('\u{100}'..'\u{400}').collect();
        for (tie_weights, characters) in [
            (false, &FEW[..]),
            (true, &FEW),
            (false, &many),
            (true, &many),
        ] {
            let (network, model) = both(folder.path(), tie_weights, characters, false);
            let size = network.config.tokens().vocab_size as i64;
            let tokens: Vec<i64> = (0..40).map(|i| (i * i * 5 + 3) % size).collect();
            let zeros = State::zeros(network.config.recurrent(), 2, Device::Cpu);
            let (expected, _) = network.predict(&Tensor::from_slice(&tokens).view([20, 2]), &zeros);
            let expected = Vec::<f32>::try_from(expected.flatten(0, -1)).unwrap();
            let tokens: Vec<u32> = tokens.iter().map(|&t| t as u32).collect();
            let mut state = model.predictor.initial_state(2);
            let found = model.predictor.forward(&tokens, &mut state, Wanted::All);
            assert_eq!(found.len(), expected.len());
            assert!(
                found
                    .iter()
                    .zip(&expected)
                    .all(|(a, b)| (a - b).abs() < 1e-4)
            );
        }
    }

    #[test]
    fn inference_writes_the_greedy_text_of_libtorch() {
        let folder = tempfile::tempdir().unwrap();
        let (network, model) = both(folder.path(), false, &FEW, true);
        let sampling = Sampling {
            repetition: None,
            choice: Choice::Greedy,
        };
        let written = inference::generated_text::sample(&model, sampling, 300, 0);
        let mut state = State::zeros(network.config.recurrent(), 1, Device::Cpu);
        let mut tokens = vec![model.tokenizer.line_end()];
        for step in 0..300 {
            let token = Tensor::from_slice(&[i64::from(tokens[step])]).view([1, 1]);
            let (logits, next) = network.predict(&token, &state);
            state = next;
            let mut logits = Vec::<f32>::try_from(logits.flatten(0, -1)).unwrap();
            // The unknown token is never written.
            logits[0] = f32::NEG_INFINITY;
            tokens.push(argmax_token(&logits));
        }
        assert_eq!(written, model.tokenizer.decode(&tokens[1..]));
        assert!(FEW.iter().filter(|&&c| written.contains(c)).count() > 1);
    }

    #[test]
    fn inference_and_training_give_a_text_the_same_label_loss() {
        for (vocab_size, bidirectional) in [(9, false), (9, true), (600, false), (600, true)] {
            let mut config = classifier_config(0.0);
            config.tokens_mut().vocab_size = vocab_size;
            config.recurrent_mut().bidirectional = bidirectional;
            let network = network_of_cosines(&config);
            let text = |length: usize| -> Vec<u32> {
                let token = |i: usize| ((i * i * 3 + length) % vocab_size) as u32;
                (0..length).map(token).collect()
            };
            let texts = [text(17), text(9), text(1)];
            let texts: Vec<&[u32]> = texts.iter().map(|text| &text[..]).collect();
            let masks = [DropoutMasks::none(&config), DropoutMasks::none(&config)];
            let labels = [2, 0, 1];
            let batch = Batch::Texts(TextBatch {
                texts: &texts,
                labels: &labels,
                weights: &[1.0; 3],
                noise: &[0.0; 3],
                head_mask: None,
                masks: &masks,
                perturbation: 0.0,
            });
            let mut kernels = Kernels::new(&config, 3, TrainingPrecision::F32);
            let found = kernels.step(&network, &batch, &ThreadPool::new(2)).loss;
            let logits = encoder(&network, 2).logits(&texts);
            let expected = calibration::loss(logits.into_iter(), &labels, &[1.0; 3]);
            assert!(
                (found - expected).abs() < 1e-5,
                "{vocab_size} {bidirectional}: {found} {expected}"
            );
        }
    }

    #[test]
    fn inference_and_libtorch_measure_the_same_loss() {
        let folder = tempfile::tempdir().unwrap();
        let (network, model) = both(folder.path(), false, &FEW, false);
        let text: String = (0..30_000u64)
            .map(|i| ['a', 'b', 'c', 'd', '\n'][(i * i / 7 % 5) as usize])
            .collect();
        let file = folder.path().join("text");
        std::fs::write(&file, text).unwrap();
        let ids = encode_files(
            &[file],
            &model.tokenizer,
            &Spelling::default(),
            InvalidBytes::Replaced,
        )
        .unwrap()
        .ids;
        for length in [1, 100, 4_095, 9_000, 30_000] {
            let part = ids.slice(0..length);
            let line_end = model.tokenizer.line_end();
            let mean = |nats: f64| nats / length as f64;
            let found = by_libtorch(&network, &part, line_end);
            let here = token_losses(&network, &part, line_end, 0, 2).nats;
            for (position, (found, here)) in found.iter().zip(&here).enumerate() {
                assert!((found - here).abs() < 1e-3, "{position}: {found} {here}");
            }
            let (found, here) = (mean(found.iter().sum()), mean(here.iter().sum()));
            assert!((found - here).abs() < 1e-4, "{length}: {found} {here}");
            let expected =
                mean(inference::evaluation::nats(&model.predictor, &part, line_end, |_| ()).all);
            assert!(
                (found - expected).abs() < 1e-4,
                "{length}: {found} {expected}"
            );
            let again = token_losses(&network, &part, line_end, 0, 2).nats;
            assert_eq!(mean(again.iter().sum()), here);
        }
    }
}

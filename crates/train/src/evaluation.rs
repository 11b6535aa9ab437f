/*!
Validation, by the rule that `evaluate` follows in the inference wing: on the CPU by its very code, on a GPU with the same
streams and the same sums.
*/

use std::borrow::Cow;

use tch::{Device, Kind, Reduction, Tensor};

use crate::network::{Masks, Network, State};
use crate::slices::floats;
use carousel::inference;
use carousel::inference::classifier::TextEncoder;
use carousel::text::Direction;
use carousel::text::corpus::Ids;
use carousel::text::streams::EvaluationStreams;
use carousel_kernels::Precision;

/// The most steps read at once.
const WINDOW: usize = 64;
/// The most logits held at once.
const LOGITS: usize = 1 << 24;
/// The target that libtorch's cross entropy leaves out.
const NOT_COUNTED: i64 = -100;

/// The nats that the network spends on `ids`, each predicted once, the first after `line_end`. Drops nothing.
pub fn nats(network: &Network, ids: &Ids, line_end: u32, threads: usize) -> f64 {
    if network.device() != Device::Cpu {
        return by_libtorch(network, ids, line_end);
    }
    let weights = |name: &str| Ok(named(network, name));
    let network =
        inference::recurrent::Network::load(&network.config, weights, Precision::Float32, threads)
            .expect("every tensor is there");
    inference::evaluation::nats(&network, ids, line_end, |_| ())
}

/// The recurrent half of a classifier, as inference has it.
pub fn encoder(network: &Network, threads: usize) -> TextEncoder {
    let weights = |name: &str| Ok(named(network, name));
    TextEncoder::load(&network.config, weights, Precision::Float32, threads)
        .expect("every tensor is there")
}

fn named<'n>(network: &'n Network, name: &str) -> Cow<'n, [f32]> {
    let tensors = network.config.tensors();
    let index = tensors.iter().position(|(other, _)| other == name);
    let parameter = &network.parameters[index.expect("a tensor of the network")];
    Cow::Borrowed(floats(parameter))
}

fn by_libtorch(network: &Network, ids: &Ids, line_end: u32) -> f64 {
    let streams = EvaluationStreams::new(ids.len());
    let device = network.device();
    let row = streams.streams * network.config.vocab_size;
    let mut state = State::zeros(&network.config, streams.streams, device);
    let masks = Masks::none(&network.config);
    let mut nats = 0.0;
    tch::no_grad(|| {
        for window in streams.windows(ids, line_end, (LOGITS / row).clamp(1, WINDOW)) {
            if window.begins {
                state.forget(network.config.stack(Direction::Forward), 0);
            }
            let inputs: Vec<i64> = window.inputs.iter().map(|&id| i64::from(id)).collect();
            let targets: Vec<i64> = window
                .targets
                .iter()
                .map(|id| id.map_or(NOT_COUNTED, i64::from))
                .collect();
            let inputs = Tensor::from_slice(&inputs)
                .view([-1, streams.streams as i64])
                .to_device(device);
            let (logits, next) =
                network.forward(Direction::Forward, &inputs, &state, &masks, Kind::Float);
            state = next;
            if window.targets.iter().any(Option::is_some) {
                let targets = Tensor::from_slice(&targets).to_device(device);
                let loss = logits.cross_entropy_loss::<Tensor>(
                    &targets,
                    None,
                    Reduction::Sum,
                    NOT_COUNTED,
                    0.0,
                );
                nats += loss.to_kind(Kind::Double).double_value(&[]);
            }
        }
    });
    nats
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradients::backprop::Backprop;
    use crate::gradients::pooling::Head;
    use crate::network::tests::{config, network_of_cosines};
    use crate::optimizer::AdamW;
    use crate::run::resume::{Progress, TrainingState};
    use crate::tasks::classifier::calibration;
    use carousel::checkpoint::config::Task;
    use carousel::checkpoint::{Directory, ModelConfig};
    use carousel::inference::recurrent::Wanted;
    use carousel::inference::sampling::{Choice, Sampling, likeliest};
    use carousel::text::corpus::encode_files;
    use carousel::text::spelling::Spelling;
    use carousel::text::tokenizer::Tokenizer;
    use carousel_kernels::ThreadPool;
    const FLOAT_CPU: (tch::Kind, Device) = (tch::Kind::Float, Device::Cpu);
    const FEW: [char; 6] = ['\n', 'a', 'b', 'c', 'd', 'e'];

    /// A network as training has it, and the same as inference reads it from a checkpoint.
    fn both_wings(
        folder: &std::path::Path,
        tie_weights: bool,
        characters: &[char],
        lively: bool,
    ) -> (Network, inference::Model) {
        let config = ModelConfig {
            vocab_size: characters.len() + 1,
            ..config(tie_weights, 0.3)
        };
        let network = network_of_cosines(&config);
        if lively {
            // Large weights without a pattern, so that a greedy text does not stand still.
            tch::no_grad(|| {
                for mut parameter in network.parameters.iter().map(Tensor::shallow_clone) {
                    let numbers = Tensor::arange(parameter.numel() as i64, FLOAT_CPU);
                    let values = (numbers.square() * 0.37 + parameter.numel() as f64).cos() * 2.5;
                    parameter.copy_(&values.view_as(&parameter));
                }
            });
        }
        let directory = Directory::at(folder);
        let standing = TrainingState {
            averages: Vec::new(),
            optimizer: AdamW::new(&network.parameters),
            state: State::zeros(&config, 1, Device::Cpu),
            network,
            progress: Progress::default(),
        };
        directory
            .save_weights(&standing.weights(&[], None).unwrap())
            .unwrap();
        directory
            .save_description(&config, &Tokenizer::characters(characters))
            .unwrap();
        (
            standing.network,
            inference::Model::open(&directory, Precision::Float32, 1).unwrap(),
        )
    }

    #[test]
    fn inference_gives_the_logits_of_libtorch() {
        let folder = tempfile::tempdir().unwrap();
        // With few symbols the first layer's input products are a table, with many they are computed.
        let many: Vec<char> = ('\u{100}'..'\u{400}').collect();
        let wings = [
            (false, &FEW[..]),
            (true, &FEW),
            (false, &many),
            (true, &many),
        ];
        for (tie_weights, characters) in wings {
            let (network, model) = both_wings(folder.path(), tie_weights, characters, false);
            let size = network.config.vocab_size as i64;
            let tokens: Vec<i64> = (0..40).map(|i| (i * i * 5 + 3) % size).collect();
            let zeros = State::zeros(&network.config, 2, Device::Cpu);
            let (expected, _) = network.forward(
                Direction::Forward,
                &Tensor::from_slice(&tokens).view([20, 2]),
                &zeros,
                &Masks::none(&network.config),
                Kind::Float,
            );
            let expected = Vec::<f32>::try_from(expected.flatten(0, -1)).unwrap();
            let tokens: Vec<u32> = tokens.iter().map(|&t| t as u32).collect();
            let found =
                model
                    .network
                    .forward(&tokens, &mut model.network.zero_state(2), Wanted::All);
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
        let (network, model) = both_wings(folder.path(), false, &FEW, true);
        let sampling = Sampling {
            repetition: None,
            choice: Choice::Greedy,
        };
        let written = inference::generator::sample(&model, sampling, 300, 0);
        let mut state = State::zeros(&network.config, 1, Device::Cpu);
        let mut tokens = vec![model.tokenizer.line_end()];
        for step in 0..300 {
            let token = Tensor::from_slice(&[i64::from(tokens[step])]).view([1, 1]);
            let (logits, next) = network.forward(
                Direction::Forward,
                &token,
                &state,
                &Masks::none(&network.config),
                Kind::Float,
            );
            state = next;
            let mut logits = Vec::<f32>::try_from(logits.flatten(0, -1)).unwrap();
            // The token for the unknown is never written.
            logits[0] = f32::NEG_INFINITY;
            tokens.push(likeliest(&logits));
        }
        assert_eq!(written, model.tokenizer.decode(&tokens[1..]));
        assert!(FEW.iter().filter(|&&c| written.contains(c)).count() > 1);
    }

    #[test]
    fn both_wings_make_the_same_of_a_text() {
        for (vocab_size, bidirectional) in [(9, false), (9, true), (600, false), (600, true)] {
            let config = ModelConfig {
                task: Task::Classifier,
                labels: ["a", "b", "c"].map(String::from).to_vec(),
                vocab_size,
                bidirectional,
                ..config(false, 0.0)
            };
            let network = network_of_cosines(&config);
            let text = |length: usize| -> Vec<u32> {
                let token = |i: usize| ((i * i * 3 + length) % vocab_size) as u32;
                (0..length).map(token).collect()
            };
            let texts = [text(17), text(9), text(1)];
            let texts: Vec<&[u32]> = texts.iter().map(|text| &text[..]).collect();
            let labels = [2, 0, 1];
            let masks = [Masks::none(&config), Masks::none(&config)];
            let head = Head {
                labels: &labels,
                weights: &[1.0; 3],
                doubts: &[0.0; 3],
                mask: None,
            };
            let mut backprop = Backprop::new(&config, 3, Precision::Float32);
            let found = backprop.texts(&network, &texts, &head, &masks, 0.0, &ThreadPool::new(2));
            let logits = encoder(&network, 2).logits(&texts);
            let expected = calibration::loss(logits.into_iter(), &labels);
            assert!(
                (found.loss - expected).abs() < 1e-5,
                "{vocab_size} {bidirectional}: {} {expected}",
                found.loss
            );
        }
    }

    #[test]
    fn both_wings_measure_the_same_loss() {
        let folder = tempfile::tempdir().unwrap();
        let (network, model) = both_wings(folder.path(), false, &FEW, false);
        let text: String = (0..30_000u64)
            .map(|i| ['a', 'b', 'c', 'd', '\n'][(i * i / 7 % 5) as usize])
            .collect();
        let file = folder.path().join("text");
        std::fs::write(&file, text).unwrap();
        let ids = encode_files(&[file], &model.tokenizer, &Spelling::default(), false)
            .unwrap()
            .ids;
        for length in [1, 100, 4_095, 9_000, 30_000] {
            let part = ids.slice(0..length);
            let line_end = model.tokenizer.line_end();
            let found = by_libtorch(&network, &part, line_end) / length as f64;
            let here = nats(&network, &part, line_end, 2) / length as f64;
            assert!((found - here).abs() < 1e-4, "{length}: {found} {here}");
            let expected = inference::evaluation::nats(&model.network, &part, line_end, |_| ())
                / length as f64;
            assert!(
                (found - expected).abs() < 1e-4,
                "{length}: {found} {expected}"
            );
            assert_eq!(nats(&network, &part, line_end, 2) / length as f64, here);
        }
    }
}

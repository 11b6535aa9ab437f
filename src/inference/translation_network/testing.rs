//! Networks that are held to plain loops in float64, and what is compared.

use std::collections::HashMap;

use super::*;
use crate::checkpoint::architecture::{NextToken, Tokens};
use crate::checkpoint::parts::{Body, Head, Input};
use crate::inference::{encoder_decoder, transformer_encoder_decoder};
use crate::text::{Level, Split};

/// Sources of several lengths, the longest neither first nor last.
pub const SOURCES: [&[u32]; 4] = [&[3, 1, 4, 0], &[1, 5, 9, 2, 6, 5, 0], &[0], &[7, 7, 0]];
/// What is written for each of them, step by step.
pub const TARGETS: [[u32; 4]; 4] = [[0, 0, 0, 0], [4, 1, 0, 6], [2, 1, 3, 5], [6, 2, 5, 4]];

pub type Vector = Vec<f64>;

/// A network and the weights that it was made of.
pub struct Twin {
    pub config: ModelConfig,
    pub weights: HashMap<String, Vec<f32>>,
}

pub fn tokens(vocab_size: usize, embedding_size: usize) -> Tokens {
    Tokens {
        level: Level::Character,
        split: Split::Natural,
        vocab_size,
        embedding_size,
    }
}

/// A network with made-up weights, over a source of these tokens.
pub fn twin(source: Tokens, body: Body, tie_weights: bool) -> Twin {
    let config = ModelConfig {
        input: Input::Tokens(source),
        body,
        head: Head::NextToken(NextToken {
            tie_weights,
            ..NextToken::default()
        }),
    };
    config.check().unwrap();
    let tensor = |(which, (name, shape)): (usize, (String, Vec<usize>))| {
        let count = shape.iter().product::<usize>();
        let value = |index: usize| ((index * (2 * which + 3)) as f32).cos() * 0.6;
        (name, (0..count).map(value).collect())
    };
    let weights = config.tensors().into_iter().enumerate().map(tensor);
    Twin {
        weights: weights.collect(),
        config,
    }
}

/// Networks for other tests, of both kinds: they read ten tokens, and write eight.
pub fn made_up() -> [Twin; 2] {
    [
        encoder_decoder::tests::made_up(),
        transformer_encoder_decoder::tests::made_up(),
    ]
}

/// `weights · x`.
pub fn product(weights: &[f32], x: &[f64]) -> Vector {
    let rows = weights.chunks_exact(x.len());
    let row = |row: &[f32]| row.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum();
    rows.map(row).collect()
}

pub fn sum(a: &[f64], b: &[f32]) -> Vector {
    a.iter().zip(b).map(|(a, &b)| a + f64::from(b)).collect()
}

/// Layer normalisation with gains (Ba et al. 2016).
pub fn normalised(x: &[f64], gains: &[f32]) -> Vector {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    let scale = 1.0 / (variance + 1e-5).sqrt();
    let each = x.iter().zip(gains);
    each.map(|(x, &gain)| (x - mean) * scale * f64::from(gain))
        .collect()
}

impl Twin {
    pub fn get(&self, name: &str) -> &[f32] {
        &self.weights[name]
    }

    pub fn network(&self, precision: Precision) -> TranslationNetwork {
        let floats = |name: &str| Ok(Cow::Borrowed(self.get(name)));
        TranslationNetwork::load(&self.config, floats, precision, 2).unwrap()
    }

    pub fn vector(&self, name: &str, token: u32, size: usize) -> Vector {
        let first = token as usize * size;
        let row = self.get(name)[first..first + size].iter();
        row.map(|&value| f64::from(value)).collect()
    }

    /// Logits and weights at every step of a target.
    pub fn decode(&self, source: &[u32], target: &[u32]) -> Vec<(Vector, Vector)> {
        match self.config.encoder_decoder() {
            Some(_) => encoder_decoder::tests::decode(self, source, target),
            None => transformer_encoder_decoder::tests::decode(self, source, target),
        }
    }
}

/// The logits of each target's next token after a step.
pub fn logits(network: &TranslationNetwork, state: &TargetState, streams: usize) -> Vec<Vec<f32>> {
    let mut all = vec![Vec::new(); streams];
    network.for_each_logits(state, &mut all, &mut Vec::new(), |_, logits, own| {
        *own = logits.to_vec();
    });
    all
}

/// Logits and weights of some sources side by side, at every step, as [`Twin::decode`] gives them for each.
fn side_by_side(network: &TranslationNetwork, which: &[usize]) -> Vec<Vec<(Vec<f32>, Vec<f32>)>> {
    let sources: Vec<&[u32]> = which.iter().map(|&index| SOURCES[index]).collect();
    let encoded = network.encode(&sources);
    let mut state = network.initial_state(&encoded);
    let rows: Vec<usize> = (0..which.len()).collect();
    let mut all = vec![Vec::new(); which.len()];
    for tokens in TARGETS {
        let tokens: Vec<u32> = which.iter().map(|&index| tokens[index]).collect();
        let mut weights = network.step(&tokens, &rows, &encoded, &mut state);
        weights.resize(which.len(), Vec::new());
        let logits = logits(network, &state, which.len());
        for ((all, logits), weights) in all.iter_mut().zip(logits).zip(weights) {
            all.push((logits, weights));
        }
    }
    all
}

/// Checks that a network gives the numbers of plain loops, and a source alone those that it has beside others.
pub fn check(twin: &Twin) {
    let name = format!("{:?}", twin.config.body);
    let network = twin.network(Precision::Float32);
    let all: Vec<usize> = (0..SOURCES.len()).collect();
    let together = side_by_side(&network, &all);
    for (index, found) in together.iter().enumerate() {
        assert_eq!(*found, side_by_side(&network, &[index])[0], "{name}");
        let expected = twin.decode(SOURCES[index], &TARGETS.map(|tokens| tokens[index]));
        for ((logits, weights), (found, seen)) in expected.iter().zip(found) {
            assert_eq!(weights.len(), seen.len(), "{name}");
            let pairs = logits.iter().zip(found).chain(weights.iter().zip(seen));
            for (expected, &found) in pairs {
                assert!(
                    (expected - f64::from(found)).abs() < 1e-4,
                    "{name}: {expected} {found}"
                );
            }
        }
    }
}

/// Checks that rounded weights give nearly the same logits.
pub fn check_rounded(twin: &Twin, tolerance: f64) {
    for precision in [Precision::Bfloat16, Precision::Int8] {
        let network = twin.network(precision);
        let all: Vec<usize> = (0..SOURCES.len()).collect();
        for (index, found) in side_by_side(&network, &all).iter().enumerate() {
            assert_eq!(*found, side_by_side(&network, &[index])[0], "{precision:?}");
            let expected = twin.decode(SOURCES[index], &TARGETS.map(|tokens| tokens[index]));
            for ((logits, _), (found, _)) in expected.iter().zip(found) {
                for (expected, &found) in logits.iter().zip(found) {
                    let off = (expected - f64::from(found)).abs();
                    assert!(off < tolerance, "{precision:?}: {expected} {found}");
                }
            }
        }
    }
}

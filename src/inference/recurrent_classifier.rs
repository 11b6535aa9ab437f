/*!
The recurrent part of a classifier: a head over the pooled outputs of recurrent layers (Howard and Ruder 2018).
*/

use std::borrow::Cow;
use std::cmp::Reverse;

use super::pooling::Pooling;
use super::recurrent::RecurrentNetwork;
use crate::checkpoint::ModelConfig;
use crate::checkpoint::architecture::{HEAD_BIAS, HEAD_WEIGHT};
use crate::error::Result;
use carousel_kernels::{Kernel, Precision};

/// Number of texts that are read side by side.
const BATCH_SIZE: usize = 64;

/// Recurrent layers and a head that gives logits of labels.
pub struct RecurrentClassifier {
    network: RecurrentNetwork,
    /// Weights of the head, `[labels, directions · POOLED · hidden_size]`.
    weight: Vec<f32>,
    /// Bias of the head, `[labels]`.
    bias: Vec<f32>,
    hidden_size: usize,
    /// Number of directions in which texts are read.
    directions: usize,
}

impl RecurrentClassifier {
    /// Packs the weights that `floats` gives for the names of [`ModelConfig::tensors`].
    pub fn load<'w>(
        config: &ModelConfig,
        floats: impl Fn(&str) -> Result<Cow<'w, [f32]>>,
        precision: Precision,
        threads: usize,
    ) -> Result<Self> {
        Ok(RecurrentClassifier {
            weight: floats(HEAD_WEIGHT)?.into_owned(),
            bias: floats(HEAD_BIAS)?.into_owned(),
            hidden_size: config.recurrent().hidden_size,
            directions: config.recurrent().directions().len(),
            network: RecurrentNetwork::load(
                config,
                config.recurrent().directions(),
                floats,
                Kernel::fastest(precision),
                threads,
            )?,
        })
    }

    /// Logits of each text, `[texts, labels]`. Texts of similar length are read together.
    pub fn logits(&self, texts: &[&[u32]]) -> Vec<Vec<f64>> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&index| Reverse(texts[index].len()));
        let mut logits = vec![Vec::new(); texts.len()];
        for batch in order.chunks(BATCH_SIZE) {
            let texts: Vec<&[u32]> = batch.iter().map(|&index| texts[index]).collect();
            let pooling = |_| Pooling::new(texts.len(), self.hidden_size, self.network.units());
            let mut poolings: Vec<Pooling> = (0..self.directions).map(pooling).collect();
            self.network
                .read_texts(&texts, |direction, reading, hidden| {
                    poolings[direction].add(reading, hidden)
                });
            for (text, &index) in batch.iter().enumerate() {
                let mut pooled = Vec::new();
                for pooling in &poolings {
                    pooling.append_to(&mut pooled, text, |sum, length| sum * (1.0 / length));
                }
                let found = head_logits(&self.weight, &self.bias, &pooled);
                logits[index] = found.into_iter().map(f64::from).collect();
            }
        }
        logits
    }
}

/// Logits of a classifier's head for the pooled outputs of a text; `weight` is `[labels, pooled_size]`.
pub fn head_logits(weight: &[f32], bias: &[f32], pooled: &[f32]) -> Vec<f32> {
    let rows = weight.chunks_exact(pooled.len()).zip(bias);
    let logit = |(row, bias): (&[f32], &f32)| {
        row.iter().zip(pooled).map(|(a, b)| a * b).sum::<f32>() + bias
    };
    rows.map(logit).collect()
}

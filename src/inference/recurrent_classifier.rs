/*!
The recurrent part of a classifier: a head over the pooled outputs of recurrent layers (Howard and Ruder 2018).
*/

use std::borrow::Cow;
use std::cmp::Reverse;

use super::recurrent::RecurrentNetwork;
use crate::checkpoint::ModelConfig;
use crate::checkpoint::architecture::{HEAD_BIAS, HEAD_WEIGHT, POOLED};
use crate::error::Result;
use carousel_kernels::{Kernel, Precision};

/// Texts that are read side by side.
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
            let pooled = || PooledOutputs::new(texts.len(), self.hidden_size, self.network.lanes());
            let mut pooled: Vec<PooledOutputs> = (0..self.directions).map(|_| pooled()).collect();
            self.network
                .read_texts(&texts, |direction, reading, hidden| {
                    pooled[direction].add(reading, hidden);
                });
            for (row, &index) in batch.iter().enumerate() {
                let vectors = pooled
                    .iter()
                    .map(|pooled| pooled.vector(row, texts[row].len()));
                let pooled = vectors.collect::<Vec<_>>().concat();
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

/// Outputs of texts that are read side by side, pooled over their steps: `[panels, texts, lanes]` each.
struct PooledOutputs {
    texts: usize,
    size: usize,
    lanes: usize,
    last: Vec<f32>,
    sum: Vec<f32>,
    highest: Vec<f32>,
}

impl PooledOutputs {
    fn new(texts: usize, size: usize, lanes: usize) -> Self {
        let count = size.next_multiple_of(lanes) * texts;
        PooledOutputs {
            texts,
            size,
            lanes,
            last: vec![0.0; count],
            sum: vec![0.0; count],
            highest: vec![f32::NEG_INFINITY; count],
        }
    }

    /// Adds a step's outputs of the first `reading` texts, `[panels, reading, lanes]`.
    fn add(&mut self, reading: usize, hidden: &[f32]) {
        let (all, own) = (self.texts * self.lanes, reading * self.lanes);
        for (panel, hidden) in hidden.chunks_exact(own).enumerate() {
            let range = panel * all..panel * all + own;
            self.last[range.clone()].copy_from_slice(hidden);
            let sums = self.sum[range.clone()].iter_mut();
            let highest = self.highest[range].iter_mut();
            for ((sum, highest), &hidden) in sums.zip(highest).zip(hidden) {
                *sum += hidden;
                *highest = highest.max(hidden);
            }
        }
    }

    /// Last, mean and highest outputs of a text of this many tokens.
    fn vector(&self, text: usize, tokens: usize) -> Vec<f32> {
        let position =
            |unit: usize| (unit / self.lanes * self.texts + text) * self.lanes + unit % self.lanes;
        let scale = 1.0 / tokens as f32;
        let mut vector = Vec::with_capacity(POOLED * self.size);
        vector.extend((0..self.size).map(|unit| self.last[position(unit)]));
        vector.extend((0..self.size).map(|unit| self.sum[position(unit)] * scale));
        vector.extend((0..self.size).map(|unit| self.highest[position(unit)]));
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooled_outputs_are_last_mean_and_highest() {
        // Two texts, five units in vectors of four lanes; the second text ends first.
        let mut pooled = PooledOutputs::new(2, 5, 4);
        let step = |values: &[[f32; 5]]| -> Vec<f32> {
            (0..2)
                .flat_map(|panel| values.iter().map(move |text| (panel, text)))
                .flat_map(|(panel, text)| {
                    (0..4).map(move |lane| text.get(panel * 4 + lane).copied().unwrap_or(9.0))
                })
                .collect()
        };
        pooled.add(2, &step(&[[1.0, 2.0, 3.0, 4.0, 5.0], [-1.0; 5]]));
        pooled.add(1, &step(&[[3.0, 0.0, 3.0, 0.0, -5.0]]));
        let first = pooled.vector(0, 2);
        assert_eq!(first[..5], [3.0, 0.0, 3.0, 0.0, -5.0]);
        assert_eq!(first[5..10], [2.0, 1.0, 3.0, 2.0, 0.0]);
        assert_eq!(first[10..], [3.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(pooled.vector(1, 1), [-1.0; 15]);
    }
}

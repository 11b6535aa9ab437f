/*!
A classifier's head, for training: what the last layer's outputs come to over whole texts, and how well their labels are told
by it.
*/

use std::ops::Range;

use tch::Tensor;

use crate::network::Network;
use crate::slices::{floats, floats_mut};
use carousel::checkpoint::config::POOLED;
use carousel_kernels::{Rows, ThreadPool};

/// What the outputs of texts that are read side by side come to.
pub struct Pooling {
    lengths: Vec<usize>,
    size: usize,
    texts: Vec<Text>,
}

/// What one text came to, a number for each unit.
#[derive(Clone)]
struct Text {
    last: Vec<f32>,
    sum: Vec<f32>,
    highest: Vec<f32>,
    /// The steps at which the highest were.
    at: Vec<u32>,
}

impl Pooling {
    /// Nothing yet of texts of these lengths.
    pub fn new(lengths: Vec<usize>, size: usize) -> Self {
        let text = Text {
            last: vec![0.0; size],
            sum: vec![0.0; size],
            highest: vec![f32::NEG_INFINITY; size],
            at: vec![0; size],
        };
        Pooling {
            texts: vec![text; lengths.len()],
            lengths,
            size,
        }
    }

    /// Takes in the outputs of some steps, which follow a row for each text: `[(steps + 1) · texts, size]`.
    pub fn add(&mut self, steps: Range<usize>, outputs: &Rows, pool: &ThreadPool) {
        let streams = self.lengths.len();
        let mut parts: Vec<_> = self.texts.iter_mut().zip(&self.lengths).collect();
        let size = self.size;
        pool.for_each(pool.threads(), &mut parts, |stream, (text, length)| {
            let mut hidden = vec![0.0; size];
            for step in steps.start..steps.end.min(**length) {
                outputs.get((step - steps.start + 1) * streams + stream, &mut hidden);
                let units = text.sum.iter_mut().zip(&mut text.highest);
                for (((sum, highest), at), &hidden) in units.zip(&mut text.at).zip(&hidden) {
                    *sum += hidden;
                    if hidden > *highest {
                        (*highest, *at) = (hidden, step as u32);
                    }
                }
                if step + 1 == **length {
                    text.last.copy_from_slice(&hidden);
                }
            }
        });
    }

    /// What all texts came to, `[texts, POOLED · size]`: last, mean, highest.
    pub fn all(&self) -> Vec<f32> {
        let mut all = Vec::with_capacity(self.texts.len() * POOLED * self.size);
        for (text, &length) in self.texts.iter().zip(&self.lengths) {
            all.extend_from_slice(&text.last);
            all.extend(text.sum.iter().map(|sum| sum / length as f32));
            all.extend_from_slice(&text.highest);
        }
        all
    }

    /// From gradients with respect to what all texts came to, those with respect to the outputs of some steps:
    /// `[panels, steps · texts, width]`.
    pub fn look_back(&self, steps: Range<usize>, gradients: &[f32], width: usize) -> Vec<f32> {
        let (streams, size) = (self.lengths.len(), self.size);
        let rows = steps.len() * streams;
        let mut above = vec![0.0f32; size.div_ceil(width) * rows * width];
        let texts = self.texts.iter().zip(&self.lengths);
        let gradients = gradients.chunks_exact(POOLED * size);
        for (stream, ((text, &length), gradients)) in texts.zip(gradients).enumerate() {
            let (last, rest) = gradients.split_at(size);
            let (mean, highest) = rest.split_at(size);
            let share = 1.0 / length as f32;
            let place = |step: usize, unit: usize| {
                let row = (step - steps.start) * streams + stream;
                (unit / width * rows + row) * width + unit % width
            };
            for step in steps.start..steps.end.min(length) {
                for unit in (0..size).step_by(width) {
                    let to = place(step, unit);
                    let mean = &mean[unit..size.min(unit + width)];
                    for (above, mean) in above[to..].iter_mut().zip(mean) {
                        *above = mean * share;
                    }
                }
            }
            for unit in 0..size {
                if steps.contains(&(text.at[unit] as usize)) {
                    above[place(text.at[unit] as usize, unit)] += highest[unit];
                }
                if steps.contains(&(length - 1)) {
                    above[place(length - 1, unit)] += last[unit];
                }
            }
        }
        above
    }
}

/// What the head is told about a batch.
///
/// Labels that may be wrong are learnt as what the text's own label was turned into by chance (Patrini et al. 2017, forward
/// correction): the more a label contradicts all that was learnt before, the less it counts.
pub struct Head<'a> {
    /// The labels, as numbers.
    pub labels: &'a [usize],
    /// What a document of each label weighs.
    pub weights: &'a [f32],
    /// How likely it is, of each text, that its label says nothing about it, and is any by chance.
    pub doubts: &'a [f32],
    /// What drops some of what the head sees, `[texts, pooled]`.
    pub mask: Option<Vec<f32>>,
}

impl Head<'_> {
    /// The loss, in nats a document, of what texts came to; its gradients with respect to that; and those of the head's
    /// own parameters, which are the last two.
    pub fn judge(
        &self,
        pooled: &[f32],
        network: &Network,
        gradients: &mut [Tensor],
    ) -> (f64, Vec<f32>) {
        let (weights, bias) = network.output();
        let (weights, bias) = (floats(weights), floats(bias));
        let [.., weights_gradient, bias_gradient] = gradients else {
            unreachable!("the head has two parameters")
        };
        let weights_gradient = floats_mut(weights_gradient);
        let bias_gradient = floats_mut(bias_gradient);
        weights_gradient.fill(0.0);
        bias_gradient.fill(0.0);
        let inner = weights.len() / bias.len();
        let mut seen = pooled.to_vec();
        let mask = self.mask.as_deref();
        if let Some(mask) = mask {
            seen.iter_mut().zip(mask).for_each(|(x, mask)| *x *= mask);
        }
        let total: f32 = self.labels.iter().map(|&label| self.weights[label]).sum();
        let mut nats = 0.0;
        let mut seen_gradient = vec![0.0f32; seen.len()];
        for (text, &label) in self.labels.iter().enumerate() {
            let x = &seen[text * inner..(text + 1) * inner];
            let rows = weights.chunks_exact(inner);
            let logits: Vec<f32> = rows
                .clone()
                .zip(bias)
                .map(|(row, bias)| row.iter().zip(x).map(|(a, b)| a * b).sum::<f32>() + bias)
                .collect();
            let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let odds: Vec<f32> = logits.iter().map(|logit| (logit - highest).exp()).collect();
            let sum: f32 = odds.iter().sum();
            let weight = self.weights[label] / total;
            let (doubt, right) = (self.doubts[text], odds[label] / sum);
            let weight = match doubt {
                0.0 => {
                    nats += f64::from(weight * (sum.ln() + highest - logits[label]));
                    weight
                }
                doubt => {
                    let own = (1.0 - doubt) * right;
                    let likely = own + doubt / bias.len() as f32;
                    nats -= f64::from(weight * likely.ln());
                    weight * own / likely
                }
            };
            let x_gradient = &mut seen_gradient[text * inner..(text + 1) * inner];
            for (other, (row, odds)) in rows.zip(&odds).enumerate() {
                let right = if other == label { 1.0 } else { 0.0 };
                let gradient = weight * (odds / sum - right);
                bias_gradient[other] += gradient;
                let own = &mut weights_gradient[other * inner..(other + 1) * inner];
                for (((own, x), from), weight) in
                    own.iter_mut().zip(x).zip(&mut *x_gradient).zip(row)
                {
                    *own += gradient * x;
                    *from += gradient * weight;
                }
            }
        }
        if let Some(mask) = mask {
            let masked = seen_gradient.iter_mut().zip(mask);
            masked.for_each(|(gradient, mask)| *gradient *= mask);
        }
        (nats, seen_gradient)
    }
}

/*!
The next-token head: a softmax over the vocabulary, or over the tokens that take part in a step.
*/

use std::borrow::Cow;
use std::ops::Range;

use crate::gradients::batch::StreamBatch;
use crate::gradients::sampled_softmax::SampledTokens;
use crate::network::Network;
use crate::optimizer::row_width;
use crate::slices::floats;
use carousel_kernels::{Kernel, Layout, PackedWeights, Rows, Targets, ThreadPool, cross_entropy};

use super::memory::StepMemory;

/// The output's packed weights, kept from one step to the next.
#[derive(Default)]
pub struct NextTokenHead {
    /// For each token of the horizon.
    packed: Vec<PackedWeights>,
    /// The weights of the tokens that take part.
    sampled: Vec<f32>,
}

impl NextTokenHead {
    /// Sum of the losses of a window's predictions, in nats, each the mean over the horizon; and the gradients with respect to
    /// the outputs, `[panels, rows, width]`. The head's own gradients are written.
    pub fn step(
        &mut self,
        network: &Network,
        batch: &StreamBatch,
        (outputs, rows): (&Rows, Range<usize>),
        memory: &mut StepMemory,
        pool: &ThreadPool,
    ) -> (f64, Vec<f32>) {
        let horizon = network.config.next_token().horizon;
        let predicting = batch.targets.len() / horizon;
        let own = (outputs, rows.end - predicting..rows.end);
        let (mut nats, mut gradient) = (0.0, Vec::new());
        for (ahead, targets) in batch.targets.chunks_exact(predicting).enumerate() {
            let output = Output {
                network,
                sampled: batch.sampled,
                ahead,
                targets,
                smoothing: 0.0,
            };
            let (more, own) = self.output(output, own.clone(), memory, pool);
            nats += more / horizon as f64;
            match gradient.is_empty() {
                true => gradient = own,
                false => {
                    add(&mut gradient, &own);
                    memory.scratch.put_back(own);
                }
            }
        }
        if horizon > 1 {
            let factor = 1.0 / horizon as f32;
            scale(&mut gradient, factor);
            let (weight, bias) = network.config.head_tensors();
            for name in [weight, bias] {
                scale(memory.gradients.get_mut(name), factor);
            }
        }
        let width = memory.scratch.kernel.width();
        (nats, of_all_rows(gradient, predicting, rows.len(), width))
    }

    /// The same for one token of the horizon, from as many rows as there are targets.
    pub fn output(
        &mut self,
        output: Output,
        (outputs, rows): (&Rows, Range<usize>),
        memory: &mut StepMemory,
        pool: &ThreadPool,
    ) -> (f64, Vec<f32>) {
        let StepMemory { gradients, scratch } = memory;
        let (network, sampled) = (output.network, output.sampled);
        let vocab_size = network.config.written().vocab_size;
        let first = output.ahead * vocab_size;
        let bias = &floats(network.head().1)[first..][..vocab_size];
        let (bias, targets): (Cow<[f32]>, Cow<[u32]>) = match sampled {
            None => (bias.into(), output.targets.into()),
            Some(sampled) => (
                sampled_bias(bias, sampled).into(),
                sampled.positions(output.targets).into(),
            ),
        };
        let (kernel, count) = (scratch.kernel, bias.len());
        let packed = self.pack(output, (first, count), kernel, pool);
        let mut logits_gradient = Rows::zeros(kernel, rows.len(), count);
        let input = (outputs, rows.clone());
        let (nats, bias_gradient) = cross_entropy(
            &packed.forward,
            &bias,
            input,
            Targets {
                outputs: &targets,
                smoothing: output.smoothing,
            },
            &mut logits_gradient,
            pool,
        );

        let token = |position: usize| match sampled {
            None => (position < count).then_some(first + position),
            Some(sampled) => sampled.tokens.get(position).map(|&token| token as usize),
        };
        let all = 0..logits_gradient.len();
        scratch
            .gradients
            .set_rows(&logits_gradient, all.clone(), pool);
        scratch.inputs.set_rows(outputs, rows, pool);
        let (weight, bias) = network.config.head_tensors();
        scratch
            .gradients
            .products(&scratch.inputs, token, gradients.get_mut(weight), pool);
        let own = gradients.get_mut(bias);
        own[first..first + vocab_size].fill(0.0);
        for (position, gradient) in bias_gradient.iter().enumerate() {
            own[token(position).expect("a token for each position")] = *gradient;
        }
        (
            nats,
            scratch.products(&packed.backward, &logits_gradient, all, pool),
        )
    }

    /// Packs the weights of `count` outputs, or of those that take part, from the row `first` on.
    fn pack(
        &mut self,
        output: Output,
        (first, count): (usize, usize),
        kernel: Kernel,
        pool: &ThreadPool,
    ) -> &PackedWeights {
        let weight = output.network.head().0;
        let (inner, weight) = (row_width(weight), floats(weight));
        if self.packed.len() <= output.ahead {
            let zeros = PackedWeights::zeros(count, inner, Layout::Plain, kernel);
            self.packed.push(zeros);
        }
        let packed = &mut self.packed[output.ahead];
        packed.resize(count, inner);
        match output.sampled {
            None => packed.fill(&weight[first * inner..][..count * inner], None, pool),
            Some(sampled) => {
                copy_rows(weight, inner, &sampled.tokens, &mut self.sampled, pool);
                packed.fill(&self.sampled, None, pool);
            }
        }
        packed
    }
}

/// One of the tokens that a step predicts.
#[derive(Clone, Copy)]
pub struct Output<'a> {
    /// The parameters.
    pub network: &'a Network,
    /// The tokens that take part, if not all do.
    pub sampled: Option<&'a SampledTokens>,
    /// How many tokens after the next one it is.
    pub ahead: usize,
    /// The token id of each row.
    pub targets: &'a [u32],
    /// The part of a target's probability that is spread over all tokens.
    pub smoothing: f32,
}

/// Gradients of the last rows, in panels, as those of all rows: zero for the others.
fn of_all_rows(gradient: Vec<f32>, last: usize, rows: usize, width: usize) -> Vec<f32> {
    if last == rows {
        return gradient;
    }
    let panels = gradient.chunks_exact(last * width);
    let padded = panels.flat_map(|panel| {
        let zeros = std::iter::repeat_n(0.0, (rows - last) * width);
        zeros.chain(panel.iter().copied())
    });
    padded.collect()
}

fn add(sums: &mut [f32], more: &[f32]) {
    sums.iter_mut()
        .zip(more)
        .for_each(|(sum, more)| *sum += more);
}

fn scale(values: &mut [f32], factor: f32) {
    values.iter_mut().for_each(|value| *value *= factor);
}

fn sampled_bias(bias: &[f32], sampled: &SampledTokens) -> Vec<f32> {
    let all = sampled.tokens.iter().zip(&sampled.corrections);
    all.map(|(&token, correction)| bias[token as usize] - correction)
        .collect()
}

/// Copies some rows of a matrix.
fn copy_rows(matrix: &[f32], width: usize, rows: &[u32], copies: &mut Vec<f32>, pool: &ThreadPool) {
    copies.resize(rows.len() * width, 0.0);
    let mut parts: Vec<_> = copies.chunks_exact_mut(width).collect();
    pool.for_each(pool.threads(), &mut parts, |position, row| {
        row.copy_from_slice(&matrix[rows[position] as usize * width..][..width]);
    });
}

/*!
The next-token head: a softmax over the vocabulary, or over the tokens that take part in a step.
*/

use std::borrow::Cow;
use std::ops::Range;

use crate::gradients::batch::StreamBatch;
use crate::gradients::sampled_softmax::SampledTokens;
use crate::network::Network;
use crate::slices::floats;
use carousel_kernels::{Layout, PackedWeights, Rows, ThreadPool, cross_entropy};

use super::memory::StepMemory;

/// The output's packed weights, kept from one step to the next.
#[derive(Default)]
pub struct NextTokenHead {
    packed: Option<PackedWeights>,
    /// The weights of the tokens that take part.
    sampled: Vec<f32>,
}

impl NextTokenHead {
    /// Sum of the losses of a window's targets, in nats, and the gradients with respect to the outputs, `[panels, rows,
    /// width]`; the head's own gradients are written.
    pub fn step(
        &mut self,
        network: &Network,
        batch: &StreamBatch,
        (outputs, rows): (&Rows, Range<usize>),
        memory: &mut StepMemory,
        pool: &ThreadPool,
    ) -> (f64, Vec<f32>) {
        let StepMemory { gradients, scratch } = memory;
        let (weight, bias) = network.head();
        let (weight, bias) = (floats(weight), floats(bias));
        let inner = network.config.recurrent().hidden_size;
        let (bias, targets): (Cow<[f32]>, Cow<[u32]>) = match batch.sampled {
            None => (bias.into(), batch.targets.into()),
            Some(sampled) => (
                sampled_bias(bias, sampled).into(),
                sampled.positions(batch.targets).into(),
            ),
        };
        let kernel = scratch.kernel;
        let count = bias.len();
        let packed = self
            .packed
            .get_or_insert_with(|| PackedWeights::zeros(count, inner, Layout::Plain, kernel));
        packed.resize(count, inner);
        match batch.sampled {
            None => packed.fill(weight, None, pool),
            Some(sampled) => {
                copy_rows(weight, inner, &sampled.tokens, &mut self.sampled, pool);
                packed.fill(&self.sampled, None, pool);
            }
        }
        let mut logits_gradient = Rows::zeros(kernel, rows.len(), count);
        let input = (outputs, rows.clone());
        let (nats, bias_gradient) = cross_entropy(
            &packed.forward,
            &bias,
            input,
            &targets,
            &mut logits_gradient,
            pool,
        );

        let token = |position: usize| match batch.sampled {
            None => (position < count).then_some(position),
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
        own.fill(0.0);
        for (position, gradient) in bias_gradient.iter().enumerate() {
            own[token(position).expect("a token for each position")] = *gradient;
        }
        (
            nats,
            scratch.products(&packed.backward, &logits_gradient, all, pool),
        )
    }
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

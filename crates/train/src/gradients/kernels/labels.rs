/*!
The labels head: a softmax over labels of the pooled outputs of whole texts.
*/

use std::ops::Range;

use tch::Device;

use crate::gradients::batch::{TextBatch, Window};
use crate::gradients::pooling;
use crate::network::{Network, State};
use crate::slices::floats;
use carousel::checkpoint::architecture::{EMBEDDING, POOLED};
use carousel::inference::pooling::Pooling;
use carousel::inference::recurrent_classifier::head_logits;
use carousel::text::Direction;
use carousel_kernels::ThreadPool;

use super::adversarial;
use super::buffers::GradientBuffers;
use super::initial_state;
use super::stack::Activations;
use super::window_input::WindowInput;
use super::workspace::Workspace;

/// Texts as they were read in one direction.
struct ReadTexts {
    direction: Direction,
    pooling: Pooling,
    /// The steps of the last window.
    steps: Range<usize>,
    /// The token ids of the last window, `[steps, texts]`.
    inputs: Vec<u32>,
    activations: Activations,
}

impl Workspace {
    /// Loss and gradients of texts with labels.
    pub fn texts(&mut self, network: &Network, batch: &TextBatch, pool: &ThreadPool) -> Window {
        let config = &network.config;
        self.stack.set_batch_size(batch.texts.len());
        let (mut loss, mut inputs_gradients) = self.label_step(network, batch, &[], pool);
        if batch.perturbation > 0.0 {
            // Both passes add to the embedding's gradient.
            let plain = self.memory.gradients.copies_without(EMBEDDING);
            let length = batch.perturbation * adversarial::typical_component(network, batch);
            let width = self.stack.kernel().width();
            let texts = batch.texts.len();
            let perturbation = |gradient| adversarial::perturbation(gradient, texts, length, width);
            let perturbations: Vec<_> = inputs_gradients.into_iter().map(perturbation).collect();
            let perturbed = self.label_step(network, batch, &perturbations, pool);
            (loss, inputs_gradients) = ((loss + perturbed.0) / 2.0, perturbed.1);
            self.memory.gradients.average_with(&plain);
            self.memory.gradients.scale_rows(EMBEDDING, 0.5);
        }
        inputs_gradients
            .into_iter()
            .for_each(|buffer| self.memory.scratch.put_back(buffer));
        Window {
            loss,
            gradients: self
                .memory
                .gradients
                .of(config, config.recurrent().directions()),
            rows: self.memory.gradients.rows().clone(),
            tokens: batch.tokens(),
            weight: 1.0,
            state: None,
        }
    }

    /// Forward and backward pass over the texts in every direction, with perturbations if there are any. Returns the loss, and
    /// for each direction the gradients with respect to the vectors of the last window, `[panels, steps · texts, width]`.
    /// With perturbations, the embedding's gradient is not cleared first.
    fn label_step(
        &mut self,
        network: &Network,
        batch: &TextBatch,
        perturbations: &[Vec<f32>],
        pool: &ThreadPool,
    ) -> (f64, Vec<Vec<f32>>) {
        let recurrent = network.config.recurrent();
        let directions = recurrent.directions().iter().enumerate();
        let read: Vec<ReadTexts> = directions
            .map(|(index, &direction)| {
                let perturbation = perturbations.get(index).map(|values| &values[..]);
                self.read_texts(network, batch, (index, direction), perturbation, pool)
            })
            .collect();
        // The head sees each text's directions side by side.
        let size = POOLED * recurrent.hidden_size;
        let mut seen = Vec::new();
        for text in 0..batch.texts.len() {
            for read in &read {
                read.pooling
                    .append_to(&mut seen, text, |sum, length| sum / length);
            }
        }
        let directions = read.len();
        let (loss, seen_gradient) = label_loss(batch, seen, network, &mut self.memory.gradients);
        if perturbations.is_empty() {
            let rows = batch.sparse_rows(&network.config);
            self.memory
                .gradients
                .clear(EMBEDDING, rows.get(EMBEDDING), pool);
        }
        let back = read.into_iter().enumerate().map(|(index, read)| {
            let parts = seen_gradient.chunks_exact(size).skip(index);
            let gradient = parts.step_by(directions).collect::<Vec<_>>().concat();
            let width = self.stack.kernel().width();
            let outputs_gradient = pooling::backward(
                &read.pooling,
                batch.texts.len(),
                read.steps.clone(),
                &gradient,
                width,
            );
            let window = WindowInput {
                network,
                direction: read.direction,
                inputs: &read.inputs,
                is_first: read.steps.start == 0,
                masks: &batch.masks[index],
            };
            self.stack.backward(
                &window,
                &read.activations,
                outputs_gradient,
                &mut self.memory,
                pool,
            )
        });
        let back = back.collect();
        (loss, back)
    }

    /// Reads the texts in one direction, window by window. The last window stays on the tapes, for the backward pass.
    fn read_texts(
        &mut self,
        network: &Network,
        batch: &TextBatch,
        (index, direction): (usize, Direction),
        perturbation: Option<&[f32]>,
        pool: &ThreadPool,
    ) -> ReadTexts {
        let recurrent = network.config.recurrent();
        let lengths: Vec<usize> = batch.texts.iter().map(|text| text.len()).collect();
        let size = recurrent.hidden_size;
        let mut pooling = Pooling::new(lengths.len(), size, size);
        let texts = batch.texts.len();
        let mut state = initial_state(network, texts as i64)
            .unwrap_or_else(|| State::zeros(recurrent, texts, Device::Cpu));
        let steps = batch.steps();
        for window in batch.windows() {
            let inputs = batch.inputs(direction, window.clone());
            let perturbation = perturbation.filter(|_| window.end == steps);
            let input = WindowInput {
                network,
                direction,
                inputs: &inputs,
                is_first: window.start == 0,
                masks: &batch.masks[index],
            };
            let activations = self
                .stack
                .forward(&input, &state, perturbation, false, pool);
            let outputs = activations.plain_outputs(&self.stack);
            pooling::add_rows(&mut pooling, &lengths, window.clone(), outputs, pool);
            if window.end == steps {
                return ReadTexts {
                    direction,
                    pooling,
                    steps: window,
                    inputs,
                    activations,
                };
            }
            state = activations.state(&state);
        }
        unreachable!("a text has at least the end-of-line token before it")
    }
}

/// The loss of the labels, in nats per text, from what the head sees, `[texts, pooled_size]`, and its gradients with
/// respect to that; the head's own gradients are written.
fn label_loss(
    batch: &TextBatch,
    mut seen: Vec<f32>,
    network: &Network,
    gradients: &mut GradientBuffers,
) -> (f64, Vec<f32>) {
    if let Some(mask) = batch.head_mask {
        seen.iter_mut().zip(mask).for_each(|(x, mask)| *x *= mask);
    }
    let (weight, bias) = network.head();
    let (weight, bias) = (floats(weight), floats(bias));
    let inner = weight.len() / bias.len();
    let total: f32 = batch.labels.iter().map(|&label| batch.weights[label]).sum();
    let mut nats = 0.0;
    let mut logits_gradients = Vec::with_capacity(batch.labels.len() * bias.len());
    for (text, &label) in batch.labels.iter().enumerate() {
        let logits = head_logits(weight, bias, &seen[text * inner..(text + 1) * inner]);
        let text_weight = batch.weights[label] / total;
        let (loss, gradient) = text_loss(&logits, label, text_weight, batch.noise[text]);
        nats += loss;
        logits_gradients.extend(gradient);
    }
    let (weight_name, bias_name) = network.config.head_tensors();
    let own = gradients.get_mut(bias_name);
    own.fill(0.0);
    for logits_gradient in logits_gradients.chunks_exact(bias.len()) {
        own.iter_mut()
            .zip(logits_gradient)
            .for_each(|(own, gradient)| *own += gradient);
    }
    let own = gradients.get_mut(weight_name);
    own.fill(0.0);
    let mut seen_gradient = vec![0.0f32; seen.len()];
    let texts = seen
        .chunks_exact(inner)
        .zip(seen_gradient.chunks_exact_mut(inner));
    for ((x, x_gradient), logits_gradient) in texts.zip(logits_gradients.chunks_exact(bias.len())) {
        let rows = own.chunks_exact_mut(inner).zip(weight.chunks_exact(inner));
        for ((own, row), &gradient) in rows.zip(logits_gradient) {
            for (((own, x), from), weight) in own.iter_mut().zip(x).zip(&mut *x_gradient).zip(row) {
                *own += gradient * x;
                *from += gradient * weight;
            }
        }
    }
    if let Some(mask) = batch.head_mask {
        let masked = seen_gradient.iter_mut().zip(mask);
        masked.for_each(|(gradient, mask)| *gradient *= mask);
    }
    (nats, seen_gradient)
}

/// The weighted loss of one text, and its gradients with respect to the logits; `noise` is the probability that the label
/// is random.
fn text_loss(logits: &[f32], label: usize, weight: f32, noise: f32) -> (f64, Vec<f32>) {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let odds: Vec<f32> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let sum: f32 = odds.iter().sum();
    let (nats, weight) = match noise {
        0.0 => (
            f64::from(weight * (sum.ln() + highest - logits[label])),
            weight,
        ),
        noise => {
            let own = (1.0 - noise) * (odds[label] / sum);
            let likely = own + noise / logits.len() as f32;
            (-f64::from(weight * likely.ln()), weight * own / likely)
        }
    };
    let gradient = |(other, odds): (usize, &f32)| {
        let right = if other == label { 1.0 } else { 0.0 };
        weight * (odds / sum - right)
    };
    (nats, odds.iter().enumerate().map(gradient).collect())
}

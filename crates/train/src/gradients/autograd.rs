/*!
Gradients by libtorch's automatic differentiation: the reference.
*/

use tch::{Kind, Reduction, Tensor};

use super::batch::{Batch, NumberBatch, PairBatch, StreamBatch, TextBatch, Window, takes_part};
use super::sampled_softmax::SampledTokens;
use crate::network::{NamedTensors, Network, Reading, State, TransformerTranslation, Translation};
use crate::optimizer::SparseRows;
use crate::precision;
use carousel::checkpoint::architecture::Predict;
use carousel::checkpoint::arguments::TrainingPrecision;
use carousel::checkpoint::numbers::{Distribution, LEAST_DEVIATION};
use carousel::text::Direction;

/// libtorch's automatic differentiation.
pub struct Autograd {
    /// Kind of the numbers in products.
    pub kind: Kind,
}

impl Autograd {
    /// With products in a precision.
    pub fn new(precision: TrainingPrecision) -> Self {
        Autograd {
            kind: precision::of_libtorch(precision),
        }
    }

    /// Loss and gradients of a batch.
    pub fn step(&self, network: &Network, batch: &Batch) -> Window {
        match batch {
            Batch::Streams(batch) => self.streams(network, batch),
            Batch::Texts(batch) => self.texts(network, batch),
            Batch::Numbers(batch) => self.numbers(network, batch),
            Batch::Pairs(batch) => self.pairs(network, batch),
        }
    }

    fn numbers(&self, network: &Network, batch: &NumberBatch) -> Window {
        let reading = Reading {
            direction: Direction::Forward,
            masks: batch.masks,
            kind: self.kind,
            perturbation: None,
        };
        let loss = values_loss(network, batch, &reading);
        let [steps, streams] = [0, 1].map(|dimension| batch.inputs.size()[dimension] as usize);
        Window {
            gradients: gradients(network, &loss, &[Direction::Forward]),
            loss: loss.double_value(&[]),
            rows: SparseRows::new(),
            state: None,
            tokens: steps * streams,
            weight: 1.0,
        }
    }

    fn pairs(&self, network: &Network, batch: &PairBatch) -> Window {
        let losses = translation_losses(network, batch, self.kind);
        let loss = losses.mean(batch.label_smoothing);
        Window {
            gradients: gradients(network, &loss, &[]),
            loss: losses.mean(0.0).double_value(&[]),
            rows: SparseRows::new(),
            state: None,
            tokens: batch.target_tokens(),
            weight: 1.0,
        }
    }

    fn streams(&self, network: &Network, batch: &StreamBatch) -> Window {
        let reading = Reading {
            direction: batch.direction,
            masks: batch.masks,
            kind: self.kind,
            perturbation: None,
        };
        let streams = batch.batch_size as i64;
        let inputs = ids(batch.inputs)
            .view([-1, streams])
            .to_device(network.device());
        let learned = network.initial_state(streams);
        let state = learned.as_ref().unwrap_or(batch.state);
        let (outputs, next) = network.outputs(&inputs, state, &reading);
        let outputs = match network.config.next_token().predict {
            Predict::Every => outputs,
            Predict::Last => outputs.narrow(0, outputs.size()[0] - 1, 1),
        };
        let loss = next_token_loss(network, &outputs, batch.targets, batch.sampled);
        Window {
            gradients: gradients(network, &loss, &[batch.direction]),
            loss: loss.double_value(&[]),
            rows: batch.sparse_rows(&network.config),
            state: Some(next.detach()),
            tokens: batch.inputs.len(),
            weight: 1.0,
        }
    }

    fn texts(&self, network: &Network, batch: &TextBatch) -> Window {
        let directions = network.config.recurrent().directions();
        let mut loss = self.label_loss(network, batch, &[]);
        if batch.perturbation > 0.0 {
            let perturbations = self.perturbations(network, batch);
            loss = (loss + self.label_loss(network, batch, &perturbations)) / 2.0;
        }
        Window {
            gradients: gradients(network, &loss, directions),
            loss: loss.double_value(&[]),
            rows: batch.sparse_rows(&network.config),
            state: None,
            tokens: batch.tokens(),
            weight: 1.0,
        }
    }

    /// For each direction, what is added to the vectors of the last window, `[steps, texts, embedding_size]`: along each
    /// text's gradient, towards a higher loss.
    fn perturbations(&self, network: &Network, batch: &TextBatch) -> Vec<Tensor> {
        let (embedding, device) = (network.parameters.get("embedding.weight"), network.device());
        let last = batch.windows().last().map_or(0, |window| window.len());
        let size = [last as i64, batch.texts.len() as i64, embedding.size()[1]];
        let directions = network.config.recurrent().directions();
        let zeros = |_| Tensor::zeros(size, (embedding.kind(), device)).set_requires_grad(true);
        let zeros: Vec<Tensor> = directions.iter().map(zeros).collect();
        let loss = self.label_loss(network, batch, &zeros);
        let read = embedding
            .detach()
            .index_select(0, &ids(&batch.texts.concat()).to_device(device));
        let typical = read.square().mean(read.kind()).sqrt();
        let along = Tensor::run_backward(&[loss], &zeros, false, false);
        let scaled = along.iter().map(|gradient| {
            let norms = gradient
                .square()
                .sum_dim_intlist([0i64, 2].as_slice(), true, gradient.kind())
                .sqrt();
            // A text without a gradient stays where it is.
            let norms = norms.where_scalarother(&norms.gt(0.0), f64::INFINITY);
            gradient * (&typical * batch.perturbation) / norms
        });
        scaled.collect()
    }

    /// The loss of the texts' labels, with a perturbation for each direction if there are any.
    fn label_loss(&self, network: &Network, batch: &TextBatch, perturbations: &[Tensor]) -> Tensor {
        let directions = network.config.recurrent().directions().iter().enumerate();
        let pooled: Vec<Tensor> = directions
            .map(|(index, &direction)| {
                let reading = Reading {
                    direction,
                    masks: &batch.masks[index],
                    kind: self.kind,
                    perturbation: perturbations.get(index),
                };
                pooled(&all_outputs(network, batch, &reading), batch)
            })
            .collect();
        let mut seen = Tensor::cat(&pooled, 1);
        if let Some(mask) = batch.head_mask {
            seen = &seen
                * Tensor::from_slice(mask)
                    .view_as(&seen)
                    .to_kind(seen.kind())
                    .to_device(seen.device());
        }
        let (weight, bias) = network.head();
        let probabilities = seen.linear(weight, Some(bias)).softmax(-1, seen.kind());
        corrected_loss(&probabilities, batch)
    }
}

/// Outputs of whole texts, `[steps, texts, hidden_size]`; gradients flow through the last window alone.
fn all_outputs(network: &Network, batch: &TextBatch, reading: &Reading) -> Tensor {
    let own = network.head().0.kind();
    let recurrent = network.config.recurrent();
    let texts = batch.texts.len();
    let mut state = match network.initial_state(texts as i64) {
        Some(learned) => learned,
        None => State::zeros(recurrent, texts, network.device()).map(|part| part.to_kind(own)),
    };
    let windows: Vec<_> = batch.windows().collect();
    let mut outputs = Vec::new();
    for (index, window) in windows.iter().enumerate() {
        let last = index + 1 == windows.len();
        let inputs = ids(&batch.inputs(reading.direction, window.clone()));
        let inputs = inputs
            .view([window.len() as i64, -1])
            .to_device(network.device());
        let reading = Reading {
            perturbation: reading.perturbation.filter(|_| last),
            ..*reading
        };
        let read = || network.outputs(&inputs, &state, &reading);
        let (found, next) = if last { read() } else { tch::no_grad(read) };
        outputs.push(found.to_kind(own));
        state = match network.initial_state(texts as i64) {
            // A learnt state takes part even where no gradient flows back to it.
            Some(learned) => State {
                parts: (next.parts.iter().zip(&learned.parts))
                    .map(|(next, learned)| next + learned * 0.0)
                    .collect(),
            },
            None => next,
        };
    }
    Tensor::cat(&outputs, 0)
}

/// The last output, and the mean and the maximum of all, for each text: `[texts, POOLED · hidden_size]`.
fn pooled(outputs: &Tensor, batch: &TextBatch) -> Tensor {
    let (kind, device) = (outputs.kind(), outputs.device());
    let lengths: Vec<i64> = batch.texts.iter().map(|text| text.len() as i64).collect();
    let lengths = Tensor::from_slice(&lengths).to_device(device);
    let steps = Tensor::arange(outputs.size()[0], (Kind::Int64, device)).view([-1, 1]);
    let reads = steps.less_tensor(&lengths).unsqueeze(-1);
    let ends = steps.eq_tensor(&(&lengths - 1)).unsqueeze(-1);
    let sum = |outputs: Tensor| outputs.sum_dim_intlist([0i64].as_slice(), false, kind);
    let last = sum(outputs * ends.to_kind(kind));
    let mean = sum(outputs * reads.to_kind(kind)) / lengths.to_kind(kind).unsqueeze(-1);
    let highest = outputs
        .where_scalarother(&reads, f64::NEG_INFINITY)
        .max_dim(0, false)
        .0;
    Tensor::cat(&[last, mean, highest], 1)
}

/// The weighted loss of labels of which some may be random.
fn corrected_loss(probabilities: &Tensor, batch: &TextBatch) -> Tensor {
    let (kind, device) = (probabilities.kind(), probabilities.device());
    let column = |values: Vec<f64>| {
        Tensor::from_slice(&values)
            .to_kind(kind)
            .to_device(device)
            .unsqueeze(-1)
    };
    let labels: Vec<i64> = batch.labels.iter().map(|&label| label as i64).collect();
    let labels = Tensor::from_slice(&labels).to_device(device).unsqueeze(-1);
    let weights = column(
        batch
            .labels
            .iter()
            .map(|&label| f64::from(batch.weights[label]))
            .collect(),
    );
    let noise = column(batch.noise.iter().map(|&noise| f64::from(noise)).collect());
    let right = probabilities.gather(1, &labels, false);
    let likely: Tensor = right * (1.0 - &noise) + &noise / probabilities.size()[1] as f64;
    (-likely.log() * &weights).sum(kind) / weights.sum(kind)
}

/// The mean loss of the next token, in nats; among the sampled tokens, if not all take part.
fn next_token_loss(
    network: &Network,
    outputs: &Tensor,
    targets: &[u32],
    sampled: Option<&SampledTokens>,
) -> Tensor {
    let device = outputs.device();
    // Of each distance, all rows.
    let horizon = network.config.next_token().horizon as i64;
    let logits = network.logits(outputs);
    let logits = logits.view([logits.size()[0], horizon, -1]).transpose(0, 1);
    let logits = logits.reshape([logits.size()[0] * logits.size()[1], -1]);
    let (logits, targets) = match sampled {
        None => (logits, ids(targets)),
        Some(sampled) => {
            let corrections = Tensor::from_slice(&sampled.corrections)
                .to_kind(logits.kind())
                .to_device(device);
            let chosen = logits.index_select(1, &ids(&sampled.tokens).to_device(device));
            (chosen - corrections, ids(&sampled.positions(targets)))
        }
    };
    let mean = Reduction::Mean;
    logits.cross_entropy_loss::<Tensor>(&targets.to_device(device), None, mean, -100, 0.0)
}

/// The losses of the target's tokens, in nats.
pub struct TranslationLosses {
    /// Of each token, `[tokens]`.
    pub own: Tensor,
    /// The mean over the vocabulary, `[tokens]`.
    pub spread: Tensor,
}

impl TranslationLosses {
    /// The mean loss where a part of each target's probability is spread over the whole vocabulary.
    pub fn mean(&self, label_smoothing: f64) -> Tensor {
        let mean = |losses: &Tensor| losses.mean(losses.kind());
        mean(&self.own) * (1.0 - label_smoothing) + mean(&self.spread) * label_smoothing
    }
}

/// The losses of a batch of pairs, with products in a kind of numbers.
pub fn translation_losses(network: &Network, batch: &PairBatch, kind: Kind) -> TranslationLosses {
    let device = network.device();
    let (sources, read) = (
        batch.sources(device),
        batch.steps(&batch.input_steps(), device),
    );
    let rows = |outputs: &Tensor| predicting(outputs, &batch.target_steps());
    let logits = match network.config.transformer_encoder_decoder() {
        Some(body) => {
            let translation = TransformerTranslation::new(network, body, batch.masks, kind);
            network.logits(&rows(&translation.outputs(&sources, &read)))
        }
        None => {
            let translation = Translation::new(network, batch.masks, kind);
            let memory = translation.encode(&sources);
            let vectors = translation.vectors(&read, 1);
            let readouts = translation.readouts(&vectors, &memory, &mut translation.begin(&memory));
            translation.logits(&rows(&readouts), network.head().1)
        }
    };
    losses_of(&logits, &batch.target_steps())
}

/// What the output reads at the steps that have a target, `[tokens, _]`, of all steps, `[steps, pairs, _]`. Steps after the end
/// of a target have none.
fn predicting(outputs: &Tensor, targets: &[Option<u32>]) -> Tensor {
    let predicting: Vec<i64> = (0..)
        .zip(targets)
        .filter_map(|(row, target)| target.map(|_| row))
        .collect();
    let rows = outputs.reshape([-1, outputs.size()[2]]);
    rows.index_select(0, &Tensor::from_slice(&predicting).to_device(rows.device()))
}

/// The losses of targets, `[steps, pairs]`, from the logits of those that are there.
fn losses_of(logits: &Tensor, targets: &[Option<u32>]) -> TranslationLosses {
    let likely = logits.log_softmax(-1, logits.kind());
    let targets: Vec<u32> = targets.iter().copied().flatten().collect();
    let targets = ids(&targets).to_device(logits.device()).unsqueeze(-1);
    TranslationLosses {
        own: -likely.gather(1, &targets, false).squeeze_dim(-1),
        spread: -likely.mean_dim([-1i64].as_slice(), false, likely.kind()),
    }
}

/// The mean loss of what a forecaster predicts over the values that count: the pinball loss of quantiles, or the negative
/// logarithm of a normal distribution's likelihood.
pub fn values_loss(network: &Network, batch: &NumberBatch, reading: &Reading) -> Tensor {
    let [_, streams, _] = batch.inputs.size()[..] else {
        panic!("inputs are [steps, batch_size, input_size]");
    };
    let own = network.head().1.kind();
    let state = network.initial_state(streams).unwrap_or_else(|| {
        State::zeros(
            network.config.recurrent(),
            streams as usize,
            network.device(),
        )
        .map(|part| part.to_kind(own))
    });
    let (outputs, _) = network.outputs_of(batch.inputs, &state, reading);
    let predicting = batch.targets.size()[0];
    let outputs = outputs.narrow(0, outputs.size()[0] - predicting, predicting);
    let (_, values) = network.config.forecaster().expect("a forecaster");
    let found = network
        .logits(&outputs)
        .view([predicting, streams, values.horizon as i64, -1]);
    let counts = batch.targets.isnan().logical_not().unsqueeze(-1);
    let targets = batch.targets.unsqueeze(-1);
    let losses = match values.distribution {
        Distribution::Quantiles => pinball_losses(&found, &targets, &values.quantiles),
        Distribution::Gaussian => gaussian_losses(&found, &targets),
    };
    let sum = losses.where_self(&counts, &losses.zeros_like()).sum(own);
    let number = counts.to_kind(own).sum(own) * losses.size()[3];
    sum / number.clamp_min(1.0)
}

/// The pinball losses (Koenker and Bassett 1978) of targets, `[steps, streams, horizon, 1]`, by their predicted quantiles: for a
/// quantile q, q times an error above the prediction, and 1 − q times one below it.
fn pinball_losses(found: &Tensor, targets: &Tensor, quantiles: &[f64]) -> Tensor {
    let quantiles = Tensor::from_slice(quantiles)
        .to_kind(found.kind())
        .to_device(found.device());
    let error = targets - found;
    (&error * &quantiles).maximum(&(&error * (&quantiles - 1.0)))
}

/// The negative logarithms of the likelihood of targets, `[steps, streams, horizon, 1]`, by the outputs for the mean and the
/// deviation, as [`Distribution::Gaussian`] has them: ½ log 2π + log σ + ½ ((y − μ) / σ)².
fn gaussian_losses(found: &Tensor, targets: &Tensor) -> Tensor {
    let (mean, output) = (found.narrow(-1, 0, 1), found.narrow(-1, 1, 1));
    let deviation = output.softplus() + LEAST_DEVIATION;
    // Nothing of a value that is missing may reach the gradients, not even times zero.
    let error = targets.isnan().logical_not();
    let error = (targets - mean).where_self(&error, &targets.zeros_like());
    let constant = 0.5 * std::f64::consts::TAU.ln();
    deviation.log() + (error / deviation).square() * 0.5 + constant
}

/// Gradients of the parameters that take part in reading these directions.
fn gradients(network: &Network, loss: &Tensor, directions: &[Direction]) -> NamedTensors {
    let chosen = network
        .parameters
        .only(|name| takes_part(&network.config, name, directions));
    let parameters: Vec<&Tensor> = chosen.tensors().collect();
    let found = Tensor::run_backward(&[loss], &parameters, false, false);
    chosen
        .iter()
        .map(|(name, _)| name.to_string())
        .zip(found)
        .collect()
}

fn ids(tokens: &[u32]) -> Tensor {
    let ids: Vec<i64> = tokens.iter().map(|&id| i64::from(id)).collect();
    Tensor::from_slice(&ids)
}

/*!
The state of training: weights, averages, moments, the streams' state, and counters.
*/

use serde::{Deserialize, Serialize};

use crate::network::{NamedTensors, Network, State};
use crate::optimizer::AdamW;
use carousel::checkpoint::record::Evaluation;

/// All that training changes.
pub struct TrainingState {
    /// The network with its last weights.
    pub network: Network,
    /// The averaged weights, if the run keeps them.
    pub averages: Option<NamedTensors>,
    /// The optimizer's moments.
    pub optimizer: AdamW,
    /// The momentum of the steps that all processes take together, where each takes some alone between them.
    pub outer_momentum: Option<NamedTensors>,
    /// The state of the streams, which the next window begins with.
    pub streams: State,
    /// The counters.
    pub counters: Counters,
}

/// The position of a run, and what else is known of it besides its tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Number of updates of the weights.
    pub step: u64,
    /// Number of complete passes over the training part.
    pub epoch: u64,
    /// The next window of this pass.
    pub window: usize,
    /// Number of training tokens read.
    #[serde(default)]
    pub tokens: u64,
    /// Seconds that the run has taken, interruptions left out.
    pub seconds: f64,
    /// Factor of the learning rate: the product of those of plateaus and rescues so far.
    pub learning_rate_scale: f64,
    /// Number of rescues: returns to the last good state.
    pub rescues: u64,
    /// The recent loss, smoothed, by which an explosion is recognised.
    pub smooth_loss: f64,
    /// Steps in a row, up to the last, whose loss was far above the recent one.
    pub jumps: u64,
    /// Losses since the last line of metrics.
    pub line: Mean,
    /// Losses since the last evaluation.
    pub since_evaluation: Mean,
    /// Evaluations since the best one.
    pub without_better: u64,
    /// Evaluations without a better one that count towards the next plateau.
    pub on_plateau: u64,
    /// The evaluations so far.
    pub evaluations: Vec<Evaluation>,
    /// Bytes of metrics.jsonl that belong to the run so far.
    pub metrics_length: u64,
}

/// A running mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// Sum of the values.
    pub sum: f64,
    /// Number of values.
    pub count: u64,
}

impl Mean {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    /// Returns the mean, NaN if there are no values, and starts again without values.
    pub fn take(&mut self) -> f64 {
        let Mean { sum, count } = std::mem::take(self);
        sum / count as f64
    }
}

impl TrainingState {
    /// The state before the first step.
    pub fn new(network: Network, averages: bool, streams: State) -> Self {
        TrainingState {
            averages: averages.then(|| {
                network
                    .parameters
                    .map(|parameter| parameter.detach().copy())
            }),
            optimizer: AdamW::new(&network.parameters),
            outer_momentum: None,
            streams,
            network,
            counters: Counters {
                learning_rate_scale: 1.0,
                ..Counters::default()
            },
        }
    }

    /// Keeps a momentum of the steps that all processes take together, from now on.
    pub fn keep_outer_momentum(&mut self) {
        let zeros = |parameter: &tch::Tensor| parameter.detach().zeros_like();
        self.outer_momentum = Some(self.network.parameters.map(zeros));
    }

    /// The network with the weights that are validated and saved: the averaged weights, if there are any.
    pub fn averaged_network(&self) -> Network {
        let weights = self.averages.as_ref().unwrap_or(&self.network.parameters);
        Network {
            config: self.network.config.clone(),
            parameters: weights.only(|_| true),
        }
    }

    /// Moves the averages towards the last weights: by `1 - keep`, and faster in the first steps.
    pub fn average(&mut self, keep: f64) {
        let step = self.counters.step as f64;
        let keep = keep.min((1.0 + step) / (10.0 + step));
        let Some(averages) = &mut self.averages else {
            return;
        };
        tch::no_grad(|| {
            for (name, average) in averages.iter_mut() {
                let _ = average.lerp_(self.network.parameters.get(name), 1.0 - keep);
            }
        });
    }
}

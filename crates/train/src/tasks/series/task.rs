/*!
Learning to forecast: one network over all series of a panel.
*/

use tch::Kind;

use super::examples::{Examples, Place};
use crate::distributed::{self, Share, World};
use crate::gradients::{Autograd, Batch, NumberBatch, Window, values_loss};
use crate::network::{DropoutMasks, Reading};
use crate::recipe;
use crate::run::{DataSummary, ExampleRow, Task, TrainingState, model_weights};
use carousel::checkpoint::record::{Figures, SeriesRecord, TrainingConfig};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::error::Result;
use carousel::forecasting::windows::SeriesScaling;
use carousel::text::Direction;
use carousel_kernels::ThreadPool;

/// Validation windows that are read side by side.
const VALID_BATCH: usize = 512;

/// A forecaster to be trained, with its series.
pub struct SeriesTask {
    pub(super) examples: Examples,
    pub(super) scalings: Vec<SeriesScaling>,
    pub(super) batch_size: usize,
    pub(super) window: usize,
    /// The seed of the order of windows.
    pub(super) seed: u64,
    /// The order of windows in a pass, by its number.
    pub(super) order: (u64, Vec<usize>),
    /// The first windows, to be shown.
    pub(super) rows: Vec<ExampleRow>,
}

impl SeriesTask {
    /// The windows of a step.
    fn places(&mut self, pass: u64, step: usize) -> Vec<Place> {
        if self.order.0 != pass || self.order.1.is_empty() {
            self.order = (pass, self.examples.order(self.seed, pass));
        }
        let chosen = self.order.1.iter().skip(step * self.batch_size);
        let chosen = chosen.take(self.batch_size);
        chosen.map(|&index| self.examples.train[index]).collect()
    }
}

impl Task for SeriesTask {
    const COMMAND: &'static str = "forecast";
    type Record = SeriesRecord;

    fn describe(&self, directory: &Directory, config: &ModelConfig) -> Result<()> {
        directory.save_forecaster(config, &self.scalings)
    }

    fn steps_in_pass(&self) -> usize {
        self.examples.train.len().div_ceil(self.batch_size)
    }

    fn tokens_in_step(&self) -> usize {
        self.batch_size.min(self.examples.train.len()) * self.window
    }

    fn valid_tokens(&self) -> usize {
        self.examples.valid.len() * self.window
    }

    fn take_share(&mut self, _: Share, _: &ModelConfig, _: &TrainingConfig) -> Result<()> {
        Err(distributed::forecasts_alone())
    }

    fn streams(&self) -> usize {
        1
    }

    /// All of the validation windows are always read: there are few.
    fn shorten_validation(&mut self, _tokens: usize, _record: &mut SeriesRecord) {}

    fn step(
        &mut self,
        state: &mut TrainingState,
        training: &TrainingConfig,
        seed: u64,
        pool: &ThreadPool,
    ) -> Window {
        let places = self.places(state.counters.epoch, state.counters.window);
        let (inputs, targets) = self.examples.batch(&places);
        let network = &state.network;
        let drawn = TrainingConfig {
            batch_size: places.len(),
            ..training.clone()
        };
        let masks = DropoutMasks::draw(&network.config, &drawn, network.device(), seed, pool);
        let batch = Batch::Numbers(NumberBatch {
            inputs: &inputs,
            targets: &targets,
            masks: &masks,
        });
        Autograd::new(training.precision).step(network, &batch)
    }

    fn evaluate(
        &mut self,
        state: &TrainingState,
        _training: &TrainingConfig,
        _world: &World,
    ) -> Result<Option<Figures>> {
        let network = state.averaged_network();
        let masks = DropoutMasks::none(&network.config);
        let reading = Reading {
            direction: Direction::Forward,
            masks: &masks,
            kind: Kind::Float,
            perturbation: None,
        };
        let mut sum = 0.0;
        for places in self.examples.valid.chunks(VALID_BATCH) {
            let (inputs, targets) = self.examples.valid_batch(places);
            let batch = NumberBatch {
                inputs: &inputs,
                targets: &targets,
                masks: &masks,
            };
            let loss = tch::no_grad(|| values_loss(&network, &batch, &reading));
            sum += loss.double_value(&[]) * places.len() as f64;
        }
        let valid_loss = sum / self.examples.valid.len() as f64;
        Ok(valid_loss.is_finite().then(|| Figures {
            valid_loss,
            ..Figures::default()
        }))
    }

    fn weights(&self, state: &TrainingState) -> Result<Vec<u8>> {
        model_weights(state, &[])
    }

    fn summary(&self, record: &SeriesRecord) -> DataSummary {
        DataSummary::Series {
            series: record.series,
            train_windows: record.train_windows,
            valid_windows: record.valid_windows,
            rows: self.rows.clone(),
        }
    }

    fn tokens_per_character(&self) -> Option<f64> {
        None
    }

    fn memory(&self, config: &ModelConfig, training: &TrainingConfig) -> u64 {
        recipe::memory(config, training, 0)
    }
}

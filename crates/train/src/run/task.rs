/*!
The interface between the training loop and what it trains.
*/

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::event::DataSummary;
use super::state::TrainingState;
use crate::distributed::{Share, World};
use crate::gradients::Window;
use carousel::checkpoint::record::{Figures, Record, TrainingConfig};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::error::Result;
use carousel_kernels::ThreadPool;

/// A model to be trained, with its data.
pub trait Task {
    /// The command that begins and resumes it.
    const COMMAND: &'static str;
    /// The part of training.json that is particular to the task.
    type Record: Serialize + DeserializeOwned;

    /// Writes what describes the model and does not change during a run: its configuration, and how its input is prepared.
    ///
    /// # Errors
    /// A directory that cannot be written.
    fn describe(&self, directory: &Directory, config: &ModelConfig) -> Result<()>;
    /// Steps of a pass over the training data.
    fn steps_in_pass(&self) -> usize;
    /// Tokens that a step reads, at most or on average.
    fn tokens_in_step(&self) -> usize;
    /// Tokens that an evaluation reads.
    fn valid_tokens(&self) -> usize;
    /// Streams whose state goes on from one step to the next.
    fn streams(&self) -> usize;
    /// Computes only a share of each batch from now on, with random numbers of its own.
    ///
    /// # Errors
    /// A batch that cannot be divided; a task that cannot be shared.
    fn take_share(
        &mut self,
        share: Share,
        config: &ModelConfig,
        training: &TrainingConfig,
    ) -> Result<()>;
    /// Makes evaluations read about this number of tokens from now on.
    fn shorten_validation(&mut self, tokens: usize, record: &mut Self::Record);
    /// Loss and gradients of the step at the position of the counters. The seed determines all random numbers.
    fn step(
        &mut self,
        state: &mut TrainingState,
        training: &TrainingConfig,
        seed: u64,
        pool: &ThreadPool,
    ) -> Window;
    /// The fraction of the learning rate for a parameter when this fraction of the budget is spent.
    fn learning_rate_fraction(&self, _parameter: &str, _spent: f64) -> f64 {
        1.0
    }
    /// Validates the averaged weights; `None` if the loss is not finite. Of several processes each validates a part, and rank 0
    /// has the figures of all.
    ///
    /// # Errors
    /// A process that is lost.
    fn evaluate(
        &mut self,
        state: &TrainingState,
        training: &TrainingConfig,
        world: &World,
    ) -> Result<Option<Figures>>;
    /// What the weights in the directory write, to be read by people; `None` if they write nothing, or cannot be opened, which
    /// must not end the training.
    fn sample(&self, _directory: &Directory) -> Option<String> {
        None
    }
    /// Completes the record by the last evaluation, which was the best so far.
    fn describe_best(&self, _record: &mut Self::Record) {}
    /// The averaged weights as the bytes of a safetensors file, with the tensors that are not fitted by gradients.
    fn weights(&self, state: &TrainingState) -> Result<Vec<u8>>;
    /// Tokens that [`Task::conclude`] reads, about.
    fn tokens_at_end(&self) -> usize {
        0
    }
    /// What is done once the best weights are in the directory: completes the record, and returns notes for the user.
    ///
    /// # Errors
    /// Weights that cannot be used.
    fn conclude(
        &mut self,
        _directory: &Directory,
        _record: &mut Record<Self::Record>,
    ) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
    /// The data, in numbers.
    fn summary(&self, record: &Self::Record) -> DataSummary;
    /// Tokens per character, if losses are to be shown in bits per character.
    fn tokens_per_character(&self) -> Option<f64>;
    /// Memory that training needs, in bytes.
    fn memory(&self, config: &ModelConfig, training: &TrainingConfig) -> u64;
}

/// A task with everything resolved, ready to run.
pub struct Prepared<T: Task> {
    /// The task.
    pub task: T,
    /// What training.json will hold.
    pub record: Record<T::Record>,
    /// The network.
    pub config: ModelConfig,
}

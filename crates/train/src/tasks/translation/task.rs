/*!
A translator as a [`Task`]: its step and its evaluation.
*/

use tch::Kind;

use super::batches::{Batches, EncodedPairs};
use crate::gradients::{Batch, Gradients, PairBatch, Window, translation_losses};
use crate::network::{Network, TranslationMasks};
use crate::recipe;
use crate::run::{DataSummary, Task, TrainingState, model_weights};
use carousel::checkpoint::record::{Figures, PairsRecord, TrainingConfig};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::error::Result;
use carousel::text::tokenizer::Tokenizer;
use carousel_kernels::ThreadPool;

/// Validation pairs that are read at once.
const VALID_BATCH: usize = 64;

/// A translator, and the pairs that it learns from.
pub struct TranslationTask {
    /// The vocabulary of the source.
    pub(super) source: Tokenizer,
    /// That of the target, where it is another.
    pub(super) target: Option<Tokenizer>,
    /// The training part.
    pub(super) train: EncodedPairs,
    /// The validation part.
    pub(super) valid: EncodedPairs,
    /// The batches of a pass.
    pub(super) batches: Batches,
    /// What computes gradients.
    pub(super) gradients: Gradients,
}

impl TranslationTask {
    /// The mean loss of the validation part's target tokens, in nats, without label smoothing.
    fn valid_loss(&self, network: &Network) -> f64 {
        let masks = TranslationMasks::none(&network.config);
        let mut nats = 0.0;
        for pairs in self.valid.in_order(VALID_BATCH) {
            let (sources, targets) = sides(&self.valid, &pairs);
            let batch = PairBatch {
                sources: &sources,
                targets: &targets,
                label_smoothing: 0.0,
                masks: &masks,
            };
            let losses = tch::no_grad(|| translation_losses(network, &batch, Kind::Float));
            nats += losses.own.sum(Kind::Double).double_value(&[]);
        }
        nats / self.valid.tokens()[1] as f64
    }
}

/// Both sides of some pairs.
fn sides<'p>(pairs: &'p EncodedPairs, chosen: &[usize]) -> (Vec<&'p [u32]>, Vec<&'p [u32]>) {
    let side = |texts: &'p [Vec<u32>]| chosen.iter().map(|&pair| &texts[pair][..]).collect();
    (side(&pairs.sources), side(&pairs.targets))
}

impl Task for TranslationTask {
    const COMMAND: &'static str = "train-translator";
    type Record = PairsRecord;

    fn describe(&self, directory: &Directory, config: &ModelConfig) -> Result<()> {
        directory.save_translator(config, &self.source, self.target.as_ref())
    }

    fn steps_in_pass(&self) -> usize {
        self.batches.in_pass(&self.train)
    }

    /// Tokens of the targets.
    fn tokens_in_step(&self) -> usize {
        self.train.tokens()[1] / self.steps_in_pass()
    }

    fn valid_tokens(&self) -> usize {
        self.valid.tokens()[1]
    }

    fn streams(&self) -> usize {
        1
    }

    /// All of the validation part is always read.
    fn shorten_validation(&mut self, _tokens: usize, _record: &mut PairsRecord) {}

    fn step(
        &mut self,
        state: &mut TrainingState,
        training: &TrainingConfig,
        seed: u64,
        pool: &ThreadPool,
    ) -> Window {
        let (network, counters) = (&state.network, &state.counters);
        let pairs = self
            .batches
            .get(counters.epoch, counters.window, &self.train);
        let (sources, targets) = sides(&self.train, pairs);
        let drawn = TrainingConfig {
            batch_size: pairs.len(),
            ..training.clone()
        };
        let masks = TranslationMasks::draw(&network.config, &drawn, network.device(), seed, pool);
        let batch = Batch::Pairs(PairBatch {
            sources: &sources,
            targets: &targets,
            label_smoothing: training.label_smoothing,
            masks: &masks,
        });
        self.gradients.step(network, &batch, pool)
    }

    fn evaluate(&mut self, state: &TrainingState, _training: &TrainingConfig) -> Option<Figures> {
        let valid_loss = self.valid_loss(&state.averaged_network());
        valid_loss.is_finite().then(|| Figures {
            valid_loss,
            ..Figures::default()
        })
    }

    fn weights(&self, state: &TrainingState) -> Result<Vec<u8>> {
        model_weights(state, &[])
    }

    fn summary(&self, record: &PairsRecord) -> DataSummary {
        let target = self.target.as_ref().unwrap_or(&self.source);
        DataSummary::Pairs {
            level: self.source.level(),
            train_pairs: record.train_pairs,
            train_tokens: record.train_tokens,
            valid_pairs: record.valid_pairs,
            vocab_sizes: [&self.source, target].map(|one| one.vocab_size() as u64),
            shared_vocabulary: self.target.is_none(),
        }
    }

    fn tokens_per_character(&self) -> Option<f64> {
        None
    }

    fn memory(&self, config: &ModelConfig, training: &TrainingConfig) -> u64 {
        let longest = |texts: &[Vec<u32>]| texts.iter().map(Vec::len).max().unwrap_or(0);
        let lengths = [longest(&self.train.sources), longest(&self.train.targets)];
        recipe::translation::memory(config, training, lengths)
    }
}

/*!
A translator as a [`Task`]: its step and its evaluation.
*/

use super::batches::{Batches, EncodedPairs};
use crate::distributed::{self, Share, World};
use crate::evaluation;
use crate::gradients::{Batch, Gradients, PairBatch, Window};
use crate::network::{BatchSize, TranslationMasks};
use crate::recipe;
use crate::run::{DataSummary, Task, TrainingState, model_weights};
use carousel::checkpoint::record::{Figures, PairBaselines, PairsRecord, Record, TrainingConfig};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::data::pairs::Pair;
use carousel::error::Result;
use carousel::inference::beam_search::Search;
use carousel::inference::translator::{Translation, Translator};
use carousel::metrics::bleu::Bleu;
use carousel::text::tokenizer::Tokenizer;
use carousel_kernels::{Precision, ThreadPool};

/// Most validation pairs whose translations are scored, and pairs that are shown.
const MOST_SCORED: usize = 300;
const SHOWN: usize = 3;
/// Most bytes of a source that is shown.
const SHOWN_BYTES: usize = 100;

/// A translator, and the pairs that it learns from.
pub struct TranslationTask {
    /// The vocabulary of the source.
    pub(super) source: Tokenizer,
    /// That of the target, where it is another.
    pub(super) target: Option<Tokenizer>,
    /// The training part.
    pub(super) train: EncodedPairs,
    /// The validation part, and its tokens.
    pub(super) valid: Vec<Pair>,
    pub(super) valid_tokens: usize,
    /// The batches of a pass.
    pub(super) batches: Batches,
    /// What computes gradients.
    pub(super) gradients: Gradients,
    /// The part of a batch that this process computes.
    pub(super) share: Share,
}

impl TranslationTask {
    /// Validation pairs that are shown: some of those that are scored, not very long.
    fn shown(&self) -> Vec<&Pair> {
        let short = scored(&self.valid).filter(|pair| pair.source.len() <= SHOWN_BYTES);
        let short: Vec<&Pair> = short.collect();
        let every = (short.len() / SHOWN).max(1);
        short.into_iter().step_by(every).take(SHOWN).collect()
    }
}

/// The validation pairs whose translations are scored in training, spread over all of them.
pub fn scored(valid: &[Pair]) -> impl Iterator<Item = &Pair> + Clone {
    valid
        .iter()
        .step_by(valid.len().div_ceil(MOST_SCORED).max(1))
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
        self.valid_tokens
    }

    fn streams(&self) -> usize {
        1
    }

    fn take_share(&mut self, share: Share, _: &ModelConfig, _: &TrainingConfig) -> Result<()> {
        self.share = share;
        Ok(())
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
        let tokens = |pairs: &[usize]| -> usize {
            let targets = pairs.iter().map(|&pair| self.train.targets[pair].len());
            targets.sum()
        };
        let (own, counts) = self.share.positions(pairs.len());
        let own: Vec<usize> = own.into_iter().map(|position| pairs[position]).collect();
        let part = tokens(&own) as f64 / tokens(pairs) as f64;
        let seed = self.share.seed(seed);
        let (sources, targets) = sides(&self.train, &own);
        let size = BatchSize::of(&sources, &targets);
        let device = network.device();
        let masks = TranslationMasks::draw(&network.config, training, size, device, seed, pool);
        let batch = Batch::Pairs(PairBatch {
            sources: &sources,
            targets: &targets,
            label_smoothing: training.label_smoothing,
            masks: &masks,
        });
        let mut window = self.gradients.step(network, &batch, pool);
        window.weight = f64::from(u8::from(counts)) * part * self.share.ranks as f64;
        window
    }

    fn evaluate(
        &mut self,
        state: &TrainingState,
        training: &TrainingConfig,
        world: &World,
    ) -> Result<Option<Figures>> {
        let threads = training.threads.max(1) as usize;
        let tokenizers = (self.source.clone(), self.target.clone());
        let translator = evaluation::translator(&state.averaged_network(), tokenizers, threads);
        let own = self.share.own(self.valid.len());
        let pairs = own.map(|pair| {
            let pair = &self.valid[pair];
            (&pair.source[..], &pair.target[..])
        });
        let losses = translator.losses(&pairs.collect::<Vec<_>>());
        let add = |sums: [f64; 2], loss: &(f64, usize)| [sums[0] + loss.0, sums[1] + loss.1 as f64];
        let mut sums = losses.iter().fold([0.0; 2], add);
        world.sum_numbers(&mut sums)?;
        let valid_loss = sums[0] / sums[1];
        if !valid_loss.is_finite() {
            return Ok(None);
        }
        let scored: Vec<&Pair> = scored(&self.valid).collect();
        let own = self.share.own(scored.len());
        let sources: Vec<&str> = own.clone().map(|pair| &scored[pair].source[..]).collect();
        let references: Vec<&str> = scored.iter().map(|pair| &pair.target[..]).collect();
        let greedy = Search {
            beam: 1,
            ..Search::default()
        };
        let found = translator.translate_texts(&sources, &greedy);
        let first = |found: &'_ Translation| found.candidates.first().map(|best| best.text.clone());
        let mut texts = vec![String::new(); scored.len()];
        for (pair, found) in own.zip(&found) {
            texts[pair] = first(found).unwrap_or_default();
        }
        distributed::gather_texts(world, &mut texts)?;
        if self.share.rank > 0 {
            return Ok(None);
        }
        Ok(Some(Figures {
            valid_loss,
            bleu: Some(Bleu::corpus(&texts, &references).score),
            ..Figures::default()
        }))
    }

    /// Some validation pairs, with their translations between.
    fn sample(&self, directory: &Directory) -> Option<String> {
        let shown = self.shown();
        let translator = Translator::open(directory, Precision::Float32, 1).ok()?;
        let sources: Vec<&str> = shown.iter().map(|pair| &pair.source[..]).collect();
        let found = translator.translate_texts(&sources, &Search::default());
        let lines = |(pair, found): (&&Pair, Translation)| {
            let own = found.candidates.into_iter().next().unwrap_or_default().text;
            format!("{}\n  → {own}\n  = {}", pair.source, pair.target)
        };
        let lines: Vec<String> = shown.iter().zip(found).map(lines).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// Says so if the translator is no better than a baseline.
    fn conclude(
        &mut self,
        _directory: &Directory,
        record: &mut Record<PairsRecord>,
    ) -> Result<Vec<String>> {
        let PairBaselines { copy, nearest } = record.subject.baselines;
        let (name, baseline) = match nearest >= copy {
            true => ("the translation of the nearest training sentence", nearest),
            false => ("the source as it is", copy),
        };
        let own = record.best().and_then(|best| best.figures.bleu);
        let note = own.filter(|own| *own <= baseline).map(|own| {
            format!(
                "the translator does not beat {name}: BLEU {own:.1}, and {baseline:.1}; what helps: more pairs, more --time"
            )
        });
        Ok(note.into_iter().collect())
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
            baselines: [record.baselines.copy, record.baselines.nearest],
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

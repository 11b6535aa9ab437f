/*!
A classifier as a [`Task`]: its step, its evaluation with the calibration, and what is saved of it.
*/

use std::borrow::Cow;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use super::batches::{Batches, EncodedDocuments};
use super::calibration::{self, loss};
use super::dataset::{BYTES_A_TOKEN, LabelledTexts};
use crate::distributed::{Share, World};
use crate::evaluation;
use crate::gradients::{Batch, Gradients, MAX_BACKWARD, TextBatch, Window};
use crate::network::DropoutMasks;
use crate::recipe;
use crate::run::{DataSummary, FittedTensor, FittedValues, Task, TrainingState, model_weights};
use carousel::checkpoint::architecture::{CALIBRATION_BIAS, CALIBRATION_SCALES, NGRAM_BIAS};
use carousel::checkpoint::architecture::{DOCUMENT_HASHES, EMBEDDING, NGRAM_HASHES, NGRAM_WEIGHTS};
use carousel::checkpoint::arguments::ClassWeights;
use carousel::checkpoint::cross_validation::CrossValidation;
use carousel::checkpoint::record::{
    DocumentsRecord, Figures, NaiveBaselines, Record, TrainingConfig, ValidationRecord,
};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::error::Result;
use carousel::inference::classifier::{Calibration, Classifier};
use carousel::inference::learnt_documents::LearntDocuments;
use carousel::inference::linear::LinearClassifier;
use carousel::metrics::{ClassificationScore, softmax};
use carousel::text::tokenizer::Tokenizer;
use carousel_kernels::{Precision, ThreadPool};

/// Divisor of a layer's learning rate for each layer above it (Howard and Ruder 2018).
const SLOWER_BELOW: f64 = 2.6;
/// Fraction of the budget after which the next layer below is unfrozen.
const UNFREEZE: f64 = 0.05;

/// A classifier, and the documents that it learns from.
pub struct ClassifierTask {
    /// The labels' names.
    pub(super) labels: Vec<String>,
    /// The tokenizer of the model.
    pub(super) tokenizer: Tokenizer,
    /// The training part.
    pub(super) train: EncodedDocuments,
    /// The validation part.
    pub(super) valid: EncodedDocuments,
    /// The linear classifier, which is learnt before the run.
    pub(super) linear: LinearClassifier,
    /// Its logits for the validation part.
    pub(super) linear_logits: Vec<Vec<f64>>,
    /// The weight of a validation document of each label in the calibration and in the loss.
    pub(super) label_weights: Vec<f64>,
    /// Hashes of the documents that the model learns from.
    pub(super) learnt: LearntDocuments,
    /// The documents that the finished model is tested on, if there are any.
    pub(super) test: Option<LabelledTexts>,
    /// What the last evaluation predicted.
    pub(super) validated: Option<ValidationRecord>,
    /// Scales of both classifiers' logits, fitted at each evaluation.
    pub(super) calibration: Calibration,
    /// The batches of a pass.
    pub(super) batches: Batches,
    /// Fraction of the head's inputs dropped.
    pub(super) dropout: f64,
    /// Whether the layers come from a model, so that they are unfrozen one by one.
    pub(super) unfreezes: bool,
    /// The network.
    pub(super) config: ModelConfig,
    /// What computes gradients.
    pub(super) gradients: Gradients,
    /// The part of a batch that this process computes.
    pub(super) share: Share,
}

/// A note if a baseline is at least as good on the same documents: by balanced accuracy where labels count alike, else by
/// accuracy.
fn beaten_by(
    figures: &Figures,
    baselines: &NaiveBaselines,
    weights: ClassWeights,
) -> Option<String> {
    type Measure = fn(&ClassificationScore) -> f64;
    let (measure, of, own): (&str, Measure, _) = match weights {
        ClassWeights::None => ("accuracy", |score| score.accuracy, figures.accuracy?),
        ClassWeights::Balanced => (
            "balanced accuracy",
            ClassificationScore::balanced_accuracy,
            figures.balanced_accuracy?,
        ),
    };
    let (naive_bayes, majority) = (of(&baselines.naive_bayes), of(&baselines.majority));
    let (name, best) = match naive_bayes >= majority {
        true => ("naive Bayes", naive_bayes),
        false => ("the most frequent label alone", majority),
    };
    let help = "what helps: more documents, a model to start --from (reviews ships, for English), more --time";
    let same = "on the same validation documents";
    match own <= best {
        true if own == 1.0 => Some(format!("{name} is right {same} each time too")),
        true => Some(format!(
            "the classifier does not beat {name}, which has {measure} {best:.4} {same}; {help}"
        )),
        false => None,
    }
}

/// What cross-validation found, in a line.
fn estimate(found: &CrossValidation) -> Option<String> {
    let (mean, deviation) = (found.mean?, found.standard_deviation?);
    let (own, spread) = (mean.classifier, deviation.classifier);
    Some(format!(
        "cross-validation with {} folds: accuracy {:.4} ± {:.4}, balanced accuracy {:.4} ± {:.4}, macro F1 {:.4} ± {:.4} \
         (mean ± standard deviation); naive Bayes has accuracy {:.4} ± {:.4}",
        found.folds.len(),
        own.accuracy,
        spread.accuracy,
        own.balanced_accuracy,
        spread.balanced_accuracy,
        own.macro_f1,
        spread.macro_f1,
        mean.naive_bayes.accuracy,
        deviation.naive_bayes.accuracy,
    ))
}

impl ClassifierTask {
    /// Masks for each direction: the head's inputs have a mask of their own instead of the last layer's outputs.
    fn masks(
        &self,
        config: &ModelConfig,
        training: &TrainingConfig,
        seed: u64,
        device: Device,
        pool: &ThreadPool,
    ) -> Vec<DropoutMasks> {
        let mut masks: Vec<DropoutMasks> = Vec::new();
        for (index, _) in (0..).zip(config.recurrent().directions()) {
            let mut drawn =
                DropoutMasks::draw(config, training, device, seed.wrapping_add(index), pool);
            if let Some(last) = drawn.outputs.last_mut() {
                *last = None;
            }
            // A word that is dropped is dropped in all directions.
            if let Some(first) = masks.first() {
                drawn.embedding = first.embedding.as_ref().map(Tensor::shallow_clone);
            }
            masks.push(drawn);
        }
        masks
    }

    /// The mask of the head's inputs, `[texts, pooled_size]`, if anything is dropped.
    fn head_mask(&self, numbers: usize, seed: u64) -> Option<Vec<f32>> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(2);
        let kept = 1.0 - self.dropout;
        let factor = |_| match random.random_bool(kept) {
            true => (1.0 / kept) as f32,
            false => 0.0,
        };
        (self.dropout > 0.0).then(|| (0..numbers).map(factor).collect())
    }
}

/// The values at some positions.
fn chosen<V: Copy>(values: &[V], positions: &[usize]) -> Vec<V> {
    positions.iter().map(|&position| values[position]).collect()
}

impl Task for ClassifierTask {
    const COMMAND: &'static str = "train-classifier";
    type Record = DocumentsRecord;

    fn describe(&self, directory: &Directory, config: &ModelConfig) -> Result<()> {
        directory.save_description(config, &self.tokenizer)
    }

    fn steps_in_pass(&self) -> usize {
        self.batches.in_pass()
    }

    fn tokens_in_step(&self) -> usize {
        self.batches.tokens_in_batch()
    }

    fn valid_tokens(&self) -> usize {
        self.valid.tokens()
    }

    fn streams(&self) -> usize {
        1
    }

    fn take_share(&mut self, share: Share, _: &ModelConfig, _: &TrainingConfig) -> Result<()> {
        self.share = share;
        Ok(())
    }

    /// All of the validation part is always read: the calibration is fitted on its documents.
    fn shorten_validation(&mut self, _tokens: usize, _record: &mut DocumentsRecord) {}

    fn step(
        &mut self,
        state: &mut TrainingState,
        training: &TrainingConfig,
        seed: u64,
        pool: &ThreadPool,
    ) -> Window {
        let (network, counters) = (&state.network, &state.counters);
        let parts = self
            .batches
            .get(counters.epoch, counters.window, &self.train);
        let texts: Vec<Cow<[u32]>> = parts.iter().map(|part| part.tokens(&self.train)).collect();
        let texts: Vec<&[u32]> = texts.iter().map(|text| &text[..]).collect();
        let labels: Vec<usize> = parts
            .iter()
            .map(|part| self.train.labels[part.document])
            .collect();
        let noise: Vec<f32> = parts
            .iter()
            .map(|part| part.label_noise(&self.train))
            .collect();
        let (own, counts) = self.share.positions(texts.len());
        let seed = self.share.seed(seed);
        let own_training = TrainingConfig {
            batch_size: own.len(),
            ..training.clone()
        };
        let config = &network.config;
        let masks = self.masks(config, &own_training, seed, network.device(), pool);
        let head_mask = self.head_mask(own.len() * config.recurrent().pooled_size(), seed);
        let whole = TextBatch {
            texts: &texts,
            labels: &labels,
            weights: &self.batches.label_weights,
            noise: &noise,
            head_mask: head_mask.as_deref(),
            masks: &masks,
            perturbation: training.adversarial,
        };
        let gradients = &mut self.gradients;
        match self.share {
            Share::WHOLE => gradients.step(network, &Batch::Texts(whole), pool),
            Share { ranks, .. } => {
                let (texts, labels) = (chosen(&texts, &own), chosen(&labels, &own));
                let part = TextBatch {
                    texts: &texts,
                    labels: &labels,
                    noise: &chosen(&noise, &own),
                    ..whole
                };
                let (own, all) = (part.weight(), whole.weight());
                let mut window = gradients.step(network, &Batch::Texts(part), pool);
                window.widen(whole.sparse_rows_of_parts(config));
                window.weight = f64::from(u8::from(counts)) * own * ranks as f64 / all;
                window
            }
        }
    }

    /// The head learns at once; the layers below it are unfrozen one after another, from the top down. The vectors of words
    /// come last, but learn as fast as the layer above them: a step changes only those that occur in it.
    fn learning_rate_fraction(&self, parameter: &str, spent: f64) -> f64 {
        if !self.unfreezes {
            return 1.0;
        }
        let layers = self.config.recurrent().num_layers;
        let (depth, slower) = match self.config.layer_of(parameter) {
            Some(layer) => (layers - layer, layers - layer),
            None if parameter == EMBEDDING => (layers + 1, layers),
            None => return 1.0,
        };
        match spent >= UNFREEZE * depth as f64 {
            true => SLOWER_BELOW.powi(-(slower as i32)),
            false => 0.0,
        }
    }

    fn evaluate(
        &mut self,
        state: &TrainingState,
        training: &TrainingConfig,
        world: &World,
    ) -> Result<Option<Figures>> {
        let threads = training.threads.max(1) as usize;
        let encoder = evaluation::encoder(&state.averaged_network(), threads);
        let own = self.share.own(self.valid.texts.len());
        let texts: Vec<&[u32]> = own
            .clone()
            .map(|text| &self.valid.texts[text][..])
            .collect();
        let mut all = vec![0.0; self.valid.texts.len() * self.labels.len()];
        for (text, found) in own.zip(encoder.logits(&texts)) {
            all[text * found.len()..][..found.len()].copy_from_slice(&found);
        }
        world.sum_numbers(&mut all)?;
        if self.share.rank > 0 || all.iter().any(|logit| !logit.is_finite()) {
            return Ok(None);
        }
        let head: Vec<Vec<f64>> = all.chunks(self.labels.len()).map(<[f64]>::to_vec).collect();
        let (labels, weights) = (&self.valid.labels, &self.label_weights);
        self.calibration = calibration::fit(&head, &self.linear_logits, labels, weights);
        let both = head.iter().zip(&self.linear_logits);
        let logits = both.map(|(head, linear)| self.calibration.combine(head, linear));
        let logits: Vec<Vec<f64>> = logits.collect();
        let predicted: Vec<Vec<f64>> = logits.iter().map(|logits| softmax(logits)).collect();
        let validated = ValidationRecord::new(&self.labels, labels, &predicted);
        let score = &self.validated.insert(validated).score;
        Ok(Some(Figures {
            valid_loss: loss(logits.into_iter(), labels, weights),
            accuracy: Some(score.accuracy),
            macro_f1: Some(score.macro_f1),
            balanced_accuracy: Some(score.balanced_accuracy()),
            ..Figures::default()
        }))
    }

    fn describe_best(&self, record: &mut DocumentsRecord) {
        record.validated = self.validated.clone();
    }

    fn weights(&self, state: &TrainingState) -> Result<Vec<u8>> {
        let Calibration { scales, bias } = &self.calibration;
        let floats = |numbers: &[f64]| numbers.iter().map(|&n| n as f32).collect::<Vec<f32>>();
        let (scales, bias) = (floats(scales), floats(bias));
        let (count, labels) = (self.linear.hashes.len(), self.labels.len());
        let tensor = |name, shape: &[usize], values| FittedTensor {
            name,
            shape: shape.to_vec(),
            values,
        };
        let floats = FittedValues::Floats;
        let hashes = self.learnt.integers();
        let fitted = [
            tensor(
                NGRAM_WEIGHTS,
                &[count, labels],
                floats(&self.linear.weights),
            ),
            tensor(NGRAM_BIAS, &[labels], floats(&self.linear.bias)),
            tensor(CALIBRATION_SCALES, &[2], floats(&scales)),
            tensor(CALIBRATION_BIAS, &[labels], floats(&bias)),
            tensor(
                NGRAM_HASHES,
                &[count],
                FittedValues::Integers(&self.linear.hashes),
            ),
            tensor(
                DOCUMENT_HASHES,
                &[hashes.len() / 2, 2],
                FittedValues::Integers(&hashes),
            ),
        ];
        model_weights(state, &fitted)
    }

    fn tokens_at_end(&self) -> usize {
        self.test
            .as_ref()
            .map_or(0, |test| test.bytes() / BYTES_A_TOKEN)
    }

    /// Tests the model on the test documents, and says so if it is no better than a baseline.
    fn conclude(
        &mut self,
        directory: &Directory,
        record: &mut Record<DocumentsRecord>,
    ) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        if let (Some(test), Some(tested)) = (&self.test, &mut record.subject.tested) {
            let threads = record.training.threads.max(1) as usize;
            let classifier = Classifier::open(directory, Precision::Float32, threads)?;
            let texts: Vec<&str> = test.texts.iter().map(String::as_str).collect();
            let predicted = classifier.predict(&texts)?;
            let score =
                ClassificationScore::of_probabilities(&self.labels, &test.labels, &predicted);
            notes.push(format!(
                "on the {} test documents: accuracy {:.4}, balanced accuracy {:.4}, macro F1 {:.4}; naive Bayes has \
                 accuracy {:.4}",
                score.examples,
                score.accuracy,
                score.balanced_accuracy(),
                score.macro_f1,
                tested.baselines.naive_bayes.accuracy
            ));
            tested.score = Some(score);
        }
        notes.extend(record.subject.cross_validation.as_ref().and_then(estimate));
        let weights = record.request.arguments.class_weights.unwrap_or_default();
        let baselines = &record.subject.baselines;
        let best = record.best();
        notes.extend(best.and_then(|best| beaten_by(&best.figures, baselines, weights)));
        Ok(notes)
    }

    fn summary(&self, record: &DocumentsRecord) -> DataSummary {
        let labels = self
            .labels
            .iter()
            .cloned()
            .zip(record.label_counts.iter().copied());
        let long = self
            .train
            .texts
            .iter()
            .filter(|text| text.len() > MAX_BACKWARD)
            .count();
        DataSummary::Documents {
            level: self.tokenizer.level(),
            train_documents: record.train_documents,
            train_tokens: self.train.tokens() as u64,
            valid_documents: record.valid_documents,
            labels: labels.collect(),
            ngrams: self.linear.hashes.len() as u64,
            long_documents: (long as u64, MAX_BACKWARD as u64),
            excerpts: self.batches.excerpts_of(&self.train) as u64,
            naive_bayes: record.baselines.naive_bayes.accuracy,
            majority: record.baselines.majority.accuracy,
        }
    }

    fn tokens_per_character(&self) -> Option<f64> {
        None
    }

    fn memory(&self, config: &ModelConfig, training: &TrainingConfig) -> u64 {
        let longest = self.train.texts.iter().map(Vec::len).max().unwrap_or(0);
        let whole = TrainingConfig {
            bptt: longest.min(MAX_BACKWARD),
            ..training.clone()
        };
        recipe::memory(config, &whole, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_that_is_not_beaten_is_named() {
        let labels = ["a", "b"].map(String::from);
        let score =
            |predicted: &[usize]| ClassificationScore::of_labels(&labels, &[0, 0, 1, 1], predicted);
        let baselines = |naive_bayes: &[usize]| NaiveBaselines {
            majority: score(&[0; 4]),
            naive_bayes: score(naive_bayes),
        };
        let (three, one) = (baselines(&[0, 0, 1, 0]), baselines(&[1, 1, 0, 1]));
        // Accuracy, baselines, and what the note says: labels are as frequent, so that balanced accuracy says the same.
        let table = [
            (1.0, &three, None),
            (
                0.75,
                &three,
                Some("does not beat naive Bayes, which has accuracy 0.7500"),
            ),
            (
                0.5,
                &one,
                Some("the most frequent label alone, which has accuracy 0.5000"),
            ),
            (0.75, &one, None),
            (1.0, &baselines(&[0, 0, 1, 1]), Some("naive Bayes is right")),
        ];
        for (accuracy, baselines, expected) in table {
            let figures = Figures {
                accuracy: Some(accuracy),
                balanced_accuracy: Some(accuracy),
                ..Figures::default()
            };
            let note = beaten_by(&figures, baselines, ClassWeights::None);
            let balanced = beaten_by(&figures, baselines, ClassWeights::Balanced);
            let named = |note: String| note.replace("has accuracy", "has balanced accuracy");
            assert_eq!(balanced, note.clone().map(named));
            match (&note, expected) {
                (Some(note), Some(expected)) => assert!(note.contains(expected), "{note}"),
                _ => assert_eq!(note.as_deref(), expected),
            }
        }
    }
}

/*!
Model selection for the linear classifier: its hyperparameters are those with the smallest calibrated loss in
cross-validation, or on the validation part.
*/

use crate::run::Base;
use crate::tasks::classifier::calibration::{self, loss};
use crate::tasks::classifier::class_weights::label_weights;
use crate::tasks::classifier::dataset::{Dataset, DatasetWords};
use crate::tasks::classifier::linear::{Hyperparameters, LinearProblem};
use crate::tasks::lsa::WordVectors;
use carousel::checkpoint::arguments::ClassWeights;
use carousel::error::Result;
use carousel::inference::classifier::Calibration;
use carousel::inference::linear::LinearClassifier;
use carousel::text::preprocessing::Preprocessing;

/// Largest number of n-grams, and other features, with weights.
const MAX_FEATURES: usize = 600_000;
/// Costs that are compared.
const COSTS: [f32; 4] = [0.3, 1.0, 3.0, 10.0];
/// Factors of the prior classifier's weights that are compared.
const PRIOR_FACTORS: [f32; 3] = [0.0, 0.5, 2.0];
/// Number of documents from which on word vectors are no use as a prior, and the validation part is large enough for the
/// selection.
const MANY_DOCUMENTS: usize = 10_000;
/// Number of words from which on the validation part is large enough for the selection.
const MANY_WORDS: usize = 500_000;
/// Number of folds of cross-validation.
const FOLDS: usize = 5;

/// Prior knowledge about words, from the model that a run goes on from.
pub enum Prior {
    /// None.
    Nothing,
    /// The linear classifier of a model with the same labels.
    Weights(LinearClassifier),
    /// The word vectors of a language model.
    WordVectors(WordVectors),
}

impl Prior {
    /// Prior of the base model, if there is one.
    ///
    /// # Errors
    /// Damaged weights.
    pub fn load(dataset: &Dataset, base: Option<&Base>) -> Result<Self> {
        let Some(base) = base else {
            return Ok(Prior::Nothing);
        };
        if base.config.labels() == dataset.labels {
            return Ok(Prior::Weights(LinearClassifier::load(
                &base.weights,
                base.config.preprocessing(),
            )?));
        }
        let vectors = match dataset.train.texts.len() {
            ..MANY_DOCUMENTS => WordVectors::load(base)?,
            _ => None,
        };
        Ok(vectors.map_or(Prior::Nothing, Prior::WordVectors))
    }

    /// The prior as a linear classifier: with word vectors, a logistic regression on `documents`.
    fn classifier(
        &self,
        documents: &LabelledWords,
        label_count: usize,
        preprocessing: Preprocessing,
    ) -> Option<LinearClassifier> {
        match self {
            Prior::Nothing => None,
            // Its weights are those of this run's features, whatever its own texts were read as.
            Prior::Weights(classifier) => Some(LinearClassifier {
                preprocessing,
                ..classifier.clone()
            }),
            Prior::WordVectors(vectors) => {
                let LabelledWords { words, labels } = documents;
                Some(vectors.fit_classifier(words, labels, label_count, preprocessing))
            }
        }
    }
}

/// A linear classifier and its logits for the validation part.
pub struct FittedLinear {
    /// The classifier.
    pub classifier: LinearClassifier,
    /// Logits of the validation documents, `[documents, labels]`.
    pub valid_logits: Vec<Vec<f64>>,
}

impl FittedLinear {
    /// Applies a fitted classifier to the validation documents.
    pub fn new(classifier: LinearClassifier, valid: &[Vec<String>]) -> Self {
        FittedLinear {
            valid_logits: valid.iter().map(|words| classifier.logits(words)).collect(),
            classifier,
        }
    }

    /// Selects the hyperparameters, fits the classifier to all training documents and calibrates it.
    pub fn fit(
        dataset: &Dataset,
        words: &DatasetWords,
        prior: &Prior,
        class_weights: ClassWeights,
        seed: u64,
    ) -> Self {
        let label_count = dataset.labels.len();
        let preprocessing = words.preprocessing;
        let problem = |documents: &LabelledWords| {
            let prior = prior.classifier(documents, label_count, preprocessing);
            let LabelledWords { words, labels } = documents;
            let weights = label_weights(class_weights, labels, label_count);
            LinearProblem::new(words, labels, weights, preprocessing, prior)
        };
        let train = LabelledWords::new(&words.train, &dataset.train.labels);
        let whole = problem(&train);
        // A prior classifier may have been trained on these documents: only the validation part is new to it.
        let splits = match prior {
            Prior::Weights(_) => Vec::new(),
            _ => cross_validation(&train, label_count),
        };
        let problems = in_parallel(splits, |(train, valid)| (problem(&train), valid));
        let valid = LabelledWords::new(&words.valid, &dataset.valid.labels);
        let folds: Vec<Fold> = match &problems[..] {
            [] => vec![Fold {
                train: &whole,
                valid: &valid,
            }],
            problems => problems
                .iter()
                .map(|(train, valid)| Fold { train, valid })
                .collect(),
        };
        let has_prior = !matches!(prior, Prior::Nothing);
        let validate = |candidate| validate(&folds, candidate, class_weights, seed);
        let (hyperparameters, calibration) = select(has_prior, validate);
        let mut classifier = whole.fit(hyperparameters, MAX_FEATURES, seed);
        calibrate(&mut classifier, &calibration);
        FittedLinear::new(classifier, &words.valid)
    }
}

/// Applies a calibration to the weights themselves, so that the final calibration, which may have few documents, need not
/// find it again.
fn calibrate(classifier: &mut LinearClassifier, calibration: &Calibration) {
    let scale = calibration.scales[1] as f32;
    classifier
        .weights
        .iter_mut()
        .for_each(|weight| *weight *= scale);
    for (bias, shift) in classifier.bias.iter_mut().zip(&calibration.bias) {
        *bias = *bias * scale + *shift as f32;
    }
}

/// A division of documents for validation.
struct Fold<'a> {
    train: &'a LinearProblem,
    valid: &'a LabelledWords<'a>,
}

/// The hyperparameters with the smallest loss, and the calibration with them. The cost is selected first, then the factor of
/// the prior.
fn select(
    has_prior: bool,
    validate: impl Fn(Hyperparameters) -> (f64, Calibration) + Sync,
) -> (Hyperparameters, Calibration) {
    let best_of = |candidates: Vec<Hyperparameters>| {
        let validated = in_parallel(candidates, |candidate| (validate(candidate), candidate));
        let best = validated.into_iter().min_by(|a, b| a.0.0.total_cmp(&b.0.0));
        best.expect("there are candidates")
    };
    let prior = if has_prior { 1.0 } else { 0.0 };
    let mut best = best_of(COSTS.map(|cost| Hyperparameters { cost, prior }).to_vec());
    if has_prior {
        let cost = best.1.cost;
        let candidates = PRIOR_FACTORS.map(|prior| Hyperparameters { cost, prior });
        let other = best_of(candidates.to_vec());
        if other.0.0 < best.0.0 {
            best = other;
        }
    }
    let ((_, calibration), hyperparameters) = best;
    (hyperparameters, calibration)
}

/// Calibrated loss over all folds, and the calibration. With few documents, the loss distinguishes hyperparameters better
/// than the accuracy does.
fn validate(
    folds: &[Fold],
    hyperparameters: Hyperparameters,
    class_weights: ClassWeights,
    seed: u64,
) -> (f64, Calibration) {
    let fold_logits = |fold: &Fold| {
        let classifier = fold.train.fit(hyperparameters, MAX_FEATURES, seed);
        let logits = fold
            .valid
            .words
            .iter()
            .map(|words| classifier.logits(words));
        logits.collect::<Vec<_>>()
    };
    let logits: Vec<Vec<f64>> = folds.iter().flat_map(fold_logits).collect();
    let labels = folds.iter().flat_map(|fold| fold.valid.labels.clone());
    let labels: Vec<usize> = labels.collect();
    // There is no recurrent classifier yet.
    let zeros: Vec<Vec<f64>> = logits.iter().map(|all| vec![0.0; all.len()]).collect();
    let label_count = logits.first().map_or(0, Vec::len);
    let weights = label_weights(class_weights, &labels, label_count);
    let calibration = calibration::fit(&zeros, &logits, &labels, &weights);
    let both = zeros.iter().zip(&logits);
    let calibrated = both.map(|(zeros, logits)| calibration.combine(zeros, logits));
    (loss(calibrated, &labels, &weights), calibration)
}

/// Maps `work` over items, with a thread for each.
fn in_parallel<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let work = &work;
        let spawn = |item| scope.spawn(move || work(item));
        let threads: Vec<_> = items.into_iter().map(spawn).collect();
        let results = threads.into_iter().map(|thread| thread.join());
        results
            .map(|result| result.expect("work does not panic"))
            .collect()
    })
}

/// The words of documents, and their labels.
#[derive(Default)]
struct LabelledWords<'d> {
    words: Vec<&'d [String]>,
    labels: Vec<usize>,
}

impl<'d> LabelledWords<'d> {
    fn new(words: &'d [Vec<String>], labels: &[usize]) -> Self {
        LabelledWords {
            words: words.iter().map(|words| &words[..]).collect(),
            labels: labels.to_vec(),
        }
    }
}

/// Stratified splits into training and validation documents for cross-validation with [`FOLDS`] folds. There are none if the
/// validation part is large enough for the selection, or if there are too few documents.
fn cross_validation<'d>(
    all: &LabelledWords<'d>,
    label_count: usize,
) -> Vec<(LabelledWords<'d>, LabelledWords<'d>)> {
    let words: usize = all.words.iter().map(|words| words.len()).sum();
    if all.words.len() >= MANY_DOCUMENTS || words >= MANY_WORDS {
        return Vec::new();
    }
    let mut counts = vec![0; label_count];
    let fold_of: Vec<usize> = all
        .labels
        .iter()
        .map(|&label| {
            counts[label] += 1;
            (counts[label] - 1) % FOLDS
        })
        .collect();
    let documents_of = |fold: usize, inside: bool| {
        let mut part = LabelledWords::default();
        let documents = all.words.iter().zip(&all.labels).zip(&fold_of);
        for ((words, &label), _) in documents.filter(|(_, of)| (**of == fold) == inside) {
            part.words.push(words);
            part.labels.push(label);
        }
        part
    };
    (0..FOLDS)
        .map(|fold| (documents_of(fold, false), documents_of(fold, true)))
        .filter(|(train, valid)| !train.words.is_empty() && !valid.words.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_validation_holds_out_each_document_once() {
        let words: Vec<Vec<String>> = (0..23).map(|i| vec![i.to_string()]).collect();
        // 12, 8 and 3 documents of three labels.
        let labels: Vec<usize> = (0..23)
            .map(|i| match i {
                0..12 => 0,
                12..20 => 1,
                _ => 2,
            })
            .collect();
        let splits = cross_validation(&LabelledWords::new(&words, &labels), 3);
        assert_eq!(splits.len(), FOLDS);
        let mut held_out: Vec<&[String]> = Vec::new();
        for (train, valid) in &splits {
            assert_eq!(train.words.len() + valid.words.len(), 23);
            assert!(valid.words.iter().all(|words| !train.words.contains(words)));
            for (label, at_least) in [(0, 2), (1, 1)] {
                let count = valid.labels.iter().filter(|&&other| other == label).count();
                assert!(count >= at_least, "{count} of {label}");
            }
            held_out.extend(&valid.words);
        }
        held_out.sort();
        held_out.dedup();
        assert_eq!(held_out.len(), 23);
    }

    #[test]
    fn weights_to_go_on_from_are_read_by_the_features_of_the_run() {
        let before = LinearClassifier {
            hashes: vec![1],
            weights: vec![1.0, -1.0],
            bias: vec![0.0; 2],
            preprocessing: Preprocessing::None,
        };
        let words = vec![vec!["so".to_string()]];
        let documents = LabelledWords::new(&words, &[0]);
        let prior = Prior::Weights(before);
        let found = prior.classifier(&documents, 2, Preprocessing::Plain);
        let found = found.unwrap();
        assert_eq!(found.preprocessing, Preprocessing::Plain);
        assert_eq!(found.weights, [1.0, -1.0]);
    }

    #[test]
    fn there_is_no_cross_validation_of_very_few_or_many_documents() {
        let word = vec!["so".to_string()];
        let few = vec![word.clone(); 2];
        assert!(cross_validation(&LabelledWords::new(&few, &[0, 1]), 3).is_empty());
        let many = vec![word; MANY_DOCUMENTS];
        let labels = vec![0; MANY_DOCUMENTS];
        assert!(cross_validation(&LabelledWords::new(&many, &labels), 1).is_empty());
    }
}

/*!
The wide half of a classifier, beside its deep one (Cheng et al. 2016): how the weights of words, pairs and triples of words
are learnt is chosen by documents that were held out.
*/

use crate::run::Base;
use crate::tasks::classifier::calibration::{self, loss};
use crate::tasks::classifier::dataset::{Dataset, Words};
use crate::tasks::classifier::linear::{Features, Trial};
use crate::tasks::lsa::WordVectors;
use carousel::error::Result;
use carousel::inference::classifier::Calibration;
use carousel::inference::linear::LinearClassifier;

/// Runs of words that have weights, at most.
const NGRAMS: usize = 600_000;
/// Costs of a document told wrong, and what weights that were there before may count, all of which are tried out.
const COSTS: [f32; 4] = [0.3, 1.0, 3.0, 10.0];
const PRIORS: [f32; 3] = [0.0, 0.5, 2.0];
/// Documents from which on they say themselves what their words are a sign of; with these, or with so many words, a part of
/// them is enough to choose by.
const MANY: usize = 10_000;
const MANY_WORDS: usize = 500_000;
/// Parts of fewer, each of which is held out once.
const FOLDS: usize = 5;

/// What the model to go on from knows of words.
pub enum Prior {
    /// Nothing.
    Nothing,
    /// What they are a sign of.
    Weights(LinearClassifier),
    /// What they have to do with each other.
    WordVectors(WordVectors),
}

impl Prior {
    /// What a model that is gone on from knows, if there is one.
    pub fn of(dataset: &Dataset, base: Option<&Base>) -> Result<Self> {
        let Some(base) = base else {
            return Ok(Prior::Nothing);
        };
        if base.config.labels() == dataset.labels {
            return Ok(Prior::Weights(LinearClassifier::load(&base.weights)?));
        }
        let semantics = match dataset.train.texts.len() {
            ..MANY => WordVectors::load(base)?,
            _ => None,
        };
        Ok(semantics.map_or(Prior::Nothing, Prior::WordVectors))
    }

    fn something(&self) -> bool {
        !matches!(self, Prior::Nothing)
    }

    /// Weights of words before any is learnt from documents by themselves.
    fn prior(&self, documents: &LabelledWords, labels: usize) -> Option<LinearClassifier> {
        match self {
            Prior::Nothing => None,
            Prior::Weights(weights) => Some(weights.clone()),
            Prior::WordVectors(semantics) => {
                Some(semantics.tell(&documents.words, &documents.labels, labels))
            }
        }
    }
}

/// The linear half, and what it says of the validation part.
pub struct LinearHalf {
    /// The weights.
    pub ngrams: LinearClassifier,
    /// For each document of the validation part.
    pub logits: Vec<Vec<f64>>,
}

impl LinearHalf {
    /// What weights say of these documents.
    pub fn of(ngrams: LinearClassifier, valid: &[Vec<String>]) -> Self {
        LinearHalf {
            logits: valid.iter().map(|words| ngrams.logits(words)).collect(),
            ngrams,
        }
    }

    /// Learns it in the way whose calibrated loss is least on documents that were held out.
    pub fn learn(dataset: &Dataset, words: &Words, known: &Prior, seed: u64) -> Self {
        let labels = dataset.labels.len();
        let features = |documents: &LabelledWords| {
            let prior = known.prior(documents, labels);
            Features::of(&documents.words, &documents.labels, labels, prior)
        };
        let all = LabelledWords::of(&words.train, &dataset.train.labels);
        let whole = features(&all);
        // Weights of a model that has learnt from these documents are judged by those that it has not.
        let folds = match known {
            Prior::Weights(_) => Vec::new(),
            _ => folds(&all, labels),
        };
        let folds = side_by_side(folds, |(learnt, held)| (features(&learnt), held));
        let valid = LabelledWords::of(&words.valid, &dataset.valid.labels);
        let held: Vec<(&Features, &LabelledWords)> = match &folds[..] {
            [] => vec![(&whole, &valid)],
            folds => folds.iter().map(|(learnt, held)| (learnt, held)).collect(),
        };
        let (trial, calibration) = choose(&held, known.something(), seed);
        let mut ngrams = whole.learn(trial, NGRAMS, seed);
        // So that few documents need not say again how sure it may be.
        let scale = calibration.scales[1] as f32;
        ngrams
            .weights
            .iter_mut()
            .for_each(|weight| *weight *= scale);
        for (bias, more) in ngrams.bias.iter_mut().zip(&calibration.bias) {
            *bias = *bias * scale + *more as f32;
        }
        LinearHalf::of(ngrams, &words.valid)
    }
}

/// The best way to learn, by what features of some documents tell of others, and how sure it may be.
fn choose(held: &[(&Features, &LabelledWords)], known: bool, seed: u64) -> (Trial, Calibration) {
    let best = |trials: Vec<Trial>| {
        let tried = side_by_side(trials, |trial| (try_out(held, trial, seed), trial));
        let least = tried.into_iter().min_by(|a, b| a.0.0.total_cmp(&b.0.0));
        least.expect("something was tried")
    };
    let prior = if known { 1.0 } else { 0.0 };
    let mut found = best(COSTS.map(|cost| Trial { cost, prior }).to_vec());
    if known {
        let cost = found.1.cost;
        let others = best(PRIORS.map(|prior| Trial { cost, prior }).to_vec());
        if others.0.0 < found.0.0 {
            found = others;
        }
    }
    let ((_, calibration), trial) = found;
    (trial, calibration)
}

/// The calibrated loss of a way to learn: few documents tell ways apart by how many are right less than by how surely.
fn try_out(held: &[(&Features, &LabelledWords)], trial: Trial, seed: u64) -> (f64, Calibration) {
    let logits = |(learnt, held): &(&Features, &LabelledWords)| {
        let ngrams = learnt.learn(trial, NGRAMS, seed);
        let logits = held.words.iter().map(|words| ngrams.logits(words));
        logits.collect::<Vec<_>>()
    };
    let logits: Vec<Vec<f64>> = held.iter().flat_map(logits).collect();
    let labels = held.iter().flat_map(|(_, held)| held.labels.clone());
    let labels: Vec<usize> = labels.collect();
    let none: Vec<Vec<f64>> = logits.iter().map(|all| vec![0.0; all.len()]).collect();
    let calibration = calibration::fit(&none, &logits, &labels);
    let told = none.iter().zip(&logits);
    let told = told.map(|(none, logits)| calibration.combine(none, logits));
    (loss(told, &labels), calibration)
}

/// What `work` makes of each item, on a thread for each.
fn side_by_side<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let work = &work;
        let begin = |item| scope.spawn(move || work(item));
        let working: Vec<_> = items.into_iter().map(begin).collect();
        let done = working.into_iter().map(|thread| thread.join());
        done.map(|made| made.expect("work does not panic"))
            .collect()
    })
}

/// Documents by their words, and their labels as numbers.
#[derive(Default)]
struct LabelledWords<'d> {
    words: Vec<&'d [String]>,
    labels: Vec<usize>,
}

impl<'d> LabelledWords<'d> {
    fn of(words: &'d [Vec<String>], labels: &[usize]) -> Self {
        LabelledWords {
            words: words.iter().map(|words| &words[..]).collect(),
            labels: labels.to_vec(),
        }
    }
}

/// Documents but for a part, and that part, for each of [`FOLDS`] parts with as many of each label. None, where there are so
/// many documents that a part of them is enough to choose by, and where there are too few.
fn folds<'d>(
    all: &LabelledWords<'d>,
    labels: usize,
) -> Vec<(LabelledWords<'d>, LabelledWords<'d>)> {
    let words: usize = all.words.iter().map(|words| words.len()).sum();
    if all.words.len() >= MANY || words >= MANY_WORDS {
        return Vec::new();
    }
    let mut seen = vec![0; labels];
    let fold_of: Vec<usize> = all
        .labels
        .iter()
        .map(|&label| {
            seen[label] += 1;
            (seen[label] - 1) % FOLDS
        })
        .collect();
    let part = |fold: usize, own: bool| {
        let mut part = LabelledWords::default();
        let documents = all.words.iter().zip(&all.labels).zip(&fold_of);
        for ((words, &labels), _) in documents.filter(|(_, of)| (**of == fold) == own) {
            part.words.push(words);
            part.labels.push(labels);
        }
        part
    };
    let folds = (0..FOLDS).map(|fold| (part(fold, false), part(fold, true)));
    folds
        .filter(|(learnt, held)| !learnt.words.is_empty() && !held.words.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_document_is_held_out_once_and_none_where_one_alone_has_its_label() {
        let words: Vec<Vec<String>> = (0..23).map(|i| vec![i.to_string()]).collect();
        // Of 23 documents, 12 and 8 of two labels, and three of another.
        let labels: Vec<usize> = (0..23)
            .map(|i| match i {
                0..12 => 0,
                12..20 => 1,
                _ => 2,
            })
            .collect();
        let all = LabelledWords::of(&words, &labels);
        let found = folds(&all, 3);
        assert_eq!(found.len(), FOLDS);
        let mut held: Vec<&[String]> = Vec::new();
        for (learnt, out) in &found {
            assert_eq!(learnt.words.len() + out.words.len(), 23);
            assert!(out.words.iter().all(|words| !learnt.words.contains(words)));
            for (label, at_least) in [(0, 2), (1, 1)] {
                let count = out.labels.iter().filter(|&&labels| labels == label).count();
                assert!(count >= at_least, "{count} of {label}");
            }
            held.extend(&out.words);
        }
        held.sort();
        held.dedup();
        assert_eq!(held.len(), 23);

        let few = LabelledWords::of(&words[11..13], &labels[11..13]);
        assert!(folds(&few, 3).is_empty());
        let many: Vec<Vec<String>> = vec![vec!["so".to_string()]; MANY];
        assert!(folds(&LabelledWords::of(&many, &vec![0; MANY]), 1).is_empty());
    }
}

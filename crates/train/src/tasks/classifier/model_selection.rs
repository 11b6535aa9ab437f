/*!
The wide half of a classifier, beside its deep one (Cheng et al. 2016): how the weights of words, pairs and triples of words
are learnt is chosen by documents that were held out.
*/

use crate::run::resume::Base;
use crate::tasks::classifier::calibration::{self, loss};
use crate::tasks::classifier::dataset::{Material, Words};
use crate::tasks::classifier::linear::{Features, Trial};
use crate::tasks::lsa::Semantics;
use carousel::error::Result;
use carousel::inference::classifier::Calibration;
use carousel::inference::linear::Ngrams;

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
pub enum Known {
    /// Nothing.
    Nothing,
    /// What they are a sign of.
    Weights(Ngrams),
    /// What they have to do with each other.
    Semantics(Semantics),
}

impl Known {
    /// What a model that is gone on from knows, if there is one.
    pub fn of(material: &Material, base: Option<&Base>) -> Result<Self> {
        let Some(base) = base else {
            return Ok(Known::Nothing);
        };
        if base.config.labels == material.labels {
            return Ok(Known::Weights(Ngrams::load(&base.weights)?));
        }
        let semantics = match material.train.texts.len() {
            ..MANY => Semantics::load(base)?,
            _ => None,
        };
        Ok(semantics.map_or(Known::Nothing, Known::Semantics))
    }

    fn something(&self) -> bool {
        !matches!(self, Known::Nothing)
    }

    /// Weights of words before any is learnt from documents by themselves.
    fn prior(&self, documents: &Told, labels: usize) -> Option<Ngrams> {
        match self {
            Known::Nothing => None,
            Known::Weights(weights) => Some(weights.clone()),
            Known::Semantics(semantics) => {
                Some(semantics.tell(&documents.words, &documents.truth, labels))
            }
        }
    }
}

/// The linear half, and what it says of the validation part.
pub struct Wide {
    /// The weights.
    pub ngrams: Ngrams,
    /// For each document of the validation part.
    pub logits: Vec<Vec<f64>>,
}

impl Wide {
    /// What weights say of these documents.
    pub fn of(ngrams: Ngrams, valid: &[Vec<String>]) -> Self {
        Wide {
            logits: valid.iter().map(|words| ngrams.logits(words)).collect(),
            ngrams,
        }
    }

    /// Learns it in the way whose calibrated loss is least on documents that were held out.
    pub fn learn(material: &Material, words: &Words, known: &Known, seed: u64) -> Self {
        let labels = material.labels.len();
        let features = |documents: &Told| {
            let prior = known.prior(documents, labels);
            Features::of(&documents.words, &documents.truth, labels, prior)
        };
        let all = Told::of(&words.train, &material.train.truth);
        let whole = features(&all);
        // Weights of a model that has learnt from these documents are judged by those that it has not.
        let folds = match known {
            Known::Weights(_) => Vec::new(),
            _ => folds(&all, labels),
        };
        let folds = side_by_side(folds, |(learnt, held)| (features(&learnt), held));
        let valid = Told::of(&words.valid, &material.valid.truth);
        let held: Vec<(&Features, &Told)> = match &folds[..] {
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
        Wide::of(ngrams, &words.valid)
    }
}

/// The best way to learn, by what features of some documents tell of others, and how sure it may be.
fn choose(held: &[(&Features, &Told)], known: bool, seed: u64) -> (Trial, Calibration) {
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
fn try_out(held: &[(&Features, &Told)], trial: Trial, seed: u64) -> (f64, Calibration) {
    let logits = |(learnt, held): &(&Features, &Told)| {
        let ngrams = learnt.learn(trial, NGRAMS, seed);
        let logits = held.words.iter().map(|words| ngrams.logits(words));
        logits.collect::<Vec<_>>()
    };
    let logits: Vec<Vec<f64>> = held.iter().flat_map(logits).collect();
    let truth = held.iter().flat_map(|(_, held)| held.truth.clone());
    let truth: Vec<usize> = truth.collect();
    let none: Vec<Vec<f64>> = logits.iter().map(|all| vec![0.0; all.len()]).collect();
    let calibration = calibration::fit(&none, &logits, &truth);
    let told = none.iter().zip(&logits);
    let told = told.map(|(none, logits)| calibration.combine(none, logits));
    (loss(told, &truth), calibration)
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
struct Told<'d> {
    words: Vec<&'d [String]>,
    truth: Vec<usize>,
}

impl<'d> Told<'d> {
    fn of(words: &'d [Vec<String>], truth: &[usize]) -> Self {
        Told {
            words: words.iter().map(|words| &words[..]).collect(),
            truth: truth.to_vec(),
        }
    }
}

/// Documents but for a part, and that part, for each of [`FOLDS`] parts with as many of each label. None, where there are so
/// many documents that a part of them is enough to choose by, and where there are too few.
fn folds<'d>(all: &Told<'d>, labels: usize) -> Vec<(Told<'d>, Told<'d>)> {
    let words: usize = all.words.iter().map(|words| words.len()).sum();
    if all.words.len() >= MANY || words >= MANY_WORDS {
        return Vec::new();
    }
    let mut seen = vec![0; labels];
    let fold_of: Vec<usize> = all
        .truth
        .iter()
        .map(|&label| {
            seen[label] += 1;
            (seen[label] - 1) % FOLDS
        })
        .collect();
    let part = |fold: usize, own: bool| {
        let mut part = Told::default();
        let documents = all.words.iter().zip(&all.truth).zip(&fold_of);
        for ((words, &truth), _) in documents.filter(|(_, of)| (**of == fold) == own) {
            part.words.push(words);
            part.truth.push(truth);
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
        let truth: Vec<usize> = (0..23)
            .map(|i| match i {
                0..12 => 0,
                12..20 => 1,
                _ => 2,
            })
            .collect();
        let all = Told::of(&words, &truth);
        let found = folds(&all, 3);
        assert_eq!(found.len(), FOLDS);
        let mut held: Vec<&[String]> = Vec::new();
        for (learnt, out) in &found {
            assert_eq!(learnt.words.len() + out.words.len(), 23);
            assert!(out.words.iter().all(|words| !learnt.words.contains(words)));
            for (label, at_least) in [(0, 2), (1, 1)] {
                let count = out.truth.iter().filter(|&&truth| truth == label).count();
                assert!(count >= at_least, "{count} of {label}");
            }
            held.extend(&out.words);
        }
        held.sort();
        held.dedup();
        assert_eq!(held.len(), 23);

        let few = Told::of(&words[11..13], &truth[11..13]);
        assert!(folds(&few, 3).is_empty());
        let many: Vec<Vec<String>> = vec![vec!["so".to_string()]; MANY];
        assert!(folds(&Told::of(&many, &vec![0; MANY]), 1).is_empty());
    }
}

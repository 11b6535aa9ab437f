/*!
Baselines of a classifier: naive Bayes on words and pairs of words, and the most frequent label.
*/

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::checkpoint::record::NaiveBaselines;
use crate::metrics::{ClassificationScore, argmax};
use crate::text::features::ngram_hashes;

/// Largest number of words of an n-gram.
const LONGEST: usize = 2;

/// A naive Bayes classifier with add-one smoothing. An n-gram counts once in a document.
struct NaiveBayes {
    /// Number of documents of each label that have an n-gram, by its hash.
    counts: FxHashMap<u32, Vec<f32>>,
    /// Number of documents of each label.
    documents: Vec<f64>,
    /// Number of n-grams in the documents of each label.
    ngrams: Vec<f64>,
}

impl NaiveBayes {
    /// Fits the classifier to documents, given by their words and their labels, which are indices below `labels`.
    fn fit(words: &[Vec<String>], truth: &[usize], labels: usize) -> Self {
        let mut bayes = NaiveBayes {
            counts: FxHashMap::default(),
            documents: vec![0.0; labels],
            ngrams: vec![0.0; labels],
        };
        for (words, &label) in words.iter().zip(truth) {
            bayes.documents[label] += 1.0;
            for hash in ngram_hashes(words, LONGEST) {
                let counts = bayes.counts.entry(hash);
                counts.or_insert_with(|| vec![0.0; labels])[label] += 1.0;
                bayes.ngrams[label] += 1.0;
            }
        }
        bayes
    }

    /// Index of the most probable label of a document.
    fn predict(&self, words: &[String]) -> usize {
        let mut logits: Vec<f64> = self.documents.iter().map(|&n| (n + 1.0).ln()).collect();
        let distinct = self.counts.len() as f64;
        for hash in ngram_hashes(words, LONGEST) {
            // Unknown n-grams are left out.
            let Some(counts) = self.counts.get(&hash) else {
                continue;
            };
            for ((logit, &count), ngrams) in logits.iter_mut().zip(counts).zip(&self.ngrams) {
                *logit += ((f64::from(count) + 1.0) / (ngrams + distinct)).ln();
            }
        }
        argmax(&logits)
    }
}

/// Scores of the baselines of a classifier, fitted to training documents and evaluated on validation documents.
pub fn naive_baselines(
    labels: &[String],
    (words, truth): (&[Vec<String>], &[usize]),
    (valid_words, valid_truth): (&[Vec<String>], &[usize]),
) -> NaiveBaselines {
    let bayes = NaiveBayes::fit(words, truth, labels.len());
    let predicted: Vec<usize> = valid_words
        .iter()
        .map(|words| bayes.predict(words))
        .collect();
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    truth
        .iter()
        .for_each(|&label| *counts.entry(label).or_default() += 1);
    let majority = counts
        .iter()
        .max_by_key(|&(&label, &count)| (count, Reverse(label)));
    let majority = vec![majority.map_or(0, |(&label, _)| label); valid_truth.len()];
    NaiveBaselines {
        majority: ClassificationScore::of_labels(labels, valid_truth, &majority),
        naive_bayes: ClassificationScore::of_labels(labels, valid_truth, &predicted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::features::words;

    #[test]
    fn predictions_are_those_computed_by_hand() {
        let texts = ["good film", "good good plot", "bad film"].map(words);
        let bayes = NaiveBayes::fit(&texts, &[0, 0, 1], 2);
        assert_eq!(bayes.predict(&words("good")), 0);
        assert_eq!(bayes.predict(&words("bad")), 1);
        assert_eq!(bayes.predict(&words("bad film")), 1);
        assert_eq!(bayes.predict(&words("unheard of")), 0);
    }

    #[test]
    fn the_majority_is_the_first_of_equals() {
        let labels = ["a", "b"].map(String::from);
        let texts = ["x", "y"].map(words);
        let scores = naive_baselines(&labels, (&texts, &[1, 0]), (&texts, &[1, 0]));
        assert_eq!(scores.majority.confusion, [[1, 0], [1, 0]]);
        assert_eq!(scores.naive_bayes.accuracy, 1.0);
    }
}

/*!
Naive Bayes on words and pairs of words: what a classifier has to beat.
*/

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::checkpoint::record::NaiveBaselines;
use crate::metrics::{ClassificationScore, likeliest};
use crate::text::features::numbers;

/// Words in a row, at most.
const LONGEST: usize = 2;

/// How often words and pairs of words are met under each label, each once in a document.
pub struct NaiveBayes {
    counts: FxHashMap<u32, Vec<f32>>,
    /// Documents of each label, and runs in all of them.
    documents: Vec<f64>,
    runs: Vec<f64>,
}

impl NaiveBayes {
    /// Counts in documents, which are given by their words and their labels as numbers below `labels`.
    pub fn learn(words: &[Vec<String>], truth: &[usize], labels: usize) -> Self {
        let mut learnt = NaiveBayes {
            counts: FxHashMap::default(),
            documents: vec![0.0; labels],
            runs: vec![0.0; labels],
        };
        for (words, &label) in words.iter().zip(truth) {
            learnt.documents[label] += 1.0;
            for number in numbers(words, LONGEST) {
                let counts = learnt.counts.entry(number);
                counts.or_insert_with(|| vec![0.0; labels])[label] += 1.0;
                learnt.runs[label] += 1.0;
            }
        }
        learnt
    }

    /// The likeliest label of a document; every run counts as if it had been met once more under each label.
    pub fn tell(&self, words: &[String]) -> usize {
        let mut logits: Vec<f64> = self.documents.iter().map(|&n| (n + 1.0).ln()).collect();
        let kinds = self.counts.len() as f64;
        for number in numbers(words, LONGEST) {
            // What was never met says nothing.
            let Some(counts) = self.counts.get(&number) else {
                continue;
            };
            for ((logit, &count), runs) in logits.iter_mut().zip(counts).zip(&self.runs) {
                *logit += ((f64::from(count) + 1.0) / (runs + kinds)).ln();
            }
        }
        likeliest(&logits)
    }
}

/// Scores naive Bayes and the label that is met most, learnt from some documents and measured on others.
pub fn naive_baselines(
    labels: &[String],
    (words, truth): (&[Vec<String>], &[usize]),
    (valid_words, valid_truth): (&[Vec<String>], &[usize]),
) -> NaiveBaselines {
    let bayes = NaiveBayes::learn(words, truth, labels.len());
    let told: Vec<usize> = valid_words.iter().map(|words| bayes.tell(words)).collect();
    let mut times: BTreeMap<usize, usize> = BTreeMap::new();
    truth
        .iter()
        .for_each(|&label| *times.entry(label).or_default() += 1);
    let most = times
        .iter()
        .max_by_key(|&(&label, &n)| (n, std::cmp::Reverse(label)));
    let always = vec![most.map_or(0, |(&label, _)| label); valid_truth.len()];
    NaiveBaselines {
        majority: ClassificationScore::of_labels(labels, valid_truth, &always),
        naive_bayes: ClassificationScore::of_labels(labels, valid_truth, &told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::features::words;

    #[test]
    fn labels_are_told_as_by_hand() {
        let learnt = ["good film", "good good plot", "bad film"].map(words);
        let bayes = NaiveBayes::learn(&learnt, &[0, 0, 1], 2);
        assert_eq!(bayes.tell(&words("good")), 0);
        assert_eq!(bayes.tell(&words("bad")), 1);
        assert_eq!(bayes.tell(&words("bad film")), 1);
        assert_eq!(bayes.tell(&words("unheard of")), 0);
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

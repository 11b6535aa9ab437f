/*!
The linear part of a classifier: weights of n-grams of words (Wang and Manning 2012) and other features.
*/

use crate::checkpoint::WeightsFile;
use crate::checkpoint::architecture::{NGRAM_BIAS, NGRAM_HASHES, NGRAM_WEIGHTS};
use crate::error::Result;
use crate::text::features::{groups, ngram_hash};
use crate::text::preprocessing::Preprocessing;

/// A linear classifier of n-grams of words and other features, which are identified by their hashes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinearClassifier {
    /// Hashes of the n-grams that have weights, sorted.
    pub hashes: Vec<u32>,
    /// Weights, `[hashes, labels]`.
    pub weights: Vec<f32>,
    /// Bias of each label.
    pub bias: Vec<f32>,
    /// How texts are read, which decides what features they have.
    pub preprocessing: Preprocessing,
}

impl LinearClassifier {
    /// Opens the linear classifier of a checkpoint whose texts are read in this way.
    ///
    /// # Errors
    /// A file that has none, or is damaged.
    pub fn load(weights: &WeightsFile, preprocessing: Preprocessing) -> Result<Self> {
        Ok(LinearClassifier {
            hashes: weights.integers(NGRAM_HASHES)?,
            weights: weights.floats(NGRAM_WEIGHTS)?.into_owned(),
            bias: weights.floats(NGRAM_BIAS)?.into_owned(),
            preprocessing,
        })
    }

    /// Logits of a text, given by its words.
    pub fn logits(&self, words: &[String]) -> Vec<f64> {
        let mut logits: Vec<f64> = self.bias.iter().map(|&bias| f64::from(bias)).collect();
        for group in groups(words, self.preprocessing) {
            let scale = scale(group.len());
            for row in group.iter().filter_map(|&hash| self.find(hash)) {
                let weights = &self.weights[row * logits.len()..];
                for (logit, &weight) in logits.iter_mut().zip(weights) {
                    *logit += scale * f64::from(weight);
                }
            }
        }
        logits
    }

    /// Fraction of a text's words that have no weight; 1 if there are no words.
    pub fn unknown(&self, words: &[String]) -> f64 {
        let known = |word: &&String| self.find(ngram_hash(std::slice::from_ref(*word))).is_some();
        let count = words.iter().filter(known).count();
        1.0 - count as f64 / words.len().max(1) as f64
    }

    /// Row of a hash, by interpolation search: hashes are uniformly distributed.
    fn find(&self, hash: u32) -> Option<usize> {
        let count = self.hashes.len();
        let near = ((u64::from(hash) * count as u64) >> 32) as usize;
        let mut reach = 64;
        loop {
            let (first, last) = (near.saturating_sub(reach), count.min(near + reach));
            let part = &self.hashes[first..last];
            let below = part.first().is_none_or(|&lowest| lowest <= hash) || first == 0;
            let above = part.last().is_none_or(|&highest| highest >= hash) || last == count;
            if below && above {
                return part.binary_search(&hash).ok().map(|row| first + row);
            }
            reach *= 4;
        }
    }
}

/// Value of each feature of a group of this number: 1/√features, so that long texts do not get larger logits.
pub fn scale(features: usize) -> f64 {
    1.0 / (features as f64).sqrt().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::features::words;

    #[test]
    fn exactly_the_stored_hashes_are_found() {
        let random = (0..5000u32).map(|i| i.wrapping_mul(2_654_435_761));
        let crowded = (0..500u32).map(|i| 7 + 3 * i);
        let mut all: Vec<u32> = random.chain(crowded).chain([0, u32::MAX]).collect();
        all.sort_unstable();
        all.dedup();
        for hashes in [all, vec![5], vec![]] {
            let linear = LinearClassifier {
                hashes: hashes.clone(),
                ..LinearClassifier::default()
            };
            for (row, &hash) in hashes.iter().enumerate() {
                assert_eq!(linear.find(hash), Some(row));
            }
            for hash in (0..20_000).map(|i: u32| i.wrapping_mul(214_013)) {
                assert_eq!(linear.find(hash), hashes.binary_search(&hash).ok());
            }
        }
    }

    #[test]
    fn logits_sum_the_weights_of_known_ngrams() {
        let good = ngram_hash(&words("good"));
        let linear = LinearClassifier {
            hashes: vec![good],
            weights: vec![-2.0, 4.0],
            bias: vec![0.5, 0.0],
            ..LinearClassifier::default()
        };
        // Five n-grams: so, so good, so good so, good, good so; "so" counts once.
        let logits = linear.logits(&words("so good so"));
        assert_eq!(linear.unknown(&words("so good so bad")), 0.75);
        assert_eq!(linear.unknown(&[]), 1.0);
        let scale = 1.0 / 5.0f64.sqrt();
        assert!((logits[0] - (0.5 - 2.0 * scale)).abs() < 1e-6);
        assert!((logits[1] - 4.0 * scale).abs() < 1e-6);
    }
}

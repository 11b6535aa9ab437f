/*!
Weights of words, pairs and triples of words: the linear half of a classifier, as Wang and Manning (2012) have it.
*/

use crate::checkpoint::config::{NGRAM_BIAS, NGRAM_NUMBERS, NGRAM_WEIGHTS};
use crate::checkpoint::directory::Weights;
use crate::error::Result;
use crate::text::features::{LONGEST, number, numbers};

/// The runs of words that have weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ngrams {
    /// Their numbers, ordered.
    pub numbers: Vec<u32>,
    /// Their weights, `[numbers, labels]`.
    pub weights: Vec<f32>,
    /// What the sums begin with, a number for each label.
    pub bias: Vec<f32>,
}

impl Ngrams {
    /// Those of a classifier's checkpoint.
    ///
    /// # Errors
    /// A file that lacks them, or is damaged.
    pub fn load(weights: &Weights) -> Result<Self> {
        Ok(Ngrams {
            numbers: weights.integers(NGRAM_NUMBERS)?,
            weights: weights.floats(NGRAM_WEIGHTS)?.into_owned(),
            bias: weights.floats(NGRAM_BIAS)?.into_owned(),
        })
    }

    /// The logits of a text.
    pub fn logits(&self, words: &[String]) -> Vec<f64> {
        let found = numbers(words, LONGEST);
        let scale = scale(found.len());
        let mut logits: Vec<f64> = self.bias.iter().map(|&bias| f64::from(bias)).collect();
        for number in found {
            if let Some(place) = self.find(number) {
                let weights = &self.weights[place * logits.len()..];
                for (logit, &weight) in logits.iter_mut().zip(weights) {
                    *logit += scale * f64::from(weight);
                }
            }
        }
        logits
    }

    /// The share of a text's words that have no weight; all of none.
    pub fn unknown(&self, words: &[String]) -> f64 {
        let known = |word: &&String| self.find(number(std::slice::from_ref(*word))).is_some();
        let count = words.iter().filter(known).count();
        1.0 - count as f64 / words.len().max(1) as f64
    }

    /// Where a number stands. The numbers are as good as random, so that it can be told about where to look.
    fn find(&self, number: u32) -> Option<usize> {
        let count = self.numbers.len();
        let near = ((u64::from(number) * count as u64) >> 32) as usize;
        let mut reach = 64;
        loop {
            let (first, last) = (near.saturating_sub(reach), count.min(near + reach));
            let part = &self.numbers[first..last];
            let below = part.first().is_none_or(|&least| least <= number) || first == 0;
            let above = part.last().is_none_or(|&most| most >= number) || last == count;
            if below && above {
                return part.binary_search(&number).ok().map(|place| first + place);
            }
            reach *= 4;
        }
    }
}

/// What each of a text's runs counts: less in a text of many, so that long texts are not judged more surely.
pub fn scale(runs: usize) -> f64 {
    1.0 / (runs as f64).sqrt().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::features::words;

    #[test]
    fn every_number_is_found_and_no_other() {
        let random = (0..5000u32).map(|i| i.wrapping_mul(2_654_435_761));
        let crowded = (0..500u32).map(|i| 7 + 3 * i);
        let mut all: Vec<u32> = random.chain(crowded).chain([0, u32::MAX]).collect();
        all.sort_unstable();
        all.dedup();
        for numbers in [all, vec![5], vec![]] {
            let ngrams = Ngrams {
                numbers: numbers.clone(),
                ..Ngrams::default()
            };
            for (place, &number) in numbers.iter().enumerate() {
                assert_eq!(ngrams.find(number), Some(place));
            }
            for number in (0..20_000).map(|i: u32| i.wrapping_mul(214_013)) {
                assert_eq!(ngrams.find(number), numbers.binary_search(&number).ok());
            }
        }
    }

    #[test]
    fn logits_are_the_sums_of_what_is_known() {
        let good = crate::text::features::number(&words("good"));
        let ngrams = Ngrams {
            numbers: vec![good],
            weights: vec![-2.0, 4.0],
            bias: vec![0.5, 0.0],
        };
        // Six runs: so, so good, so good so, good, good so, so (once).
        let logits = ngrams.logits(&words("so good so"));
        assert_eq!(ngrams.unknown(&words("so good so bad")), 0.75);
        assert_eq!(ngrams.unknown(&[]), 1.0);
        let scale = 1.0 / 5.0f64.sqrt();
        assert!((logits[0] - (0.5 - 2.0 * scale)).abs() < 1e-6);
        assert!((logits[1] - 4.0 * scale).abs() < 1e-6);
    }
}

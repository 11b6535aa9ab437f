/*!
What a translator has to beat: the translation of the training sentence that is nearest to the source. (The other one, the
source itself, needs no model.)
*/

use rustc_hash::FxHashMap;

use crate::data::pairs::Pair;

/// The training sentences by their words.
///
/// Nearness is the cosine of the sentences' vectors of words, each weighted by the logarithm of the inverse of the fraction of
/// sentences that have it (Spärck Jones 1972).
pub struct NearestSentence<'p> {
    pairs: &'p [Pair],
    /// For each word, its weight and the sentences that have it.
    words: FxHashMap<String, (f32, Vec<u32>)>,
    /// The lengths of the sentences' vectors.
    lengths: Vec<f32>,
}

impl<'p> NearestSentence<'p> {
    /// Learns the sources of pairs.
    pub fn learn(pairs: &'p [Pair]) -> Self {
        let mut words: FxHashMap<String, (f32, Vec<u32>)> = FxHashMap::default();
        for (index, pair) in (0..).zip(pairs) {
            for word in words_of(&pair.source) {
                words.entry(word).or_default().1.push(index);
            }
        }
        let mut lengths = vec![0.0; pairs.len()];
        // In a fixed order, as sums depend on it.
        let mut all: Vec<_> = words.iter_mut().collect();
        all.sort_by(|one, other| one.0.cmp(other.0));
        for (_, (weight, sentences)) in all {
            *weight = (1.0 + pairs.len() as f32 / sentences.len() as f32).ln();
            for &sentence in &*sentences {
                lengths[sentence as usize] += *weight * *weight;
            }
        }
        lengths
            .iter_mut()
            .for_each(|length| *length = length.sqrt());
        NearestSentence {
            pairs,
            words,
            lengths,
        }
    }

    /// The translation of the nearest sentence, the first of equals; empty if no training sentence has a word of the source.
    pub fn translate(&self, source: &str) -> &'p str {
        let mut products: FxHashMap<u32, f32> = FxHashMap::default();
        for word in words_of(source) {
            if let Some((weight, sentences)) = self.words.get(&word) {
                for &sentence in sentences {
                    *products.entry(sentence).or_default() += weight * weight;
                }
            }
        }
        let cosine = |(sentence, product): (u32, f32)| {
            (
                product / self.lengths[sentence as usize],
                std::cmp::Reverse(sentence),
            )
        };
        let nearest = (products.into_iter().map(cosine))
            .max_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        match nearest {
            Some((_, std::cmp::Reverse(sentence))) => &self.pairs[sentence as usize].target,
            None => "",
        }
    }
}

/// The words of a sentence in lower case, each once, sorted.
fn words_of(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let mut words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_sentence_shares_the_rarest_words() {
        let pairs: Vec<Pair> = [
            ("the cat sleeps", "le chat dort"),
            ("the dog sleeps", "le chien dort"),
            ("the dog eats the bread", "le chien mange le pain"),
        ]
        .map(|(source, target)| Pair {
            source: source.to_string(),
            target: target.to_string(),
        })
        .to_vec();
        let nearest = NearestSentence::learn(&pairs);
        assert_eq!(nearest.translate("The cat!"), "le chat dort");
        // Of two sentences with the word, that with the commoner other words.
        assert_eq!(nearest.translate("sleeps"), "le chien dort");
        assert_eq!(
            nearest.translate("bread for the dog"),
            "le chien mange le pain"
        );
        assert_eq!(nearest.translate("Zug"), "");
    }
}

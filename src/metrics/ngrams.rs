/*!
Counts of the n-grams that a translation shares with its reference, for BLEU and chrF.
*/

use std::hash::Hash;
use std::ops::AddAssign;

use rustc_hash::FxHashMap;

/// Numbers of n-grams of one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Matches {
    /// Those of the translation.
    pub hypothesis: u64,
    /// Those of the reference.
    pub reference: u64,
    /// Those of the translation that the reference has as well, each at most as often as there.
    pub common: u64,
}

impl AddAssign for Matches {
    fn add_assign(&mut self, other: Self) {
        self.hypothesis += other.hypothesis;
        self.reference += other.reference;
        self.common += other.common;
    }
}

/// The n-grams of `order` units, which are words or characters.
pub(super) fn matches<T: Hash + Eq>(hypothesis: &[T], reference: &[T], order: usize) -> Matches {
    let mut left: FxHashMap<&[T], u64> = FxHashMap::default();
    for ngram in reference.windows(order) {
        *left.entry(ngram).or_default() += 1;
    }
    let mut common = 0;
    for ngram in hypothesis.windows(order) {
        if let Some(count) = left.get_mut(ngram)
            && *count > 0
        {
            *count -= 1;
            common += 1;
        }
    }
    Matches {
        hypothesis: hypothesis.windows(order).len() as u64,
        reference: reference.windows(order).len() as u64,
        common,
    }
}

/// White space as Python's `str.split` knows it, which sacreBLEU divides text by.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ngram_matches_at_most_as_often_as_the_reference_has_it() {
        let found = matches(b"aaaa", b"aabaa", 2);
        let expected = Matches {
            hypothesis: 3,
            reference: 4,
            common: 2,
        };
        assert_eq!(found, expected);
        assert_eq!(matches(b"a", b"a", 2), Matches::default());
    }
}

/*!
A pair of sentences, and many of them.
*/

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::data::labelled::Format;

/// A sentence and its translation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    /// What is read.
    pub source: String,
    /// What is to be written.
    pub target: String,
}

/// Options of reading pairs from tables and JSON Lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairOptions {
    /// The layout; `None`: guessed from the file's name and beginning.
    pub format: Option<Format>,
    /// Name or number of the column, or the key, of the sources; `None`: guessed.
    pub source_column: Option<String>,
    /// Name or number of the column, or the key, of the targets; `None`: guessed.
    pub target_column: Option<String>,
    /// Whether invalid bytes are replaced instead of refused.
    #[serde(default)]
    pub lossy: bool,
}

/// Pairs with the numbers of their rows or lines, and notes for the user.
pub(super) type NumberedPairs = (Vec<(u64, Pair)>, Vec<String>);

/// Divides pairs into those to learn from and those that validate, about a `fraction` of them. The source alone decides, so
/// that all translations of a sentence are on one side, whatever the order.
pub fn divide(pairs: Vec<Pair>, fraction: f64) -> (Vec<Pair>, Vec<Pair>) {
    let place = |source: &str| {
        let hash = blake3::hash(source.as_bytes());
        let (first, _) = hash.as_bytes().split_first_chunk::<8>().expect("32 bytes");
        u64::from_le_bytes(*first)
    };
    // Those that come first in the order of hashes, so that of few sentences about the fraction is taken, too.
    let sources: BTreeSet<(u64, &str)> = (pairs.iter())
        .map(|pair| (place(&pair.source), &pair.source[..]))
        .collect();
    let count = (sources.len() as f64 * fraction).round() as usize;
    let limit = sources.iter().nth(count).map(|(place, _)| *place);
    let validates = |pair: &Pair| limit.is_none_or(|limit| place(&pair.source) < limit);
    let (valid, train) = pairs.into_iter().partition(validates);
    (train, valid)
}

/// Hash of pairs: of all sentences in their order, with their lengths.
pub fn hash<'p>(pairs: impl IntoIterator<Item = &'p Pair>) -> String {
    let mut hasher = blake3::Hasher::new();
    for pair in pairs {
        for side in [&pair.source, &pair.target] {
            hasher.update(&(side.len() as u64).to_le_bytes());
            hasher.update(side.as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(source: &str, target: &str) -> Pair {
        Pair {
            source: source.to_string(),
            target: target.to_string(),
        }
    }

    #[test]
    fn a_sentence_is_on_one_side_with_all_its_translations() {
        let pairs: Vec<Pair> = (0..100)
            .flat_map(|number| (0..3).map(move |version| (number, version)))
            .map(|(number, version)| pair(&format!("s{number}"), &format!("t{number}.{version}")))
            .collect();
        let (train, valid) = divide(pairs.clone(), 0.1);
        assert_eq!((train.len(), valid.len()), (270, 30));
        let apart = |pair: &Pair| valid.iter().all(|other| other.source != pair.source);
        assert!(train.iter().all(apart));
        let backwards: Vec<Pair> = pairs.into_iter().rev().collect();
        let (_, mut again) = divide(backwards, 0.1);
        again.reverse();
        assert_eq!(again, valid);
    }

    #[test]
    fn a_hash_knows_sides_apart() {
        assert_ne!(hash(&[pair("ab", "c")]), hash(&[pair("a", "bc")]));
    }
}

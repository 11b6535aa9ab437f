/*!
Cost of spelling a word that is not in the vocabulary, so that models of different levels can be compared.

Each character has its relative frequency in the training text as probability, and each word ends with an end mark, which
is as frequent as tokens. All characters that do not occur in the training text share a count of one.
*/

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Number of Unicode code points.
const CODE_POINTS: f64 = 0x11_0000 as f64;

/// Character counts of a training text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spelling {
    /// Number of occurrences of each character.
    pub characters: BTreeMap<char, u64>,
    /// Number of tokens of the text, and so of end marks.
    pub tokens: u64,
}

impl Spelling {
    /// Cost of the characters of `word` and of its end mark, in nats.
    pub fn nats(&self, word: &str) -> f64 {
        let total = (self.characters.values().sum::<u64>() + self.tokens.max(1) + 1) as f64;
        let characters = word.chars().map(|c| match self.characters.get(&c) {
            Some(&count) => (total / count as f64).ln(),
            None => (total * CODE_POINTS).ln(),
        });
        characters.sum::<f64>() + (total / self.tokens.max(1) as f64).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_costs_follow_character_frequencies() {
        let spelling = Spelling {
            characters: [('a', 4), ('b', 1)].into(),
            tokens: 2,
        };
        let expected = -((4.0f64 / 8.0) * (1.0 / 8.0) * (2.0 / 8.0)).ln();
        assert!((spelling.nats("ab") - expected).abs() < 1e-12);
        let unseen = -((1.0f64 / 8.0 / CODE_POINTS) * (2.0 / 8.0)).ln();
        assert!((spelling.nats("世") - unseen).abs() < 1e-9);
    }
}

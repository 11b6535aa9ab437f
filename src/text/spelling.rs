/*!
What it costs to spell a word that is not in the vocabulary, so that models of different levels compare.

The letters are drawn from the training text's character frequencies, and an end mark, as frequent as tokens are,
closes the word. A character that the training text has not gets one count in all, shared by all of Unicode.
*/

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Unicode's code points.
const CODE_POINTS: f64 = 0x11_0000 as f64;

/// Character counts of a training text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spelling {
    /// How often each character occurs.
    pub characters: BTreeMap<char, u64>,
    /// How many tokens the text has: as many end marks.
    pub tokens: u64,
}

impl Spelling {
    /// The nats it takes to spell `word`, and to say that it ends.
    pub fn nats(&self, word: &str) -> f64 {
        let total = (self.characters.values().sum::<u64>() + self.tokens.max(1) + 1) as f64;
        let letters = word.chars().map(|c| match self.characters.get(&c) {
            Some(&count) => (total / count as f64).ln(),
            None => (total * CODE_POINTS).ln(),
        });
        letters.sum::<f64>() + (total / self.tokens.max(1) as f64).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_follows_the_frequencies() {
        let spelling = Spelling {
            characters: [('a', 4), ('b', 1)].into(),
            tokens: 2,
        };
        let expected = -((4.0f64 / 8.0) * (1.0 / 8.0) * (2.0 / 8.0)).ln();
        assert!((spelling.nats("ab") - expected).abs() < 1e-12);
        let stranger = -((1.0f64 / 8.0 / CODE_POINTS) * (2.0 / 8.0)).ln();
        assert!((spelling.nats("世") - stranger).abs() < 1e-9);
    }
}

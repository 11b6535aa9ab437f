/*!
Loss, perplexity and bits of language models.
*/

use std::f64::consts::LN_2;

use serde::{Deserialize, Serialize};

/// Size of a text in tokens, characters and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextSize {
    /// Number of tokens that a model predicts.
    pub tokens: u64,
    /// Number of Unicode characters; for a byte-level model, of bytes.
    pub characters: u64,
    /// Number of bytes of the text in UTF-8.
    pub bytes: u64,
}

/// How well a model predicts a text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageScore {
    /// Mean negative log likelihood of a token, in nats; an unknown word counts as one token.
    pub loss: f64,
    /// exp(loss).
    pub perplexity: f64,
    /// Bits per character, the spelling of unknown words included.
    pub bits_per_character: f64,
    /// Bits per byte of UTF-8, the spelling of unknown words included.
    pub bits_per_byte: f64,
}

impl LanguageScore {
    /// Score of a text of this size whose tokens cost `nats`, and the spelling of its unknown words `spelling_nats`.
    pub fn new(nats: f64, spelling_nats: f64, size: &TextSize) -> Self {
        let loss = nats / size.tokens as f64;
        let bits = (nats + spelling_nats) / LN_2;
        LanguageScore {
            loss,
            perplexity: loss.exp(),
            bits_per_character: bits / size.characters as f64,
            bits_per_byte: bits / size.bytes as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_per_token_is_perplexity_two() {
        let size = TextSize {
            tokens: 10,
            characters: 10,
            bytes: 20,
        };
        let score = LanguageScore::new(10.0 * LN_2, 0.0, &size);
        assert!((score.perplexity - 2.0).abs() < 1e-12);
        assert!((score.bits_per_character - 1.0).abs() < 1e-12);
        assert!((score.bits_per_byte - 0.5).abs() < 1e-12);
    }

    #[test]
    fn spelling_costs_bits_but_not_perplexity() {
        let size = TextSize {
            tokens: 4,
            characters: 16,
            bytes: 16,
        };
        let score = LanguageScore::new(4.0, 16.0 * LN_2, &size);
        assert!((score.loss - 1.0).abs() < 1e-12);
        assert!((score.bits_per_character - (4.0 / LN_2 / 16.0 + 1.0)).abs() < 1e-12);
    }
}

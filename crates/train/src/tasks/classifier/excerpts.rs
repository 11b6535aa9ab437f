/*!
Excerpts: a few sentences of a long document, learnt with the label of the whole. Most of them say the same as the document,
and so what is learnt from long documents tells short ones too.
*/

use std::ops::Range;

use rand::Rng;

use carousel::text::Level;
use carousel::text::tokenizer::Tokenizer;

/// Tokens from which on a document is long.
const LONG: usize = 128;
/// Excerpts of a long document in each pass, besides the whole.
const EXCERPTS: usize = 2;
/// Tokens of an excerpt, at least and at most; sentences at its ends are left whole where they are no longer than it.
const LENGTHS: Range<f64> = 8.0..(LONG / 2) as f64;
/// Tokens of an excerpt in the mean.
pub const TYPICAL_TOKENS: usize = 40;
/// How likely it is that the label of the whole says nothing about an excerpt.
pub const LABEL_NOISE: f32 = 0.4;
/// What sentences end with.
const ENDS: [&[u8]; 3] = [b".", b"!", b"?"];

/// What excerpts are drawn by.
pub struct Excerpts {
    /// Whether a sentence may end with a token.
    ends: Vec<bool>,
    /// Whether tokens are words, or about as long. A few dozen characters say nothing.
    words: bool,
}

impl Excerpts {
    /// For documents that were cut into tokens so.
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let ends = |id| {
            let piece = tokenizer.piece(id).trim_ascii();
            ENDS.iter().any(|end| piece.ends_with(end))
        };
        Excerpts {
            ends: (0..tokenizer.vocab_size() as u32).map(ends).collect(),
            words: matches!(tokenizer.level(), Level::Word | Level::Subword),
        }
    }

    /// How many are drawn of a document in a pass.
    pub fn count(&self, document: &[u32]) -> usize {
        match document.len() {
            LONG.. if self.words => EXCERPTS,
            _ => 0,
        }
    }

    /// Where an excerpt of a long document lies; never at its first token, which stands before the text.
    pub fn draw(&self, document: &[u32], random: &mut impl Rng) -> Range<usize> {
        // Short ones are as likely as long ones.
        let length = random.random_range(LENGTHS.start.ln()..LENGTHS.end.ln());
        let length = length.exp() as usize;
        // The first and the last sentence are as likely as any other.
        let latest = document.len() - LENGTHS.start as usize;
        let first = random.random_range(2..=document.len());
        let first = first.saturating_sub(length).max(1);
        let begins = |&place: &usize| place == 1 || self.ends[document[place - 1] as usize];
        let mut near = first..=latest.min(first + length);
        let start = near.find(begins).unwrap_or(first);
        let least = document.len().min(start + length);
        let most = document.len().min(least + length);
        let ends = |&place: &usize| place == document.len() || begins(&place);
        let end = (least..=most).find(ends).unwrap_or(least);
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn excerpts_lie_within_the_document_and_begin_with_sentences() {
        let tokenizer = Tokenizer::characters(&['\n', '.', 'a', 'b', '!']);
        let excerpts = Excerpts::new(&tokenizer);
        let text = "\n".to_string() + &"aab.abbb!".repeat(20);
        let tokens = tokenizer.encode_reference(&text);
        let plain = vec![tokenizer.encode_reference("a")[0]; LONG];
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut ranges = Vec::new();
        for _ in 0..1000 {
            let range = excerpts.draw(&tokens, &mut random);
            assert!(range.start >= 1 && range.end <= tokens.len());
            let drawn = &text[range.clone()];
            assert!(
                drawn.starts_with("aab") || drawn.starts_with("abbb"),
                "{drawn}"
            );
            assert!(drawn.ends_with(['.', '!']), "{drawn}");
            ranges.push(range);
            // Without sentences, anything; as short as documents that are long can be.
            let range = excerpts.draw(&plain, &mut random);
            assert!(range.start >= 1 && range.end <= plain.len());
            assert!(range.len() >= LENGTHS.start as usize);
        }
        let mean = ranges.iter().map(Range::len).sum::<usize>() / ranges.len();
        assert!(
            (TYPICAL_TOKENS - 12..TYPICAL_TOKENS + 12).contains(&mean),
            "{mean}"
        );
        assert!(ranges.iter().any(|range| range.start == 1));
        assert!(ranges.iter().any(|range| range.end == tokens.len()));
        // Characters are too small for any of this.
        assert_eq!(excerpts.count(&tokens), 0);
    }
}

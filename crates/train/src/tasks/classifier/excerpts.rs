/*!
Excerpts of long documents: a few sentences, trained with the label of the whole document. Most excerpts have the same label
as the whole, so that a classifier of long documents also learns to classify short texts.
*/

use std::ops::Range;

use rand::Rng;

use carousel::text::Level;
use carousel::text::tokenizer::Tokenizer;

/// Number of tokens from which on a document is long.
const LONG_DOCUMENT: usize = 128;
/// Number of excerpts of a long document in each pass, besides the whole.
const EXCERPTS: usize = 2;
/// Bounds of an excerpt's number of tokens, before it is extended to the ends of sentences.
const LENGTHS: Range<f64> = 8.0..(LONG_DOCUMENT / 2) as f64;
/// Typical number of tokens of an excerpt.
pub const TYPICAL_TOKENS: usize = 40;
/// Probability that the document's label does not apply to an excerpt.
pub const LABEL_NOISE: f32 = 0.4;
/// Punctuation that ends a sentence.
const SENTENCE_ENDS: [&[u8]; 3] = [b".", b"!", b"?"];

/// Draws excerpts of documents of one tokenizer.
pub struct Excerpts {
    /// Whether a token ends a sentence, for each token id.
    ends_sentence: Vec<bool>,
    /// Whether tokens are words or subwords. Excerpts of a few dozen characters or bytes would be too short.
    has_words: bool,
}

impl Excerpts {
    /// Excerpts of documents that were encoded by `tokenizer`.
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let ends_sentence = |id| {
            let piece = tokenizer.piece(id).trim_ascii();
            SENTENCE_ENDS.iter().any(|end| piece.ends_with(end))
        };
        let ids = 0..tokenizer.vocab_size() as u32;
        Excerpts {
            ends_sentence: ids.map(ends_sentence).collect(),
            has_words: matches!(tokenizer.level(), Level::Word | Level::Subword),
        }
    }

    /// Number of excerpts of a document in each pass.
    pub fn count(&self, document: &[u32]) -> usize {
        match document.len() {
            LONG_DOCUMENT.. if self.has_words => EXCERPTS,
            _ => 0,
        }
    }

    /// Draws the range of an excerpt of a long document. The end-of-line token before the text is never part of it.
    pub fn draw(&self, document: &[u32], random: &mut impl Rng) -> Range<usize> {
        // Log-uniform, so that short excerpts are as frequent as long ones.
        let length = random.random_range(LENGTHS.start.ln()..LENGTHS.end.ln());
        let length = length.exp() as usize;
        // A start that lies before the document is moved to its beginning, so that the first and the last sentence are drawn
        // as often as any other.
        let latest = document.len() - LENGTHS.start as usize;
        let first = random.random_range(2..=document.len());
        let first = first.saturating_sub(length).max(1);
        let begins_sentence = |&position: &usize| {
            position == 1 || self.ends_sentence[document[position - 1] as usize]
        };
        let mut starts = first..=latest.min(first + length);
        let start = starts.find(begins_sentence).unwrap_or(first);
        let earliest_end = document.len().min(start + length);
        let latest_end = document.len().min(earliest_end + length);
        let is_end = |&position: &usize| position == document.len() || begins_sentence(&position);
        let end = (earliest_end..=latest_end)
            .find(is_end)
            .unwrap_or(earliest_end);
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn excerpts_lie_within_the_document_and_consist_of_sentences() {
        let tokenizer = Tokenizer::characters(&['\n', '.', 'a', 'b', '!']);
        let excerpts = Excerpts::new(&tokenizer);
        let text = "\n".to_string() + &"aab.abbb!".repeat(20);
        let tokens = tokenizer.encode_reference(&text);
        let without_sentences = vec![tokenizer.encode_reference("a")[0]; LONG_DOCUMENT];
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
            // Without ends of sentences an excerpt may begin and end anywhere.
            let range = excerpts.draw(&without_sentences, &mut random);
            assert!(range.start >= 1 && range.end <= without_sentences.len());
            assert!(range.len() >= LENGTHS.start as usize);
        }
        let mean = ranges.iter().map(Range::len).sum::<usize>() / ranges.len();
        assert!(
            (TYPICAL_TOKENS - 12..TYPICAL_TOKENS + 12).contains(&mean),
            "{mean}"
        );
        assert!(ranges.iter().any(|range| range.start == 1));
        assert!(ranges.iter().any(|range| range.end == tokens.len()));
        // No excerpts are drawn of characters.
        assert_eq!(excerpts.count(&tokens), 0);
    }
}

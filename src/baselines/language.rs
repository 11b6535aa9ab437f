/*!
Baselines of a language model: uniform and unigram probabilities, and n-grams.
*/

use super::kneser_ney::KneserNey;
use super::ngram_trie::NgramShape;
use crate::checkpoint::config::MOST_NGRAM_TOKENS;
use crate::checkpoint::record::Baseline;
use crate::error::{Error, Result};
use crate::files;
use crate::metrics::{LanguageScore, TextSize};
use crate::text::corpus::Ids;
use crate::text::tokenizer::Tokenizer;
use crate::text::{Level, Split};

/// Most tokens of an n-gram of words or subwords.
const MOST_WORDS: usize = 5;
/// Bytes of an n-gram while it is counted and saved.
const NGRAM_BYTES: u64 = 44;
/// Bytes of a position of the text while n-grams are counted.
const POSITION_BYTES: u64 = 16;

/// A text that models are scored on.
pub struct ScoredIds<'a> {
    /// Its token ids.
    pub ids: &'a Ids,
    /// Its size.
    pub size: &'a TextSize,
    /// Cost of spelling its unknown words, in nats.
    pub spelling_nats: f64,
}

impl ScoredIds<'_> {
    /// The score of a model for which its tokens cost `nats`.
    pub fn score(&self, nats: f64) -> LanguageScore {
        LanguageScore::new(nats, self.spelling_nats, self.size)
    }

    /// The baselines that need no more than counts of tokens: every token equally likely, and every token as likely as it is
    /// frequent in the training data, with add-one smoothing. The second is left out where no counts are known.
    pub fn frequency_baselines(&self, token_counts: &[u64]) -> Vec<Baseline> {
        let vocab_size = token_counts.len() as f64;
        let total = token_counts.iter().sum::<u64>() as f64 + vocab_size;
        let costs: Vec<f64> = token_counts
            .iter()
            .map(|&count| (total / (count as f64 + 1.0)).ln())
            .collect();
        let unigram = self.ids.read(0..self.ids.len());
        let unigram: f64 = unigram.map(|id| costs[id as usize]).sum();
        let uniform = self.ids.len() as f64 * vocab_size.ln();
        let counted = token_counts.iter().any(|&count| count > 0);
        let unigram = counted.then(|| Baseline::new("unigram", self.score(unigram)));
        let uniform = Baseline::new("uniform", self.score(uniform));
        [uniform].into_iter().chain(unigram).collect()
    }

    /// N-grams of the default order for the level, learnt from `train`.
    ///
    /// # Errors
    /// If they need more memory than there is.
    pub fn ngram_baseline(&self, tokenizer: &Tokenizer, train: &Ids) -> Result<Baseline> {
        let shape = NgramShape::of(tokenizer, default_order(tokenizer.level()))?;
        shape.check_memory(train)?;
        let nats = KneserNey::learn(shape, train, 1).nats(self.ids, |_| ());
        let name = format!("ngram-{}", shape.order);
        Ok(Baseline::new(name, self.score(nats)))
    }
}

/// The order that is taken where none is given.
pub fn default_order(level: Level) -> usize {
    match level {
        Level::Character | Level::Byte => 6,
        Level::Word => 5,
        Level::Subword => 4,
    }
}

/// Checks an order that was given for a level.
///
/// # Errors
/// If it is zero, or too high for the level.
pub fn check_order(order: usize, level: Level) -> Result<()> {
    let (most, tokens) = match level {
        Level::Character => (MOST_NGRAM_TOKENS, "characters"),
        Level::Byte => (MOST_NGRAM_TOKENS, "bytes"),
        Level::Word => (MOST_WORDS, "words"),
        Level::Subword => (MOST_WORDS, "subwords"),
    };
    match (1..=most).contains(&order) {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "--order {order} is not possible: n-grams of {tokens} have an order between 1 and {most}"
        ))),
    }
}

impl NgramShape {
    /// N-grams of a tokenizer's tokens. Where words are split at white space, as in a corpus of one sentence a line, they do
    /// not reach across a line end. Elsewhere they do: in books a line end says little, and n-grams that stop there predict
    /// words worse, in a novel with a perplexity of 158 instead of 148.
    ///
    /// # Errors
    /// If n-grams of this order are too long for so large a vocabulary.
    pub fn of(tokenizer: &Tokenizer, order: usize) -> Result<Self> {
        let line_end = tokenizer.line_end();
        let shape = NgramShape {
            order,
            vocab_size: tokenizer.vocab_size(),
            line_end,
            by_line: tokenizer.split() == Split::Whitespace && tokenizer.piece(line_end) == b"\n",
        };
        match shape.most_tokens() {
            most if order > most => Err(Error::usage(format!(
                "--order {order} is too high for a vocabulary of {} tokens: give {most} or less, or a smaller --vocab-size",
                shape.vocab_size
            ))),
            _ => Ok(shape),
        }
    }

    /// About how many bytes of memory it takes to count the n-grams of a text, at each order up to this one.
    pub fn memory(&self, ids: &Ids) -> Vec<u64> {
        let mut ngrams = 0;
        let memory = self.estimate(ids).into_iter().map(|more| {
            ngrams += more;
            NGRAM_BYTES * ngrams + POSITION_BYTES * ids.len() as u64
        });
        memory.collect()
    }

    /// Checks that there is memory to count the n-grams of a text; returns about how many bytes it takes.
    ///
    /// # Errors
    /// If there is not, with the highest order that there is memory for.
    pub fn check_memory(&self, ids: &Ids) -> Result<u64> {
        let available = files::available_memory().unwrap_or(u64::MAX);
        self.fits(&self.memory(ids), available, ids.len())
    }

    /// The last of `memory`, the bytes that each order takes, if it is available.
    fn fits(&self, memory: &[u64], available: u64, tokens: usize) -> Result<u64> {
        let needed = memory.last().copied().unwrap_or_default();
        if needed <= available {
            return Ok(needed);
        }
        let advice = match memory.partition_point(|&memory| memory <= available) {
            0 => "give less text".to_string(),
            order => format!("give --order {order} or less, or less text"),
        };
        Err(Error::new(format!(
            "n-grams up to order {} of {tokens} tokens need about {} MB of memory, and {} MB are available; {advice}",
            self.order,
            needed.div_ceil(1_000_000),
            available / 1_000_000
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_for_which_there_is_no_memory_are_refused() {
        let shape = NgramShape {
            order: 3,
            vocab_size: 100,
            line_end: 0,
            by_line: false,
        };
        let memory = [1_000_000, 50_000_000, 900_000_000];
        assert_eq!(shape.fits(&memory, 900_000_000, 7).unwrap(), 900_000_000);
        let message = |available| shape.fits(&memory, available, 7).unwrap_err().to_string();
        assert_eq!(
            message(60_000_000),
            "n-grams up to order 3 of 7 tokens need about 900 MB of memory, and 60 MB are available; give --order 2 or less, or \
             less text"
        );
        assert!(message(0).ends_with("give less text"));
    }

    #[test]
    fn large_vocabularies_allow_fewer_characters() {
        let characters: Vec<char> = ('\u{4E00}'..'\u{8E00}').chain(['\n']).collect();
        let tokenizer = Tokenizer::characters(&characters);
        // 16,386 tokens take 15 bits each, of 128.
        assert!(NgramShape::of(&tokenizer, 8).is_ok());
        let message = NgramShape::of(&tokenizer, 9).unwrap_err().to_string();
        assert!(message.contains("give 8 or less"), "{message}");
    }
}

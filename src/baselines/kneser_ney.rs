/*!
N-grams with interpolated modified Kneser–Ney smoothing (Chen and Goodman 1998).

The probability of a token after a context is its count there, less a discount, as a fraction of all counts there; what the
discounts leave is spread as the context without its first token predicts, at last evenly over the vocabulary. Shorter
n-grams count by how many different tokens precede them. Each order has three discounts, for counts of one, two, and three
or more. Nothing is pruned.
*/

use carousel_kernels::ThreadPool;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::ngram_trie::{Level, NgramShape, NgramTrie};
use crate::checkpoint::WeightsFile;
use crate::checkpoint::architecture::{NGRAM_LEVEL_TENSORS, Ngrams, ngram_tensor};
use crate::checkpoint::config::MOST_NGRAM_TOKENS;
use crate::error::{Error, Result};
use crate::text::corpus::Ids;

/// Discounts of an order whose counts of counts give none, as in a text of a few words.
const FALLBACK: [f64; 3] = [0.5, 1.0, 1.5];

/// An n-gram model.
pub struct KneserNey {
    shape: NgramShape,
    trie: NgramTrie,
    /// What is subtracted from the counts of each order, by the count up to three.
    discounts: Vec<[f64; 4]>,
    /// For each context of the levels below the last.
    contexts: Vec<Vec<Context>>,
    /// Probabilities of tokens without a context.
    unigram: Vec<f64>,
    /// Their natural logarithms.
    unigram_logarithms: Vec<f64>,
    pool: ThreadPool,
}

/// What is shared by all probabilities after a context.
#[derive(Clone, Copy)]
struct Context {
    /// One over the sum of the counts.
    scale: f32,
    /// Fraction that the discounts leave for the shorter context.
    left: f32,
}

/// Contexts of one position, from the shortest to the longest that the model knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NgramContexts {
    nodes: [u32; MOST_NGRAM_TOKENS],
    length: usize,
}

impl NgramContexts {
    fn push(&mut self, node: u32) {
        self.nodes[self.length] = node;
        self.length += 1;
    }

    fn nodes(&self) -> &[u32] {
        &self.nodes[..self.length]
    }

    /// Number of tokens of the longest context that the model knows: below its order.
    pub fn known(&self) -> usize {
        self.length
    }
}

/// How n-grams predict one token of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NgramPrediction {
    /// The probability of the token.
    pub probability: f64,
    /// Number of tokens of the longest known context before it.
    pub known: usize,
}

impl KneserNey {
    /// Learns the n-grams of a text. It computes with up to `threads` threads.
    ///
    /// # Panics
    /// As [`NgramTrie::count`].
    pub fn learn(shape: NgramShape, ids: &Ids, threads: usize) -> Self {
        KneserNey::new(shape, NgramTrie::count(&shape, ids), threads)
    }

    /// The model of counted n-grams.
    pub fn new(shape: NgramShape, trie: NgramTrie, threads: usize) -> Self {
        let discounts: Vec<[f64; 4]> = trie
            .levels
            .iter()
            .map(|level| discounts(&level.counts))
            .collect();
        let contexts = trie.levels.windows(2).zip(&discounts[1..]);
        let contexts = contexts.map(|(levels, discounts)| {
            let nodes = 0..levels[0].tokens.len() as u32;
            nodes
                .map(|node| context(&levels[1].counts[levels[0].children(node)], discounts))
                .collect()
        });
        let counts = &trie.levels[0].counts;
        let Context { scale, left } = context(counts, &discounts[0]);
        let even = f64::from(left) / counts.len() as f64;
        let probability = |&count| discounted(count, &discounts[0]) * f64::from(scale) + even;
        let unigram: Vec<f64> = counts.iter().map(probability).collect();
        KneserNey {
            shape,
            contexts: contexts.collect(),
            unigram_logarithms: unigram.iter().map(|p| p.ln()).collect(),
            unigram,
            discounts,
            trie,
            pool: ThreadPool::new(threads),
        }
    }

    /// Loads a model from its checkpoint; `line_end` is its tokenizer's.
    ///
    /// # Errors
    /// Weights that are damaged.
    pub fn load(
        ngrams: &Ngrams,
        weights: &WeightsFile,
        line_end: u32,
        threads: usize,
    ) -> Result<Self> {
        let shape = NgramShape {
            order: ngrams.order,
            vocab_size: ngrams.ngrams[0],
            line_end,
            by_line: ngrams.by_line,
        };
        let level = |length: usize| -> Result<Level> {
            let [tokens, counts, children] =
                NGRAM_LEVEL_TENSORS.map(|which| weights.integers(&ngram_tensor(length, which)));
            Ok(Level {
                tokens: tokens?,
                counts: counts?,
                children: match length < ngrams.order {
                    true => children?,
                    false => Vec::new(),
                },
            })
        };
        let levels = (1..=ngrams.order).map(level).collect::<Result<_>>()?;
        let trie = NgramTrie { levels };
        match trie.is_valid(shape.vocab_size) {
            true => Ok(KneserNey::new(shape, trie, threads)),
            false => Err(Error::new(
                "the n-grams of the model do not belong together; its files are damaged",
            )),
        }
    }

    /// What config.json says of it.
    pub fn description(&self) -> Ngrams {
        let levels = self.trie.levels.iter();
        Ngrams {
            order: self.shape.order,
            ngrams: levels.map(|level| level.tokens.len()).collect(),
            by_line: self.shape.by_line,
        }
    }

    /// The values of the tensors of its description, in their order.
    pub fn tensors(&self) -> impl Iterator<Item = &[u32]> {
        let levels = self.trie.levels.iter();
        let lists = levels.flat_map(|level| [&level.tokens, &level.counts, &level.children]);
        // Of the last list there is nothing: nothing continues the longest n-grams.
        lists.map(|list| &list[..])
    }

    /// The tensors of a checkpoint, as the bytes of a safetensors file, and what config.json says of them.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn save(&self) -> Result<(Ngrams, Vec<u8>)> {
        let ngrams = self.description();
        let bytes = |list: &[u32]| list.iter().flat_map(|n| n.to_le_bytes()).collect();
        let bytes: Vec<Vec<u8>> = self.tensors().map(bytes).collect();
        let tensors = ngrams.tensors();
        let views = tensors.iter().zip(&bytes).map(|((name, shape), bytes)| {
            let view = TensorView::new(Dtype::I32, shape.clone(), bytes);
            (name, view.expect("a list fills its shape"))
        });
        let file = safetensors::serialize(views, None)
            .map_err(|e| Error::new(format!("the n-grams cannot be written: {e}")))?;
        Ok((ngrams, file))
    }

    /// Number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.shape.vocab_size
    }

    /// The thread pool that is used beside it.
    pub fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    /// The counted n-grams.
    pub fn trie(&self) -> &NgramTrie {
        &self.trie
    }

    /// Probability of `token` after the contexts, which are then those of the next position.
    pub fn next(&self, contexts: &mut NgramContexts, token: u32) -> f64 {
        let mut probability = self.unigram[token as usize];
        let mut next = NgramContexts::default();
        let longest = self.shape.order - 1;
        if longest > 0 {
            next.push(token);
        }
        for (level, &node) in contexts.nodes().iter().enumerate() {
            let Context { scale, left } = self.contexts[level][node as usize];
            probability *= f64::from(left);
            let Some(child) = self.trie.child(level, node, token) else {
                continue;
            };
            let count = self.trie.levels[level + 1].counts[child as usize];
            probability += discounted(count, &self.discounts[level + 1]) * f64::from(scale);
            if next.length < longest && next.length == level + 1 {
                next.push(child);
            }
        }
        if self.shape.by_line && token == self.shape.line_end {
            next.length = next.length.min(1);
        }
        *contexts = next;
        probability
    }

    /// Reads `tokens`, time-major `[steps, texts]`, and returns log probabilities of all tokens after all steps or the last one.
    ///
    /// # Panics
    /// If a token is not in the vocabulary.
    pub fn forward(&self, tokens: &[u32], texts: &mut [NgramContexts], all: bool) -> Vec<f32> {
        let steps = tokens.len() / texts.len();
        let mut rows = Vec::new();
        for (step, tokens) in tokens.chunks_exact(texts.len()).enumerate() {
            self.read(tokens, texts);
            if all || step + 1 == steps {
                rows.extend(texts.iter().flat_map(|text| self.log_probabilities(text)));
            }
        }
        rows
    }

    /// Reads `tokens`, time-major `[steps, texts]`.
    pub fn read(&self, tokens: &[u32], texts: &mut [NgramContexts]) {
        for tokens in tokens.chunks_exact(texts.len()) {
            for (&token, text) in tokens.iter().zip(&mut *texts) {
                self.next(text, token);
            }
        }
    }

    /// Natural logarithms of the probabilities of all tokens after the contexts.
    pub fn log_probabilities(&self, contexts: &NgramContexts) -> Vec<f32> {
        // A token's probability divided by what all longer contexts leave of it, so that each context changes its own only.
        let mut parts = self.unigram.clone();
        let mut left_of_all = 1.0;
        for (level, &node) in contexts.nodes().iter().enumerate() {
            let Context { scale, left } = self.contexts[level][node as usize];
            left_of_all *= f64::from(left);
            let next = &self.trie.levels[level + 1];
            for child in self.trie.levels[level].children(node) {
                let own = discounted(next.counts[child], &self.discounts[level + 1]);
                parts[next.tokens[child] as usize] += own * f64::from(scale) / left_of_all;
            }
        }
        let left = f64::ln(left_of_all);
        let logarithms = self.unigram_logarithms.iter();
        let mut all: Vec<f32> = logarithms.map(|own| (own + left) as f32).collect();
        // What follows a longer context follows the shortest too.
        if let Some(&node) = contexts.nodes().first() {
            for child in self.trie.levels[0].children(node) {
                let token = self.trie.levels[1].tokens[child] as usize;
                all[token] = (parts[token].ln() + left) as f32;
            }
        }
        all
    }

    /// Negative log likelihood of `ids` in nats. Each token is predicted once, the first after a line end. `progress` is
    /// called with numbers of tokens.
    pub fn nats(&self, ids: &Ids, mut progress: impl FnMut(u64)) -> f64 {
        const PART: usize = 1 << 12;
        let mut nats = 0.0;
        for (position, prediction) in self.predictions(ids).enumerate() {
            nats -= prediction.probability.ln();
            let read = position + 1;
            if read.is_multiple_of(PART) || read == ids.len() {
                progress(((read - 1) % PART + 1) as u64);
            }
        }
        nats
    }

    /// How each token of `ids` is predicted, the first after a line end.
    pub fn predictions(&self, ids: &Ids) -> impl Iterator<Item = NgramPrediction> {
        let mut contexts = NgramContexts::default();
        self.next(&mut contexts, self.shape.line_end);
        ids.read(0..ids.len()).map(move |id| NgramPrediction {
            known: contexts.known(),
            probability: self.next(&mut contexts, id),
        })
    }
}

/// The count less its discount.
fn discounted(count: u32, discounts: &[f64; 4]) -> f64 {
    f64::from(count) - discounts[count.min(3) as usize]
}

/// The context that these counts follow.
fn context(counts: &[u32], discounts: &[f64; 4]) -> Context {
    let total: f64 = counts.iter().map(|&count| f64::from(count)).sum();
    if total == 0.0 {
        // What nothing follows predicts as the shorter context does.
        return Context {
            scale: 0.0,
            left: 1.0,
        };
    }
    let subtracted: f64 = counts
        .iter()
        .map(|&count| discounts[count.min(3) as usize])
        .sum();
    Context {
        scale: (1.0 / total) as f32,
        left: (subtracted / total) as f32,
    }
}

/// The discounts of an order by the number of n-grams that occur once, twice, three and four times.
fn discounts(counts: &[u32]) -> [f64; 4] {
    let mut having = [0u64; 5];
    counts
        .iter()
        .filter(|&&count| count < 5)
        .for_each(|&count| having[count as usize] += 1);
    let [_, n1, n2, n3, n4] = having.map(|n| n as f64);
    let y = n1 / (n1 + 2.0 * n2);
    let estimated = [
        1.0 - 2.0 * y * n2 / n1,
        2.0 - 3.0 * y * n3 / n2,
        3.0 - 4.0 * y * n4 / n3,
    ];
    // Each must leave something of its count, and something for what was not seen.
    let possible = (1..)
        .zip(estimated)
        .all(|(count, discount): (u32, f64)| discount > 0.0 && discount < f64::from(count));
    let [one, two, three] = if possible { estimated } else { FALLBACK };
    [0.0, one, two, three]
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::text::Split;
    use crate::text::corpus::encode_files;
    use crate::text::source::InvalidBytes;
    use crate::text::spelling::Spelling;
    use crate::text::tokenizer::Tokenizer;

    const WORDS: [&str; 7] = ["the", "mill", "turns", "and", "sings", "old", "river"];

    /// Lines of made-up words; the first are much more frequent than the last.
    fn text(lines: usize) -> String {
        let line = |line: usize| {
            let word =
                |i: usize| WORDS[(line * line + 3 * i * i + line * i / 2) % 11 % WORDS.len()];
            let words: Vec<&str> = (0..1 + line % 9).map(word).collect();
            words.join(" ") + "\n"
        };
        (0..lines).map(line).collect()
    }

    fn ids(text: &str, tokenizer: &Tokenizer) -> Ids {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("text");
        std::fs::write(&file, text).unwrap();
        encode_files(
            &[file],
            tokenizer,
            &Spelling::default(),
            InvalidBytes::Replaced,
        )
        .unwrap()
        .ids
    }

    /// The words with a line end at each line's end, and the shape of n-grams that stay within lines.
    fn word_shape(order: usize) -> (Tokenizer, NgramShape) {
        let words = WORDS.iter().chain(&["\n", "unseen"]);
        let words = words.map(|word| word.to_string()).collect();
        let tokenizer = Tokenizer::words(Split::Whitespace, words);
        let shape = NgramShape::of(&tokenizer, order).unwrap();
        assert!(shape.by_line);
        (tokenizer, shape)
    }

    fn character_shape(order: usize) -> (Tokenizer, NgramShape) {
        let characters: Vec<char> = "\n abcdefghijklmnopqrstuvwxyz".chars().collect();
        let tokenizer = Tokenizer::characters(&characters);
        let shape = NgramShape::of(&tokenizer, order).unwrap();
        assert!(!shape.by_line);
        (tokenizer, shape)
    }

    /// The model from the formulas of Chen and Goodman (1998), with dictionaries and in f64.
    struct Twin {
        shape: NgramShape,
        counts: Vec<HashMap<Vec<u32>, u32>>,
    }

    impl Twin {
        /// The tokens before each token of a text as far as an n-gram reaches, with the token.
        fn ngrams(shape: &NgramShape, ids: &[u32]) -> Vec<Vec<u32>> {
            let mut all = vec![shape.line_end];
            all.extend(ids);
            let ngram = |end: usize| {
                let earliest = (end + 1).saturating_sub(shape.order);
                let line = (earliest..end)
                    .rev()
                    .find(|&at| shape.by_line && all[at] == shape.line_end);
                all[line.unwrap_or(earliest)..=end].to_vec()
            };
            (1..all.len()).map(ngram).collect()
        }

        fn new(shape: NgramShape, ids: &[u32]) -> Self {
            let ngrams = Twin::ngrams(&shape, ids);
            let mut counts = vec![HashMap::new(); shape.order];
            let mut preceding: Vec<HashMap<Vec<u32>, HashSet<Option<u32>>>> =
                vec![HashMap::new(); shape.order];
            for (position, ngram) in ngrams.iter().enumerate() {
                for length in 1..=ngram.len() {
                    let part = ngram[ngram.len() - length..].to_vec();
                    let before = ngram.len().checked_sub(length + 1).map(|at| ngram[at]);
                    let starts_line = shape.by_line && length > 1 && part[0] == shape.line_end;
                    if length == shape.order || starts_line {
                        *counts[length - 1].entry(part).or_insert(0) += 1;
                    } else {
                        // Nothing precedes the text: that counts as a token of its own.
                        assert!(before.is_some() || position + 1 < shape.order);
                        preceding[length - 1]
                            .entry(part)
                            .or_default()
                            .insert(before);
                    }
                }
            }
            for (counts, preceding) in counts.iter_mut().zip(preceding) {
                let different = preceding.into_iter();
                counts.extend(different.map(|(ngram, before)| (ngram, before.len() as u32)));
            }
            Twin { shape, counts }
        }

        fn probability(&self, context: &[u32], token: u32) -> f64 {
            let shorter = match context {
                [] => 1.0 / self.shape.vocab_size as f64,
                [_, rest @ ..] => self.probability(rest, token),
            };
            let counts = &self.counts[context.len()];
            let discounts = discounts(&counts.values().copied().collect::<Vec<_>>());
            let (mut total, mut left) = (0.0, 0.0);
            for (_, &count) in counts
                .iter()
                .filter(|(ngram, _)| ngram.starts_with(context))
            {
                total += f64::from(count);
                left += discounts[count.min(3) as usize];
            }
            if total == 0.0 {
                return shorter;
            }
            let own = counts.get(&[context, &[token]].concat()).copied();
            let own = own.map_or(0.0, |own| discounted(own, &discounts));
            (own + left * shorter) / total
        }

        fn nats(&self, ids: &[u32]) -> f64 {
            let ngrams = Twin::ngrams(&self.shape, ids);
            let nats = ngrams.iter().map(|ngram| {
                let (&token, context) = ngram.split_last().unwrap();
                -self.probability(context, token).ln()
            });
            nats.sum()
        }
    }

    #[test]
    fn probabilities_are_those_of_the_formulas() {
        let other = "old river the the mill\nunseen sings and\n\nand the\n";
        for order in 1..=5 {
            for (tokenizer, shape) in [word_shape(order), character_shape(order)] {
                let (train, other) = (ids(&text(60), &tokenizer), ids(other, &tokenizer));
                let read = |ids: &Ids| ids.read(0..ids.len()).collect::<Vec<u32>>();
                let expected = Twin::new(shape, &read(&train)).nats(&read(&other));
                let found = KneserNey::learn(shape, &train, 1).nats(&other, |_| ());
                let error = (found / expected - 1.0).abs();
                assert!(error < 1e-6, "{shape:?}: {found} {expected}");
            }
        }
    }

    #[test]
    fn probabilities_sum_to_one_and_logits_agree() {
        for text in [&text(80), "\n", "a", "aaaaaaaaaa", "the mill the mill\n"] {
            for (tokenizer, shape) in [word_shape(4), character_shape(10)] {
                let train = ids(text, &tokenizer);
                let model = KneserNey::learn(shape, &train, 1);
                let mut contexts = NgramContexts::default();
                for token in [shape.line_end]
                    .into_iter()
                    .chain(train.read(0..train.len().min(30)))
                {
                    model.next(&mut contexts, token);
                    let logits = model.log_probabilities(&contexts);
                    let probability = |token: u32| model.next(&mut contexts.clone(), token);
                    let tokens = 0..shape.vocab_size as u32;
                    let sum: f64 = tokens.clone().map(probability).sum();
                    assert!((sum - 1.0).abs() < 1e-6, "{sum} after {text:?}");
                    for token in tokens {
                        let (one, other) = (probability(token).ln(), logits[token as usize]);
                        assert!((one - f64::from(other)).abs() < 1e-5, "{one} {other}");
                    }
                }
            }
        }
    }

    #[test]
    fn discounts_are_those_of_the_counts_of_counts() {
        let counts = [
            vec![1; 8],
            vec![2; 4],
            vec![3; 2],
            vec![4],
            vec![9; 3],
            vec![0; 5],
        ]
        .concat();
        // Y = 8 / (8 + 2 · 4) = 1/2
        assert_eq!(discounts(&counts), [0.0, 0.5, 1.25, 2.0]);
        let fallback = [0.0, FALLBACK[0], FALLBACK[1], FALLBACK[2]];
        for few in [&[][..], &[1], &[7, 8, 9], &[1, 2, 3]] {
            assert_eq!(discounts(few), fallback);
        }
    }

    #[test]
    fn estimates_are_near_the_numbers_of_ngrams() {
        let (tokenizer, shape) = character_shape(7);
        let alphabet = b"abcdefghijklmnopqrstuvwxyz";
        let mut state = 1u64;
        let letter = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            alphabet[(state >> 33) as usize % 26] as char
        };
        let train = ids(&(0..60_000).map(letter).collect::<String>(), &tokenizer);
        let trie = NgramTrie::count(&shape, &train);
        for (estimate, level) in shape.estimate(&train).into_iter().zip(&trie.levels) {
            let exact = level.tokens.len() as f64;
            let error = (estimate as f64 / exact - 1.0).abs();
            assert!(error < 0.25 || exact < 1000.0, "{estimate} {exact}");
        }
    }
}

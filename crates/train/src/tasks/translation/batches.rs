/*!
The batches of a pass: pairs of about one length, in a random order.
*/

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::dataset::Pair;
use carousel::text::encoder::Encoder;
use carousel::text::tokenizer::Tokenizer;

/// Largest random change of a pair's length when pairs are sorted by it, as a fraction of the length.
const LENGTH_NOISE: f64 = 0.1;
/// Most tokens of a side of a pair that is learnt from.
const LONGEST: usize = 512;

/// Encoded pairs: the token ids of each side, with a line end after them.
#[derive(Default)]
pub struct EncodedPairs {
    /// The sources.
    pub sources: Vec<Vec<u32>>,
    /// The targets.
    pub targets: Vec<Vec<u32>>,
}

impl EncodedPairs {
    /// The pairs in tokens of the source's and of the target's vocabulary.
    pub fn new(pairs: &[Pair], source: &Tokenizer, target: &Tokenizer) -> Self {
        let encode = |tokenizer: &Tokenizer, text: fn(&Pair) -> &str| {
            let mut encoder = Encoder::new(tokenizer);
            let tokens = |pair: &Pair| {
                let mut tokens = encoder.encode(text(pair)).0;
                tokens.push(tokenizer.line_end());
                tokens
            };
            pairs.iter().map(tokens).collect()
        };
        EncodedPairs {
            sources: encode(source, |pair| &pair.source),
            targets: encode(target, |pair| &pair.target),
        }
    }

    /// Leaves out pairs with a side of so many tokens that a step would need too much memory. Returns how many.
    pub fn leave_out_long(&mut self) -> usize {
        let before = self.len();
        let all = std::mem::take(&mut self.sources)
            .into_iter()
            .zip(std::mem::take(&mut self.targets));
        let kept = all.filter(|(source, target)| source.len().max(target.len()) <= LONGEST);
        (self.sources, self.targets) = kept.unzip();
        before - self.len()
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Number of tokens of all sources and of all targets.
    pub fn tokens(&self) -> [usize; 2] {
        [&self.sources, &self.targets].map(|side| side.iter().map(Vec::len).sum())
    }

    /// Tokens of both sides of a pair.
    fn length(&self, pair: usize) -> usize {
        self.sources[pair].len() + self.targets[pair].len()
    }

    /// All pairs in batches of about one length, without chance.
    pub fn in_order(&self, batch_size: usize) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&pair| self.length(pair));
        order.chunks(batch_size).map(<[usize]>::to_vec).collect()
    }
}

/// Divides pairs into batches, pass by pass.
pub struct Batches {
    batch_size: usize,
    seed: u64,
    /// The pass that `batches` is of.
    pass: Option<u64>,
    batches: Vec<Vec<usize>>,
}

impl Batches {
    /// Batches of this number of pairs.
    pub fn new(batch_size: usize, seed: u64) -> Self {
        Batches {
            batch_size,
            seed,
            pass: None,
            batches: Vec::new(),
        }
    }

    /// Number of batches in a pass over the pairs.
    pub fn in_pass(&self, pairs: &EncodedPairs) -> usize {
        pairs.len().div_ceil(self.batch_size)
    }

    /// A batch of a pass.
    pub fn get(&mut self, pass: u64, index: usize, pairs: &EncodedPairs) -> &[usize] {
        if self.pass != Some(pass) {
            self.shuffle(pass, pairs);
        }
        &self.batches[index]
    }

    fn shuffle(&mut self, pass: u64, pairs: &EncodedPairs) {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(pass);
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        // Pairs of one length come together by chance.
        order.shuffle(&mut random);
        let mut noisy: Vec<(f64, usize)> = (order.into_iter())
            .map(|pair| {
                let noise = 1.0 + LENGTH_NOISE * random.random::<f64>();
                (pairs.length(pair) as f64 * noise, pair)
            })
            .collect();
        noisy.sort_by(|a, b| a.0.total_cmp(&b.0));
        let batches = noisy.chunks(self.batch_size);
        self.batches = batches
            .map(|batch| batch.iter().map(|&(_, pair)| pair).collect())
            .collect();
        self.batches.shuffle(&mut random);
        self.pass = Some(pass);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> EncodedPairs {
        let side = |by: usize| (0..100).map(|pair| vec![0; 1 + pair * by % 37]).collect();
        EncodedPairs {
            sources: side(7),
            targets: side(11),
        }
    }

    #[test]
    fn a_pass_has_each_pair_once_beside_others_of_its_length() {
        let pairs = pairs();
        let mut batches = Batches::new(8, 1);
        let mut passes = Vec::new();
        for pass in 0..2 {
            let all: Vec<Vec<usize>> = (0..batches.in_pass(&pairs))
                .map(|index| batches.get(pass, index, &pairs).to_vec())
                .collect();
            let mut seen = all.concat();
            seen.sort_unstable();
            assert_eq!(seen, (0..100).collect::<Vec<_>>());
            for batch in &all {
                let lengths: Vec<usize> = batch.iter().map(|&pair| pairs.length(pair)).collect();
                assert!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap() < 25);
            }
            passes.push(all);
        }
        assert_ne!(passes[0], passes[1]);
        let again = Batches::new(8, 1).get(1, 3, &pairs).to_vec();
        assert_eq!(again, passes[1][3]);
    }

    #[test]
    fn very_long_pairs_are_left_out() {
        let mut pairs = pairs();
        pairs.targets[3] = vec![0; LONGEST + 1];
        assert_eq!((pairs.leave_out_long(), pairs.len()), (1, 99));
    }
}

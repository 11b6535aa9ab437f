/*!
From logits to a token: pure functions in llama.cpp's order, which is repetition penalty, top-k, top-p, min-p,
temperature; and the sampler that holds what a text needs of memory and randomness.
*/

use std::collections::VecDeque;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;

use carousel_kernels::exponentials;

/// Weights that are summed before any of them is looked at.
const BLOCK: usize = 32;
/// Sums side by side, which the compiler makes a vector of.
const LANES: usize = 8;

/// How the next token is chosen. What makes no sense cannot be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Makes what was written lately less likely, if given.
    pub repetition: Option<Repetition>,
    /// How one of the tokens is taken.
    pub choice: Choice,
}

/// A penalty on the tokens of the last stretch of text (Keskar et al. 2019).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Repetition {
    /// Positive logits are divided by it, negative ones multiplied; above 1 repetition becomes less likely.
    pub penalty: f32,
    /// How many of the last tokens count, those of the prompt included.
    pub last_n: usize,
}

/// How one of the tokens is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    /// The likeliest, always.
    Greedy,
    /// At random.
    Random {
        /// Only so many of the likeliest, if given.
        top_k: Option<usize>,
        /// Only the likeliest that together have this probability, in (0, 1], if given.
        top_p: Option<f32>,
        /// Only those with at least this share of the likeliest's probability, in (0, 1], if given.
        min_p: Option<f32>,
        /// Below 1 the likely become likelier, above 1 less so; above 0.
        temperature: f32,
    },
}

/// Chooses the tokens of one text.
pub struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
    recent: Recent,
}

impl Sampler {
    /// Different `stream`s of one seed give independent texts.
    pub fn new(sampling: Sampling, seed: u64, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        Sampler {
            sampling,
            random,
            recent: Recent::new(sampling.repetition.map_or(0, |r| r.last_n)),
        }
    }

    /// Takes note of tokens that were there before.
    pub fn remember(&mut self, tokens: &[u32]) {
        // Only the last can count.
        let first = tokens.len().saturating_sub(self.recent.last_n);
        tokens[first..]
            .iter()
            .for_each(|&token| self.recent.push(token));
    }

    /// Chooses a token, and takes note of it. Logits of minus infinity are never chosen; the logits are used up.
    pub fn choose(&mut self, logits: &mut [f32]) -> u32 {
        if let Some(repetition) = self.sampling.repetition {
            penalize(logits, self.recent.tokens(), repetition.penalty);
        }
        let token = match self.sampling.choice {
            Choice::Greedy => likeliest(logits),
            Choice::Random {
                top_k: None,
                top_p: None,
                min_p: None,
                temperature,
            } => {
                exponentials(logits, temperature);
                draw(logits, self.random.random()) as u32
            }
            Choice::Random {
                top_k,
                top_p,
                min_p,
                temperature,
            } => {
                let mut candidates = Candidates::new(logits);
                if let Some(k) = top_k {
                    candidates.keep_top_k(k);
                }
                if let Some(p) = top_p {
                    candidates.keep_top_p(p);
                }
                if let Some(p) = min_p {
                    candidates.keep_min_p(p);
                }
                candidates.draw(temperature, self.random.random())
            }
        };
        self.recent.push(token);
        token
    }
}

/// The last tokens of a text, and how often each is among them.
struct Recent {
    last_n: usize,
    window: VecDeque<u32>,
    counts: FxHashMap<u32, usize>,
}

impl Recent {
    fn new(last_n: usize) -> Self {
        Recent {
            last_n,
            window: VecDeque::new(),
            counts: FxHashMap::default(),
        }
    }

    fn push(&mut self, token: u32) {
        if self.last_n == 0 {
            return;
        }
        if self.window.len() == self.last_n
            && let Some(oldest) = self.window.pop_front()
            && let Some(count) = self.counts.get_mut(&oldest)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&oldest);
            }
        }
        self.window.push_back(token);
        *self.counts.entry(token).or_default() += 1;
    }

    fn tokens(&self) -> impl Iterator<Item = u32> {
        self.counts.keys().copied()
    }
}

/// Makes each of `tokens` less likely, once.
pub fn penalize(logits: &mut [f32], tokens: impl Iterator<Item = u32>, penalty: f32) {
    for token in tokens {
        let logit = &mut logits[token as usize];
        let less = if *logit > 0.0 {
            *logit / penalty
        } else {
            *logit * penalty
        };
        // What is barred stays so, and nothing else becomes so.
        if logit.is_finite() {
            *logit = less.clamp(f32::MIN, f32::MAX);
        }
    }
}

/// The first of the highest logits.
pub fn likeliest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] || logits[best].is_nan() {
            best = id;
        }
    }
    best as u32
}

/// Draws an index in proportion to its weight; `uniform` is in [0, 1).
pub fn draw(weights: &[f32], uniform: f64) -> usize {
    // Sums of blocks find the block, and a walk through it the index.
    let blocks = || weights.chunks(BLOCK).map(sum);
    let mut left = uniform * blocks().sum::<f64>();
    let passed = blocks().take_while(|&sum| {
        let passed = left >= sum;
        left -= if passed { sum } else { 0.0 };
        passed
    });
    let first = passed.count() * BLOCK;
    let mut walk = weights.iter().enumerate().skip(first);
    let found = walk.find(|&(_, &weight)| {
        left -= f64::from(weight);
        left < 0.0
    });
    if let Some((index, _)) = found {
        return index;
    }
    // Rounding may leave a crumb; and if nothing has a weight, the first is as good as any.
    weights
        .iter()
        .rposition(|&weight| weight > 0.0)
        .unwrap_or(0)
}

fn sum(weights: &[f32]) -> f64 {
    let mut sums = [0.0; LANES];
    let (lanes, rest) = weights.as_chunks::<LANES>();
    for weights in lanes {
        for (sum, &weight) in sums.iter_mut().zip(weights) {
            *sum += f64::from(weight);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&weight| f64::from(weight)).sum::<f64>()
}

/// Tokens that may still be chosen, with their logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidates {
    /// Sorted, likeliest first, once anything was cut.
    tokens: Vec<(u32, f32)>,
}

impl Candidates {
    /// Every token whose logit is a number above minus infinity.
    pub fn new(logits: &[f32]) -> Self {
        let tokens = (0u32..)
            .zip(logits.iter().copied())
            .filter(|(_, logit)| *logit > f32::NEG_INFINITY);
        Candidates {
            tokens: tokens.collect(),
        }
    }

    /// Keeps the `k` likeliest (Fan et al. 2018): all, if there are no more.
    pub fn keep_top_k(&mut self, k: usize) {
        if k < self.tokens.len() {
            self.tokens.select_nth_unstable_by(k, likelier_first);
            self.tokens.truncate(k);
        }
    }

    /// Keeps the fewest likeliest whose probabilities, of those still there, sum to `p` or more (Holtzman et al. 2020).
    pub fn keep_top_p(&mut self, p: f32) {
        self.tokens.sort_unstable_by(likelier_first);
        let weights = self.weights(1.0);
        let enough = f64::from(p) * weights.iter().map(|&weight| f64::from(weight)).sum::<f64>();
        let mut sum = 0.0;
        let kept = weights.iter().position(|&weight| {
            sum += f64::from(weight);
            sum >= enough
        });
        if let Some(last) = kept {
            self.tokens.truncate(last + 1);
        }
    }

    /// Keeps those that are at least `p` times as likely as the likeliest (Nguyen et al. 2024).
    pub fn keep_min_p(&mut self, p: f32) {
        let least = self.highest() + p.ln();
        self.tokens.retain(|&(_, logit)| logit >= least);
    }

    /// Draws one with softmax(logits / temperature); `uniform` is in [0, 1).
    pub fn draw(&self, temperature: f32, uniform: f64) -> u32 {
        let drawn = draw(&self.weights(temperature), uniform);
        self.tokens.get(drawn).map_or(0, |&(id, _)| id)
    }

    fn highest(&self) -> f32 {
        let logits = self.tokens.iter().map(|&(_, logit)| logit);
        logits.fold(f32::NEG_INFINITY, f32::max)
    }

    /// Unnormalised probabilities.
    fn weights(&self, temperature: f32) -> Vec<f32> {
        let mut weights: Vec<f32> = self.tokens.iter().map(|&(_, logit)| logit).collect();
        exponentials(&mut weights, temperature);
        weights
    }
}

/// Equal logits in the order of their ids, so that no sort's whim decides.
fn likelier_first(a: &(u32, f32), b: &(u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: f32 = f32::NEG_INFINITY;
    const LOGITS: [f32; 5] = [1.0, 3.0, NONE, 2.0, 3.0];

    fn kept(cut: impl FnOnce(&mut Candidates)) -> Vec<u32> {
        let mut candidates = Candidates::new(&LOGITS);
        cut(&mut candidates);
        let mut ids: Vec<u32> = candidates.tokens.iter().map(|&(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn each_cut_keeps_what_it_should() {
        assert_eq!(kept(|_| ()), [0, 1, 3, 4]);
        assert_eq!(kept(|c| c.keep_top_k(1)), [1]);
        assert_eq!(kept(|c| c.keep_top_k(3)), [1, 3, 4]);
        assert_eq!(kept(|c| c.keep_top_k(99)), [0, 1, 3, 4]);
        // Probabilities: 3.0 has 0.40 each, 2.0 has 0.147, 1.0 has 0.054.
        assert_eq!(kept(|c| c.keep_top_p(0.39)), [1]);
        assert_eq!(kept(|c| c.keep_top_p(0.5)), [1, 4]);
        assert_eq!(kept(|c| c.keep_top_p(0.9)), [1, 3, 4]);
        assert_eq!(kept(|c| c.keep_top_p(1.0)), [0, 1, 3, 4]);
        // 2.0 is 0.37 times as likely as 3.0, 1.0 is 0.135 times.
        assert_eq!(kept(|c| c.keep_min_p(1.0)), [1, 4]);
        assert_eq!(kept(|c| c.keep_min_p(0.36)), [1, 3, 4]);
        assert_eq!(kept(|c| c.keep_min_p(0.13)), [0, 1, 3, 4]);
        assert_eq!(kept(|c| c.keep_top_p(0.84)), [1, 3, 4]);
        // What was cut before has no share of the probability any more.
        let both = |c: &mut Candidates| {
            c.keep_top_k(3);
            c.keep_top_p(0.84);
        };
        assert_eq!(kept(both), [1, 4]);
    }

    #[test]
    fn a_penalty_makes_the_likely_and_the_unlikely_less_likely() {
        let table: [(&[u32], f32, [f32; 4]); 6] = [
            (&[], 2.0, [4.0, -1.0, 0.0, NONE]),
            (&[0], 2.0, [2.0, -1.0, 0.0, NONE]),
            (&[0, 1, 2, 3], 2.0, [2.0, -2.0, 0.0, NONE]),
            (&[0, 1], 1.0, [4.0, -1.0, 0.0, NONE]),
            (&[1, 3], 1e38, [4.0, -1e38, 0.0, NONE]),
            (&[0, 3], 1e-39, [f32::MAX, -1.0, 0.0, NONE]),
        ];
        for (tokens, penalty, expected) in table {
            let mut logits = [4.0, -1.0, 0.0, NONE];
            penalize(&mut logits, tokens.iter().copied(), penalty);
            assert_eq!(logits, expected, "{tokens:?}");
        }
    }

    #[test]
    fn what_was_written_before_the_window_is_forgotten() {
        let table: [(usize, &[u32], &[u32]); 5] = [
            (0, &[1, 2], &[]),
            (2, &[1], &[1]),
            (2, &[1, 2, 3], &[2, 3]),
            (2, &[3, 3, 3, 1], &[1, 3]),
            (3, &[5, 5, 5, 6, 7, 8], &[6, 7, 8]),
        ];
        for (last_n, tokens, expected) in table {
            let mut recent = Recent::new(last_n);
            tokens.iter().for_each(|&token| recent.push(token));
            let mut found: Vec<u32> = recent.tokens().collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{last_n} of {tokens:?}");
        }
    }

    #[test]
    fn a_penalised_text_does_not_repeat_itself() {
        let repetition = |penalty, last_n| Sampling {
            repetition: Some(Repetition { penalty, last_n }),
            choice: Choice::Greedy,
        };
        let write = |sampling| {
            let mut sampler = Sampler::new(sampling, 0, 0);
            sampler.remember(&[4, 0]);
            let mut tokens = Vec::new();
            for _ in 0..4 {
                tokens.push(sampler.choose(&mut LOGITS.clone()));
            }
            tokens
        };
        assert_eq!(write(repetition(1.0, 9)), [1, 1, 1, 1]);
        assert_eq!(write(repetition(100.0, 9)), [1, 3, 1, 1]);
        assert_eq!(write(repetition(100.0, 1)), [1, 4, 1, 4]);
    }

    #[test]
    fn draws_follow_the_probabilities() {
        for (temperature, top_k) in [(0.5f32, None), (1.0, None), (2.0, None), (1.0, Some(9))] {
            let choice = Choice::Random {
                top_k,
                top_p: None,
                min_p: None,
                temperature,
            };
            let sampling = Sampling {
                repetition: None,
                choice,
            };
            let mut sampler = Sampler::new(sampling, 1, 0);
            let mut counts = [0.0; 5];
            for _ in 0..40_000 {
                counts[sampler.choose(&mut LOGITS.clone()) as usize] += 1.0 / 40_000.0;
            }
            let weights = LOGITS.map(|logit| (logit / temperature).exp());
            let sum: f32 = weights.iter().sum();
            for (count, weight) in counts.iter().zip(weights) {
                assert!(
                    (count - weight / sum).abs() < 0.01,
                    "{counts:?} {weights:?}"
                );
            }
        }
    }

    #[test]
    fn greedy_takes_the_first_of_the_highest_and_survives_nan() {
        assert_eq!(likeliest(&LOGITS), 1);
        assert_eq!(likeliest(&[f32::NAN, 1.0, 2.0]), 2);
        let nothing = Candidates::new(&[f32::NAN, NONE]);
        assert_eq!(nothing.draw(1.0, 0.5), 0);
    }

    #[test]
    fn the_edges_of_the_unit_interval_choose_the_ends() {
        let candidates = Candidates::new(&LOGITS);
        assert_eq!(candidates.draw(1.0, 0.0), 0);
        assert_eq!(candidates.draw(1.0, 0.999_999_999), 4);
        assert_eq!(draw(&[0.0, 1.0, 0.0, 2.0, 0.0], 0.0), 1);
        assert_eq!(draw(&[0.0, 1.0, 0.0, 2.0, 0.0], 1.0), 3);
        assert_eq!(draw(&[0.0, 0.0], 0.5), 0);
    }
}

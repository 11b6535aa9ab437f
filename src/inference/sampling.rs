/*!
Sampling of a token from logits, in llama.cpp's order: repetition penalty, top-k, top-p, min-p, temperature.
*/

use std::collections::VecDeque;

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashMap;

use carousel_kernels::exponentials;

use crate::error::{Error, Result};

/// Most tokens that are chosen and not allowed before all others are asked for.
const MOST_REFUSED: usize = 32;
/// Weights that are summed together to find the block of a drawn index.
const BLOCK: usize = 32;
/// Partial sums, which the compiler keeps in a vector.
const LANES: usize = 8;

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Penalty on recent tokens, if any.
    pub repetition: Option<Repetition>,
    /// How one of the tokens is chosen.
    pub choice: Choice,
}

/// A penalty on recent tokens (Keskar et al. 2019).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Repetition {
    /// Divisor of positive logits and factor of negative ones; above 1 it makes repetition less likely.
    pub penalty: f32,
    /// Number of recent tokens, those of the prompt included.
    pub last_n: usize,
}

/// How one of the tokens is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    /// The most probable token.
    Greedy,
    /// A random token.
    Random {
        /// Number of the most probable tokens to choose from, if limited.
        top_k: Option<usize>,
        /// Total probability of the most probable tokens to choose from, in (0, 1], if limited.
        top_p: Option<f32>,
        /// Least probability of a token to choose from, as a fraction of the highest, in (0, 1], if limited.
        min_p: Option<f32>,
        /// Divisor of the logits, above 0: below 1 it sharpens the distribution, above 1 it flattens it.
        temperature: f32,
    },
}

/// Chooses the tokens of one text, with its own random numbers and recent tokens.
pub struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
    recent: RecentTokens,
}

/// What a user asks for of sampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingOptions {
    /// 0 always chooses the most probable token.
    pub temperature: f32,
    /// As [`Choice::Random`] has them.
    pub top_k: Option<usize>,
    /// 1 is no limit.
    pub top_p: Option<f32>,
    /// 0 is no limit.
    pub min_p: Option<f32>,
    /// 1 is no penalty.
    pub repeat_penalty: Option<f32>,
    /// Number of recent tokens that the penalty applies to.
    pub repeat_last_n: usize,
}

impl Default for SamplingOptions {
    fn default() -> Self {
        SamplingOptions {
            temperature: 0.9,
            top_k: None,
            top_p: None,
            min_p: Some(0.02),
            repeat_penalty: None,
            repeat_last_n: 64,
        }
    }
}

/// A random seed that is short enough to type again.
pub fn random_seed() -> u64 {
    let hash = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0u8);
    ChaCha8Rng::seed_from_u64(hash).next_u64() % 1_000_000
}

impl SamplingOptions {
    /// Checks the values, and returns the sampling that they describe. `named` gives an option's name for messages, as in
    /// `--top-p` for `top_p`.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn sampling(&self, named: impl Fn(&str) -> String) -> Result<Sampling> {
        self.check(named)?;
        let repetition = self
            .repeat_penalty
            .filter(|&penalty| penalty != 1.0)
            .map(|penalty| Repetition {
                penalty,
                last_n: self.repeat_last_n,
            });
        let choice = match self.temperature {
            0.0 => Choice::Greedy,
            temperature => Choice::Random {
                top_k: self.top_k,
                top_p: self.top_p.filter(|&p| p < 1.0),
                min_p: self.min_p.filter(|&p| p > 0.0),
                temperature,
            },
        };
        Ok(Sampling { repetition, choice })
    }

    fn check(&self, named: impl Fn(&str) -> String) -> Result<()> {
        let wrong = |name: &str, value: f32, what: &str| {
            let name = named(name);
            Err(Error::usage(format!(
                "{name} {value} is out of range; give {what}"
            )))
        };
        let temperature = self.temperature;
        if !(temperature >= 0.0 && temperature.is_finite()) {
            let what = "0 (always the most probable token) or more";
            return wrong("temperature", temperature, what);
        }
        if self.top_k == Some(0) {
            return Err(Error::usage(format!(
                "{} 0 leaves no token to choose from; give 1 or more",
                named("top_k")
            )));
        }
        if let Some(p) = self.top_p.filter(|&p| !(p > 0.0 && p <= 1.0)) {
            return wrong("top_p", p, "a probability above 0, up to 1");
        }
        if let Some(p) = self.min_p.filter(|p| !(0.0..=1.0).contains(p)) {
            return wrong("min_p", p, "a fraction from 0 to 1");
        }
        let penalty = self.repeat_penalty;
        if let Some(penalty) = penalty.filter(|&x| !(x > 0.0 && x.is_finite())) {
            return wrong(
                "repeat_penalty",
                penalty,
                "a number above 0, where 1 is no penalty",
            );
        }
        Ok(())
    }
}

impl Sampling {
    /// The same at another temperature; 0 always chooses the most probable token.
    pub fn at_temperature(self, temperature: f32) -> Self {
        let choice = match self.choice {
            _ if temperature == 0.0 => Choice::Greedy,
            Choice::Random {
                top_k,
                top_p,
                min_p,
                ..
            } => Choice::Random {
                top_k,
                top_p,
                min_p,
                temperature,
            },
            Choice::Greedy => Choice::Random {
                top_k: None,
                top_p: None,
                min_p: None,
                temperature,
            },
        };
        Sampling { choice, ..self }
    }
}

impl Sampler {
    /// A sampler; different seeds give independent texts.
    pub fn new(sampling: Sampling, seed: u64) -> Self {
        Sampler {
            sampling,
            random: ChaCha8Rng::seed_from_u64(seed),
            recent: RecentTokens::new(sampling.repetition.map_or(0, |r| r.last_n)),
        }
    }

    /// Chooses otherwise from now on. The number of recent tokens that a penalty applies to stays.
    pub fn set_sampling(&mut self, sampling: Sampling) {
        self.sampling = sampling;
    }

    /// Takes random numbers from another seed from now on.
    pub fn reseed(&mut self, seed: u64) {
        self.random = ChaCha8Rng::seed_from_u64(seed);
    }

    /// Adds tokens to the recent ones.
    pub fn observe(&mut self, tokens: &[u32]) {
        // Only the last of them count.
        let first = tokens.len().saturating_sub(self.recent.last_n);
        tokens[first..]
            .iter()
            .for_each(|&token| self.recent.push(token));
    }

    /// Chooses a token that is allowed, and adds it to the recent ones; `None` if there is none. Tokens with a logit of minus
    /// infinity are never chosen. The logits are overwritten.
    pub fn choose(&mut self, logits: &mut [f32], allows: impl FnMut(u32) -> bool) -> Option<u32> {
        if let Some(repetition) = self.sampling.repetition {
            penalize(logits, self.recent.tokens(), repetition.penalty);
        }
        let token = match self.sampling.choice {
            Choice::Greedy => choose_allowed(logits, f32::NEG_INFINITY, allows, |logits| {
                Some(argmax_token(logits)).filter(|&id| logits[id as usize] > f32::NEG_INFINITY)
            }),
            Choice::Random {
                top_k: None,
                top_p: None,
                min_p: None,
                temperature,
            } => {
                exponentials(logits, temperature);
                choose_allowed(logits, 0.0, allows, |weights| {
                    draw(weights, self.random.random()).map(|index| index as u32)
                })
            }
            Choice::Random {
                top_k,
                top_p,
                min_p,
                temperature,
            } => choose_allowed(logits, f32::NEG_INFINITY, allows, |logits| {
                let least = match (top_k, top_p, min_p) {
                    // Few of all: those that are left out need not be copied.
                    (None, None, Some(p)) => highest(logits) + p.ln(),
                    _ => f32::NEG_INFINITY,
                };
                let mut candidates = Candidates::new(logits, least);
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
            }),
        }?;
        self.recent.push(token);
        Some(token)
    }
}

/// Picks a token by its score until one is allowed; the others get the score `barred`. Most of those that are picked are
/// allowed, so that all are asked for only after many refusals.
fn choose_allowed(
    scores: &mut [f32],
    barred: f32,
    mut allows: impl FnMut(u32) -> bool,
    mut pick: impl FnMut(&[f32]) -> Option<u32>,
) -> Option<u32> {
    for _ in 0..MOST_REFUSED {
        let token = pick(scores)?;
        if allows(token) {
            return Some(token);
        }
        scores[token as usize] = barred;
    }
    for (token, score) in (0..).zip(scores.iter_mut()) {
        if *score > barred && !allows(token) {
            *score = barred;
        }
    }
    let token = pick(scores)?;
    // So that it is the last one that was asked for.
    allows(token).then_some(token)
}

/// The recent tokens of a text, and the number of times each occurs.
struct RecentTokens {
    last_n: usize,
    window: VecDeque<u32>,
    counts: FxHashMap<u32, usize>,
}

impl RecentTokens {
    fn new(last_n: usize) -> Self {
        RecentTokens {
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

/// Applies the repetition penalty to the logits of `tokens`.
fn penalize(logits: &mut [f32], tokens: impl Iterator<Item = u32>, penalty: f32) {
    for token in tokens {
        let logit = &mut logits[token as usize];
        let penalized = if *logit > 0.0 {
            *logit / penalty
        } else {
            *logit * penalty
        };
        // An excluded token stays excluded, and no other becomes so.
        if logit.is_finite() {
            *logit = penalized.clamp(f32::MIN, f32::MAX);
        }
    }
}

/// Token with the highest logit, the first of equals; NaN is never the highest.
pub fn argmax_token(logits: &[f32]) -> u32 {
    let highest = highest(logits);
    let found = logits.iter().position(|&logit| logit == highest);
    found.unwrap_or(0) as u32
}

/// The highest logit, or minus infinity; NaN is never the highest.
fn highest(logits: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; 2 * LANES];
    let (chunks, rest) = logits.as_chunks::<{ 2 * LANES }>();
    for chunk in chunks {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, logit);
        }
    }
    let all = lanes.iter().chain(rest).copied();
    all.fold(f32::NEG_INFINITY, larger)
}

/// Draws an index with a probability proportional to its weight; `uniform` is in [0, 1). `None` without any weight.
fn draw(weights: &[f32], uniform: f64) -> Option<usize> {
    // The sums of blocks give the block; a walk from there gives the index.
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
        return Some(index);
    }
    // Rounding may leave a rest.
    weights.iter().rposition(|&weight| weight > 0.0)
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

/// Tokens to choose from, with their logits.
#[derive(Clone, Debug, PartialEq)]
struct Candidates {
    /// Sorted by falling logit after top-p.
    tokens: Vec<(u32, f32)>,
}

impl Candidates {
    /// All tokens whose logit is `least` or more, and above minus infinity.
    fn new(logits: &[f32], least: f32) -> Self {
        let is_one = |logit: f32| logit >= least && logit > f32::NEG_INFINITY;
        let mut tokens = Vec::new();
        for (first, block) in (0u32..).step_by(BLOCK).zip(logits.chunks(BLOCK)) {
            // Most blocks have none, which is seen without a branch for each.
            if block.iter().fold(false, |any, &logit| any | is_one(logit)) {
                let ones = (first..).zip(block.iter().copied());
                tokens.extend(ones.filter(|&(_, logit)| is_one(logit)));
            }
        }
        Candidates { tokens }
    }

    /// Keeps the `k` most probable tokens (Fan et al. 2018).
    fn keep_top_k(&mut self, k: usize) {
        if k < self.tokens.len() {
            self.tokens.select_nth_unstable_by(k, by_falling_logit);
            self.tokens.truncate(k);
        }
    }

    /// Keeps the fewest most probable tokens whose probabilities, renormalized, sum to `p` or more (Holtzman et al. 2020).
    fn keep_top_p(&mut self, p: f32) {
        self.tokens.sort_unstable_by(by_falling_logit);
        let weights = self.weights(1.0);
        let threshold = f64::from(p) * weights.iter().map(|&weight| f64::from(weight)).sum::<f64>();
        let mut sum = 0.0;
        let kept = weights.iter().position(|&weight| {
            sum += f64::from(weight);
            sum >= threshold
        });
        if let Some(last) = kept {
            self.tokens.truncate(last + 1);
        }
    }

    /// Keeps the tokens that are at least `p` times as probable as the most probable one (Nguyen et al. 2024).
    fn keep_min_p(&mut self, p: f32) {
        let logits = self.tokens.iter().map(|&(_, logit)| logit);
        let least = logits.fold(f32::NEG_INFINITY, f32::max) + p.ln();
        self.tokens.retain(|&(_, logit)| logit >= least);
    }

    /// Draws a token by softmax(logits / temperature); `uniform` is in [0, 1).
    fn draw(&self, temperature: f32, uniform: f64) -> Option<u32> {
        let drawn = draw(&self.weights(temperature), uniform)?;
        Some(self.tokens[drawn].0)
    }

    /// Unnormalized probabilities.
    fn weights(&self, temperature: f32) -> Vec<f32> {
        let mut weights: Vec<f32> = self.tokens.iter().map(|&(_, logit)| logit).collect();
        exponentials(&mut weights, temperature);
        weights
    }
}

/// Falling logits, equal ones by token, so that the order does not depend on the sort.
fn by_falling_logit(a: &(u32, f32), b: &(u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONE: f32 = f32::NEG_INFINITY;
    const LOGITS: [f32; 5] = [1.0, 3.0, NONE, 2.0, 3.0];

    fn kept(filter: impl FnOnce(&mut Candidates)) -> Vec<u32> {
        let mut candidates = Candidates::new(&LOGITS, NONE);
        filter(&mut candidates);
        let mut ids: Vec<u32> = candidates.tokens.iter().map(|&(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn each_filter_keeps_the_expected_tokens() {
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
        // Probabilities are renormalized after each filter.
        let both = |c: &mut Candidates| {
            c.keep_top_k(3);
            c.keep_top_p(0.84);
        };
        assert_eq!(kept(both), [1, 4]);
    }

    #[test]
    fn penalty_lowers_positive_and_negative_logits() {
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
    fn only_the_last_tokens_are_recent() {
        let table: [(usize, &[u32], &[u32]); 5] = [
            (0, &[1, 2], &[]),
            (2, &[1], &[1]),
            (2, &[1, 2, 3], &[2, 3]),
            (2, &[3, 3, 3, 1], &[1, 3]),
            (3, &[5, 5, 5, 6, 7, 8], &[6, 7, 8]),
        ];
        for (last_n, tokens, expected) in table {
            let mut recent = RecentTokens::new(last_n);
            tokens.iter().for_each(|&token| recent.push(token));
            let mut found: Vec<u32> = recent.tokens().collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{last_n} of {tokens:?}");
        }
    }

    #[test]
    fn penalty_prevents_repetition() {
        let greedy = |penalty, last_n| Sampling {
            repetition: Some(Repetition { penalty, last_n }),
            choice: Choice::Greedy,
        };
        let generate = |sampling| {
            let mut sampler = Sampler::new(sampling, 0);
            sampler.observe(&[4, 0]);
            let mut tokens = Vec::new();
            for _ in 0..4 {
                tokens.push(sampler.choose(&mut LOGITS.clone(), |_| true).unwrap());
            }
            tokens
        };
        assert_eq!(generate(greedy(1.0, 9)), [1, 1, 1, 1]);
        assert_eq!(generate(greedy(100.0, 9)), [1, 3, 1, 1]);
        assert_eq!(generate(greedy(100.0, 1)), [1, 4, 1, 4]);
    }

    #[test]
    fn draws_follow_probabilities() {
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
            let mut sampler = Sampler::new(sampling, 1);
            let mut counts = [0.0; 5];
            for _ in 0..40_000 {
                let chosen = sampler.choose(&mut LOGITS.clone(), |_| true).unwrap();
                counts[chosen as usize] += 1.0 / 40_000.0;
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
    fn argmax_is_the_first_of_equals_and_ignores_nan() {
        assert_eq!(argmax_token(&LOGITS), 1);
        assert_eq!(argmax_token(&[f32::NAN, 1.0, 2.0]), 2);
        let empty = Candidates::new(&[f32::NAN, NONE], NONE);
        assert_eq!(empty.draw(1.0, 0.5), None);
    }

    #[test]
    fn ends_of_the_unit_interval_draw_the_first_and_last() {
        let candidates = Candidates::new(&LOGITS, NONE);
        assert_eq!(candidates.draw(1.0, 0.0), Some(0));
        assert_eq!(candidates.draw(1.0, 0.999_999_999), Some(4));
        assert_eq!(draw(&[0.0, 1.0, 0.0, 2.0, 0.0], 0.0), Some(1));
        assert_eq!(draw(&[0.0, 1.0, 0.0, 2.0, 0.0], 1.0), Some(3));
        assert_eq!(draw(&[0.0, 0.0], 0.5), None);
    }

    #[test]
    fn only_allowed_tokens_are_chosen() {
        let choices = [None, Some(3)].map(|top_k| Choice::Random {
            top_k,
            top_p: None,
            min_p: None,
            temperature: 1.0,
        });
        let logits: Vec<f32> = (0..500).map(|id| (id % 7) as f32).collect();
        for choice in choices.into_iter().chain([Choice::Greedy]) {
            let sampling = Sampling {
                repetition: None,
                choice,
            };
            let mut sampler = Sampler::new(sampling, 1);
            let mut choose = |logits: &[f32], allows: fn(u32) -> bool| {
                sampler.choose(&mut logits.to_vec(), allows)
            };
            // After one refusal, after very many, and where nothing is left.
            let some = choose(&logits, |id| id % 7 != 6).unwrap();
            assert_ne!(some % 7, 6, "{choice:?}");
            assert_eq!(choose(&logits, |id| id == 3), Some(3), "{choice:?}");
            assert_eq!(choose(&logits, |_| false), None, "{choice:?}");
            assert_eq!(choose(&[NONE, NONE], |_| true), None, "{choice:?}");
            assert_eq!(choose(&[f32::NAN], |_| true), None, "{choice:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn stricter_filters_keep_a_part(
            logits in prop::collection::vec(prop_oneof![Just(NONE), Just(1.0), -1e3f32..1e3], 1..40),
            k in prop::array::uniform2(1usize..50),
            p in prop::array::uniform2(1e-6f32..1.0),
        ) {
            let kept = |filter: &dyn Fn(&mut Candidates)| {
                let mut candidates = Candidates::new(&logits, NONE);
                filter(&mut candidates);
                let ids = candidates.tokens.iter().map(|&(id, _)| id);
                ids.collect::<std::collections::BTreeSet<u32>>()
            };
            let (few, more) = (k[0].min(k[1]), k[0].max(k[1]));
            let (low, high) = (p[0].min(p[1]), p[0].max(p[1]));
            let top_k = |k: usize| kept(&|c| c.keep_top_k(k));
            let top_p = |p: f32| kept(&|c| c.keep_top_p(p));
            let min_p = |p: f32| kept(&|c| c.keep_min_p(p));
            prop_assert!(top_k(few).is_subset(&top_k(more)));
            prop_assert!(top_p(low).is_subset(&top_p(high)));
            prop_assert!(min_p(high).is_subset(&min_p(low)));
            let mut all = Candidates::new(&logits, NONE);
            all.keep_min_p(low);
            prop_assert_eq!(all, Candidates::new(&logits, highest(&logits) + low.ln()));
            let any = logits.iter().any(|&logit| logit > NONE);
            prop_assert_eq!(any, !top_k(few).is_empty());
            prop_assert_eq!(any, !top_p(low).is_empty());
            prop_assert_eq!(any, !min_p(high).is_empty());
        }
    }
}

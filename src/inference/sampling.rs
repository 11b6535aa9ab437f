/*!
From logits to a token: pure functions, and one generator of randomness that belongs to the caller.
*/

use rand::{Rng, RngCore};

/// How the next token is chosen. What makes no sense cannot be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// The likeliest, always.
    Greedy,
    /// At random.
    Random {
        /// Below 1 the likely become likelier, above 1 less so; above 0.
        temperature: f32,
        /// Only so many of the likeliest, if given.
        top_k: Option<usize>,
        /// Only the likeliest that together have this probability, in (0, 1], if given.
        top_p: Option<f32>,
    },
}

/// Chooses a token. Logits of minus infinity are never chosen.
pub fn sample(logits: &[f32], sampling: Sampling, random: &mut impl RngCore) -> u32 {
    match sampling {
        Sampling::Greedy => likeliest(logits),
        Sampling::Random {
            temperature,
            top_k,
            top_p,
        } => {
            let mut candidates = Candidates::new(logits);
            if let Some(k) = top_k {
                candidates.keep_top_k(k);
            }
            if let Some(p) = top_p {
                candidates.keep_top_p(p);
            }
            candidates.draw(temperature, random.random())
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

    /// Keeps the `k` likeliest (Fan et al. 2018).
    pub fn keep_top_k(&mut self, k: usize) {
        if k < self.tokens.len() {
            self.tokens.select_nth_unstable_by(k, likelier_first);
            self.tokens.truncate(k);
        }
    }

    /// Keeps the fewest likeliest whose probabilities sum to `p` or more (Holtzman et al. 2020).
    pub fn keep_top_p(&mut self, p: f32) {
        self.tokens.sort_unstable_by(likelier_first);
        let weights = self.weights(1.0);
        let enough = f64::from(p) * weights.iter().sum::<f64>();
        let mut sum = 0.0;
        let kept = weights.iter().position(|weight| {
            sum += weight;
            sum >= enough
        });
        if let Some(last) = kept {
            self.tokens.truncate(last + 1);
        }
    }

    /// Draws one with softmax(logits / temperature); `uniform` is in [0, 1).
    pub fn draw(&self, temperature: f32, uniform: f64) -> u32 {
        let weights = self.weights(temperature);
        let mut left = uniform * weights.iter().sum::<f64>();
        for (&(id, _), weight) in self.tokens.iter().zip(&weights) {
            left -= weight;
            if left < 0.0 {
                return id;
            }
        }
        // Rounding may leave a crumb; and if nothing was a number, the first token is as good as any.
        self.tokens
            .iter()
            .zip(&weights)
            .rfind(|(_, weight)| **weight > 0.0)
            .map_or(0, |(&(id, _), _)| id)
    }

    /// Unnormalised probabilities.
    fn weights(&self, temperature: f32) -> Vec<f64> {
        let highest = self
            .tokens
            .iter()
            .map(|&(_, logit)| logit)
            .fold(f32::NEG_INFINITY, f32::max);
        self.tokens
            .iter()
            .map(|&(_, logit)| f64::from((logit - highest) / temperature).exp())
            .collect()
    }
}

/// Equal logits in the order of their ids, so that no sort's whim decides.
fn likelier_first(a: &(u32, f32), b: &(u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const LOGITS: [f32; 5] = [1.0, 3.0, f32::NEG_INFINITY, 2.0, 3.0];

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
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for temperature in [0.5f32, 1.0, 2.0] {
            let sampling = Sampling::Random {
                temperature,
                top_k: None,
                top_p: None,
            };
            let mut counts = [0.0; 5];
            for _ in 0..40_000 {
                counts[sample(&LOGITS, sampling, &mut random) as usize] += 1.0 / 40_000.0;
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
        assert_eq!(
            Candidates::new(&[f32::NAN, f32::NEG_INFINITY]).draw(1.0, 0.5),
            0
        );
    }

    #[test]
    fn the_edges_of_the_unit_interval_choose_the_ends() {
        let candidates = Candidates::new(&LOGITS);
        assert_eq!(candidates.draw(1.0, 0.0), 0);
        assert_eq!(candidates.draw(1.0, 0.999_999_999), 4);
    }
}

/*!
The tokens that take part in the softmax of a training step. With a large vocabulary these are not all, but the targets of
the window and others, drawn by their frequency. Each logit is corrected by the token's probability of taking part, so that
what is learnt is the softmax over all (importance sampling: Bengio and Senécal 2008; one sample for a window: Jean et al.
2015).
*/

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Frequent tokens are drawn less than in proportion, as by Mikolov et al. (2013).
const POWER: f64 = 0.75;

/// The tokens of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct SampledTokens {
    /// In ascending order; every target is among them.
    pub tokens: Vec<u32>,
    /// What is subtracted from the logit of each: the logarithm of its probability of taking part.
    pub corrections: Vec<f32>,
}

impl SampledTokens {
    /// The positions of targets among the tokens.
    ///
    /// # Panics
    /// If a target does not take part.
    pub fn positions(&self, targets: &[u32]) -> Vec<u32> {
        let position = |target| {
            self.tokens
                .binary_search(target)
                .expect("targets take part")
        };
        targets
            .iter()
            .map(|target| position(target) as u32)
            .collect()
    }
}

/// The probability of each token of the vocabulary to take part in a step, `[vocab_size]`.
pub struct SampledSoftmax {
    /// Probability of being drawn, whether or not it is a target.
    drawn: Vec<f64>,
    /// Logarithms of the probability of being drawn or a target.
    corrections: Vec<f32>,
}

impl SampledSoftmax {
    /// Probabilities for tokens of these counts, such that about `count` of them take part in a step of `targets` targets.
    pub fn new(counts: &[u64], targets: usize, count: usize) -> Self {
        let total = counts.iter().sum::<u64>().max(1) as f64;
        let frequencies: Vec<f64> = counts.iter().map(|&n| (n as f64 + 1.0) / total).collect();
        let absent = |frequency: f64, draws: f64| {
            (-(frequency * targets as f64) - draws * frequency.powf(POWER)).exp()
        };
        let expected =
            |draws: f64| -> f64 { frequencies.iter().map(|&f| 1.0 - absent(f, draws)).sum() };
        let draws = least_above(|draws| expected(draws) >= count as f64);
        SampledSoftmax {
            drawn: frequencies
                .iter()
                .map(|f| 1.0 - (-draws * f.powf(POWER)).exp())
                .collect(),
            corrections: frequencies
                .iter()
                .map(|&f| (1.0 - absent(f, draws)).ln() as f32)
                .collect(),
        }
    }

    /// The tokens of a step with these targets; the seed decides which others there are.
    pub fn draw(&self, targets: &[u32], seed: u64) -> SampledTokens {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // Apart from the random numbers for dropout and resets.
        random.set_stream(3);
        let mut takes_part: Vec<bool> = self
            .drawn
            .iter()
            .map(|&probability| f64::from(random.random::<f32>()) < probability)
            .collect();
        for &target in targets {
            takes_part[target as usize] = true;
        }
        let numbered = (0u32..).zip(takes_part).zip(&self.corrections);
        let (tokens, corrections) = numbered
            .filter(|((_, takes_part), _)| *takes_part)
            .map(|((token, _), &correction)| (token, correction))
            .unzip();
        SampledTokens {
            tokens,
            corrections,
        }
    }
}

/// About the least number from which on something holds, by bisection; a large one if it never does.
fn least_above(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while !holds(high) && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_the_asked_number_takes_part_and_every_target() {
        let counts: Vec<u64> = (1..=20_000u64).map(|rank| 1_000_000 / rank).collect();
        let softmax = SampledSoftmax::new(&counts, 1000, 4000);
        let targets: Vec<u32> = (0..1000).map(|i| i * i % 20_000).collect();
        let sizes: Vec<usize> = (0..20)
            .map(|seed| {
                let SampledTokens {
                    tokens,
                    corrections,
                } = softmax.draw(&targets, seed);
                assert!(tokens.is_sorted_by(|a, b| a < b));
                assert_eq!(tokens.len(), corrections.len());
                assert!(targets.iter().all(|t| tokens.binary_search(t).is_ok()));
                assert!(corrections.iter().all(|&c| c <= 0.0));
                tokens.len()
            })
            .collect();
        // Made-up targets are rarer than the counts say, so that some more take part.
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((3800..4900).contains(&mean), "{mean}");
    }

    #[test]
    fn the_corrected_sum_estimates_that_of_all_tokens() {
        // Σ exp(logit - correction) over those that take part, against Σ exp(logit) over all.
        let counts: Vec<u64> = (1..=2000u64).map(|rank| 100_000 / rank).collect();
        let total: u64 = counts.iter().sum();
        let softmax = SampledSoftmax::new(&counts, 100, 600);
        let logit = |token: u32| f64::from(token * 7919 % 13) / 6.0;
        let all: f64 = (0..2000).map(|token| logit(token).exp()).sum();
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let mut sum = 0.0;
        for seed in 0..400 {
            let target = |_| {
                let mut place = random.random_range(0..total);
                let found = counts.iter().position(|&count| {
                    let here = place < count;
                    place = place.saturating_sub(count);
                    here
                });
                found.unwrap() as u32
            };
            let targets: Vec<u32> = (0..100).map(target).collect();
            let drawn = softmax.draw(&targets, seed);
            let pairs = drawn.tokens.iter().zip(&drawn.corrections);
            sum += pairs
                .map(|(&token, &correction)| (logit(token) - f64::from(correction)).exp())
                .sum::<f64>();
        }
        let mean = sum / 400.0;
        assert!((mean / all - 1.0).abs() < 0.02, "{mean} {all}");
    }

    #[test]
    fn all_take_part_where_there_are_few() {
        let softmax = SampledSoftmax::new(&[5, 3, 2], 2, 100);
        let drawn = softmax.draw(&[1], 1);
        assert_eq!(drawn.tokens, [0, 1, 2]);
        assert!(drawn.corrections.iter().all(|c| c.abs() < 1e-6));
    }
}

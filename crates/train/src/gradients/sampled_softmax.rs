/*!
Which symbols compete with the right one in a training step: with a large vocabulary not all of them, but those that are right
somewhere in the window, and others drawn by how frequent they are. Each one's logit is corrected by how likely it takes part,
so that what is learnt is the softmax over all (importance sampling: Bengio and Senécal 2008; shared by a window: Jean et al.
2015).
*/

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Frequent symbols are drawn less than in proportion, as Mikolov et al. (2013) do.
const POWER: f64 = 0.75;

/// The symbols of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidates {
    /// In ascending order; every target is among them.
    pub symbols: Vec<u32>,
    /// What is taken from the logit of each: the logarithm of how likely it takes part.
    pub corrections: Vec<f32>,
}

/// How likely each symbol takes part in a step.
pub struct Shares {
    /// Drawn, whether or not it is a target.
    drawn: Vec<f64>,
    /// Drawn or a target.
    corrections: Vec<f32>,
}

impl Shares {
    /// Shares for symbols of these counts, such that about `count` of them take part in a step of so many targets.
    pub fn new(counts: &[u64], targets: usize, count: usize) -> Self {
        let total = counts.iter().sum::<u64>().max(1) as f64;
        let frequencies = counts.iter().map(|&n| (n as f64 + 1.0) / total);
        let frequencies: Vec<f64> = frequencies.collect();
        let absent = |frequency: f64, draws: f64| {
            (-(frequency * targets as f64) - draws * frequency.powf(POWER)).exp()
        };
        let expected =
            |draws: f64| -> f64 { frequencies.iter().map(|&f| 1.0 - absent(f, draws)).sum() };
        // More draws make more candidates, up to all of them.
        let (mut few, mut many) = (0.0, 1.0);
        while expected(many) < count as f64 && many < 1e12 {
            many *= 2.0;
        }
        for _ in 0..60 {
            let middle = 0.5 * (few + many);
            if expected(middle) < count as f64 {
                few = middle;
            } else {
                many = middle;
            }
        }
        let drawn = frequencies
            .iter()
            .map(|f| 1.0 - (-many * f.powf(POWER)).exp());
        let corrections = frequencies
            .iter()
            .map(|&f| (1.0 - absent(f, many)).ln() as f32);
        Shares {
            drawn: drawn.collect(),
            corrections: corrections.collect(),
        }
    }

    /// The candidates of a step with these targets; the seed decides which others there are.
    pub fn draw(&self, targets: &[u32], seed: u64) -> Candidates {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // Numbers of their own, besides those that decide what is dropped and forgotten.
        random.set_stream(3);
        let mut takes_part: Vec<bool> = self
            .drawn
            .iter()
            .map(|&share| f64::from(random.random::<f32>()) < share)
            .collect();
        for &target in targets {
            takes_part[target as usize] = true;
        }
        let numbered = (0u32..).zip(takes_part).zip(&self.corrections);
        let (symbols, corrections) = numbered
            .filter(|((_, takes_part), _)| *takes_part)
            .map(|((symbol, _), &correction)| (symbol, correction))
            .unzip();
        Candidates {
            symbols,
            corrections,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_take_part_as_asked_and_all_targets_do() {
        let counts: Vec<u64> = (1..=20_000u64).map(|rank| 1_000_000 / rank).collect();
        let shares = Shares::new(&counts, 1000, 4000);
        let targets: Vec<u32> = (0..1000).map(|i| i * i % 20_000).collect();
        let sizes: Vec<usize> = (0..20)
            .map(|seed| {
                let Candidates {
                    symbols,
                    corrections,
                } = shares.draw(&targets, seed);
                assert!(symbols.is_sorted_by(|a, b| a < b));
                assert_eq!(symbols.len(), corrections.len());
                assert!(targets.iter().all(|t| symbols.binary_search(t).is_ok()));
                assert!(corrections.iter().all(|&c| c <= 0.0));
                symbols.len()
            })
            .collect();
        // Made-up targets are rarer than the counts say, so that some more take part.
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((3800..4900).contains(&mean), "{mean}");
    }

    #[test]
    fn the_corrected_sum_is_that_of_all_symbols() {
        // Σ exp(logit - correction) over those that take part, against Σ exp(logit) over all.
        let counts: Vec<u64> = (1..=2000u64).map(|rank| 100_000 / rank).collect();
        let total: u64 = counts.iter().sum();
        let shares = Shares::new(&counts, 100, 600);
        let logit = |symbol: u32| f64::from(symbol * 7919 % 13) / 6.0;
        let all: f64 = (0..2000).map(|symbol| logit(symbol).exp()).sum();
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
            let drawn = shares.draw(&targets, seed);
            let pairs = drawn.symbols.iter().zip(&drawn.corrections);
            sum += pairs
                .map(|(&symbol, &correction)| (logit(symbol) - f64::from(correction)).exp())
                .sum::<f64>();
        }
        let mean = sum / 400.0;
        assert!((mean / all - 1.0).abs() < 0.02, "{mean} {all}");
    }

    #[test]
    fn all_take_part_where_there_are_no_more() {
        let shares = Shares::new(&[5, 3, 2], 2, 100);
        let drawn = shares.draw(&[1], 1);
        assert_eq!(drawn.symbols, [0, 1, 2]);
        assert!(drawn.corrections.iter().all(|c| c.abs() < 1e-6));
    }
}

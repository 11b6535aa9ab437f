/*!
The learning rate over a budget.
*/

use carousel::checkpoint::arguments::Schedule;
use carousel::checkpoint::record::TrainingConfig;

/// Fraction of the highest learning rate that the cosine and the linear schedule end at.
const FINAL_FRACTION: f64 = 0.01;
/// Smallest fraction of the highest learning rate during the warm-up: a rate of zero would waste the first step.
const MIN_WARMUP_FRACTION: f64 = 0.02;
/// Factor of the learning rate at a plateau.
pub const PLATEAU_FACTOR: f64 = 0.5;
/// Number of evaluations in a row without improvement that make a plateau.
pub const PLATEAU_EVALUATIONS: u64 = 2;

/// Learning rate when the fraction `progress` of the budget is spent: a linear warm-up, then the schedule (cosine: Loshchilov
/// and Hutter 2017; linear: Defazio et al. 2023). `scale` is the product of the factors of plateaus and rescues so far.
pub fn learning_rate(training: &TrainingConfig, progress: f64, scale: f64) -> f64 {
    let highest = training.learning_rate * scale;
    let progress = progress.clamp(0.0, 1.0);
    if progress < training.warmup {
        return highest * (progress / training.warmup).max(MIN_WARMUP_FRACTION);
    }
    let decayed = (progress - training.warmup) / (1.0 - training.warmup).max(f64::MIN_POSITIVE);
    let remaining = match training.schedule {
        Schedule::Constant | Schedule::Plateau => return highest,
        Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * decayed).cos()),
        Schedule::Linear => 1.0 - decayed,
    };
    highest * (FINAL_FRACTION + (1.0 - FINAL_FRACTION) * remaining)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate_at(schedule: Schedule, progress: f64) -> f64 {
        let training = TrainingConfig {
            learning_rate: 2.0,
            schedule,
            warmup: 0.1,
            ..crate::network::testing::training(1)
        };
        learning_rate(&training, progress, 0.5)
    }

    #[test]
    fn learning_rates_follow_warm_up_and_schedule() {
        let table = [
            (
                Schedule::Cosine,
                [0.02, 0.5, 1.0, 0.855_017_856_687_341, 0.505, 0.01, 0.01],
            ),
            (
                Schedule::Linear,
                [0.02, 0.5, 1.0, 0.752_5, 0.505, 0.01, 0.01],
            ),
            (Schedule::Constant, [0.02, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
            (Schedule::Plateau, [0.02, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ];
        for (schedule, expected) in table {
            let progress = [0.0, 0.05, 0.1, 0.325, 0.55, 1.0, 1.5];
            for (progress, expected) in progress.into_iter().zip(expected) {
                let rate = rate_at(schedule, progress);
                assert!(
                    (rate - expected).abs() < 1e-9,
                    "{schedule:?} {progress}: {rate} instead of {expected}"
                );
            }
        }
    }
}

/*!
The learning rate over a budget.
*/

use carousel::checkpoint::arguments::Schedule;
use carousel::checkpoint::record::TrainingConfig;

/// The share of the highest learning rate that the cosine and the line end at.
const LAST: f64 = 0.01;
/// What a plateau multiplies the learning rate by.
pub const PLATEAU_FACTOR: f64 = 0.5;
/// Evaluations without a better one that make a plateau.
pub const PLATEAU_EVALUATIONS: u64 = 2;

/// The learning rate when `progress` of the budget, from 0 to 1, is spent: a linear rise over the warm-up, then the
/// schedule (cosine: Loshchilov and Hutter 2017; linear: Defazio et al. 2023). `scale` is what plateaus and rescues have made
/// of it.
pub fn learning_rate(training: &TrainingConfig, progress: f64, scale: f64) -> f64 {
    let highest = training.learning_rate * scale;
    let progress = progress.clamp(0.0, 1.0);
    if progress < training.warmup {
        // Never zero: the first step of a run should learn something.
        return highest * (progress / training.warmup).max(0.02);
    }
    let along = (progress - training.warmup) / (1.0 - training.warmup).max(f64::MIN_POSITIVE);
    let left = match training.schedule {
        Schedule::Constant | Schedule::Plateau => return highest,
        Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * along).cos()),
        Schedule::Linear => 1.0 - along,
    };
    highest * (LAST + (1.0 - LAST) * left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(schedule: Schedule, progress: f64) -> f64 {
        let training = TrainingConfig {
            learning_rate: 2.0,
            schedule,
            warmup: 0.1,
            ..crate::network::testing::training(1)
        };
        learning_rate(&training, progress, 0.5)
    }

    #[test]
    fn the_rate_rises_and_falls_as_its_schedule_says() {
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
                let rate = at(schedule, progress);
                assert!(
                    (rate - expected).abs() < 1e-9,
                    "{schedule:?} {progress}: {rate} is not {expected}"
                );
            }
        }
    }
}

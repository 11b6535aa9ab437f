/*!
How long to train.
*/

use std::time::Duration;

use carousel::checkpoint::arguments::TrainArguments;
use carousel::checkpoint::record::Budget;
use carousel::error::{Error, Result};

/// The default budget.
const DEFAULT_TIME: Duration = Duration::from_secs(180);
/// Largest number of evaluations in a budget of steps or epochs.
pub const EVALUATIONS: u64 = 20;

/// Number of runs of a command: one for each fold of cross-validation, if it was asked for, and one of all data.
pub fn runs(arguments: &TrainArguments) -> usize {
    arguments.folds.unwrap_or(0) + 1
}

/// When training ends; each of several runs has the same budget, of steps or epochs the one that was given, of time its part
/// of it.
///
/// # Errors
/// An empty budget.
pub fn budget(arguments: &TrainArguments) -> Result<Budget> {
    let budget = match (arguments.time, arguments.epochs, arguments.steps) {
        (_, Some(epochs), _) => Budget::Epochs(epochs),
        (_, _, Some(steps)) => Budget::Steps(steps),
        (time, None, None) => {
            let whole = time.unwrap_or(DEFAULT_TIME).as_secs_f64();
            Budget::Seconds(whole / runs(arguments) as f64)
        }
    };
    match budget {
        Budget::Epochs(n) if !(n > 0.0 && n <= 1e9) => Err(Error::usage(format!(
            "--epochs {n} is no budget; give a number above 0"
        ))),
        Budget::Steps(0) => Err(Error::usage("--steps 0 is no budget; give 1 or more")),
        Budget::Seconds(s) if s <= 0.0 => {
            Err(Error::usage("--time 0 is no budget; give 30s, 2m, 1h …"))
        }
        budget => Ok(budget),
    }
}

/// Number of steps between two evaluations of a classifier whose budget is `steps`.
pub fn between_evaluations(steps: u64) -> u64 {
    steps.div_ceil(EVALUATIONS).max(1)
}

/// Number of steps of a budget; `None` for a time budget.
pub fn total_steps(budget: &Budget, steps_in_pass: usize) -> Option<u64> {
    match *budget {
        Budget::Steps(steps) => Some(steps),
        Budget::Epochs(epochs) => Some(((epochs * steps_in_pass as f64).round() as u64).max(1)),
        Budget::Seconds(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_share_the_time_but_not_the_steps() {
        let asked = |folds, time: Option<u64>, steps| TrainArguments {
            folds,
            time: time.map(Duration::from_secs),
            steps,
            ..TrainArguments::default()
        };
        let table = [
            (asked(None, Some(60), None), Budget::Seconds(60.0)),
            (asked(Some(5), Some(60), None), Budget::Seconds(10.0)),
            (asked(Some(5), None, None), Budget::Seconds(30.0)),
            (asked(Some(5), None, Some(60)), Budget::Steps(60)),
        ];
        for (arguments, expected) in table {
            assert_eq!(budget(&arguments).unwrap(), expected);
        }
    }
}

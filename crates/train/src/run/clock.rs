/*!
Decisions by the clock: when to evaluate, save, stop and rescue, as pure functions of a run's numbers. Processes that train
together can take the same decisions from the same numbers.
*/

use crate::recipe;
use carousel::checkpoint::record::{Budget, Finish};

/// Longest time between two saves of the state, in seconds.
const SAVE_AT_LEAST: f64 = 50.0;
/// Shortest time between a save and another one at the end of a pass: in seconds, and in multiples of what a save takes.
const SAVE_AT_MOST: f64 = 5.0;
const SAVE_COST: f64 = 60.0;
/// Number of rescues before a run is given up.
pub const MOST_RESCUES: u64 = 5;
/// Number of steps in a row with a loss far above the recent one that count as an explosion. A single one may be due to
/// the text.
const JUMPS: u64 = 10;
/// Number of steps at the beginning of a run in which no loss counts as a jump.
const SETTLED: u64 = 20;
/// Factor of the learning rate at each rescue.
const RESCUE_FACTOR: f64 = 0.5;
/// Fraction of a time budget that evaluations may take, and the smallest and largest number of them.
const EVALUATION_FRACTION: f64 = 0.03;
const EVALUATIONS: (f64, f64) = (4.0, 20.0);

/// A run's numbers at one moment: all that decisions depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// When training is to end.
    pub budget: Budget,
    /// Steps between evaluations; a time budget ignores it.
    pub evaluate_every: u64,
    /// Evaluations without a better one before training stops; 0 for never.
    pub patience: u64,
    /// Steps of a pass over the training data.
    pub steps_in_pass: usize,
    /// Tokens of a step.
    pub tokens_in_step: usize,
    /// Tokens that an evaluation reads.
    pub valid_tokens: usize,
    /// Tokens that are read once more, after the last evaluation.
    pub tokens_at_end: usize,
    /// Steps taken.
    pub step: u64,
    /// Steps taken of the current pass.
    pub step_of_pass: usize,
    /// The step of the last evaluation, if there was one.
    pub evaluated_at: Option<u64>,
    /// Evaluations since the best one.
    pub without_better: u64,
    /// Seconds that the run has taken, interruptions left out.
    pub seconds: f64,
    /// Seconds since the last save.
    pub since_save: f64,
    /// Seconds that the last save took.
    pub save_seconds: f64,
    /// Seconds that the last evaluation took with its save; 0 before the first.
    pub evaluation_seconds: f64,
    /// Recent training speed.
    pub tokens_per_second: f64,
    /// The fraction of a time budget at which the next evaluation is due.
    pub next_evaluation: f64,
}

impl Moment {
    /// The fraction of the budget that is spent. A time budget keeps some back for the last evaluation and save, and for what
    /// is read after it.
    pub fn spent(&self) -> f64 {
        match self.budget {
            Budget::Seconds(budget) => {
                let evaluation = self.expected_evaluation_seconds();
                let at_end = self.tokens_at_end as f64 / self.valid_tokens.max(1) as f64;
                let reserve = 1.3 * evaluation * (1.0 + at_end) + 0.3;
                self.seconds / (budget - reserve).max(budget * 0.1)
            }
            _ => self.step as f64 / self.total_steps() as f64,
        }
    }

    /// Steps of the budget; of a time budget, as many as the speed allows.
    pub fn total_steps(&self) -> u64 {
        recipe::total_steps(&self.budget, self.steps_in_pass).unwrap_or_else(|| match self.budget {
            Budget::Seconds(seconds) => {
                let left = (seconds - self.seconds).max(0.0);
                self.step + (left * self.tokens_per_second / self.tokens_in_step as f64) as u64
            }
            _ => 0,
        })
    }

    /// Seconds left of the budget; an estimate, unless it is a time budget.
    pub fn seconds_left(&self) -> f64 {
        let left = match self.budget {
            Budget::Seconds(budget) => budget - self.seconds,
            _ => self.steps_left() as f64 * self.tokens_in_step as f64 / self.tokens_per_second,
        };
        left.max(0.0)
    }

    fn steps_left(&self) -> u64 {
        self.total_steps().saturating_sub(self.step)
    }

    /// Seconds that the next evaluation will take with its save; an upper estimate before the first.
    pub fn expected_evaluation_seconds(&self) -> f64 {
        match self.evaluation_seconds {
            // An upper estimate: reading a token costs less than half of training on it.
            0.0 => self.valid_tokens as f64 / (2.0 * self.tokens_per_second).max(1.0) + 0.2,
            measured => measured,
        }
    }

    /// Whether an evaluation is due after this step.
    pub fn evaluates(&self) -> bool {
        match self.budget {
            Budget::Seconds(_) => self.spent() >= self.next_evaluation.min(1.0),
            _ => {
                let pass_is_long = self.steps_in_pass as u64 > self.evaluate_every;
                let end_of_pass = self.step_of_pass == 0 && pass_is_long;
                end_of_pass
                    || self.step.is_multiple_of(self.evaluate_every)
                    || self.steps_left() == 0
            }
        }
    }

    /// Steps to take before the next decision that may be due, at most so many.
    pub fn steps_to_decision(&self, most: u64) -> u64 {
        (1..most)
            .find(|&steps| self.after(steps).evaluates())
            .unwrap_or(most)
    }

    /// The fraction of the budget that a step takes.
    pub fn spent_by_step(&self) -> f64 {
        self.after(1).spent() - self.spent()
    }

    /// The moment after some more steps, as far as it can be foreseen.
    fn after(&self, steps: u64) -> Moment {
        let seconds = (steps as usize * self.tokens_in_step) as f64 / self.tokens_per_second;
        Moment {
            step: self.step + steps,
            step_of_pass: (self.step_of_pass + steps as usize) % self.steps_in_pass,
            seconds: self.seconds + seconds,
            since_save: self.since_save + seconds,
            ..*self
        }
    }

    /// The fraction of a time budget at which the next evaluation is worth its cost.
    pub fn next_evaluation_at(&self) -> f64 {
        let Budget::Seconds(budget) = self.budget else {
            return 1.0;
        };
        let (least, most) = EVALUATIONS;
        let affordable = EVALUATION_FRACTION * budget / self.expected_evaluation_seconds();
        let count = affordable.clamp(least, most);
        let next = self.spent() + 1.0 / count;
        // An evaluation shortly before the last one would not be worth its cost.
        if next > 1.0 - 0.5 / count { 1.0 } else { next }
    }

    /// Tokens that an evaluation may read with a time budget at most; `None` if there is no limit.
    pub fn affordable_valid_tokens(&self) -> Option<usize> {
        match self.budget {
            Budget::Seconds(budget) if self.step == 0 => {
                Some((EVALUATION_FRACTION * budget * 2.0 * self.tokens_per_second) as usize)
            }
            _ => None,
        }
    }

    /// Whether the state should be saved after this step.
    pub fn saves(&self) -> bool {
        let worth_its_cost = self.since_save >= SAVE_AT_MOST.max(self.save_seconds * SAVE_COST);
        self.since_save >= SAVE_AT_LEAST || (self.step_of_pass == 0 && worth_its_cost)
    }

    /// Whether and why the run is over. It ends with an evaluation, so that its last weights are considered too.
    pub fn finish(&self) -> Option<Finish> {
        if self.patience > 0 && self.without_better >= self.patience {
            return Some(Finish::Patience);
        }
        let spent = match self.budget {
            Budget::Seconds(_) => self.spent() >= 1.0,
            _ => self.steps_left() == 0,
        };
        (spent && self.evaluated_at == Some(self.step)).then_some(Finish::Budget)
    }
}

/// Steps in a row with a loss far above the recent one, after one more loss.
pub fn jumps(before: u64, step: u64, recent_loss: f64, loss: f64) -> u64 {
    if step >= SETTLED && is_far_above(loss, recent_loss) {
        before + 1
    } else {
        0
    }
}

/// Whether a loss is so far above another one that it cannot be due to the text.
pub fn is_far_above(loss: f64, other: f64) -> bool {
    loss > 2.0 * other + 2.0
}

/// Whether a run needs a rescue.
pub fn explodes(loss: f64, jumps: u64) -> bool {
    !loss.is_finite() || jumps >= JUMPS
}

/// The number of rescues and the scale of the learning rate after another rescue; `None` if the run is given up.
pub fn rescue(rescues: u64, scale: f64) -> Option<(u64, f64)> {
    (rescues < MOST_RESCUES).then_some((rescues + 1, scale * RESCUE_FACTOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: Moment = Moment {
        budget: Budget::Steps(100),
        evaluate_every: 30,
        patience: 0,
        steps_in_pass: 40,
        tokens_in_step: 1000,
        valid_tokens: 10_000,
        tokens_at_end: 0,
        step: 7,
        step_of_pass: 7,
        evaluated_at: None,
        without_better: 0,
        seconds: 1.0,
        since_save: 1.0,
        save_seconds: 0.01,
        evaluation_seconds: 0.0,
        tokens_per_second: 5000.0,
        next_evaluation: 1.0,
    };
    const TIME: Moment = Moment {
        budget: Budget::Seconds(100.0),
        evaluation_seconds: 1.0,
        next_evaluation: 0.3,
        ..STEPS
    };

    #[test]
    fn steps_without_a_decision_are_foreseen() {
        // The next evaluation is at the end of the interval of 30 steps, of the pass of 40, of the budget of 100.
        assert_eq!(STEPS.steps_to_decision(50), 23);
        assert_eq!(STEPS.steps_to_decision(20), 20);
        let moment = |step, step_of_pass| Moment {
            step,
            step_of_pass,
            ..STEPS
        };
        assert_eq!(moment(35, 35).steps_to_decision(50), 5);
        assert_eq!(moment(93, 13).steps_to_decision(50), 7);
        assert!((STEPS.spent_by_step() - 0.01).abs() < 1e-12);
        // A step takes 0.2 seconds, and the next evaluation is due after 30 of about 98.
        let steps = TIME.steps_to_decision(1000) as f64;
        assert!((140.0..=146.0).contains(&steps), "{steps}");
    }

    #[test]
    fn decisions_follow_from_the_numbers() {
        // A name, the moment, and whether it evaluates, whether it saves, and why it finishes.
        let table = [
            ("on the way", STEPS, (false, false, None)),
            (
                "the interval between evaluations",
                Moment {
                    step: 60,
                    step_of_pass: 20,
                    ..STEPS
                },
                (true, false, None),
            ),
            (
                "end of a long pass",
                Moment {
                    step: 40,
                    step_of_pass: 0,
                    ..STEPS
                },
                (true, false, None),
            ),
            (
                "end of a short pass",
                Moment {
                    step: 40,
                    step_of_pass: 0,
                    steps_in_pass: 20,
                    ..STEPS
                },
                (false, false, None),
            ),
            (
                "end of a pass that is worth a save",
                Moment {
                    step: 40,
                    step_of_pass: 0,
                    since_save: 5.0,
                    ..STEPS
                },
                (true, true, None),
            ),
            (
                "end of a pass after a slow save",
                Moment {
                    step: 40,
                    step_of_pass: 0,
                    since_save: 5.0,
                    save_seconds: 0.1,
                    ..STEPS
                },
                (true, false, None),
            ),
            (
                "a long time without a save",
                Moment {
                    since_save: 50.0,
                    ..STEPS
                },
                (false, true, None),
            ),
            (
                "the last step",
                Moment {
                    step: 100,
                    step_of_pass: 20,
                    ..STEPS
                },
                (true, false, None),
            ),
            (
                "the last step, evaluated",
                Moment {
                    step: 100,
                    step_of_pass: 20,
                    evaluated_at: Some(100),
                    ..STEPS
                },
                (true, false, Some(Finish::Budget)),
            ),
            (
                "evaluated before the last step",
                Moment {
                    step: 100,
                    step_of_pass: 20,
                    evaluated_at: Some(90),
                    ..STEPS
                },
                (true, false, None),
            ),
            (
                "no better evaluation for long",
                Moment {
                    patience: 3,
                    without_better: 3,
                    ..STEPS
                },
                (false, false, Some(Finish::Patience)),
            ),
            (
                "no patience asked for",
                Moment {
                    without_better: 30,
                    ..STEPS
                },
                (false, false, None),
            ),
            (
                "time left",
                Moment {
                    seconds: 20.0,
                    ..TIME
                },
                (false, false, None),
            ),
            (
                "time for an evaluation",
                Moment {
                    seconds: 30.0,
                    ..TIME
                },
                (true, false, None),
            ),
            (
                "the time is up",
                Moment {
                    seconds: 99.0,
                    ..TIME
                },
                (true, false, None),
            ),
            (
                "the time is up, evaluated",
                Moment {
                    seconds: 99.0,
                    evaluated_at: Some(7),
                    ..TIME
                },
                (true, false, Some(Finish::Budget)),
            ),
        ];
        for (name, moment, expected) in table {
            assert_eq!(
                (moment.evaluates(), moment.saves(), moment.finish()),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn a_time_budget_keeps_time_for_the_last_evaluation() {
        let at = |seconds| Moment { seconds, ..TIME };
        // 1.3 seconds for the evaluation, and 0.3.
        assert_eq!(at(98.4).spent(), 1.0);
        // And twice as many tokens as an evaluation reads after it.
        let tested = Moment {
            tokens_at_end: 20_000,
            ..at(95.8)
        };
        assert!((tested.spent() - 1.0).abs() < 1e-9);
        // Before the first evaluation its cost is a guess: 10,000 tokens at twice the training speed, and 0.2 s.
        let first = Moment {
            evaluation_seconds: 0.0,
            seconds: 98.14,
            ..TIME
        };
        assert!((first.spent() - 1.0).abs() < 1e-9);
        // Never less than a tenth of the budget.
        assert_eq!(
            Moment {
                evaluation_seconds: 500.0,
                seconds: 10.0,
                ..TIME
            }
            .spent(),
            1.0
        );
        assert_eq!(at(40.0).seconds_left(), 60.0);
        assert_eq!(at(40.0).total_steps(), 7 + 300);
    }

    #[test]
    fn evaluations_take_a_small_fraction_of_the_time() {
        let at = |seconds, evaluation_seconds| Moment {
            seconds,
            evaluation_seconds,
            ..TIME
        };
        // Three seconds of a hundred: at least four evaluations, at most twenty.
        let next = at(0.0, 1.0).next_evaluation_at();
        assert_eq!(next, 0.25);
        assert_eq!(at(0.0, 0.001).next_evaluation_at(), 0.05);
        // The next would come shortly before the last.
        assert_eq!(at(70.0, 1.0).next_evaluation_at(), 1.0);
        assert_eq!(STEPS.next_evaluation_at(), 1.0);
        assert_eq!(STEPS.affordable_valid_tokens(), None);
        assert_eq!(
            Moment { step: 0, ..TIME }.affordable_valid_tokens(),
            Some(30_000)
        );
    }

    #[test]
    fn explosions_are_rescued_until_the_run_is_given_up() {
        // One high loss is no explosion, ten in a row are; early losses are not compared.
        assert_eq!(jumps(3, 100, 1.0, 4.1), 4);
        assert_eq!(jumps(3, 100, 1.0, 4.0), 0);
        assert_eq!(jumps(3, 19, 1.0, 400.0), 0);
        assert!(!explodes(400.0, 9) && explodes(400.0, 10));
        assert!(explodes(f64::NAN, 0) && explodes(f64::INFINITY, 0));
        assert_eq!(rescue(0, 1.0), Some((1, 0.5)));
        assert_eq!(rescue(4, 0.1), Some((5, 0.05)));
        assert_eq!(rescue(5, 0.1), None);
    }
}

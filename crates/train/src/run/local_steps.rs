/*!
Steps that each of several processes takes alone, before one of all together: DiLoCo (Douillard et al. 2023), for networks too
slow to send gradients at every step.

Each takes some steps of AdamW on its share of the batches. Then the mean of what these changed is the gradient of a step by
Nesterov's momentum, from where all began, and all go on from there with moments of their own. Evaluations and saves come after
such a step, when all have the same weights; the moments that are saved are those of rank 0.
*/

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tch::Device;

use super::event::{Event, Notify, StepReport};
use super::task::Task;
use super::training::{Run, Taken, step_seed};
use crate::distributed::{self, Decision};
use crate::network::NamedTensors;
use crate::optimizer::schedule::learning_rate;
use carousel::error::Result;

/// Learning rate and momentum of the steps of all together. The paper has 0.7 and 0.9, for long runs with 500 steps between;
/// with 50 these left the loss of two processes on tiny Shakespeare 6 % higher after 2,000 steps (docs/distributed.md).
const OUTER_RATE: f64 = 1.0;
const OUTER_MOMENTUM: f64 = 0.5;

impl<T: Task> Run<T> {
    /// Some steps of each process alone, and one of all together; `None` if a loss exploded or gradients were not finite.
    pub(super) fn local_steps(&mut self, notify: Notify) -> Result<Option<StepReport>> {
        let (moment, began) = (self.moment(), Instant::now());
        let count = moment.steps_to_decision(self.record.training.sync_every);
        let (spent, each) = (moment.spent(), moment.spent_by_step());
        let decision = Decision::LocalSteps { count, spent, each };
        self.world.tell(decision)?;
        let Some(taken) = self.take_local_steps(count, [spent, each], None)? else {
            return Ok(None);
        };
        let (layers, training) = (
            self.state.network.config.last_layers(),
            &self.record.training,
        );
        let step = self.state.counters.step;
        if let Some(note) = self.watch.see(taken.gradient_norm, step, layers, training) {
            notify(Event::Note(note));
        }
        let rate = learning_rate(training, spent, self.state.counters.learning_rate_scale);
        self.count_speed(taken.tokens, began);
        let report = self.report();
        self.write_line(&report, rate, taken.gradient_norm)?;
        Ok(Some(report))
    }

    /// Does the same as every process does it.
    pub(super) fn follow_local_steps(
        &mut self,
        count: u64,
        spent: [f64; 2],
        interrupt: &AtomicBool,
    ) -> Result<()> {
        let taken = self.take_local_steps(count, spent, Some(interrupt));
        taken.map(|_| ())
    }

    /// Takes steps from a fraction of the budget on, each of which takes another fraction.
    fn take_local_steps(
        &mut self,
        count: u64,
        [spent, each]: [f64; 2],
        interrupt: Option<&AtomicBool>,
    ) -> Result<Option<Taken>> {
        let first = self.state.counters.step + 1;
        let before = (self.state.network.parameters).map(|parameter| parameter.detach().copy());
        // The losses of all steps, and then the number of tokens, of processes whose gradients were not finite, and of those
        // that were asked to end.
        let mut numbers = Vec::new();
        let (mut tokens, mut norm) = (0, 0.0);
        for index in 0..count {
            let (loss, read) = self.local_step(spent + index as f64 * each, &mut norm);
            numbers.push(loss);
            tokens += read;
        }
        let asked = interrupt.is_some_and(|interrupt| interrupt.load(Ordering::Relaxed));
        numbers.extend([
            tokens as f64,
            f64::from(u8::from(!norm.is_finite())),
            f64::from(u8::from(asked)),
        ]);
        self.world.sum_numbers(&mut numbers)?;
        let (losses, sums) = numbers.split_at(count as usize);
        self.asked_to_end |= sums[2] > 0.0;
        if sums[1] > 0.0 {
            self.explodes(first, f64::NAN);
            return Ok(None);
        }
        self.step_together(&before)?;
        let (ranks, mut left) = (self.world.share().ranks, sums[0] as usize);
        for (step, loss) in (first..).zip(losses) {
            let loss = loss / ranks as f64;
            if self.explodes(step, loss) {
                return Ok(None);
            }
            self.count(step, loss, std::mem::take(&mut left));
        }
        Ok(Some(Taken {
            gradient_norm: norm,
            tokens: sums[0] as usize,
        }))
    }

    /// One step of this process alone. Returns its loss and tokens, and sets the norm of the gradients, unless one before was
    /// not finite.
    fn local_step(&mut self, spent: f64, norm: &mut f64) -> (f64, usize) {
        let (training, counters) = (&self.record.training, &self.state.counters);
        let rate = learning_rate(training, spent, counters.learning_rate_scale);
        let seed = step_seed(training.seed, counters.step, counters.rescues);
        let window = self.task.step(&mut self.state, training, seed, &self.pool);
        let (loss, tokens) = (window.loss * window.weight, window.tokens);
        if norm.is_finite() {
            *norm = match loss.is_finite() {
                true => self.update(&window, rate, spent),
                false => f64::NAN,
            };
        }
        self.advance(window);
        (loss, tokens)
    }

    /// Gives all processes the averaged weights of rank 0, which are validated and saved: each has averaged its own steps.
    pub(super) fn share_averages(&mut self) -> Result<()> {
        let Some(averages) = &mut self.state.averages else {
            return Ok(());
        };
        tch::no_grad(|| {
            for (_, average) in averages.iter_mut() {
                let mut shared = average.to_device(Device::Cpu);
                self.world.share_tensor(&mut shared)?;
                average.copy_(&shared);
            }
            Ok(())
        })
    }

    /// One step of all processes together, from the weights that each had before its own.
    fn step_together(&mut self, before: &NamedTensors) -> Result<()> {
        let precision = self.record.training.gradient_precision;
        let state = &mut self.state;
        let momentum = state.outer_momentum.as_mut();
        let momentum = momentum.expect("a run with local steps has one");
        let parameters = &mut state.network.parameters;
        tch::no_grad(|| {
            let changes = before.iter();
            let changes = changes.map(|(name, before)| before - parameters.get(name));
            let changes = changes.collect::<Vec<_>>();
            let means = distributed::means(&self.world, &changes, precision)?;
            for ((name, before), change) in before.iter().zip(means) {
                let change = change.to_device(before.device());
                let momentum = momentum.get_mut(name);
                let _ = momentum.g_mul_scalar_(OUTER_MOMENTUM).g_add_(&change);
                let step = (change + &*momentum * OUTER_MOMENTUM) * OUTER_RATE;
                parameters.get_mut(name).copy_(&(before - step));
            }
            Ok(())
        })
    }
}

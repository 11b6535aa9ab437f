/*!
The training loop. It prints nothing: it reports [`Event`]s through one callback.
*/

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::base::Base;
use super::clock::{self, MOST_RESCUES, Moment};
use super::event::{Event, Notify, Plan, StepReport};
use super::explosion::{self, GradientWatch};
use super::report;
use super::resume::Snapshot;
use super::state::TrainingState;
use super::task::{Prepared, Task};
use crate::device;
use crate::distributed::{self, Decision, World};
use crate::gradients::Window;
use crate::network::{Network, State};
use crate::optimizer::schedule::{PLATEAU_EVALUATIONS, PLATEAU_FACTOR, learning_rate};
use crate::optimizer::{AdamW, Update};
use carousel::checkpoint::arguments::Schedule;
use carousel::checkpoint::parts::Head;
use carousel::checkpoint::record::{
    Budget, Evaluation, Figures, Finish, Record, Request, TrainingConfig,
};
use carousel::checkpoint::{Directory, MetricsFile, ModelConfig, WeightsFile};
use carousel::error::{Error, Result};
use carousel::files;
use carousel_kernels::ThreadPool;

/// Number of steps between lines of metrics.jsonl.
const STEPS_A_LINE: u64 = 10;
/// Largest number of steps that the speed is measured on, after one that is not counted, and longest time for them.
const MEASURED_STEPS: usize = 16;
const MEASURED_TIME: Duration = Duration::from_secs(3);

/// Longest evaluation that an interruption waits for, in seconds.
const QUICK_EVALUATION: f64 = 3.0;

/// Note on resuming a run that was interrupted before its state was saved.
pub(super) const RESTARTED: &str = "nothing was saved yet: starting again";

/// Training of one model in one directory.
pub struct Run<T: Task> {
    pub(super) directory: Directory,
    pub(super) record: Record<T::Record>,
    pub(super) task: T,
    pub(super) state: TrainingState,
    pub(super) pool: ThreadPool,
    /// The state that a rescue returns to.
    pub(super) good: Snapshot,
    metrics: MetricsFile,
    clock: Clock,
    resumed_at: u64,
    /// For notes alone: it decides nothing.
    pub(super) watch: GradientWatch,
    /// The loss of the last step.
    last_loss: f64,
    /// The processes that train together.
    pub(super) world: World,
    /// Whether one of the others was asked to end.
    pub(super) asked_to_end: bool,
}

/// What came of a step, or of some: the norm of the last gradients, and the tokens that were read.
pub(super) struct Taken {
    pub(super) gradient_norm: f64,
    pub(super) tokens: usize,
}

/// Measured times of a run.
struct Clock {
    started: Instant,
    /// Seconds before the run was resumed.
    before: f64,
    last_save: Instant,
    save_seconds: f64,
    evaluation_seconds: f64,
    next_evaluation: f64,
    tokens_per_second: f64,
}

impl Clock {
    fn new(started: Instant, before: f64) -> Self {
        Clock {
            started,
            before,
            last_save: Instant::now(),
            save_seconds: 0.0,
            evaluation_seconds: 0.0,
            next_evaluation: 1.0,
            tokens_per_second: 0.0,
        }
    }

    fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }
}

impl<T: Task> Run<T> {
    /// Begins a run in a directory: saves the request, and prepares everything. A run that was there is replaced once this one
    /// has weights that are worth it.
    /// `started` is when the command began.
    ///
    /// # Errors
    /// What `prepare` fails with; a directory that cannot be written.
    pub fn begin(
        directory: Directory,
        request: Request,
        base: Option<&Base>,
        started: Instant,
        prepare: impl FnOnce(Request) -> Result<Prepared<T>>,
    ) -> Result<Self> {
        let paths = request.paths.clone();
        if base.is_some_and(|base| files::same_file(&base.path, directory.path())) {
            return Err(Error::usage(
                "give another folder than the model's own with -o: until something is saved, a resumed run needs the \
                 model it goes on from",
            ));
        }
        // A model that is there already stays until there are weights to put in its place.
        let directory = match directory.holds_checkpoint() {
            true => directory.for_new_run()?,
            false => directory,
        };
        let is_requested = directory.holds_run();
        directory.create()?;
        if !is_requested {
            directory.save_request(&request)?;
        }
        let prepared = match prepare(request) {
            Ok(prepared) => prepared,
            // A run that cannot begin leaves nothing behind.
            Err(error) if !is_requested => return directory.discard(&paths).and(Err(error)),
            Err(error) => return Err(error),
        };
        // A folder holds a checkpoint once it has a config.json: that is written last.
        directory.save_record(&prepared.record)?;
        prepared.task.describe(&directory, &prepared.config)?;
        let mut run = Self::start(directory, prepared, started, None)?;
        run.start_from(base)?;
        Ok(run)
    }

    /// Resumes a run from its saved `state`; without one, begins again from its `base`, if it has one.
    pub(super) fn resume(
        directory: Directory,
        prepared: Prepared<T>,
        state: Option<WeightsFile>,
        base: Option<&Base>,
        started: Instant,
        notify: Notify,
    ) -> Result<Self> {
        let restarted = state.is_none();
        let mut run = Self::start(directory, prepared, started, state)?;
        if restarted {
            run.start_from(base)?;
            notify(Event::Note(RESTARTED.to_string()));
        } else {
            notify(Event::Note(format!(
                "resuming after step {}",
                run.resumed_at
            )));
        }
        Ok(run)
    }

    /// A run before its first step, or in its `saved` state.
    fn start(
        directory: Directory,
        prepared: Prepared<T>,
        started: Instant,
        saved: Option<WeightsFile>,
    ) -> Result<Self> {
        let Prepared {
            task,
            mut record,
            config,
        } = prepared;
        let training = &record.training;
        let device = device::named(&training.device)?;
        let network = initial_network(&config, training, device);
        let streams = State::before_training(&config, task.streams(), device);
        let mut state = TrainingState::new(network, training.ema > 0.0, streams);
        if training.sync_every > 1 {
            state.keep_outer_momentum();
        }
        let mut good = Snapshot::of(&state);
        if let Some(saved) = saved {
            let current;
            (current, good) = Snapshot::read(&saved, &good)?;
            current.restore(&mut state);
        }
        let pool = ThreadPool::new(training.threads.max(1) as usize);
        record.evaluations = state.counters.evaluations.clone();
        Ok(Run {
            metrics: directory.open_metrics(state.counters.metrics_length)?,
            clock: Clock::new(started, state.counters.seconds),
            watch: GradientWatch::default(),
            last_loss: f64::NAN,
            world: World::alone(),
            asked_to_end: false,
            resumed_at: state.counters.step,
            directory,
            record,
            task,
            state,
            pool,
            good,
        })
    }

    /// Copies the weights of `base`, if there is one, into the network.
    fn start_from(&mut self, base: Option<&Base>) -> Result<()> {
        if let Some(base) = base {
            base.copy_into(&mut self.state.network)?;
            if let Some(averages) = &mut self.state.averages {
                averages.assign(&self.state.network.parameters);
            }
            self.good = Snapshot::of(&self.state);
        }
        Ok(())
    }

    /// Measures the speed, and reports the plan.
    pub fn announce(&mut self, notify: Notify) {
        self.measure_speed();
        let affordable = self.moment().affordable_valid_tokens();
        if let Some(tokens) = affordable.filter(|&tokens| tokens < self.task.valid_tokens()) {
            self.task
                .shorten_validation(tokens, &mut self.record.subject);
        }
        self.clock.next_evaluation = self.moment().next_evaluation_at();
        notify(Event::Plan(Box::new(self.plan())));
    }

    /// Trains until the budget is spent, and leaves the best weights in the directory.
    ///
    /// # Errors
    /// An interruption, after everything was saved; a disk that cannot be written; a loss that exploded too often.
    pub fn train(&mut self, interrupt: &AtomicBool, notify: Notify) -> Result<()> {
        self.announce(notify);
        let finish = loop {
            if interrupt.load(Ordering::Relaxed) || self.asked_to_end {
                let interruption = self.interrupt()?;
                self.world.tell(Decision::End { interrupted: true })?;
                return Err(interruption);
            }
            if let Some(finish) = self.moment().finish() {
                break finish;
            }
            let stepped = match self.record.training.sync_every {
                1 => self.step(notify)?,
                _ => self.local_steps(notify)?,
            };
            let Some(report) = stepped else {
                if let Some(finish) = self.rescue(notify)? {
                    break finish;
                }
                continue;
            };
            notify(Event::Step(report));
            let moment = self.moment();
            if moment.evaluates() {
                if let Some(event) = self.evaluate()? {
                    notify(event);
                } else if let Some(finish) = self.rescue(notify)? {
                    break finish;
                }
            } else if moment.saves() {
                self.save(false)?;
            }
        };
        self.world.tell(Decision::End { interrupted: false })?;
        self.finish(finish, notify)
    }

    /// Saves everything, and returns the interruption.
    fn interrupt(&mut self) -> Result<Error> {
        self.save(false)?;
        let model = self.save_first_weights()?;
        Ok(Error::interrupted(format!(
            "interrupted after step {}{model}; everything is saved, and `carousel {} --resume {}` continues",
            self.state.counters.step,
            T::COMMAND,
            self.directory.path().display()
        )))
    }

    /// Saves the present weights where no better ones have been saved, so that the model can be used already. Says what
    /// model there is, if it is not the best of several evaluations.
    fn save_first_weights(&mut self) -> Result<String> {
        if self.directory.replaces_another() {
            return Ok(format!(
                ", before it had weights to replace what is in {}",
                self.directory.path().display()
            ));
        }
        if self.record.best().is_some() {
            return Ok(String::new());
        }
        // The run's own evaluations stay those of an uninterrupted one: this one is not counted.
        let is_quick = self.moment().expected_evaluation_seconds() <= QUICK_EVALUATION;
        let measured = match is_quick {
            true => Some(self.validate()?),
            false => None,
        };
        let loss = match measured {
            Some(None) => return Ok(", without weights that are worth saving".to_string()),
            Some(Some(figures)) => format!("validation loss {:.4}", figures.valid_loss),
            None => "not evaluated".to_string(),
        };
        self.directory
            .save_weights(&self.task.weights(&self.state)?)?;
        Ok(format!(
            ", before the first evaluation; the model has the weights so far ({loss})"
        ))
    }

    fn finish(&mut self, finish: Finish, notify: Notify) -> Result<()> {
        report::write(&self.directory)?;
        self.record.finished = Some(finish);
        let notes = match self.directory.has_weights() {
            true => self.task.conclude(&self.directory, &mut self.record)?,
            false => Vec::new(),
        };
        self.directory.save_record(&self.record)?;
        self.directory.remove_resume()?;
        if self.directory.replaces_another() {
            self.directory.discard(&[])?;
            notify(Event::Discarded);
            return Err(self.failure(match finish {
                Finish::Diverged => exploded(),
                Finish::Budget | Finish::Patience => {
                    "the validation loss stayed far above that of chance".to_string()
                }
            }));
        }
        notify(Event::Finished(finish));
        notes.into_iter().for_each(|note| notify(Event::Note(note)));
        match finish {
            Finish::Diverged => Err(self.failure(exploded())),
            Finish::Budget | Finish::Patience => Ok(()),
        }
    }

    /// The error that a run was given up, with what there is to use and what helps.
    fn failure(&self, what: String) -> Error {
        let folder = self.directory.path().display();
        let model = if self.directory.replaces_another() {
            format!("what was in {folder} is still there, unchanged")
        } else if self.record.best().is_some() {
            "the best weights so far are saved".to_string()
        } else {
            "no weights were worth saving".to_string()
        };
        let layers = self.state.network.config.last_layers();
        let advice = explosion::advice(layers, &self.record.training);
        Error::new(format!("{what}; {model}; what helps: {advice}"))
    }

    /// Replaces the model that was in the folder, if these weights are worth it.
    fn replace_model(&mut self) -> Result<()> {
        let best = self.record.best().map(|best| best.figures);
        let config = &self.state.network.config;
        let is_worth_it = best.is_some_and(|figures| {
            // What stands beside a network would hide that it has exploded.
            let loss = figures.network_loss.unwrap_or(figures.valid_loss);
            !clock::is_far_above(loss, chance(config))
        });
        if self.directory.replaces_another() && is_worth_it {
            self.directory = self.directory.move_in()?;
        }
        Ok(())
    }

    /// The numbers that decisions depend on, at this moment.
    pub(super) fn moment(&self) -> Moment {
        let (training, counters) = (&self.record.training, &self.state.counters);
        Moment {
            budget: training.budget,
            evaluate_every: training.evaluate_every,
            patience: training.patience,
            steps_in_pass: self.task.steps_in_pass(),
            tokens_in_step: self.task.tokens_in_step(),
            valid_tokens: self.task.valid_tokens(),
            tokens_at_end: self.task.tokens_at_end(),
            step: counters.step,
            step_of_pass: counters.window,
            evaluated_at: counters.evaluations.last().map(|last| last.step),
            without_better: counters.without_better,
            seconds: self.clock.seconds(),
            since_save: self.clock.last_save.elapsed().as_secs_f64(),
            save_seconds: self.clock.save_seconds,
            evaluation_seconds: self.clock.evaluation_seconds,
            tokens_per_second: self.clock.tokens_per_second,
            next_evaluation: self.clock.next_evaluation,
        }
    }

    /// One update of the weights, of all processes alike; `None`, and no update, if the loss exploded or the gradients are not
    /// finite.
    fn step(&mut self, notify: Notify) -> Result<Option<StepReport>> {
        let spent = self.moment().spent();
        let began = Instant::now();
        let (training, counters) = (&self.record.training, &self.state.counters);
        let (rate, step) = (
            learning_rate(training, spent, counters.learning_rate_scale),
            counters.step + 1,
        );
        self.world.tell(Decision::Step {
            spent,
            learning_rate: rate,
        })?;
        let Some(taken) = self.take_step(spent, rate, false)? else {
            return Ok(None);
        };
        let (layers, training) = (
            self.state.network.config.last_layers(),
            &self.record.training,
        );
        let norm = taken.gradient_norm;
        if let Some(note) = self.watch.see(norm, step, layers, training) {
            notify(Event::Note(note));
        }
        if !norm.is_finite() {
            return Ok(None);
        }
        self.count_speed(taken.tokens, began);
        let report = self.report();
        if report.step.is_multiple_of(STEPS_A_LINE) || self.moment().evaluates() {
            self.write_line(&report, rate, norm)?;
        }
        Ok(Some(report))
    }

    /// Loss and gradients of a step, summed over the processes, and the update, unless the gradients are not finite; `None`
    /// if the loss exploded.
    pub(super) fn take_step(
        &mut self,
        spent: f64,
        rate: f64,
        interrupted: bool,
    ) -> Result<Option<Taken>> {
        let (training, counters) = (&self.record.training, &self.state.counters);
        let seed = step_seed(training.seed, counters.step, counters.rescues);
        let mut window = self.task.step(&mut self.state, training, seed, &self.pool);
        let precision = self.record.training.gradient_precision;
        self.asked_to_end |= distributed::sum(&self.world, &mut window, interrupted, precision)?;
        if self.explodes(self.state.counters.step, window.loss) {
            return Ok(None);
        }
        let taken = Taken {
            gradient_norm: self.update(&window, rate, spent),
            tokens: window.tokens,
        };
        if taken.gradient_norm.is_finite() {
            let (step, loss) = (self.state.counters.step + 1, window.loss);
            self.advance(window);
            self.count(step, loss, taken.tokens);
        }
        Ok(Some(taken))
    }

    /// Whether the loss after so many steps is one of an explosion.
    pub(super) fn explodes(&mut self, step: u64, loss: f64) -> bool {
        self.last_loss = loss;
        let counters = &mut self.state.counters;
        counters.jumps = clock::jumps(counters.jumps, step, counters.smooth_loss, loss);
        clock::explodes(loss, counters.jumps)
    }

    /// Updates the weights, and returns the norm of the gradients.
    pub(super) fn update(&mut self, window: &Window, learning_rate: f64, spent: f64) -> f64 {
        let training = &self.record.training;
        let update = Update {
            step: self.state.counters.step + 1,
            learning_rate,
            weight_decay: training.weight_decay,
            clip_norm: training.clip_norm,
            fraction: &|name| self.task.learning_rate_fraction(name, spent),
            rows: &window.rows,
        };
        let TrainingState {
            network, optimizer, ..
        } = &mut self.state;
        optimizer.update(
            &mut network.parameters,
            &window.gradients,
            update,
            &self.pool,
        )
    }

    /// Moves on to the next window, after an update.
    pub(super) fn advance(&mut self, window: Window) {
        if let Some(streams) = window.state {
            self.state.streams = streams;
        }
        self.state.counters.step += 1;
        self.state.average(self.record.training.ema);
        let counters = &mut self.state.counters;
        counters.window += 1;
        if counters.window == self.task.steps_in_pass() {
            counters.window = 0;
            counters.epoch += 1;
        }
    }

    /// Counts the loss of a step, and the tokens that were read.
    pub(super) fn count(&mut self, step: u64, loss: f64, tokens: usize) {
        let counters = &mut self.state.counters;
        counters.tokens += tokens as u64;
        let smoothing = 0.98f64.min(1.0 - 1.0 / step as f64);
        counters.smooth_loss = smoothing * counters.smooth_loss + (1.0 - smoothing) * loss;
        counters.line.add(loss);
        counters.since_evaluation.add(loss);
    }

    pub(super) fn report(&self) -> StepReport {
        let (counters, moment) = (&self.state.counters, self.moment());
        StepReport {
            step: counters.step,
            epoch: self.epoch(),
            smooth_loss: counters.smooth_loss,
            spent: moment.spent(),
            tokens_per_second: self.clock.tokens_per_second,
            seconds_left: moment.seconds_left(),
        }
    }

    /// Counts the speed at which tokens were read since a moment.
    pub(super) fn count_speed(&mut self, tokens: usize, began: Instant) {
        let speed = tokens as f64 / began.elapsed().as_secs_f64();
        self.clock.tokens_per_second += 0.1 * (speed - self.clock.tokens_per_second);
    }

    pub(super) fn write_line(
        &mut self,
        report: &StepReport,
        rate: f64,
        gradient_norm: f64,
    ) -> Result<()> {
        let mut line = json!({
            "step": report.step,
            "epoch": report.epoch,
            "tokens": self.state.counters.tokens,
            "seconds": self.clock.seconds(),
            "loss": self.state.counters.line.take(),
            "learning_rate": rate,
            "gradient_norm": gradient_norm,
            "tokens_per_second": report.tokens_per_second,
        });
        if self.world.share().ranks > 1 {
            line["bytes_sent"] = json!(self.world.bytes_sent());
        }
        self.metrics.append(&line)
    }

    /// Validates with the other processes; `None` if the loss is not finite.
    fn validate(&mut self) -> Result<Option<Figures>> {
        let valid_tokens = self.task.valid_tokens();
        self.world.tell(Decision::Evaluate { valid_tokens })?;
        self.figures()
    }

    /// Validates and saves; `None` if the loss is not finite.
    fn evaluate(&mut self) -> Result<Option<Event>> {
        let began = Instant::now();
        let Some(figures) = self.validate()? else {
            return Ok(None);
        };
        let best_so_far = self.record.best().map(|best| best.figures);
        let best = best_so_far.is_none_or(|best| figures.better_than(&best));
        let evaluation = Evaluation {
            step: self.state.counters.step,
            epoch: self.epoch(),
            train_loss: self.state.counters.since_evaluation.take(),
            figures,
            seconds: self.clock.seconds(),
        };
        self.count_evaluation(&evaluation, best);
        let mut line = json!({
            "step": evaluation.step,
            "epoch": evaluation.epoch,
            "tokens": self.state.counters.tokens,
            "seconds": evaluation.seconds,
            "loss": evaluation.train_loss,
        });
        if let (Value::Object(line), Value::Object(figures)) = (&mut line, json!(figures)) {
            line.extend(figures);
        }
        let mut sample = None;
        if best {
            self.task.describe_best(&mut self.record.subject);
            self.directory
                .save_weights(&self.task.weights(&self.state)?)?;
            sample = self.task.sample(&self.directory);
        }
        if let Some(sample) = &sample {
            line["sample"] = json!(sample);
        }
        self.metrics.append(&line)?;
        self.save(true)?;
        self.directory.save_record(&self.record)?;
        self.replace_model()?;
        self.clock.evaluation_seconds = began.elapsed().as_secs_f64();
        self.clock.next_evaluation = self.moment().next_evaluation_at();
        // Weights that are not worth it to replace the model that was there are of no use yet.
        let best = best && !self.directory.replaces_another();
        Ok(Some(Event::Evaluated {
            evaluation,
            best,
            sample: sample.filter(|_| best),
        }))
    }

    fn count_evaluation(&mut self, evaluation: &Evaluation, best: bool) {
        let counters = &mut self.state.counters;
        counters.evaluations.push(evaluation.clone());
        counters.without_better = if best { 0 } else { counters.without_better + 1 };
        counters.on_plateau = if best { 0 } else { counters.on_plateau + 1 };
        let plateau = counters.on_plateau >= PLATEAU_EVALUATIONS;
        if plateau && self.record.training.schedule == Schedule::Plateau {
            counters.on_plateau = 0;
            counters.learning_rate_scale *= PLATEAU_FACTOR;
        }
        self.record.evaluations = counters.evaluations.clone();
    }

    /// Saves the state, from which the run can be resumed. A `good` state is also the one that a rescue returns to.
    fn save(&mut self, good: bool) -> Result<()> {
        let began = Instant::now();
        self.world.tell(Decision::Gather { keep: good })?;
        distributed::gather(&self.world, &mut self.state.streams)?;
        self.state.counters.seconds = self.clock.seconds();
        self.state.counters.metrics_length = self.metrics.flush()?;
        let current = Snapshot::of(&self.state);
        let bytes = if good {
            self.good = current;
            self.good.serialize(&self.good)?
        } else {
            current.serialize(&self.good)?
        };
        self.directory.save_resume(&bytes)?;
        self.clock.last_save = Instant::now();
        self.clock.save_seconds = began.elapsed().as_secs_f64();
        Ok(())
    }

    /// Returns to the last good state with a smaller learning rate. If that was done often enough, the run is over.
    fn rescue(&mut self, notify: Notify) -> Result<Option<Finish>> {
        let counters = &self.state.counters;
        let (exploded_at, before_loss) = (counters.step + 1, counters.smooth_loss);
        let Some((rescues, scale)) = clock::rescue(counters.rescues, counters.learning_rate_scale)
        else {
            return Ok(Some(Finish::Diverged));
        };
        self.world.tell(Decision::Rescue { rescues, scale })?;
        self.return_to_good(rescues, scale);
        let (layers, training) = (
            self.state.network.config.last_layers(),
            &self.record.training,
        );
        let (peak, help) = (self.watch.peak(), self.watch.help(layers, training));
        self.watch.restart();
        let step = self.state.counters.step;
        self.metrics
            .append(&json!({"step": step, "rescue": rescues, "learning_rate_scale": scale}))?;
        notify(Event::Note(format!(
            "the loss exploded at step {exploded_at}{}{peak}: back to step {step}, with the learning rate times {scale}{help}",
            saw(before_loss, exploded_at, self.last_loss)
        )));
        Ok(None)
    }

    /// Returns to the last good state.
    pub(super) fn return_to_good(&mut self, rescues: u64, scale: f64) {
        self.good.restore(&mut self.state);
        // In the good state too, so that neither the next rescue nor a resumed run forgets this one.
        for counters in [&mut self.state.counters, &mut self.good.counters] {
            counters.rescues = rescues;
            counters.learning_rate_scale = scale;
        }
    }

    fn epoch(&self) -> f64 {
        let counters = &self.state.counters;
        counters.epoch as f64 + counters.window as f64 / self.task.steps_in_pass() as f64
    }

    /// Measures the speed on a few steps, spread over a pass, which change neither weights nor later random numbers.
    fn measure_speed(&mut self) {
        let zeros = State::before_training(
            &self.state.network.config,
            self.task.streams(),
            self.state.network.device(),
        );
        let streams = std::mem::replace(&mut self.state.streams, zeros);
        let window = self.state.counters.window;
        let mut moments = AdamW::new(&self.state.network.parameters);
        self.measured_step(0, &mut moments);
        let began = Instant::now();
        let (mut steps, mut tokens) = (0, 0);
        while steps < MEASURED_STEPS && (steps == 0 || began.elapsed() < MEASURED_TIME) {
            tokens += self.measured_step(steps, &mut moments);
            steps += 1;
        }
        // The others compute as many at the same time.
        let tokens = tokens * self.world.share().ranks;
        self.clock.tokens_per_second = tokens as f64 / began.elapsed().as_secs_f64();
        self.state.counters.window = window;
        self.state.streams = streams;
    }

    /// Takes one of the [`MEASURED_STEPS`], with an update at a learning rate of zero. Returns its number of tokens.
    fn measured_step(&mut self, index: usize, moments: &mut AdamW) -> usize {
        let training = &self.record.training;
        self.state.counters.window = index * self.task.steps_in_pass() / MEASURED_STEPS;
        let window = self.task.step(&mut self.state, training, 0, &self.pool);
        let update = Update {
            step: 1,
            learning_rate: 0.0,
            weight_decay: 0.0,
            clip_norm: training.clip_norm,
            fraction: &|_| 1.0,
            rows: &window.rows,
        };
        let parameters = &mut self.state.network.parameters;
        moments.update(parameters, &window.gradients, update, &self.pool);
        window.tokens
    }

    fn plan(&self) -> Plan {
        let (config, training) = (&self.state.network.config, &self.record.training);
        let moment = self.moment();
        Plan {
            config: config.clone(),
            training: training.clone(),
            data: self.task.summary(&self.record.subject),
            tokens_per_character: self.task.tokens_per_character(),
            chosen: self.record.chosen.clone(),
            steps_per_epoch: self.task.steps_in_pass(),
            total_steps: moment.total_steps(),
            memory: self.task.memory(config, training),
            tokens_per_second: self.clock.tokens_per_second,
            seconds: match training.budget {
                Budget::Seconds(seconds) => seconds,
                _ => moment.seconds_left(),
            },
            resumed_at: self.resumed_at,
        }
    }
}

/// What happened to a run that was rescued too often.
fn exploded() -> String {
    let times = MOST_RESCUES + 1;
    format!("the loss exploded {times} times, even at a smaller and smaller learning rate")
}

/// The loss of a guess, each outcome being as likely as any other.
fn chance(config: &ModelConfig) -> f64 {
    let outcomes = match &config.head {
        Head::NextToken(_) => config.written().vocab_size,
        Head::Labels(head) => head.labels.len(),
        // There is no such loss of quantiles: any finite one is worth it.
        Head::Values(_) => return f64::INFINITY,
    };
    (outcomes as f64).ln()
}

/// From what and to what the loss rose, where both are known.
fn saw(before: f64, step: u64, after: f64) -> String {
    match step > 1 && before.is_finite() && (after.is_nan() || after > before) {
        true => format!(
            " from {} to {}",
            explosion::number(before),
            explosion::number(after)
        ),
        false => String::new(),
    }
}

/// The network of a run before its first step, unless it goes on from another model.
pub fn initial_network(
    config: &ModelConfig,
    training: &TrainingConfig,
    device: tch::Device,
) -> Network {
    tch::manual_seed(step_seed(training.seed, u64::MAX, 0) as i64);
    Network::initialise(config, training.recurrent_init, device)
}

/// The seed of one step of a run. Every step has its own, so that a resumed run draws the same numbers.
pub(super) fn step_seed(run: u64, step: u64, rescues: u64) -> u64 {
    let bytes: Vec<u8> = [run, step, rescues]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let hash = blake3::hash(&bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

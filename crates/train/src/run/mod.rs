/*!
A run: steps until the budget is spent, with evaluations, saves and rescues on the way, whatever it is that is learnt.

What is learnt is a [`Task`]. Everything a run has to say it says through one callback of [`Event`]s; it prints nothing.
*/

pub mod resume;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::HumanBytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tch::Device;

use crate::gradients::backprop::Window;
use crate::network::{Network, State};
use crate::optimizer::schedule::{PLATEAU_EVALUATIONS, PLATEAU_FACTOR, learning_rate};
use crate::optimizer::{AdamW, Update};
use crate::recipe;
use crate::run::resume::{Base, Progress, Snapshot, TrainingState};
use carousel::checkpoint::arguments::{DeviceChoice, Schedule};
use carousel::checkpoint::directory::{MetricsFile, Weights};
use carousel::checkpoint::record::{
    Budget, Evaluation, Figures, Finish, Record, Request, TrainingConfig,
};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::error::{Error, Result};
use carousel::files;
use carousel::pictures::curves;
use carousel::text::tokenizer::Tokenizer;
use carousel_kernels::ThreadPool;

/// Steps between lines of metrics.jsonl.
const STEPS_A_LINE: u64 = 10;
/// The longest that a run goes without saving its state.
const SAVE_AT_LEAST: Duration = Duration::from_secs(50);
/// Passes over a corpus may be shorter than this, or than sixty saves take; then not each of them is saved.
const SAVE_AT_MOST: Duration = Duration::from_secs(5);
/// Rescues before a run is given up.
const MOST_RESCUES: u64 = 5;
/// Steps in a row whose loss is far above those of late that make an explosion. One alone may be the text's doing.
const JUMPS: u64 = 10;
/// What a rescue multiplies the learning rate by.
const RESCUE_FACTOR: f64 = 0.5;
/// Share of a time budget that evaluations on the way may take, and how many there are at least and at most.
const EVALUATION_SHARE: f64 = 0.03;
const EVALUATIONS: (f64, f64) = (4.0, 20.0);
/// Steps that the speed is measured on, after one that is not counted, and the longest that may take.
const MEASURED_STEPS: usize = 16;
const MEASURED_TIME: Duration = Duration::from_secs(3);

/// What is told where a run has left nothing to go on with.
const ANEW: &str = "nothing was saved yet: starting anew";

/// What is learnt, and from what.
pub trait Task {
    /// The command that begins and resumes it.
    const COMMAND: &'static str;
    /// What training.json tells of it.
    type Record: Serialize + DeserializeOwned;

    /// What texts are cut into.
    fn tokenizer(&self) -> &Tokenizer;
    /// Steps of a pass over what there is to learn from.
    fn steps_in_pass(&self) -> usize;
    /// Tokens that a step reads, at most or in the mean.
    fn tokens_in_step(&self) -> usize;
    /// Tokens that an evaluation reads.
    fn valid_tokens(&self) -> usize;
    /// From now on an evaluation is to read about as many tokens.
    fn shorten(&mut self, tokens: usize, record: &mut Self::Record);
    /// The gradients of the step that progress stands at, and the loss they are of. The seed decides what is random.
    fn window(
        &mut self,
        standing: &mut TrainingState,
        training: &TrainingConfig,
        seed: u64,
        pool: &ThreadPool,
    ) -> Window;
    /// The share of the learning rate that each parameter takes when so much of the budget is spent; none for all of it.
    fn shares(&self, progress: f64) -> Vec<f64>;
    /// Measures on the validation part; `None` if what comes out is no number.
    fn evaluate(&mut self, standing: &TrainingState, training: &TrainingConfig) -> Option<Figures>;
    /// The measured weights, as the bytes of a safetensors file.
    fn weights(&self, standing: &TrainingState) -> Result<Vec<u8>>;
    /// What there is to learn from, for the plan: one line, and others on what is measured.
    fn describe(&self, record: &Self::Record) -> Vec<(&'static str, String)>;
    /// Tokens for each character, if losses are to be shown in bits per character.
    fn tokens_per_character(&self) -> Option<f64>;
    /// Bytes that training will hold.
    fn memory(&self, config: &ModelConfig, training: &TrainingConfig) -> u64;
    /// Streams whose memory goes on from one step to the next.
    fn streams(&self) -> usize;
}

/// A task with every option settled.
pub struct Settled<T: Task> {
    /// What is learnt, and from what.
    pub task: T,
    /// What training.json will hold.
    pub record: Record<T::Record>,
    /// The network.
    pub config: ModelConfig,
}

/// What a run has to say.
#[derive(Clone, Debug)]
pub enum Event {
    /// Something that a user should know.
    Note(String),
    /// What will be done, before it is.
    Plan(Box<Plan>),
    /// An update of the weights.
    Step(Step),
    /// A validation; the weights were saved if it was the best yet.
    Evaluated {
        /// Its figures.
        evaluation: Evaluation,
        /// Whether it is the best yet.
        best: bool,
    },
    /// The end.
    Finished(Finish),
}

/// What will be done, before it is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The network.
    pub config: ModelConfig,
    /// The training.
    pub training: TrainingConfig,
    /// What there is to learn from and to measure on, line by line with a heading.
    pub material: Vec<(&'static str, String)>,
    /// Tokens for each character, if losses are to be shown in bits per character.
    pub tokens_per_character: Option<f64>,
    /// What the program chose, and why.
    pub chosen: Vec<String>,
    /// Steps in one pass.
    pub steps_per_epoch: usize,
    /// Steps of the whole budget, as far as can be told.
    pub total_steps: u64,
    /// Bytes of weights, gradients, moments and activations.
    pub memory: u64,
    /// Measured on a few steps.
    pub tokens_per_second: f64,
    /// Seconds that the budget comes to.
    pub seconds: f64,
    /// The step that the run goes on from; 0 for a new one.
    pub resumed_at: u64,
}

/// An update of the weights.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Its number, counted from 1.
    pub step: u64,
    /// Passes over the training part so far.
    pub epoch: f64,
    /// Smoothed over recent steps.
    pub smooth_loss: f64,
    /// Share of the budget that is spent.
    pub progress: f64,
    /// Training tokens a second, of late.
    pub tokens_per_second: f64,
    /// Seconds left, as far as can be told.
    pub seconds_left: f64,
}

/// Training of one model in one directory.
pub struct Run<T: Task> {
    directory: Directory,
    record: Record<T::Record>,
    task: T,
    standing: TrainingState,
    pool: ThreadPool,
    good: Snapshot,
    metrics: MetricsFile,
    clock: Clock,
    resumed_at: u64,
}

/// The time that a run has taken and may take.
struct Clock {
    started: Instant,
    before: f64,
    last_save: Instant,
    save_cost: Duration,
    /// Of one evaluation and save.
    evaluation_seconds: f64,
    /// The share of a time budget at which the next evaluation is due.
    next_evaluation: f64,
    tokens_per_second: f64,
}

impl Clock {
    fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }
}

/// What there is to go on with in a directory.
pub enum Left<R> {
    /// Nothing was saved yet; what was asked for can be begun again.
    Nothing(Box<Request>),
    /// The run is over.
    Finished,
    /// A run that can be taken up.
    Saved(Box<Saved<R>>),
}

/// A run as it was saved.
pub struct Saved<R> {
    /// How it was begun, and how it went.
    pub record: Record<R>,
    /// The network.
    pub config: ModelConfig,
    /// The vocabulary.
    pub tokenizer: Tokenizer,
    /// Where it stood, if it had come so far.
    pub state: Option<Weights>,
}

/// Looks at what a run has left in its directory.
///
/// # Errors
/// A directory without a run, or with one of another command; damaged files.
pub fn left<T: Task>(
    directory: &Directory,
    notify: &mut dyn FnMut(Event),
) -> Result<Left<T::Record>> {
    let request = directory.load_request()?;
    let (what, command) = match request.documents {
        Some(_) => ("a classifier", "train-classifier"),
        None => ("a language model", "train"),
    };
    if command != T::COMMAND {
        return Err(Error::new(format!(
            "{0} holds the run of {what}; `carousel {command} --resume {0}` goes on with it",
            directory.path().display()
        )));
    }
    if !directory.holds_checkpoint() {
        notify(Event::Note(ANEW.to_string()));
        return Ok(Left::Nothing(Box::new(request)));
    }
    let record: Record<T::Record> = directory.load_record()?;
    if record.finished.is_some() {
        directory.remove_resume()?;
        return Ok(Left::Finished);
    }
    let config = directory.load_config()?;
    let tokenizer = directory.load_tokenizer(&config)?;
    tch::set_num_threads(record.training.threads);
    Ok(Left::Saved(Box::new(Saved {
        record,
        config,
        tokenizer,
        state: directory.load_resume()?,
    })))
}

impl<T: Task> Run<T> {
    /// Begins a run in a directory: writes down what was asked for, settles everything, and puts it in the place of what
    /// was there. `started` is when the command began.
    ///
    /// # Errors
    /// What `settle` fails with; a directory that cannot be written.
    pub fn begin(
        directory: Directory,
        request: Request,
        base: Option<&Base>,
        started: Instant,
        settle: impl FnOnce(Request) -> Result<Settled<T>>,
    ) -> Result<Self> {
        let paths = request.paths.clone();
        if base.is_some_and(|base| files::same(&base.path, directory.path())) {
            return Err(Error::usage(
                "give another folder than the model's own with -o: until something is saved, a resumed run needs what it \
                 goes on from",
            ));
        }
        // What is there already, to be replaced or begun again, stays until there is something to put in its place.
        let occupied = directory.holds_run();
        directory.create()?;
        if !occupied {
            directory.save_request(&request)?;
        }
        let settled = match settle(request) {
            Ok(settled) => settled,
            // What cannot begin leaves nothing behind.
            Err(error) if !occupied => return directory.clear(&paths).and(Err(error)),
            Err(error) => return Err(error),
        };
        if occupied {
            directory.clear(&paths)?;
            directory.create()?;
        }
        // A folder holds a checkpoint once it has a config.json: that is written last.
        directory.save_record(&settled.record)?;
        directory.save_description(&settled.config, settled.task.tokenizer())?;
        let mut run = Self::start(directory, settled, started, None)?;
        run.begin_with(base)?;
        Ok(run)
    }

    fn begin_with(&mut self, base: Option<&Base>) -> Result<()> {
        if let Some(base) = base {
            self.standing.begin_with(base)?;
            self.good = self.standing.snapshot();
        }
        Ok(())
    }

    /// Takes up a run where it was saved last; where nothing was, it begins again with the `base` that it had, if any.
    pub fn take_up(
        directory: Directory,
        settled: Settled<T>,
        state: Option<Weights>,
        base: Option<&Base>,
        started: Instant,
        notify: &mut dyn FnMut(Event),
    ) -> Result<Self> {
        let anew = state.is_none();
        let mut run = Self::start(directory, settled, started, state)?;
        if anew {
            run.begin_with(base)?;
            notify(Event::Note(ANEW.to_string()));
        } else {
            let step = run.resumed_at;
            notify(Event::Note(format!("resuming after step {step}")));
        }
        Ok(run)
    }

    /// A run at its first step, or where `saved` left it.
    fn start(
        directory: Directory,
        settled: Settled<T>,
        started: Instant,
        saved: Option<Weights>,
    ) -> Result<Self> {
        let Settled {
            task,
            mut record,
            config,
        } = settled;
        let training = &record.training;
        let device = device_named(&training.device)?;
        tch::manual_seed(seed(training.seed, u64::MAX, 0) as i64);
        let network = Network::initialise(&config, device);
        let pool = ThreadPool::new(training.threads.max(1) as usize);
        let averages = match training.ema {
            0.0 => Vec::new(),
            _ => network
                .parameters
                .iter()
                .map(|p| p.detach().copy())
                .collect(),
        };
        let mut standing = TrainingState {
            averages,
            optimizer: AdamW::new(&network.parameters),
            state: State::zeros(&config, task.streams(), device),
            network,
            progress: Progress {
                learning_rate_scale: 1.0,
                ..Progress::default()
            },
        };
        let mut good = standing.snapshot();
        if let Some(saved) = saved {
            let current;
            (current, good) = Snapshot::read(&saved, &good)?;
            standing.restore(&current);
        }
        let progress = &standing.progress;
        record.evaluations = progress.evaluations.clone();
        Ok(Run {
            metrics: directory.open_metrics(progress.metrics_length)?,
            clock: Clock {
                started,
                before: progress.seconds,
                last_save: Instant::now(),
                save_cost: Duration::ZERO,
                evaluation_seconds: 0.0,
                next_evaluation: 1.0,
                tokens_per_second: 0.0,
            },
            resumed_at: progress.step,
            directory,
            record,
            task,
            standing,
            pool,
            good,
        })
    }

    /// Measures the speed, and tells what will be done.
    pub fn announce(&mut self, notify: &mut dyn FnMut(Event)) {
        self.measure();
        self.shorten_validation();
        self.clock.next_evaluation = self.next_evaluation();
        notify(Event::Plan(Box::new(self.plan())));
    }

    /// Trains until the budget is spent, and leaves the best weights in the directory.
    ///
    /// # Errors
    /// An interruption, after everything was saved; a disk that cannot be written; a loss that exploded too often.
    pub fn train(&mut self, interrupt: &AtomicBool, notify: &mut dyn FnMut(Event)) -> Result<()> {
        self.announce(notify);
        let finish = loop {
            if interrupt.load(Ordering::Relaxed) {
                self.save(false)?;
                return Err(Error::interrupted(format!(
                    "interrupted after step {}; everything is saved, and `carousel {} --resume {}` goes on",
                    self.standing.progress.step,
                    T::COMMAND,
                    self.directory.path().display()
                )));
            }
            if let Some(finish) = self.finish() {
                break finish;
            }
            let Some(step) = self.step()? else {
                if let Some(finish) = self.rescue(notify)? {
                    break finish;
                }
                continue;
            };
            notify(Event::Step(step));
            if self.evaluation_is_due() {
                if let Some(event) = self.evaluate()? {
                    notify(event);
                } else if let Some(finish) = self.rescue(notify)? {
                    break finish;
                }
            } else if self.save_is_due() {
                self.save(false)?;
            }
        };
        if let Some(picture) = curves::svg(&self.directory.load_metrics()?) {
            self.directory.save_report(&picture)?;
        }
        self.record.finished = Some(finish);
        self.save_record()?;
        self.directory.remove_resume()?;
        notify(Event::Finished(finish));
        match finish {
            Finish::Diverged => Err(Error::new(format!(
                "the loss exploded {} times, even at a smaller and smaller learning rate; {}; try a --learning-rate \
                 well below {}, or --clip-norm 1",
                MOST_RESCUES + 1,
                if self.directory.has_weights() {
                    "the best weights so far are saved"
                } else {
                    "no weights were worth saving"
                },
                self.record.training.learning_rate
            ))),
            Finish::Budget | Finish::Patience => Ok(()),
        }
    }

    /// One update of the weights; `None`, and no update, if the loss or the gradients are not finite, or the loss jumped.
    fn step(&mut self) -> Result<Option<Step>> {
        let training = &self.record.training;
        let progress_share = self.progress_share();
        let standing = &mut self.standing;
        let began = Instant::now();
        let seed = seed(
            training.seed,
            standing.progress.step,
            standing.progress.rescues,
        );
        let Window {
            loss,
            gradients,
            rows,
            state: next,
            tokens,
        } = self.task.window(standing, training, seed, &self.pool);
        let training = &self.record.training;
        let standing = &mut self.standing;
        let progress = &mut standing.progress;
        progress.jumps = if jumped(loss, progress) {
            progress.jumps + 1
        } else {
            0
        };
        if !loss.is_finite() || progress.jumps >= JUMPS {
            return Ok(None);
        }
        let rate = learning_rate(training, progress_share, progress.learning_rate_scale);
        let update = Update {
            step: progress.step + 1,
            learning_rate: rate,
            weight_decay: training.weight_decay,
            clip_norm: training.clip_norm,
            shares: &self.task.shares(progress_share),
            rows: &rows,
        };
        let gradient_norm = standing.optimizer.update(
            &mut standing.network.parameters,
            &gradients,
            update,
            &self.pool,
        );
        if !gradient_norm.is_finite() {
            return Ok(None);
        }
        standing.state = next;
        progress.step += 1;
        standing.average(training.ema);
        let progress = &mut standing.progress;
        progress.window += 1;
        progress.tokens += tokens as u64;
        if progress.window == self.task.steps_in_pass() {
            progress.window = 0;
            progress.epoch += 1;
        }
        let smoothing = 0.98f64.min(1.0 - 1.0 / progress.step as f64);
        progress.smooth_loss = smoothing * progress.smooth_loss + (1.0 - smoothing) * loss;
        progress.line.add(loss);
        progress.since_evaluation.add(loss);

        let speed = tokens as f64 / began.elapsed().as_secs_f64();
        self.clock.tokens_per_second += 0.1 * (speed - self.clock.tokens_per_second);
        let step = self.describe();
        if self.standing.progress.step.is_multiple_of(STEPS_A_LINE) || self.evaluation_is_due() {
            self.write_line(&step, rate, gradient_norm)?;
        }
        Ok(Some(step))
    }

    fn describe(&self) -> Step {
        let progress = &self.standing.progress;
        let tokens_per_second = self.clock.tokens_per_second;
        let seconds_left = match self.record.training.budget {
            Budget::Seconds(budget) => budget - self.clock.seconds(),
            _ => self.steps_left() as f64 * self.task.tokens_in_step() as f64 / tokens_per_second,
        };
        Step {
            step: progress.step,
            epoch: self.epoch(),
            smooth_loss: progress.smooth_loss,
            progress: self.progress_share(),
            tokens_per_second,
            seconds_left: seconds_left.max(0.0),
        }
    }

    fn write_line(&mut self, step: &Step, rate: f64, gradient_norm: f64) -> Result<()> {
        let line = json!({
            "step": step.step,
            "epoch": step.epoch,
            "tokens": self.standing.progress.tokens,
            "seconds": self.clock.seconds(),
            "loss": self.standing.progress.line.take(),
            "learning_rate": rate,
            "gradient_norm": gradient_norm,
            "tokens_per_second": step.tokens_per_second,
        });
        self.metrics.append(&line)
    }

    /// Measures on the validation part and saves; `None` if what came out is not a number.
    fn evaluate(&mut self) -> Result<Option<Event>> {
        let began = Instant::now();
        let training = &self.record.training;
        let Some(figures) = self.task.evaluate(&self.standing, training) else {
            return Ok(None);
        };
        let epoch = self.epoch();
        let best_yet = self.record.best().map(|best| best.figures);
        let best = best_yet.is_none_or(|best| figures.better_than(&best));
        let progress = &mut self.standing.progress;
        let evaluation = Evaluation {
            step: progress.step,
            epoch,
            train_loss: progress.since_evaluation.take(),
            figures,
            seconds: self.clock.seconds(),
        };
        progress.evaluations.push(evaluation.clone());
        progress.without_better = if best { 0 } else { progress.without_better + 1 };
        progress.on_plateau = if best { 0 } else { progress.on_plateau + 1 };
        if self.record.training.schedule == Schedule::Plateau
            && progress.on_plateau >= PLATEAU_EVALUATIONS
        {
            progress.on_plateau = 0;
            progress.learning_rate_scale *= PLATEAU_FACTOR;
        }
        self.record.evaluations = progress.evaluations.clone();
        let mut line = json!({
            "step": evaluation.step,
            "epoch": evaluation.epoch,
            "tokens": self.standing.progress.tokens,
            "seconds": evaluation.seconds,
            "loss": evaluation.train_loss,
        });
        if let (Value::Object(line), Value::Object(figures)) = (&mut line, json!(figures)) {
            line.extend(figures);
        }
        self.metrics.append(&line)?;
        if best {
            self.directory
                .save_weights(&self.task.weights(&self.standing)?)?;
        }
        self.save(true)?;
        self.save_record()?;
        self.clock.evaluation_seconds = began.elapsed().as_secs_f64();
        self.clock.next_evaluation = self.next_evaluation();
        Ok(Some(Event::Evaluated { evaluation, best }))
    }

    /// Saves all that decides how the run goes on. If the state is `good`, it is also what a rescue goes back to.
    fn save(&mut self, good: bool) -> Result<()> {
        let began = Instant::now();
        self.standing.progress.seconds = self.clock.seconds();
        self.standing.progress.metrics_length = self.metrics.flush()?;
        let current = self.standing.snapshot();
        let bytes = if good {
            self.good = current;
            self.good.serialize(&self.good)?
        } else {
            current.serialize(&self.good)?
        };
        self.directory.save_resume(&bytes)?;
        self.clock.last_save = Instant::now();
        self.clock.save_cost = began.elapsed();
        Ok(())
    }

    fn save_record(&self) -> Result<()> {
        self.directory.save_record(&self.record)
    }

    /// Back to the last good state with a smaller learning rate; the end if that has been tried often enough.
    fn rescue(&mut self, notify: &mut dyn FnMut(Event)) -> Result<Option<Finish>> {
        let exploded_at = self.standing.progress.step + 1;
        let rescues = self.standing.progress.rescues + 1;
        let scale = self.standing.progress.learning_rate_scale * RESCUE_FACTOR;
        if rescues > MOST_RESCUES {
            return Ok(Some(Finish::Diverged));
        }
        self.standing.restore(&self.good);
        let progress = &mut self.standing.progress;
        progress.rescues = rescues;
        progress.learning_rate_scale = scale;
        // Also of the state to go back to, or a run resumed after this would not know.
        self.good.progress.rescues = rescues;
        self.good.progress.learning_rate_scale = scale;
        self.metrics.append(
            &json!({"step": progress.step, "rescue": rescues, "learning_rate_scale": scale}),
        )?;
        notify(Event::Note(format!(
            "the loss exploded at step {exploded_at}: back to step {}, with the learning rate times {scale}",
            progress.step
        )));
        Ok(None)
    }

    /// Whether and why the run is over.
    fn finish(&self) -> Option<Finish> {
        let progress = &self.standing.progress;
        let training = &self.record.training;
        if training.patience > 0 && progress.without_better >= training.patience {
            return Some(Finish::Patience);
        }
        let spent = match training.budget {
            Budget::Seconds(_) => self.progress_share() >= 1.0,
            _ => self.steps_left() == 0,
        };
        // A run ends with an evaluation, so that its last weights are judged too.
        let judged = progress
            .evaluations
            .last()
            .is_some_and(|last| last.step == progress.step);
        (spent && judged).then_some(Finish::Budget)
    }

    fn evaluation_is_due(&self) -> bool {
        let progress = &self.standing.progress;
        match self.record.training.budget {
            Budget::Seconds(_) => self.progress_share() >= self.clock.next_evaluation.min(1.0),
            _ => {
                let end_of_pass = progress.window == 0 && self.pass_is_long();
                end_of_pass
                    || progress
                        .step
                        .is_multiple_of(self.record.training.evaluate_every)
                    || self.steps_left() == 0
            }
        }
    }

    /// The share of a time budget at which the next evaluation is worth its cost.
    fn next_evaluation(&self) -> f64 {
        let Budget::Seconds(budget) = self.record.training.budget else {
            return 1.0;
        };
        let (least, most) = EVALUATIONS;
        let count = (EVALUATION_SHARE * budget / self.evaluation_seconds()).clamp(least, most);
        let next = self.progress_share() + 1.0 / count;
        // Not so shortly before the last.
        if next > 1.0 - 0.5 / count { 1.0 } else { next }
    }

    /// Whether a pass is so long that its end is worth an evaluation of its own.
    fn pass_is_long(&self) -> bool {
        self.task.steps_in_pass() as u64 > self.record.training.evaluate_every
    }

    fn save_is_due(&self) -> bool {
        let since = self.clock.last_save.elapsed();
        let worth_its_cost = since >= SAVE_AT_MOST.max(self.clock.save_cost * 60);
        since >= SAVE_AT_LEAST || (self.standing.progress.window == 0 && worth_its_cost)
    }

    /// Share of the budget that is spent. A time budget keeps some back for the last evaluation and save.
    fn progress_share(&self) -> f64 {
        match self.record.training.budget {
            Budget::Seconds(budget) => {
                let reserve = 1.3 * self.evaluation_seconds() + 0.3;
                self.clock.seconds() / (budget - reserve).max(budget * 0.1)
            }
            _ => self.standing.progress.step as f64 / self.total_steps() as f64,
        }
    }

    fn evaluation_seconds(&self) -> f64 {
        if self.clock.evaluation_seconds > 0.0 {
            return self.clock.evaluation_seconds;
        }
        self.task.valid_tokens() as f64 / (2.0 * self.clock.tokens_per_second).max(1.0) + 0.2
    }

    /// Updates that the budget comes to; of a time budget, as many as the measured speed allows.
    fn total_steps(&self) -> u64 {
        let budget = self.record.training.budget;
        recipe::total_steps(&budget, self.task.steps_in_pass()).unwrap_or_else(|| match budget {
            Budget::Seconds(seconds) => {
                let left = (seconds - self.clock.seconds()).max(0.0);
                let steps = left * self.clock.tokens_per_second / self.task.tokens_in_step() as f64;
                self.standing.progress.step + steps as u64
            }
            _ => 0,
        })
    }

    fn steps_left(&self) -> u64 {
        self.total_steps()
            .saturating_sub(self.standing.progress.step)
    }

    fn epoch(&self) -> f64 {
        let progress = &self.standing.progress;
        progress.epoch as f64 + progress.window as f64 / self.task.steps_in_pass() as f64
    }

    /// Takes a few steps, spread over a pass, for their speed alone: no weight changes, and no later random number.
    fn measure(&mut self) {
        let config = &self.standing.network.config;
        let zeros = State::zeros(config, self.task.streams(), self.standing.network.device());
        let state = std::mem::replace(&mut self.standing.state, zeros);
        let (window, windows) = (self.standing.progress.window, self.task.steps_in_pass());
        let mut moments = AdamW::new(&self.standing.network.parameters);
        let mut step = |place: usize| {
            let training = &self.record.training;
            self.standing.progress.window = place * windows / MEASURED_STEPS;
            let window = self
                .task
                .window(&mut self.standing, training, 0, &self.pool);
            // At a rate of nothing.
            let update = Update {
                step: 1,
                learning_rate: 0.0,
                weight_decay: 0.0,
                clip_norm: training.clip_norm,
                shares: &[],
                rows: &window.rows,
            };
            let parameters = &mut self.standing.network.parameters;
            moments.update(parameters, &window.gradients, update, &self.pool);
            window.tokens
        };
        step(0);
        let began = Instant::now();
        let (mut steps, mut tokens) = (0, 0);
        while steps < MEASURED_STEPS && (steps == 0 || began.elapsed() < MEASURED_TIME) {
            tokens += step(steps);
            steps += 1;
        }
        self.clock.tokens_per_second = tokens as f64 / began.elapsed().as_secs_f64();
        self.standing.progress.window = window;
        self.standing.state = state;
    }

    /// With a time budget, an evaluation may read no more than a small share of it allows.
    fn shorten_validation(&mut self) {
        if let Budget::Seconds(budget) = self.record.training.budget
            && self.standing.progress.step == 0
        {
            // Measuring a token costs about half of training on it.
            let affordable =
                (EVALUATION_SHARE * budget * 2.0 * self.clock.tokens_per_second) as usize;
            if affordable < self.task.valid_tokens() {
                self.task.shorten(affordable, &mut self.record.subject);
            }
        }
    }

    fn plan(&self) -> Plan {
        let config = &self.standing.network.config;
        let training = &self.record.training;
        let total_steps = self.total_steps();
        Plan {
            config: config.clone(),
            training: training.clone(),
            material: self.task.describe(&self.record.subject),
            tokens_per_character: self.task.tokens_per_character(),
            chosen: self.record.chosen.clone(),
            steps_per_epoch: self.task.steps_in_pass(),
            total_steps,
            memory: self.task.memory(config, training),
            tokens_per_second: self.clock.tokens_per_second,
            seconds: match training.budget {
                Budget::Seconds(seconds) => seconds,
                _ => {
                    let tokens = (total_steps - self.standing.progress.step.min(total_steps))
                        as f64
                        * self.task.tokens_in_step() as f64;
                    tokens / self.clock.tokens_per_second
                }
            },
            resumed_at: self.resumed_at,
        }
    }
}

/// Whether a loss is far above those of late.
fn jumped(loss: f64, progress: &Progress) -> bool {
    progress.step >= 20 && loss > 2.0 * progress.smooth_loss + 2.0
}

/// The seed of one step of a run. Every step has one of its own, so that a resumed run draws the same numbers.
fn seed(run: u64, step: u64, rescues: u64) -> u64 {
    let bytes: Vec<u8> = [run, step, rescues]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let hash = blake3::hash(&bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// Paths that mean the same from any folder, and can be written down.
pub fn absolute(files: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let absolute = |file: PathBuf| {
        if file.to_str().is_none() {
            return Err(Error::new(format!(
                "the name of {} is not UTF-8; rename it",
                file.display()
            )));
        }
        std::path::absolute(&file).map_err(|e| Error::file("find", &file, e))
    };
    files.into_iter().map(absolute).collect()
}

/// The device that a run began on.
fn device_named(name: &str) -> Result<Device> {
    let found = name.parse().ok().and_then(|asked| device(asked).ok());
    found.ok_or_else(|| {
        Error::new(format!(
            "the run began on {name}, which is not here; resume it there, or start anew with -o"
        ))
    })
}

/// The device that was asked for. One that is asked for and absent is an error, never silently another.
pub fn device(asked: DeviceChoice) -> Result<Device> {
    match asked {
        DeviceChoice::Auto => Ok(Device::cuda_if_available()),
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Cuda(number)
            if tch::Cuda::is_available() && (number as i64) < tch::Cuda::device_count() =>
        {
            Ok(Device::Cuda(number))
        }
        DeviceChoice::Cuda(number) => Err(Error::usage(format!(
            "libtorch sees no GPU number {number}; use --device cpu, or a libtorch with CUDA (make libtorch CUDA=1)"
        ))),
    }
}

/// The name of a device, as `--device` takes it.
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(number) => format!("cuda:{number}"),
        _ => "cpu".to_string(),
    }
}

/// Whether there is memory for a run.
///
/// # Errors
/// If there is too little.
pub fn enough_memory(needed: u64, device: Device) -> Result<()> {
    match files::available_memory() {
        Some(available) if device == Device::Cpu && needed > available => Err(Error::new(format!(
            "this network needs about {} of memory to train, and {} are free; give a smaller --hidden-size, \
             --batch-size, --bptt or --vocab-size",
            HumanBytes(needed),
            HumanBytes(available)
        ))),
        _ => Ok(()),
    }
}

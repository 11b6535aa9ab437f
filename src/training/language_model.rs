/*!
Learning a language model: truncated back-propagation through time over contiguous streams.

A [`Run`] is begun or resumed, says what it plans, and trains. Everything it has to say it says through one callback of
[`Event`]s; it prints nothing.
*/

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::HumanBytes;
use serde_json::json;
use tch::{Device, Tensor};

use crate::backprop::{Backprop, Window};
use crate::evaluation;
use crate::network::{Masks, Network, State};
use crate::optimizer::{AdamW, Update};
use crate::precision;
use crate::report;
use crate::resume::{Base, Progress, Snapshot, Standing};
use crate::schedule::{PLATEAU_EVALUATIONS, PLATEAU_FACTOR, learning_rate};
use carousel::baselines::language_baselines;
use carousel::checkpoint::directory::{MetricsFile, Weights};
use carousel::checkpoint::record::{Budget, Evaluation, Finish, Options, Record, Request};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::error::{Error, Result};
use carousel::files;
use carousel::kernels::Team;
use carousel::metrics::{LanguageScore, TextSize};
use carousel::recipe::{self, Circumstances, MOST_VALID_TOKENS, resolve, total_steps};
use carousel::settings::{self, Schedule, Settings};
use carousel::text::Level;
use carousel::text::corpus::{Corpus, CorpusPlan, Ids, Validation};
use carousel::text::source::list_files;
use carousel::text::streams::{EvaluationStreams, TrainingStreams};

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
/// Validation tokens that are read even where the budget is too short for them.
const LEAST_VALID_TOKENS: usize = 4096;
/// Steps that the speed is measured on, after one that is not counted, and the longest that may take.
const MEASURED_STEPS: usize = 3;
const MEASURED_TIME: Duration = Duration::from_secs(3);

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

/// What will be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The network.
    pub config: ModelConfig,
    /// The training.
    pub options: Options,
    /// Sizes of the training and the validation part.
    pub train: TextSize,
    /// Of the validation part, all of it.
    pub valid: TextSize,
    /// Of the validation part, what each evaluation reads.
    pub valid_tokens_read: usize,
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

/// Training of one language model in one directory.
pub struct Run {
    directory: Directory,
    corpus: Corpus,
    record: Record,
    streams: TrainingStreams,
    valid: Ids,
    standing: Standing,
    /// How gradients come about on the CPU; elsewhere by libtorch's own.
    backprop: Option<Backprop>,
    team: Team,
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

impl Run {
    /// Reads the corpus, settles every option, and writes both down before anything is learnt. `started` is when the
    /// command began.
    ///
    /// # Errors
    /// A corpus that cannot be read or is too small, options that cannot be obeyed, a directory that is taken.
    pub fn begin(
        directory: Directory,
        paths: &[PathBuf],
        settings: &Settings,
        started: Instant,
        notify: &mut dyn FnMut(Event),
    ) -> Result<Self> {
        recipe::check(settings)?;
        let mut settings = settings.clone();
        let base = base(&mut settings)?;
        let validation = match recipe::validation(&settings)? {
            Validation::Files(files) => {
                let files = absolute(files)?;
                settings.valid = files.first().map(|file| file.display().to_string());
                Validation::Files(absolute(list_files(&files)?)?)
            }
            fraction => fraction,
        };
        let plan = CorpusPlan {
            files: absolute(list_files(paths)?)?,
            validation,
            lossy: settings.lossy,
            vocabulary: recipe::vocabulary(&settings)?,
            from: None,
        };
        let device = device(settings.device.unwrap_or_default())?;
        let paths = absolute(paths.to_vec())?;
        let request = Request {
            version: env!("CARGO_PKG_VERSION").to_string(),
            paths: paths.clone(),
            settings,
        };
        // What is there already, to be replaced or begun again, stays until there is something to put in its place.
        let occupied = directory.holds_run();
        directory.create()?;
        if !occupied {
            directory.save_request(&request)?;
        }
        let (corpus, record, config) =
            match Self::settle(request, plan, base.as_ref(), device, notify) {
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
        directory.save_record(&record)?;
        directory.save_description(&config, &corpus.tokenizer)?;
        let mut run = Self::start(directory, corpus, record, config, device, started, None)?;
        if let Some(base) = &base {
            run.standing.begin_with(base)?;
            run.good = run.standing.snapshot();
        }
        Ok(run)
    }

    /// Reads the corpus and settles every option.
    fn settle(
        request: Request,
        mut plan: CorpusPlan,
        base: Option<&Base>,
        device: Device,
        notify: &mut dyn FnMut(Event),
    ) -> Result<(Corpus, Record, ModelConfig)> {
        let cache = files::cache_folder().join("corpora");
        let corpus = match base {
            None => plan.prepare(&cache)?,
            Some(base) => {
                let corpus = plan.prepare_from(&cache, &base.tokenizer)?;
                let new = corpus.tokenizer.vocab_size() - base.config.vocab_size;
                notify(Event::Note(format!(
                    "going on from {}: {} tokens, of which {new} are new to it",
                    base.path.display(),
                    corpus.tokenizer.vocab_size()
                )));
                corpus
            }
        };
        let statistics = &corpus.statistics;
        statistics
            .notes
            .iter()
            .for_each(|note| notify(Event::Note(note.clone())));
        if statistics.valid_unknown > 0 {
            notify(Event::Note(format!(
                "{} of the validation part's {} tokens are not in the vocabulary",
                statistics.valid_unknown, statistics.valid.tokens
            )));
        }
        let vocab_size = corpus.tokenizer.vocab_size();
        let threads = tch::get_num_threads();
        let timed = matches!(recipe::budget(&request.settings)?, Budget::Seconds(_));
        let circumstances = Circumstances {
            vocab_size,
            train_tokens: corpus.train.len(),
            valid_tokens: corpus.valid.len(),
            speed: timed.then(|| precision::nominal_speed(threads, device)),
        };
        let resolved = resolve(&request.settings, &circumstances)?;
        let needed = recipe::memory(
            &resolved.config,
            &resolved.options,
            EvaluationStreams::new(corpus.valid.len().min(MOST_VALID_TOKENS)).streams,
        );
        if let Some(available) = files::available_memory()
            && device == Device::Cpu
            && needed > available
        {
            return Err(Error::new(format!(
                "this network needs about {} of memory to train, and {} are free; give a smaller --hidden-size, \
                 --batch-size, --bptt or --vocab-size",
                HumanBytes(needed),
                HumanBytes(available)
            )));
        }
        let mut options = Options {
            device: device_name(device),
            threads,
            ..resolved.options
        };
        let (precision, note) = precision::settle(&resolved.config, &options, device)?;
        options.precision = precision;
        note.into_iter().for_each(|note| notify(Event::Note(note)));
        let baselines = language_baselines(
            &corpus.valid,
            &statistics.valid,
            statistics.valid_spelling_nats,
            &statistics.token_counts,
        );
        let record = Record {
            request,
            options,
            chosen: resolved.chosen,
            finished: None,
            evaluations: Vec::new(),
            baselines,
            corpus: plan,
            valid_tokens_read: corpus.valid.len().min(MOST_VALID_TOKENS),
            statistics: statistics.clone(),
        };
        Ok((corpus, record, resolved.config))
    }

    /// Takes up a run where it was saved last; `None` if it is finished.
    ///
    /// # Errors
    /// A directory without a run, damaged files, a corpus that has changed.
    pub fn resume(
        directory: Directory,
        started: Instant,
        notify: &mut dyn FnMut(Event),
    ) -> Result<Option<Self>> {
        if !directory.holds_checkpoint() {
            let Request {
                paths, settings, ..
            } = directory.load_request()?;
            notify(Event::Note(
                "nothing was saved yet: starting anew".to_string(),
            ));
            return Self::begin(directory, &paths, &settings, started, notify).map(Some);
        }
        let config = directory.load_config()?;
        let tokenizer = directory.load_tokenizer(&config)?;
        let record = directory.load_record()?;
        if record.finished.is_some() {
            directory.remove_resume()?;
            return Ok(None);
        }
        let began_on = &record.options.device;
        let device = began_on.parse().ok().and_then(|asked| device(asked).ok()).ok_or_else(|| {
            Error::new(format!("the run began on {began_on}, which is not here; resume it there, or start anew with -o"))
        })?;
        tch::set_num_threads(record.options.threads);
        let cache = files::cache_folder().join("corpora");
        let corpus = record
            .corpus
            .prepare_again(&cache, tokenizer, &record.statistics.hash)?;
        let saved = directory.load_resume()?;
        let anew = saved.is_none();
        let run = Self::start(directory, corpus, record, config, device, started, saved)?;
        notify(Event::Note(match run.resumed_at {
            _ if anew => "nothing was saved yet: starting anew".to_string(),
            step => format!("resuming after step {step}"),
        }));
        Ok(Some(run))
    }

    /// A run at its first step, or where `saved` left it.
    fn start(
        directory: Directory,
        corpus: Corpus,
        mut record: Record,
        config: ModelConfig,
        device: Device,
        started: Instant,
        saved: Option<Weights>,
    ) -> Result<Self> {
        let options = &record.options;
        tch::manual_seed(seed(options.seed, u64::MAX, 0) as i64);
        let network = Network::initialise(&config, device);
        let backprop = (device == Device::Cpu).then(|| {
            let precision = precision::of_kernels(options.precision);
            Backprop::new(&network, options.batch_size, precision)
        });
        let team = Team::new(options.threads.max(1) as usize);
        let averages = match options.ema {
            0.0 => Vec::new(),
            _ => network
                .parameters
                .iter()
                .map(|p| p.detach().copy())
                .collect(),
        };
        let mut standing = Standing {
            averages,
            optimizer: AdamW::new(&network.parameters),
            state: State::zeros(&config, options.batch_size, device),
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
            streams: TrainingStreams::new(
                corpus.train.len(),
                record.options.batch_size,
                record.options.bptt,
            ),
            valid: corpus.valid.slice(0..record.valid_tokens_read),
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
            corpus,
            record,
            standing,
            backprop,
            team,
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
                    "interrupted after step {}; everything is saved, and `carousel train --resume {}` goes on",
                    self.standing.progress.step,
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
        if let Some(picture) = report::svg(&self.directory.load_metrics()?) {
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
                self.record.options.learning_rate
            ))),
            Finish::Budget | Finish::Patience => Ok(()),
        }
    }

    /// One update of the weights; `None`, and no update, if the loss or the gradients are not finite, or the loss jumped.
    fn step(&mut self) -> Result<Option<Step>> {
        let options = &self.record.options;
        let progress_share = self.progress_share();
        let standing = &mut self.standing;
        let began = Instant::now();
        let device = standing.network.device();
        if standing.progress.window == 0 {
            // A pass begins where no text precedes.
            standing.state = State::zeros(&standing.network.config, options.batch_size, device);
        }
        let Window {
            loss,
            gradients,
            state: next,
            tokens,
        } = self.window(self.standing.progress.window);
        let options = &self.record.options;
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
        let rate = learning_rate(options, progress_share, progress.learning_rate_scale);
        let update = Update {
            step: progress.step + 1,
            learning_rate: rate,
            weight_decay: options.weight_decay,
            clip_norm: options.clip_norm,
        };
        let gradient_norm = standing.optimizer.update(
            &mut standing.network.parameters,
            &gradients,
            update,
            &self.team,
        );
        if !gradient_norm.is_finite() {
            return Ok(None);
        }
        standing.state = next;
        progress.step += 1;
        standing.average(options.ema);
        let progress = &mut standing.progress;
        progress.window += 1;
        if progress.window == self.streams.windows() {
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
        let seconds_left = match self.record.options.budget {
            Budget::Seconds(budget) => budget - self.clock.seconds(),
            _ => self.steps_left() as f64 * self.tokens_per_step() as f64 / tokens_per_second,
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
            "tokens": self.tokens_seen(),
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
        let line_end = self.corpus.tokenizer.line_end();
        let nats = evaluation::nats(
            &self.standing.judged(),
            &self.valid,
            line_end,
            self.record.options.threads.max(1) as usize,
        );
        let statistics = &self.corpus.statistics;
        // What is read of a very long validation part stands for all of it.
        let share = self.valid.len() as f64 / statistics.valid.tokens as f64;
        let score = LanguageScore::new(
            nats / share,
            statistics.valid_spelling_nats,
            &statistics.valid,
        );
        if !score.loss.is_finite() {
            return Ok(None);
        }
        let epoch = self.epoch();
        let best_yet = self.record.best().map(|best| best.valid_loss);
        let best = best_yet.is_none_or(|loss| score.loss < loss);
        let progress = &mut self.standing.progress;
        let evaluation = Evaluation {
            step: progress.step,
            epoch,
            train_loss: progress.since_evaluation.take(),
            valid_loss: score.loss,
            bits_per_character: score.bits_per_character,
            seconds: self.clock.seconds(),
        };
        progress.evaluations.push(evaluation.clone());
        progress.without_better = if best { 0 } else { progress.without_better + 1 };
        progress.on_plateau = if best { 0 } else { progress.on_plateau + 1 };
        if self.record.options.schedule == Schedule::Plateau
            && progress.on_plateau >= PLATEAU_EVALUATIONS
        {
            progress.on_plateau = 0;
            progress.learning_rate_scale *= PLATEAU_FACTOR;
        }
        self.record.evaluations = progress.evaluations.clone();
        let line = json!({
            "step": evaluation.step,
            "epoch": evaluation.epoch,
            "tokens": self.tokens_seen(),
            "seconds": evaluation.seconds,
            "loss": evaluation.train_loss,
            "valid_loss": evaluation.valid_loss,
            "bits_per_character": evaluation.bits_per_character,
        });
        self.metrics.append(&line)?;
        if best {
            self.directory.save_weights(&self.standing.weights()?)?;
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
        let options = &self.record.options;
        if options.patience > 0 && progress.without_better >= options.patience {
            return Some(Finish::Patience);
        }
        let spent = match options.budget {
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
        match self.record.options.budget {
            Budget::Seconds(_) => self.progress_share() >= self.clock.next_evaluation.min(1.0),
            _ => {
                let end_of_pass = progress.window == 0 && self.pass_is_long();
                end_of_pass
                    || progress
                        .step
                        .is_multiple_of(self.record.options.evaluate_every)
                    || self.steps_left() == 0
            }
        }
    }

    /// The share of a time budget at which the next evaluation is worth its cost.
    fn next_evaluation(&self) -> f64 {
        let Budget::Seconds(budget) = self.record.options.budget else {
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
        self.streams.windows() as u64 > self.record.options.evaluate_every
    }

    fn save_is_due(&self) -> bool {
        let since = self.clock.last_save.elapsed();
        let worth_its_cost = since >= SAVE_AT_MOST.max(self.clock.save_cost * 60);
        since >= SAVE_AT_LEAST || (self.standing.progress.window == 0 && worth_its_cost)
    }

    /// Share of the budget that is spent. A time budget keeps some back for the last evaluation and save.
    fn progress_share(&self) -> f64 {
        match self.record.options.budget {
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
        self.valid.len() as f64 / (2.0 * self.clock.tokens_per_second).max(1.0) + 0.2
    }

    /// Updates that the budget comes to; of a time budget, as many as the measured speed allows.
    fn total_steps(&self) -> u64 {
        let budget = self.record.options.budget;
        total_steps(&budget, &self.streams).unwrap_or_else(|| match budget {
            Budget::Seconds(seconds) => {
                let left = (seconds - self.clock.seconds()).max(0.0);
                let steps = left * self.clock.tokens_per_second / self.tokens_per_step() as f64;
                self.standing.progress.step + steps as u64
            }
            _ => 0,
        })
    }

    fn steps_left(&self) -> u64 {
        self.total_steps()
            .saturating_sub(self.standing.progress.step)
    }

    fn tokens_per_step(&self) -> usize {
        self.streams.batch_size * self.streams.bptt
    }

    fn tokens_seen(&self) -> u64 {
        let progress = &self.standing.progress;
        let pass = self.streams.length.min(progress.window * self.streams.bptt) as u64;
        (progress.epoch * self.streams.length as u64 + pass) * self.streams.batch_size as u64
    }

    fn epoch(&self) -> f64 {
        let progress = &self.standing.progress;
        progress.epoch as f64 + progress.window as f64 / self.streams.windows() as f64
    }

    /// Reads a window after the state that stands, and looks back at its loss.
    fn window(&mut self, index: usize) -> Window {
        let (inputs, targets) = self.streams.read(&self.corpus.train, index);
        let Standing { network, state, .. } = &self.standing;
        let (batch_size, device) = (self.streams.batch_size, network.device());
        let options = &self.record.options;
        let Progress { step, rescues, .. } = self.standing.progress;
        let seed = seed(options.seed, step, rescues);
        let masks = Masks::draw(&network.config, options, device, seed);
        if let Some(backprop) = &mut self.backprop {
            let ids = |ids: &[i64]| ids.iter().map(|&id| id as u32).collect::<Vec<_>>();
            let (inputs, targets) = (ids(&inputs), ids(&targets));
            return backprop.window(network, &inputs, &targets, state, &masks, &self.team);
        }
        let tensor = |ids: &[i64]| {
            let ids = Tensor::from_slice(ids).view([-1, batch_size as i64]);
            ids.to_device(device)
        };
        let kind = precision::of_libtorch(options.precision);
        let (loss, next) = network.loss(&tensor(&inputs), &tensor(&targets), state, &masks, kind);
        Window {
            gradients: network.gradients(&loss),
            loss: loss.double_value(&[]),
            state: next,
            tokens: inputs.len(),
        }
    }

    /// Runs a few steps for their speed alone: no weight changes, and no later random number.
    fn measure(&mut self) {
        let config = &self.standing.network.config;
        let zeros = State::zeros(
            config,
            self.streams.batch_size,
            self.standing.network.device(),
        );
        let state = std::mem::replace(&mut self.standing.state, zeros);
        self.window(0);
        let began = Instant::now();
        let (mut steps, mut tokens) = (0, 0);
        while steps < MEASURED_STEPS && (steps == 0 || began.elapsed() < MEASURED_TIME) {
            tokens += self.window(0).tokens;
            steps += 1;
        }
        self.clock.tokens_per_second = tokens as f64 / began.elapsed().as_secs_f64();
        self.standing.state = state;
    }

    /// With a time budget, an evaluation may read no more than a small share of it allows.
    fn shorten_validation(&mut self) {
        if let Budget::Seconds(budget) = self.record.options.budget
            && self.standing.progress.step == 0
        {
            // Measuring a token costs about half of training on it.
            let affordable =
                (EVALUATION_SHARE * budget * 2.0 * self.clock.tokens_per_second) as usize;
            let read = self.valid.len().min(affordable.max(LEAST_VALID_TOKENS));
            self.record.valid_tokens_read = read;
            self.valid = self.valid.slice(0..read);
        }
    }

    fn plan(&self) -> Plan {
        let config = &self.standing.network.config;
        let options = &self.record.options;
        let total_steps = self.total_steps();
        let evaluations = EvaluationStreams::new(self.valid.len());
        Plan {
            config: config.clone(),
            options: options.clone(),
            train: self.corpus.statistics.train,
            valid: self.corpus.statistics.valid,
            valid_tokens_read: self.valid.len(),
            chosen: self.record.chosen.clone(),
            steps_per_epoch: self.streams.windows(),
            total_steps,
            memory: recipe::memory(config, options, evaluations.streams),
            tokens_per_second: self.clock.tokens_per_second,
            seconds: match options.budget {
                Budget::Seconds(seconds) => seconds,
                _ => {
                    let tokens = (total_steps - self.standing.progress.step.min(total_steps))
                        as f64
                        * self.tokens_per_step() as f64;
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

/// The model to go on from, if one was named; the settings take over what it is.
fn base(settings: &mut Settings) -> Result<Option<Base>> {
    let Some(named) = &settings.from else {
        return Ok(None);
    };
    let directory = Directory::find(named.as_ref())?;
    let config = directory.load_config()?;
    let kept = [
        (
            "--hidden-size",
            &mut settings.hidden_size,
            config.hidden_size,
        ),
        (
            "--embedding-size",
            &mut settings.embedding_size,
            config.embedding_size,
        ),
        ("--num-layers", &mut settings.num_layers, config.num_layers),
    ];
    for (option, given, own) in kept {
        if given.is_some_and(|given| given != own) {
            return Err(contradiction(&directory, option, own));
        }
        *given = Some(own);
    }
    if settings.level.is_some_and(|level| level != config.level) {
        return Err(contradiction(&directory, "--level", config.level));
    }
    if settings.split.is_some_and(|split| split != config.split) {
        return Err(contradiction(
            &directory,
            "--split",
            format!("{:?}", config.split).to_lowercase(),
        ));
    }
    if settings
        .tie_weights
        .is_some_and(|tied| tied != config.tie_weights)
    {
        return Err(contradiction(
            &directory,
            "--tie-weights",
            config.tie_weights,
        ));
    }
    settings.level = Some(config.level);
    settings.split = (config.level == Level::Word).then_some(config.split);
    settings.tie_weights = Some(config.tie_weights);
    // Named so that a run that is begun again finds it from any folder.
    settings.from = Some(
        absolute(vec![directory.path().to_path_buf()])?[0]
            .display()
            .to_string(),
    );
    Ok(Some(Base {
        tokenizer: directory.load_tokenizer(&config)?,
        weights: directory.load_weights(&config)?,
        path: directory.path().to_path_buf(),
        config,
    }))
}

fn contradiction(directory: &Directory, option: &str, own: impl std::fmt::Display) -> Error {
    Error::usage(format!(
        "{} has {option} {own}, and --from keeps that; leave {option} away",
        directory.path().display()
    ))
}

/// Paths that mean the same from any folder, and can be written down.
fn absolute(files: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
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

/// The device that was asked for. One that is asked for and absent is an error, never silently another.
fn device(asked: settings::Device) -> Result<Device> {
    match asked {
        settings::Device::Auto => Ok(Device::cuda_if_available()),
        settings::Device::Cpu => Ok(Device::Cpu),
        settings::Device::Cuda(number)
            if tch::Cuda::is_available() && (number as i64) < tch::Cuda::device_count() =>
        {
            Ok(Device::Cuda(number))
        }
        settings::Device::Cuda(number) => Err(Error::usage(format!(
            "libtorch sees no GPU number {number}; use --device cpu, or a libtorch with CUDA (make libtorch CUDA=1)"
        ))),
    }
}

fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(number) => format!("cuda:{number}"),
        _ => "cpu".to_string(),
    }
}

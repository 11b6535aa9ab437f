/*!
The runs of a comparison, one after another, with their progress on standard error.
*/

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;
use std::time::Instant;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::child::{self, Ended};
use super::standard::message;
use super::{interrupt, launch};
use crate::checkpoint::data_paths::DataPaths;
use crate::checkpoint::record::Budget;
use crate::checkpoint::{Directory, Lock};
use crate::comparison::data;
use crate::comparison::folder::Folder;
use crate::comparison::plan::{Network, Plan, Proposal, TRIALS, trial_budget};
use crate::comparison::report::{EntryResult, Report};
use crate::comparison::request::{Matching, budget_flags};
use crate::comparison::results::{RunResult, Trial, best_rate};
use crate::comparison::run::{Measured, Progress, Run, budget_text, duration};
use crate::error::{Error, Result};

/// Most threads that validate.
const MOST_THREADS: usize = 8;
/// Number of positions of the bar.
const BAR_LENGTH: u64 = 1000;

/// Runs a comparison in a folder.
pub struct Runner<'a> {
    folder: &'a Folder,
    /// Keeps other comparisons out of the folder. Each process of a run shares it: should this program be killed, no other
    /// begins while that process still writes.
    lock: &'a Lock,
    /// Whether the folder stays after an interruption.
    kept: bool,
    trainer: PathBuf,
    interrupt: &'static AtomicBool,
}

/// A finished comparison.
pub struct Finished {
    plan: Plan,
    entries: Vec<EntryResult>,
}

impl Finished {
    /// The report on it.
    pub fn report(self, folder: &Folder) -> Result<Report> {
        Report::new(self.plan, folder, &self.entries)
    }
}

/// How far the runs are.
struct Position {
    /// Number of the run that is next, from 1.
    next: usize,
    /// Number of all runs.
    count: usize,
    /// Seconds of the runs that are left.
    seconds_left: f64,
}

impl<'a> Runner<'a> {
    /// A runner that heeds Ctrl-C from now on.
    ///
    /// # Errors
    /// If there is no program that trains.
    pub fn new(folder: &'a Folder, lock: &'a Lock, kept: bool) -> Result<Self> {
        let trainer = launch::trainer()?;
        interrupt::listen()?;
        Ok(Runner {
            folder,
            lock,
            kept,
            trainer,
            interrupt: interrupt::watch(),
        })
    }

    /// Does every run that is not finished yet.
    ///
    /// # Errors
    /// A run that fails; an interruption, after the work was saved.
    pub fn run(&self, mut plan: Plan) -> Result<Finished> {
        announce(&plan);
        if plan.networks.is_empty() {
            let proposals = self.proposals(&plan)?;
            plan.decide(&proposals)?;
            plan.content = Some(data::content(&plan.request.data())?);
            self.folder.save_plan(&plan)?;
        }
        describe(&plan);
        let (count, seconds_left) = plan.total();
        let mut position = Position {
            next: 1,
            count,
            seconds_left,
        };
        let mut entries = Vec::new();
        for network in &plan.networks {
            entries.push(self.entry(&plan, network, &mut position)?);
        }
        Ok(Finished { plan, entries })
    }

    /// What `carousel-train` would do for each entry. It refuses what cannot be trained.
    fn proposals(&self, plan: &Plan) -> Result<Vec<Proposal>> {
        let request = &plan.request;
        let propose = |entry| {
            let mut arguments = request.arguments(entry);
            arguments.extend(budget_flags(request.budget));
            arguments.extend(["--plan".to_string(), "--json".to_string()]);
            let ended = child::run(
                &self.trainer,
                &arguments,
                Stdio::null(),
                self.interrupt,
                || (),
            )?;
            match ended.code {
                _ if self.interrupt.load(Ordering::Relaxed) => Err(Error::interrupted(
                    "interrupted before the first run; nothing was saved",
                )),
                Some(0) => Proposal::parse(&ended.output),
                _ => Err(ended.error(&entry.name)),
            }
        };
        request.entries.iter().map(propose).collect()
    }

    /// The trials and runs of a network.
    fn entry(
        &self,
        plan: &Plan,
        network: &Network,
        position: &mut Position,
    ) -> Result<EntryResult> {
        let mut trials = Vec::new();
        for run in plan.trials(network) {
            let result = self.finish(plan, &run, position)?;
            trials.push(Trial {
                learning_rate: run.learning_rate,
                scores: result.scores,
            });
        }
        let learning_rate = best_rate(&trials).unwrap_or(network.learning_rates[0]);
        let mut runs = Vec::new();
        for run in plan.runs(network, learning_rate) {
            runs.push(self.finish(plan, &run, position)?);
        }
        Ok(EntryResult {
            network: network.clone(),
            learning_rate,
            trials,
            runs,
        })
    }

    /// Brings a run to its end, unless it is finished, and reads its result.
    fn finish(&self, plan: &Plan, run: &Run, position: &mut Position) -> Result<RunResult> {
        let finished = self.folder.progress(run)? == Progress::Finished;
        if !finished {
            self.train(plan, run, position)?;
        }
        let threads = available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS));
        let labelled = plan.request.documents.is_some();
        let result = RunResult::read(self.folder, run, labelled, threads)?;
        if !finished {
            message(format!("    {}", outcome(&result)));
        }
        position.next += 1;
        position.seconds_left -= run.seconds;
        Ok(result)
    }

    /// Trains a run to its end, from where it was saved last.
    fn train(&self, plan: &Plan, run: &Run, position: &Position) -> Result<()> {
        let directory = self.folder.directory(run);
        let path = directory.path().display().to_string();
        let mut arguments = match self.folder.progress(run)? {
            Progress::Vacant => [&run.arguments[..], &["-o".to_string(), path]].concat(),
            _ => {
                let resume = vec![run.arguments[0].clone(), "--resume".to_string(), path];
                [resume, moved(plan, &directory)?].concat()
            }
        };
        arguments.push("--quiet".to_string());
        let bar = Bar::new(run, position);
        let ended = child::run(
            &self.trainer,
            &arguments,
            self.lock.input()?,
            self.interrupt,
            || bar.show(),
        )?;
        bar.clear();
        self.remember(run, &ended)?;
        let finished = self
            .folder
            .progress(run)
            .is_ok_and(|p| p == Progress::Finished);
        if !finished && (ended.is_interrupted() || self.interrupt.load(Ordering::Relaxed)) {
            return Err(self.interrupted(position));
        }
        match ended.code {
            // A loss that explodes is a result too.
            _ if finished => Ok(()),
            Some(0) => Err(Error::new(format!("{} ended before its budget", run.label))),
            _ => Err(ended.error(&run.label)),
        }
    }

    /// Saves the memory of a process.
    fn remember(&self, run: &Run, ended: &Ended) -> Result<()> {
        let earlier = self.folder.load_measured(run);
        let measured = Measured {
            memory_bytes: earlier.memory_bytes.max(ended.memory_bytes),
            ..earlier
        };
        self.folder.save_measured(run, &measured)
    }

    fn interrupted(&self, position: &Position) -> Error {
        let Position { next, count, .. } = position;
        let place = self.folder.path().display();
        Error::interrupted(match self.kept {
            true => format!(
                "interrupted in run {next} of {count}; everything is saved, and `carousel compare --resume {place}` continues"
            ),
            false => format!(
                "interrupted in run {next} of {count}; nothing is kept without a folder (-o)"
            ),
        })
    }
}

/// Arguments that tell a run where its data is, if that is not where it was when the run began.
fn moved(plan: &Plan, directory: &Directory) -> Result<Vec<String>> {
    let data = plan.request.data();
    if DataPaths::of(&directory.load_request()?) == data {
        return Ok(Vec::new());
    }
    let valid = data.valid.iter();
    let valid = valid.map(|valid| format!("--valid={}", valid.display()));
    let paths = data.paths.iter().map(|path| path.display().to_string());
    Ok(paths.chain(valid).collect())
}

/// Says what the comparison will take, as far as that is known before the networks are planned.
fn announce(plan: &Plan) {
    let request = &plan.request;
    let trial = trial_budget(request.budget);
    let (count, trials) = match request.gives("--learning-rate") {
        true => (0, String::new()),
        false => (
            TRIALS,
            format!(
                "{TRIALS} trials of a learning rate ({} each) and ",
                budget_text(trial)
            ),
        ),
    };
    let total = match (request.budget, trial) {
        (Budget::Seconds(run), Budget::Seconds(trial)) => {
            let each = count as f64 * trial + request.seeds as f64 * run;
            format!("; {} in all", duration(request.entries.len() as f64 * each))
        }
        _ => String::new(),
    };
    message(format!(
        "{}: for each {trials}{} of {}{total}",
        plural(request.entries.len(), "network"),
        plural(request.seeds as usize, "run"),
        budget_text(request.budget)
    ));
}

/// Shows the networks, and the time of all runs.
fn describe(plan: &Plan) {
    let names = plan.request.entries.iter().map(|entry| entry.name.len());
    let longest = names.max().unwrap_or(0);
    for network in &plan.networks {
        message(format!(
            "{:<longest$}  width {}, {} parameters, {} without the embedding",
            network.entry.name,
            network.hidden_size,
            HumanCount(network.parameters as u64),
            HumanCount(network.parameters_without_embedding as u64),
        ));
    }
    let (count, seconds) = plan.total();
    let matched = match plan.request.matching {
        Some(Matching::Params) => "equal parameters",
        Some(Matching::Time) => "equal time",
        None => "equal steps",
    };
    message(format!(
        "{} at {matched}, about {}",
        plural(count, "run"),
        duration(seconds)
    ));
}

fn plural(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// What came of a run, on a line.
fn outcome(result: &RunResult) -> String {
    let scores = &result.scores;
    match (scores.loss, scores.macro_f1) {
        (Some(loss), Some(f1)) => format!("validation loss {loss:.4}, macro F1 {f1:.4}"),
        (Some(loss), None) => format!("validation loss {loss:.4}"),
        (None, _) => "no result: the loss exploded".to_string(),
    }
}

/// The bar of a run.
struct Bar {
    bar: ProgressBar,
    started: Instant,
    run_seconds: f64,
    seconds_left: f64,
}

impl Bar {
    /// Says which run begins, and shows a bar on a terminal.
    fn new(run: &Run, position: &Position) -> Self {
        message(format!(
            "run {} of {}: {}  ({} left)",
            position.next,
            position.count,
            run.label,
            duration(position.seconds_left)
        ));
        let style = ProgressStyle::with_template("{bar:32} {percent:>3}%  {msg}")
            .expect("the template is well formed");
        let bar = ProgressBar::with_draw_target(Some(BAR_LENGTH), ProgressDrawTarget::stderr());
        Bar {
            bar: bar.with_style(style),
            started: Instant::now(),
            run_seconds: run.seconds.max(1e-3),
            seconds_left: position.seconds_left,
        }
    }

    fn show(&self) {
        let elapsed = self.started.elapsed().as_secs_f64();
        let spent = (elapsed / self.run_seconds).min(1.0);
        self.bar.set_position((spent * BAR_LENGTH as f64) as u64);
        let left = self.seconds_left - elapsed.min(self.run_seconds);
        self.bar
            .set_message(format!("{} left in all", duration(left)));
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/*!
`carousel train`: flags → one run.
*/

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::classifier;
use crate::language_model;
use crate::progress::Progress;
use crate::run::{Event, Run, Task};
use carousel::checkpoint::Directory;
use carousel::cli::train::Arguments;
use carousel::cli::{interrupt, standard, train_classifier};
use carousel::error::{Error, ErrorKind, Result};
use carousel::settings::Settings;
use carousel::text::labelled;

/// Trains.
pub fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    interrupt::listen()?;
    if arguments.plan {
        return plan(arguments, started);
    }
    let directory = match (&arguments.resume, &arguments.output) {
        (Some(folder), _) | (None, Some(folder)) => Directory::at(folder),
        (None, None) => {
            return Err(Error::usage("give the folder to keep the model in with -o"));
        }
    };
    let mut progress = Progress::new(directory.clone(), arguments.quiet);
    let mut notify = |event| progress.show(event);
    let settings = &arguments.settings;
    let run = match arguments.resume {
        Some(_) => {
            let others = arguments.output.is_some() || !arguments.corpus.is_empty();
            alone(others || arguments.overwrite, settings)?;
            language_model::resume(existing(directory, "train CORPUS")?, started, &mut notify)?
        }
        None => {
            vacant(&directory, arguments.overwrite)?;
            let corpus = without_standard_input(&arguments.corpus, &directory)?;
            let run = language_model::begin(directory, &corpus, settings, started, &mut notify);
            Some(run?)
        }
    };
    train(run, &mut notify)
}

/// Trains, if there is something left to do.
fn train<T: Task>(run: Option<Run<T>>, notify: &mut dyn FnMut(Event)) -> Result<()> {
    match run {
        // Only now is there something to save.
        Some(mut run) => run.train(interrupt::watch(), notify),
        None => {
            standard::tell("this run is finished; there is nothing left to resume");
            Ok(())
        }
    }
}

/// Trains a classifier.
pub fn run_classifier(arguments: &train_classifier::Arguments) -> Result<()> {
    let started = Instant::now();
    interrupt::listen()?;
    let folder = arguments.resume.as_ref().or(arguments.output.as_ref());
    let folder = folder.expect("clap asks for one of them");
    let directory = Directory::at(folder);
    let mut progress = Progress::new(directory.clone(), arguments.quiet);
    let mut notify = |event| progress.show(event);
    let quiet = arguments.quiet;
    // The language model has a progress of its own.
    let mut language_model = |part: Directory, corpus: &Path, settings: &Settings| {
        language_model_part(part, corpus, settings, started, quiet).map_err(|error| {
            match error.kind() {
                ErrorKind::Interrupted => Error::interrupted(format!(
                    "interrupted at the language model; everything is saved, and `carousel train-classifier --resume {}` \
                     goes on",
                    folder.display()
                )),
                _ => error,
            }
        })
    };
    let run = match arguments.resume {
        Some(_) => {
            let others = arguments.output.is_some()
                || arguments.overwrite
                || !arguments.documents.is_empty()
                || arguments.request != labelled::Request::default();
            alone(others, &arguments.settings)?;
            let directory = existing(directory, "train-classifier LABELLED")?;
            classifier::resume(directory, started, &mut notify, &mut language_model)?
        }
        None => {
            vacant(&directory, arguments.overwrite)?;
            let part = directory.language_model();
            if part.holds_run() {
                part.clear(&[])?;
            }
            let run = classifier::begin(
                directory,
                &arguments.documents,
                &arguments.settings,
                &arguments.request,
                started,
                &mut notify,
                &mut language_model,
            );
            Some(run?)
        }
    };
    train(run, &mut notify)
}

/// Learns the language model that a classifier begins with, or goes on with it where it was left.
fn language_model_part(
    part: Directory,
    corpus: &Path,
    settings: &Settings,
    started: Instant,
    quiet: bool,
) -> Result<()> {
    let mut progress = Progress::new(part.clone(), quiet);
    let mut notify = |event| progress.show(event);
    if !part.holds_run() {
        let corpus = [corpus.to_path_buf()];
        return language_model::begin(part, &corpus, settings, started, &mut notify)?
            .train(interrupt::watch(), &mut notify);
    }
    match language_model::resume(part, started, &mut notify)? {
        Some(mut run) => run.train(interrupt::watch(), &mut notify),
        None => Ok(()),
    }
}

/// Begins a run in a folder that nobody sees, and leaves it at what it would do.
fn plan(arguments: &Arguments, started: Instant) -> Result<()> {
    let folder = tempfile::tempdir()
        .map_err(|e| Error::file("create a folder in", &std::env::temp_dir(), e))?;
    let directory = Directory::at(folder.path());
    let mut progress = Progress::new(directory.clone(), false);
    let mut notify = |event| progress.show(event);
    let corpus = without_standard_input(&arguments.corpus, &directory)?;
    let settings = &arguments.settings;
    language_model::begin(directory, &corpus, settings, started, &mut notify)?
        .announce(&mut notify);
    Ok(())
}

/// `--resume` obeys what was settled when the run began.
fn alone(others: bool, settings: &Settings) -> Result<()> {
    if others || *settings != Settings::default() {
        return Err(Error::usage(
            "--resume goes on with the corpus and the options that the run began with; give it alone (or with --quiet)",
        ));
    }
    Ok(())
}

fn existing(directory: Directory, command: &str) -> Result<Directory> {
    if directory.holds_run() {
        return Ok(directory);
    }
    Err(Error::new(format!(
        "{0} holds no run to resume; `carousel {command} -o {0}` begins one",
        directory.path().display()
    )))
}

fn vacant(directory: &Directory, overwrite: bool) -> Result<()> {
    if overwrite || !directory.holds_run() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{0} holds a model already; continue it with --resume {0}, choose another folder, or replace it with --overwrite",
        directory.path().display()
    )))
}

/// Standard input is kept in the model's folder, so that the run can be resumed.
fn without_standard_input(corpus: &[PathBuf], directory: &Directory) -> Result<Vec<PathBuf>> {
    let kept = directory.standard_input();
    if corpus.iter().any(|path| standard::is_input(path)) {
        directory.create()?;
        standard::keep(&kept)?;
    }
    let named = |path: &PathBuf| {
        if standard::is_input(path) {
            kept.clone()
        } else {
            Path::to_path_buf(path)
        }
    };
    Ok(corpus.iter().map(named).collect())
}

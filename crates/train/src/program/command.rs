/*!
`carousel train`: flags → one run.
*/

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::progress::Progress;
use carousel::checkpoint::Directory;
use carousel::checkpoint::arguments::TrainArguments;
use carousel::cli::{interrupt, standard, train, train_classifier};
use carousel::data::labelled::DocumentOptions;
use carousel::error::{Error, ErrorKind, Result};
use carousel_train::run::{Event, Run, Task};
use carousel_train::tasks::classifier;
use carousel_train::tasks::language_model;

/// Trains.
pub fn train(flags: &train::Arguments) -> Result<()> {
    let started = Instant::now();
    interrupt::listen()?;
    if flags.plan {
        return plan(flags, started);
    }
    let directory = match (&flags.resume, &flags.output) {
        (Some(folder), _) | (None, Some(folder)) => Directory::at(folder),
        (None, None) => {
            return Err(Error::usage("give the folder to keep the model in with -o"));
        }
    };
    let mut progress = Progress::new(directory.clone(), flags.quiet);
    let mut notify = |event| progress.show(event);
    let arguments = &flags.training();
    let run = match flags.resume {
        Some(_) => {
            let others = flags.output.is_some() || !flags.corpus.is_empty();
            alone(others || flags.overwrite, arguments)?;
            language_model::resume(existing(directory, "train CORPUS")?, started, &mut notify)?
        }
        None => {
            vacant(&directory, flags.overwrite)?;
            let corpus = without_standard_input(&flags.corpus, &directory)?;
            let run = language_model::begin(directory, &corpus, arguments, started, &mut notify);
            Some(run?)
        }
    };
    go_on(run, &mut notify)
}

/// Trains, if there is something left to do.
fn go_on<T: Task>(run: Option<Run<T>>, notify: &mut dyn FnMut(Event)) -> Result<()> {
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
pub fn train_classifier(flags: &train_classifier::Arguments) -> Result<()> {
    let started = Instant::now();
    interrupt::listen()?;
    let folder = flags.resume.as_ref().or(flags.output.as_ref());
    let folder = folder.expect("clap asks for one of them");
    let directory = Directory::at(folder);
    let mut progress = Progress::new(directory.clone(), flags.quiet);
    let mut notify = |event| progress.show(event);
    let quiet = flags.quiet;
    // The language model has a progress of its own.
    let mut language_model = |part: Directory, corpus: &Path, arguments: &TrainArguments| {
        language_model_part(part, corpus, arguments, started, quiet).map_err(|error| {
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
    let run = match flags.resume {
        Some(_) => {
            let others = flags.output.is_some()
                || flags.overwrite
                || !flags.documents.is_empty()
                || flags.layout.options() != DocumentOptions::default();
            alone(others, &flags.training())?;
            let directory = existing(directory, "train-classifier LABELLED")?;
            classifier::resume(directory, started, &mut notify, &mut language_model)?
        }
        None => {
            vacant(&directory, flags.overwrite)?;
            let part = directory.language_model();
            if part.holds_run() {
                part.clear(&[])?;
            }
            let run = classifier::begin(
                directory,
                &flags.documents,
                &flags.training(),
                &flags.layout.options(),
                started,
                &mut notify,
                &mut language_model,
            );
            Some(run?)
        }
    };
    go_on(run, &mut notify)
}

/// Learns the language model that a classifier begins with, or goes on with it where it was left.
fn language_model_part(
    part: Directory,
    corpus: &Path,
    arguments: &TrainArguments,
    started: Instant,
    quiet: bool,
) -> Result<()> {
    let mut progress = Progress::new(part.clone(), quiet);
    let mut notify = |event| progress.show(event);
    if !part.holds_run() {
        let corpus = [corpus.to_path_buf()];
        return language_model::begin(part, &corpus, arguments, started, &mut notify)?
            .train(interrupt::watch(), &mut notify);
    }
    match language_model::resume(part, started, &mut notify)? {
        Some(mut run) => run.train(interrupt::watch(), &mut notify),
        None => Ok(()),
    }
}

/// Begins a run in a folder that nobody sees, and leaves it at what it would do.
fn plan(flags: &train::Arguments, started: Instant) -> Result<()> {
    let folder = tempfile::tempdir()
        .map_err(|e| Error::file("create a folder in", &std::env::temp_dir(), e))?;
    let directory = Directory::at(folder.path());
    let mut progress = Progress::new(directory.clone(), false);
    let mut notify = |event| progress.show(event);
    let corpus = without_standard_input(&flags.corpus, &directory)?;
    let arguments = &flags.training();
    language_model::begin(directory, &corpus, arguments, started, &mut notify)?
        .announce(&mut notify);
    Ok(())
}

/// `--resume` obeys what was settled when the run began.
fn alone(others: bool, arguments: &TrainArguments) -> Result<()> {
    if others || *arguments != TrainArguments::default() {
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

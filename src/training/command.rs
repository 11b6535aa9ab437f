/*!
`carousel train`: flags → one run.
*/

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::language_model;
use crate::progress::Progress;
use carousel::checkpoint::Directory;
use carousel::cli::train::Arguments;
use carousel::cli::{interrupt, standard};
use carousel::error::{Error, Result};
use carousel::settings::Settings;

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
    let mut run = match arguments.resume {
        Some(_) => {
            alone(arguments)?;
            match language_model::resume(existing(directory)?, started, &mut notify)? {
                Some(run) => run,
                None => {
                    standard::tell("this run is finished; there is nothing left to resume");
                    return Ok(());
                }
            }
        }
        None => {
            vacant(&directory, arguments.overwrite)?;
            let corpus = without_standard_input(&arguments.corpus, &directory)?;
            language_model::begin(
                directory,
                &corpus,
                &arguments.settings,
                started,
                &mut notify,
            )?
        }
    };
    // Only now is there something to save.
    run.train(interrupt::watch(), &mut notify)
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
fn alone(arguments: &Arguments) -> Result<()> {
    let others = arguments.output.is_some() || arguments.overwrite || !arguments.corpus.is_empty();
    if others || arguments.settings != Settings::default() {
        return Err(Error::usage(
            "--resume goes on with the corpus and the options that the run began with; give it alone (or with --quiet)",
        ));
    }
    Ok(())
}

fn existing(directory: Directory) -> Result<Directory> {
    if directory.holds_run() {
        return Ok(directory);
    }
    Err(Error::new(format!(
        "{} holds no run to resume; `carousel train CORPUS -o {}` begins one",
        directory.path().display(),
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

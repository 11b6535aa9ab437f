/*!
`carousel train` and `carousel train-classifier`: flags, then one run.
*/

use std::path::Path;
use std::time::Instant;

use crate::plan;
use crate::progress::Progress;
use carousel::checkpoint::Directory;
use carousel::checkpoint::arguments::TrainArguments;
use carousel::cli::run_folder::{check_vacant, keep_standard_input};
use carousel::cli::{interrupt, standard, train, train_classifier};
use carousel::data::labelled::DocumentOptions;
use carousel::error::{Error, ErrorKind, Result};
use carousel_train::run::{Notify, Run, Task};
use carousel_train::tasks::classifier;
use carousel_train::tasks::language_model;

/// Trains a language model.
pub fn train(flags: &train::Arguments) -> Result<()> {
    let started = Instant::now();
    interrupt::listen()?;
    if flags.plan {
        return plan::language_model(flags, started);
    }
    let folder = flags.resume.as_ref().or(flags.output.as_ref());
    let folder = folder.ok_or_else(|| Error::usage("give the folder for the model with -o"))?;
    let directory = Directory::at(folder);
    let mut progress = Progress::new(directory.clone(), flags.quiet);
    let notify: Notify = &mut |event| progress.show(event);
    let arguments = flags.training();
    let run = if flags.resume.is_some() {
        let others = flags.output.is_some() || flags.overwrite || !flags.corpus.is_empty();
        check_alone(others, &arguments)?;
        check_existing(&directory, "train CORPUS")?;
        match directory.load_request()?.arguments.baseline {
            Some(_) => None,
            None => language_model::resume(directory, started, notify)?,
        }
    } else {
        check_vacant(&directory, flags.overwrite)?;
        flags.corpus.iter().for_each(|path| note_labels(path));
        let corpus = keep_standard_input(&flags.corpus, &directory)?;
        Some(language_model::begin(
            directory, &corpus, &arguments, started, notify,
        )?)
    };
    finish(run, notify)
}

/// Prints a note if a file to be read as text has columns of labels and texts.
fn note_labels(path: &Path) {
    let options = DocumentOptions {
        labels: true,
        ..DocumentOptions::default()
    };
    if standard::is_labelled(path, &options) {
        standard::message(format!(
            "note: {0} has columns of labels and texts, and is read as text; `carousel train-classifier {0} -o DIR` learns \
             its labels",
            path.display()
        ));
    }
}

/// Trains, if there is something left to do.
fn finish<T: Task>(run: Option<Run<T>>, notify: Notify) -> Result<()> {
    match run {
        // Only now is there something to save.
        Some(mut run) => run.train(interrupt::watch(), notify),
        None => {
            standard::message("this run is finished; there is nothing left to resume");
            Ok(())
        }
    }
}

/// Trains a classifier.
pub fn train_classifier(flags: &train_classifier::Arguments) -> Result<()> {
    let started = Instant::now();
    interrupt::listen()?;
    if flags.plan {
        return plan::classifier(flags, started);
    }
    let folder = flags.resume.as_ref().or(flags.output.as_ref());
    let folder = folder.ok_or_else(|| Error::usage("give the folder for the model with -o"))?;
    let directory = Directory::at(folder);
    let mut progress = Progress::new(directory.clone(), flags.quiet);
    let notify: Notify = &mut |event| progress.show(event);
    // The language model has its own progress.
    let mut language_model = |part: Directory, corpus: &Path, arguments: &TrainArguments| {
        let learnt = learn_language_model(part, corpus, arguments, started, flags.quiet);
        learnt.map_err(|error| interrupted_before_labels(error, folder))
    };
    let (arguments, documents) = (flags.training(), flags.layout.options());
    let run = if flags.resume.is_some() {
        let others = flags.output.is_some() || flags.overwrite || !flags.documents.is_empty();
        check_alone(
            others || documents != DocumentOptions::default(),
            &arguments,
        )?;
        check_existing(&directory, "train-classifier LABELLED")?;
        classifier::resume(directory, started, notify, &mut language_model)?
    } else {
        check_vacant(&directory, flags.overwrite)?;
        let part = directory.language_model();
        if part.holds_run() {
            part.clear(&[])?;
        }
        let asked = (&arguments, &documents);
        Some(classifier::begin(
            directory,
            &flags.documents,
            asked,
            started,
            notify,
            &mut language_model,
        )?)
    };
    finish(run, notify)
}

/// Trains the language model that a classifier starts from, or resumes its training.
fn learn_language_model(
    part: Directory,
    corpus: &Path,
    arguments: &TrainArguments,
    started: Instant,
    quiet: bool,
) -> Result<()> {
    let mut progress = Progress::new(part.clone(), quiet);
    let notify: Notify = &mut |event| progress.show(event);
    let run = match part.holds_run() {
        true => language_model::resume(part, started, notify)?,
        false => Some(language_model::begin(
            part,
            &[corpus.to_path_buf()],
            arguments,
            started,
            notify,
        )?),
    };
    run.map_or(Ok(()), |mut run| run.train(interrupt::watch(), notify))
}

fn interrupted_before_labels(error: Error, folder: &Path) -> Error {
    match error.kind() {
        ErrorKind::Interrupted => Error::interrupted(format!(
            "interrupted at the language model; everything is saved, and `carousel train-classifier --resume {}` continues",
            folder.display()
        )),
        _ => error,
    }
}

/// Checks that `--resume` is given alone: the run keeps the options that it began with.
fn check_alone(others: bool, arguments: &TrainArguments) -> Result<()> {
    if others || *arguments != TrainArguments::default() {
        return Err(Error::usage(
            "--resume continues with the data and the options that the run began with; give it alone (or with --quiet)",
        ));
    }
    Ok(())
}

fn check_existing(directory: &Directory, command: &str) -> Result<()> {
    if directory.holds_run() {
        return Ok(());
    }
    Err(Error::new(format!(
        "{0} holds no run to resume; `carousel {command} -o {0}` begins one",
        directory.path().display()
    )))
}

/*!
A run as it was saved in a directory, and how it is resumed.
*/

use std::time::Instant;

use super::base::Base;
use super::event::{Event, Notify};
use super::task::{Prepared, Task};
use super::training::{RESTARTED, Run};
use crate::device;
use carousel::checkpoint::data_paths::DataPaths;
use carousel::checkpoint::record::{Finish, Record, Request};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::error::{Error, Result};
use carousel::files;

/// A run as it was saved.
pub struct SavedRun<R> {
    /// Its request, its options and its evaluations.
    pub record: Record<R>,
    /// The network.
    pub config: ModelConfig,
    /// Whether its training state was saved.
    pub has_state: bool,
}

/// Resumes a run where it was saved last; `None` if it is finished. Where nothing was saved, `begin` begins it again;
/// else `restore` prepares its task again, with the model that it began from if that is still needed. `given` is where the
/// user says that the data is now.
///
/// # Errors
/// A directory without a run, or with one of another command or one that was given up; a device that is not there; damaged
/// files; data that is not there; what `begin` and `restore` fail with.
pub fn resume<T: Task>(
    directory: Directory,
    given: Option<&DataPaths>,
    (started, notify): (Instant, Notify),
    begin: impl FnOnce(Request, Notify) -> Result<Run<T>>,
    restore: impl FnOnce(SavedRun<T::Record>) -> Result<(Prepared<T>, Option<Base>)>,
) -> Result<Option<Run<T>>> {
    let mut request = directory.load_request()?;
    check_command::<T>(&directory, &request)?;
    directory.check_own_run()?;
    if !directory.holds_checkpoint() {
        DataPaths::check(&directory, &mut request, given)?;
        // Of cross-validation, finished folds may have been saved.
        if request.arguments.folds.is_none() {
            notify(Event::Note(RESTARTED.to_string()));
        }
        return begin(request, notify).map(Some);
    }
    let record: Record<T::Record> = directory.load_record()?;
    if let Some(finish) = record.finished {
        return end_again(&directory, finish).map(|()| None);
    }
    // Before the data is read: without the device there is nothing to do.
    device::named(&record.training.device)?;
    let config = directory.load_config()?;
    record.training.check(str::to_string).map_err(|error| {
        let place = directory.path().display();
        Error::new(format!("training.json of {place} is damaged: {error}"))
    })?;
    tch::set_num_threads(record.training.threads);
    let state = directory.load_resume()?;
    let saved = SavedRun {
        record,
        config,
        has_state: state.is_some(),
    };
    let before = saved.record.request.paths.clone();
    let (prepared, base) = restore(saved)?;
    let paths = &prepared.record.request.paths;
    if *paths != before {
        notify(Event::Note(format!(
            "the data was moved, and is read from {}",
            files::names(paths)
        )));
    }
    Run::resume(directory, prepared, state, base.as_ref(), started, notify).map(Some)
}

/// Does what the end of a run does, which may have been killed then.
fn end_again(directory: &Directory, finish: Finish) -> Result<()> {
    directory.remove_resume()?;
    if directory.replaces_another() {
        return match finish {
            Finish::Diverged => directory.discard(&[]),
            Finish::Budget | Finish::Patience => directory.move_in().map(|_| ()),
        };
    }
    match directory.holds_failure() {
        true => Err(Error::new(format!(
            "the run in {0} was given up: its loss diverged before any weights were worth saving; begin again, with a \
             lower --learning-rate, in another folder or with --overwrite",
            directory.path().display()
        ))),
        false => Ok(()),
    }
}

fn check_command<T: Task>(directory: &Directory, request: &Request) -> Result<()> {
    let is_forecaster = |config: ModelConfig| config.forecaster().is_some();
    let (what, command) = match request.documents {
        _ if directory.load_config().is_ok_and(is_forecaster) => ("a forecaster", "forecast"),
        Some(_) => ("a classifier", "train-classifier"),
        None if request.pairs.is_some() => ("a translator", "train-translator"),
        None => ("a language model", "train"),
    };
    if command == T::COMMAND {
        return Ok(());
    }
    Err(Error::new(format!(
        "{} holds the run of {what}; `{}` continues it",
        directory.path().display(),
        directory.resume_command()
    )))
}

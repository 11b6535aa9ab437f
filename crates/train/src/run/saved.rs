/*!
A run as it was saved in a directory, and how it is resumed.
*/

use std::time::Instant;

use super::base::Base;
use super::event::{Event, Notify};
use super::task::{Prepared, Task};
use super::training::{RESTARTED, Run};
use carousel::checkpoint::record::{Record, Request};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::error::{Error, Result};
use carousel::text::tokenizer::Tokenizer;

/// A run as it was saved.
pub struct SavedRun<R> {
    /// Its request, its options and its evaluations.
    pub record: Record<R>,
    /// The network.
    pub config: ModelConfig,
    /// The vocabulary.
    pub tokenizer: Tokenizer,
    /// Whether its training state was saved.
    pub has_state: bool,
}

/// Resumes a run where it was saved last; `None` if it is finished. Where nothing was saved, `begin` begins it again;
/// else `restore` prepares its task again, with the model that it began from if that is still needed.
///
/// # Errors
/// A directory without a run, or with one of another command; damaged files; what `begin` and `restore` fail with.
pub fn resume<T: Task>(
    directory: Directory,
    started: Instant,
    notify: Notify,
    begin: impl FnOnce(Request, Notify) -> Result<Run<T>>,
    restore: impl FnOnce(SavedRun<T::Record>) -> Result<(Prepared<T>, Option<Base>)>,
) -> Result<Option<Run<T>>> {
    let request = directory.load_request()?;
    check_command::<T>(&directory, &request)?;
    if !directory.holds_checkpoint() {
        notify(Event::Note(RESTARTED.to_string()));
        return begin(request, notify).map(Some);
    }
    let record: Record<T::Record> = directory.load_record()?;
    if record.finished.is_some() {
        directory.remove_resume()?;
        return Ok(None);
    }
    let config = directory.load_config()?;
    let tokenizer = directory.load_tokenizer(&config)?;
    tch::set_num_threads(record.training.threads);
    let state = directory.load_resume()?;
    let saved = SavedRun {
        record,
        config,
        tokenizer,
        has_state: state.is_some(),
    };
    let (prepared, base) = restore(saved)?;
    Run::resume(directory, prepared, state, base.as_ref(), started, notify).map(Some)
}

fn check_command<T: Task>(directory: &Directory, request: &Request) -> Result<()> {
    let (what, command) = match request.documents {
        Some(_) => ("a classifier", "train-classifier"),
        None => ("a language model", "train"),
    };
    if command == T::COMMAND {
        return Ok(());
    }
    Err(Error::new(format!(
        "{0} holds the run of {what}; `carousel {command} --resume {0}` continues it",
        directory.path().display()
    )))
}

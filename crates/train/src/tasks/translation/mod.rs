/*!
Learning to translate: a recurrent encoder, attention and a decoder (Sutskever et al. 2014; Bahdanau et al. 2015), trained on
sentences with their translations.
*/

mod batches;
mod dataset;
mod prepare;
mod task;

pub use task::TranslationTask;

use std::path::PathBuf;
use std::time::Instant;

use crate::run::{self, Notify, Prepared, Run, SavedRun};
use crate::{device, recipe};
use carousel::checkpoint::Directory;
use carousel::checkpoint::arguments::TrainArguments;
use carousel::checkpoint::data_paths::DataPaths;
use carousel::checkpoint::record::{PairLayout, PairsRecord, Record, Request};
use carousel::error::{Error, Result};
use carousel::files::absolute;
use dataset::Dataset;

/// Begins a run that learns to translate from the pairs in the files at `paths`; `started` is when the command began.
///
/// # Errors
/// Pairs that cannot be read, options that contradict each other, a device that is not there, a directory that cannot be
/// written.
pub fn begin(
    directory: Directory,
    paths: &[PathBuf],
    arguments: &TrainArguments,
    started: Instant,
    notify: Notify,
) -> Result<Run<TranslationTask>> {
    recipe::translation::check(arguments)?;
    let device = device::device(arguments.device.unwrap_or_default())?;
    let request = Request {
        version: env!("CARGO_PKG_VERSION").to_string(),
        paths: absolute(paths.to_vec())?,
        arguments: arguments.clone(),
        documents: None,
        pairs: Some(PairLayout::Lines),
    };
    let prepare = |request: Request| {
        let dataset = Dataset::read(&request, notify)?;
        prepare::prepare(request, &dataset, device, notify)
    };
    Run::begin(directory, request, None, started, prepare)
}

/// Resumes a run where it was saved last; `None` if it is finished. `given` is where the user says that the pairs are now.
///
/// # Errors
/// A directory without a run, damaged files, pairs that have changed or are not found.
pub fn resume(
    directory: Directory,
    given: Option<&DataPaths>,
    started: Instant,
    notify: Notify,
) -> Result<Option<Run<TranslationTask>>> {
    let place = directory.clone();
    let begin = |request: Request, notify: Notify| {
        begin(
            place.clone(),
            &request.paths,
            &request.arguments,
            started,
            notify,
        )
    };
    let restore = |saved| Ok((restore(&directory, saved, given)?, None));
    run::resume(directory.clone(), given, (started, notify), begin, restore)
}

/// The task of a saved run.
fn restore(
    directory: &Directory,
    saved: SavedRun<PairsRecord>,
    given: Option<&DataPaths>,
) -> Result<Prepared<TranslationTask>> {
    let SavedRun {
        mut record, config, ..
    } = saved;
    let dataset = read_again(directory, &mut record, given)?;
    let tokenizers = directory.load_tokenizers(&config)?;
    Ok(prepare::task(
        &dataset,
        tokenizers,
        record,
        config,
        &mut |_| (),
    ))
}

/// The pairs of a saved run, where they are now.
fn read_again(
    directory: &Directory,
    record: &mut Record<PairsRecord>,
    given: Option<&DataPaths>,
) -> Result<Dataset> {
    let has_content = |data: &DataPaths| {
        let mut request = record.request.clone();
        data.put_into(&mut request)?;
        let dataset = Dataset::read(&request, &mut |_| ())?;
        match dataset.hash == record.subject.hash {
            true => Ok(dataset),
            false => Err(Error::new(
                "the pairs have changed since the run began; restore them, or begin another run with -o",
            )),
        }
    };
    let Some(found) = DataPaths::find_again(directory, &record.request, given, has_content)? else {
        return has_content(&DataPaths::of(&record.request));
    };
    found.data.put_into(&mut record.request)?;
    Ok(found.content)
}

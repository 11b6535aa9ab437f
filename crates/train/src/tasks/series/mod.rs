/*!
Forecasters: a recurrent network that reads windows of series and predicts a distribution of what follows, one for all series of a
panel. Season and level are taken out first (Smyl 2020), by what the training part alone says.
*/

mod examples;
mod options;
mod task;
#[cfg(test)]
mod tests;

pub use options::SeriesOptions;
pub use task::SeriesTask;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::device;
use crate::run::{self, Event, ExampleRow, Notify, Prepared, Run, SavedRun};
use carousel::checkpoint::arguments::TrainArguments;
use carousel::checkpoint::numbers::Strategy;
use carousel::checkpoint::record::{Record, Request, SeriesRecord};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::error::{Error, Result};
use carousel::forecasting::numeric_series::NumericSeries;
use carousel::forecasting::windows::SeriesScaling;
use carousel::inference::forecaster::QuantileForecaster;
use examples::Examples;

/// Steps at the beginning of a window that are shown.
const SHOWN_STEPS: usize = 5;
/// Windows that are shown.
const SHOWN_WINDOWS: usize = 2;

/// Trains the networks of a forecaster in a directory one after another, and opens it. An interrupted training of the same
/// panel with the same options goes on, to the same weights; any other one that the directory holds is begun anew.
///
/// # Errors
/// Those of [`begin`], [`resume`] and [`Run::train`].
pub fn train(
    directory: Directory,
    panel: &[NumericSeries],
    options: &SeriesOptions,
    interrupt: &AtomicBool,
    notify: Notify,
) -> Result<QuantileForecaster> {
    if let Some(other) = difference(&directory, panel, &options.of_member(1))? {
        notify(Event::Note(format!(
            "what was trained before is of other {other}: beginning anew"
        )));
        (1..=options.members).try_for_each(|number| directory.member(number).clear(&[]))?;
    }
    for number in 1..=options.members {
        let (own, place) = (options.of_member(number), directory.member(number));
        let goes_on = place.holds_run();
        let run = match goes_on {
            true => resume(place, panel, &own, Instant::now(), notify)?,
            false => Some(begin(place, panel, &own, &[], Instant::now())?),
        };
        let Some(mut run) = run else { continue };
        if goes_on {
            let members = options.members;
            notify(Event::Note(format!(
                "going on with network {number} of {members}"
            )));
        }
        run.train(interrupt, notify)?;
    }
    QuantileForecaster::open(&directory, options.training.threads.max(1) as usize)
}

/// What a run in a directory has that a run of a panel with some options has not: other series, or other options. `None` if
/// they are the same, or if there is no run, or none that has its network yet.
fn difference(
    directory: &Directory,
    panel: &[NumericSeries],
    options: &SeriesOptions,
) -> Result<Option<&'static str>> {
    if !directory.holds_checkpoint() {
        return Ok(None);
    }
    let record: Record<SeriesRecord> = directory.load_record()?;
    let config = options.config(panel)?;
    let is_same = directory.load_config()? == config
        && record.training == options.training_of(&config)
        && record.subject.valid_steps == options.valid_steps(panel) as u64;
    Ok(match record.subject.hash == hash(panel) {
        false => Some("series"),
        true if !is_same => Some("options"),
        true => None,
    })
}

/// Begins a run of one of the networks, which learns to forecast a panel, whose values were read from the files at `paths`. `started` is when the
/// command began.
///
/// # Errors
/// Series that are too short or have different columns, sizes that are impossible, a directory that cannot be written.
pub fn begin(
    directory: Directory,
    panel: &[NumericSeries],
    options: &SeriesOptions,
    paths: &[PathBuf],
    started: Instant,
) -> Result<Run<SeriesTask>> {
    let request = Request {
        version: env!("CARGO_PKG_VERSION").to_string(),
        paths: paths.to_vec(),
        arguments: TrainArguments::default(),
        documents: None,
        pairs: None,
    };
    let prepare = |request| prepare(request, panel, options);
    Run::begin(directory, request, None, started, prepare)
}

/// Resumes a run with the same panel where it was saved last; `None` if it is finished.
///
/// # Errors
/// A directory without a run, damaged files, a panel that has changed.
pub fn resume(
    directory: Directory,
    panel: &[NumericSeries],
    options: &SeriesOptions,
    started: Instant,
    notify: Notify,
) -> Result<Option<Run<SeriesTask>>> {
    let place = directory.clone();
    let begin =
        |request: Request, _: Notify| begin(place.clone(), panel, options, &request.paths, started);
    let restore = |saved| Ok((restore(&directory, saved, panel)?, None));
    run::resume(directory.clone(), None, (started, notify), begin, restore)
}

/// The task of a saved run.
fn restore(
    directory: &Directory,
    saved: SavedRun<SeriesRecord>,
    panel: &[NumericSeries],
) -> Result<Prepared<SeriesTask>> {
    let SavedRun { record, config, .. } = saved;
    if hash(panel) != record.subject.hash {
        return Err(Error::new(
            "the series have changed since the run began; restore them, or begin another run with -o",
        ));
    }
    let scalings = directory.load_scaling()?;
    task(panel, scalings, record, config)
}

/// Resolves what a run needs.
fn prepare(
    request: Request,
    panel: &[NumericSeries],
    options: &SeriesOptions,
) -> Result<Prepared<SeriesTask>> {
    panel.iter().try_for_each(NumericSeries::check)?;
    let config = options.config(panel)?;
    let (numbers, _) = config.forecaster().expect("a forecaster");
    let valid_steps = options.valid_steps(panel);
    let scaling =
        |series: &NumericSeries| SeriesScaling::fit(&options.learnt(series, panel), numbers);
    let scalings: Vec<SeriesScaling> = panel.iter().map(scaling).collect();
    let record = Record {
        request,
        training: options.training_of(&config),
        chosen: Vec::new(),
        finished: None,
        evaluations: Vec::new(),
        subject: SeriesRecord {
            series: panel.len() as u64,
            train_windows: 0,
            valid_windows: 0,
            valid_steps: valid_steps as u64,
            hash: hash(panel),
        },
    };
    task(panel, scalings, record, config)
}

fn task(
    panel: &[NumericSeries],
    scalings: Vec<SeriesScaling>,
    mut record: Record<SeriesRecord>,
    config: ModelConfig,
) -> Result<Prepared<SeriesTask>> {
    // As a resumed run does: the number of threads affects rounding.
    tch::set_num_threads(record.training.threads);
    let device = device::named(&record.training.device)?;
    let valid_steps = record.subject.valid_steps as usize;
    let examples = Examples::new(panel, &scalings, &config, valid_steps, device)?;
    record.subject.train_windows = examples.train.len() as u64;
    record.subject.valid_windows = examples.valid.len() as u64;
    let (numbers, _) = config.forecaster().expect("a forecaster");
    Ok(Prepared {
        task: SeriesTask {
            rows: rows(&panel[0], &config),
            examples,
            scalings,
            batch_size: record.training.batch_size,
            window: numbers.window,
            seed: record.training.seed,
            order: (0, Vec::new()),
        },
        record,
        config,
    })
}

/// The first windows of a series, in its own values: what is read, and what is to be predicted from it.
fn rows(series: &NumericSeries, config: &ModelConfig) -> Vec<ExampleRow> {
    let (numbers, values) = config.forecaster().expect("a forecaster");
    let window = numbers.window.min(series.values.len());
    let text = |step: usize| series.values.get(step).map(|value| format!("{value}"));
    let row = |begin: usize| {
        let last = begin + window - 1;
        let shown = (begin..last.min(begin + SHOWN_STEPS)).chain([last]);
        let predicts = |step: usize| step == last || values.strategy == Strategy::Every;
        ExampleRow {
            inputs: shown.clone().filter_map(text).collect(),
            targets: shown
                .map(|step| match predicts(step) {
                    true => (1..=values.horizon)
                        .filter_map(|ahead| text(step + ahead))
                        .collect(),
                    false => Vec::new(),
                })
                .collect(),
        }
    };
    (0..SHOWN_WINDOWS).map(row).collect()
}

/// Hash of all numbers of a panel.
fn hash(panel: &[NumericSeries]) -> String {
    let mut hasher = blake3::Hasher::new();
    for series in panel {
        hasher.update(series.id.as_bytes());
        for column in [&series.values]
            .into_iter()
            .chain(&series.others)
            .chain(&series.known)
        {
            hasher.update(&(column.len() as u64).to_le_bytes());
            column.iter().for_each(|value| {
                hasher.update(&value.to_le_bytes());
            });
        }
    }
    hasher.finalize().to_hex().to_string()
}

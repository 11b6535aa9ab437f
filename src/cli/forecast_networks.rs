/*!
Recurrent networks in `carousel forecast`: one network of each method and strategy reads all series of a file.
*/

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use carousel_kernels::recurrent::Cell;

use super::forecast_backtest::SeriesBacktest;
use super::forecast_flags::Arguments;
use super::forecast_output::Answer;
use super::standard::{self, message};
use crate::checkpoint::Directory;
use crate::checkpoint::numbers::Strategy;
use crate::data::series::time_series::{Regressor, Series};
use crate::error::{Error, ErrorKind, Result};
use crate::forecasting::accuracy::{Accuracy, scale};
use crate::forecasting::folder::{FittedSeries, ForecastFolder, Forecaster, NetworkName};
use crate::forecasting::forecast::Forecast;
use crate::forecasting::method::{FitOptions, Method};
use crate::forecasting::numeric_series::NumericSeries;
use crate::forecasting::rolling::rolled_by;
use crate::inference::forecaster::QuantileForecaster;

/// Longest season that a network reads beside its first.
const LONGEST_SEASON: usize = 200;

/// Name of the folder of the networks that are being trained.
const NEW: &str = ".new-networks";

/// A network to be trained.
pub struct NetworkRequest<'a> {
    /// The folder for it.
    pub folder: PathBuf,
    /// Its cell.
    pub cell: Cell,
    /// How several steps ahead are predicted.
    pub strategy: Strategy,
    /// Number of steps ahead.
    pub horizon: usize,
    /// Steps in a season, or 1, and in a longer one, or 0.
    pub seasons: [usize; 2],
    /// The series, with what is known beside them.
    pub panel: &'a [NumericSeries],
    /// The flags.
    pub arguments: &'a Arguments,
}

/// What trains a network: the library of `carousel-train`.
pub type Train<'a> = &'a dyn Fn(&NetworkRequest) -> Result<()>;

/// Trains the networks that were asked for, in the folder if there is one, and names them in `forecaster`. What an
/// interrupted command has trained of them goes on.
///
/// # Errors
/// Series that no network can learn from; an interruption, after everything was saved.
pub(super) fn train_all(
    forecaster: &mut Forecaster,
    folder: &Path,
    train: Train,
    arguments: &Arguments,
) -> Result<()> {
    let panel = panel(&forecaster.series, arguments)?;
    // What was good stays until all of its successors are trained.
    let new = folder.join(NEW);
    forget_others(&new, arguments)?;
    for name in names(arguments) {
        let start = Instant::now();
        if !arguments.quiet {
            message(format!(
                "training    {}, on {} series",
                name.shown(),
                panel.len()
            ));
        }
        let series = (forecaster.series.as_slice(), panel.as_slice());
        train(&request(&name, new.join(name.folder()), series, arguments))
            .map_err(|error| interrupted(error, &name, arguments))?;
        let seconds = start.elapsed().as_secs_f64();
        forecaster.networks.push(NetworkName { seconds, ..name });
    }
    for name in &forecaster.networks {
        let place = folder.join(name.folder());
        remove(&place)?;
        fs::rename(new.join(name.folder()), &place).map_err(|e| Error::file("write", &place, e))?;
    }
    remove(&new)
}

/// Removes what was trained of networks that are not asked for any more.
fn forget_others(new: &Path, arguments: &Arguments) -> Result<()> {
    let asked: Vec<String> = names(arguments).iter().map(NetworkName::folder).collect();
    let Ok(entries) = fs::read_dir(new) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !asked.contains(&name) {
            remove(&entry.path())?;
            standard::notes(&[format!("what was trained of {name} before is left out")]);
        }
    }
    Ok(())
}

/// The error of a training, with what there is to do after an interruption.
fn interrupted(error: Error, name: &NetworkName, arguments: &Arguments) -> Error {
    match (error.kind(), &arguments.output) {
        (ErrorKind::Interrupted, Some(folder)) => Error::interrupted(format!(
            "interrupted while {} was trained; everything is saved in {}, and the same command goes on",
            name.shown(),
            folder.display()
        )),
        (ErrorKind::Interrupted, None) => Error::interrupted(format!(
            "interrupted while {} was trained; nothing is kept",
            name.shown()
        )),
        _ => error,
    }
}

/// Has `train` show each network that was asked for, which trains nothing with `--plan`.
///
/// # Errors
/// Series that no network can learn from.
pub(super) fn plan_all(forecaster: &Forecaster, train: Train, arguments: &Arguments) -> Result<()> {
    let panel = panel(&forecaster.series, arguments)?;
    for name in names(arguments) {
        if !arguments.quiet {
            message(format!("network     {}", name.shown()));
        }
        let series = (forecaster.series.as_slice(), panel.as_slice());
        train(&request(&name, PathBuf::new(), series, arguments))?;
    }
    Ok(())
}

/// The parts of series that networks learn from.
fn panel(series: &[FittedSeries], arguments: &Arguments) -> Result<Vec<NumericSeries>> {
    let learnt = |FittedSeries { series, .. }: &FittedSeries| {
        let (count, dates) = (series.values.len(), series.dates.as_ref());
        let split = arguments.windows().split(dates, count, &series.id)?;
        Ok(numeric(series, split.train.end))
    };
    series.iter().map(learnt).collect()
}

/// The request for a network of some series and what is learnt from of them.
fn request<'a>(
    name: &NetworkName,
    folder: PathBuf,
    (series, panel): (&[FittedSeries], &'a [NumericSeries]),
    arguments: &'a Arguments,
) -> NetworkRequest<'a> {
    let options = series.first().map(|fitted| &fitted.options);
    let horizon = series.iter().map(|fitted| fitted.options.horizon).max();
    NetworkRequest {
        folder,
        cell: cell(name.method),
        strategy: name.strategy,
        horizon: horizon.unwrap_or(1),
        seasons: options.map_or([1, 0], |options| seasons(&options.seasons)),
        panel,
        arguments,
    }
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::file("remove", folder, error))
        }
        _ => Ok(()),
    }
}

/// Trains each network that was asked for on what is before the first origins of series, and adds what it says at all
/// origins to their backtests. Returns the networks' names.
///
/// # Errors
/// Series that no network can learn from.
pub(super) fn compare(
    all: &mut [(Series, FitOptions, SeriesBacktest)],
    train: Train,
    arguments: &Arguments,
) -> Result<Vec<String>> {
    let place = Place::of(arguments, None)?;
    let first = |backtest: &SeriesBacktest| backtest.origins.first().copied().unwrap_or(0);
    let before = |(series, _, backtest): &(Series, FitOptions, SeriesBacktest)| {
        numeric(series, first(backtest))
    };
    let panel: Vec<NumericSeries> = all.iter().map(before).collect();
    let horizon = all.iter().map(|(_, options, _)| options.horizon).max();
    let seasons = all.first().map(|(_, options, _)| seasons(&options.seasons));
    for name in names(arguments) {
        let start = Instant::now();
        let folder = place.path().join(name.folder());
        train(&NetworkRequest {
            folder: folder.clone(),
            cell: cell(name.method),
            strategy: name.strategy,
            horizon: horizon.unwrap_or(1),
            seasons: seasons.unwrap_or([1, 0]),
            panel: &panel,
            arguments,
        })
        .map_err(|error| interrupted(error, &name, arguments))?;
        let seconds = start.elapsed().as_secs_f64() / panel.len().max(1) as f64;
        let network = QuantileForecaster::open(&Directory::at(&folder), 1)?;
        for (series, options, backtest) in all.iter_mut() {
            let accuracy = measured(&network, series, options, &backtest.origins)?;
            backtest.add(accuracy, seconds);
        }
    }
    Ok(names(arguments).iter().map(NetworkName::folder).collect())
}

/// Mean accuracy of a network at the origins of a series.
fn measured(
    network: &QuantileForecaster,
    series: &Series,
    options: &FitOptions,
    origins: &[usize],
) -> Result<Accuracy> {
    let season = options.seasons.first().copied().unwrap_or(1);
    let numbers = numeric(series, series.values.len());
    let at = |&origin: &usize| {
        let (history, rest) = series.values.split_at(origin);
        let actual = &rest[..options.horizon.min(rest.len())];
        let forecast = network.forecast(&numbers.until(origin), actual.len())?;
        Ok(Accuracy::new(&forecast, actual, scale(history, season)))
    };
    let all: Vec<Accuracy> = origins.iter().map(at).collect::<Result<_>>()?;
    Ok(Accuracy::mean(&all))
}

/// The networks that the flags name: each recurrent method with each strategy.
fn names(arguments: &Arguments) -> Vec<NetworkName> {
    let methods = arguments.method.iter().filter(|method| method.is_network());
    let named = |&method: &Method| {
        let strategies = arguments.strategy.iter();
        strategies.map(move |&strategy| NetworkName {
            method,
            strategy,
            seconds: 0.0,
        })
    };
    methods.flat_map(named).collect()
}

fn cell(method: Method) -> Cell {
    match method {
        Method::Gru => Cell::Gru,
        Method::Lstm => Cell::Lstm,
        _ => Cell::Rnn,
    }
}

/// The first season, or 1, and a longer one that is not too long to be read, or 0.
fn seasons(all: &[usize]) -> [usize; 2] {
    let first = all.first().copied().unwrap_or(1);
    let longer = all
        .iter()
        .skip(1)
        .find(|&&season| season > first && season <= LONGEST_SEASON);
    [first, longer.copied().unwrap_or(0)]
}

/// The first `count` steps of a series as networks read them.
fn numeric(series: &Series, count: usize) -> NumericSeries {
    let columns = |known_ahead: bool| -> Vec<Vec<f64>> {
        let all = series.regressors.iter();
        all.filter(|one| one.known_ahead == known_ahead)
            .map(|one| column(one, count))
            .collect()
    };
    NumericSeries {
        id: series.id.clone(),
        values: series.values[..count].to_vec(),
        others: columns(false),
        known: columns(true),
    }
}

/// A column beside a series: to its end, or as far as it is known ahead.
fn column(regressor: &Regressor, count: usize) -> Vec<f64> {
    let mut values = regressor.values.clone();
    if !regressor.known_ahead || values.len() < count {
        values.resize(count, f64::NAN);
    }
    values
}

/// The forecasts of a forecaster's networks.
///
/// # Errors
/// A folder that lacks a network.
pub(super) fn answers(
    forecaster: &Forecaster,
    folder: &Path,
    arguments: &Arguments,
) -> Result<Vec<Answer>> {
    let mut answers = Vec::new();
    for name in &forecaster.networks {
        let directory = Directory::at(folder.join(name.folder()));
        let network = QuantileForecaster::open(&directory, 1)?;
        for fitted in &forecaster.series {
            let answer = answer(name, &network, fitted, arguments);
            answers.push(
                answer.map_err(|error| Error::new(format!("{}: {error}", fitted.series.id)))?,
            );
        }
    }
    Ok(answers)
}

fn answer(
    name: &NetworkName,
    network: &QuantileForecaster,
    fitted: &FittedSeries,
    arguments: &Arguments,
) -> Result<Answer> {
    let (series, options) = (&fitted.series, &fitted.options);
    let count = series.values.len();
    let split = arguments
        .windows()
        .split(series.dates.as_ref(), count, &series.id)?;
    let horizon = arguments
        .horizon
        .map_or(options.horizon, |horizon| horizon as usize);
    let numbers = numeric(series, count);
    let season = options.seasons.first().copied().unwrap_or(1);
    let (start, forecast, actual): (usize, Forecast, Option<Vec<f64>>) = match &split.test {
        Some(test) => {
            let forecast = rolled_by(test.clone(), horizon, |origin, steps| {
                network.forecast(&numbers.until(origin), steps)
            })?;
            (
                test.start,
                forecast,
                Some(series.values[test.clone()].to_vec()),
            )
        }
        None => {
            let known = numbers.until(split.train.end);
            (split.train.end, network.forecast(&known, horizon)?, None)
        }
    };
    let accuracy = actual.as_ref().map(|actual| {
        let scale = scale(&series.values[split.train.clone()], season);
        Accuracy::new(&forecast, actual, scale)
    });
    Ok(Answer {
        series: series.id.clone(),
        model: name.shown(),
        method: name.method,
        seconds: name.seconds,
        aicc: None,
        scores: Vec::new(),
        dates: (start..start + forecast.horizon())
            .map(|at| series.label(at))
            .collect(),
        predictions: match arguments.output {
            Some(_) => network.predictions(&numbers.until(start))?,
            None => Vec::new(),
        },
        history: series.values[..start].to_vec(),
        actual,
        calendar: series.dates.clone(),
        horizon,
        forecast,
        accuracy,
        season,
        explanation: None,
    })
}

/// Where networks are: in the folder of a model, in that of the output, or in one that is removed at the end.
pub(super) struct Place {
    path: PathBuf,
    /// Removed when it is dropped.
    _temporary: Option<tempfile::TempDir>,
}

impl Place {
    /// The place for the networks of a command.
    ///
    /// # Errors
    /// If a temporary folder cannot be made.
    pub fn of(arguments: &Arguments, output: Option<&ForecastFolder>) -> Result<Self> {
        if let Some(path) = arguments
            .model
            .clone()
            .or(output.map(|to| to.path().to_path_buf()))
        {
            return Ok(Place {
                path,
                _temporary: None,
            });
        }
        let temporary = tempfile::tempdir().map_err(|e| {
            Error::new(format!("cannot make a temporary folder for a network: {e}"))
        })?;
        Ok(Place {
            path: temporary.path().to_path_buf(),
            _temporary: Some(temporary),
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/*!
Recurrent networks in `carousel forecast`: one network of each method and strategy reads all series of a file.
*/

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use carousel_kernels::recurrent::Cell;

use super::forecast_answer::{Answer, AnswerModel, Asked};
use super::forecast_backtest::SeriesBacktest;
use super::forecast_flags::Arguments;
use super::standard::{self, message};
use crate::checkpoint::Directory;
use crate::checkpoint::numbers::Strategy;
use crate::data::series::calendar::Cycle;
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
    forecaster.calendar = calendar(forecaster.series.iter().map(|one| &one.series), arguments)?;
    let panel = panel(forecaster, arguments)?;
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
            if !arguments.quiet {
                standard::notes(&[format!("what was trained of {name} before is left out")]);
            }
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
pub(super) fn plan_all(
    mut forecaster: Forecaster,
    train: Train,
    arguments: &Arguments,
) -> Result<()> {
    forecaster.calendar = calendar(forecaster.series.iter().map(|one| &one.series), arguments)?;
    let panel = panel(&forecaster, arguments)?;
    for name in names(arguments) {
        if !arguments.quiet {
            message(format!("network     {}", name.shown()));
        }
        let series = (forecaster.series.as_slice(), panel.as_slice());
        train(&request(&name, PathBuf::new(), series, arguments))?;
    }
    Ok(())
}

/// The cycles of the calendar that all series go through, if networks are to read it; they are told.
///
/// # Errors
/// A series without dates.
fn calendar<'s>(
    all: impl Iterator<Item = &'s Series>,
    arguments: &Arguments,
) -> Result<Vec<Cycle>> {
    if !arguments.calendar {
        return Ok(Vec::new());
    }
    let mut common = Cycle::ALL.to_vec();
    for series in all {
        let Some(dates) = &series.dates else {
            return Err(Error::usage(format!(
                "{} has no dates for --calendar; name its column of dates with --date-column",
                series.id
            )));
        };
        let own = dates.cycles();
        common.retain(|cycle| own.contains(cycle));
    }
    if !arguments.quiet {
        let names: Vec<&str> = common.iter().map(|cycle| cycle.name()).collect();
        message(match names.is_empty() {
            true => "calendar    the step is too long for any of its cycles".to_string(),
            false => format!(
                "calendar    {}; a sine and a cosine of each are known ahead",
                names.join(", ")
            ),
        });
    }
    Ok(common)
}

/// The parts of series that networks learn from.
fn panel(forecaster: &Forecaster, arguments: &Arguments) -> Result<Vec<NumericSeries>> {
    let learnt = |fitted: &FittedSeries| {
        let FittedSeries {
            series, options, ..
        } = fitted;
        let (count, dates) = (series.values.len(), series.dates.as_ref());
        let split = arguments.windows().split(dates, count, &series.id)?;
        let columns = Columns {
            calendar: &forecaster.calendar,
            ahead: options.horizon,
        };
        Ok(columns.numeric(series, split.train.end))
    };
    forecaster.series.iter().map(learnt).collect()
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
    let calendar = calendar(all.iter().map(|one| &one.0), arguments)?;
    let columns = |options: &FitOptions| Columns {
        calendar: &calendar,
        ahead: options.horizon,
    };
    let first = |backtest: &SeriesBacktest| backtest.origins.first().copied().unwrap_or(0);
    let before = |(series, options, backtest): &(Series, FitOptions, SeriesBacktest)| {
        columns(options).numeric(series, first(backtest))
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
            let numbers = columns(options).numeric(series, series.values.len());
            let accuracy = measured(&network, &numbers, options, &backtest.origins)?;
            backtest.add(accuracy, seconds);
        }
    }
    Ok(names(arguments).iter().map(NetworkName::folder).collect())
}

/// Mean accuracy of a network at the origins of a series.
fn measured(
    network: &QuantileForecaster,
    series: &NumericSeries,
    options: &FitOptions,
    origins: &[usize],
) -> Result<Accuracy> {
    let season = options.season();
    let at = |&origin: &usize| {
        let (history, rest) = series.values.split_at(origin);
        let actual = &rest[..options.horizon.min(rest.len())];
        let forecast = network.forecast(&series.until(origin), actual.len())?;
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

/// The columns that networks read beside those of a file.
struct Columns<'a> {
    /// The cycles of the calendar.
    calendar: &'a [Cycle],
    /// Number of steps after the last value that they are to reach.
    ahead: usize,
}

impl Columns<'_> {
    /// The first `count` steps of a series as networks read them.
    fn numeric(&self, series: &Series, count: usize) -> NumericSeries {
        let columns = |known_ahead: bool| -> Vec<Vec<f64>> {
            let all = series.regressors.iter();
            all.filter(|one| one.known_ahead == known_ahead)
                .map(|one| column(one, count))
                .collect()
        };
        let mut known = columns(true);
        if let Some(dates) = &series.dates {
            known.extend(dates.columns(self.calendar, count + self.ahead));
        }
        NumericSeries {
            id: series.id.clone(),
            values: series.values[..count].to_vec(),
            others: columns(false),
            known,
        }
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
            let answer = answer((name, &network), fitted, &forecaster.calendar, arguments);
            answers.push(
                answer.map_err(|error| Error::new(format!("{}: {error}", fitted.series.id)))?,
            );
        }
    }
    Ok(answers)
}

/// The forecasts of a series by a network: after its end, or of the test window, if there is one.
fn answer(
    (name, network): (&NetworkName, &QuantileForecaster),
    fitted: &FittedSeries,
    calendar: &[Cycle],
    arguments: &Arguments,
) -> Result<Answer> {
    let series = &fitted.series;
    let asked = Asked::of(fitted, None, arguments)?;
    let numbers = numbers_for(network, &asked, calendar);
    let forecast = forecast_by(network, &numbers, &asked)?;
    let predictions = match arguments.output {
        Some(_) => network.predictions(&numbers.until(asked.range.start))?,
        None => Vec::new(),
    };
    let learnt = &series.values[asked.split.train.clone()];
    let model = AnswerModel {
        name: name.shown(),
        method: name.method,
        seconds: name.seconds,
        aicc: None,
        scores: Vec::new(),
    };
    Ok(asked.answer(model, forecast, learnt, predictions))
}

/// A series as a network reads it for the steps that are asked for.
pub(super) fn numbers_for(
    network: &QuantileForecaster,
    asked: &Asked,
    calendar: &[Cycle],
) -> NumericSeries {
    let series = &asked.fitted.series;
    // Of several predictions one after another, the last may reach further than is asked for.
    let ahead = asked.horizon + network.horizon();
    Columns { calendar, ahead }.numeric(series, series.values.len())
}

/// What a network says of the steps that are asked for, by what it reads.
///
/// # Errors
/// Other columns than the network has learnt with.
pub(super) fn forecast_by(
    network: &QuantileForecaster,
    numbers: &NumericSeries,
    asked: &Asked,
) -> Result<Forecast> {
    rolled_by(asked.range.clone(), asked.horizon, |origin, steps| {
        network.forecast(&numbers.until(origin), steps)
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

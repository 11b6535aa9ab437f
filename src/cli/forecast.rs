/*!
`carousel forecast`: the next values of series of numbers.
*/

use std::borrow::Cow;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::forecast_answer::{Answer, AnswerModel, Asked};
use super::forecast_backtest::{self, History, SeriesBacktest, first_origin, series_backtest};
use super::forecast_explanation;
use super::forecast_flags::Arguments;
use super::forecast_networks::{self, Place, Train};
use super::forecast_output;
use super::forecast_regressors;
use super::standard::{self, message};
use crate::checkpoint::{Directory, Lock};
use crate::data::series::dates::Split;
use crate::data::series::file::SeriesFile;
use crate::data::series::fill::Fill;
use crate::data::series::options::SeriesOptions;
use crate::data::series::time_series::Series;
use crate::error::{Error, Result};
use crate::forecasting::explanation::Explanation;
use crate::forecasting::folder::{FittedModel, FittedSeries, ForecastFolder, Forecaster};
use crate::forecasting::forecast::Forecast;
use crate::forecasting::method::{FitOptions, Method, fit};
use crate::forecasting::model::Model;
use crate::forecasting::panel_seasons::panel_seasons;
use crate::forecasting::regressors::{Usable, columns, steps_ahead};
use crate::forecasting::rolling::{Window, rolled};
use crate::forecasting::selection::leaves_gaps;
use crate::text::escape::escaped;

/// Number of steps that are forecast where the series has no season.
const DEFAULT_HORIZON: usize = 10;
/// Longest season that decides how many steps are forecast by default.
const LONGEST_HORIZON: usize = 60;
/// Number of series that are told one by one.
const TOLD: usize = 5;
/// How the progress of many series is shown.
const BAR: &str = "{bar:40} {pos} of {len} series, {eta} left";

/// Forecasts, by new models or by those in a folder.
///
/// # Errors
/// Files that cannot be read or written; series that no method can forecast; networks without `train`.
pub fn run(arguments: &Arguments, train: Option<Train>) -> Result<()> {
    if arguments.plan {
        return plan(arguments, train);
    }
    if let Some(number) = arguments.backtest {
        return compare(number as usize, arguments, train);
    }
    let output = arguments.output.as_deref().map(ForecastFolder::at);
    let lock = output
        .as_ref()
        .map(|folder| lock(folder, arguments))
        .transpose()?;
    if let Some(note) = lock.as_ref().and_then(Lock::note) {
        standard::notes(&[note.to_string()]);
    }
    let mut forecaster = match &arguments.model {
        Some(model) => go_on(&ForecastFolder::at(model), arguments)?,
        None => fitted(arguments)?,
    };
    let place = Place::of(arguments, output.as_ref())?;
    if let Some(train) = train.filter(|_| arguments.trains()) {
        forecast_networks::train_all(&mut forecaster, place.path(), train, arguments)?;
    }
    let (mut answers, failures) = answers(&forecaster, arguments)?;
    tell_failures(&failures);
    let networks = forecast_networks::answers(&forecaster, place.path(), arguments)?;
    answers.extend(networks);
    forecast_output::print(&answers, arguments.json, arguments.quiet)?;
    let Some(folder) = output else {
        return Ok(());
    };
    forecast_output::save(&folder, &answers)?;
    let drawn = forecast_explanation::save(&folder, &answers)?;
    folder.save(forecaster)?;
    if !arguments.quiet {
        let path = folder.path().display();
        if let Some(drawn) = drawn {
            message(format!("{drawn} are in {path}"));
        }
        message(format!(
            "model, forecast.csv, forecast.json and forecast.svg are in {path}; go on with: carousel forecast -m {path} \
             NEW.csv"
        ));
    }
    Ok(())
}

/// Shows the networks that would be trained, and trains none.
fn plan(arguments: &Arguments, train: Option<Train>) -> Result<()> {
    if let Some(other) = arguments.method.iter().find(|one| !one.is_network()) {
        return Err(Error::usage(format!(
            "--plan shows the windows of a network, and {} is none; give --method rnn, gru or lstm",
            other.name()
        )));
    }
    let Some(train) = train else {
        return Err(Error::new("networks are planned by carousel-train alone"));
    };
    forecast_networks::plan_all(fitted(arguments)?, train, arguments)
}

/// Locks the folder that is to be written, which may replace only what it may.
fn lock(folder: &ForecastFolder, arguments: &Arguments) -> Result<Lock> {
    let path = folder.path();
    if Directory::at(path).holds_run() {
        return Err(Error::usage(format!(
            "{} holds a model that was trained; choose another folder",
            path.display()
        )));
    }
    let goes_on = arguments.model.as_deref() == Some(path);
    if folder.holds_forecaster() && !goes_on && !arguments.overwrite {
        return Err(Error::usage(format!(
            "{0} holds a model already; go on with it by -m {0}, choose another folder, or replace it with --overwrite",
            path.display()
        )));
    }
    Lock::take(path)
}

/// Reads the series of a file, and tells what was read.
fn read(file: &Path, reading: &SeriesOptions, quiet: bool) -> Result<SeriesFile> {
    let name = standard::input_name(file);
    let read = match standard::is_input(file) {
        true => SeriesFile::read(std::io::stdin(), &name, reading)?,
        false => SeriesFile::open(file, reading)?,
    };
    if !quiet {
        message(format!("read        {name}: {}", read.columns));
        standard::notes(&read.notes);
        for series in read.series.iter().take(TOLD) {
            message(format!("series      {}", described(series)));
        }
        if read.series.len() > TOLD {
            let rest = read.series.len() - TOLD;
            message(format!(
                "            and {} more series",
                HumanCount(rest as u64)
            ));
        }
    }
    Ok(read)
}

/// A series in a line: its name, number of values, step and dates.
fn described(series: &Series) -> String {
    let count = series.values.len();
    let missing = match count - series.known() {
        0 => String::new(),
        missing => format!(" ({} missing)", HumanCount(missing as u64)),
    };
    let step = match (&series.dates, series.step()) {
        (None, _) => "without dates".to_string(),
        (Some(_), None) => "at irregular dates".to_string(),
        (Some(_), Some(step)) => step.name(),
    };
    let range = match series.dates {
        Some(_) => format!(", {} to {}", series.label(0), series.label(count - 1)),
        None => String::new(),
    };
    let values = if count == 1 { "value" } else { "values" };
    format!(
        "{}: {} {values}{missing}, {step}{range}",
        escaped(&series.id),
        HumanCount(count as u64)
    )
}

/// Reads a file, and fits models to its series.
fn fitted(arguments: &Arguments) -> Result<Forecaster> {
    let file = arguments.file.as_deref().unwrap_or(Path::new("-"));
    let series = read(file, &arguments.reading(), arguments.quiet)?.series;
    let (forecaster, failures) = fit_all(series, arguments)?;
    tell_failures(&failures);
    Ok(forecaster)
}

/// Fits models to series, and returns beside them why others failed.
///
/// # Errors
/// If no model can be fitted.
pub(super) fn fit_all(
    series: Vec<Series>,
    arguments: &Arguments,
) -> Result<(Forecaster, Vec<Error>)> {
    let panel = undated_seasons(&series, arguments, None);
    let all = with_progress(&series, arguments, |series| {
        fit_series(series, &panel, arguments)
    });
    if !arguments.quiet {
        standard::notes(&forecast_regressors::notes(arguments));
    }
    let (all, failures) = succeeded(all)?;
    let mut fitted = Vec::new();
    for (one, notes) in all {
        if !arguments.quiet && fitted.len() < TOLD {
            standard::notes(&notes);
        }
        fitted.push(one);
    }
    let forecaster = Forecaster::new(arguments.reading(), arguments.fill, fitted);
    Ok((forecaster, failures))
}

/// What is fitted to of a series, and how.
struct Task {
    split: Split,
    options: FitOptions,
    regressors: Usable,
    /// What could not be as it was asked for.
    notes: Vec<String>,
}

/// What is to be done with a series.
fn task(series: &Series, panel: &[usize], arguments: &Arguments) -> Result<Task> {
    let split =
        arguments
            .windows()
            .split(series.dates.as_ref(), series.values.len(), &series.id)?;
    let count = split.train.len();
    let (mut notes, mut seasons) = (Vec::new(), seasons(series, panel, arguments));
    seasons.retain(|&season| {
        let fits = season <= count;
        if !fits && !arguments.season.is_empty() {
            notes.push(format!(
                "{}: a season of {season} is longer than the history of {count} values, and is left out",
                series.id
            ));
        }
        fits && season > 1
    });
    let regressors = Usable::find(series, split.train.clone());
    notes.extend(regressors.notes.iter().cloned());
    let used = arguments.method.iter();
    let used = used.flat_map(|&method| regressors.of_method(method));
    let ahead = steps_ahead(series, &used.collect::<Vec<_>>());
    let test = split.test.as_ref().map(std::ops::Range::len);
    let default = || match (test, ahead) {
        (Some(test), _) => test,
        (None, 0) => default_horizon(&seasons),
        (None, ahead) => ahead,
    };
    let horizon = arguments
        .horizon
        .map_or_else(default, |horizon| horizon as usize);
    if horizon > count {
        notes.push(format!(
            "{}: {horizon} steps are more than the history of {count} values: expect little of the last ones",
            series.id
        ));
    }
    let options = FitOptions {
        horizon,
        order: arguments.order,
        seasonal_order: arguments.seasonal.map(|seasonal| seasonal.order),
        transform: arguments.transform.unwrap_or_default(),
        seasons,
    };
    Ok(Task {
        split,
        options,
        regressors,
        notes,
    })
}

/// Fits a model of each method to a series; notes say what could not be as it was asked for.
fn fit_series(
    series: &Series,
    panel: &[usize],
    arguments: &Arguments,
) -> Result<(FittedSeries, Vec<String>)> {
    let Task {
        split,
        options,
        regressors,
        mut notes,
    } = task(series, panel, arguments)?;
    let part = series.part(split.train.start..series.values.len());
    let reach = match &split.test {
        Some(test) => test.end - split.train.start,
        None => split.train.len() + options.horizon,
    };
    let (mut models, mut failure) = (Vec::new(), None);
    let methods = arguments
        .method
        .iter()
        .filter(|method| !method.is_network());
    for &method in methods {
        let names = regressors.of_method(method);
        let columns = columns(&part, &names, 0..reach)?;
        let values = filled(
            &series.values[split.train.clone()],
            method,
            arguments.fill,
            &options,
        );
        let start = Instant::now();
        let fit = match fit(method, &values, &columns, &options) {
            Ok(fit) => fit,
            Err(error) => {
                notes.push(format!(
                    "{}: {} is left out: {error}",
                    series.id,
                    method.name()
                ));
                failure.get_or_insert(Error::new(format!("{}: {error}", series.id)));
                continue;
            }
        };
        // An explanation says it itself.
        let left_out = fit.left_out.iter().filter(|_| !arguments.explain);
        notes.extend(left_out.map(|what| format!("{}: left out: {what}", series.id)));
        models.push(FittedModel {
            method,
            model: fit.model,
            regressors: names,
            seconds: start.elapsed().as_secs_f64(),
            scores: fit.scores,
            left_out: fit.left_out,
        });
    }
    if let Some(failure) = failure.filter(|_| models.is_empty()) {
        return Err(failure);
    }
    let fitted = FittedSeries {
        series: part,
        options,
        models,
    };
    Ok((fitted, notes))
}

/// Compares methods on what is known of a file's series, and prints their errors.
fn compare(number: usize, arguments: &Arguments, train: Option<Train>) -> Result<()> {
    let file = arguments.file.as_deref().unwrap_or(Path::new("-"));
    let series = read(file, &arguments.reading(), arguments.quiet)?.series;
    let (compared, names, failures) = compared(&series, number, arguments, train)?;
    tell_failures(&failures);
    forecast_backtest::print(&compared, &names, arguments.json)
}

/// Backtests of methods on series, with the methods' names and with why series failed: others are fitted anew at each origin, networks once, before the
/// first.
///
/// # Errors
/// If no series is long enough.
#[allow(clippy::type_complexity, reason = "taken apart at once")]
pub(super) fn compared(
    series: &[Series],
    number: usize,
    arguments: &Arguments,
    train: Option<Train>,
) -> Result<(Vec<SeriesBacktest>, Vec<String>, Vec<Error>)> {
    let panel = undated_seasons(series, arguments, Some(number));
    let (networks, methods): (Vec<Method>, Vec<Method>) = arguments
        .method
        .iter()
        .partition(|method| method.is_network());
    let all = with_progress(series, arguments, |series| {
        let Task {
            split,
            options,
            regressors,
            ..
        } = task(series, &panel, arguments)?;
        let columns = columns(series, &regressors.known_ahead, split.train.clone())?;
        let part = series.part(split.train.clone());
        let filled = |values: &[f64], method| filled(values, method, arguments.fill, &options);
        let history = History {
            values: &series.values[split.train],
            columns: &columns,
            filled: &filled,
        };
        let backtest = series_backtest(history, &methods, &options, number)
            .map_err(|error| Error::new(format!("{}: {error}", series.id)))?;
        Ok((part, options, backtest))
    });
    if !arguments.quiet {
        standard::notes(&forecast_regressors::notes(arguments));
    }
    let (mut compared, failures) = succeeded(all)?;
    let mut names: Vec<String> = methods.iter().map(|one| one.name().to_string()).collect();
    if let Some(train) = train.filter(|_| !networks.is_empty()) {
        names.extend(forecast_networks::compare(&mut compared, train, arguments)?);
    }
    let compared = compared.into_iter().map(|one| one.2).collect();
    Ok((compared, names, failures))
}

/// What `work` makes of each series, on several threads, with a bar.
fn with_progress<R: Send>(
    series: &[Series],
    arguments: &Arguments,
    work: impl Fn(&Series) -> R + Sync,
) -> Vec<R> {
    let bar = match arguments.quiet {
        true => ProgressBar::hidden(),
        false => standard::progress_bar(series.len() as u64),
    };
    bar.set_style(ProgressStyle::with_template(BAR).expect("the template is right"));
    let all = in_parallel(series, threads(arguments), |series| {
        let result = work(series);
        bar.inc(1);
        result
    });
    bar.finish_and_clear();
    all
}

/// The results that there are, and the failures.
///
/// # Errors
/// If there is no result.
fn succeeded<T>(all: Vec<Result<T>>) -> Result<(Vec<T>, Vec<Error>)> {
    let mut results = Vec::new();
    let mut failures: Vec<Error> = Vec::new();
    for one in all {
        match one {
            Ok(one) => results.push(one),
            Err(error) => failures.push(error),
        }
    }
    if results.is_empty() {
        return Err(failures
            .into_iter()
            .next()
            .unwrap_or_else(|| Error::new("there is no series")));
    }
    Ok((results, failures))
}

/// Tells the first few failures.
pub(super) fn tell_failures(failures: &[Error]) {
    let told = failures
        .iter()
        .take(TOLD)
        .map(|error| format!("left out: {error}"));
    standard::notes(&told.collect::<Vec<_>>());
    if failures.len() > TOLD {
        let rest = failures.len() - TOLD;
        standard::notes(&[format!("left out: {rest} more series")]);
    }
}

/// The seasons that series without dates show, all asked together; none if there are dates or seasons were asked for. They
/// are found in what is learnt from: in a backtest of several origins, in the values before the first.
fn undated_seasons(
    series: &[Series],
    arguments: &Arguments,
    backtest: Option<usize>,
) -> Vec<usize> {
    let asked = arguments.seasonal.and_then(|seasonal| seasonal.season);
    let dated = series.iter().any(|series| series.step().is_some());
    if dated || asked.is_some() || !arguments.season.is_empty() {
        return Vec::new();
    }
    let windows = arguments.windows();
    // Series that the windows leave nothing of are told later.
    let learnt = series.iter().filter_map(|series| {
        let split = windows.split(series.dates.as_ref(), series.values.len(), &series.id);
        Some(&series.values[split.ok()?.train])
    });
    let learnt: Vec<&[f64]> = learnt.collect();
    let seasons = match backtest {
        None => panel_seasons(learnt.into_iter()),
        Some(number) => seasons_before(&learnt, number, arguments),
    };
    if !arguments.quiet {
        let found: Vec<String> = seasons.iter().map(usize::to_string).collect();
        message(match found.is_empty() {
            true => "seasons     none was found; --season gives one".to_string(),
            false => format!(
                "seasons     found: {}; --season gives others",
                found.join(", ")
            ),
        });
    }
    seasons
}

/// The seasons of series in the values before the first origin of a backtest. A longer season may ask for a longer horizon,
/// and so for an earlier origin: it is then looked for again.
fn seasons_before(series: &[&[f64]], number: usize, arguments: &Arguments) -> Vec<usize> {
    let asked = arguments.horizon.map(|horizon| horizon as usize);
    let mut horizon = asked.unwrap_or(DEFAULT_HORIZON);
    loop {
        let before = |values: &&[f64]| first_origin(values.len(), horizon, number);
        let parts = series.iter().map(|values| &values[..before(values)]);
        let seasons = panel_seasons(parts);
        let needed = asked.unwrap_or_else(|| default_horizon(&seasons));
        if needed <= horizon {
            return seasons;
        }
        horizon = needed;
    }
}

/// The seasons that were asked for, those that series of the same step usually have and of which there are two, or those
/// of the panel.
fn seasons(series: &Series, panel: &[usize], arguments: &Arguments) -> Vec<usize> {
    let asked = arguments.seasonal.and_then(|seasonal| seasonal.season);
    if !arguments.season.is_empty() || asked.is_some() {
        let given = arguments.season.iter().map(|&season| season as usize);
        return asked.into_iter().chain(given).collect();
    }
    let mut usual = match series.step() {
        Some(step) => step.usual_seasons(),
        None => panel.to_vec(),
    };
    usual.retain(|season| 2 * season <= series.values.len());
    usual
}

fn default_horizon(seasons: &[usize]) -> usize {
    let season = seasons
        .iter()
        .copied()
        .find(|&season| season <= LONGEST_HORIZON);
    season.unwrap_or(DEFAULT_HORIZON)
}

/// Values with what a method needs in the place of missing ones.
fn filled(values: &[f64], method: Method, fill: Option<Fill>, options: &FitOptions) -> Vec<f64> {
    let leaves = method.takes_missing() || (method == Method::Auto && leaves_gaps(values));
    filled_unless(leaves, values, fill, options.season())
}

/// Values with what a model needs in the place of missing ones.
pub(super) fn filled_for(
    model: &Model,
    values: &[f64],
    fill: Option<Fill>,
    options: &FitOptions,
) -> Vec<f64> {
    filled_unless(model.leaves_gaps(), values, fill, options.season())
}

/// Values filled as was asked for; or else as suits them, unless gaps may be left.
fn filled_unless(leaves: bool, values: &[f64], fill: Option<Fill>, season: usize) -> Vec<f64> {
    let suitable = || match leaves {
        true => Fill::None,
        false => Fill::suitable(values, season),
    };
    fill.unwrap_or_else(suitable).apply(values, season)
}

/// The models of a folder, with the values of a file after their own.
fn go_on(folder: &ForecastFolder, arguments: &Arguments) -> Result<Forecaster> {
    let mut forecaster = folder.load()?;
    if let Some(file) = &arguments.file {
        let failures = extend(
            &mut forecaster,
            (file, &arguments.reading()),
            arguments.quiet,
        )?;
        if let Some(failure) = failures.into_iter().next() {
            return Err(failure);
        }
    }
    Ok(forecaster)
}

/// Adds the values of a file to those of a forecaster, and returns why those of some series could not be: they do not belong
/// to those that are there. The file is read as asked for, or as the forecaster's own was.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn extend(
    forecaster: &mut Forecaster,
    (file, given): (&Path, &SeriesOptions),
    quiet: bool,
) -> Result<Vec<Error>> {
    let reading = match *given == SeriesOptions::default() {
        true => &forecaster.reading,
        false => given,
    };
    let new = read(file, reading, quiet)?.series;
    let (unknown, failures) = extend_by(forecaster, new, quiet);
    if unknown > 0 {
        standard::notes(&[format!(
            "{unknown} series of {} have no model, and are left out",
            file.display()
        )]);
    }
    Ok(failures)
}

/// Adds values to those of a forecaster; returns the number of series that it has no model of, and why values of others do not
/// belong to those that are there.
pub(super) fn extend_by(
    forecaster: &mut Forecaster,
    new: Vec<Series>,
    quiet: bool,
) -> (usize, Vec<Error>) {
    let is_alone = new.len() == 1 && forecaster.series.len() == 1;
    let (mut unknown, mut failures) = (0, Vec::new());
    for new in new {
        let mut known = forecaster.series.iter_mut();
        let Some(fitted) = known.find(|known| is_alone || known.series.id == new.id) else {
            unknown += 1;
            continue;
        };
        let extension = match fitted.series.extend(&new) {
            Ok(extension) => extension,
            Err(error) => {
                failures.push(error);
                continue;
            }
        };
        if !quiet {
            let parts = [
                (extension.added, "new"),
                (extension.replaced, "changed"),
                (extension.gap, "missing between the old and the new ones"),
                (extension.early, "before the first one, and left out"),
            ];
            let told = parts.iter().filter(|(count, _)| *count > 0);
            let told: Vec<String> = told
                .map(|(count, what)| format!("{count} {what}"))
                .collect();
            let told = if told.is_empty() {
                "none new".to_string()
            } else {
                told.join(", ")
            };
            message(format!(
                "values      {}: {told}",
                escaped(&fitted.series.id)
            ));
        }
    }
    (unknown, failures)
}

/// The forecasts of all models, and why others failed.
///
/// # Errors
/// If all fail.
pub(super) fn answers(
    forecaster: &Forecaster,
    arguments: &Arguments,
) -> Result<(Vec<Answer>, Vec<Error>)> {
    if forecaster.series.iter().all(|one| one.models.is_empty()) && !forecaster.networks.is_empty()
    {
        return Ok((Vec::new(), Vec::new()));
    }
    let all = in_parallel(&forecaster.series, threads(arguments), |fitted| {
        let explanations = match arguments.explain {
            true => explanations(fitted, arguments),
            false => Ok(Vec::new()),
        };
        let mut explanations = match explanations {
            Ok(explanations) => explanations.into_iter(),
            Err(error) => return vec![Err(error)],
        };
        let models = fitted.models.iter();
        let answer = |model| {
            let answer = answer(fitted, model, forecaster.fill, arguments)?;
            Ok(Answer {
                explanation: explanations.next(),
                ..answer
            })
        };
        models.map(answer).collect::<Vec<_>>()
    });
    succeeded(all.into_iter().flatten().collect())
}

/// What is found in a series on the way to each of its models.
fn explanations(fitted: &FittedSeries, arguments: &Arguments) -> Result<Vec<Explanation>> {
    let (series, options) = (&fitted.series, &fitted.options);
    let windows = arguments.windows();
    let split = windows.split(series.dates.as_ref(), series.values.len(), &series.id)?;
    let learnt = &series.values[split.train];
    Ok(Explanation::of_models(learnt, options, &fitted.models))
}

/// The forecasts of a series by a model: after its end, or of the test window, if there is one.
fn answer(
    fitted: &FittedSeries,
    model: &FittedModel,
    fill: Option<Fill>,
    arguments: &Arguments,
) -> Result<Answer> {
    let series = &fitted.series;
    let ahead = Some(steps_ahead(series, &model.regressors)).filter(|&ahead| ahead > 0);
    let asked = Asked::of(fitted, ahead, arguments)?;
    let is_test = asked.split.test.is_some();
    let refit = arguments.refit.every().filter(|_| is_test);
    let name = arguments.refit.name_of(&model.model.name());
    let fill = fill.or(arguments.fill);
    let forecast = forecast_by(model, &asked, fill, refit)?;
    let forecast = forecast.ok_or_else(|| too_large(&series.id, &name))?;
    let known = &series.values[..asked.range.start];
    let known = filled_for(&model.model, known, fill, &fitted.options);
    let predictions = match arguments.output {
        Some(_) => {
            let columns = columns(series, &model.regressors, 0..asked.range.end)?;
            model.model.predictions(&known, &columns)
        }
        None => Vec::new(),
    };
    let learnt = &known[asked.split.train.clone()];
    let model = AnswerModel {
        name,
        method: model.method,
        seconds: model.seconds,
        aicc: model.model.aicc(),
        scores: model.scores.clone(),
    };
    Ok(asked.answer(model, forecast, learnt, predictions))
}

/// What a model says of the steps that are asked for; `None` where it is no number.
///
/// # Errors
/// Columns that are not known so far ahead; values that the model cannot be fitted to again.
pub(super) fn forecast_by(
    model: &FittedModel,
    asked: &Asked,
    fill: Option<Fill>,
    refit: Option<usize>,
) -> Result<Option<Forecast>> {
    let FittedSeries {
        series, options, ..
    } = asked.fitted;
    let columns = columns(series, &model.regressors, 0..asked.range.end)?;
    // Gaps are filled from what came before a forecast alone.
    let history = |end: usize| filled_for(&model.model, &series.values[..end], fill, options);
    let window = Window {
        history: &|origin| Cow::Owned(history(origin)),
        columns: &columns,
        range: asked.range.clone(),
        horizon: asked.horizon,
    };
    Ok(rolled(&model.model, &window, refit)?.finite())
}

fn too_large(series: &str, model: &str) -> Error {
    Error::new(format!(
        "{series}: forecasts by {model} are too large for a number; divide the values by a power of ten, or take another \
         --method or --transform"
    ))
}

fn threads(arguments: &Arguments) -> usize {
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    arguments.threads.map_or_else(cores, usize::from)
}

/// What `work` makes of each item, in their order, on several threads.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    if items.len() == 1 || threads == 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let take = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else {
                return;
            };
            let result = work(item);
            done.lock()
                .expect("no thread panics with the lock")
                .push((at, result));
        }
    };
    thread::scope(|scope| {
        // If the system refuses more threads, fewer do.
        for _ in 1..threads.min(items.len()) {
            let _ = thread::Builder::new().spawn_scoped(scope, take);
        }
        take();
    });
    let mut done = done.into_inner().expect("no thread panics with the lock");
    done.sort_by_key(|&(at, _)| at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_threads_are_in_order() {
        let items: Vec<usize> = (0..1000).collect();
        for threads in [1, 3] {
            let doubled = in_parallel(&items, threads, |item| 2 * item);
            assert!(
                doubled
                    .iter()
                    .enumerate()
                    .all(|(at, &value)| value == 2 * at)
            );
        }
        assert!(in_parallel(&[], 2, |item: &usize| *item).is_empty());
    }

    #[test]
    fn steps_are_those_of_a_season() {
        assert_eq!(default_horizon(&[365, 7]), 7);
        assert_eq!(default_horizon(&[]), DEFAULT_HORIZON);
    }
}

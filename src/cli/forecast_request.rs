/*!
Forecasts that are asked for over HTTP: the same as the command's, from a CSV in memory.
*/

use std::io::Cursor;

use serde_json::{Value, json};

use super::forecast::{answers, compared, extend_by, fit_all};
use super::forecast_answer::Answer;
use super::forecast_backtest;
use super::forecast_flags::Arguments;
use super::forecast_networks;
use crate::data::series::file::SeriesFile;
use crate::data::series::options::SeriesOptions;
use crate::data::series::time_series::{Series, label};
use crate::error::{Error, Result};
use crate::forecasting::folder::ForecastFolder;
use crate::server::forecast_request::{ForecastRequest, MOST_FORECASTS};
use crate::server::limits::FITTED_VALUES;

/// What the CSV is called in messages.
const NAME: &str = "the CSV";
/// Number of origins of a backtest that gives no number.
const ORIGINS: u32 = 4;

/// Answers a request: the objects of `carousel forecast --json`, with what came before, and those of `--backtest`.
///
/// # Errors
/// Those of the command.
pub(super) fn answer(request: &ForecastRequest) -> Result<Value> {
    let arguments = arguments(request)?;
    if arguments.trains() {
        return Err(Error::usage(
            "networks are trained by `carousel forecast --method lstm -o DIR`, and served by `carousel serve DIR`",
        ));
    }
    let origins = backtest(request)?;
    let (mut forecaster, failures) = match &request.folder {
        None => {
            let series = series(request, &arguments.reading())?;
            check_amount(&series, origins)?;
            fit_all(series, &arguments)?
        }
        Some(folder) => (ForecastFolder::at(folder).load()?, Vec::new()),
    };
    if request.folder.is_some() && !request.csv.is_empty() {
        let new = series(request, &forecaster.reading)?;
        let (_, failures) = extend_by(&mut forecaster, new, true);
        if let Some(failure) = failures.into_iter().next() {
            return Err(failure);
        }
    }
    let horizon = |options: &crate::forecasting::method::FitOptions| {
        arguments
            .horizon
            .map_or(options.horizon, |steps| steps as usize)
    };
    let steps = forecaster.series.iter().map(|one| horizon(&one.options));
    if steps.sum::<usize>() > MOST_FORECASTS {
        return Err(Error::usage(format!(
            "more than {MOST_FORECASTS} forecasts were asked for; give a shorter horizon or fewer series"
        )));
    }
    let (mut found, more) = answers(&forecaster, &arguments)?;
    if let Some(folder) = &request.folder {
        found.extend(forecast_networks::answers(&forecaster, folder, &arguments)?);
    }
    let left_out = failures.iter().chain(&more).map(Error::to_string);
    let mut all = json!({
        "results": found.iter().map(object).collect::<Vec<_>>(),
        "left_out": left_out.collect::<Vec<_>>(),
    });
    if let Some(number) = origins {
        let series = series(request, &arguments.reading())?;
        let (compared, names, _) = compared(&series, number as usize, &arguments, None)?;
        all["backtest"] = json!(forecast_backtest::objects(&compared, &names));
    }
    Ok(all)
}

/// Checks that fitting is not endless: what a client gave up cannot be interrupted.
fn check_amount(series: &[Series], origins: Option<u32>) -> Result<()> {
    let values: usize = series.iter().map(|one| one.values.len()).sum();
    let fitted = values.saturating_mul(1 + origins.unwrap_or(0) as usize);
    match fitted <= FITTED_VALUES {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "models would be fitted to {fitted} values, with those of each origin of the backtest, and at most \
             {FITTED_VALUES} are taken at once; give fewer series or origins, or use `carousel forecast`"
        ))),
    }
}

/// The request as flags of the command.
fn arguments(request: &ForecastRequest) -> Result<Arguments> {
    Arguments::of(&[
        ("method", request.method.as_deref()),
        ("season", request.season.as_deref()),
        ("value-column", request.column.as_deref()),
        ("date-column", request.date_column.as_deref()),
        ("id-column", request.id_column.as_deref()),
        ("horizon", request.horizon.as_deref()),
    ])
}

/// Number of origins of a backtest, if one was asked for.
fn backtest(request: &ForecastRequest) -> Result<Option<u32>> {
    match (&request.backtest, &request.folder) {
        (Value::Null | Value::Bool(false), _) => Ok(None),
        (_, Some(_)) => Err(Error::usage(
            "backtest compares methods that are fitted anew; leave the model away",
        )),
        (Value::Bool(true), _) => Ok(Some(ORIGINS)),
        (value, _) => match value.as_u64() {
            Some(number @ 1..=100) => Ok(Some(number as u32)),
            _ => Err(Error::usage(
                "backtest is true, false or a number of origins from 1 to 100",
            )),
        },
    }
}

fn series(request: &ForecastRequest, reading: &SeriesOptions) -> Result<Vec<Series>> {
    let csv = Cursor::new(request.csv.clone().into_bytes());
    Ok(SeriesFile::read(csv, NAME, reading)?.series)
}

fn object(answer: &Answer) -> Value {
    let mut object = answer.object();
    let history = &answer.history;
    let dates = (0..history.len()).map(|at| label(answer.calendar.as_ref(), at));
    object["history_dates"] = json!(dates.collect::<Vec<_>>());
    object["history"] = json!(history);
    object
}

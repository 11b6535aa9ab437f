/*!
`carousel evaluate` of a forecaster: its errors on rows that came later, beside those of the naive forecasts.
*/

use std::path::Path;

use indicatif::HumanCount;
use serde_json::{Value, json};

use super::forecast::{extend, filled_for, forecast_by, tell_failures};
use super::forecast_answer::Asked;
use super::forecast_networks;
use super::forecast_output::add_errors;
use super::standard::{json_line, line, message};
use crate::checkpoint::Directory;
use crate::data::series::dates::Split;
use crate::data::series::options::SeriesOptions;
use crate::error::{Error, Result};
use crate::forecasting::accuracy::Accuracy;
use crate::forecasting::folder::{
    FittedModel, FittedSeries, ForecastFolder, Forecaster, NetworkName,
};
use crate::forecasting::forecast::Forecast;
use crate::forecasting::method::Method;
use crate::forecasting::model::Model;
use crate::forecasting::naive::{Naive, NaiveKind};
use crate::inference::forecaster::QuantileForecaster;

/// The evaluation of a forecaster.
pub(super) struct SeriesEvaluation<'a> {
    /// Its folder.
    pub folder: ForecastFolder,
    /// The file of the rows.
    pub file: &'a Path,
    /// Number of steps that are forecast at a time; the forecaster's own if there is none.
    pub horizon: Option<usize>,
}

/// Errors of each model in each series.
#[derive(Default)]
struct Errors {
    models: Vec<(String, Vec<Accuracy>)>,
}

impl SeriesEvaluation<'_> {
    /// Forecasts the rows that come after the forecaster's own values, and prints the errors.
    ///
    /// # Errors
    /// A file that cannot be read, or has no such rows; rows none of which can be forecast.
    pub fn run(&self, json: bool) -> Result<()> {
        let mut forecaster = self.folder.load()?;
        let lengths = forecaster.series.iter().map(|one| one.series.values.len());
        let lengths: Vec<usize> = lengths.collect();
        let mut failures = extend(
            &mut forecaster,
            (self.file, &SeriesOptions::default()),
            json,
        )?;
        let with_rows = forecaster.series.iter().zip(&lengths);
        let asked: Vec<Asked> = with_rows
            .filter(|(fitted, before)| fitted.series.values.len() > **before)
            .map(|(fitted, &before)| self.asked(fitted, before))
            .collect();
        let Some(first) = asked.first() else {
            let failure = failures.into_iter().next();
            return Err(failure.unwrap_or_else(|| self.without_rows(&forecaster)));
        };
        let networks = self.networks(&forecaster)?;
        let mut errors = Errors::default();
        let (mut evaluated, mut values) = (0, 0);
        for asked in &asked {
            match errors_of(asked, &forecaster, &networks) {
                Ok(own) => {
                    errors.add(own);
                    evaluated += 1;
                    values += asked.known();
                }
                Err(error) => failures.push(error),
            }
        }
        if evaluated == 0 && !failures.is_empty() {
            return Err(failures.remove(0));
        }
        tell_failures(&failures);
        if json {
            return json_line(&json!({
                "horizon": first.horizon,
                "series": evaluated,
                "values": values,
                "models": errors.objects(),
            }));
        }
        message(format!(
            "evaluated   {} values of {} series, {} at a time",
            HumanCount(values as u64),
            HumanCount(evaluated as u64),
            first.horizon
        ));
        errors.print()
    }

    /// The rows of a series after those `before`.
    fn asked<'f>(&self, fitted: &'f FittedSeries, before: usize) -> Asked<'f> {
        let range = before..fitted.series.values.len();
        Asked {
            fitted,
            split: Split {
                train: 0..before,
                test: Some(range.clone()),
            },
            horizon: self.horizon.unwrap_or(fitted.options.horizon),
            range,
        }
    }

    fn without_rows(&self, forecaster: &Forecaster) -> Error {
        let last = forecaster
            .series
            .first()
            .map(|FittedSeries { series, .. }| {
                format!(", {}", series.label(series.values.len().saturating_sub(1)))
            });
        Error::new(format!(
            "{} has no rows after the last that the forecaster in {1} knows{2}; give later ones, or measure known ones with \
             carousel forecast -m {1} --test-from DATE",
            self.file.display(),
            self.folder.path().display(),
            last.unwrap_or_default()
        ))
    }

    /// The networks, with what they are called.
    fn networks(&self, forecaster: &Forecaster) -> Result<Vec<(String, QuantileForecaster)>> {
        let open = |name: &NetworkName| {
            let directory = Directory::at(self.folder.path().join(name.folder()));
            Ok((name.shown(), QuantileForecaster::open(&directory, 1)?))
        };
        forecaster.networks.iter().map(open).collect()
    }
}

/// Errors of each model and each network in a series, beside those of the naive forecasts.
///
/// # Errors
/// A series that one of them cannot forecast.
fn errors_of(
    asked: &Asked,
    forecaster: &Forecaster,
    networks: &[(String, QuantileForecaster)],
) -> Result<Vec<(String, Accuracy)>> {
    let FittedSeries {
        series,
        options,
        models,
    } = asked.fitted;
    let named = |error: Error| Error::new(format!("{}: {error}", series.id));
    let known = &series.values[..asked.range.start];
    let mut errors = Vec::new();
    let mut add = |name: &str, forecast: &Forecast, known: &[f64]| {
        let accuracy = asked.accuracy(forecast, known);
        errors.extend(accuracy.map(|accuracy| (name.to_string(), accuracy)));
    };
    let naive = naive(models, options.season());
    for model in models.iter().chain(&naive) {
        let forecast = forecast_by(model, asked, forecaster.fill, None).map_err(named)?;
        if let Some(forecast) = forecast {
            let known = filled_for(&model.model, known, forecaster.fill, options);
            add(model.method.name(), &forecast, &known);
        }
    }
    for (name, network) in networks {
        let numbers = forecast_networks::numbers_for(network, asked, &forecaster.calendar);
        let forecast = forecast_networks::forecast_by(network, &numbers, asked).map_err(named)?;
        add(name, &forecast, known);
    }
    Ok(errors)
}

/// The naive forecasts that are not among a series' models.
fn naive(models: &[FittedModel], season: usize) -> Vec<FittedModel> {
    let mut all = vec![(Method::Naive, NaiveKind::Naive)];
    if season > 1 {
        all.push((Method::SeasonalNaive, NaiveKind::SeasonalNaive));
    }
    all.retain(|(method, _)| models.iter().all(|one| one.method != *method));
    all.into_iter()
        .map(|(method, kind)| FittedModel {
            method,
            model: Model::Naive(Naive { kind, season }),
            regressors: Vec::new(),
            seconds: 0.0,
            scores: Vec::new(),
            left_out: Vec::new(),
        })
        .collect()
}

impl Errors {
    /// Adds those of a series.
    fn add(&mut self, own: Vec<(String, Accuracy)>) {
        for (model, accuracy) in own {
            match self.models.iter_mut().find(|(name, _)| *name == model) {
                Some((_, all)) => all.push(accuracy),
                None => self.models.push((model, vec![accuracy])),
            }
        }
    }

    /// An object for each model, with means over the series.
    fn objects(&self) -> Vec<Value> {
        let object = |(name, all): &(String, Vec<Accuracy>)| {
            let mut object = json!({ "model": name, "series": all.len() });
            add_errors(&mut object, &Accuracy::mean(all));
            object
        };
        self.models.iter().map(object).collect()
    }

    /// A row for each model, with means over the series.
    fn print(&self) -> Result<()> {
        line(format!(
            "{:18}{:>9}{:>9}{:>14}{:>14}{:>14}{:>9}",
            "model", "sMAPE", "MASE", "MAE", "within 80 %", "within 95 %", "series"
        ))?;
        for (name, all) in &self.models {
            let Accuracy {
                smape,
                mase,
                mae,
                coverage,
            } = Accuracy::mean(all);
            let [within_80, within_95] = coverage.map(|part| 100.0 * part);
            line(format!(
                "{name:18}{smape:>9.3}{mase:>9.3}{mae:>14.4}{within_80:>12.1} %{within_95:>12.1} %{:>9}",
                all.len()
            ))?;
        }
        Ok(())
    }
}

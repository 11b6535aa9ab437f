/*!
Forecasts for other programs than `carousel`: of numbers in memory, the same as the command's of a file of one column, and by
what the command keeps in a folder.
*/

use std::path::Path;

use super::forecast::{answers, extend_by, fit_all};
use super::forecast_answer::Answer;
use super::forecast_flags::Arguments;
use super::forecast_networks;
use crate::data::series::file::SeriesFile;
use crate::data::series::time_series::Series;
use crate::error::{Error, Result};
use crate::forecasting::folder::{ForecastFolder, Forecaster};
use crate::forecasting::forecast::Forecast;

/// What the series is called in messages.
const NAME: &str = "values";

/// What is asked for, each as the flag of `carousel forecast` takes it; what is `None` is as by default.
#[derive(Clone, Debug, Default)]
pub struct ForecastOptions {
    /// Number of steps.
    pub horizon: Option<String>,
    /// Seasons.
    pub season: Option<String>,
    /// A method, which is no network.
    pub method: Option<String>,
}

/// The forecasts of a series.
#[derive(Clone, Debug)]
pub struct ValuesForecast {
    /// Name of the series.
    pub series: String,
    /// Dates of the forecasts, or their numbers where the series has none.
    pub dates: Vec<String>,
    /// Name of the model.
    pub model: String,
    /// Number of steps in a season; 1 without one.
    pub season: usize,
    /// The forecasts.
    pub forecast: Forecast,
}

/// Forecasts the values after those of a series, in which NaN stands for a missing one.
///
/// # Errors
/// Options that are wrong; infinite values; a series that the method cannot forecast.
pub fn forecast(values: &[f64], options: &ForecastOptions) -> Result<ValuesForecast> {
    let arguments = Arguments::of(&[
        ("method", options.method.as_deref()),
        ("season", options.season.as_deref()),
        ("horizon", options.horizon.as_deref()),
    ])?;
    if arguments.trains() {
        return Err(Error::usage(
            "networks are trained by `carousel forecast --method lstm -o DIR`; give another method",
        ));
    }
    if arguments.method.len() > 1 {
        return Err(Error::usage("give one method for a forecast"));
    }
    let (forecaster, _) = fit_all(vec![Series::of_values(NAME, values)?], &arguments)?;
    let (mut answers, _) = answers(&forecaster, &arguments)?;
    let answer = answers.pop().expect("a series has an answer or an error");
    Ok(ValuesForecast::of(answer))
}

impl ValuesForecast {
    fn of(answer: Answer) -> Self {
        ValuesForecast {
            series: answer.series,
            dates: answer.dates,
            model: answer.model.name,
            season: answer.season,
            forecast: answer.forecast,
        }
    }
}

/// What `carousel forecast -o` has kept in a folder.
#[derive(Clone, Debug)]
pub struct KeptForecaster {
    folder: ForecastFolder,
    forecaster: Forecaster,
}

/// Values after those of a forecaster.
#[derive(Clone, Copy, Debug)]
pub enum NewValues<'a> {
    /// Of its one series, which has no dates; NaN stands for a missing one.
    Numbers(&'a [f64]),
    /// Rows of a file, as the command reads them.
    File(&'a Path),
}

impl KeptForecaster {
    /// Opens a folder.
    ///
    /// # Errors
    /// A folder without a forecaster, or a damaged one.
    pub fn open(folder: &Path) -> Result<Self> {
        let folder = ForecastFolder::at(folder);
        let forecaster = folder.load()?;
        Ok(KeptForecaster { folder, forecaster })
    }

    /// Names of the series.
    pub fn series(&self) -> Vec<String> {
        let series = self.forecaster.series.iter();
        series.map(|fitted| fitted.series.id.clone()).collect()
    }

    /// Forecasts by each model of each series, after its last value or after new ones, which are not kept; and what could not be
    /// forecast, or was left out. Without a horizon it is that of the command that made the forecaster.
    ///
    /// # Errors
    /// A file that cannot be read, values that do not belong to the series, or no forecast at all.
    pub fn forecast(
        &self,
        new: Option<NewValues>,
        horizon: Option<&str>,
    ) -> Result<(Vec<ValuesForecast>, Vec<String>)> {
        let arguments = Arguments::of(&[("horizon", horizon)])?;
        let mut forecaster = self.forecaster.clone();
        let mut notes = Vec::new();
        if let Some(new) = new {
            let (unknown, misfits) = extend_by(&mut forecaster, self.new_series(new)?, true);
            if let Some(misfit) = misfits.into_iter().next() {
                return Err(misfit);
            }
            if unknown > 0 {
                notes.push(format!("{unknown} series have no model, and are left out"));
            }
        }
        let (mut found, failures) = answers(&forecaster, &arguments)?;
        let networks = forecast_networks::answers(&forecaster, self.folder.path(), &arguments)?;
        found.extend(networks);
        notes.extend(failures.iter().map(|error| format!("left out: {error}")));
        Ok((found.into_iter().map(ValuesForecast::of).collect(), notes))
    }

    fn new_series(&self, new: NewValues) -> Result<Vec<Series>> {
        match (new, &self.forecaster.series[..]) {
            (NewValues::File(file), _) => {
                Ok(SeriesFile::open(file, &self.forecaster.reading)?.series)
            }
            (NewValues::Numbers(values), [one]) if one.series.dates.is_none() => {
                Ok(vec![Series::of_values(NAME, values)?])
            }
            (NewValues::Numbers(_), _) => Err(Error::usage(format!(
                "{} has series with dates, or several: give a file with their new rows instead of values",
                self.folder.path().display()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_the_command() {
        let values: Vec<f64> = (0..40).map(f64::from).collect();
        let with = |horizon: &str, season: &str, method: &str| {
            let options = ForecastOptions {
                horizon: Some(horizon.to_string()),
                season: Some(season.to_string()),
                method: Some(method.to_string()),
            };
            forecast(&values, &options).map_err(|error| error.to_string())
        };
        let found = with("3", "4", "drift").unwrap();
        assert_eq!(found.season, 4);
        assert_eq!(found.forecast.mean.len(), 3);
        assert!((found.forecast.mean[2] - 42.0).abs() < 1e-9);
        for (horizon, season, method, said) in [
            ("0", "4", "drift", "0 is not in 1..=100000"),
            ("3", "x", "drift", "'x'"),
            ("3", "4", "lstm", "networks are trained"),
            ("3", "4", "naive,drift", "one method"),
            ("3 --json", "4", "drift", "'3 --json'"),
        ] {
            let error = with(horizon, season, method).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}

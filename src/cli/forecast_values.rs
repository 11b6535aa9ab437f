/*!
Forecasts of numbers in memory, for other programs than `carousel`: the same as the command's of a file of one column.
*/

use super::forecast::{answers, fit_all};
use super::forecast_flags::Arguments;
use crate::data::series::time_series::Series;
use crate::error::{Error, Result};
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
    Ok(ValuesForecast {
        model: answer.model.name,
        season: answer.season,
        forecast: answer.forecast,
    })
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

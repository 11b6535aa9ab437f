/*!
Methods of forecasting by their names, and the one place where a method becomes a fitted model.
*/

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::model::Model;
use super::naive::{Naive, NaiveKind};
use crate::error::{Error, Result};

/// A way to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The best of several in a backtest.
    Auto,
    /// The median of several.
    Combination,
    /// The last value.
    Naive,
    /// The last season.
    SeasonalNaive,
    /// The line through both ends.
    Drift,
    /// The mean of all values.
    Mean,
    /// Simple exponential smoothing.
    Ses,
    /// Exponential smoothing with a trend.
    Holt,
    /// Exponential smoothing with a trend and a season.
    HoltWinters,
    /// Exponential smoothing, chosen by AICc.
    Ets,
    /// Theta.
    Theta,
    /// Autoregression.
    Ar,
    /// Moving average.
    Ma,
    /// Both.
    Arma,
    /// Both, on differences.
    Arima,
    /// The same, with a season.
    Sarima,
    /// A simple recurrent network.
    Rnn,
    /// A GRU.
    Gru,
    /// An LSTM.
    Lstm,
}

impl Method {
    /// Every method, in the order of help.
    pub const ALL: [Method; 19] = [
        Method::Auto,
        Method::Combination,
        Method::Naive,
        Method::SeasonalNaive,
        Method::Drift,
        Method::Mean,
        Method::Ses,
        Method::Holt,
        Method::HoltWinters,
        Method::Ets,
        Method::Theta,
        Method::Ar,
        Method::Ma,
        Method::Arma,
        Method::Arima,
        Method::Sarima,
        Method::Rnn,
        Method::Gru,
        Method::Lstm,
    ];

    /// Its name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Method::Auto => "auto",
            Method::Combination => "combination",
            Method::Naive => "naive",
            Method::SeasonalNaive => "seasonal-naive",
            Method::Drift => "drift",
            Method::Mean => "mean",
            Method::Ses => "ses",
            Method::Holt => "holt",
            Method::HoltWinters => "holt-winters",
            Method::Ets => "ets",
            Method::Theta => "theta",
            Method::Ar => "ar",
            Method::Ma => "ma",
            Method::Arma => "arma",
            Method::Arima => "arima",
            Method::Sarima => "sarima",
            Method::Rnn => "rnn",
            Method::Gru => "gru",
            Method::Lstm => "lstm",
        }
    }

    /// Whether its models leave missing values out, so that none need to be filled.
    pub fn takes_missing(self) -> bool {
        matches!(
            self,
            Method::Ar | Method::Ma | Method::Arma | Method::Arima | Method::Sarima
        )
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let found = Method::ALL
            .into_iter()
            .find(|method| method.name() == name.trim());
        found.ok_or_else(|| {
            let names = Method::ALL.map(Method::name);
            format!("there is no method {name}; give {}", names.join(", "))
        })
    }
}

/// What is done with values before a model is fitted, so that their spread does not grow with their level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transform {
    /// Nothing.
    #[default]
    None,
    /// Logarithms.
    Log,
    /// A power that is chosen for the series (Box and Cox).
    BoxCox,
}

/// What a fit depends on, besides the values and the method.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FitOptions {
    /// Numbers of steps after which the series may repeat itself, the most likely first.
    pub seasons: Vec<usize>,
    /// Number of steps that will be forecast.
    pub horizon: usize,
    /// Orders p, d and q of an ARIMA, if they are not to be chosen.
    pub order: Option<[usize; 3]>,
    /// Orders P, D and Q of its season.
    pub seasonal_order: Option<[usize; 3]>,
    /// What is done with the values first.
    pub transform: Transform,
}

/// Fits a model of a method to values.
///
/// # Errors
/// Values that the method, or the transformation, cannot do with.
pub fn fit(method: Method, values: &[f64], options: &FitOptions) -> Result<Model> {
    if !values.iter().any(|value| value.is_finite()) {
        return Err(Error::new("every value is missing"));
    }
    if options.transform != Transform::None {
        check_positive(values)?;
    }
    let season = options.seasons.first().copied().unwrap_or(1);
    let naive = |kind, season| Ok(Model::Naive(Naive { kind, season }));
    match (method, options.transform) {
        (Method::Naive, Transform::None) => naive(NaiveKind::Naive, 1),
        (Method::SeasonalNaive, Transform::None) => naive(NaiveKind::SeasonalNaive, season),
        (Method::Drift, Transform::None) => naive(NaiveKind::Drift, 1),
        (Method::Mean, Transform::None) => naive(NaiveKind::Mean, 1),
        (_, Transform::None) => Err(Error::new(format!(
            "the method {} is not there yet; give naive, seasonal-naive, drift or mean",
            method.name()
        ))),
        _ => Err(Error::new(
            "transformations are not there yet; leave --transform away",
        )),
    }
}

/// Checks that values have logarithms.
fn check_positive(values: &[f64]) -> Result<()> {
    let wrong = values.iter().position(|value| *value <= 0.0);
    wrong.map_or(Ok(()), |at| {
        Err(Error::new(format!(
            "value {} is {}, and only numbers above zero have logarithms; leave --transform away",
            at + 1,
            values[at]
        )))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_known_by_their_names() {
        for method in Method::ALL {
            assert_eq!(method.name().parse(), Ok(method));
            assert_eq!(
                serde_json::to_value(method).unwrap(),
                method.name(),
                "the name in files"
            );
        }
        let message = "prophecy".parse::<Method>().unwrap_err();
        assert!(message.contains("auto, combination, naive"), "{message}");
    }

    #[test]
    fn logarithms_need_positive_values() {
        let options = FitOptions {
            transform: Transform::Log,
            ..FitOptions::default()
        };
        let error = fit(Method::Naive, &[2.0, -1.0], &options).unwrap_err();
        assert!(error.to_string().starts_with("value 2 is -1"), "{error}");
        let error = fit(Method::Naive, &[f64::NAN], &FitOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), "every value is missing");
    }
}

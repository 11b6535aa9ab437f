/*!
Forecasting models of one interface: parameters, which with a history of values give predictions and forecasts.
*/

use serde::{Deserialize, Serialize};

use super::forecast::Forecast;
use super::naive::{Naive, NaiveKind};

/// A fitted model. It holds parameters alone: what it says follows from the history that it is given, so that it goes on
/// with new values without being fitted again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// A naive forecaster.
    Naive(Naive),
}

impl Model {
    /// Name of the model with its orders.
    pub fn name(&self) -> String {
        match self {
            Model::Naive(naive) => match naive.kind {
                NaiveKind::Naive => "naive".to_string(),
                NaiveKind::SeasonalNaive => format!("seasonal naive ({})", naive.season),
                NaiveKind::Drift => "drift".to_string(),
                NaiveKind::Mean => "mean".to_string(),
            },
        }
    }

    /// What was expected of each value from those before it; NaN where too few were.
    pub fn predictions(&self, values: &[f64]) -> Vec<f64> {
        match self {
            Model::Naive(naive) => naive.predictions(values),
        }
    }

    /// The `horizon` values that follow `values`.
    pub fn forecast(&self, values: &[f64], horizon: usize) -> Forecast {
        match self {
            Model::Naive(naive) => naive.forecast(values, horizon),
        }
    }
}

/*!
What is asked of a forecast, for whoever makes it: the program gives the server a function of this.
*/

use std::path::PathBuf;

use serde_json::Value;

use crate::error::Result;

/// Most forecasts in one answer: series times steps.
pub const MOST_FORECASTS: usize = 100_000;

/// What a forecast is asked for by, each as the flag of `carousel forecast` takes it.
#[derive(Clone, Debug, Default)]
pub struct ForecastRequest {
    /// The folder of a model that was fitted, if one was named.
    pub folder: Option<PathBuf>,
    /// The series.
    pub csv: String,
    /// Methods.
    pub method: Option<String>,
    /// Number of steps.
    pub horizon: Option<String>,
    /// Seasons.
    pub season: Option<String>,
    /// Columns of values.
    pub column: Option<String>,
    /// Columns of dates.
    pub date_column: Option<String>,
    /// The column that says which series a row belongs to.
    pub id_column: Option<String>,
    /// Whether to compare the methods, or at how many origins.
    pub backtest: Value,
}

/// What makes forecasts: an object with `results`, `left_out`, and `backtest` if that was asked for.
pub type Forecast = fn(&ForecastRequest) -> Result<Value>;

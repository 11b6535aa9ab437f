/*!
Forecasts of a series of numbers.
*/

use carousel::cli::forecast_values::{self, ForecastOptions, ValuesForecast};
use carousel::forecasting::forecast::{Interval, LEVELS};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arguments::{Count, Counts, numbers};
use crate::failure::raised;

/// The next values of a series.
#[pyclass(frozen, get_all, module = "carousel")]
pub struct Forecast {
    /// Name of the series; "values" of numbers that were given.
    series: String,
    /// Name of the model.
    model: String,
    /// The dates of the forecasts, or their numbers where the series has none.
    dates: Vec<String>,
    /// The point forecasts: an array of float64.
    mean: Py<PyArray1<f64>>,
    /// The lower ends of the intervals: an array for each of their probabilities in percent, 80 and 95.
    lower: Py<PyDict>,
    /// The upper ends.
    upper: Py<PyDict>,
    /// Number of steps in a season; 1 without one.
    season: usize,
}

/// Forecast the next values of a series, an array or a list of numbers without dates, as `carousel forecast` does.
///
/// A missing value is NaN, or None in a list. horizon is the number of steps, by default a season, or 10. season is the
/// number of steps after which the series repeats itself, or several; 1 is none, and by default they are looked for. method
/// is auto, combination, naive, seasonal-naive, drift, mean, ses, holt, holt-winters, ets, theta, ar, ma, arma, arima or
/// sarima.
#[pyfunction]
#[pyo3(signature = (values, horizon=None, season=None, method="auto"))]
pub fn forecast(
    py: Python<'_>,
    values: &Bound<'_, PyAny>,
    horizon: Option<Count>,
    season: Option<Counts>,
    method: &str,
) -> PyResult<Forecast> {
    let values = numbers("values", values)?;
    let options = ForecastOptions {
        horizon: horizon.map(|Count(steps)| steps.to_string()),
        season: season.map(|season| season.flag()),
        method: Some(method.to_string()),
    };
    let found = py.detach(|| forecast_values::forecast(&values, &options));
    Forecast::of(py, found.map_err(raised)?)
}

/// An end of each interval, by its probability.
fn by_level(
    py: Python<'_>,
    intervals: &[Interval],
    end: impl Fn(&Interval) -> &[f64],
) -> PyResult<Py<PyDict>> {
    let ends = PyDict::new(py);
    for (level, interval) in LEVELS.iter().zip(intervals) {
        ends.set_item(level, PyArray1::from_slice(py, end(interval)))?;
    }
    Ok(ends.unbind())
}

impl Forecast {
    /// As Python has it.
    pub fn of(py: Python<'_>, found: ValuesForecast) -> PyResult<Self> {
        let intervals = &found.forecast.intervals;
        Ok(Forecast {
            lower: by_level(py, intervals, |interval| &interval.lower)?,
            upper: by_level(py, intervals, |interval| &interval.upper)?,
            mean: PyArray1::from_slice(py, &found.forecast.mean).unbind(),
            series: found.series,
            model: found.model,
            dates: found.dates,
            season: found.season,
        })
    }
}

#[pymethods]
impl Forecast {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Forecast(model={}, mean={})",
            self.model.as_str().into_pyobject(py)?.repr()?,
            self.mean.bind(py).repr()?
        ))
    }
}

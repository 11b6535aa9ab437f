/*!
Forecasters: what `carousel forecast -o` has kept in a folder.
*/

use std::path::{Path, PathBuf};

use carousel::checkpoint::Directory;
use carousel::cli::forecast_values::{KeptForecaster, NewValues};
use pyo3::prelude::*;

use crate::arguments::{Count, numbers};
use crate::failure::{raised, warn, wrong};
use crate::forecast::Forecast;

/// Models of series of numbers, and the values that they go on from.
#[pyclass(frozen, module = "carousel")]
pub struct Forecaster {
    folder: PathBuf,
    kept: KeptForecaster,
}

impl Forecaster {
    /// Opens the folder.
    pub fn open(py: Python<'_>, folder: &Path) -> PyResult<Self> {
        let kept = py.detach(|| KeptForecaster::open(folder));
        Ok(Forecaster {
            folder: folder.to_path_buf(),
            kept: kept.map_err(raised)?,
        })
    }
}

#[pymethods]
impl Forecaster {
    /// Open a forecaster, by its folder; as carousel.load, but another kind of model is an error.
    #[staticmethod]
    fn load(py: Python<'_>, model: PathBuf) -> PyResult<Self> {
        Forecaster::open(py, &model)
    }

    /// Name of the folder.
    #[getter]
    fn name(&self) -> String {
        Directory::at(&self.folder).name()
    }

    /// Names of the series.
    #[getter]
    fn series(&self) -> Vec<String> {
        self.kept.series()
    }

    /// Forecast the next values, as `carousel forecast -m` does: a list of Forecast, one for each series and model.
    ///
    /// values are numbers after those of a single series without dates, as for carousel.forecast; file is the path of a CSV
    /// with new rows of any series. They are not kept. horizon is the number of steps, by default that of the command which
    /// made the forecaster.
    #[pyo3(signature = (values=None, horizon=None, *, file=None))]
    fn forecast(
        &self,
        py: Python<'_>,
        values: Option<&Bound<'_, PyAny>>,
        horizon: Option<Count>,
        file: Option<PathBuf>,
    ) -> PyResult<Vec<Forecast>> {
        let values = values.map(|values| numbers("values", values)).transpose()?;
        let new = match (&values, &file) {
            (Some(_), Some(_)) => return Err(wrong("give either values or a file")),
            (Some(values), None) => Some(NewValues::Numbers(values)),
            (None, Some(file)) => Some(NewValues::File(file)),
            (None, None) => None,
        };
        let horizon = horizon.map(|Count(steps)| steps.to_string());
        let found = py.detach(|| self.kept.forecast(new, horizon.as_deref()));
        let (found, notes) = found.map_err(raised)?;
        notes.iter().try_for_each(|note| warn(py, note))?;
        found.into_iter().map(|one| Forecast::of(py, one)).collect()
    }

    fn __repr__(&self) -> String {
        format!("<carousel.Forecaster {}>", self.name())
    }
}

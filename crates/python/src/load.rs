/*!
Opening a model as what it was trained for.
*/

use std::path::PathBuf;

use carousel::checkpoint::parts::Head;
use carousel::forecasting::folder::ForecastFolder;
use pyo3::prelude::*;

use crate::arguments::Count;
use crate::classifier::Classifier;
use crate::failure::{raised, wrong};
use crate::forecaster::Forecaster;
use crate::model::Found;
use crate::translator::Translator;
use crate::writer::Writer;

/// Open a model, by its folder or its name: a Writer, a Classifier, a Translator or a Forecaster, as it was trained.
///
/// precision is "auto", "f32", "bf16" or "int8"; the default is that of the commands. threads is the most threads that it
/// computes with, by default one for each core, 8 at most. A forecaster takes neither.
#[pyfunction]
#[pyo3(signature = (model, *, precision=None, threads=None))]
pub fn load(
    py: Python<'_>,
    model: PathBuf,
    precision: Option<&str>,
    threads: Option<Count>,
) -> PyResult<Py<PyAny>> {
    if ForecastFolder::at(&model).holds_forecaster() {
        if precision.is_some() || threads.is_some() {
            return Err(wrong("a forecaster takes neither precision nor threads"));
        }
        return Ok(Py::new(py, Forecaster::open(py, &model)?)?.into_any());
    }
    let found = Found::find(&model, precision, threads)?;
    let config = found.directory.load_config().map_err(raised)?;
    Ok(match config.head {
        _ if config.target().is_some() => Py::new(py, Translator::open(py, found)?)?.into_any(),
        Head::Labels(_) => Py::new(py, Classifier::open(py, found)?)?.into_any(),
        _ => Py::new(py, Writer::open(py, found)?)?.into_any(),
    })
}

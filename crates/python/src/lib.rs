/*!
carousel for Python: the module `carousel._carousel`, which the package `carousel` passes on.

A thin layer over the light library: arguments of Python are checked, the library is called without Python's lock, and its
answers become objects. What a command does is done by the same functions, with the same defaults and messages.
*/

mod arguments;
mod classifier;
mod computing;
mod failure;
mod forecast;
mod forecaster;
mod load;
mod model;
mod translator;
mod writer;

use pyo3::prelude::*;

/// carousel: generate, score, classify and translate texts with recurrent networks, and forecast numbers.
#[pymodule]
mod _carousel {
    use super::*;

    #[pymodule_export]
    use super::classifier::{Classification, Classifier};
    #[pymodule_export]
    use super::failure::Error;
    #[pymodule_export]
    use super::forecast::{Forecast, forecast};
    #[pymodule_export]
    use super::forecaster::Forecaster;
    #[pymodule_export]
    use super::load::load;
    #[pymodule_export]
    use super::translator::{Translation, Translator};
    #[pymodule_export]
    use super::writer::{Score, Text, Writer};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

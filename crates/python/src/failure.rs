/*!
Failures of the library as exceptions of Python.
*/

use carousel::error::ErrorKind;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyUserWarning, PyValueError};
use pyo3::prelude::*;

create_exception!(
    carousel,
    Error,
    PyException,
    "The work failed: a model that is not there or is damaged, a file that cannot be read, values that cannot be forecast."
);

/// What a failure of the library is raised as: `ValueError` for what was asked for, else `carousel.Error`.
pub fn raised(error: carousel::error::Error) -> PyErr {
    match error.kind() {
        ErrorKind::Usage => PyValueError::new_err(error.to_string()),
        _ => Error::new_err(error.to_string()),
    }
}

/// A wrong argument.
pub fn wrong(message: impl Into<String>) -> PyErr {
    PyValueError::new_err(message.into())
}

/// Warns of what was done otherwise than one may expect.
pub fn warn(py: Python<'_>, note: &str) -> PyResult<()> {
    // A name of a file or a series may hold anything but NUL, which no warning can.
    let note = std::ffi::CString::new(note.replace('\0', " "))?;
    PyErr::warn(py, &py.get_type::<PyUserWarning>(), &note, 2)
}

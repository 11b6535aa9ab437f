/*!
Arguments as Python has them: whole numbers, texts, and arrays of numpy.
*/

use numpy::{PyArray1, PyArrayDescrMethods, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::failure::wrong;

/// A whole number, 0 or more.
#[derive(Clone, Copy)]
pub struct Count(pub u64);

impl<'py> FromPyObject<'_, 'py> for Count {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        object.extract().map(Count).map_err(|error: PyErr| {
            match error.is_instance_of::<PyOverflowError>(object.py()) {
                true => wrong(format!(
                    "{} is out of range; give a whole number, 0 or more, below 2 ** 64",
                    *object
                )),
                false => error,
            }
        })
    }
}

/// One text, or several.
#[derive(FromPyObject)]
pub enum Texts {
    /// A `str`.
    #[pyo3(transparent, annotation = "str")]
    One(String),
    /// A list of them.
    #[pyo3(transparent, annotation = "list[str]")]
    Many(Vec<String>),
}

impl Texts {
    /// The texts in a row.
    pub fn all(self) -> Vec<String> {
        match self {
            Texts::One(text) => vec![text],
            Texts::Many(texts) => texts,
        }
    }
}

/// One whole number, or several.
#[derive(FromPyObject)]
pub enum Counts {
    /// An `int`.
    #[pyo3(transparent, annotation = "int")]
    One(i64),
    /// A list of them.
    #[pyo3(transparent, annotation = "list[int]")]
    Many(Vec<i64>),
}

impl Counts {
    /// As a flag of the command takes them.
    pub fn flag(&self) -> String {
        match self {
            Counts::One(number) => number.to_string(),
            Counts::Many(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
                numbers.join(",")
            }
        }
    }
}

/// The numbers of an array or a list, in one dimension; `None`, in a list, is NaN.
pub fn numbers(name: &str, object: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    let array = as_array(object, Some("float64"))?;
    check_dimension(name, &array)?;
    Ok(array.cast_into::<PyArray1<f64>>()?.to_vec()?)
}

/// The token ids of an array or a list, in one dimension, each below `vocab_size`.
pub fn ids(object: &Bound<'_, PyAny>, vocab_size: usize) -> PyResult<Vec<u32>> {
    let array = as_array(object, None)?;
    check_dimension("ids", &array)?;
    if array.len() > 0 && !matches!(array.dtype().kind(), b'i' | b'u') {
        return Err(wrong(format!(
            "ids are whole numbers; these are of the type {}",
            array.dtype()
        )));
    }
    let whole = as_array(&array, Some("int64"))?.cast_into::<PyArray1<i64>>()?;
    let id = |id: i64| {
        let known = u32::try_from(id).ok();
        let known = known.filter(|&id| (id as usize) < vocab_size);
        known.ok_or_else(|| {
            let last = vocab_size - 1;
            wrong(format!(
                "{id} is no id of the vocabulary; its ids are 0 to {last}"
            ))
        })
    };
    whole.to_vec()?.into_iter().map(id).collect()
}

/// What numpy makes of an object: an array whose elements lie side by side.
fn as_array<'py>(
    object: &Bound<'py, PyAny>,
    dtype: Option<&str>,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = object.py();
    let numpy = py.import(intern!(py, "numpy"))?;
    let wanted = ["C_CONTIGUOUS", "ALIGNED", "ENSUREARRAY"];
    let array = numpy.call_method1(intern!(py, "require"), (object, dtype, wanted))?;
    Ok(array.cast_into()?)
}

fn check_dimension(name: &str, array: &Bound<'_, PyUntypedArray>) -> PyResult<()> {
    match array.ndim() {
        1 => Ok(()),
        count => Err(wrong(format!(
            "{name} has {count} dimensions; give an array or a list of numbers, which has one"
        ))),
    }
}

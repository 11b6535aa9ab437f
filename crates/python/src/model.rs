/*!
Models by their folder or name, and how they compute.
*/

use std::path::Path;

use carousel::checkpoint::{Directory, models};
use carousel::error::Result;
use carousel::inference::computation::{Computation, PrecisionChoice};
use carousel::text::encoder::Encoder;
use carousel::text::tokenizer::Tokenizer;
use carousel_kernels::Precision;
use numpy::PyArray1;
use pyo3::prelude::*;

use crate::arguments::Count;
use crate::failure::{raised, warn, wrong};

/// Most threads that can be asked for.
const MOST_THREADS: u64 = 256;

/// A model that was found, and how it is to compute.
pub struct Found {
    /// Its folder.
    pub directory: Directory,
    /// Precision, if one was asked for.
    pub precision: Option<PrecisionChoice>,
    /// Number of threads, if one was asked for.
    pub threads: Option<u16>,
}

impl Found {
    /// Finds a model by its folder, or by its name.
    pub fn find(path: &Path, precision: Option<&str>, threads: Option<Count>) -> PyResult<Self> {
        let threads = threads.map(|Count(threads)| match threads {
            1..=MOST_THREADS => Ok(threads as u16),
            _ => Err(wrong(format!(
                "threads {threads} is out of range; give 1 to {MOST_THREADS}"
            ))),
        });
        Ok(Found {
            precision: precision.map(str::parse).transpose().map_err(raised)?,
            threads: threads.transpose()?,
            directory: models::find(path).map_err(raised)?,
        })
    }

    /// How it computes, where nothing else was asked for by `default`.
    pub fn computation(&self, default: PrecisionChoice) -> Computation {
        let precision = (self.precision, default);
        Computation::of(precision, self.threads, Some(&self.directory))
    }

    /// The same, with a warning if there is one.
    fn told_computation(&self, py: Python<'_>) -> PyResult<Computation> {
        let computation = self.computation(PrecisionChoice::Auto);
        if let Some(note) = computation.note {
            warn(py, note)?;
        }
        Ok(computation)
    }

    /// Opens it by a function of its folder, its precision and the number of threads.
    pub fn open<M: Send>(
        &self,
        py: Python<'_>,
        open: impl FnOnce(&Directory, Precision, usize) -> Result<M> + Send,
    ) -> PyResult<(M, Precision)> {
        let computation = self.told_computation(py)?;
        let (precision, threads) = (computation.precision, computation.threads);
        let model = py.detach(|| open(&self.directory, precision, threads));
        Ok((model.map_err(raised)?, precision))
    }

    /// As it is shown.
    pub fn shown(&self, kind: &str) -> String {
        format!("<carousel.{kind} {}>", self.directory.name())
    }
}

/// The token ids of a text, as an array.
pub fn tokenize<'py>(
    py: Python<'py>,
    tokenizer: &Tokenizer,
    text: &str,
) -> Bound<'py, PyArray1<u32>> {
    let ids = py.detach(|| tokenizer.encode(text).0);
    PyArray1::from_vec(py, ids)
}

/// Those of several texts, by one encoder, which takes longer to make than to use.
pub fn tokenize_all<'py>(
    py: Python<'py>,
    tokenizer: &Tokenizer,
    texts: &[String],
) -> Vec<Bound<'py, PyArray1<u32>>> {
    let encode = || -> Vec<Vec<u32>> {
        let mut encoder = Encoder::new(tokenizer);
        texts.iter().map(|text| encoder.encode(text).0).collect()
    };
    let ids = py.detach(encode).into_iter();
    ids.map(|ids| PyArray1::from_vec(py, ids)).collect()
}

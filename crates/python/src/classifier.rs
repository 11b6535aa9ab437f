/*!
Classifiers: the label of each text, with its probability.
*/

use std::path::PathBuf;

use carousel::answers::classification::{Answer, check_threshold};
use carousel::inference::classifier;
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arguments::{Count, Texts};
use crate::computing::in_batches;
use crate::failure::raised;
use crate::model::{Found, tokenize, tokenize_all};

/// Number of texts that are classified together.
const BATCH_SIZE: usize = 512;

/// A classifier: it labels texts.
#[pyclass(frozen, module = "carousel")]
pub struct Classifier {
    found: Found,
    classifier: classifier::Classifier,
}

/// A text's label.
#[pyclass(frozen, get_all, module = "carousel")]
pub struct Classification {
    /// The most probable label.
    label: String,
    /// Its probability.
    probability: f64,
    /// The probability of each label.
    probabilities: Py<PyDict>,
    /// Whether the label is not to be trusted.
    unsure: bool,
    /// Why not, or None.
    reason: Option<String>,
}

impl Classifier {
    /// Opens the model.
    pub fn open(py: Python<'_>, found: Found) -> PyResult<Self> {
        let (classifier, _) = found.open(py, classifier::Classifier::open)?;
        Ok(Classifier { found, classifier })
    }
}

#[pymethods]
impl Classifier {
    /// Open a classifier, by its folder or its name; as carousel.load, but another kind of model is an error.
    #[staticmethod]
    #[pyo3(signature = (model, *, precision=None, threads=None))]
    fn load(
        py: Python<'_>,
        model: PathBuf,
        precision: Option<&str>,
        threads: Option<Count>,
    ) -> PyResult<Self> {
        Classifier::open(py, Found::find(&model, precision, threads)?)
    }

    /// Name of the model.
    #[getter]
    fn name(&self) -> String {
        self.found.directory.name()
    }

    /// The labels, in the order of the model's outputs.
    #[getter]
    fn labels(&self) -> Vec<String> {
        self.classifier.config.labels().to_vec()
    }

    /// Classify one text, or a list of them, as `carousel classify` does: a list of Classification, one for each text.
    ///
    /// Below the probability threshold, if one is given, an answer is marked as unsure.
    #[pyo3(signature = (texts, *, threshold=None))]
    fn classify(
        &self,
        py: Python<'_>,
        texts: Texts,
        threshold: Option<f64>,
    ) -> PyResult<Vec<Classification>> {
        check_threshold(threshold, "threshold").map_err(raised)?;
        let work = |part: &[&str]| self.classifier.classify(part);
        let predictions = in_batches(py, &texts.all(), BATCH_SIZE, work)?;
        let labels = self.classifier.config.labels();
        let answer = |prediction| {
            let answer = Answer::new(prediction, threshold);
            let probabilities = &answer.prediction.probabilities;
            let by_label = PyDict::new(py);
            for (label, probability) in labels.iter().zip(probabilities) {
                by_label.set_item(label, probability)?;
            }
            Ok(Classification {
                label: labels[answer.best].clone(),
                probability: probabilities[answer.best],
                probabilities: by_label.unbind(),
                unsure: answer.unsure.is_some(),
                reason: answer.unsure,
            })
        };
        predictions.into_iter().map(answer).collect()
    }

    /// The token ids of a text: an array of uint32. What classify changes in a text before it is not done.
    fn tokenize<'py>(&self, py: Python<'py>, text: &str) -> Bound<'py, PyArray1<u32>> {
        tokenize(py, &self.classifier.tokenizer, text)
    }

    /// Those of several texts, which takes less time: a list of arrays.
    fn tokenize_all<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<String>,
    ) -> Vec<Bound<'py, PyArray1<u32>>> {
        tokenize_all(py, &self.classifier.tokenizer, &texts)
    }

    fn __repr__(&self) -> String {
        self.found.shown("Classifier")
    }
}

#[pymethods]
impl Classification {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Classification(label={}, probability={:.4}, unsure={})",
            self.label.as_str().into_pyobject(py)?.repr()?,
            self.probability,
            if self.unsure { "True" } else { "False" }
        ))
    }
}

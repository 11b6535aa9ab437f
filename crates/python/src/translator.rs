/*!
Translators: the best translation of each text, with its score.
*/

use std::path::PathBuf;

use carousel::inference::beam_search::Search;
use carousel::inference::translator;
use numpy::PyArray1;
use pyo3::prelude::*;

use crate::arguments::{Count, Texts};
use crate::computing::in_batches;
use crate::failure::{raised, wrong};
use crate::model::{Found, tokenize, tokenize_all};

/// Number of texts that are translated together.
const BATCH_SIZE: usize = 128;

/// A translator: it translates texts from one language to another.
#[pyclass(frozen, module = "carousel")]
pub struct Translator {
    found: Found,
    translator: translator::Translator,
}

/// A text's translation.
#[pyclass(frozen, get_all, module = "carousel")]
pub struct Translation {
    /// The translation.
    text: String,
    /// What translations are ranked by: the logarithm of the probability, divided by what the length penalty makes of the
    /// length; the higher the better.
    score: f64,
    /// Natural logarithm of the probability.
    log_probability: f64,
}

impl Translator {
    /// Opens the model.
    pub fn open(py: Python<'_>, found: Found) -> PyResult<Self> {
        let (translator, _) = found.open(py, translator::Translator::open)?;
        Ok(Translator { found, translator })
    }
}

#[pymethods]
impl Translator {
    /// Open a translator, by its folder or its name; as carousel.load, but another kind of model is an error.
    #[staticmethod]
    #[pyo3(signature = (model, *, precision=None, threads=None))]
    fn load(
        py: Python<'_>,
        model: PathBuf,
        precision: Option<&str>,
        threads: Option<Count>,
    ) -> PyResult<Self> {
        Translator::open(py, Found::find(&model, precision, threads)?)
    }

    /// Name of the model.
    #[getter]
    fn name(&self) -> String {
        self.found.directory.name()
    }

    /// Translate one text, or a list of them, as `carousel translate` does: a list of Translation, one for each text.
    ///
    /// A text is a line of one or more sentences. beam is the number of translations that are followed at once, by default
    /// 5. length_penalty, by default 1, is how much long translations are favoured.
    #[pyo3(signature = (texts, *, beam=None, length_penalty=None), text_signature = "($self, texts, *, beam=5, length_penalty=1.0)")]
    fn translate(
        &self,
        py: Python<'_>,
        texts: Texts,
        beam: Option<Count>,
        length_penalty: Option<f64>,
    ) -> PyResult<Vec<Translation>> {
        let default = Search::default();
        let search = Search {
            beam: beam.map_or(default.beam, |Count(beam)| beam as usize),
            length_penalty: length_penalty.unwrap_or(default.length_penalty),
            ..default
        };
        let search = search.checked(str::to_string).map_err(raised)?;
        let texts: Vec<String> = texts.all().iter().map(|text| text.trim().into()).collect();
        if let Some(at) = texts.iter().position(|text| text.lines().count() > 1) {
            return Err(wrong(format!(
                "text {} has several lines, and texts are translated line by line; give its lines, as text.splitlines()",
                at + 1
            )));
        }
        let work = |part: &[&str]| self.translator.translate_texts(part, &search);
        let translations = in_batches(py, &texts, BATCH_SIZE, work)?;
        let best = translations.into_iter().map(|mut translation| {
            let best = translation.candidates.swap_remove(0);
            Translation {
                score: best.score(),
                log_probability: best.log_probability,
                text: best.text,
            }
        });
        Ok(best.collect())
    }

    /// The token ids of a text that is to be translated: an array of uint32.
    fn tokenize<'py>(&self, py: Python<'py>, text: &str) -> Bound<'py, PyArray1<u32>> {
        tokenize(py, self.translator.source(), text)
    }

    /// Those of several texts, which takes less time: a list of arrays.
    fn tokenize_all<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<String>,
    ) -> Vec<Bound<'py, PyArray1<u32>>> {
        tokenize_all(py, self.translator.source(), &texts)
    }

    fn __repr__(&self) -> String {
        self.found.shown("Translator")
    }
}

#[pymethods]
impl Translation {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let text = self.text.as_str().into_pyobject(py)?;
        Ok(format!(
            "Translation(text={}, score={:.4})",
            text.repr()?,
            self.score
        ))
    }

    fn __str__(&self) -> &str {
        &self.text
    }
}

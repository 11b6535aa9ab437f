/*!
Language models: text from prompts, scores, tokens and logits.
*/

use std::path::PathBuf;
use std::sync::OnceLock;

use carousel::checkpoint::record::TextRecord;
use carousel::error::Result;
use carousel::inference::computation::PrecisionChoice;
use carousel::inference::evaluation::{self, ScoredText};
use carousel::inference::generated_text::{samples, usual_length};
use carousel::inference::generator::{Prompt, StopConditions, sample_seed};
use carousel::inference::next_token::Wanted;
use carousel::inference::sampling::{SamplingOptions, random_seed};
use carousel::inference::{Model, generated_text};
use carousel::text::spelling::Spelling;
use carousel_kernels::Precision;
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;

use crate::arguments::{Count, Texts, ids};
use crate::computing::Watch;
use crate::failure::{raised, wrong};
use crate::model::{Found, tokenize, tokenize_all};

/// Number of tokens that are read together.
const WINDOW: usize = 256;

/// A language model: it generates text and scores it.
#[pyclass(frozen, module = "carousel")]
pub struct Writer {
    found: Found,
    model: Model,
    precision: Precision,
    /// In float32, to score, where the model is in another precision.
    exact: OnceLock<Model>,
    /// How unknown words are scored.
    spelling: OnceLock<Spelling>,
}

/// A text that was generated.
#[pyclass(frozen, get_all, module = "carousel")]
pub struct Text {
    /// The text, without the prompt.
    text: String,
    /// Number of its tokens.
    tokens: u64,
    /// Why it ended: "length", "stop" or "exhausted".
    finish_reason: &'static str,
    /// The seed by which it is generated again as the first of its samples.
    seed: u64,
}

/// How probable a text is under a model.
#[pyclass(frozen, get_all, module = "carousel")]
pub struct Score {
    /// The tokens, as text.
    tokens: Vec<String>,
    /// The natural logarithm of the probability of each token: an array of float64.
    log_probabilities: Py<PyArray1<f64>>,
    /// That of the whole text.
    log_probability: f64,
    /// Mean negative log likelihood of a token, in nats.
    loss: f64,
    /// exp(loss).
    perplexity: f64,
    /// Bits for each character.
    bits_per_character: f64,
    /// The words, or characters, that the vocabulary does not have.
    unknown: Vec<String>,
}

impl Writer {
    /// Opens the model.
    pub fn open(py: Python<'_>, found: Found) -> PyResult<Self> {
        let (model, precision) = found.open(py, Model::open)?;
        Ok(Writer {
            found,
            model,
            precision,
            exact: OnceLock::new(),
            spelling: OnceLock::new(),
        })
    }

    /// The model as `carousel score` computes with it: in float32, unless another precision was asked for.
    fn exact(&self) -> Result<&Model> {
        let computation = self.found.computation(PrecisionChoice::F32);
        if computation.precision == self.precision {
            return Ok(&self.model);
        }
        loaded(&self.exact, || {
            let directory = &self.found.directory;
            Model::open(directory, computation.precision, computation.threads)
        })
    }

    fn spelling(&self) -> Result<&Spelling> {
        loaded(&self.spelling, || {
            let record: TextRecord = self.found.directory.load_record()?;
            Ok(record.statistics.spelling)
        })
    }
}

/// What is in a cell, which is filled on demand.
fn loaded<T>(cell: &OnceLock<T>, load: impl FnOnce() -> Result<T>) -> Result<&T> {
    match cell.get() {
        Some(found) => Ok(found),
        None => {
            let new = load()?;
            Ok(cell.get_or_init(|| new))
        }
    }
}

#[pymethods]
impl Writer {
    /// Open a language model, by its folder or its name; as carousel.load, but another kind of model is an error.
    #[staticmethod]
    #[pyo3(signature = (model, *, precision=None, threads=None))]
    fn load(
        py: Python<'_>,
        model: PathBuf,
        precision: Option<&str>,
        threads: Option<Count>,
    ) -> PyResult<Self> {
        Writer::open(py, Found::find(&model, precision, threads)?)
    }

    /// Name of the model.
    #[getter]
    fn name(&self) -> String {
        self.found.directory.name()
    }

    /// Number of tokens in the vocabulary.
    #[getter]
    fn vocab_size(&self) -> usize {
        self.model.tokenizer.vocab_size()
    }

    /// The id of the end of a line, after which texts begin.
    #[getter]
    fn line_end(&self) -> u32 {
        self.model.tokenizer.line_end()
    }

    /// Generate continuations of a prompt, as `carousel generate` does: a list of Text, one for each of the samples.
    ///
    /// length is the number of tokens, by default 120 words or subwords, or 500 characters or bytes. temperature is 0.9 by
    /// default; 0 always takes the most probable token. top_k, top_p and min_p (0.02 by default) limit the tokens that are
    /// chosen from. A text ends before a string of stop. The same seed gives the same text; without one it is random.
    #[pyo3(signature = (prompt="", *, length=None, temperature=None, top_k=None, top_p=None, min_p=None, repeat_penalty=None, stop=None, seed=None, samples=Count(1)), text_signature = "($self, prompt='', *, length=None, temperature=0.9, top_k=None, top_p=None, min_p=0.02, repeat_penalty=None, stop=None, seed=None, samples=1)")]
    #[expect(clippy::too_many_arguments, reason = "Python's are named")]
    fn generate(
        &self,
        py: Python<'_>,
        prompt: &str,
        length: Option<Count>,
        temperature: Option<f32>,
        top_k: Option<Count>,
        top_p: Option<f32>,
        min_p: Option<f32>,
        repeat_penalty: Option<f32>,
        stop: Option<Texts>,
        seed: Option<Count>,
        samples: Count,
    ) -> PyResult<Vec<Text>> {
        let default = SamplingOptions::default();
        let options = SamplingOptions {
            temperature: temperature.unwrap_or(default.temperature),
            top_k: top_k.map(|Count(count)| count as usize),
            top_p,
            min_p: min_p.or(default.min_p),
            repeat_penalty,
            ..default
        };
        let asked = Asked {
            options,
            length: length.map(|Count(length)| length),
            stop: stop.map_or_else(Vec::new, Texts::all),
            seed: seed.map_or_else(random_seed, |Count(seed)| seed),
            samples: samples.0,
        };
        asked.texts(py, &self.model, prompt)
    }

    /// Score a text, as `carousel score` does: how probable it and its tokens are.
    fn score(&self, py: Python<'_>, text: &str) -> PyResult<Score> {
        let score = || -> Result<Option<ScoredText>> {
            Ok(evaluation::score(self.exact()?, self.spelling()?, text))
        };
        let scored = py.detach(score).map_err(raised)?;
        let scored = scored.ok_or_else(|| wrong(evaluation::EMPTY_TEXT))?;
        let own = scored.tokens.iter().map(|token| token.log_probability);
        Ok(Score {
            log_probabilities: PyArray1::from_iter(py, own).unbind(),
            log_probability: scored.log_probability(),
            loss: scored.score.loss,
            perplexity: scored.score.perplexity,
            bits_per_character: scored.score.bits_per_character,
            unknown: scored.unknown().map(str::to_string).collect(),
            tokens: scored.tokens.into_iter().map(|token| token.text).collect(),
        })
    }

    /// The token ids of a text: an array of uint32.
    fn tokenize<'py>(&self, py: Python<'py>, text: &str) -> Bound<'py, PyArray1<u32>> {
        tokenize(py, &self.model.tokenizer, text)
    }

    /// Those of several texts, which takes less time: a list of arrays.
    fn tokenize_all<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<String>,
    ) -> Vec<Bound<'py, PyArray1<u32>>> {
        tokenize_all(py, &self.model.tokenizer, &texts)
    }

    /// The text of token ids, an array or a list.
    fn detokenize(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<String> {
        let ids = self::ids(ids, self.vocab_size())?;
        Ok(py.detach(|| self.model.tokenizer.decode(&ids)))
    }

    /// The logits of the next token after each of these ids: an array of float32, [ids, vocab_size].
    ///
    /// The first id is the first that is read; texts begin after line_end, which is then to be put before them. They are
    /// computed in float32, as for score.
    fn logits<'py>(
        &self,
        py: Python<'py>,
        ids: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let ids = self::ids(ids, self.vocab_size())?;
        let logits = py
            .detach(|| Ok(logits(self.exact()?, &ids)))
            .map_err(raised)?;
        PyArray1::from_vec(py, logits).reshape([ids.len(), self.vocab_size()])
    }

    fn __repr__(&self) -> String {
        self.found.shown("Writer")
    }
}

/// What is asked for of texts.
struct Asked {
    options: SamplingOptions,
    length: Option<u64>,
    stop: Vec<String>,
    seed: u64,
    samples: u64,
}

impl Asked {
    fn texts(self, py: Python<'_>, model: &Model, prompt: &str) -> PyResult<Vec<Text>> {
        let sampling = self.options.sampling(str::to_string).map_err(raised)?;
        if self.stop.iter().any(String::is_empty) {
            return Err(wrong(
                "stop '' would end every text before it begins; give the string to stop at",
            ));
        }
        if self.length == Some(0) {
            return Err(wrong("length 0 generates no token; give 1 or more"));
        }
        if self.samples == 0 {
            return Err(wrong("samples 0 generates no text; give 1 or more"));
        }
        model.check_writes().map_err(raised)?;
        let usual = || usual_length(model.tokenizer.level());
        let stop = StopConditions {
            length: Some(self.length.unwrap_or_else(usual)),
            strings: self.stop,
        };
        let generate = || {
            let mut watch = Watch::new();
            let tokens = model.tokenizer.encode(prompt).0;
            let prompt = Prompt::read(model, tokens, |_| ());
            let wanted = (self.seed, self.samples);
            let texts = samples(&prompt, sampling, &stop, wanted, || watch.goes_on());
            watch.result(texts)
        };
        let texts = py.detach(generate)?.into_iter().zip(0..);
        let text = |(text, sample): (generated_text::GeneratedText, u64)| Text {
            text: text.text,
            tokens: text.tokens,
            finish_reason: text.finish.name(),
            seed: sample_seed(self.seed, sample),
        };
        Ok(texts.map(text).collect())
    }
}

/// The logits after each of some tokens, one row after another.
fn logits(model: &Model, ids: &[u32]) -> Vec<f32> {
    let predictor = &model.predictor;
    let (size, mut state) = (predictor.vocab_size(), predictor.initial_state(1));
    let mut all = Vec::with_capacity(ids.len() * size);
    for part in ids.chunks(WINDOW) {
        let logits = predictor.forward(part, &mut state, Wanted::All);
        // Of the tokens that are predicted at once, the next one.
        let rows = logits.chunks_exact(predictor.horizon() * size);
        rows.for_each(|row| all.extend_from_slice(&row[..size]));
    }
    all
}

#[pymethods]
impl Text {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Text(text={}, tokens={}, finish_reason='{}', seed={})",
            self.text.as_str().into_pyobject(py)?.repr()?,
            self.tokens,
            self.finish_reason,
            self.seed
        ))
    }

    fn __str__(&self) -> &str {
        &self.text
    }
}

#[pymethods]
impl Score {
    fn __repr__(&self) -> String {
        format!(
            "Score(tokens={}, loss={:.4}, perplexity={:.2}, bits_per_character={:.4})",
            self.tokens.len(),
            self.loss,
            self.perplexity,
            self.bits_per_character
        )
    }
}

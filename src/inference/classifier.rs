/*!
Classification of texts.

Two parts give logits: the [`RecurrentClassifier`] and the [`LinearClassifier`]. Each is multiplied by a scale that was
fitted on validation data, as in temperature scaling (Guo et al. 2017), and the softmax of their sum gives the
probabilities.
*/

use super::encoded_document::{DocumentEncoder, EncodedDocument};
use super::linear::LinearClassifier;
use super::recurrent_classifier::RecurrentClassifier;
use crate::checkpoint::architecture::{CALIBRATION_BIAS, CALIBRATION_SCALES};
use crate::checkpoint::parts::Head;
use crate::checkpoint::{Directory, ModelConfig, WeightsFile};
use crate::error::{Error, Result};
use crate::metrics::softmax;
use crate::text::tokenizer::Tokenizer;
use carousel_kernels::Precision;

/// Largest unknown fraction of a text that is trusted. A text of which more is unknown to both parts is probably in
/// another language or script.
const MOST_UNKNOWN: f64 = 0.5;

/// Number of documents that are classified together to score the model.
const BATCH_SIZE: usize = 512;

/// Note on a prediction whose logits are not finite.
const NOT_FINITE: &str =
    "the model's outputs are not finite numbers; it is damaged, or its training diverged";

/// A classifier, opened from its checkpoint.
pub struct Classifier {
    /// Configuration of the network.
    pub config: ModelConfig,
    /// Tokenizer with the vocabulary.
    pub tokenizer: Tokenizer,
    recurrent: RecurrentClassifier,
    linear: LinearClassifier,
    calibration: Calibration,
}

/// Scales of both parts' logits, and a bias for each label.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Scales of the recurrent and of the linear classifier's logits.
    pub scales: [f64; 2],
    /// Bias of each label.
    pub bias: Vec<f64>,
}

impl Calibration {
    /// Opens the calibration of a checkpoint.
    fn load(weights: &WeightsFile) -> Result<Self> {
        let scales = weights.floats(CALIBRATION_SCALES)?;
        let bias = weights.floats(CALIBRATION_BIAS)?;
        Ok(Calibration {
            scales: [f64::from(scales[0]), f64::from(scales[1])],
            bias: bias.iter().map(|&bias| f64::from(bias)).collect(),
        })
    }

    /// Calibrated logits of a text from those of the recurrent and of the linear classifier.
    pub fn combine(&self, recurrent: &[f64], linear: &[f64]) -> Vec<f64> {
        let both = recurrent.iter().zip(linear).zip(&self.bias);
        both.map(|((recurrent, linear), bias)| {
            self.scales[0] * recurrent + self.scales[1] * linear + bias
        })
        .collect()
    }
}

/// The predicted probabilities of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Probabilities of all labels, in their order.
    pub probabilities: Vec<f64>,
    /// Logits of all labels.
    pub logits: Vec<f64>,
    /// Reason not to trust the prediction, if there is one.
    pub note: Option<&'static str>,
}

impl Classifier {
    /// Opens a checkpoint, and checks that its parts belong together. It computes with up to `threads` threads.
    ///
    /// # Errors
    /// A checkpoint that is damaged, or of a language model or a translator.
    pub fn open(directory: &Directory, precision: Precision, threads: usize) -> Result<Self> {
        let config = directory.load_config()?;
        config.check_no_translator(directory.path())?;
        if config.ngram_body().is_some() {
            return Err(Error::new(format!(
                "{} is an n-gram model and has no labels; `carousel train-classifier LABELLED -o DIR` makes a classifier",
                directory.path().display()
            )));
        }
        let tokenizer = directory.load_tokenizer(&config)?;
        let Head::Labels(_) = config.head else {
            return Err(Error::new(format!(
                "{} is a language model and has no labels; `carousel train-classifier LABELLED -o DIR --from {}` makes a \
                 classifier from it",
                directory.path().display(),
                directory.path().display()
            )));
        };
        let weights = directory.load_weights(&config)?;
        Ok(Classifier {
            recurrent: RecurrentClassifier::load(
                &config,
                |name| weights.floats(name),
                precision,
                threads,
            )?,
            linear: LinearClassifier::load(&weights, config.preprocessing())?,
            calibration: Calibration::load(&weights)?,
            config,
            tokenizer,
        })
    }

    fn encoder(&self) -> DocumentEncoder<'_> {
        DocumentEncoder::new(&self.tokenizer, self.config.preprocessing())
    }

    /// Classifies texts.
    pub fn classify(&self, texts: &[&str]) -> Vec<Prediction> {
        let mut encoder = self.encoder();
        let documents = texts.iter().map(|text| encoder.encode(text));
        let documents: Vec<EncodedDocument> = documents.collect();
        self.predictions(&documents)
    }

    /// Classifies variants of a text without markup, such as parts of it: what is decided once for a whole text is decided
    /// by `text` for all of them.
    pub fn classify_variants(&self, text: &str, variants: &[&str]) -> Vec<Prediction> {
        let mut encoder = self.encoder();
        let reading = encoder.reading(text);
        let documents = variants.iter().map(|text| encoder.encode_by(text, reading));
        let documents: Vec<EncodedDocument> = documents.collect();
        self.predictions(&documents)
    }

    /// Probabilities of all labels for any number of texts, to be scored.
    ///
    /// # Errors
    /// Outputs that are not finite numbers.
    pub fn predict(&self, texts: &[&str]) -> Result<Vec<Vec<f64>>> {
        let mut predicted = Vec::with_capacity(texts.len());
        for texts in texts.chunks(BATCH_SIZE) {
            for prediction in self.classify(texts) {
                if prediction.note == Some(NOT_FINITE) {
                    return Err(Error::new(NOT_FINITE));
                }
                predicted.push(prediction.probabilities);
            }
        }
        Ok(predicted)
    }

    fn predictions(&self, documents: &[EncodedDocument]) -> Vec<Prediction> {
        let tokens: Vec<&[u32]> = documents.iter().map(|d| &d.tokens[..]).collect();
        let recurrent = self.recurrent.logits(&tokens);
        documents
            .iter()
            .zip(&recurrent)
            .map(|(document, recurrent)| self.prediction(document, recurrent))
            .collect()
    }

    /// Prediction for a document, from the recurrent classifier's logits.
    fn prediction(&self, document: &EncodedDocument, recurrent: &[f64]) -> Prediction {
        let linear = self.linear.logits(&document.words);
        let mut logits = self.calibration.combine(recurrent, &linear);
        let mut note = self.doubt(document);
        if !logits.iter().all(|logit| logit.is_finite()) {
            note = Some(NOT_FINITE);
            logits.fill(0.0);
        }
        Prediction {
            probabilities: softmax(&logits),
            logits,
            note,
        }
    }

    /// Reason not to trust the prediction for a document, if there is one.
    fn doubt(&self, document: &EncodedDocument) -> Option<&'static str> {
        if document.tokens.len() == 1 {
            return Some("there is nothing to read");
        }
        // Bytes and subwords are never unknown, so with these the linear classifier alone decides.
        let unknown = document.unknown > MOST_UNKNOWN || self.tokenizer.unknown().is_none();
        (unknown && self.linear.unknown(&document.words) > MOST_UNKNOWN)
            .then_some("the model has met almost none of these words")
    }
}

/*!
Classified texts, as JSON.
*/

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::inference::classifier::{Classifier, Prediction};
use crate::inference::explanation::{Explanation, Piece, explain};
use crate::metrics::argmax;

/// A classified text.
pub struct Answer {
    /// Index of the most probable label.
    pub best: usize,
    /// Why that label is not to be trusted, if it is not.
    pub unsure: Option<String>,
    /// The probabilities.
    pub prediction: Prediction,
    /// How much each word speaks for the label, if that was asked for.
    pub explanation: Option<Explanation>,
}

/// Checks the least probability of an answer that is trusted; `name` is what messages call it.
///
/// # Errors
/// What is no probability.
pub fn check_threshold(threshold: Option<f64>, name: &str) -> Result<()> {
    match threshold.filter(|threshold| !(0.0..=1.0).contains(threshold)) {
        None => Ok(()),
        Some(threshold) => Err(Error::usage(format!(
            "{name} {threshold} is not a probability; give one from 0 to 1"
        ))),
    }
}

impl Answer {
    /// The answer to a text, by a prediction of it; unsure below the `threshold`.
    pub fn new(prediction: Prediction, threshold: Option<f64>) -> Self {
        let best = argmax(&prediction.probabilities);
        let too_low = |threshold: &f64| prediction.probabilities[best] < *threshold;
        let below = |threshold| format!("the probability is below {threshold}");
        let note = prediction.note.map(str::to_string);
        Answer {
            best,
            unsure: note.or_else(|| threshold.filter(too_low).map(below)),
            prediction,
            explanation: None,
        }
    }

    /// The same with an explanation, where there is something to explain.
    pub fn explained(self, classifier: &Classifier, text: &str) -> Self {
        let has_words = self.prediction.note.is_none();
        Answer {
            explanation: has_words.then(|| explain(classifier, text, self.best)),
            ..self
        }
    }

    /// As an object, without the text.
    pub fn object(&self, labels: &[String]) -> Value {
        let probabilities = &self.prediction.probabilities;
        let by_label: Map<String, Value> = labels
            .iter()
            .zip(probabilities)
            .map(|(label, &probability)| (label.clone(), json!(probability)))
            .collect();
        let mut object = json!({
            "label": labels[self.best],
            "unsure": self.unsure.is_some(),
            "probability": probabilities[self.best],
            "probabilities": by_label,
        });
        if let Some(note) = self.prediction.note {
            object["note"] = json!(note);
        }
        if let Some(explanation) = &self.explanation {
            object["explanation"] = pieces(explanation);
        }
        object
    }
}

/// The pieces of an explained text.
fn pieces(explanation: &Explanation) -> Value {
    let piece = |piece: &Piece| {
        json!({
            "text": piece.text.trim(),
            "contribution": piece.contribution,
        })
    };
    explanation.pieces.iter().map(piece).collect()
}

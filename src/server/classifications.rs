/*!
`POST /classify`.
*/

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::application::Application;
use super::bodies;
use super::errors::Failure;
use super::limits::{BODY_BYTES, EXPLAINED_BYTES, EXPLAINED_TEXTS};
use super::models::{Engine, Kind};
use super::work::Cancelled;
use crate::answers::classification::{Answer, check_threshold};
use crate::answers::prior::{Prior, PriorChoice};
use crate::inference::classifier::{Classifier, Prediction};

/// Number of texts that are classified together, and of bytes after which there is no other one.
const BATCH_TEXTS: usize = 32;
const BATCH_BYTES: usize = 1 << 16;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassifyRequest {
    model: Option<String>,
    text: Option<String>,
    texts: Option<Vec<String>>,
    #[serde(default)]
    explain: bool,
    threshold: Option<f64>,
    prior: Option<PriorField>,
}

/// As `--prior` takes it, or an object of shares.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum PriorField {
    Word(String),
    Shares(Map<String, Value>),
}

impl PriorField {
    fn choice(&self) -> Result<PriorChoice, Failure> {
        let wrong = |message: &str| Failure::malformed(message).param("prior");
        match self {
            PriorField::Word(word) => word.parse().map_err(|message: String| wrong(&message)),
            PriorField::Shares(shares) => {
                let share = |(label, share): (&String, &Value)| {
                    let share = share.as_f64().filter(|share| *share >= 0.0)?;
                    Some((label.clone(), share))
                };
                let shares: Option<Vec<_>> = shares.iter().map(share).collect();
                let shares = shares.filter(|all| all.iter().any(|(_, share)| *share > 0.0));
                let message =
                    "prior is \"estimate\", \"uniform\", or an object with the share of each label";
                Ok(PriorChoice::Shares(shares.ok_or_else(|| wrong(message))?))
            }
        }
    }
}

/// Classifies texts.
///
/// # Errors
/// Those of the request; too many who wait; too much time.
pub async fn classify(
    State(application): State<Arc<Application>>,
    request: Request,
) -> Result<Response, Failure> {
    let request: ClassifyRequest = bodies::read(request).await?;
    let served = application
        .models
        .of_kind(Kind::Classifier, request.model.as_deref())?;
    let Engine::Classifier { classifier, shares } = &served.engine else {
        return Err(Failure::internal());
    };
    let texts = bodies::texts(request.text, request.texts, BODY_BYTES)?;
    let bytes: usize = texts.iter().map(String::len).sum();
    if request.explain && (texts.len() > EXPLAINED_TEXTS || bytes > EXPLAINED_BYTES) {
        return Err(Failure::too_large(format!(
            "{EXPLAINED_TEXTS} texts of {EXPLAINED_BYTES} bytes are explained at once; send less, or leave explain away"
        )));
    }
    check_threshold(request.threshold, "threshold")
        .map_err(|error| Failure::malformed(error.to_string()).param("threshold"))?;
    let prior = match request.prior.map(|prior| prior.choice()).transpose()? {
        None => None,
        Some(choice) => {
            let none = || Failure::malformed("this model has no record of its labels' shares");
            let shares = shares.as_ref().ok_or_else(none)?;
            Some(Prior::new(&choice, shares, classifier.config.labels())?)
        }
    };
    let asked = Asked {
        classifier: Arc::clone(classifier),
        texts,
        prior,
        explain: request.explain,
        threshold: request.threshold,
    };
    let work = move |cancelled: &Cancelled| asked.results(cancelled);
    application.results(&served, work).await
}

/// What is to be classified, and how.
struct Asked {
    classifier: Arc<Classifier>,
    texts: Vec<String>,
    prior: Option<Prior>,
    explain: bool,
    threshold: Option<f64>,
}

impl Asked {
    fn results(mut self, cancelled: &Cancelled) -> Result<Vec<Value>, Failure> {
        let labels = self.classifier.config.labels();
        let mut predictions: Vec<Prediction> = Vec::with_capacity(self.texts.len());
        while predictions.len() < self.texts.len() {
            cancelled.check()?;
            let texts = batch(&self.texts[predictions.len()..]);
            predictions.extend(self.classifier.classify(&texts));
        }
        if let Some(prior) = &mut self.prior {
            prior.apply_all(&mut predictions, labels);
        }
        let answer = |(text, prediction): (&String, Prediction)| {
            cancelled.check()?;
            let mut answer = Answer::new(prediction, self.threshold);
            if self.explain {
                answer = answer.explained(&self.classifier, text);
            }
            let mut object = answer.object(labels);
            object["text"] = json!(text);
            Ok(object)
        };
        self.texts.iter().zip(predictions).map(answer).collect()
    }
}

/// The first texts, at least one, that are classified together.
fn batch(texts: &[String]) -> Vec<&str> {
    let mut bytes = 0;
    let fits = |text: &&String| {
        let begins = bytes < BATCH_BYTES;
        bytes += text.len();
        begins
    };
    let first = texts.iter().take(BATCH_TEXTS).take_while(fits);
    first.map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_and_never_empty() {
        let count = |texts: &[String]| batch(texts).len();
        assert_eq!(count(&vec![String::new(); 40]), BATCH_TEXTS);
        let long = "x".repeat(BATCH_BYTES / 2);
        assert_eq!(count(&vec![long.clone(); 4]), 2);
        assert_eq!(count(&[long.repeat(3), long]), 1);
    }
}

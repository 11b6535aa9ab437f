/*!
Evaluation of a classifier on labelled documents.
*/

use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::HumanCount;
use serde_json::{Value, json};

use super::model::{ModelArguments, PrecisionChoice};
use super::standard;
use crate::baselines::naive_baselines;
use crate::checkpoint::record::{DocumentsRecord, NaiveBaselines, Record};
use crate::data::labelled::{DocumentOptions, LabelledRow, RowCount};
use crate::error::{Error, Result};
use crate::inference::classifier::{Classifier, NOT_FINITE};
use crate::metrics::ClassificationScore;
use crate::text::Normalization;
use crate::text::features::words;

/// Number of documents that are classified together.
const BATCH_SIZE: usize = 512;

/// Labelled documents, and the number of rows that they were read from.
struct LabelledDocuments {
    texts: Vec<String>,
    /// Label of each text, as an index of the model's labels.
    labels: Vec<usize>,
    rows: RowCount,
}

/// Scores of a classifier and of its baselines on documents.
struct DocumentsEvaluation {
    score: ClassificationScore,
    baselines: NaiveBaselines,
    /// Whether the baselines were evaluated on the same documents; otherwise on the validation data of the training.
    same_documents: bool,
    examples_per_second: f64,
}

/// Evaluates a classifier on files and prints the result.
pub fn run(
    arguments: &ModelArguments,
    files: &[PathBuf],
    options: &DocumentOptions,
    baseline_from: Option<&Path>,
    json: bool,
) -> Result<()> {
    let classifier = arguments.open_classifier(None, PrecisionChoice::F32)?;
    let labels = classifier.config.labels();
    let options = DocumentOptions {
        labels: true,
        ..options.clone()
    };
    let documents = read(files, &options, labels)?;
    let (score, examples_per_second) = evaluate(&classifier, &documents)?;
    let baselines = match baseline_from {
        Some(path) => baselines_from(
            &read(&[path.to_path_buf()], &options, labels)?,
            &documents,
            labels,
        ),
        None => {
            let record: Record<DocumentsRecord> = arguments.directory(None)?.load_record()?;
            record.subject.baselines
        }
    };
    let evaluation = DocumentsEvaluation {
        score,
        baselines,
        same_documents: baseline_from.is_some(),
        examples_per_second,
    };
    if json {
        standard::line(evaluation.object())?;
    } else {
        evaluation.print_tables(labels)?;
    }
    documents.rows.check()
}

/// Reads labelled documents. Rows that cannot be read are skipped and counted.
fn read(
    paths: &[PathBuf],
    options: &DocumentOptions,
    labels: &[String],
) -> Result<LabelledDocuments> {
    let mut documents = LabelledDocuments {
        texts: Vec::new(),
        labels: Vec::new(),
        rows: RowCount::default(),
    };
    for path in paths {
        for row in standard::open_rows(path, options)? {
            documents.add(row?, path, labels)?;
        }
    }
    if documents.texts.is_empty() {
        return Err(Error::new("there are no documents to evaluate on"));
    }
    Ok(documents)
}

impl LabelledDocuments {
    fn add(&mut self, row: LabelledRow, path: &Path, labels: &[String]) -> Result<()> {
        let (number, line) = (row.number, row.line);
        let mut message = |note| standard::message(format!("{}: {note}", path.display()));
        let Some(document) = self.rows.take(row, &mut message) else {
            return Ok(());
        };
        let label = document.label.unwrap_or_default();
        let known = labels.iter().position(|known| *known == label);
        self.labels.push(known.ok_or_else(|| {
            Error::new(format!(
                "row {number} (line {line}) of {} has the label {label}, which the model does not know; it knows {}",
                path.display(),
                labels.join(", ")
            ))
        })?);
        self.texts.push(document.text);
        Ok(())
    }

    fn words(&self) -> Vec<Vec<String>> {
        let words = |text: &String| words(&Normalization::Nfc.apply(text));
        self.texts.iter().map(words).collect()
    }
}

/// Score of the classifier on the documents, and the number of documents that it classified per second.
fn evaluate(
    classifier: &Classifier,
    documents: &LabelledDocuments,
) -> Result<(ClassificationScore, f64)> {
    let start = Instant::now();
    let mut predicted = Vec::with_capacity(documents.texts.len());
    for texts in documents.texts.chunks(BATCH_SIZE) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for prediction in classifier.classify(&texts) {
            if prediction.note == Some(NOT_FINITE) {
                return Err(Error::new(NOT_FINITE));
            }
            predicted.push(prediction.probabilities);
        }
    }
    let examples_per_second = documents.texts.len() as f64 / start.elapsed().as_secs_f64();
    let labels = classifier.config.labels();
    let score = ClassificationScore::of_probabilities(labels, &documents.labels, &predicted);
    Ok((score, examples_per_second))
}

/// Scores on `documents` of baselines that are fitted to `training`.
fn baselines_from(
    training: &LabelledDocuments,
    documents: &LabelledDocuments,
    labels: &[String],
) -> NaiveBaselines {
    naive_baselines(
        labels,
        (&training.words(), &training.labels),
        (&documents.words(), &documents.labels),
    )
}

impl DocumentsEvaluation {
    fn object(&self) -> Value {
        let mut object = json!(self.score);
        object["examples_per_second"] = json!(self.examples_per_second);
        object["baselines"] = json!(self.baselines);
        object["baselines_measured_on"] = json!(match self.same_documents {
            true => "these documents",
            false => "the validation part of the training",
        });
        object
    }

    fn print_tables(&self, labels: &[String]) -> Result<()> {
        standard::line(format!(
            "{} documents; {} documents/s; calibration error {:.4}",
            HumanCount(self.score.examples),
            HumanCount(self.examples_per_second as u64),
            self.score.calibration_error.unwrap_or(f64::NAN)
        ))?;
        let longest = labels.iter().map(|label| label.chars().count()).max();
        let width = longest.unwrap_or(0).max(12) + 2;
        self.print_scores(width)?;
        standard::line("")?;
        self.print_labels(labels, width)?;
        let best_baseline = self.baselines.naive_bayes.accuracy;
        if self.score.accuracy <= best_baseline.max(self.baselines.majority.accuracy) {
            let note = match self.same_documents {
                true => "",
                false => " of its training, which may be of other documents",
            };
            standard::line(format!("\nthe network does not beat the baselines{note}"))?;
        }
        Ok(())
    }

    /// Prints accuracy and macro F1 of the model and of the baselines.
    fn print_scores(&self, width: usize) -> Result<()> {
        standard::line(format!("{:width$}{:>10}{:>10}", "", "accuracy", "macro F1"))?;
        for (name, score) in [
            ("model", &self.score),
            ("naive Bayes", &self.baselines.naive_bayes),
            ("majority", &self.baselines.majority),
        ] {
            standard::line(format!(
                "{name:width$}{:>10.4}{:>10.4}",
                score.accuracy, score.macro_f1
            ))?;
        }
        if !self.same_documents {
            standard::line(
                "the baselines are those of the training's validation data; --baseline-from evaluates baselines here",
            )?;
        }
        Ok(())
    }

    /// Prints the scores of each label, and its row of the confusion matrix.
    fn print_labels(&self, labels: &[String], width: usize) -> Result<()> {
        standard::line(format!(
            "{:width$}{:>10}{:>10}{:>10}{:>10}   predicted as {}",
            "label",
            "examples",
            "precision",
            "recall",
            "F1",
            labels.join(", ")
        ))?;
        for (label, predicted) in self.score.per_label.iter().zip(&self.score.confusion) {
            let predicted: Vec<String> = predicted.iter().map(u64::to_string).collect();
            standard::line(format!(
                "{:width$}{:>10}{:>10.4}{:>10.4}{:>10.4}   {}",
                label.label,
                label.examples,
                label.precision,
                label.recall,
                label.f1,
                predicted.join(", ")
            ))?;
        }
        Ok(())
    }
}

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
use crate::checkpoint::Directory;
use crate::checkpoint::record::{DocumentsRecord, Figures, NaiveBaselines, Record};
use crate::data::labelled::{DocumentOptions, LabelledRow, RowCount};
use crate::error::{Error, Result};
use crate::inference::classifier::Classifier;
use crate::inference::learnt_documents::LearntDocuments;
use crate::metrics::ClassificationScore;
use crate::text::Normalization;
use crate::text::escape::{escaped, escaped_list};
use crate::text::features::words;

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
    /// Number of the documents that the model learnt from, if it has kept their hashes.
    learnt_from: Option<usize>,
    /// Score on the others, if it learnt from some.
    unseen: Option<ClassificationScore>,
    baselines: NaiveBaselines,
    /// What the baselines were evaluated on, if not on the same documents.
    validation: Option<Validation>,
    examples_per_second: f64,
}

/// The validation of the training, which the baselines in training.json are of.
struct Validation {
    documents: u64,
    /// The model's own figures there.
    model: Option<Figures>,
}

/// Evaluates a classifier on files and prints the result.
pub fn run(
    arguments: &ModelArguments,
    files: &[PathBuf],
    options: &DocumentOptions,
    baseline_from: Option<&Path>,
    json: bool,
) -> Result<()> {
    let directory = arguments.directory(None)?;
    let classifier = arguments.open_classifier(None, PrecisionChoice::F32)?;
    let labels = classifier.config.labels();
    let options = DocumentOptions {
        labels: true,
        ..options.clone()
    };
    let documents = read(files, &options, labels)?;
    let training = match baseline_from {
        Some(path) => Some(read(&[path.to_path_buf()], &options, labels)?),
        None => None,
    };
    let evaluation = evaluate(&directory, &classifier, &documents, training.as_ref())?;
    evaluation.warn();
    if json {
        standard::json_line(&evaluation.object())?;
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
        let mut rows = standard::open_rows(path, options)?;
        for row in rows.by_ref() {
            documents.add(row?, path, labels)?;
        }
        standard::notes(&rows.closing_notes());
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
                "row {number} (line {line}) of {} has the label {}, which the model does not know; it knows {}",
                path.display(),
                escaped(&label),
                escaped_list(labels)
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

/// Evaluates a classifier and baselines: those that are fitted to `training`, or else those of the model's training.
fn evaluate(
    directory: &Directory,
    classifier: &Classifier,
    documents: &LabelledDocuments,
    training: Option<&LabelledDocuments>,
) -> Result<DocumentsEvaluation> {
    let start = Instant::now();
    let texts: Vec<&str> = documents.texts.iter().map(String::as_str).collect();
    let predicted = classifier.predict(&texts)?;
    let examples_per_second = texts.len() as f64 / start.elapsed().as_secs_f64();
    let labels = classifier.config.labels();
    let (baselines, validation) = match training {
        Some(training) => (baselines_from(training, documents, labels), None),
        None => {
            let record: Record<DocumentsRecord> = directory.load_record()?;
            let validation = Validation {
                documents: record.subject.valid_documents,
                model: record.best().map(|best| best.figures),
            };
            (record.subject.baselines, Some(validation))
        }
    };
    let weights = directory.load_weights(&classifier.config)?;
    let learnt = LearntDocuments::load(&weights)?;
    let unseen = |learnt: &LearntDocuments| -> Vec<usize> {
        (0..texts.len())
            .filter(|&index| !learnt.contains(texts[index]))
            .collect()
    };
    let unseen = learnt.as_ref().map(unseen);
    let score = |indices: &[usize]| {
        let truth: Vec<usize> = indices.iter().map(|&i| documents.labels[i]).collect();
        let predicted: Vec<Vec<f64>> = indices.iter().map(|&i| predicted[i].clone()).collect();
        ClassificationScore::of_probabilities(labels, &truth, &predicted)
    };
    let some_unseen = unseen
        .as_ref()
        .filter(|unseen| (1..texts.len()).contains(&unseen.len()));
    Ok(DocumentsEvaluation {
        score: ClassificationScore::of_probabilities(labels, &documents.labels, &predicted),
        learnt_from: unseen.as_ref().map(|unseen| texts.len() - unseen.len()),
        unseen: some_unseen.map(|unseen| score(unseen)),
        baselines,
        validation,
        examples_per_second,
    })
}

/// Scores on `documents` of baselines that are fitted to `training`.
fn baselines_from(
    training: &LabelledDocuments,
    documents: &LabelledDocuments,
    labels: &[String],
) -> NaiveBaselines {
    let known = LearntDocuments::of(training.texts.iter().map(String::as_str));
    let common = documents.texts.iter().filter(|text| known.contains(text));
    let common = common.count();
    if common > 0 {
        standard::message(format!(
            "note: {} of the {} documents are among those of --baseline-from: the baselines learn from them, and their \
             figures are too favourable",
            HumanCount(common as u64),
            HumanCount(documents.texts.len() as u64)
        ));
    }
    naive_baselines(
        labels,
        (&training.words(), &training.labels),
        (&documents.words(), &documents.labels),
    )
}

/// A line of the table of scores: name, documents, accuracy, macro F1, and balanced accuracy where it is known.
type ScoreLine<'a> = (&'a str, u64, f64, f64, Option<f64>);

/// The line of a score.
fn score_line<'a>(name: &'a str, score: &ClassificationScore) -> ScoreLine<'a> {
    let balanced = Some(score.balanced_accuracy());
    (
        name,
        score.examples,
        score.accuracy,
        score.macro_f1,
        balanced,
    )
}

impl DocumentsEvaluation {
    /// Warns of documents that the model learnt from.
    fn warn(&self) {
        let all = self.score.examples;
        let count = HumanCount(all);
        match self.learnt_from.map(|learnt| learnt as u64) {
            None | Some(0) => {}
            Some(learnt) if learnt == all => standard::message(format!(
                "note: the model learnt from all of these {count} documents: its figures say nothing about other texts"
            )),
            Some(learnt) => standard::message(format!(
                "note: the model learnt from {} of these {count} documents: its figures on all of them are too \
                 favourable; see those on the others",
                HumanCount(learnt)
            )),
        }
    }

    fn object(&self) -> Value {
        let mut object = json!(self.score);
        object["balanced_accuracy"] = json!(self.score.balanced_accuracy());
        object["examples_per_second"] = json!(self.examples_per_second);
        object["learnt_from"] = json!(self.learnt_from);
        if let Some(unseen) = &self.unseen {
            object["unseen"] = json!(unseen);
            object["unseen"]["balanced_accuracy"] = json!(unseen.balanced_accuracy());
        }
        object["baselines"] = json!(self.baselines);
        object["baselines_measured_on"] = json!(match self.validation {
            None => "these documents",
            Some(_) => "the validation part of the training",
        });
        if let Some(Validation { documents, model }) = &self.validation {
            object["validation"] = json!(model);
            object["validation"]["examples"] = json!(documents);
        }
        object
    }

    fn print_tables(&self, labels: &[String]) -> Result<()> {
        standard::line(format!(
            "{} documents; {} documents/s; calibration error {:.4}",
            HumanCount(self.score.examples),
            HumanCount(self.examples_per_second as u64),
            self.score.calibration_error.unwrap_or(f64::NAN)
        ))?;
        let labels: Vec<String> = labels.iter().map(|l| escaped(l).into_owned()).collect();
        let longest = labels.iter().map(|label| label.chars().count()).max();
        let width = longest.unwrap_or(0).max(12) + 2;
        self.print_scores(width)?;
        standard::line("")?;
        self.print_labels(&labels, width)?;
        self.print_verdict()
    }

    /// Says so if the model does not beat the baselines where both were evaluated.
    fn print_verdict(&self) -> Result<()> {
        let baselines = &self.baselines;
        let best_baseline = f64::max(baselines.naive_bayes.accuracy, baselines.majority.accuracy);
        let (accuracy, place) = match &self.validation {
            None => (Some(self.score.accuracy), ""),
            Some(validation) => (
                validation.model.and_then(|model| model.accuracy),
                " on the validation documents of its training",
            ),
        };
        match accuracy {
            Some(accuracy) if accuracy <= best_baseline => {
                standard::line(format!("\nthe model does not beat the baselines{place}"))
            }
            _ => Ok(()),
        }
    }

    /// Prints figures of the model and of the baselines; each block is of the same documents.
    fn print_scores(&self, width: usize) -> Result<()> {
        standard::line(format!(
            "{:width$}{:>10}{:>10}{:>10}{:>10}",
            "", "documents", "accuracy", "macro F1", "balanced"
        ))?;
        let print = |(name, documents, accuracy, macro_f1, balanced): ScoreLine| {
            let balanced = balanced.map_or("-".to_string(), |balanced| format!("{balanced:.4}"));
            standard::line(format!(
                "{name:width$}{:>10}{accuracy:>10.4}{macro_f1:>10.4}{balanced:>10}",
                HumanCount(documents).to_string()
            ))
        };
        print(score_line("model", &self.score))?;
        if let Some(unseen) = &self.unseen {
            print(score_line("  new to it", unseen))?;
        }
        if let Some(Validation { documents, model }) = &self.validation {
            standard::line(
                "on the validation documents of its training (--baseline-from: on the documents above)",
            )?;
            if let Some(figures) = model {
                let (accuracy, f1) = (figures.accuracy, figures.macro_f1);
                let [accuracy, f1] = [accuracy, f1].map(|it| it.unwrap_or(f64::NAN));
                let balanced = figures.balanced_accuracy;
                print(("model", *documents, accuracy, f1, balanced))?;
            }
        }
        print(score_line("naive Bayes", &self.baselines.naive_bayes))?;
        print(score_line("majority", &self.baselines.majority))
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
        let scores = self.score.per_label.iter().zip(&self.score.confusion);
        for (name, (label, predicted)) in labels.iter().zip(scores) {
            let predicted: Vec<String> = predicted.iter().map(u64::to_string).collect();
            standard::line(format!(
                "{name:width$}{:>10}{:>10.4}{:>10.4}{:>10.4}   {}",
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

/*!
Evaluation of a classifier on labelled documents.
*/

use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::HumanCount;
use serde_json::{Value, json};

use super::model::ModelArguments;
use super::standard;
use crate::answers::prior::{Prior, PriorChoice};
use crate::baselines::naive_baselines;
use crate::checkpoint::record::{DocumentsRecord, Figures, NaiveBaselines, Record};
use crate::checkpoint::{Directory, ModelConfig};
use crate::data::labelled::{DocumentOptions, LabelledRow, RowCount};
use crate::error::{Error, Result};
use crate::inference::classifier::Classifier;
use crate::inference::computation::PrecisionChoice;
use crate::inference::label_shares::restricted;
use crate::inference::learnt_documents::LearntDocuments;
use crate::metrics::ClassificationScore;
use crate::text::Normalization;
use crate::text::escape::{escaped, escaped_list};
use crate::text::features::words;
use crate::text::preprocessing::Preprocessing;

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
    /// The labels that the model chose among, where these are not all.
    among: Option<Vec<String>>,
    examples_per_second: f64,
}

/// The validation of the training, which the baselines in training.json are of.
struct Validation {
    documents: u64,
    /// The model's own figures there.
    model: Option<Figures>,
}

/// What is asked of the evaluation of a classifier.
pub struct DocumentsRequest<'a> {
    /// Files of labelled documents.
    pub files: &'a [PathBuf],
    /// How they are laid out.
    pub options: DocumentOptions,
    /// Documents that the baselines are fitted to.
    pub baseline_from: Option<&'a Path>,
    /// Whether the model chooses among all its labels where the documents have only some.
    pub all_labels: bool,
    /// Shares of the labels in place of those of the training.
    pub prior: Option<&'a PriorChoice>,
}

/// Evaluates a classifier on files and prints the result.
pub fn run(arguments: &ModelArguments, request: DocumentsRequest, json: bool) -> Result<()> {
    let directory = arguments.directory(None)?;
    let classifier = arguments.open_classifier(None, PrecisionChoice::F32)?;
    let labels = classifier.config.labels();
    let options = DocumentOptions {
        labels: true,
        ..request.options.clone()
    };
    let documents = read(request.files, &options, labels)?;
    let training = match request.baseline_from {
        Some(path) => Some(read(&[path.to_path_buf()], &options, labels)?),
        None => None,
    };
    let mut predictions = Predictions::new(&classifier, &documents)?;
    if let Some(choice) = request.prior {
        predictions.take_shares(Prior::open(choice, &directory, labels)?, labels);
    }
    if !request.all_labels {
        predictions.restrict(&documents, labels);
    }
    let evaluation = evaluate(
        &directory,
        &classifier,
        &documents,
        &predictions,
        training.as_ref(),
    )?;
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

    /// The words of each text, as a classifier reads it.
    fn words(&self, read: Preprocessing) -> Vec<Vec<String>> {
        let words = |text: &String| words(&Normalization::Nfc.apply(&read.apply(text)));
        self.texts.iter().map(words).collect()
    }
}

/// What a classifier predicts of documents.
struct Predictions {
    /// Probabilities of all labels, of each document.
    probabilities: Vec<Vec<f64>>,
    /// The labels that it chose among, where these are not all.
    among: Option<Vec<String>>,
    per_second: f64,
}

impl Predictions {
    fn new(classifier: &Classifier, documents: &LabelledDocuments) -> Result<Self> {
        let start = Instant::now();
        let texts: Vec<&str> = documents.texts.iter().map(String::as_str).collect();
        Ok(Predictions {
            probabilities: classifier.predict(&texts)?,
            among: None,
            per_second: texts.len() as f64 / start.elapsed().as_secs_f64(),
        })
    }

    /// Goes over to the shares that were asked for.
    fn take_shares(&mut self, mut prior: Prior, labels: &[String]) {
        let said = prior.estimate(&self.probabilities, labels);
        said.iter().for_each(standard::message);
        for probabilities in &mut self.probabilities {
            *probabilities = prior.apply(probabilities);
        }
    }

    /// Chooses among the labels that the documents have, where they have two or more but not all, and says so: a file of good
    /// and bad reviews asks which of the two, not whether a review is neither.
    fn restrict(&mut self, documents: &LabelledDocuments, labels: &[String]) {
        let among: Vec<bool> = (0..labels.len())
            .map(|label| documents.labels.contains(&label))
            .collect();
        let named = labels.iter().zip(&among);
        let names: Vec<String> = named
            .filter(|(_, among)| **among)
            .map(|(label, _)| label.clone())
            .collect();
        if !(2..labels.len()).contains(&names.len()) {
            return;
        }
        for probabilities in &mut self.probabilities {
            *probabilities = restricted(probabilities, &among);
        }
        standard::message(format!(
            "note: the documents have {} of the model's {} labels, {}, and it chooses among these; --all-labels: among all",
            names.len(),
            labels.len(),
            escaped_list(&names)
        ));
        self.among = Some(names);
    }
}

/// Evaluates a classifier and baselines: those that are fitted to `training`, or else those of the model's training.
fn evaluate(
    directory: &Directory,
    classifier: &Classifier,
    documents: &LabelledDocuments,
    predictions: &Predictions,
    training: Option<&LabelledDocuments>,
) -> Result<DocumentsEvaluation> {
    let texts: Vec<&str> = documents.texts.iter().map(String::as_str).collect();
    let predicted = &predictions.probabilities;
    let labels = classifier.config.labels();
    let (baselines, validation) = match training {
        Some(training) => (
            baselines_from(training, documents, &classifier.config),
            None,
        ),
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
        score: ClassificationScore::of_probabilities(labels, &documents.labels, predicted),
        learnt_from: unseen.as_ref().map(|unseen| texts.len() - unseen.len()),
        unseen: some_unseen.map(|unseen| score(unseen)),
        baselines,
        validation,
        among: predictions.among.clone(),
        examples_per_second: predictions.per_second,
    })
}

/// Scores on `documents` of baselines that are fitted to `training`.
fn baselines_from(
    training: &LabelledDocuments,
    documents: &LabelledDocuments,
    config: &ModelConfig,
) -> NaiveBaselines {
    let (labels, read) = (config.labels(), config.preprocessing());
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
        (&training.words(read), &training.labels),
        (&documents.words(read), &documents.labels),
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
        if let Some(among) = &self.among {
            object["chosen_among"] = json!(among);
        }
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

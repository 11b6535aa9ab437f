/*!
`carousel evaluate`.
*/

use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget};
use serde_json::{Value, json};

use super::flags::DocumentFlags;
use super::model::{Choice, ModelArguments};
use super::standard;
use crate::baselines::language_baselines;
use crate::baselines::naive_baselines;
use crate::checkpoint::config::Task;
use crate::checkpoint::record::{DocumentsRecord, Record, TextRecord};
use crate::data::labelled::{Count, DocumentOptions, LabelledRows};
use crate::error::{Error, Result};
use crate::inference::classifier::NO_NUMBER;
use crate::inference::evaluation;
use crate::metrics::{ClassificationScore, LanguageScore};
use crate::text::corpus::encode_files;
use crate::text::features::words;
use crate::text::source::list_files;

/// Measure how well a model predicts a text, or tells the labels of documents.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel evaluate -m model other-book.txt
  carousel evaluate -m sentiment reviews.csv
  carousel evaluate -m sentiment reviews.csv --baseline-from other-reviews.csv")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Files and folders of text, - is standard input; for a classifier CSV, TSV or JSONL files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Replace bytes that are no text instead of refusing them
    #[arg(long)]
    lossy: bool,
    /// For a classifier: learn the baselines from these documents, instead of repeating what they came to in training
    #[arg(long, value_name = "LABELLED")]
    baseline_from: Option<PathBuf>,
    #[command(flatten)]
    layout: DocumentFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Measures.
pub fn run(arguments: &Arguments) -> Result<()> {
    match arguments.model.directory(None)?.load_config()?.task {
        Task::LanguageModel => text(arguments),
        Task::Classifier => documents(arguments),
    }
}

fn text(arguments: &Arguments) -> Result<()> {
    if arguments.baseline_from.is_some() || arguments.layout.options() != DocumentOptions::default()
    {
        return Err(Error::usage(
            "--baseline-from, --format, --label-column and --text-column are for classifiers, and this is a language model",
        ));
    }
    let model = arguments.model.open(None, Choice::F32)?;
    let record: Record<TextRecord> = arguments.model.directory(None)?.load_record()?;
    let statistics = record.subject.statistics;

    // Standard input is kept in a temporary file: it is read more than once.
    let scratch = tempfile::tempdir()
        .map_err(|e| Error::file("create a folder in", &std::env::temp_dir(), e))?;
    let mut paths = arguments.files.clone();
    for path in paths.iter_mut().filter(|path| standard::is_input(path)) {
        *path = standard::keep(&scratch.path().join("standard input"))?;
    }
    let files = list_files(&paths)?;
    let text = encode_files(
        &files,
        &model.tokenizer,
        &statistics.spelling,
        arguments.lossy,
    )?;
    text.notes
        .iter()
        .for_each(|note| standard::tell(format!("note: {note}")));
    if text.ids.is_empty() {
        let names: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        return Err(Error::new(format!(
            "there is no text in {}",
            names.join(", ")
        )));
    }

    let target = if stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(text.size.tokens), target);
    let began = Instant::now();
    let nats = evaluation::nats(
        &model.network,
        &text.ids,
        model.tokenizer.line_end(),
        |read| bar.inc(read),
    );
    let tokens_per_second = text.size.tokens as f64 / began.elapsed().as_secs_f64();
    bar.finish_and_clear();

    let score = LanguageScore::new(nats, text.spelling_nats, &text.size);
    let baselines = language_baselines(
        &text.ids,
        &text.size,
        text.spelling_nats,
        &statistics.token_counts,
    );
    let unknown_rate = text.unknown as f64 / text.size.tokens as f64;
    if arguments.json {
        let mut object = json!({
            "tokens": text.size.tokens,
            "characters": text.size.characters,
            "bytes": text.size.bytes,
            "unknown_rate": unknown_rate,
            "tokens_per_second": tokens_per_second,
            "baselines": baselines,
        });
        let Value::Object(figures) = json!(score) else {
            unreachable!("a score is a JSON object");
        };
        object.as_object_mut().expect("made as one").extend(figures);
        return standard::line(object);
    }
    standard::line(format!(
        "{} tokens, {} characters, {} bytes; {:.2} % of the tokens unknown; {} tokens/s",
        HumanCount(text.size.tokens),
        HumanCount(text.size.characters),
        HumanCount(text.size.bytes),
        100.0 * unknown_rate,
        HumanCount(tokens_per_second as u64)
    ))?;
    standard::line(format!(
        "{:10}{:>10}{:>14}{:>12}{:>12}",
        "", "loss", "perplexity", "bits/char", "bits/byte"
    ))?;
    for (name, score) in [
        ("model", score),
        ("unigram", baselines.unigram),
        ("uniform", baselines.uniform),
    ] {
        standard::line(format!(
            "{name:10}{:>10.4}{:>14.2}{:>12.4}{:>12.4}",
            score.loss, score.perplexity, score.bits_per_character, score.bits_per_byte
        ))?;
    }
    Ok(())
}

/// Documents that are classified before the next are read.
const TOGETHER: usize = 512;

fn documents(arguments: &Arguments) -> Result<()> {
    let classifier = arguments.model.open_classifier(None, Choice::F32)?;
    let labels = &classifier.config.labels;
    let request = DocumentOptions {
        labels: true,
        ..arguments.layout.options()
    };
    let (texts, truth, count) = read(&arguments.files, &request, labels)?;
    let began = Instant::now();
    let mut told = Vec::with_capacity(texts.len());
    for texts in texts.chunks(TOGETHER) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for verdict in classifier.classify(&texts) {
            if verdict.note == Some(NO_NUMBER) {
                return Err(Error::new(NO_NUMBER));
            }
            told.push(verdict.probabilities);
        }
    }
    let examples_per_second = texts.len() as f64 / began.elapsed().as_secs_f64();
    let score = ClassificationScore::of_probabilities(labels, &truth, &told);
    let baselines = match &arguments.baseline_from {
        Some(path) => {
            let (learnt, learnt_truth, _) = read(std::slice::from_ref(path), &request, labels)?;
            let all = |texts: &[String]| -> Vec<Vec<String>> {
                texts.iter().map(|text| words(text)).collect()
            };
            naive_baselines(
                labels,
                (&all(&learnt), &learnt_truth),
                (&all(&texts), &truth),
            )
        }
        None => {
            let record: Record<DocumentsRecord> = arguments.model.directory(None)?.load_record()?;
            record.subject.baselines
        }
    };
    if arguments.json {
        let mut object = json!({
            "examples_per_second": examples_per_second,
            "baselines": baselines,
            "baselines_measured_on": match arguments.baseline_from {
                Some(_) => "these documents",
                None => "the validation part of the training",
            },
        });
        let Value::Object(figures) = json!(score) else {
            unreachable!("a score is a JSON object");
        };
        object.as_object_mut().expect("made as one").extend(figures);
        standard::line(object)?;
        return count.check();
    }
    standard::line(format!(
        "{} documents; {} a second; calibration error {:.4}",
        HumanCount(score.examples),
        HumanCount(examples_per_second as u64),
        score.calibration_error.unwrap_or(f64::NAN)
    ))?;
    let width = labels
        .iter()
        .map(|label| label.chars().count())
        .max()
        .unwrap_or(0)
        .max(12)
        + 2;
    standard::line(format!("{:width$}{:>10}{:>10}", "", "accuracy", "macro F1"))?;
    let naive = [
        ("model", &score),
        ("naive Bayes", &baselines.naive_bayes),
        ("majority", &baselines.majority),
    ];
    for (name, score) in naive {
        standard::line(format!(
            "{name:width$}{:>10.4}{:>10.4}",
            score.accuracy, score.macro_f1
        ))?;
    }
    if arguments.baseline_from.is_none() {
        standard::line(
            "the baselines are those of the training's validation part; --baseline-from measures them here",
        )?;
    }
    standard::line("")?;
    standard::line(format!(
        "{:width$}{:>10}{:>10}{:>10}{:>10}   told as {}",
        "label",
        "examples",
        "precision",
        "recall",
        "F1",
        labels.join(", ")
    ))?;
    for (label, told) in score.per_label.iter().zip(&score.confusion) {
        let told: Vec<String> = told.iter().map(u64::to_string).collect();
        standard::line(format!(
            "{:width$}{:>10}{:>10.4}{:>10.4}{:>10.4}   {}",
            label.label,
            label.examples,
            label.precision,
            label.recall,
            label.f1,
            told.join(", ")
        ))?;
    }
    let best = baselines
        .naive_bayes
        .accuracy
        .max(baselines.majority.accuracy);
    if score.accuracy <= best {
        let place = match arguments.baseline_from {
            Some(_) => "",
            None => " of its training, which may be of other documents",
        };
        standard::line(format!("\nthe network does not beat the baselines{place}"))?;
    }
    count.check()
}

/// Documents and what their labels are, as numbers among `labels`.
fn read(
    paths: &[PathBuf],
    request: &DocumentOptions,
    labels: &[String],
) -> Result<(Vec<String>, Vec<usize>, Count)> {
    let (mut texts, mut truth, mut count) = (Vec::new(), Vec::new(), Count::default());
    for path in paths {
        let rows = match standard::is_input(path) {
            true => LabelledRows::read(std::io::stdin(), "standard input", request)?,
            false => LabelledRows::open(path, request)?,
        };
        rows.notes
            .iter()
            .for_each(|note| standard::tell(format!("note: {note}")));
        let mut tell = |told| standard::tell(format!("{}: {told}", path.display()));
        for row in rows {
            let row = row?;
            let (number, line) = (row.number, row.line);
            let Some(document) = count.take(row, &mut tell) else {
                continue;
            };
            let label = document.label.unwrap_or_default();
            let known = labels.iter().position(|known| *known == label);
            truth.push(known.ok_or_else(|| {
                Error::new(format!(
                    "row {number} (line {line}) of {} has the label {label}, which the model does not know; it knows {}",
                    path.display(),
                    labels.join(", ")
                ))
            })?);
            texts.push(document.text);
        }
    }
    if texts.is_empty() {
        return Err(Error::new("there are no documents to measure on"));
    }
    Ok((texts, truth, count))
}

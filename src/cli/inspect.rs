/*!
`carousel inspect`.
*/

use std::path::PathBuf;

use clap::Args;
use indicatif::HumanCount;

use super::standard::line;
use crate::checkpoint::config::Task;
use crate::checkpoint::record::{Budget, DocumentsRecord, Finish, Record, TextRecord};
use crate::checkpoint::{Directory, ModelConfig};
use crate::error::Result;
use crate::metrics::TextSize;
use crate::text::corpus::Validation;

/// Show what a model is and how it was made.
#[derive(Args)]
#[command(after_help = "Example:
  carousel inspect model")]
pub struct Arguments {
    /// The model: its folder, or the name of one that ships
    #[arg(value_name = "MODEL")]
    model: PathBuf,
}

/// Shows.
pub fn run(arguments: &Arguments) -> Result<()> {
    let directory = Directory::find(&arguments.model)?;
    let config = directory.load_config()?;
    row("model", directory.path().display().to_string())?;
    let tied = if config.tie_weights {
        ", output tied to the embedding"
    } else {
        ""
    };
    let ways = if config.bidirectional {
        " each way"
    } else {
        ""
    };
    row(
        "network",
        format!(
            "LSTM, {} x {}{ways}, embedding {}, dropout {}{tied}",
            config.num_layers, config.hidden_size, config.embedding_size, config.dropout
        ),
    )?;
    row("parameters", count(config.parameters() as u64))?;
    row(
        "tokens",
        format!(
            "{}, {} different ones",
            config.level,
            count(config.vocab_size as u64)
        ),
    )?;
    match config.task {
        Task::LanguageModel => text(&directory.load_record()?),
        Task::Classifier => documents(&config, &directory.load_record()?),
    }
}

fn text(record: &Record<TextRecord>) -> Result<()> {
    let TextRecord {
        statistics,
        corpus,
        baselines,
        ..
    } = &record.subject;
    row("corpus", names(&corpus.files))?;
    let size = |part: &TextSize| {
        format!(
            "{} tokens, {} characters, {} bytes",
            count(part.tokens),
            count(part.characters),
            count(part.bytes)
        )
    };
    row("  train", size(&statistics.train))?;
    row("  validate", size(&statistics.valid))?;
    if let Validation::Files(files) = &corpus.validation {
        row("", format!("from {}", names(files)))?;
    }
    row("  hash", statistics.hash.clone())?;
    training(record)?;

    line(format!(
        "{:>9}{:>9}{:>10}{:>12}{:>12}{:>12}",
        "step", "epoch", "seconds", "training", "validation", "bits/char"
    ))?;
    let best = record.best().map(|best| best.step);
    for e in &record.evaluations {
        let mark = if Some(e.step) == best { " best" } else { "" };
        let bits = e.figures.bits_per_character.unwrap_or(f64::NAN);
        line(format!(
            "{:>9}{:>9.2}{:>10.1}{:>12.4}{:>12.4}{bits:>12.4}{mark}",
            e.step, e.epoch, e.seconds, e.train_loss, e.figures.valid_loss
        ))?;
    }
    for (name, score) in [
        ("unigram", &baselines.unigram),
        ("uniform", &baselines.uniform),
    ] {
        line(format!(
            "{name:>40}{:>12.4}{:>12.4}",
            score.loss, score.bits_per_character
        ))?;
    }
    Ok(())
}

fn documents(config: &ModelConfig, record: &Record<DocumentsRecord>) -> Result<()> {
    let subject = &record.subject;
    let ngrams = count(config.ngrams as u64);
    row(
        "",
        format!("and {ngrams} words, pairs and triples of words"),
    )?;
    let labels = config.labels.iter().zip(&subject.label_counts);
    let labels: Vec<String> = labels
        .map(|(label, &times)| format!("{label} ({})", count(times)))
        .collect();
    row("labels", labels.join(", "))?;
    row("documents", names(&record.request.paths))?;
    let (train, valid) = (subject.train_documents, subject.valid_documents);
    row(
        "",
        format!(
            "{} to train on, {} to measure on",
            count(train),
            count(valid)
        ),
    )?;
    row("  hash", subject.hash.clone())?;
    training(record)?;

    line(format!(
        "{:>9}{:>9}{:>10}{:>12}{:>12}{:>12}{:>12}",
        "step", "epoch", "seconds", "training", "validation", "accuracy", "macro F1"
    ))?;
    let best = record.best().map(|best| best.step);
    for e in &record.evaluations {
        let mark = if Some(e.step) == best { " best" } else { "" };
        let [accuracy, f1] =
            [e.figures.accuracy, e.figures.macro_f1].map(|share| share.unwrap_or(f64::NAN));
        line(format!(
            "{:>9}{:>9.2}{:>10.1}{:>12.4}{:>12.4}{accuracy:>12.4}{f1:>12.4}{mark}",
            e.step, e.epoch, e.seconds, e.train_loss, e.figures.valid_loss
        ))?;
    }
    let naive = &subject.baselines;
    for (name, score) in [
        ("naive Bayes", &naive.naive_bayes),
        ("majority", &naive.majority),
    ] {
        line(format!(
            "{name:>52}{:>12.4}{:>12.4}",
            score.accuracy, score.macro_f1
        ))?;
    }
    Ok(())
}

/// How it was trained, and how that ended.
fn training<S>(record: &Record<S>) -> Result<()> {
    let training = &record.training;
    row(
        "budget",
        match training.budget {
            Budget::Seconds(seconds) => format!("{seconds} seconds"),
            Budget::Epochs(epochs) => format!("{epochs} epochs"),
            Budget::Steps(steps) => format!("{} steps", count(steps)),
        },
    )?;
    row(
        "options",
        format!(
            "batch {}, window {}, learning rate {}, {:?} schedule, warm-up {}, weight decay {}, clip norm {}, patience {}, \
             seed {}, {:?} on {} with {} threads",
            training.batch_size,
            training.bptt,
            training.learning_rate,
            training.schedule,
            training.warmup,
            training.weight_decay,
            training.clip_norm,
            training.patience,
            training.seed,
            training.precision,
            training.device,
            training.threads
        )
        .to_lowercase(),
    )?;
    record
        .chosen
        .iter()
        .try_for_each(|reason| row("", reason.clone()))?;
    let state = match record.finished {
        Some(Finish::Budget) => "finished: the budget was spent",
        Some(Finish::Patience) => "finished early: no better evaluation within the patience",
        Some(Finish::Diverged) => "given up: the loss exploded",
        None => "not finished; --resume goes on",
    };
    row(
        "state",
        format!("{state} (carousel {})", record.request.version),
    )?;
    line("")
}

fn row(name: &str, value: String) -> Result<()> {
    line(format!("{name:<12}{value}"))
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// The first files of a corpus, and how many more there are.
fn names(files: &[PathBuf]) -> String {
    let mut shown: Vec<String> = files
        .iter()
        .take(3)
        .map(|file| file.display().to_string())
        .collect();
    if files.len() > shown.len() {
        shown.push(format!("and {} more files", files.len() - shown.len()));
    }
    shown.join(", ")
}

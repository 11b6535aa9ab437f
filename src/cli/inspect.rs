/*!
`carousel inspect`.
*/

use std::path::PathBuf;

use clap::Args;
use indicatif::HumanCount;

use super::standard::line;
use crate::checkpoint::Directory;
use crate::checkpoint::record::{Budget, Finish};
use crate::error::Result;
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
    let record = directory.load_record()?;
    let count = |n: u64| HumanCount(n).to_string();
    let row = |name: &str, value: String| line(format!("{name:<12}{value}"));

    row("model", directory.path().display().to_string())?;
    let tied = if config.tie_weights {
        ", output tied to the embedding"
    } else {
        ""
    };
    row(
        "network",
        format!(
            "LSTM, {} x {}, embedding {}, dropout {}{tied}",
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

    let statistics = &record.statistics;
    row("corpus", names(record.files()))?;
    let size = |part: &crate::metrics::TextSize| {
        format!(
            "{} tokens, {} characters, {} bytes",
            count(part.tokens),
            count(part.characters),
            count(part.bytes)
        )
    };
    row("  train", size(&statistics.train))?;
    row("  validate", size(&statistics.valid))?;
    if let Validation::Files(files) = &record.corpus.validation {
        row("", format!("from {}", names(files)))?;
    }
    row("  hash", statistics.hash.clone())?;

    let options = &record.options;
    row(
        "budget",
        match options.budget {
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
            options.batch_size,
            options.bptt,
            options.learning_rate,
            options.schedule,
            options.warmup,
            options.weight_decay,
            options.clip_norm,
            options.patience,
            options.seed,
            options.precision,
            options.device,
            options.threads
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

    line("")?;
    line(format!(
        "{:>9}{:>9}{:>10}{:>12}{:>12}{:>12}",
        "step", "epoch", "seconds", "training", "validation", "bits/char"
    ))?;
    let best = record.best().map(|best| best.step);
    for e in &record.evaluations {
        let mark = if Some(e.step) == best { " best" } else { "" };
        line(format!(
            "{:>9}{:>9.2}{:>10.1}{:>12.4}{:>12.4}{:>12.4}{mark}",
            e.step, e.epoch, e.seconds, e.train_loss, e.valid_loss, e.bits_per_character
        ))?;
    }
    for (name, score) in [
        ("unigram", &record.baselines.unigram),
        ("uniform", &record.baselines.uniform),
    ] {
        line(format!(
            "{name:>40}{:>12.4}{:>12.4}",
            score.loss, score.bits_per_character
        ))?;
    }
    Ok(())
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

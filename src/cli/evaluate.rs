/*!
`carousel evaluate`.
*/

use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget};
use serde_json::{Value, json};

use super::model::{Choice, ModelArguments};
use super::standard;
use crate::baselines::language_baselines;
use crate::checkpoint::record::{Record, TextRecord};
use crate::error::{Error, Result};
use crate::inference::evaluation;
use crate::metrics::LanguageScore;
use crate::text::corpus::encode_files;
use crate::text::source::list_files;

/// Measure how well a model predicts a text.
#[derive(Args)]
#[command(after_help = "Example:
  carousel evaluate -m model other-book.txt")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Files and folders of text; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Replace bytes that are no text instead of refusing them
    #[arg(long)]
    lossy: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Measures.
pub fn run(arguments: &Arguments) -> Result<()> {
    let model = arguments.model.open(Choice::F32)?;
    let record: Record<TextRecord> = arguments.model.directory()?.load_record()?;
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

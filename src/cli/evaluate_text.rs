/*!
Evaluation of a language model on a text.
*/

use std::path::PathBuf;
use std::time::Instant;

use indicatif::HumanCount;
use serde_json::{Value, json};

use super::model::{ModelArguments, PrecisionChoice};
use super::standard::{self, InputCopy};
use crate::baselines::language_baselines;
use crate::checkpoint::record::{Baselines, Record, TextRecord};
use crate::error::{Error, Result};
use crate::files;
use crate::inference::Model;
use crate::inference::evaluation;
use crate::metrics::{LanguageScore, TextSize};
use crate::text::corpus::{EncodedText, encode_files};
use crate::text::source::{InvalidBytes, list_files};
use crate::text::spelling::Spelling;

/// Scores of a language model and of its baselines on a text.
struct TextEvaluation {
    size: TextSize,
    /// Fraction of the tokens that are unknown.
    unknown_rate: f64,
    tokens_per_second: f64,
    score: LanguageScore,
    baselines: Baselines,
}

/// Evaluates a language model on files and prints the result.
pub fn run(arguments: &ModelArguments, files: &[PathBuf], lossy: bool, json: bool) -> Result<()> {
    let model = arguments.open_language_model(None, PrecisionChoice::F32)?;
    let record: Record<TextRecord> = arguments.directory(None)?.load_record()?;
    let statistics = record.subject.statistics;
    let text = encode(files, &model, &statistics.spelling, lossy)?;
    let evaluation = evaluate(&model, &text, &statistics.token_counts);
    if json {
        standard::line(evaluation.object())
    } else {
        evaluation.print_table()
    }
}

/// Reads and encodes the files; standard input, which is read more than once, through a temporary file.
fn encode(
    files: &[PathBuf],
    model: &Model,
    spelling: &Spelling,
    lossy: bool,
) -> Result<EncodedText> {
    let invalid = match lossy {
        true => InvalidBytes::Replaced,
        false => InvalidBytes::Refused("convert the file, or replace invalid bytes (--lossy)"),
    };
    let copy = InputCopy::new()?;
    let mut paths = files.to_vec();
    for path in paths.iter_mut().filter(|path| standard::is_input(path)) {
        *path = copy.save()?;
    }
    let paths = list_files(&paths)?;
    let text = encode_files(&paths, &model.tokenizer, spelling, invalid)
        .map_err(|error| copy.named(error))?;
    standard::notes(&text.notes);
    if text.ids.is_empty() {
        return Err(Error::new(format!(
            "there is no text in {}",
            files::names(&paths)
        )));
    }
    Ok(text)
}

fn evaluate(model: &Model, text: &EncodedText, token_counts: &[u64]) -> TextEvaluation {
    let bar = standard::progress_bar(text.size.tokens);
    let start = Instant::now();
    let line_end = model.tokenizer.line_end();
    let nats = evaluation::nats(&model.network, &text.ids, line_end, |read| bar.inc(read));
    let tokens_per_second = text.size.tokens as f64 / start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    TextEvaluation {
        size: text.size,
        unknown_rate: text.unknown as f64 / text.size.tokens as f64,
        tokens_per_second,
        score: LanguageScore::new(nats, text.spelling_nats, &text.size),
        baselines: language_baselines(&text.ids, &text.size, text.spelling_nats, token_counts),
    }
}

impl TextEvaluation {
    fn object(&self) -> Value {
        json!({
            "tokens": self.size.tokens,
            "characters": self.size.characters,
            "bytes": self.size.bytes,
            "unknown_rate": self.unknown_rate,
            "tokens_per_second": self.tokens_per_second,
            "baselines": self.baselines,
            "loss": self.score.loss,
            "perplexity": self.score.perplexity,
            "bits_per_character": self.score.bits_per_character,
            "bits_per_byte": self.score.bits_per_byte,
        })
    }

    fn print_table(&self) -> Result<()> {
        standard::line(format!(
            "{} tokens, {} characters, {} bytes; {:.2} % of the tokens unknown; {} tokens/s",
            HumanCount(self.size.tokens),
            HumanCount(self.size.characters),
            HumanCount(self.size.bytes),
            100.0 * self.unknown_rate,
            HumanCount(self.tokens_per_second as u64)
        ))?;
        standard::line(format!(
            "{:10}{:>10}{:>14}{:>12}{:>12}",
            "", "loss", "perplexity", "bits/char", "bits/byte"
        ))?;
        for (name, score) in [
            ("model", self.score),
            ("unigram", self.baselines.unigram),
            ("uniform", self.baselines.uniform),
        ] {
            standard::line(format!(
                "{name:10}{:>10.4}{:>14.2}{:>12.4}{:>12.4}",
                score.loss, score.perplexity, score.bits_per_character, score.bits_per_byte
            ))?;
        }
        Ok(())
    }
}

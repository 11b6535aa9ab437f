/*!
Validation of a run's best weights, on the same tokens for every run, and a line of its text.
*/

use crate::checkpoint::Directory;
use crate::checkpoint::record::{Record, TextRecord};
use crate::error::Result;
use crate::inference::sampling::{Choice, Sampling};
use crate::inference::{Model, evaluation, generated_text};
use crate::metrics::LanguageScore;
use crate::text::Level;
use crate::text::corpus::corpus_cache;
use carousel_kernels::Precision;

/// Largest number of validation tokens that are read, as in training.
const MOST_TOKENS: usize = 1 << 18;
/// Length of a line of text, in characters.
const LINE: usize = 60;
/// Seed and temperature of the line.
const SAMPLING: (u64, f32) = (1, 0.8);

/// Score of a language model on the validation part of its corpus.
///
/// # Errors
/// A checkpoint that is damaged; a corpus that has changed since the run.
pub fn score(directory: &Directory, threads: usize) -> Result<LanguageScore> {
    let model = Model::open(directory, Precision::Float32, threads)?;
    let record: Record<TextRecord> = directory.load_record()?;
    let hash = &record.subject.statistics.hash;
    let line_end = model.tokenizer.line_end();
    let plan = record.subject.find_corpus(directory, &record.request)?;
    let corpus = plan.prepare_again(
        &corpus_cache(),
        directory.load_tokenizer(&model.config)?,
        hash,
    )?;
    let ids = corpus.valid.slice(0..corpus.valid.len().min(MOST_TOKENS));
    let nats = evaluation::nats(&model.predictor, &ids, line_end, |_| ()).all;
    let statistics = &corpus.statistics;
    // The part that is read of a very long validation part stands for all of it.
    let fraction = ids.len() as f64 / statistics.valid.tokens as f64;
    let spelling_nats = statistics.valid_spelling_nats;
    Ok(LanguageScore::new(
        nats / fraction,
        spelling_nats,
        &statistics.valid,
    ))
}

/// A line of text that a language model generates.
///
/// # Errors
/// A checkpoint that is damaged.
pub fn sample(directory: &Directory) -> Result<String> {
    let model = Model::open(directory, Precision::Float32, 1)?;
    let (seed, temperature) = SAMPLING;
    let choice = Choice::Random {
        top_k: None,
        top_p: None,
        min_p: None,
        temperature,
    };
    let sampling = Sampling {
        repetition: None,
        choice,
    };
    let tokens = match model.config.tokens().level {
        Level::Character => LINE,
        Level::Byte => 2 * LINE,
        Level::Word | Level::Subword => LINE / 2,
    };
    // Line ends and repeated spaces become one space, so more tokens are needed.
    Ok(one_line(&generated_text::sample(
        &model,
        sampling,
        2 * tokens as u64,
        seed,
    )))
}

/// The beginning of a text, on one line.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let printable = |c: &char| !c.is_control();
    words
        .join(" ")
        .chars()
        .filter(printable)
        .take(LINE)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_one_line() {
        assert_eq!(one_line("\na b\n\n c\u{1b}\td "), "a b c d");
        assert_eq!(one_line(&"ab ".repeat(50)).chars().count(), LINE);
    }
}

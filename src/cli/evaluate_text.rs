/*!
Evaluation of a language model on a text.
*/

use std::f64::consts::LN_2;
use std::path::PathBuf;
use std::time::Instant;

use indicatif::HumanCount;
use serde_json::{Value, json};

use super::model::ModelArguments;
use super::standard::{self, InputCopy};
use crate::baselines::{ScoredIds, default_order, xz};
use crate::checkpoint::Directory;
use crate::checkpoint::architecture::Predict;
use crate::checkpoint::parts::Head;
use crate::checkpoint::record::{Baseline, TextRecord};
use crate::error::{Error, Result};
use crate::files;
use crate::inference::Model;
use crate::inference::computation::PrecisionChoice;
use crate::inference::evaluation;
use crate::inference::predictor::Predictor;
use crate::metrics::{LanguageScore, TextSize};
use crate::text::corpus::{EncodedText, corpus_cache, encode_files};
use crate::text::source::{InvalidBytes, list_files, read};
use crate::text::spelling::Spelling;

/// Most bytes of training data or text that are compressed: xz finds again what is at most so far back.
const MOST_COMPRESSED: u64 = 1 << 26;

/// Bytes of training data and text that are read, counted and compressed in a few seconds.
const SOON_READ: u64 = 1 << 22;

/// Scores of a language model and of its baselines on a text.
struct TextEvaluation {
    size: TextSize,
    /// Fraction of the tokens that are unknown.
    unknown_rate: f64,
    tokens_per_second: f64,
    score: LanguageScore,
    /// The score of a model that predicts several tokens at once, where it predicts one at a time.
    one_at_a_time: Option<LanguageScore>,
    /// The score of the network alone, where n-grams are interpolated with it.
    network: Option<LanguageScore>,
    baselines: Vec<Baseline>,
}

/// Evaluates a language model on files and prints the result.
pub fn run(arguments: &ModelArguments, files: &[PathBuf], lossy: bool, json: bool) -> Result<()> {
    let model = arguments.open_language_model(None, PrecisionChoice::F32)?;
    let directory = arguments.directory(None)?;
    let subject: TextRecord = directory.load_record()?;
    if let Head::NextToken(head) = &model.config.head
        && head.predict == Predict::Last
    {
        standard::message(
            "the model learnt from the last step of each window alone; it is evaluated at every step, as it generates",
        );
    }
    let text = Text::read(files, &model, &subject.statistics.spelling, lossy)?;
    let mut evaluation = evaluate(&model, &text.encoded, &subject.statistics.token_counts);
    let learnt = text.learnt_baselines(&model, &directory, subject);
    evaluation.baselines.extend(learnt);
    if json {
        standard::json_line(&evaluation.object())
    } else {
        evaluation.print_table()
    }
}

/// A text that models are evaluated on.
struct Text {
    encoded: EncodedText,
    /// Its bytes, as they were decoded; `None` where there are too many to compress.
    bytes: Option<Vec<u8>>,
}

impl Text {
    /// Reads and encodes the files; standard input, which is read more than once, through a temporary file.
    fn read(files: &[PathBuf], model: &Model, spelling: &Spelling, lossy: bool) -> Result<Self> {
        let invalid = InvalidBytes::lossy(lossy);
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
        let mut bytes = None;
        // A pipe cannot be read again.
        if text.size.bytes <= MOST_COMPRESSED && paths.iter().all(|path| path.is_file()) {
            let mut all = Vec::new();
            read(&paths, model.tokenizer.read_mode(), invalid, &mut |piece| {
                all.extend_from_slice(piece);
                Ok(())
            })?;
            bytes = Some(all);
        }
        Ok(Text {
            encoded: text,
            bytes,
        })
    }

    /// The baselines that learn from the training data of `subject`, with notes on those that there are not.
    fn learnt_baselines(
        &self,
        model: &Model,
        directory: &Directory,
        mut subject: TextRecord,
    ) -> Vec<Baseline> {
        if !subject.knows_corpus() {
            standard::message(
                "note: not compared with n-grams and xz, which learn from the training data: it is not known of an imported model",
            );
            return Vec::new();
        }
        let request = directory.load_request();
        let corpus = request.and_then(|request| subject.find_corpus(directory, &request));
        match corpus {
            Ok(corpus) => subject.corpus = corpus,
            Err(error) => {
                standard::message(format!(
                    "note: not compared with n-grams and xz, which learn from the training data: {error}"
                ));
                return Vec::new();
            }
        }
        let subject = &subject;
        if subject.statistics.train.bytes + self.encoded.size.bytes > SOON_READ {
            standard::message(
                "n-grams and xz, to compare with, read the training data; this takes a while",
            );
        }
        let own = model.config.ngram_body().map(|ngrams| ngrams.order);
        // A model of n-grams is not compared with itself.
        let ngrams = (own != Some(default_order(model.tokenizer.level())))
            .then(|| self.ngram_baseline(model, subject));
        let mut baselines = Vec::new();
        for baseline in ngrams.into_iter().chain([self.xz_baseline(subject)]) {
            match baseline {
                Ok(baseline) => baselines.push(baseline),
                Err(error) => standard::message(format!("note: a baseline is missing: {error}")),
            }
        }
        baselines
    }

    fn ngram_baseline(&self, model: &Model, subject: &TextRecord) -> Result<Baseline> {
        let TextRecord {
            corpus, statistics, ..
        } = subject;
        let tokenizer = model.tokenizer.clone();
        let corpus = corpus.prepare_again(&corpus_cache(), tokenizer, &statistics.hash)?;
        scored(&self.encoded).ngram_baseline(&model.tokenizer, &corpus.train)
    }

    fn xz_baseline(&self, subject: &TextRecord) -> Result<Baseline> {
        let text = match &self.bytes {
            Some(text) if subject.statistics.train.bytes <= MOST_COMPRESSED => text,
            None if self.encoded.size.bytes <= MOST_COMPRESSED => {
                return Err(Error::new(
                    "xz reads the text twice, and a pipe can be read only once; give it as -",
                ));
            }
            _ => return Err(Error::new("xz would take minutes for so much text")),
        };
        let size = xz::added_size(&subject.corpus.training_text()?, text)?;
        // The size is that of the text with its unknown words.
        let nats = size as f64 * 8.0 * LN_2;
        let score = LanguageScore::new(nats, 0.0, &self.encoded.size);
        Ok(Baseline::new("xz", score))
    }
}

fn scored(text: &EncodedText) -> ScoredIds<'_> {
    ScoredIds {
        ids: &text.ids,
        size: &text.size,
        spelling_nats: text.spelling_nats,
    }
}

fn evaluate(model: &Model, text: &EncodedText, token_counts: &[u64]) -> TextEvaluation {
    let bar = standard::progress_bar(text.size.tokens);
    let start = Instant::now();
    let line_end = model.tokenizer.line_end();
    let nats = evaluation::nats(&model.predictor, &text.ids, line_end, |read| bar.inc(read));
    let tokens_per_second = text.size.tokens as f64 / start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let predictor = &model.predictor;
    let score = |nats| LanguageScore::new(nats, text.spelling_nats, &text.size);
    TextEvaluation {
        size: text.size,
        unknown_rate: text.unknown as f64 / text.size.tokens as f64,
        tokens_per_second,
        score: score(nats.all),
        one_at_a_time: (predictor.horizon() > 1).then(|| score(nats.one_at_a_time)),
        network: matches!(predictor, Predictor::Interpolated(_)).then(|| score(nats.network)),
        baselines: scored(text).frequency_baselines(token_counts),
    }
}

impl TextEvaluation {
    fn object(&self) -> Value {
        let mut object = json!({
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
        });
        if let Some(score) = self.one_at_a_time {
            object["one_at_a_time"] = json!(score);
        }
        if let Some(score) = self.network {
            object["network"] = json!(score);
        }
        object
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
            "{:14}{:>10}{:>14}{:>12}{:>12}",
            "", "loss", "perplexity", "bits/char", "bits/byte"
        ))?;
        let own = Baseline::new("model", self.score);
        // What predicting several tokens at once costs.
        let one = (self.one_at_a_time).map(|score| Baseline::new("one at a time", score));
        let network = (self.network).map(|score| Baseline::new("network alone", score));
        let rows = [&own].into_iter().chain(&one).chain(&network);
        let rows = rows.chain(&self.baselines);
        for Baseline { name, score } in rows {
            standard::line(format!(
                "{name:14}{:>10.4}{:>14.2}{:>12.4}{:>12.4}",
                score.loss, score.perplexity, score.bits_per_character, score.bits_per_byte
            ))?;
        }
        Ok(())
    }
}

/*!
Evaluation of a translator on sentences with their translations.
*/

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::HumanCount;
use serde_json::{Value, json};

use super::model::ModelArguments;
use super::pair_flags::PairFlags;
use super::standard;
use crate::baselines::NearestSentence;
use crate::checkpoint::Directory;
use crate::checkpoint::record::PairsRecord;
use crate::data::pairs::{Pair, PairOptions, Pairs, hash};
use crate::error::{Error, Result};
use crate::inference::beam_search::Search;
use crate::inference::computation::PrecisionChoice;
use crate::inference::translator::Translator;
use crate::metrics::bleu::Bleu;
use crate::metrics::chrf;

/// Number of sentences that are translated between two movements of the progress bar.
const BATCH: usize = 256;

/// What is evaluated, and how.
pub struct PairEvaluation<'a> {
    /// Tables of pairs, where they are not files of lines.
    pub files: &'a [PathBuf],
    /// Where the pairs are.
    pub flags: &'a PairFlags,
    /// How they are read.
    pub options: PairOptions,
    /// The pairs that the nearest sentence is looked for in, instead of the training pairs.
    pub baseline_from: Option<&'a Path>,
    /// How translations are searched for.
    pub search: Search,
}

/// How close translations are to those of people.
struct Score {
    name: &'static str,
    bleu: f64,
    chrf: f64,
}

/// Scores of a translator and of its baselines.
struct Scores {
    sentences: usize,
    /// Target tokens, with the ends.
    tokens: usize,
    sentences_per_second: f64,
    model: Score,
    /// Mean negative log likelihood of a target's token, in nats.
    loss: f64,
    baselines: Vec<Score>,
}

impl PairEvaluation<'_> {
    /// Evaluates a translator, and prints the result.
    pub fn run(&self, model: &ModelArguments, json: bool) -> Result<()> {
        let translator = model.open_translator(None, PrecisionChoice::F32)?;
        let directory = model.directory(None)?;
        let pairs = self.flags.read(self.files, &self.options)?;
        let (translations, sentences_per_second) = self.translate(&translator, &pairs);
        let both: Vec<(&str, &str)> = pairs
            .iter()
            .map(|pair| (&pair.source[..], &pair.target[..]))
            .collect();
        let losses = translator.losses(&both);
        let nats: f64 = losses.iter().map(|(nats, _)| nats).sum();
        let tokens: usize = losses.iter().map(|(_, tokens)| tokens).sum();
        let scores = Scores {
            sentences: pairs.len(),
            tokens,
            sentences_per_second,
            model: score("model", &translations, &pairs),
            loss: nats / tokens as f64,
            baselines: self.baselines(&directory, &pairs),
        };
        match json {
            true => standard::json_line(&scores.object()),
            false => scores.print_table(),
        }
    }

    /// Translations of the sources, and how many a second.
    fn translate(&self, translator: &Translator, pairs: &[Pair]) -> (Vec<String>, f64) {
        let bar = standard::progress_bar(pairs.len() as u64);
        let start = Instant::now();
        let mut translations = Vec::with_capacity(pairs.len());
        for batch in pairs.chunks(BATCH) {
            let sources: Vec<&str> = batch.iter().map(|pair| &pair.source[..]).collect();
            let found = translator.translate(&sources, &self.search).into_iter();
            translations.extend(found.map(|mut found| found.candidates.swap_remove(0).text));
            bar.inc(batch.len() as u64);
        }
        bar.finish_and_clear();
        let seconds = start.elapsed().as_secs_f64();
        (translations, pairs.len() as f64 / seconds)
    }

    /// The sources themselves, and the translations of the nearest training sentences, where these are found.
    fn baselines(&self, directory: &Directory, pairs: &[Pair]) -> Vec<Score> {
        let sources: Vec<&str> = pairs.iter().map(|pair| &pair.source[..]).collect();
        let copy = score("copy", &sources, pairs);
        let learnt = match self.baseline_from {
            Some(path) => Pairs::of_tables(&[path.to_path_buf()], &self.options),
            None => training_pairs(directory),
        };
        let mut learnt = match learnt {
            Ok(learnt) => learnt.pairs,
            Err(error) => {
                standard::message(format!(
                    "note: not compared with the nearest training sentence: {error}"
                ));
                return vec![copy];
            }
        };
        // The pairs may have been held out of the same file.
        let own: HashSet<&str> = sources.iter().copied().collect();
        learnt.retain(|pair| !own.contains(&pair.source[..]));
        let nearest = NearestSentence::learn(&learnt);
        let found: Vec<&str> = (sources.iter().map(|source| nearest.translate(source))).collect();
        vec![copy, score("nearest", &found, pairs)]
    }
}

/// The pairs that a translator learnt from.
///
/// # Errors
/// Files that are gone or have changed.
fn training_pairs(directory: &Directory) -> Result<Pairs> {
    let record: PairsRecord = directory.load_record()?;
    let mut parts = directory.load_request()?.read_pairs()?;
    match hash(parts.iter().flat_map(|part| &part.pairs)) == record.hash {
        true => Ok(parts.swap_remove(0)),
        false => Err(Error::new(
            "the training pairs have changed; give others with --baseline-from",
        )),
    }
}

fn score<S: AsRef<str>>(name: &'static str, translations: &[S], pairs: &[Pair]) -> Score {
    let references: Vec<&str> = pairs.iter().map(|pair| &pair.target[..]).collect();
    Score {
        name,
        bleu: Bleu::corpus(translations, &references).score,
        chrf: chrf::corpus(translations, &references),
    }
}

impl Scores {
    fn object(&self) -> Value {
        let baseline =
            |score: &Score| json!({ "name": score.name, "bleu": score.bleu, "chrf": score.chrf });
        let baselines: Vec<Value> = self.baselines.iter().map(baseline).collect();
        json!({
            "sentences": self.sentences,
            "tokens": self.tokens,
            "sentences_per_second": self.sentences_per_second,
            "bleu": self.model.bleu,
            "chrf": self.model.chrf,
            "signature": Bleu::SIGNATURE,
            "chrf_signature": chrf::SIGNATURE,
            "loss": self.loss,
            "perplexity": self.loss.exp(),
            "baselines": baselines,
        })
    }

    fn print_table(&self) -> Result<()> {
        standard::line(format!(
            "{} sentences, {} tokens of translations; {:.1} sentences/s",
            HumanCount(self.sentences as u64),
            HumanCount(self.tokens as u64),
            self.sentences_per_second
        ))?;
        standard::line(format!(
            "{:14}{:>10}{:>10}{:>10}{:>14}",
            "", "BLEU", "chrF", "loss", "perplexity"
        ))?;
        let Score { name, bleu, chrf } = &self.model;
        standard::line(format!(
            "{name:14}{bleu:>10.2}{chrf:>10.2}{:>10.4}{:>14.2}",
            self.loss,
            self.loss.exp()
        ))?;
        for Score { name, bleu, chrf } in &self.baselines {
            standard::line(format!("{name:14}{bleu:>10.2}{chrf:>10.2}"))?;
        }
        standard::line(format!(
            "BLEU {}, chrF {}",
            Bleu::SIGNATURE,
            chrf::SIGNATURE
        ))
    }
}

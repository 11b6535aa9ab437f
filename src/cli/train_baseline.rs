/*!
`carousel train --baseline ngram`: a model of n-grams, which needs no libtorch.
*/

use std::path::PathBuf;
use std::time::Instant;

use indicatif::{HumanBytes, HumanCount};
use serde_json::Value;

use super::run_folder::{RunFolder, keep_standard_input, leave_nothing};
use super::standard::{self, message};
use super::train::Arguments;
use crate::baselines::{KneserNey, NgramShape, ScoredIds, check_order, default_order};
use crate::checkpoint::architecture::{NextToken, Tokens};
use crate::checkpoint::arguments::TrainArguments;
use crate::checkpoint::parts::{Body, Head, Input};
use crate::checkpoint::record::{NgramRecord, Request, TextRecord};
use crate::checkpoint::{Directory, ModelConfig};
use crate::error::{Error, Result};
use crate::files::absolute;
use crate::metrics::LanguageScore;
use crate::text::corpus::{Corpus, CorpusPlan, corpus_cache};

/// Learns the n-grams of a corpus and saves them as a model.
pub fn run(flags: &Arguments) -> Result<()> {
    let started = Instant::now();
    let arguments = flags.training();
    check(&arguments)?;
    if flags.run.plan {
        let folder = standard::temporary_folder()?;
        let directory = Directory::at(folder.path());
        let corpus = keep_standard_input(&flags.corpus, &directory)?;
        BaselineRun::begin(directory, &corpus, arguments)?.announce();
        return Ok(());
    }
    let folder = RunFolder::for_new_run(flags.run.folder()?, flags.run.overwrite)?;
    let directory = &folder.directory;
    let corpus = keep_standard_input(&flags.corpus, directory)?;
    let learn = || {
        let run = BaselineRun::begin(directory.clone(), &corpus, arguments)?;
        if !flags.run.quiet {
            run.announce();
        }
        run.learn(started, flags.run.quiet)
    };
    learn().inspect_err(|_| leave_nothing(&flags.corpus, directory))
}

/// Checks the arguments before anything is read.
fn check(arguments: &TrainArguments) -> Result<()> {
    let others = options_of_networks(arguments);
    if !others.is_empty() {
        return Err(Error::usage(format!(
            "{} {} for networks; leave {} away with --baseline ngram",
            others.join(" and "),
            if others.len() == 1 { "is" } else { "are" },
            if others.len() == 1 { "it" } else { "them" },
        )));
    }
    arguments.validation()?;
    let level = arguments.vocabulary()?.level;
    arguments
        .order
        .map_or(Ok(()), |order| check_order(order, level))
}

/// The options that were given and that only a network has, as they are typed.
fn options_of_networks(arguments: &TrainArguments) -> Vec<String> {
    let ours = TrainArguments {
        level: arguments.level,
        split: arguments.split,
        vocab_size: arguments.vocab_size,
        min_count: arguments.min_count,
        valid: arguments.valid.clone(),
        lossy: arguments.lossy,
        baseline: arguments.baseline,
        order: arguments.order,
        ..TrainArguments::default()
    };
    let object = |arguments| match serde_json::to_value(arguments) {
        Ok(Value::Object(object)) => object,
        _ => unreachable!("the arguments are an object"),
    };
    let ours = object(&ours);
    let given = object(arguments);
    let others = given
        .into_iter()
        .filter(|(key, value)| ours.get(key) != Some(value));
    others
        .map(|(key, _)| format!("--{}", key.replace('_', "-")))
        .collect()
}

/// N-grams that can be learnt: their corpus is read, and there is memory for them.
struct BaselineRun {
    directory: Directory,
    request: Request,
    plan: CorpusPlan,
    corpus: Corpus,
    shape: NgramShape,
    /// About how many bytes of memory learning takes.
    memory: u64,
}

impl BaselineRun {
    /// Reads the corpus at `paths`. Nothing is written.
    fn begin(
        directory: Directory,
        paths: &[PathBuf],
        mut arguments: TrainArguments,
    ) -> Result<Self> {
        let plan = arguments.corpus_plan(paths)?;
        let corpus = plan.prepare(&corpus_cache())?;
        if corpus.train.is_empty() || corpus.valid.is_empty() {
            return Err(arguments.nothing_to_validate());
        }
        let order = arguments
            .order
            .unwrap_or(default_order(corpus.tokenizer.level()));
        let shape = NgramShape::of(&corpus.tokenizer, order)?;
        Ok(BaselineRun {
            memory: shape.check_memory(&corpus.train)?,
            directory,
            request: Request {
                version: env!("CARGO_PKG_VERSION").to_string(),
                paths: absolute(paths.to_vec())?,
                arguments,
                documents: None,
                pairs: None,
            },
            plan,
            corpus,
            shape,
        })
    }

    /// Prints what is to be learnt from what.
    fn announce(&self) {
        let statistics = &self.corpus.statistics;
        standard::notes(&statistics.notes);
        let count = |n: u64| HumanCount(n).to_string();
        let level = self.corpus.tokenizer.level();
        message(format!(
            "corpus      {} tokens ({level}) for training, {} for validation, vocabulary of {}",
            count(statistics.train.tokens),
            count(statistics.valid.tokens),
            count(self.shape.vocab_size as u64),
        ));
        message(format!(
            "model       n-grams up to order {}{}, modified Kneser-Ney; about {} of memory",
            self.shape.order,
            if self.shape.by_line {
                " within a line"
            } else {
                ""
            },
            HumanBytes(self.memory)
        ));
    }

    /// Learns, evaluates and saves.
    fn learn(self, started: Instant, quiet: bool) -> Result<()> {
        let start = Instant::now();
        let model = KneserNey::learn(self.shape, &self.corpus.train, 1);
        let seconds = start.elapsed().as_secs_f64();
        let statistics = &self.corpus.statistics;
        let valid = ScoredIds {
            ids: &self.corpus.valid,
            size: &statistics.valid,
            spelling_nats: statistics.valid_spelling_nats,
        };
        let score = valid.score(model.nats(valid.ids, |_| ()));
        let (ngrams, weights) = model.save()?;
        let total: usize = ngrams.ngrams.iter().sum();
        let config = self.config(Body::Ngram(ngrams));
        let record = NgramRecord {
            validation: score,
            seconds: started.elapsed().as_secs_f64(),
            subject: TextRecord {
                baselines: valid.frequency_baselines(&statistics.token_counts),
                corpus: self.plan,
                valid_tokens_read: valid.ids.len(),
                statistics: statistics.clone(),
            },
            request: self.request,
        };
        self.directory.create()?;
        self.directory.save_record(&record)?;
        self.directory.save_weights(&weights)?;
        self.directory
            .save_description(&config, &self.corpus.tokenizer)?;
        // An old model goes only now that this one is complete.
        self.directory.move_in()?;
        if !quiet {
            let speed = statistics.train.tokens as f64 / seconds;
            finished(&self.directory, total, speed, &score);
        }
        Ok(())
    }

    fn config(&self, body: Body) -> ModelConfig {
        let tokenizer = &self.corpus.tokenizer;
        ModelConfig {
            input: Input::Tokens(Tokens {
                level: tokenizer.level(),
                split: tokenizer.split(),
                vocab_size: tokenizer.vocab_size(),
                embedding_size: 0,
            }),
            body,
            head: Head::NextToken(NextToken::default()),
        }
    }
}

fn finished(directory: &Directory, ngrams: usize, speed: f64, score: &LanguageScore) {
    let folder = directory.path().display();
    message(format!(
        "done: {} n-grams at {} tokens/s; validation loss {:.4}  perplexity {:.2}  {:.3} bits/char\n\
         the model is in {folder}; try: carousel generate -m {folder} -p \"It was\"",
        HumanCount(ngrams as u64),
        HumanCount(speed as u64),
        score.loss,
        score.perplexity,
        score.bits_per_character
    ));
}

/*!
`carousel inspect`.
*/

use std::path::PathBuf;

use clap::Args;
use indicatif::HumanCount;

use super::flags::DocumentFlags;
use super::standard::{self, line};
use super::{inspect_gates, inspect_parameters, inspect_units, unit};
use crate::checkpoint::architecture::{Body, Head, Labels, Ngrams, Recurrent, Tokens};
use crate::checkpoint::record::{
    Baseline, Budget, DocumentsRecord, Figures, Finish, NgramRecord, Record, TextRecord,
};
use crate::checkpoint::{Directory, ModelConfig};
use crate::data::labelled::DocumentOptions;
use crate::error::{Error, Result};
use crate::files;
use crate::metrics::TextSize;
use crate::text::corpus::Validation;
use crate::text::tokenizer::Tokenizer;

/// Most tokens that are read, unless another number is given.
const LENGTH: u32 = 2000;

/// Show what a model is, how it was trained, and what happens inside.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel inspect model
  carousel inspect model book.txt --gates
  carousel inspect model book.txt --gradients -o gradients.svg
  carousel inspect model book.txt --unit 7 -o unit.html
  carousel inspect model --find-unit reviews.csv

Units are numbers of the last layer, or LAYER:UNIT; layers and units are counted from 0, as in the names of tensors.")]
pub struct Arguments {
    /// The model: its folder, or the name of one that ships
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The text that --gates, --gradients and --unit read; - is standard input
    #[arg(value_name = "TEXT")]
    text: Option<PathBuf>,
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,

    /// How far gradients reach back in time, layer by layer, in the model and in the same network untrained
    #[arg(long, group = "inside", help_heading = "Inside")]
    pub gradients: bool,
    /// How often gates, or units without gates, are saturated, and how long units remember
    #[arg(long, group = "inside", help_heading = "Inside")]
    gates: bool,
    /// The text coloured by a unit's hidden state
    #[arg(long, value_name = "UNIT", group = "inside", help_heading = "Inside")]
    unit: Option<String>,
    /// The units of the last layer that best separate documents of two labels
    #[arg(
        long,
        value_name = "LABELLED",
        group = "inside",
        help_heading = "Inside"
    )]
    find_unit: Option<PathBuf>,
    /// A file for the picture: SVG of --gradients, HTML of --unit
    #[arg(short, long, value_name = "FILE", help_heading = "Inside")]
    pub output: Option<PathBuf>,
    /// With --gradients: number of steps that gradients go back [default: 100]
    #[arg(long, value_name = "STEPS", requires = "gradients", help_heading = "Inside",
        value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub window: Option<u32>,
    /// With --gates and --unit: most tokens to read [default: 2000]
    #[arg(long, value_name = "N", help_heading = "Inside",
        value_parser = clap::value_parser!(u32).range(1..))]
    length: Option<u32>,
    #[command(flatten)]
    layout: DocumentFlags,
}

impl Arguments {
    /// The tokens of TEXT after an end of line, and its name.
    ///
    /// # Errors
    /// No TEXT, one that cannot be read, or an empty one.
    pub fn tokens(&self, tokenizer: &Tokenizer) -> Result<(Vec<u32>, String)> {
        let path = self.text.as_ref().ok_or_else(|| {
            let model = self.model.display();
            Error::usage(format!(
                "--gradients, --gates and --unit need a text to read: carousel inspect {model} TEXT ..."
            ))
        })?;
        let (text, name) = match standard::is_input(path) {
            true => (standard::read_input()?, "standard input".to_string()),
            false => (standard::read_text_file(path)?, path.display().to_string()),
        };
        let (ids, unknown_words) = tokenizer.encode(&text);
        standard::note_unknown_words(unknown_words);
        if ids.is_empty() {
            return Err(Error::new(format!("there is no text in {name}")));
        }
        let mut tokens = vec![tokenizer.line_end()];
        tokens.extend(ids);
        Ok((tokens, name))
    }

    /// As [`Arguments::tokens`], at most `--length` of them besides the end of line.
    pub(super) fn first_tokens(&self, tokenizer: &Tokenizer) -> Result<(Vec<u32>, String)> {
        let (mut tokens, name) = self.tokens(tokenizer)?;
        tokens.truncate(self.length.unwrap_or(LENGTH) as usize + 1);
        Ok((tokens, name))
    }

    /// Checks that nothing was given that what was asked for would ignore.
    ///
    /// # Errors
    /// The first option that has no effect.
    pub fn check(&self) -> Result<()> {
        let reads = self.gates || self.gradients || self.unit.is_some();
        if self.text.is_some() && !reads {
            return Err(Error::usage(
                "TEXT is for --gradients, --gates and --unit; give one of them",
            ));
        }
        if self.output.is_some() && !self.gradients && self.unit.is_none() {
            return Err(Error::usage(
                "-o is for the picture of --gradients or of --unit; give one of them",
            ));
        }
        if self.length.is_some() && !self.gates && self.unit.is_none() {
            return Err(Error::usage("--length is for --gates and --unit"));
        }
        if self.find_unit.is_none() && self.layout.options() != DocumentOptions::default() {
            return Err(Error::usage(
                "--format, --label-column and --text-column are for --find-unit",
            ));
        }
        Ok(())
    }
}

/// Prints what was asked for: what a model is, or what happens inside.
pub fn run(arguments: &Arguments) -> Result<()> {
    arguments.check()?;
    let directory = Directory::find(&arguments.model)?;
    let config = directory.load_config()?;
    let inside = arguments.gates || arguments.unit.is_some() || arguments.find_unit.is_some();
    if inside && config.ngram_body().is_some() {
        return Err(Error::new(format!(
            "{} is an n-gram model, which has no units and no gates; give a network",
            directory.path().display()
        )));
    }
    if arguments.gates {
        return inspect_gates::run(arguments, &directory, &config);
    }
    if let Some(name) = &arguments.unit {
        let unit = unit::unit(name, config.recurrent())?;
        return inspect_units::print_text(arguments, &directory, &config, unit);
    }
    if let Some(documents) = &arguments.find_unit {
        let options = DocumentOptions {
            labels: true,
            ..arguments.layout.options()
        };
        let search = inspect_units::Search {
            path: documents,
            options: &options,
            json: arguments.json,
        };
        return search.run(&directory, &config);
    }
    if arguments.json {
        return line(inspect_parameters::object(&directory, &config)?);
    }
    describe(&directory, &config)
}

/// Prints what a model is and how it was trained.
fn describe(directory: &Directory, config: &ModelConfig) -> Result<()> {
    row("model", directory.path().display().to_string())?;
    match &config.body {
        Body::Recurrent(recurrent) => print_network(config, recurrent)?,
        Body::Ngram(ngrams) => print_ngrams(config, ngrams)?,
    }
    match (&config.body, &config.head) {
        (Body::Ngram(_), _) => return print_ngram_record(&directory.load_record()?),
        (_, Head::NextToken(_)) => print_language_model(&directory.load_record()?),
        (_, Head::Labels(head)) => print_classifier(head, &directory.load_record()?),
    }?;
    line("")?;
    inspect_parameters::print(config)
}

fn print_network(config: &ModelConfig, recurrent: &Recurrent) -> Result<()> {
    let tokens = config.tokens();
    let directions = match recurrent.bidirectional {
        true => ", bidirectional",
        false => "",
    };
    let tied = match config.tie_weights() {
        true => ", output tied to the embedding",
        false => "",
    };
    row(
        "network",
        format!(
            "{}, {} x {}{directions}, embedding {}, dropout {}{tied}",
            recurrent.cell_description(),
            recurrent.num_layers,
            recurrent.hidden_size,
            tokens.embedding_size,
            recurrent.dropout
        ),
    )?;
    row("parameters", count(config.parameters() as u64))?;
    print_tokens(tokens)
}

fn print_ngrams(config: &ModelConfig, ngrams: &Ngrams) -> Result<()> {
    let within = if ngrams.by_line { " within a line" } else { "" };
    row(
        "n-grams",
        format!("up to order {}{within}, modified Kneser-Ney", ngrams.order),
    )?;
    let numbers = ngrams.ngrams.iter().map(|&n| count(n as u64));
    row(
        "",
        format!("{} of each length", numbers.collect::<Vec<_>>().join(", ")),
    )?;
    print_tokens(config.tokens())
}

fn print_tokens(tokens: &Tokens) -> Result<()> {
    let vocabulary = count(tokens.vocab_size as u64);
    row(
        "tokens",
        format!("{}, vocabulary of {vocabulary}", tokens.level),
    )
}

fn print_language_model(record: &Record<TextRecord>) -> Result<()> {
    print_corpus(&record.subject)?;
    print_training(record)?;
    print_evaluations(record, &["bits/char"], |results| {
        vec![results.bits_per_character]
    })?;
    for Baseline { name, score } in &record.subject.baselines {
        line(format!(
            "{name:>40}{:>12.4}{:>12.4}",
            score.loss, score.bits_per_character
        ))?;
    }
    Ok(())
}

fn print_ngram_record(record: &NgramRecord) -> Result<()> {
    print_corpus(&record.subject)?;
    let version = &record.request.version;
    row("state", format!("finished (carousel {version})"))?;
    line("")?;
    line(format!("{:12}{:>12}{:>12}", "", "validation", "bits/char"))?;
    let own = ("model", &record.validation);
    let baselines = record.subject.baselines.iter();
    for (name, score) in [own]
        .into_iter()
        .chain(baselines.map(|b| (&b.name[..], &b.score)))
    {
        let (loss, bits) = (score.loss, score.bits_per_character);
        line(format!("{name:12}{loss:>12.4}{bits:>12.4}"))?;
    }
    Ok(())
}

fn print_corpus(subject: &TextRecord) -> Result<()> {
    let (statistics, corpus) = (&subject.statistics, &subject.corpus);
    row("corpus", files::names(&corpus.files))?;
    row("  train", size(&statistics.train))?;
    row("  validate", size(&statistics.valid))?;
    if let Validation::Files(files) = &corpus.validation {
        row("", format!("from {}", files::names(files)))?;
    }
    row("  hash", statistics.hash.clone())
}

fn print_classifier(head: &Labels, record: &Record<DocumentsRecord>) -> Result<()> {
    let subject = &record.subject;
    let ngrams = count(head.ngrams as u64);
    row(
        "",
        format!("and {ngrams} words, pairs and triples of words"),
    )?;
    let labels = head.labels.iter().zip(&subject.label_counts);
    let labels: Vec<String> = labels
        .map(|(label, &documents)| format!("{label} ({})", count(documents)))
        .collect();
    row("labels", labels.join(", "))?;
    row("documents", files::names(&record.request.paths))?;
    let [train, valid] = [subject.train_documents, subject.valid_documents].map(count);
    row("", format!("{train} for training, {valid} for validation"))?;
    row("  hash", subject.hash.clone())?;
    print_training(record)?;
    print_evaluations(record, &["accuracy", "macro F1"], |results| {
        vec![results.accuracy, results.macro_f1]
    })?;
    for (name, score) in [
        ("naive Bayes", &subject.baselines.naive_bayes),
        ("majority", &subject.baselines.majority),
    ] {
        line(format!(
            "{name:>52}{:>12.4}{:>12.4}",
            score.accuracy, score.macro_f1
        ))?;
    }
    Ok(())
}

/// Prints a line for each evaluation: losses, and further results in named columns.
fn print_evaluations<S>(
    record: &Record<S>,
    columns: &[&str],
    results: impl Fn(&Figures) -> Vec<Option<f64>>,
) -> Result<()> {
    let names: String = columns.iter().map(|name| format!("{name:>12}")).collect();
    line(format!(
        "{:>9}{:>9}{:>10}{:>12}{:>12}{names}",
        "step", "epoch", "seconds", "training", "validation"
    ))?;
    let best = record.best().map(|best| best.step);
    for e in &record.evaluations {
        let mark = if Some(e.step) == best { " best" } else { "" };
        let values = results(&e.figures).into_iter();
        let values: String = values
            .map(|value| format!("{:>12.4}", value.unwrap_or(f64::NAN)))
            .collect();
        line(format!(
            "{:>9}{:>9.2}{:>10.1}{:>12.4}{:>12.4}{values}{mark}",
            e.step, e.epoch, e.seconds, e.train_loss, e.figures.valid_loss
        ))?;
    }
    Ok(())
}

/// Prints the options of the training, and whether it is finished.
fn print_training<S>(record: &Record<S>) -> Result<()> {
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
        Some(Finish::Patience) => "stopped early: no better evaluation within the patience",
        Some(Finish::Diverged) => "given up: the loss diverged",
        None => "not finished; continue it with --resume",
    };
    row(
        "state",
        format!("{state} (carousel {})", record.request.version),
    )?;
    line("")
}

/// Prints a line with its name.
pub(super) fn row(name: &str, value: String) -> Result<()> {
    line(format!("{name:<12}{value}"))
}

fn size(size: &TextSize) -> String {
    format!(
        "{} tokens, {} characters, {} bytes",
        count(size.tokens),
        count(size.characters),
        count(size.bytes)
    )
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

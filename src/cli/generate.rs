/*!
`carousel generate`.
*/

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::Args;
use indicatif::{HumanCount, ProgressBar};

use super::generation::{SampleFormat, SamplePrinter, generate};
use super::interactive;
use super::interrupt;
use super::model::{ModelArguments, default_model, default_precision};
use super::sampling_flags::SamplingFlags;
use super::standard::{self, CONVERTED, RowPrinter};
use crate::data::text_rows::TextRow;
use crate::error::{Error, Result};
use crate::inference::Model;
use crate::inference::computation::PrecisionChoice;
use crate::inference::generated_text::{batches, usual_length};
use crate::inference::generator::{Generator, Prompt, StopConditions};
use crate::inference::inspection::unit_names;
use crate::inference::sampling::{Sampling, random_seed};
use crate::inference::stack::Clamp;

/// The model that is used if none is given.
const DEFAULT_MODEL: &str = "reviews";
/// A prompt of more tokens takes long enough for a progress bar.
const LONG_PROMPT: usize = 100_000;

/// Generate text from a prompt.
#[derive(Args)]
#[command(
    mut_arg("model", default_model(Some(DEFAULT_MODEL))),
    mut_arg("precision", default_precision(PrecisionChoice::Auto))
)]
#[command(after_help = "Examples:
  carousel generate -m model \"It was\"
  carousel generate -m model -p \"It was\" --length 2000 --temperature 0.6 --seed 7
  carousel generate -m model --prompt-file opening.txt --samples 3
  carousel generate -m model --prompts openings.jsonl --json
  carousel generate -m model --interactive

A token is chosen by these steps, in llama.cpp's order, as far as they are requested: repetition
penalty, top-k, top-p, min-p, temperature.")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The text to continue, as with --prompt
    #[arg(value_name = "PROMPT", group = "start")]
    text: Option<String>,
    /// The text to continue; - is standard input [default: an empty line]
    #[arg(
        short,
        long,
        value_name = "TEXT",
        group = "start",
        allow_hyphen_values = true
    )]
    prompt: Option<String>,
    /// A file with the text to continue
    #[arg(long, value_name = "FILE", group = "start")]
    prompt_file: Option<PathBuf>,
    /// A file with many texts to continue: one a line; or, if its name ends with .jsonl, .csv or .tsv, objects or rows, whose
    /// other fields --json keeps
    #[arg(long, value_name = "FILE", group = "start")]
    prompts: Option<PathBuf>,
    /// The column of the prompts by its name or number, or the key
    #[arg(
        long,
        value_name = "NAME|N",
        requires = "prompts",
        default_value = "prompt"
    )]
    text_column: String,
    /// Write in turns with the model, which remembers the whole conversation
    #[arg(short, long, conflicts_with_all = ["samples", "json", "start"])]
    interactive: bool,
    /// Number of tokens to generate; 0 continues until it is interrupted [default: 120 words or subwords, 500 characters or bytes]
    #[arg(
        short,
        long,
        value_name = "N",
        visible_short_alias = 'n',
        aliases = ["n-predict", "max-tokens", "max-new-tokens", "num-tokens"]
    )]
    length: Option<u64>,
    /// End a text before this string; may be given several times
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    stop: Vec<String>,
    /// Number of texts to generate, side by side
    #[arg(long, alias = "num-samples", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    samples: u64,
    /// Print a JSON object for each text
    #[arg(long)]
    json: bool,

    /// Hold a unit's hidden state at a value, at every step: a unit of the last layer, or LAYER:UNIT, both counted from 0;
    /// may be given several times. `carousel inspect --find-unit` finds units worth it
    #[arg(long, value_name = "UNIT=VALUE", allow_hyphen_values = true)]
    clamp: Vec<String>,

    #[command(flatten)]
    sampling: SamplingFlags,
    /// The same seed gives the same text, on any number of threads, with one precision on one kind of CPU
    /// [default: a random one, which is printed]
    #[arg(long, value_name = "N", help_heading = "Sampling")]
    seed: Option<u64>,
}

/// Generates text.
pub fn run(arguments: &Arguments) -> Result<()> {
    let sampling = arguments.sampling.sampling()?;
    check_stops(arguments)?;
    interrupt::listen()?;
    let seed = arguments.seed.unwrap_or_else(random_seed);
    let open = || {
        let model = &arguments.model;
        let model = model.open_language_model(Some(DEFAULT_MODEL), PrecisionChoice::Auto)?;
        model.check_writes()?;
        Ok(model)
    };
    if arguments.interactive {
        let model = open()?;
        let clamps = unit_names::clamps(&arguments.clamp, &model.config)?;
        let stop = stop_conditions(arguments, &model);
        return interactive::run(&model, &clamps, sampling, stop, seed);
    }
    let prompts = prompts(arguments)?;
    let model = open()?;
    let clamps = unit_names::clamps(&arguments.clamp, &model.config)?;
    let stop = stop_conditions(arguments, &model);
    let (mut tokens, mut seconds) = (0, 0.0);
    let mut rows = RowPrinter::default();
    let count = prompts.len();
    for (index, row) in prompts.into_iter().enumerate() {
        let prompt = read_prompt(&model, &row.text, &clamps);
        let format = SampleFormat {
            prompt: row,
            seed,
            samples: arguments.samples,
            json: arguments.json,
            more_follow: index + 1 < count,
        };
        let took = generate_samples(&prompt, sampling, &stop, &format, &mut rows)?;
        tokens += took.0;
        seconds += took.1;
        if interrupt::watch().load(Ordering::Relaxed) {
            break;
        }
    }
    let speed = tokens as f64 / seconds;
    standard::message(format!(
        "{} tokens, {} tokens/s, seed {seed}",
        HumanCount(tokens),
        HumanCount(speed as u64)
    ));
    match interrupt::watch().load(Ordering::Relaxed) {
        true => Err(Error::interrupted("interrupted")),
        false => Ok(()),
    }
}

/// Generates and prints the samples of a prompt, in batches; returns the number of tokens and of seconds.
fn generate_samples(
    prompt: &Prompt,
    sampling: Sampling,
    stop: &StopConditions,
    format: &SampleFormat,
    rows: &mut RowPrinter,
) -> Result<(u64, f64)> {
    // Until here the program exits at the first signal, as there was nothing to print.
    let interrupted = interrupt::watch();
    let mut printer = SamplePrinter::new(format.clone(), rows);
    let (mut tokens, mut seconds) = (0, 0.0);
    let SampleFormat { seed, samples, .. } = *format;
    for batch in batches(samples) {
        let mut generator = Generator::new(prompt, sampling, stop.clone(), seed, batch.clone());
        let start = Instant::now();
        printer.begin((batch.end - batch.start) as usize)?;
        generate(&mut generator, interrupted, |index, event| {
            printer.on_event(index, event)
        })?;
        tokens += printer.end(start.elapsed().as_secs_f64())?;
        seconds += start.elapsed().as_secs_f64();
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok((tokens, seconds))
}

/// Encodes the prompt and lets the network read it, with a progress bar if it is long.
fn read_prompt<'m>(model: &'m Model, text: &str, clamps: &[Clamp]) -> Prompt<'m> {
    let (tokens, unknown_words) = model.tokenizer.encode(text);
    standard::note_unknown_words(unknown_words);
    let bar = if tokens.len() > LONG_PROMPT {
        standard::progress_bar(tokens.len() as u64)
    } else {
        ProgressBar::hidden()
    };
    let prompt = Prompt::read_clamped(model, tokens, clamps, |read| bar.inc(read));
    bar.finish_and_clear();
    prompt
}

/// Where a text ends. Without a length that is after about a paragraph.
fn stop_conditions(arguments: &Arguments, model: &Model) -> StopConditions {
    let usual = usual_length(model.tokenizer.level());
    StopConditions {
        length: Some(arguments.length.unwrap_or(usual)).filter(|&length| length > 0),
        strings: arguments.stop.clone(),
    }
}

/// Checks what is asked for about the end of a text.
fn check_stops(arguments: &Arguments) -> Result<()> {
    let endless = arguments.length == Some(0);
    if arguments.stop.iter().any(String::is_empty) {
        return Err(Error::usage(
            "--stop '' would end every text before it begins; give the string to stop at",
        ));
    }
    if endless && (arguments.json || arguments.samples > 1) {
        return Err(Error::usage(
            "--length 0 generates one text without end, but --json and --samples print finished texts; give a length",
        ));
    }
    if endless && arguments.prompts.is_some() {
        return Err(Error::usage(
            "--length 0 would never come to the second of the --prompts; give a length",
        ));
    }
    Ok(())
}

/// The texts to continue, with what stands beside them.
fn prompts(arguments: &Arguments) -> Result<Vec<TextRow>> {
    let Some(file) = &arguments.prompts else {
        return Ok(vec![TextRow {
            text: prompt_text(arguments)?,
            ..TextRow::default()
        }]);
    };
    standard::read_text_rows(file, &arguments.text_column)
}

fn prompt_text(arguments: &Arguments) -> Result<String> {
    let prompt = arguments.prompt.as_ref().or(arguments.text.as_ref());
    let file = match (prompt, &arguments.prompt_file) {
        (Some(prompt), _) if prompt != "-" => return Ok(prompt.clone()),
        (None, None) => return Ok(String::new()),
        (_, file) => file.as_deref().unwrap_or(Path::new("-")),
    };
    let text = standard::read_text(file, CONVERTED)?;
    // The last line end belongs to the file, not to the prompt.
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_string())
}

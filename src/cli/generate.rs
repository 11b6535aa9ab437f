/*!
`carousel generate`.
*/

use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget};
use rand::SeedableRng;
use serde_json::json;

use super::interactive;
use super::interrupt;
use super::model::{Choice as Precision, ModelArguments};
use super::standard::{self, Stream};
use crate::error::{Error, Result};
use crate::inference::generator::{Ending, Finish, Generator, News, Prompt};
use crate::inference::sampling::{Choice, Repetition, Sampling};

/// The model that writes if none is named.
const SHIPS: &str = "reviews";
/// The most texts that grow side by side: more would gain nothing.
const SIDE_BY_SIDE: u64 = 256;
/// A prompt of more tokens takes long enough for a bar.
const LONG_PROMPT: usize = 100_000;

/// Write new text from a prompt.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel generate -m model -p \"It was\"
  carousel generate -m model -p \"It was\" --length 2000 --temperature 0.6 --seed 7
  carousel generate -m model --prompt-file opening.txt --samples 3
  carousel generate -m model --interactive

The choice of a token goes through these steps, in llama.cpp's order, as far as they are asked for: repetition penalty,
top-k, top-p, min-p, temperature.")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The text to go on from; - is standard input [default: an empty line]
    #[arg(
        short,
        long,
        value_name = "TEXT",
        group = "start",
        allow_hyphen_values = true
    )]
    prompt: Option<String>,
    /// A file with the text to go on from
    #[arg(long, value_name = "FILE", group = "start")]
    prompt_file: Option<PathBuf>,
    /// Take turns: type something, read how the model goes on, answer it; it remembers everything
    #[arg(short, long, conflicts_with_all = ["samples", "json", "start"])]
    interactive: bool,
    /// How many tokens to write; 0 goes on until it is stopped
    #[arg(short, long, value_name = "N", default_value_t = 500)]
    length: u64,
    /// End a text before this string; may be given several times
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    stop: Vec<String>,
    /// How many texts to write; they grow side by side
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    samples: u64,
    /// Print a JSON object for each text
    #[arg(long)]
    json: bool,

    /// Below 1 more likely text, above 1 wilder; 0 is --greedy
    #[arg(
        short,
        long,
        value_name = "T",
        default_value_t = 0.8,
        allow_negative_numbers = true,
        help_heading = "Sampling"
    )]
    temperature: f32,
    /// Choose among the K likeliest tokens; all, if K is more than there are
    #[arg(long, value_name = "K", help_heading = "Sampling")]
    top_k: Option<usize>,
    /// Choose among the likeliest tokens that together have the probability P, above 0, up to 1
    #[arg(
        long,
        value_name = "P",
        allow_negative_numbers = true,
        help_heading = "Sampling"
    )]
    top_p: Option<f32>,
    /// Choose among the tokens at least P times as likely as the likeliest, from 0 to 1
    #[arg(
        long,
        value_name = "P",
        allow_negative_numbers = true,
        help_heading = "Sampling"
    )]
    min_p: Option<f32>,
    /// Make what was written lately less likely: above 1, say 1.1 [default: 1, no penalty]
    #[arg(
        long,
        value_name = "X",
        allow_negative_numbers = true,
        help_heading = "Sampling"
    )]
    repeat_penalty: Option<f32>,
    /// How many of the last tokens the penalty looks at, the prompt's among them
    #[arg(
        long,
        value_name = "N",
        default_value_t = 64,
        help_heading = "Sampling"
    )]
    repeat_last_n: usize,
    /// Always choose the likeliest token
    #[arg(long, help_heading = "Sampling")]
    greedy: bool,
    /// The same seed gives the same text, on any number of threads, with one precision on one kind of CPU
    /// [default: another each time, and told]
    #[arg(long, value_name = "N", help_heading = "Sampling")]
    seed: Option<u64>,
}

/// Writes text.
pub fn run(arguments: &Arguments) -> Result<()> {
    let sampling = sampling(arguments)?;
    let ending = ending(arguments)?;
    interrupt::listen()?;
    let seed = arguments.seed.unwrap_or_else(rand_seed);
    if arguments.interactive {
        let model = arguments.model.open(Some(SHIPS), Precision::Auto)?;
        return interactive::run(&model, sampling, ending, seed);
    }
    let prompt = prompt(arguments)?;
    let model = arguments.model.open(Some(SHIPS), Precision::Auto)?;
    let (prompt_ids, strangers) = model.tokenizer.encode(&prompt);
    standard::tell_strangers(strangers);

    let bar = if prompt_ids.len() > LONG_PROMPT && stderr().is_terminal() {
        ProgressBar::with_draw_target(Some(prompt_ids.len() as u64), ProgressDrawTarget::stderr())
    } else {
        ProgressBar::hidden()
    };
    let read = Prompt::read(&model, prompt_ids, |read| bar.inc(read));
    bar.finish_and_clear();
    let mut output = Output::new(arguments, prompt, seed);
    // Only now is there something to end well.
    let interrupted = interrupt::watch();
    let (mut tokens, mut seconds) = (0, 0.0);
    for first in (0..arguments.samples).step_by(SIDE_BY_SIDE as usize) {
        let numbers = first..(first + SIDE_BY_SIDE).min(arguments.samples);
        let mut generator = Generator::new(&read, sampling, ending.clone(), seed, numbers.clone());
        let began = Instant::now();
        output.begin((numbers.end - numbers.start) as usize)?;
        grow(&mut generator, interrupted, |number, news| {
            output.hear(number, news)
        })?;
        let written = output.end(began.elapsed().as_secs_f64())?;
        tokens += written;
        seconds += began.elapsed().as_secs_f64();
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
    }
    let speed = tokens as f64 / seconds;
    standard::tell(format!("{tokens} tokens, {speed:.0} a second, seed {seed}"));
    if interrupted.load(Ordering::Relaxed) {
        return Err(Error::interrupted("interrupted"));
    }
    Ok(())
}

/// Lets the texts grow until they are finished or not wanted any more.
pub(super) fn grow(
    generator: &mut Generator,
    interrupted: &AtomicBool,
    mut hear: impl FnMut(usize, News) -> Result<()>,
) -> Result<()> {
    let mut heard = Ok(());
    let mut hear = |number: usize, news: News| {
        if heard.is_ok() {
            heard = hear(number, news);
        }
        heard.is_ok()
    };
    let mut wanted = true;
    while !generator.is_finished() && wanted && !interrupted.load(Ordering::Relaxed) {
        generator.step(|number, news| wanted &= hear(number, news));
    }
    generator.interrupt(|number, news| {
        hear(number, news);
    });
    heard
}

/// What is done with the texts.
struct Output<'a> {
    arguments: &'a Arguments,
    prompt: String,
    seed: u64,
    stream: Stream,
    /// Texts that cannot be shown before they are whole: in JSON, or several.
    texts: Vec<(String, Finish, u64)>,
    printed: u64,
}

impl<'a> Output<'a> {
    fn new(arguments: &'a Arguments, prompt: String, seed: u64) -> Self {
        Output {
            arguments,
            prompt,
            seed,
            stream: Stream::default(),
            texts: Vec::new(),
            printed: 0,
        }
    }

    /// One text in plain is shown as it comes.
    fn streams(&self) -> bool {
        self.arguments.samples == 1 && !self.arguments.json
    }

    fn begin(&mut self, count: usize) -> Result<()> {
        self.texts = vec![(String::new(), Finish::Interrupted, 0); count];
        if self.streams() {
            self.stream.write(&self.prompt)?;
            self.stream.show()?;
        }
        Ok(())
    }

    fn hear(&mut self, number: usize, news: News) -> Result<()> {
        let streams = self.streams();
        let (text, finish, tokens) = &mut self.texts[number];
        match news {
            News::Piece(piece) if streams => return self.stream.write(piece),
            News::Piece(piece) => text.push_str(piece),
            News::Finished(why, count) => (*finish, *tokens) = (why, count),
        }
        Ok(())
    }

    /// Shows what has not been shown, and returns how many tokens were written.
    fn end(&mut self, seconds: f64) -> Result<u64> {
        let written = self.texts.iter().map(|(_, _, tokens)| tokens).sum();
        if self.streams() {
            self.stream.write("\n")?;
            self.stream.show()?;
            return Ok(written);
        }
        for (text, finish, tokens) in std::mem::take(&mut self.texts) {
            self.printed += 1;
            if self.arguments.json {
                standard::line(json!({
                    "prompt": self.prompt,
                    "text": text,
                    "tokens": tokens,
                    "seed": self.seed,
                    "finish_reason": match finish {
                        Finish::Length => "length",
                        Finish::Stop => "stop",
                        Finish::Interrupted => "interrupted",
                    },
                    "tokens_per_second": written as f64 / seconds,
                }))?;
            } else {
                let last = self.printed == self.arguments.samples;
                let gap = if last { "" } else { "\n\n" };
                standard::line(format!("{}{text}{gap}", self.prompt))?;
            }
        }
        Ok(written)
    }
}

fn ending(arguments: &Arguments) -> Result<Ending> {
    let endless = arguments.length == 0;
    if arguments.stop.iter().any(String::is_empty) {
        return Err(Error::usage(
            "--stop '' would end every text before it begins; give the string to stop at",
        ));
    }
    if endless && (arguments.json || arguments.samples > 1) {
        return Err(Error::usage(
            "--length 0 writes one text without end; --json and --samples print texts when they are whole, so give them a length",
        ));
    }
    Ok(Ending {
        length: Some(arguments.length).filter(|_| !endless),
        stops: arguments.stop.clone(),
    })
}

fn sampling(arguments: &Arguments) -> Result<Sampling> {
    let Arguments {
        temperature,
        top_k,
        top_p,
        min_p,
        repeat_penalty,
        repeat_last_n,
        greedy,
        ..
    } = *arguments;
    if !(temperature >= 0.0 && temperature.is_finite()) {
        return Err(Error::usage(format!(
            "--temperature {temperature} cannot be; give 0 (the likeliest text) or more"
        )));
    }
    if top_k == Some(0) {
        return Err(Error::usage(
            "--top-k 0 leaves nothing to choose from; give 1 or more",
        ));
    }
    if let Some(p) = top_p
        && !(p > 0.0 && p <= 1.0)
    {
        return Err(Error::usage(format!(
            "--top-p {p} is no probability to keep; give a number above 0, up to 1"
        )));
    }
    if let Some(p) = min_p
        && !(0.0..=1.0).contains(&p)
    {
        return Err(Error::usage(format!(
            "--min-p {p} is no share of a probability; give a number from 0 to 1"
        )));
    }
    if let Some(penalty) = repeat_penalty
        && !(penalty > 0.0 && penalty.is_finite())
    {
        return Err(Error::usage(format!(
            "--repeat-penalty {penalty} cannot be; give a number above 0, where 1 is no penalty"
        )));
    }
    let repetition = repeat_penalty
        .filter(|&penalty| penalty != 1.0)
        .map(|penalty| Repetition {
            penalty,
            last_n: repeat_last_n,
        });
    let choice = if greedy || temperature == 0.0 {
        Choice::Greedy
    } else {
        Choice::Random {
            top_k,
            top_p: top_p.filter(|&p| p < 1.0),
            min_p: min_p.filter(|&p| p > 0.0),
            temperature,
        }
    };
    Ok(Sampling { repetition, choice })
}

fn prompt(arguments: &Arguments) -> Result<String> {
    let text = match (&arguments.prompt, &arguments.prompt_file) {
        (Some(prompt), _) if prompt != "-" => return Ok(prompt.clone()),
        (None, None) => return Ok(String::new()),
        (None, Some(file)) if !standard::is_input(file) => standard::text_of(file)?,
        _ => standard::read_text()?,
    };
    // A file's last line end belongs to the file, not to the prompt.
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_string())
}

/// A seed that is short enough to type again.
fn rand_seed() -> u64 {
    use rand::RngCore;
    let hasher = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0u8);
    rand_chacha::ChaCha8Rng::seed_from_u64(hasher).next_u64() % 1_000_000
}

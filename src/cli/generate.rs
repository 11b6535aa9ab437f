/*!
`carousel generate`.
*/

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use rand::SeedableRng;
use serde_json::json;

use super::standard;
use crate::checkpoint::Directory;
use crate::error::{Error, Result};
use crate::inference::Model;
use crate::inference::generator::Generator;
use crate::inference::sampling::Sampling;
use crate::text::source::{Form, read};

/// Write new text from a prompt.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel generate -m model -p \"It was\"
  carousel generate -m model -p \"It was\" --length 2000 --temperature 0.6 --seed 7
  carousel generate -m model --prompt-file opening.txt --samples 3")]
pub struct Arguments {
    /// The model: its folder, or the name of one that ships
    #[arg(short, long, value_name = "MODEL")]
    model: PathBuf,
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
    /// How many tokens to write
    #[arg(short, long, value_name = "N", default_value_t = 500)]
    length: u64,
    /// How many texts to write
    #[arg(long, value_name = "N", default_value_t = 1)]
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
        help_heading = "Sampling"
    )]
    temperature: f32,
    /// Choose among the K likeliest tokens
    #[arg(long, value_name = "K", help_heading = "Sampling")]
    top_k: Option<usize>,
    /// Choose among the likeliest tokens that together have the probability P
    #[arg(long, value_name = "P", help_heading = "Sampling")]
    top_p: Option<f32>,
    /// Always choose the likeliest token
    #[arg(long, help_heading = "Sampling")]
    greedy: bool,
    /// The same seed gives the same text [default: another each time, and told]
    #[arg(long, value_name = "N", help_heading = "Sampling")]
    seed: Option<u64>,
}

/// Writes text.
pub fn run(arguments: &Arguments) -> Result<()> {
    let sampling = sampling(arguments)?;
    let prompt = prompt(arguments)?;
    let model = Model::open(&Directory::find(&arguments.model)?)?;
    let (prompt_ids, strangers) = model.tokenizer.encode(&prompt);
    tell_strangers(strangers);
    let seed = arguments.seed.unwrap_or_else(rand_seed);

    let mut tokens = 0;
    let began = Instant::now();
    for number in 0..arguments.samples {
        let sample_began = Instant::now();
        let mut generator = Generator::new(&model, &prompt_ids, sampling, seed, number);
        let mut text = String::new();
        // In JSON a text is kept until it is whole; otherwise it is shown as it comes.
        let mut show = |piece: String| -> Result<()> {
            if arguments.json {
                text.push_str(&piece);
                return Ok(());
            }
            if piece.is_empty() {
                Ok(())
            } else {
                standard::write(piece)
            }
        };
        show(if arguments.json {
            String::new()
        } else {
            prompt.clone()
        })?;
        for piece in generator.by_ref().take(arguments.length as usize) {
            show(piece)?;
        }
        show(generator.finish())?;
        tokens += arguments.length;
        if arguments.json {
            let seconds = sample_began.elapsed().as_secs_f64();
            standard::line(json!({
                "prompt": prompt,
                "text": text,
                "tokens": arguments.length,
                "seed": seed,
                "finish_reason": "length",
                "tokens_per_second": arguments.length as f64 / seconds,
            }))?;
        } else {
            standard::line(if number + 1 < arguments.samples {
                "\n"
            } else {
                ""
            })?;
        }
    }
    let speed = tokens as f64 / began.elapsed().as_secs_f64();
    standard::tell(format!("{tokens} tokens, {speed:.0} a second, seed {seed}"));
    Ok(())
}

fn sampling(arguments: &Arguments) -> Result<Sampling> {
    let Arguments {
        temperature,
        top_k,
        top_p,
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
    if greedy || temperature == 0.0 {
        return Ok(Sampling::Greedy);
    }
    Ok(Sampling::Random {
        temperature,
        top_k,
        top_p,
    })
}

fn prompt(arguments: &Arguments) -> Result<String> {
    let (name, bytes) = match (&arguments.prompt, &arguments.prompt_file) {
        (Some(prompt), _) if prompt != "-" => return Ok(prompt.clone()),
        (None, None) => return Ok(String::new()),
        (None, Some(file)) if !standard::is_input(file) => {
            let mut bytes = Vec::new();
            read(
                std::slice::from_ref(file),
                Form::Text,
                false,
                &mut |piece| {
                    bytes.extend_from_slice(piece);
                    Ok(())
                },
            )?;
            (file.display().to_string(), bytes)
        }
        _ => ("standard input".to_string(), standard::read()?),
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::new(format!("the prompt in {name} is not UTF-8 text")))?;
    // A file's last line end belongs to the file, not to the prompt.
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_string())
}

fn tell_strangers(mut strangers: Vec<String>) {
    if strangers.is_empty() {
        return;
    }
    strangers.sort();
    strangers.dedup();
    let shown: Vec<String> = strangers
        .iter()
        .take(10)
        .map(|word| format!("{word:?}"))
        .collect();
    let more = if strangers.len() > 10 {
        format!(" and {} more", strangers.len() - 10)
    } else {
        String::new()
    };
    standard::tell(format!(
        "note: the model does not know {}{more}; read as unknown",
        shown.join(", ")
    ));
}

/// A seed that is short enough to type again.
fn rand_seed() -> u64 {
    use rand::RngCore;
    let hasher = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0u8);
    rand_chacha::ChaCha8Rng::seed_from_u64(hasher).next_u64() % 1_000_000
}

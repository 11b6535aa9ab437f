/*!
`carousel inspect --unit` and `--find-unit`.
*/

use std::path::Path;
use std::thread::available_parallelism;

use indicatif::HumanCount;
use serde_json::{Value, json};

use super::inspect_flags::Arguments;
use super::standard::row;
use super::standard::{self, json_line, line};
use crate::answers::separation::{Found, LabelledTokens};
use crate::checkpoint::parts::Head;
use crate::checkpoint::{Directory, ModelConfig};
use crate::data::labelled::{DocumentOptions, RowCount};
use crate::error::Result;
use crate::files;
use crate::inference::inspection::units::{Unit, UnitReader};
use crate::pictures::activations::{self, Activations};
use crate::text::escape::escaped;
use crate::text::tokenizer::{Decoder, Tokenizer};

/// Number of units that are listed.
const LISTED: usize = 5;

/// Prints the text coloured by a unit's hidden state, or writes it as a page.
pub fn print_text(
    arguments: &Arguments,
    directory: &Directory,
    config: &ModelConfig,
    unit: Unit,
) -> Result<()> {
    let tokenizer = directory.load_tokenizer(config)?;
    let reader = UnitReader::open(directory, config, 1)?;
    let (tokens, name) = arguments.first_tokens(&tokenizer)?;
    let values = reader.activations(&tokens, unit);
    // The first is that of the end of line before the text.
    let values = values.into_iter().skip(1);
    let tokens: Vec<(String, f32)> = texts(&tokenizer, &tokens[1..]).zip(values).collect();
    let model = directory.path().display().to_string();
    let text = Activations {
        title: format!("unit {}:{} of {model} over {name}", unit.layer, unit.unit),
        tokens,
    };
    if let Some(path) = &arguments.output {
        files::write_atomically(path, text.html().as_bytes())?;
        standard::message(format!("{} is written", path.display()));
    }
    if arguments.json {
        let tokens: Vec<Value> = (text.tokens.iter())
            .map(|(token, value)| json!({"token": token, "activation": value}))
            .collect();
        return json_line(
            &json!({"model": model, "layer": unit.layer, "unit": unit.unit, "tokens": tokens}),
        );
    }
    if arguments.output.is_some() {
        return Ok(());
    }
    if standard::has_colours() {
        line(&text.title)?;
        line(activations::legend(text.highest()))?;
        return line(text.ansi());
    }
    (text.tokens.iter()).try_for_each(|(token, value)| line(format!("{value:+.4}\t{token:?}")))
}

/// The text of each token.
fn texts<'t>(tokenizer: &'t Tokenizer, tokens: &'t [u32]) -> impl Iterator<Item = String> + 't {
    let mut decoder = Decoder::new(tokenizer);
    tokens.iter().map(move |&token| decoder.push(token))
}

/// A search for the units that separate two labels.
pub struct Search<'a> {
    /// The documents.
    pub path: &'a Path,
    /// Their layout.
    pub options: &'a DocumentOptions,
    /// Whether to print an object.
    pub json: bool,
}

impl Search<'_> {
    /// Searches in the last layer, and prints the best units.
    pub fn run(&self, directory: &Directory, config: &ModelConfig) -> Result<()> {
        let tokenizer = directory.load_tokenizer(config)?;
        let threads = available_parallelism().map_or(1, |cores| cores.get().min(8));
        let reader = UnitReader::open(directory, config, threads)?;
        let mut input = standard::open_rows(self.path, self.options)?;
        let mut rows = RowCount::default();
        let file = self.path.display().to_string();
        let report = &mut |message| standard::message(message);
        let documents = LabelledTokens::read(&mut input, &tokenizer, &file, &mut rows, report)?;
        standard::notes(&input.closing_notes());
        let bar = standard::progress_bar(documents.count());
        let found = Found::search(documents, &reader, config, LISTED, |read| bar.inc(read));
        bar.finish_and_clear();
        if self.json {
            json_line(&found.object())?;
        } else {
            print(&found)?;
            match config.head {
                _ if !found.separates() => standard::message(
                    "no unit separates the labels clearly better than the majority; more training, or a larger network, may have one",
                ),
                Head::NextToken(_) => suggest(&found, directory),
                Head::Labels(_) | Head::Values(_) => {}
            }
        }
        rows.check()
    }
}

/// Prints the units that were found.
fn print(found: &Found) -> Result<()> {
    let counts = found.labels.iter().zip(found.counts);
    let counts: Vec<String> = counts
        .map(|(label, count)| format!("{} ({})", escaped(label), HumanCount(count as u64)))
        .collect();
    row("documents", counts.join(", "))?;
    row(
        "",
        "thresholds are chosen on every other document; `accuracy` is that on the rest".to_string(),
    )?;
    line(format!(
        "{:>8}{:>10}{:>10}   of layer {}: what separates",
        "unit", "accuracy", "chosen at", found.layer
    ))?;
    for separation in &found.best {
        let (unit, feature) = found.unit(separation);
        line(format!(
            "{unit:>8}{:>10.4}{:>10.4}   {}; above {:.4} is {}",
            separation.accuracy,
            separation.fitted_accuracy,
            feature.name(),
            separation.threshold,
            escaped(found.above(separation))
        ))?;
    }
    line(format!("{:>8}{:>10.4}", "majority", found.majority))
}

/// A command to try with the best unit.
fn suggest(found: &Found, directory: &Directory) {
    if let Some(best) = found.best.first() {
        standard::message(format!(
            "try: carousel generate -m {} --clamp {}:{}=1, and =-1",
            directory.path().display(),
            found.layer,
            found.unit(best).0
        ));
    }
}

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
use crate::checkpoint::parts::Head;
use crate::checkpoint::{Directory, ModelConfig};
use crate::data::labelled::{DocumentOptions, RowCount};
use crate::error::{Error, Result};
use crate::files;
use crate::inference::inspection::separation::{self, Separation};
use crate::inference::inspection::units::{Feature, Unit, UnitReader};
use crate::pictures::activations::{self, Activations};
use crate::text::escape::{escaped, escaped_list};
use crate::text::tokenizer::{Decoder, Tokenizer};

/// Number of units that are listed.
const LISTED: usize = 5;
/// Fewest documents of a label.
const FEWEST: usize = 4;

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
        let (documents, labels, rows) = self.documents(&tokenizer)?;
        let tokens: Vec<Vec<u32>> = documents.iter().map(|(ids, _)| ids.clone()).collect();
        let bar = standard::progress_bar(tokens.iter().map(|ids| ids.len() as u64).sum());
        let numbers = reader.document_features(&tokens, |read| bar.inc(read));
        bar.finish_and_clear();
        let is_second = documents.iter().map(|&(_, second)| second);
        let numbers: Vec<(Vec<f32>, bool)> = numbers.into_iter().zip(is_second).collect();
        let found = Found {
            labels,
            counts: [false, true].map(|label| {
                numbers
                    .iter()
                    .filter(|(_, second)| *second == label)
                    .count()
            }),
            majority: separation::majority(&numbers),
            best: separation::best(&numbers, LISTED),
            features: reader.features(),
            layer: config.recurrent().num_layers - 1,
            hidden_size: config.recurrent().hidden_size,
        };
        if self.json {
            json_line(&found.object())?;
        } else {
            found.print()?;
            match config.head {
                _ if !found.separates() => standard::message(
                    "no unit separates the labels clearly better than the majority; more training, or a larger network, may have one",
                ),
                Head::NextToken(_) => found.suggest(directory),
                Head::Labels(_) | Head::Values(_) => {}
            }
        }
        rows.check()
    }

    /// Encoded documents with whether they have the second label, and the two labels.
    #[allow(clippy::type_complexity, reason = "read once, below")]
    fn documents(
        &self,
        tokenizer: &Tokenizer,
    ) -> Result<(Vec<(Vec<u32>, bool)>, [String; 2], RowCount)> {
        let (mut rows, mut labelled) = (RowCount::default(), Vec::new());
        let mut input = standard::open_rows(self.path, self.options)?;
        for row in input.by_ref() {
            let document = rows.take(row?, &mut |message| standard::message(message));
            if let Some((text, label)) = document.and_then(|d| Some((d.text, d.label?))) {
                let mut ids = vec![tokenizer.line_end()];
                ids.extend(tokenizer.encode(&text).0);
                labelled.push((ids, label));
            }
        }
        standard::notes(&input.closing_notes());
        let mut labels: Vec<String> = labelled.iter().map(|(_, label)| label.clone()).collect();
        labels.sort();
        labels.dedup();
        let file = self.path.display();
        let labels: [String; 2] = labels.try_into().map_err(|labels: Vec<String>| {
            Error::new(format!(
                "{file} has {} labels, and a unit separates two: {}; leave the documents of two labels in the file",
                labels.len(),
                escaped_list(&labels)
            ))
        })?;
        for label in &labels {
            let count = labelled.iter().filter(|(_, own)| own == label).count();
            if count < FEWEST {
                return Err(Error::new(format!(
                    "{file} has {count} documents with the label {}; give {FEWEST} or more of each, better hundreds",
                    escaped(label)
                )));
            }
        }
        let second = |(ids, label): (Vec<u32>, String)| (ids, label == labels[1]);
        let documents = labelled.into_iter().map(second).collect();
        Ok((documents, labels, rows))
    }
}

/// The units that were found.
struct Found {
    labels: [String; 2],
    counts: [usize; 2],
    majority: f64,
    best: Vec<Separation>,
    features: &'static [Feature],
    layer: usize,
    hidden_size: usize,
}

impl Found {
    /// The unit and the feature of a number.
    fn unit(&self, separation: &Separation) -> (usize, Feature) {
        let number = separation.number;
        (
            number % self.hidden_size,
            self.features[number / self.hidden_size],
        )
    }

    /// The label of documents above the threshold.
    fn above(&self, separation: &Separation) -> &str {
        &self.labels[usize::from(separation.above_is_second)]
    }

    fn print(&self) -> Result<()> {
        let counts = self.labels.iter().zip(self.counts);
        let counts: Vec<String> = counts
            .map(|(label, count)| format!("{} ({})", escaped(label), HumanCount(count as u64)))
            .collect();
        row("documents", counts.join(", "))?;
        row(
            "",
            "thresholds are chosen on every other document; `accuracy` is that on the rest"
                .to_string(),
        )?;
        line(format!(
            "{:>8}{:>10}{:>10}   of layer {}: what separates",
            "unit", "accuracy", "chosen at", self.layer
        ))?;
        for separation in &self.best {
            let (unit, feature) = self.unit(separation);
            line(format!(
                "{unit:>8}{:>10.4}{:>10.4}   {}; above {:.4} is {}",
                separation.accuracy,
                separation.fitted_accuracy,
                feature.name(),
                separation.threshold,
                escaped(self.above(separation))
            ))?;
        }
        line(format!("{:>8}{:>10.4}", "majority", self.majority))
    }

    /// Whether the best unit is better than the majority by more than twice the standard error of its accuracy.
    fn separates(&self) -> bool {
        let tested = (self.counts[0] / 2 + self.counts[1] / 2).max(1) as f64;
        self.best.first().is_some_and(|best| {
            let error = (best.accuracy * (1.0 - best.accuracy) / tested).sqrt();
            best.accuracy > self.majority + 2.0 * error
        })
    }

    /// A command to try with the best unit.
    fn suggest(&self, directory: &Directory) {
        if let Some(best) = self.best.first() {
            standard::message(format!(
                "try: carousel generate -m {} --clamp {}:{}=1, and =-1",
                directory.path().display(),
                self.layer,
                self.unit(best).0
            ));
        }
    }

    fn object(&self) -> Value {
        let best: Vec<Value> = (self.best.iter())
            .map(|separation| {
                let (unit, feature) = self.unit(separation);
                json!({
                    "layer": self.layer,
                    "unit": unit,
                    "feature": feature.name(),
                    "threshold": separation.threshold,
                    "above": self.above(separation),
                    "accuracy": separation.accuracy,
                    "fitted_accuracy": separation.fitted_accuracy,
                })
            })
            .collect();
        json!({
            "labels": self.labels,
            "documents": self.counts,
            "majority": self.majority,
            "units": best,
        })
    }
}

/*!
Flags of `carousel inspect`.
*/

use std::path::PathBuf;

use clap::Args;

use super::flags::DocumentFlags;
use super::standard;
use crate::error::{Error, Result};
use crate::text::source::InvalidBytes;
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
    pub(super) gates: bool,
    /// The text coloured by a unit's hidden state
    #[arg(long, value_name = "UNIT", group = "inside", help_heading = "Inside")]
    pub(super) unit: Option<String>,
    /// The units of the last layer that best separate documents of two labels
    #[arg(
        long,
        value_name = "LABELLED",
        group = "inside",
        help_heading = "Inside"
    )]
    pub(super) find_unit: Option<PathBuf>,
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
    pub(super) layout: DocumentFlags,
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
        let invalid = InvalidBytes::lossy(self.layout.options().lossy);
        let text = standard::read_text(path, invalid)?;
        let name = standard::input_name(path);
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
        let layout = self.layout.options();
        if self.find_unit.is_none() && layout.give_layout() {
            return Err(Error::usage(
                "--format, --label-column and --text-column are for --find-unit",
            ));
        }
        if self.find_unit.is_none() && self.text.is_none() && layout.lossy {
            return Err(Error::usage("--lossy is for TEXT and --find-unit"));
        }
        Ok(())
    }
}

/*!
The command line: flags → one call of the library → what is printed.

Results go to standard output, everything else to standard error. One tree of commands serves both binaries; a file
per command.
*/

mod classify;
mod evaluate;
mod export;
mod flags;
mod generate;
mod inspect;
mod interactive;
pub mod interrupt;
mod launch;
mod model;
mod score;
pub mod standard;
pub mod train;
pub mod train_classifier;
mod values;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{ErrorKind, Result};

/// Train a recurrent language model on your text, and write new text with it.
#[derive(Parser)]
#[command(
    name = "carousel",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "Example:
  carousel train book.txt -o model
  carousel generate -m model -p \"It was\"")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What can be done.
#[derive(Subcommand)]
pub enum Command {
    /// Learn a language model from text
    Train(Box<train::Arguments>),
    /// Learn to tell labels, as of sentiment, from texts that have them
    TrainClassifier(Box<train_classifier::Arguments>),
    /// Write new text from a prompt
    Generate(generate::Arguments),
    /// Tell the label, as of sentiment, of texts
    Classify(classify::Arguments),
    /// Tell how likely a model finds some texts
    Score(score::Arguments),
    /// Measure how well a model predicts a text, or tells labels
    Evaluate(evaluate::Arguments),
    /// Show what a model is and how it was made
    Inspect(inspect::Arguments),
    /// Copy a model to use and to give away, in fewer bytes
    Export(export::Arguments),
}

/// Parses the command line, does what it says, and tells how that went, once.
pub fn main(dispatch: fn(Command) -> Result<()>) -> ExitCode {
    let parsed = Cli::parse();
    let Err(error) = dispatch(parsed.command) else {
        return ExitCode::SUCCESS;
    };
    if error.kind() != ErrorKind::BrokenPipe {
        // Standard error may be closed too; then there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "carousel: {error}");
    }
    ExitCode::from(error.exit_code())
}

/// Does what needs no libtorch; the rest is handed to the sibling that has it.
pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Train(_) | Command::TrainClassifier(_) => launch::carousel_train(),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Score(arguments) => score::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Classify(arguments) => classify::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
    }
}

/*!
The command line: flags, calls of the library, and output.

Results go to standard output, everything else to standard error. Each command has a file; one definition of them serves
both programs.
*/

mod child;
mod classify;
mod command_line;
mod compare;
mod comparison_runs;
mod completions;
mod digits;
pub mod doctor;
mod evaluate;
mod evaluate_documents;
mod evaluate_pairs;
mod evaluate_series;
mod evaluate_text;
mod explanation;
mod export;
pub mod flags;
pub mod forecast;
mod forecast_answer;
mod forecast_backtest;
mod forecast_explanation;
pub mod forecast_flags;
pub mod forecast_networks;
mod forecast_output;
mod forecast_regressors;
#[cfg(feature = "serve")]
mod forecast_request;
pub mod forecast_values;
mod generate;
mod generation;
mod import;
mod inspect;
pub mod inspect_flags;
mod inspect_gates;
mod inspect_parameters;
mod inspect_units;
mod interactive;
pub mod interrupt;
mod launch;
mod line_editor;
mod memory;
mod model;
mod models;
pub mod pair_flags;
pub mod run_folder;
mod sampling_flags;
mod score;
#[cfg(feature = "serve")]
mod serve;
pub mod standard;
mod time;
pub mod train;
mod train_baseline;
pub mod train_classifier;
pub mod train_translator;
mod translate;
mod values;
pub mod version;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error::{ErrorKind, Result};

/// Train recurrent networks on text: generate, classify and translate texts with them.
#[derive(Parser)]
#[command(
    name = "carousel",
    version = version::VERSION,
    long_version = version::LONG.as_str(),
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

/// A command, with its flags.
#[derive(Subcommand)]
pub enum Command {
    /// Train a language model on text
    Train(Box<train::Arguments>),
    /// Train a classifier on labelled texts
    TrainClassifier(Box<train_classifier::Arguments>),
    /// Train a translator on sentences with their translations
    TrainTranslator(Box<train_translator::Arguments>),
    /// Generate text from a prompt
    Generate(generate::Arguments),
    /// Classify texts, for example by sentiment
    Classify(classify::Arguments),
    /// Translate texts, line by line
    Translate(translate::Arguments),
    /// Print the probability of texts under a model
    Score(score::Arguments),
    /// Evaluate a model on a text, on labelled texts, on translated sentences or on numbers
    Evaluate(evaluate::Arguments),
    /// Forecast series of numbers
    Forecast(Box<forecast_flags::Arguments>),
    /// Compare networks on one corpus
    Compare(Box<compare::Arguments>),
    /// Serve models to a browser and to programs, on this machine
    #[cfg(feature = "serve")]
    Serve(serve::Arguments),
    /// Show what a model is and how it was trained
    Inspect(inspect_flags::Arguments),
    /// Copy a model in fewer bytes, to use and to share, or write it as ONNX
    Export(export::Arguments),
    /// Make a model of a PyTorch language model
    Import(import::Arguments),
    /// List the models that are found by name
    Models(models::Arguments),
    /// Show what the program finds on this machine, and what mends each problem
    Doctor(doctor::Arguments),
    /// Print a completion script for a shell
    Completions(completions::CompletionArguments),
    /// Write the manual pages
    Man(completions::ManArguments),
}

/// Parses the command line, runs the command, and prints its error, if any.
pub fn main(dispatch: fn(Command) -> Result<()>) -> ExitCode {
    let parsed: Cli = match command_line::parse() {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    memory::tell_refusals();
    let Err(error) = dispatch(parsed.command) else {
        return ExitCode::SUCCESS;
    };
    if error.kind() != ErrorKind::BrokenPipe {
        standard::message(format!("carousel: {error}"));
    }
    ExitCode::from(error.exit_code())
}

/// Runs a command; those that train networks are passed on to `carousel-train`, which has libtorch.
pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Train(arguments) if arguments.baseline.is_some() => {
            train_baseline::run(&arguments)
        }
        Command::Train(_) | Command::TrainClassifier(_) | Command::TrainTranslator(_) => {
            launch::carousel_train()
        }
        Command::Inspect(arguments) if arguments.gradients => launch::carousel_train(),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Score(arguments) => score::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Forecast(arguments) if arguments.trains() => launch::carousel_train(),
        Command::Forecast(arguments) => forecast::run(&arguments, None),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Classify(arguments) => classify::run(&arguments),
        Command::Translate(arguments) => translate::run(&arguments),
        #[cfg(feature = "serve")]
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Models(arguments) => models::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Completions(arguments) => completions::completions(&arguments, Cli::command()),
        Command::Man(arguments) => completions::man(&arguments, Cli::command()),
    }
}

/*!
The program `carousel-train`: the training commands, which `carousel` passes on to it, and their progress on the terminal.
*/

mod command;
mod cross_validation;
mod doctor;
mod folds;
mod forecast;
mod inspect;
mod plan;
mod processes;
mod progress;
mod units;

use std::process::ExitCode;

use carousel::cli::{self, Command};

fn main() -> ExitCode {
    cli::main(|command| match command {
        Command::Train(arguments) if arguments.baseline.is_none() => command::train(&arguments),
        Command::TrainClassifier(arguments) => command::train_classifier(&arguments),
        Command::TrainTranslator(arguments) => command::train_translator(&arguments),
        Command::Forecast(arguments) if arguments.trains() => forecast::run(&arguments),
        Command::Inspect(arguments) if arguments.gradients => inspect::run(&arguments),
        Command::Doctor(arguments) if arguments.libtorch => doctor::run(),
        other => cli::run(other),
    })
}

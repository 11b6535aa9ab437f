/*!
`carousel-train`: the training wing, and the only part of the program that names libtorch.

`carousel` runs it for the commands that learn. It is a crate of its own over the library, so that the compiler
holds what the house plan says: text, checkpoint, kernels and inference cannot depend on libtorch, and a binary
without it needs none.
*/

mod backprop;
mod calibration;
mod candidates;
mod classifier;
mod command;
mod descent;
mod evaluation;
mod excerpts;
mod language_model;
mod material;
mod network;
mod ngrams;
mod optimizer;
mod pooling;
mod precision;
mod progress;
mod report;
mod resume;
mod run;
mod schedule;
mod semantics;
mod view;
mod wide;

use std::process::ExitCode;

use carousel::cli::{self, Command};

fn main() -> ExitCode {
    cli::main(|command| match command {
        Command::Train(arguments) => command::run(&arguments),
        Command::TrainClassifier(arguments) => command::run_classifier(&arguments),
        other => cli::run(other),
    })
}

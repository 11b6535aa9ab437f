//! `carousel`: everything but training; training is handed to `carousel-train`.

use std::process::ExitCode;

fn main() -> ExitCode {
    carousel::cli::main(carousel::cli::run)
}

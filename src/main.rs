//! The program `carousel`. Training is passed on to `carousel-train`.

use std::process::ExitCode;

fn main() -> ExitCode {
    carousel::cli::main(carousel::cli::run)
}

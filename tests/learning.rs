//! Training as users meet it: the tests of carousel-train, run by `carousel` as a user runs it.
#![allow(clippy::too_many_lines, reason = "tables of cases")]

/// Training classifiers, and using and evaluating them.
mod classifier;
/// Comparing networks, and interrupting that.
mod comparison;
/// Training by several processes.
mod distributed;
/// Runs that are killed, disks that fill, and what else a system may do.
#[cfg(target_os = "linux")]
mod faults;
/// Changes to inputs, by a number.
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod mutation;
/// Forecasting numbers by recurrent networks.
mod network_forecasts;
/// Damaged runs that are continued.
mod resuming;
/// A fresh folder for each test, and the programs run in it.
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod sandbox;
/// Training language models, and interrupting that.
mod training;
/// Training translators, and interrupting that.
mod translation;

/// The `carousel` beside carousel-train, which becomes that program to train.
fn program() -> std::path::PathBuf {
    let train = std::path::Path::new(env!("CARGO_BIN_EXE_carousel-train"));
    let carousel = train.with_file_name("carousel");
    assert!(
        carousel.is_file(),
        "there is no {}: run `cargo build` first",
        carousel.display()
    );
    carousel
}

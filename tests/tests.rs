//! Tests of the program `carousel`, without training, and properties that hold for any text.
#![allow(clippy::too_many_lines, reason = "tables of cases")]

/// Names that people bring, lists, and what helps on a machine.
mod commands;
/// Complete messages of wrong uses.
mod errors;
/// Models as ONNX graphs, which a small interpreter computes.
mod exporting;
/// Series of numbers: how they are read, and forecast.
mod forecasting;
/// Models and tests of series beside statsmodels and statsforecast.
mod forecasting_reference;
/// Damaged, hostile and random bytes for everything that reads foreign bytes.
mod fuzz;
/// Models of PyTorch: state dicts that are made here, with logits that are computed here.
mod importing;
/// Generation, evaluation and inspection, with a made-up model; no libtorch is needed.
mod inference;
/// What happens inside a network, with made-up models.
mod inspection;
/// Crates and their reasons.
mod manifests;
/// Changes to inputs, by a number.
mod mutation;
/// Models of n-grams.
mod ngrams;
/// How files are read: encodings, compression, layouts, headers, columns.
mod reading;
/// Columns beside the values of a series, and parameters that are estimated anew.
mod regressors;
/// A temporary folder for each test, in which programs are run.
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod sandbox;
/// The server: what it answers, and whom.
#[cfg(feature = "serve")]
mod serve;
/// Properties of tokenizers and of streams.
mod text;
/// BLEU and chrF beside sacreBLEU.
mod translation_reference;

/// Translation with made-up models.
mod translate;

/// Path of `carousel`, as cargo has built it.
fn program() -> std::path::PathBuf {
    env!("CARGO_BIN_EXE_carousel").into()
}

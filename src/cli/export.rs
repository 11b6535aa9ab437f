/*!
`carousel export`.
*/

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::HumanBytes;
use serde_json::Value;

use super::run_folder::RunFolder;
use super::standard;
use crate::checkpoint::weights_file::NumberFormat;
use crate::checkpoint::{Directory, models};
use crate::convert::onnx;
use crate::error::{Error, Result};
use crate::files;

/// Copy a model in fewer bytes, to use and to share, without the state that only training needs; or write it as ONNX.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel export -m model -o small --precision f16
  carousel export -m model --onnx model.onnx

The ONNX graph of a language model is one step: a token and the state before it, to logits and the
state after it, in float32. That of a classifier reads whole texts, and gives logits of the labels.")]
pub struct Arguments {
    /// The model: its folder, or the name of one that ships
    #[arg(short, long, value_name = "MODEL")]
    model: PathBuf,
    /// The folder for the copy
    #[arg(
        short,
        long,
        value_name = "DIR",
        required_unless_present = "onnx",
        conflicts_with = "onnx"
    )]
    output: Option<PathBuf>,
    /// Write a language model or a classifier as an ONNX graph to this file instead
    #[arg(long, value_name = "FILE")]
    onnx: Option<PathBuf>,
    /// Precision of the copied weights
    #[arg(long, value_enum, default_value_t = ExportPrecision::F16, conflicts_with = "onnx")]
    precision: ExportPrecision,
    /// Replace a model that is in the folder already, or the ONNX file
    #[arg(long)]
    overwrite: bool,
}

/// `--precision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExportPrecision {
    /// float32, as trained
    F32,
    /// float16: half the bytes
    F16,
    /// bfloat16: half the bytes, of wider range and coarser steps
    Bf16,
    /// 8-bit integers for the matrices, a quarter of the bytes: computed with as --precision int8 does with the model
    Int8,
}

/// Copies a model, or writes it as ONNX.
pub fn run(arguments: &Arguments) -> Result<()> {
    let from = models::find(&arguments.model)?;
    match (&arguments.onnx, &arguments.output) {
        (Some(file), _) => write_onnx(&from, file, arguments.overwrite),
        (None, Some(output)) => copy(&from, output, arguments),
        (None, None) => unreachable!("one of them is required"),
    }
}

/// Writes a model as an ONNX graph.
fn write_onnx(from: &Directory, file: &Path, overwrite: bool) -> Result<()> {
    if file.exists() && !overwrite {
        return Err(Error::usage(format!(
            "{} is there already; give another file, or replace it with --overwrite",
            file.display()
        )));
    }
    let config = from.load_config()?;
    onnx::check(&config).map_err(|error| error.in_file(from.path()))?;
    let tokenizer = from.load_tokenizer(&config)?;
    let bytes = onnx::file(&config, &from.load_weights(&config)?, &tokenizer)?;
    files::write_atomically(file, &bytes)?;
    if let Some(left_out) = onnx::leaves_out(&config) {
        standard::message(format!(
            "note: the graph is the network alone, without {left_out} beside it"
        ));
    }
    standard::message(format!(
        "wrote {} to {}",
        HumanBytes(bytes.len() as u64),
        file.display()
    ));
    Ok(())
}

/// Copies a model to a folder.
fn copy(from: &Directory, output: &Path, arguments: &Arguments) -> Result<()> {
    let to = Directory::at(output);
    if files::same_file(from.path(), to.path()) {
        return Err(Error::usage(
            "give another folder than the model's own, with -o",
        ));
    }
    let folder = RunFolder::replaceable(to.path())?;
    if to.newest().holds_run() && !arguments.overwrite {
        return Err(Error::usage(format!(
            "{} already holds a model; give another folder, or replace it with --overwrite",
            to.path().display()
        )));
    }
    let config = from.load_config()?;
    let (source, target) = match config.target() {
        Some(_) => from.load_tokenizers(&config)?,
        None => (from.load_tokenizer(&config)?, None),
    };
    let weights = from.load_weights(&config)?;
    let format = match arguments.precision {
        ExportPrecision::F32 => NumberFormat::Float32,
        ExportPrecision::F16 => NumberFormat::Float16,
        ExportPrecision::Bf16 => NumberFormat::Bfloat16,
        ExportPrecision::Int8 => NumberFormat::Int8,
    };
    if weights.is_int8() && format != NumberFormat::Int8 {
        standard::message(
            "note: the weights of this model are int8, and are copied as they were rounded",
        );
    }
    let bytes = weights.copy(&config, format)?;
    let record: Value = from.load_record()?;
    let copy = folder.directory.for_new_run()?;
    copy.create()?;
    copy.save_shared_record(record)?;
    copy.save_weights(&bytes)?;
    copy.save_translator(&config, &source, target.as_ref())?;
    // An old model goes only now that the copy is complete.
    copy.move_in()?;
    standard::message(format!(
        "wrote {} of weights to {}",
        HumanBytes(bytes.len() as u64),
        to.path().display()
    ));
    Ok(())
}

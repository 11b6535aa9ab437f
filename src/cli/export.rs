/*!
`carousel export`.
*/

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use indicatif::HumanBytes;
use serde_json::Value;

use super::run_folder::RunFolder;
use super::standard;
use crate::checkpoint::weights_file::NumberFormat;
use crate::checkpoint::{Directory, models};
use crate::error::{Error, Result};
use crate::files;

/// Copy a model in fewer bytes, to use and to share, without the state that only training needs.
#[derive(Args)]
#[command(after_help = "Example:
  carousel export -m model -o small --precision f16")]
pub struct Arguments {
    /// The model: its folder, or the name of one that ships
    #[arg(short, long, value_name = "MODEL")]
    model: PathBuf,
    /// The folder for the copy
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Precision of the copied weights
    #[arg(long, value_enum, default_value_t = ExportPrecision::F16)]
    precision: ExportPrecision,
    /// Replace a model that is in the folder already
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

/// Copies a model.
pub fn run(arguments: &Arguments) -> Result<()> {
    let from = models::find(&arguments.model)?;
    let to = Directory::at(&arguments.output);
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

/*!
`carousel export`.
*/

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::HumanBytes;
use serde_json::Value;

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
    if to.holds_run() && !arguments.overwrite {
        return Err(Error::usage(format!(
            "{} already holds a model; give another folder, or replace it with --overwrite",
            to.path().display()
        )));
    }
    let config = from.load_config()?;
    let tokenizer = from.load_tokenizer(&config)?;
    let weights = from.load_weights(&config)?;
    let format = match arguments.precision {
        ExportPrecision::F32 => NumberFormat::Float32,
        ExportPrecision::F16 => NumberFormat::Float16,
        ExportPrecision::Bf16 => NumberFormat::Bfloat16,
    };
    let bytes = weights.copy(&config, format)?;
    let mut record: Value = from.load_record()?;
    // A copy that is shared should not show the folders of the machine that trained it.
    strip_folders(&mut record, false);
    // An old model is removed only now that everything that replaces it has been read.
    to.clear(&[])?;
    to.create()?;
    to.save_record(&record)?;
    to.save_weights(&bytes)?;
    to.save_description(&config, &tokenizer)?;
    standard::message(format!(
        "wrote {} of weights to {}",
        HumanBytes(bytes.len() as u64),
        to.path().display()
    ));
    Ok(())
}

/// Keys of training.json whose values are paths.
const PATH_KEYS: [&str; 6] = ["paths", "files", "from", "valid", "validation", "test"];

/// Reduces every path to its last part; `is_path` says whether strings in `value` are paths.
fn strip_folders(value: &mut Value, is_path: bool) {
    match value {
        Value::String(text) if is_path => {
            if let Some(name) = Path::new(text).file_name() {
                *text = name.to_string_lossy().into_owned();
            }
        }
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| strip_folders(value, is_path)),
        Value::Object(values) => values.iter_mut().for_each(|(key, value)| {
            strip_folders(value, is_path || PATH_KEYS.contains(&&key[..]));
        }),
        _ => {}
    }
}

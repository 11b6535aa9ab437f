/*!
`carousel export`.
*/

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::HumanBytes;
use serde_json::Value;

use super::standard;
use crate::checkpoint::Directory;
use crate::checkpoint::directory::NumberFormat;
use crate::error::{Error, Result};
use crate::files;

/// Copy a model to use and to give away: without what only a resumed training needs, in fewer bytes if asked.
#[derive(Args)]
#[command(after_help = "Example:
  carousel export -m model -o small --precision f16")]
pub struct Arguments {
    /// The model: its folder, or the name of one that ships
    #[arg(short, long, value_name = "MODEL")]
    model: PathBuf,
    /// The folder to write the copy in
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// How its numbers are written
    #[arg(long, value_enum, default_value_t = Precision::F16)]
    precision: Precision,
    /// Replace a model that is in the folder already
    #[arg(long)]
    overwrite: bool,
}

/// `--precision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Precision {
    /// As trained
    F32,
    /// Half the bytes; what is read of it is float32 again
    F16,
}

/// Copies.
pub fn run(arguments: &Arguments) -> Result<()> {
    let from = Directory::find(&arguments.model)?;
    let to = Directory::at(&arguments.output);
    if files::same(from.path(), to.path()) {
        return Err(Error::usage(
            "give another folder than the model's own with -o",
        ));
    }
    if to.holds_run() && !arguments.overwrite {
        return Err(Error::usage(format!(
            "{} holds a model already; choose another folder, or replace it with --overwrite",
            to.path().display()
        )));
    }
    let config = from.load_config()?;
    let tokenizer = from.load_tokenizer(&config)?;
    let weights = from.load_weights(&config)?;
    let numbers = match arguments.precision {
        Precision::F32 => NumberFormat::Float32,
        Precision::F16 => NumberFormat::Float16,
    };
    let bytes = weights.copy(&config, numbers)?;
    let mut record: Value = from.load_any_record()?;
    // Where the texts lay on the machine that learnt from them is nobody else's concern.
    forget_folders(&mut record, false);
    // Only now is there something to put in its place.
    to.clear(&[])?;
    to.create()?;
    to.save_any_record(&record)?;
    to.save_weights(&bytes)?;
    to.save_description(&config, &tokenizer)?;
    standard::tell(format!(
        "{} of weights are in {}",
        HumanBytes(bytes.len() as u64),
        to.path().display()
    ));
    Ok(())
}

/// What in training.json names files.
const NAMES_FILES: [&str; 5] = ["paths", "files", "from", "valid", "validation"];

/// Keeps the last part of every path.
fn forget_folders(value: &mut Value, names_files: bool) {
    match value {
        Value::String(text) if names_files => {
            if let Some(name) = Path::new(text).file_name() {
                *text = name.to_string_lossy().into_owned();
            }
        }
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| forget_folders(value, names_files)),
        Value::Object(values) => values.iter_mut().for_each(|(key, value)| {
            forget_folders(value, names_files || NAMES_FILES.contains(&&key[..]));
        }),
        _ => {}
    }
}

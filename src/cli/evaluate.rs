/*!
`carousel evaluate`: its flags, and the choice between text and labelled documents by the kind of model.
*/

use std::path::PathBuf;

use clap::Args;

use super::flags::DocumentFlags;
use super::model::ModelArguments;
use super::{evaluate_documents, evaluate_text};
use crate::checkpoint::architecture::Head;
use crate::error::{Error, Result};

/// Evaluate a model on a text or on labelled texts.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel evaluate -m model other-book.txt
  carousel evaluate -m sentiment reviews.csv
  carousel evaluate -m sentiment reviews.csv --baseline-from other-reviews.csv")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Files and folders of text, - is standard input; for a classifier CSV, TSV, JSONL or fastText files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// For a classifier: train the baselines on these documents and evaluate them too, instead of repeating their scores
    /// from the model's training
    #[arg(long, value_name = "LABELLED")]
    baseline_from: Option<PathBuf>,
    #[command(flatten)]
    layout: DocumentFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Evaluates a model.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments {
        model,
        files,
        baseline_from,
        layout,
        json,
    } = arguments;
    let options = layout.options();
    match model.directory(None)?.load_config()?.head {
        Head::NextToken(_) if baseline_from.is_some() || options.give_layout() => {
            Err(Error::usage(
                "--baseline-from, --format, --label-column and --text-column are for classifiers, and this is a language model",
            ))
        }
        Head::NextToken(_) => evaluate_text::run(model, files, options.lossy, *json),
        Head::Labels(_) => {
            evaluate_documents::run(model, files, &options, baseline_from.as_deref(), *json)
        }
    }
}

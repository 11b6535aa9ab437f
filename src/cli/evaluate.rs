/*!
`carousel evaluate`: its flags, and the choice between text and labelled documents by the kind of model.
*/

use std::path::PathBuf;

use clap::Args;

use super::flags::DocumentFlags;
use super::model::{ModelArguments, PrecisionChoice, default_model, default_precision};
use super::{evaluate_documents, evaluate_text};
use crate::checkpoint::architecture::Head;
use crate::error::{Error, Result};

/// Evaluate a model on a text or on labelled texts.
#[derive(Args)]
#[command(
    mut_arg("model", default_model(None)),
    mut_arg("precision", default_precision(PrecisionChoice::F32))
)]
#[command(after_help = "Examples:
  carousel evaluate -m model other-book.txt
  carousel evaluate -m sentiment corpora/tries.csv
  carousel evaluate -m sentiment corpora/tries.csv --baseline-from corpora/verdicts.csv

Give texts that the model has not learnt from. There is no default model.")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Files and folders of text, - is standard input; for a classifier CSV, TSV, JSONL or fastText files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// For a classifier: train the baselines on these documents and evaluate them on the same documents as the model,
    /// instead of repeating the scores of both from the model's training
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
        Head::Values(_) => Err(Error::usage(
            "this model forecasts numbers; `carousel forecast FILE -m DIR --backtest 10` evaluates it",
        )),
        Head::Labels(_) => {
            evaluate_documents::run(model, files, &options, baseline_from.as_deref(), *json)
        }
    }
}

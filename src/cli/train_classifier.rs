/*!
`carousel train-classifier`: its flags. What they do is in `carousel-train`.
*/

use std::path::PathBuf;

use clap::Args;

use crate::settings::Settings;
use crate::text::labelled;

/// Learn to tell labels from texts that have them.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel train-classifier reviews.csv -o model
  carousel train-classifier reviews.csv -o model --from language-model --time 10m
  carousel train-classifier train.csv --valid valid.csv -o model --label-column stars
  carousel train-classifier --resume model")]
pub struct Arguments {
    /// CSV, TSV or JSONL files with a column of labels and one of texts
    #[arg(value_name = "LABELLED", required_unless_present = "resume")]
    pub documents: Vec<PathBuf>,
    /// The folder to keep the model in
    #[arg(short, long, value_name = "DIR", required_unless_present = "resume")]
    pub output: Option<PathBuf>,
    /// Continue the run in a folder, with the options it began with
    #[arg(long, value_name = "DIR")]
    pub resume: Option<PathBuf>,
    /// Replace a model that is in the folder already
    #[arg(long)]
    pub overwrite: bool,
    /// Show no plan and no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// How the documents lie in the files
    #[command(flatten)]
    pub request: labelled::Request,
    /// How to train
    #[command(flatten)]
    pub settings: Settings,
}

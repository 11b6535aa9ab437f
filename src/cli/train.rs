/*!
`carousel train`: its flags. What they do is in `carousel-train`.
*/

use std::path::PathBuf;

use clap::{Args, Command};

use crate::recipe::OF_LABELS;
use crate::settings::Settings;

/// Learn a language model from text.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel train book.txt -o model
  carousel train books/ -o model --level word --time 10m
  carousel train ptb.train.txt -o ptb --level word --split whitespace --valid ptb.valid.txt
  carousel train book.txt --plan --time 10m
  carousel train --resume model")]
pub struct Arguments {
    /// Files and folders of text; - is standard input
    #[arg(value_name = "CORPUS", required_unless_present = "resume")]
    pub corpus: Vec<PathBuf>,
    /// The folder to keep the model in
    #[arg(short, long, value_name = "DIR", required_unless_present_any = ["resume", "plan"])]
    pub output: Option<PathBuf>,
    /// Continue the run in a folder, with the options it began with
    #[arg(long, value_name = "DIR")]
    pub resume: Option<PathBuf>,
    /// Show what would be done, sizes, memory and speed, and stop
    #[arg(long, conflicts_with_all = ["resume", "quiet"])]
    pub plan: bool,
    /// Replace a model that is in the folder already
    #[arg(long)]
    pub overwrite: bool,
    /// Show no plan, progress or samples
    #[arg(short, long)]
    pub quiet: bool,
    /// How to train
    #[command(flatten)]
    pub settings: Settings,
}

/// Leaves out of the command's help what means nothing for a text.
pub fn explain(command: Command) -> Command {
    command.mut_arg(OF_LABELS.trim_start_matches('-'), |argument| {
        argument.hide(true)
    })
}

/*!
`carousel train-classifier`: its flags. What they do is in `carousel-train`.
*/

use std::path::PathBuf;

use clap::{Args, Command};

use crate::recipe::OF_A_TEXT;
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

/// Settings that mean something else for labels than for a text, or have other defaults.
const OTHERWISE: [(&str, &str); 16] = [
    (
        "level",
        "What a token is [default: word, or the model's with --from]",
    ),
    (
        "vocab_size",
        "The most different tokens [default: 30000 words; all characters; bpe by the texts' size]",
    ),
    (
        "valid",
        "What to measure on: a file, or a share of each label's documents [default: 0.1]",
    ),
    (
        "from",
        "Go on from a trained model: its folder, or the name of one that ships. Its vocabulary and its layers are kept; of \
         a classifier of the same labels the head too, and what its words count where that serves",
    ),
    (
        "embedding_size",
        "Width of a token's vector [default: suits the documents]",
    ),
    (
        "hidden_size",
        "Width of each layer's hidden state [default: suits the documents]",
    ),
    ("num_layers", "Stacked LSTM layers [default: 1]"),
    (
        "bidirectional",
        "Read texts from their end too, by layers of their own [default: false, or as the model's with --from]",
    ),
    (
        "dropout",
        "Share of what the head sees that is dropped in training [default: 0.4]",
    ),
    (
        "embedding_dropout",
        "Share of symbols whose vectors are dropped in training, for all of a batch [default: 0.1]",
    ),
    (
        "input_dropout",
        "Share of the places of the symbols' vectors dropped in training, for all of a text [default: 0.2]",
    ),
    (
        "weight_drop",
        "Share of recurrent weights dropped in training, for all of a batch [default: 0.2]",
    ),
    (
        "batch_size",
        "Documents before each update [default: suits the documents]",
    ),
    (
        "learning_rate",
        "The highest learning rate, of the head; layers below have less [default: suits the documents]",
    ),
    (
        "warmup",
        "Share of the budget over which the learning rate rises [default: 0.1]",
    ),
    (
        "patience",
        "Stop after so many evaluations without a better macro F1, 0 for never [default: 8]",
    ),
];

/// The setting that leaves no choice: classifiers are trained on the CPU.
const ON_THE_CPU: &str = "device";

/// Tells in the command's help what the settings mean for labels, and leaves out those that mean nothing.
pub fn explain(command: Command) -> Command {
    let nothing = OF_A_TEXT.map(|option| option.trim_start_matches('-').replace('-', "_"));
    command.mut_args(|argument| {
        let name = argument.get_id().as_str();
        let hidden = name == ON_THE_CPU || nothing.iter().any(|nothing| nothing == name);
        let otherwise = OTHERWISE.iter().find(|(known, _)| *known == name);
        match otherwise {
            Some((_, help)) => argument.help(*help),
            None if hidden => argument.hide(true),
            None => argument,
        }
    })
}

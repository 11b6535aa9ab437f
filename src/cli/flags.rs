/*!
Flags that more than one command has.
*/

use std::time::Duration;

use clap::Args;

use crate::checkpoint::arguments::{GradientMethod, Schedule, TrainArguments, TrainingPrecision};
use crate::data::labelled::{DocumentOptions, Format};
use crate::text::Split;

/// Flags of both `train` and `train-classifier`.
#[derive(Args)]
pub struct TrainingFlags {
    /// Where words end, at word level [default: natural]
    #[arg(long, value_enum, help_heading = "Text")]
    split: Option<Split>,
    /// How often a character or word must occur to get a token [default: 1; words 2, unless --split whitespace]
    #[arg(long, value_name = "N", help_heading = "Text")]
    min_count: Option<u64>,

    /// How long to train, by the wall clock of the whole command: 90s, 2m, 1h30m [default: 3m]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, group = "budget", help_heading = "Training")]
    time: Option<Duration>,
    /// How long to train, in passes over the training data
    #[arg(long, value_name = "N", group = "budget", help_heading = "Training")]
    epochs: Option<f64>,
    /// How long to train, in updates of the weights
    #[arg(long, value_name = "N", group = "budget", help_heading = "Training")]
    steps: Option<u64>,
    /// How the learning rate changes over the budget [default: linear for characters and bytes, cosine for words, bpe and labels]
    #[arg(long, value_enum, help_heading = "Training")]
    schedule: Option<Schedule>,
    /// Weight decay, on matrices [default: 0.01]
    #[arg(long, value_name = "RATE", help_heading = "Training")]
    weight_decay: Option<f64>,
    /// Largest norm of the gradients, to which larger ones are scaled down; 0 for no limit [default: 1]
    #[arg(long, value_name = "NORM", help_heading = "Training")]
    clip_norm: Option<f64>,
    /// Decay of the moving average of the weights, such as 0.999; the averaged weights are then validated and saved; 0 for
    /// no average [default: 0]
    #[arg(long, value_name = "FRACTION", help_heading = "Training")]
    ema: Option<f64>,
    /// Seed of everything random [default: 1]
    #[arg(long, value_name = "N", help_heading = "Training")]
    seed: Option<u64>,
    /// Precision of matrix products; weights, sums and losses are always float32 [default: auto]
    #[arg(long, value_enum, help_heading = "Training")]
    precision: Option<TrainingPrecision>,
    /// What computes gradients [default: auto]
    #[arg(long, value_enum, value_name = "METHOD", help_heading = "Training")]
    gradients: Option<GradientMethod>,
}

impl TrainingFlags {
    /// The options that were given by these flags.
    pub fn arguments(&self) -> TrainArguments {
        TrainArguments {
            split: self.split,
            min_count: self.min_count,
            time: self.time,
            epochs: self.epochs,
            steps: self.steps,
            schedule: self.schedule,
            weight_decay: self.weight_decay,
            clip_norm: self.clip_norm,
            ema: self.ema,
            seed: self.seed,
            precision: self.precision,
            gradients: self.gradients,
            ..TrainArguments::default()
        }
    }
}

/// How documents are laid out in files.
#[derive(Args)]
pub struct DocumentFlags {
    /// How documents are laid out in the file [default: by its name and beginning]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Documents")]
    format: Option<Format>,
    /// The column, or key, of the labels [default: label, sentiment, class …]
    #[arg(long, value_name = "NAME", help_heading = "Documents")]
    label_column: Option<String>,
    /// The column, or key, of the texts [default: text, review, sentence …]
    #[arg(long, value_name = "NAME", help_heading = "Documents")]
    text_column: Option<String>,
}

impl DocumentFlags {
    /// The library's options for these flags. Labels are not required.
    pub fn options(&self) -> DocumentOptions {
        DocumentOptions {
            format: self.format,
            label_column: self.label_column.clone(),
            text_column: self.text_column.clone(),
            labels: false,
        }
    }
}

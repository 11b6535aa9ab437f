/*!
Flags that more than one command has.
*/

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::time::time;
use crate::checkpoint::architecture::{InitialState, Leak};
use crate::checkpoint::arguments::{
    CellChoice, DeviceChoice, GradientMethod, GradientPrecision, RecurrentInit, Schedule,
    TrainArguments, TrainingPrecision,
};
use crate::data::labelled::{DocumentOptions, Format};
use crate::error::{Error, Result};
use crate::text::Split;
use carousel_kernels::recurrent::Activation;

/// Flags of a run of training: its folder, and what is shown.
#[derive(Args)]
pub struct RunFlags {
    /// The folder for the model
    #[arg(display_order = 1, short, long, value_name = "DIR", required_unless_present_any = ["resume", "plan"])]
    pub output: Option<PathBuf>,
    /// Continue the run in a folder, with the options it began with; give the data again only where it was moved
    #[arg(display_order = 6, long, value_name = "DIR")]
    pub resume: Option<PathBuf>,
    /// Train by this number of processes on this machine; on several machines, torchrun starts them
    #[arg(long, value_name = "N", conflicts_with = "plan", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=256), help_heading = "Several processes")]
    pub processes: Option<usize>,
    /// Show what would be done, sizes, memory and speed, and stop
    #[arg(display_order = 7, long, conflicts_with_all = ["resume", "quiet"])]
    pub plan: bool,
    /// Print the plan as a JSON object
    #[arg(display_order = 8, long, requires = "plan")]
    pub json: bool,
    /// Replace a model that is in the folder already, once the new one has weights
    #[arg(display_order = 9, long)]
    pub overwrite: bool,
    /// Show no plan, no progress and no samples
    #[arg(display_order = 10, short, long)]
    pub quiet: bool,
}

impl RunFlags {
    /// The folder of the run, begun or resumed.
    ///
    /// # Errors
    /// There is none, as with --plan.
    pub fn folder(&self) -> Result<&Path> {
        let folder = self.resume.as_deref().or(self.output.as_deref());
        folder.ok_or_else(|| Error::usage("give the folder for the model with -o"))
    }

    /// Whether flags were given that only a run which begins has.
    pub fn begins(&self) -> bool {
        self.output.is_some() || self.overwrite
    }
}

/// Flags of every task that is trained.
#[derive(Args)]
pub struct TrainingFlags {
    /// Where words end, at word level [default: natural]
    #[arg(long, value_enum, help_heading = "Text")]
    split: Option<Split>,
    /// How often a character or word must occur to get a token [default: 1; words 2, unless --split whitespace]
    #[arg(long, value_name = "N", help_heading = "Text")]
    min_count: Option<u64>,

    /// How long to train, by the wall clock of the whole command: 90s, 2m, 1h30m, or a number of seconds [default: 3m]
    #[arg(display_order = 2, long, value_name = "TIME", value_parser = time, group = "budget")]
    time: Option<Duration>,
    /// How long to train, in passes over the training data
    #[arg(long, value_name = "N", group = "budget", help_heading = "Training")]
    epochs: Option<f64>,
    /// How long to train, in updates of the weights
    #[arg(long, value_name = "N", group = "budget", help_heading = "Training")]
    steps: Option<u64>,
    /// How the learning rate changes over the budget [default: linear for characters and bytes, cosine for words, bpe and labels]
    #[arg(long, value_enum, help_heading = "Advanced")]
    schedule: Option<Schedule>,
    /// Weight decay, on matrices [default: 0.01]
    #[arg(long, value_name = "RATE", help_heading = "Advanced")]
    weight_decay: Option<f64>,
    /// Largest norm of the gradients, to which larger ones are scaled down; 0 for no limit [default: 1]
    #[arg(long, value_name = "NORM", help_heading = "Advanced")]
    clip_norm: Option<f64>,
    /// Decay of the moving average of the weights, such as 0.999; the averaged weights are then validated and saved; 0 for
    /// no average [default: 0]
    #[arg(long, value_name = "FRACTION", help_heading = "Advanced")]
    ema: Option<f64>,
    /// Seed of everything random [default: 1]
    #[arg(long, value_name = "N", help_heading = "Training")]
    seed: Option<u64>,
    /// Precision of matrix products; weights, sums and losses are always float32 [default: auto]
    #[arg(long, value_enum, help_heading = "Advanced")]
    precision: Option<TrainingPrecision>,
    /// What computes gradients [default: auto]
    #[arg(long, value_enum, value_name = "METHOD", help_heading = "Advanced")]
    gradients: Option<GradientMethod>,
    /// Where to compute: auto, cpu, cuda or cuda:N; auto is a GPU if libtorch finds one [default: auto]
    #[arg(long, value_name = "DEVICE", help_heading = "Advanced")]
    device: Option<DeviceChoice>,
    /// Precision in which gradients are sent; bf16 is half the bytes [default: f32]
    #[arg(long, value_enum, help_heading = "Several processes")]
    gradient_precision: Option<GradientPrecision>,
    /// Steps that each process takes alone before all take one together, for slow networks [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000), help_heading = "Several processes")]
    sync_every: Option<u64>,
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
            device: self.device,
            gradient_precision: self.gradient_precision,
            sync_every: self.sync_every,
            ..TrainArguments::default()
        }
    }
}

/// Flags of what layers are made of.
#[derive(Args)]
pub struct CellFlags {
    /// The recurrent cell: rnn, leaky, skip, gru or lstm; or transformer, for language models and
    /// translators [default: gru for much text in characters and little time, else lstm]
    #[arg(long, value_name = "CELL", help_heading = "Network")]
    cell: Option<CellChoice>,
    /// What rnn, leaky and skip apply to their sums: tanh or relu [default: tanh]
    #[arg(long, value_name = "NAME", value_parser = activation, help_heading = "Advanced")]
    activation: Option<Activation>,
    /// The part of their state that leaky units keep at each step: a fraction, or learn for one of each unit
    /// [default: learn]
    #[arg(long, value_name = "FRACTION|learn", help_heading = "Advanced")]
    leak: Option<Leak>,
    /// How many steps back the connections of skip go, besides the last step, such as 4 or 4,16 [default: 4]
    #[arg(
        long,
        value_name = "STEPS",
        value_delimiter = ',',
        help_heading = "Advanced"
    )]
    skip: Vec<usize>,
    /// Normalise the products of each layer; trained by autograd [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", help_heading = "Advanced")]
    layer_norm: Option<bool>,
    /// Add what a layer above the first reads to its outputs [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", help_heading = "Advanced")]
    residual: Option<bool>,
    /// The state that texts, and windows in training, begin with [default: carried; zero for a classifier]
    #[arg(long, value_enum, value_name = "STATE", help_heading = "Advanced")]
    initial_state: Option<InitialState>,
    /// What the recurrent weights begin as [default: orthogonal; identity with --activation relu]
    #[arg(long, value_enum, value_name = "INIT", help_heading = "Advanced")]
    recurrent_init: Option<RecurrentInit>,
}

impl CellFlags {
    /// The options that were given by these flags, beside others.
    pub fn added_to(&self, arguments: TrainArguments) -> TrainArguments {
        TrainArguments {
            cell: self.cell,
            activation: self.activation,
            leak: self.leak,
            skip: self.skip.clone(),
            layer_norm: self.layer_norm,
            residual: self.residual,
            initial_state: self.initial_state,
            recurrent_init: self.recurrent_init,
            ..arguments
        }
    }
}

/// An activation by its name.
fn activation(name: &str) -> std::result::Result<Activation, String> {
    let known = Activation::ALL.into_iter().find(|one| one.name() == name);
    known.ok_or_else(|| {
        let names = Activation::ALL.map(Activation::name);
        format!("there is no activation {name}; give {}", names.join(", "))
    })
}

/// How documents are laid out in files.
#[derive(Args)]
pub struct DocumentFlags {
    /// How documents are laid out in the file [default: by its name and beginning]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Documents")]
    format: Option<Format>,
    /// The column of the labels by its name or number, or the key [default: label, sentiment, class …]
    #[arg(long, value_name = "NAME|N", help_heading = "Documents")]
    label_column: Option<String>,
    /// The column of the texts by its name or number, or the key [default: text, review, sentence …]
    #[arg(long, value_name = "NAME|N", help_heading = "Documents")]
    text_column: Option<String>,
    /// Replace invalid UTF-8 instead of refusing it
    #[arg(long)]
    lossy: bool,
}

impl DocumentFlags {
    /// The library's options for these flags. Labels are not required.
    pub fn options(&self) -> DocumentOptions {
        DocumentOptions {
            format: self.format,
            label_column: self.label_column.clone(),
            text_column: self.text_column.clone(),
            labels: false,
            lossy: self.lossy,
            keeps_fields: false,
        }
    }
}

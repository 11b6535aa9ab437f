/*!
Flags of the commands that use a model.
*/

use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::{Arg, Args, ValueEnum};

use super::standard;
use crate::checkpoint::{Directory, models};
use crate::error::{Error, Result};
use crate::forecasting::folder::ForecastFolder;
use crate::inference::Model;
use crate::inference::classifier::Classifier;
use crate::inference::translator::Translator;
use carousel_kernels::{Kernel, Precision};

/// Help of `--model`, before what a command does without it.
const MODEL_HELP: &str = "The model: its folder, or the name of one that ships";
/// Help of `--precision`, before a command's default.
const PRECISION_HELP: &str = "Precision of the computation";
/// Most threads by default: more would wait for each other too often.
const MOST_THREADS: usize = 8;

/// The model, and how it computes. A command completes the help of both options by its own defaults, with
/// [`default_model`] and [`default_precision`].
#[derive(Args)]
pub struct ModelArguments {
    #[arg(short, long, value_name = "MODEL", help = MODEL_HELP)]
    model: Option<PathBuf>,
    #[arg(long, value_name = "PRECISION", help_heading = "Computing", help = PRECISION_HELP)]
    precision: Option<PrecisionChoice>,
    /// Number of threads; the results do not depend on it [default: one for each core, 8 at most]
    #[arg(long, value_name = "N", help_heading = "Computing", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

/// Completes the help of `--model` by the model that a command takes by default; without one it has to be given.
pub fn default_model(model: Option<&str>) -> impl FnOnce(Arg) -> Arg {
    let help = match model {
        Some(model) => format!("{MODEL_HELP} [default: {model}]"),
        None => format!("{MODEL_HELP}; it has to be given"),
    };
    move |arg| arg.help(help)
}

/// Completes the help of `--precision` by a command's default.
pub fn default_precision(precision: PrecisionChoice) -> impl FnOnce(Arg) -> Arg {
    let name = precision.to_possible_value();
    let name = name.map_or(String::new(), |value| value.get_name().to_string());
    move |arg| arg.help(format!("{PRECISION_HELP} [default: {name}]"))
}

/// `--precision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrecisionChoice {
    /// The fastest at almost no loss of quality: int8 where the CPU multiplies it, else f32
    Auto,
    /// float32, as trained
    F32,
    /// bfloat16: half the memory for matrices
    Bf16,
    /// 8-bit integers: a quarter of the memory for matrices
    Int8,
}

impl ModelArguments {
    /// The model's folder; if no model was given, that of the one named `default`.
    ///
    /// # Errors
    /// If there is no such model, or none was given and there is no default.
    pub fn directory(&self, default: Option<&str>) -> Result<Directory> {
        match (&self.model, default) {
            (Some(model), _) => models::find(model),
            (None, Some(default)) => models::find(default.as_ref()),
            (None, None) => Err(Error::usage("give the model with -m")),
        }
    }

    /// The folder of a forecaster, if that was given.
    pub fn forecaster(&self) -> Option<ForecastFolder> {
        let folder = self.model.as_ref().map(ForecastFolder::at);
        folder.filter(ForecastFolder::holds_forecaster)
    }

    /// Opens a language model, with defaults for what was not given.
    pub fn open_language_model(
        &self,
        model: Option<&str>,
        precision: PrecisionChoice,
    ) -> Result<Model> {
        let directory = self.directory(model)?;
        let (precision, threads) =
            computation((self.precision, precision), self.threads, Some(&directory));
        Model::open(&directory, precision, threads)
    }

    /// Opens a classifier, with defaults for what was not given.
    pub fn open_classifier(
        &self,
        model: Option<&str>,
        precision: PrecisionChoice,
    ) -> Result<Classifier> {
        let directory = self.directory(model)?;
        let (precision, threads) =
            computation((self.precision, precision), self.threads, Some(&directory));
        Classifier::open(&directory, precision, threads)
    }

    /// Opens a translator, with defaults for what was not given.
    pub fn open_translator(
        &self,
        model: Option<&str>,
        precision: PrecisionChoice,
    ) -> Result<Translator> {
        let directory = self.directory(model)?;
        let (precision, threads) =
            computation((self.precision, precision), self.threads, Some(&directory));
        Translator::open(&directory, precision, threads)
    }
}

/// Precision, the one that was given or the default, and number of threads. Weights that are int8 are multiplied as such, unless
/// another precision is asked for.
pub fn computation(
    (asked, default): (Option<PrecisionChoice>, PrecisionChoice),
    threads: Option<u16>,
    directory: Option<&Directory>,
) -> (Precision, usize) {
    let is_int8 = directory.is_some_and(Directory::is_int8);
    let given = asked.filter(|&given| given != PrecisionChoice::Auto);
    let choice = match given {
        Some(given) if given != PrecisionChoice::Int8 && is_int8 => {
            standard::message(
                "note: the weights of this model are int8; they are computed with as they were rounded",
            );
            given
        }
        Some(given) => given,
        None if is_int8 => PrecisionChoice::Int8,
        None => asked.unwrap_or(default),
    };
    let precision = match choice {
        PrecisionChoice::Auto if Kernel::int8_is_native() => Precision::Int8,
        PrecisionChoice::Auto | PrecisionChoice::F32 => Precision::Float32,
        PrecisionChoice::Bf16 => Precision::Bfloat16,
        PrecisionChoice::Int8 => Precision::Int8,
    };
    let cores = || available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS));
    (precision, threads.map_or_else(cores, usize::from))
}

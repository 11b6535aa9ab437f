/*!
Flags of the commands that use a model.
*/

use std::path::PathBuf;

use clap::{Arg, Args, ValueEnum};

use super::standard;
use crate::checkpoint::{Directory, models};
use crate::error::{Error, Result};
use crate::forecasting::folder::ForecastFolder;
use crate::inference::Model;
use crate::inference::classifier::Classifier;
use crate::inference::computation::{Computation, PrecisionChoice};
use crate::inference::translator::Translator;
use carousel_kernels::Precision;

/// Help of `--model`, before what a command does without it.
const MODEL_HELP: &str = "The model: its folder, or the name of one that ships";
/// Help of `--precision`, before a command's default.
const PRECISION_HELP: &str = "Precision of the computation";

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

/// Precision, the one that was given or the default, and number of threads.
pub fn computation(
    choice: (Option<PrecisionChoice>, PrecisionChoice),
    threads: Option<u16>,
    directory: Option<&Directory>,
) -> (Precision, usize) {
    let found = Computation::of(choice, threads, directory);
    if let Some(note) = found.note {
        standard::message(format!("note: {note}"));
    }
    (found.precision, found.threads)
}

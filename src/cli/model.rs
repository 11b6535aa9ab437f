/*!
Flags of the commands that use a model.
*/

use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::{Args, ValueEnum};

use crate::checkpoint::{Directory, models};
use crate::error::{Error, Result};
use crate::inference::Model;
use crate::inference::classifier::Classifier;
use carousel_kernels::{Kernel, Precision};

/// Most threads by default: more would wait for each other too often.
const MOST_THREADS: usize = 8;

/// The model, and how it computes.
#[derive(Args)]
pub struct ModelArguments {
    /// The model: its folder, or the name of one that ships [default: reviews to generate, sentiment to classify, none to score and to evaluate]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Precision of the computation [default: auto to generate and to classify, f32 to score and to evaluate]
    #[arg(long, value_name = "PRECISION", help_heading = "Computing")]
    precision: Option<PrecisionChoice>,
    /// Number of threads; the results do not depend on it [default: one for each core, 8 at most]
    #[arg(long, value_name = "N", help_heading = "Computing", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
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

    /// Opens a language model, with defaults for what was not given.
    pub fn open_language_model(
        &self,
        model: Option<&str>,
        precision: PrecisionChoice,
    ) -> Result<Model> {
        let (precision, threads) = self.computation(precision);
        Model::open(&self.directory(model)?, precision, threads)
    }

    /// Opens a classifier, with defaults for what was not given.
    pub fn open_classifier(
        &self,
        model: Option<&str>,
        precision: PrecisionChoice,
    ) -> Result<Classifier> {
        let (precision, threads) = self.computation(precision);
        Classifier::open(&self.directory(model)?, precision, threads)
    }

    /// Precision and number of threads.
    fn computation(&self, default: PrecisionChoice) -> (Precision, usize) {
        let precision = match self.precision.unwrap_or(default) {
            PrecisionChoice::Auto if Kernel::int8_is_native() => Precision::Int8,
            PrecisionChoice::Auto | PrecisionChoice::F32 => Precision::Float32,
            PrecisionChoice::Bf16 => Precision::Bfloat16,
            PrecisionChoice::Int8 => Precision::Int8,
        };
        let cores = || available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS));
        (precision, self.threads.map_or_else(cores, usize::from))
    }
}

/*!
What the commands that use a model say about it.
*/

use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::{Args, ValueEnum};

use crate::checkpoint::Directory;
use crate::error::{Error, Result};
use crate::inference::Model;
use crate::inference::classifier::Classifier;
use carousel_kernels::{Kernel, Precision};

/// More threads than this have to wait for each other too often.
const MOST_THREADS: usize = 8;

/// A model, and how it is to compute.
#[derive(Args)]
pub struct ModelArguments {
    /// The model: its folder, or the name of one that ships [default: to write reviews, to classify sentiment]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// How numbers are kept while computing [default: auto to write and to tell labels, f32 to measure]
    #[arg(long, value_name = "PRECISION", help_heading = "Computing")]
    precision: Option<Choice>,
    /// Threads to compute with; the result does not depend on it [default: one for each core, 8 at most]
    #[arg(long, value_name = "N", help_heading = "Computing", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

/// `--precision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// The fastest that costs next to nothing in quality: int8 where the CPU multiplies it by itself, else f32
    Auto,
    /// As trained
    F32,
    /// Half the memory for its matrices
    Bf16,
    /// A quarter of the memory for its matrices
    Int8,
}

impl ModelArguments {
    /// The model's folder; of the one that `ships`, if none was named.
    ///
    /// # Errors
    /// If there is no such model.
    pub fn directory(&self, ships: Option<&str>) -> Result<Directory> {
        match (&self.model, ships) {
            (Some(model), _) => Directory::find(model),
            (None, Some(ships)) => Directory::find(ships.as_ref()),
            (None, None) => Err(Error::usage("name the model with -m")),
        }
    }

    /// Opens a language model.
    pub fn open(&self, ships: Option<&str>, unless_given: Choice) -> Result<Model> {
        let (precision, threads) = self.computing(unless_given);
        Model::open(&self.directory(ships)?, precision, threads)
    }

    /// Opens a classifier.
    pub fn open_classifier(&self, ships: Option<&str>, unless_given: Choice) -> Result<Classifier> {
        let (precision, threads) = self.computing(unless_given);
        Classifier::open(&self.directory(ships)?, precision, threads)
    }

    fn computing(&self, unless_given: Choice) -> (Precision, usize) {
        let precision = match self.precision.unwrap_or(unless_given) {
            Choice::Auto if Kernel::int8_is_native() => Precision::Int8,
            Choice::Auto | Choice::F32 => Precision::Float32,
            Choice::Bf16 => Precision::Bfloat16,
            Choice::Int8 => Precision::Int8,
        };
        let cores = || available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS));
        (precision, self.threads.map_or_else(cores, usize::from))
    }
}

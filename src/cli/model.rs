/*!
What the commands that use a model say about it.
*/

use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::{Args, ValueEnum};

use crate::checkpoint::Directory;
use crate::error::Result;
use crate::inference::Model;
use crate::kernels::{Kernel, Precision};

/// More threads than this have to wait for each other too often.
const MOST_THREADS: usize = 8;

/// A model, and how it is to compute.
#[derive(Args)]
pub struct ModelArguments {
    /// The model: its folder, or the name of one that ships
    #[arg(short, long, value_name = "MODEL")]
    model: PathBuf,
    /// How numbers are kept while computing [default: auto to write text, f32 to measure]
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
    /// The model's folder.
    pub fn directory(&self) -> Result<Directory> {
        Directory::find(&self.model)
    }

    /// Opens the model.
    pub fn open(&self, unless_given: Choice) -> Result<Model> {
        let precision = match self.precision.unwrap_or(unless_given) {
            Choice::Auto if Kernel::int8_is_native() => Precision::Int8,
            Choice::Auto | Choice::F32 => Precision::Float32,
            Choice::Bf16 => Precision::Bfloat16,
            Choice::Int8 => Precision::Int8,
        };
        let cores = || available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS));
        let threads = self.threads.map_or_else(cores, usize::from);
        Model::open(&self.directory()?, precision, threads)
    }
}

/*!
How a model computes: the precision of its products, and its number of threads.
*/

use std::str::FromStr;
use std::thread::available_parallelism;

use crate::checkpoint::Directory;
use crate::error::{Error, Result};
use carousel_kernels::{Kernel, Precision};

/// Most threads by default: more would wait for each other too often.
const MOST_THREADS: usize = 8;
const ROUNDED: &str =
    "the weights of this model are int8; they are computed with as they were rounded";

/// A precision as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrecisionChoice {
    /// The fastest at almost no loss of quality: int8 where the CPU multiplies it, else float32.
    Auto,
    /// float32, as trained.
    F32,
    /// bfloat16.
    Bf16,
    /// 8-bit integers.
    Int8,
}

/// How a model computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Computation {
    /// Precision of the products.
    pub precision: Precision,
    /// Most threads.
    pub threads: usize,
    /// What is to be said of weights that are int8 where another precision was asked for.
    pub note: Option<&'static str>,
}

impl Computation {
    /// Precision, the one that was asked for or the default, and number of threads. Weights of a directory that are int8 are
    /// multiplied as such, unless another precision is asked for.
    pub fn of(
        (asked, default): (Option<PrecisionChoice>, PrecisionChoice),
        threads: Option<u16>,
        directory: Option<&Directory>,
    ) -> Self {
        let is_int8 = directory.is_some_and(Directory::is_int8);
        let given = asked.filter(|&given| given != PrecisionChoice::Auto);
        let choice = match given {
            Some(given) => given,
            None if is_int8 => PrecisionChoice::Int8,
            None => asked.unwrap_or(default),
        };
        let cores = || available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS));
        Computation {
            precision: match choice {
                PrecisionChoice::Auto if Kernel::int8_is_native() => Precision::Int8,
                PrecisionChoice::Auto | PrecisionChoice::F32 => Precision::Float32,
                PrecisionChoice::Bf16 => Precision::Bfloat16,
                PrecisionChoice::Int8 => Precision::Int8,
            },
            threads: threads.map_or_else(cores, usize::from),
            note: Some(ROUNDED).filter(|_| is_int8 && choice != PrecisionChoice::Int8),
        }
    }
}

impl FromStr for PrecisionChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "auto" => PrecisionChoice::Auto,
            "f32" => PrecisionChoice::F32,
            "bf16" => PrecisionChoice::Bf16,
            "int8" => PrecisionChoice::Int8,
            _ => {
                return Err(Error::usage(format!(
                    "there is no precision {name:?}; give auto, f32, bf16 or int8"
                )));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_wins_over_the_default() {
        let of = |asked: Option<&str>, default| {
            let asked = asked.map(|name| name.parse().unwrap());
            Computation::of((asked, default), Some(3), None)
        };
        let default = of(None, PrecisionChoice::F32);
        assert_eq!(default.precision, Precision::Float32);
        assert_eq!((default.threads, default.note), (3, None));
        let asked = of(Some("bf16"), PrecisionChoice::F32);
        assert_eq!(asked.precision, Precision::Bfloat16);
        assert_eq!(
            of(Some("auto"), PrecisionChoice::F32),
            of(None, PrecisionChoice::Auto)
        );
        assert!("fp16".parse::<PrecisionChoice>().is_err());
    }
}

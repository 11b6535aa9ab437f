/*!
Training for carousel, on libtorch and on kernels of its own.
*/
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod evaluation;
pub mod gradients;
pub mod network;
pub mod optimizer;
pub mod precision;
pub mod recipe;
pub mod run;
mod slices;
pub mod tasks;

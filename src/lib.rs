/*! carousel */
#![deny(clippy::print_stdout, clippy::print_stderr)]
pub mod baselines;
pub mod checkpoint;
pub mod cli;
pub mod error;
pub mod files;
pub mod inference;
pub mod kernels;
pub mod metrics;
pub mod settings;
pub mod text;

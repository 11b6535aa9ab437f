/*!
Training for carousel, on libtorch and on kernels of its own.

[`run`] is the loop, whatever is learnt; [`tasks`] is what can be learnt; [`recipe`] resolves what was asked for. A step's
loss and gradients come from [`gradients`], over a [`network`] of named parameters, and change its weights through an
[`optimizer`]. [`machine`] and [`device`] know where all that runs.

Nothing here prints, parses a command line or exits: the program `carousel-train` does.
*/
#![cfg_attr(test, allow(clippy::too_many_lines, reason = "tables of cases"))]
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod device;
pub mod evaluation;
pub mod gradients;
pub mod machine;
pub mod network;
pub mod optimizer;
mod precision;
pub mod recipe;
pub mod run;
mod slices;
pub mod tasks;

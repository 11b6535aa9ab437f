/*!
Training for carousel, on libtorch and on kernels of its own.

[`tasks`] are the kinds of models that can be trained, and [`run`] is the training loop that they share. `recipe` resolves
the options of a run. The loss and gradients of a step come from [`gradients`], over a [`network`] of named parameters, and
an [`optimizer`] updates the weights. `machine` and `device` are about the hardware that all this runs on,
and `distributed` is about several processes that train together.

Nothing here prints, parses a command line or exits: the program `carousel-train` does.
*/
#![cfg_attr(test, allow(clippy::too_many_lines, reason = "tables of cases"))]
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod device;
pub mod distributed;
mod evaluation;
pub mod gradients;
mod machine;
pub mod network;
pub mod optimizer;
mod precision;
mod recipe;
pub mod run;
mod slices;
pub mod tasks;

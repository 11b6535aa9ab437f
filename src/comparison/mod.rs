/*!
A comparison of networks on one corpus: what is compared, the runs that this takes, and their results.

The library plans and reads; the program runs `carousel-train` for each run. Everything stands in one folder, so that a
comparison that was interrupted goes on where it was.
*/

pub mod baselines;
pub mod curve;
pub mod data;
pub mod entry;
pub mod folder;
pub mod plan;
pub mod report;
pub mod request;
pub mod results;
pub mod run;
pub mod table;
pub mod validation;
pub mod widths;
pub mod writing;

/*!
Resolves every option of a run from its arguments: the one place where defaults are chosen.

[`language_model::resolve`] and [`classifier::resolve`] turn the arguments and the circumstances into a configuration of the
network and one of the training. The machine's speed matters only where the budget is one of time.
*/

mod budget;
pub mod classifier;
mod defaults;
mod kept;
pub mod language_model;
mod layers;
mod memory;
mod ranges;
mod resolved;
mod transformer;
pub mod translation;

pub use budget::{between_evaluations, budget, runs, total_steps};
pub use kept::{keep, keep_sizes};
pub use memory::memory;
pub use ranges::seed;
pub use resolved::{Circumstances, MOST_VALID_TOKENS, Resolved};

/*!
Exponential smoothing as state space models (Hyndman, Koehler, Ord and Snyder 2008), chosen by the corrected AIC.

[`form`] names a model, [`parameters`] are its numbers, and [`model`] is a model fitted or chosen. Within, `recursion` runs
it over a history, forward and backward, `likelihood` is what is greatest at the `fit`, `start` is where that begins, `descent`
goes on, and `variance` gives the intervals.
*/

mod descent;
mod fit;
pub mod form;
mod likelihood;
pub mod model;
pub mod parameters;
mod recursion;
mod start;
mod variance;

/*!
Exponential smoothing as state space models (Hyndman, Koehler, Ord and Snyder 2008), chosen by the corrected AIC.

[`form`] names a model, [`parameters`] are its numbers, [`recursion`] runs it over a history, forward and backward,
[`start`] is where a fit begins, [`fit`] fits, [`descent`] minimises, [`variance`] gives the intervals, and [`model`] is
what the others make.
*/

mod descent;
mod fit;
pub mod form;
pub mod model;
mod parameters;
mod recursion;
mod start;
mod variance;

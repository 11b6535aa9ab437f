/*!
Forecasting of series of numbers, in f64 and without libtorch.

[`model`] is the entry: fitted models of one interface, each in a file of its own. [`forecast`] is what they give,
[`accuracy`] how it is measured. For networks, [`scaling`] takes season and level out of a series, and [`windows`] are what
they read of it.
*/

pub mod accuracy;
pub mod forecast;
pub mod model;
pub mod naive;
pub mod numeric_series;
pub mod scaling;
pub mod windows;

/*!
Forecasting of series of numbers, in f64 and without libtorch.

[`model`] is the entry: fitted models of one interface, each in a file of its own. [`forecast`] is what they give,
[`accuracy`] how it is measured.
*/

pub mod accuracy;
pub mod folder;
pub mod forecast;
pub mod method;
pub mod model;
pub mod naive;
pub mod rolling;

/*!
Forecasting of series of numbers, in f64 and without libtorch.

[`model`] is the entry: fitted models of one interface, each in a file of its own. [`forecast`] is what they give,
[`accuracy`] how it is measured. What is known of a series before a model is fitted is in [`autocorrelation`],
[`unit_roots`] and [`seasonal_strength`].
*/

pub mod accuracy;
pub mod arima;
pub mod autocorrelation;
pub mod forecast;
pub mod fourier;
pub mod model;
pub mod naive;
pub mod seasonal_strength;
pub mod unit_roots;

#[cfg(test)]
mod test_series;

/*!
Forecasting of series of numbers, in f64 and without libtorch.

[`model`] is the entry: fitted models of one interface, each in a file of its own. [`forecast`] is what they give,
[`accuracy`] how it is measured.
*/

pub mod accuracy;
pub mod backtest;
pub mod box_cox;
pub mod combination;
pub mod decomposed;
pub mod decomposition;
pub mod ets;
pub mod arima;
pub mod autocorrelation;
pub mod forecast;
pub mod fourier;
pub mod model;
pub mod naive;
pub mod naive2;
pub mod seasonality;
pub mod spectrum;
pub mod theta;
pub mod seasonal_strength;
pub mod unit_roots;

#[cfg(test)]
mod test_series;
pub mod folder;
pub mod forecast;
pub mod method;
pub mod model;
pub mod naive;
pub mod rolling;

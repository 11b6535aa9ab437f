/*!
Forecasting of series of numbers, in f64 and without libtorch.

Statistics: [`autocorrelation`], [`spectrum`], [`unit_roots`], [`seasonal_strength`], [`seasonality`] ([`panel_seasons`]), [`decomposition`],
[`box_cox`]. Models, each a struct of parameters with a fit: [`naive`], [`naive2`], [`ets`], [`theta`], [`arima`] (with
[`fourier`] terms), and those over others, [`decomposed`] and [`combination`]. [`model`] is the enum of all of them,
[`method`] turns a name into one, [`selection`] weighs [`candidate`]s by a [`backtest`]. [`forecast`] is what models give, [`accuracy`]
how it is measured, [`rolling`] a test window by one model, whose parameters may be estimated anew (`refitting`), [`folder`] what
is kept, and `consistency` what has to hold of it. [`regressors`] are the columns that a model may use beside the values.
For networks, [`scaling`] takes season and level out of a [`numeric_series`], and [`windows`] are what they read of it.
[`explanation`] is what is found in a series on the way to a model.
*/

pub mod accuracy;
pub mod arima;
pub mod autocorrelation;
pub mod backtest;
pub mod box_cox;
pub mod candidate;
pub mod combination;
mod consistency;
pub mod decomposed;
pub mod decomposition;
pub mod ets;
pub mod explanation;
pub mod folder;
pub mod forecast;
pub mod fourier;
pub mod method;
pub mod model;
pub mod naive;
pub mod naive2;
pub mod numeric_series;
pub mod panel_seasons;
mod refitting;
pub mod regressors;
pub mod rolling;
pub mod scaling;
pub mod seasonal_strength;
pub mod seasonality;
pub mod selection;
pub mod spectrum;
#[cfg(test)]
mod test_series;
pub mod theta;
pub mod unit_roots;
pub mod windows;

/*!
Seasonal ARIMA with regressors, by exact Gaussian likelihood.

[`Arima`] is a fitted model; [`Arima::fit`] estimates one of given [`Orders`], [`select`] chooses them. Differences are taken
before the likelihood, which is that of the differenced series (as of `simple_differencing` in statsmodels); where one of
the values of a difference is missing, it is missing.

```text
values ──► sample ──► objective: likelihood (no gaps) or kalman (gaps) ◄── scoring ──► coefficients ──► forecast
           differenced            filters, state, cholesky                  starts and steps
```
*/

mod choice;
mod cholesky;
mod coefficients;
mod filters;
mod fit;
mod forecast;
mod kalman;
mod likelihood;
mod model;
mod objective;
mod orders;
mod problem;
mod sample;
mod scoring;
mod search;
mod selection;
mod start;
mod state;

pub use choice::Choice;
pub use coefficients::Coefficients;
pub use fit::Terms;
pub use model::Arima;
pub use orders::Orders;
pub(super) use problem::LONGEST_SEASON;
pub(super) use sample::difference;
pub use search::Candidate;
pub use selection::{Selection, select};
pub(super) use start::least_squares;

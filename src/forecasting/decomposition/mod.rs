/*!
Decomposition of a series into trend, seasons and what remains.

[`classical`] takes one season of fixed shape, [`stl`] one that changes slowly, [`mstl`] several such. [`parts`] is what
they give, [`indices`] a season of fixed shape to remove and put back, [`gaps`] fills missing values before, and
[`averages`] are moving ones.
*/

pub mod averages;
pub mod classical;
pub mod gaps;
pub mod indices;
pub mod loess;
pub mod mstl;
pub mod parts;
pub mod stl;

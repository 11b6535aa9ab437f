/*!
Training by several processes, on one machine or more: by libtorch's c10d, under the variables that torchrun, Slurm or
Kubernetes set.

Every process computes a share of each batch, the gradients are summed, and all take the same step; or each takes some steps of
its own before all take one together. Rank 0 decides and writes; the others do what it tells them.
*/

mod c10d;
mod exchange;
mod place;
mod store;
mod world;

pub use exchange::{gather, gather_texts, means, sum};
pub use place::{Patience, Place, forecasts_alone};
pub use world::{Decision, Share, World};

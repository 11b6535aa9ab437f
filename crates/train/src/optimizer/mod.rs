/*!
Optimizers: AdamW for networks, the schedule of its learning rate, and a plain Adam for functions of a few parameters.
*/

pub(crate) mod adam;
mod adamw;
pub(crate) mod schedule;

pub(crate) use adamw::row_width;
pub use adamw::{AdamW, SparseRows, Update};

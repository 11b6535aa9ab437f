/*!
From gradients to weights: AdamW, the schedule of its learning rate, and a plain Adam for a few numbers.
*/

pub mod adam;
mod adamw;
pub mod schedule;

pub use adamw::{AdamW, SparseRows, Update, row_width};

/*!
Recurrent layers: one step of several streams ([`Layer`]), and a window with its gradients ([`Tape`]).

What differs between kinds of cells is in [`Cell`], and the arithmetic of each kind in a file of its own.
*/

mod cell;
mod gru;
mod layer;
mod leaky;
mod lstm;
mod norm;
mod simple;
mod start;
mod step;
mod tape;

pub use cell::{Cell, LayerSpec};
pub use layer::{Layer, LayerState, side_by_side};
pub use norm::normalise_rows;
pub use start::{Start, TABLE_TOKENS};
pub use step::Activation;
pub use tape::{OutputGradients, Tape};

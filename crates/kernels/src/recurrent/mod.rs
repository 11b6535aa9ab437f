/*!
Recurrent layers: one step of several streams ([`Layer`]), and a window with its gradients ([`Tape`]).

What differs between kinds of cells is in [`Cell`], and the arithmetic of each kind in a file of its own.
*/

mod cell;
mod layer;
mod lstm;
mod start;
mod tape;

pub use cell::Cell;
pub use layer::{Layer, LayerState};
pub use start::{Start, TABLE_TOKENS, start};
pub use tape::{OutputGradients, Tape};

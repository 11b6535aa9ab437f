/*!
Recurrent layers: a step of some texts side by side ([`layer`]), and a window with its gradients ([`tape`]).
*/

pub mod layer;
pub mod tape;

pub use layer::{Layer, LayerState, Start, TABLE_SYMBOLS, start};
pub use tape::{Memory, OutputGradients, Tape, Weights};

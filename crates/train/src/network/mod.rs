/*!
The network in libtorch: named parameters, the forward pass, dropout masks, and the state between windows.
*/

mod cells;
mod dropout;
mod initialisation;
mod parameters;
mod recurrent;
mod state;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod transformer;
mod unrolled;

pub use dropout::DropoutMasks;
pub use parameters::NamedTensors;
pub use recurrent::{Network, Reading};
pub use state::State;
pub use unrolled::Unrolled;

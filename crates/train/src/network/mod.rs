/*!
The network in libtorch: named parameters, the forward pass, dropout masks, and the state between windows.
*/

mod cells;
mod dropout;
mod encoder_decoder;
mod initialisation;
mod parameters;
mod recurrent;
mod state;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod transformer;
#[cfg(test)]
mod translation_tests;
mod unrolled;

pub use dropout::{DropoutMasks, LayerMasks, TranslationMasks};
pub use encoder_decoder::{DecoderState, Memory, Sources, Translation};
pub use parameters::NamedTensors;
pub use recurrent::{Network, Reading};
pub use state::State;
pub use unrolled::Unrolled;

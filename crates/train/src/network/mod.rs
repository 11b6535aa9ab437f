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
mod transformer_encoder_decoder;
mod transformer_layer;
#[cfg(test)]
mod translation_tests;
mod unrolled;

pub use dropout::{BatchSize, DropoutMasks, LayerMasks, TranslationMasks};
pub use encoder_decoder::{DecoderState, Memory, Sources, Translation};
pub use parameters::NamedTensors;
pub use recurrent::{Network, Reading};
pub use state::State;
pub use transformer_encoder_decoder::TransformerTranslation;
pub use unrolled::Unrolled;

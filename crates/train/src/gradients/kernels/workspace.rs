/*!
What the steps of both heads share.
*/

use super::buffers::GradientBuffers;
use super::scratch::Scratch;
use super::stack::LayerStack;

/// The layers, and the memory for gradients.
pub struct Workspace {
    /// The recurrent layers.
    pub stack: LayerStack,
    /// The gradients.
    pub gradients: GradientBuffers,
    /// Memory within a step.
    pub scratch: Scratch,
}

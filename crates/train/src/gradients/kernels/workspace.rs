/*!
The layers and the memory that the steps of both heads share.
*/

use super::memory::StepMemory;
use super::stack::LayerStack;

/// The layers, and the memory for gradients.
pub struct Workspace {
    /// The recurrent layers.
    pub stack: LayerStack,
    /// Gradients and intermediate values.
    pub memory: StepMemory,
}

/*!
The memory of a step, which is used again at the next.
*/

use super::buffers::GradientBuffers;
use super::scratch::Scratch;

/// Gradients of the parameters, and what lives within a step.
pub struct StepMemory {
    /// The gradients.
    pub gradients: GradientBuffers,
    /// Memory within a step.
    pub scratch: Scratch,
}

/*!
The memory of a step, which is reused at the next.
*/

use super::buffers::GradientBuffers;
use super::scratch::Scratch;

/// Memory for the gradients of the parameters, and for intermediate values.
pub struct StepMemory {
    /// The gradients.
    pub gradients: GradientBuffers,
    /// Intermediate values.
    pub scratch: Scratch,
}

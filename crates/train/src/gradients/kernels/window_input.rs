/*!
What the layers of one direction read.
*/

use crate::network::{DropoutMasks, Network};
use carousel::text::Direction;

/// What a window reads, and how.
pub struct WindowInput<'a> {
    /// The parameters.
    pub network: &'a Network,
    /// The direction, which chooses the layers.
    pub direction: Direction,
    /// Token ids, `[steps, batch_size]`.
    pub inputs: &'a [u32],
    /// What is dropped.
    pub masks: &'a DropoutMasks,
}

/*!
The input of the layers of one direction.
*/

use crate::network::{DropoutMasks, Network};
use carousel::text::Direction;

/// The input of a window, and what it is read with.
pub struct WindowInput<'a> {
    /// The parameters.
    pub network: &'a Network,
    /// The direction, which chooses the layers.
    pub direction: Direction,
    /// Token ids, `[steps, batch_size]`.
    pub inputs: &'a [u32],
    /// Whether it begins with the state that texts begin with.
    pub is_first: bool,
    /// Dropout masks.
    pub masks: &'a DropoutMasks,
}

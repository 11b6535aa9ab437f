/*!
What a step of a group of units takes and gives, whatever the cell.
*/

/// Largest number of panels that the sums of a group have.
pub(crate) const MOST_PANELS: usize = 4;

/// What plain, leaky and skipping cells apply to their sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// tanh(x).
    #[default]
    Tanh,
    /// max(x, 0).
    Relu,
}

impl Activation {
    /// All activations.
    pub const ALL: [Activation; 2] = [Activation::Tanh, Activation::Relu];

    /// The name in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Tanh => "tanh",
            Activation::Relu => "relu",
        }
    }
}

/// The panels of sums that products are added to, within a group.
pub(crate) struct Panels {
    /// Number of panels.
    pub count: usize,
    /// For each panel of the input's weights, the panel of sums.
    pub input: &'static [usize],
    /// For each panel of recurrent weights, the panel of sums.
    pub recurrent: &'static [usize],
}

/// One step of a group forward.
pub(crate) struct ForwardStep<'a> {
    /// The sums of each panel; what is beyond the cell's panels is empty.
    pub gates: [&'a mut [f32]; MOST_PANELS],
    /// What was carried before the step.
    pub before: &'a [f32],
    /// What is carried after it.
    pub after: &'a mut [f32],
    /// The hidden state after it.
    pub hidden: &'a mut [f32],
    /// The leak of each unit, `[units]`; empty for other cells.
    pub leak: &'a [f32],
}

/// One step of a group backward.
pub(crate) struct BackwardStep<'a> {
    /// The gates as the forward step left them; replaced by the gradients of their sums.
    pub gates: [&'a mut [f32]; MOST_PANELS],
    /// What was carried before and after the step.
    pub carried: (&'a [f32], &'a [f32]),
    /// Gradient of the hidden state.
    pub hidden_gradient: &'a [f32],
    /// Gradient of what was carried after the step; replaced by that of what was carried before it.
    pub carried_gradient: &'a mut [f32],
    /// Gradients of the sums are added to it, `[panels, width]`.
    pub bias_gradient: &'a mut [f32],
    /// The leak of each unit, and its gradient, which is added to; empty for other cells.
    pub leak: (&'a [f32], &'a mut [f32]),
}

/*!
Kinds of recurrent cells: what the layers have to know of each.

A step of a cell takes, for each unit, the sums of its gates, and what it carries over from the step before in float32. It
returns the hidden state, which the products of the next step take encoded, and what it carries over. In a panel, the sums
are `[streams, 4, lanes]`, the hidden state is `[streams, lanes]`, and what is carried over `[streams, carried, lanes]`.
*/

use super::lstm;
use crate::layout::Layout;

/// A kind of recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Long short-term memory (Hochreiter and Schmidhuber 1997), with the forget gate of Gers et al. (2000).
    Lstm,
}

impl Cell {
    /// All kinds.
    pub const ALL: [Cell; 1] = [Cell::Lstm];

    /// The name in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Cell::Lstm => "lstm",
        }
    }

    /// Number of gates: the weight matrices have `gates · hidden_size` rows.
    pub fn gates(self) -> usize {
        match self {
            Cell::Lstm => lstm::GATES,
        }
    }

    /// Gates of the input's products in the vectors of a panel.
    pub fn input_layout(self) -> Layout {
        match self {
            Cell::Lstm => Layout::Gates(lstm::LAYOUT),
        }
    }

    /// Gates of the recurrent products in the vectors of a panel. They are added to the input's, vector by vector.
    pub fn recurrent_layout(self) -> Layout {
        match self {
            Cell::Lstm => Layout::Gates(lstm::LAYOUT),
        }
    }

    /// Names of the parts of the state, the hidden state first.
    pub fn parts(self) -> &'static [&'static str] {
        match self {
            Cell::Lstm => &["hidden", "cell"],
        }
    }

    /// Indices of the parts that a step carries over unit by unit, in float32. All parts but the hidden state are among them.
    pub(crate) fn carried(self) -> &'static [usize] {
        match self {
            Cell::Lstm => &[1],
        }
    }

    /// Takes one step. Replaces `carried` and `hidden`.
    ///
    /// # Panics
    /// If there are other than 8 or 16 lanes.
    pub fn step(self, sums: &[f32], carried: &mut [f32], hidden: &mut [f32], lanes: usize) {
        match self {
            Cell::Lstm => lstm::step(sums, carried, hidden, lanes),
        }
    }

    /// Takes one step for training. Replaces the sums by what [`Cell::backward`] needs of the gates, and writes what is
    /// carried over `after` the step beside what was carried over `before` it.
    pub(crate) fn forward(
        self,
        gates: &mut [f32],
        before: &[f32],
        after: &mut [f32],
        hidden: &mut [f32],
        lanes: usize,
    ) {
        match self {
            Cell::Lstm => lstm::forward(gates, before, after, hidden, lanes),
        }
    }

    /// Gradients of one step.
    pub(crate) fn backward(self, step: BackwardStep) {
        let backward = match self {
            Cell::Lstm => lstm::backward,
        };
        backward(
            step.gates,
            step.carried,
            step.hidden_gradient,
            step.carried_gradient,
            step.bias_gradient,
            step.lanes,
        );
    }
}

/// One step of a panel backward.
pub(crate) struct BackwardStep<'a> {
    /// The gates as [`Cell::forward`] left them; replaced by the gradients of their sums.
    pub gates: &'a mut [f32],
    /// What was carried before and after the step.
    pub carried: (&'a [f32], &'a [f32]),
    /// Gradient of the hidden state.
    pub hidden_gradient: &'a [f32],
    /// Gradient of what was carried after the step; replaced by that of what was carried before it.
    pub carried_gradient: &'a mut [f32],
    /// Gradients of the sums are added to it, `[4, lanes]`.
    pub bias_gradient: &'a mut [f32],
    /// Lanes of a vector: 8 or 16.
    pub lanes: usize,
}

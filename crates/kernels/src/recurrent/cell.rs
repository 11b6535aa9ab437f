/*!
Kinds of recurrent cells: what the layers have to know of each.

A step of a cell takes, for each unit, the sums of its gates, and what it carries over from the step before in float32. It
returns the hidden state, which the products of the next step take encoded, and what it carries over.

Units are computed in groups, as many as fill a panel, or a vector of a panel that has a vector for each gate. The sums of a
group are one panel, `[streams, width]`, or several; the hidden state is `[streams, units]`, and what is carried over
`[streams, units]`.
*/

use super::step::{Activation, BackwardStep, ForwardStep, Panels};
use super::{gru, leaky, lstm, simple};
use crate::kernel::Kernel;
use crate::layout::Layout;

/// A kind of recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// The plain recurrent cell (Elman 1990).
    Rnn,
    /// Leaky units, which keep a part of their state (Jaeger et al. 2007; Mozer 1992).
    Leaky,
    /// The plain cell with connections that skip steps (Lin et al. 1996; Zhang et al. 2016).
    Skip,
    /// Gated recurrent units (Cho et al. 2014), with the reset gate after the product, as in PyTorch and cuDNN.
    Gru,
    /// Long short-term memory (Hochreiter and Schmidhuber 1997), with the forget gate of Gers et al. (2000).
    Lstm,
}

/// What a layer computes, but for its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSpec {
    /// The cell.
    pub cell: Cell,
    /// The activation of a cell without gates.
    pub activation: Activation,
    /// Number of units.
    pub hidden_size: usize,
    /// How many steps ago the hidden states are from that recurrence reads: 1, and more where connections skip steps.
    pub lags: Vec<usize>,
}

impl Cell {
    /// All kinds.
    pub const ALL: [Cell; 5] = [Cell::Rnn, Cell::Leaky, Cell::Skip, Cell::Gru, Cell::Lstm];

    /// The name in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Cell::Rnn => "rnn",
            Cell::Leaky => "leaky",
            Cell::Skip => "skip",
            Cell::Gru => "gru",
            Cell::Lstm => "lstm",
        }
    }

    /// Whether the cell has gates, and so an activation of its own.
    pub fn has_gates(self) -> bool {
        self.gates() > 1
    }

    /// Number of gates: the weight matrices have `gates · hidden_size` rows.
    pub fn gates(self) -> usize {
        match self {
            Cell::Rnn | Cell::Leaky | Cell::Skip => 1,
            Cell::Gru => gru::GATES,
            Cell::Lstm => lstm::GATES,
        }
    }

    /// Gates of the products in the panels of weights.
    pub fn layout(self) -> Layout {
        match self {
            Cell::Lstm => Layout::Vectors,
            _ => Layout::Panels(self.gates()),
        }
    }

    /// Number of units in a group.
    pub fn units(self, kernel: Kernel) -> usize {
        match self.layout() {
            Layout::Vectors => kernel.lanes(),
            _ => kernel.width(),
        }
    }

    /// The panels of sums of a group.
    pub(crate) fn panels(self) -> Panels {
        match self {
            Cell::Gru => gru::PANELS,
            _ => Panels {
                count: 1,
                input: &[0],
                recurrent: &[0],
            },
        }
    }

    /// Index of the part of the state that a step carries over unit by unit, in float32, if there is one.
    pub(crate) fn carried(self) -> Option<usize> {
        match self {
            Cell::Rnn | Cell::Skip => None,
            Cell::Leaky | Cell::Gru => Some(0),
            Cell::Lstm => Some(1),
        }
    }
}

impl LayerSpec {
    /// Names of the parts of the state, the hidden state first.
    pub fn parts(&self) -> Vec<String> {
        let mut parts = vec!["hidden".to_string()];
        match self.cell {
            Cell::Lstm => parts.push("cell".to_string()),
            _ => parts.extend((2..=self.history()).map(|ago| format!("hidden{ago}"))),
        }
        parts
    }

    /// Number of steps whose hidden states recurrence reads.
    pub fn history(&self) -> usize {
        self.lags.iter().copied().max().unwrap_or(1)
    }

    /// Number of groups of units.
    pub fn groups(&self, kernel: Kernel) -> usize {
        self.hidden_size.div_ceil(self.cell.units(kernel))
    }

    /// The values that the sums start from, in the order of the panels, `[panels, rows, width]`: from rows of terms of the
    /// input, `[rows, gates · hidden_size]`, and the recurrent bias, `[gates · hidden_size]`, in PyTorch's order.
    pub fn start(&self, input: &[f32], recurrent_bias: &[f32], kernel: Kernel) -> Vec<f32> {
        let outer = recurrent_bias.len();
        let (rows, width, panels) = (input.len() / outer, kernel.width(), self.cell.panels());
        let layout = self.cell.layout().outputs(outer, kernel.lanes());
        let mut values = vec![0.0; self.groups(kernel) * panels.count * rows * width];
        for (index, outputs) in layout.chunks_exact(width).enumerate() {
            let (group, own) = (index / panels.input.len(), index % panels.input.len());
            let mut add = |panel: usize, terms: &[f32]| {
                let first = (group * panels.count + panel) * rows * width;
                let rows = values[first..first + rows * width].chunks_exact_mut(width);
                for (values, terms) in rows.zip(terms.chunks_exact(outer).cycle()) {
                    for (value, output) in values.iter_mut().zip(outputs) {
                        *value += output.map_or(0.0, |output| terms[output]);
                    }
                }
            };
            add(panels.input[own], input);
            add(panels.recurrent[own], recurrent_bias);
        }
        values
    }

    /// Takes one step of a group. `sums` has a part for each panel; `carried` and `hidden` are replaced.
    pub fn step(
        &self,
        sums: &[f32],
        carried: &mut [f32],
        hidden: &mut [f32],
        leak: &[f32],
        lanes: usize,
    ) {
        match self.cell {
            Cell::Rnn | Cell::Skip => simple::step(sums, hidden, self.activation),
            Cell::Leaky => leaky::step(sums, carried, hidden, leak, self.activation),
            Cell::Gru => gru::step(sums, carried, hidden),
            Cell::Lstm => lstm::step(sums, carried, hidden, lanes),
        }
    }

    /// Takes one step of a group for training. Replaces the sums by what [`LayerSpec::backward`] needs of the gates, and
    /// writes what is carried over after the step beside what was carried over before it.
    pub(crate) fn forward(&self, step: ForwardStep, lanes: usize) {
        match self.cell {
            Cell::Rnn | Cell::Skip => simple::forward(step, self.activation),
            Cell::Leaky => leaky::forward(step, self.activation),
            Cell::Gru => gru::forward(step),
            Cell::Lstm => lstm::forward(step, lanes),
        }
    }

    /// Gradients of one step of a group.
    pub(crate) fn backward(&self, step: BackwardStep, lanes: usize) {
        match self.cell {
            Cell::Rnn | Cell::Skip => simple::backward(step, self.activation),
            Cell::Leaky => leaky::backward(step, self.activation),
            Cell::Gru => gru::backward(step),
            Cell::Lstm => lstm::backward(step, lanes),
        }
    }
}

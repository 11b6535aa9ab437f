/*!
A recurrent layer over a window, for training: forward, keeping what the gradients need, and backward, step by step, without
a graph.

Only the recurrent products are computed step by step. Products over all steps at once are the caller's: those of the input
before, and the gradients of the weights after (Appleyard et al. 2016, who describe cuDNN's).
*/

use std::ops::Range;

use super::cell::{BackwardStep, Cell};
use super::start::Start;
use crate::kernel::Kernel;
use crate::layout::{VECTORS, split_panels};
use crate::packed_weights::PackedWeights;
use crate::products::MULTIPLICATIONS_PER_THREAD;
use crate::rows::Rows;
use crate::thread_pool::ThreadPool;

/// Number of units whose gradients are worth another thread.
const UNITS_PER_THREAD: usize = 1 << 10;

/// Gates, states and gradients of a layer in one window.
pub struct Tape {
    cell: Cell,
    hidden_size: usize,
    streams: usize,
    steps: usize,
    kernel: Kernel,
    /// `[panels, steps · streams, 4 · lanes]`: the sums, then the gates, then the gradients of the sums.
    gates: Vec<f32>,
    /// What the cell carries over, before the first step and after each, `[panels, (steps + 1) · streams, parts, lanes]`.
    carried: Vec<f32>,
    /// The hidden state after the last step, `[panels, streams, lanes]`.
    hidden: Vec<f32>,
    /// The hidden states before the first step and after each, `[(steps + 1) · streams, hidden_size]`.
    outputs: Rows,
    /// The gradients of the sums in the order of the panels, `[steps · streams, panels · 4 · lanes]`.
    gradients: Rows,
    /// The gradient of the bias in the order of the panels.
    bias_gradient: Vec<f32>,
}

/// Gradients with respect to a layer's outputs.
#[derive(Clone, Copy)]
pub struct OutputGradients<'a> {
    /// The gradients, in panels of the plain layout, `[panels, steps · streams, width]`.
    pub gradients: &'a [f32],
    /// What each output was multiplied by before it was used (dropout), `[streams, hidden_size]`.
    pub mask: Option<&'a [f32]>,
}

impl Tape {
    /// A tape for windows of any number of steps.
    pub fn new(cell: Cell, hidden_size: usize, streams: usize, kernel: Kernel) -> Self {
        let width = hidden_size.next_multiple_of(kernel.lanes()) * VECTORS;
        Tape {
            cell,
            hidden_size,
            streams,
            steps: 0,
            kernel,
            gates: Vec::new(),
            carried: Vec::new(),
            hidden: Vec::new(),
            outputs: Rows::zeros(kernel, 0, hidden_size),
            gradients: Rows::zeros(kernel, 0, width),
            bias_gradient: Vec::new(),
        }
    }

    /// Sets the number of streams from the next window on.
    pub fn set_streams(&mut self, streams: usize) {
        self.streams = streams;
    }

    /// The hidden states before the first step and after each, `[(steps + 1) · streams, hidden_size]`.
    pub fn outputs(&self) -> &Rows {
        &self.outputs
    }

    /// After the backward pass, the gradients of the sums in the order of the panels, `[steps · streams, panels · width]`.
    pub fn gradients(&self) -> &Rows {
        &self.gradients
    }

    /// As [`Tape::gradients`], not encoded, `[panels, steps · streams, width]`.
    pub fn sums_gradient(&self) -> &[f32] {
        &self.gates
    }

    /// After the backward pass, the gradient of the bias in the order of the panels.
    pub fn bias_gradient(&self) -> &[f32] {
        &self.bias_gradient
    }

    /// The state of all streams after the last step: the parts of [`Cell::parts`], `[streams, hidden_size]` each.
    pub fn state(&self) -> Vec<Vec<f32>> {
        let (lanes, carried) = (self.kernel.lanes(), self.cell.carried());
        let part = |index: usize| {
            // The hidden state after the last step is at hand whatever the cell carries over.
            let (values, parts, part) = match index {
                0 => (&self.hidden, 1, 0),
                _ => {
                    let part = carried.iter().position(|&carried| carried == index);
                    let part = part.expect("all parts but the hidden state are carried over");
                    (&self.carried, carried.len(), part)
                }
            };
            let rows = values.len() / (self.panels() * parts * lanes);
            let value = |i: usize| {
                let (stream, unit) = (i / self.hidden_size, i % self.hidden_size);
                let row = unit / lanes * rows + rows - self.streams + stream;
                values[(row * parts + part) * lanes + unit % lanes]
            };
            (0..self.streams * self.hidden_size).map(value).collect()
        };
        (0..self.cell.parts().len()).map(part).collect()
    }

    /// The values that the sums of `rows` steps and streams start from, `[panels, rows, width]`, to be filled with the bias
    /// and the input's products before [`Tape::forward`].
    pub fn starts(&mut self, weights: &PackedWeights, rows: usize) -> &mut [f32] {
        assert_eq!(rows % self.streams, 0, "a start for each stream and step");
        self.steps = rows / self.streams;
        let (panels, width) = (weights.forward.panels(), weights.forward.width());
        self.gates.resize(panels * rows * width, 0.0);
        &mut self.gates
    }

    /// Runs over a window, from a state with the parts of [`Cell::parts`], `[streams, hidden_size]` each. The sums start from
    /// what [`Tape::starts`] was filled with, or from `start`, with a row for each step and stream.
    ///
    /// # Panics
    /// If sizes do not fit.
    pub fn forward(
        &mut self,
        weights: &PackedWeights,
        start: Option<Start>,
        state: &[&[f32]],
        pool: &ThreadPool,
    ) {
        if let Some(start) = start {
            self.starts(weights, start.rows.len());
        }
        let gates = self.rows() * weights.forward.panels() * weights.forward.width();
        assert_eq!(self.gates.len(), gates, "starts of these streams");
        self.set_state(state, pool);
        for step in 0..self.steps {
            self.forward_step(step, weights, start, pool);
        }
    }

    /// Writes the state before the first step.
    fn set_state(&mut self, state: &[&[f32]], pool: &ThreadPool) {
        assert_eq!(state.len(), self.cell.parts().len(), "parts of the state");
        let (streams, lanes, size) = (self.streams, self.kernel.lanes(), self.hidden_size);
        let (panels, parts) = (self.panels(), self.cell.carried());
        let rows = self.rows() + streams;
        self.hidden.resize(panels * streams * lanes, 0.0);
        self.carried
            .resize(panels * rows * parts.len() * lanes, 0.0);
        for (panel, carried) in split_panels(&mut self.carried, panels).enumerate() {
            let vectors = carried.chunks_exact_mut(lanes);
            for (index, vector) in vectors.take(streams * parts.len()).enumerate() {
                let (stream, part) = (index / parts.len(), parts[index % parts.len()]);
                for (value, unit) in vector.iter_mut().zip(panel * lanes..) {
                    *value = match unit < size {
                        true => state[part][stream * size + unit],
                        false => 0.0,
                    };
                }
            }
        }
        if self.outputs.len() != rows {
            self.outputs = self.outputs.like(rows);
        }
        let read = |stream: usize, values: &mut [f32]| {
            values.copy_from_slice(&state[0][stream * size..(stream + 1) * size]);
        };
        self.outputs.set_all(0..streams, read, pool);
    }

    fn forward_step(
        &mut self,
        step: usize,
        weights: &PackedWeights,
        start: Option<Start>,
        pool: &ThreadPool,
    ) {
        let (cell, streams, lanes) = (self.cell, self.streams, self.kernel.lanes());
        let (matrix, outputs) = (&weights.forward, &self.outputs);
        let (panels, width) = (matrix.panels(), matrix.width());
        let (rows, carried_rows) = (self.rows_of(step), self.carried_of(step));
        let gates = split_panels(&mut self.gates, panels);
        let carried = split_panels(&mut self.carried, panels);
        let hidden = split_panels(&mut self.hidden, panels);
        let mut parts: Vec<_> = gates.zip(carried).zip(hidden).collect();
        let multiplications = streams * panels * width * matrix.words_per_row();
        let threads = 1 + multiplications / MULTIPLICATIONS_PER_THREAD;
        pool.for_each(threads, &mut parts, |panel, ((gates, carried), hidden)| {
            let gates = &mut gates[rows.start * width..rows.end * width];
            if let Some(start) = start {
                start.copy_panel(panel, panels, rows.clone(), gates);
            }
            matrix.add_product(panel, outputs, rows.clone(), gates);
            let carried = &mut carried[carried_rows.clone()];
            let (before, after) = carried.split_at_mut(carried.len() / 2);
            cell.forward(gates, before, after, hidden, lanes);
        });
        let after = rows.end..rows.end + streams;
        (self.outputs).set_panels(after, &self.hidden, lanes, pool);
    }

    /// Runs backward over the window: computes the gradients of the sums and of the bias from those of the outputs. The
    /// gradient of the state after the window is zero: back-propagation is truncated there.
    ///
    /// # Panics
    /// If sizes do not fit.
    pub fn backward(
        &mut self,
        weights: &PackedWeights,
        outputs: OutputGradients,
        pool: &ThreadPool,
    ) {
        let (streams, lanes, panels) = (self.streams, self.kernel.lanes(), self.panels());
        let (rows, parts) = (self.rows(), self.cell.carried().len());
        let plain_size = weights.backward.panels() * weights.backward.width();
        assert_eq!(outputs.gradients.len(), rows * plain_size);
        if self.gradients.len() != rows {
            self.gradients = self.gradients.like(rows);
        }
        self.bias_gradient.clear();
        (self.bias_gradient).resize(panels * VECTORS * lanes, 0.0);
        let mut state = StateGradients {
            hidden: vec![0.0; panels * streams * lanes],
            carried: vec![0.0; panels * streams * parts * lanes],
            recurrent: vec![0.0; streams * plain_size],
        };
        for step in (0..self.steps).rev() {
            self.backward_step(step, weights, outputs, &mut state, pool);
            if step > 0 {
                let recurrent = &mut state.recurrent;
                recurrent.fill(0.0);
                (weights.backward).add_products(
                    &self.gradients,
                    self.rows_of(step),
                    recurrent,
                    pool,
                );
            }
        }
    }

    /// Replaces the gates of a step by the gradients of their sums, and encodes them.
    fn backward_step(
        &mut self,
        step: usize,
        weights: &PackedWeights,
        outputs: OutputGradients,
        state: &mut StateGradients,
        pool: &ThreadPool,
    ) {
        let (cell, streams, lanes, panels) =
            (self.cell, self.streams, self.kernel.lanes(), self.panels());
        let (rows, carried_rows) = (self.rows_of(step), self.carried_of(step));
        let width = VECTORS * lanes;
        let hidden = HiddenGradients {
            outputs,
            recurrent: &state.recurrent,
            plain_width: weights.backward.width(),
            rows: self.rows(),
            streams,
            hidden_size: self.hidden_size,
            lanes,
        };
        let gates = split_panels(&mut self.gates, panels);
        let carried = split_panels(&mut self.carried, panels);
        let bias_gradient = split_panels(&mut self.bias_gradient, panels);
        let hidden_gradient = split_panels(&mut state.hidden, panels);
        let carried_gradient = split_panels(&mut state.carried, panels);
        let gradients = hidden_gradient.zip(carried_gradient).zip(bias_gradient);
        let mut parts: Vec<_> = gates.zip(carried).zip(gradients).collect();
        let threads = 1 + streams * panels * lanes / UNITS_PER_THREAD;
        pool.for_each(
            threads,
            &mut parts,
            |panel, ((gates, carried), ((hidden_gradient, carried_gradient), bias_gradient))| {
                hidden.fill(panel, rows.start, hidden_gradient);
                let carried = &carried[carried_rows.clone()];
                cell.backward(BackwardStep {
                    gates: &mut gates[rows.start * width..rows.end * width],
                    carried: carried.split_at(carried.len() / 2),
                    hidden_gradient,
                    carried_gradient,
                    bias_gradient,
                    lanes,
                });
            },
        );
        self.encode_gradients(rows, pool);
    }

    /// Encodes the gradients of the sums of some rows.
    fn encode_gradients(&mut self, rows: Range<usize>, pool: &ThreadPool) {
        let (gates, all_rows, first) = (&self.gates, self.rows(), rows.start);
        let width = VECTORS * self.kernel.lanes();
        let read = |row: usize, values: &mut [f32]| {
            for (panel, out) in values.chunks_exact_mut(width).enumerate() {
                let start = (panel * all_rows + first + row) * width;
                out.copy_from_slice(&gates[start..start + width]);
            }
        };
        self.gradients.set_all(rows, read, pool);
    }

    fn panels(&self) -> usize {
        self.hidden_size.div_ceil(self.kernel.lanes())
    }

    /// Number of steps and streams.
    fn rows(&self) -> usize {
        self.steps * self.streams
    }

    /// The rows of a step.
    fn rows_of(&self, step: usize) -> Range<usize> {
        step * self.streams..(step + 1) * self.streams
    }

    /// What is carried over before and after a step, within a panel.
    fn carried_of(&self, step: usize) -> Range<usize> {
        let size = self.streams * self.cell.carried().len() * self.kernel.lanes();
        step * size..(step + 2) * size
    }
}

/// Gradients with respect to the state after a step.
struct StateGradients {
    /// The hidden state, `[panels, streams, lanes]`.
    hidden: Vec<f32>,
    /// What the cell carries over, `[panels, streams, parts, lanes]`.
    carried: Vec<f32>,
    /// The hidden state, through the recurrent products of the next step: in panels of the plain layout,
    /// `[panels, streams, width]`.
    recurrent: Vec<f32>,
}

/// The terms of the gradients with respect to hidden states.
struct HiddenGradients<'a> {
    outputs: OutputGradients<'a>,
    /// As in [`StateGradients`].
    recurrent: &'a [f32],
    plain_width: usize,
    rows: usize,
    streams: usize,
    hidden_size: usize,
    lanes: usize,
}

impl HiddenGradients<'_> {
    /// Writes the gradients for a panel's units, `[streams, lanes]`, of the step whose first row is `first`.
    fn fill(&self, panel: usize, first: usize, gradients: &mut [f32]) {
        let (unit, lanes) = (panel * self.lanes, self.lanes);
        let (plain, at) = (unit / self.plain_width, unit % self.plain_width);
        for (stream, gradients) in gradients.chunks_exact_mut(lanes).enumerate() {
            let start = (plain * self.rows + first + stream) * self.plain_width + at;
            gradients.copy_from_slice(&self.outputs.gradients[start..start + lanes]);
            if let Some(mask) = self.outputs.mask {
                let mask = &mask[stream * self.hidden_size..(stream + 1) * self.hidden_size];
                for (gradient, mask) in gradients.iter_mut().zip(&mask[unit..]) {
                    *gradient *= mask;
                }
            }
            let start = (plain * self.streams + stream) * self.plain_width + at;
            let recurrent = &self.recurrent[start..start + lanes];
            for (gradient, recurrent) in gradients.iter_mut().zip(recurrent) {
                *gradient += recurrent;
            }
        }
    }
}

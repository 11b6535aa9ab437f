/*!
A layer of LSTM over a window, for training: forward, with everything kept that the way back needs, and backward, step
by step, without a graph.

Only the recurrent products go step by step. What can be one product over all steps is the caller's: the input's
products before, the weights' gradients after. Following Appleyard et al. (2016), who describe cuDNN's.
*/

use crate::elementwise::{lstm_backward, lstm_forward};
use crate::matrix::{Kernel, Layout, Matrix, Rows, THREAD_WORTH};
use crate::recurrent::layer::{Start, encode};
use crate::thread_pool::ThreadPool;

/// Units whose gradients are worth another thread.
const POINTWISE_WORTH: usize = 1 << 10;
/// Lanes of the widest vector.
const MOST_LANES: usize = 16;

/// A matrix, packed for products with it and with its transpose.
pub struct Weights {
    /// `x · Wᵀ`: from inputs to outputs.
    pub forward: Matrix,
    /// `g · W`: from gradients of outputs, in the order of the forward panels, to gradients of inputs.
    pub backward: Matrix,
}

impl Weights {
    /// Zeros for `[outer, inner]` weights.
    pub fn zeros(outer: usize, inner: usize, order: Layout, kernel: Kernel) -> Self {
        let forward = Matrix::zeros(outer, inner, order, kernel);
        let outputs = match order {
            Layout::Plain => outer,
            Layout::Gates => forward.panels() * forward.width(),
        };
        Weights {
            backward: Matrix::zeros(inner, outputs, Layout::Plain, kernel),
            forward,
        }
    }

    /// From now on of this size, in their own order; they are to be filled anew.
    pub fn resize(&mut self, outer: usize, inner: usize) {
        self.forward.resize(outer, inner);
        self.backward.resize(inner, outer);
    }

    /// Packs `weights`, row by row, as PyTorch keeps them, times their `factors` if they have any.
    pub fn fill(&mut self, weights: &[f32], factors: Option<&[f32]>, pool: &ThreadPool) {
        let inner = self.forward.inner();
        assert_eq!(weights.len(), self.forward.outer() * inner, "all weights");
        assert!(factors.is_none_or(|factors| factors.len() == weights.len()));
        let read = |first: usize, values: &mut [f32]| {
            let range = first..first + values.len();
            values.copy_from_slice(&weights[range.clone()]);
            if let Some(factors) = factors {
                for (value, factor) in values.iter_mut().zip(&factors[range]) {
                    *value *= factor;
                }
            }
        };
        self.forward
            .fill(|row, values| read(row * inner, values), pool);
        let rows: Vec<Option<usize>> = (0..self.backward.inner())
            .map(|place| self.forward.row(place))
            .collect();
        let read = |place: usize, column: usize, values: &mut [f32]| match rows[place] {
            Some(row) => read(row * inner + column, values),
            None => values.fill(0.0),
        };
        self.backward.fill_transposed(read, pool);
    }
}

/// What a window leaves behind in a layer.
pub struct Tape {
    hidden_size: usize,
    streams: usize,
    steps: usize,
    kernel: Kernel,
    /// `[panels, steps · streams, 4 · lanes]`: the sums, then the gates, then the gradients of the sums.
    gates: Vec<f32>,
    /// `[panels, (steps + 1) · streams, lanes]`, before the first step and after each.
    cells: Vec<f32>,
    /// `[panels, streams, lanes]`, after the last step taken.
    hidden: Vec<f32>,
    /// The hidden states before the first step and after each, `[(steps + 1) · streams, hidden_size]`.
    outputs: Rows,
    /// The gradients of the sums in the order of the panels, `[steps · streams, panels · 4 · lanes]`.
    gradients: Rows,
    /// The gradient of the bias in the order of the panels.
    bias_gradient: Vec<f32>,
}

/// What a layer remembers of all streams, `[streams, hidden_size]` each.
pub struct Memory {
    /// The outputs of the last step.
    pub hidden: Vec<f32>,
    /// The carousels.
    pub cell: Vec<f32>,
}

/// Gradients with respect to a layer's outputs: `[panels of the plain order, steps · streams, width]`, and what each
/// output was multiplied by on its way up, `[streams, hidden_size]`, if it was.
#[derive(Clone, Copy)]
pub struct OutputGradients<'a> {
    /// The gradients.
    pub gradients: &'a [f32],
    /// The factors.
    pub mask: Option<&'a [f32]>,
}

impl Tape {
    /// A tape for windows of any length.
    pub fn new(hidden_size: usize, streams: usize, kernel: Kernel) -> Self {
        let width = hidden_size.next_multiple_of(kernel.lanes()) * 4;
        Tape {
            hidden_size,
            streams,
            steps: 0,
            kernel,
            gates: Vec::new(),
            cells: Vec::new(),
            hidden: Vec::new(),
            outputs: Rows::zeros(kernel, 0, hidden_size),
            gradients: Rows::zeros(kernel, 0, width),
            bias_gradient: Vec::new(),
        }
    }

    /// From the next window on, of so many streams.
    pub fn set_streams(&mut self, streams: usize) {
        self.streams = streams;
    }

    /// The hidden states before the first step and after each, `[(steps + 1) · streams, hidden_size]`.
    pub fn outputs(&self) -> &Rows {
        &self.outputs
    }

    /// After the backward pass, the gradients of the sums in the order of the panels, `[steps · streams, _]`.
    pub fn gradients(&self) -> &Rows {
        &self.gradients
    }

    /// The same before they were encoded, `[panels, steps · streams, width]`.
    pub fn sums_gradient(&self) -> &[f32] {
        &self.gates
    }

    /// After the backward pass, the gradient of the bias in the order of the panels.
    pub fn bias_gradient(&self) -> &[f32] {
        &self.bias_gradient
    }

    /// The memory of all streams after the last step.
    pub fn memory(&self) -> Memory {
        let (size, lanes, streams) = (self.hidden_size, self.kernel.lanes(), self.streams);
        let row = |values: &[f32], rows: usize, stream: usize, at: usize| {
            values[((at / lanes) * rows + rows - streams + stream) * lanes + at % lanes]
        };
        let all = |values: &[f32], rows: usize| {
            let place = |i: usize| row(values, rows, i / size, i % size);
            (0..streams * size).map(place).collect()
        };
        Memory {
            hidden: all(&self.hidden, streams),
            cell: all(&self.cells, (self.steps + 1) * streams),
        }
    }

    /// Where the sums of so many steps and streams begin, `[panels, rows, width]`: the bias with the input's products.
    pub fn starts(&mut self, weights: &Weights, rows: usize) -> &mut [f32] {
        assert_eq!(rows % self.streams, 0, "a start for each stream and step");
        self.steps = rows / self.streams;
        let (panels, width) = (weights.forward.panels(), weights.forward.width());
        self.gates.resize(panels * rows * width, 0.0);
        &mut self.gates
    }

    /// Runs over a window from a state, `[streams, hidden_size]` each. The sums begin as [`Tape::starts`] was filled, or
    /// as `start` says, with a row for every step and stream.
    pub fn forward(
        &mut self,
        weights: &Weights,
        start: Option<Start>,
        (hidden, cell): (&[f32], &[f32]),
        pool: &ThreadPool,
    ) {
        if let Some(start) = start {
            self.starts(weights, start.rows.len());
        }
        let (streams, lanes, size) = (self.streams, self.kernel.lanes(), self.hidden_size);
        let (panels, width) = (weights.forward.panels(), weights.forward.width());
        let rows = self.steps * streams;
        assert_eq!(
            self.gates.len(),
            panels * rows * width,
            "starts of these streams"
        );
        self.cells.resize(panels * (rows + streams) * lanes, 0.0);
        self.hidden.resize(panels * streams * lanes, 0.0);
        if self.outputs.len() != rows + streams {
            self.outputs = self.outputs.like(rows + streams);
        }
        let cells = self.cells.chunks_exact_mut((rows + streams) * lanes);
        for (panel, cells) in cells.enumerate() {
            for (stream, cells) in cells.chunks_exact_mut(lanes).take(streams).enumerate() {
                for (lane, value) in cells.iter_mut().enumerate() {
                    let unit = panel * lanes + lane;
                    *value = if unit < size {
                        cell[stream * size + unit]
                    } else {
                        0.0
                    };
                }
            }
        }
        let read = |stream: usize, values: &mut [f32]| {
            values.copy_from_slice(&hidden[stream * size..(stream + 1) * size]);
        };
        self.outputs.set_all(0..streams, read, pool);

        let threads = 1 + streams * panels * width * weights.forward.words_per_row() / THREAD_WORTH;
        for step in 0..self.steps {
            let (first, last) = (step * streams, (step + 1) * streams);
            let gates = self.gates.chunks_exact_mut(rows * width);
            let cells = self.cells.chunks_exact_mut((rows + streams) * lanes);
            let hidden = self.hidden.chunks_exact_mut(streams * lanes);
            let mut parts: Vec<_> = gates.zip(cells).zip(hidden).collect();
            let outputs = &self.outputs;
            pool.for_each(threads, &mut parts, |panel, ((gates, cells), hidden)| {
                let gates = &mut gates[first * width..last * width];
                if let Some(start) = start {
                    start.begin(panel, panels, first..last, gates);
                }
                weights
                    .forward
                    .add_product(panel, outputs, first..last, gates);
                let cells = &mut cells[first * lanes..(last + streams) * lanes];
                let (before, after) = cells.split_at_mut(streams * lanes);
                lstm_forward(gates, before, after, hidden, lanes);
            });
            encode(&self.hidden, last..last + streams, &mut self.outputs, pool);
        }
    }

    /// Runs back over the window: turns the gradients with respect to the outputs into those of the sums and of the
    /// bias. The state after the window is a constant, as truncated back-propagation has it.
    pub fn backward(&mut self, weights: &Weights, above: OutputGradients, pool: &ThreadPool) {
        let (streams, lanes, size) = (self.streams, self.kernel.lanes(), self.hidden_size);
        let (panels, width) = (weights.forward.panels(), weights.forward.width());
        let rows = self.steps * streams;
        let (plain_panels, plain_width) = (weights.backward.panels(), weights.backward.width());
        assert_eq!(above.gradients.len(), plain_panels * rows * plain_width);
        if self.gradients.len() != rows {
            self.gradients = self.gradients.like(rows);
        }
        self.bias_gradient.clear();
        self.bias_gradient.resize(panels * width, 0.0);
        let mut cell_gradients = vec![0.0f32; panels * streams * lanes];
        let mut from_later = vec![0.0f32; plain_panels * streams * plain_width];
        let threads = 1 + streams * panels * lanes / POINTWISE_WORTH;
        for step in (0..self.steps).rev() {
            let (first, last) = (step * streams, (step + 1) * streams);
            let gates = self.gates.chunks_exact_mut(rows * width);
            let cells = self.cells.chunks_exact((rows + streams) * lanes);
            let carried = cell_gradients.chunks_exact_mut(streams * lanes);
            let bias = self.bias_gradient.chunks_exact_mut(width);
            let mut parts: Vec<_> = gates.zip(cells).zip(carried.zip(bias)).collect();
            let later = &from_later;
            pool.for_each(
                threads,
                &mut parts,
                |panel, ((gates, cells), (carried, bias))| {
                    let gates = &mut gates[first * width..last * width];
                    let cells = &cells[first * lanes..(last + streams) * lanes];
                    let (plain, at) = (panel * lanes / plain_width, panel * lanes % plain_width);
                    // What comes from above through the mask, and then what comes from the later step.
                    let hidden = |stream: usize, into: &mut [f32]| {
                        let row = (plain * rows + first + stream) * plain_width + at;
                        into.copy_from_slice(&above.gradients[row..row + lanes]);
                        if let Some(mask) = above.mask {
                            let mask = &mask[stream * size..(stream + 1) * size][panel * lanes..];
                            into.iter_mut()
                                .zip(mask)
                                .for_each(|(into, mask)| *into *= mask);
                        }
                        let row = (plain * streams + stream) * plain_width + at;
                        let later = &later[row..row + lanes];
                        into.iter_mut()
                            .zip(later)
                            .for_each(|(into, later)| *into += later);
                    };
                    let mut gradients = [0.0f32; MOST_LANES];
                    for stream in 0..streams {
                        hidden(stream, &mut gradients[..lanes]);
                        let units = stream * lanes..(stream + 1) * lanes;
                        lstm_backward(
                            &mut gates[stream * width..(stream + 1) * width],
                            &cells[units.clone()],
                            &cells[(streams + stream) * lanes..(streams + stream + 1) * lanes],
                            &gradients[..lanes],
                            &mut carried[units],
                            bias,
                            lanes,
                        );
                    }
                },
            );
            let gates = &self.gates;
            let read = |stream: usize, values: &mut [f32]| {
                for (panel, to) in values.chunks_exact_mut(width).enumerate() {
                    let begin = (panel * rows + first + stream) * width;
                    to.copy_from_slice(&gates[begin..begin + width]);
                }
            };
            self.gradients.set_all(first..last, read, pool);
            if step > 0 {
                from_later.fill(0.0);
                weights
                    .backward
                    .add_products(&self.gradients, first..last, &mut from_later, pool);
            }
        }
    }
}

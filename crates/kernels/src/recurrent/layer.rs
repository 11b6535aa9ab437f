/*!
A layer of LSTM, stepped: products, gates and memory of some units at a time, so that threads can share a step.
*/

use std::ops::Range;

use crate::elementwise::lstm_gates;
use crate::matrix::{Kernel, Layout, Matrix, Rows, THREAD_WORTH};
use crate::thread_pool::ThreadPool;

/// The most rows whose gates are computed before the next rows'.
const MOST_ROWS: usize = 32;
/// Outputs of the widest panel.
const WIDTH: usize = 64;

/// Up to so many symbols, the first layer's input products are made for each symbol instead of each token: a table that is
/// no larger than the weights that it stands for, or not by much.
pub const TABLE_SYMBOLS: usize = 512;

/// A layer's recurrent weights, and those of its input unless they were multiplied before.
pub struct Layer {
    hidden_size: usize,
    input: Option<Matrix>,
    recurrent: Matrix,
}

/// What a layer remembers of the texts that it reads side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerState {
    streams: usize,
    hidden_size: usize,
    lanes: usize,
    /// `[panels, streams, lanes]`, where the panels' lanes are the units, and some more of zeros in the last.
    cell: Vec<f32>,
    hidden: Vec<f32>,
    /// The hidden state as the products take it, `[streams, hidden_size]`.
    encoded: Rows,
}

/// Where the sums of a step's gates begin: the bias, alone or with the input's products.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// `[panels, count, width]`.
    pub values: &'a [f32],
    /// Which of the `count` each stream takes.
    pub rows: &'a [u32],
}

impl Start<'_> {
    /// Writes where the sums of a panel begin, `[streams, width]`, for the streams of a step.
    pub(crate) fn begin(
        &self,
        panel: usize,
        panels: usize,
        streams: Range<usize>,
        sums: &mut [f32],
    ) {
        let width = sums.len() / streams.len();
        let count = self.values.len() / (panels * width);
        for (sums, &row) in sums.chunks_exact_mut(width).zip(&self.rows[streams]) {
            assert!((row as usize) < count, "starts for all rows");
            let begin = (panel * count + row as usize) * width;
            sums.copy_from_slice(&self.values[begin..begin + width]);
        }
    }
}

/// Encodes `hidden`, `[panels, streams, lanes]`, as rows of all streams.
pub(crate) fn encode(hidden: &[f32], rows: Range<usize>, encoded: &mut Rows, pool: &ThreadPool) {
    let (streams, lanes) = (rows.len(), encoded.kernel().lanes());
    let read = |stream: usize, values: &mut [f32]| {
        let panels = hidden.chunks_exact(streams * lanes);
        for (to, panel) in values.chunks_mut(lanes).zip(panels) {
            to.copy_from_slice(&panel[stream * lanes..][..to.len()]);
        }
    };
    encoded.set_all(rows, read, pool);
}

impl LayerState {
    /// An empty memory.
    pub fn zeros(kernel: Kernel, streams: usize, hidden_size: usize) -> Self {
        let lanes = kernel.lanes();
        let padded = hidden_size.next_multiple_of(lanes);
        LayerState {
            streams,
            hidden_size,
            lanes,
            cell: vec![0.0; streams * padded],
            hidden: vec![0.0; streams * padded],
            encoded: Rows::zeros(kernel, streams, hidden_size),
        }
    }

    /// Empties the memory of one stream.
    pub fn forget(&mut self, stream: usize) {
        let lanes = self.lanes;
        for values in [&mut self.cell, &mut self.hidden] {
            for panel in values.chunks_exact_mut(self.streams * lanes) {
                panel[stream * lanes..(stream + 1) * lanes].fill(0.0);
            }
        }
        let zeros = self.encoded.like(1);
        self.encoded.copy(stream, &zeros, 0);
    }

    /// The memories of the given streams, side by side.
    pub fn select(&self, streams: &[usize]) -> Self {
        let lanes = self.lanes;
        let pick = |values: &[f32]| -> Vec<f32> {
            let panels = values.chunks_exact(self.streams * lanes);
            let picked = panels.flat_map(|panel| {
                let pick = |&stream: &usize| &panel[stream * lanes..(stream + 1) * lanes];
                streams.iter().flat_map(pick)
            });
            picked.copied().collect()
        };
        let mut encoded = self.encoded.like(streams.len());
        for (row, &stream) in streams.iter().enumerate() {
            encoded.copy(row, &self.encoded, stream);
        }
        LayerState {
            streams: streams.len(),
            hidden_size: self.hidden_size,
            lanes,
            cell: pick(&self.cell),
            hidden: pick(&self.hidden),
            encoded,
        }
    }

    /// The hidden state, `[panels, streams, lanes]`.
    pub fn hidden(&self) -> &[f32] {
        &self.hidden
    }

    /// The hidden state as the products take it.
    pub fn encoded(&self) -> &Rows {
        &self.encoded
    }
}

impl Layer {
    /// A layer whose input's products are given with each step's [`Start`].
    pub fn new(recurrent: &[f32], hidden_size: usize, kernel: Kernel, pool: &ThreadPool) -> Self {
        Layer {
            hidden_size,
            input: None,
            recurrent: Matrix::pack(recurrent, hidden_size, Layout::Gates, kernel, pool),
        }
    }

    /// A layer that multiplies its input too.
    pub fn with_input(mut self, input: Matrix) -> Self {
        self.input = Some(input);
        self
    }

    /// Units in the layer.
    pub fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    /// The weights of the input, where the layer has them.
    pub fn input(&self) -> Option<&Matrix> {
        self.input.as_ref()
    }

    /// Puts rows of gates, `[rows, 4 · hidden_size]` as PyTorch orders them, in the order of a [`Start`].
    pub fn start(&self, gates: &[f32]) -> Vec<f32> {
        start(&self.recurrent, gates)
    }

    /// An empty memory for texts read side by side.
    pub fn zero_state(&self, streams: usize) -> LayerState {
        LayerState::zeros(self.recurrent.kernel(), streams, self.hidden_size)
    }

    /// One step of all streams. `x` is the input, if the layer is to multiply it.
    ///
    /// # Panics
    /// If sizes do not fit together, or `x` is given to a layer without weights for it.
    pub fn step(&self, start: Start, x: Option<&Rows>, state: &mut LayerState, pool: &ThreadPool) {
        assert_eq!(start.rows.len(), state.streams, "a start for each stream");
        let x = x.map(|x| (self.input.as_ref().expect("weights of the input"), x));
        let (panels, width) = (self.recurrent.panels(), self.recurrent.width());
        let sums = Sums {
            layer: self,
            start,
            x,
            previous: &state.encoded,
        };
        let streams = state.streams;
        let words =
            self.recurrent.words_per_row() + x.map_or(0, |(weights, _)| weights.words_per_row());
        let threads = 1 + streams * panels * width * words / THREAD_WORTH;
        let units = streams * state.lanes;
        let cells = state.cell.chunks_exact_mut(units);
        let mut memories: Vec<_> = cells.zip(state.hidden.chunks_exact_mut(units)).collect();
        pool.for_each(threads, &mut memories, |panel, (cell, hidden)| {
            // Room for the sums has to be cleared first, so no more of it than is needed.
            if streams == 1 {
                sums.step::<1>(panel, cell, hidden);
            } else {
                sums.step::<MOST_ROWS>(panel, cell, hidden);
            }
        });
        encode(&state.hidden, 0..streams, &mut state.encoded, pool);
    }
}

/// Puts rows of outputs of `weights`, in PyTorch's order, in that of its panels: `[panels, rows, width]`.
pub fn start(weights: &Matrix, outputs: &[f32]) -> Vec<f32> {
    let (width, outer) = (weights.width(), weights.outer());
    let count = outputs.len() / outer;
    let mut start = vec![0.0; weights.panels() * count * width];
    for (panel, rows) in start.chunks_exact_mut(count * width).enumerate() {
        for at in 0..width {
            if let Some(output) = weights.row(panel * width + at) {
                for (row, values) in rows.chunks_exact_mut(width).enumerate() {
                    values[at] = outputs[row * outer + output];
                }
            }
        }
    }
    start
}

/// What the gates of a step are the sums of.
struct Sums<'a> {
    layer: &'a Layer,
    start: Start<'a>,
    x: Option<(&'a Matrix, &'a Rows)>,
    previous: &'a Rows,
}

impl Sums<'_> {
    /// The step of a panel's units, `ROWS` streams at a time or somewhat fewer.
    fn step<const ROWS: usize>(&self, panel: usize, cell: &mut [f32], hidden: &mut [f32]) {
        let recurrent = &self.layer.recurrent;
        let (width, lanes) = (recurrent.width(), recurrent.kernel().lanes());
        let mut gates = [[0.0f32; WIDTH]; ROWS];
        let gates = gates.as_flattened_mut();
        let together = ROWS.min(recurrent.kernel().rows_together());
        for first in (0..self.start.rows.len()).step_by(together) {
            let rows = first..(first + together).min(self.start.rows.len());
            let gates = &mut gates[..rows.len() * width];
            self.start
                .begin(panel, recurrent.panels(), rows.clone(), gates);
            if let Some((weights, x)) = self.x {
                weights.add_product(panel, x, rows.clone(), gates);
            }
            recurrent.add_product(panel, self.previous, rows.clone(), gates);
            let units = rows.start * lanes..rows.end * lanes;
            lstm_gates(gates, &mut cell[units.clone()], &mut hidden[units], lanes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Precision;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 31 + seed * 17) as f32).sin())
            .collect()
    }

    /// A step in float64, as the paper writes it; returns hidden and cell.
    fn twin(
        (x, w_ih): (&[f32], &[f32]),
        (h, w_hh): (&[f64], &[f32]),
        bias: &[f32],
        cell: &[f64],
    ) -> (Vec<f64>, Vec<f64>) {
        let size = cell.len();
        let gate = |row: usize| -> f64 {
            let from_x = x.iter().zip(&w_ih[row * x.len()..]);
            let from_h = h.iter().zip(&w_hh[row * size..]);
            let x_sum: f64 = from_x.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            let h_sum: f64 = from_h.map(|(&a, &b)| a * f64::from(b)).sum();
            f64::from(bias[row]) + x_sum + h_sum
        };
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let unit = |u: usize| {
            let (input, forget) = (sigmoid(gate(u)), sigmoid(gate(size + u)));
            let (candidate, output) = (gate(2 * size + u).tanh(), sigmoid(gate(3 * size + u)));
            let cell = forget * cell[u] + input * candidate;
            (output * cell.tanh(), cell)
        };
        (0..size).map(unit).unzip()
    }

    #[test]
    fn steps_agree_with_the_plain_twin_with_one_stream_and_many() {
        for (size, inner, streams) in [(5, 3, 1), (16, 16, 2), (20, 12, 27), (33, 40, 64)] {
            let (w_ih, w_hh) = (numbers(4 * size * inner, 1), numbers(4 * size * size, 2));
            let bias = numbers(4 * size, 3);
            let precisions = [
                (Precision::Float32, 1e-5),
                (Precision::Bfloat16, 0.05),
                (Precision::Int8, 0.1),
            ];
            let kernels = precisions.into_iter().flat_map(|(precision, tolerance)| {
                Kernel::all(precision).map(move |k| (k, tolerance))
            });
            for (kernel, tolerance) in kernels {
                let pool = ThreadPool::new(2);
                let input = Matrix::pack(&w_ih, inner, Layout::Gates, kernel, &pool);
                let layer = Layer::new(&w_hh, size, kernel, &pool).with_input(input);
                let values = layer.start(&bias);
                let mut state = layer.zero_state(streams);
                let mut expected = vec![(vec![0.0; size], vec![0.0; size]); streams];
                for step in 0..3 {
                    let inputs: Vec<Vec<f32>> =
                        (0..streams).map(|s| numbers(inner, 9 * s + step)).collect();
                    let mut x = Rows::zeros(kernel, streams, inner);
                    inputs
                        .iter()
                        .enumerate()
                        .for_each(|(row, input)| x.set(row, input));
                    let rows = vec![0; streams];
                    let start = Start {
                        values: &values,
                        rows: &rows,
                    };
                    layer.step(start, Some(&x), &mut state, &pool);
                    for (stream, (hidden, cell)) in expected.iter_mut().enumerate() {
                        (*hidden, *cell) =
                            twin((&inputs[stream], &w_ih), (hidden, &w_hh), &bias, cell);
                        let lanes = state.lanes;
                        let found = |values: &[f32], unit: usize| {
                            f64::from(
                                values[((unit / lanes) * streams + stream) * lanes + unit % lanes],
                            )
                        };
                        for unit in 0..size {
                            assert!((found(&state.hidden, unit) - hidden[unit]).abs() < tolerance);
                            assert!(
                                (found(&state.cell, unit) - cell[unit]).abs() < 2.0 * tolerance
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn memories_are_chosen_and_forgotten_one_by_one() {
        let layer = Layer::new(
            &numbers(4 * 20 * 20, 1),
            20,
            Kernel::fastest(Precision::Int8),
            &ThreadPool::new(1),
        );
        let values = layer.start(&numbers(3 * 80, 2));
        let pool = ThreadPool::new(1);
        let run = |rows: &[u32]| {
            let mut state = layer.zero_state(rows.len());
            for _ in 0..2 {
                layer.step(
                    Start {
                        values: &values,
                        rows,
                    },
                    None,
                    &mut state,
                    &pool,
                );
            }
            state
        };
        let mut all = run(&[0, 1, 2]);
        assert_eq!(all.select(&[2, 0, 0]), run(&[2, 0, 0]));
        all.forget(1);
        assert_eq!(all.select(&[0, 2]), run(&[0, 2]));
        assert_eq!(all.select(&[1]), layer.zero_state(1));
    }
}

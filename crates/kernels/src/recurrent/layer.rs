/*!
One step of a recurrent layer: products, gates and state of some units at a time, so that threads can share a step.
*/

use super::cell::Cell;
use super::start::{Start, arrange};
use crate::kernel::Kernel;
use crate::layout::{MAX_WIDTH, split_panels};
use crate::matrix::Matrix;
use crate::products::MULTIPLICATIONS_PER_THREAD;
use crate::rows::Rows;
use crate::thread_pool::ThreadPool;

/// Largest number of streams whose gates are computed before the next streams'.
const MAX_STREAMS: usize = 32;

/// Weights of a layer: the recurrent ones, and those of the input unless their products are in each step's [`Start`].
pub struct Layer {
    cell: Cell,
    hidden_size: usize,
    input: Option<Matrix>,
    recurrent: Matrix,
}

/// State of a layer for several streams.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerState {
    cell: Cell,
    streams: usize,
    hidden_size: usize,
    lanes: usize,
    /// `[panels, streams, lanes]`. The lanes of all panels are the units, padded with zeros in the last.
    hidden: Vec<f32>,
    /// The parts that the cell carries over in float32, `[panels, streams, parts, lanes]`.
    carried: Vec<f32>,
    /// The hidden state as the products take it, `[streams, hidden_size]`.
    encoded: Rows,
}

impl LayerState {
    /// The zero state.
    fn zeros(cell: Cell, kernel: Kernel, streams: usize, hidden_size: usize) -> Self {
        let lanes = kernel.lanes();
        let padded = hidden_size.next_multiple_of(lanes);
        LayerState {
            cell,
            streams,
            hidden_size,
            lanes,
            hidden: vec![0.0; streams * padded],
            carried: vec![0.0; streams * cell.carried().len() * padded],
            encoded: Rows::zeros(kernel, streams, hidden_size),
        }
    }

    /// Sets the state of one stream to zero.
    pub fn reset(&mut self, stream: usize) {
        let (panels, streams) = (self.panels(), self.streams);
        for values in [&mut self.hidden, &mut self.carried] {
            let width = values.len() / (panels * streams);
            for panel in 0..panels {
                let first = (panel * streams + stream) * width;
                values[first..first + width].fill(0.0);
            }
        }
        let zeros = self.encoded.like(1);
        self.encoded.copy(stream, &zeros, 0);
    }

    /// The states of the given streams, in their order.
    pub fn select(&self, streams: &[usize]) -> Self {
        let select = |values: &[f32]| -> Vec<f32> {
            let width = values.len() / (self.panels() * self.streams);
            let selected = (0..self.panels()).flat_map(|panel| {
                let of_stream = move |&stream: &usize| {
                    let first = (panel * self.streams + stream) * width;
                    &values[first..first + width]
                };
                streams.iter().flat_map(of_stream)
            });
            selected.copied().collect()
        };
        let mut encoded = self.encoded.like(streams.len());
        for (row, &stream) in streams.iter().enumerate() {
            encoded.copy(row, &self.encoded, stream);
        }
        LayerState {
            streams: streams.len(),
            hidden: select(&self.hidden),
            carried: select(&self.carried),
            encoded,
            ..*self
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

    fn panels(&self) -> usize {
        self.hidden_size.div_ceil(self.lanes)
    }
}

impl Layer {
    /// A layer with recurrent weights, `[gates · hidden_size, hidden_size]`. The input's products are to be in each step's
    /// [`Start`].
    pub fn new(
        cell: Cell,
        recurrent: &[f32],
        hidden_size: usize,
        kernel: Kernel,
        pool: &ThreadPool,
    ) -> Self {
        let layout = cell.recurrent_layout();
        Layer {
            cell,
            hidden_size,
            input: None,
            recurrent: Matrix::pack(recurrent, hidden_size, layout, kernel, pool),
        }
    }

    /// The layer with weights for its input, packed in the cell's input layout.
    pub fn with_input(mut self, input: Matrix) -> Self {
        self.input = Some(input);
        self
    }

    /// Number of units.
    pub fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    /// The weights of the input, if the layer has them.
    pub fn input(&self) -> Option<&Matrix> {
        self.input.as_ref()
    }

    /// The values of a [`Start`] from rows of the gates' sums, `[rows, gates · hidden_size]` in PyTorch's order.
    pub fn start(&self, sums: &[f32]) -> Vec<f32> {
        let outer = self.cell.gates() * self.hidden_size;
        let kernel = self.recurrent.kernel();
        let layout = self.cell.input_layout().outputs(outer, kernel.lanes());
        arrange(&layout, kernel.width(), sums, outer)
    }

    /// The zero state for `streams` streams.
    pub fn zero_state(&self, streams: usize) -> LayerState {
        let kernel = self.recurrent.kernel();
        LayerState::zeros(self.cell, kernel, streams, self.hidden_size)
    }

    /// Takes one step of all streams. `x` is the input, `[streams, input_size]`, if its products are not in `start`.
    ///
    /// # Panics
    /// If sizes do not fit, or `x` is given to a layer without weights for it.
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
        let threads = 1 + streams * panels * width * words / MULTIPLICATIONS_PER_THREAD;
        let carried = split_panels(&mut state.carried, panels);
        let hidden = split_panels(&mut state.hidden, panels);
        let mut parts: Vec<_> = carried.zip(hidden).collect();
        pool.for_each(threads, &mut parts, |panel, (carried, hidden)| {
            // The buffer of the sums has to be cleared first, so it is no larger than needed.
            if streams == 1 {
                sums.step::<1>(panel, carried, hidden);
            } else {
                sums.step::<MAX_STREAMS>(panel, carried, hidden);
            }
        });
        (state.encoded).set_panels(0..streams, &state.hidden, state.lanes, pool);
    }
}

/// The terms of the gates' sums in one step.
struct Sums<'a> {
    layer: &'a Layer,
    start: Start<'a>,
    x: Option<(&'a Matrix, &'a Rows)>,
    previous: &'a Rows,
}

impl Sums<'_> {
    /// Takes the step of a panel's units, up to `STREAMS` streams at a time.
    fn step<const STREAMS: usize>(&self, panel: usize, carried: &mut [f32], hidden: &mut [f32]) {
        let recurrent = &self.layer.recurrent;
        let (width, lanes) = (recurrent.width(), recurrent.kernel().lanes());
        let carried_width = self.layer.cell.carried().len() * lanes;
        let mut sums = [[0.0f32; MAX_WIDTH]; STREAMS];
        let sums = sums.as_flattened_mut();
        let streams_per_block = STREAMS.min(recurrent.kernel().rows_per_block());
        for first in (0..self.start.rows.len()).step_by(streams_per_block) {
            let streams = first..(first + streams_per_block).min(self.start.rows.len());
            let sums = &mut sums[..streams.len() * width];
            self.start
                .copy_panel(panel, recurrent.panels(), streams.clone(), sums);
            if let Some((weights, x)) = self.x {
                weights.add_product(panel, x, streams.clone(), sums);
            }
            recurrent.add_product(panel, self.previous, streams.clone(), sums);
            let carried = &mut carried[streams.start * carried_width..streams.end * carried_width];
            let hidden = &mut hidden[streams.start * lanes..streams.end * lanes];
            self.layer.cell.step(sums, carried, hidden, lanes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Precision;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 31 + seed * 17) as f32).sin())
            .collect()
    }

    /// A step of the LSTM in float64, as in the paper: the hidden state and the cell state.
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
    fn lstm_steps_agree_with_the_float64_twin() {
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
                let input = Matrix::pack(&w_ih, inner, Cell::Lstm.input_layout(), kernel, &pool);
                let layer = Layer::new(Cell::Lstm, &w_hh, size, kernel, &pool).with_input(input);
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
                                (found(&state.carried, unit) - cell[unit]).abs() < 2.0 * tolerance
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn states_are_selected_and_reset_by_stream() {
        let layer = Layer::new(
            Cell::Lstm,
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
        all.reset(1);
        assert_eq!(all.select(&[0, 2]), run(&[0, 2]));
        assert_eq!(all.select(&[1]), layer.zero_state(1));
    }
}

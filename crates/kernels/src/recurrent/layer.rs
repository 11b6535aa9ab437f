/*!
One step of a recurrent layer: products, gates and state of some units at a time, so that threads can share a step.
*/

use std::collections::VecDeque;

use super::cell::LayerSpec;
use super::norm::{Norms, normalise};
use super::start::Start;
use super::step::MOST_PANELS;
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
    spec: LayerSpec,
    input: Option<Matrix>,
    /// A matrix for each lag.
    recurrent: Vec<Matrix>,
    /// The leak of each unit, padded to whole groups; empty for cells without.
    leak: Vec<f32>,
    norms: Option<Norms>,
}

/// State of a layer for several streams.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerState {
    streams: usize,
    hidden_size: usize,
    units: usize,
    /// `[groups, streams, units]`. The units of all groups are padded with zeros in the last.
    hidden: Vec<f32>,
    /// The part that the cell carries over in float32, `[groups, streams, units]`; empty if there is none.
    carried: Vec<f32>,
    /// The latest hidden states as the products take them, `[streams, hidden_size]`, the last one first.
    encoded: VecDeque<Rows>,
}

/// The values of two states, `[groups, width]` each with its own width, with each group of the second after that of the first.
pub fn side_by_side(values: [&[f32]; 2], widths: [usize; 2]) -> Vec<f32> {
    let [groups, others] = [0, 1].map(|which| values[which].chunks_exact(widths[which]));
    let pairs = groups.zip(others);
    pairs
        .flat_map(|(one, other)| one.iter().chain(other))
        .copied()
        .collect()
}

impl LayerState {
    /// The zero state.
    fn zeros(spec: &LayerSpec, kernel: Kernel, streams: usize) -> Self {
        let units = spec.cell.units(kernel);
        let size = streams * spec.groups(kernel) * units;
        let encoded = || Rows::zeros(kernel, streams, spec.hidden_size);
        LayerState {
            streams,
            hidden_size: spec.hidden_size,
            units,
            hidden: vec![0.0; size],
            carried: vec![0.0; spec.cell.carried().map_or(0, |_| size)],
            encoded: (0..spec.history()).map(|_| encoded()).collect(),
        }
    }

    /// Memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let floats = self.hidden.len() + self.carried.len();
        floats * size_of::<f32>() + self.encoded.iter().map(Rows::bytes).sum::<usize>()
    }

    /// Replaces the state of one stream by that of the only stream of another.
    ///
    /// # Panics
    /// If they are of different layers, or the other has several streams.
    pub fn copy(&mut self, stream: usize, other: &LayerState) {
        assert!(other.streams == 1 && other.units == self.units);
        let (streams, units) = (self.streams, self.units);
        let parts = [
            (&mut self.hidden, &other.hidden),
            (&mut self.carried, &other.carried),
        ];
        for (values, others) in parts {
            let groups = values.chunks_exact_mut(streams * units);
            for (group, other) in groups.zip(others.chunks_exact(units)) {
                group[stream * units..(stream + 1) * units].copy_from_slice(other);
            }
        }
        for (encoded, other) in self.encoded.iter_mut().zip(&other.encoded) {
            encoded.copy(stream, other, 0);
        }
    }

    /// Puts the streams of another state after these.
    ///
    /// # Panics
    /// If they are of different layers.
    pub fn append(&mut self, other: &LayerState) {
        assert!(other.hidden_size == self.hidden_size && other.units == self.units);
        let widths = [self.streams, other.streams].map(|streams| streams * self.units);
        self.hidden = side_by_side([&self.hidden, &other.hidden], widths);
        self.carried = side_by_side([&self.carried, &other.carried], widths);
        for (encoded, other) in self.encoded.iter_mut().zip(&other.encoded) {
            encoded.append(other);
        }
        self.streams += other.streams;
    }

    /// The states of the given streams, in their order.
    pub fn select(&self, streams: &[usize]) -> Self {
        let units = self.units;
        let select = |values: &[f32]| -> Vec<f32> {
            let groups = values.len() / (self.streams * units).max(1);
            let mut selected = Vec::with_capacity(groups * streams.len() * units);
            for group in values.chunks_exact(self.streams * units) {
                for &stream in streams {
                    selected.extend_from_slice(&group[stream * units..(stream + 1) * units]);
                }
            }
            selected
        };
        let encoded = self.encoded.iter().map(|all| {
            let mut encoded = all.like(streams.len());
            for (row, &stream) in streams.iter().enumerate() {
                encoded.copy(row, all, stream);
            }
            encoded
        });
        LayerState {
            streams: streams.len(),
            hidden: select(&self.hidden),
            carried: select(&self.carried),
            encoded: encoded.collect(),
            ..*self
        }
    }

    /// The hidden state, `[groups, streams, units]`.
    pub fn hidden(&self) -> &[f32] {
        &self.hidden
    }

    /// The hidden state of one stream, `[hidden_size]`.
    pub fn hidden_of(&self, stream: usize) -> Vec<f32> {
        self.of_stream(&self.hidden, stream)
    }

    /// What the cell carries over for one stream, `[hidden_size]`: the cell state of an LSTM; empty if there is nothing.
    pub fn carried_of(&self, stream: usize) -> Vec<f32> {
        self.of_stream(&self.carried, stream)
    }

    fn of_stream(&self, values: &[f32], stream: usize) -> Vec<f32> {
        let groups = values.chunks_exact(self.streams * self.units);
        let own = groups.flat_map(|group| &group[stream * self.units..(stream + 1) * self.units]);
        own.take(self.hidden_size).copied().collect()
    }

    /// Sets a unit of the hidden state of all streams, also where the cell carries that over.
    ///
    /// # Panics
    /// If there is no such unit.
    pub fn set_unit(&mut self, spec: &LayerSpec, unit: usize, value: f32, pool: &ThreadPool) {
        assert!(unit < self.hidden_size, "a unit of the layer");
        let (group, lane) = (unit / self.units, unit % self.units);
        for stream in 0..self.streams {
            let place = (group * self.streams + stream) * self.units + lane;
            self.hidden[place] = value;
            if spec.cell.carried() == Some(0) {
                self.carried[place] = value;
            }
        }
        self.encoded[0].set_panels(0..self.streams, &self.hidden, self.units, pool);
    }

    /// Number of units in a group.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The hidden state as the products take it.
    pub fn encoded(&self) -> &Rows {
        &self.encoded[0]
    }
}

impl Layer {
    /// A layer with recurrent weights, `[gates · hidden_size, hidden_size]` for each lag. The input's products are to be in
    /// each step's [`Start`].
    pub fn new(
        spec: LayerSpec,
        recurrent: &[impl AsRef<[f32]>],
        kernel: Kernel,
        pool: &ThreadPool,
    ) -> Self {
        assert_eq!(recurrent.len(), spec.lags.len(), "weights for each lag");
        let (size, layout) = (spec.hidden_size, spec.cell.layout());
        let pack = |weights: &[f32]| Matrix::pack(weights, size, layout, kernel, pool);
        Layer {
            recurrent: recurrent
                .iter()
                .map(|weights| pack(weights.as_ref()))
                .collect(),
            input: None,
            leak: Vec::new(),
            norms: None,
            spec,
        }
    }

    /// The layer with weights for its input, `[gates · hidden_size, input_size]`.
    pub fn with_input(mut self, weights: &[f32], input_size: usize, pool: &ThreadPool) -> Self {
        let (layout, kernel) = (self.spec.cell.layout(), self.kernel());
        self.input = Some(Matrix::pack(weights, input_size, layout, kernel, pool));
        self
    }

    /// The layer with a leak for each unit, `[hidden_size]`.
    pub fn with_leak(mut self, leak: &[f32]) -> Self {
        let kernel = self.kernel();
        self.leak = leak.to_vec();
        let padded = self.spec.groups(kernel) * self.spec.cell.units(kernel);
        self.leak.resize(padded, 0.0);
        self
    }

    /// The layer with products that are normalised: the gains of those of the input and of the hidden state,
    /// `[gates · hidden_size]` each.
    pub fn with_norms(mut self, input: &[f32], recurrent: &[f32]) -> Self {
        self.norms = Some(Norms::new(&self.recurrent[0], input, recurrent));
        self
    }

    /// What the layer computes.
    pub fn spec(&self) -> &LayerSpec {
        &self.spec
    }

    /// The kernel of its products.
    pub fn kernel(&self) -> Kernel {
        self.recurrent[0].kernel()
    }

    /// The values of a [`Start`] from rows of terms of the input, `[rows, gates · hidden_size]`, and the recurrent bias, in
    /// PyTorch's order.
    pub fn start(&self, input: &[f32], recurrent_bias: &[f32]) -> Vec<f32> {
        self.spec.start(input, recurrent_bias, self.kernel())
    }

    /// The values of a [`Start`] that have the products of `x` in them, a row for each of `x`'s, from those with the biases
    /// alone.
    ///
    /// # Panics
    /// If the layer has no weights for its input.
    pub fn input_sums(&self, bias: &[f32], x: &Rows, pool: &ThreadPool) -> Vec<f32> {
        let weights = self.input.as_ref().expect("weights of the input");
        let (panels, width) = (self.spec.cell.panels(), weights.width());
        let mut sums = vec![0.0; bias.len() * x.len()];
        let mut places = Vec::new();
        let all = sums
            .chunks_exact_mut(x.len() * width)
            .zip(bias.chunks_exact(width));
        for (index, (sums, bias)) in all.enumerate() {
            match panels.input.contains(&(index % panels.count)) {
                true => places.push((sums, Some(bias))),
                false => fill_rows(sums, bias),
            }
        }
        let Some(norms) = &self.norms else {
            weights.add_to_panels((x, 0..x.len()), places, pool);
            return sums;
        };
        // What is normalised must not have the bias in it yet.
        let (mut products, biases): (Vec<_>, Vec<_>) = places.into_iter().unzip();
        let zeros = vec![0.0; width];
        let places = products
            .iter_mut()
            .map(|sums| (&mut **sums, Some(&zeros[..])));
        weights.add_to_panels((x, 0..x.len()), places.collect(), pool);
        normalise(&mut products, &norms.input, weights.outer(), x.len());
        for (sums, bias) in products.into_iter().zip(biases.into_iter().flatten()) {
            for row in sums.chunks_exact_mut(width) {
                row.iter_mut()
                    .zip(bias)
                    .for_each(|(sum, bias)| *sum += bias);
            }
        }
        sums
    }

    /// The zero state for `streams` streams.
    pub fn zero_state(&self, streams: usize) -> LayerState {
        LayerState::zeros(&self.spec, self.kernel(), streams)
    }

    /// The state of streams whose parts are given in the order of [`LayerSpec::parts`], `[streams, parts, hidden_size]`.
    ///
    /// # Panics
    /// If the values do not fill the parts.
    pub fn state_of(&self, values: &[f32], pool: &ThreadPool) -> LayerState {
        let (size, parts) = (self.spec.hidden_size, self.spec.parts().len());
        let streams = values.len() / (parts * size);
        assert_eq!(values.len(), streams * parts * size, "whole states");
        let part = |stream: usize, part: usize| &values[(stream * parts + part) * size..][..size];
        let mut state = self.zero_state(streams);
        let units = state.units;
        for stream in 0..streams {
            let fill = |panels: &mut [f32], values: &[f32]| {
                let groups = panels.chunks_exact_mut(streams * units);
                for (group, values) in groups.zip(values.chunks(units)) {
                    group[stream * units..][..values.len()].copy_from_slice(values);
                }
            };
            fill(&mut state.hidden, part(stream, 0));
            if let Some(carried) = self.spec.cell.carried() {
                fill(&mut state.carried, part(stream, carried));
            }
        }
        for (ago, encoded) in state.encoded.iter_mut().enumerate() {
            let read = |stream: usize, out: &mut [f32]| out.copy_from_slice(part(stream, ago));
            encoded.set_all(0..streams, read, pool);
        }
        state
    }

    /// Takes one step of all streams. `x` is the input, `[streams, input_size]`, if its products are not in `start`.
    ///
    /// # Panics
    /// If sizes do not fit, or `x` is given to a layer without weights for it.
    pub fn step(&self, start: Start, x: Option<&Rows>, state: &mut LayerState, pool: &ThreadPool) {
        assert_eq!(start.rows.len(), state.streams, "a start for each stream");
        match (&self.norms, x) {
            (None, _) => self.plain_step(start, x, state, pool),
            (Some(norms), None) => self.normalised_step(norms, start, state, pool),
            (Some(norms), Some(x)) => {
                let values = self.input_sums(start.values, x, pool);
                let rows: Vec<u32> = (0..x.len() as u32).collect();
                let start = Start {
                    values: &values,
                    rows: &rows,
                };
                self.normalised_step(norms, start, state, pool);
            }
        }
        // The oldest hidden state makes room for the new one.
        state.encoded.rotate_right(1);
        state.encoded[0].set_panels(0..state.streams, &state.hidden, state.units, pool);
    }

    fn plain_step(
        &self,
        start: Start,
        x: Option<&Rows>,
        state: &mut LayerState,
        pool: &ThreadPool,
    ) {
        let x = x.map(|x| (self.input.as_ref().expect("weights of the input"), x));
        let sums = Sums {
            layer: self,
            start,
            x,
            previous: &state.encoded,
        };
        let (streams, panels) = (state.streams, self.spec.cell.panels());
        let words: usize = self
            .recurrent
            .iter()
            .chain(x.map(|(weights, _)| weights))
            .map(Matrix::words_per_row)
            .sum();
        let recurrent = &self.recurrent[0];
        let threads = 1 + streams * recurrent.panels() * recurrent.width() * words
            / MULTIPLICATIONS_PER_THREAD;
        let groups = self.spec.groups(self.kernel());
        let carried = split_panels(&mut state.carried, groups);
        let hidden = split_panels(&mut state.hidden, groups);
        let mut parts: Vec<_> = carried.zip(hidden).collect();
        pool.for_each(threads, &mut parts, |group, (carried, hidden)| {
            // The buffer of the sums has to be cleared first, so it is no larger than needed.
            match (streams, panels.count) {
                (1, 1) => sums.step::<1>(group, carried, hidden),
                (1, _) => sums.step::<MOST_PANELS>(group, carried, hidden),
                (_, 1) => sums.step::<MAX_STREAMS>(group, carried, hidden),
                _ => sums.step::<{ MOST_PANELS * MAX_STREAMS }>(group, carried, hidden),
            }
        });
    }

    /// A step whose recurrent products are normalised, for which all of them have to be there first.
    fn normalised_step(
        &self,
        norms: &Norms,
        start: Start,
        state: &mut LayerState,
        pool: &ThreadPool,
    ) {
        let (streams, panels) = (state.streams, self.spec.cell.panels());
        let recurrent = &self.recurrent[0];
        let size = streams * recurrent.width();
        let mut products = vec![0.0; recurrent.panels() * size];
        for (matrix, lag) in self.recurrent.iter().zip(&self.spec.lags) {
            matrix.add_products(&state.encoded[lag - 1], 0..streams, &mut products, pool);
        }
        let mut places: Vec<&mut [f32]> = products.chunks_exact_mut(size).collect();
        normalise(&mut places, &norms.recurrent, recurrent.outer(), streams);
        let groups = self.spec.groups(self.kernel());
        let carried = split_panels(&mut state.carried, groups);
        let hidden = split_panels(&mut state.hidden, groups);
        let products = products.chunks_exact(size * panels.recurrent.len());
        for (group, ((carried, hidden), products)) in carried.zip(hidden).zip(products).enumerate()
        {
            let mut sums = vec![0.0; panels.count * size];
            for (panel, sums) in sums.chunks_exact_mut(size).enumerate() {
                start.copy_panel(
                    group * panels.count + panel,
                    groups * panels.count,
                    0..streams,
                    sums,
                );
            }
            for (&panel, products) in panels.recurrent.iter().zip(products.chunks_exact(size)) {
                let sums = sums[panel * size..].iter_mut().zip(products);
                sums.for_each(|(sum, product)| *sum += product);
            }
            self.step_units(group, &sums, carried, hidden);
        }
    }

    /// Takes the step of a group's units from their sums.
    fn step_units(&self, group: usize, sums: &[f32], carried: &mut [f32], hidden: &mut [f32]) {
        let units = self.spec.cell.units(self.kernel());
        let leak = match self.leak.is_empty() {
            true => &[],
            false => &self.leak[group * units..(group + 1) * units],
        };
        let lanes = self.kernel().lanes();
        self.spec.step(sums, carried, hidden, leak, lanes);
    }
}

/// Fills every row with the same values.
pub(super) fn fill_rows(rows: &mut [f32], values: &[f32]) {
    for row in rows.chunks_exact_mut(values.len()) {
        row.copy_from_slice(values);
    }
}

/// The terms of the gates' sums in one step.
struct Sums<'a> {
    layer: &'a Layer,
    start: Start<'a>,
    x: Option<(&'a Matrix, &'a Rows)>,
    previous: &'a VecDeque<Rows>,
}

impl Sums<'_> {
    /// Takes the step of a group's units, with a buffer for `PANELS` panels of one stream.
    fn step<const PANELS: usize>(&self, group: usize, carried: &mut [f32], hidden: &mut [f32]) {
        let layer = self.layer;
        let kernel = layer.kernel();
        let panels = layer.spec.cell.panels();
        let (width, units) = (kernel.width(), layer.spec.cell.units(kernel));
        let all_panels = layer.spec.groups(kernel) * panels.count;
        let mut buffer = [[0.0f32; MAX_WIDTH]; PANELS];
        let buffer = buffer.as_flattened_mut();
        let streams_per_block = (PANELS / panels.count).min(kernel.rows_per_block());
        for first in (0..self.start.rows.len()).step_by(streams_per_block) {
            let streams = first..(first + streams_per_block).min(self.start.rows.len());
            let size = streams.len() * width;
            let sums = &mut buffer[..panels.count * size];
            for (panel, sums) in sums.chunks_exact_mut(size).enumerate() {
                (self.start).copy_panel(
                    group * panels.count + panel,
                    all_panels,
                    streams.clone(),
                    sums,
                );
            }
            let mut add = |weights: &Matrix, x: &Rows, places: &[usize]| {
                for (own, &panel) in places.iter().enumerate() {
                    let sums = &mut sums[panel * size..(panel + 1) * size];
                    weights.add_product(group * places.len() + own, x, streams.clone(), sums);
                }
            };
            if let Some((weights, x)) = self.x {
                add(weights, x, panels.input);
            }
            for (weights, lag) in layer.recurrent.iter().zip(&layer.spec.lags) {
                add(weights, &self.previous[lag - 1], panels.recurrent);
            }
            let carried = match carried.is_empty() {
                true => &mut [],
                false => &mut carried[streams.start * units..streams.end * units],
            };
            let hidden = &mut hidden[streams.start * units..streams.end * units];
            layer.step_units(group, sums, carried, hidden);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::Cell;
    use super::super::step::Activation;
    use super::*;
    use crate::kernel::Precision;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 31 + seed * 17) as f32).sin())
            .collect()
    }

    fn spec(cell: Cell, activation: Activation, hidden_size: usize) -> LayerSpec {
        LayerSpec {
            cell,
            activation,
            hidden_size,
            lags: match cell {
                Cell::Skip => vec![1, 3],
                _ => vec![1],
            },
        }
    }

    /// A layer in float64, one number at a time, as in the papers.
    struct Twin {
        spec: LayerSpec,
        w_ih: Vec<f32>,
        w_hh: Vec<Vec<f32>>,
        bias: [Vec<f32>; 2],
        leak: Vec<f32>,
        gains: Option<[Vec<f32>; 2]>,
        /// The hidden states, the last one first.
        hidden: Vec<Vec<f64>>,
        cell: Vec<f64>,
    }

    fn product(weights: &[f32], x: &[f64]) -> Vec<f64> {
        let row = |row: &[f32]| row.iter().zip(x).map(|(&a, b)| f64::from(a) * b).sum();
        weights.chunks_exact(x.len()).map(row).collect()
    }

    fn normalised(values: Vec<f64>, gains: Option<&Vec<f32>>) -> Vec<f64> {
        let Some(gains) = gains else { return values };
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let values = values.iter().zip(gains);
        let one =
            |(v, &gain): (&f64, &f32)| (v - mean) / (variance + 1e-5).sqrt() * f64::from(gain);
        values.map(one).collect()
    }

    impl Twin {
        fn step(&mut self, x: &[f32]) {
            let size = self.spec.hidden_size;
            let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            let gains = self.gains.as_ref();
            let from_x = normalised(product(&self.w_ih, &x), gains.map(|g| &g[0]));
            let mut from_h = vec![0.0; from_x.len()];
            for (weights, lag) in self.w_hh.iter().zip(&self.spec.lags) {
                for (sum, more) in from_h
                    .iter_mut()
                    .zip(product(weights, &self.hidden[lag - 1]))
                {
                    *sum += more;
                }
            }
            let from_h = normalised(from_h, gains.map(|g| &g[1]));
            let x = |gate: usize, unit: usize| {
                from_x[gate * size + unit] + f64::from(self.bias[0][gate * size + unit])
            };
            let h = |gate: usize, unit: usize| {
                from_h[gate * size + unit] + f64::from(self.bias[1][gate * size + unit])
            };
            let sum = |gate: usize, unit: usize| x(gate, unit) + h(gate, unit);
            let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
            let activate = |x: f64| match self.spec.activation {
                Activation::Tanh => x.tanh(),
                Activation::Relu => x.max(0.0),
            };
            let mut cells = self.cell.clone();
            let hidden = (0..size).map(|unit| {
                let before = self.hidden[0][unit];
                match self.spec.cell {
                    Cell::Rnn | Cell::Skip => activate(sum(0, unit)),
                    Cell::Leaky => {
                        let leak = f64::from(self.leak[unit]);
                        leak * before + (1.0 - leak) * activate(sum(0, unit))
                    }
                    Cell::Gru => {
                        let (r, z) = (sigmoid(sum(0, unit)), sigmoid(sum(1, unit)));
                        let n = (x(2, unit) + r * h(2, unit)).tanh();
                        (1.0 - z) * n + z * before
                    }
                    Cell::Lstm => {
                        let (i, f) = (sigmoid(sum(0, unit)), sigmoid(sum(1, unit)));
                        let (g, o) = (sum(2, unit).tanh(), sigmoid(sum(3, unit)));
                        cells[unit] = f * cells[unit] + i * g;
                        o * cells[unit].tanh()
                    }
                }
            });
            let hidden = hidden.collect();
            self.cell = cells;
            self.hidden.rotate_right(1);
            self.hidden[0] = hidden;
        }
    }

    /// A twin with every number set, at zero state.
    fn twin(spec: LayerSpec, inner: usize, norm: bool) -> Twin {
        let (size, outer) = (spec.hidden_size, spec.cell.gates() * spec.hidden_size);
        // Small enough that a rectified state does not grow.
        let scaled = |count, seed| {
            numbers(count, seed)
                .iter()
                .map(|v| v / (size as f32).sqrt())
                .collect()
        };
        let gains = || [numbers(outer, 5), numbers(outer, 6)];
        Twin {
            w_ih: numbers(outer * inner, 1),
            w_hh: spec
                .lags
                .iter()
                .map(|lag| scaled(outer * size, 1 + lag))
                .collect(),
            bias: [numbers(outer, 3), numbers(outer, 4)],
            leak: match spec.cell {
                Cell::Leaky => numbers(size, 7).iter().map(|v| 0.5 + 0.4 * v).collect(),
                _ => Vec::new(),
            },
            gains: norm.then(gains),
            hidden: vec![vec![0.0; size]; spec.history()],
            cell: vec![0.0; size],
            spec,
        }
    }

    fn layer(twin: &Twin, inner: usize, kernel: Kernel, pool: &ThreadPool) -> Layer {
        let mut layer = Layer::new(twin.spec.clone(), &twin.w_hh, kernel, pool);
        layer = layer.with_input(&twin.w_ih, inner, pool);
        if !twin.leak.is_empty() {
            layer = layer.with_leak(&twin.leak);
        }
        match &twin.gains {
            Some([input, recurrent]) => layer.with_norms(input, recurrent),
            None => layer,
        }
    }

    /// Three steps of several streams, each compared with its twin.
    fn check(
        spec: LayerSpec,
        (inner, streams): (usize, usize),
        norm: bool,
        kernel: Kernel,
        tolerance: f64,
    ) {
        let pool = ThreadPool::new(2);
        let make = || twin(spec.clone(), inner, norm);
        let mut twins: Vec<Twin> = (0..streams).map(|_| make()).collect();
        let layer = layer(&twins[0], inner, kernel, &pool);
        let bias = layer.start(&twins[0].bias[0], &twins[0].bias[1]);
        let [mut state, mut apart] = [layer.zero_state(streams), layer.zero_state(streams)];
        for step in 0..4 {
            let inputs: Vec<f32> = numbers(streams * inner, 9 + step);
            let mut x = Rows::zeros(kernel, streams, inner);
            for (stream, (x_of, twin)) in inputs.chunks_exact(inner).zip(&mut twins).enumerate() {
                x.set(stream, x_of);
                twin.step(x_of);
            }
            let start = Start {
                values: &bias,
                rows: &vec![0; streams],
            };
            layer.step(start, Some(&x), &mut state, &pool);
            let sums = layer.input_sums(&bias, &x, &pool);
            let rows: Vec<u32> = (0..streams as u32).collect();
            let start = Start {
                values: &sums,
                rows: &rows,
            };
            layer.step(start, None, &mut apart, &pool);
            for hidden in [state.hidden(), apart.hidden()] {
                let units = state.units();
                for (stream, twin) in twins.iter().enumerate() {
                    for (unit, expected) in twin.hidden[0].iter().enumerate() {
                        let found =
                            hidden[(unit / units * streams + stream) * units + unit % units];
                        let off = (f64::from(found) - expected).abs();
                        assert!(
                            off < tolerance,
                            "{spec:?} {kernel:?} norm {norm}: {found} {expected}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn steps_of_every_cell_agree_with_the_float64_twin() {
        let precisions = [
            (Precision::Float32, 2e-5),
            (Precision::Bfloat16, 0.1),
            (Precision::Int8, 0.2),
        ];
        for cell in Cell::ALL {
            for activation in Activation::ALL {
                if cell.has_gates() && activation == Activation::Relu {
                    continue;
                }
                for (size, inner, streams) in [(5, 3, 1), (16, 16, 2), (70, 12, 27), (33, 40, 64)] {
                    for (precision, tolerance) in precisions {
                        for kernel in Kernel::all(precision) {
                            let spec = spec(cell, activation, size);
                            check(spec, (inner, streams), false, kernel, tolerance);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn normalised_steps_agree_with_the_float64_twin() {
        for cell in Cell::ALL {
            for kernel in Kernel::all(Precision::Float32) {
                let spec = spec(cell, Activation::Tanh, 21);
                check(spec, (7, 3), true, kernel, 1e-4);
            }
        }
    }

    #[test]
    fn states_are_selected_and_reset_by_stream() {
        let pool = ThreadPool::new(1);
        for cell in Cell::ALL {
            let twin = twin(spec(cell, Activation::Tanh, 20), 2, false);
            let layer = layer(&twin, 2, Kernel::fastest(Precision::Int8), &pool);
            let outer = cell.gates() * 20;
            let values = layer.start(&numbers(3 * outer, 2), &numbers(outer, 3));
            let run = |rows: &[u32]| {
                let mut state = layer.zero_state(rows.len());
                for _ in 0..2 {
                    let start = Start {
                        values: &values,
                        rows,
                    };
                    layer.step(start, None, &mut state, &pool);
                }
                state
            };
            let mut all = run(&[0, 1, 2]);
            assert_eq!(all.select(&[2, 0, 0]), run(&[2, 0, 0]));
            all.copy(1, &layer.zero_state(1));
            assert_eq!(all.select(&[0, 2]), run(&[0, 2]));
            assert_eq!(all.select(&[1]), layer.zero_state(1));
        }
    }
}

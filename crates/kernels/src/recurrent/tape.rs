/*!
A recurrent layer over a window, for training: forward, keeping what the gradients need, and backward, step by step, without
a graph.

Only the recurrent products are computed step by step. Products over all steps at once are the caller's: those of the input
before, and the gradients of the weights after (Appleyard et al. 2016, who describe cuDNN's).
*/

use std::ops::Range;

use super::cell::LayerSpec;
use super::layer::fill_rows;
use super::start::Start;
use super::step::{BackwardStep, ForwardStep, MOST_PANELS};
use crate::kernel::Kernel;
use crate::layout::split_panels;
use crate::packed_weights::PackedWeights;
use crate::products::MULTIPLICATIONS_PER_THREAD;
use crate::rows::Rows;
use crate::thread_pool::ThreadPool;

/// Number of units whose gradients are worth another thread.
const UNITS_PER_THREAD: usize = 1 << 10;

/// Gates, states and gradients of a layer in one window.
pub struct Tape {
    spec: LayerSpec,
    streams: usize,
    steps: usize,
    kernel: Kernel,
    /// `[groups, panels, steps · streams, width]`: the sums, then the gates, then the gradients of the sums.
    gates: Vec<f32>,
    /// The part that the cell carries over, before the first step and after each, `[groups, (steps + 1) · streams, units]`;
    /// empty if there is none.
    carried: Vec<f32>,
    /// The hidden state after the last step, `[groups, streams, units]`.
    hidden: Vec<f32>,
    /// The hidden states before the window, as many as recurrence reads, and after each step,
    /// `[(history + steps) · streams, hidden_size]`.
    outputs: Rows,
    /// The gradients of the sums in the order of the recurrent weights' panels, `[steps · streams, positions]`.
    gradients: Rows,
    /// The same in the order of the input weights' panels, where that is another.
    input_gradients: Option<Rows>,
    /// The gradient of the bias, `[groups, panels, width]`.
    bias_gradient: Vec<f32>,
    /// The leak of each unit, padded to whole groups, and its gradient; empty for cells without.
    leak: Vec<f32>,
    leak_gradient: Vec<f32>,
    /// After the backward pass, the gradient of what is carried over before the first step, `[groups, streams, units]`.
    carried_gradient: Vec<f32>,
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
    pub fn new(spec: LayerSpec, streams: usize, kernel: Kernel) -> Self {
        let panels = spec.cell.panels();
        let positions = |own: &[usize]| spec.groups(kernel) * own.len() * kernel.width();
        let input_gradients = (panels.input != panels.recurrent)
            .then(|| Rows::zeros(kernel, 0, positions(panels.input)));
        Tape {
            streams,
            steps: 0,
            kernel,
            gates: Vec::new(),
            carried: Vec::new(),
            hidden: Vec::new(),
            outputs: Rows::zeros(kernel, 0, spec.hidden_size),
            gradients: Rows::zeros(kernel, 0, positions(panels.recurrent)),
            input_gradients,
            bias_gradient: Vec::new(),
            leak: Vec::new(),
            leak_gradient: Vec::new(),
            carried_gradient: Vec::new(),
            spec,
        }
    }

    /// Sets the number of streams from the next window on.
    pub fn set_streams(&mut self, streams: usize) {
        self.streams = streams;
    }

    /// Sets the leak of each unit, `[hidden_size]`.
    pub fn set_leak(&mut self, leak: &[f32]) {
        self.leak.clear();
        self.leak.extend_from_slice(leak);
        self.leak.resize(self.groups() * self.units(), 0.0);
    }

    /// The hidden states before the window, as many as recurrence reads, the oldest first, and after each step,
    /// `[(history + steps) · streams, hidden_size]`.
    pub fn outputs(&self) -> &Rows {
        &self.outputs
    }

    /// The rows of [`Tape::outputs`] that the steps of a window read, from `lag` steps ago.
    pub fn read_rows(&self, lag: usize) -> Range<usize> {
        let first = (self.spec.history() - lag) * self.streams;
        first..first + self.rows()
    }

    /// After the backward pass, the gradients of the sums in the order of the input weights' panels,
    /// `[steps · streams, positions]`.
    pub fn input_gradients(&mut self, pool: &ThreadPool) -> &Rows {
        let Some(mut gradients) = self.input_gradients.take() else {
            return &self.gradients;
        };
        if gradients.len() != self.rows() {
            gradients = gradients.like(self.rows());
        }
        let own = self.spec.cell.panels().input;
        encode_panels(
            &mut gradients,
            0..self.rows(),
            &self.panels_of(own),
            self.kernel,
            pool,
        );
        self.input_gradients.insert(gradients)
    }

    /// After the backward pass, the gradients of the sums for each panel of the input's weights, `[steps · streams, width]`.
    pub fn input_sums_gradient(&self) -> Vec<&[f32]> {
        self.panels_of(self.spec.cell.panels().input)
    }

    /// The same for each panel of recurrent weights.
    pub fn recurrent_sums_gradient(&self) -> Vec<&[f32]> {
        self.panels_of(self.spec.cell.panels().recurrent)
    }

    /// Some panels of each group.
    fn panels_of(&self, own: &[usize]) -> Vec<&[f32]> {
        let (count, size) = (
            self.spec.cell.panels().count,
            self.rows() * self.kernel.width(),
        );
        let panel =
            |group: usize, panel: usize| &self.gates[(group * count + panel) * size..][..size];
        let groups = 0..self.groups();
        groups
            .flat_map(|group| own.iter().map(move |&own| panel(group, own)))
            .collect()
    }

    /// After the backward pass, the gradients of the input's bias, by the positions of the input weights' panels, and of the
    /// recurrent bias, by those of the recurrent weights'.
    pub fn bias_gradients(&self) -> [Vec<f32>; 2] {
        let panels = self.spec.cell.panels();
        let width = self.kernel.width();
        [panels.input, panels.recurrent].map(|own| {
            let groups = self.bias_gradient.chunks_exact(panels.count * width);
            let own =
                groups.flat_map(|group| own.iter().map(move |&own| &group[own * width..][..width]));
            own.flatten().copied().collect()
        })
    }

    /// After the backward pass, the gradient of the leak of each unit; empty for cells without.
    pub fn leak_gradient(&self) -> &[f32] {
        &self.leak_gradient[..self.leak_gradient.len().min(self.spec.hidden_size)]
    }

    /// The state of all streams after the last step: the parts of [`LayerSpec::parts`], `[streams, hidden_size]` each.
    pub fn state(&self) -> Vec<Vec<f32>> {
        let size = self.spec.hidden_size;
        let units = self.units();
        let last = |values: &[f32]| -> Vec<f32> {
            let rows = values.len() / (self.groups() * units);
            let value = |i: usize| {
                let (stream, unit) = (i / size, i % size);
                let row = unit / units * rows + rows - self.streams + stream;
                values[row * units + unit % units]
            };
            (0..self.streams * size).map(value).collect()
        };
        let before = |ago: usize| -> Vec<f32> {
            let first = self.outputs.len() - ago * self.streams;
            let mut values = vec![0.0; self.streams * size];
            for (row, values) in values.chunks_exact_mut(size).enumerate() {
                self.outputs.get(first + row, values);
            }
            values
        };
        let mut parts = vec![last(&self.hidden)];
        if self.spec.cell.carried().is_some_and(|part| part > 0) {
            parts.push(last(&self.carried));
        }
        parts.extend((2..=self.spec.history()).map(before));
        parts
    }

    /// Writes the values that the sums of `rows` steps and streams start from: the biases, `[panels, 1, width]`, with the
    /// products of some rows of the input.
    ///
    /// # Panics
    /// If sizes do not fit.
    pub fn fill_starts(
        &mut self,
        weights: &PackedWeights,
        bias: &[f32],
        (x, rows): (&Rows, Range<usize>),
        pool: &ThreadPool,
    ) {
        let (panels, width) = (self.spec.cell.panels(), self.kernel.width());
        let size = rows.len() * width;
        let mut products = Vec::new();
        let places = self
            .resize(rows.len())
            .chunks_exact_mut(size)
            .zip(bias.chunks_exact(width));
        for (index, (gates, bias)) in places.enumerate() {
            match panels.input.contains(&(index % panels.count)) {
                true => products.push((gates, Some(bias))),
                false => fill_rows(gates, bias),
            }
        }
        weights.forward.add_to_panels((x, rows), products, pool);
    }

    /// Makes place for the gates of `rows` steps and streams.
    fn resize(&mut self, rows: usize) -> &mut [f32] {
        assert_eq!(rows % self.streams, 0, "a row for each stream and step");
        self.steps = rows / self.streams;
        let panels = self.groups() * self.spec.cell.panels().count;
        self.gates.resize(panels * rows * self.kernel.width(), 0.0);
        &mut self.gates
    }

    /// Runs over a window, from a state with the parts of [`LayerSpec::parts`], `[streams, hidden_size]` each, with weights
    /// for each lag. The sums start from what [`Tape::fill_starts`] wrote, or from `start`, with a row for each step and
    /// stream.
    ///
    /// # Panics
    /// If sizes do not fit.
    pub fn forward(
        &mut self,
        weights: &[PackedWeights],
        start: Option<Start>,
        state: &[&[f32]],
        pool: &ThreadPool,
    ) {
        if let Some(start) = start {
            self.resize(start.rows.len());
        }
        self.set_state(state, pool);
        for step in 0..self.steps {
            self.forward_step(step, weights, start, pool);
        }
    }

    /// Writes the state before the first step.
    fn set_state(&mut self, state: &[&[f32]], pool: &ThreadPool) {
        assert_eq!(state.len(), self.spec.parts().len(), "parts of the state");
        let (streams, size) = (self.streams, self.spec.hidden_size);
        let (groups, units, history) = (self.groups(), self.units(), self.spec.history());
        let rows = self.rows() + streams;
        self.hidden.resize(groups * streams * units, 0.0);
        if let Some(part) = self.spec.cell.carried() {
            self.carried.resize(groups * rows * units, 0.0);
            for (group, carried) in split_panels(&mut self.carried, groups).enumerate() {
                for (stream, values) in carried.chunks_exact_mut(units).take(streams).enumerate() {
                    for (value, unit) in values.iter_mut().zip(group * units..) {
                        *value = match unit < size {
                            true => state[part][stream * size + unit],
                            false => 0.0,
                        };
                    }
                }
            }
        }
        let rows = self.rows() + history * streams;
        if self.outputs.len() != rows {
            self.outputs = self.outputs.like(rows);
        }
        let read = |row: usize, values: &mut [f32]| {
            // The first part is the last hidden state, and the others of a cell with a longer history go back from there.
            let part = state[history - 1 - row / streams];
            values.copy_from_slice(&part[row % streams * size..][..size]);
        };
        self.outputs.set_all(0..history * streams, read, pool);
    }

    fn forward_step(
        &mut self,
        step: usize,
        weights: &[PackedWeights],
        start: Option<Start>,
        pool: &ThreadPool,
    ) {
        let (spec, outputs) = (&self.spec, &self.outputs);
        let (groups, units, streams) = (self.groups(), self.units(), self.streams);
        let (width, lanes, panels) = (self.kernel.width(), self.kernel.lanes(), spec.cell.panels());
        let first_row = step * streams;
        let first = &weights[0].forward;
        let words: usize = weights
            .iter()
            .map(|weights| weights.forward.words_per_row())
            .sum();
        let threads = 1 + streams * first.panels() * width * words / MULTIPLICATIONS_PER_THREAD;
        let rows_per_part = first.rows_per_part(streams, groups, threads.min(pool.threads()));
        let all_rows = self.steps * streams;
        let gates = split_panels(&mut self.gates, groups);
        let carried = split_panels(&mut self.carried, groups);
        let hidden = split_panels(&mut self.hidden, groups);
        let mut parts = Vec::new();
        for (group, ((gates, carried), hidden)) in gates.zip(carried).zip(hidden).enumerate() {
            let step = GroupStep {
                gates: gates.chunks_exact_mut(all_rows * width),
                rows: first_row..first_row + streams,
                carried,
                hidden,
                leak: unit_values(&self.leak, group, units),
            };
            let own = step.parts(rows_per_part, width, units).into_iter();
            parts.extend(own.map(|(streams, step)| (group, streams, Some(step))));
        }
        pool.for_each(threads, &mut parts, |_, (group, streams_range, step)| {
            let mut step = step.take().expect("a part is worked on once");
            if let Some(start) = start {
                let rows = first_row + streams_range.start..first_row + streams_range.end;
                for (panel, gates) in step.gates[..panels.count].iter_mut().enumerate() {
                    let index = *group * panels.count + panel;
                    start.copy_panel(index, groups * panels.count, rows.clone(), gates);
                }
            }
            for (weights, lag) in weights.iter().zip(&spec.lags) {
                let earlier = first_row + (spec.history() - lag) * streams;
                let rows = earlier + streams_range.start..earlier + streams_range.end;
                for (own, &panel) in panels.recurrent.iter().enumerate() {
                    let index = *group * panels.recurrent.len() + own;
                    (weights.forward).add_product(index, outputs, rows.clone(), step.gates[panel]);
                }
            }
            spec.forward(step, lanes);
        });
        let after = first_row + spec.history() * streams;
        (self.outputs).set_panels(after..after + streams, &self.hidden, units, pool);
    }

    /// Runs backward over the window: computes the gradients of the sums and of the bias from those of the outputs. The
    /// gradient of the state after the window is zero: back-propagation is truncated there.
    ///
    /// # Panics
    /// If sizes do not fit.
    pub fn backward(
        &mut self,
        weights: &[PackedWeights],
        outputs: OutputGradients,
        pool: &ThreadPool,
    ) {
        let (streams, groups, units) = (self.streams, self.groups(), self.units());
        let plain = &weights[0].backward;
        let plain_size = plain.panels() * plain.width();
        assert_eq!(outputs.gradients.len(), self.rows() * plain_size);
        if self.gradients.len() != self.rows() {
            self.gradients = self.gradients.like(self.rows());
        }
        let panels = self.spec.cell.panels().count;
        self.bias_gradient.clear();
        (self.bias_gradient).resize(groups * panels * self.kernel.width(), 0.0);
        self.leak_gradient.clear();
        self.leak_gradient.resize(self.leak.len(), 0.0);
        let carried = self.spec.cell.carried().map_or(0, |_| 1);
        let mut state = StateGradients {
            hidden: vec![0.0; groups * streams * units],
            carried: vec![0.0; groups * streams * units * carried],
            recurrent: vec![0.0; streams * plain_size],
        };
        for step in (0..self.steps).rev() {
            state.recurrent.fill(0.0);
            for (weights, lag) in weights.iter().zip(&self.spec.lags) {
                if step + lag < self.steps {
                    let rows = self.rows_of(step + lag);
                    let gradients = &self.gradients;
                    (weights.backward).add_products(gradients, rows, &mut state.recurrent, pool);
                }
            }
            self.backward_step(step, plain.width(), outputs, &mut state, pool);
        }
        self.carried_gradient = state.carried;
    }

    /// After the backward pass, the gradients of a state that all streams begin with: of the hidden state, which all that
    /// recurrence reads begin with, and of the cell state of an LSTM, `[hidden_size]` each.
    pub fn initial_gradients(&self, weights: &[PackedWeights], pool: &ThreadPool) -> Vec<Vec<f32>> {
        let (size, streams) = (self.spec.hidden_size, self.streams);
        let plain = &weights[0].backward;
        let mut products = vec![0.0; plain.panels() * streams * plain.width()];
        for (weights, &lag) in weights.iter().zip(&self.spec.lags) {
            for step in 0..lag.min(self.steps) {
                let rows = self.rows_of(step);
                (weights.backward).add_products(&self.gradients, rows, &mut products, pool);
            }
        }
        // The streams' sum of values in groups of units.
        let sum = |values: &[f32], units: usize| -> Vec<f32> {
            let mut sums = vec![0.0; size];
            for (sums, group) in sums
                .chunks_mut(units)
                .zip(values.chunks_exact(streams * units))
            {
                for row in group.chunks_exact(units) {
                    sums.iter_mut()
                        .zip(row)
                        .for_each(|(sum, value)| *sum += value);
                }
            }
            sums
        };
        let mut hidden = sum(&products, plain.width());
        match self.spec.cell.carried() {
            None => vec![hidden],
            Some(0) => {
                let carried = sum(&self.carried_gradient, self.units());
                hidden
                    .iter_mut()
                    .zip(carried)
                    .for_each(|(hidden, carried)| *hidden += carried);
                vec![hidden]
            }
            Some(_) => vec![hidden, sum(&self.carried_gradient, self.units())],
        }
    }

    /// After the backward pass, the gradients of the state that each stream began with: of the parts of [`LayerSpec::parts`],
    /// `[streams, hidden_size]` each.
    pub fn state_gradients(&self, weights: &[PackedWeights], pool: &ThreadPool) -> Vec<Vec<f32>> {
        let (size, streams) = (self.spec.hidden_size, self.streams);
        // From groups of units to rows of all.
        let rows = |values: &[f32], units: usize| -> Vec<f32> {
            let value = |i: usize| {
                let (stream, unit) = (i / size, i % size);
                values[(unit / units * streams + stream) * units + unit % units]
            };
            (0..streams * size).map(value).collect()
        };
        let plain = &weights[0].backward;
        let hidden = |ago: usize| {
            let mut products = vec![0.0; plain.panels() * streams * plain.width()];
            for (weights, &lag) in weights.iter().zip(&self.spec.lags) {
                // The step that read this hidden state over that lag.
                if let Some(step) = lag.checked_sub(ago).filter(|&step| step < self.steps) {
                    let read = self.rows_of(step);
                    (weights.backward).add_products(&self.gradients, read, &mut products, pool);
                }
            }
            rows(&products, plain.width())
        };
        let mut parts = vec![hidden(1)];
        let carried = || rows(&self.carried_gradient, self.units());
        match self.spec.cell.carried() {
            None => parts.extend((2..=self.spec.history()).map(hidden)),
            Some(0) => {
                let sums = parts[0].iter_mut().zip(carried());
                sums.for_each(|(sum, carried)| *sum += carried);
            }
            Some(_) => parts.push(carried()),
        }
        parts
    }

    /// Replaces the gates of a step by the gradients of their sums, and encodes them.
    fn backward_step(
        &mut self,
        step: usize,
        plain_width: usize,
        outputs: OutputGradients,
        state: &mut StateGradients,
        pool: &ThreadPool,
    ) {
        let (groups, units, streams) = (self.groups(), self.units(), self.streams);
        let (rows, all_rows) = (self.rows_of(step), self.rows());
        let (width, lanes) = (self.kernel.width(), self.kernel.lanes());
        let hidden = HiddenGradients {
            outputs,
            recurrent: &state.recurrent,
            plain_width,
            rows: all_rows,
            streams,
            hidden_size: self.spec.hidden_size,
            units,
        };
        let (spec, leak, carried) = (&self.spec, &self.leak, &self.carried);
        let gates = split_panels(&mut self.gates, groups);
        let bias_gradient = split_panels(&mut self.bias_gradient, groups);
        let leak_gradient = split_panels(&mut self.leak_gradient, groups);
        let hidden_gradient = split_panels(&mut state.hidden, groups);
        let carried_gradient = split_panels(&mut state.carried, groups);
        let gradients = hidden_gradient.zip(carried_gradient);
        let gradients = gradients.zip(bias_gradient.zip(leak_gradient));
        let mut parts: Vec<_> = gates.zip(gradients).collect();
        let threads = 1 + streams * groups * units / UNITS_PER_THREAD;
        pool.for_each(
            threads,
            &mut parts,
            |group, (gates, ((own, carried_gradient), (bias, leak_gradient)))| {
                hidden.fill(group, rows.start, own);
                let mut panels = gates.chunks_exact_mut(all_rows * width);
                let gates = std::array::from_fn(|_| match panels.next() {
                    Some(panel) => &mut panel[rows.start * width..rows.end * width],
                    None => &mut [],
                });
                let carried = match carried.is_empty() {
                    true => &[],
                    false => {
                        let first = group * (all_rows + streams) + rows.start;
                        &carried[first * units..(first + 2 * streams) * units]
                    }
                };
                let step = BackwardStep {
                    gates,
                    carried: carried.split_at(carried.len() / 2),
                    hidden_gradient: own,
                    carried_gradient,
                    bias_gradient: bias,
                    leak: (unit_values(leak, group, units), leak_gradient),
                };
                spec.backward(step, lanes);
            },
        );
        let own = self.spec.cell.panels().recurrent;
        let mut gradients = std::mem::replace(&mut self.gradients, Rows::zeros(self.kernel, 0, 0));
        encode_panels(
            &mut gradients,
            rows,
            &self.panels_of(own),
            self.kernel,
            pool,
        );
        self.gradients = gradients;
    }

    fn groups(&self) -> usize {
        self.spec.groups(self.kernel)
    }

    fn units(&self) -> usize {
        self.spec.cell.units(self.kernel)
    }

    /// Number of steps and streams.
    fn rows(&self) -> usize {
        self.steps * self.streams
    }

    /// The rows of a step.
    fn rows_of(&self, step: usize) -> Range<usize> {
        step * self.streams..(step + 1) * self.streams
    }
}

/// One step of a group of units.
struct GroupStep<'a> {
    /// The panels of its sums, of all rows of the window.
    gates: std::slice::ChunksExactMut<'a, f32>,
    /// The rows of the step.
    rows: Range<usize>,
    /// What is carried over, of the whole window; empty if nothing is.
    carried: &'a mut [f32],
    hidden: &'a mut [f32],
    leak: &'a [f32],
}

impl<'a> GroupStep<'a> {
    /// The step in parts of some streams, with the streams of each.
    fn parts(
        mut self,
        streams_per_part: usize,
        width: usize,
        units: usize,
    ) -> Vec<(Range<usize>, ForwardStep<'a>)> {
        let Range { start, end } = self.rows;
        let mut gates: [_; MOST_PANELS] = std::array::from_fn(|_| {
            let panel = self
                .gates
                .next()
                .map(|panel| &mut panel[start * width..end * width]);
            panel
                .unwrap_or_default()
                .chunks_mut(streams_per_part * width)
        });
        let carried = match self.carried.is_empty() {
            true => self.carried,
            false => &mut self.carried[start * units..(2 * end - start) * units],
        };
        let (before, after) = carried.split_at_mut(carried.len() / 2);
        let mut before = before.chunks(streams_per_part * units);
        let mut after = after.chunks_mut(streams_per_part * units);
        let hidden = self.hidden.chunks_mut(streams_per_part * units);
        let part = |(part, hidden): (usize, &'a mut [f32])| {
            let first = part * streams_per_part;
            let streams = first..first + hidden.len() / units;
            let step = ForwardStep {
                gates: gates
                    .each_mut()
                    .map(|gates| gates.next().unwrap_or_default()),
                before: before.next().unwrap_or_default(),
                after: after.next().unwrap_or_default(),
                leak: self.leak,
                hidden,
            };
            (streams, step)
        };
        hidden.enumerate().map(part).collect()
    }
}

/// The values of a group's units; none if there are none of any unit.
fn unit_values(values: &[f32], group: usize, units: usize) -> &[f32] {
    match values.is_empty() {
        true => &[],
        false => &values[group * units..(group + 1) * units],
    }
}

/// Encodes some rows from panels, `[rows, width]` each.
fn encode_panels(
    encoded: &mut Rows,
    rows: Range<usize>,
    panels: &[&[f32]],
    kernel: Kernel,
    pool: &ThreadPool,
) {
    let (first, width) = (rows.start, kernel.width());
    let read = |row: usize, values: &mut [f32]| {
        for (out, panel) in values.chunks_exact_mut(width).zip(panels) {
            out.copy_from_slice(&panel[(first + row) * width..][..width]);
        }
    };
    encoded.set_all(rows, read, pool);
}

/// Gradients with respect to the state after a step.
struct StateGradients {
    /// The hidden state, `[groups, streams, units]`.
    hidden: Vec<f32>,
    /// What the cell carries over, `[groups, streams, units]`.
    carried: Vec<f32>,
    /// The hidden state, through the recurrent products of later steps: in panels of the plain layout,
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
    units: usize,
}

impl HiddenGradients<'_> {
    /// Writes the gradients for a group's units, `[streams, units]`, of the step whose first row is `first`.
    fn fill(&self, group: usize, first: usize, gradients: &mut [f32]) {
        let (unit, lanes) = (group * self.units, self.units);
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

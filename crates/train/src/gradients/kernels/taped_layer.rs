/*!
A recurrent layer over a window: its packed weights, what it keeps, and the gradients of its parameters.
*/

use std::ops::Range;

use tch::Tensor;

use crate::network::NamedTensors;
use crate::slices::floats;
use carousel::checkpoint::architecture::{LayerTensors, Leak, Recurrent};
use carousel_kernels::recurrent::{LayerSpec, OutputGradients, Tape};
use carousel_kernels::{Kernel, PackedWeights, Rows, ThreadPool};

use super::embedding::multiply;
use super::memory::StepMemory;

/// Numbers that are worth another thread.
const CHUNK: usize = 1 << 15;

/// A layer with the names of its parameters.
pub struct TapedLayer {
    /// What it computes.
    pub spec: LayerSpec,
    /// The names of its parameters.
    pub names: LayerTensors<String>,
    /// The weights of its input.
    pub input: PackedWeights,
    /// Recurrent weights for each lag.
    pub recurrent: Vec<PackedWeights>,
    /// Its gates, states and gradients.
    pub tape: Tape,
    leak: Option<Leak>,
    kernel: Kernel,
}

impl TapedLayer {
    /// A layer over inputs of a width, for windows of `streams` streams.
    pub fn new(
        recurrent: &Recurrent,
        names: LayerTensors<String>,
        input_size: usize,
        streams: usize,
        kernel: Kernel,
    ) -> Self {
        let spec = recurrent.layer_spec();
        let (rows, layout) = (spec.cell.gates() * spec.hidden_size, spec.cell.layout());
        let weights = |inner| PackedWeights::zeros(rows, inner, layout, kernel);
        TapedLayer {
            names,
            input: weights(input_size),
            recurrent: spec
                .lags
                .iter()
                .map(|_| weights(spec.hidden_size))
                .collect(),
            tape: Tape::new(spec.clone(), streams, kernel),
            leak: recurrent.leak,
            spec,
            kernel,
        }
    }

    /// Its parameters.
    pub fn weights<'p>(&self, parameters: &'p NamedTensors) -> LayerTensors<&'p [f32]> {
        let names = self.names.clone();
        names.map(|name| floats(parameters.get(&name)))
    }

    /// Packs its weights, those of the last hidden state with their dropout mask, if there is one.
    pub fn pack(&mut self, parameters: &NamedTensors, mask: Option<&Tensor>, pool: &ThreadPool) {
        let weights = self.weights(parameters);
        self.input.fill(weights.weight_ih, None, pool);
        let mask = mask.map(floats);
        let recurrent = self.recurrent.iter_mut().zip(&weights.weight_hh);
        for (lag, (packed, weights)) in recurrent.enumerate() {
            packed.fill(weights, mask.filter(|_| lag == 0), pool);
        }
        if let Some(leak) = leaks(self.leak, weights.leak, self.spec.hidden_size) {
            self.tape.set_leak(&leak);
        }
    }

    /// Runs over a window of some rows of `x`, from a state with the parts of [`LayerSpec::parts`], `[streams, hidden_size]`
    /// each.
    pub fn forward(
        &mut self,
        parameters: &NamedTensors,
        (x, rows): (&Rows, Range<usize>),
        state: &[&[f32]],
        pool: &ThreadPool,
    ) {
        let weights = self.weights(parameters);
        let bias = self
            .spec
            .start(weights.bias_ih, weights.bias_hh, self.kernel);
        self.tape.fill_starts(&self.input, &bias, (x, rows), pool);
        self.tape.forward(&self.recurrent, None, state, pool);
    }

    /// Runs backward over the window, from the gradients of its outputs.
    pub fn backward(&mut self, outputs: OutputGradients, pool: &ThreadPool) {
        self.tape.backward(&self.recurrent, outputs, pool);
    }

    /// After the backward pass, writes the gradients of its biases and recurrent weights, of a window of so many rows.
    pub fn recurrent_gradients(
        &self,
        parameters: &NamedTensors,
        (mask, rows): (Option<&Tensor>, usize),
        memory: &mut StepMemory,
        pool: &ThreadPool,
    ) {
        let StepMemory { gradients, scratch } = memory;
        let names = &self.names;
        let row = |position: usize| self.recurrent[0].forward.row(position);
        let biases = [&names.bias_ih, &names.bias_hh];
        for (name, found) in biases.into_iter().zip(self.tape.bias_gradients()) {
            let gradient = gradients.get_mut(name);
            for (position, value) in found.into_iter().enumerate() {
                if let Some(row) = row(position) {
                    gradient[row] = value;
                }
            }
        }
        if let Some(name) = &names.leak {
            let odds = floats(parameters.get(name));
            let values = self.tape.leak_gradient().iter().zip(odds);
            for (gradient, (found, &odds)) in gradients.get_mut(name).iter_mut().zip(values) {
                let leak = sigmoid(odds);
                *gradient = found * leak * (1.0 - leak);
            }
        }
        scratch
            .gradients
            .set_panels(&self.tape.recurrent_sums_gradient(), rows, pool);
        for (name, &lag) in names.weight_hh.iter().zip(&self.spec.lags) {
            let read = self.tape.read_rows(lag);
            scratch.inputs.set_rows(self.tape.outputs(), read, pool);
            let gradient = gradients.get_mut(name);
            scratch
                .gradients
                .products(&scratch.inputs, row, gradient, pool);
        }
        let gradient = gradients.get_mut(&names.weight_hh[0]);
        if let Some(mask) = mask {
            let mut parts: Vec<_> = gradient
                .chunks_mut(CHUNK)
                .zip(floats(mask).chunks(CHUNK))
                .collect();
            pool.for_each(pool.threads(), &mut parts, |_, (gradient, factors)| {
                multiply(gradient, factors)
            });
        }
    }

    /// After the backward pass, writes the gradient of its input weights, and returns those of the rows of `x` that it read,
    /// `[panels, rows, width]`.
    pub fn input_gradients(
        &mut self,
        (x, rows): (&Rows, Range<usize>),
        memory: &mut StepMemory,
        pool: &ThreadPool,
    ) -> Vec<f32> {
        let panels = self.tape.input_sums_gradient();
        let scratch = &mut memory.scratch;
        scratch.gradients.set_panels(&panels, rows.len(), pool);
        let sums_gradient = self.tape.input_gradients(pool);
        let weights = InputWeights {
            packed: &self.input,
            name: &self.names.weight_ih,
        };
        weights.gradients(sums_gradient, (x, rows), memory, pool)
    }
}

/// The weights of a layer's input.
pub struct InputWeights<'a> {
    /// Packed.
    pub packed: &'a PackedWeights,
    /// Their name.
    pub name: &'a str,
}

impl InputWeights<'_> {
    /// Writes their gradient, from those of the sums, by columns in the scratch memory and by rows here, and from the rows of
    /// `x` that were read. Returns the gradients of these, `[panels, rows, width]`.
    pub fn gradients(
        &self,
        sums_gradient: &Rows,
        (x, rows): (&Rows, Range<usize>),
        memory: &mut StepMemory,
        pool: &ThreadPool,
    ) -> Vec<f32> {
        let StepMemory { gradients, scratch } = memory;
        scratch.inputs.set_rows(x, rows, pool);
        let row = |position: usize| self.packed.forward.row(position);
        let gradient = gradients.get_mut(self.name);
        scratch
            .gradients
            .products(&scratch.inputs, row, gradient, pool);
        scratch.products(
            &self.packed.backward,
            sums_gradient,
            0..sums_gradient.len(),
            pool,
        )
    }
}

/// The leak of each unit, if there is one.
fn leaks(leak: Option<Leak>, odds: Option<&[f32]>, hidden_size: usize) -> Option<Vec<f32>> {
    match (leak?, odds) {
        (Leak::Fixed(leak), _) => Some(vec![leak as f32; hidden_size]),
        (Leak::Learnt, odds) => Some(odds?.iter().map(|&odds| sigmoid(odds)).collect()),
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

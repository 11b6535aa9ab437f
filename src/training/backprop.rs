/*!
Gradients on the CPU, without a graph: every product and every step by the library's kernels, in float32 or with bfloat16
products. Weights, sums, loss and gradients are float32 either way.

With few symbols the first layer's input products are those of the symbols, not of the tokens: a table, made anew for each
window, and the gradients are summed by symbol before they are multiplied.
*/

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use crate::network::{Masks, Network, State, masked};
use crate::view::{floats, floats_mut};
use carousel::checkpoint::ModelConfig;
use carousel::kernels::lstm::{Start, TABLE_SYMBOLS, start};
use carousel::kernels::output::cross_entropy;
use carousel::kernels::sequence::{Above, Memory, Tape, Weights};
use carousel::kernels::{Columns, Kernel, Matrix, Order, Precision, Rows, Team};

/// What is kept from one window to the next.
pub struct Backprop {
    kernel: Kernel,
    layers: Vec<Layer>,
    output: Weights,
    batch_size: usize,
    /// Whether the first layer's input products are a table.
    table: bool,
    /// The factors of the weights' gradients.
    columns: [Columns; 2],
    /// In the order of the parameters.
    gradients: Vec<Tensor>,
}

struct Layer {
    input: Weights,
    recurrent: Weights,
    tape: Tape,
}

/// What a window comes to.
pub struct Window {
    /// Mean loss, in nats per token.
    pub loss: f64,
    /// Its gradients, in the order of the parameters; the next window replaces them.
    pub gradients: Vec<Tensor>,
    /// The memory afterwards.
    pub state: State,
    /// Tokens predicted.
    pub tokens: usize,
}

impl Backprop {
    /// Room for windows of `batch_size` streams.
    pub fn new(config: &ModelConfig, batch_size: usize, precision: Precision) -> Self {
        let (kernel, hidden_size) = (Kernel::fastest(precision), config.hidden_size);
        let layer = |index: usize| {
            let input_size = if index == 0 {
                config.embedding_size
            } else {
                hidden_size
            };
            let weights = |inner| Weights::zeros(4 * hidden_size, inner, Order::Gates, kernel);
            Layer {
                input: weights(input_size),
                recurrent: weights(hidden_size),
                tape: Tape::new(hidden_size, batch_size, kernel),
            }
        };
        Backprop {
            kernel,
            layers: (0..config.num_layers).map(layer).collect(),
            output: Weights::zeros(config.vocab_size, hidden_size, Order::Plain, kernel),
            batch_size,
            table: config.vocab_size <= TABLE_SYMBOLS,
            columns: [Columns::new(kernel), Columns::new(kernel)],
            gradients: config
                .tensors()
                .iter()
                .map(|(_, shape)| {
                    let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
                    Tensor::zeros(shape, (Kind::Float, Device::Cpu))
                })
                .collect(),
        }
    }

    /// Reads a window, time-major `[steps, batch_size]`, from a state, and looks back at how its loss came about.
    pub fn window(
        &mut self,
        network: &Network,
        inputs: &[u32],
        targets: &[u32],
        state: &State,
        masks: &Masks,
        team: &Team,
    ) -> Window {
        let config = &network.config;
        let (streams, rows, width) = (self.batch_size, inputs.len(), self.kernel.width());
        // What the first layer's input weights are multiplied with: every symbol, or every token, where each may differ.
        self.table = config.vocab_size <= TABLE_SYMBOLS && masks.inputs.is_none();
        let everything: Vec<u32> = (0..config.vocab_size as u32).collect();
        let symbols = if self.table { &everything } else { inputs };
        let embedding = tch::no_grad(|| masked(&network.parameters[0], masks.embedding.as_ref()));
        let mut embedded = Rows::chosen(
            self.kernel,
            floats(&embedding),
            config.embedding_size,
            symbols,
            team,
        );
        if let Some(mask) = &masks.inputs {
            embedded = embedded.times(0..rows, floats(mask), team);
        }
        let (passed_on, memories) = self.forward(network, inputs, &embedded, state, masks, team);
        let after = streams..streams + rows;

        let (output, output_bias) = network.output();
        self.output.fill(floats(output), team);
        let mut logits_gradient = Rows::zeros(self.kernel, rows, config.vocab_size);
        let top = inputs_of(
            &self.layers,
            &passed_on,
            &embedded,
            self.layers.len(),
            after.clone(),
        );
        let (nats, output_bias_gradient) = cross_entropy(
            &self.output.forward,
            floats(output_bias),
            (top.0, top.1.clone()),
            targets,
            &mut logits_gradient,
            team,
        );
        let [g, x] = &mut self.columns;
        g.take_rows(&logits_gradient, 0..rows, team);
        x.take_rows(top.0, top.1, team);
        let vocab_size = config.vocab_size;
        let plain = |place: usize| (place < vocab_size).then_some(place);
        // Tied weights have one gradient; what they did as an embedding is added to it below.
        let place = if config.tie_weights {
            0
        } else {
            1 + 4 * self.layers.len()
        };
        let gradient = floats_mut(&mut self.gradients[place]);
        g.products(x, plain, gradient, team);
        let bias_gradient = self.gradients.last_mut().expect("the output has a bias");
        floats_mut(bias_gradient).copy_from_slice(&output_bias_gradient);
        let mut above = products(&self.output.backward, &logits_gradient, 0..rows, team);

        for index in (0..self.layers.len()).rev() {
            let gradients = Above {
                gradients: &above,
                mask: masks.outputs[index].as_ref().map(floats),
            };
            let layer = &mut self.layers[index];
            layer.tape.backward(&layer.recurrent, gradients, team);
            let layer = &self.layers[index];
            let order = &layer.recurrent.forward;
            let row = |place: usize| order.row(place);
            let [input_gradient, recurrent_gradient, biases_gradients @ ..] =
                &mut self.gradients[1 + 4 * index..][..4]
            else {
                unreachable!("a layer has four parameters")
            };
            for bias_gradient in biases_gradients {
                let bias_gradient = floats_mut(bias_gradient);
                for (place, gradient) in layer.tape.bias_gradient().iter().enumerate() {
                    if let Some(row) = row(place) {
                        bias_gradient[row] = *gradient;
                    }
                }
            }
            g.take_panels(layer.tape.sums_gradient(), rows, team);
            x.take_rows(layer.tape.outputs(), 0..rows, team);
            let recurrent_gradient = floats_mut(recurrent_gradient);
            g.products(x, row, recurrent_gradient, team);
            if let Some(mask) = &masks.recurrent[index] {
                multiply(recurrent_gradient, floats(mask));
            }
            let by_symbol;
            let gradients = if index == 0 && self.table {
                let sums = sum_by_symbol(order, &layer.tape, inputs, vocab_size, team);
                g.take_panels(&sums, vocab_size, team);
                by_symbol = rows_of(order, &sums, vocab_size, team);
                &by_symbol
            } else {
                layer.tape.gradients()
            };
            let below = inputs_of(&self.layers, &passed_on, &embedded, index, after.clone());
            x.take_rows(below.0, below.1, team);
            g.products(x, row, floats_mut(input_gradient), team);
            above = products(&layer.input.backward, gradients, 0..gradients.len(), team);
        }

        if let Some(mask) = &masks.inputs {
            multiply_panels(&mut above, floats(mask), config.embedding_size, width, rows);
        }
        let embedding_gradient = floats_mut(&mut self.gradients[0]);
        if !config.tie_weights {
            embedding_gradient.fill(0.0);
        }
        let size = config.embedding_size;
        let factors = masks.embedding.as_ref().map(floats);
        add_by_symbol(&above, symbols, factors, size, width, embedding_gradient);
        let stack = |which: fn(&Memory) -> &[f32]| {
            let all: Vec<f32> = memories.iter().flat_map(which).copied().collect();
            Tensor::from_slice(&all).view_as(&state.hidden)
        };
        Window {
            loss: nats / rows as f64,
            gradients: self.gradients.iter().map(Tensor::shallow_clone).collect(),
            tokens: rows,
            state: State {
                hidden: stack(|memory| &memory.hidden),
                cell: stack(|memory| &memory.cell),
            },
        }
    }

    /// Runs over all layers. Returns what each passes on where that is not just its outputs, and its memory afterwards.
    fn forward(
        &mut self,
        network: &Network,
        inputs: &[u32],
        embedded: &Rows,
        state: &State,
        masks: &Masks,
        team: &Team,
    ) -> (Vec<Option<Rows>>, Vec<Memory>) {
        let (streams, rows) = (self.batch_size, inputs.len());
        let after = streams..streams + rows;
        let numbers: Vec<u32> = (0..rows as u32).collect();
        let (mut passed_on, mut memories) = (Vec::new(), Vec::new());
        for (index, mask) in masks.outputs.iter().enumerate() {
            let [w_ih, w_hh, b_ih, b_hh] = network.layer(index);
            let w_hh = tch::no_grad(|| masked(w_hh, masks.recurrent[index].as_ref()));
            let [w_ih, w_hh, b_ih, b_hh] = [w_ih, &w_hh, b_ih, b_hh].map(floats);
            let layer = &mut self.layers[index];
            layer.input.fill(w_ih, team);
            layer.recurrent.fill(w_hh, team);
            let bias: Vec<f32> = b_ih.iter().zip(b_hh).map(|(a, b)| a + b).collect();
            let bias = start(&layer.input.forward, &bias);
            let (x, range) = inputs_of(&self.layers, &passed_on, embedded, index, after.clone());
            let values = self.layers[index].input.forward.sums(&bias, x, range, team);
            let start = Start {
                values: &values,
                rows: if index == 0 && self.table {
                    inputs
                } else {
                    &numbers
                },
            };
            let [hidden, cell] =
                [&state.hidden, &state.cell].map(|state| state.get(index as i64).contiguous());
            let layer = &mut self.layers[index];
            let before = (floats(&hidden), floats(&cell));
            layer.tape.forward(&layer.recurrent, start, before, team);
            memories.push(layer.tape.memory());
            let outputs = layer.tape.outputs();
            let times = |mask: &Tensor| outputs.times(after.clone(), floats(mask), team);
            passed_on.push(mask.as_ref().map(times));
        }
        (passed_on, memories)
    }
}

/// The inputs of layer `index`, or after the last layer of the output: rows, and which of them.
fn inputs_of<'a>(
    layers: &'a [Layer],
    passed_on: &'a [Option<Rows>],
    embedded: &'a Rows,
    index: usize,
    after: Range<usize>,
) -> (&'a Rows, Range<usize>) {
    match index.checked_sub(1) {
        None => (embedded, 0..embedded.len()),
        Some(below) => match &passed_on[below] {
            Some(rows) => (rows, 0..rows.len()),
            None => (layers[below].tape.outputs(), after),
        },
    }
}

/// `x · weightsᵀ`, `[panels, rows, width]`.
fn products(weights: &Matrix, x: &Rows, rows: Range<usize>, team: &Team) -> Vec<f32> {
    let mut products = vec![0.0; weights.panels() * rows.len() * weights.width()];
    weights.add_products(x, rows, &mut products, team);
    products
}

/// The gradients of a layer's sums, added up for each symbol that was read: `[panels, vocab_size, width]`.
fn sum_by_symbol(
    order: &Matrix,
    tape: &Tape,
    inputs: &[u32],
    vocab_size: usize,
    team: &Team,
) -> Vec<f32> {
    let width = order.width();
    let mut sums = vec![0.0f32; order.panels() * vocab_size * width];
    let gradients = tape.sums_gradient().chunks_exact(inputs.len() * width);
    let mut parts: Vec<_> = sums
        .chunks_exact_mut(vocab_size * width)
        .zip(gradients)
        .collect();
    team.for_each(team.threads(), &mut parts, |_, (sums, gradients)| {
        add_by_symbol(gradients, inputs, None, width, width, sums);
    });
    sums
}

/// Adds values, `[panels, rows, width]`, to the rows of `sums`, `[_, size]`, that belong to the symbols, times the symbols'
/// factors if they have any.
fn add_by_symbol(
    values: &[f32],
    symbols: &[u32],
    factors: Option<&[f32]>,
    size: usize,
    width: usize,
    sums: &mut [f32],
) {
    for (row, &symbol) in symbols.iter().enumerate() {
        let sums = &mut sums[symbol as usize * size..(symbol as usize + 1) * size];
        let factor = factors.map_or(1.0, |factors| factors[symbol as usize]);
        let panels = values.chunks_exact(symbols.len() * width);
        for (sums, panel) in sums.chunks_mut(width).zip(panels) {
            let values = &panel[row * width..(row + 1) * width];
            sums.iter_mut()
                .zip(values)
                .for_each(|(sum, value)| *sum += factor * value);
        }
    }
}

/// Multiplies values, `[panels, rows, width]`, with the factors, `[streams, size]`, of their streams.
fn multiply_panels(values: &mut [f32], factors: &[f32], size: usize, width: usize, rows: usize) {
    for (panel, values) in values.chunks_exact_mut(rows * width).enumerate() {
        let factors = factors.chunks_exact(size).cycle();
        for (values, factors) in values.chunks_exact_mut(width).zip(factors) {
            multiply(values, &factors[(panel * width).min(size)..]);
        }
    }
}

fn multiply(values: &mut [f32], factors: &[f32]) {
    values
        .iter_mut()
        .zip(factors)
        .for_each(|(value, factor)| *value *= factor);
}

/// Values in panels, `[panels, rows, width]`, encoded row by row in the order of the panels.
fn rows_of(order: &Matrix, values: &[f32], rows: usize, team: &Team) -> Rows {
    let width = order.width();
    let mut encoded = Rows::zeros(order.kernel(), rows, order.panels() * width);
    let read = |row: usize, into: &mut [f32]| {
        for (into, panel) in into
            .chunks_exact_mut(width)
            .zip(values.chunks_exact(rows * width))
        {
            into.copy_from_slice(&panel[row * width..(row + 1) * width]);
        }
    };
    encoded.set_all(0..rows, read, team);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::tests::{config, network_of_cosines, options};

    /// The gradients of a window by libtorch's autograd in float64.
    fn by_autograd(
        network: &Network,
        inputs: &[u32],
        targets: &[u32],
        state: &State,
        masks: &Masks,
    ) -> (f64, Vec<Tensor>, State) {
        let double = |tensor: &Tensor| tensor.detach().to_kind(Kind::Double);
        let network = Network {
            config: network.config.clone(),
            parameters: network
                .parameters
                .iter()
                .map(|p| double(p).set_requires_grad(true))
                .collect(),
        };
        let state = State {
            hidden: double(&state.hidden),
            cell: double(&state.cell),
        };
        let all = |masks: &[Option<Tensor>]| masks.iter().map(|m| m.as_ref().map(double)).collect();
        let masks = Masks {
            embedding: masks.embedding.as_ref().map(double),
            inputs: masks.inputs.as_ref().map(double),
            recurrent: all(&masks.recurrent),
            outputs: all(&masks.outputs),
        };
        let ids = |ids: &[u32]| {
            let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
            Tensor::from_slice(&ids).view([-1, state.hidden.size()[1]])
        };
        let (loss, next) = network.loss(&ids(inputs), &ids(targets), &state, &masks, Kind::Double);
        (loss.double_value(&[]), network.gradients(&loss), next)
    }

    /// The largest difference, relative to the largest value.
    fn difference(found: &Tensor, expected: &Tensor) -> f64 {
        assert_eq!(found.size(), expected.size());
        let expected = expected.to_kind(Kind::Double);
        let off = (found.to_kind(Kind::Double) - &expected).abs().max();
        off.double_value(&[]) / expected.abs().max().double_value(&[]).max(1e-6)
    }

    #[test]
    fn gradients_are_those_of_autograd() {
        // A table or none, tied or not, sizes that fill vectors and sizes that do not.
        let shapes = [
            (7, 5, 3, 1, false),
            (7, 20, 20, 2, true),
            (65, 16, 64, 2, false),
            (700, 24, 33, 3, false),
            (600, 40, 40, 1, true),
        ];
        for (vocab_size, embedding_size, hidden_size, num_layers, tie_weights) in shapes {
            let config = ModelConfig {
                vocab_size,
                embedding_size,
                hidden_size,
                num_layers,
                tie_weights,
                ..config(tie_weights, 0.4)
            };
            let network = network_of_cosines(&config);
            let streams = 5;
            let mut options = options(streams);
            (options.embedding_dropout, options.weight_drop) = (0.2, 0.3);
            options.input_dropout = if num_layers == 2 { 0.0 } else { 0.4 };
            let ids = |shift: usize| -> Vec<u32> {
                (0..7 * streams)
                    .map(|i| ((i * i + shift) % vocab_size) as u32)
                    .collect()
            };
            let (inputs, targets) = (ids(1), ids(2));
            let sized = State::zeros(&config, streams, Device::Cpu).hidden;
            let wave = |phase: f64| {
                let numbers = Tensor::arange(sized.numel() as i64, (Kind::Float, Device::Cpu));
                ((numbers + phase).sin() * 0.5).view_as(&sized)
            };
            let state = State {
                hidden: wave(0.0),
                cell: wave(1.0),
            };
            for masks in [
                Masks::none(&config),
                Masks::draw(&config, &options, Device::Cpu, 1),
            ] {
                let (loss, expected, next) =
                    by_autograd(&network, &inputs, &targets, &state, &masks);
                for (precision, tolerance) in
                    [(Precision::Float32, 1e-5), (Precision::Bfloat16, 0.1)]
                {
                    let mut backprop = Backprop::new(&config, streams, precision);
                    let team = Team::new(2);
                    // Twice, as what is kept must not show.
                    backprop.window(&network, &targets, &inputs, &state, &masks, &team);
                    let window =
                        backprop.window(&network, &inputs, &targets, &state, &masks, &team);
                    assert!(
                        (window.loss / loss - 1.0).abs() < tolerance,
                        "{} {loss}",
                        window.loss
                    );
                    for ((name, _), (found, expected)) in config
                        .tensors()
                        .iter()
                        .zip(window.gradients.iter().zip(&expected))
                    {
                        let off = difference(found, expected);
                        assert!(off < tolerance, "{config:?} {precision:?} {name}: {off}");
                    }
                    assert!(difference(&window.state.hidden, &next.hidden) < tolerance);
                    assert!(difference(&window.state.cell, &next.cell) < tolerance);
                }
            }
        }
    }
}

/*!
Gradients on the CPU, without a graph: the recurrent steps and the loss by the kernels, in float32 or with bfloat16
products, and what is one product over a whole window, the weights' gradients, by libtorch.

With few symbols the first layer multiplies no input: the embedding times its input weights is a table of the sums that
each symbol begins with, and its gradient is summed by symbol before it is multiplied.
*/

use tch::{Kind, Tensor};

use crate::network::{Masks, Network, State};
use crate::view::{floats, with_rows};
use carousel::checkpoint::ModelConfig;
use carousel::kernels::lstm::{Start, start};
use carousel::kernels::output::cross_entropy;
use carousel::kernels::sequence::{Above, Tape, Weights};
use carousel::kernels::{Kernel, Matrix, Order, Precision, Rows, Team};

/// Up to so many symbols the first layer's input products are a table.
const TABLE_SYMBOLS: usize = 512;

/// What is kept from one window to the next.
pub struct Backprop {
    kernel: Kernel,
    team: Team,
    layers: Vec<Layer>,
    output: Weights,
    batch_size: usize,
}

struct Layer {
    /// `None` where the sums that the inputs make are a table.
    input: Option<Weights>,
    recurrent: Weights,
    tape: Tape,
    /// Where each of PyTorch's rows of gates stands in the panels.
    places: Tensor,
}

/// What a window comes to.
pub struct Window {
    /// Mean loss, in nats per token.
    pub loss: f64,
    /// Its gradients, in the order of the parameters.
    pub gradients: Vec<Tensor>,
    /// The memory afterwards.
    pub state: State,
    /// Tokens predicted.
    pub tokens: usize,
}

impl Backprop {
    /// Room for windows of `batch_size` streams.
    pub fn new(
        config: &ModelConfig,
        batch_size: usize,
        precision: Precision,
        threads: usize,
    ) -> Self {
        let (kernel, hidden_size) = (Kernel::fastest(precision), config.hidden_size);
        let layer = |index: usize| {
            let (input_size, table) = match index {
                0 => (config.embedding_size, config.vocab_size <= TABLE_SYMBOLS),
                _ => (hidden_size, false),
            };
            let weights = |inner| Weights::zeros(4 * hidden_size, inner, Order::Gates, kernel);
            let recurrent = weights(hidden_size);
            let mut places = vec![0i64; 4 * hidden_size];
            for place in 0..recurrent.forward.panels() * recurrent.forward.width() {
                if let Some(row) = recurrent.forward.row(place) {
                    places[row] = place as i64;
                }
            }
            Layer {
                input: (!table).then(|| weights(input_size)),
                recurrent,
                tape: Tape::new(hidden_size, batch_size, kernel),
                places: Tensor::from_slice(&places),
            }
        };
        Backprop {
            kernel,
            team: Team::new(threads),
            layers: (0..config.num_layers).map(layer).collect(),
            output: Weights::zeros(config.vocab_size, hidden_size, Order::Plain, kernel),
            batch_size,
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
    ) -> Window {
        tch::no_grad(|| self.without_graph(network, inputs, targets, state, masks))
    }

    fn without_graph(
        &mut self,
        network: &Network,
        inputs: &[u32],
        targets: &[u32],
        state: &State,
        masks: &Masks,
    ) -> Window {
        let config = &network.config;
        let (team, kernel, streams, rows) =
            (&self.team, self.kernel, self.batch_size, inputs.len());
        let embedding = &network.parameters[0];
        let (output, output_bias) = network.output();
        let masks: Vec<Option<&[f32]>> = masks
            .outputs
            .iter()
            .map(|m| m.as_ref().map(floats))
            .collect();

        // Forward.
        let numbers: Vec<u32> = (0..rows as u32).collect();
        // The inputs of each layer but a first one with a table, and of the output.
        let mut xs: Vec<Option<Rows>> = Vec::new();
        let mut table_inputs = None;
        if self.layers[0].input.is_some() {
            let (values, size) = (floats(embedding), config.embedding_size);
            let mut x = Rows::zeros(kernel, rows, size);
            let read = |row: usize, into: &mut [f32]| {
                let begin = inputs[row] as usize * size;
                into.copy_from_slice(&values[begin..begin + size]);
            };
            x.set_all(0..rows, read, team);
            table_inputs = Some(x);
        }
        xs.push(table_inputs);
        let mut states = Vec::new();
        for index in 0..self.layers.len() {
            let [w_ih, w_hh, b_ih, b_hh] = network.layer(index);
            let (below, rest) = self.layers.split_at_mut(index);
            let layer = &mut rest[0];
            layer.recurrent.fill(floats(w_hh), team);
            let bias = b_ih + b_hh;
            let values = match &mut layer.input {
                None => {
                    let table = embedding.matmul(&w_ih.tr()) + &bias;
                    start(&layer.recurrent.forward, floats(&table.contiguous()))
                }
                Some(weights) => {
                    weights.fill(floats(w_ih), team);
                    let bias = start(&weights.forward, floats(&bias));
                    let (x, range) = match (&xs[index], below.last()) {
                        (Some(x), _) => (x, 0..rows),
                        (None, Some(below)) => (below.tape.outputs(), streams..streams + rows),
                        (None, None) => unreachable!("a first layer with input weights has inputs"),
                    };
                    sums(&weights.forward, &bias, x, range, team)
                }
            };
            let rows_of = if layer.input.is_some() {
                &numbers[..]
            } else {
                inputs
            };
            let (hidden, cell) = (
                state.hidden.get(index as i64).contiguous(),
                state.cell.get(index as i64).contiguous(),
            );
            let start = Start {
                values: &values,
                rows: rows_of,
            };
            layer.tape.forward(
                &layer.recurrent,
                start,
                (floats(&hidden), floats(&cell)),
                team,
            );
            states.push(layer.tape.state());
            let outputs = layer.tape.outputs();
            xs.push(masks[index].map(|mask| outputs.times(streams..streams + rows, mask, team)));
        }

        // The loss, and the way back.
        self.output.fill(floats(output), team);
        let top = self.layers.last().expect("a layer");
        let (x, range) = match xs.last() {
            Some(Some(x)) => (x, 0..rows),
            _ => (top.tape.outputs(), streams..streams + rows),
        };
        let mut logits_gradient = Rows::zeros(kernel, rows, config.vocab_size);
        let (nats, output_bias_gradient) = cross_entropy(
            &self.output.forward,
            floats(output_bias),
            (x, range.clone()),
            targets,
            &mut logits_gradient,
            team,
        );
        let output_gradient = product_of((&logits_gradient, 0..rows), (x, range));
        let mut above = sums(
            &self.output.backward,
            &vec![0.0; self.output.backward.panels() * self.output.backward.width()],
            &logits_gradient,
            0..rows,
            team,
        );
        let mut embedding_gradient = None;
        let mut layers_gradients = Vec::new();
        for index in (0..self.layers.len()).rev() {
            let [w_ih, ..] = network.layer(index);
            let (below, rest) = self.layers.split_at_mut(index);
            let layer = &mut rest[0];
            let gradients = Above {
                gradients: &above,
                mask: masks[index],
            };
            layer.tape.backward(&layer.recurrent, gradients, team);
            let tape = &layer.tape;
            let of_gates = |gradient: &Tensor| gradient.index_select(0, &layer.places);
            let bias_gradient = of_gates(&Tensor::from_slice(tape.bias_gradient()));
            let w_hh_gradient = of_gates(&product_of(
                (tape.gradients(), 0..rows),
                (tape.outputs(), 0..rows),
            ));
            let w_ih_gradient = match &layer.input {
                None => {
                    let by_symbol = self.sum_by_symbol(index, inputs, config.vocab_size);
                    let layer = &self.layers[index];
                    let by_symbol = by_symbol.index_select(1, &layer.places);
                    embedding_gradient = Some(by_symbol.matmul(w_ih));
                    by_symbol.tr().matmul(embedding)
                }
                Some(weights) => {
                    let (x, range) = match (&xs[index], below.last()) {
                        (Some(x), _) => (x, 0..rows),
                        (None, Some(below)) => (below.tape.outputs(), streams..streams + rows),
                        (None, None) => unreachable!("a first layer with input weights has inputs"),
                    };
                    let gradient = of_gates(&product_of((tape.gradients(), 0..rows), (x, range)));
                    let zeros = vec![0.0; weights.backward.panels() * weights.backward.width()];
                    above = sums(&weights.backward, &zeros, tape.gradients(), 0..rows, team);
                    gradient
                }
            };
            layers_gradients.push([
                w_ih_gradient,
                w_hh_gradient,
                bias_gradient.copy(),
                bias_gradient,
            ]);
        }
        let embedding_gradient =
            embedding_gradient.unwrap_or_else(|| self.scatter_to_symbols(&above, inputs, config));

        let mut gradients = Vec::with_capacity(network.parameters.len());
        let tied = config.tie_weights;
        gradients.push(if tied {
            embedding_gradient + &output_gradient
        } else {
            embedding_gradient
        });
        gradients.extend(layers_gradients.into_iter().rev().flatten());
        if !tied {
            gradients.push(output_gradient);
        }
        gradients.push(Tensor::from_slice(&output_bias_gradient));
        let stack = |which: fn(&(Vec<f32>, Vec<f32>)) -> &Vec<f32>| {
            let size = [streams as i64, config.hidden_size as i64];
            let layers: Vec<Tensor> = states
                .iter()
                .map(|state| Tensor::from_slice(which(state)).view(size))
                .collect();
            Tensor::stack(&layers, 0)
        };
        Window {
            loss: nats / rows as f64,
            gradients,
            tokens: rows,
            state: State {
                hidden: stack(|state| &state.0),
                cell: stack(|state| &state.1),
            },
        }
    }

    /// The gradients of a layer's sums, added up for each symbol that was read: `[vocab_size, panels · width]`.
    fn sum_by_symbol(&self, index: usize, inputs: &[u32], vocab_size: usize) -> Tensor {
        let layer = &self.layers[index];
        let (panels, width) = (
            layer.recurrent.forward.panels(),
            layer.recurrent.forward.width(),
        );
        let mut table = vec![0.0f32; panels * vocab_size * width];
        let gradients = layer
            .tape
            .sums_gradient()
            .chunks_exact(inputs.len() * width);
        let mut parts: Vec<_> = table
            .chunks_exact_mut(vocab_size * width)
            .zip(gradients)
            .collect();
        self.team
            .for_each(self.team.threads(), &mut parts, |_, (table, gradients)| {
                for (gradients, &token) in gradients.chunks_exact(width).zip(inputs) {
                    let sums = &mut table[token as usize * width..(token as usize + 1) * width];
                    sums.iter_mut()
                        .zip(gradients)
                        .for_each(|(sum, gradient)| *sum += gradient);
                }
            });
        let size = [panels as i64, vocab_size as i64, width as i64];
        let by_symbol = Tensor::from_slice(&table).view(size).permute([1, 0, 2]);
        by_symbol.reshape([vocab_size as i64, (panels * width) as i64])
    }

    /// The gradients of the embedded inputs, `[panels, rows, width]`, added up for each symbol that was read.
    fn scatter_to_symbols(&self, above: &[f32], inputs: &[u32], config: &ModelConfig) -> Tensor {
        let (size, width) = (config.embedding_size, self.kernel.width());
        let mut table = vec![0.0f32; config.vocab_size * size];
        for (row, &token) in inputs.iter().enumerate() {
            let sums = &mut table[token as usize * size..(token as usize + 1) * size];
            let panels = above.chunks_exact(inputs.len() * width);
            for (sums, panel) in sums.chunks_mut(width).zip(panels) {
                let gradients = &panel[row * width..];
                sums.iter_mut()
                    .zip(gradients)
                    .for_each(|(sum, gradient)| *sum += gradient);
            }
        }
        Tensor::from_slice(&table).view([config.vocab_size as i64, size as i64])
    }
}

/// `bias + x · weightsᵀ`, `[panels, rows, width]`, with the bias in the order of the panels.
fn sums(
    weights: &Matrix,
    bias: &[f32],
    x: &Rows,
    rows: std::ops::Range<usize>,
    team: &Team,
) -> Vec<f32> {
    let mut sums = Vec::with_capacity(bias.len() * rows.len());
    for panel in bias.chunks_exact(weights.width()) {
        (0..rows.len()).for_each(|_| sums.extend_from_slice(panel));
    }
    weights.add_products(x, rows, &mut sums, team);
    sums
}

/// `gᵀ · x` over all rows, in float32.
fn product_of(g: (&Rows, std::ops::Range<usize>), x: (&Rows, std::ops::Range<usize>)) -> Tensor {
    with_rows(g.0, g.1, |g| {
        with_rows(x.0, x.1, |x| g.tr().matmul(x).to_kind(Kind::Float))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::tests::{config, network_of_cosines};
    use tch::Device;

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
        let masks = Masks {
            outputs: masks
                .outputs
                .iter()
                .map(|m| m.as_ref().map(double))
                .collect(),
        };
        let ids = |ids: &[u32]| {
            let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
            Tensor::from_slice(&ids).view([-1, state.hidden.size()[1]])
        };
        let (loss, next) = network.loss(&ids(inputs), &ids(targets), &state, &masks);
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
                Masks::draw(&config, streams, Device::Cpu),
            ] {
                let (loss, expected, next) =
                    by_autograd(&network, &inputs, &targets, &state, &masks);
                for (precision, tolerance) in
                    [(Precision::Float32, 1e-5), (Precision::Bfloat16, 0.03)]
                {
                    let mut backprop = Backprop::new(&config, streams, precision, 2);
                    // Twice, as what is kept must not show.
                    backprop.window(&network, &targets, &inputs, &state, &masks);
                    let window = backprop.window(&network, &inputs, &targets, &state, &masks);
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

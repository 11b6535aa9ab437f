/*!
Gradients on the CPU, without a graph: every product and every step by the library's kernels, in float32 or with bfloat16
products. Weights, sums, loss and gradients are float32 either way.

With few symbols the first layer's input products, of a language model, are those of the symbols, not of the tokens: a table,
made anew for each window, and the gradients are summed by symbol before they are multiplied.
*/

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use crate::gradients::pooling::{Head, Pooling};
use crate::gradients::sampled_softmax::Candidates;
use crate::network::{Masks, Network, State};
use crate::optimizer::{SomeRows, width};
use crate::slices::{floats, floats_mut};
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::config::{POOLED, Task};
use carousel::text::Direction;
use carousel_kernels::cross_entropy;
use carousel_kernels::recurrent::{Memory, OutputGradients, Tape, Weights};
use carousel_kernels::recurrent::{Start, TABLE_SYMBOLS, start};
use carousel_kernels::{
    Columns, Kernel, Layout, Matrix, Precision, Rows, ThreadPool, sum_of_squares,
};

/// The most steps that are looked back at in a text.
pub const LONGEST: usize = 2048;
/// What stands where a text has ended and another beside it has not; nothing comes of it.
const PADDING: u32 = 0;
/// Numbers that are worth another thread's while.
const CHUNK: usize = 1 << 15;

/// What is kept from one window to the next.
pub struct Backprop {
    kernel: Kernel,
    /// Of every way that the network reads.
    layers: Vec<Layer>,
    /// A language model's; made when it is first used.
    output: Option<Weights>,
    /// The output weights of the symbols that compete in a step.
    few_weights: Vec<f32>,
    batch_size: usize,
    /// The factors of the weights' gradients.
    columns: [Columns; 2],
    /// Room for gradients on their way down.
    spare: Vec<Vec<f32>>,
    /// In the order of the parameters.
    gradients: Vec<Tensor>,
    /// Which of their rows may be other than zero.
    rows: SomeRows,
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
    /// Its gradients, in the order of the parameters, empty for those that took no part; the next window replaces them.
    pub gradients: Vec<Tensor>,
    /// Which of their rows may be other than zero.
    pub rows: SomeRows,
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
            let weights = |inner| Weights::zeros(4 * hidden_size, inner, Layout::Gates, kernel);
            Layer {
                input: weights(input_size),
                recurrent: weights(hidden_size),
                tape: Tape::new(hidden_size, batch_size, kernel),
            }
        };
        Backprop {
            kernel,
            layers: (config.directions().iter())
                .flat_map(|_| (0..config.num_layers).map(layer))
                .collect(),
            output: None,
            few_weights: Vec::new(),
            batch_size,
            columns: [Columns::new(kernel), Columns::new(kernel)],
            spare: Vec::new(),
            gradients: config
                .tensors()
                .iter()
                .map(|(_, shape)| {
                    let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
                    Tensor::zeros(shape, (Kind::Float, Device::Cpu))
                })
                .collect(),
            rows: SomeRows::new(),
        }
    }

    /// Reads a window, time-major `[steps, batch_size]`, one way from a state, and looks back at how its loss came about: the
    /// loss among the candidates, if not all symbols are.
    #[allow(clippy::too_many_arguments)]
    pub fn window(
        &mut self,
        network: &Network,
        direction: Direction,
        inputs: &[u32],
        targets: &[u32],
        candidates: Option<&Candidates>,
        state: &State,
        masks: &Masks,
        pool: &ThreadPool,
    ) -> Window {
        let (config, rows) = (&network.config, inputs.len());
        // Tied weights have one gradient; what they did as an embedding is added to it later.
        let place = match config.tie_weights {
            true => 0,
            false => 1 + 4 * self.layers.len(),
        };
        match candidates {
            Some(candidates) if config.tie_weights => {
                let both = inputs.iter().chain(&candidates.symbols);
                self.clear(0, Some(both), pool);
            }
            Some(candidates) => {
                self.clear(0, Some(inputs), pool);
                self.clear(place, Some(&candidates.symbols), pool);
            }
            None if config.tie_weights => {}
            None => self.clear(0, None::<&[u32]>, pool),
        }
        let pass = self.read(network, direction, inputs, state, masks, None, pool);
        let (weights, bias) = network.output();
        let (weights, bias) = (floats(weights), floats(bias));
        let inner = config.hidden_size;
        let (few_bias, few_targets): (Vec<f32>, Vec<u32>);
        let (weights, bias, targets) = match candidates {
            None => (weights, bias, targets),
            Some(Candidates {
                symbols,
                corrections,
            }) => {
                self.few_weights.resize(symbols.len() * inner, 0.0);
                let mut parts: Vec<_> = self.few_weights.chunks_exact_mut(inner).collect();
                pool.for_each(pool.threads(), &mut parts, |place, row| {
                    row.copy_from_slice(&weights[symbols[place] as usize * inner..][..inner]);
                });
                let all = symbols.iter().zip(corrections);
                few_bias = all.map(|(&s, c)| bias[s as usize] - c).collect();
                let place = |target| symbols.binary_search(target).expect("targets take part");
                few_targets = targets.iter().map(|t| place(t) as u32).collect();
                (&self.few_weights[..], &few_bias[..], &few_targets[..])
            }
        };
        let count = bias.len();
        let made = || Weights::zeros(count, inner, Layout::Plain, self.kernel);
        let output = self.output.get_or_insert_with(made);
        output.resize(count, inner);
        output.fill(weights, None, pool);
        let mut logits_gradient = Rows::zeros(self.kernel, rows, count);
        let (top, after) = pass.inputs_of(&self.layers, config.num_layers);
        let (nats, bias_gradient) = cross_entropy(
            &output.forward,
            bias,
            (top, after.clone()),
            targets,
            &mut logits_gradient,
            pool,
        );
        let [g, x] = &mut self.columns;
        g.take_rows(&logits_gradient, 0..rows, pool);
        x.take_rows(top, after, pool);
        let symbol = |place: usize| match candidates {
            None => (place < count).then_some(place),
            Some(candidates) => candidates.symbols.get(place).map(|&symbol| symbol as usize),
        };
        let gradient = floats_mut(&mut self.gradients[place]);
        g.products(x, symbol, gradient, pool);
        let last = floats_mut(self.gradients.last_mut().expect("the output has a bias"));
        last.fill(0.0);
        for (place, gradient) in bias_gradient.iter().enumerate() {
            last[symbol(place).expect("a symbol for each place")] = *gradient;
        }
        let spare = self.spare.pop().unwrap_or_default();
        let above = products(&output.backward, &logits_gradient, 0..rows, spare, pool);
        let below = self.look_back(network, inputs, &pass, masks, above, pool);
        self.put_by(below);
        Window {
            loss: nats / rows as f64,
            gradients: self.gradients(config, &[direction]),
            rows: self.rows.clone(),
            tokens: rows,
            state: pass.state(state),
        }
    }

    /// Reads texts side by side, the longest first, every way that the network reads, with what is dropped each way, and looks
    /// back at how well a classifier told their labels. Texts longer than [`LONGEST`] are read in windows, and only the last
    /// is looked back at.
    ///
    /// With a `push`, they are read once more, with the vectors of their words pushed a little to where the labels are told worst,
    /// and both readings count half (Miyato et al. 2017): each text's vectors together by so many times the typical size of a
    /// number in them.
    pub fn texts(
        &mut self,
        network: &Network,
        texts: &[&[u32]],
        head: &Head,
        masks: &[Masks],
        push: f64,
        pool: &ThreadPool,
    ) -> Window {
        let config = &network.config;
        self.batch_size = texts.len();
        for layer in &mut self.layers {
            layer.tape.set_streams(texts.len());
        }
        let (mut loss, mut told) = self.tell(network, texts, head, masks, &[], pool);
        if push > 0.0 {
            // But the embedding's, to which each reading adds.
            let above = &self.gradients[1..];
            let once: Vec<Tensor> = above.iter().map(Tensor::copy).collect();
            let push = push * typical(network, texts);
            let pushes = told
                .into_iter()
                .map(|gradient| pushes(gradient, texts.len(), push, self.kernel.width()));
            let pushes: Vec<Vec<f32>> = pushes.collect();
            let again = self.tell(network, texts, head, masks, &pushes, pool);
            (loss, told) = ((loss + again.0) / 2.0, again.1);
            for (gradient, once) in self.gradients[1..].iter_mut().zip(&once) {
                let _ = gradient.g_add_(once).g_mul_scalar_(0.5);
            }
            let size = config.embedding_size;
            let embedding_gradient = floats_mut(&mut self.gradients[0]);
            for &word in &self.rows[&0] {
                let row = &mut embedding_gradient[word as usize * size..][..size];
                row.iter_mut().for_each(|gradient| *gradient *= 0.5);
            }
        }
        told.into_iter().for_each(|room| self.put_by(room));
        Window {
            loss,
            gradients: self.gradients(config, config.directions()),
            rows: self.rows.clone(),
            tokens: texts.iter().map(|text| text.len()).sum(),
            state: State::zeros(config, texts.len(), Device::Cpu),
        }
    }

    /// Reads texts every way, with pushes of what is read each way if there are any, and looks back: the loss, and for each way the
    /// gradients with respect to the vectors of what was read last, `[panels, steps · texts, width]`. With pushes, the embedding's
    /// gradients are added to what there is.
    fn tell(
        &mut self,
        network: &Network,
        texts: &[&[u32]],
        head: &Head,
        masks: &[Masks],
        pushes: &[Vec<f32>],
        pool: &ThreadPool,
    ) -> (f64, Vec<Vec<f32>>) {
        let config = &network.config;
        let ways = config.directions().iter().zip(masks);
        let heard: Vec<Heard> = (0..)
            .zip(ways)
            .map(|(way, (&direction, masks))| {
                let push = pushes.get(way).map(|push| &push[..]);
                self.hear(network, direction, texts, masks, push, pool)
            })
            .collect();
        // The head sees each text's ways side by side.
        let own = POOLED * config.hidden_size;
        let poolings: Vec<Vec<f32>> = heard.iter().map(|heard| heard.pooling.all()).collect();
        let seen: Vec<f32> = (0..texts.len())
            .flat_map(|text| {
                poolings
                    .iter()
                    .flat_map(move |pooling| &pooling[text * own..][..own])
            })
            .copied()
            .collect();
        let (loss, seen_gradient) = head.judge(&seen, network, &mut self.gradients);
        if pushes.is_empty() {
            self.clear(0, Some(heard.iter().flat_map(|heard| &heard.inputs)), pool);
        }
        let all = (0..).zip(heard.into_iter().zip(masks));
        let told = all.map(|(way, (heard, masks))| {
            let parts = seen_gradient.chunks_exact(own).skip(way);
            let gradient = parts.step_by(poolings.len()).collect::<Vec<_>>().concat();
            let width = self.kernel.width();
            let above = heard
                .pooling
                .look_back(heard.window.clone(), &gradient, width);
            self.look_back(network, &heard.inputs, &heard.pass, masks, above, pool)
        });
        let told = told.collect();
        (loss, told)
    }

    /// Reads texts one way, up to the last window, which can be looked back at.
    fn hear(
        &mut self,
        network: &Network,
        direction: Direction,
        texts: &[&[u32]],
        masks: &Masks,
        push: Option<&[f32]>,
        pool: &ThreadPool,
    ) -> Heard {
        let config = &network.config;
        let steps = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let lengths = texts.iter().map(|text| text.len()).collect();
        let mut pooling = Pooling::new(lengths, config.hidden_size);
        let top = config.stack(direction).end - 1;
        let mut state = State::zeros(config, texts.len(), Device::Cpu);
        // The first window is the short one, so that the last is a whole one.
        let windows = steps.div_ceil(LONGEST);
        for index in 0..windows {
            let end = steps - (windows - 1 - index) * LONGEST;
            let window = end.saturating_sub(LONGEST)..end;
            let token = |step: usize, text: &&[u32]| direction.token(text, step).unwrap_or(PADDING);
            let inputs: Vec<u32> = window
                .clone()
                .flat_map(|step| texts.iter().map(move |text| token(step, text)))
                .collect();
            let push = push.filter(|_| window.end == steps);
            let pass = self.read(network, direction, &inputs, &state, masks, push, pool);
            pooling.add(window.clone(), self.layers[top].tape.outputs(), pool);
            if window.end < steps {
                state = pass.state(&state);
                continue;
            }
            return Heard {
                pooling,
                window,
                inputs,
                pass,
            };
        }
        unreachable!("a text has at least the end of line before it")
    }

    /// The gradients of what was read in these ways, in the order of the parameters; empty for the layers of another.
    fn gradients(&self, config: &ModelConfig, directions: &[Direction]) -> Vec<Tensor> {
        let gradients = self.gradients.iter().enumerate();
        gradients
            .map(|(index, gradient)| match config.direction_of(index) {
                Some(other) if !directions.contains(&other) => {
                    Tensor::zeros([0], (Kind::Float, Device::Cpu))
                }
                _ => gradient.shallow_clone(),
            })
            .collect()
    }

    /// Makes a parameter's gradients zero before some of their rows, or all, are written.
    fn clear<'a>(
        &mut self,
        parameter: usize,
        rows: Option<impl IntoIterator<Item = &'a u32>>,
        pool: &ThreadPool,
    ) {
        let gradients = &mut self.gradients[parameter];
        let width = width(gradients);
        let gradients = floats_mut(gradients);
        match self.rows.remove(&parameter) {
            Some(written) => {
                for row in written {
                    gradients[row as usize * width..][..width].fill(0.0);
                }
            }
            None => {
                let mut parts: Vec<_> = gradients.chunks_mut(CHUNK).collect();
                pool.for_each(pool.threads(), &mut parts, |_, part| part.fill(0.0));
            }
        }
        if let Some(rows) = rows {
            let mut rows: Vec<u32> = rows.into_iter().copied().collect();
            rows.sort_unstable();
            rows.dedup();
            self.rows.insert(parameter, rows);
        }
    }

    /// Runs over all layers of one way, with a push, `[panels, steps · streams, width]`, of the vectors that are read.
    #[allow(clippy::too_many_arguments)]
    fn read(
        &mut self,
        network: &Network,
        direction: Direction,
        inputs: &[u32],
        state: &State,
        masks: &Masks,
        push: Option<&[f32]>,
        pool: &ThreadPool,
    ) -> Pass {
        let config = &network.config;
        // What the first layer's input weights are multiplied with: every symbol, or every token, where each may differ,
        // as those of a classifier's texts, which may be pushed.
        let table = config.task == Task::LanguageModel
            && config.vocab_size <= TABLE_SYMBOLS
            && masks.inputs.is_none();
        let symbols = match table {
            true => (0..config.vocab_size as u32).collect(),
            false => inputs.to_vec(),
        };
        let (size, embedding) = (config.embedding_size, floats(&network.parameters[0]));
        let [symbol_factors, place_factors] =
            [&masks.embedding, &masks.inputs].map(|mask| mask.as_ref().map(floats));
        let mut embedded = Rows::zeros(self.kernel, symbols.len(), size);
        let width = self.kernel.width();
        let read = |row: usize, values: &mut [f32]| {
            let symbol = symbols[row] as usize;
            values.copy_from_slice(&embedding[symbol * size..][..size]);
            if let Some(factors) = symbol_factors {
                values.iter_mut().for_each(|v| *v *= factors[symbol]);
            }
            if let Some(push) = push {
                let panels = push.chunks_exact(symbols.len() * width);
                for (values, panel) in values.chunks_mut(width).zip(panels) {
                    let more = values.iter_mut().zip(&panel[row * width..]);
                    more.for_each(|(value, more)| *value += more);
                }
            }
            if let Some(factors) = place_factors {
                multiply(values, &factors[row % self.batch_size * size..][..size]);
            }
        };
        embedded.set_all(0..symbols.len(), read, pool);
        let mut pass = Pass {
            stack: config.stack(direction),
            table,
            symbols,
            embedded,
            after: self.batch_size..self.batch_size + inputs.len(),
            passed_on: Vec::new(),
            memories: Vec::new(),
        };
        self.forward(network, inputs, state, masks, &mut pass, pool);
        pass
    }

    /// From the gradients with respect to the last layer's outputs to those of everything below; the embedding's are
    /// added to what there is. Returns the gradients with respect to the vectors of what was read, `[panels, rows, width]`.
    fn look_back(
        &mut self,
        network: &Network,
        inputs: &[u32],
        pass: &Pass,
        masks: &Masks,
        mut above: Vec<f32>,
        pool: &ThreadPool,
    ) -> Vec<f32> {
        let (config, rows, width) = (&network.config, inputs.len(), self.kernel.width());
        let [g, x] = &mut self.columns;
        for (index, place) in pass.stack.clone().enumerate().rev() {
            let gradients = OutputGradients {
                gradients: &above,
                mask: masks.outputs[index].as_ref().map(floats),
            };
            let layer = &mut self.layers[place];
            layer.tape.backward(&layer.recurrent, gradients, pool);
            let layer = &self.layers[place];
            let order = &layer.recurrent.forward;
            let row = |place: usize| order.row(place);
            let [input_gradient, recurrent_gradient, biases_gradients @ ..] =
                &mut self.gradients[1 + 4 * place..][..4]
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
            g.take_panels(layer.tape.sums_gradient(), rows, pool);
            x.take_rows(layer.tape.outputs(), 0..rows, pool);
            let recurrent_gradient = floats_mut(recurrent_gradient);
            g.products(x, row, recurrent_gradient, pool);
            if let Some(mask) = &masks.recurrent[index] {
                let mut parts: Vec<_> = recurrent_gradient
                    .chunks_mut(CHUNK)
                    .zip(floats(mask).chunks(CHUNK))
                    .collect();
                pool.for_each(pool.threads(), &mut parts, |_, (gradients, factors)| {
                    multiply(gradients, factors);
                });
            }
            let by_symbol;
            let gradients = if index == 0 && pass.table {
                let sums = sum_by_symbol(order, &layer.tape, inputs, config.vocab_size, pool);
                g.take_panels(&sums, config.vocab_size, pool);
                by_symbol = rows_of(order, &sums, config.vocab_size, pool);
                &by_symbol
            } else {
                layer.tape.gradients()
            };
            let below = pass.inputs_of(&self.layers, index);
            x.take_rows(below.0, below.1, pool);
            g.products(x, row, floats_mut(input_gradient), pool);
            let rows = 0..gradients.len();
            let spare = self.spare.pop().unwrap_or_default();
            let below = products(&layer.input.backward, gradients, rows, spare, pool);
            self.spare.push(std::mem::replace(&mut above, below));
        }

        if let Some(mask) = &masks.inputs {
            multiply_panels(&mut above, floats(mask), config.embedding_size, width, rows);
        }
        let embedding_gradient = floats_mut(&mut self.gradients[0]);
        let size = config.embedding_size;
        let factors = masks.embedding.as_ref().map(floats);
        add_by_symbol(
            &above,
            &pass.symbols,
            factors,
            size,
            width,
            embedding_gradient,
        );
        above
    }

    /// Keeps room for later gradients.
    fn put_by(&mut self, room: Vec<f32>) {
        if self.spare.len() < 2 {
            self.spare.push(room);
        }
    }

    fn forward(
        &mut self,
        network: &Network,
        inputs: &[u32],
        state: &State,
        masks: &Masks,
        pass: &mut Pass,
        pool: &ThreadPool,
    ) {
        for (index, place) in pass.stack.clone().enumerate() {
            let [w_ih, w_hh, b_ih, b_hh] = network.layer(place).map(floats);
            let (below, layer) = self.layers.split_at_mut(place);
            let layer = &mut layer[0];
            layer.input.fill(w_ih, None, pool);
            let kept = masks.recurrent[index].as_ref().map(floats);
            layer.recurrent.fill(w_hh, kept, pool);
            let bias: Vec<f32> = b_ih.iter().zip(b_hh).map(|(a, b)| a + b).collect();
            let bias = start(&layer.input.forward, &bias);
            let (x, range) = pass.inputs_of(below, index);
            let [hidden, cell] =
                [&state.hidden, &state.cell].map(|state| state.get(place as i64).contiguous());
            let before = (floats(&hidden), floats(&cell));
            let products = &layer.input.forward;
            if index == 0 && pass.table {
                let values = products.sums(&bias, x, range, pool);
                let start = Start {
                    values: &values,
                    rows: inputs,
                };
                layer
                    .tape
                    .forward(&layer.recurrent, Some(start), before, pool);
            } else {
                let starts = layer.tape.starts(&layer.recurrent, range.len());
                products.fill_sums(&bias, x, range, starts, pool);
                layer.tape.forward(&layer.recurrent, None, before, pool);
            }
            pass.memories.push(layer.tape.memory());
            let outputs = layer.tape.outputs();
            let times = |mask: &Tensor| outputs.times(pass.after.clone(), floats(mask), pool);
            pass.passed_on
                .push(masks.outputs[index].as_ref().map(times));
        }
    }
}

/// Texts as they were read one way.
struct Heard {
    pooling: Pooling,
    /// The steps of the last window.
    window: Range<usize>,
    /// What was read in it, `[steps, texts]`.
    inputs: Vec<u32>,
    pass: Pass,
}

/// The root of the mean square of a number in the vectors of what is read.
fn typical(network: &Network, texts: &[&[u32]]) -> f64 {
    let (size, embedding) = (
        network.config.embedding_size,
        floats(&network.parameters[0]),
    );
    let words = texts.iter().flat_map(|text| *text);
    let squares = words.map(|&word| sum_of_squares(&embedding[word as usize * size..][..size]));
    let tokens: usize = texts.iter().map(|text| text.len()).sum();
    (squares.sum::<f64>() / (tokens * size) as f64).sqrt()
}

/// How far to push the vectors of each text along their gradients, `[panels, steps · texts, width]`: all of a text together by
/// `length`.
fn pushes(mut gradients: Vec<f32>, texts: usize, length: f64, width: usize) -> Vec<f32> {
    let mut squares = vec![0.0; texts];
    for (place, gradients) in gradients.chunks_exact(width).enumerate() {
        squares[place % texts] += sum_of_squares(gradients);
    }
    let factor = |square: &f64| match square.sqrt() {
        0.0 => 0.0,
        norm => (length / norm) as f32,
    };
    let factors: Vec<f32> = squares.iter().map(factor).collect();
    for (place, gradients) in gradients.chunks_exact_mut(width).enumerate() {
        let factor = factors[place % texts];
        gradients
            .iter_mut()
            .for_each(|gradient| *gradient *= factor);
    }
    gradients
}

/// A window on its way through the layers, apart from what their tapes keep.
struct Pass {
    /// The places of these layers among all.
    stack: Range<usize>,
    /// Whether the first layer's input products are a table.
    table: bool,
    /// What the rows of `embedded` stand for.
    symbols: Vec<u32>,
    embedded: Rows,
    /// The rows of a tape's outputs that follow the state before the window.
    after: Range<usize>,
    /// What each layer passes on where that is not just its outputs.
    passed_on: Vec<Option<Rows>>,
    /// Each layer's memory afterwards.
    memories: Vec<Memory>,
}

impl Pass {
    /// The inputs of layer `index` of these, or after the last layer of the output: rows, and which of them.
    fn inputs_of<'a>(&'a self, layers: &'a [Layer], index: usize) -> (&'a Rows, Range<usize>) {
        match index.checked_sub(1) {
            None => (&self.embedded, 0..self.embedded.len()),
            Some(below) => match &self.passed_on[below] {
                Some(rows) => (rows, 0..rows.len()),
                None => {
                    let below = &layers[self.stack.start + below];
                    (below.tape.outputs(), self.after.clone())
                }
            },
        }
    }

    /// The memory afterwards; the layers of another way keep theirs.
    fn state(&self, before: &State) -> State {
        let (first, count) = (self.stack.start as i64, self.stack.len() as i64);
        let after = |before: &Tensor, which: fn(&Memory) -> &[f32]| {
            let own: Vec<f32> = self.memories.iter().flat_map(which).copied().collect();
            let after = before.copy();
            let mut place = after.narrow(0, first, count);
            place.copy_(&Tensor::from_slice(&own).view_as(&place));
            after
        };
        State {
            hidden: after(&before.hidden, |memory| &memory.hidden),
            cell: after(&before.cell, |memory| &memory.cell),
        }
    }
}

/// `x · weightsᵀ`, `[panels, rows, width]`, in a vector that is used again.
fn products(
    weights: &Matrix,
    x: &Rows,
    rows: Range<usize>,
    mut products: Vec<f32>,
    pool: &ThreadPool,
) -> Vec<f32> {
    let nothing = vec![0.0; weights.panels() * weights.width()];
    products.resize(nothing.len() * rows.len(), 0.0);
    weights.fill_sums(&nothing, x, rows, &mut products, pool);
    products
}

/// The gradients of a layer's sums, added up for each symbol that was read: `[panels, vocab_size, width]`.
fn sum_by_symbol(
    order: &Matrix,
    tape: &Tape,
    inputs: &[u32],
    vocab_size: usize,
    pool: &ThreadPool,
) -> Vec<f32> {
    let width = order.width();
    let mut sums = vec![0.0f32; order.panels() * vocab_size * width];
    let gradients = tape.sums_gradient().chunks_exact(inputs.len() * width);
    let mut parts: Vec<_> = sums
        .chunks_exact_mut(vocab_size * width)
        .zip(gradients)
        .collect();
    pool.for_each(pool.threads(), &mut parts, |_, (sums, gradients)| {
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
fn rows_of(order: &Matrix, values: &[f32], rows: usize, pool: &ThreadPool) -> Rows {
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
    encoded.set_all(0..rows, read, pool);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::tests::{config, network_of_cosines, training};

    /// The gradients of a window by libtorch's autograd in float64.
    fn by_autograd(
        network: &Network,
        direction: Direction,
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
        let (inputs, targets) = (ids(inputs), ids(targets));
        let (loss, next) = network.loss(direction, &inputs, &targets, &state, &masks, Kind::Double);
        let gradients = network.gradients(&loss, &[direction]);
        (loss.double_value(&[]), gradients, next)
    }

    /// The largest difference, relative to the largest value.
    fn difference(found: &Tensor, expected: &Tensor) -> f64 {
        assert_eq!(found.size(), expected.size());
        if expected.numel() == 0 {
            return 0.0;
        }
        let expected = expected.to_kind(Kind::Double);
        let off = (found.to_kind(Kind::Double) - &expected).abs().max();
        off.double_value(&[]) / expected.abs().max().double_value(&[]).max(1e-6)
    }

    #[test]
    fn gradients_are_those_of_autograd() {
        // A table or none, tied or not, sizes that fill vectors and sizes that do not, one way or the other of two.
        let shapes = [
            (7, 5, 3, 1, false, Direction::Forward),
            (7, 20, 20, 2, true, Direction::Reverse),
            (65, 16, 64, 2, false, Direction::Forward),
            (700, 24, 33, 3, false, Direction::Reverse),
            (600, 40, 40, 1, true, Direction::Forward),
        ];
        for (vocab_size, embedding_size, hidden_size, num_layers, tie_weights, direction) in shapes
        {
            let config = ModelConfig {
                bidirectional: num_layers == 2 || direction == Direction::Reverse,
                vocab_size,
                embedding_size,
                hidden_size,
                num_layers,
                tie_weights,
                ..config(tie_weights, 0.4)
            };
            let network = network_of_cosines(&config);
            let streams = 5;
            let mut training = training(streams);
            (training.embedding_dropout, training.weight_drop) = (0.2, 0.3);
            training.input_dropout = if num_layers == 2 { 0.0 } else { 0.4 };
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
                Masks::draw(&config, &training, Device::Cpu, 1, &ThreadPool::new(2)),
            ] {
                let (loss, expected, next) =
                    by_autograd(&network, direction, &inputs, &targets, &state, &masks);
                for (precision, tolerance) in
                    [(Precision::Float32, 1e-5), (Precision::Bfloat16, 0.1)]
                {
                    let mut backprop = Backprop::new(&config, streams, precision);
                    let pool = ThreadPool::new(2);
                    // Twice, and of another length, as what is kept must not show.
                    let shorter = ..inputs.len() / streams / 2 * streams;
                    let (first, then) = (&targets[shorter], &inputs[shorter]);
                    for &direction in config.directions() {
                        backprop.window(
                            &network, direction, first, then, None, &state, &masks, &pool,
                        );
                    }
                    let window = backprop.window(
                        &network, direction, &inputs, &targets, None, &state, &masks, &pool,
                    );
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

    /// How well the labels of texts are told, and the gradients of that, by libtorch's autograd in float64; with a push, the means of
    /// both readings.
    fn texts_by_autograd(
        network: &Network,
        texts: &[&[u32]],
        head: &Head,
        masks: &[Masks],
        push: f64,
    ) -> (f64, Vec<Tensor>) {
        let parameters = network.parameters.iter();
        let double = |p: &Tensor| p.detach().to_kind(Kind::Double).set_requires_grad(true);
        let network = Network {
            config: network.config.clone(),
            parameters: parameters.map(double).collect(),
        };
        let directions = network.config.directions();
        let size = network.config.embedding_size as i64;
        let nothing = |text: &&[u32]| {
            let zeros = Tensor::zeros([text.len() as i64, size], (Kind::Double, Device::Cpu));
            zeros.set_requires_grad(true)
        };
        let pushes: Vec<Vec<Tensor>> = directions
            .iter()
            .map(|_| texts.iter().map(nothing).collect())
            .collect();
        let mut loss = told_by_autograd(&network, texts, head, masks, &pushes);
        if push > 0.0 {
            let all: Vec<i64> = texts.concat().into_iter().map(i64::from).collect();
            let read = network.parameters[0].index_select(0, &Tensor::from_slice(&all));
            let typical = read.square().mean(Kind::Double).sqrt().detach();
            let places: Vec<&Tensor> = pushes.iter().flatten().collect();
            let gradients = Tensor::run_backward(&[&loss], &places, true, false);
            let pushed = gradients
                .iter()
                .map(|gradient| gradient * (&typical * push / gradient.norm()));
            let pushed: Vec<Tensor> = pushed.collect();
            let pushed = pushed.chunks(texts.len());
            let pushed: Vec<Vec<Tensor>> = pushed
                .map(|way| way.iter().map(Tensor::shallow_clone).collect())
                .collect();
            loss = (loss + told_by_autograd(&network, texts, head, masks, &pushed)) / 2.0;
        }
        let gradients = network.gradients(&loss, directions);
        (loss.double_value(&[]), gradients)
    }

    /// How well the labels of texts are told where the vectors that are read each way are pushed.
    fn told_by_autograd(
        network: &Network,
        texts: &[&[u32]],
        head: &Head,
        masks: &[Masks],
        pushes: &[Vec<Tensor>],
    ) -> Tensor {
        let double = |tensor: &Tensor| tensor.detach().to_kind(Kind::Double);
        let size = network.config.hidden_size as i64;
        let (mut losses, mut total) = (Vec::new(), 0.0);
        for (index, (text, &label)) in texts.iter().zip(head.labels).enumerate() {
            let mut pooled = Vec::new();
            let ways = network.config.directions().iter().zip(masks).zip(pushes);
            for ((&direction, masks), pushes) in ways {
                let mut ids: Vec<i64> = text.iter().map(|&id| i64::from(id)).collect();
                if direction == Direction::Reverse {
                    ids[1..].reverse();
                }
                let mut outputs = Tensor::embedding(
                    &network.parameters[0],
                    &Tensor::from_slice(&ids),
                    -1,
                    false,
                    false,
                );
                outputs = (outputs + &pushes[index]).unsqueeze(1);
                for (layer, place) in network.config.stack(direction).enumerate() {
                    if let Some(mask) = layer
                        .checked_sub(1)
                        .and_then(|below| masks.outputs[below].as_ref())
                    {
                        outputs *= double(mask).narrow(0, index as i64, 1);
                    }
                    let zeros = Tensor::zeros([1, 1, size], (Kind::Double, Device::Cpu));
                    let weights = network.layer(place);
                    let states = [&zeros, &zeros];
                    outputs = outputs
                        .lstm(&states, &weights, true, 1, 0.0, false, false, false)
                        .0;
                }
                let outputs = outputs.squeeze_dim(1);
                pooled.extend([
                    outputs.get(-1),
                    outputs.mean_dim([0i64].as_slice(), false, Kind::Double),
                    outputs.max_dim(0, false).0,
                ]);
            }
            let pooled = Tensor::cat(&pooled, 0);
            let inner = pooled.numel();
            let pooled = match &head.mask {
                Some(mask) => {
                    let mask = Tensor::from_slice(&mask[index * inner..(index + 1) * inner]);
                    pooled * mask.to_kind(Kind::Double)
                }
                None => pooled,
            };
            let (weights, bias) = network.output();
            let logits = (weights.matmul(&pooled) + bias).unsqueeze(0);
            let weight = f64::from(head.weights[label]);
            let doubt = f64::from(head.doubts[index]);
            let likely =
                logits.softmax(-1, Kind::Double) * (1.0 - doubt) + doubt / bias.numel() as f64;
            losses.push(-likely.log().get(0).get(label as i64) * weight);
            total += weight;
        }
        Tensor::stack(&losses, 0).sum(Kind::Double) / total
    }

    #[test]
    fn gradients_of_told_labels_are_those_of_autograd() {
        let shapes = [(9, 5, 1, false), (600, 33, 2, false), (600, 20, 2, true)];
        for (vocab_size, size, num_layers, bidirectional) in shapes {
            let config = ModelConfig {
                bidirectional,
                task: Task::Classifier,
                labels: ["a", "b", "c"].map(String::from).to_vec(),
                vocab_size,
                hidden_size: size,
                num_layers,
                ..config(false, 0.4)
            };
            let network = network_of_cosines(&config);
            let text = |length: usize| -> Vec<u32> {
                (0..length)
                    .map(|i| ((i * i * 3 + length) % vocab_size) as u32)
                    .collect()
            };
            let texts = [text(17), text(9), text(9), text(1)];
            let texts: Vec<&[u32]> = texts.iter().map(|text| &text[..]).collect();
            let masks = [3, 4].map(|seed| {
                let mut masks = Masks::draw(
                    &config,
                    &training(4),
                    Device::Cpu,
                    seed,
                    &ThreadPool::new(2),
                );
                // What the head sees is dropped by a mask of its own.
                masks.outputs[num_layers - 1] = None;
                masks
            });
            let seen = 4 * config.pooled();
            let dropping = (0..seen).map(|i| if i % 3 == 0 { 0.0 } else { 1.5 });
            let dropping = Some(dropping.collect::<Vec<f32>>());
            for (mask, push) in [(None, 0.0), (dropping.clone(), 0.0), (dropping, 0.7)] {
                let head = Head {
                    labels: &[2, 0, 1, 2],
                    weights: &[1.0, 2.0, 0.5],
                    doubts: &[0.0, 0.3, 0.0, 0.5],
                    mask,
                };
                let (loss, expected) = texts_by_autograd(&network, &texts, &head, &masks, push);
                for (precision, tolerance) in
                    [(Precision::Float32, 1e-5), (Precision::Bfloat16, 0.1)]
                {
                    let mut backprop = Backprop::new(&config, 2, precision);
                    let pool = ThreadPool::new(2);
                    // Others first, as what is kept must not show.
                    let others = [23, 11, 8, 2].map(text);
                    let others: Vec<&[u32]> = others.iter().map(|text| &text[..]).collect();
                    backprop.texts(&network, &others, &head, &masks, push, &pool);
                    let window = backprop.texts(&network, &texts, &head, &masks, push, &pool);
                    assert!(
                        (window.loss / loss - 1.0).abs() < tolerance,
                        "{size} {push} {precision:?} {} {loss}",
                        window.loss
                    );
                    assert_eq!(window.tokens, 36);
                    let mut read = texts.concat();
                    // What short texts are filled up with.
                    read.push(0);
                    read.sort_unstable();
                    read.dedup();
                    assert_eq!(window.rows, [(0, read)].into());
                    for ((name, _), (found, expected)) in config
                        .tensors()
                        .iter()
                        .zip(window.gradients.iter().zip(&expected))
                    {
                        let off = difference(found, expected);
                        // The highest output may be another after rounding.
                        let tolerance = 3.0 * tolerance;
                        assert!(off < tolerance, "{size} {precision:?} {name}: {off}");
                    }
                }
            }
        }
    }

    #[test]
    fn of_some_candidates_the_gradients_are_those_of_a_smaller_output() {
        for tie_weights in [false, true] {
            let config = ModelConfig {
                vocab_size: 700,
                embedding_size: 24,
                hidden_size: 24,
                num_layers: 1,
                tie_weights,
                ..config(tie_weights, 0.0)
            };
            let network = network_of_cosines(&config);
            let ids = |by: usize| -> Vec<u32> { (0..20).map(|i| (i * by % 700) as u32).collect() };
            let (inputs, targets) = (ids(31), ids(17));
            let state = State::zeros(&config, 4, Device::Cpu);
            let masks = Masks::none(&config);
            let mut symbols: Vec<u32> = targets.iter().copied().chain([5, 600, 699]).collect();
            symbols.sort_unstable();
            symbols.dedup();
            let corrections: Vec<f32> = symbols.iter().map(|&s| -(s as f32) / 400.0).collect();
            // Autograd over all symbols, where those that take no part are next to impossible.
            let mut part = vec![-1e9f64; 700];
            for (&symbol, &correction) in symbols.iter().zip(&corrections) {
                part[symbol as usize] = -f64::from(correction);
            }
            let double = Network {
                config: config.clone(),
                parameters: network
                    .parameters
                    .iter()
                    .map(|p| p.detach().to_kind(Kind::Double).set_requires_grad(true))
                    .collect(),
            };
            let tensor = |ids: &[u32]| {
                let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
                Tensor::from_slice(&ids).view([-1, 4])
            };
            let zeros = State {
                hidden: state.hidden.to_kind(Kind::Double),
                cell: state.cell.to_kind(Kind::Double),
            };
            let inputs_of_all = tensor(&inputs);
            let (logits, _) = double.forward(
                Direction::Forward,
                &inputs_of_all,
                &zeros,
                &masks,
                Kind::Double,
            );
            let loss = (logits + Tensor::from_slice(&part))
                .cross_entropy_for_logits(&tensor(&targets).view([-1]));
            let expected = double.gradients(&loss, &[Direction::Forward]);
            let candidates = Candidates {
                symbols,
                corrections,
            };
            let mut backprop = Backprop::new(&config, 4, Precision::Float32);
            let pool = ThreadPool::new(2);
            // Others first, as what is kept must not show.
            let (before, mut others) = (ids(29), ids(13));
            others.sort_unstable();
            let others = Candidates {
                corrections: vec![0.0; others.len()],
                symbols: others,
            };
            backprop.window(
                &network,
                Direction::Forward,
                &before,
                &ids(13),
                Some(&others),
                &state,
                &masks,
                &pool,
            );
            let window = backprop.window(
                &network,
                Direction::Forward,
                &inputs,
                &targets,
                Some(&candidates),
                &state,
                &masks,
                &pool,
            );
            assert!((window.loss - loss.double_value(&[])).abs() < 1e-4);
            for ((name, _), (found, expected)) in config
                .tensors()
                .iter()
                .zip(window.gradients.iter().zip(&expected))
            {
                let off = difference(found, expected);
                assert!(off < 1e-4, "{tie_weights} {name}: {off}");
            }
        }
    }
}

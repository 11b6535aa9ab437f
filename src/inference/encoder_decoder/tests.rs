//! Holds the network to plain loops in float64 that follow the equations.

use super::*;
use crate::checkpoint::architecture::{Leak, OUTPUT_WEIGHT, Recurrent};
use crate::checkpoint::encoder_decoder::{
    ATTENTION_BIAS, Attention, KEY_WEIGHT, QUERY_WEIGHT, SCORE_WEIGHT,
};
use crate::checkpoint::parts::Body;
use crate::inference::translation_network;
use crate::inference::translation_network::testing::{
    Twin, Vector, check_rounded, normalised, product, sum, tokens,
};
use carousel_kernels::recurrent::Cell;

/// The state of a layer: its latest hidden states, the last one first, and the cell state of an LSTM.
#[derive(Clone)]
struct Layer {
    hidden: Vec<Vector>,
    cell: Vector,
}

/// A decoder's layers, and what its output read a step before.
struct Decoder {
    layers: Vec<Layer>,
    readout: Vector,
}

/// A network with made-up weights.
fn twin(body: EncoderDecoder, tie_weights: bool) -> Twin {
    translation_network::testing::twin(tokens(10, 6), Body::EncoderDecoder(body), tie_weights)
}

fn body(cells: [Cell; 2], attention: Attention, input_feeding: bool) -> EncoderDecoder {
    let layers = |cell: Cell, size: usize, num_layers: usize| Recurrent {
        leak: (cell == Cell::Leaky).then_some(Leak::Fixed(0.7)),
        skip: if cell == Cell::Skip {
            vec![3]
        } else {
            Vec::new()
        },
        ..Recurrent::new(cell, size, num_layers)
    };
    EncoderDecoder {
        target: tokens(8, 5),
        shared_vocabulary: false,
        encoder: Recurrent {
            bidirectional: true,
            ..layers(cells[0], 7, 2)
        },
        decoder: layers(cells[1], 20, 3),
        attention,
        input_feeding,
    }
}

/// A network for other tests: it reads ten tokens, and writes eight.
pub fn made_up() -> Twin {
    twin(body([Cell::Gru, Cell::Lstm], Attention::Dot, true), false)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Twin {
    fn body(&self) -> &EncoderDecoder {
        self.config.encoder_decoder().unwrap()
    }

    /// A step of a layer, whose state is replaced.
    fn layer(
        &self,
        prefix: &str,
        recurrent: &Recurrent,
        index: usize,
        x: &[f64],
        state: &mut Layer,
    ) {
        let direction = match prefix.ends_with('<') {
            true => Direction::Reverse,
            false => Direction::Forward,
        };
        let prefix = prefix.trim_end_matches('<');
        let names = recurrent.layer_names(direction, index);
        let weights = names.map(|name| self.get(&format!("{prefix}{name}")));
        let mut x = product(weights.weight_ih, x);
        let mut h = vec![0.0; x.len()];
        for (matrix, lag) in weights.weight_hh.iter().zip(recurrent.layer_spec().lags) {
            let terms = product(matrix, &state.hidden[lag - 1]);
            h.iter_mut().zip(terms).for_each(|(h, term)| *h += term);
        }
        if let Some([input, hidden]) = weights.norms {
            (x, h) = (normalised(&x, input), normalised(&h, hidden));
        }
        let (x, h) = (sum(&x, weights.bias_ih), sum(&h, weights.bias_hh));
        let size = recurrent.hidden_size;
        let gate = |gate: usize, unit: usize| x[gate * size + unit] + h[gate * size + unit];
        let before = state.hidden[0].clone();
        let new = (0..size).map(|unit| match recurrent.cell {
            Cell::Rnn | Cell::Skip => gate(0, unit).tanh(),
            Cell::Leaky => 0.7 * before[unit] + 0.3 * gate(0, unit).tanh(),
            Cell::Gru => {
                let update = sigmoid(gate(1, unit));
                let reset = sigmoid(gate(0, unit)) * h[2 * size + unit];
                (1.0 - update) * (x[2 * size + unit] + reset).tanh() + update * before[unit]
            }
            Cell::Lstm => {
                let kept = sigmoid(gate(1, unit)) * state.cell[unit];
                state.cell[unit] = kept + sigmoid(gate(0, unit)) * gate(2, unit).tanh();
                sigmoid(gate(3, unit)) * state.cell[unit].tanh()
            }
        });
        let new = new.collect();
        state.hidden.insert(0, new);
    }

    /// The encoder's outputs at each position, and the last of each direction.
    fn encode(&self, source: &[u32]) -> (Vec<Vector>, Vector) {
        let recurrent = &self.body().encoder;
        let (mut outputs, mut last) = (vec![Vector::new(); source.len()], Vector::new());
        for prefix in ["encoder.", "encoder.<"]
            .iter()
            .take(recurrent.directions().len())
        {
            let size = recurrent.hidden_size;
            let zeros = Layer {
                hidden: vec![vec![0.0; size]; recurrent.layer_spec().history()],
                cell: vec![0.0; size],
            };
            let mut layers = vec![zeros; recurrent.num_layers];
            let mut positions: Vec<usize> = (0..source.len()).collect();
            if prefix.ends_with('<') {
                positions.reverse();
            }
            let mut below = Vector::new();
            for position in positions {
                below = self.vector(EMBEDDING, source[position], 6);
                for (index, state) in layers.iter_mut().enumerate() {
                    self.layer(prefix, recurrent, index, &below, state);
                    below = residual(recurrent, index, &below, &state.hidden[0]);
                }
                outputs[position].extend(&below);
            }
            last.extend(below);
        }
        (outputs, last)
    }

    fn begin(&self, last: &[f64]) -> Decoder {
        let recurrent = &self.body().decoder;
        let states = sum(
            &product(self.get(BRIDGE_WEIGHT), last),
            self.get(BRIDGE_BIAS),
        );
        let states: Vector = states.into_iter().map(f64::tanh).collect();
        let names = recurrent.layer_spec().parts();
        let layers = states.chunks_exact(names.len() * recurrent.hidden_size);
        let layer = |states: &[f64]| {
            let parts = states.chunks_exact(recurrent.hidden_size).zip(&names);
            let (cell, hidden): (Vec<_>, Vec<_>) = parts.partition(|(_, name)| *name == "cell");
            Layer {
                hidden: hidden.into_iter().map(|(part, _)| part.to_vec()).collect(),
                cell: cell
                    .into_iter()
                    .flat_map(|(part, _)| part)
                    .copied()
                    .collect(),
            }
        };
        Decoder {
            layers: layers.map(layer).collect(),
            readout: vec![0.0; self.body().target.embedding_size],
        }
    }

    /// The weights of the positions for a query.
    fn attention(&self, query: &[f64], memory: &[Vector]) -> Vector {
        let query = product(self.get(QUERY_WEIGHT), query);
        let score = |value: &Vector| -> f64 {
            match self.body().attention {
                Attention::Additive => {
                    let key = sum(
                        &product(self.get(KEY_WEIGHT), value),
                        self.get(ATTENTION_BIAS),
                    );
                    let sums = key
                        .iter()
                        .zip(&query)
                        .map(|(key, query)| (key + query).tanh());
                    let weights = self.get(SCORE_WEIGHT).iter();
                    sums.zip(weights).map(|(sum, &w)| sum * f64::from(w)).sum()
                }
                _ => value
                    .iter()
                    .zip(&query)
                    .map(|(value, query)| value * query)
                    .sum(),
            }
        };
        let scores: Vector = memory.iter().map(score).collect();
        crate::metrics::softmax(&scores)
    }

    /// The logits after a token, and the weights of attention.
    fn step(&self, token: u32, memory: &[Vector], decoder: &mut Decoder) -> (Vector, Vector) {
        let body = self.body();
        let mut below = self.vector(
            body.written().embedding(),
            token,
            body.target.embedding_size,
        );
        if body.input_feeding {
            below.extend(&decoder.readout);
        }
        let (mut weights, mut context) = (Vector::new(), Vector::new());
        for (index, state) in decoder.layers.iter_mut().enumerate() {
            self.layer("decoder.", &body.decoder, index, &below, state);
            below = residual(&body.decoder, index, &below, &state.hidden[0]);
            if index == 0 && body.attention != Attention::None {
                weights = self.attention(&state.hidden[0], memory);
                context = vec![0.0; body.memory_size()];
                for (weight, value) in weights.iter().zip(memory) {
                    let sums = context.iter_mut().zip(value);
                    sums.for_each(|(sum, value)| *sum += weight * value);
                }
            }
            below.extend(&context);
        }
        let readout = sum(
            &product(self.get(READOUT_WEIGHT), &below),
            self.get(READOUT_BIAS),
        );
        decoder.readout = readout.into_iter().map(f64::tanh).collect();
        let output = self.get(body.written().output_weight(self.config.next_token()));
        let logits = sum(&product(output, &decoder.readout), self.get(OUTPUT_BIAS));
        (logits, weights)
    }
}

/// Logits and weights at every step of a target.
pub fn decode(twin: &Twin, source: &[u32], target: &[u32]) -> Vec<(Vector, Vector)> {
    let (memory, last) = twin.encode(source);
    let mut decoder = twin.begin(&last);
    let each = target.iter();
    each.map(|&token| twin.step(token, &memory, &mut decoder))
        .collect()
}

fn residual(recurrent: &Recurrent, index: usize, below: &[f64], hidden: &[f64]) -> Vector {
    match recurrent.residual && index > 0 {
        true => below.iter().zip(hidden).map(|(x, h)| x + h).collect(),
        false => hidden.to_vec(),
    }
}

fn check(body: EncoderDecoder, tie_weights: bool) {
    translation_network::testing::check(&twin(body, tie_weights));
}

#[test]
fn every_attention_is_that_of_its_equations() {
    for attention in Attention::ALL {
        for input_feeding in [false, true] {
            check(
                body([Cell::Gru, Cell::Lstm], attention, input_feeding),
                false,
            );
        }
    }
}

#[test]
fn every_cell_encodes_and_decodes() {
    for cell in Cell::ALL {
        check(body([cell, cell], Attention::Dot, true), false);
    }
}

#[test]
fn options_of_layers_and_vocabularies_are_followed() {
    let plain = body([Cell::Lstm, Cell::Gru], Attention::Dot, false);
    let mut options = plain.clone();
    for layers in [&mut options.encoder, &mut options.decoder] {
        (layers.residual, layers.layer_norm) = (true, true);
    }
    options.encoder.bidirectional = false;
    check(options, false);
    let mut tied = plain.clone();
    tied.decoder.num_layers = 1;
    check(tied.clone(), true);
    assert!(!twin(tied, true).weights.contains_key(OUTPUT_WEIGHT));
    let shared = EncoderDecoder {
        target: tokens(10, 6),
        shared_vocabulary: true,
        ..plain
    };
    check(shared.clone(), true);
    check(shared, false);
}

#[test]
fn rounded_weights_give_nearly_the_same() {
    let twin = twin(
        body([Cell::Lstm, Cell::Lstm], Attention::Additive, true),
        false,
    );
    check_rounded(&twin, 0.1);
}

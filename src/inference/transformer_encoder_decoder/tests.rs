//! Holds the network to plain loops in float64 that follow the equations.

use super::*;
use crate::checkpoint::architecture::{OUTPUT_BIAS, OUTPUT_WEIGHT};
use crate::checkpoint::parts::Body;
use crate::inference::translation_network;
use crate::inference::translation_network::testing::{
    Twin, Vector, check, check_rounded, normalised, product, sum, tokens,
};

/// Width of a network.
const WIDTH: usize = 12;

/// A network with made-up weights, of two layers with three heads.
fn twin(shared_vocabulary: bool, tie_weights: bool) -> Twin {
    let target = if shared_vocabulary { 10 } else { 8 };
    let body = TransformerEncoderDecoder {
        heads: 3,
        feed_forward_size: 20,
        ..TransformerEncoderDecoder::new(tokens(target, WIDTH), shared_vocabulary, 2)
    };
    let body = Body::TransformerEncoderDecoder(body);
    translation_network::testing::twin(tokens(10, WIDTH), body, tie_weights)
}

/// A network for other tests: it reads ten tokens, and writes eight.
pub fn made_up() -> Twin {
    twin(false, true)
}

/// The error function, by its series.
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    2.0 / std::f64::consts::PI.sqrt() * sum
}

/// Turns the pairs of numbers of a head, the first half with the second.
fn turned(x: &[f64], place: usize) -> Vector {
    let half = x.len() / 2;
    let angle = |i: usize| place as f64 * 10_000f64.powf(-(i as f64) / half as f64);
    let first = (0..half).map(|i| x[i] * angle(i).cos() - x[i + half] * angle(i).sin());
    let second = (0..half).map(|i| x[i + half] * angle(i).cos() + x[i] * angle(i).sin());
    first.chain(second).collect()
}

/// What a query sees by heads, and the mean weights of the tokens.
fn seen(heads: usize, query: &[f64], keys: &[Vector], values: &[Vector]) -> (Vector, Vector) {
    let size = query.len() / heads;
    let mut mean = vec![0.0; keys.len()];
    let mut all = Vector::new();
    for head in 0..heads {
        let own = head * size..(head + 1) * size;
        let product = |key: &Vector| -> f64 {
            let pairs = query[own.clone()].iter().zip(&key[own.clone()]);
            pairs.map(|(q, k)| q * k).sum::<f64>() / (size as f64).sqrt()
        };
        let scores: Vector = keys.iter().map(product).collect();
        let weights = crate::metrics::softmax(&scores);
        for unit in own {
            let terms = values.iter().zip(&weights);
            all.push(terms.map(|(value, weight)| value[unit] * weight).sum());
        }
        let means = mean.iter_mut().zip(&weights);
        means.for_each(|(mean, weight)| *mean += weight / heads as f64);
    }
    (all, mean)
}

fn add(x: &mut [f64], added: &[f64]) {
    x.iter_mut().zip(added).for_each(|(x, added)| *x += added);
}

/// A third of a product with queries, keys and values.
fn part(twin: &Twin, name: &str, which: usize, x: &[f64]) -> Vector {
    let size = WIDTH * WIDTH;
    product(&twin.get(name)[which * size..(which + 1) * size], x)
}

/// A part whose heads are turned.
fn turned_part(twin: &Twin, name: &str, which: usize, x: &[f64], place: usize) -> Vector {
    let heads = part(twin, name, which, x);
    heads
        .chunks_exact(WIDTH / 3)
        .flat_map(|head| turned(head, place))
        .collect()
}

fn feed_forward(twin: &Twin, prefix: &str, norm: &str, x: &mut [f64]) {
    let of = |which: &str| twin.get(&format!("{prefix}{which}.weight"));
    let inner = product(of("linear1"), &normalised(x, of(norm)));
    let gelu = inner.iter().map(|x| x * (1.0 + erf(x / 2f64.sqrt())) / 2.0);
    let added = product(of("linear2"), &gelu.collect::<Vec<_>>());
    add(x, &added);
}

/// Self-attention of all positions, each of which sees the first `reach` of its own.
fn attend(twin: &Twin, prefix: &str, x: &mut [Vector], reach: impl Fn(usize) -> usize) {
    let name = format!("{prefix}self_attn.in_proj_weight");
    let gains = twin.get(&format!("{prefix}norm1.weight"));
    let read: Vec<Vector> = x.iter().map(|x| normalised(x, gains)).collect();
    let each = || read.iter().enumerate();
    let keys: Vec<Vector> = each()
        .map(|(place, x)| turned_part(twin, &name, 1, x, place))
        .collect();
    let values: Vec<Vector> = read.iter().map(|x| part(twin, &name, 2, x)).collect();
    for (place, read) in each() {
        let query = turned_part(twin, &name, 0, read, place);
        let (seen, _) = seen(3, &query, &keys[..reach(place)], &values[..reach(place)]);
        let out = twin.get(&format!("{prefix}self_attn.out_proj.weight"));
        add(&mut x[place], &product(out, &seen));
    }
}

fn encode(twin: &Twin, source: &[u32]) -> Vec<Vector> {
    let vectors = source.iter();
    let mut x: Vec<Vector> = vectors
        .map(|&token| twin.vector(EMBEDDING, token, WIDTH))
        .collect();
    for layer in 0..2 {
        let prefix = format!("encoder.layers.{layer}.");
        attend(twin, &prefix, &mut x, |_| source.len());
        x.iter_mut()
            .for_each(|x| feed_forward(twin, &prefix, "norm2", x));
    }
    let outputs = x.iter();
    outputs
        .map(|x| normalised(x, twin.get("encoder.norm.weight")))
        .collect()
}

/// Logits and weights at every step of a target.
pub fn decode(twin: &Twin, source: &[u32], target: &[u32]) -> Vec<(Vector, Vector)> {
    let memory = encode(twin, source);
    let body = twin.config.transformer_encoder_decoder().unwrap();
    let mut x: Vec<Vector> = target
        .iter()
        .map(|&token| twin.vector(body.written().embedding(), token, WIDTH))
        .collect();
    let mut weights = Vec::new();
    for layer in 0..2 {
        let prefix = format!("decoder.layers.{layer}.");
        attend(twin, &prefix, &mut x, |place| place + 1);
        let of = |which: &str| twin.get(&format!("{prefix}{which}.weight"));
        let name = format!("{prefix}multihead_attn.in_proj_weight");
        let keys: Vec<Vector> = memory.iter().map(|m| part(twin, &name, 1, m)).collect();
        let values: Vec<Vector> = memory.iter().map(|m| part(twin, &name, 2, m)).collect();
        weights.clear();
        for x in &mut x {
            let query = part(twin, &name, 0, &normalised(x, of("norm2")));
            let (seen, mean) = seen(3, &query, &keys, &values);
            weights.push(mean);
            add(x, &product(of("multihead_attn.out_proj"), &seen));
            feed_forward(twin, &prefix, "norm3", x);
        }
    }
    let output = twin.get(body.written().output_weight(twin.config.next_token()));
    let logits = x.iter().map(|x| {
        let y = normalised(x, twin.get("decoder.norm.weight"));
        sum(&product(output, &y), twin.get(OUTPUT_BIAS))
    });
    logits.zip(weights).collect()
}

#[test]
fn the_numbers_are_those_of_the_equations() {
    for shared in [false, true] {
        for tied in [false, true] {
            let twin = twin(shared, tied);
            assert_eq!(twin.weights.contains_key(OUTPUT_WEIGHT), !tied);
            check(&twin);
        }
    }
}

#[test]
fn rounded_weights_give_nearly_the_same() {
    check_rounded(&made_up(), 0.15);
}

#[test]
fn many_sources_are_read_in_parts() {
    let network = made_up().network(carousel_kernels::Precision::Float32);
    let long: Vec<u32> = (0..MOST_TOKENS as u32 - 5).map(|i| i * i % 10).collect();
    let sources: [&[u32]; 4] = [&[3, 1, 0], &long, &[2, 0], &[1, 0]];
    let (together, alone) = (network.encode(&sources), network.encode(&sources[2..3]));
    let mut states = [
        network.initial_state(&together),
        network.initial_state(&alone),
    ];
    let [many, one] = &mut states;
    let all = network.step(&[4, 5, 6, 7], &[0, 1, 2, 3], &together, many);
    assert_eq!(all[2], network.step(&[6], &[0], &alone, one)[0]);
    assert_eq!(all[1].len(), long.len());
}

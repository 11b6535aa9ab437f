/*!
The layers of transformers, packed for the CPU at hand. The vectors that pass through them are in float32, and so is
attention; products with weights are in the precision of the kernel. The equations are at [`LayerShape`].
*/

use std::borrow::Cow;
use std::ops::Range;

use carousel_kernels::{
    Kernel, Rows, ThreadPool, dot_products, exponentials, gelu_in_place, weighted_sum,
};

use super::affine::Affine;
use crate::checkpoint::transformer_layer::{
    AttentionTensors, FeedForwardTensors, LayerShape, NORM_EPSILON, TransformerTensors,
};

/// Number of multiplications that are worth another thread.
const MULTIPLICATIONS_PER_THREAD: usize = 1 << 15;

/// What layers compute with.
#[derive(Clone, Copy)]
pub struct Engine<'a> {
    /// Their sizes.
    pub shape: LayerShape,
    /// The kernel of their products.
    pub kernel: Kernel,
    /// The threads.
    pub pool: &'a ThreadPool,
}

/// The weights of a layer.
pub struct PackedLayer {
    /// What a token sees of those of its own sequence.
    pub self_attention: SelfAttention,
    /// What a token sees of the source, in a translator's decoder.
    pub cross_attention: Option<CrossAttention>,
    /// What is made of each vector alone.
    pub feed_forward: FeedForward,
}

/// The weights of attention within a sequence.
pub struct SelfAttention {
    norm: Vec<f32>,
    in_proj: Affine,
    out_proj: Affine,
}

/// The weights of attention to another sequence.
pub struct CrossAttention {
    norm: Vec<f32>,
    query: Affine,
    /// Keys and values of the other sequence.
    key_value: Affine,
    out_proj: Affine,
}

/// The weights of a feed-forward layer.
pub struct FeedForward {
    norm: Vec<f32>,
    linear1: Affine,
    linear2: Affine,
}

/// The keys and values of a head, `[tokens, head_size]` each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadMemory {
    /// What queries are compared with.
    pub(super) keys: Vec<f32>,
    /// What is seen.
    pub(super) values: Vec<f32>,
}

/// Cosine and sine of the angle that turns each pair of numbers of a head, `[head_size / 2]`; empty where nothing is turned.
pub type Rotation<'r> = &'r [[f32; 2]];

/// Cosine and sine of the angles at a range of places, `[places, head_size / 2]`.
pub fn rotations(shape: LayerShape, places: Range<usize>) -> Vec<[f32; 2]> {
    places
        .flat_map(|place| shape.angles(place))
        .map(|angle| [angle.cos() as f32, angle.sin() as f32])
        .collect()
}

impl PackedLayer {
    /// Packs the weights of a layer.
    pub fn pack(tensors: TransformerTensors<Cow<[f32]>>, engine: Engine) -> Self {
        PackedLayer {
            self_attention: SelfAttention::pack(tensors.self_attention, engine),
            cross_attention: tensors
                .cross_attention
                .map(|tensors| CrossAttention::pack(tensors, engine)),
            feed_forward: FeedForward::pack(tensors.feed_forward, engine),
        }
    }
}

impl SelfAttention {
    fn pack(tensors: AttentionTensors<Cow<[f32]>>, engine: Engine) -> Self {
        let width = engine.shape.hidden_size;
        SelfAttention {
            norm: tensors.norm.into_owned(),
            in_proj: engine.affine(&tensors.in_proj, width),
            out_proj: engine.affine(&tensors.out_proj, width),
        }
    }

    /// Queries, keys and values of the vectors, `[rows, 3 · hidden_size]`.
    pub fn projected(&self, vectors: &[f32], engine: Engine) -> Vec<f32> {
        engine.outputs(&self.in_proj, &engine.normalised(vectors, &self.norm))
    }

    /// Adds to the vectors what comes of what the heads saw.
    pub fn add(&self, seen: &Rows, vectors: &mut [f32], engine: Engine) {
        add(vectors, &engine.outputs(&self.out_proj, seen));
    }
}

impl CrossAttention {
    fn pack(tensors: AttentionTensors<Cow<[f32]>>, engine: Engine) -> Self {
        let width = engine.shape.hidden_size;
        let (query, key_value) = tensors.in_proj.split_at(width * width);
        CrossAttention {
            norm: tensors.norm.into_owned(),
            query: engine.affine(query, width),
            key_value: engine.affine(key_value, width),
            out_proj: engine.affine(&tensors.out_proj, width),
        }
    }

    /// Queries of the vectors, `[rows, hidden_size]`.
    pub fn queries(&self, vectors: &[f32], engine: Engine) -> Vec<f32> {
        engine.outputs(&self.query, &engine.normalised(vectors, &self.norm))
    }

    /// Keys and values of another sequence, `[rows, 2 · hidden_size]`.
    pub fn keys_and_values(&self, memory: &Rows, engine: Engine) -> Vec<f32> {
        engine.outputs(&self.key_value, memory)
    }

    /// Adds to the vectors what comes of what the heads saw.
    pub fn add(&self, seen: &Rows, vectors: &mut [f32], engine: Engine) {
        add(vectors, &engine.outputs(&self.out_proj, seen));
    }
}

impl FeedForward {
    fn pack(tensors: FeedForwardTensors<Cow<[f32]>>, engine: Engine) -> Self {
        let shape = engine.shape;
        FeedForward {
            norm: tensors.norm.into_owned(),
            linear1: engine.affine(&tensors.linear1, shape.hidden_size),
            linear2: engine.affine(&tensors.linear2, shape.feed_forward_size),
        }
    }

    /// Adds to the vectors what comes of them.
    pub fn add(&self, vectors: &mut [f32], engine: Engine) {
        let inner = engine.outputs(&self.linear1, &engine.normalised(vectors, &self.norm));
        let size = engine.shape.feed_forward_size;
        let rows = inner.len() / size;
        let mut active = Rows::zeros(engine.kernel, rows, size);
        let gelu = |row: usize, values: &mut [f32]| {
            values.copy_from_slice(&inner[row * size..(row + 1) * size]);
            gelu_in_place(values);
        };
        active.set_all(0..rows, gelu, engine.pool);
        add(vectors, &engine.outputs(&self.linear2, &active));
    }
}

impl HeadMemory {
    /// Adds a token, whose key is turned.
    pub fn push(&mut self, key: &[f32], value: &[f32], rotation: Rotation) {
        let begin = self.keys.len();
        self.keys.extend_from_slice(key);
        self.values.extend_from_slice(value);
        turn(&mut self.keys[begin..], rotation);
    }

    /// Writes what a query, which is turned, sees. Returns the weight of each token; their sum is 1.
    pub fn see(&self, query: &[f32], rotation: Rotation, seen: &mut [f32]) -> Vec<f32> {
        let scale = 1.0 / (query.len() as f32).sqrt();
        let mut weights = vec![0.0; self.keys.len() / query.len()];
        let mut query: Vec<f32> = query.iter().map(|value| value * scale).collect();
        turn(&mut query, rotation);
        dot_products(&self.keys, &query, &mut weights);
        exponentials(&mut weights, 1.0);
        let sum: f32 = weights.iter().sum();
        weighted_sum(&self.values, &weights, seen);
        seen.iter_mut().for_each(|value| *value /= sum);
        weights.iter_mut().for_each(|weight| *weight /= sum);
        weights
    }
}

/// What streams see of their sources.
pub struct SeenAcross {
    /// What the heads see, side by side, `[streams, hidden_size]`.
    pub seen: Rows,
    /// For each stream the weights of its source's tokens, the mean of all heads.
    pub weights: Vec<Vec<f32>>,
}

impl Engine<'_> {
    /// Packs a matrix of rows of so many inputs, without a bias.
    fn affine(self, weights: &[f32], inputs: usize) -> Affine {
        let no_bias = vec![0.0; weights.len() / inputs].into();
        Affine::pack(weights, no_bias, self.kernel, self.pool)
    }

    fn outputs(self, affine: &Affine, x: &Rows) -> Vec<f32> {
        affine.outputs(x, 0..x.len(), self.pool)
    }

    /// The vectors normalised, with gains, as products take them.
    pub fn normalised(self, vectors: &[f32], gains: &[f32]) -> Rows {
        let width = gains.len();
        let rows = vectors.len() / width;
        let mut normalised = Rows::zeros(self.kernel, rows, width);
        let read = |row: usize, values: &mut [f32]| {
            normalise(&vectors[row * width..(row + 1) * width], gains, values);
        };
        normalised.set_all(0..rows, read, self.pool);
        normalised
    }

    /// What the heads of a layer see of their own sequences up to each token, `[steps, streams]`, side by side. `projected` are
    /// queries, keys and values, `[steps, streams, 3 · hidden_size]`; `memories` are those of each stream's heads, to which the
    /// tokens are added; `before` is the number of tokens of each stream before them.
    pub fn attend_back<'r>(
        self,
        projected: &[f32],
        memories: Vec<&mut [HeadMemory]>,
        before: &[usize],
        rotation: impl Fn(usize) -> Rotation<'r> + Sync,
    ) -> Rows {
        let (heads, size) = (self.shape.heads, self.shape.head_size());
        let width = self.shape.hidden_size;
        let (count, rows) = (memories.len(), projected.len() / (3 * width));
        let steps = rows / count;
        let mut places: Vec<(&mut HeadMemory, Vec<f32>)> = memories
            .into_iter()
            .flatten()
            .map(|memory| (memory, vec![0.0; steps * size]))
            .collect();
        let longest = before.iter().max().unwrap_or(&0) + steps;
        let threads = self.threads(rows * longest);
        self.pool
            .for_each(threads, &mut places, |index, (memory, seen)| {
                let (stream, head) = (index / heads, index % heads);
                for (step, seen) in seen.chunks_exact_mut(size).enumerate() {
                    let row = step * count + stream;
                    let [query, key, value] = [0, 1, 2].map(|part| {
                        let first = (3 * row + part) * width + head * size;
                        &projected[first..first + size]
                    });
                    let rotation = rotation(before[stream] + step);
                    memory.push(key, value, rotation);
                    memory.see(query, rotation, seen);
                }
            });
        let places: Vec<Vec<f32>> = places.into_iter().map(|(_, seen)| seen).collect();
        self.side_by_side(rows, |row, head| {
            let (step, stream) = (row / count, row % count);
            &places[stream * heads + head][step * size..(step + 1) * size]
        })
    }

    /// What the heads of a layer see of all tokens of their own sequences, which lie one after another and have these lengths.
    /// `projected` are queries, keys and values, `[tokens, 3 · hidden_size]`.
    pub fn attend_all(self, projected: &[f32], lengths: &[usize]) -> Rows {
        let (heads, size) = (self.shape.heads, self.shape.head_size());
        let (width, pairs) = (self.shape.hidden_size, size / 2);
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let rotations = rotations(self.shape, 0..longest);
        let firsts = first_rows(lengths);
        let part = |row: usize, part: usize, head: usize| {
            let first = (3 * row + part) * width + head * size;
            &projected[first..first + size]
        };
        let of_heads = lengths
            .iter()
            .flat_map(|&length| vec![vec![0.0; length * size]; heads]);
        let mut places: Vec<Vec<f32>> = of_heads.collect();
        let rows: usize = lengths.iter().sum();
        let threads = self.threads(rows * longest);
        self.pool.for_each(threads, &mut places, |index, seen| {
            let (first, head) = (firsts[index / heads], index % heads);
            let rotation = |place: usize| &rotations[place * pairs..(place + 1) * pairs];
            let mut memory = HeadMemory::default();
            for place in 0..lengths[index / heads] {
                let [key, value] = [1, 2].map(|which| part(first + place, which, head));
                memory.push(key, value, rotation(place));
            }
            for (place, seen) in seen.chunks_exact_mut(size).enumerate() {
                memory.see(part(first + place, 0, head), rotation(place), seen);
            }
        });
        let owners: Vec<usize> = (lengths.iter().enumerate())
            .flat_map(|(source, &length)| vec![source; length])
            .collect();
        self.side_by_side(rows, |row, head| {
            let place = row - firsts[owners[row]];
            &places[owners[row] * heads + head][place * size..(place + 1) * size]
        })
    }

    /// What the heads of a layer see of other sequences: `queries` are `[streams, hidden_size]`, `memories` those of each
    /// stream's heads.
    pub fn attend_across(self, queries: &[f32], memories: &[&[HeadMemory]]) -> SeenAcross {
        let (heads, size) = (self.shape.heads, self.shape.head_size());
        let streams = memories.len();
        let mut places = vec![(vec![0.0; size], Vec::new()); streams * heads];
        let longest = memories.iter().map(|heads| heads[0].keys.len() / size);
        let threads = self.threads(streams * longest.max().unwrap_or(0));
        self.pool
            .for_each(threads, &mut places, |index, (seen, weights)| {
                let memory = &memories[index / heads][index % heads];
                *weights = memory.see(&queries[index * size..(index + 1) * size], &[], seen);
            });
        let mean = |heads_of_stream: &[(Vec<f32>, Vec<f32>)]| {
            let mut mean = vec![0.0; heads_of_stream[0].1.len()];
            for (_, weights) in heads_of_stream {
                add(&mut mean, weights);
            }
            mean.iter_mut().for_each(|weight| *weight /= heads as f32);
            mean
        };
        SeenAcross {
            weights: places.chunks_exact(heads).map(mean).collect(),
            seen: self.side_by_side(streams, |row, head| &places[row * heads + head].0),
        }
    }

    /// The memories of the heads of sequences that lie one after another and have these lengths, from their keys and values,
    /// `[tokens, 2 · hidden_size]`, which are not turned.
    pub fn memories(self, keys_and_values: &[f32], lengths: &[usize]) -> Vec<Vec<HeadMemory>> {
        let (heads, size) = (self.shape.heads, self.shape.head_size());
        let width = self.shape.hidden_size;
        let firsts = first_rows(lengths).into_iter().zip(lengths);
        let memory = |first: usize, length: usize, head: usize| {
            let part = |part: usize| -> Vec<f32> {
                let rows =
                    (first..first + length).map(|row| (2 * row + part) * width + head * size);
                rows.flat_map(|begin| &keys_and_values[begin..begin + size])
                    .copied()
                    .collect()
            };
            HeadMemory {
                keys: part(0),
                values: part(1),
            }
        };
        firsts
            .map(|(first, &length)| (0..heads).map(|head| memory(first, length, head)).collect())
            .collect()
    }

    /// Threads for so many products of a query with a key of all heads, and as many with values.
    fn threads(self, products: usize) -> usize {
        1 + 2 * products * self.shape.hidden_size / MULTIPLICATIONS_PER_THREAD
    }

    /// Rows of what heads saw, side by side.
    fn side_by_side<'s>(
        self,
        rows: usize,
        seen: impl Fn(usize, usize) -> &'s [f32] + Sync,
    ) -> Rows {
        let mut all = Rows::zeros(self.kernel, rows, self.shape.hidden_size);
        let read = |row: usize, values: &mut [f32]| {
            let parts = values.chunks_exact_mut(self.shape.head_size());
            for (head, values) in parts.enumerate() {
                values.copy_from_slice(seen(row, head));
            }
        };
        all.set_all(0..rows, read, self.pool);
        all
    }
}

/// The first row of each of the sequences that lie one after another.
fn first_rows(lengths: &[usize]) -> Vec<usize> {
    let firsts = lengths.iter().scan(0, |next, length| {
        let first = *next;
        *next += length;
        Some(first)
    });
    firsts.collect()
}

/// Turns each number of the first half with its partner of the second; nothing without a rotation.
fn turn(values: &mut [f32], rotation: Rotation) {
    let (first, second) = values.split_at_mut(rotation.len());
    for ((x, y), &[cosine, sine]) in first.iter_mut().zip(second).zip(rotation) {
        (*x, *y) = (*x * cosine - *y * sine, *y * cosine + *x * sine);
    }
}

/// Writes values with mean 0 and variance 1, times gains (Ba et al. 2016).
pub fn normalise(values: &[f32], gains: &[f32], normalised: &mut [f32]) {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let squares = values.iter().map(|value| (value - mean) * (value - mean));
    let variance = squares.sum::<f32>() / count;
    let scale = 1.0 / (variance + NORM_EPSILON as f32).sqrt();
    for ((out, value), gain) in normalised.iter_mut().zip(values).zip(gains) {
        *out = (value - mean) * scale * gain;
    }
}

/// Adds values to sums.
pub fn add(sums: &mut [f32], values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

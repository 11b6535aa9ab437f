/*!
Transformers over an embedding, which keep the keys and values of the tokens that they have read: one step of one text, many
steps of a prompt, or many texts side by side.

A text is read in windows, as in training: a prediction depends on the tokens of its window alone. A window that is full is
left for the next one, which begins with the second half of its tokens, read again; so each prediction, but those at the very
beginning of a text, is made from at least half a context. How a text is cut into calls changes nothing.
*/

use std::borrow::Cow;

use carousel_kernels::{
    Kernel, Rows, ThreadPool, dot_products, exponentials, gelu_in_place, weighted_sum,
};

use super::affine::Affine;
use crate::checkpoint::architecture::EMBEDDING;
use crate::checkpoint::transformer::{
    LAST_NORM, NORM_EPSILON, POSITION_EMBEDDING, Positions, Transformer,
};
use crate::error::Result;

/// Number of multiplications that are worth another thread.
const MULTIPLICATIONS_PER_THREAD: usize = 1 << 15;

/// An embedding and layers of attention, packed for the CPU at hand.
pub struct TransformerNetwork {
    shape: Transformer,
    /// `[vocab_size, hidden_size]`.
    embedding: Vec<f32>,
    places: Places,
    layers: Vec<PackedLayer>,
    /// The gains of the last normalisation.
    norm: Vec<f32>,
    kernel: Kernel,
    pool: ThreadPool,
}

/// How a token's place in its window is known.
enum Places {
    /// Cosine and sine of the angles that turn each pair of numbers, `[context, head_size / 2]`.
    Rotary(Vec<[f32; 2]>),
    /// A vector for each place, `[context, hidden_size]`.
    Learned(Vec<f32>),
}

struct PackedLayer {
    norm1: Vec<f32>,
    in_proj: Affine,
    out_proj: Affine,
    norm2: Vec<f32>,
    linear1: Affine,
    linear2: Affine,
}

/// The windows of texts that are read side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct TransformerState {
    windows: Vec<Window>,
}

/// The tokens of a window so far, and what attention keeps of them.
#[derive(Clone, Debug, PartialEq)]
struct Window {
    tokens: Vec<u32>,
    /// Of each layer's heads, `[layers, heads]`.
    memories: Vec<Memory>,
}

/// The keys and values of a head, `[tokens, head_size]` each.
#[derive(Clone, Debug, Default, PartialEq)]
struct Memory {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl TransformerState {
    /// Number of texts that are read side by side.
    pub fn streams(&self) -> usize {
        self.windows.len()
    }

    /// Memory of what is kept of the windows so far, in bytes.
    pub fn bytes(&self) -> usize {
        let of_window = |window: &Window| {
            let memories = window.memories.iter();
            let floats = memories.map(|memory| memory.keys.len() + memory.values.len());
            size_of_val(&window.tokens[..]) + floats.sum::<usize>() * size_of::<f32>()
        };
        self.windows.iter().map(of_window).sum()
    }

    /// The states of the given streams, side by side, each as often as it is named.
    pub fn select(&self, streams: &[usize]) -> Self {
        let windows = streams.iter().map(|&stream| self.windows[stream].clone());
        TransformerState {
            windows: windows.collect(),
        }
    }
}

impl TransformerNetwork {
    /// Packs the weights that `floats` gives for the names of [`Transformer::tensors`] and of the embedding, in their shapes.
    ///
    /// # Errors
    /// Those of `floats`.
    pub fn load<'w>(
        shape: &Transformer,
        floats: impl Fn(&str) -> Result<Cow<'w, [f32]>>,
        kernel: Kernel,
        threads: usize,
    ) -> Result<Self> {
        let pool = ThreadPool::new(threads);
        let affine = |weights: &[f32], inputs: usize| {
            let no_bias = vec![0.0; weights.len() / inputs].into();
            Affine::pack(weights, no_bias, kernel, &pool)
        };
        let width = shape.hidden_size;
        let layer = |layer: usize| -> Result<PackedLayer> {
            let weights = shape.layer(layer).try_map(|(name, _)| floats(&name))?;
            Ok(PackedLayer {
                norm1: weights.norm1.into_owned(),
                in_proj: affine(&weights.in_proj, width),
                out_proj: affine(&weights.out_proj, width),
                norm2: weights.norm2.into_owned(),
                linear1: affine(&weights.linear1, width),
                linear2: affine(&weights.linear2, shape.feed_forward_size),
            })
        };
        Ok(TransformerNetwork {
            embedding: floats(EMBEDDING)?.into_owned(),
            places: match shape.positions {
                Positions::Learned => Places::Learned(floats(POSITION_EMBEDDING)?.into_owned()),
                Positions::Rotary => Places::Rotary(rotations(shape)),
            },
            layers: (0..shape.num_layers).map(layer).collect::<Result<_>>()?,
            norm: floats(LAST_NORM)?.into_owned(),
            shape: shape.clone(),
            kernel,
            pool,
        })
    }

    /// The thread pool that its steps run on.
    pub fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    /// The state that texts which are read side by side begin with.
    pub fn initial_state(&self, streams: usize) -> TransformerState {
        TransformerState {
            windows: vec![self.empty_window(); streams],
        }
    }

    /// Sets one stream of a state to that which texts begin with.
    pub fn reset(&self, state: &mut TransformerState, stream: usize) {
        state.windows[stream] = self.empty_window();
    }

    fn empty_window(&self) -> Window {
        Window {
            tokens: Vec::new(),
            memories: vec![Memory::default(); self.shape.num_layers * self.shape.heads],
        }
    }

    /// Reads `tokens`, time-major `[steps, streams]`, and returns the outputs, `[steps, streams]`.
    ///
    /// # Panics
    /// If a token is not in the vocabulary.
    pub fn outputs(&self, tokens: &[u32], state: &mut TransformerState) -> Rows {
        let streams = state.windows.len();
        let mut outputs = Rows::zeros(self.kernel, tokens.len(), self.shape.hidden_size);
        let mut begin = 0;
        while begin < tokens.len() {
            self.leave_full_windows(state);
            let mut windows: Vec<&mut Window> = state.windows.iter_mut().collect();
            let free = windows
                .iter()
                .map(|window| self.shape.context - window.tokens.len());
            let steps = free
                .min()
                .unwrap_or(0)
                .min((tokens.len() - begin) / streams);
            let end = begin + steps * streams;
            let vectors = self.read(&tokens[begin..end], &mut windows);
            let norm = |row: usize, values: &mut [f32]| {
                normalise(self.row(&vectors, row), &self.norm, values);
            };
            outputs.set_all(begin..end, norm, &self.pool);
            begin = end;
        }
        outputs
    }

    /// Begins the next window of the streams whose window is full.
    fn leave_full_windows(&self, state: &mut TransformerState) {
        let context = self.shape.context;
        let full = |window: &&mut Window| window.tokens.len() == context;
        let mut windows: Vec<&mut Window> = state.windows.iter_mut().filter(full).collect();
        if windows.is_empty() {
            return;
        }
        let left: Vec<Vec<u32>> = windows
            .iter_mut()
            .map(|window| std::mem::replace(*window, self.empty_window()).tokens)
            .collect();
        let kept = self.shape.left_behind()..context;
        let again: Vec<u32> = kept
            .flat_map(|place| left.iter().map(move |tokens| tokens[place]))
            .collect();
        self.read(&again, &mut windows);
    }

    /// Reads `tokens`, time-major `[steps, windows]`, for which there is room in every window. Returns the vectors after the
    /// last layer, `[steps, windows, hidden_size]`.
    fn read(&self, tokens: &[u32], windows: &mut [&mut Window]) -> Vec<f32> {
        let (width, count) = (self.shape.hidden_size, windows.len());
        let before: Vec<usize> = windows.iter().map(|window| window.tokens.len()).collect();
        let mut vectors = vec![0.0; tokens.len() * width];
        for (row, (vector, &token)) in vectors.chunks_exact_mut(width).zip(tokens).enumerate() {
            vector.copy_from_slice(self.row(&self.embedding, token as usize));
            if let Places::Learned(places) = &self.places {
                let place = before[row % count] + row / count;
                add(vector, self.row(places, place));
            }
            windows[row % count].tokens.push(token);
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let projected = layer.in_proj.outputs(
                &self.normalised(&vectors, &layer.norm1),
                0..tokens.len(),
                &self.pool,
            );
            let seen = self.attend(index, &projected, &before, windows);
            self.add_product(&layer.out_proj, &seen, &mut vectors);
            let inner = layer.linear1.outputs(
                &self.normalised(&vectors, &layer.norm2),
                0..tokens.len(),
                &self.pool,
            );
            let size = self.shape.feed_forward_size;
            let mut active = Rows::zeros(self.kernel, tokens.len(), size);
            let gelu = |row: usize, values: &mut [f32]| {
                values.copy_from_slice(&inner[row * size..(row + 1) * size]);
                gelu_in_place(values);
            };
            active.set_all(0..tokens.len(), gelu, &self.pool);
            self.add_product(&layer.linear2, &active, &mut vectors);
        }
        vectors
    }

    /// What the heads of a layer see, `[steps, windows]`, side by side. `projected` are queries, keys and values, `[steps,
    /// windows, 3 · hidden_size]`; `before` is the number of tokens of each window before them.
    fn attend(
        &self,
        layer: usize,
        projected: &[f32],
        before: &[usize],
        windows: &mut [&mut Window],
    ) -> Rows {
        let (heads, size, width) = (
            self.shape.heads,
            self.shape.head_size(),
            self.shape.hidden_size,
        );
        let (count, rows) = (windows.len(), projected.len() / (3 * width));
        let steps = rows / count;
        let mut places: Vec<(&mut Memory, Vec<f32>)> = windows
            .iter_mut()
            .flat_map(|window| &mut window.memories[layer * heads..(layer + 1) * heads])
            .map(|memory| (memory, vec![0.0; steps * size]))
            .collect();
        let longest = before.iter().max().unwrap_or(&0) + steps;
        let threads = 1 + 2 * rows * width * longest / MULTIPLICATIONS_PER_THREAD;
        self.pool
            .for_each(threads, &mut places, |index, (memory, seen)| {
                let (window, head) = (index / heads, index % heads);
                for (step, seen) in seen.chunks_exact_mut(size).enumerate() {
                    let row = step * count + window;
                    let [query, key, value] = [0, 1, 2].map(|part| {
                        let first = (3 * row + part) * width + head * size;
                        &projected[first..first + size]
                    });
                    self.see(memory, before[window] + step, [query, key, value], seen);
                }
            });
        let mut all = Rows::zeros(self.kernel, rows, width);
        let read = |row: usize, values: &mut [f32]| {
            let (step, window) = (row / count, row % count);
            for (head, values) in values.chunks_exact_mut(size).enumerate() {
                let seen = &places[window * heads + head].1;
                values.copy_from_slice(&seen[step * size..(step + 1) * size]);
            }
        };
        all.set_all(0..rows, read, &self.pool);
        all
    }

    /// Adds a token at a place to a head's memory, and writes what its query sees of it.
    fn see(
        &self,
        memory: &mut Memory,
        place: usize,
        [query, key, value]: [&[f32]; 3],
        seen: &mut [f32],
    ) {
        let scale = 1.0 / (query.len() as f32).sqrt();
        let mut query: Vec<f32> = query.iter().map(|value| value * scale).collect();
        let begin = memory.keys.len();
        memory.keys.extend_from_slice(key);
        memory.values.extend_from_slice(value);
        if let Places::Rotary(rotations) = &self.places {
            let pairs = query.len() / 2;
            let rotations = &rotations[place * pairs..(place + 1) * pairs];
            turn(&mut query, rotations);
            turn(&mut memory.keys[begin..], rotations);
        }
        let mut weights = vec![0.0; place + 1];
        dot_products(&memory.keys, &query, &mut weights);
        exponentials(&mut weights, 1.0);
        let sum: f32 = weights.iter().sum();
        weighted_sum(&memory.values, &weights, seen);
        seen.iter_mut().for_each(|value| *value /= sum);
    }

    /// The vectors normalised, with gains, as products take them.
    fn normalised(&self, vectors: &[f32], gains: &[f32]) -> Rows {
        let rows = vectors.len() / gains.len();
        let mut normalised = Rows::zeros(self.kernel, rows, gains.len());
        let read = |row: usize, values: &mut [f32]| {
            normalise(self.row(vectors, row), gains, values);
        };
        normalised.set_all(0..rows, read, &self.pool);
        normalised
    }

    /// Adds the products of a linear layer to the vectors.
    fn add_product(&self, affine: &Affine, x: &Rows, vectors: &mut [f32]) {
        add(vectors, &affine.outputs(x, 0..x.len(), &self.pool));
    }

    /// A row of the network's width.
    fn row<'v>(&self, values: &'v [f32], row: usize) -> &'v [f32] {
        let width = self.shape.hidden_size;
        &values[row * width..(row + 1) * width]
    }
}

/// Cosine and sine of all angles, `[context, head_size / 2]`.
fn rotations(shape: &Transformer) -> Vec<[f32; 2]> {
    let angles = (0..shape.context).flat_map(|place| shape.angles(place));
    angles
        .map(|angle| [angle.cos() as f32, angle.sin() as f32])
        .collect()
}

/// Turns each number of the first half with its partner of the second.
fn turn(values: &mut [f32], rotations: &[[f32; 2]]) {
    let (first, second) = values.split_at_mut(rotations.len());
    for ((x, y), &[cosine, sine]) in first.iter_mut().zip(second).zip(rotations) {
        (*x, *y) = (*x * cosine - *y * sine, *y * cosine + *x * sine);
    }
}

/// Writes values with mean 0 and variance 1, times gains (Ba et al. 2016).
fn normalise(values: &[f32], gains: &[f32], normalised: &mut [f32]) {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let squares = values.iter().map(|value| (value - mean) * (value - mean));
    let variance = squares.sum::<f32>() / count;
    let scale = 1.0 / (variance + NORM_EPSILON as f32).sqrt();
    for ((out, value), gain) in normalised.iter_mut().zip(values).zip(gains) {
        *out = (value - mean) * scale * gain;
    }
}

fn add(sums: &mut [f32], values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

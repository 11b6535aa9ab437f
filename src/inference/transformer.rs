/*!
Transformers over an embedding, which keep the keys and values of the tokens that they have read: one step of one text, many
steps of a prompt, or many texts side by side.

A text is read in windows, as in training: a prediction depends on the tokens of its window alone. A window that is full is
left for the next one, which begins with the second half of its tokens, read again; so each prediction, but those at the very
beginning of a text, is made from at least half a context. How a text is cut into calls changes nothing.
*/

use std::borrow::Cow;
use std::sync::OnceLock;

use carousel_kernels::{Kernel, Rows, ThreadPool};

use super::transformer_layer::{
    Engine, HeadMemory, PackedLayer, Rotation, add, normalise, rotations,
};
use crate::checkpoint::architecture::EMBEDDING;
use crate::checkpoint::transformer::{POSITION_EMBEDDING, Positions, TRANSFORMER, Transformer};
use crate::checkpoint::transformer_layer::LayerShape;
use crate::error::Result;

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

/// Places whose angles are computed together.
const PLACES: usize = 256;

/// How a token's place in its window is known.
enum Places {
    /// Cosine and sine of the angles that turn each pair of numbers, `[PLACES, head_size / 2]` for each block of the context,
    /// from when a text first reaches it: a file may tell of a context that no text fills.
    Rotary(Vec<OnceLock<Vec<[f32; 2]>>>),
    /// A vector for each place, `[context, hidden_size]`.
    Learned(Vec<f32>),
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
    memories: Vec<HeadMemory>,
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

    /// Puts the streams of another state after these.
    pub fn append(&mut self, other: Self) {
        self.windows.extend(other.windows);
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
        let engine = Engine {
            shape: shape.shape(),
            kernel,
            pool: &pool,
        };
        let layer = |layer: usize| -> Result<PackedLayer> {
            let tensors = shape.layer(layer).try_map(|(name, _)| floats(&name))?;
            Ok(PackedLayer::pack(tensors, engine))
        };
        Ok(TransformerNetwork {
            embedding: floats(EMBEDDING)?.into_owned(),
            places: match shape.positions {
                Positions::Learned => Places::Learned(floats(POSITION_EMBEDDING)?.into_owned()),
                Positions::Rotary => {
                    Places::Rotary(vec![OnceLock::new(); shape.context.div_ceil(PLACES)])
                }
            },
            layers: (0..shape.num_layers).map(layer).collect::<Result<_>>()?,
            norm: floats(&LayerShape::last_norm(TRANSFORMER))?.into_owned(),
            shape: shape.clone(),
            kernel,
            pool,
        })
    }

    /// The thread pool that its steps run on.
    pub fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    fn engine(&self) -> Engine<'_> {
        Engine {
            shape: self.shape.shape(),
            kernel: self.kernel,
            pool: &self.pool,
        }
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
            memories: vec![HeadMemory::default(); self.shape.num_layers * self.shape.heads],
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
        let (engine, heads) = (self.engine(), self.shape.heads);
        for (index, layer) in self.layers.iter().enumerate() {
            let attention = &layer.self_attention;
            let projected = attention.projected(&vectors, engine);
            let memories = windows
                .iter_mut()
                .map(|window| &mut window.memories[index * heads..(index + 1) * heads]);
            let rotation = |place: usize| self.rotation(place);
            let seen = engine.attend_back(&projected, memories.collect(), &before, rotation);
            attention.add(&seen, &mut vectors, engine);
            layer.feed_forward.add(&mut vectors, engine);
        }
        vectors
    }

    /// How a place turns queries and keys.
    fn rotation(&self, place: usize) -> Rotation<'_> {
        let pairs = self.shape.shape().head_size() / 2;
        match &self.places {
            Places::Rotary(blocks) => {
                let first = place / PLACES * PLACES;
                let block = blocks[place / PLACES].get_or_init(|| {
                    let last = (first + PLACES).min(self.shape.context);
                    rotations(self.shape.shape(), first..last)
                });
                &block[(place - first) * pairs..][..pairs]
            }
            Places::Learned(_) => &[],
        }
    }

    /// A row of the network's width.
    fn row<'v>(&self, values: &'v [f32], row: usize) -> &'v [f32] {
        let width = self.shape.hidden_size;
        &values[row * width..(row + 1) * width]
    }
}

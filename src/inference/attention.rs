/*!
Attention: what a decoder sees of a source at a step, by the weights of all of its positions.
*/

use std::borrow::Cow;

use carousel_kernels::{
    Kernel, Rows, ThreadPool, additive_scores, dot_products, exponentials, weighted_sum,
};

use super::affine::Affine;
use crate::checkpoint::encoder_decoder::{
    ATTENTION_BIAS, Attention, EncoderDecoder, KEY_WEIGHT, QUERY_WEIGHT, SCORE_WEIGHT,
};
use crate::error::Result;

/// Number of multiplications that are worth another thread.
const MULTIPLICATIONS_PER_THREAD: usize = 1 << 17;

/// A decoder's way to look at a source, packed for the CPU at hand.
pub struct Attender {
    /// What is looked for, from the first layer's outputs.
    query: Affine,
    /// What is compared with it, and the weights of its sums, in additive attention.
    additive: Option<(Affine, Vec<f32>)>,
    memory_size: usize,
    kernel: Kernel,
}

/// The outputs of an encoder for one source, which its hypotheses share.
pub struct Memory {
    /// `[positions, memory_size]`.
    values: Vec<f32>,
    /// What a query is compared with: the values themselves, or with additive attention `[positions, hidden_size]`.
    keys: Option<Vec<f32>>,
}

/// What streams see at a step.
pub struct Attended {
    /// The contexts, `[streams, memory_size]`.
    pub contexts: Vec<f32>,
    /// For each stream the weights of its source's positions, whose sum is 1.
    pub weights: Vec<Vec<f32>>,
}

impl Attender {
    /// Packs the weights that `floats` gives; `None` without attention.
    ///
    /// # Errors
    /// Those of `floats`.
    pub fn load<'w>(
        body: &EncoderDecoder,
        floats: impl Fn(&str) -> Result<Cow<'w, [f32]>>,
        kernel: Kernel,
        pool: &ThreadPool,
    ) -> Result<Option<Self>> {
        let (additive, width) = match body.attention {
            Attention::None => return Ok(None),
            Attention::Dot => (None, body.memory_size()),
            Attention::Additive => {
                let key = Affine::pack(&floats(KEY_WEIGHT)?, floats(ATTENTION_BIAS)?, kernel, pool);
                let weights = floats(SCORE_WEIGHT)?.into_owned();
                (Some((key, weights)), body.decoder.hidden_size)
            }
        };
        let zeros = vec![0.0; width].into();
        Ok(Some(Attender {
            query: Affine::pack(&floats(QUERY_WEIGHT)?, zeros, kernel, pool),
            additive,
            memory_size: body.memory_size(),
            kernel,
        }))
    }

    /// The memory of a source whose encoder's outputs are `values`, `[positions, memory_size]`.
    pub fn memory(&self, values: Vec<f32>, pool: &ThreadPool) -> Memory {
        let keys = self.additive.as_ref().map(|(key, _)| {
            let positions: Vec<u32> = (0..(values.len() / self.memory_size) as u32).collect();
            let rows = Rows::gather(self.kernel, &values, self.memory_size, &positions, pool);
            key.outputs(&rows, 0..rows.len(), pool)
        });
        Memory { values, keys }
    }

    /// What each stream, whose first layer's output is a row of `outputs`, sees of its memory.
    pub fn attend(&self, outputs: &Rows, memories: &[&Memory], pool: &ThreadPool) -> Attended {
        let queries = self.query.outputs(outputs, 0..outputs.len(), pool);
        let width = queries.len() / outputs.len();
        let mut contexts = vec![0.0; outputs.len() * self.memory_size];
        let mut weights = vec![Vec::new(); outputs.len()];
        let multiplications: usize = memories.iter().map(|memory| memory.values.len()).sum();
        let threads = 1 + multiplications / MULTIPLICATIONS_PER_THREAD;
        let places = contexts.chunks_exact_mut(self.memory_size);
        let mut places: Vec<_> = places.zip(&mut weights).collect();
        pool.for_each(threads, &mut places, |stream, (context, weights)| {
            let query = &queries[stream * width..(stream + 1) * width];
            **weights = self.weights(query, memories[stream]);
            weighted_sum(&memories[stream].values, weights, context);
        });
        Attended { contexts, weights }
    }

    /// The weights of a memory's positions for a query.
    fn weights(&self, query: &[f32], memory: &Memory) -> Vec<f32> {
        let mut weights = vec![0.0; memory.values.len() / self.memory_size];
        match (&self.additive, &memory.keys) {
            (Some((_, factors)), Some(keys)) => additive_scores(keys, query, factors, &mut weights),
            _ => dot_products(&memory.values, query, &mut weights),
        }
        exponentials(&mut weights, 1.0);
        let sum: f32 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        weights
    }
}

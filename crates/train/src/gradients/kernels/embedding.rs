/*!
The vectors that the first layer reads, and their gradients. Values in panels are `[panels, rows, width]`.
*/

use tch::Tensor;

use crate::optimizer::row_width;
use crate::slices::floats;
use carousel::checkpoint::architecture::EMBEDDING;
use carousel_kernels::{Kernel, Rows, ThreadPool};

use super::window_input::WindowInput;

/// The vectors of tokens, with dropout.
#[derive(Clone, Copy)]
pub struct Vectors<'a> {
    embedding: &'a [f32],
    size: usize,
    /// Of each token of the vocabulary, `[vocab_size]`.
    token_factors: Option<&'a [f32]>,
    /// Of each component, `[batch_size, embedding_size]`.
    input_factors: Option<&'a [f32]>,
}

impl<'a> Vectors<'a> {
    /// Rows of an embedding, with masks of its tokens and of its vectors' components.
    pub fn new(embedding: &'a Tensor, [tokens, inputs]: [&'a Option<Tensor>; 2]) -> Self {
        Vectors {
            size: row_width(embedding),
            embedding: floats(embedding),
            token_factors: tokens.as_ref().map(floats),
            input_factors: inputs.as_ref().map(floats),
        }
    }

    /// Those of a window of a language model or a classifier.
    pub fn of(window: &WindowInput<'a>) -> Self {
        let embedding = window.network.parameters.get(EMBEDDING);
        Vectors::new(embedding, [&window.masks.embedding, &window.masks.inputs])
    }
}

/// Encodes the vectors of `tokens`, `[tokens, embedding_size]`, with a perturbation in panels if there is one.
pub fn embed(
    vectors: Vectors,
    tokens: &[u32],
    perturbation: Option<&[f32]>,
    batch_size: usize,
    kernel: Kernel,
    pool: &ThreadPool,
) -> Rows {
    let Vectors {
        embedding,
        size,
        token_factors,
        input_factors,
    } = vectors;
    let width = kernel.width();
    let read = |row: usize, values: &mut [f32]| {
        let token = tokens[row] as usize;
        values.copy_from_slice(&embedding[token * size..][..size]);
        if let Some(factors) = token_factors {
            values.iter_mut().for_each(|value| *value *= factors[token]);
        }
        if let Some(perturbation) = perturbation {
            let panels = perturbation.chunks_exact(tokens.len() * width);
            for (values, panel) in values.chunks_mut(width).zip(panels) {
                let more = values.iter_mut().zip(&panel[row * width..]);
                more.for_each(|(value, more)| *value += more);
            }
        }
        if let Some(factors) = input_factors {
            multiply(values, &factors[row % batch_size * size..][..size]);
        }
    };
    let mut embedded = Rows::zeros(kernel, tokens.len(), size);
    embedded.set_all(0..tokens.len(), read, pool);
    embedded
}

/// From gradients with respect to what the first layer read, in panels, to those with respect to the vectors without
/// their components' dropout; adds these to the embedding's gradient.
pub fn add_gradient(
    vectors: Vectors,
    tokens: &[u32],
    inputs_gradient: &mut [f32],
    width: usize,
    gradient: &mut [f32],
) {
    let size = vectors.size;
    if let Some(factors) = vectors.input_factors {
        multiply_panels(inputs_gradient, factors, size, width, tokens.len());
    }
    let sums = TokenSums {
        tokens,
        factors: vectors.token_factors,
        size,
    };
    sums.add(inputs_gradient, width, gradient);
}

/// Sums of rows by their tokens.
pub struct TokenSums<'a> {
    /// The token of each row.
    pub tokens: &'a [u32],
    /// Factor of the rows of each token, if there are any, `[vocab_size]`.
    pub factors: Option<&'a [f32]>,
    /// Number of values in a row.
    pub size: usize,
}

impl TokenSums<'_> {
    /// Adds values in panels to `sums`, `[vocab_size, size]`.
    pub fn add(&self, values: &[f32], width: usize, sums: &mut [f32]) {
        for (row, &token) in self.tokens.iter().enumerate() {
            let sums = &mut sums[token as usize * self.size..(token as usize + 1) * self.size];
            let factor = self.factors.map_or(1.0, |factors| factors[token as usize]);
            let panels = values.chunks_exact(self.tokens.len() * width);
            for (sums, panel) in sums.chunks_mut(width).zip(panels) {
                let values = &panel[row * width..(row + 1) * width];
                sums.iter_mut()
                    .zip(values)
                    .for_each(|(sum, value)| *sum += factor * value);
            }
        }
    }
}

/// Multiplies values in panels by the factors of their streams, `[streams, size]`.
fn multiply_panels(values: &mut [f32], factors: &[f32], size: usize, width: usize, rows: usize) {
    for (panel, values) in values.chunks_exact_mut(rows * width).enumerate() {
        let factors = factors.chunks_exact(size).cycle();
        for (values, factors) in values.chunks_exact_mut(width).zip(factors) {
            multiply(values, &factors[(panel * width).min(size)..]);
        }
    }
}

/// Multiplies values by factors, up to the end of the shorter of both.
pub fn multiply(values: &mut [f32], factors: &[f32]) {
    values
        .iter_mut()
        .zip(factors)
        .for_each(|(value, factor)| *value *= factor);
}

/*!
Layer normalisation of products (Ba et al. 2016): over all gates of a stream, with a gain for each sum.
*/

use crate::matrix::Matrix;

/// Added to a variance, as PyTorch does.
const EPSILON: f32 = 1e-5;

/// Gains of normalised products, in the order of the panels; zero where nothing stands.
pub(crate) struct Norms {
    /// Of the input's products.
    pub input: Vec<f32>,
    /// Of the hidden state's.
    pub recurrent: Vec<f32>,
}

impl Norms {
    /// From gains in PyTorch's order, for products in the order of these weights.
    pub fn new(weights: &Matrix, input: &[f32], recurrent: &[f32]) -> Self {
        let positions = 0..weights.panels() * weights.width();
        let arrange = |gains: &[f32]| {
            let gain = |position| weights.row(position).map_or(0.0, |row| gains[row]);
            positions.clone().map(gain).collect()
        };
        Norms {
            input: arrange(input),
            recurrent: arrange(recurrent),
        }
    }
}

/// Normalises `[rows, width]` products in panels, of which `outer` positions of a row count: the others are zero.
pub(crate) fn normalise(panels: &mut [&mut [f32]], gains: &[f32], outer: usize, rows: usize) {
    let width = gains.len() / panels.len();
    for row in 0..rows {
        let range = row * width..(row + 1) * width;
        let own = |panels: &[&mut [f32]], term: fn(f32) -> f32| -> f32 {
            let values = panels.iter().flat_map(|panel| &panel[range.clone()]);
            values.map(|&value| term(value)).sum()
        };
        let mean = own(panels, |value| value) / outer as f32;
        let square = own(panels, |value| value * value) / outer as f32;
        let factor = 1.0 / (square - mean * mean + EPSILON).sqrt();
        for (panel, gains) in panels.iter_mut().zip(gains.chunks_exact(width)) {
            for (value, gain) in panel[range.clone()].iter_mut().zip(gains) {
                *value = (*value - mean) * factor * gain;
            }
        }
    }
}

/// Normalises rows in PyTorch's order, `[rows, outer]`.
pub fn normalise_rows(values: &mut [f32], gains: &[f32]) {
    for row in values.chunks_exact_mut(gains.len()) {
        normalise(&mut [row], gains, gains.len(), 1);
    }
}

/*!
Products with weights, and a bias: a linear layer.
*/

use std::borrow::Cow;
use std::ops::Range;

use carousel_kernels::{Kernel, Layout, Matrix, Rows, ThreadPool};

/// A linear layer, packed for the CPU at hand.
pub struct Affine {
    weights: Matrix,
    /// `[panels · width]`.
    bias: Vec<f32>,
    /// Number of outputs.
    outputs: usize,
}

impl Affine {
    /// Packs weights, `[outputs, inputs]`, with a bias, `[outputs]`.
    ///
    /// # Panics
    /// If the weights do not fill the rows.
    pub fn pack(weights: &[f32], bias: Cow<[f32]>, kernel: Kernel, pool: &ThreadPool) -> Self {
        let outputs = bias.len();
        let weights = Matrix::pack(
            weights,
            weights.len() / outputs,
            Layout::Plain,
            kernel,
            pool,
        );
        let mut bias = bias.into_owned();
        bias.resize(weights.panels() * weights.width(), 0.0);
        Affine {
            weights,
            bias,
            outputs,
        }
    }

    /// The outputs for a range of rows of `x`, `[rows, outputs]`.
    pub fn outputs(&self, x: &Rows, rows: Range<usize>, pool: &ThreadPool) -> Vec<f32> {
        let count = rows.len();
        let panels = self.weights.sums(&self.bias, x, rows, pool);
        rows_of_panels(&panels, count, self.weights.width(), self.outputs)
    }
}

/// `[panels, rows, width]` as `[rows, outer]`.
pub(super) fn rows_of_panels(panels: &[f32], rows: usize, width: usize, outer: usize) -> Vec<f32> {
    let mut all = Vec::with_capacity(rows * outer);
    for row in 0..rows {
        for (index, panel) in panels.chunks_exact(rows * width).enumerate() {
            let own = width.min(outer - index * width);
            all.extend_from_slice(&panel[row * width..row * width + own]);
        }
    }
    all
}

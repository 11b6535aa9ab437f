/*!
Products with weights, and a bias: a linear layer.
*/

use std::borrow::Cow;
use std::ops::Range;

use carousel_kernels::{Kernel, Layout, Matrix, Rows, ThreadPool};

/// Number of outputs that are worth another thread.
const OUTPUTS_PER_THREAD: usize = 1 << 14;

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

    /// Gives `work` the outputs for each row of `x`, `[outputs]`, with an item of the row's own, on several threads. `panels` is
    /// a buffer, whose memory is kept for the next call.
    ///
    /// # Panics
    /// If there is not an item for each row.
    pub fn for_each_row<T: Send>(
        &self,
        x: &Rows,
        items: &mut [T],
        panels: &mut Vec<f32>,
        pool: &ThreadPool,
        work: impl Fn(usize, &mut [f32], &mut T) + Sync,
    ) {
        let (rows, width) = (x.len(), self.weights.width());
        assert_eq!(items.len(), rows, "an item for each row");
        panels.resize(self.bias.len() * rows, 0.0);
        self.weights.fill_sums(&self.bias, x, 0..rows, panels, pool);
        let threads = 1 + rows * self.outputs / OUTPUTS_PER_THREAD;
        pool.for_each(threads, items, |row, item| {
            let mut outputs = vec![0.0; self.outputs];
            let panels = panels.chunks_exact(rows * width);
            for (outputs, panel) in outputs.chunks_mut(width).zip(panels) {
                outputs.copy_from_slice(&panel[row * width..][..outputs.len()]);
            }
            work(row, &mut outputs, item);
        });
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

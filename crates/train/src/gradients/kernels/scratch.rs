/*!
Memory for intermediate values of one step.
*/

use std::ops::Range;

use carousel_kernels::{Columns, Kernel, Matrix, Rows, ThreadPool};

/// Reused memory: the factors of weight gradients, and gradients that are passed from layer to layer.
pub struct Scratch {
    /// The kernel of all products.
    pub kernel: Kernel,
    /// Columns of gradients of a layer's sums.
    pub gradients: Columns,
    /// Columns of a layer's inputs.
    pub inputs: Columns,
    spare: Vec<Vec<f32>>,
}

impl Scratch {
    /// Empty memory.
    pub fn new(kernel: Kernel) -> Self {
        Scratch {
            kernel,
            gradients: Columns::new(kernel),
            inputs: Columns::new(kernel),
            spare: Vec::new(),
        }
    }

    /// `x · weightsᵀ` for some rows of `x`, `[panels, rows, width]`, in memory that was put back before.
    pub fn products(
        &mut self,
        weights: &Matrix,
        x: &Rows,
        rows: Range<usize>,
        pool: &ThreadPool,
    ) -> Vec<f32> {
        let mut products = self.spare.pop().unwrap_or_default();
        let zeros = vec![0.0; weights.panels() * weights.width()];
        products.resize(zeros.len() * rows.len(), 0.0);
        weights.fill_sums(&zeros, x, rows, &mut products, pool);
        products
    }

    /// Keeps a buffer for later products.
    pub fn put_back(&mut self, buffer: Vec<f32>) {
        if self.spare.len() < 2 {
            self.spare.push(buffer);
        }
    }
}

/*!
A matrix of weights for training, packed for products with it and with its transpose.
*/

use crate::kernel::Kernel;
use crate::layout::Layout;
use crate::matrix::Matrix;
use crate::thread_pool::ThreadPool;

/// A matrix, packed for products with it and with its transpose.
pub struct PackedWeights {
    /// `x · Wᵀ`: from inputs to outputs.
    pub forward: Matrix,
    /// `g · W`: from gradients of outputs, in the order of the forward panels, to gradients of inputs.
    pub backward: Matrix,
}

impl PackedWeights {
    /// Zeros for `[outer, inner]` weights.
    ///
    /// # Panics
    /// If the outputs cannot be divided into the layout's gates.
    pub fn zeros(outer: usize, inner: usize, layout: Layout, kernel: Kernel) -> Self {
        let forward = Matrix::zeros(outer, inner, layout, kernel);
        let outputs = match layout {
            Layout::Plain => outer,
            Layout::Vectors | Layout::Panels(_) => forward.panels() * forward.width(),
        };
        PackedWeights {
            backward: Matrix::zeros(inner, outputs, Layout::Plain, kernel),
            forward,
        }
    }

    /// Changes the size of weights in the plain layout, which have to be filled again.
    pub fn resize(&mut self, outer: usize, inner: usize) {
        self.forward.resize(outer, inner);
        self.backward.resize(inner, outer);
    }

    /// Packs `weights`, row by row, as in PyTorch, multiplied by their `factors`, if any.
    ///
    /// # Panics
    /// If there are other than `outer · inner` weights or factors.
    pub fn fill(&mut self, weights: &[f32], factors: Option<&[f32]>, pool: &ThreadPool) {
        let inner = self.forward.inner();
        assert_eq!(weights.len(), self.forward.outer() * inner, "all weights");
        assert!(factors.is_none_or(|factors| factors.len() == weights.len()));
        let read = |first: usize, values: &mut [f32]| {
            let range = first..first + values.len();
            values.copy_from_slice(&weights[range.clone()]);
            if let Some(factors) = factors {
                for (value, factor) in values.iter_mut().zip(&factors[range]) {
                    *value *= factor;
                }
            }
        };
        self.forward
            .fill(|row, values| read(row * inner, values), pool);
        let forward = &self.forward;
        let read = |position: usize, column: usize, values: &mut [f32]| match forward.row(position)
        {
            Some(row) => read(row * inner + column, values),
            None => values.fill(0.0),
        };
        self.backward.fill_transposed(read, pool);
    }
}

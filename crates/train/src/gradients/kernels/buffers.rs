/*!
The memory of the gradients, which is reused at each step.
*/

use tch::{Device, Kind, Tensor};

use crate::gradients::batch::takes_part;
use crate::network::NamedTensors;
use crate::optimizer::{SparseRows, row_width};
use crate::slices::floats_mut;
use carousel::checkpoint::ModelConfig;
use carousel::text::Direction;
use carousel_kernels::ThreadPool;

/// Numbers that are worth another thread.
const CHUNK: usize = 1 << 15;

/// A gradient for each parameter.
pub struct GradientBuffers {
    tensors: NamedTensors,
    rows: SparseRows,
}

impl GradientBuffers {
    /// Gradients of zero.
    pub fn zeros(config: &ModelConfig) -> Self {
        let zeros = |(name, shape): (String, Vec<usize>)| {
            let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
            (name, Tensor::zeros(shape, (Kind::Float, Device::Cpu)))
        };
        GradientBuffers {
            tensors: config.tensors().into_iter().map(zeros).collect(),
            rows: SparseRows::new(),
        }
    }

    /// A parameter's gradient.
    pub fn get_mut(&mut self, name: &str) -> &mut [f32] {
        floats_mut(self.tensors.get_mut(name))
    }

    /// Copies of all gradients but one.
    pub fn copies_without(&self, left_out: &str) -> NamedTensors {
        self.tensors.only(|name| name != left_out).map(Tensor::copy)
    }

    /// Replaces some gradients by their mean with `earlier` copies of them.
    pub fn average_with(&mut self, earlier: &NamedTensors) {
        for (name, earlier) in earlier.iter() {
            let _ = self
                .tensors
                .get_mut(name)
                .g_add_(earlier)
                .g_mul_scalar_(0.5);
        }
    }

    /// Multiplies the rows of a sparse gradient that may be other than zero.
    ///
    /// # Panics
    /// If the gradient is not sparse.
    pub fn scale_rows(&mut self, name: &str, factor: f32) {
        let width = row_width(self.tensors.get(name));
        let gradient = floats_mut(self.tensors.get_mut(name));
        for &row in &self.rows[name] {
            let row = &mut gradient[row as usize * width..][..width];
            row.iter_mut().for_each(|value| *value *= factor);
        }
    }

    /// Sets a gradient to zero. With `rows`, only these may be written until it is cleared again.
    pub fn clear(&mut self, name: &str, rows: Option<&Vec<u32>>, pool: &ThreadPool) {
        let gradient = self.tensors.get_mut(name);
        let width = row_width(gradient);
        let gradient = floats_mut(gradient);
        match self.rows.remove(name) {
            Some(written) => {
                for row in written {
                    gradient[row as usize * width..][..width].fill(0.0);
                }
            }
            None => {
                let mut parts: Vec<_> = gradient.chunks_mut(CHUNK).collect();
                pool.for_each(pool.threads(), &mut parts, |_, part| part.fill(0.0));
            }
        }
        if let Some(rows) = rows {
            self.rows.insert(name.to_string(), rows.clone());
        }
    }

    /// The rows that may be other than zero.
    pub fn rows(&self) -> &SparseRows {
        &self.rows
    }

    /// The gradients of the parameters that take part in reading these directions.
    pub fn of(&self, config: &ModelConfig, directions: &[Direction]) -> NamedTensors {
        self.tensors
            .only(|name| takes_part(config, name, directions))
    }
}

/*!
Pooling of the last layer's outputs over whole texts, forward and backward.
*/

use std::ops::Range;

use carousel::checkpoint::architecture::POOLED;
use carousel_kernels::{Rows, ThreadPool};

/// The last output, and the mean and the maximum of all outputs, of texts that are read side by side.
pub struct Pooling {
    lengths: Vec<usize>,
    size: usize,
    texts: Vec<PooledText>,
}

/// One text's, a number for each unit.
#[derive(Clone)]
struct PooledText {
    last: Vec<f32>,
    sum: Vec<f32>,
    highest: Vec<f32>,
    /// The steps of the highest.
    at: Vec<u32>,
}

impl Pooling {
    /// Of texts of these lengths, before any output.
    pub fn new(lengths: Vec<usize>, size: usize) -> Self {
        let text = PooledText {
            last: vec![0.0; size],
            sum: vec![0.0; size],
            highest: vec![f32::NEG_INFINITY; size],
            at: vec![0; size],
        };
        Pooling {
            texts: vec![text; lengths.len()],
            lengths,
            size,
        }
    }

    /// Adds the outputs of some steps, which follow a row for each text: `[(steps + 1) · texts, size]`.
    pub fn add(&mut self, steps: Range<usize>, outputs: &Rows, pool: &ThreadPool) {
        let streams = self.lengths.len();
        let mut parts: Vec<_> = self.texts.iter_mut().zip(&self.lengths).collect();
        let size = self.size;
        pool.for_each(pool.threads(), &mut parts, |stream, (text, length)| {
            let mut hidden = vec![0.0; size];
            for step in steps.start..steps.end.min(**length) {
                outputs.get((step - steps.start + 1) * streams + stream, &mut hidden);
                text.add(step, &hidden);
                if step + 1 == **length {
                    text.last.copy_from_slice(&hidden);
                }
            }
        });
    }

    /// Last, mean and maximum of all texts, `[texts, POOLED · size]`.
    pub fn pooled(&self) -> Vec<f32> {
        let mut all = Vec::with_capacity(self.texts.len() * POOLED * self.size);
        for (text, &length) in self.texts.iter().zip(&self.lengths) {
            all.extend_from_slice(&text.last);
            all.extend(text.sum.iter().map(|sum| sum / length as f32));
            all.extend_from_slice(&text.highest);
        }
        all
    }

    /// From gradients with respect to [`Pooling::pooled`] to those with respect to the outputs of some steps: `[panels,
    /// steps · texts, width]`.
    pub fn backward(&self, steps: Range<usize>, gradients: &[f32], width: usize) -> Vec<f32> {
        let (streams, size) = (self.lengths.len(), self.size);
        let rows = steps.len() * streams;
        let mut outputs_gradient = vec![0.0f32; size.div_ceil(width) * rows * width];
        let texts = self.texts.iter().zip(&self.lengths);
        let gradients = gradients.chunks_exact(POOLED * size);
        for (stream, ((text, &length), gradients)) in texts.zip(gradients).enumerate() {
            let (last, rest) = gradients.split_at(size);
            let (mean, highest) = rest.split_at(size);
            let fraction = 1.0 / length as f32;
            let position = |step: usize, unit: usize| {
                let row = (step - steps.start) * streams + stream;
                (unit / width * rows + row) * width + unit % width
            };
            for step in steps.start..steps.end.min(length) {
                for unit in (0..size).step_by(width) {
                    let to = &mut outputs_gradient[position(step, unit)..];
                    let mean = &mean[unit..size.min(unit + width)];
                    to.iter_mut()
                        .zip(mean)
                        .for_each(|(to, mean)| *to = mean * fraction);
                }
            }
            for unit in 0..size {
                if steps.contains(&(text.at[unit] as usize)) {
                    outputs_gradient[position(text.at[unit] as usize, unit)] += highest[unit];
                }
                if steps.contains(&(length - 1)) {
                    outputs_gradient[position(length - 1, unit)] += last[unit];
                }
            }
        }
        outputs_gradient
    }
}

impl PooledText {
    fn add(&mut self, step: usize, hidden: &[f32]) {
        let units = self.sum.iter_mut().zip(&mut self.highest);
        for (((sum, highest), at), &hidden) in units.zip(&mut self.at).zip(hidden) {
            *sum += hidden;
            if hidden > *highest {
                (*highest, *at) = (hidden, step as u32);
            }
        }
    }
}

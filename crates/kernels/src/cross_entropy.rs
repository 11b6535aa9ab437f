/*!
The output layer with its loss, for training: some rows at a time, so that the logits of a large vocabulary are never all in
memory.
*/

use std::ops::Range;

use crate::elementwise::cross_entropy_gradient;
use crate::matrix::Matrix;
use crate::rows::Rows;
use crate::thread_pool::ThreadPool;

/// What rows are to predict.
#[derive(Clone, Copy, Debug)]
pub struct Targets<'a> {
    /// The output of each row.
    pub outputs: &'a [u32],
    /// The part of a target's probability that is spread over all outputs (label smoothing: Szegedy et al. 2016).
    pub smoothing: f32,
}

impl Targets<'_> {
    /// Changes the gradients of a row's logits, `scale` times those of its cross-entropy, to those of the smoothed loss.
    fn smooth(&self, row: usize, gradients: &mut [f32], scale: f32) {
        if self.smoothing == 0.0 {
            return;
        }
        let moved = scale * self.smoothing;
        let each = moved / gradients.len() as f32;
        gradients.iter_mut().for_each(|gradient| *gradient -= each);
        gradients[self.outputs[row] as usize] += moved;
    }
}

/// Sum of the cross-entropy of the targets in nats, without smoothing, and the gradient of the bias. The logits are `bias + x · weightsᵀ`, over a
/// range of rows of `x`. `gradients`, `[rows, outer]`, are replaced by those of the mean, with smoothing, with respect to the logits. `bias`
/// is in PyTorch's order, and the layout of the weights is plain.
///
/// # Panics
/// If sizes do not fit, or a target is no output.
pub fn cross_entropy(
    weights: &Matrix,
    bias: &[f32],
    (x, rows): (&Rows, Range<usize>),
    targets: Targets,
    gradients: &mut Rows,
    pool: &ThreadPool,
) -> (f64, Vec<f32>) {
    let (count, outer) = (rows.len(), bias.len());
    assert!(targets.outputs.len() == count && gradients.len() == count);
    let scale = 1.0 / count as f32;
    let rows_per_block = 2 * weights.kernel().rows_per_block();
    let blocks = gradients.blocks(0..count, rows_per_block);
    let mut parts: Vec<_> = blocks
        .into_iter()
        .map(|block| (block, 0.0f64, vec![0.0f32; outer]))
        .collect();
    pool.for_each(
        pool.threads(),
        &mut parts,
        |index, (block, nats, bias_gradient)| {
            let first = index * rows_per_block;
            let block_rows = rows.start + first..rows.start + first + block.len();
            let sums = block_logits(weights, bias, x, block_rows);
            let mut logits = vec![0.0; outer];
            for row in 0..block.len() {
                let panels = sums.chunks_exact(block.len() * weights.width());
                for (logits, panel) in logits.chunks_mut(weights.width()).zip(panels) {
                    logits.copy_from_slice(&panel[row * weights.width()..][..logits.len()]);
                }
                let target = targets.outputs[first + row] as usize;
                *nats += cross_entropy_gradient(&mut logits, target, scale);
                targets.smooth(first + row, &mut logits, scale);
                add(bias_gradient, &logits);
                block.set(row, &logits);
            }
        },
    );
    let mut bias_gradient = vec![0.0; outer];
    for (_, _, part) in &parts {
        add(&mut bias_gradient, part);
    }
    (parts.iter().map(|(_, nats, _)| nats).sum(), bias_gradient)
}

/// The logits of a range of rows, `[panels, rows, width]`.
fn block_logits(weights: &Matrix, bias: &[f32], x: &Rows, rows: Range<usize>) -> Vec<f32> {
    let width = weights.width();
    let mut sums = vec![0.0; weights.panels() * rows.len() * width];
    for (panel, sums) in sums.chunks_exact_mut(rows.len() * width).enumerate() {
        let bias = &bias[panel * width..bias.len().min((panel + 1) * width)];
        for sums in sums.chunks_exact_mut(width) {
            sums[..bias.len()].copy_from_slice(bias);
        }
        weights.add_product(panel, x, rows.clone(), sums);
    }
    sums
}

fn add(sums: &mut [f32], values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

/*!
The output layer with its loss, for training: some rows at a time, so that the logits of a large vocabulary never have to
be kept.
*/

use std::ops::Range;

use crate::elementwise::cross_entropy_gradient;
use crate::matrix::{Matrix, Rows};
use crate::thread_pool::ThreadPool;

/// Sums the cross-entropy of `targets` under the logits `bias + x · weightsᵀ`, over the given rows of `x`, in nats.
/// `gradients`, `[rows, outer]`, become those of the mean with respect to the logits; returned are the nats and the
/// gradient of the bias. `bias` is in PyTorch's order, and the weights are in the plain one.
///
/// # Panics
/// If sizes do not fit together, or a target is no output.
pub fn cross_entropy(
    weights: &Matrix,
    bias: &[f32],
    (x, rows): (&Rows, Range<usize>),
    targets: &[u32],
    gradients: &mut Rows,
    pool: &ThreadPool,
) -> (f64, Vec<f32>) {
    let (count, outer, width) = (rows.len(), bias.len(), weights.width());
    assert!(targets.len() == count && gradients.len() == count);
    let scale = 1.0 / count as f32;
    // Rows whose logits lie in memory at once.
    let together = 2 * weights.kernel().rows_together();
    let blocks = gradients.blocks(0..count, together);
    let mut parts: Vec<_> = blocks
        .into_iter()
        .map(|block| (block, 0.0f64, vec![0.0f32; outer]))
        .collect();
    pool.for_each(
        pool.threads(),
        &mut parts,
        |index, (block, nats, bias_gradient)| {
            let first = index * together;
            let mut sums = vec![0.0; weights.panels() * block.len() * width];
            for (panel, sums) in sums.chunks_exact_mut(block.len() * width).enumerate() {
                let outputs = panel * width..outer.min((panel + 1) * width);
                for sums in sums.chunks_exact_mut(width) {
                    sums[..outputs.len()].copy_from_slice(&bias[outputs.clone()]);
                }
                let rows = rows.start + first..rows.start + first + block.len();
                weights.add_product(panel, x, rows, sums);
            }
            let mut logits = vec![0.0; outer];
            for row in 0..block.len() {
                let panels = sums.chunks_exact(block.len() * width);
                for (logits, panel) in logits.chunks_mut(width).zip(panels) {
                    logits.copy_from_slice(&panel[row * width..][..logits.len()]);
                }
                *nats += cross_entropy_gradient(&mut logits, targets[first + row] as usize, scale);
                for (sum, gradient) in bias_gradient.iter_mut().zip(&logits) {
                    *sum += gradient;
                }
                block.set(row, &logits);
            }
        },
    );
    let mut bias_gradient = vec![0.0; outer];
    for (_, _, part) in &parts {
        for (sum, gradient) in bias_gradient.iter_mut().zip(part) {
            *sum += gradient;
        }
    }
    (parts.iter().map(|(_, nats, _)| nats).sum(), bias_gradient)
}

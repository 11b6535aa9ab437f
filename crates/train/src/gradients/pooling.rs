/*!
Pooling of outputs that are kept in rows, and its backward pass.
*/

use std::ops::Range;

use carousel::checkpoint::architecture::POOLED;
use carousel::inference::pooling::Pooling;
use carousel_kernels::{Rows, ThreadPool};

/// Adds the outputs of some steps to the texts' pooling. `outputs` has a row for each text before the first step, and one
/// for each step and text: `[(steps + 1) · texts, size]`. A text may end before the last step.
pub fn add_rows(
    pooling: &mut Pooling,
    lengths: &[usize],
    steps: Range<usize>,
    (outputs, rows): (&Rows, Range<usize>),
    pool: &ThreadPool,
) {
    let texts = lengths.len();
    let mut parts: Vec<_> = pooling.each_text().zip(lengths).collect();
    pool.for_each(pool.threads(), &mut parts, |text, (pooled, length)| {
        let mut output = vec![0.0; pooled.size()];
        for step in steps.start..steps.end.min(**length) {
            outputs.get(
                rows.start + (step - steps.start) * texts + text,
                &mut output,
            );
            pooled.add(&output);
        }
    });
}

/// From gradients with respect to the pooled outputs of whole texts, `[texts, POOLED · size]`, to those with respect to the
/// outputs of some steps: `[panels, steps · texts, width]`.
pub fn backward(
    pooling: &Pooling,
    texts: usize,
    steps: Range<usize>,
    gradients: &[f32],
    width: usize,
) -> Vec<f32> {
    let size = gradients.len() / (texts * POOLED);
    let rows = steps.len() * texts;
    let mut outputs_gradient = vec![0.0f32; size.div_ceil(width) * rows * width];
    for (text, gradients) in gradients.chunks_exact(POOLED * size).enumerate() {
        let (last, rest) = gradients.split_at(size);
        let (mean, highest) = rest.split_at(size);
        let length = pooling.length(text);
        let fraction = 1.0 / length as f32;
        let position = |step: usize, unit: usize| {
            let row = (step - steps.start) * texts + text;
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
            let at = pooling.step_of_highest(text, unit);
            if steps.contains(&at) {
                outputs_gradient[position(at, unit)] += highest[unit];
            }
            if steps.contains(&(length - 1)) {
                outputs_gradient[position(length - 1, unit)] += last[unit];
            }
        }
    }
    outputs_gradient
}

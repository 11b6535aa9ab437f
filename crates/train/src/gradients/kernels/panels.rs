/*!
Values between a tensor's rows and the kernels' panels of outputs, `[panels, rows, width]`.
*/

use tch::Tensor;

use crate::slices::floats;

/// Values, `[…, size]`, in panels; the last one is filled up with zeros.
pub fn of_rows(values: &Tensor, width: usize) -> Vec<f32> {
    let size = size_of(values);
    let values = values.contiguous();
    let values = floats(&values);
    let rows = values.len() / size;
    let mut panels = vec![0.0; size.div_ceil(width) * rows * width];
    for (index, panel) in panels.chunks_exact_mut(rows * width).enumerate() {
        let columns = index * width..size.min((index + 1) * width);
        for (into, values) in panel.chunks_exact_mut(width).zip(values.chunks_exact(size)) {
            into[..columns.len()].copy_from_slice(&values[columns.clone()]);
        }
    }
    panels
}

/// Values in panels as a tensor of this shape, `[…, size]`.
pub fn rows_of(panels: &[f32], like: &Tensor, width: usize) -> Tensor {
    let size = size_of(like);
    let rows = like.numel() / size;
    let mut values = vec![0.0; rows * size];
    for (index, panel) in panels.chunks_exact(rows * width).enumerate() {
        let columns = index * width..size.min((index + 1) * width);
        for (values, from) in values.chunks_exact_mut(size).zip(panel.chunks_exact(width)) {
            values[columns.clone()].copy_from_slice(&from[..columns.len()]);
        }
    }
    Tensor::from_slice(&values).view_as(like)
}

fn size_of(values: &Tensor) -> usize {
    *values.size().last().expect("rows have a width") as usize
}

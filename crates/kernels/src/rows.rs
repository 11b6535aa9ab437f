/*!
Rows of inputs, encoded for one kernel.
*/

use std::ops::Range;

use crate::kernel::{Kernel, Precision};
use crate::rounding::bfloat16_pair;
use crate::thread_pool::ThreadPool;

/// Number of encoded values that are worth another thread.
pub(crate) const VALUES_PER_THREAD: usize = 1 << 13;
/// Number of rows that are encoded through one buffer.
const ROWS_PER_BUFFER: usize = 8;

/// Rows of inputs, as a kernel's products take them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    kernel: Kernel,
    inner: usize,
    words_per_row: usize,
    words: Vec<u32>,
    /// For int8, the value of one step of each row's integers.
    scales: Vec<f32>,
}

impl Rows {
    /// Zeros, `[rows, inner]`.
    pub fn zeros(kernel: Kernel, rows: usize, inner: usize) -> Self {
        let words_per_row = kernel.words_per_row(inner);
        let zero = u32::from_le_bytes([kernel.input_offset(); 4]);
        Rows {
            kernel,
            inner,
            words_per_row,
            words: vec![zero; rows * words_per_row],
            scales: vec![0.0; rows],
        }
    }

    /// Zeros for the same products.
    pub(crate) fn like(&self, rows: usize) -> Self {
        Rows::zeros(self.kernel, rows, self.inner)
    }

    /// Encodes the given rows of `table`, `[_, inner]`.
    ///
    /// # Panics
    /// If the table has no such row.
    pub fn gather(
        kernel: Kernel,
        table: &[f32],
        inner: usize,
        rows: &[u32],
        pool: &ThreadPool,
    ) -> Self {
        let mut gathered = Rows::zeros(kernel, rows.len(), inner);
        let read = |row: usize, values: &mut [f32]| {
            let start = rows[row] as usize * inner;
            values.copy_from_slice(&table[start..start + inner]);
        };
        gathered.set_all(0..rows.len(), read, pool);
        gathered
    }

    /// Encodes `values` as row `row`.
    ///
    /// # Panics
    /// If their number is not the inner dimension, or there is no such row.
    pub fn set(&mut self, row: usize, values: &[f32]) {
        assert_eq!(values.len(), self.inner, "a whole row");
        self.blocks(row..row + 1, 1)[0].set(0, values);
    }

    /// Encodes a range of rows. `read` writes the values of one row, counted from the first of the range, into the buffer
    /// that it is given.
    pub fn set_all(
        &mut self,
        rows: Range<usize>,
        read: impl Fn(usize, &mut [f32]) + Sync,
        pool: &ThreadPool,
    ) {
        let inner = self.inner;
        let threads = 1 + rows.len() * inner / VALUES_PER_THREAD;
        let mut blocks = self.blocks(rows, ROWS_PER_BUFFER);
        pool.for_each(threads, &mut blocks, |block, rows| {
            let mut values = vec![0.0; inner];
            for row in 0..rows.len() {
                read(block * ROWS_PER_BUFFER + row, &mut values);
                rows.set(row, &values);
            }
        });
    }

    /// Encodes a range of rows from panels of values, `[panels, rows, width]`.
    pub fn set_panels(
        &mut self,
        rows: Range<usize>,
        panels: &[f32],
        width: usize,
        pool: &ThreadPool,
    ) {
        let size = rows.len() * width;
        let read = |row: usize, values: &mut [f32]| {
            let panels = panels.chunks_exact(size);
            for (out, panel) in values.chunks_mut(width).zip(panels) {
                out.copy_from_slice(&panel[row * width..][..out.len()]);
            }
        };
        self.set_all(rows, read, pool);
    }

    /// A range of rows in blocks, which can be encoded in parallel.
    pub(crate) fn blocks(
        &mut self,
        rows: Range<usize>,
        rows_per_block: usize,
    ) -> Vec<RowsBlock<'_>> {
        let (kernel, words_per_row) = (self.kernel, self.words_per_row);
        let words = &mut self.words[rows.start * words_per_row..rows.end * words_per_row];
        let words = words.chunks_mut(rows_per_block * words_per_row);
        let scales = self.scales[rows].chunks_mut(rows_per_block);
        let block = |(words, scales)| RowsBlock {
            kernel,
            words_per_row,
            words,
            scales,
        };
        words.zip(scales).map(block).collect()
    }

    /// Decodes a row; in int8 its values are rounded to steps of a 127th of the largest.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn get(&self, row: usize, values: &mut [f32]) {
        let words = self.words(row..row + 1);
        match self.kernel.precision() {
            Precision::Float32 => {
                for (value, word) in values.iter_mut().zip(words) {
                    *value = f32::from_bits(*word);
                }
            }
            Precision::Bfloat16 => {
                for (values, word) in values.chunks_mut(2).zip(words) {
                    let (low, high) = bfloat16_pair(*word);
                    for (value, number) in values.iter_mut().zip([low, high]) {
                        *value = number;
                    }
                }
            }
            Precision::Int8 => {
                let (scale, offset) = (self.scales[row], self.kernel.input_offset());
                for (values, word) in values.chunks_mut(4).zip(words) {
                    for (value, byte) in values.iter_mut().zip(word.to_le_bytes()) {
                        *value = f32::from(byte.wrapping_sub(offset) as i8) * scale;
                    }
                }
            }
        }
    }

    /// A range of these rows, each multiplied by a row of `factors`, `[_, inner]`, which are repeated in turn.
    ///
    /// # Panics
    /// In int8.
    pub fn times(&self, rows: Range<usize>, factors: &[f32], pool: &ThreadPool) -> Rows {
        let mut product = self.like(rows.len());
        let inner = self.inner;
        let count = factors.len() / inner;
        let read = |row: usize, values: &mut [f32]| {
            self.get(rows.start + row, values);
            let factors = &factors[row % count * inner..(row % count + 1) * inner];
            for (value, factor) in values.iter_mut().zip(factors) {
                *value *= factor;
            }
        };
        product.set_all(0..rows.len(), read, pool);
        product
    }

    /// Copies row `from` of `other` to row `row`.
    ///
    /// # Panics
    /// If `other` was encoded for another kernel or inner dimension, or there is no such row.
    pub fn copy(&mut self, row: usize, other: &Rows, from: usize) {
        assert!(self.kernel == other.kernel && self.inner == other.inner);
        let words = self.words_per_row;
        self.words[row * words..(row + 1) * words].copy_from_slice(other.words(from..from + 1));
        self.scales[row] = other.scales[from];
    }

    /// Puts the rows of another after these.
    ///
    /// # Panics
    /// If `other` was encoded for another kernel or inner dimension.
    pub fn append(&mut self, other: &Rows) {
        assert!(self.kernel == other.kernel && self.inner == other.inner);
        self.words.extend_from_slice(&other.words);
        self.scales.extend_from_slice(&other.scales);
    }

    /// Number of values in a row.
    pub fn inner(&self) -> usize {
        self.inner
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Memory that they take, in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.words[..]) + size_of_val(&self.scales[..])
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.scales.is_empty()
    }

    /// The kernel that the rows are encoded for.
    pub(crate) fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The words of a range of rows, `[rows, words_per_row]`.
    pub(crate) fn words(&self, rows: Range<usize>) -> &[u32] {
        &self.words[rows.start * self.words_per_row..rows.end * self.words_per_row]
    }

    /// The scales of a range of rows.
    pub(crate) fn scales(&self, rows: Range<usize>) -> &[f32] {
        &self.scales[rows]
    }
}

/// Neighbouring rows, borrowed to be encoded.
pub(crate) struct RowsBlock<'a> {
    kernel: Kernel,
    words_per_row: usize,
    words: &'a mut [u32],
    scales: &'a mut [f32],
}

impl RowsBlock<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Encodes a row.
    pub fn set(&mut self, row: usize, values: &[f32]) {
        let words = &mut self.words[row * self.words_per_row..(row + 1) * self.words_per_row];
        self.scales[row] = self.kernel.encode_inputs(values, words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twins::numbers;

    #[test]
    fn rows_are_decoded_as_they_were_encoded() {
        // A value may be off by half of a step: of float32 none, of bfloat16 2⁻⁹ of it, of int8 a 254th of the largest.
        for (precision, step) in [
            (Precision::Float32, 0.0),
            (Precision::Bfloat16, 2.0 / 512.0),
            (Precision::Int8, 2.0 / 254.0),
        ] {
            let kernel = Kernel::fastest(precision);
            for inner in [1, 5, 64, 130] {
                let values = numbers(3 * inner, 7);
                let mut rows = Rows::zeros(kernel, 3, inner);
                for (row, values) in values.chunks_exact(inner).enumerate() {
                    rows.set(row, values);
                }
                for (row, values) in values.chunks_exact(inner).enumerate() {
                    let mut found = vec![0.0; inner];
                    rows.get(row, &mut found);
                    let largest = values
                        .iter()
                        .fold(0.0f32, |most, value| most.max(value.abs()));
                    for (found, value) in found.iter().zip(values) {
                        let off = (found - value).abs();
                        assert!(off <= step * largest, "{precision:?}: {found} {value}");
                    }
                }
            }
        }
    }
}

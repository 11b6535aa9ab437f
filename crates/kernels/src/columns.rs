/*!
Columns of rows, for products over the rows: `gᵀ · x`, the gradient of weights.
*/

use std::ops::Range;

use crate::block::Block;
use crate::kernel::{Kernel, Precision};
use crate::layout::MAX_WIDTH;
use crate::products::{MULTIPLICATIONS_PER_THREAD, left_factor, multiply_columns};
use crate::rounding::encode_bfloat16_pairs;
use crate::rows::{Rows, VALUES_PER_THREAD};
use crate::thread_pool::ThreadPool;

/// Number of words of a column that are multiplied before the next: those of two panels stay in a core's cache.
const WORDS_PER_BLOCK: usize = 1024;

/// The columns of some rows, encoded as either factor of a product over the rows.
pub struct Columns {
    kernel: Kernel,
    columns: usize,
    words_per_column: usize,
    /// `[panels, words_per_column, width]` words.
    words: Vec<u32>,
}

impl Columns {
    /// No columns, to be encoded for `kernel`.
    pub fn new(kernel: Kernel) -> Self {
        Columns {
            kernel,
            columns: 0,
            words_per_column: 0,
            words: Vec::new(),
        }
    }

    /// Replaces the columns by those of a range of encoded rows.
    ///
    /// # Panics
    /// If the rows were encoded for another kernel, or in int8.
    pub fn set_rows(&mut self, rows: &Rows, range: Range<usize>, pool: &ThreadPool) {
        assert_eq!(rows.kernel(), self.kernel, "rows of the same kernel");
        let (precision, values_per_word) = (self.kernel.precision(), self.kernel.values_per_word());
        self.fill(rows.inner(), range.len(), pool, |target, out| {
            let row = |index: usize| {
                let row = range.start + index;
                &rows.words(row..row + 1)[target.first_column / values_per_word..]
            };
            match precision {
                Precision::Float32 => {
                    for (out, word) in out.iter_mut().zip(row(target.first_row)) {
                        *out = *word;
                    }
                }
                Precision::Bfloat16 => {
                    let zeros = [0; MAX_WIDTH];
                    let second = match target.is_whole {
                        true => row(target.first_row + 1),
                        false => &zeros,
                    };
                    // Each word holds two columns of one row, and becomes one column of two rows.
                    let (pairs, _) = out.as_chunks_mut::<2>();
                    let words = row(target.first_row).iter().zip(second);
                    for (out, (first, second)) in pairs.iter_mut().zip(words) {
                        out[0] = first & 0xFFFF | second << 16;
                        out[1] = first >> 16 | second & 0xFFFF_0000;
                    }
                }
                Precision::Int8 => panic!("training does not use int8"),
            }
        });
    }

    /// Replaces the columns by those of values in panels, `[rows, width]` each.
    ///
    /// # Panics
    /// In int8.
    pub fn set_panels(&mut self, panels: &[&[f32]], rows: usize, pool: &ThreadPool) {
        let (precision, width) = (self.kernel.precision(), self.kernel.width());
        self.fill(panels.len() * width, rows, pool, |target, out| {
            let panel = panels[target.first_column / width];
            let row = |index: usize| &panel[index * width..][..width];
            match precision {
                Precision::Float32 => {
                    for (out, value) in out.iter_mut().zip(row(target.first_row)) {
                        *out = value.to_bits();
                    }
                }
                Precision::Bfloat16 => {
                    let zeros = [0.0; MAX_WIDTH];
                    let second = match target.is_whole {
                        true => row(target.first_row + 1),
                        false => &zeros[..width],
                    };
                    encode_bfloat16_pairs(row(target.first_row), second, out);
                }
                Precision::Int8 => panic!("training does not use int8"),
            }
        });
    }

    /// Fills the words of all panels, `width` at a time.
    fn fill(
        &mut self,
        columns: usize,
        rows: usize,
        pool: &ThreadPool,
        write: impl Fn(Target, &mut [u32]) + Sync,
    ) {
        let (width, values_per_word) = (self.kernel.width(), self.kernel.values_per_word());
        (self.columns, self.words_per_column) = (columns, self.kernel.words_per_row(rows));
        let panels = columns.div_ceil(width);
        let length = self.words_per_column * width;
        // Positions beyond the columns keep what they held: they are multiplied too, but their products are not used.
        self.words.resize(panels * length, 0);
        let mut parts: Vec<&mut [u32]> = self.words.chunks_exact_mut(length.max(1)).collect();
        let threads = 1 + panels * length / VALUES_PER_THREAD;
        pool.for_each(threads, &mut parts, |panel, words| {
            let (words, padding) = words.split_at_mut(rows.div_ceil(values_per_word) * width);
            for (word, out) in words.chunks_exact_mut(width).enumerate() {
                let target = Target {
                    first_column: panel * width,
                    first_row: word * values_per_word,
                    is_whole: (word + 1) * values_per_word <= rows,
                };
                write(target, out);
            }
            padding.fill(0);
        });
    }

    /// Writes the product of each of these columns with each of `x`'s, summed over all rows, to `products`,
    /// `[outputs, x.columns]`. `output` maps the positions of these columns in the panels to the rows of the result.
    ///
    /// # Panics
    /// If the columns are not of as many rows, or in int8.
    pub fn products(
        &self,
        x: &Columns,
        output: impl Fn(usize) -> Option<usize>,
        products: &mut [f32],
        pool: &ThreadPool,
    ) {
        assert!(
            self.kernel == x.kernel && self.words_per_column == x.words_per_column,
            "columns of the same rows"
        );
        let width = self.kernel.width();
        let (panels, x_panels) = (self.columns.div_ceil(width), x.columns.div_ceil(width));
        let mut rows: Vec<_> = products.chunks_exact_mut(x.columns).map(Some).collect();
        let mut take = |position| rows[output(position)?].take();
        let mut parts: Vec<Vec<Option<&mut [f32]>>> = (0..panels)
            .map(|panel| (0..width).map(|at| take(panel * width + at)).collect())
            .collect();
        let multiplications = panels * x_panels * width * width * self.words_per_column;
        let threads = 1 + multiplications / MULTIPLICATIONS_PER_THREAD;
        pool.for_each(threads, &mut parts, |panel, rows| {
            let sums = self.panel_products(panel, x);
            for (at, row) in rows.iter_mut().enumerate() {
                let Some(row) = row else { continue };
                for (x_panel, out) in row.chunks_mut(width).enumerate() {
                    let start = (x_panel * width + at) * width;
                    out.copy_from_slice(&sums[start..start + out.len()]);
                }
            }
        });
    }

    /// The products of a panel with all of `x`'s: `[x's panels, width, width]`.
    fn panel_products(&self, panel: usize, x: &Columns) -> Vec<f32> {
        let width = self.kernel.width();
        let mut sums = vec![0.0f32; x.columns.div_ceil(width) * width * width];
        let mut transposed = Vec::new();
        for first in (0..self.words_per_column).step_by(WORDS_PER_BLOCK) {
            let range = first..self.words_per_column.min(first + WORDS_PER_BLOCK);
            let words = self.panel_words(panel, range.clone());
            let left = left_factor(self.kernel, words, &mut transposed);
            for (x_panel, sums) in sums.chunks_exact_mut(width * width).enumerate() {
                self.add_block(left, x.panel_words(x_panel, range.clone()), sums);
            }
        }
        sums
    }

    /// A range of a panel's words, `[words, width]`.
    fn panel_words(&self, panel: usize, range: Range<usize>) -> &[u32] {
        let width = self.kernel.width();
        let start = (panel * self.words_per_column + range.start) * width;
        &self.words[start..start + range.len() * width]
    }

    /// Adds the products of the left columns, as [`left_factor`] returned them, with those of a panel's words to `out`,
    /// `[width, width]`.
    fn add_block(&self, (left, left_row): (&[u32], usize), right: &[u32], out: &mut [f32]) {
        let width = self.kernel.width();
        assert_eq!(left.len(), right.len(), "words of the same rows");
        assert_eq!(out.len(), width * width, "a block");
        let (scales, corrections) = ([0.0; MAX_WIDTH], [0; MAX_WIDTH]);
        let block = Block {
            weights: right.as_ptr(),
            words: right.len() / width,
            x: left.as_ptr(),
            x_row: left_row,
            rows: width,
            x_scales: scales.as_ptr(),
            out: out.as_mut_ptr(),
            scales: scales.as_ptr(),
            corrections: corrections.as_ptr(),
        };
        // SAFETY: both factors have as many words of `width`, `out` and the scales their sizes, as was checked above.
        unsafe { multiply_columns(self.kernel, block) }
    }
}

/// What the words at one row of a panel stand for.
struct Target {
    first_column: usize,
    first_row: usize,
    /// Whether each word has values of as many rows as it can hold.
    is_whole: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twins::{column, numbers, rounded};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn products_of_columns_agree_with_the_float64_twin(
            rows in 1usize..40, left in 1usize..80, right in 1usize..80, seed in 0u64..1000,
        ) {
            let (g, x) = (numbers(rows * left, seed), numbers(rows * right, seed + 1));
            for precision in [Precision::Float32, Precision::Bfloat16] {
                for kernel in Kernel::all(precision) {
                    let pool = ThreadPool::new(2);
                    let columns = |values: &[f32], inner: usize| {
                        let mut encoded = Rows::zeros(kernel, rows + 1, inner);
                        let read = |row: usize, into: &mut [f32]| {
                            into.copy_from_slice(&values[row * inner..(row + 1) * inner]);
                        };
                        encoded.set_all(1..rows + 1, read, &pool);
                        let mut columns = Columns::new(kernel);
                        columns.set_rows(&encoded, 1..rows + 1, &pool);
                        columns
                    };
                    let width = kernel.width();
                    let mut panels = vec![0.0; left.div_ceil(width) * rows * width];
                    for (i, value) in g.iter().enumerate() {
                        let (row, at) = (i / left, i % left);
                        panels[(at / width * rows + row) * width + at % width] = *value;
                    }
                    let mut from_panels = Columns::new(kernel);
                    let panels: Vec<&[f32]> = panels.chunks_exact(rows * width).collect();
                    from_panels.set_panels(&panels, rows, &pool);
                    let row = |position: usize| (position < left).then_some(position);
                    let x_columns = columns(&x, right);
                    let products = |g: &Columns| {
                        let mut products = vec![f32::NAN; left * right];
                        g.products(&x_columns, row, &mut products, &pool);
                        products
                    };
                    let found = products(&columns(&g, left));
                    prop_assert_eq!(&found, &products(&from_panels));
                    for (i, found) in found.iter().enumerate() {
                        let a = rounded(&column(&g, left, i / right), precision);
                        let b = rounded(&column(&x, right, i % right), precision);
                        let expected: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                        prop_assert!((f64::from(*found) - expected).abs() < 1e-4, "{kernel:?} {found} {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn columns_are_replaced_and_multiplied_block_by_block() {
        let pool = ThreadPool::new(2);
        for kernel in [Precision::Float32, Precision::Bfloat16]
            .into_iter()
            .flat_map(Kernel::all)
        {
            let (mut g, mut x) = (Columns::new(kernel), Columns::new(kernel));
            // More rows than a block has, and then fewer rows, of other numbers of columns, in the same memory.
            for (rows, [a, b]) in [
                (2 * WORDS_PER_BLOCK + 50, [5, 7]),
                (60, [70, 7]),
                (36, [5, 130]),
                (41, [7, 5]),
            ] {
                let (left, right) = (numbers(rows * a, 1), numbers(rows * b, 2));
                let encoded = |values: &[f32], inner: usize| {
                    let mut encoded = Rows::zeros(kernel, rows, inner);
                    let read = |row: usize, into: &mut [f32]| {
                        into.copy_from_slice(&values[row * inner..(row + 1) * inner]);
                    };
                    encoded.set_all(0..rows, read, &pool);
                    encoded
                };
                g.set_rows(&encoded(&left, a), 0..rows, &pool);
                x.set_rows(&encoded(&right, b), 0..rows, &pool);
                let mut found = vec![f32::NAN; a * b];
                g.products(
                    &x,
                    |position| (position < a).then_some(position),
                    &mut found,
                    &pool,
                );
                for (i, found) in found.into_iter().enumerate() {
                    let column = |values: &[f32], width: usize, at: usize| {
                        rounded(&column(values, width, at), kernel.precision())
                    };
                    let pairs = column(&left, a, i / b)
                        .into_iter()
                        .zip(column(&right, b, i % b));
                    let expected: f64 = pairs.map(|(a, b)| a * b).sum();
                    let off = (f64::from(found) - expected).abs();
                    assert!(off < 2e-3, "{kernel:?} {rows}: {found} {expected}");
                }
            }
        }
    }
}

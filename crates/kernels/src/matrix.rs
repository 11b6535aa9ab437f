/*!
Products with weights that are packed once and used many times, in float32, bfloat16 or int8.

The outputs are divided into panels of four vectors, which [`Block`] reads from front to back. Several rows of inputs share
one reading. With AMX, tiles of words take the place of single words.
*/

use std::ops::Range;

use memmap2::MmapMut;

use crate::block::Block;
use crate::kernel::{Kernel, Precision};
use crate::layout::{Layout, MAX_WIDTH};
use crate::products::{MULTIPLICATIONS_PER_THREAD, multiply_rows};
use crate::rounding::encode_bfloat16_pairs;
use crate::rows::Rows;
use crate::thread_pool::ThreadPool;

/// Number of packed words that are worth another thread.
const WORDS_PER_THREAD: usize = 1 << 15;
/// Number of words of a row that are packed together.
const WORDS_PER_BLOCK: usize = 16;

/// Weights `[outer, inner]`, packed for one kernel.
pub struct Matrix {
    kernel: Kernel,
    layout: Layout,
    outer: usize,
    inner: usize,
    words_per_row: usize,
    panels: usize,
    /// For each position in the panels, the row of weights whose output stands there, if any.
    rows: Vec<Option<usize>>,
    /// `[panels, words_per_row, width]` words.
    words: Words,
    /// For int8, of each position: the value of one step of its sum, and what the offset of the inputs adds to it.
    scales: Vec<f32>,
    corrections: Vec<i32>,
}

impl Matrix {
    /// Packs `weights`, `[outer, inner]` row by row, as in PyTorch.
    ///
    /// # Panics
    /// If the weights do not fill their rows, or the rows cannot be divided into the layout's gates.
    pub fn pack(
        weights: &[f32],
        inner: usize,
        layout: Layout,
        kernel: Kernel,
        pool: &ThreadPool,
    ) -> Self {
        let mut matrix = Matrix::zeros(weights.len() / inner, inner, layout, kernel);
        assert_eq!(weights.len(), matrix.outer * inner, "whole rows of weights");
        let read = |row: usize, values: &mut [f32]| {
            values.copy_from_slice(&weights[row * inner..(row + 1) * inner]);
        };
        matrix.fill(read, pool);
        matrix
    }

    /// Zeros.
    ///
    /// # Panics
    /// If the outputs cannot be divided into the layout's gates.
    pub fn zeros(outer: usize, inner: usize, layout: Layout, kernel: Kernel) -> Self {
        let mut matrix = Matrix {
            kernel,
            layout,
            outer,
            inner,
            words_per_row: 0,
            panels: 0,
            rows: Vec::new(),
            words: Words::zeros(0),
            scales: Vec::new(),
            corrections: Vec::new(),
        };
        matrix.resize(outer, inner);
        matrix
    }

    /// Changes the size. The weights are unspecified until they are filled again. Memory is kept, and allocated only for a
    /// larger size.
    ///
    /// # Panics
    /// As [`Matrix::zeros`].
    pub fn resize(&mut self, outer: usize, inner: usize) {
        let (width, lanes) = (self.kernel.width(), self.kernel.lanes());
        self.panels = self.layout.panels(outer, lanes);
        self.rows = self.layout.outputs(outer, lanes);
        (self.outer, self.inner) = (outer, inner);
        self.words_per_row = self.kernel.words_per_row(inner);
        let count = self.panels * self.words_per_row * width;
        if count > self.words.get().len() {
            self.words = Words::zeros(count);
        }
        self.scales.resize(self.panels * width, 0.0);
        self.corrections.resize(self.panels * width, 0);
    }

    /// Packs weights again. `read` writes a row of them, in PyTorch's order, into the buffer that it is given.
    pub fn fill(&mut self, read: impl Fn(usize, &mut [f32]) + Sync, pool: &ThreadPool) {
        let (kernel, inner, width) = (self.kernel, self.inner, self.width());
        let (rows, words_per_row) = (&self.rows, self.words_per_row);
        let threads = 1 + self.panels * width * words_per_row / WORDS_PER_THREAD;
        let panels = self.words.get_mut().chunks_exact_mut(words_per_row * width);
        let scales = self.scales.chunks_exact_mut(width);
        let scales = scales.zip(self.corrections.chunks_exact_mut(width));
        let mut panels: Vec<_> = panels.zip(scales).collect();
        pool.for_each(
            threads,
            &mut panels,
            |panel, (words, (scales, corrections))| {
                let (mut values, mut encoded) = (vec![0.0; inner], vec![0; width * words_per_row]);
                for (at, row_words) in encoded.chunks_exact_mut(words_per_row).enumerate() {
                    let Some(row) = rows[panel * width + at] else {
                        continue;
                    };
                    read(row, &mut values);
                    scales[at] = kernel.encode_weights(&values, row_words);
                    corrections[at] = correction(kernel, row_words);
                }
                interleave(&encoded, words_per_row, words, width);
            },
        );
    }

    /// Packs weights again, for training. `read` writes the weights of one input, from a given output on, for as many outputs
    /// as its buffer holds: a part of a row of the transpose.
    ///
    /// # Panics
    /// In int8, or where the layout is not plain.
    pub(crate) fn fill_transposed(
        &mut self,
        read: impl Fn(usize, usize, &mut [f32]) + Sync,
        pool: &ThreadPool,
    ) {
        assert!(self.layout == Layout::Plain, "outputs in their own order");
        let (kernel, inner, outer, width) = (self.kernel, self.inner, self.outer, self.width());
        let words_per_row = self.words_per_row;
        let threads = 1 + self.panels * width * words_per_row / WORDS_PER_THREAD;
        let panels = self.words.get_mut().chunks_exact_mut(words_per_row * width);
        let mut panels: Vec<_> = panels.take(self.panels).collect();
        pool.for_each(threads, &mut panels, |panel, words| {
            let first = panel * width;
            let count = width.min(outer - first);
            let (mut low, mut high) = ([0.0; MAX_WIDTH], [0.0; MAX_WIDTH]);
            let (low, high) = (&mut low[..width], &mut high[..width]);
            let (words, padding) =
                words.split_at_mut(inner.div_ceil(kernel.values_per_word()) * width);
            padding.fill(0);
            for (word, out) in words.chunks_exact_mut(width).enumerate() {
                match kernel.precision() {
                    Precision::Float32 => {
                        read(word, first, &mut low[..count]);
                        for (out, value) in out.iter_mut().zip(&*low) {
                            *out = value.to_bits();
                        }
                    }
                    Precision::Bfloat16 => {
                        read(2 * word, first, &mut low[..count]);
                        match 2 * word + 1 < inner {
                            true => read(2 * word + 1, first, &mut high[..count]),
                            false => high.fill(0.0),
                        }
                        encode_bfloat16_pairs(low, high, out);
                    }
                    Precision::Int8 => panic!("training does not use int8"),
                }
            }
        });
    }

    /// The row of weights, in PyTorch's order, whose output stands at a position in the panels, if any.
    pub fn row(&self, position: usize) -> Option<usize> {
        self.rows.get(position).copied().flatten()
    }

    /// Number of words in a row of weights or inputs.
    pub(crate) fn words_per_row(&self) -> usize {
        self.words_per_row
    }

    /// Number of inputs.
    pub(crate) fn inner(&self) -> usize {
        self.inner
    }

    /// Number of outputs.
    pub(crate) fn outer(&self) -> usize {
        self.outer
    }

    /// Number of panels.
    pub fn panels(&self) -> usize {
        self.panels
    }

    /// Number of positions in a panel.
    pub fn width(&self) -> usize {
        self.kernel.width()
    }

    /// The kernel that the weights are packed for.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// `bias + x · weightsᵀ` for a range of rows of `x`: `[panels, rows, width]`. The bias is in the order of the panels.
    ///
    /// # Panics
    /// As [`Matrix::add_product`].
    pub fn sums(&self, bias: &[f32], x: &Rows, rows: Range<usize>, pool: &ThreadPool) -> Vec<f32> {
        let mut sums = vec![0.0; bias.len() * rows.len()];
        self.fill_sums(bias, x, rows, &mut sums, pool);
        sums
    }

    /// As [`Matrix::sums`], written to `out`.
    ///
    /// # Panics
    /// As [`Matrix::add_product`].
    pub fn fill_sums(
        &self,
        bias: &[f32],
        x: &Rows,
        rows: Range<usize>,
        out: &mut [f32],
        pool: &ThreadPool,
    ) {
        let width = self.width();
        assert_eq!(bias.len(), self.panels * width, "a bias for each position");
        let size = rows.len() * width;
        assert_eq!(out.len(), self.panels * size, "sizes of a product");
        let out = out.chunks_exact_mut(size).zip(bias.chunks_exact(width));
        let out = out.map(|(out, bias)| (out, Some(bias))).collect();
        self.add_to_panels((x, rows), out, pool);
    }

    /// Adds the products of a range of rows of `x` to `out`, `[panels, rows, width]`.
    ///
    /// # Panics
    /// As [`Matrix::add_product`].
    pub fn add_products(&self, x: &Rows, rows: Range<usize>, out: &mut [f32], pool: &ThreadPool) {
        let size = rows.len() * self.width();
        assert_eq!(out.len(), self.panels * size, "sizes of a product");
        let out = out.chunks_exact_mut(size).map(|out| (out, None)).collect();
        self.add_to_panels((x, rows), out, pool);
    }

    /// Adds products to a place for each panel, `[rows, width]`, which is first filled with a bias for each position, `[width]`,
    /// if it is given one.
    ///
    /// # Panics
    /// As [`Matrix::add_product`].
    pub(crate) fn add_to_panels(
        &self,
        (x, rows): (&Rows, Range<usize>),
        out: Vec<(&mut [f32], Option<&[f32]>)>,
        pool: &ThreadPool,
    ) {
        let width = self.width();
        let multiplications = rows.len() * self.panels * width * self.words_per_row;
        let threads = 1 + multiplications / MULTIPLICATIONS_PER_THREAD;
        assert_eq!(out.len(), self.panels, "a place for each panel");
        let threads_at_work = threads.min(pool.threads());
        let rows_per_part = self.rows_per_part(rows.len(), self.panels, threads_at_work);
        let mut parts = Vec::new();
        for (panel, (out, bias)) in out.into_iter().enumerate() {
            for (part, out) in out.chunks_mut(rows_per_part * width).enumerate() {
                let first = rows.start + part * rows_per_part;
                parts.push((panel, first..first + out.len() / width, out, bias));
            }
        }
        pool.for_each(threads, &mut parts, |_, (panel, rows, out, bias)| {
            if let Some(bias) = bias {
                for out in out.chunks_exact_mut(width) {
                    out.copy_from_slice(bias);
                }
            }
            self.add_product(*panel, x, rows.clone(), out);
        });
    }

    /// Number of rows that a thread multiplies with one of `parts` parts: few parts are divided between rows, so that every
    /// thread has something to do.
    pub(crate) fn rows_per_part(&self, rows: usize, parts: usize, threads: usize) -> usize {
        match parts < 4 * threads {
            true => (rows.div_ceil(2)).next_multiple_of(self.kernel.rows_per_group()),
            false => rows.max(1),
        }
    }

    /// Adds the products of a range of rows of `x` with one panel to `out`, `[rows, width]`. The result of a row does not
    /// depend on the rows beside it.
    ///
    /// # Panics
    /// If the rows were encoded for another kernel or inner dimension, or do not fill `out`.
    pub fn add_product(&self, panel: usize, x: &Rows, rows: Range<usize>, out: &mut [f32]) {
        let width = self.width();
        assert!(
            x.kernel() == self.kernel && x.inner() == self.inner,
            "inputs encoded for these weights"
        );
        assert!(panel < self.panels && rows.start <= rows.end && rows.end <= x.len());
        assert_eq!(out.len(), rows.len() * width, "sizes of a product");
        let positions = panel * width..(panel + 1) * width;
        let first = panel * self.words_per_row * width;
        let block = Block {
            weights: self.words.get()[first..].as_ptr(),
            words: self.words_per_row,
            x: x.words(rows.clone()).as_ptr(),
            x_row: self.words_per_row,
            rows: rows.len(),
            x_scales: x.scales(rows).as_ptr(),
            out: out.as_mut_ptr(),
            scales: self.scales[positions.clone()].as_ptr(),
            corrections: self.corrections[positions].as_ptr(),
        };
        // SAFETY: the slices were allocated in the sizes of this kernel, and `x`, `rows` and `out` were checked above.
        unsafe { multiply_rows(self.kernel, block) }
    }
}

/// What has to be added to the sums of a row of weights, because the bytes of the inputs have an offset.
fn correction(kernel: Kernel, row_words: &[u32]) -> i32 {
    let offset = i32::from(kernel.input_offset());
    if offset == 0 {
        return 0;
    }
    let bytes = row_words.iter().flat_map(|word| word.to_le_bytes());
    -offset * bytes.map(|byte| i32::from(byte as i8)).sum::<i32>()
}

/// Writes rows of words, `[width, words_per_row]`, as a panel, `[words_per_row, width]`.
fn interleave(rows: &[u32], words_per_row: usize, panel: &mut [u32], width: usize) {
    // A few words at a time, so that their cache lines stay at hand until they are full.
    for (block, words) in panel.chunks_mut(WORDS_PER_BLOCK * width).enumerate() {
        for (at, row_words) in rows.chunks_exact(words_per_row).enumerate() {
            let row_words = &row_words[block * WORDS_PER_BLOCK..];
            for (out, word) in words.chunks_exact_mut(width).zip(row_words) {
                out[at] = *word;
            }
        }
    }
}

/// Words on memory pages of their own: aligned, so that no vector lies across two cache lines, and huge pages where the
/// system has them, which are faster to allocate and to address.
struct Words(MmapMut);

impl Words {
    fn zeros(count: usize) -> Self {
        let bytes = count.max(1) * size_of::<u32>();
        let map = MmapMut::map_anon(bytes);
        let map = map.unwrap_or_else(|e| panic!("{bytes} bytes for the weights: {e}"));
        // Without huge pages, ordinary ones do.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Words(map)
    }

    fn get(&self) -> &[u32] {
        bytemuck::cast_slice(&self.0)
    }

    fn get_mut(&mut self) -> &mut [u32] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Instructions;
    use crate::twins::{PRECISIONS, numbers, rounded};
    use proptest::prelude::*;

    /// Four gates, as the LSTM has them.
    const GATES: Layout = Layout::Vectors;

    /// The products one number at a time, in float64, `[rows, outer]`.
    fn twin(x: &[f32], weights: &[f32], inner: usize, precision: Precision) -> Vec<f64> {
        let mut products = Vec::new();
        for x in x.chunks_exact(inner) {
            let x = rounded(x, precision);
            for weights in weights.chunks_exact(inner) {
                let weights = rounded(weights, precision);
                products.push(x.iter().zip(weights).map(|(a, b)| a * b).sum());
            }
        }
        products
    }

    /// The products by a kernel, `[rows, outer]`.
    fn products(
        x: &[f32],
        weights: &[f32],
        inner: usize,
        layout: Layout,
        kernel: Kernel,
    ) -> Vec<f32> {
        let (rows, outer) = (x.len() / inner, weights.len() / inner);
        let matrix = Matrix::pack(weights, inner, layout, kernel, &ThreadPool::new(1));
        let mut encoded = Rows::zeros(kernel, rows, inner);
        x.chunks_exact(inner)
            .enumerate()
            .for_each(|(row, x)| encoded.set(row, x));
        let (width, lanes) = (matrix.width(), kernel.lanes());
        let mut sums = vec![0.5; matrix.panels() * rows * width];
        matrix.add_products(&encoded, 0..rows, &mut sums, &ThreadPool::new(2));
        let mut products = Vec::new();
        for row in 0..rows {
            for output in 0..outer {
                let (panel, at) = match layout {
                    Layout::Plain => (output / width, output % width),
                    Layout::Vectors => {
                        let (gate, unit) = (output / (outer / 4), output % (outer / 4));
                        (unit / lanes, gate * lanes + unit % lanes)
                    }
                    Layout::Panels(gates) => {
                        let (gate, unit) = (output / (outer / gates), output % (outer / gates));
                        (unit / width * gates + gate, unit % width)
                    }
                };
                products.push(sums[(panel * rows + row) * width + at] - 0.5);
            }
        }
        products
    }

    proptest! {
        #[test]
        fn products_of_every_kernel_agree_with_the_float64_twin(
            rows in 1usize..70, outer in 1usize..140, inner in 1usize..150, seed in 0u64..1000,
        ) {
            let (x, weights) = (numbers(rows * inner, seed), numbers(outer * inner, seed + 1));
            for precision in PRECISIONS {
                let expected = twin(&x, &weights, inner, precision);
                for kernel in Kernel::all(precision) {
                    let found = products(&x, &weights, inner, Layout::Plain, kernel);
                    for (a, b) in found.iter().zip(&expected) {
                        prop_assert!((f64::from(*a) - b).abs() < 2e-4, "{kernel:?}: {a} {b}");
                    }
                }
            }
        }

        #[test]
        fn int8_products_are_the_same_with_every_vector_width(
            rows in 1usize..70, outer in 1usize..140, inner in 1usize..150, seed in 0u64..1000,
        ) {
            let (x, weights) = (numbers(rows * inner, seed), numbers(outer * inner, seed + 1));
            let mut kernels = Kernel::all(Precision::Int8).rev();
            // Portable products are rounded twice.
            let expected = products(&x, &weights, inner, Layout::Plain, kernels.next().expect("a kernel"));
            for kernel in kernels.filter(|kernel| kernel.instruction_set() != Instructions::Portable) {
                prop_assert_eq!(&products(&x, &weights, inner, Layout::Plain, kernel), &expected, "{:?}", kernel);
            }
        }

        #[test]
        fn gates_are_multiplied_in_their_layout(hidden_size in 1usize..40, inner in 1usize..20, seed in 0u64..1000) {
            let (x, weights) = (numbers(inner, seed), numbers(4 * hidden_size * inner, seed + 1));
            let expected = twin(&x, &weights, inner, Precision::Float32);
            for kernel in Kernel::all(Precision::Float32) {
                let found = products(&x, &weights, inner, GATES, kernel);
                for (a, b) in found.iter().zip(&expected) {
                    prop_assert!((f64::from(*a) - b).abs() < 2e-4, "{kernel:?}: {a} {b}");
                }
            }
        }

        #[test]
        fn products_of_a_row_do_not_depend_on_other_rows(rows in 2usize..70, inner in 1usize..90, seed in 0u64..1000) {
            let (x, weights) = (numbers(rows * inner, seed), numbers(70 * inner, seed + 1));
            for kernel in PRECISIONS.into_iter().flat_map(Kernel::all) {
                let together = products(&x, &weights, inner, Layout::Plain, kernel);
                for (x, together) in x.chunks_exact(inner).zip(together.chunks_exact(70)) {
                    let alone = products(x, &weights, inner, Layout::Plain, kernel);
                    prop_assert_eq!(&alone, together);
                }
            }
        }
    }

    #[test]
    fn extreme_values_neither_saturate_nor_overflow() {
        // The largest int8 values of both signs everywhere: pairs of products come near the limits of 16 bits.
        for inner in [1, 2, 3, 4, 5, 64, 1027] {
            for (a, b) in [
                (1.0, 1.0),
                (1.0, -1.0),
                (-1.0, -1.0),
                (1e30, 1e-30),
                (0.0, 1.0),
                (3e38, 1.0),
            ] {
                let (x, weights) = (vec![a; inner], vec![b; 33 * inner]);
                for kernel in PRECISIONS.into_iter().flat_map(Kernel::all) {
                    let expected = (f64::from(a) * f64::from(b) * inner as f64) as f32;
                    for found in products(&x, &weights, inner, Layout::Plain, kernel) {
                        let close = (found - expected).abs() <= 0.01 * expected.abs() + 1e-6;
                        assert!(
                            close || found == expected,
                            "{kernel:?} of {inner}: {found} {expected}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn nan_stays_in_its_row() {
        let (mut x, weights) = (numbers(2 * 40, 1), numbers(9 * 40, 2));
        let expected = twin(&x[40..], &weights, 40, Precision::Float32);
        x[7] = f32::NAN;
        for kernel in PRECISIONS.into_iter().flat_map(Kernel::all) {
            let found = products(&x, &weights, 40, Layout::Plain, kernel);
            for (a, b) in found[9..].iter().zip(&expected) {
                assert!((f64::from(*a) - b).abs() < 0.1, "{kernel:?}: {a} {b}");
            }
            assert!(kernel.precision() == Precision::Int8 || found[0].is_nan());
        }
    }

    #[test]
    fn repacked_weights_equal_newly_packed_weights() {
        let pool = ThreadPool::new(2);
        for kernel in PRECISIONS.into_iter().flat_map(Kernel::all) {
            let mut found = Matrix::zeros(0, 0, Layout::Plain, kernel);
            for (outer, inner) in [(1, 1), (3, 64), (64, 3), (70, 33), (200, 130), (9, 70)] {
                let weights = numbers(outer * inner, 5);
                let sums = |matrix: &Matrix, input: usize| {
                    let mut row = vec![0.0; inner];
                    row[input] = 1.0;
                    let mut one = Rows::zeros(kernel, 1, inner);
                    one.set(0, &row);
                    let bias = vec![0.0; matrix.panels() * matrix.width()];
                    let mut sums = matrix.sums(&bias, &one, 0..1, &pool);
                    sums.truncate(outer);
                    sums
                };
                let alone = Matrix::pack(&weights, inner, Layout::Plain, kernel, &pool);
                let expected: Vec<_> = (0..inner).map(|input| sums(&alone, input)).collect();
                found.resize(outer, inner);
                let read = |row: usize, values: &mut [f32]| {
                    values.copy_from_slice(&weights[row * inner..(row + 1) * inner]);
                };
                found.fill(read, &pool);
                let all: Vec<_> = (0..inner).map(|input| sums(&found, input)).collect();
                assert_eq!(all, expected, "{kernel:?} {outer} {inner}");
                if kernel.precision() == Precision::Int8 {
                    continue;
                }
                // The weights from before must not matter.
                found.fill_transposed(|_, _, values| values.fill(7.0), &pool);
                let read = |input: usize, output: usize, values: &mut [f32]| {
                    for (value, output) in values.iter_mut().zip(output..) {
                        *value = weights[output * inner + input];
                    }
                };
                found.fill_transposed(read, &pool);
                let all: Vec<_> = (0..inner).map(|input| sums(&found, input)).collect();
                assert_eq!(all, expected, "transposed: {kernel:?} {outer} {inner}");
            }
        }
    }
}

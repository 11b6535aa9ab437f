/*!
Products with weights that are kept: repacked once, read once a product, in float32, bfloat16 or int8.

The outputs are cut into panels of four vectors. A panel holds, word after word of the inner dimension, the weights of
its outputs side by side, so that a product reads it from front to back, multiplies by one input word at a time and
never sums across a vector. Several rows of inputs share the reading. With AMX, tiles of words take the place of words.
*/

use std::ops::Range;

use memmap2::MmapMut;

use crate::ThreadPool;
use crate::lanes::{self, Lanes};
use crate::rounding::{bfloat16_pair, encode_bfloat16, encode_bfloat16_pairs, encode_int8};
#[cfg(target_arch = "x86_64")]
use crate::tiles;

/// Vectors in a panel: an LSTM's four gates.
const VECTORS: usize = 4;
/// Places of a panel with the widest vectors.
const MOST_WIDTH: usize = 64;
/// Words of a row that are put into their places together.
const PLACES: usize = 16;
/// Multiplications of words that are worth another thread.
pub(crate) const THREAD_WORTH: usize = 1 << 15;

/// Packed words that are worth another thread.
const PACKING_WORTH: usize = 1 << 15;
/// Encoded values that are worth another thread.
const ENCODING_WORTH: usize = 1 << 13;
/// A multiple of the rows that any kernel's vectors multiply together.
const CUT: usize = 6;
/// Rows that are encoded through one buffer.
const ENCODED_TOGETHER: usize = 8;

/// How numbers are kept in products. Sums are float32, or exact integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// float32.
    Float32,
    /// Weights and inputs rounded to bfloat16.
    Bfloat16,
    /// Weights rounded to 255 levels with a scale for each output, inputs with one for each row.
    Int8,
}

/// The instructions used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instructions {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Amx,
}

/// A precision, and the instructions that serve it on some CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    precision: Precision,
    instructions: Instructions,
}

impl Kernel {
    /// How numbers are kept.
    pub fn precision(self) -> Precision {
        self.precision
    }

    /// The fastest on this CPU.
    pub fn fastest(precision: Precision) -> Self {
        Self::all(precision)
            .next_back()
            .expect("the portable kernel")
    }

    /// All that this CPU has, slowest first.
    pub(crate) fn all(precision: Precision) -> impl DoubleEndedIterator<Item = Self> {
        let mut all = vec![Instructions::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 {
                all.push(Instructions::Avx2);
            }
            let has = match precision {
                Precision::Float32 => true,
                Precision::Bfloat16 => is_x86_feature_detected!("avx512bf16"),
                Precision::Int8 => is_x86_feature_detected!("avx512vnni"),
            };
            if avx2 && is_x86_feature_detected!("avx512f") && has {
                all.push(Instructions::Avx512);
                if precision != Precision::Float32 && tiles::are_there() {
                    all.push(Instructions::Amx);
                }
            }
        }
        all.into_iter().map(move |instructions| Kernel {
            precision,
            instructions,
        })
    }

    /// Whether bfloat16 products have an instruction of their own here.
    pub fn bfloat16_is_native() -> bool {
        #[cfg(target_arch = "x86_64")]
        return Self::fastest(Precision::Bfloat16).has_512_bits();
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Whether int8 products have an instruction of their own here, so that they are the fastest.
    pub fn int8_is_native() -> bool {
        Self::fastest(Precision::Int8).instructions != Instructions::Portable
    }

    /// Sums in a vector.
    pub fn lanes(self) -> usize {
        match self.instructions {
            Instructions::Portable => lanes::portable::Float32::LANES,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => lanes::avx2::Float32::LANES,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => lanes::avx512::Float32::LANES,
            #[cfg(target_arch = "x86_64")]
            Instructions::Amx => tiles::TILE,
        }
    }

    /// The instructions' name.
    pub fn instructions(self) -> String {
        format!("{:?}", self.instructions).to_lowercase()
    }

    /// Groups of rows that are worth being multiplied before the next: several of what is multiplied together.
    pub(crate) fn rows_together(self) -> usize {
        match self.instructions {
            #[cfg(target_arch = "x86_64")]
            Instructions::Amx => tiles::ROWS,
            _ => 4 * CUT,
        }
    }

    /// Rows are cut between threads where a group of those that are multiplied together ends.
    fn cut(self) -> usize {
        match self.instructions {
            #[cfg(target_arch = "x86_64")]
            Instructions::Amx => tiles::TILE,
            _ => CUT,
        }
    }

    /// Words of a row of so many values. What fills the last multiplication is zeros.
    fn words(self, values: usize) -> usize {
        let words = values.div_ceil(self.group());
        match self.instructions {
            #[cfg(target_arch = "x86_64")]
            Instructions::Amx => words.next_multiple_of(tiles::TILE),
            _ => words,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn has_512_bits(self) -> bool {
        matches!(self.instructions, Instructions::Avx512 | Instructions::Amx)
    }

    /// Outputs in a panel.
    pub fn width(self) -> usize {
        VECTORS * self.lanes()
    }

    /// Values of the inner dimension in a word.
    fn group(self) -> usize {
        match self.precision {
            Precision::Float32 => 1,
            Precision::Bfloat16 => 2,
            Precision::Int8 => 4,
        }
    }

    /// Encodes a row of inputs, and returns what a step of its integers is worth. Words beyond its values stay as they are.
    fn encode(self, values: &[f32], words: &mut [u32]) -> f32 {
        let words = &mut words[..values.len().div_ceil(self.group())];
        match self.precision {
            Precision::Float32 => {
                for (word, value) in words.iter_mut().zip(values) {
                    *word = value.to_bits();
                }
                0.0
            }
            Precision::Bfloat16 => {
                encode_bfloat16(values, words);
                0.0
            }
            Precision::Int8 => encode_int8(values, self.offset(), words),
        }
    }

    /// A panel's words, `[height, width]`, as the left factor of a product over them, and the words from a column to the
    /// next: tiles take them turned.
    fn across<'a>(self, words: &'a [u32], turned: &'a mut Vec<u32>) -> (&'a [u32], usize) {
        #[cfg(target_arch = "x86_64")]
        if self.instructions == Instructions::Amx {
            turned.resize(words.len(), 0);
            tiles::transpose(words, turned);
            return (turned, words.len() / self.width());
        }
        let _ = turned;
        (words, 1)
    }

    /// What is added to the bytes of an input, so that they have no sign.
    fn offset(self) -> u8 {
        #[cfg(target_arch = "x86_64")]
        if self.precision == Precision::Int8 && self.has_512_bits() {
            return 128;
        }
        0
    }
}

/// Which output stands where in the panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// In their own order.
    Plain,
    /// A vector of each of the four gates, for the same units: see [`super::lstm_gates`].
    Gates,
}

/// Weights, packed for one kernel.
pub struct Matrix {
    kernel: Kernel,
    order: Layout,
    outer: usize,
    inner: usize,
    /// Words of a row of inputs.
    words_per_row: usize,
    panels: usize,
    /// `[panels, words_per_row, width]` words.
    words: Words,
    /// For int8, of each output: what a step of its sum is worth, and what the input's offset adds to it.
    scales: Vec<f32>,
    corrections: Vec<i32>,
}

/// Words on pages of their own: aligned, so that no vector lies across two cache lines, and large where the system has
/// large ones, which are quicker to come by and to find.
struct Words(MmapMut);

impl Words {
    fn zeros(count: usize) -> Self {
        let map = MmapMut::map_anon(count.max(1) * size_of::<u32>());
        let map = map.expect("memory for the weights");
        // Where there are none, small pages do.
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

/// Rows of inputs, as a kernel's products take them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    kernel: Kernel,
    inner: usize,
    words_per_row: usize,
    words: Vec<u32>,
    /// For int8, what a step of each row is worth.
    scales: Vec<f32>,
}

impl Rows {
    /// Zeros.
    pub fn zeros(kernel: Kernel, rows: usize, inner: usize) -> Self {
        let words_per_row = kernel.words(inner);
        let zero = u32::from_le_bytes([kernel.offset(); 4]);
        Rows {
            kernel,
            inner,
            words_per_row,
            words: vec![zero; rows * words_per_row],
            scales: vec![0.0; rows],
        }
    }

    /// Zeros for the same products.
    pub fn like(&self, rows: usize) -> Self {
        Rows::zeros(self.kernel, rows, self.inner)
    }

    /// Encodes `values` as row `row`.
    ///
    /// # Panics
    /// If they are not as many as the inner dimension, or there is no such row.
    pub fn set(&mut self, row: usize, values: &[f32]) {
        assert_eq!(values.len(), self.inner, "a whole row");
        self.blocks(row..row + 1, 1)[0].set(0, values);
    }

    /// The chosen rows of `table`, `[_, inner]`, encoded.
    ///
    /// # Panics
    /// If the table has no such row.
    pub fn chosen(
        kernel: Kernel,
        table: &[f32],
        inner: usize,
        rows: &[u32],
        pool: &ThreadPool,
    ) -> Self {
        let mut chosen = Rows::zeros(kernel, rows.len(), inner);
        let read = |row: usize, values: &mut [f32]| {
            let begin = rows[row] as usize * inner;
            values.copy_from_slice(&table[begin..begin + inner]);
        };
        chosen.set_all(0..rows.len(), read, pool);
        chosen
    }

    /// Encodes the given rows; `read` writes the values of one, counted from the first of these, into the buffer it is
    /// given.
    pub fn set_all(
        &mut self,
        rows: Range<usize>,
        read: impl Fn(usize, &mut [f32]) + Sync,
        pool: &ThreadPool,
    ) {
        let inner = self.inner;
        let threads = 1 + rows.len() * inner / ENCODING_WORTH;
        let mut blocks = self.blocks(rows, ENCODED_TOGETHER);
        pool.for_each(threads, &mut blocks, |block, rows| {
            let mut values = vec![0.0; inner];
            for row in 0..rows.len() {
                read(block * ENCODED_TOGETHER + row, &mut values);
                rows.set(row, &values);
            }
        });
    }

    /// The given rows in blocks, which can be encoded side by side.
    pub(crate) fn blocks(&mut self, rows: Range<usize>, together: usize) -> Vec<RowsBlock<'_>> {
        let (kernel, words_per_row) = (self.kernel, self.words_per_row);
        let words = &mut self.words[rows.start * words_per_row..rows.end * words_per_row];
        let words = words.chunks_mut(together * words_per_row);
        let scales = self.scales[rows].chunks_mut(together);
        let block = |(words, scales)| RowsBlock {
            kernel,
            words_per_row,
            words,
            scales,
        };
        words.zip(scales).map(block).collect()
    }

    /// Decodes a row.
    ///
    /// # Panics
    /// In int8, or if there is no such row.
    pub fn get(&self, row: usize, values: &mut [f32]) {
        let words = &self.words[row * self.words_per_row..(row + 1) * self.words_per_row];
        match self.kernel.precision {
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
            Precision::Int8 => unimplemented!("training does not use int8"),
        }
    }

    /// Some of these rows, each multiplied by a row of `factors`, which are taken in turn, `[_, inner]`.
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

    /// Takes over a row of `other`, which was encoded for the same kernel and inner dimension.
    ///
    /// # Panics
    /// If it was not, or there is no such row.
    pub fn copy(&mut self, row: usize, other: &Rows, from: usize) {
        assert!(self.kernel == other.kernel && self.inner == other.inner);
        let words = self.words_per_row;
        self.words[row * words..(row + 1) * words]
            .copy_from_slice(&other.words[from * words..(from + 1) * words]);
        self.scales[row] = other.scales[from];
    }

    /// What they are encoded for.
    pub(crate) fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.scales.is_empty()
    }
}

/// Rows next to each other, borrowed to be encoded.
pub(crate) struct RowsBlock<'a> {
    kernel: Kernel,
    words_per_row: usize,
    words: &'a mut [u32],
    scales: &'a mut [f32],
}

impl RowsBlock<'_> {
    /// How many rows.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Encodes a row.
    pub fn set(&mut self, row: usize, values: &[f32]) {
        let words = &mut self.words[row * self.words_per_row..(row + 1) * self.words_per_row];
        self.scales[row] = self.kernel.encode(values, words);
    }
}

impl Matrix {
    /// Packs `weights`, `[outer, inner]` row by row, as PyTorch keeps them.
    ///
    /// # Panics
    /// If the weights do not fill their rows, or are not four gates though they should be.
    pub fn pack(
        weights: &[f32],
        inner: usize,
        order: Layout,
        kernel: Kernel,
        pool: &ThreadPool,
    ) -> Self {
        let mut matrix = Matrix::zeros(weights.len() / inner, inner, order, kernel);
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
    /// If there are not four gates though there should be.
    pub fn zeros(outer: usize, inner: usize, order: Layout, kernel: Kernel) -> Self {
        let mut matrix = Matrix {
            kernel,
            order,
            outer,
            inner,
            words_per_row: 0,
            panels: 0,
            words: Words::zeros(0),
            scales: Vec::new(),
            corrections: Vec::new(),
        };
        matrix.resize(outer, inner);
        matrix
    }

    /// From now on of this size; what it holds is to be filled anew. Memory is kept, and taken only for more.
    ///
    /// # Panics
    /// As [`Matrix::zeros`].
    pub fn resize(&mut self, outer: usize, inner: usize) {
        let width = self.kernel.width();
        self.panels = match self.order {
            Layout::Plain => outer.div_ceil(width),
            Layout::Gates => {
                assert_eq!(outer % VECTORS, 0, "four gates");
                (outer / VECTORS).div_ceil(self.kernel.lanes())
            }
        };
        (self.outer, self.inner) = (outer, inner);
        self.words_per_row = self.kernel.words(inner);
        let count = self.panels * self.words_per_row * width;
        if count > self.words.get().len() {
            self.words = Words::zeros(count);
        }
        self.scales.resize(self.panels * width, 0.0);
        self.corrections.resize(self.panels * width, 0);
    }

    /// Packs weights anew; `read` writes a row of them, in PyTorch's order, into the buffer it is given.
    pub fn fill(&mut self, read: impl Fn(usize, &mut [f32]) + Sync, pool: &ThreadPool) {
        let (kernel, inner, width) = (self.kernel, self.inner, self.width());
        // The weights have a sign, whatever the inputs have.
        let signed = Kernel {
            instructions: Instructions::Portable,
            ..kernel
        };
        let rows: Vec<Option<usize>> = (0..self.panels * width).map(|at| self.row(at)).collect();
        let words_per_row = self.words_per_row;
        let threads = 1 + self.panels * width * words_per_row / PACKING_WORTH;
        let panels = self.words.get_mut().chunks_exact_mut(words_per_row * width);
        let scales = self.scales.chunks_exact_mut(width);
        let mut panels: Vec<_> = panels
            .zip(scales.zip(self.corrections.chunks_exact_mut(width)))
            .collect();
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
                    scales[at] = signed.encode(&values, row_words);
                    if kernel.offset() > 0 {
                        let bytes = row_words.iter().flat_map(|word| word.to_le_bytes());
                        let sum: i32 = bytes.map(|byte| i32::from(byte as i8)).sum();
                        corrections[at] = -i32::from(kernel.offset()) * sum;
                    }
                }
                // A few places at a time, so that their cache lines stay at hand until they are full.
                for (part, places) in words.chunks_mut(PLACES * width).enumerate() {
                    for (at, row_words) in encoded.chunks_exact(words_per_row).enumerate() {
                        let from = &row_words[part * PLACES..];
                        for (place, word) in places.chunks_exact_mut(width).zip(from) {
                            place[at] = *word;
                        }
                    }
                }
            },
        );
    }

    /// Packs weights anew, for training; `read` writes the weights of an input, of as many outputs as its buffer holds from
    /// one on, that is the transpose's rows.
    ///
    /// # Panics
    /// In int8, or where the outputs are in another order than their own.
    pub fn fill_transposed(
        &mut self,
        read: impl Fn(usize, usize, &mut [f32]) + Sync,
        pool: &ThreadPool,
    ) {
        assert!(self.order == Layout::Plain, "outputs in their own order");
        let (kernel, inner, outer, width) = (self.kernel, self.inner, self.outer, self.width());
        let words_per_row = self.words_per_row;
        let threads = 1 + self.panels * width * words_per_row / PACKING_WORTH;
        let panels = self.words.get_mut().chunks_exact_mut(words_per_row * width);
        let mut panels: Vec<_> = panels.take(self.panels).collect();
        pool.for_each(threads, &mut panels, |panel, words| {
            let first = panel * width;
            let count = width.min(outer - first);
            let (mut low, mut high) = ([0.0; MOST_WIDTH], [0.0; MOST_WIDTH]);
            let (low, high) = (&mut low[..width], &mut high[..width]);
            let (words, beyond) = words.split_at_mut(inner.div_ceil(kernel.group()) * width);
            beyond.fill(0);
            for (word, out) in words.chunks_exact_mut(width).enumerate() {
                match kernel.precision {
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

    /// The row of weights, in PyTorch's order, whose output stands at a place in the panels.
    pub fn row(&self, place: usize) -> Option<usize> {
        let row = match self.order {
            Layout::Plain => place,
            Layout::Gates => {
                let (lanes, units) = (self.kernel.lanes(), self.outer / VECTORS);
                let (panel, at) = (place / self.width(), place % self.width());
                let unit = panel * lanes + at % lanes;
                if unit >= units {
                    return None;
                }
                at / lanes * units + unit
            }
        };
        (row < self.outer).then_some(row)
    }

    /// Words in a row of weights or inputs.
    pub(crate) fn words_per_row(&self) -> usize {
        self.words_per_row
    }

    /// Inputs.
    pub(crate) fn inner(&self) -> usize {
        self.inner
    }

    /// Outputs.
    pub fn outer(&self) -> usize {
        self.outer
    }

    /// How many panels.
    pub fn panels(&self) -> usize {
        self.panels
    }

    /// Outputs in a panel.
    pub fn width(&self) -> usize {
        self.kernel.width()
    }

    /// What multiplies with these weights.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// `bias + x · weightsᵀ` for the given rows of `x`, `[panels, rows, width]`, with the bias in the order of the panels.
    pub fn sums(&self, bias: &[f32], x: &Rows, rows: Range<usize>, pool: &ThreadPool) -> Vec<f32> {
        let mut sums = vec![0.0; bias.len() * rows.len()];
        self.fill_sums(bias, x, rows, &mut sums, pool);
        sums
    }

    /// The same, in the place of what is in `out`.
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
        assert_eq!(bias.len(), self.panels * width, "a bias for each place");
        self.each_product(x, rows, out, pool, |panel, out| {
            let bias = &bias[panel * width..(panel + 1) * width];
            for out in out.chunks_exact_mut(width) {
                out.copy_from_slice(bias);
            }
        });
    }

    /// Adds the products of the given rows of `x` to `out`, `[panels, rows, width]`.
    ///
    /// # Panics
    /// As [`Matrix::add_product`].
    pub fn add_products(&self, x: &Rows, rows: Range<usize>, out: &mut [f32], pool: &ThreadPool) {
        self.each_product(x, rows, out, pool, |_, _| {});
    }

    /// Adds products where `begin` has been told the panel, and what of it the products are added to.
    fn each_product(
        &self,
        x: &Rows,
        rows: Range<usize>,
        out: &mut [f32],
        pool: &ThreadPool,
        begin: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let width = self.width();
        let products = rows.len() * self.panels * width * self.words_per_row;
        let threads = 1 + products / THREAD_WORTH;
        assert_eq!(
            out.len(),
            self.panels * rows.len() * width,
            "sizes of a product"
        );
        // Few panels are cut between rows, so that every thread has something to do.
        let together = if self.panels < 4 * threads.min(pool.threads()) {
            rows.len().div_ceil(2).next_multiple_of(self.kernel.cut())
        } else {
            rows.len()
        };
        let mut parts = Vec::new();
        for (panel, out) in out.chunks_exact_mut(rows.len() * width).enumerate() {
            for (part, out) in out.chunks_mut(together * width).enumerate() {
                let first = rows.start + part * together;
                parts.push((panel, first..first + out.len() / width, out));
            }
        }
        pool.for_each(threads, &mut parts, |_, (panel, rows, out)| {
            begin(*panel, out);
            self.add_product(*panel, x, rows.clone(), out);
        });
    }

    /// Adds the products of the given rows of `x` with a panel to `out`, `[rows, width]`. A row's result is the same
    /// beside any others.
    ///
    /// # Panics
    /// If the rows were encoded for another kernel or inner dimension, or do not fill `out`.
    pub fn add_product(&self, panel: usize, x: &Rows, rows: Range<usize>, out: &mut [f32]) {
        let width = self.width();
        assert!(
            x.kernel == self.kernel && x.inner == self.inner,
            "inputs encoded for these weights"
        );
        assert!(panel < self.panels && rows.start <= rows.end && rows.end <= x.len());
        assert_eq!(out.len(), rows.len() * width, "sizes of a product");
        let outputs = panel * width..(panel + 1) * width;
        let first = panel * self.words_per_row * width;
        let block = Block {
            weights: self.words.get()[first..].as_ptr(),
            words: self.words_per_row,
            x: x.words[rows.start * self.words_per_row..].as_ptr(),
            x_row: self.words_per_row,
            rows: rows.len(),
            x_scales: x.scales[rows].as_ptr(),
            out: out.as_mut_ptr(),
            scales: self.scales[outputs.clone()].as_ptr(),
            corrections: self.corrections[outputs].as_ptr(),
        };
        use Instructions::*;
        use Precision::*;
        // SAFETY: `Kernel` only ever has instructions that the CPU has, and the block's slices have the sizes that its
        // loops walk: they were allocated for this kernel, and checked above.
        unsafe {
            match (self.kernel.instructions, self.kernel.precision) {
                (Portable, Float32) => block.run::<lanes::portable::Float32, false>(),
                (Portable, Bfloat16) => block.run::<lanes::portable::Bfloat16, false>(),
                (Portable, Int8) => block.run::<lanes::portable::Int8, false>(),
                #[cfg(target_arch = "x86_64")]
                (Avx2, Float32) => x86::float32_avx2(block),
                #[cfg(target_arch = "x86_64")]
                (Avx2, Bfloat16) => x86::bfloat16_avx2(block),
                #[cfg(target_arch = "x86_64")]
                (Avx2, Int8) => x86::int8_avx2(block),
                #[cfg(target_arch = "x86_64")]
                (Avx512, Float32) => x86::float32_avx512(block),
                #[cfg(target_arch = "x86_64")]
                (Avx512, Bfloat16) => x86::bfloat16_avx512(block),
                #[cfg(target_arch = "x86_64")]
                (Avx512, Int8) => x86::int8_avx512(block),
                #[cfg(target_arch = "x86_64")]
                (Amx, Bfloat16) => tiles::bfloat16(block),
                // A tile with one row is mostly waited for; integers come to the same either way.
                #[cfg(target_arch = "x86_64")]
                (Amx, Int8) if block.rows == 1 => x86::int8_avx512(block),
                #[cfg(target_arch = "x86_64")]
                (Amx, Int8) => tiles::int8(block),
                #[cfg(target_arch = "x86_64")]
                (Amx, Float32) => unreachable!("tiles are of fewer bits"),
            }
        }
    }
}

/// The columns of some rows, as both factors of a product over the rows take them: `gᵀ · x`, the gradient of weights.
pub struct Columns {
    kernel: Kernel,
    columns: usize,
    /// Words of a column.
    height: usize,
    /// `[panels, height, width]` words.
    words: Vec<u32>,
}

/// Words of columns that are multiplied before the next: those of two panels stay in a core's cache.
const HEIGHT: usize = 1024;

impl Columns {
    /// None yet; they will be encoded for `kernel`.
    pub fn new(kernel: Kernel) -> Self {
        Columns {
            kernel,
            columns: 0,
            height: 0,
            words: Vec::new(),
        }
    }

    /// Takes the columns of encoded rows.
    ///
    /// # Panics
    /// If they were encoded for another kernel, or in int8.
    pub fn take_rows(&mut self, rows: &Rows, range: Range<usize>, pool: &ThreadPool) {
        assert_eq!(rows.kernel, self.kernel, "rows of the same kernel");
        let (precision, group) = (self.kernel.precision, self.kernel.group());
        self.take(rows.inner, range.len(), pool, |first, index, out, both| {
            let row = |index: usize| {
                let words = &rows.words[(range.start + index) * rows.words_per_row..];
                &words[first / group..rows.words_per_row]
            };
            match precision {
                Precision::Float32 => {
                    for (out, word) in out.iter_mut().zip(row(index)) {
                        *out = *word;
                    }
                }
                Precision::Bfloat16 => {
                    // Two columns of two rows: what lies side by side comes to lie one after the other.
                    let zeros = [0; MOST_WIDTH];
                    let second = if both { row(index + 1) } else { &zeros };
                    let (pairs, _) = out.as_chunks_mut::<2>();
                    for (out, (first, second)) in
                        pairs.iter_mut().zip(row(index).iter().zip(second))
                    {
                        out[0] = first & 0xFFFF | second << 16;
                        out[1] = first >> 16 | second & 0xFFFF_0000;
                    }
                }
                Precision::Int8 => panic!("training does not use int8"),
            }
        });
    }

    /// Takes the columns of numbers that lie in panels, `[panels, rows, width]`.
    pub fn take_panels(&mut self, values: &[f32], rows: usize, pool: &ThreadPool) {
        let (precision, width) = (self.kernel.precision, self.kernel.width());
        let panels = values.len() / (rows * width);
        self.take(panels * width, rows, pool, |first, index, out, both| {
            let row = |index: usize| &values[(first / width * rows + index) * width..][..width];
            match precision {
                Precision::Float32 => {
                    for (out, value) in out.iter_mut().zip(row(index)) {
                        *out = value.to_bits();
                    }
                }
                Precision::Bfloat16 => {
                    let zeros = [0.0; MOST_WIDTH];
                    let second = if both {
                        row(index + 1)
                    } else {
                        &zeros[..width]
                    };
                    encode_bfloat16_pairs(row(index), second, out);
                }
                Precision::Int8 => panic!("training does not use int8"),
            }
        });
    }

    /// Fills each word's row of each panel: `fill` is told the panel's first column, the first of the rows that the words
    /// hold, and whether there is a second.
    fn take(
        &mut self,
        columns: usize,
        rows: usize,
        pool: &ThreadPool,
        fill: impl Fn(usize, usize, &mut [u32], bool) + Sync,
    ) {
        let (width, group) = (self.kernel.width(), self.kernel.group());
        (self.columns, self.height) = (columns, self.kernel.words(rows));
        let panels = columns.div_ceil(width);
        let length = self.height * width;
        // What stands beside the columns is multiplied too, but never looked at.
        self.words.resize(panels * length, 0);
        let mut parts: Vec<&mut [u32]> = self.words.chunks_exact_mut(length.max(1)).collect();
        pool.for_each(
            1 + panels * length / ENCODING_WORTH,
            &mut parts,
            |panel, words| {
                let (words, beyond) = words.split_at_mut(rows.div_ceil(group) * width);
                for (word, out) in words.chunks_exact_mut(width).enumerate() {
                    fill(panel * width, word * group, out, (word + 1) * group <= rows);
                }
                beyond.fill(0);
            },
        );
    }

    /// The product of each of these columns with each of `x`'s over all rows: `[rows, x.columns]`, replaced, where `row`
    /// says which of the result's rows each place of `self`'s panels is, if any.
    pub fn products(
        &self,
        x: &Columns,
        row: impl Fn(usize) -> Option<usize>,
        products: &mut [f32],
        pool: &ThreadPool,
    ) {
        assert!(
            self.kernel == x.kernel && self.height == x.height,
            "columns of the same rows"
        );
        let width = self.kernel.width();
        let (panels, x_panels) = (self.columns.div_ceil(width), x.columns.div_ceil(width));
        let mut rows: Vec<_> = products.chunks_exact_mut(x.columns).map(Some).collect();
        let mut take = |place| rows[row(place)?].take();
        let mut parts: Vec<Vec<Option<&mut [f32]>>> = (0..panels)
            .map(|panel| (0..width).map(|at| take(panel * width + at)).collect())
            .collect();
        let threads = 1 + panels * x_panels * width * width * self.height / THREAD_WORTH;
        pool.for_each(threads, &mut parts, |panel, rows| {
            let mut sums = vec![0.0f32; x_panels * width * width];
            let mut turned = Vec::new();
            for first in (0..self.height).step_by(HEIGHT) {
                let height = first..self.height.min(first + HEIGHT);
                let words = self.panel(panel, height.clone());
                let (left, left_row) = self.kernel.across(words, &mut turned);
                for (x_panel, sums) in sums.chunks_exact_mut(width * width).enumerate() {
                    let right = x.panel(x_panel, height.clone());
                    self.add_block((left, left_row), right, sums);
                }
            }
            for (at, to) in rows.iter_mut().enumerate() {
                let Some(to) = to else { continue };
                for (x_panel, to) in to.chunks_mut(width).enumerate() {
                    let from = (x_panel * width + at) * width;
                    to.copy_from_slice(&sums[from..from + to.len()]);
                }
            }
        });
    }

    /// Some words of a panel, `[height, width]`.
    fn panel(&self, panel: usize, height: Range<usize>) -> &[u32] {
        let width = self.kernel.width();
        let begin = (panel * self.height + height.start) * width;
        &self.words[begin..begin + height.len() * width]
    }

    /// Adds the products of the columns on the left, as [`Kernel::across`] made them, with those of a panel's words to
    /// `out`, `[width, width]`.
    fn add_block(&self, (left, left_row): (&[u32], usize), right: &[u32], out: &mut [f32]) {
        let width = self.kernel.width();
        assert_eq!(left.len(), right.len(), "words of the same rows");
        assert_eq!(out.len(), width * width, "a block");
        let (scales, corrections) = ([0.0; MOST_WIDTH], [0; MOST_WIDTH]);
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
        use Instructions::*;
        use Precision::*;
        // SAFETY: as in `Matrix::add_product`; both factors have `height` words of `width`.
        unsafe {
            match (self.kernel.instructions, self.kernel.precision) {
                (_, Int8) => panic!("training does not use int8"),
                (Portable, Float32) => block.run::<lanes::portable::Float32, true>(),
                (Portable, Bfloat16) => block.run::<lanes::portable::Bfloat16, true>(),
                #[cfg(target_arch = "x86_64")]
                (Avx2, Float32) => x86::float32_avx2_across(block),
                #[cfg(target_arch = "x86_64")]
                (Avx2, Bfloat16) => x86::bfloat16_avx2_across(block),
                #[cfg(target_arch = "x86_64")]
                (Avx512, Float32) => x86::float32_avx512_across(block),
                #[cfg(target_arch = "x86_64")]
                (Avx512, Bfloat16) => x86::bfloat16_avx512_across(block),
                #[cfg(target_arch = "x86_64")]
                (Amx, Bfloat16) => tiles::bfloat16(block),
                #[cfg(target_arch = "x86_64")]
                (Amx, Float32) => unreachable!("tiles are of fewer bits"),
            }
        }
    }
}

/// One panel, some rows.
pub(crate) struct Block {
    /// `[words, width]`.
    pub(crate) weights: *const u32,
    pub(crate) words: usize,
    /// `[rows, words]`, a row `x_row` words after the last; or across, `[words, width]`.
    pub(crate) x: *const u32,
    pub(crate) x_row: usize,
    pub(crate) rows: usize,
    pub(crate) x_scales: *const f32,
    /// `[rows, width]`.
    pub(crate) out: *mut f32,
    pub(crate) scales: *const f32,
    pub(crate) corrections: *const i32,
}

impl Block {
    /// `ACROSS` says that the inputs lie as weights do, so that a row is a column of theirs.
    ///
    /// # Safety
    /// The CPU has what `L` needs, and the pointers lead to what the fields' comments say.
    #[inline(always)]
    unsafe fn run<L: Lanes, const ACROSS: bool>(self) {
        let mut row = 0;
        while row < self.rows {
            let many = L::ROWS.min(self.rows - row);
            // SAFETY: rows up to `row + many` are there.
            unsafe {
                match many {
                    6 if L::ROWS >= 6 => self.rows::<L, 6, ACROSS>(row),
                    5 if L::ROWS >= 5 => self.rows::<L, 5, ACROSS>(row),
                    4 if L::ROWS >= 4 => self.rows::<L, 4, ACROSS>(row),
                    3 if L::ROWS >= 3 => self.rows::<L, 3, ACROSS>(row),
                    2 => self.rows::<L, 2, ACROSS>(row),
                    _ => self.rows::<L, 1, ACROSS>(row),
                }
            }
            row += many;
        }
    }

    /// # Safety
    /// As [`Block::run`]; and there are `ROWS` rows from `row` on.
    #[inline(always)]
    unsafe fn rows<L: Lanes, const ROWS: usize, const ACROSS: bool>(&self, row: usize) {
        let width = VECTORS * L::LANES;
        let (x_row, x_word) = if ACROSS { (1, width) } else { (self.x_row, 1) };
        // SAFETY: every offset stays in what the caller vouches for.
        unsafe {
            let out = self.out;
            let place = |r: usize, v: usize| (row + r) * width + v * L::LANES;
            let mut sums: [[L::Sum; VECTORS]; ROWS] = std::array::from_fn(|r| {
                std::array::from_fn(|v| {
                    L::begin(out.add(place(r, v)), self.corrections.add(v * L::LANES))
                })
            });
            let x: [*const u32; ROWS] = std::array::from_fn(|r| self.x.add((row + r) * x_row));
            for word in 0..self.words {
                let weights = self.weights.add(word * width);
                let weights: [L::Vector; VECTORS] =
                    std::array::from_fn(|v| L::load(weights.add(v * L::LANES)));
                for (sums, x) in sums.iter_mut().zip(x) {
                    let x = L::spread(x.add(word * x_word));
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = L::multiply_add(*sum, weights, x);
                    }
                }
            }
            for (r, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    let scales = self.scales.add(v * L::LANES);
                    L::end(
                        sum,
                        out.add(place(r, v)),
                        scales,
                        *self.x_scales.add(row + r),
                    );
                }
            }
        }
    }
}

/// The loop, once for each instruction set and precision.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Block, lanes};

    macro_rules! instance {
        ($name:ident, $features:literal, $lanes:ty, $across:literal) => {
            /// # Safety
            /// As [`Block::run`].
            #[target_feature(enable = $features)]
            pub(crate) unsafe fn $name(block: Block) {
                // SAFETY: the caller vouches for it.
                unsafe { block.run::<$lanes, $across>() }
            }
        };
    }

    instance!(float32_avx2, "avx2,fma", lanes::avx2::Float32, false);
    instance!(bfloat16_avx2, "avx2,fma", lanes::avx2::Bfloat16, false);
    instance!(int8_avx2, "avx2,fma", lanes::avx2::Int8, false);
    instance!(float32_avx512, "avx512f", lanes::avx512::Float32, false);
    instance!(
        bfloat16_avx512,
        "avx512f,avx512bf16",
        lanes::avx512::Bfloat16,
        false
    );
    instance!(
        int8_avx512,
        "avx512f,avx512vnni",
        lanes::avx512::Int8,
        false
    );
    instance!(float32_avx2_across, "avx2,fma", lanes::avx2::Float32, true);
    instance!(
        bfloat16_avx2_across,
        "avx2,fma",
        lanes::avx2::Bfloat16,
        true
    );
    instance!(
        float32_avx512_across,
        "avx512f",
        lanes::avx512::Float32,
        true
    );
    instance!(
        bfloat16_avx512_across,
        "avx512f,avx512bf16",
        lanes::avx512::Bfloat16,
        true
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRECISIONS: [Precision; 3] = [Precision::Float32, Precision::Bfloat16, Precision::Int8];

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        (0..count as u64)
            .map(|i| ((i * 2_654_435_761 + seed * 97) % 2001) as f32 / 1000.0 - 1.0)
            .collect()
    }

    /// What a value of a row becomes at a precision.
    fn rounded(row: &[f32], precision: Precision) -> Vec<f64> {
        let largest = row.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
        let round = |&value: &f32| match precision {
            Precision::Float32 => f64::from(value),
            Precision::Bfloat16 => {
                let step = 2f64.powi(f64::from(value).abs().log2().floor() as i32 - 7);
                if value == 0.0 {
                    0.0
                } else {
                    (f64::from(value) / step).round_ties_even() * step
                }
            }
            Precision::Int8 => {
                if largest == 0.0 {
                    return 0.0;
                }
                let steps = (value * (127.0 / largest)).round_ties_even();
                f64::from(steps) * f64::from(largest / 127.0)
            }
        };
        row.iter().map(round).collect()
    }

    /// The products, one number at a time: `[rows, outer]`.
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

    /// The same by a kernel, in PyTorch's order.
    fn products(
        x: &[f32],
        weights: &[f32],
        inner: usize,
        order: Layout,
        kernel: Kernel,
    ) -> Vec<f32> {
        let (rows, outer) = (x.len() / inner, weights.len() / inner);
        let matrix = Matrix::pack(weights, inner, order, kernel, &ThreadPool::new(1));
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
                let (panel, at) = match order {
                    Layout::Plain => (output / width, output % width),
                    Layout::Gates => {
                        let (gate, unit) = (output / (outer / 4), output % (outer / 4));
                        (unit / lanes, gate * lanes + unit % lanes)
                    }
                };
                products.push(sums[(panel * rows + row) * width + at] - 0.5);
            }
        }
        products
    }

    proptest! {
        #[test]
        fn every_kernel_agrees_with_its_plain_twin(
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
        fn columns_are_multiplied_over_all_rows(
            rows in 1usize..40, left in 1usize..80, right in 1usize..80, seed in 0u64..1000,
        ) {
            let (g, x) = (numbers(rows * left, seed), numbers(rows * right, seed + 1));
            let column = |values: &[f32], width: usize, at: usize| -> Vec<f32> {
                values.chunks_exact(width).map(|row| row[at]).collect()
            };
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
                        columns.take_rows(&encoded, 1..rows + 1, &pool);
                        columns
                    };
                    let width = kernel.width();
                    let mut panels = vec![0.0; left.div_ceil(width) * rows * width];
                    for (i, value) in g.iter().enumerate() {
                        let (row, at) = (i / left, i % left);
                        panels[(at / width * rows + row) * width + at % width] = *value;
                    }
                    let mut from_panels = Columns::new(kernel);
                    from_panels.take_panels(&panels, rows, &pool);
                    let row = |place: usize| (place < left).then_some(place);
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

        #[test]
        fn integers_come_to_the_same_with_the_widest_instructions(
            rows in 1usize..70, outer in 1usize..140, inner in 1usize..150, seed in 0u64..1000,
        ) {
            let (x, weights) = (numbers(rows * inner, seed), numbers(outer * inner, seed + 1));
            let mut kernels = Kernel::all(Precision::Int8).rev();
            // Those before AVX2 round twice.
            let expected = products(&x, &weights, inner, Layout::Plain, kernels.next().expect("the widest"));
            for kernel in kernels.filter(|kernel| kernel.instructions != Instructions::Portable) {
                prop_assert_eq!(&products(&x, &weights, inner, Layout::Plain, kernel), &expected, "{:?}", kernel);
            }
        }

        #[test]
        fn gates_stand_in_their_panels(hidden_size in 1usize..40, inner in 1usize..20, seed in 0u64..1000) {
            let (x, weights) = (numbers(inner, seed), numbers(4 * hidden_size * inner, seed + 1));
            let expected = twin(&x, &weights, inner, Precision::Float32);
            for kernel in Kernel::all(Precision::Float32) {
                let found = products(&x, &weights, inner, Layout::Gates, kernel);
                for (a, b) in found.iter().zip(&expected) {
                    prop_assert!((f64::from(*a) - b).abs() < 2e-4, "{kernel:?}: {a} {b}");
                }
            }
        }

        #[test]
        fn a_row_is_the_same_beside_others_and_as_another(rows in 2usize..70, inner in 1usize..90, seed in 0u64..1000) {
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
    fn columns_are_taken_anew_and_multiplied_a_part_at_a_time() {
        let pool = ThreadPool::new(2);
        for kernel in [Precision::Float32, Precision::Bfloat16]
            .into_iter()
            .flat_map(Kernel::all)
        {
            let (mut g, mut x) = (Columns::new(kernel), Columns::new(kernel));
            // More rows than are multiplied at once, and then some, of other columns, that fill the same room less.
            for (rows, [a, b]) in [
                (2 * HEIGHT + 50, [5, 7]),
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
                g.take_rows(&encoded(&left, a), 0..rows, &pool);
                x.take_rows(&encoded(&right, b), 0..rows, &pool);
                let mut found = vec![f32::NAN; a * b];
                g.products(&x, |place| (place < a).then_some(place), &mut found, &pool);
                for (i, found) in found.into_iter().enumerate() {
                    let column = |values: &[f32], width: usize, at: usize| {
                        let column: Vec<f32> = values.chunks_exact(width).map(|r| r[at]).collect();
                        rounded(&column, kernel.precision)
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

    #[test]
    fn extreme_values_neither_saturate_nor_overflow() {
        // The largest steps of int8 everywhere, of both signs: pairs of products come near the ends of 16 bits.
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
    fn what_is_no_number_makes_no_harm_beyond_its_row() {
        let (mut x, weights) = (numbers(2 * 40, 1), numbers(9 * 40, 2));
        let expected = twin(&x[40..], &weights, 40, Precision::Float32);
        x[7] = f32::NAN;
        for kernel in PRECISIONS.into_iter().flat_map(Kernel::all) {
            let found = products(&x, &weights, 40, Layout::Plain, kernel);
            for (a, b) in found[9..].iter().zip(&expected) {
                assert!((f64::from(*a) - b).abs() < 0.1, "{kernel:?}: {a} {b}");
            }
            assert!(kernel.precision == Precision::Int8 || found[0].is_nan());
        }
    }

    #[test]
    fn weights_packed_in_the_place_of_others_are_as_if_packed_alone() {
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
                if kernel.precision == Precision::Int8 {
                    continue;
                }
                // What was there before must not show.
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

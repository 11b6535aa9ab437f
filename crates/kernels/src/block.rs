/*!
The inner loop of a product: one panel of weights by some rows of inputs, for each instruction set and precision.

A panel holds, word after word of the inner dimension, the weights of its outputs side by side. So a product reads it from
front to back, multiplies by one input word at a time and never sums across a vector.
*/

use crate::lanes::Lanes;
#[cfg(target_arch = "x86_64")]
use crate::lanes::{avx2, avx512};
use crate::layout::VECTORS;

/// Operands of one product: a panel and some rows.
pub(crate) struct Block {
    /// `[words, width]`.
    pub(crate) weights: *const u32,
    pub(crate) words: usize,
    /// `[rows, words]`, where a row begins `x_row` words after the row before; or transposed, `[words, width]`.
    pub(crate) x: *const u32,
    pub(crate) x_row: usize,
    pub(crate) rows: usize,
    /// `[rows]`.
    pub(crate) x_scales: *const f32,
    /// `[rows, width]`.
    pub(crate) out: *mut f32,
    /// `[width]`.
    pub(crate) scales: *const f32,
    /// `[width]`.
    pub(crate) corrections: *const i32,
}

impl Block {
    /// Adds the products to `out`. With `TRANSPOSED`, a row of inputs is a column of a panel.
    ///
    /// # Safety
    /// The CPU has what `L` needs, and the pointers lead to what the comments on the fields say.
    #[inline(always)]
    pub(crate) unsafe fn run<L: Lanes, const TRANSPOSED: bool>(self) {
        let mut row = 0;
        while row < self.rows {
            let count = L::ROWS.min(self.rows - row);
            // SAFETY: there are `count` rows from `row` on.
            unsafe {
                match count {
                    6 if L::ROWS >= 6 => self.rows::<L, 6, TRANSPOSED>(row),
                    5 if L::ROWS >= 5 => self.rows::<L, 5, TRANSPOSED>(row),
                    4 if L::ROWS >= 4 => self.rows::<L, 4, TRANSPOSED>(row),
                    3 if L::ROWS >= 3 => self.rows::<L, 3, TRANSPOSED>(row),
                    2 => self.rows::<L, 2, TRANSPOSED>(row),
                    _ => self.rows::<L, 1, TRANSPOSED>(row),
                }
            }
            row += count;
        }
    }

    /// Adds the products of `ROWS` rows from `row` on, whose sums stay in registers.
    ///
    /// # Safety
    /// As [`Block::run`]; and there are that many rows.
    #[inline(always)]
    unsafe fn rows<L: Lanes, const ROWS: usize, const TRANSPOSED: bool>(&self, row: usize) {
        let width = VECTORS * L::LANES;
        let (x_row, x_word) = if TRANSPOSED {
            (1, width)
        } else {
            (self.x_row, 1)
        };
        // SAFETY: every offset is within what the caller vouches for.
        unsafe {
            let out = self.out;
            let position = |r: usize, v: usize| (row + r) * width + v * L::LANES;
            let mut sums: [[L::Sum; VECTORS]; ROWS] = std::array::from_fn(|r| {
                std::array::from_fn(|v| {
                    L::start(out.add(position(r, v)), self.corrections.add(v * L::LANES))
                })
            });
            let x: [*const u32; ROWS] = std::array::from_fn(|r| self.x.add((row + r) * x_row));
            for word in 0..self.words {
                let weights = self.weights.add(word * width);
                let weights: [L::Vector; VECTORS] =
                    std::array::from_fn(|v| L::load(weights.add(v * L::LANES)));
                for (sums, x) in sums.iter_mut().zip(x) {
                    let x = L::broadcast(x.add(word * x_word));
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = L::multiply_add(*sum, weights, x);
                    }
                }
            }
            for (r, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    let scales = self.scales.add(v * L::LANES);
                    L::finish(
                        sum,
                        out.add(position(r, v)),
                        scales,
                        *self.x_scales.add(row + r),
                    );
                }
            }
        }
    }
}

/// Defines [`Block::run`] for an instruction set and a precision.
#[cfg(target_arch = "x86_64")]
macro_rules! instances {
    ($($name:ident: $features:literal, $lanes:ty, $transposed:literal;)*) => {
        $(
            /// # Safety
            /// As [`Block::run`].
            #[target_feature(enable = $features)]
            pub(crate) unsafe fn $name(block: Block) {
                // SAFETY: the caller vouches for it.
                unsafe { block.run::<$lanes, $transposed>() }
            }
        )*
    };
}

#[cfg(target_arch = "x86_64")]
instances! {
    float32_avx2: "avx2,fma", avx2::Float32, false;
    float32_avx2_transposed: "avx2,fma", avx2::Float32, true;
    bfloat16_avx2: "avx2,fma", avx2::Bfloat16, false;
    bfloat16_avx2_transposed: "avx2,fma", avx2::Bfloat16, true;
    int8_avx2: "avx2,fma", avx2::Int8, false;
    float32_avx512: "avx512f", avx512::Float32, false;
    float32_avx512_transposed: "avx512f", avx512::Float32, true;
    bfloat16_avx512: "avx512f,avx512bf16", avx512::Bfloat16, false;
    bfloat16_avx512_transposed: "avx512f,avx512bf16", avx512::Bfloat16, true;
    int8_avx512: "avx512f,avx512vnni", avx512::Int8, false;
}

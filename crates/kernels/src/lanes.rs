/*!
The vectors of each instruction set, for each precision, behind one trait.

A vector has lanes of 32 bits, and each lane is the sum of one output. A word of 32 bits holds one float32, two bfloat16 or
four int8 values of the inner dimension: a multiplication takes a word of weights for each lane, and the same word of the
input for all lanes. So a product is one loop, whatever the precision.
*/
#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "every body is a few instructions that need just what the trait's safety section asks for"
)]

use crate::rounding::bfloat16_pair;

/// One instruction set at one precision.
///
/// # Safety
/// Every function needs the CPU features that the type is named after, and pointers to [`Lanes::LANES`] readable (or,
/// for `finish`, writable) values; `broadcast` needs one.
pub(crate) trait Lanes {
    /// Number of sums in a vector.
    const LANES: usize;
    /// Number of rows of inputs whose sums fit in the registers beside four vectors of weights.
    const ROWS: usize;
    type Vector: Copy;
    type Sum: Copy;

    /// Loads a word of weights for each lane.
    unsafe fn load(words: *const u32) -> Self::Vector;
    /// A word of the input in all lanes.
    unsafe fn broadcast(word: *const u32) -> Self::Vector;
    /// sum + weights · x, where words of several values are multiplied value by value and summed.
    unsafe fn multiply_add(sum: Self::Sum, weights: Self::Vector, x: Self::Vector) -> Self::Sum;
    /// What a sum starts from: the output so far, or for integers the correction for the inputs' offset.
    unsafe fn start(out: *const f32, corrections: *const i32) -> Self::Sum;
    /// Stores a sum; integers are scaled and added to the output.
    unsafe fn finish(sum: Self::Sum, out: *mut f32, scales: *const f32, x_scale: f32);
}

/// Plain loops, which the compiler vectorizes as it can.
pub(crate) mod portable {
    use super::{Lanes, bfloat16_pair};

    const LANES: usize = 8;

    unsafe fn read<T: Copy>(from: *const T) -> [T; LANES] {
        from.cast::<[T; LANES]>().read_unaligned()
    }

    unsafe fn write(out: *mut f32, values: [f32; LANES]) {
        out.cast::<[f32; LANES]>().write_unaligned(values)
    }

    macro_rules! lanes {
        ($(#[$meta:meta])* $name:ident, $sum:ty, |$a:ident, $w:ident, $x:ident| $add:expr, $start:expr, $finish:expr) => {
            $(#[$meta])*
            pub struct $name;

            impl Lanes for $name {
                const LANES: usize = LANES;
                const ROWS: usize = 2;
                type Vector = [u32; LANES];
                type Sum = [$sum; LANES];

                #[inline(always)]
                unsafe fn load(words: *const u32) -> Self::Vector {
                    read(words)
                }
                #[inline(always)]
                unsafe fn broadcast(word: *const u32) -> Self::Vector {
                    [*word; LANES]
                }
                #[inline(always)]
                unsafe fn multiply_add(mut sum: Self::Sum, weights: Self::Vector, x: Self::Vector) -> Self::Sum {
                    for lane in 0..LANES {
                        let ($a, $w, $x) = (sum[lane], weights[lane], x[lane]);
                        sum[lane] = $add;
                    }
                    sum
                }
                #[inline(always)]
                unsafe fn start(out: *const f32, corrections: *const i32) -> Self::Sum {
                    $start(out, corrections)
                }
                #[inline(always)]
                unsafe fn finish(sum: Self::Sum, out: *mut f32, scales: *const f32, x_scale: f32) {
                    $finish(sum, out, scales, x_scale)
                }
            }
        };
    }

    unsafe fn start_float(out: *const f32, _: *const i32) -> [f32; LANES] {
        read(out)
    }

    unsafe fn finish_float(sum: [f32; LANES], out: *mut f32, _: *const f32, _: f32) {
        write(out, sum)
    }

    unsafe fn start_integer(_: *const f32, corrections: *const i32) -> [i32; LANES] {
        read(corrections)
    }

    unsafe fn finish_integer(sum: [i32; LANES], out: *mut f32, scales: *const f32, x_scale: f32) {
        let (mut values, scales) = (read(out), read(scales));
        for lane in 0..LANES {
            values[lane] += sum[lane] as f32 * (scales[lane] * x_scale);
        }
        write(out, values)
    }

    lanes!(
        Float32,
        f32,
        |sum, w, x| sum + f32::from_bits(w) * f32::from_bits(x),
        start_float,
        finish_float
    );

    lanes!(
        Bfloat16,
        f32,
        |sum, w, x| {
            let [(w0, w1), (x0, x1)] = [bfloat16_pair(w), bfloat16_pair(x)];
            sum + w0 * x0 + w1 * x1
        },
        start_float,
        finish_float
    );

    lanes!(
        /// Four products of signed bytes.
        Int8,
        i32,
        |sum, w, x| {
            let (w, x) = (w.to_le_bytes(), x.to_le_bytes());
            let product = |i: usize| i32::from(w[i] as i8) * i32::from(x[i] as i8);
            sum + product(0) + product(1) + product(2) + product(3)
        },
        start_integer,
        finish_integer
    );
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2 {
    use super::Lanes;
    use std::arch::x86_64::*;

    pub struct Float32;
    pub struct Bfloat16;
    pub struct Int8;

    impl Lanes for Float32 {
        const LANES: usize = 8;
        const ROWS: usize = 3;
        type Vector = __m256;
        type Sum = __m256;

        #[inline(always)]
        unsafe fn load(words: *const u32) -> __m256 {
            _mm256_loadu_ps(words.cast())
        }
        #[inline(always)]
        unsafe fn broadcast(word: *const u32) -> __m256 {
            _mm256_broadcast_ss(&*word.cast())
        }
        #[inline(always)]
        unsafe fn multiply_add(sum: __m256, weights: __m256, x: __m256) -> __m256 {
            _mm256_fmadd_ps(weights, x, sum)
        }
        #[inline(always)]
        unsafe fn start(out: *const f32, _: *const i32) -> __m256 {
            _mm256_loadu_ps(out)
        }
        #[inline(always)]
        unsafe fn finish(sum: __m256, out: *mut f32, _: *const f32, _: f32) {
            _mm256_storeu_ps(out, sum)
        }
    }

    impl Lanes for Bfloat16 {
        const LANES: usize = 8;
        const ROWS: usize = 2;
        type Vector = __m256i;
        type Sum = __m256;

        #[inline(always)]
        unsafe fn load(words: *const u32) -> __m256i {
            _mm256_loadu_si256(words.cast())
        }
        #[inline(always)]
        unsafe fn broadcast(word: *const u32) -> __m256i {
            _mm256_set1_epi32(*word as i32)
        }
        #[inline(always)]
        unsafe fn multiply_add(sum: __m256, weights: __m256i, x: __m256i) -> __m256 {
            // A bfloat16 is the upper half of a float32.
            let low = |v| _mm256_castsi256_ps(_mm256_slli_epi32(v, 16));
            let high = |v| {
                _mm256_castsi256_ps(_mm256_and_si256(
                    v,
                    _mm256_set1_epi32(0xFFFF_0000u32 as i32),
                ))
            };
            let sum = _mm256_fmadd_ps(low(weights), low(x), sum);
            _mm256_fmadd_ps(high(weights), high(x), sum)
        }
        #[inline(always)]
        unsafe fn start(out: *const f32, corrections: *const i32) -> __m256 {
            Float32::start(out, corrections)
        }
        #[inline(always)]
        unsafe fn finish(sum: __m256, out: *mut f32, scales: *const f32, x_scale: f32) {
            Float32::finish(sum, out, scales, x_scale)
        }
    }

    impl Lanes for Int8 {
        const LANES: usize = 8;
        const ROWS: usize = 2;
        type Vector = __m256i;
        type Sum = __m256i;

        #[inline(always)]
        unsafe fn load(words: *const u32) -> __m256i {
            _mm256_loadu_si256(words.cast())
        }
        #[inline(always)]
        unsafe fn broadcast(word: *const u32) -> __m256i {
            _mm256_set1_epi32(*word as i32)
        }
        #[inline(always)]
        unsafe fn multiply_add(sum: __m256i, weights: __m256i, x: __m256i) -> __m256i {
            // The instruction needs one unsigned factor, so the sign of the weight is moved to the
            // input. Pairs are 2 · 127² at most and do not saturate, as no value is -128.
            let pairs =
                _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(x, weights));
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
        #[inline(always)]
        unsafe fn start(_: *const f32, corrections: *const i32) -> __m256i {
            _mm256_loadu_si256(corrections.cast())
        }
        #[inline(always)]
        unsafe fn finish(sum: __m256i, out: *mut f32, scales: *const f32, x_scale: f32) {
            let scale = _mm256_mul_ps(_mm256_loadu_ps(scales), _mm256_set1_ps(x_scale));
            let sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale, _mm256_loadu_ps(out));
            _mm256_storeu_ps(out, sum);
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512 {
    use super::Lanes;
    use std::arch::x86_64::*;

    pub struct Float32;
    pub struct Bfloat16;
    pub struct Int8;

    impl Lanes for Float32 {
        const LANES: usize = 16;
        const ROWS: usize = 6;
        type Vector = __m512;
        type Sum = __m512;

        #[inline(always)]
        unsafe fn load(words: *const u32) -> __m512 {
            _mm512_loadu_ps(words.cast())
        }
        #[inline(always)]
        unsafe fn broadcast(word: *const u32) -> __m512 {
            _mm512_set1_ps(*word.cast())
        }
        #[inline(always)]
        unsafe fn multiply_add(sum: __m512, weights: __m512, x: __m512) -> __m512 {
            _mm512_fmadd_ps(weights, x, sum)
        }
        #[inline(always)]
        unsafe fn start(out: *const f32, _: *const i32) -> __m512 {
            _mm512_loadu_ps(out)
        }
        #[inline(always)]
        unsafe fn finish(sum: __m512, out: *mut f32, _: *const f32, _: f32) {
            _mm512_storeu_ps(out, sum)
        }
    }

    impl Lanes for Bfloat16 {
        const LANES: usize = 16;
        const ROWS: usize = 6;
        type Vector = __m512i;
        type Sum = __m512;

        #[inline(always)]
        unsafe fn load(words: *const u32) -> __m512i {
            _mm512_loadu_si512(words.cast())
        }
        #[inline(always)]
        unsafe fn broadcast(word: *const u32) -> __m512i {
            _mm512_set1_epi32(*word as i32)
        }
        #[inline(always)]
        unsafe fn multiply_add(sum: __m512, weights: __m512i, x: __m512i) -> __m512 {
            // Both types are the same 512 bits.
            let [weights, x] = [weights, x].map(|v| std::mem::transmute::<__m512i, __m512bh>(v));
            _mm512_dpbf16_ps(sum, weights, x)
        }
        #[inline(always)]
        unsafe fn start(out: *const f32, corrections: *const i32) -> __m512 {
            Float32::start(out, corrections)
        }
        #[inline(always)]
        unsafe fn finish(sum: __m512, out: *mut f32, scales: *const f32, x_scale: f32) {
            Float32::finish(sum, out, scales, x_scale)
        }
    }

    impl Lanes for Int8 {
        const LANES: usize = 16;
        const ROWS: usize = 6;
        type Vector = __m512i;
        type Sum = __m512i;

        #[inline(always)]
        unsafe fn load(words: *const u32) -> __m512i {
            _mm512_loadu_si512(words.cast())
        }
        #[inline(always)]
        unsafe fn broadcast(word: *const u32) -> __m512i {
            _mm512_set1_epi32(*word as i32)
        }
        #[inline(always)]
        unsafe fn multiply_add(sum: __m512i, weights: __m512i, x: __m512i) -> __m512i {
            // The input's bytes are unsigned, 128 too large, which the corrections subtract.
            _mm512_dpbusd_epi32(sum, x, weights)
        }
        #[inline(always)]
        unsafe fn start(_: *const f32, corrections: *const i32) -> __m512i {
            _mm512_loadu_si512(corrections.cast())
        }
        #[inline(always)]
        unsafe fn finish(sum: __m512i, out: *mut f32, scales: *const f32, x_scale: f32) {
            let scale = _mm512_mul_ps(_mm512_loadu_ps(scales), _mm512_set1_ps(x_scale));
            let sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, _mm512_loadu_ps(out));
            _mm512_storeu_ps(out, sum);
        }
    }
}

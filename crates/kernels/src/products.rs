/*!
The function that multiplies a [`Block`], for each instruction set and precision.
*/

#[cfg(target_arch = "x86_64")]
use crate::block;
use crate::block::Block;
use crate::cpu::Instructions::*;
use crate::kernel::{Kernel, Precision::*};
use crate::lanes::portable;
#[cfg(target_arch = "x86_64")]
use crate::tiles;

/// Number of multiplications of words that are worth another thread.
pub(crate) const MULTIPLICATIONS_PER_THREAD: usize = 1 << 17;

/// Adds the products of rows of inputs with a panel.
///
/// # Safety
/// The block's pointers lead to what the comments on its fields say, in the sizes of `kernel`. (That the CPU has the
/// instructions is in the type: a [`Kernel`] is made only where it does.)
pub(crate) unsafe fn multiply_rows(kernel: Kernel, block: Block) {
    // SAFETY: the CPU has the kernel's instructions; the caller vouches for the rest.
    unsafe {
        match (kernel.instruction_set(), kernel.precision()) {
            (Portable, Float32) => block.run::<portable::Float32, false>(),
            (Portable, Bfloat16) => block.run::<portable::Bfloat16, false>(),
            (Portable, Int8) => block.run::<portable::Int8, false>(),
            #[cfg(target_arch = "x86_64")]
            (Avx2, Float32) => block::float32_avx2(block),
            #[cfg(target_arch = "x86_64")]
            (Avx2, Bfloat16) => block::bfloat16_avx2(block),
            #[cfg(target_arch = "x86_64")]
            (Avx2, Int8) => block::int8_avx2(block),
            #[cfg(target_arch = "x86_64")]
            (Avx512, Float32) => block::float32_avx512(block),
            #[cfg(target_arch = "x86_64")]
            (Avx512, Bfloat16) => block::bfloat16_avx512(block),
            #[cfg(target_arch = "x86_64")]
            (Avx512, Int8) => block::int8_avx512(block),
            #[cfg(target_arch = "x86_64")]
            (Amx, Bfloat16) => tiles::bfloat16(block),
            // A tile with one row costs as much as a full one; sums of integers are the same either way.
            #[cfg(target_arch = "x86_64")]
            (Amx, Int8) if block.rows == 1 => block::int8_avx512(block),
            #[cfg(target_arch = "x86_64")]
            (Amx, Int8) => tiles::int8(block),
            #[cfg(target_arch = "x86_64")]
            (Amx, Float32) => unreachable!("no kernel multiplies float32 by AMX"),
        }
    }
}

/// Adds the products of the columns of two panels. The left one is as [`left_factor`] returned it.
///
/// # Panics
/// In int8.
///
/// # Safety
/// As [`multiply_rows`].
pub(crate) unsafe fn multiply_columns(kernel: Kernel, block: Block) {
    // SAFETY: the CPU has the kernel's instructions; the caller vouches for the rest.
    unsafe {
        match (kernel.instruction_set(), kernel.precision()) {
            (_, Int8) => panic!("training does not use int8"),
            (Portable, Float32) => block.run::<portable::Float32, true>(),
            (Portable, Bfloat16) => block.run::<portable::Bfloat16, true>(),
            #[cfg(target_arch = "x86_64")]
            (Avx2, Float32) => block::float32_avx2_transposed(block),
            #[cfg(target_arch = "x86_64")]
            (Avx2, Bfloat16) => block::bfloat16_avx2_transposed(block),
            #[cfg(target_arch = "x86_64")]
            (Avx512, Float32) => block::float32_avx512_transposed(block),
            #[cfg(target_arch = "x86_64")]
            (Avx512, Bfloat16) => block::bfloat16_avx512_transposed(block),
            #[cfg(target_arch = "x86_64")]
            (Amx, Bfloat16) => tiles::bfloat16(block),
            #[cfg(target_arch = "x86_64")]
            (Amx, Float32) => unreachable!("no kernel multiplies float32 by AMX"),
        }
    }
}

/// A panel's words, `[words, width]`, as the left factor of [`multiply_columns`], and the distance of its columns in words.
/// Tiles take the panel transposed, which is written to `transposed`.
pub(crate) fn left_factor<'a>(
    kernel: Kernel,
    words: &'a [u32],
    transposed: &'a mut Vec<u32>,
) -> (&'a [u32], usize) {
    #[cfg(target_arch = "x86_64")]
    if kernel.instruction_set() == Amx {
        transposed.resize(words.len(), 0);
        tiles::transpose(words, transposed);
        return (transposed, words.len() / kernel.width());
    }
    let _ = (kernel, transposed);
    (words, 1)
}

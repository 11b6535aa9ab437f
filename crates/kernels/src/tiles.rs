/*!
Products by AMX, whose registers are tiles of sixteen rows of sixteen words: an instruction multiplies a tile of inputs by a
tile of weights. A panel has the order that tiles of weights need: words of the inner dimension below each other, outputs
side by side.

Rust has no stable intrinsics for these instructions, so they are written as assembly, a loop over the inner dimension for
each block. bfloat16 products are summed in another order than by vectors, and differ in their last bits; int8 sums are exact,
and the same.
*/

use std::mem::MaybeUninit;

use crate::block::Block;
use crate::cpu::has_amx;

/// Number of rows of a tile, and of words in each row.
pub(crate) const TILE: usize = 16;
/// Number of rows of inputs that are multiplied together.
pub(crate) const ROWS: usize = 2 * TILE;
/// Number of outputs in a panel.
const WIDTH: usize = 4 * TILE;
/// Number of bytes from one row of a panel to the next.
const STRIDE: usize = WIDTH * size_of::<u32>();

/// The shapes of the eight tiles, as `ldtilecfg` reads them.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Shapes {
    /// Full tiles, except those in `partial`, which have `rows` rows.
    fn new(rows: usize, partial: &[usize]) -> Self {
        let mut shapes = Shapes {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        shapes.row_bytes[..8].fill((TILE * size_of::<u32>()) as u16);
        shapes.rows[..8].fill(TILE as u8);
        for &tile in partial {
            shapes.rows[tile] = rows as u8;
        }
        shapes
    }

    /// Configures the tiles.
    ///
    /// # Safety
    /// The CPU has AMX, and the system permits it.
    unsafe fn load(&self) {
        // SAFETY: the structure is what the instruction reads.
        unsafe {
            std::arch::asm!("ldtilecfg [{}]", in(reg) self, options(nostack, readonly),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _);
        }
    }
}

/// The two loops for a precision. Both add the products of `words` words, a multiple of 16 above 0, to sums whose rows are
/// [`STRIDE`] bytes apart.
macro_rules! products {
    ($wide:ident, $tall:ident, $multiply:literal) => {
        /// Up to 16 rows by four tiles of weights.
        ///
        /// # Safety
        /// The tiles have the shapes of [`wide_shapes`], and the pointers lead to as many rows.
        unsafe fn $wide(sums: *mut u32, x: *const u32, x_row: usize, weights: *const u32, words: usize) {
            // SAFETY: loads and stores stay in what the caller vouches for.
            unsafe {
                std::arch::asm!(
                    "tileloadd tmm0, [{sums} + {stride}]",
                    "tileloadd tmm1, [{sums} + {stride} + 64]",
                    "tileloadd tmm2, [{sums} + {stride} + 128]",
                    "tileloadd tmm3, [{sums} + {stride} + 192]",
                    "2:",
                    "tileloadd tmm4, [{x} + {x_row}]",
                    "tileloadd tmm5, [{weights} + {stride}]",
                    concat!($multiply, " tmm0, tmm4, tmm5"),
                    "tileloadd tmm6, [{weights} + {stride} + 64]",
                    concat!($multiply, " tmm1, tmm4, tmm6"),
                    "tileloadd tmm7, [{weights} + {stride} + 128]",
                    concat!($multiply, " tmm2, tmm4, tmm7"),
                    "tileloadd tmm5, [{weights} + {stride} + 192]",
                    concat!($multiply, " tmm3, tmm4, tmm5"),
                    "add {x}, 64",
                    "add {weights}, 4096",
                    "dec {tiles}",
                    "jnz 2b",
                    "tilestored [{sums} + {stride}], tmm0",
                    "tilestored [{sums} + {stride} + 64], tmm1",
                    "tilestored [{sums} + {stride} + 128], tmm2",
                    "tilestored [{sums} + {stride} + 192], tmm3",
                    sums = in(reg) sums,
                    stride = in(reg) STRIDE,
                    x = inout(reg) x => _,
                    x_row = in(reg) x_row * size_of::<u32>(),
                    weights = inout(reg) weights => _,
                    tiles = inout(reg) words / TILE => _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack)
                );
            }
        }

        /// 16 rows and up to 16 more by two tiles of weights.
        ///
        /// # Safety
        /// The tiles have the shapes of [`tall_shapes`], and the pointers lead to as many rows.
        unsafe fn $tall(sums: *mut u32, x: *const u32, x_row: usize, weights: *const u32, words: usize) {
            // SAFETY: loads and stores stay in what the caller vouches for.
            unsafe {
                std::arch::asm!(
                    "tileloadd tmm0, [{sums} + {stride}]",
                    "tileloadd tmm1, [{sums} + {stride} + 64]",
                    "tileloadd tmm2, [{more_sums} + {stride}]",
                    "tileloadd tmm3, [{more_sums} + {stride} + 64]",
                    "2:",
                    "tileloadd tmm4, [{x} + {x_row}]",
                    "tileloadd tmm6, [{weights} + {stride}]",
                    concat!($multiply, " tmm0, tmm4, tmm6"),
                    "tileloadd tmm7, [{weights} + {stride} + 64]",
                    concat!($multiply, " tmm1, tmm4, tmm7"),
                    "tileloadd tmm5, [{more_x} + {x_row}]",
                    concat!($multiply, " tmm2, tmm5, tmm6"),
                    concat!($multiply, " tmm3, tmm5, tmm7"),
                    "add {x}, 64",
                    "add {more_x}, 64",
                    "add {weights}, 4096",
                    "dec {tiles}",
                    "jnz 2b",
                    "tilestored [{sums} + {stride}], tmm0",
                    "tilestored [{sums} + {stride} + 64], tmm1",
                    "tilestored [{more_sums} + {stride}], tmm2",
                    "tilestored [{more_sums} + {stride} + 64], tmm3",
                    sums = in(reg) sums,
                    more_sums = in(reg) sums.add(TILE * WIDTH),
                    stride = in(reg) STRIDE,
                    x = inout(reg) x => _,
                    more_x = inout(reg) x.add(TILE * x_row) => _,
                    x_row = in(reg) x_row * size_of::<u32>(),
                    weights = inout(reg) weights => _,
                    tiles = inout(reg) words / TILE => _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack)
                );
            }
        }
    };
}

products!(bfloat16_wide, bfloat16_tall, "tdpbf16ps");
products!(int8_wide, int8_tall, "tdpbusd");

fn wide_shapes(rows: usize) -> Shapes {
    Shapes::new(rows, &[0, 1, 2, 3, 4])
}

fn tall_shapes(rows: usize) -> Shapes {
    Shapes::new(rows - TILE, &[2, 3, 5])
}

/// Adds a block's products in bfloat16.
///
/// # Safety
/// The CPU has AMX, the block's words are a multiple of [`TILE`], and its pointers lead to what the comments on its fields say.
pub(crate) unsafe fn bfloat16(block: Block) {
    // SAFETY: the caller vouches for it.
    unsafe {
        for_each_rows(block.rows, |row, rows| {
            let sums = block.out.add(row * WIDTH).cast();
            multiply(&block, row, rows, sums, bfloat16_wide, bfloat16_tall);
        });
    }
}

/// Adds a block's products in int8, whose sums are integers until they are complete.
///
/// # Safety
/// As [`bfloat16`].
pub(crate) unsafe fn int8(block: Block) {
    let mut sums = [MaybeUninit::<i32>::uninit(); ROWS * WIDTH];
    // SAFETY: the caller vouches for the pointers. The sums of the current rows are written before they are read.
    unsafe {
        let corrections = std::slice::from_raw_parts(block.corrections.cast(), WIDTH);
        for_each_rows(block.rows, |row, rows| {
            for sums in sums.chunks_exact_mut(WIDTH).take(rows) {
                sums.copy_from_slice(corrections);
            }
            let integers = sums.as_mut_ptr().cast();
            multiply(&block, row, rows, integers, int8_wide, int8_tall);
            add_scaled(
                std::slice::from_raw_parts(sums.as_ptr().cast(), rows * WIDTH),
                std::slice::from_raw_parts(block.scales, WIDTH),
                std::slice::from_raw_parts(block.x_scales.add(row), rows),
                std::slice::from_raw_parts_mut(block.out.add(row * WIDTH), rows * WIDTH),
            );
        });
    }
}

/// Adds integers, times the scale of each output and of each row, rounded once as by vectors.
#[target_feature(enable = "avx512f,fma")]
fn add_scaled(sums: &[i32], scales: &[f32], x_scales: &[f32], out: &mut [f32]) {
    let rows = out.chunks_exact_mut(WIDTH).zip(sums.chunks_exact(WIDTH));
    for ((out, sums), x_scale) in rows.zip(x_scales) {
        for ((out, sum), scale) in out.iter_mut().zip(sums).zip(scales) {
            *out = (*sum as f32).mul_add(scale * x_scale, *out);
        }
    }
}

/// Calls `multiply` for up to [`ROWS`] rows at a time, with the first and their number.
///
/// # Safety
/// The CPU has AMX, and the system permits it.
unsafe fn for_each_rows(rows: usize, mut multiply: impl FnMut(usize, usize)) {
    for row in (0..rows).step_by(ROWS) {
        multiply(row, ROWS.min(rows - row));
    }
    // SAFETY: the CPU has AMX. Released tiles need not be saved when threads switch.
    unsafe {
        std::arch::asm!("tilerelease", options(nostack, nomem),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _);
    }
}

type Products = unsafe fn(*mut u32, *const u32, usize, *const u32, usize);

/// Multiplies up to [`ROWS`] rows of a block.
///
/// # Safety
/// As [`bfloat16`], and `sums` leads to as many rows of [`WIDTH`].
unsafe fn multiply(
    block: &Block,
    row: usize,
    rows: usize,
    sums: *mut u32,
    wide: Products,
    tall: Products,
) {
    debug_assert!(block.words.is_multiple_of(TILE));
    if block.words == 0 {
        return;
    }
    // SAFETY: the shapes are those that the rows need; the rest is the caller's.
    unsafe {
        let x = block.x.add(row * block.x_row);
        if rows <= TILE {
            wide_shapes(rows).load();
            wide(sums, x, block.x_row, block.weights, block.words);
            return;
        }
        if row == 0 || rows < ROWS {
            tall_shapes(rows).load();
        }
        for half in [0, WIDTH / 2] {
            let weights = block.weights.add(half);
            tall(sums.add(half), x, block.x_row, weights, block.words);
        }
    }
}

/// Transposes 16 columns of `[16, width]` words, from `from` on, into 16 rows of `[_, words]`.
///
/// # Safety
/// The CPU has AVX-512, and the pointers lead to 16 rows of the given widths.
#[target_feature(enable = "avx512f")]
unsafe fn transpose_tile(from: *const u32, width: usize, to: *mut u32, words: usize) {
    use std::arch::x86_64::*;
    // SAFETY: the caller vouches for the rows.
    unsafe {
        let rows: [__m512i; TILE] =
            std::array::from_fn(|row| _mm512_loadu_si512(from.add(row * width).cast()));
        // Words of two rows side by side, then of four, in each quarter of a vector; then the quarters are exchanged.
        let pairs: [__m512i; TILE] = std::array::from_fn(|i| {
            let (a, b) = (rows[i / 2 * 2], rows[i / 2 * 2 + 1]);
            if i % 2 == 0 {
                _mm512_unpacklo_epi32(a, b)
            } else {
                _mm512_unpackhi_epi32(a, b)
            }
        });
        let fours: [__m512i; TILE] = std::array::from_fn(|i| {
            let (group, column) = (i / 4 * 4, i % 4);
            let (a, b) = (pairs[group + column / 2], pairs[group + 2 + column / 2]);
            if column % 2 == 0 {
                _mm512_unpacklo_epi64(a, b)
            } else {
                _mm512_unpackhi_epi64(a, b)
            }
        });
        for column in 0..4 {
            let [a, b, c, d] = std::array::from_fn(|group| fours[4 * group + column]);
            let (even_ab, odd_ab) = (
                _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b),
                _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b),
            );
            let (even_cd, odd_cd) = (
                _mm512_shuffle_i32x4::<0b10_00_10_00>(c, d),
                _mm512_shuffle_i32x4::<0b11_01_11_01>(c, d),
            );
            let quarters = [
                _mm512_shuffle_i32x4::<0b10_00_10_00>(even_ab, even_cd),
                _mm512_shuffle_i32x4::<0b10_00_10_00>(odd_ab, odd_cd),
                _mm512_shuffle_i32x4::<0b11_01_11_01>(even_ab, even_cd),
                _mm512_shuffle_i32x4::<0b11_01_11_01>(odd_ab, odd_cd),
            ];
            for (quarter, vector) in quarters.into_iter().enumerate() {
                _mm512_storeu_si512(to.add((4 * quarter + column) * words).cast(), vector);
            }
        }
    }
}

/// Transposes the words of a panel, `[words, 64]`, into inputs for tiles, `[64, words]`.
///
/// # Panics
/// If the CPU has no AMX, or the words are not a multiple of [`TILE`].
pub(crate) fn transpose(panel: &[u32], transposed: &mut [u32]) {
    let words = panel.len() / WIDTH;
    assert!(has_amx() && words.is_multiple_of(TILE));
    assert!(panel.len() == words * WIDTH && transposed.len() == panel.len());
    for word in (0..words).step_by(TILE) {
        for at in (0..WIDTH).step_by(TILE) {
            // SAFETY: has_amx() includes AVX-512; both tiles lie within the slices, whose sizes were checked.
            unsafe {
                let from = panel.as_ptr().add(word * WIDTH + at);
                let to = transposed.as_mut_ptr().add(at * words + word);
                transpose_tile(from, WIDTH, to, words);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposed_panels_agree_with_the_plain_twin() {
        // Needs AMX.
        if !has_amx() {
            return;
        }
        for words in [0, 16, 48] {
            let panel: Vec<u32> = (0..(words * WIDTH) as u32).collect();
            let mut transposed = vec![0; panel.len()];
            transpose(&panel, &mut transposed);
            for (i, found) in transposed.into_iter().enumerate() {
                assert_eq!(found, panel[i % words * WIDTH + i / words]);
            }
        }
    }
}

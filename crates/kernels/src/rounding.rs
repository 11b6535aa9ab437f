/*!
Encodings of float32 in words of 32 bits: bfloat16, two to a word, and int8, four to a word.
*/

use crate::cpu::{LANES, for_each_cpu};

/// The two numbers of a word of bfloat16, the first from the lower half.
#[inline(always)]
pub(crate) fn bfloat16_pair(word: u32) -> (f32, f32) {
    (
        f32::from_bits(word << 16),
        f32::from_bits(word & 0xFFFF_0000),
    )
}

/// The bits of the nearest bfloat16, ties to even.
#[inline(always)]
fn bfloat16_bits(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + ((bits >> 16) & 1)) >> 16;
    // Rounding must not turn a NaN into an infinity.
    if value.is_nan() {
        (bits >> 16) | 0x40
    } else {
        rounded
    }
}

for_each_cpu! {
    /// Rounds `values` to bfloat16, two to a word. The last half word of an odd number of values is zero.
    pub(crate) fn encode_bfloat16(values: &[f32], words: &mut [u32]) {
        let _ = FMA;
        let (pairs, rest) = values.as_chunks::<2>();
        for (word, [low, high]) in words.iter_mut().zip(pairs) {
            *word = bfloat16_bits(*low) | bfloat16_bits(*high) << 16;
        }
        if let ([last], Some(word)) = (rest, words.last_mut()) {
            *word = bfloat16_bits(*last);
        }
    }
}

for_each_cpu! {
    /// Rounds the values of two rows to bfloat16, those at the same index to one word.
    pub(crate) fn encode_bfloat16_pairs(first: &[f32], second: &[f32], words: &mut [u32]) {
        let _ = FMA;
        for ((word, low), high) in words.iter_mut().zip(first).zip(second) {
            *word = bfloat16_bits(*low) | bfloat16_bits(*high) << 16;
        }
    }
}

for_each_cpu! {
    /// Rounds `values` to multiples of a 127th of the largest, four to a word, each with `offset` added. The last word is
    /// padded with zeros. Returns the value of one step: 0 if all values are zero.
    pub(crate) fn encode_int8(values: &[f32], offset: u8, words: &mut [u32]) -> f32 {
        let _ = FMA;
        let (blocks, rest) = values.as_chunks::<LANES>();
        let mut largest = [0.0f32; LANES];
        for block in blocks {
            for lane in 0..LANES {
                largest[lane] = largest[lane].max(block[lane].abs());
            }
        }
        let largest = largest.iter().chain(rest).fold(0.0f32, |largest, value| largest.max(value.abs()));
        let per_step = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        // Adding this leaves the nearest integer, -127 at least, in the low byte, and zero for NaN.
        const WHOLE: f32 = 12_582_912.0;
        let byte = |value: f32| ((value * per_step + WHOLE).to_bits() as u8).wrapping_add(offset);
        let (fours, rest) = values.as_chunks::<4>();
        for (word, four) in words.iter_mut().zip(fours) {
            *word = u32::from_le_bytes(four.map(byte));
        }
        if let (false, Some(word)) = (rest.is_empty(), words.last_mut()) {
            let mut last = [offset; 4];
            last.iter_mut().zip(rest).for_each(|(last, value)| *last = byte(*value));
            *word = u32::from_le_bytes(last);
        }
        largest / 127.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bfloat16_rounds_to_nearest_ties_to_even() {
        let table = [
            (1.0, 1.0),
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
            (-1.0 - 1.1 / 256.0, -1.0 - 2.0 / 256.0),
            (0.0, 0.0),
            (1e-40, 9.183_5e-41),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ];
        for (value, expected) in table {
            let mut words = [0];
            encode_bfloat16(&[value], &mut words);
            let (found, zero) = bfloat16_pair(words[0]);
            let close = (found - expected).abs() <= 1e-3 * expected.abs();
            assert!(
                zero == 0.0 && (found == expected || close),
                "{value} {found}"
            );
        }
        let mut words = [0; 2];
        encode_bfloat16(&[1.0, f32::from_bits(0x7F80_0001), 2.0], &mut words);
        assert!(bfloat16_pair(words[0]).0 == 1.0 && bfloat16_pair(words[0]).1.is_nan());
        assert_eq!(bfloat16_pair(words[1]), (2.0, 0.0));
    }

    #[test]
    fn int8_rounds_to_the_nearest_step_and_pads_with_zero() {
        let mut words = [0; 2];
        let step = encode_int8(&[127.0, -127.0, 0.4, -0.6, 2.5, 3.5], 0, &mut words);
        assert_eq!(step, 1.0);
        let bytes = words.map(|word| word.to_le_bytes().map(|byte| byte as i8));
        assert_eq!(bytes, [[127, -127, 0, -1], [2, 4, 0, 0]]);
        encode_int8(&[1.0, -1.0, 0.0], 128, &mut words[..1]);
        assert_eq!(words[0].to_le_bytes(), [255, 1, 128, 128]);
        assert_eq!(encode_int8(&[0.0; 5], 128, &mut words), 0.0);
        assert_eq!(words[0].to_le_bytes(), [128; 4]);
    }
}

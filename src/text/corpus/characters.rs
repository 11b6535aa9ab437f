/*!
Characters in pieces of UTF-8.
*/

/// Number of characters of a piece: of bytes that begin one. Of invalid UTF-8, an approximation.
pub(super) fn count_characters(piece: &[u8]) -> u64 {
    piece.iter().filter(|&&byte| starts_character(byte)).count() as u64
}

/// Offset of the character with the index `n`; the length of the piece if there is none.
pub(super) fn offset_of_character(piece: &[u8], n: usize) -> usize {
    let starts = piece
        .iter()
        .enumerate()
        .filter(|&(_, &byte)| starts_character(byte));
    starts
        .map(|(offset, _)| offset)
        .nth(n)
        .unwrap_or(piece.len())
}

fn starts_character(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

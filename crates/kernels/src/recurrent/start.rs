/*!
Where the sums of the gates start: the bias, alone or with products that were computed before.
*/

use std::ops::Range;

/// Largest vocabulary for which the first layer's input products are computed once for each token of the vocabulary, instead
/// of for each token of the text: a table that is no larger than the weights that it replaces, or not by much.
pub const TABLE_TOKENS: usize = 512;

/// The values that the sums of the gates start from, in the order of the panels: the bias, alone or with the products of
/// the input.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// `[panels, count, width]`.
    pub values: &'a [f32],
    /// For each stream (in a [`Tape`](super::Tape), for each step and stream), which of the `count` rows it starts from.
    pub rows: &'a [u32],
}

impl Start<'_> {
    /// Writes the values of one panel for a range of streams to `sums`, `[streams, width]`.
    pub(crate) fn copy_panel(
        &self,
        panel: usize,
        panels: usize,
        streams: Range<usize>,
        sums: &mut [f32],
    ) {
        let width = sums.len() / streams.len();
        let count = self.values.len() / (panels * width);
        for (sums, &row) in sums.chunks_exact_mut(width).zip(&self.rows[streams]) {
            assert!((row as usize) < count, "a start for each row");
            let first = (panel * count + row as usize) * width;
            sums.copy_from_slice(&self.values[first..first + width]);
        }
    }
}

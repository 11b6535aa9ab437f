/*!
Which documents a classifier has learnt from, by their hashes: its figures on these say nothing about other texts.
*/

use super::encoded_document::strip_markup;
use crate::checkpoint::WeightsFile;
use crate::checkpoint::architecture::DOCUMENT_HASHES;
use crate::error::Result;
use crate::text::Normalization;

/// Hashes of documents, sorted, without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LearntDocuments {
    hashes: Vec<u64>,
}

impl LearntDocuments {
    /// Hashes of texts.
    pub fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        Self::sorted(texts.map(text_hash).collect())
    }

    /// Opens the hashes of a checkpoint; `None` for one that has none, as it is of a language model or older than they are.
    ///
    /// # Errors
    /// A damaged tensor.
    pub fn load(weights: &WeightsFile) -> Result<Option<Self>> {
        if weights.shape(DOCUMENT_HASHES).is_err() {
            return Ok(None);
        }
        let integers = weights.integers(DOCUMENT_HASHES)?;
        let (pairs, _) = integers.as_chunks::<2>();
        let hash = |&[high, low]: &[u32; 2]| u64::from(high) << 32 | u64::from(low);
        Ok(Some(Self::sorted(pairs.iter().map(hash).collect())))
    }

    /// These documents and others.
    pub fn joined(self, other: Self) -> Self {
        Self::sorted([self.hashes, other.hashes].concat())
    }

    /// Whether a text is among the documents.
    pub fn contains(&self, text: &str) -> bool {
        self.hashes.binary_search(&text_hash(text)).is_ok()
    }

    /// The hashes as a checkpoint has them, `[documents, 2]`: upper and lower 32 bits.
    pub fn integers(&self) -> Vec<u32> {
        let halves = |&hash: &u64| [(hash >> 32) as u32, hash as u32];
        self.hashes.iter().flat_map(halves).collect()
    }

    fn sorted(mut hashes: Vec<u64>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        LearntDocuments { hashes }
    }
}

/// The first 64 bits of the BLAKE3 hash of a text without markup, in NFC, with single spaces between words. Hashes are stored in
/// checkpoints, so this must never change.
pub fn text_hash(text: &str) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for word in Normalization::Nfc
        .apply(&strip_markup(text))
        .split_whitespace()
    {
        hasher.update(word.as_bytes());
        hasher.update(b" ");
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_however_they_are_spaced() {
        let learnt = LearntDocuments::of(["a  good<br />film ", "", "a good film"].into_iter());
        assert_eq!(learnt.integers().len(), 4);
        for (text, expected) in [
            ("a good film", true),
            ("\ta good\nfilm", true),
            (" ", true),
            ("agood film", false),
            ("A good film", false),
        ] {
            assert_eq!(learnt.contains(text), expected, "{text:?}");
        }
        let joined = learnt.joined(LearntDocuments::of(["another"].into_iter()));
        assert!(joined.contains("another") && joined.contains("a good film"));
        // Stored hashes are found again by later versions.
        assert_eq!(text_hash("a good film"), stored("a good film "));
    }

    fn stored(bytes: &str) -> u64 {
        let hash = blake3::hash(bytes.as_bytes());
        u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap())
    }
}

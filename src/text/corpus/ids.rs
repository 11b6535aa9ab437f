/*!
Token ids in a memory-mapped file.
*/

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::{Error, Result};
use crate::files;

/// Token ids in a memory-mapped file, or a range of them.
#[derive(Clone)]
pub struct Ids {
    map: Option<Arc<Mmap>>,
    width: IdWidth,
    range: Range<usize>,
}

/// Number of bytes of an id on disk: as few as the vocabulary allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdWidth {
    One,
    Two,
    Four,
}

impl IdWidth {
    /// The width for a vocabulary of `vocab_size` tokens.
    pub fn of(vocab_size: usize) -> Self {
        match vocab_size {
            0..=0x100 => IdWidth::One,
            0x101..=0x1_0000 => IdWidth::Two,
            _ => IdWidth::Four,
        }
    }

    fn bytes(self) -> usize {
        match self {
            IdWidth::One => 1,
            IdWidth::Two => 2,
            IdWidth::Four => 4,
        }
    }

    /// Appends ids as they are stored, little-endian.
    pub fn append(self, ids: &[u32], out: &mut Vec<u8>) {
        match self {
            IdWidth::One => out.extend(ids.iter().map(|&id| id as u8)),
            IdWidth::Two => ids
                .iter()
                .for_each(|&id| out.extend_from_slice(&(id as u16).to_le_bytes())),
            IdWidth::Four => ids
                .iter()
                .for_each(|&id| out.extend_from_slice(&id.to_le_bytes())),
        }
    }
}

impl Ids {
    /// Maps a file of ids of a vocabulary of `vocab_size` tokens. `path` is for the message.
    pub(super) fn map(file: &File, path: &Path, vocab_size: usize) -> Result<Self> {
        let width = IdWidth::of(vocab_size);
        let length = file
            .metadata()
            .map_err(|e| Error::file("read", path, e))?
            .len() as usize;
        // An empty file cannot be mapped.
        let map = if length == 0 {
            None
        } else {
            Some(Arc::new(files::map_file(file, path)?))
        };
        Ok(Ids {
            map,
            width,
            range: 0..length / width.bytes(),
        })
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there are no ids.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The id at `index`.
    ///
    /// # Panics
    /// If `index` is not below `len()`.
    pub fn get(&self, index: usize) -> u32 {
        self.read(index..index + 1)
            .next()
            .expect("the range holds one id")
    }

    /// The ids in a range.
    ///
    /// # Panics
    /// If the range is not within `0..len()`.
    pub fn read(&self, range: Range<usize>) -> impl DoubleEndedIterator<Item = u32> + '_ {
        let range = self.absolute(range);
        let width = self.width.bytes();
        let bytes = self
            .map
            .as_ref()
            .map_or(&[][..], |map| &map[range.start * width..range.end * width]);
        bytes.chunks_exact(width).map(|b| match *b {
            [a] => u32::from(a),
            [a, b] => u32::from(u16::from_le_bytes([a, b])),
            [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
            _ => unreachable!("an id has one, two or four bytes"),
        })
    }

    /// The ids in a range, over the same map.
    ///
    /// # Panics
    /// If the range is not within `0..len()`.
    pub fn slice(&self, range: Range<usize>) -> Self {
        Ids {
            range: self.absolute(range),
            ..self.clone()
        }
    }

    /// A range of these ids as one of the whole file.
    fn absolute(&self, range: Range<usize>) -> Range<usize> {
        assert!(
            range.start <= range.end && range.end <= self.len(),
            "{range:?} of {} ids",
            self.len()
        );
        self.range.start + range.start..self.range.start + range.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_narrow_as_the_vocabulary_allows() {
        for (vocab_size, width) in [(256, 1), (257, 2), (65_536, 2), (65_537, 4)] {
            assert_eq!(IdWidth::of(vocab_size).bytes(), width);
        }
        let mut bytes = Vec::new();
        IdWidth::Four.append(&[70_000], &mut bytes);
        assert_eq!(bytes, 70_000u32.to_le_bytes());
    }
}

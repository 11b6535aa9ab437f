/*!
The size of a text under xz, a compressor for any data, after it has read a training text.
*/

use std::io::Write;

use liblzma::stream::{Check, Stream};
use liblzma::write::XzEncoder;

use crate::error::{Error, Result};

/// As `xz -9e`.
const PRESET: u32 = 9 | 1 << 31;

/// Bytes that `text` adds to the compressed size of `train`, when it follows it: the size of both less that of `train`
/// alone, both as `xz -9e` compresses them.
///
/// # Errors
/// If there is too little memory.
pub fn added_size(train: &[u8], text: &[u8]) -> Result<u64> {
    let (both, alone) = std::thread::scope(|scope| {
        let alone = scope.spawn(|| compressed_size(&[train]));
        let both = compressed_size(&[train, text]);
        (both, alone.join().expect("compressing does not panic"))
    });
    Ok(both?.saturating_sub(alone?))
}

/// Counts bytes that are written.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn compressed_size(parts: &[&[u8]]) -> Result<u64> {
    let failed = |e: &dyn std::fmt::Display| Error::new(format!("xz cannot compress: {e}"));
    let stream = Stream::new_easy_encoder(PRESET, Check::Crc64).map_err(|e| failed(&e))?;
    let mut encoder = XzEncoder::new_stream(Counter(0), stream);
    for part in parts {
        encoder.write_all(part).map_err(|e| failed(&e))?;
    }
    Ok(encoder.finish().map_err(|e| failed(&e))?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_was_read_before_adds_little() {
        let words = ["river", "stone", "lamp", "quiet", "seven", "birds", "north"];
        let text = |seed: usize| -> Vec<u8> {
            let word = |i: usize| words[(i * i * seed + i / 3) % words.len()];
            (0..2000)
                .flat_map(|i| word(i).bytes().chain(*b" "))
                .collect()
        };
        let (known, other) = (text(5), text(11));
        assert!(added_size(&known, &known).unwrap() < 200);
        let alone = compressed_size(&[&other]).unwrap();
        let added = added_size(&known, &other).unwrap();
        assert!(0 < added && added < alone, "{added} of {alone}");
        // `printf aaaa | xz -9e | wc -c`
        assert_eq!(compressed_size(&[b"aaaa"]).unwrap(), 60);
    }
}

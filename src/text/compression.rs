/*!
Decompression of gzip, Zstandard and xz, which are recognised by their first bytes.
*/

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::error::{Error, Result};

/// A source of bytes.
pub(super) type Input = Box<dyn Read + Send>;

/// The first bytes of compressed files, each between two bounds: gzip, Zstandard, its frames without data, xz.
const MAGICS: [&[[u8; 2]]; 4] = [
    &[[0x1F, 0x1F], [0x8B, 0x8B], [8, 8]],
    &[[0x28, 0x28], [0xB5, 0xB5], [0x2F, 0x2F], [0xFD, 0xFD]],
    &[[0x50, 0x5F], [0x2A, 0x2A], [0x4D, 0x4D], [0x18, 0x18]],
    &[
        [0xFD, 0xFD],
        [b'7', b'7'],
        [b'z', b'z'],
        [b'X', b'X'],
        [b'Z', b'Z'],
        [0, 0],
    ],
];

/// The bytes of a source, decompressed.
pub(super) struct Decompressed {
    /// The bytes.
    pub input: Input,
    /// Whether they were compressed.
    pub was_compressed: bool,
}

impl Decompressed {
    /// The bytes of the file at `path`.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |e| Error::file("read", path, e);
        let file = File::open(path).map_err(failed)?;
        Self::new(Box::new(file)).map_err(failed)
    }

    /// The bytes of `input`.
    ///
    /// # Errors
    /// If its first bytes cannot be read.
    pub fn new(mut input: Input) -> io::Result<Self> {
        let start = read_start(&mut input, may_be_compressed)?;
        let magic = start.clone();
        let whole = Cursor::new(start).chain(input);
        let input: Input = match magic[..] {
            [0x1F, 0x8B, 8, ..] => Box::new(MultiGzDecoder::new(whole)),
            // The second kind of frame holds no data: parallel compressors begin with one.
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => {
                Box::new(ZstdFrames::new(Box::new(whole)))
            }
            [0xFD, b'7', b'z', b'X', b'Z', 0] => Box::new(XzDecoder::new_multi_decoder(whole)),
            _ => {
                return Ok(Decompressed {
                    input: Box::new(whole),
                    was_compressed: false,
                });
            }
        };
        Ok(Decompressed {
            input,
            was_compressed: true,
        })
    }
}

/// Reads the first bytes of `input`, as long as those read `may_begin` something that more of them tell: who types `a` and a
/// line end is to be answered before there is more.
pub(super) fn read_start(
    input: &mut impl Read,
    may_begin: impl Fn(&[u8]) -> bool,
) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    while may_begin(&start) && input.by_ref().take(1).read_to_end(&mut start)? == 1 {}
    Ok(start)
}

/// Whether more bytes than these, the first of a file, tell how it is compressed.
fn may_be_compressed(start: &[u8]) -> bool {
    let continues = |magic: &&[[u8; 2]]| {
        let mut pairs = start.iter().zip(magic.iter());
        start.len() < magic.len() && pairs.all(|(byte, [low, high])| (low..=high).contains(&byte))
    };
    MAGICS.iter().any(continues)
}

/// Decoder of the frames of a Zstandard file, one after another.
struct ZstdFrames {
    input: BufReader<Input>,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl ZstdFrames {
    fn new(input: Input) -> Self {
        ZstdFrames {
            input: BufReader::new(input),
            decoder: FrameDecoder::new(),
            in_frame: false,
        }
    }

    /// Begins the next frame, or skips it if it holds no data; whether it was begun.
    fn begin_frame(&mut self) -> io::Result<bool> {
        use FrameDecoderError::ReadFrameHeaderError as NotBegun;
        let length = match self.decoder.init(&mut self.input) {
            Ok(()) => return Ok(true),
            Err(NotBegun(ReadFrameHeaderError::SkipFrame { length, .. })) => u64::from(length),
            Err(e) => return Err(io::Error::other(e)),
        };
        match io::copy(&mut self.input.by_ref().take(length), &mut io::sink())? {
            skipped if skipped == length => Ok(false),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Checks what was decoded against the frame's checksum, if it has one.
    fn end_frame(&mut self) -> io::Result<()> {
        self.in_frame = false;
        let written = self.decoder.get_checksum_from_data();
        match written.is_some() && written != self.decoder.get_calculated_checksum() {
            true => Err(io::Error::other(
                "the checksum of the compressed data is wrong",
            )),
            false => Ok(()),
        }
    }
}

impl Read for ZstdFrames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame {
                if self.input.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                self.in_frame = self.begin_frame()?;
                continue;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = self.decoder.decode_blocks(&mut self.input, one);
                decoded.map_err(io::Error::other)?;
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            self.end_frame()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn decompress(bytes: &[u8]) -> io::Result<(Vec<u8>, bool)> {
        let mut decompressed = Decompressed::new(Box::new(Cursor::new(bytes.to_vec())))?;
        let mut all = Vec::new();
        decompressed.input.read_to_end(&mut all)?;
        Ok((all, decompressed.was_compressed))
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn xz(text: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_compression_is_undone_also_of_joined_files() {
        let (one, two) = ("so it goes\n".repeat(30_000), "and on\n".repeat(9));
        let (one, two) = (one.as_bytes(), two.as_bytes());
        for compress in [gzip, zstd, xz] {
            let joined = [compress(one), compress(two)].concat();
            assert_eq!(
                decompress(&joined).unwrap(),
                ([one, two].concat(), true),
                "{:?}",
                &joined[..4]
            );
        }
        assert_eq!(decompress(two).unwrap(), (two.to_vec(), false));
        assert_eq!(decompress(b"").unwrap(), (Vec::new(), false));
    }

    #[test]
    fn frames_without_data_are_skipped() {
        let skipped = [b"\x50\x2A\x4D\x18\x03\0\0\0abc".to_vec(), zstd(b"text")].concat();
        assert_eq!(decompress(&skipped).unwrap().0, b"text");
    }

    #[test]
    fn damaged_files_are_errors() {
        let text = "word after word\n".repeat(500);
        for compress in [gzip, zstd, xz] {
            let mut bytes = compress(text.as_bytes());
            let cut = &bytes[..bytes.len() - 9];
            assert!(decompress(cut).is_err(), "{:?} cut", &cut[..4]);
            // The check of the content is at the end of gzip and Zstandard, and within the last 40 bytes of xz.
            let at = bytes.len() - if bytes[0] == 0xFD { 36 } else { 5 };
            bytes[at] ^= 0x40;
            assert!(decompress(&bytes).is_err(), "{:?} damaged", &bytes[..4]);
        }
    }
}

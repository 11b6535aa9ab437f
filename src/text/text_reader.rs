/*!
The reader of text: it decompresses, decodes and converts line ends. Whatever is read as text comes through it.
*/

use std::io::{self, BufRead, Read};
use std::path::Path;

use super::compression::{Decompressed, Input, read_start};
use super::decoding::{ByteDecoder, DecodingNotes, Encoding, InvalidBytes, LineEndings};
use crate::error::{Error, Result};

/// Number of bytes of a file that are read at once.
pub(super) const BLOCK: usize = 1 << 20;
/// Number of bytes of a pipe that are waited for, so that what comes slowly is answered soon.
const PIPE_BLOCK: usize = 1 << 16;

/// A reader of text: valid UTF-8 without a byte order mark, with LF for CRLF.
///
/// As a [`BufRead`] it passes on an [`Error`] inside of an [`io::Error`]; [`Error::of_reader`] takes it out.
pub struct TextReader {
    input: Input,
    name: String,
    /// Number of bytes that are read at once.
    block: usize,
    /// Whether as many are waited for.
    waits: bool,
    decoder: ByteDecoder,
    line_endings: LineEndings,
    /// What was read and not yet decoded.
    bytes: Vec<u8>,
    /// Whether `bytes` are the last ones.
    at_end: bool,
    /// What was decoded; what is before `position` has been taken.
    text: String,
    position: usize,
    /// Whether everything was decoded.
    finished: bool,
    notes: DecodingNotes,
}

impl TextReader {
    /// A reader of the file at `path`.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn open(path: &Path, invalid: InvalidBytes) -> Result<Self> {
        let bytes = Decompressed::open(path)?;
        Self::of_bytes(bytes, path.display().to_string(), BLOCK, invalid)
    }

    /// A reader of `input`, such as a pipe, whose name in messages is `name`.
    ///
    /// # Errors
    /// If its first bytes cannot be read.
    pub fn new(
        input: impl Read + Send + 'static,
        name: &str,
        invalid: InvalidBytes,
    ) -> Result<Self> {
        let bytes = Decompressed::new(Box::new(input))
            .map_err(|e| Error::file("read", Path::new(name), e))?;
        Self::of_bytes(bytes, name.to_string(), PIPE_BLOCK, invalid)
    }

    fn of_bytes(
        bytes: Decompressed,
        name: String,
        block: usize,
        invalid: InvalidBytes,
    ) -> Result<Self> {
        let mut input = bytes.input;
        let mut start = read_start(&mut input, Encoding::may_be_marked)
            .map_err(|e| Error::file("read", Path::new(&name), e))?;
        let encoding = Encoding::of(&start);
        start.drain(..encoding.mark_length());
        Ok(TextReader {
            input,
            decoder: ByteDecoder::new(&name, encoding, invalid),
            name,
            block,
            waits: true,
            line_endings: LineEndings::default(),
            bytes: start,
            at_end: false,
            text: String::new(),
            position: 0,
            finished: false,
            notes: DecodingNotes {
                compressed_files: u64::from(bytes.was_compressed),
                utf16_files: u64::from(encoding.is_utf16()),
                ..DecodingNotes::default()
            },
        })
    }

    /// The same reader, which passes on what there is instead of waiting for more: for lines that are answered one by one.
    pub fn unbuffered(mut self) -> Self {
        self.waits = false;
        self
    }

    /// The next piece of the text, at least a character; nothing at the end.
    ///
    /// # Errors
    /// A source that cannot be read. Invalid bytes, unless they are replaced: the message names file, line and offset.
    pub fn piece(&mut self) -> Result<&str> {
        while self.position == self.text.len() && !self.finished {
            self.read_block()?;
            self.text.clear();
            self.position = 0;
            let (decoder, notes) = (&mut self.decoder, &mut self.notes);
            let taken = decoder.decode(&self.bytes, self.at_end, &mut self.text, notes)?;
            self.bytes.drain(..taken);
            self.line_endings
                .convert(&mut self.text, self.at_end, notes);
            self.finished = self.at_end;
        }
        Ok(&self.text[self.position..])
    }

    /// The text that was decoded and is next; it may be empty before [`TextReader::piece`].
    pub fn decoded(&self) -> &str {
        &self.text[self.position..]
    }

    /// Everything that is left.
    ///
    /// # Errors
    /// As [`TextReader::piece`].
    pub fn rest(&mut self) -> Result<String> {
        let mut text = String::new();
        loop {
            let piece = self.piece()?;
            if piece.is_empty() {
                return Ok(text);
            }
            text.push_str(piece);
            self.position = self.text.len();
        }
    }

    /// Notes for the user on how the text was decoded so far.
    pub fn notes(&self) -> &DecodingNotes {
        &self.notes
    }

    /// Reads until there is a whole block to decode, or to the end; or what there is, if it does not wait.
    fn read_block(&mut self) -> Result<()> {
        let before = self.bytes.len();
        let missing = self.block - before;
        let read = match self.waits {
            true => self
                .input
                .by_ref()
                .take(missing as u64)
                .read_to_end(&mut self.bytes),
            false => {
                self.bytes.resize(self.block, 0);
                let read = read_some(&mut self.input, &mut self.bytes[before..]);
                self.bytes.truncate(before + read.as_ref().unwrap_or(&0));
                read
            }
        };
        let read = read.map_err(|e| Error::file("read", Path::new(&self.name), e))?;
        self.at_end = if self.waits {
            read < missing
        } else {
            read == 0
        };
        Ok(())
    }
}

/// Reads what there is; nothing at the end.
fn read_some(input: &mut Input, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

impl BufRead for TextReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.piece().map(str::as_bytes).map_err(io::Error::other)
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount;
    }
}

impl Read for TextReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/*!
Decoding of files: byte order marks, UTF-16, CRLF, and invalid UTF-8.
*/

use crate::error::{Error, Result};

/// Notes for the user on how files were decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodingNotes {
    /// Number of files that are compressed.
    pub compressed_files: u64,
    /// Number of invalid byte sequences that were replaced by U+FFFD.
    pub replaced: u64,
    /// Number of files that are UTF-16.
    pub utf16_files: u64,
    /// Whether any line ends in CRLF.
    pub crlf: bool,
}

impl DecodingNotes {
    /// The notes as messages.
    pub fn messages(&self) -> Vec<String> {
        let mut messages = Vec::new();
        if self.compressed_files > 0 {
            messages.push(format!("files decompressed: {}", self.compressed_files));
        }
        if self.utf16_files > 0 {
            messages.push(format!("files decoded as UTF-16: {}", self.utf16_files));
        }
        if self.crlf {
            messages.push("CRLF line ends were converted to LF".to_string());
        }
        messages.extend(self.replacements());
        messages
    }

    /// The number of replacements as a message, if there are any.
    pub fn replacements(&self) -> Option<String> {
        (self.replaced > 0).then(|| {
            format!(
                "invalid byte sequences replaced by U+FFFD (--lossy): {}",
                self.replaced
            )
        })
    }

    /// Adds the notes on another file.
    pub fn add(&mut self, other: &DecodingNotes) {
        self.compressed_files += other.compressed_files;
        self.replaced += other.replaced;
        self.utf16_files += other.utf16_files;
        self.crlf |= other.crlf;
    }
}

/// Encoding of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Utf8Marked,
    Utf16Little,
    Utf16Big,
}

impl Encoding {
    /// Whether more bytes than these, the first of a file, tell its encoding.
    pub fn may_be_marked(start: &[u8]) -> bool {
        let marks: [&[u8]; 3] = [&[0xEF, 0xBB, 0xBF], &[0xFF, 0xFE], &[0xFE, 0xFF]];
        marks
            .iter()
            .any(|mark| start.len() < mark.len() && mark.starts_with(start))
    }

    /// The encoding of a file that begins with `start`.
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0xEF, 0xBB, 0xBF, ..] => Encoding::Utf8Marked,
            [0xFF, 0xFE, ..] => Encoding::Utf16Little,
            [0xFE, 0xFF, ..] => Encoding::Utf16Big,
            _ => Encoding::Utf8,
        }
    }

    /// Number of bytes of the byte order mark.
    pub fn mark_length(self) -> usize {
        match self {
            Encoding::Utf8 => 0,
            Encoding::Utf8Marked => 3,
            Encoding::Utf16Little | Encoding::Utf16Big => 2,
        }
    }

    /// Whether this is UTF-16.
    pub fn is_utf16(self) -> bool {
        matches!(self, Encoding::Utf16Little | Encoding::Utf16Big)
    }
}

/// What happens to invalid byte sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidBytes {
    /// Each is replaced by U+FFFD.
    Replaced,
    /// They are errors, which end with this advice.
    Refused(&'static str),
}

impl InvalidBytes {
    /// What `--lossy` chooses, for commands that have this option.
    pub fn lossy(lossy: bool) -> Self {
        match lossy {
            true => InvalidBytes::Replaced,
            false => InvalidBytes::Refused("convert the file, or replace invalid bytes (--lossy)"),
        }
    }
}

/// Decoder of a file that comes in blocks.
pub(super) struct ByteDecoder {
    /// Name of the file, for messages.
    name: String,
    invalid: InvalidBytes,
    encoding: Encoding,
    /// Offset in the file of the next byte to decode.
    offset: u64,
    /// Number of the line that is being decoded, from 1.
    line: u64,
}

impl ByteDecoder {
    /// A decoder that begins after the byte order mark. `name` is that of the file, for messages.
    pub fn new(name: &str, encoding: Encoding, invalid: InvalidBytes) -> Self {
        ByteDecoder {
            name: name.to_string(),
            invalid,
            encoding,
            offset: encoding.mark_length() as u64,
            line: 1,
        }
    }

    /// Appends to `text` what can be decoded of `bytes` without knowing what follows, and returns its number of bytes.
    /// At the end of the file that is all.
    ///
    /// # Errors
    /// Invalid sequences, unless they are replaced: the message names file, line and offset.
    pub fn decode(
        &mut self,
        bytes: &[u8],
        at_end: bool,
        text: &mut String,
        notes: &mut DecodingNotes,
    ) -> Result<usize> {
        if self.encoding.is_utf16() {
            self.decode_utf16(bytes, at_end, text, notes)
        } else {
            self.decode_utf8(bytes, at_end, text, notes)
        }
    }

    fn decode_utf8(
        &mut self,
        bytes: &[u8],
        at_end: bool,
        text: &mut String,
        notes: &mut DecodingNotes,
    ) -> Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            let (valid, invalid_length) = match std::str::from_utf8(rest) {
                Ok(valid) => (valid, 0),
                Err(error) => {
                    let (valid, invalid) = rest.split_at(error.valid_up_to());
                    let valid = std::str::from_utf8(valid).expect("checked just before");
                    match error.error_len() {
                        Some(length) => (valid, length),
                        None if at_end => (valid, invalid.len()),
                        None => {
                            self.accept(valid, text, notes)?;
                            return Ok(taken + valid.len());
                        }
                    }
                }
            };
            self.accept(valid, text, notes)?;
            taken += valid.len();
            if invalid_length > 0 {
                self.reject(bytes[taken], text, notes)?;
                self.offset += invalid_length as u64;
                taken += invalid_length;
            }
        }
        Ok(taken)
    }

    /// Appends valid UTF-8. NUL is valid UTF-8, but treated as invalid: it occurs in binary files only.
    fn accept(&mut self, valid: &str, text: &mut String, notes: &mut DecodingNotes) -> Result<()> {
        let mut rest = valid;
        while let Some(zero) = rest.as_bytes().iter().position(|&b| b == 0) {
            let (before, after) = rest.split_at(zero);
            self.advance(before);
            text.push_str(before);
            self.reject(0, text, notes)?;
            self.offset += 1;
            rest = &after[1..];
        }
        self.advance(rest);
        text.push_str(rest);
        Ok(())
    }

    /// Moves offset and line past decoded UTF-8.
    fn advance(&mut self, text: &str) {
        self.offset += text.len() as u64;
        self.line += text.as_bytes().iter().filter(|&&b| b == b'\n').count() as u64;
    }

    fn decode_utf16(
        &mut self,
        bytes: &[u8],
        at_end: bool,
        text: &mut String,
        notes: &mut DecodingNotes,
    ) -> Result<usize> {
        let from_bytes = match self.encoding {
            Encoding::Utf16Big => u16::from_be_bytes,
            _ => u16::from_le_bytes,
        };
        let mut units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|pair| from_bytes([pair[0], pair[1]]))
            .collect();
        let whole = units.len() * 2;
        let high_surrogate = |unit: &u16| (0xD800..0xDC00).contains(unit);
        if !at_end && units.last().is_some_and(high_surrogate) {
            units.pop();
        }
        for decoded in char::decode_utf16(units.iter().copied()) {
            match decoded {
                Ok('\0') => {
                    self.reject(0, text, notes)?;
                    self.offset += 2;
                }
                Ok(c) => {
                    text.push(c);
                    self.line += u64::from(c == '\n');
                    self.offset += 2 * c.len_utf16() as u64;
                }
                Err(error) => {
                    self.reject(error.unpaired_surrogate().to_be_bytes()[0], text, notes)?;
                    self.offset += 2;
                }
            }
        }
        if at_end && whole < bytes.len() {
            self.reject(bytes[whole], text, notes)?;
            return Ok(bytes.len());
        }
        Ok(units.len() * 2)
    }

    /// Replaces an invalid sequence that begins with `byte`, or fails.
    fn reject(&self, byte: u8, text: &mut String, notes: &mut DecodingNotes) -> Result<()> {
        let InvalidBytes::Refused(advice) = self.invalid else {
            notes.replaced += 1;
            text.push(char::REPLACEMENT_CHARACTER);
            return Ok(());
        };
        let encoding = if self.encoding.is_utf16() {
            "UTF-16"
        } else {
            "UTF-8"
        };
        Err(Error::new(format!(
            "{} is not {encoding} text: line {}, byte offset {}, found byte 0x{byte:02X}; {advice}",
            self.name, self.line, self.offset,
        )))
    }
}

/// Converts CRLF to LF in text that comes in pieces. A single CR stays.
#[derive(Default)]
pub(super) struct LineEndings {
    /// Whether the last piece ended in a CR, which is held back.
    carriage_return: bool,
}

impl LineEndings {
    /// Converts the line endings of the next piece.
    pub fn convert(&mut self, text: &mut String, at_end: bool, notes: &mut DecodingNotes) {
        if std::mem::take(&mut self.carriage_return) {
            text.insert(0, '\r');
        }
        if !text.as_bytes().contains(&b'\r') {
            return;
        }
        self.carriage_return = !at_end && text.ends_with('\r');
        if self.carriage_return {
            text.pop();
        }
        if text.contains("\r\n") {
            notes.crlf = true;
            *text = text.replace("\r\n", "\n");
        }
    }
}

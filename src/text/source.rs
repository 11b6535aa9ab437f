/*!
Files as text: byte order marks, UTF-16, CRLF, and bytes that are no text at all.

Everything is read in blocks of [`BLOCK`] bytes, so a corpus may be larger than memory.
*/

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// How much is read at once.
pub const BLOCK: usize = 1 << 20;

/// What a reader takes the bytes of a file for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Bytes, untouched.
    Bytes,
    /// Text: decoded to UTF-8 without a byte order mark, CRLF as LF.
    Text,
    /// Text whose last line is ended, if need be by us.
    Lines,
}

/// What was noticed while reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Sequences of bytes that were no text and became U+FFFD.
    pub replaced: u64,
    /// Files that were UTF-16.
    pub utf16_files: u64,
    /// Whether any line ended in CRLF.
    pub crlf: bool,
}

impl Findings {
    /// Sentences worth telling the user.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match self.utf16_files {
            0 => {}
            1 => notes.push("one file is UTF-16 and was read as such".to_string()),
            n => notes.push(format!("{n} files are UTF-16 and were read as such")),
        }
        if self.crlf {
            notes.push("line ends are CRLF and were read as LF".to_string());
        }
        if self.replaced > 0 {
            notes.push(format!(
                "{} byte sequences were no text and were replaced (--lossy)",
                self.replaced
            ));
        }
        notes
    }
}

/// The files that `paths` name: a folder stands for every file below it, hidden ones left out, in the order of their names.
pub fn list_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|e| Error::file("read", path, e))?;
        if metadata.is_dir() {
            let before = files.len();
            list_folder(path, &mut files)?;
            if files.len() == before {
                return Err(Error::new(format!(
                    "the folder {} holds no files",
                    path.display()
                )));
            }
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn list_folder(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |e| Error::file("read the folder", folder, e);
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<std::io::Result<_>>()
        .map_err(failed)?;
    entries.sort();
    for path in entries {
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            list_folder(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Reads the files one after another and hands the text over in pieces. Unless the form is [`Form::Bytes`] each piece
/// is valid UTF-8, and a line end stands between two files.
///
/// # Errors
/// Bytes that are no text, unless `lossy`: the message names file, line and offset.
pub fn read(
    files: &[PathBuf],
    form: Form,
    lossy: bool,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut open_line = false;
    for path in files {
        let mut needs_line_end = open_line && form != Form::Bytes;
        read_file(path, form, lossy, &mut findings, &mut |piece| {
            let Some(last) = piece.last() else {
                return Ok(());
            };
            open_line = *last != b'\n';
            if std::mem::take(&mut needs_line_end) {
                each(b"\n")?;
            }
            each(piece)
        })?;
    }
    if open_line && form == Form::Lines {
        each(b"\n")?;
    }
    Ok(findings)
}

fn read_file(
    path: &Path,
    form: Form,
    lossy: bool,
    findings: &mut Findings,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut file = File::open(path).map_err(|e| Error::file("read", path, e))?;
    let mut fill = |buffer: &mut Vec<u8>| -> Result<bool> {
        let before = buffer.len();
        file.by_ref()
            .take((BLOCK - before) as u64)
            .read_to_end(buffer)
            .map_err(|e| Error::file("read", path, e))?;
        Ok(buffer.len() < BLOCK)
    };
    let mut buffer = Vec::with_capacity(BLOCK);
    let mut at_end = fill(&mut buffer)?;
    if form == Form::Bytes {
        loop {
            each(&buffer)?;
            if at_end {
                return Ok(());
            }
            buffer.clear();
            at_end = fill(&mut buffer)?;
        }
    }

    let encoding = Encoding::of(&buffer);
    buffer.drain(..encoding.mark_length());
    if encoding != Encoding::Utf8 {
        findings.utf16_files += 1;
    }
    let mut decoder = Decoder {
        path,
        lossy,
        encoding,
        offset: encoding.mark_length() as u64,
        line: 1,
    };
    let mut line_ends = LineEnds::default();
    let mut text = String::new();
    loop {
        text.clear();
        let taken = decoder.decode(&buffer, at_end, &mut text, findings)?;
        buffer.drain(..taken);
        each(line_ends.unify(&text, at_end, findings))?;
        if at_end {
            return Ok(());
        }
        at_end = fill(&mut buffer)?;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf8Marked,
    Utf16Little,
    Utf16Big,
}

impl Encoding {
    fn of(start: &[u8]) -> Self {
        match start {
            [0xEF, 0xBB, 0xBF, ..] => Encoding::Utf8Marked,
            [0xFF, 0xFE, ..] => Encoding::Utf16Little,
            [0xFE, 0xFF, ..] => Encoding::Utf16Big,
            _ => Encoding::Utf8,
        }
    }

    fn mark_length(self) -> usize {
        match self {
            Encoding::Utf8 => 0,
            Encoding::Utf8Marked => 3,
            Encoding::Utf16Little | Encoding::Utf16Big => 2,
        }
    }

    fn is_utf16(self) -> bool {
        matches!(self, Encoding::Utf16Little | Encoding::Utf16Big)
    }
}

struct Decoder<'a> {
    path: &'a Path,
    lossy: bool,
    encoding: Encoding,
    /// Of the next byte to decode, in the file.
    offset: u64,
    line: u64,
}

impl Decoder<'_> {
    /// Decodes as much of `bytes` as is certain, and returns how much that is.
    fn decode(
        &mut self,
        bytes: &[u8],
        at_end: bool,
        text: &mut String,
        findings: &mut Findings,
    ) -> Result<usize> {
        if self.encoding.is_utf16() {
            self.decode_utf16(bytes, at_end, text, findings)
        } else {
            self.decode_utf8(bytes, at_end, text, findings)
        }
    }

    fn decode_utf8(
        &mut self,
        bytes: &[u8],
        at_end: bool,
        text: &mut String,
        findings: &mut Findings,
    ) -> Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            let (valid, bad) = match std::str::from_utf8(rest) {
                Ok(valid) => (valid, 0),
                Err(error) => {
                    let (valid, invalid) = rest.split_at(error.valid_up_to());
                    let valid = std::str::from_utf8(valid).expect("checked just before");
                    match error.error_len() {
                        Some(length) => (valid, length),
                        None if at_end => (valid, invalid.len()),
                        None => {
                            self.accept(valid, text, findings)?;
                            return Ok(taken + valid.len());
                        }
                    }
                }
            };
            self.accept(valid, text, findings)?;
            taken += valid.len();
            if bad > 0 {
                self.refuse(bytes[taken], text, findings)?;
                self.offset += bad as u64;
                taken += bad;
            }
        }
        Ok(taken)
    }

    /// Takes over decoded text of UTF-8. A zero byte is valid UTF-8, but no text has one.
    fn accept(&mut self, valid: &str, text: &mut String, findings: &mut Findings) -> Result<()> {
        let mut rest = valid;
        while let Some(zero) = rest.as_bytes().iter().position(|&b| b == 0) {
            let (before, after) = rest.split_at(zero);
            self.count(before);
            text.push_str(before);
            self.refuse(0, text, findings)?;
            self.offset += 1;
            rest = &after[1..];
        }
        self.count(rest);
        text.push_str(rest);
        Ok(())
    }

    fn count(&mut self, text: &str) {
        self.offset += text.len() as u64;
        self.line += text.as_bytes().iter().filter(|&&b| b == b'\n').count() as u64;
    }

    fn decode_utf16(
        &mut self,
        bytes: &[u8],
        at_end: bool,
        text: &mut String,
        findings: &mut Findings,
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
                    self.refuse(0, text, findings)?;
                    self.offset += 2;
                }
                Ok(c) => {
                    text.push(c);
                    self.line += u64::from(c == '\n');
                    self.offset += 2 * c.len_utf16() as u64;
                }
                Err(error) => {
                    self.refuse(error.unpaired_surrogate().to_be_bytes()[0], text, findings)?;
                    self.offset += 2;
                }
            }
        }
        if at_end && whole < bytes.len() {
            self.refuse(bytes[whole], text, findings)?;
            return Ok(bytes.len());
        }
        Ok(units.len() * 2)
    }

    fn refuse(&self, byte: u8, text: &mut String, findings: &mut Findings) -> Result<()> {
        if self.lossy {
            findings.replaced += 1;
            text.push(char::REPLACEMENT_CHARACTER);
            return Ok(());
        }
        let encoding = if self.encoding.is_utf16() {
            "UTF-16"
        } else {
            "UTF-8"
        };
        Err(Error::new(format!(
            "{} is not {encoding} text: line {}, byte offset {}, found byte 0x{byte:02X}; \
             convert the file, read it as bytes (--level byte), or replace what is no text (--lossy)",
            self.path.display(),
            self.line,
            self.offset,
        )))
    }
}

/// CRLF to LF across pieces. A CR alone stays.
#[derive(Default)]
struct LineEnds {
    carriage_return: bool,
    unified: Vec<u8>,
}

impl LineEnds {
    fn unify<'t>(&'t mut self, text: &'t str, at_end: bool, findings: &mut Findings) -> &'t [u8] {
        let bytes = text.as_bytes();
        if !self.carriage_return && !bytes.contains(&b'\r') {
            return bytes;
        }
        self.unified.clear();
        for &byte in bytes {
            if std::mem::replace(&mut self.carriage_return, byte == b'\r') {
                if byte == b'\n' {
                    findings.crlf = true;
                } else {
                    self.unified.push(b'\r');
                }
            }
            if byte != b'\r' {
                self.unified.push(byte);
            }
        }
        if at_end && std::mem::take(&mut self.carriage_return) {
            self.unified.push(b'\r');
        }
        &self.unified
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bytes(bytes: &[u8], form: Form, lossy: bool) -> Result<(String, Findings)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        fs::write(&path, bytes).unwrap();
        let mut text = Vec::new();
        let findings = read(&[path], form, lossy, &mut |piece| {
            text.extend_from_slice(piece);
            Ok(())
        })?;
        Ok((String::from_utf8(text).unwrap(), findings))
    }

    fn text_of(bytes: &[u8]) -> String {
        read_bytes(bytes, Form::Text, false).unwrap().0
    }

    #[test]
    fn every_encoding_reads_as_the_same_text() {
        let text = "Grüße, 世界 😀\nend";
        let utf16 = |to_bytes: fn(u16) -> [u8; 2]| {
            text.encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>()
        };
        assert_eq!(text_of(text.as_bytes()), text);
        assert_eq!(text_of(&[b"\xEF\xBB\xBF", text.as_bytes()].concat()), text);
        assert_eq!(
            text_of(&[b"\xFF\xFE".to_vec(), utf16(u16::to_le_bytes)].concat()),
            text
        );
        assert_eq!(
            text_of(&[b"\xFE\xFF".to_vec(), utf16(u16::to_be_bytes)].concat()),
            text
        );
    }

    #[test]
    fn crlf_is_lf_and_a_lone_cr_stays() {
        let (text, findings) = read_bytes(b"a\r\nb\rc\r\r\nd\r", Form::Text, false).unwrap();
        assert_eq!(text, "a\nb\rc\r\nd\r");
        assert!(findings.crlf);
        assert!(!read_bytes(b"a\rb", Form::Text, false).unwrap().1.crlf);
    }

    #[test]
    fn characters_and_crlf_survive_the_edge_of_a_block() {
        for shift in 0..5 {
            let mut text = "x".repeat(BLOCK - 3 + shift - 2);
            text.push_str("é😀世\r\nend");
            assert_eq!(text_of(text.as_bytes()), text.replace("\r\n", "\n"));
            let utf16: Vec<u8> = [0xFF, 0xFE]
                .into_iter()
                .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
                .collect();
            assert_eq!(text_of(&utf16), text.replace("\r\n", "\n"));
        }
        let mut crlf = "x".repeat(BLOCK - 1);
        crlf.push_str("\r\ny");
        assert_eq!(text_of(crlf.as_bytes()), crlf.replace("\r\n", "\n"));
    }

    #[test]
    fn bytes_that_are_no_text_are_named_or_replaced() {
        let message = |bytes: &[u8]| {
            let error = read_bytes(bytes, Form::Text, false)
                .unwrap_err()
                .to_string();
            error
                .split_once("text: ")
                .unwrap()
                .1
                .split(';')
                .next()
                .unwrap()
                .to_string()
        };
        assert_eq!(
            message(b"one\ntwo\n\xFFthree"),
            "line 3, byte offset 8, found byte 0xFF"
        );
        assert_eq!(message(b"one\0"), "line 1, byte offset 3, found byte 0x00");
        assert_eq!(
            message(b"cut \xE4\xB8"),
            "line 1, byte offset 4, found byte 0xE4"
        );
        assert_eq!(
            message(b"\xFF\xFEa\0\n\0\x00\xDC"),
            "line 2, byte offset 6, found byte 0xDC"
        );
        let (text, findings) = read_bytes(b"a\xFFb\0c\xE4\xB8", Form::Text, true).unwrap();
        assert_eq!(text, "a\u{FFFD}b\u{FFFD}c\u{FFFD}");
        assert_eq!(findings.replaced, 3);
    }

    #[test]
    fn files_are_joined_by_line_ends_and_folders_are_listed_in_order() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        for (name, text) in [
            ("a.txt", "one"),
            ("b/x.txt", "two\n"),
            ("c.txt", "three"),
            (".hidden", "no"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let files = list_files(&[folder.path().to_path_buf()]).unwrap();
        let mut text = Vec::new();
        let mut join = |form| {
            text.clear();
            read(&files, form, false, &mut |piece| {
                text.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
            String::from_utf8(text.clone()).unwrap()
        };
        assert_eq!(join(Form::Text), "one\ntwo\nthree");
        assert_eq!(join(Form::Lines), "one\ntwo\nthree\n");
        assert_eq!(join(Form::Bytes), "onetwo\nthree");
    }
}

/*!
Files as text or bytes.

Files are read in blocks, so a corpus may be larger than memory.
*/

use std::fs;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use super::compression::Decompressed;
pub use super::decoding::{DecodingNotes, InvalidBytes};
use super::level::{Level, Split};
use super::normalization::{Normalization, Normalizer};
use super::text_reader::{BLOCK, TextReader};
use crate::error::{Error, Result};

/// How files are read. Compressed ones are decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// As bytes, unchanged.
    Bytes,
    /// As text: decoded to UTF-8 without a byte order mark, CRLF converted to LF.
    Text(Normalization),
    /// As text in lines: a missing line end is added after the last line.
    Lines(Normalization),
}

impl ReadMode {
    /// The mode for tokens of a level.
    pub fn of(level: Level, split: Split, normalization: Normalization) -> Self {
        match (level, split) {
            (Level::Byte, _) => ReadMode::Bytes,
            (Level::Word, Split::Whitespace) => ReadMode::Lines(normalization),
            _ => ReadMode::Text(normalization),
        }
    }
}

/// The files of `paths`: a folder stands for all files below it, in the order of their names, without hidden ones, and
/// without what is no file, such as a pipe or a socket, which might never end.
///
/// # Errors
/// Paths that do not exist, and folders that cannot be read or contain no files.
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
            if !is_within_itself(&path) {
                list_folder(&path, files)?;
            }
        } else if path.is_file() || !path.exists() {
            // A link to nothing is an error when it is read.
            files.push(path);
        }
    }
    Ok(())
}

/// Whether a folder is a link to one of the folders that it is in.
fn is_within_itself(folder: &Path) -> bool {
    let target = folder.read_link().and_then(|_| folder.canonicalize());
    let parent = folder.parent().map(Path::canonicalize);
    match (target, parent) {
        (Ok(target), Some(Ok(parent))) => parent.starts_with(target),
        _ => false,
    }
}

/// Reads files one after another and passes the text on in pieces. Unless the mode is [`ReadMode::Bytes`], each piece is
/// valid UTF-8, and a line end is added between two files where there is none.
///
/// # Errors
/// Files that cannot be read. Invalid UTF-8, unless it is replaced: the message names file, line and offset.
pub fn read(
    files: &[PathBuf],
    mode: ReadMode,
    invalid: InvalidBytes,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<DecodingNotes> {
    let mut notes = DecodingNotes::default();
    let mut in_line = false;
    for path in files {
        let mut needs_line_end = in_line && mode != ReadMode::Bytes;
        let mut pass_on = |piece: &[u8]| {
            let Some(last) = piece.last() else {
                return Ok(());
            };
            in_line = *last != b'\n';
            if std::mem::take(&mut needs_line_end) {
                each(b"\n")?;
            }
            each(piece)
        };
        match mode {
            ReadMode::Bytes => read_bytes(path, &mut notes, &mut pass_on)?,
            ReadMode::Text(normalization) | ReadMode::Lines(normalization) => {
                let mut normalizer = Normalizer::new(normalization);
                read_text(path, invalid, &mut notes, &mut |piece, is_last| {
                    pass_on(&normalizer.push(piece, is_last))
                })?
            }
        }
    }
    if in_line && matches!(mode, ReadMode::Lines(_)) {
        each(b"\n")?;
    }
    Ok(notes)
}

fn read_bytes(
    path: &Path,
    notes: &mut DecodingNotes,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut bytes = Decompressed::open(path)?;
    notes.compressed_files += u64::from(bytes.was_compressed);
    let mut block = Vec::with_capacity(BLOCK);
    loop {
        block.clear();
        bytes
            .input
            .by_ref()
            .take(BLOCK as u64)
            .read_to_end(&mut block)
            .map_err(|e| Error::file("read", path, e))?;
        each(&block)?;
        if block.len() < BLOCK {
            return Ok(());
        }
    }
}

fn read_text(
    path: &Path,
    invalid: InvalidBytes,
    notes: &mut DecodingNotes,
    each: &mut dyn FnMut(&[u8], bool) -> Result<()>,
) -> Result<()> {
    let mut text = TextReader::open(path, invalid)?;
    loop {
        let piece = text.piece()?;
        if piece.is_empty() {
            each(b"", true)?;
            notes.add(text.notes());
            return Ok(());
        }
        let length = piece.len();
        each(piece.as_bytes(), false)?;
        text.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: ReadMode = ReadMode::Text(Normalization::None);
    const REFUSED: InvalidBytes = InvalidBytes::Refused("convert it");

    fn read_bytes(
        bytes: &[u8],
        mode: ReadMode,
        invalid: InvalidBytes,
    ) -> Result<(String, DecodingNotes)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        fs::write(&path, bytes).unwrap();
        let mut text = Vec::new();
        let notes = read(&[path], mode, invalid, &mut |piece| {
            text.extend_from_slice(piece);
            Ok(())
        })?;
        Ok((String::from_utf8(text).unwrap(), notes))
    }

    fn text_of(bytes: &[u8]) -> String {
        read_bytes(bytes, TEXT, REFUSED).unwrap().0
    }

    #[test]
    fn every_encoding_decodes_to_the_same_text() {
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
    fn crlf_becomes_lf_and_a_single_cr_stays() {
        let (text, notes) = read_bytes(b"a\r\nb\rc\r\r\nd\r", TEXT, REFUSED).unwrap();
        assert_eq!(text, "a\nb\rc\r\nd\r");
        assert!(notes.crlf);
        assert!(!read_bytes(b"a\rb", TEXT, REFUSED).unwrap().1.crlf);
    }

    #[test]
    fn characters_and_crlf_may_cross_blocks() {
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
    fn marks_are_composed_across_blocks() {
        for shift in 0..3 {
            let mut text = "x".repeat(BLOCK - 2 + shift - 1);
            text.push_str("e\u{301}!");
            let composed = ReadMode::Text(Normalization::Nfc);
            let (read, _) = read_bytes(text.as_bytes(), composed, REFUSED).unwrap();
            assert!(read.ends_with("x\u{e9}!"), "{shift}");
            assert_eq!(text_of(text.as_bytes()), text);
        }
    }

    #[test]
    fn invalid_bytes_are_reported_or_replaced() {
        let message = |bytes: &[u8]| {
            let error = read_bytes(bytes, TEXT, REFUSED).unwrap_err().to_string();
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
        let (text, notes) = read_bytes(b"a\xFFb\0c\xE4\xB8", TEXT, InvalidBytes::Replaced).unwrap();
        assert_eq!(text, "a\u{FFFD}b\u{FFFD}c\u{FFFD}");
        assert_eq!(notes.replaced, 3);
    }

    #[test]
    fn compressed_files_are_decompressed_before_they_are_decoded() {
        let text = "Grüße\r\nend".encode_utf16().flat_map(u16::to_be_bytes);
        let text: Vec<u8> = [0xFE, 0xFF].into_iter().chain(text).collect();
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let bytes = ruzstd::encoding::compress_to_vec(&text[..], level);
        let (decoded, notes) = read_bytes(&bytes, TEXT, REFUSED).unwrap();
        assert_eq!(decoded, "Grüße\nend");
        assert_eq!(
            notes.messages(),
            [
                "files decompressed: 1",
                "files decoded as UTF-16: 1",
                "CRLF line ends were converted to LF"
            ]
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        fs::write(&path, &bytes).unwrap();
        let mut raw = Vec::new();
        read(&[path], ReadMode::Bytes, REFUSED, &mut |piece| {
            raw.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
        assert_eq!(raw, text);
    }

    #[test]
    #[cfg(unix)]
    fn folders_without_end_and_what_is_no_file_are_left_out() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("b")).unwrap();
        fs::write(path("b/text"), "one").unwrap();
        symlink(path("b/text"), path("c")).unwrap();
        symlink(folder.path(), path("b/round")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("a")).unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(path("d")).status();
        assert!(pipe.unwrap().success());
        let paths = [folder.path().to_path_buf()];
        assert_eq!(list_files(&paths).unwrap(), [path("b/text"), path("c")]);
        symlink(path("gone"), path("e")).unwrap();
        assert_eq!(list_files(&paths).unwrap().len(), 3, "a link to nothing");
        assert_eq!(list_files(&[path("d")]).unwrap(), [path("d")]);
    }

    #[test]
    fn files_are_joined_by_line_ends_and_listed_in_order() {
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
        let mut join = |mode| {
            text.clear();
            read(&files, mode, REFUSED, &mut |piece| {
                text.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
            String::from_utf8(text.clone()).unwrap()
        };
        assert_eq!(join(TEXT), "one\ntwo\nthree");
        assert_eq!(
            join(ReadMode::Lines(Normalization::None)),
            "one\ntwo\nthree\n"
        );
        assert_eq!(join(ReadMode::Bytes), "onetwo\nthree");
    }
}

/*!
Pairs from two files: each line is the translation of the same line of the other file.
*/

use std::path::Path;

use super::pair::{NumberedPairs, Pair};
use crate::error::{Error, Result};
use crate::text::source::InvalidBytes;
use crate::text::text_reader::TextReader;

/// The lines of two files as pairs, with the numbers of the lines, and notes.
pub(super) fn read_lines(source: &Path, target: &Path, lossy: bool) -> Result<NumberedPairs> {
    let mut notes = Vec::new();
    let mut read = |path: &Path| -> Result<Vec<String>> {
        let mut reader = TextReader::open(path, InvalidBytes::lossy(lossy))?;
        let text = reader.rest()?;
        let replaced = reader.notes().replacements();
        notes.extend(replaced.map(|note| format!("{}: {note}", path.display())));
        Ok(split_lines(&text))
    };
    let (sources, targets) = (read(source)?, read(target)?);
    if sources.len() != targets.len() {
        return Err(unequal((source, &sources), (target, &targets)));
    }
    let pairs = (1..).zip(sources.into_iter().zip(targets));
    let pair = |(number, (source, target))| (number, Pair { source, target });
    Ok((pairs.map(pair).collect(), notes))
}

/// Lines that end in LF, CRLF or, as in old files, CR alone.
fn split_lines(text: &str) -> Vec<String> {
    let plain = text.replace("\r\n", "\n").replace('\r', "\n");
    plain.lines().map(str::to_string).collect()
}

fn unequal(one: (&Path, &[String]), other: (&Path, &[String])) -> Error {
    let (short, long) = match one.1.len() < other.1.len() {
        true => (one, other),
        false => (other, one),
    };
    let last = short.1.len();
    Error::new(format!(
        "{} ends after line {last}, but {} has {} lines, the next of them “{}”; each line must be the translation of the same \
         line of the other file",
        short.0.display(),
        long.0.display(),
        long.1.len(),
        long.1[last].chars().take(40).collect::<String>()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_paired_and_a_missing_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let source = file("s", "one\r\ntwo\r\n\r\nfour");
        let target = file("t", "eins\nzwei\ndrei\nvier\n");
        let (pairs, _) = read_lines(&source, &target, false).unwrap();
        let found: Vec<_> = (pairs.iter())
            .map(|(number, pair)| (*number, &pair.source[..], &pair.target[..]))
            .collect();
        let expected = [
            (1, "one", "eins"),
            (2, "two", "zwei"),
            (3, "", "drei"),
            (4, "four", "vier"),
        ];
        assert_eq!(found, expected);
        let long = file("l", "a\nb\nc\nd\ne\n");
        let message = read_lines(&source, &long, false).unwrap_err().to_string();
        assert!(message.contains("ends after line 4"), "{message}");
        assert!(
            message.contains("has 5 lines, the next of them “e”"),
            "{message}"
        );
    }
}

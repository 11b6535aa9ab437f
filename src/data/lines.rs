/*!
Lines of a file with their numbers, and documents that are a line each.
*/

use std::io::{self, BufRead};

use super::document::{Document, ParsedDocument};

/// A file that is being read.
pub(super) type DocumentInput = Box<dyn BufRead + Send>;

/// A reader of lines that are not blank.
pub(super) struct LineReader {
    input: DocumentInput,
    /// Number of lines read so far.
    count: u64,
}

/// A line that is not blank.
pub(super) struct Line {
    /// Its number, from 1, blank lines counted.
    pub number: u64,
    /// Its text without the line end, or an error if it is not UTF-8.
    pub text: std::result::Result<String, String>,
}

impl LineReader {
    /// A reader of what `input` has left.
    pub fn new(input: DocumentInput) -> Self {
        LineReader { input, count: 0 }
    }

    /// The next line that is not blank.
    pub fn line(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            if self.input.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            self.count += 1;
            while matches!(bytes.last(), Some(b'\n' | b'\r')) {
                bytes.pop();
            }
            let text = String::from_utf8(bytes).map_err(|_| "invalid UTF-8".to_string());
            if !text.as_ref().is_ok_and(|text| text.trim().is_empty()) {
                let number = self.count;
                return Ok(Some(Line { number, text }));
            }
        }
    }

    /// The next line as a document without a label, with its number.
    pub fn document(&mut self) -> io::Result<Option<(u64, ParsedDocument)>> {
        let document = |text| Document { label: None, text };
        Ok(self
            .line()?
            .map(|line| (line.number, line.text.map(document))))
    }
}

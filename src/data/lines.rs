/*!
Lines of a file with their numbers, and documents that are a line each.
*/

use std::io;

use serde_json::Map;

use super::csv_records::read_line;
use super::document::{Document, ParsedDocument};
use crate::text::text_reader::TextReader;

/// A reader of lines that are not blank.
pub(super) struct LineReader {
    pub(super) input: TextReader,
    /// Number of lines read so far.
    count: u64,
}

/// A line that is not blank.
pub(super) struct Line {
    /// Its number, from 1, blank lines counted.
    pub number: u64,
    /// Its text without the line end.
    pub text: String,
}

impl LineReader {
    /// A reader of what `input` has left.
    pub fn new(input: TextReader) -> Self {
        LineReader { input, count: 0 }
    }

    /// The next line that is not blank. Lines end in LF, CRLF or, as in old files, CR.
    pub fn line(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut line = Vec::new();
            if !read_line(&mut self.input, &mut line)? {
                return Ok(None);
            }
            self.count += 1;
            let mut text = String::from_utf8(line).expect("text is UTF-8, and lines end at ASCII");
            text.truncate(text.trim_end_matches(['\n', '\r']).len());
            if !text.trim().is_empty() {
                let number = self.count;
                return Ok(Some(Line { number, text }));
            }
        }
    }

    /// The next line as a document without a label, with its number.
    pub fn document(&mut self) -> io::Result<Option<(u64, ParsedDocument)>> {
        let document = |text| Document {
            label: None,
            text,
            fields: Map::new(),
        };
        Ok(self
            .line()?
            .map(|line| (line.number, Ok(document(line.text)))))
    }
}

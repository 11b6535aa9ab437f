/*!
CSV records with a limited effect of unclosed quotation marks. Quoted fields follow RFC 4180; the quotation marks of a
field that does not follow it are the text's own.

An unclosed quotation mark would make the rest of the file one field. Here it makes only its own line unreadable, unless
an unrelated quotation mark happens to close the field later.
*/

use std::collections::VecDeque;
use std::io::{self, BufRead};

/// Largest number of bytes of a record.
const MAX_BYTES: usize = 1 << 26;
/// Largest number of lines of a record.
const MAX_LINES: usize = 1 << 20;

/// Reader of the records of a table, in their order.
pub(super) struct CsvRecords<R> {
    pub(super) reader: R,
    /// The byte between two fields.
    delimiter: u8,
    /// Whether fields may be enclosed in quotation marks.
    quoting: bool,
    /// Lines that were read ahead.
    lines: VecDeque<Vec<u8>>,
    /// Number of lines that were parsed.
    line: u64,
    /// A line such that any quoted field open at its end is never closed: this keeps the search for closing marks linear.
    open_at: u64,
}

/// A record, or the reason why it could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CsvRecord {
    /// Number of the line that it begins on, from 1.
    pub line: u64,
    /// Its fields, or the reason.
    pub fields: Result<Vec<String>, String>,
}

impl<R: BufRead> CsvRecords<R> {
    /// A reader of the records in `reader`.
    pub fn new(reader: R, delimiter: u8, quoting: bool) -> Self {
        CsvRecords {
            reader,
            delimiter,
            quoting,
            lines: VecDeque::new(),
            line: 0,
            open_at: 0,
        }
    }

    /// The next record; blank lines are skipped.
    ///
    /// # Errors
    /// If the underlying reader fails.
    pub fn read(&mut self) -> io::Result<Option<CsvRecord>> {
        while self.read_ahead(1)? {
            let lines = self.record_lines()?;
            if let Some(record) = self.parse(lines) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Reads ahead until there are `count` lines; whether the file has as many.
    fn read_ahead(&mut self, count: usize) -> io::Result<bool> {
        while self.lines.len() < count {
            let mut line = Vec::new();
            if !read_line(&mut self.reader, &mut line)? {
                return Ok(false);
            }
            self.lines.push_back(line);
        }
        Ok(true)
    }

    /// Number of lines of the next record; `None` if a quotation mark on its first line is never closed.
    fn record_lines(&mut self) -> io::Result<Option<usize>> {
        if !self.quoting {
            return Ok(Some(1));
        }
        let mut state = QuoteState::FieldStart;
        let (mut count, mut length) = (0, 0);
        while self.read_ahead(count + 1)? && length <= MAX_BYTES && count < MAX_LINES {
            let line = &self.lines[count];
            (count, length) = (count + 1, length + line.len());
            // Whether the field began on an earlier line.
            let mut continued = count > 1;
            for &byte in line {
                state = self.next_state(state, byte);
                match state {
                    QuoteState::Quoted | QuoteState::Closed | QuoteState::SpaceAfterClosed => {}
                    // The mark that closed the field belongs to another one: the field's own was never closed.
                    QuoteState::TextAfterClosed if continued => {
                        self.open_at = self.open_at.max(self.line + count as u64 - 1);
                        return Ok(None);
                    }
                    _ => continued = false,
                }
            }
            if !matches!(state, QuoteState::Quoted) {
                return Ok(Some(count));
            }
            if self.line + count as u64 <= self.open_at {
                return Ok(None);
            }
        }
        self.open_at = self.line + count as u64;
        Ok(None)
    }

    fn next_state(&self, state: QuoteState, byte: u8) -> QuoteState {
        use QuoteState::*;
        let ends_field = byte == self.delimiter || byte == b'\n' || byte == b'\r';
        match (state, byte) {
            (Quoted, b'"') => Closed,
            (Quoted, _) => Quoted,
            (Closed, b'"') => Quoted,
            (_, _) if ends_field => FieldStart,
            (FieldStart, b'"') if self.quoting => Quoted,
            (Closed | SpaceAfterClosed, b' ') => SpaceAfterClosed,
            (Closed | SpaceAfterClosed | TextAfterClosed, _) => TextAfterClosed,
            _ => Unquoted,
        }
    }

    /// Parses the next `lines` lines, or reports the next line as broken if `None`; no record if the line is blank.
    fn parse(&mut self, lines: Option<usize>) -> Option<CsvRecord> {
        let first = self.line + 1;
        let count = lines.unwrap_or(1);
        let bytes: Vec<u8> = self.lines.drain(..count).flatten().collect();
        self.line += count as u64;
        let fields = match lines {
            Some(_) => Ok(self.fields(&bytes)?),
            None => Err("a quotation mark is never closed".to_string()),
        };
        Some(CsvRecord {
            line: first,
            fields,
        })
    }

    /// Divides a record into its fields; `None` if it is blank.
    pub fn fields(&self, record: &[u8]) -> Option<Vec<String>> {
        let record = record.strip_suffix(b"\n").unwrap_or(record);
        let record = record.strip_suffix(b"\r").unwrap_or(record);
        if record.is_empty() {
            return None;
        }
        let (mut fields, mut start) = (Vec::new(), 0);
        let mut state = QuoteState::FieldStart;
        for (at, &byte) in record.iter().enumerate() {
            let next = self.next_state(state, byte);
            if matches!(next, QuoteState::FieldStart) {
                fields.push(field(&record[start..at], state));
                start = at + 1;
            }
            state = next;
        }
        fields.push(field(&record[start..], state));
        Some(fields)
    }
}

/// The text of a field that ends in a state. Without its quotation marks if it is a quoted one.
fn field(bytes: &[u8], state: QuoteState) -> String {
    // A piece that the layout is guessed from may end within a character.
    let text = String::from_utf8_lossy(bytes);
    let closed = matches!(state, QuoteState::Closed | QuoteState::SpaceAfterClosed);
    let quoted = text
        .strip_prefix('"')
        .and_then(|rest| rest.rsplit_once('"'));
    match quoted {
        Some((inner, after)) if closed => inner.replace("\"\"", "\"") + after,
        _ => text.into_owned(),
    }
}

/// Appends the next line with its end, which is LF, CR or CRLF; whether there was one.
pub(super) fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let buffer = reader.fill_buf()?;
        let ends_in_cr = line.last() == Some(&b'\r');
        if ends_in_cr {
            if buffer.first() == Some(&b'\n') {
                line.push(b'\n');
                reader.consume(1);
            }
            return Ok(true);
        }
        if buffer.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let length = end.map_or(buffer.len(), |end| end + 1);
        line.extend_from_slice(&buffer[..length]);
        reader.consume(length);
        if line.last() == Some(&b'\n') {
            return Ok(true);
        }
    }
}

/// Position in a record relative to quotation marks.
#[derive(Clone, Copy)]
enum QuoteState {
    /// At the start of a field.
    FieldStart,
    /// In an unquoted field.
    Unquoted,
    /// In a quoted field.
    Quoted,
    /// After a quotation mark in a quoted field: it closes the field, or is the first of two that stand for one.
    Closed,
    /// After a closing quotation mark and spaces.
    SpaceAfterClosed,
    /// In text after a closing quotation mark, before the end of the field.
    TextAfterClosed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<CsvRecord> {
        let mut records = CsvRecords::new(text.as_bytes(), b',', true);
        std::iter::from_fn(|| records.read().unwrap()).collect()
    }

    fn fields(record: &CsvRecord) -> Vec<String> {
        record.fields.clone().unwrap()
    }

    #[test]
    fn an_unclosed_quotation_mark_breaks_only_its_line() {
        for (text, broken) in [
            ("a,\"b\nc,d\n\ne,f\n", 1),
            ("a,b\nc,\"d\ne,\"f\"\ng,\"h \"\"i\"\"\nj\"\nk,l", 2),
        ] {
            let records = read(text);
            let wrong: Vec<u64> = records
                .iter()
                .filter(|record| record.fields.is_err())
                .map(|record| record.line)
                .collect();
            assert_eq!(wrong, [broken], "{text}");
            let last = records.last().unwrap();
            assert_eq!(last.line, text.lines().count() as u64, "{text}");
            assert_eq!(fields(last).len(), 2, "{text}");
        }
    }

    #[test]
    fn many_unclosed_fields_are_parsed_in_linear_time() {
        // Each line closes the field that the line before left open, and opens another.
        let text = "a,b\n".to_string() + &"c\",\"d\n".repeat(100_000);
        let mut records = CsvRecords::new(text.as_bytes(), b',', true);
        let mut broken = 0;
        while let Some(record) = records.read().unwrap() {
            broken += u64::from(record.fields.is_err());
        }
        assert_eq!(broken, 100_000);
        assert_eq!(records.line, 100_001);
    }

    #[test]
    fn quotation_marks_against_the_rules_are_the_texts_own_and_lines_may_end_in_cr() {
        let records = read("\"Hi\" she said,\"so\nso\"\n5\" tall,2\r\n\"a \"\"b\"\"\" ,\"\"\n");
        assert_eq!(fields(&records[0]), ["\"Hi\" she said", "so\nso"]);
        assert_eq!(fields(&records[1]), ["5\" tall", "2"]);
        assert_eq!(fields(&records[2]), ["a \"b\" ", ""]);
        let old = read("a,b\rc,\"d\re\" \rf,\"g\r");
        assert_eq!(old.len(), 3);
        assert_eq!(fields(&old[1]), ["c", "d\re "]);
        assert!(old[2].fields.is_err());
    }

    proptest! {
        #[test]
        fn written_records_are_read_back(rows in prop::collection::vec(prop::collection::vec("[a,\"\n\r ]{0,6}", 2..4), 1..8)) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let records = read(&text);
            let found: Vec<Vec<String>> = records.iter().map(fields).collect();
            prop_assert_eq!(found, rows);
        }
    }
}

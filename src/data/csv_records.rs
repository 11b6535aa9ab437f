/*!
The records of a table, from its lines: fields between delimiters, which quotation marks may enclose (RFC 4180; within a
line read as leniently as the csv crate does).

A quotation mark that is never closed would swallow the rest of a file. Here it costs the line that it stands on, unless a
mark that is meant otherwise ends a later field.
*/

use std::collections::VecDeque;
use std::io::{self, BufRead};

use csv::ByteRecord;
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// The most bytes, and lines, of a record.
const LONGEST: usize = 1 << 26;
const MOST_LINES: usize = 1 << 20;

/// The records of a table, in its order.
pub struct CsvRecords<R> {
    reader: R,
    /// What stands between two fields.
    delimiter: u8,
    /// Whether quotation marks enclose fields.
    quoting: bool,
    /// Lines that were read ahead.
    lines: VecDeque<Vec<u8>>,
    /// Lines that were made into records.
    line: u64,
    /// A line at whose end a field that was open was found to stay so: whatever is open there is.
    open_at: u64,
    parser: Reader,
}

/// A record, or what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvRecord {
    /// The line that it begins on, counted from 1.
    pub line: u64,
    /// Its fields.
    pub fields: Result<ByteRecord, String>,
}

impl<R: BufRead> CsvRecords<R> {
    /// The records of what `reader` gives.
    pub fn new(reader: R, delimiter: u8, quoting: bool) -> Self {
        CsvRecords {
            reader,
            delimiter,
            quoting,
            lines: VecDeque::new(),
            line: 0,
            open_at: 0,
            parser: ReaderBuilder::new()
                .delimiter(delimiter)
                .quoting(quoting)
                .build(),
        }
    }

    /// The next record.
    ///
    /// # Errors
    /// What the reader fails with.
    pub fn read(&mut self) -> io::Result<Option<CsvRecord>> {
        while self.ahead(1)? {
            let lines = self.whole()?;
            if let Some(record) = self.parse(lines) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Reads ahead until there are so many lines; whether there are.
    fn ahead(&mut self, count: usize) -> io::Result<bool> {
        while self.lines.len() < count {
            let mut line = Vec::new();
            if !read_line(&mut self.reader, &mut line)? {
                return Ok(false);
            }
            self.lines.push_back(line);
        }
        Ok(true)
    }

    /// How many lines the next record has; `None` if a quotation mark on its first is never closed.
    fn whole(&mut self) -> io::Result<Option<usize>> {
        if !self.quoting {
            return Ok(Some(1));
        }
        let mut place = Place::Start;
        let (mut count, mut length) = (0, 0);
        while self.ahead(count + 1)? && length <= LONGEST && count < MOST_LINES {
            let line = &self.lines[count];
            (count, length) = (count + 1, length + line.len());
            // Whether this is a field of a line before.
            let mut going_on = count > 1;
            for &byte in line {
                place = self.after(place, byte);
                match place {
                    Place::Quoted | Place::Closed => {}
                    // The mark that should have closed it was another's.
                    Place::Astray if going_on => {
                        self.open_at = self.open_at.max(self.line + count as u64 - 1);
                        return Ok(None);
                    }
                    Place::Behind => {}
                    _ => going_on = false,
                }
            }
            if !matches!(place, Place::Quoted) {
                return Ok(Some(count));
            }
            if self.line + count as u64 <= self.open_at {
                return Ok(None);
            }
        }
        self.open_at = self.line + count as u64;
        Ok(None)
    }

    fn after(&self, place: Place, byte: u8) -> Place {
        let ends = byte == self.delimiter || byte == b'\n' || byte == b'\r';
        match (place, byte) {
            (Place::Quoted, b'"') => Place::Closed,
            (Place::Quoted, _) => Place::Quoted,
            (Place::Closed, b'"') => Place::Quoted,
            (_, _) if ends => Place::Start,
            (Place::Start, b'"') => Place::Quoted,
            (Place::Closed | Place::Behind, b' ') => Place::Behind,
            (Place::Closed | Place::Behind | Place::Astray, _) => Place::Astray,
            _ => Place::Plain,
        }
    }

    /// Makes a record of so many lines; none of a blank one.
    fn parse(&mut self, lines: Option<usize>) -> Option<CsvRecord> {
        let first = self.line + 1;
        let count = lines.unwrap_or(1);
        let bytes: Vec<u8> = self.lines.drain(..count).flatten().collect();
        self.line += count as u64;
        let fields = match lines {
            Some(_) => Ok(self.fields(&bytes)?),
            None => Err("a quotation mark in it seems never to be closed".to_string()),
        };
        Some(CsvRecord {
            line: first,
            fields,
        })
    }

    /// The fields of a record; none of a blank line.
    fn fields(&mut self, bytes: &[u8]) -> Option<ByteRecord> {
        // No field is longer than what it is read from, and each but one has a delimiter; one place more is never taken.
        let (mut text, mut ends) = (vec![0; bytes.len() + 1], vec![0; bytes.len() + 2]);
        let (mut input, mut written, mut ended) = (bytes, 0, 0);
        self.parser.reset();
        loop {
            let (text, ends) = (&mut text[written..], &mut ends[ended..]);
            let (result, read, more, fields) = self.parser.read_record(input, text, ends);
            (written, ended) = (written + more, ended + fields);
            // An empty input is the end of it.
            input = &input[read..];
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return None,
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    unreachable!("there is room for everything")
                }
            }
        }
        let mut first = 0;
        let field = |&end: &usize| &text[std::mem::replace(&mut first, end)..end];
        Some(ends[..ended].iter().map(field).collect())
    }
}

/// Reads a line with its end, which is a line feed, a carriage return, or both; whether there was one.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let buffer = reader.fill_buf()?;
        let returned = line.last() == Some(&b'\r');
        if returned {
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

/// Where in a record a byte stands.
#[derive(Clone, Copy)]
enum Place {
    /// At the beginning of a field.
    Start,
    /// In a field without quotation marks.
    Plain,
    /// Between quotation marks.
    Quoted,
    /// Behind a quotation mark that may close the field, or be the first of two that stand for one.
    Closed,
    /// Behind a closed quotation mark and space.
    Behind,
    /// Behind a closed quotation mark, in a field that goes on.
    Astray,
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
        let fields = record.fields.as_ref().unwrap();
        let text = |field: &[u8]| String::from_utf8(field.to_vec()).unwrap();
        fields.iter().map(text).collect()
    }

    #[test]
    fn a_quotation_mark_that_is_never_closed_costs_its_line() {
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
    fn lines_that_open_a_field_each_are_read_in_linear_time() {
        // Every line closes in the middle what the one before left open, and opens another.
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
    fn a_mark_within_a_line_is_read_leniently_and_lines_may_end_in_old_ways() {
        let records = read("\"He said \"hi\" there\",\"so\nso\"\n5\" tall,2\r\n");
        assert_eq!(fields(&records[0])[1], "so\nso");
        assert_eq!(fields(&records[1]), ["5\" tall", "2"]);
        let old = read("a,b\rc,\"d\re\" \rf,\"g\r");
        assert_eq!(old.len(), 3);
        assert_eq!(fields(&old[1]), ["c", "d\re "]);
        assert!(old[2].fields.is_err());
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(rows in prop::collection::vec(prop::collection::vec("[a,\"\n\r ]{0,6}", 2..4), 1..8)) {
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

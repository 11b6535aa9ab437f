/*!
The records of a table, from its lines: fields between delimiters, which quotation marks may enclose (RFC 4180, read as
leniently as the csv crate does).

A quotation mark that is never closed would swallow the rest of a file. Here it costs the line that it stands on.
*/

use std::collections::VecDeque;
use std::io::{self, BufRead};

use csv::{ByteRecord, ReaderBuilder};

/// The most bytes of a record that goes over several lines.
const LONGEST: usize = 1 << 26;

/// The records of a table, in its order.
pub struct Records<R> {
    reader: R,
    /// What stands between two fields.
    delimiter: u8,
    /// Whether quotation marks enclose fields.
    quoting: bool,
    /// Lines that were read ahead.
    lines: VecDeque<Vec<u8>>,
    /// Records that were read and not yet given.
    records: VecDeque<Record>,
    /// Lines that were made into records.
    line: u64,
}

/// A record, or what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The line that it begins on, counted from 1.
    pub line: u64,
    /// Its fields.
    pub fields: Result<ByteRecord, String>,
}

impl<R: BufRead> Records<R> {
    /// The records of what `reader` gives.
    pub fn new(reader: R, delimiter: u8, quoting: bool) -> Self {
        Records {
            reader,
            delimiter,
            quoting,
            lines: VecDeque::new(),
            records: VecDeque::new(),
            line: 0,
        }
    }

    /// The next record.
    ///
    /// # Errors
    /// What the reader fails with.
    pub fn read(&mut self) -> io::Result<Option<Record>> {
        loop {
            if let Some(record) = self.records.pop_front() {
                return Ok(Some(record));
            }
            if !self.ahead(1)? {
                return Ok(None);
            }
            let lines = self.whole()?;
            self.parse(lines);
        }
    }

    /// Reads ahead until there are so many lines; whether there are.
    fn ahead(&mut self, count: usize) -> io::Result<bool> {
        while self.lines.len() < count {
            let mut line = Vec::new();
            if self.reader.read_until(b'\n', &mut line)? == 0 {
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
        while self.ahead(count + 1)? && length <= LONGEST {
            let line = &self.lines[count];
            (count, length) = (count + 1, length + line.len());
            // Whether this is a field of a line before.
            let mut going_on = count > 1;
            for &byte in line {
                place = self.after(place, byte);
                match place {
                    Place::Quoted | Place::Closed => {}
                    // The mark that should have closed it was another's.
                    Place::Astray if going_on => return Ok(None),
                    _ => going_on = false,
                }
            }
            if !matches!(place, Place::Quoted) {
                return Ok(Some(count));
            }
        }
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
            (Place::Closed | Place::Astray, _) => Place::Astray,
            _ => Place::Plain,
        }
    }

    /// Makes records of so many lines: one, or more where lines end as they did on old machines, or none of a blank line.
    fn parse(&mut self, lines: Option<usize>) {
        let first = self.line + 1;
        let count = lines.unwrap_or(1);
        let bytes: Vec<u8> = self.lines.drain(..count).flatten().collect();
        self.line += count as u64;
        if lines.is_none() {
            self.records.push_back(Record {
                line: first,
                fields: Err("a quotation mark in it is never closed".to_string()),
            });
            return;
        }
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .quoting(self.quoting)
            .buffer_capacity(bytes.len())
            .from_reader(&bytes[..]);
        let mut fields = ByteRecord::new();
        while reader
            .read_byte_record(&mut fields)
            .expect("bytes in memory are read without fail")
        {
            self.records.push_back(Record {
                line: first,
                fields: Ok(fields.clone()),
            });
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
    /// Behind a closed quotation mark, in a field that goes on.
    Astray,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<Record> {
        let mut records = Records::new(text.as_bytes(), b',', true);
        std::iter::from_fn(|| records.read().unwrap()).collect()
    }

    fn fields(record: &Record) -> Vec<String> {
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
    fn a_mark_within_a_line_is_read_leniently_and_lines_may_end_in_old_ways() {
        let records = read("\"He said \"hi\" there\",\"so\nso\"\n5\" tall,2\r\n");
        assert_eq!(fields(&records[0])[1], "so\nso");
        assert_eq!(fields(&records[1]), ["5\" tall", "2"]);
        let old = read("a,b\rc,\"d\re\"\r");
        assert_eq!(old.len(), 2);
        assert_eq!(fields(&old[1]), ["c", "d\re"]);
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

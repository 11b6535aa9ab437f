/*!
The columns of a file of series, as text. All of a column is needed before any of it is understood: one field in the middle
of it may decide which mark is the decimal one.
*/

use std::io::BufRead;

use super::super::csv_records::CsvRecords;
use super::super::format::separator_line;
use super::cells::{is_missing, is_number};
use super::date_text::DateText;
use super::spaced::{self, Spaced};
use crate::error::{Error, Result};
use crate::text::text_reader::TextReader;

/// Delimiters that columns may have, those first that numbers and dates seldom have.
const DELIMITERS: [u8; 4] = [b'\t', b';', b'|', b','];
/// Number of bytes that the delimiter is guessed from.
const HEAD_BYTES: usize = 1 << 16;
/// Number of rows that the delimiter and the header are guessed from.
const SAMPLE_ROWS: usize = 200;
/// Number of rows that are quoted in a message.
const QUOTED_ROWS: usize = 3;

/// The columns of a file.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Names of the columns: those of the header, in its own spelling, or none.
    pub names: Vec<String>,
    /// The columns, equally long.
    pub columns: Vec<Column>,
    /// The line of the file that each row begins on, from 1.
    pub lines: Vec<u64>,
    /// What was left out or is uncertain.
    pub notes: Vec<String>,
}

/// The fields of a column, one after another.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    text: String,
    ends: Vec<usize>,
}

impl Column {
    /// Adds a field.
    pub fn push(&mut self, field: &str) {
        self.text.push_str(field);
        self.ends.push(self.text.len());
    }

    /// The field of a row.
    pub fn get(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.text[start..self.ends[row]]
    }

    /// The fields, from the first row on.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|row| self.get(row))
    }
}

impl<'f> FromIterator<&'f str> for Column {
    fn from_iter<I: IntoIterator<Item = &'f str>>(fields: I) -> Self {
        let mut column = Column::default();
        fields.into_iter().for_each(|field| column.push(field));
        column
    }
}

impl Table {
    /// Reads all of `input`, which is called `file` in messages.
    ///
    /// # Errors
    /// A file that cannot be read, or has no rows of numbers.
    pub fn read(mut input: TextReader, file: &str) -> Result<Self> {
        let mut skipped = skip_blank_lines(&mut input)?;
        let separator = separator_line(head(&input));
        if let Some((_, length)) = separator {
            input.consume(length);
            skipped += 1;
        }
        if input.piece()?.is_empty() {
            return Err(Error::new(format!(
                "there are no numbers in {file}: it is empty"
            )));
        }
        if head(&input)
            .first()
            .is_some_and(|byte| matches!(byte, b'{' | b'['))
        {
            return Err(Error::new(format!(
                "{file} begins as JSON does; series are read from CSV or TSV, with a row for each date"
            )));
        }
        let delimiter =
            separator.map_or_else(|| guess_delimiter(head(&input)), |(byte, _)| Some(byte));
        let spaced = match delimiter {
            Some(_) => None,
            None => Spaced::find(head(&input), file)?,
        };
        let delimiter = delimiter.unwrap_or(match spaced {
            Some(_) => b' ',
            None => DELIMITERS[0],
        });
        let mut records = CsvRecords::new(input, delimiter, true);
        let mut table = Table::default();
        let mut uneven = Uneven::default();
        let mut comments = 0;
        while let Some(record) = records.read().map_err(|e| Error::of_reader(file, e))? {
            let line = record.line + skipped;
            match record.fields {
                Ok(fields) => match &spaced {
                    None => table.push(&fields, line, &mut uneven),
                    Some(spaced) => match spaced.fields(fields, table.columns.is_empty()) {
                        Some(fields) => table.push(&fields, line, &mut uneven),
                        None => comments += 1,
                    },
                },
                Err(reason) => uneven.broken.push(format!("line {line} ({reason})")),
            }
        }
        if spaced.is_some() {
            table.notes.push(spaced::note(file, comments));
        }
        table.take_header();
        uneven.check(&table, file)?;
        table.notes.extend(uneven.notes(file));
        let decoded = records.reader.notes();
        if decoded.utf16_files > 0 {
            table.notes.push(format!("{file} is decoded as UTF-16"));
        }
        table
            .notes
            .extend(decoded.replacements().map(|note| format!("{file}: {note}")));
        Ok(table)
    }

    /// Adds a row. Fields that it lacks are empty; one that has too many is left out, unless these are empty.
    fn push(&mut self, fields: &[String], line: u64, uneven: &mut Uneven) {
        if self.columns.is_empty() {
            self.columns.resize(fields.len(), Column::default());
        }
        let width = self.columns.len();
        let extra = fields.get(width..).unwrap_or_default();
        if extra.iter().any(|field| !field.trim().is_empty()) {
            uneven.long.push(line, fields.len());
            return;
        }
        if fields.len() < width {
            uneven.short.push(line, fields.len());
        }
        for (at, column) in self.columns.iter_mut().enumerate() {
            column.push(fields.get(at).map_or("", |field| field));
        }
        self.lines.push(line);
    }

    /// Takes the first row for the names of the columns, if it is a header: it has names where the rows below have numbers
    /// or dates, or no number and no date at all.
    fn take_header(&mut self) {
        let is_date = |field: &str| DateText::new(field).is_some_and(|text| text.is_date());
        let is_data = |field: &str| is_number(field) || is_date(field) || is_list(field);
        let has_data = |column: &Column| column.fields().take(1).any(is_data);
        let is_name_above_data = |column: &Column| {
            let mut fields = column.fields();
            let first = fields.next().unwrap_or_default();
            let later = fields.take(SAMPLE_ROWS).filter(|field| !is_missing(field));
            let (count, data) = later.fold((0, 0), |(count, data), field| {
                (count + 1, data + usize::from(is_data(field)))
            });
            !is_data(first) && !is_missing(first) && count > 0 && 2 * data > count
        };
        let names_nothing = !self.columns.iter().any(has_data);
        if self.lines.is_empty() || !(names_nothing || self.columns.iter().any(is_name_above_data))
        {
            return;
        }
        let clean = |column: &Column| column.get(0).trim().to_string();
        self.names = self.columns.iter().map(clean).collect();
        self.drop_first_row();
    }

    /// Leaves the first row out.
    pub fn drop_first_row(&mut self) {
        self.columns = self.columns.iter().map(Column::without_first).collect();
        self.lines.remove(0);
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// A column as messages name it: its number and its name.
    pub fn name(&self, column: usize) -> String {
        match self.names.get(column) {
            Some(name) if !name.is_empty() => format!("column {} ({name})", column + 1),
            _ => format!("column {}", column + 1),
        }
    }

    /// What a column is called in results.
    pub fn short_name(&self, column: usize) -> String {
        let named = self.names.get(column).filter(|name| !name.is_empty());
        named.map_or_else(|| format!("column {}", column + 1), String::clone)
    }

    /// Names of the columns in lower case, to compare.
    pub fn lower_names(&self) -> Vec<String> {
        self.names.iter().map(|name| name.to_lowercase()).collect()
    }

    /// The names of all columns, for an error.
    pub fn all_names(&self) -> String {
        let all = (0..self.columns.len()).map(|column| self.name(column));
        all.collect::<Vec<_>>().join(", ")
    }
}

impl Column {
    fn without_first(&self) -> Column {
        let start = self.ends.first().copied().unwrap_or_default();
        Column {
            text: self.text[start..].to_string(),
            ends: self.ends.iter().skip(1).map(|end| end - start).collect(),
        }
    }
}

/// Rows that have not as many fields as the first one.
#[derive(Default)]
struct Uneven {
    long: Lines,
    short: Lines,
    /// Rows that cannot be read, with the reasons.
    broken: Vec<String>,
}

/// Lines with their numbers of fields.
#[derive(Default)]
struct Lines {
    count: usize,
    first: Vec<(u64, usize)>,
}

impl Lines {
    fn push(&mut self, line: u64, fields: usize) {
        self.count += 1;
        if self.first.len() < QUOTED_ROWS {
            self.first.push((line, fields));
        }
    }

    fn text(&self) -> String {
        let first = self.first.iter();
        let first = first.map(|(line, fields)| format!("line {line} has {fields}"));
        let more = match self.count - self.first.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        first.collect::<Vec<_>>().join(", ") + &more
    }
}

impl Uneven {
    /// Checks that most rows could be kept.
    fn check(&self, table: &Table, file: &str) -> Result<()> {
        let width = table.columns.len();
        if self.long.count > table.rows() {
            return Err(Error::new(format!(
                "most rows of {file} have more fields than its first row, which has {width}: {}; numbers with a decimal \
                 comma need quotation marks, or semicolons between columns",
                self.long.text()
            )));
        }
        match table.rows() {
            0 => Err(Error::new(format!(
                "there are no numbers in {file}: no row follows its header"
            ))),
            _ => Ok(()),
        }
    }

    fn notes(&self, file: &str) -> Vec<String> {
        let mut notes = Vec::new();
        if self.long.count > 0 {
            notes.push(format!(
                "{file}: rows with more fields than the first are left out: {}",
                self.long.text()
            ));
        }
        if self.short.count > 0 {
            notes.push(format!(
                "{file}: rows with fewer fields than the first lack values: {}",
                self.short.text()
            ));
        }
        if let Some(first) = self.broken.first() {
            let more = match self.broken.len() {
                1 => String::new(),
                count => format!(", and {} more", count - 1),
            };
            notes.push(format!(
                "{file}: rows that cannot be read are left out: {first}{more}"
            ));
        }
        notes
    }
}

/// Whether a field holds several numbers, apart by spaces: a whole series. Groups of three digits may be one number.
pub(super) fn is_list(field: &str) -> bool {
    let mut parts = field.split_ascii_whitespace();
    let is_group = |part: &str| part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    let Some(first) = parts.next().filter(|first| is_number(first)) else {
        return false;
    };
    let (mut count, mut groups) = (0, first.len() <= 3);
    for part in parts {
        if !is_number(part) && !is_missing(part) {
            return false;
        }
        groups &= is_group(part);
        count += 1;
    }
    count > 0 && (!groups || count > 4)
}

/// The beginning of what is next.
fn head(input: &TextReader) -> &[u8] {
    let text = input.decoded().as_bytes();
    &text[..text.len().min(HEAD_BYTES)]
}

/// Consumes blocks that hold only white space, and the blank lines before the first row; returns their number of lines.
fn skip_blank_lines(input: &mut TextReader) -> Result<u64> {
    let mut lines = 0;
    loop {
        let text = input.piece()?.as_bytes();
        let blank = text.iter().position(|byte| !byte.is_ascii_whitespace());
        let blank = blank.unwrap_or(text.len());
        // What stands before the first field of a row may be a delimiter.
        let ends = text[..blank].iter().rposition(|&byte| byte == b'\n');
        let taken = ends.map_or(0, |end| end + 1);
        lines += text[..taken].iter().filter(|&&byte| byte == b'\n').count() as u64;
        let is_all = taken == text.len() && taken > 0;
        input.consume(taken);
        if !is_all {
            return Ok(lines);
        }
    }
}

/// Guesses the delimiter: the one that divides the most rows into equally many fields; `None` if none divides any.
fn guess_delimiter(head: &[u8]) -> Option<u8> {
    let score = |delimiter: u8| {
        let mut records = CsvRecords::new(head, delimiter, true);
        let next = || records.read().ok().flatten();
        let records = std::iter::from_fn(next).take(SAMPLE_ROWS);
        let widths: Vec<usize> = records
            .filter_map(|record| Some(record.fields.ok()?.len()))
            .filter(|&width| width > 1)
            .collect();
        let even = |width: usize| widths.iter().filter(|&&other| other == width).count();
        widths.first().map_or(0, |&width| even(width))
    };
    // Of equals the first wins.
    let scores = DELIMITERS.map(|delimiter| (score(delimiter), delimiter));
    let best = scores.into_iter().rev().max_by_key(|&(score, _)| score);
    best.filter(|&(score, _)| score > 0)
        .map(|(_, delimiter)| delimiter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::source::InvalidBytes;

    fn read(text: &str) -> Result<Table> {
        let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
        let input = TextReader::new(bytes, "x", InvalidBytes::Refused("convert it")).unwrap();
        Table::read(input, "x")
    }

    fn fields(text: &str) -> Vec<Vec<String>> {
        let table = read(text).unwrap();
        let column = |column: &Column| column.fields().map(str::to_string).collect();
        table.columns.iter().map(column).collect()
    }

    #[test]
    fn delimiters_are_those_that_divide_rows_evenly() {
        for text in [
            "date,value\n2020-01,1.5\n2020-02,2.5\n",
            "date;value\n2020-01;1.5\n2020-02;2.5",
            "\n\nsep=|\ndate|value\n2020-01|1.5\n\n2020-02|2.5\n",
            "2020-01\t1.5\n2020-02\t2.5\n",
        ] {
            assert_eq!(
                fields(text),
                [["2020-01", "2020-02"], ["1.5", "2.5"]],
                "{text}"
            );
        }
        assert_eq!(fields("2020-01;1,5\n2020-02;2,5")[1], ["1,5", "2,5"]);
        assert_eq!(fields("1\n2\n3"), [["1", "2", "3"]]);
    }

    #[test]
    fn headers_are_names_above_numbers_or_dates() {
        let names = |text: &str| read(text).unwrap().names;
        assert_eq!(names("Date, Value \n2020,1\n"), ["Date", "Value"]);
        assert_eq!(
            names("date,2020,2021\n2020-01,5,6\n"),
            ["date", "2020", "2021"]
        );
        assert_eq!(names("2020,1\n2021,2\n"), [""; 0]);
        assert_eq!(names("a,1\nb,2\n"), [""; 0]);
        assert_eq!(names("id,values\nA,1 2 3\n"), ["id", "values"]);
        assert_eq!(names("A,1 2 3\n"), [""; 0]);
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let table = read("\n\na,b\n1,2\n\n3\n4,5,6\n7,8,\n\"9,1\n").unwrap();
        assert_eq!(table.lines, [4, 6, 8]);
        assert_eq!(
            table.notes,
            [
                "x: rows with more fields than the first are left out: line 7 has 3",
                "x: rows with fewer fields than the first lack values: line 6 has 1",
                "x: rows that cannot be read are left out: line 9 (a quotation mark is never closed)",
            ]
        );
        for (text, message) in [
            ("a,b\n1,2,3\n4,5,6\n", "most rows of x have more fields"),
            ("", "there are no numbers in x: it is empty"),
            ("a,b\n", "no row follows its header"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn lists_are_several_numbers() {
        for (field, expected) in [
            ("1 2 3", true),
            ("1.5 2.5", true),
            ("1 NA 3", true),
            ("1 234", false),
            ("1 234 567", false),
            ("100 200 300 400 500 600", true),
            ("1", false),
            ("one two", false),
        ] {
            assert_eq!(is_list(field), expected, "{field}");
        }
    }
}

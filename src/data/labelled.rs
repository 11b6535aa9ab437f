/*!
Rows of a file of documents, with their labels if it has some. Rows are read one at a time, so a file may be larger than
memory.

A row that cannot be read is an error of that row alone; what is wrong with the whole file is an [`Error`].
*/

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::document::ParsedDocument;
pub use super::document::{Document, DocumentOptions, Format};
pub use super::format::format_of_name;
use super::format::{guess_delimiter, guess_format};
use super::json_lines::JsonLinesReader;
use super::lines::{DocumentInput, LineReader};
use super::table::TableReader;
use crate::error::{Error, Result};
use crate::text::decoding::Encoding;

/// Number of unreadable rows that are reported one by one.
const MAX_REPORTED: u64 = 20;
/// Number of bytes that the format is guessed from.
const HEAD_BYTES: usize = 1 << 16;

/// A row of a file: a document, or the reason why it could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledRow {
    /// Number of the row, from 1, without the header. In a file of lines, blank lines count.
    pub number: u64,
    /// Number of the line that the row begins on, from 1.
    pub line: u64,
    /// The document, or the reason.
    pub document: std::result::Result<Document, String>,
}

/// Number of rows, and of those that could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCount {
    /// All rows.
    pub all: u64,
    /// Rows that could not be read.
    pub broken: u64,
}

impl RowCount {
    /// Counts a row and returns its document. The first rows that could not be read are passed to `report` as messages.
    pub fn take(&mut self, row: LabelledRow, report: &mut dyn FnMut(String)) -> Option<Document> {
        self.all += 1;
        let LabelledRow { number, line, .. } = row;
        row.document
            .inspect_err(|reason| {
                self.broken += 1;
                if self.broken <= MAX_REPORTED {
                    report(format!("row {number} (line {line}) is skipped: {reason}"));
                }
            })
            .ok()
    }

    /// Checks that every row could be read.
    ///
    /// # Errors
    /// If there was a row that could not be read.
    pub fn check(&self) -> Result<()> {
        match self.broken {
            0 => Ok(()),
            broken => Err(Error::new(format!(
                "{broken} of {} rows could not be read",
                self.all
            ))),
        }
    }
}

/// The rows of a file, in their order.
pub struct LabelledRows {
    reader: RowReader,
    /// Number of rows read so far.
    count: u64,
    /// Number of blank lines before what the reader reads.
    skipped_lines: u64,
    file: String,
    /// Notes for the user on how the file was understood, where that is uncertain.
    pub notes: Vec<String>,
}

enum RowReader {
    Lines(LineReader),
    Table(Box<TableReader>),
    JsonLines(JsonLinesReader),
}

impl LabelledRows {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// A file that cannot be read, is empty, or lacks a column.
    pub fn open(path: &Path, options: &DocumentOptions) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::file("read", path, e))?;
        let options = DocumentOptions {
            format: options.format.or_else(|| format_of_name(path)),
            ..options.clone()
        };
        Self::read(file, &path.display().to_string(), &options)
    }

    /// Reads rows from `input`; `file` is its name in messages.
    ///
    /// # Errors
    /// As [`LabelledRows::open`].
    pub fn read(
        input: impl Read + Send + 'static,
        file: &str,
        options: &DocumentOptions,
    ) -> Result<Self> {
        let mut input = BufReader::with_capacity(HEAD_BYTES, input);
        let failed = |e: io::Error| Error::new(format!("cannot read {file}: {e}"));
        let skipped_lines = skip_blank_lines(&mut input).map_err(failed)?;
        let start = input.fill_buf().map_err(failed)?;
        if start.is_empty() {
            return Err(Error::new(format!("there are no documents in {file}")));
        }
        let encoding = Encoding::of(start);
        if encoding.is_utf16() {
            return Err(Error::new(format!(
                "{file} is UTF-16, and documents are read as UTF-8: convert it"
            )));
        }
        input.consume(encoding.mark_length());
        // Of a pipe this may be only the first few bytes; guesses are then based on these.
        let head = input.buffer();
        let format = match options.format {
            Some(format) => format,
            None => guess_format(head, options.labels),
        };
        let mut notes = Vec::new();
        let reader = match format {
            Format::Lines if options.labels => {
                return Err(Error::new(format!(
                    "--format lines has no labels, and {file} must have some; give csv, tsv or jsonl"
                )));
            }
            Format::Lines => RowReader::Lines(LineReader::new(Box::new(input))),
            Format::Csv | Format::Tsv => {
                let delimiter = match format {
                    Format::Tsv => b'\t',
                    _ => guess_delimiter(head),
                };
                let input: DocumentInput = Box::new(input);
                let table = TableReader::new(input, delimiter, file, options, &mut notes)?;
                RowReader::Table(Box::new(table))
            }
            Format::Jsonl => {
                RowReader::JsonLines(JsonLinesReader::new(Box::new(input), file, options)?)
            }
        };
        Ok(LabelledRows {
            reader,
            count: 0,
            skipped_lines,
            file: file.to_string(),
            notes,
        })
    }

    /// The next document, with the number of its line as the reader counts.
    fn document(&mut self) -> io::Result<Option<(u64, ParsedDocument)>> {
        match &mut self.reader {
            RowReader::Lines(lines) => lines.document(),
            RowReader::Table(table) => table.document(),
            RowReader::JsonLines(objects) => objects.document(),
        }
    }
}

impl Iterator for LabelledRows {
    type Item = Result<LabelledRow>;

    fn next(&mut self) -> Option<Result<LabelledRow>> {
        let found = self.document().transpose()?;
        self.count += 1;
        let failed = |e| Error::new(format!("cannot read {}: {e}", self.file));
        Some(found.map_err(failed).map(|(line, document)| {
            let line = line + self.skipped_lines;
            LabelledRow {
                number: match self.reader {
                    RowReader::Lines(_) => line,
                    _ => self.count,
                },
                line,
                document,
            }
        }))
    }
}

/// Consumes blocks of `input` that hold only white space; returns their number of lines.
fn skip_blank_lines(input: &mut impl BufRead) -> io::Result<u64> {
    let mut lines = 0;
    loop {
        let head = input.fill_buf()?;
        if head.is_empty() || !head.iter().all(u8::is_ascii_whitespace) {
            return Ok(lines);
        }
        lines += head.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let length = head.len();
        input.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, options: &DocumentOptions) -> Result<LabelledRows> {
        LabelledRows::read(io::Cursor::new(text.as_bytes().to_vec()), "x", options)
    }

    fn labelled() -> DocumentOptions {
        DocumentOptions {
            labels: true,
            ..DocumentOptions::default()
        }
    }

    fn pairs(text: &str) -> Vec<(String, String)> {
        let rows = read(text, &labelled()).unwrap();
        rows.map(|row| row.unwrap().document.unwrap())
            .map(|document| (document.label.unwrap(), document.text))
            .collect()
    }

    #[test]
    fn formats_are_guessed_from_the_content() {
        let expected = [("good", "a, \"b\"\nc"), ("bad", "d;e\tf")]
            .map(|(label, text)| (label.to_string(), text.to_string()));
        let files = [
            "label,text\ngood,\"a, \"\"b\"\"\nc\"\nbad,d;e\tf\n",
            "text;sentiment\n\"a, \"\"b\"\"\nc\";good\n\"d;e\tf\";bad\n",
            "{\"label\": \"good\", \"text\": \"a, \\\"b\\\"\\nc\"}\n\n{\"text\": \"d;e\\tf\", \"label\": \"bad\"}\n",
            "\u{feff}id,label,text\n1,good,\"a, \"\"b\"\"\nc\"\n2,bad,d;e\tf\n",
        ];
        for file in files {
            assert_eq!(pairs(file), expected, "{file}");
        }
    }

    #[test]
    fn unpaired_quotation_marks_in_tsv_are_plain_characters() {
        let file = "Label\tText\r\ngood\t\"a \"\"b\"\"\"\r\nbad\t\"d e\ngood\tf\"\n";
        let expected = [("good", "a \"b\""), ("bad", "\"d e"), ("good", "f\"")]
            .map(|(label, text)| (label.to_string(), text.to_string()));
        assert_eq!(pairs(file), expected);
    }

    #[test]
    fn missing_labels_are_errors_only_where_labels_are_required() {
        for file in [
            "text,label\nfine,\ndull,bad\n",
            "\n{\"text\": \"fine\", \"label\": null}\n{\"text\": \"dull\", \"label\": \" bad \"}\n",
        ] {
            let rows = read(file, &DocumentOptions::default()).unwrap();
            let labels: Vec<_> = rows
                .map(|row| row.unwrap().document.unwrap().label)
                .collect();
            assert_eq!(labels, [None, Some("bad".to_string())], "{file}");
            let broken = read(file, &labelled()).unwrap();
            let broken = broken.filter(|row| row.as_ref().unwrap().document.is_err());
            assert_eq!(broken.count(), 1);
        }
    }

    #[test]
    fn the_delimiter_is_guessed_from_many_rows() {
        let rows = "1,so; so; good\n0,very bad\n1,fine; really\n0,awful\n";
        let found = pairs(rows);
        assert_eq!(found.len(), 4);
        assert_eq!(found[0], ("1".to_string(), "so; so; good".to_string()));
    }

    #[test]
    fn an_unclosed_quotation_mark_breaks_one_row() {
        let rows = read("label,text\ngood,\"a\nbad,b\ngood,\"c, d\"\n", &labelled()).unwrap();
        let mut count = RowCount::default();
        let mut reports = Vec::new();
        let mut report = |message| reports.push(message);
        let texts: Vec<String> = rows
            .filter_map(|row| count.take(row.unwrap(), &mut report))
            .map(|document| document.text)
            .collect();
        assert_eq!(texts, ["b", "c, d"]);
        assert_eq!(
            reports,
            ["row 1 (line 2) is skipped: a quotation mark is never closed"]
        );
        assert_eq!((count.all, count.broken), (3, 1));
        assert_eq!(
            count.check().unwrap_err().to_string(),
            "1 of 3 rows could not be read"
        );
    }

    #[test]
    fn unnamed_columns_are_guessed_from_their_values() {
        let rows = "so good,1\nvery bad,0\nfine,1\nawful,0\n";
        let expected = [
            ("1", "so good"),
            ("0", "very bad"),
            ("1", "fine"),
            ("0", "awful"),
        ]
        .map(|(label, text)| (label.to_string(), text.to_string()));
        assert_eq!(pairs(rows), expected);
        assert_eq!(pairs(&format!("what,kind\n{rows}")), expected);
    }

    #[test]
    fn missing_columns_are_named_in_the_error() {
        let table = [
            (
                "a,b,c\n1,2,3\n",
                "no text column was found in x: its columns are “a”, “b”, “c”; name it with --text-column",
            ),
            (
                "id,n,text\n1,2,3\n",
                "no label column was found in x: its columns are “id”, “n”, “text”; name it with --label-column",
            ),
            (
                "{\"text\": 1}\n",
                "no label key was found in x: its keys are “text”; name it with --label-column",
            ),
            ("  \n", "there are no documents in x"),
        ];
        for (text, message) in table {
            let error = read(text, &labelled()).err().unwrap();
            assert_eq!(error.to_string(), message);
        }
        let options = DocumentOptions {
            label_column: Some("Colour".to_string()),
            ..labelled()
        };
        let error = read("id,text\n1,a\n", &options).err().unwrap();
        assert_eq!(
            error.to_string(),
            "x has no column Colour (--label-column); its columns are id, text"
        );
    }

    #[test]
    fn broken_rows_are_reported_with_their_numbers() {
        let rows = read(
            "label,text\ngood,a\nbad\ngood,b,c\n,d\nbad,e\n",
            &labelled(),
        )
        .unwrap();
        let errors: Vec<_> = rows
            .map(|row| row.unwrap())
            .filter_map(|row| Some((row.number, row.line, row.document.err()?)))
            .collect();
        assert_eq!(
            errors,
            [
                (2, 3, "number of columns is 1, expected 2".to_string()),
                (3, 4, "number of columns is 3, expected 2".to_string()),
                (4, 5, "the label is missing".to_string()),
            ]
        );
        let rows = read(
            "{\"label\": 1, \"text\": \"a\"}\nno\n{\"label\": 2}\n",
            &labelled(),
        )
        .unwrap();
        let errors: Vec<_> = rows.filter_map(|row| row.unwrap().document.err()).collect();
        assert!(errors[0].starts_with("invalid JSON: "), "{errors:?}");
        assert_eq!(errors[1], "“text” is missing");
    }

    #[test]
    fn each_line_of_plain_text_is_a_document() {
        let rows = read("one, two\n\nthree\n", &DocumentOptions::default()).unwrap();
        let texts: Vec<_> = rows
            .map(|row| row.unwrap())
            .map(|row| (row.line, row.document.unwrap().text))
            .collect();
        assert_eq!(
            texts,
            [(1, "one, two".to_string()), (3, "three".to_string())]
        );
    }

    #[test]
    fn lines_are_numbered_from_the_start_of_the_file() {
        let blank = "\n".repeat(HEAD_BYTES + 1);
        for text in ["text\nfine\n", "{\"text\": \"fine\"}\n"] {
            let rows = read(&format!("{blank}{text}"), &DocumentOptions::default()).unwrap();
            let line = rows.map(|row| row.unwrap().line).last().unwrap();
            assert_eq!(
                line as usize,
                HEAD_BYTES + 1 + text.lines().count(),
                "{text}"
            );
        }
    }
}

/*!
Rows of a file of documents, with their labels if it has some. Rows are read one at a time, so a file may be larger than
memory.

A row that cannot be read is an error of that row alone; what is wrong with the whole file, such as invalid bytes, is
an [`Error`].
*/

use std::io::{self, BufRead, Read};
use std::path::Path;

use super::document::ParsedDocument;
pub use super::document::{Document, DocumentOptions, Format};
use super::fasttext;
pub use super::format::format_of_name;
use super::format::{guess_delimiter, guess_format, separator_line};
use super::json_lines::JsonLinesReader;
use super::lines::LineReader;
use super::table::TableReader;
use crate::error::{Error, Result};
use crate::text::source::InvalidBytes;
use crate::text::text_reader::TextReader;

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
    /// Number of lines before what the reader reads: blank ones, and one that gives the delimiter.
    skipped_lines: u64,
    file: String,
    /// Notes for the user on how the file was understood, where that is uncertain.
    pub notes: Vec<String>,
}

enum RowReader {
    Lines(LineReader),
    Fasttext {
        lines: LineReader,
        label_required: bool,
    },
    Table(Box<TableReader>),
    JsonLines(Box<JsonLinesReader>),
}

impl LabelledRows {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// A file that cannot be read, is not text, is empty, or lacks a column.
    pub fn open(path: &Path, options: &DocumentOptions) -> Result<Self> {
        let input = TextReader::open(path, InvalidBytes::lossy(options.lossy))?;
        let options = DocumentOptions {
            format: options.format.or_else(|| format_of_name(path)),
            ..options.clone()
        };
        Self::of_text(input, &path.display().to_string(), &options)
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
        let invalid = InvalidBytes::lossy(options.lossy);
        Self::of_text(TextReader::new(input, file, invalid)?, file, options)
    }

    /// Reads rows from a text; `file` is its name in messages.
    ///
    /// # Errors
    /// As [`LabelledRows::open`].
    pub fn of_text(mut input: TextReader, file: &str, options: &DocumentOptions) -> Result<Self> {
        let mut skipped_lines = skip_blank_lines(&mut input)?;
        if input.decoded().is_empty() {
            return Err(Error::new(format!("there are no documents in {file}")));
        }
        let mut notes = Vec::new();
        if input.notes().utf16_files > 0 {
            notes.push(format!("{file} is decoded as UTF-16"));
        }
        let separator = match options.format {
            None | Some(Format::Csv | Format::Tsv) => separator_line(head(&input)),
            _ => None,
        };
        if let Some((_, length)) = separator {
            input.consume(length);
            skipped_lines += 1;
        }
        let format = match (options.format, separator) {
            (Some(format), _) => format,
            (None, Some(_)) => Format::Csv,
            (None, None) => guess_format(head(&input), options.labels || options.give_layout()),
        };
        if options.format.is_none() && format != Format::Lines {
            notes.push(format!(
                "{file} is taken for {}, by its beginning; --format says otherwise",
                name(format)
            ));
        }
        let delimiter = match (separator, format) {
            (Some((delimiter, _)), _) => delimiter,
            (None, Format::Tsv) => b'\t',
            (None, _) => guess_delimiter(head(&input)),
        };
        Ok(LabelledRows {
            reader: RowReader::new(input, (format, delimiter), file, options, &mut notes)?,
            count: 0,
            skipped_lines,
            file: file.to_string(),
            notes,
        })
    }

    /// Notes for the user that are known only after the last row.
    pub fn closing_notes(&self) -> Vec<String> {
        let replacements = self.reader.text().notes().replacements();
        let repeated = match &self.reader {
            RowReader::Table(table) => table.note(self.skipped_lines),
            _ => None,
        };
        let notes = replacements.into_iter().chain(repeated);
        notes.map(|note| format!("{}: {note}", self.file)).collect()
    }
}

impl RowReader {
    /// A reader of the rows of `file`, laid out in a format, and divided by a delimiter if they are those of a table.
    fn new(
        input: TextReader,
        (format, delimiter): (Format, u8),
        file: &str,
        options: &DocumentOptions,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        Ok(match format {
            Format::Lines if options.labels => {
                return Err(Error::new(format!(
                    "--format lines has no labels, and {file} must have some; give csv, tsv, jsonl or fasttext"
                )));
            }
            Format::Lines => RowReader::Lines(LineReader::new(input)),
            Format::Fasttext => RowReader::Fasttext {
                lines: LineReader::new(input),
                label_required: options.labels,
            },
            Format::Csv | Format::Tsv => {
                let table = TableReader::new(input, delimiter, file, options, notes)?;
                RowReader::Table(Box::new(table))
            }
            Format::Jsonl => {
                RowReader::JsonLines(Box::new(JsonLinesReader::new(input, file, options)?))
            }
        })
    }

    /// The next document, with the number of its line as the reader counts.
    fn document(&mut self) -> io::Result<Option<(u64, ParsedDocument)>> {
        match self {
            RowReader::Lines(lines) => lines.document(),
            RowReader::Fasttext {
                lines,
                label_required,
            } => fasttext::read(lines, *label_required),
            RowReader::Table(table) => table.document(),
            RowReader::JsonLines(objects) => objects.document(),
        }
    }

    /// The text that the rows are read from.
    fn text(&self) -> &TextReader {
        match self {
            RowReader::Lines(lines) | RowReader::Fasttext { lines, .. } => &lines.input,
            RowReader::Table(table) => &table.records.reader,
            RowReader::JsonLines(objects) => &objects.lines.input,
        }
    }
}

impl Iterator for LabelledRows {
    type Item = Result<LabelledRow>;

    fn next(&mut self) -> Option<Result<LabelledRow>> {
        let found = self.reader.document().transpose()?;
        self.count += 1;
        let failed = |e| Error::of_reader(&self.file, e);
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

/// The beginning of what is next, which guesses are based on.
fn head(input: &TextReader) -> &[u8] {
    let text = input.decoded().as_bytes();
    &text[..text.len().min(HEAD_BYTES)]
}

/// The name of a format in notes.
fn name(format: Format) -> &'static str {
    match format {
        Format::Lines => "lines",
        Format::Csv => "CSV",
        Format::Tsv => "TSV",
        Format::Jsonl => "JSON Lines",
        Format::Fasttext => "fastText's lines",
    }
}

/// Consumes blocks of `input` that hold only white space; returns their number of lines.
fn skip_blank_lines(input: &mut TextReader) -> Result<u64> {
    let mut lines = 0;
    loop {
        let head = input.piece()?.as_bytes();
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

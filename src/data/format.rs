/*!
Guesses of a file's layout, and of the delimiter of its columns, from its name and its beginning.
*/

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::path::Path;

use serde_json::{Map, Value};

use super::csv_records::{CsvRecord, CsvRecords};
use super::document::Format;
use super::fasttext;
use super::table_sample::{Header, TableSample};

/// Delimiters that columns may have, the most likely first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// Number of rows that the layout and the delimiter are guessed from.
const SAMPLE_ROWS: usize = 50;
/// Extensions of compressed files, which stand after that of the layout.
const COMPRESSED: [&str; 4] = ["gz", "zst", "zstd", "xz"];

/// The layout that the extension of a file's name stands for.
pub fn format_of_name(path: &Path) -> Option<Format> {
    let extension = path.extension()?.to_string_lossy().to_lowercase();
    match &extension[..] {
        "csv" => Some(Format::Csv),
        "tsv" | "tab" => Some(Format::Tsv),
        "jsonl" | "ndjson" | "json" => Some(Format::Jsonl),
        extension if COMPRESSED.contains(&extension) => format_of_name(&path.with_extension("")),
        _ => None,
    }
}

/// Guesses the layout of a file that begins with `head`. A line of prose may begin with a brace and has commas too: most
/// lines must be objects, or begin as those of fastText, and a table that is not `expected`, by labels or columns, must have
/// a header and even rows.
pub(super) fn guess_format(head: &[u8], expected: bool) -> Format {
    if most_lines(head, is_object) || is_json(head) {
        return Format::Jsonl;
    }
    if most_lines(head, |line| line.starts_with(fasttext::PREFIX.as_bytes())) {
        return Format::Fasttext;
    }
    let delimiter = guess_delimiter(head);
    match delimiter {
        _ if !expected && !is_table(head, delimiter) => Format::Lines,
        b'\t' => Format::Tsv,
        _ => Format::Csv,
    }
}

fn most_lines(head: &[u8], has: impl Fn(&[u8]) -> bool) -> bool {
    let lines = head.split(ends_line).map(<[u8]>::trim_ascii);
    let lines = lines.filter(|line| !line.is_empty()).take(SAMPLE_ROWS);
    let (mut count, mut all) = (0, 0);
    for line in lines {
        count += usize::from(has(line));
        all += 1;
    }
    2 * count > all
}

/// Whether a line is a JSON object, which may be cut off.
fn is_object(line: &[u8]) -> bool {
    let object = serde_json::from_slice::<Map<String, Value>>(line);
    line.starts_with(b"{") && object.map_or_else(|error| error.is_eof(), |_| true)
}

/// Whether a whole file is an object over several lines, or a list of objects. Its reader then asks for other lines.
fn is_json(head: &[u8]) -> bool {
    serde_json::from_slice::<Map<String, Value>>(head).is_ok()
        || serde_json::from_slice::<Vec<Map<String, Value>>>(head).is_ok_and(|all| !all.is_empty())
}

/// Whether a file that may be prose is a table: with two usual names of columns most rows must have as many fields as
/// these, with one nearly all, and the names no space after the delimiter.
fn is_table(head: &[u8], delimiter: u8) -> bool {
    let rows = rows(head, delimiter);
    let Ok(sample) = TableSample::new(&rows, "") else {
        return false;
    };
    if sample.width < 2 || sample.names.len() != sample.width {
        return false;
    }
    match sample.header(None) {
        Header::Certain => 2 * sample.even_rows() > sample.count,
        Header::Likely => {
            let follows = [delimiter, b' '];
            let has_spaces = first_line(head).windows(2).any(|pair| *pair == follows);
            let enough = 10 * sample.even_rows() >= 9 * sample.count && sample.count > 2;
            sample.usual_names() > 0 && enough && !has_spaces
        }
        Header::Absent => false,
    }
}

/// The delimiter that a first line as spreadsheets write it gives, `sep=;`, and the length of that line.
pub(super) fn separator_line(head: &[u8]) -> Option<(u8, usize)> {
    let end = head.iter().position(|&byte| byte == b'\n')?;
    let line = head[..end].strip_suffix(b"\r").unwrap_or(&head[..end]);
    let quoted = line
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    match quoted.unwrap_or(line) {
        [name @ .., b'=', delimiter]
            if name.eq_ignore_ascii_case(b"sep") && !delimiter.is_ascii_alphanumeric() =>
        {
            Some((*delimiter, end + 1))
        }
        _ => None,
    }
}

/// Guesses the delimiter: the one that divides the most rows into equally many fields, then that a space follows in the
/// fewest, then that divides the first row into the most usual column names, then into the most fields.
pub(super) fn guess_delimiter(head: &[u8]) -> u8 {
    // Of equals the first wins, as `min_by_key` takes the first.
    DELIMITERS
        .into_iter()
        .min_by_key(|&delimiter| Reverse(delimiter_score(head, delimiter)))
        .expect("DELIMITERS is not empty")
}

/// What speaks for a delimiter, the weightiest first; zeros without columns.
fn delimiter_score(head: &[u8], delimiter: u8) -> (usize, usize, usize, usize) {
    let rows = rows(head, delimiter);
    let fields: Vec<&Vec<String>> = rows
        .iter()
        .filter_map(|row| row.fields.as_ref().ok())
        .filter(|fields| fields.len() > 1)
        .collect();
    let Some(first) = fields.first() else {
        return (0, 0, 0, 0);
    };
    let even = |width: usize| fields.iter().filter(|row| row.len() == width).count();
    let (even_rows, width) = fields
        .iter()
        .map(|row| (even(row.len()), row.len()))
        .max()
        .unwrap_or_default();
    let usual = first.iter().filter(|field| is_usual(field)).count();
    let spaced = |row: &&&Vec<String>| row[1..].iter().any(|field| field.starts_with(' '));
    let tight = fields.len() - fields.iter().filter(spaced).count();
    (even_rows, tight, usual, width)
}

fn is_usual(field: &str) -> bool {
    super::columns::is_usual_name(&super::columns::column_name(field))
}

/// The first rows. A first one that does not end within `head` is represented by its first line.
fn rows(head: &[u8], delimiter: u8) -> VecDeque<CsvRecord> {
    let mut records = CsvRecords::new(head, delimiter, delimiter != b'\t');
    let first = records.fields(first_line(head));
    let next = || records.read().ok().flatten();
    let mut rows: VecDeque<CsvRecord> = std::iter::from_fn(next).take(SAMPLE_ROWS).collect();
    if let (Some(row), Some(fields)) = (rows.front_mut(), first)
        && row.fields.is_err()
    {
        row.fields = Ok(fields);
    }
    rows
}

/// Whether a byte ends a line: CRLF has become LF, and old files have CR alone.
fn ends_line(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn first_line(head: &[u8]) -> &[u8] {
    let lines = head.split(ends_line);
    lines.into_iter().next().unwrap_or(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_lines_and_tables_and_objects_are_found() {
        for (text, format) in [
            ("Review\nDull.\nWarm, and sad.\n", Format::Lines),
            (
                "Title, score, cast: it works.\nDull.\nWarm, and sad.\n",
                Format::Lines,
            ),
            (
                "Text, and a class: mine.\nDull.\nWarm, and sad.\n",
                Format::Lines,
            ),
            ("{an aside} so\nDull.\n", Format::Lines),
            ("{\n  \"text\": \"a\"\n}\n", Format::Jsonl),
            ("[{\"text\": \"a\"}]\n", Format::Jsonl),
            ("[1]\n", Format::Lines),
            ("Review, long\nWarm, sad\nCold, wet\n", Format::Lines),
            ("text,label\na,b\n", Format::Csv),
            ("id;review\n1;a, b\n2;c, d\n", Format::Csv),
            ("label\ttext\na\tb, c\n", Format::Tsv),
            (
                "oops\n{\"text\": \"a\"}\n{\"text\": \"b\"}\n",
                Format::Jsonl,
            ),
            ("{\"text\": \"a line that is cut o", Format::Jsonl),
            ("__label__a b\n__label__c d\n", Format::Fasttext),
        ] {
            assert_eq!(guess_format(text.as_bytes(), false), format, "{text}");
        }
    }

    #[test]
    fn later_rows_count_as_much_as_the_first_for_the_delimiter() {
        for (text, delimiter) in [
            ("a,b;c\nd;e\nf;g\n", b';'),
            ("pos\tx, y\nneg\tz, w\n", b'\t'),
            ("1|a;b\n2|c\n", b'|'),
            ("alone\n", b','),
        ] {
            assert_eq!(guess_delimiter(text.as_bytes()), delimiter, "{text}");
        }
    }

    #[test]
    fn names_of_compressed_files_tell_the_layout_too() {
        for (name, format) in [
            ("a.CSV.gz", Some(Format::Csv)),
            ("a.jsonl.zst", Some(Format::Jsonl)),
            ("a.gz", None),
            ("csv", None),
        ] {
            assert_eq!(format_of_name(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn a_separator_line_gives_the_delimiter() {
        for (text, found) in [
            ("sep=;\r\na;b", Some((b';', 7))),
            ("\"SEP=|\"\na|b", Some((b'|', 8))),
            ("sep=\t\n", Some((b'\t', 6))),
            ("sep=ab\n", None),
            ("sepal;width\n", None),
        ] {
            assert_eq!(separator_line(text.as_bytes()), found, "{text}");
        }
    }
}

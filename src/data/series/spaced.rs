/*!
Tables whose columns are apart by spaces: those of R's `write.table` and `print`, and of many .dat files. The same text may
be a series in each row, so that something has to speak for columns.
*/

use super::super::csv_records::CsvRecords;
use super::cells::{is_missing, is_number};
use super::date_text::DateText;
use crate::error::{Error, Result};

/// Number of rows that the form is guessed from.
const SAMPLE_ROWS: usize = 200;
/// Rows for each column from which on a table of numbers alone is taken for columns.
const ROWS_PER_COLUMN: usize = 3;
/// Numbers that a first column of years holds.
const YEARS: std::ops::Range<f64> = 1500.0..2200.0;

/// How the rows of such a table are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spaced {
    /// Whether the header has no name for the first column, which names the rows.
    names_rows: bool,
}

impl Spaced {
    /// Looks at the beginning of a file; `None` if it is no such table.
    ///
    /// # Errors
    /// Names of columns above rows that have not as many fields: what is missing in them cannot be told.
    pub fn find(head: &[u8], file: &str) -> Result<Option<Self>> {
        let rows = rows(head);
        let (Some((_, first)), Some((_, second))) = (rows.first(), rows.get(1)) else {
            return Ok(None);
        };
        let is_name = |field: &String| !is_data(field) && !is_missing(field);
        let has_header = first.iter().all(is_name);
        let (body, width) = (&rows[1..], second.len());
        if width < 2 || body.iter().all(|(_, fields)| is_number(&fields.join(" "))) {
            return Ok(None);
        }
        let names_rows = has_header && first.len() + 1 == width;
        let uneven = body.iter().find(|(_, fields)| fields.len() != width);
        if !names_rows && first.len() != width || uneven.is_some() {
            let (line, fields) = uneven.unwrap_or(&body[0]);
            return match has_header && first.len() > 1 {
                true => Err(Error::new(format!(
                    "the columns of {file} seem to be apart by spaces, {} by its first row, but line {line} has {} fields: \
                     write what is missing as NA, or put commas between the columns",
                    first.len(),
                    fields.len()
                ))),
                false => Ok(None),
            };
        }
        let are_columns = has_header || has_dates(&rows) || rows.len() >= ROWS_PER_COLUMN * width;
        Ok(are_columns.then_some(Spaced { names_rows }))
    }

    /// The fields of a row that was divided at each space; `None` for a comment.
    pub fn fields(&self, divided: Vec<String>, is_first: bool) -> Option<Vec<String>> {
        let mut fields = compact(divided)?;
        if is_first && self.names_rows {
            fields.insert(0, String::new());
        }
        Some(fields)
    }
}

/// What has to be told of such a table, with so many comments in it.
pub(super) fn note(file: &str, comments: usize) -> String {
    let comments = match comments {
        0 => String::new(),
        1 => "; a line that begins with # is left out".to_string(),
        count => format!("; {count} lines that begin with # are left out"),
    };
    format!("{file}: columns are apart by spaces{comments}")
}

/// The fields without those between two spaces; `None` for a comment.
fn compact(mut fields: Vec<String>) -> Option<Vec<String>> {
    fields.retain(|field| !field.is_empty());
    let is_comment = fields.first().is_none_or(|field| field.starts_with('#'));
    (!is_comment).then_some(fields)
}

/// The first rows with their lines. The last of them, which may be cut, is left out if there are several.
fn rows(head: &[u8]) -> Vec<(u64, Vec<String>)> {
    let mut records = CsvRecords::new(head, b' ', true);
    let next = || records.read().ok().flatten();
    let records = std::iter::from_fn(next);
    let fields = records.filter_map(|record| Some((record.line, compact(record.fields.ok()?)?)));
    let mut rows: Vec<(u64, Vec<String>)> = fields.take(SAMPLE_ROWS).collect();
    if rows.len() > 2 && !head.ends_with(b"\n") {
        rows.pop();
    }
    rows
}

fn is_date(field: &str) -> bool {
    DateText::new(field).is_some_and(|text| text.is_date())
}

fn is_data(field: &str) -> bool {
    is_number(field) || is_date(field)
}

/// Whether the first fields are dates, or years that do not go back.
fn has_dates(rows: &[(u64, Vec<String>)]) -> bool {
    let firsts = || rows.iter().map(|(_, fields)| &fields[0]);
    let numbers: Option<Vec<f64>> = firsts().map(|field| field.parse().ok()).collect();
    match numbers {
        None => firsts().all(|field| is_date(field)),
        Some(numbers) => numbers.iter().all(|number| YEARS.contains(number)) && numbers.is_sorted(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::SeriesFile;
    use super::super::options::SeriesOptions;
    use crate::error::Result;

    fn read(text: &str) -> Result<SeriesFile> {
        let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
        SeriesFile::read(bytes, "x", &SeriesOptions::default())
    }

    fn series(text: &str) -> Vec<(String, String, Vec<f64>)> {
        let series = read(text).unwrap().series.into_iter();
        series
            .map(|one| (one.id.clone(), one.label(0), one.values))
            .collect()
    }

    fn expected(id: &str, label: &str, values: &[f64]) -> (String, String, Vec<f64>) {
        (id.to_string(), label.to_string(), values.to_vec())
    }

    #[test]
    fn columns_may_be_apart_by_spaces() {
        let values = expected("value", "2020-01", &[1.5, f64::INFINITY, 3.0]);
        for text in [
            "date value\n2020-01 1.5\n2020-02   2.5\n2020-03  3\n",
            "# made by hand\n# twice\n  date  value\n  2020-01  1.5\n  2020-02  2.5\n  2020-03  3\n",
            "\"date\" \"value\"\n\"1\" \"2020-01\" 1.5\n\"2\" \"2020-02\" 2.5\n\"3\" \"2020-03\" 3\n",
        ] {
            let found = &series(text)[..];
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!((&found[0].0, &found[0].1), (&values.0, &values.1), "{text}");
            assert_eq!(found[0].2, [1.5, 2.5, 3.0], "{text}");
        }
        let notes = read("#\n#\na b\n1 2\n3 4\n").unwrap().notes;
        let note = "x: columns are apart by spaces; 2 lines that begin with # are left out";
        assert_eq!(notes, [note]);
    }

    #[test]
    fn a_first_column_of_dates_or_many_rows_speak_for_columns() {
        let dated = series("1960.083 1\n1960.167 2\n1960.25 4\n");
        assert_eq!(dated, [expected("column 2", "1960-02", &[1.0, 2.0, 4.0])]);
        // R writes whole years without a fraction.
        let r =
            "\"time\" \"co2\"\n\"1\" 1958.9166666667 1\n\"2\" 1959 2\n\"3\" 1959.0833333333 4\n";
        assert_eq!(series(r), [expected("co2", "1958-12", &[1.0, 2.0, 4.0])]);
        let numbers = series(&"1.5 2.5\n".repeat(6));
        assert_eq!(numbers.len(), 2);
        assert_eq!(numbers[0].2, [1.5; 6]);
    }

    /// As R prints series of months and of quarters.
    #[test]
    fn a_row_may_be_a_year() {
        let months = "     Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec\n1990   1   2   3   4   5   6   7   8   9  10  11  12\n\
                      1991  13  14  15  16  17  18  19  20  21  22  23  24\n";
        let values: Vec<f64> = (1..=24).map(f64::from).collect();
        assert_eq!(series(months), [expected("value", "1990-01", &values)]);
        let quarters =
            "     Qtr1 Qtr2 Qtr3 Qtr4\n1990    1    2    3    4\n1991    5    6    7    8\n";
        assert_eq!(
            series(quarters),
            [expected("value", "1990Q1", &values[..8])]
        );
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        assert_eq!(
            series("1 2 3 4\n5 6 7 8\n").len(),
            2,
            "a series in each row"
        );
        assert_eq!(series("1 2 3\n5 6\n").len(), 2, "rows of different lengths");
        let thousands = series("value\n1 234\n1 567\n2 345\n");
        assert_eq!(
            thousands,
            [expected("value", "1", &[1234.0, 1567.0, 2345.0])]
        );
    }

    #[test]
    fn what_is_missing_in_a_row_is_asked_for() {
        let text = "     Jan Feb Mar\n1990       1   2\n1991   3   4   5\n";
        let error = read(text).unwrap_err().to_string();
        assert!(
            error.contains("line 3 has 4 fields: write what is missing as NA"),
            "{error}"
        );
    }
}

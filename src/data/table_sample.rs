/*!
The first rows of a table, from which its header and its columns are guessed.
*/

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::columns::{column_name, is_usual_name};
use super::csv_records::CsvRecord;
use crate::error::{Error, Result};

/// Fewest later rows by which a short first cell above long ones is taken for a name.
const FEWEST_ROWS: usize = 3;

/// The first rows of a table.
pub(super) struct TableSample<'r> {
    /// The fields of the first row as column names, which they are if it is a header.
    pub names: Vec<String>,
    /// Number of columns of most rows.
    pub width: usize,
    /// Number of all rows.
    pub count: usize,
    first: &'r [String],
    /// The later rows that have this number of columns.
    later: Vec<&'r [String]>,
}

/// Whether the first row is a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// It is.
    Certain,
    /// It is taken for one, as it does not look like data.
    Likely,
    /// It may be data.
    Absent,
}

impl<'r> TableSample<'r> {
    /// The sample of `rows`, the first ones of `file`.
    ///
    /// # Errors
    /// No rows, or a first one that cannot be read.
    pub fn new(rows: &'r VecDeque<CsvRecord>, file: &str) -> Result<Self> {
        let first = match rows.front().map(|first| &first.fields) {
            Some(Ok(fields)) => &fields[..],
            Some(Err(reason)) => {
                return Err(Error::new(format!(
                    "the first row of {file} cannot be read: {reason}"
                )));
            }
            None => return Err(Error::new(format!("there are no documents in {file}"))),
        };
        let readable = rows.iter().filter_map(|row| row.fields.as_deref().ok());
        let mut widths = BTreeMap::new();
        for fields in readable.clone() {
            *widths.entry(fields.len()).or_insert(0) += 1;
        }
        let most = widths
            .into_iter()
            .max_by_key(|&(width, count)| (count, width == first.len(), width));
        let width = most.map_or(first.len(), |(width, _)| width);
        let names: Vec<String> = first.iter().map(|field| column_name(field)).collect();
        // A header may come again, in a table joined from several. Documents may be equal too.
        let is_header = |fields: &&[String]| {
            width > 1 && *fields == first && names.iter().any(|name| is_usual_name(name))
        };
        let later = readable.skip(1).filter(|fields| fields.len() == width);
        Ok(TableSample {
            width,
            count: rows.len(),
            first,
            later: later.filter(|fields| !is_header(fields)).collect(),
            names,
        })
    }

    /// The fields of the header; none without one.
    pub fn fields(&self, header: Header) -> &'r [String] {
        match header {
            Header::Absent => &[],
            _ => self.first,
        }
    }

    /// Number of rows that have as many columns as most.
    pub fn even_rows(&self) -> usize {
        self.later.len() + usize::from(self.first.len() == self.width)
    }

    /// Number of fields of the first row that are usual names of columns.
    pub fn usual_names(&self) -> usize {
        self.names.iter().filter(|name| is_usual_name(name)).count()
    }

    /// Whether the first row is a header, where its column of labels is `label`. It is one only if it cannot well be data:
    /// no later row has its label, and its fields are names or unlike the later ones.
    pub fn header(&self, label: Option<usize>) -> Header {
        // A single letter, such as y, is a likely label too.
        let is_long = |name: &&String| is_usual_name(name) && name.len() > 1;
        let long_names = self.names.iter().filter(is_long).count();
        if long_names > 0 && self.usual_names() > 1 {
            return Header::Certain;
        }
        let recurs = label.is_some_and(|label| self.recurs(label));
        if self.first.len() != self.width || recurs {
            return Header::Absent;
        }
        let are_names = || self.names.iter().all(|name| may_be_name(name));
        let differs = || (0..self.width).any(|column| self.is_unlike_later(column));
        match (long_names > 0 && are_names()) || differs() {
            true => Header::Likely,
            false => Header::Absent,
        }
    }

    /// Whether the first field of a column comes again.
    fn recurs(&self, column: usize) -> bool {
        let name = self.names.get(column);
        name.is_some_and(|name| self.later(column).any(|field| column_name(field) == *name))
    }

    /// Whether the first field of a column is of another kind than all later ones: no number above numbers, or a single
    /// word above longer texts.
    fn is_unlike_later(&self, column: usize) -> bool {
        let first = self.first[column].trim();
        let later: Vec<&str> = self
            .later(column)
            .filter(|field| !field.is_empty())
            .collect();
        if first.is_empty() || later.is_empty() || is_number(first) {
            return false;
        }
        let numbers = later.iter().all(|field| is_number(field));
        let texts = later.len() >= FEWEST_ROWS
            && later
                .iter()
                .all(|field| field.split_whitespace().count() > 1);
        numbers || (texts && is_identifier(first))
    }

    /// The column of the labels of two: the one with fewer distinct values, or the shorter ones where no value is frequent.
    pub fn label_of_two(&self) -> usize {
        let [one, other] = [0, 1].map(|column| {
            let fields = || self.first.get(column).into_iter().map(|field| field.trim());
            let fields = || fields().chain(self.later(column));
            let distinct = fields().collect::<BTreeSet<&str>>().len();
            (distinct, fields().map(str::len).sum::<usize>())
        });
        let frequent = |(distinct, _): (usize, usize)| 2 * distinct <= self.even_rows();
        let second_is_label = match frequent(one) || frequent(other) {
            true => (other.0, other.1) < (one.0, one.1),
            false => other.1 < one.1,
        };
        usize::from(second_is_label)
    }

    /// The later fields of a column.
    fn later(&self, column: usize) -> impl Iterator<Item = &'r str> {
        let field = move |fields: &&'r [String]| fields.get(column).map(|field| field.trim());
        self.later.iter().filter_map(field)
    }
}

fn is_number(field: &str) -> bool {
    field.parse::<f64>().is_ok() && field.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_identifier(field: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    field.chars().count() <= 30 && field.chars().all(is_part)
}

/// Whether a field may be a column's name: a few words, without the punctuation of a sentence.
fn may_be_name(field: &str) -> bool {
    let is_short = field.chars().count() <= 40 && field.split_whitespace().count() <= 3;
    is_short && !is_number(field) && !field.contains(['.', ',', ';', '!', '?', '"'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> VecDeque<CsvRecord> {
        let fields = |line: &str| line.split(',').map(str::to_string).collect();
        let record = |(line, text)| CsvRecord {
            line: line as u64 + 1,
            fields: Ok(fields(text)),
        };
        text.lines().enumerate().map(record).collect()
    }

    #[test]
    fn a_first_row_is_a_header_only_if_it_cannot_well_be_data() {
        use Header::*;
        for (text, label, header) in [
            ("label,text\na,b", Some(0), Certain),
            ("y,I would\nn,never\ny,fine food", Some(0), Absent),
            ("y,fine food\nn,cold soup\nn,dirty floor", Some(0), Absent),
            ("kind,review\na,b", Some(0), Likely),
            ("a,review\nb,c\na,d", Some(0), Absent),
            ("what,kind\ngood,1\nbad,0", Some(1), Likely),
            ("good,1\nbad,0\nfine,1", Some(1), Absent),
            (
                "news,a b c\nsport,d e\nsport,f g\nsport,h i",
                Some(0),
                Absent,
            ),
            ("tag,said\nsport,d e\nsport,f g\nart,h i", Some(0), Likely),
            ("tag,said\nsport,d e\nsport,fine\nart,h i", Some(0), Absent),
            ("1,2\n3,4", Some(0), Absent),
            ("review\nso so\nbad", None, Likely),
        ] {
            let rows = rows(text);
            let sample = TableSample::new(&rows, "x").unwrap();
            assert_eq!(sample.header(label), header, "{text}");
        }
    }

    #[test]
    fn labels_of_two_columns_are_few_or_short() {
        for (text, label) in [
            ("so good,1\nbad,0\nfine,1\nawful,0", 1),
            ("1,so good\n0,bad\n1,fine\n0,awful", 0),
            ("17,well done\n18,well\n19,not so well\n20,well done", 0),
            ("well done,17\nwell,18\nnot so well,19\nwell done,20", 1),
        ] {
            let rows = rows(text);
            let sample = TableSample::new(&rows, "x").unwrap();
            assert_eq!(sample.label_of_two(), label, "{text}");
        }
    }

    #[test]
    fn the_width_is_that_of_most_rows() {
        let rows = rows("a,b,c\nd,e\nf,g\nh");
        let sample = TableSample::new(&rows, "x").unwrap();
        assert_eq!((sample.width, sample.even_rows(), sample.count), (2, 2, 4));
    }
}

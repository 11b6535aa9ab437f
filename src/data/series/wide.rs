/*!
Tables with a whole series in each row, a column for each step: turned into tables with a row for each value.
*/

use super::cells::{is_missing, is_number};
use super::date_text::{DateOrder, DateText};
use super::table::{Column, Table};

/// Number of rows that a form is guessed from.
const SAMPLE_ROWS: usize = 200;
/// Fewest columns that are taken for steps.
const FEWEST: usize = 3;

/// What a table with a series in each row has in its columns.
enum Form {
    /// A name, then values: `V1,V2,…` of the M4 competition.
    Values,
    /// Columns that say something else, then a value at each of these dates.
    Dates(Vec<String>),
    /// A year, then a value for each of its parts: what stands between the year and the number of one.
    Years(&'static str),
}

impl Table {
    /// Turns a table of one of these forms into one with the columns `id`, `date` and `value`, as far as there are such.
    pub fn lengthen(&mut self, file: &str) {
        let form = match self.form() {
            Some(form) => form,
            None => return,
        };
        let (taken, note) = match &form {
            Form::Values => (1, "a row is a series: its name, then its values"),
            Form::Dates(dates) => (
                self.columns.len() - dates.len(),
                "a row is a series, and the names of the columns are its dates",
            ),
            Form::Years("Q") => (1, "a row is a year, and its columns are the quarters"),
            Form::Years(_) => (1, "a row is a year, and its columns are the months"),
        };
        if self.names.is_empty() {
            self.drop_first_row();
        }
        let (mut ids, mut dates, mut values) =
            (Column::default(), Column::default(), Column::default());
        let mut lines = Vec::new();
        for (row, &line) in self.lines.iter().enumerate() {
            let fields = self.columns[taken..].iter().map(|column| column.get(row));
            let fields: Vec<&str> = fields.collect();
            let last = fields.iter().rposition(|field| !is_missing(field));
            let known = last.map_or(0, |last| last + 1);
            for (step, field) in fields[..known].iter().enumerate() {
                let first = self.columns[0].get(row).trim();
                match &form {
                    Form::Values => ids.push(first),
                    Form::Dates(names) => {
                        ids.push(first);
                        dates.push(&names[step]);
                    }
                    Form::Years(mark) => dates.push(&format!("{first}{mark}{:02}", step + 1)),
                }
                values.push(field);
                lines.push(line);
            }
        }
        self.notes.push(format!("{file}: {note}"));
        let all = [("id", ids), ("date", dates), ("value", values)];
        let (names, columns) = all
            .into_iter()
            .filter(|(_, column)| column.fields().next().is_some())
            .map(|(name, column)| (name.to_string(), column))
            .unzip();
        (self.names, self.columns, self.lines) = (names, columns, lines);
    }

    fn form(&self) -> Option<Form> {
        if self.columns.len() <= FEWEST || self.rows() == 0 {
            return None;
        }
        let names = self.lower_names();
        let is_counted = |(at, name): (usize, &String)| *name == format!("v{}", at + 1);
        if !names.is_empty() && names.iter().enumerate().all(is_counted) {
            return self.holds_text(0, 0).then_some(Form::Values);
        }
        // R prints no name above the years.
        if names
            .first()
            .is_some_and(|name| matches!(&name[..], "year" | ""))
        {
            let parts = &names[1..];
            match (are_parts(parts, &MONTHS), are_parts(parts, &QUARTERS)) {
                (true, _) => return Some(Form::Years("-")),
                (_, true) => return Some(Form::Years("Q")),
                _ => {}
            }
        }
        let first = |column: &Column| column.get(0).trim().to_string();
        let (header, skipped) = match names.is_empty() {
            true => (self.columns.iter().map(first).collect(), 1),
            false => (self.names.clone(), 0),
        };
        let dates = dates(&header)?;
        let others = 0..header.len() - dates.len();
        let named = others
            .clone()
            .all(|column| self.holds_text(column, skipped));
        (!others.is_empty() && named && self.rows() > skipped).then_some(Form::Dates(dates))
    }

    /// Whether a column holds neither numbers nor dates.
    fn holds_text(&self, column: usize, skipped: usize) -> bool {
        let fields = self.columns[column].fields();
        let mut fields = fields.skip(skipped).take(SAMPLE_ROWS);
        let is_date = |field: &str| DateText::new(field).is_some_and(|text| text.is_date());
        fields.all(|field| !is_number(field) && !is_date(field))
    }
}

/// The names at the end of a header that are dates, one after another.
fn dates(header: &[String]) -> Option<Vec<String>> {
    let date = |name: &String, order| DateText::new(name)?.date(order);
    let orders = DateOrder::ALL.into_iter();
    let mut orders = orders.filter(|&order| order != DateOrder::Unix && !order.is_fractional());
    orders.find_map(|order| {
        let begin = header.iter().position(|name| date(name, order).is_some())?;
        let dates: Option<Vec<_>> = header[begin..]
            .iter()
            .map(|name| date(name, order))
            .collect();
        let ascends = dates?.windows(2).all(|pair| pair[0] < pair[1]);
        (ascends && header.len() - begin >= FEWEST).then(|| header[begin..].to_vec())
    })
}

/// Beginnings of the names of months.
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
/// Names of quarters, as R prints them.
const QUARTERS: [&str; 4] = ["qtr1", "qtr2", "qtr3", "qtr4"];

/// Whether names are those of all parts of a year, in their order.
fn are_parts(names: &[String], parts: &[&str]) -> bool {
    let mut pairs = names.iter().zip(parts);
    names.len() == parts.len() && pairs.all(|(name, part)| name.starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::super::file::SeriesFile;
    use super::super::options::SeriesOptions;

    fn read(text: &str) -> Vec<(String, String, Vec<f64>)> {
        let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
        let file = SeriesFile::read(bytes, "x", &SeriesOptions::default()).unwrap();
        let series = file.series.into_iter();
        series
            .map(|one| (one.id.clone(), one.label(0), one.values))
            .collect()
    }

    fn series(id: &str, label: &str, values: &[f64]) -> (String, String, Vec<f64>) {
        (id.to_string(), label.to_string(), values.to_vec())
    }

    #[test]
    fn the_form_of_the_m4_competition_is_read() {
        let text = "\"V1\",\"V2\",\"V3\",\"V4\",\"V5\"\nM1,1,2,3,\nM2,4,5\nM3,6,7,8,9\n";
        let expected = [
            series("M1", "1", &[1.0, 2.0, 3.0]),
            series("M2", "1", &[4.0, 5.0]),
            series("M3", "1", &[6.0, 7.0, 8.0, 9.0]),
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn names_of_columns_may_be_dates() {
        let years = "country,code,1990,1991,1992\nFrance,FR,1,2,3\nSpain,ES,4,5,\n";
        let expected = [
            series("France", "1990", &[1.0, 2.0, 3.0]),
            series("Spain", "1990", &[4.0, 5.0]),
        ];
        assert_eq!(read(years), expected);
        let months = "shop,2020-11,2020-12,2021-01\na,1,2,3\nb,4,5,6\n";
        let expected = [
            series("a", "2020-11", &[1.0, 2.0, 3.0]),
            series("b", "2020-11", &[4.0, 5.0, 6.0]),
        ];
        assert_eq!(read(months), expected);
    }

    #[test]
    fn a_row_may_be_a_year_of_months() {
        let text = "Year,Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec\n1990,1,2,3,4,5,6,7,8,9,10,11,12\n\
                    1991,13,14,15\n";
        let values: Vec<f64> = (1..=15).map(f64::from).collect();
        assert_eq!(read(text), [series("value", "1990-01", &values)]);
    }

    #[test]
    fn other_tables_stay_as_they_are() {
        let text = "date,v1,v2,v3\n2020-01,1,2,3\n2020-02,4,5,6\n";
        assert_eq!(read(text).len(), 3);
        assert_eq!(read("a,5,6,7\nb,8,7,6\n").len(), 3);
    }
}

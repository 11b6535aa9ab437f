/*!
Quotation marks in tables with tabs, where they are mostly ordinary characters.

Some programs enclose fields in them as in CSV. They are taken for enclosing only where that is plain: if marks within
the field are doubled, or if all fields of the first rows but numbers are enclosed.
*/

use std::collections::VecDeque;

use super::csv_records::CsvRecord;

/// How fields are enclosed in quotation marks.
pub(super) struct TsvQuotes {
    /// Whether all fields are, but numbers.
    everywhere: bool,
}

impl TsvQuotes {
    /// Guesses it from the first rows.
    pub fn of(rows: &VecDeque<CsvRecord>) -> Self {
        let fields = || rows.iter().filter_map(|row| row.fields.as_ref().ok());
        let plain = |field: &&String| field.parse::<f64>().is_err() && enclosed(field).is_none();
        TsvQuotes {
            everywhere: fields().count() > 1 && !fields().flatten().any(|field| plain(&field)),
        }
    }

    /// Removes them from the fields of a record.
    pub fn remove(&self, record: &mut CsvRecord) {
        let fields = record.fields.iter_mut().flatten();
        for field in fields {
            let inner = enclosed(field);
            if let Some(inner) = inner.filter(|inner| self.everywhere || inner.contains('"')) {
                *field = inner.replace("\"\"", "\"");
            }
        }
    }
}

/// What a field encloses in quotation marks, if those within are doubled.
fn enclosed(field: &str) -> Option<&str> {
    let inner = field.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.replace("\"\"", "").contains('"')).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields without the quotation marks that enclose them.
    fn without(fields: &[&str]) -> Vec<String> {
        let record = |(line, field): (usize, &&str)| CsvRecord {
            line: line as u64 + 1,
            fields: Ok(vec![field.to_string()]),
        };
        let mut rows: VecDeque<CsvRecord> = fields.iter().enumerate().map(record).collect();
        let quotes = TsvQuotes::of(&rows);
        rows.iter_mut().for_each(|row| quotes.remove(row));
        rows.into_iter()
            .flat_map(|row| row.fields.unwrap())
            .collect()
    }

    #[test]
    fn quotation_marks_stay_unless_they_enclose_a_field() {
        for (fields, expected) in [
            (["\"all\"", "\"of it\"", "7"], ["all", "of it", "7"]),
            (["\"some\"", "of it", "7"], ["\"some\"", "of it", "7"]),
            (["\"a \"\"b\"\"\"", "c", "\"d"], ["a \"b\"", "c", "\"d"]),
            (
                ["\"Up\" beats \"Down\"", "\"", "e\""],
                ["\"Up\" beats \"Down\"", "\"", "e\""],
            ),
        ] {
            assert_eq!(without(&fields), expected);
        }
    }
}

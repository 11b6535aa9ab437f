/*!
Pairs as they are read from files, without those of which a side is empty.
*/

use std::path::{Path, PathBuf};

use super::lines::read_lines;
use super::pair::{Pair, PairOptions};
use super::table::read_table;
use crate::error::{Error, Result};

/// Pairs of one file that are reported one by one.
const MAX_REPORTED: usize = 5;

/// Pairs, and what is to be said of how they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// The pairs, in the files' order. No side is empty.
    pub pairs: Vec<Pair>,
    /// Notes for the user.
    pub notes: Vec<String>,
}

impl Pairs {
    /// Reads the rows of tables and JSON Lines, one file after another.
    ///
    /// # Errors
    /// A file that cannot be read, has no column of sources or targets, or no pair.
    pub fn of_tables(paths: &[PathBuf], options: &PairOptions) -> Result<Self> {
        let mut all = Pairs::default();
        for path in paths {
            let (pairs, notes) = read_table(path, options)?;
            all.notes.extend(notes);
            all.add(pairs, &path.display().to_string(), "row")?;
        }
        Ok(all)
    }

    /// Reads two files, each line of which is the translation of the same line of the other.
    ///
    /// # Errors
    /// Files that cannot be read or have different numbers of lines, or no pair.
    pub fn of_lines(source: &Path, target: &Path, lossy: bool) -> Result<Self> {
        let (pairs, notes) = read_lines(source, target, lossy)?;
        let mut all = Pairs {
            pairs: Vec::new(),
            notes,
        };
        let files = format!("{} and {}", source.display(), target.display());
        all.add(pairs, &files, "line")?;
        Ok(all)
    }

    /// Adds the pairs of `files`, each with the number of its `unit`, but for those of which a side is empty.
    fn add(&mut self, found: Vec<(u64, Pair)>, files: &str, unit: &str) -> Result<()> {
        let (count, mut empty) = (found.len(), Vec::new());
        for (number, pair) in found {
            let [source, target] = [pair.source, pair.target].map(|side| one_line(&side));
            match source.is_empty() || target.is_empty() {
                true => empty.push(number),
                false => self.pairs.push(Pair { source, target }),
            }
        }
        if count == empty.len() {
            return Err(Error::new(format!(
                "there are no pairs in {files}: give sentences with their translations, a pair on each {unit}"
            )));
        }
        if !empty.is_empty() {
            let numbers = empty.iter().take(MAX_REPORTED).map(u64::to_string);
            let more = match empty.len().saturating_sub(MAX_REPORTED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            self.notes.push(format!(
                "{files}: {} of {count} pairs have an empty side and are left out: {unit} {}{more}",
                empty.len(),
                numbers.collect::<Vec<_>>().join(", ")
            ));
        }
        Ok(())
    }
}

/// A text on one line: white space at its ends is removed, and line ends within become spaces.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(source: &str, target: &str) -> Pair {
        Pair {
            source: source.to_string(),
            target: target.to_string(),
        }
    }

    #[test]
    fn empty_sides_are_left_out_and_line_ends_become_spaces() {
        let mut all = Pairs::default();
        let found = vec![
            (1, pair(" a\n b ", "c")),
            (2, pair("", "d")),
            (3, pair("e", " \t")),
        ];
        all.add(found, "x", "row").unwrap();
        assert_eq!(all.pairs, [pair("a b", "c")]);
        assert_eq!(
            all.notes,
            ["x: 2 of 3 pairs have an empty side and are left out: row 2, 3"]
        );
        let none = all.add(vec![(1, pair("", ""))], "x", "row").unwrap_err();
        assert!(none.to_string().contains("no pairs in x"), "{none}");
    }
}

/*!
A pair of sentences, and many of them.
*/

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lines::read_lines;
use super::table::read_table;
use crate::data::labelled::Format;
use crate::error::{Error, Result};

/// Pairs of one file that are reported one by one.
const MAX_REPORTED: usize = 5;

/// A sentence and its translation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    /// What is read.
    pub source: String,
    /// What is to be written.
    pub target: String,
}

/// Options of reading pairs from tables and JSON Lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairOptions {
    /// The layout; `None`: guessed from the file's name and beginning.
    pub format: Option<Format>,
    /// Name or number of the column, or the key, of the sources; `None`: guessed.
    pub source_column: Option<String>,
    /// Name or number of the column, or the key, of the targets; `None`: guessed.
    pub target_column: Option<String>,
    /// Whether invalid bytes are replaced instead of refused.
    #[serde(default)]
    pub lossy: bool,
}

/// Pairs with the numbers of their rows or lines, and notes for the user.
pub(super) type NumberedPairs = (Vec<(u64, Pair)>, Vec<String>);

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

/// Divides pairs into those to learn from and those that validate, about a `fraction` of them. The source alone decides, so
/// that all translations of a sentence are on one side, whatever the order.
pub fn divide(pairs: Vec<Pair>, fraction: f64) -> (Vec<Pair>, Vec<Pair>) {
    let place = |source: &str| {
        let hash = blake3::hash(source.as_bytes());
        let (first, _) = hash.as_bytes().split_first_chunk::<8>().expect("32 bytes");
        u64::from_le_bytes(*first)
    };
    // Those that come first in the order of hashes, so that of few sentences about the fraction is taken, too.
    let sources: BTreeSet<(u64, &str)> = (pairs.iter())
        .map(|pair| (place(&pair.source), &pair.source[..]))
        .collect();
    let count = (sources.len() as f64 * fraction).round() as usize;
    let limit = sources.iter().nth(count).map(|(place, _)| *place);
    let validates = |pair: &Pair| limit.is_none_or(|limit| place(&pair.source) < limit);
    let (valid, train) = pairs.into_iter().partition(validates);
    (train, valid)
}

/// Hash of pairs: of all sentences in their order, with their lengths.
pub fn hash<'p>(pairs: impl IntoIterator<Item = &'p Pair>) -> String {
    let mut hasher = blake3::Hasher::new();
    for pair in pairs {
        for side in [&pair.source, &pair.target] {
            hasher.update(&(side.len() as u64).to_le_bytes());
            hasher.update(side.as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
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
    fn a_sentence_is_on_one_side_with_all_its_translations() {
        let pairs: Vec<Pair> = (0..100)
            .flat_map(|number| (0..3).map(move |version| (number, version)))
            .map(|(number, version)| pair(&format!("s{number}"), &format!("t{number}.{version}")))
            .collect();
        let (train, valid) = divide(pairs.clone(), 0.1);
        assert_eq!((train.len(), valid.len()), (270, 30));
        let apart = |pair: &Pair| valid.iter().all(|other| other.source != pair.source);
        assert!(train.iter().all(apart));
        let backwards: Vec<Pair> = pairs.into_iter().rev().collect();
        let (_, mut again) = divide(backwards, 0.1);
        again.reverse();
        assert_eq!(again, valid);
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

    #[test]
    fn a_hash_knows_sides_apart() {
        assert_ne!(hash(&[pair("ab", "c")]), hash(&[pair("a", "bc")]));
    }
}

/*!
Reading of pairs, and their division into training and validation pairs.
*/

use std::path::Path;

use crate::run::{Event, Notify};
use carousel::checkpoint::arguments::TrainArguments;
use carousel::checkpoint::record::Request;
use carousel::error::{Error, Result};
use carousel::text::corpus::Validation;
use carousel::text::source::InvalidBytes;
use carousel::text::text_reader::TextReader;

/// Fraction of the pairs that validate by default, and the most pairs.
const VALIDATION_FRACTION: f64 = 0.05;
const MOST_VALIDATION: f64 = 1000.0;

/// A sentence and its translation.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// What is read.
    pub source: String,
    /// What is to be written.
    pub target: String,
}

/// Training and validation pairs.
pub struct Dataset {
    /// Training pairs.
    pub train: Vec<Pair>,
    /// Validation pairs.
    pub valid: Vec<Pair>,
    /// Hash of all of them.
    pub hash: String,
}

impl Dataset {
    /// Reads the pairs of a request; without files of validation pairs, holds out some.
    ///
    /// # Errors
    /// Files that cannot be read, or that do not belong together; too few pairs.
    pub fn read(request: &Request, notify: Notify) -> Result<Self> {
        let lossy = request.arguments.lossy;
        let mut parts = (request.paths.chunks(2))
            .map(|files| read_lines(files, lossy, notify))
            .collect::<Result<Vec<_>>>()?
            .into_iter();
        let all = parts.next().unwrap_or_default();
        let given = parts.next();
        let hash = hash(all.iter().chain(given.iter().flatten()));
        let (train, valid) = match given {
            Some(valid) => (all, valid),
            None => divide(all, &request.arguments)?,
        };
        match (train.is_empty(), valid.is_empty()) {
            (false, false) => Ok(Dataset { train, valid, hash }),
            (true, _) => Err(Error::new("there are no pairs to train on")),
            (_, true) => Err(Error::new(
                "there are too few pairs to hold some out for validation; give more, or files of validation pairs",
            )),
        }
    }
}

/// Reads the lines of two files as pairs. Those of which one is empty are left out, and reported.
fn read_lines(files: &[impl AsRef<Path>], lossy: bool, notify: Notify) -> Result<Vec<Pair>> {
    let [source, target] = files else {
        return Err(Error::usage("give a file of sources and one of targets"));
    };
    let invalid = InvalidBytes::lossy(lossy);
    let read = |path: &Path| TextReader::open(path, invalid)?.rest();
    let (sources, targets) = (read(source.as_ref())?, read(target.as_ref())?);
    let counts = [&sources, &targets].map(|text| text.lines().count());
    if counts[0] != counts[1] {
        return Err(Error::new(format!(
            "{} has {} lines and {} has {}; each line is to be the translation of the same line of the other file",
            source.as_ref().display(),
            counts[0],
            target.as_ref().display(),
            counts[1]
        )));
    }
    let pairs = sources.lines().zip(targets.lines());
    let pair = |(source, target): (&str, &str)| Pair {
        source: source.trim().to_string(),
        target: target.trim().to_string(),
    };
    let mut pairs: Vec<Pair> = pairs.map(pair).collect();
    pairs.retain(|pair| !pair.source.is_empty() && !pair.target.is_empty());
    let empty = counts[0] - pairs.len();
    if empty > 0 {
        notify(Event::Note(format!(
            "{empty} pairs of {} and {} were skipped, as a side of them is empty",
            source.as_ref().display(),
            target.as_ref().display()
        )));
    }
    Ok(pairs)
}

/// Training and validation pairs. Which a pair belongs to depends on its source alone, so that all translations of a sentence
/// are on one side.
fn divide(all: Vec<Pair>, arguments: &TrainArguments) -> Result<(Vec<Pair>, Vec<Pair>)> {
    let fraction = match arguments.validation()? {
        Validation::Fraction(fraction) => fraction,
        _ => VALIDATION_FRACTION.min(MOST_VALIDATION / all.len().max(1) as f64),
    };
    let validates = |pair: &Pair| {
        let hash = blake3::hash(pair.source.as_bytes());
        let (first, _) = hash.as_bytes().split_first_chunk::<8>().expect("32 bytes");
        (u64::from_le_bytes(*first) as f64) < fraction * u64::MAX as f64
    };
    let (valid, train) = all.into_iter().partition(validates);
    Ok((train, valid))
}

/// Hash of all sentences, with their lengths.
fn hash<'p>(pairs: impl Iterator<Item = &'p Pair>) -> String {
    let mut hasher = blake3::Hasher::new();
    for pair in pairs {
        for part in [&pair.source, &pair.target] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

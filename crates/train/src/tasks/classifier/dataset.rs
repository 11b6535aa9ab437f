/*!
The documents that labels are learnt from, read and divided.
*/

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::recipe;
use crate::run::{Event, Notify};
use carousel::checkpoint::record::Request;
use carousel::data::labelled::{DocumentOptions, LabelledRows, RowCount};
use carousel::error::{Error, Result};
use carousel::inference::encoded_document::strip_markup;
use carousel::text::corpus::Validation;

/// Share of the documents that is measured on, if none are given for it.
const VALIDATION: f64 = 0.1;

/// LabelledDocuments and their labels, as numbers.
pub struct LabelledDocuments {
    /// The texts.
    pub texts: Vec<String>,
    /// A label's place among all.
    pub labels: Vec<usize>,
}

/// The documents, read and divided.
pub struct Dataset {
    /// Their names, sorted.
    pub labels: Vec<String>,
    /// To learn from.
    pub train: LabelledDocuments,
    /// To measure on.
    pub valid: LabelledDocuments,
    /// Of all labels and texts.
    pub hash: String,
}

/// The words of the documents to train on, and of those to measure on.
pub struct Words {
    /// To train on.
    pub train: Vec<Vec<String>>,
    /// To validate on.
    pub valid: Vec<Vec<String>>,
}

impl LabelledDocuments {
    /// Bytes of the texts.
    pub fn bytes(&self) -> usize {
        self.texts.iter().map(String::len).sum()
    }

    /// The texts alone, one after another.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text: String = self.texts.iter().flat_map(|text| [text, "\n"]).collect();
        carousel::files::write_atomically(path, text.as_bytes())
    }

    fn words(&self) -> Vec<Vec<String>> {
        let words = |text: &String| carousel::text::features::words(text);
        self.texts.iter().map(words).collect()
    }
}

impl Dataset {
    /// Reads the documents of a request, and those at `validation` to measure on; without these, holds some out.
    ///
    /// # Errors
    /// LabelledDocuments that cannot be read, one label only, too few to measure on.
    pub fn read(request: &Request, validation: Option<&Path>, notify: Notify) -> Result<Self> {
        let how = request.documents.clone().unwrap_or_default();
        let all = read_documents(&request.paths, &how, notify)?;
        let given = match validation {
            Some(path) => Some(read_documents(&[path.to_path_buf()], &how, notify)?),
            None => None,
        };
        let names: BTreeSet<&String> = all.iter().map(|(label, _)| label).collect();
        let labels: Vec<String> = names.into_iter().cloned().collect();
        if labels.len() < 2 {
            return Err(Error::new(format!(
                "all documents have the label {}; a classifier needs two or more to tell apart",
                labels.first().map_or("", String::as_str)
            )));
        }
        let number = |label: &String| labels.binary_search(label);
        let mut hasher = blake3::Hasher::new();
        for (label, text) in all.iter().chain(given.iter().flatten()) {
            for part in [label, text] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        let hash = hasher.finalize().to_hex().to_string();
        let of = |documents: Vec<(String, String)>| LabelledDocuments {
            labels: documents
                .iter()
                .map(|(label, _)| number(label).expect("one of the labels"))
                .collect(),
            texts: documents.into_iter().map(|(_, text)| text).collect(),
        };
        let (train, valid) = match given {
            Some(given) => {
                let strange: Vec<&String> = given
                    .iter()
                    .map(|(label, _)| label)
                    .filter(|label| number(label).is_err())
                    .collect();
                if let Some(first) = strange.first() {
                    return Err(Error::new(format!(
                        "the documents to measure on have the label {first}, which none to train on has"
                    )));
                }
                (of(all), of(given))
            }
            None => {
                let fraction = match recipe::validation(&request.arguments)? {
                    Validation::Fraction(fraction) => fraction,
                    _ => VALIDATION,
                };
                let all = of(all);
                for (label, name) in labels.iter().enumerate() {
                    if all.labels.iter().filter(|&&labels| labels == label).count() == 1 {
                        notify(Event::Note(format!(
                            "the label {name} is met once; it is trained on and never measured"
                        )));
                    }
                }
                divide(all, labels.len(), fraction)
            }
        };
        if valid.texts.is_empty() {
            return Err(Error::new(
                "there are too few documents to measure on a part of them; give more, or others with --valid FILE",
            ));
        }
        let known: BTreeSet<&String> = train.texts.iter().collect();
        let twice = valid
            .texts
            .iter()
            .filter(|text| known.contains(text))
            .count();
        if twice > 0 {
            notify(Event::Note(format!(
                "{twice} of the {} documents to measure on are among those to train on; what is measured is better than \
                 it should be",
                valid.texts.len()
            )));
        }
        Ok(Dataset {
            labels,
            train,
            valid,
            hash,
        })
    }

    /// The words of all documents.
    pub fn words(&self) -> Words {
        Words {
            train: self.train.words(),
            valid: self.valid.words(),
        }
    }
}

/// Every document, and the rows that are none, as they were found.
fn read_documents(
    paths: &[PathBuf],
    how: &DocumentOptions,
    notify: Notify,
) -> Result<Vec<(String, String)>> {
    let mut documents = Vec::new();
    for path in paths {
        let rows = LabelledRows::open(path, how)?;
        rows.notes
            .iter()
            .for_each(|note| notify(Event::Note(note.clone())));
        let (mut count, mut empty) = (RowCount::default(), 0);
        let mut tell = |told| notify(Event::Note(format!("{}: {told}", path.display())));
        for row in rows {
            let Some(document) = count.take(row?, &mut tell) else {
                continue;
            };
            let text = strip_markup(&document.text).into_owned();
            if text.is_empty() {
                empty += 1;
            } else {
                documents.push((document.label.unwrap_or_default(), text));
            }
        }
        for (count, what) in [(count.broken, "broken"), (empty, "empty")] {
            if count > 0 {
                notify(Event::Note(format!(
                    "{count} {what} rows of {} were left out",
                    path.display()
                )));
            }
        }
    }
    if documents.is_empty() {
        return Err(Error::new("there are no documents to learn from"));
    }
    Ok(documents)
}

/// Divides documents so that each label is met in both parts as often as in all. Those whose texts have the least hashes are
/// held out: a document is in the same part whatever stands beside it, but for a few at the margin, so that a classifier that
/// goes on from another is not measured by what that one has learnt.
fn divide(
    all: LabelledDocuments,
    labels: usize,
    fraction: f64,
) -> (LabelledDocuments, LabelledDocuments) {
    let place = |text: &String| *blake3::hash(text.as_bytes()).as_bytes();
    let mut held = vec![false; all.texts.len()];
    for label in 0..labels {
        let mut own: Vec<usize> = (0..all.labels.len())
            .filter(|&index| all.labels[index] == label)
            .collect();
        own.sort_by_cached_key(|&index| place(&all.texts[index]));
        let count = (own.len() as f64 * fraction).round() as usize;
        // A label that is met twice is trained on and measured.
        let count = count.max(usize::from(own.len() > 1)).min(own.len() - 1);
        own[..count].iter().for_each(|&index| held[index] = true);
    }
    let nothing = || LabelledDocuments {
        texts: Vec::new(),
        labels: Vec::new(),
    };
    let (mut train, mut valid) = (nothing(), nothing());
    for ((text, labels), held) in all.texts.into_iter().zip(all.labels).zip(held) {
        let part = if held { &mut valid } else { &mut train };
        part.texts.push(text);
        part.labels.push(labels);
    }
    (train, valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_held_out_whatever_stands_beside_it() {
        let documents = |range: std::ops::Range<usize>| LabelledDocuments {
            texts: range.clone().map(|i| format!("document {i}")).collect(),
            labels: range.map(|i| i % 3 % 2).collect(),
        };
        let (train, valid) = divide(documents(0..3000), 2, 0.1);
        assert_eq!((train.texts.len(), valid.texts.len()), (2700, 300));
        assert_eq!(
            valid.labels.iter().filter(|&&label| label == 0).count(),
            200
        );
        let (_, part) = divide(documents(0..1000), 2, 0.1);
        let known: BTreeSet<&String> = train.texts.iter().collect();
        let strange = part
            .texts
            .iter()
            .filter(|text| known.contains(text))
            .count();
        // One in ten would be held out of both by chance.
        assert!(strange < 25, "{strange} of 100 were learnt from before");
        // Of two documents of a label one is learnt from.
        let (train, valid) = divide(documents(0..4), 2, 0.1);
        assert_eq!((train.texts.len(), valid.texts.len()), (3, 1));
    }
}

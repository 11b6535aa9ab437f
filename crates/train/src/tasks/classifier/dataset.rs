/*!
Reading of labelled documents, and their division into training and validation documents.
*/

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::run::{Event, Notify};
use carousel::checkpoint::record::Request;
use carousel::data::labelled::{DocumentOptions, LabelledRows, RowCount};
use carousel::error::{Error, Result};
use carousel::inference::encoded_document::strip_markup;
use carousel::text::corpus::Validation;
use carousel::text::escape::escaped;
use carousel::text::preprocessing::Preprocessing;
use carousel::text::{Normalization, features};

/// About how many bytes of text make a token.
pub const BYTES_A_TOKEN: usize = 5;

/// Fraction of the documents that are held out for validation, if none are given for it.
const VALIDATION_FRACTION: f64 = 0.1;
/// Why there are no validation documents.
const TOO_FEW: &str = "there are too few documents to hold some out for validation";

/// Documents with their labels.
#[derive(Default)]
pub struct LabelledTexts {
    /// The texts.
    pub texts: Vec<String>,
    /// Labels, as indices into the dataset's labels.
    pub labels: Vec<usize>,
}

/// Training and validation documents.
pub struct Dataset {
    /// Names of the labels, sorted.
    pub labels: Vec<String>,
    /// Training documents.
    pub train: LabelledTexts,
    /// Validation documents.
    pub valid: LabelledTexts,
    /// Test documents, if there are any.
    pub test: Option<LabelledTexts>,
    /// Hash of all labels and texts.
    pub hash: String,
}

/// The words of each document of a dataset.
pub struct DatasetWords {
    /// How the texts were read.
    pub preprocessing: Preprocessing,
    /// Of the training documents.
    pub train: Vec<Vec<String>>,
    /// Of the validation documents.
    pub valid: Vec<Vec<String>>,
    /// Of the test documents, if there are any.
    pub test: Vec<Vec<String>>,
}

/// A document as it was read: its label's name, and its text.
type NamedText = (String, String);

impl LabelledTexts {
    fn new(documents: Vec<NamedText>, names: &[String]) -> Self {
        let index = |name: &String| names.binary_search(name).expect("one of the labels");
        LabelledTexts {
            labels: documents.iter().map(|(name, _)| index(name)).collect(),
            texts: documents.into_iter().map(|(_, text)| text).collect(),
        }
    }

    /// Number of bytes of the texts.
    pub fn bytes(&self) -> usize {
        self.texts.iter().map(String::len).sum()
    }

    /// Writes the texts as they are read, without the labels, to a file.
    pub fn write(&self, path: &Path, preprocessing: Preprocessing) -> Result<()> {
        let texts = self.texts.iter().map(|text| preprocessing.apply(text));
        let text: String = texts.flat_map(|text| [text, "\n".into()]).collect();
        carousel::files::write_atomically(path, text.as_bytes())
    }

    /// The words of each text, in a Unicode form, as it is read.
    fn words(&self, normalization: Normalization, read: Preprocessing) -> Vec<Vec<String>> {
        let words = |text: &String| features::words(&normalization.apply(&read.apply(text)));
        self.texts.iter().map(words).collect()
    }

    fn count(&self, label: usize) -> usize {
        self.labels.iter().filter(|&&other| other == label).count()
    }
}

impl Dataset {
    /// Reads the documents of a request, those to test on too, and the validation documents at `validation`; without that
    /// file, holds out some documents.
    ///
    /// # Errors
    /// Documents that cannot be read, have a single label, or are too few to hold some out.
    pub fn read(request: &Request, validation: Option<&Path>, notify: Notify) -> Result<Self> {
        let options = request.documents.clone().unwrap_or_default();
        let all = read_documents(&request.paths, &options, notify)?;
        let mut others = |path: Option<&Path>| match path {
            Some(path) => read_documents(&[path.to_path_buf()], &options, notify).map(Some),
            None => Ok(None),
        };
        let given = others(validation)?;
        let test = others(request.arguments.test.as_deref())?;
        let labels = label_names(&all)?;
        let hash = hash(
            all.iter()
                .chain(given.iter().flatten())
                .chain(test.iter().flatten()),
        );
        let indexed = |documents: Vec<NamedText>, what| {
            check_labels(&documents, &labels, what)?;
            Ok(LabelledTexts::new(documents, &labels))
        };
        let test = match test {
            Some(test) => Some(indexed(test, "test")?),
            None => None,
        };
        let (train, valid) = match given {
            Some(given) => {
                let valid = indexed(given, "validation")?;
                (LabelledTexts::new(all, &labels), valid)
            }
            None => {
                let fraction = match request.arguments.validation()? {
                    Validation::Fraction(fraction) => fraction,
                    _ => VALIDATION_FRACTION,
                };
                let all = LabelledTexts::new(all, &labels);
                note_single_documents(&all, &labels, notify);
                divide(all, labels.len(), fraction)
            }
        };
        if valid.texts.is_empty() {
            return Err(Error::new(format!(
                "{TOO_FEW}; give more, or validation documents with --valid FILE"
            )));
        }
        note_common_documents(&[&train], ("validation", &valid), notify);
        if let Some(test) = &test {
            note_common_documents(&[&train, &valid], ("test", test), notify);
        }
        Ok(Dataset {
            labels,
            train,
            valid,
            test,
            hash,
        })
    }

    /// Training and validation documents together.
    pub fn documents(&self) -> LabelledTexts {
        LabelledTexts {
            texts: [&self.train.texts[..], &self.valid.texts].concat(),
            labels: [&self.train.labels[..], &self.valid.labels].concat(),
        }
    }

    /// The dataset that is tested on the `documents` of a fold: the others are divided into training and validation
    /// documents.
    ///
    /// # Errors
    /// If there are too few others.
    pub fn without_fold(
        &self,
        documents: &LabelledTexts,
        fold_of: &[usize],
        fold: usize,
    ) -> Result<Self> {
        let (mut own, mut others) = (LabelledTexts::default(), LabelledTexts::default());
        let all = documents.texts.iter().zip(&documents.labels).zip(fold_of);
        for ((text, &label), &of) in all {
            let part = if of == fold { &mut own } else { &mut others };
            part.texts.push(text.clone());
            part.labels.push(label);
        }
        let (train, valid) = divide(others, self.labels.len(), VALIDATION_FRACTION);
        if valid.texts.is_empty() {
            return Err(Error::new(format!("{TOO_FEW}; give more")));
        }
        Ok(Dataset {
            labels: self.labels.clone(),
            train,
            valid,
            test: Some(own),
            hash: self.hash.clone(),
        })
    }

    /// The words of all documents, in the form in which a model reads them.
    pub fn words(&self, normalization: Normalization, read: Preprocessing) -> DatasetWords {
        let words = |documents: &LabelledTexts| documents.words(normalization, read);
        DatasetWords {
            preprocessing: read,
            train: words(&self.train),
            valid: words(&self.valid),
            test: self.test.as_ref().map(words).unwrap_or_default(),
        }
    }
}

/// Reads the documents of all files. Rows that are broken or empty are reported and skipped.
fn read_documents(
    paths: &[PathBuf],
    options: &DocumentOptions,
    notify: Notify,
) -> Result<Vec<NamedText>> {
    let mut documents = Vec::new();
    for path in paths {
        let mut rows = LabelledRows::open(path, options)?;
        rows.notes
            .iter()
            .for_each(|note| notify(Event::Note(note.clone())));
        let (mut count, mut empty) = (RowCount::default(), 0);
        let mut report = |message| notify(Event::Note(format!("{}: {message}", path.display())));
        for row in rows.by_ref() {
            let Some(document) = count.take(row?, &mut report) else {
                continue;
            };
            let text = strip_markup(&document.text).into_owned();
            if text.is_empty() {
                empty += 1;
            } else {
                documents.push((document.label.unwrap_or_default(), text));
            }
        }
        for note in rows.closing_notes() {
            notify(Event::Note(note));
        }
        for (count, what) in [(count.broken, "broken"), (empty, "empty")] {
            if count > 0 {
                notify(Event::Note(format!(
                    "{count} {what} rows of {} were skipped",
                    path.display()
                )));
            }
        }
    }
    if documents.is_empty() {
        return Err(Error::new("there are no documents to train on"));
    }
    Ok(documents)
}

/// Names of the documents' labels, sorted.
fn label_names(documents: &[NamedText]) -> Result<Vec<String>> {
    let names: BTreeSet<&String> = documents.iter().map(|(name, _)| name).collect();
    let names: Vec<String> = names.into_iter().cloned().collect();
    match names.len() {
        2.. => Ok(names),
        _ => Err(Error::new(format!(
            "all documents have the label {}; a classifier needs at least two labels",
            escaped(names.first().map_or("", String::as_str))
        ))),
    }
}

/// Checks that validation or test documents have no labels but the training documents'.
fn check_labels(documents: &[NamedText], names: &[String], what: &str) -> Result<()> {
    let unknown = |(name, _): &&NamedText| names.binary_search(name).is_err();
    match documents.iter().find(unknown) {
        None => Ok(()),
        Some((name, _)) => Err(Error::new(format!(
            "the {what} documents have the label {}, which no training document has",
            escaped(name)
        ))),
    }
}

/// Hash of all labels and texts, with their lengths.
fn hash<'d>(documents: impl Iterator<Item = &'d NamedText>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, text) in documents {
        for part in [name, text] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// Notes the labels of which there is one document only.
fn note_single_documents(all: &LabelledTexts, names: &[String], notify: Notify) {
    for (label, name) in names.iter().enumerate() {
        if all.count(label) == 1 {
            notify(Event::Note(format!(
                "only one document has the label {}; it is used for training, not for validation",
                escaped(name)
            )));
        }
    }
}

/// Notes how many documents, which are to show what was learnt, are also among those that it was learnt from.
fn note_common_documents(
    learnt: &[&LabelledTexts],
    (what, documents): (&str, &LabelledTexts),
    notify: Notify,
) {
    let texts = learnt.iter().flat_map(|part| &part.texts);
    let known: BTreeSet<Cow<str>> = texts.map(|text| Normalization::Nfc.apply(text)).collect();
    let is_known = |text: &&String| known.contains(&Normalization::Nfc.apply(text));
    let common = documents.texts.iter().filter(is_known).count();
    if common > 0 {
        notify(Event::Note(format!(
            "{common} of the {} {what} documents are also training documents; the {what} figures are too optimistic",
            documents.texts.len()
        )));
    }
}

/// Divides documents into training and validation documents, stratified by label.
///
/// The documents whose texts have the smallest hashes, in one Unicode form, are held out. So whether a document is held out hardly depends on the
/// others, and a classifier that goes on from another one is not validated on documents that that one was trained on.
fn divide(all: LabelledTexts, label_count: usize, fraction: f64) -> (LabelledTexts, LabelledTexts) {
    let hash = |text: &String| *blake3::hash(Normalization::Nfc.apply(text).as_bytes()).as_bytes();
    let mut held_out = vec![false; all.texts.len()];
    for label in 0..label_count {
        let mut own: Vec<usize> = (0..all.labels.len())
            .filter(|&index| all.labels[index] == label)
            .collect();
        own.sort_by_cached_key(|&index| hash(&all.texts[index]));
        let count = (own.len() as f64 * fraction).round() as usize;
        // Two documents of a label are enough to have it in both parts.
        let count = count.max(usize::from(own.len() > 1));
        let count = count.min(own.len().saturating_sub(1));
        own[..count]
            .iter()
            .for_each(|&index| held_out[index] = true);
    }
    let (mut train, mut valid) = (LabelledTexts::default(), LabelledTexts::default());
    for ((text, label), held_out) in all.texts.into_iter().zip(all.labels).zip(held_out) {
        let part = if held_out { &mut valid } else { &mut train };
        part.texts.push(text);
        part.labels.push(label);
    }
    (train, valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(range: std::ops::Range<usize>) -> LabelledTexts {
        LabelledTexts {
            texts: range.clone().map(|i| format!("document {i}")).collect(),
            labels: range.map(|i| i % 3 % 2).collect(),
        }
    }

    #[test]
    fn documents_are_divided_stratified_by_label() {
        let (train, valid) = divide(documents(0..3000), 2, 0.1);
        assert_eq!((train.texts.len(), valid.texts.len()), (2700, 300));
        assert_eq!((valid.count(0), valid.count(1)), (200, 100));
        // One of a label's three documents is held out, and none of another label's single one.
        let (train, valid) = divide(documents(0..4), 2, 0.1);
        assert_eq!((train.texts.len(), valid.texts.len()), (3, 1));
    }

    #[test]
    fn a_fold_is_tested_on_by_what_learns_from_the_others() {
        let all = documents(0..60);
        let (train, valid) = divide(documents(0..60), 2, 0.1);
        let dataset = Dataset {
            labels: vec!["a".to_string(), "b".to_string()],
            train,
            valid,
            test: None,
            hash: String::new(),
        };
        let together = dataset.documents();
        let fold_of: Vec<usize> = (0..60).map(|i| i / 15).collect();
        let mut tested = Vec::new();
        for fold in 0..4 {
            let part = dataset.without_fold(&together, &fold_of, fold).unwrap();
            let test = part.test.unwrap();
            let sizes = [&part.train, &part.valid, &test].map(|part| part.texts.len());
            assert_eq!((sizes[0] + sizes[1], sizes[2]), (45, 15));
            let is_tested = |text: &String| test.texts.contains(text);
            let learnt = part.train.texts.iter().chain(&part.valid.texts);
            assert!(!learnt.clone().any(is_tested));
            tested.extend(test.texts.into_iter().zip(test.labels));
        }
        let mut expected: Vec<_> = all.texts.into_iter().zip(all.labels).collect();
        tested.sort();
        expected.sort();
        assert_eq!(tested, expected);
    }

    #[test]
    fn other_documents_hardly_affect_whether_a_document_is_held_out() {
        let (train, _) = divide(documents(0..3000), 2, 0.1);
        let (_, valid) = divide(documents(0..1000), 2, 0.1);
        let known: BTreeSet<&String> = train.texts.iter().collect();
        let in_both = valid.texts.iter().filter(|text| known.contains(text));
        let in_both = in_both.count();
        // A random division would have 90.
        assert!(in_both < 25, "{in_both} of 100 were training documents");
    }
}

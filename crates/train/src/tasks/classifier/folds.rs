/*!
The folds of cross-validation: stratified by label, with equal texts in one fold, since a classifier that has read a text is
not tested by it.
*/

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::dataset::LabelledTexts;
use carousel::error::{Error, Result};
use carousel::inference::learnt_documents::text_hash;
use carousel::text::escape::escaped;

/// The fold of each document, from 0; the seed decides which.
///
/// Groups of equal texts, the largest first, go where the fewest documents of their labels are, as fractions of all
/// documents of these labels, and of such folds to the smallest. So each label has as many documents in one fold as in
/// another, give or take one, as far as groups allow.
///
/// # Errors
/// More folds than a label has different texts.
pub fn assign(
    documents: &LabelledTexts,
    names: &[String],
    folds: usize,
    seed: u64,
) -> Result<Vec<usize>> {
    let mut groups = groups(documents);
    check(documents, names, &groups, folds)?;
    groups.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    groups.sort_by_key(|group| Reverse(group.len()));
    let mut all = vec![0.0; names.len()];
    documents.labels.iter().for_each(|&label| all[label] += 1.0);
    let mut counts = vec![vec![0usize; names.len()]; folds];
    let mut fold_of = vec![0; documents.labels.len()];
    for group in &groups {
        let labels = || group.iter().map(|&document| documents.labels[document]);
        let fullness = |counts: &[usize]| -> f64 {
            labels()
                .map(|label| counts[label] as f64 / all[label])
                .sum()
        };
        let size = |counts: &[usize]| counts.iter().sum::<usize>();
        let chosen = (0..folds)
            .min_by(|&a, &b| {
                let [a, b] = [&counts[a], &counts[b]];
                fullness(a)
                    .total_cmp(&fullness(b))
                    .then(size(a).cmp(&size(b)))
            })
            .expect("there are folds");
        labels().for_each(|label| counts[chosen][label] += 1);
        group
            .iter()
            .for_each(|&document| fold_of[document] = chosen);
    }
    Ok(fold_of)
}

/// The numbers of the documents of each text, in the order in which the texts occur.
fn groups(documents: &LabelledTexts) -> Vec<Vec<usize>> {
    let mut group_of: BTreeMap<u64, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (document, text) in documents.texts.iter().enumerate() {
        let group = *group_of.entry(text_hash(text)).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        groups[group].push(document);
    }
    groups
}

/// Checks that each label has a text for each fold.
fn check(
    documents: &LabelledTexts,
    names: &[String],
    groups: &[Vec<usize>],
    folds: usize,
) -> Result<()> {
    let texts = |label: usize| {
        let has_label = |group: &&Vec<usize>| group.iter().any(|&it| documents.labels[it] == label);
        groups.iter().filter(has_label).count()
    };
    let rarest = (0..names.len()).map(|label| (texts(label), label)).min();
    match rarest {
        Some((1, label)) => Err(Error::usage(format!(
            "--folds {folds} needs as many different texts of each label, and {} has one; leave out what has this label, or \
             give no --folds",
            escaped(&names[label])
        ))),
        Some((count, label)) if count < folds => Err(Error::usage(format!(
            "--folds {folds} needs as many different texts of each label, and {} has {count}; give {}",
            escaped(&names[label]),
            if count == 2 {
                "2".to_string()
            } else {
                format!("2 to {count}")
            }
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(all: impl IntoIterator<Item = (String, usize)>) -> LabelledTexts {
        let (texts, labels) = all.into_iter().unzip();
        LabelledTexts { texts, labels }
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|label| format!("label {label}")).collect()
    }

    /// Documents of a label in a fold.
    fn count(documents: &LabelledTexts, fold_of: &[usize], label: usize, fold: usize) -> usize {
        let both = documents.labels.iter().zip(fold_of);
        both.filter(|&(&own, &of)| own == label && of == fold)
            .count()
    }

    #[test]
    fn folds_are_stratified_and_decided_by_the_seed() {
        // 70, 25 and 8 documents of three labels.
        let label = |i: usize| usize::from(i >= 70) + usize::from(i >= 95);
        let documents = documents((0..103).map(|i| (format!("document {i}"), label(i))));
        let fold_of = assign(&documents, &names(3), 5, 1).unwrap();
        for fold in 0..5 {
            assert_eq!(count(&documents, &fold_of, 0, fold), 14);
            assert_eq!(count(&documents, &fold_of, 1, fold), 5);
            assert!([1, 2].contains(&count(&documents, &fold_of, 2, fold)));
            let size = fold_of.iter().filter(|&&of| of == fold).count();
            assert!([20, 21].contains(&size), "{size}");
        }
        assert_eq!(fold_of, assign(&documents, &names(3), 5, 1).unwrap());
        assert_ne!(fold_of, assign(&documents, &names(3), 5, 2).unwrap());
    }

    #[test]
    fn equal_texts_are_in_one_fold() {
        // Each text four times, differently spaced and with either label.
        let spaced = |i: usize| format!("a{}text {}", " ".repeat(1 + i % 3), i / 4);
        let documents = documents((0..80).map(|i| (spaced(i), (i / 4 % 2) ^ usize::from(i < 2))));
        let fold_of = assign(&documents, &names(2), 4, 1).unwrap();
        for copies in fold_of.chunks(4) {
            assert!(copies.iter().all(|fold| *fold == copies[0]), "{copies:?}");
        }
        for fold in 0..4 {
            for label in 0..2 {
                let count = count(&documents, &fold_of, label, fold);
                assert!((6..=14).contains(&count), "{count}");
            }
        }
    }

    #[test]
    fn there_are_not_more_folds_than_texts_of_the_rarest_label() {
        let twice = ["one", "two", "two", "three"].map(|text| (text.to_string(), 1));
        let many = (0..9).map(|i| (format!("other {i}"), 0));
        let documents_of_both = documents(many.clone().chain(twice));
        assert!(assign(&documents_of_both, &names(2), 3, 1).is_ok());
        let error = assign(&documents_of_both, &names(2), 4, 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--folds 4 needs as many different texts of each label, and label 1 has 3; give 2 to 3"
        );
        let once = documents(many.chain([("one".to_string(), 1)]));
        let error = assign(&once, &names(2), 2, 1).unwrap_err();
        assert!(
            error.to_string().contains("label 1 has one; leave out"),
            "{error}"
        );
    }
}

/*!
Accuracy, balanced accuracy, F1 and calibration error of classifiers.
*/

use serde::{Deserialize, Serialize};

use super::probabilities::argmax;

/// How well predicted labels agree with the true ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassificationScore {
    /// Number of documents.
    pub examples: u64,
    /// Fraction of documents whose label was predicted correctly.
    pub accuracy: f64,
    /// Unweighted mean of the F1 of the labels that occur, among the true or the predicted ones.
    pub macro_f1: f64,
    /// Scores of each label.
    pub per_label: Vec<LabelScore>,
    /// Number of documents of each true label, the row, and predicted label, the column, in the labels' order.
    pub confusion: Vec<Vec<u64>>,
    /// Expected calibration error with fifteen bins of confidence (Guo et al. 2017). Absent where labels were predicted
    /// without probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration_error: Option<f64>,
}

/// How well one label is predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelScore {
    /// The label.
    pub label: String,
    /// Number of documents that have it.
    pub examples: u64,
    /// Fraction of the documents predicted to have it that have it; 0 if there are none.
    pub precision: f64,
    /// Fraction of the documents that have it that were predicted to; 0 if there are none.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
}

/// Number of bins of confidence of the calibration error.
pub const CALIBRATION_BINS: usize = 15;

/// Documents whose predicted label has a probability, their confidence, within a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceBin {
    /// Number of documents.
    pub documents: u64,
    /// Their mean confidence; 0 without documents.
    pub confidence: f64,
    /// Fraction of them whose label was predicted correctly; 0 without documents.
    pub accuracy: f64,
}

/// Documents in [`CALIBRATION_BINS`] bins of confidence of the same width, the lowest first.
pub fn confidence_bins(truth: &[usize], predicted: &[Vec<f64>]) -> Vec<ConfidenceBin> {
    let mut bins = vec![ConfidenceBin::default(); CALIBRATION_BINS];
    for (probabilities, &truth) in predicted.iter().zip(truth) {
        let best = argmax(probabilities);
        let confidence = probabilities[best];
        let bin = (confidence * CALIBRATION_BINS as f64) as usize;
        let bin = &mut bins[bin.min(CALIBRATION_BINS - 1)];
        bin.documents += 1;
        bin.confidence += confidence;
        bin.accuracy += f64::from(u8::from(best == truth));
    }
    for bin in &mut bins {
        let documents = bin.documents.max(1) as f64;
        bin.confidence /= documents;
        bin.accuracy /= documents;
    }
    bins
}

impl ClassificationScore {
    /// Score of predicted labels against the true ones, both as indices of `labels`.
    pub fn of_labels(labels: &[String], truth: &[usize], predicted: &[usize]) -> Self {
        let mut confusion = vec![vec![0u64; labels.len()]; labels.len()];
        for (&truth, &predicted) in truth.iter().zip(predicted) {
            confusion[truth][predicted] += 1;
        }
        Self::of_confusion(labels, confusion)
    }

    /// Score of these documents and those of another score with the same labels, together. Calibration errors cannot be
    /// added: there is none.
    pub fn joined(&self, other: &Self) -> Self {
        let labels: Vec<String> = self.per_label.iter().map(|it| it.label.clone()).collect();
        let row = |(own, other): (&Vec<u64>, &Vec<u64>)| {
            own.iter()
                .zip(other)
                .map(|(one, other)| one + other)
                .collect()
        };
        let rows = self.confusion.iter().zip(&other.confusion);
        Self::of_confusion(&labels, rows.map(row).collect())
    }

    /// Score of a confusion matrix.
    fn of_confusion(labels: &[String], confusion: Vec<Vec<u64>>) -> Self {
        let fraction = |part: u64, whole: u64| match whole {
            0 => 0.0,
            _ => part as f64 / whole as f64,
        };
        let per_label: Vec<LabelScore> = labels
            .iter()
            .enumerate()
            .map(|(index, label)| {
                let correct = confusion[index][index];
                let examples = confusion[index].iter().sum();
                let times_predicted = confusion.iter().map(|row| row[index]).sum::<u64>();
                LabelScore {
                    label: label.clone(),
                    examples,
                    precision: fraction(correct, times_predicted),
                    recall: fraction(correct, examples),
                    f1: fraction(2 * correct, examples + times_predicted),
                }
            })
            .collect();
        let correct = (0..labels.len()).map(|index| confusion[index][index]).sum();
        let examples = confusion.iter().flatten().sum();
        let predicted = |index: usize| confusion.iter().any(|row| row[index] > 0);
        let present = per_label
            .iter()
            .zip(0..)
            .filter(|(label, index)| label.examples > 0 || predicted(*index));
        ClassificationScore {
            examples,
            accuracy: fraction(correct, examples),
            macro_f1: mean(present.map(|(label, _)| label.f1)),
            per_label,
            confusion,
            calibration_error: None,
        }
    }

    /// Balanced accuracy: the mean recall of the labels that documents have, so that rare labels count as much as frequent
    /// ones; 0 without documents.
    pub fn balanced_accuracy(&self) -> f64 {
        let present = self.per_label.iter().filter(|label| label.examples > 0);
        mean(present.map(|label| label.recall))
    }

    /// Score of the predicted probabilities of all labels, for each document.
    pub fn of_probabilities(labels: &[String], truth: &[usize], predicted: &[Vec<f64>]) -> Self {
        let best: Vec<usize> = predicted.iter().map(|all| argmax(all)).collect();
        let gap =
            |bin: &ConfidenceBin| bin.documents as f64 * (bin.confidence - bin.accuracy).abs();
        let error: f64 = confidence_bins(truth, predicted).iter().map(gap).sum();
        ClassificationScore {
            calibration_error: Some(error / (truth.len() as f64).max(1.0)),
            ..Self::of_labels(labels, truth, &best)
        }
    }
}

/// Mean of values; 0 if there are none.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    /// Expected values by scikit-learn's `classification_report` and `confusion_matrix`.
    #[test]
    fn scores_of_labels_match_scikit_learn() {
        let score = ClassificationScore::of_labels(
            &labels(&["a", "b", "c"]),
            &[0, 0, 0, 1, 1, 2, 2, 2],
            &[0, 0, 1, 1, 2, 2, 2, 0],
        );
        assert_eq!(score.confusion, [[2, 1, 0], [0, 1, 1], [1, 0, 2]]);
        assert_eq!((score.examples, score.accuracy), (8, 0.625));
        let figures: Vec<_> = score
            .per_label
            .iter()
            .map(|label| (label.precision, label.recall, label.f1))
            .collect();
        let thirds = 2.0 / 3.0;
        assert_eq!(
            figures,
            [
                (thirds, thirds, thirds),
                (0.5, 0.5, 0.5),
                (thirds, thirds, thirds)
            ]
        );
        assert!((score.macro_f1 - 11.0 / 18.0).abs() < 1e-12);
    }

    #[test]
    fn labels_that_do_not_occur_count_for_nothing() {
        let score = |truth: &[usize], predicted: &[usize]| {
            let score = ClassificationScore::of_labels(&labels(&["a", "b", "c"]), truth, predicted);
            (score.accuracy, score.macro_f1, score.balanced_accuracy())
        };
        assert_eq!(score(&[0, 1, 0], &[0, 1, 0]), (1.0, 1.0, 1.0));
        // Predicted wrongly, an absent label costs macro F1, but no document that has it is missed.
        let (accuracy, macro_f1, balanced) = score(&[0, 0, 0, 1], &[0, 0, 2, 1]);
        assert_eq!((accuracy, balanced), (0.75, (2.0 / 3.0 + 1.0) / 2.0));
        assert!((macro_f1 - (0.8 + 1.0 + 0.0) / 3.0).abs() < 1e-12);
        assert_eq!(score(&[], &[]), (0.0, 0.0, 0.0));
    }

    #[test]
    fn balanced_accuracy_counts_rare_labels_as_much_as_frequent_ones() {
        let truth = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let score = ClassificationScore::of_labels(&labels(&["a", "b"]), &truth, &[0; 10]);
        assert_eq!((score.accuracy, score.balanced_accuracy()), (0.9, 0.5));
    }

    /// Expected values by scikit-learn's `confusion_matrix` and `f1_score` of all documents.
    #[test]
    fn scores_of_two_parts_are_those_of_the_whole() {
        let labels = labels(&["a", "b", "c"]);
        let score = |range: std::ops::Range<usize>| {
            let truth = [0, 0, 0, 1, 1, 2, 2, 2];
            let predicted = [0, 0, 1, 1, 2, 2, 2, 0];
            ClassificationScore::of_labels(&labels, &truth[range.clone()], &predicted[range])
        };
        let joined = score(0..3).joined(&score(3..8));
        assert_eq!(joined.confusion, [[2, 1, 0], [0, 1, 1], [1, 0, 2]]);
        assert!((joined.macro_f1 - 11.0 / 18.0).abs() < 1e-12);
        assert_eq!(joined, score(0..8));
    }

    #[test]
    fn documents_are_binned_by_their_confidence() {
        let predicted = [
            vec![0.95, 0.05],
            vec![0.03, 0.97],
            vec![0.5, 0.5],
            vec![1.0, 0.0],
        ];
        let bins = confidence_bins(&[0, 0, 0, 0], &predicted);
        assert_eq!(bins.len(), CALIBRATION_BINS);
        // From 14/15 on, and from 7/15 to 8/15.
        let last = bins[14];
        assert_eq!((last.documents, last.accuracy), (3, 2.0 / 3.0));
        assert!((last.confidence - 2.92 / 3.0).abs() < 1e-12);
        assert_eq!(
            (bins[7].documents, bins[7].confidence, bins[7].accuracy),
            (1, 0.5, 1.0)
        );
        assert_eq!(bins.iter().map(|bin| bin.documents).sum::<u64>(), 4);
    }

    #[test]
    fn calibration_error_is_the_gap_between_confidence_and_accuracy() {
        let two = labels(&["a", "b"]);
        let sure = vec![vec![1.0, 0.0]; 4];
        let score = |truth: &[usize], predicted: &[Vec<f64>]| {
            let score = ClassificationScore::of_probabilities(&two, truth, predicted);
            score.calibration_error.unwrap()
        };
        assert_eq!(score(&[0, 0, 0, 0], &sure), 0.0);
        assert_eq!(score(&[0, 1, 0, 1], &sure), 0.5);
        let unsure = vec![vec![0.25, 0.75]; 4];
        assert_eq!(score(&[1, 1, 1, 0], &unsure), 0.0);
    }
}

/*!
Cross-validation of a classifier, as training.json has it: figures of each fold, their mean and standard deviation, and the
confusion of all documents.
*/

use serde::{Deserialize, Serialize};

use crate::metrics::ClassificationScore;

/// Figures of K-fold cross-validation: each document is predicted once, by a classifier that was trained on other folds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CrossValidation {
    /// Hash of the documents and their labels.
    pub hash: String,
    /// The folds so far, in order.
    pub folds: Vec<Fold>,
    /// Means of the folds so far, each fold counting alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<FoldFigures>,
    /// Sample standard deviations of the folds so far (division by their number less one); none for one fold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_deviation: Option<FoldFigures>,
    /// Score of the documents of all folds so far together. It has no calibration error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooled: Option<ClassificationScore>,
}

/// A fold, whose documents were predicted by a classifier that was trained on the others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fold {
    /// Number of its documents.
    pub examples: u64,
    /// Its figures.
    #[serde(flatten)]
    pub figures: FoldFigures,
}

/// Figures of the classifier, and of naive Bayes that was trained and tested on the same documents.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldFigures {
    /// Of the classifier.
    #[serde(flatten)]
    pub classifier: Scores,
    /// Of naive Bayes.
    pub naive_bayes: Scores,
}

/// The figures that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Fraction of documents whose label was predicted correctly.
    pub accuracy: f64,
    /// Mean recall of the labels.
    pub balanced_accuracy: f64,
    /// Mean F1 of the labels.
    pub macro_f1: f64,
}

impl CrossValidation {
    /// Cross-validation of the documents with this hash, before its first fold.
    pub fn of_documents(hash: String) -> Self {
        CrossValidation {
            hash,
            ..CrossValidation::default()
        }
    }

    /// Adds the next fold: the scores of the classifier and of naive Bayes on its documents.
    pub fn push(&mut self, classifier: &ClassificationScore, naive_bayes: &ClassificationScore) {
        self.folds.push(Fold {
            examples: classifier.examples,
            figures: FoldFigures {
                classifier: Scores::of(classifier),
                naive_bayes: Scores::of(naive_bayes),
            },
        });
        self.mean = Some(self.of_each(mean));
        self.standard_deviation = (self.folds.len() > 1).then(|| self.of_each(standard_deviation));
        self.pooled = Some(match &self.pooled {
            Some(before) => before.joined(classifier),
            None => ClassificationScore {
                calibration_error: None,
                ..classifier.clone()
            },
        });
    }

    /// Reduces each figure of all folds to one.
    fn of_each(&self, reduce: fn(&[f64]) -> f64) -> FoldFigures {
        let scores = |of: fn(&FoldFigures) -> Scores| {
            let figure = |figure: fn(&Scores) -> f64| {
                let folds = self.folds.iter().map(|fold| figure(&of(&fold.figures)));
                reduce(&folds.collect::<Vec<f64>>())
            };
            Scores {
                accuracy: figure(|scores| scores.accuracy),
                balanced_accuracy: figure(|scores| scores.balanced_accuracy),
                macro_f1: figure(|scores| scores.macro_f1),
            }
        };
        FoldFigures {
            classifier: scores(|figures| figures.classifier),
            naive_bayes: scores(|figures| figures.naive_bayes),
        }
    }
}

impl Scores {
    /// The figures of a score.
    pub fn of(score: &ClassificationScore) -> Self {
        Scores {
            accuracy: score.accuracy,
            balanced_accuracy: score.balanced_accuracy(),
            macro_f1: score.macro_f1,
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn standard_deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares = values.iter().map(|value| (value - mean).powi(2));
    (squares.sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values by Python's `statistics.mean` and `statistics.stdev`.
    #[test]
    fn folds_have_a_mean_and_a_standard_deviation() {
        let values = [0.5, 0.75, 0.625, 1.0];
        assert!((mean(&values) - 0.71875).abs() < 1e-12);
        assert!((standard_deviation(&values) - 0.21347814095749162).abs() < 1e-12);
    }

    #[test]
    fn documents_of_all_folds_are_counted_together() {
        let labels = ["a", "b"].map(String::from);
        let score = |truth: &[usize], predicted: &[usize]| {
            ClassificationScore::of_labels(&labels, truth, predicted)
        };
        let mut found = CrossValidation::of_documents("hash".to_string());
        let majority = score(&[0, 0, 1], &[0, 0, 0]);
        found.push(&score(&[0, 0, 1], &[0, 1, 1]), &majority);
        assert_eq!(found.standard_deviation, None);
        found.push(&score(&[0, 1], &[0, 1]), &score(&[0, 1], &[0, 0]));
        let all = score(&[0, 0, 1, 0, 1], &[0, 1, 1, 0, 1]);
        assert_eq!(found.pooled, Some(all));
        let mean = found.mean.unwrap();
        assert!((mean.classifier.accuracy - (2.0 / 3.0 + 1.0) / 2.0).abs() < 1e-12);
        assert!((mean.naive_bayes.accuracy - (2.0 / 3.0 + 0.5) / 2.0).abs() < 1e-12);
        assert_eq!(mean.naive_bayes.balanced_accuracy, 0.5);
        assert_eq!(found.folds.iter().map(|fold| fold.examples).sum::<u64>(), 5);
    }
}

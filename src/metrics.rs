/*!
From summed nats to the figures that people compare.

Sums first, one division at the end: a mean of means is wrong as soon as two windows differ in length.
*/

use std::f64::consts::LN_2;

use serde::{Deserialize, Serialize};

/// What a text is made of, whatever it is cut into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextSize {
    /// Tokens that a model predicts.
    pub tokens: u64,
    /// Unicode characters; for a byte-level model, characters are bytes.
    pub characters: u64,
    /// Bytes of the text as UTF-8.
    pub bytes: u64,
}

/// How well something predicted a text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageScore {
    /// Mean cost of a token, in nats; an unknown word counts as the one token it is.
    pub loss: f64,
    /// exp(loss).
    pub perplexity: f64,
    /// Bits per character, the spelling of unknown words included.
    pub bits_per_character: f64,
    /// Bits per byte of UTF-8, the spelling of unknown words included.
    pub bits_per_byte: f64,
}

impl LanguageScore {
    /// Scores `nats` spent on the tokens of a text, and `spelling_nats` on spelling its unknown words.
    pub fn new(nats: f64, spelling_nats: f64, size: &TextSize) -> Self {
        let loss = nats / size.tokens as f64;
        let bits = (nats + spelling_nats) / LN_2;
        LanguageScore {
            loss,
            perplexity: loss.exp(),
            bits_per_character: bits / size.characters as f64,
            bits_per_byte: bits / size.bytes as f64,
        }
    }
}

/// How well something told labels, against what they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassificationScore {
    /// Documents.
    pub examples: u64,
    /// Share of them that were told right.
    pub accuracy: f64,
    /// Mean of the labels' F1: each label counts the same, however often it is met.
    pub macro_f1: f64,
    /// Label by label.
    pub per_label: Vec<LabelScore>,
    /// How often a label, the row, was told as another, the column; in the labels' order.
    pub confusion: Vec<Vec<u64>>,
    /// Expected calibration error in fifteen steps of confidence (Guo et al. 2017): how far confidence and accuracy are
    /// apart. Absent where only labels were told, without probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration_error: Option<f64>,
}

/// How well a label was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelScore {
    /// Which.
    pub label: String,
    /// Documents that have it.
    pub examples: u64,
    /// Share of those told as it that have it; 0 if none were.
    pub precision: f64,
    /// Share of those that have it that were told as it; 0 if none have.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

/// Steps of confidence of the calibration error.
const CALIBRATION_STEPS: usize = 15;

impl ClassificationScore {
    /// Scores labels that were told, as numbers among `labels`, against those that documents have.
    pub fn of_labels(labels: &[String], truth: &[usize], told: &[usize]) -> Self {
        let mut confusion = vec![vec![0u64; labels.len()]; labels.len()];
        for (&truth, &told) in truth.iter().zip(told) {
            confusion[truth][told] += 1;
        }
        let share = |part: u64, whole: u64| match whole {
            0 => 0.0,
            _ => part as f64 / whole as f64,
        };
        let per_label: Vec<LabelScore> = labels
            .iter()
            .enumerate()
            .map(|(index, label)| {
                let right = confusion[index][index];
                let examples = confusion[index].iter().sum();
                let times_told = confusion.iter().map(|row| row[index]).sum::<u64>();
                LabelScore {
                    label: label.clone(),
                    examples,
                    precision: share(right, times_told),
                    recall: share(right, examples),
                    f1: share(2 * right, examples + times_told),
                }
            })
            .collect();
        let right = (0..labels.len()).map(|index| confusion[index][index]).sum();
        ClassificationScore {
            examples: truth.len() as u64,
            accuracy: share(right, truth.len() as u64),
            macro_f1: per_label.iter().map(|label| label.f1).sum::<f64>() / labels.len() as f64,
            per_label,
            confusion,
            calibration_error: None,
        }
    }

    /// Scores the probabilities of all labels, document by document.
    pub fn of_probabilities(labels: &[String], truth: &[usize], told: &[Vec<f64>]) -> Self {
        let likeliest: Vec<usize> = told.iter().map(|all| likeliest(all)).collect();
        let mut steps = [(0.0, 0.0); CALIBRATION_STEPS];
        for ((probabilities, &told), &truth) in told.iter().zip(&likeliest).zip(truth) {
            let confidence = probabilities[told];
            let step = (confidence * CALIBRATION_STEPS as f64) as usize;
            let (confidences, right) = &mut steps[step.min(CALIBRATION_STEPS - 1)];
            *confidences += confidence;
            *right += f64::from(u8::from(told == truth));
        }
        let apart: f64 = steps.iter().map(|(c, right)| f64::abs(c - right)).sum();
        ClassificationScore {
            calibration_error: Some(apart / (truth.len() as f64).max(1.0)),
            ..Self::of_labels(labels, truth, &likeliest)
        }
    }
}

/// The label with the highest probability, of equals the first.
pub fn likeliest(probabilities: &[f64]) -> usize {
    let better = |best: usize, index: usize| match probabilities[index] > probabilities[best] {
        true => index,
        false => best,
    };
    (0..probabilities.len()).fold(0, better)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_a_character_is_perplexity_two() {
        let size = TextSize {
            tokens: 10,
            characters: 10,
            bytes: 20,
        };
        let score = LanguageScore::new(10.0 * LN_2, 0.0, &size);
        assert!((score.perplexity - 2.0).abs() < 1e-12);
        assert!((score.bits_per_character - 1.0).abs() < 1e-12);
        assert!((score.bits_per_byte - 0.5).abs() < 1e-12);
    }

    #[test]
    fn spelling_costs_bits_but_not_perplexity() {
        let size = TextSize {
            tokens: 4,
            characters: 16,
            bytes: 16,
        };
        let score = LanguageScore::new(4.0, 16.0 * LN_2, &size);
        assert!((score.loss - 1.0).abs() < 1e-12);
        assert!((score.bits_per_character - (4.0 / LN_2 / 16.0 + 1.0)).abs() < 1e-12);
    }

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    /// The figures are scikit-learn's, by `classification_report` and `confusion_matrix`.
    #[test]
    fn labels_are_scored_as_scikit_learn_scores_them() {
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
    fn a_label_never_told_and_never_met_scores_zero() {
        let score = ClassificationScore::of_labels(&labels(&["a", "b"]), &[0, 0], &[0, 0]);
        assert_eq!((score.accuracy, score.macro_f1), (1.0, 0.5));
    }

    #[test]
    fn calibration_is_how_far_confidence_and_accuracy_are_apart() {
        let two = labels(&["a", "b"]);
        let sure = vec![vec![1.0, 0.0]; 4];
        let score = |truth: &[usize], told: &[Vec<f64>]| {
            let score = ClassificationScore::of_probabilities(&two, truth, told);
            score.calibration_error.unwrap()
        };
        assert_eq!(score(&[0, 0, 0, 0], &sure), 0.0);
        assert_eq!(score(&[0, 1, 0, 1], &sure), 0.5);
        let unsure = vec![vec![0.25, 0.75]; 4];
        assert_eq!(score(&[1, 1, 1, 0], &unsure), 0.0);
    }
}

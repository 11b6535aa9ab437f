/*!
Calibration of a classifier by temperature scaling (Guo et al. 2017), with a scale for the logits of the recurrent and of
the linear classifier each, and a bias for each label. It is fitted on validation documents.
*/

use crate::optimizer::adam::minimise;
use carousel::inference::classifier::Calibration;
use carousel::metrics::softmax;

/// L2 penalty on the distance from the initial parameters, in nats of all documents together: it matters only with few
/// documents.
const L2_PENALTY: f64 = 1.0;

/// Initial scales of the recurrent and of the linear classifier: the linear classifier is calibrated already when it is
/// selected, the recurrent one has to show its use.
const INITIAL_SCALES: [f64; 2] = [0.0, 1.0];

/// Fits the scales and biases that minimise the loss of the combined logits, `[documents, labels]` each. A document of each
/// label has a weight.
pub fn fit(
    recurrent: &[Vec<f64>],
    linear: &[Vec<f64>],
    labels: &[usize],
    weights: &[f64],
) -> Calibration {
    let label_count = recurrent.first().map_or(0, Vec::len);
    let initial: Vec<f64> = INITIAL_SCALES
        .into_iter()
        .chain(vec![0.0; label_count])
        .collect();
    let documents = labels.len().max(1) as f64;
    let gradients = |parameters: &[f64]| {
        let calibration = from_parameters(parameters);
        let penalised = parameters.iter().zip(&initial);
        let mut gradients: Vec<f64> = penalised
            .map(|(parameter, initial)| L2_PENALTY * (parameter - initial) / documents)
            .collect();
        for ((recurrent, linear), &truth) in recurrent.iter().zip(linear).zip(labels) {
            let probabilities = softmax(&calibration.combine(recurrent, linear));
            for (label, probability) in probabilities.iter().enumerate() {
                let error = probability - f64::from(u8::from(label == truth));
                let error = weights[truth] * error / documents;
                gradients[0] += error * recurrent[label];
                gradients[1] += error * linear[label];
                gradients[2 + label] += error;
            }
        }
        gradients
    };
    let mut parameters = initial.clone();
    // A classifier that is worse than chance is left out, not inverted.
    minimise(&mut parameters, gradients, |parameters| {
        parameters[..2]
            .iter_mut()
            .for_each(|scale| *scale = scale.max(0.0));
    });
    from_parameters(&parameters)
}

/// Mean cross-entropy of documents, in nats. A document of each label has a weight.
pub fn loss(logits: impl Iterator<Item = Vec<f64>>, labels: &[usize], weights: &[f64]) -> f64 {
    let nats = |logits: &[f64], label: usize| -softmax(logits)[label].max(f64::MIN_POSITIVE).ln();
    let sum: f64 = logits
        .zip(labels)
        .map(|(logits, &label)| weights[label] * nats(&logits, label))
        .sum();
    sum / labels.iter().map(|&label| weights[label]).sum::<f64>()
}

fn from_parameters(parameters: &[f64]) -> Calibration {
    Calibration {
        scales: [parameters[0], parameters[1]],
        bias: parameters[2..].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of two labels: `confidence` for `label`, 0 for the other.
    fn logits(label: usize, confidence: f64) -> Vec<f64> {
        let mut logits = vec![0.0; 2];
        logits[label] = confidence;
        logits
    }

    #[test]
    fn overconfident_logits_are_scaled_down_and_random_ones_ignored() {
        // The recurrent classifier is right three times of four with high confidence, the linear one half of the time.
        let documents = 4000;
        let labels: Vec<usize> = (0..documents).map(|i| i % 2).collect();
        let recurrent: Vec<_> = (0..documents)
            .map(|i| logits(if i % 8 < 6 { i % 2 } else { 1 - i % 2 }, 10.0))
            .collect();
        let linear: Vec<_> = (0..documents).map(|i| logits(i / 2 % 2, 3.0)).collect();
        let Calibration { scales, bias } = fit(&recurrent, &linear, &labels, &[1.0; 2]);
        // Odds of three to one.
        assert!((10.0 * scales[0] - 3f64.ln()).abs() < 0.02, "{scales:?}");
        assert!(scales[1] < 0.01, "{scales:?}");
        assert!((bias[0] - bias[1]).abs() < 0.02, "{bias:?}");
    }

    #[test]
    fn weights_make_labels_count_alike() {
        // One document of ten has the second label, and the logits say nothing.
        let documents = 10_000;
        let labels: Vec<usize> = (0..documents).map(|i| usize::from(i % 10 == 0)).collect();
        let nothing = vec![vec![0.0; 2]; documents];
        let odds = |weights: &[f64]| {
            let calibration = fit(&nothing, &nothing, &labels, weights);
            calibration.bias[0] - calibration.bias[1]
        };
        assert!((odds(&[1.0; 2]) - 9f64.ln()).abs() < 0.02);
        let weights = [10.0 / 18.0, 5.0];
        assert!(odds(&weights).abs() < 0.02);
        // The loss is the mean of the labels' then.
        let logits = || labels.iter().map(|_| vec![1.0, 0.0]);
        let of = |label: usize| loss([vec![1.0, 0.0]].into_iter(), &[label], &[1.0; 2]);
        let mean = (of(0) + of(1)) / 2.0;
        assert!((loss(logits(), &labels, &weights) - mean).abs() < 1e-9);
    }

    #[test]
    fn few_documents_give_a_smaller_scale() {
        // Right three times of five, with predicted odds of ten to one.
        let scale = |documents: usize| {
            let labels: Vec<usize> = (0..documents).map(|i| i % 2).collect();
            let predicted = |i: usize| if i % 5 < 3 { i % 2 } else { 1 - i % 2 };
            let recurrent: Vec<Vec<f64>> =
                (0..documents).map(|i| logits(predicted(i), 2.3)).collect();
            let linear = vec![vec![0.0; 2]; documents];
            fit(&recurrent, &linear, &labels, &[1.0; 2]).scales[0]
        };
        let (few, many) = (scale(10), scale(10_000));
        assert!((2.3 * many - 1.5f64.ln()).abs() < 0.02, "{many}");
        assert!(few < 0.95 * many, "{few} {many}");
    }
}

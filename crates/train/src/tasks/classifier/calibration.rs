/*!
What the two halves of a classifier count, fitted on documents that neither has learnt from: temperature scaling (Guo et al.
2017) with a temperature for each half, and a bias for each label.
*/

use crate::optimizer::adam::descend;
use carousel::inference::classifier::Calibration;
use carousel::metrics::softmax;

/// How much, in nats of all documents together, a number counts that is 1 away from where it began: next to nothing with
/// many documents, and a rein with few.
const REIN: f64 = 1.0;

/// Where the halves begin: what the deep one is worth is for the documents to show; the wide one has shown it before.
const BEGIN: [f64; 2] = [0.0, 1.0];

/// Fits scales and biases that make the labels of these documents likeliest.
pub fn fit(deep: &[Vec<f64>], wide: &[Vec<f64>], truth: &[usize]) -> Calibration {
    let labels = deep.first().map_or(0, Vec::len);
    let begin: Vec<f64> = BEGIN.into_iter().chain(vec![0.0; labels]).collect();
    let documents = truth.len().max(1) as f64;
    let gradients = |numbers: &[f64]| {
        let calibration = of(numbers);
        let away = numbers.iter().zip(&begin);
        let mut gradients: Vec<f64> = away
            .map(|(number, begin)| REIN * (number - begin) / documents)
            .collect();
        for ((deep, wide), &truth) in deep.iter().zip(wide).zip(truth) {
            let odds = softmax(&calibration.combine(deep, wide));
            for (label, odds) in odds.iter().enumerate() {
                let off = (odds - f64::from(u8::from(label == truth))) / documents;
                gradients[0] += off * deep[label];
                gradients[1] += off * wide[label];
                gradients[2 + label] += off;
            }
        }
        gradients
    };
    let mut numbers = begin.clone();
    // A half that knows nothing is left out, never turned round.
    descend(&mut numbers, gradients, |numbers| {
        numbers[..2]
            .iter_mut()
            .for_each(|scale| *scale = scale.max(0.0));
    });
    of(&numbers)
}

/// Mean nats that logits spend on what is true.
pub fn loss(logits: impl Iterator<Item = Vec<f64>>, truth: &[usize]) -> f64 {
    let nats: f64 = logits
        .zip(truth)
        .map(|(logits, &truth)| -softmax(&logits)[truth].max(f64::MIN_POSITIVE).ln())
        .sum();
    nats / truth.len() as f64
}

fn of(numbers: &[f64]) -> Calibration {
    Calibration {
        scales: [numbers[0], numbers[1]],
        bias: numbers[2..].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_sure_is_damped_and_what_knows_nothing_is_left_out() {
        // The first half is right three times of four, and sure of itself; the second says anything.
        let documents = 4000;
        let truth: Vec<usize> = (0..documents).map(|i| i % 2).collect();
        let says = |label: usize, sure: f64| {
            vec![
                if label == 0 { sure } else { 0.0 },
                if label == 1 { sure } else { 0.0 },
            ]
        };
        let deep: Vec<_> = (0..documents)
            .map(|i| says(if i % 8 < 6 { i % 2 } else { 1 - i % 2 }, 10.0))
            .collect();
        let wide: Vec<_> = (0..documents).map(|i| says(i / 2 % 2, 3.0)).collect();
        let Calibration { scales, bias } = fit(&deep, &wide, &truth);
        // Odds of three to one.
        assert!((10.0 * scales[0] - 3f64.ln()).abs() < 0.02, "{scales:?}");
        assert!(scales[1] < 0.01, "{scales:?}");
        assert!((bias[0] - bias[1]).abs() < 0.02, "{bias:?}");
    }

    #[test]
    fn few_documents_do_not_make_a_half_count() {
        // Right three times in five, and ten times likelier by its own account.
        let scale = |documents: usize| {
            let truth: Vec<usize> = (0..documents).map(|i| i % 2).collect();
            let says = |i: usize| if i % 5 < 3 { i % 2 } else { 1 - i % 2 };
            let odds = |label: usize| [[2.3, 0.0], [0.0, 2.3]][label].to_vec();
            let deep: Vec<Vec<f64>> = (0..documents).map(|i| odds(says(i))).collect();
            fit(&deep, &vec![vec![0.0; 2]; documents], &truth).scales[0]
        };
        let (few, many) = (scale(10), scale(10_000));
        assert!((2.3 * many - 1.5f64.ln()).abs() < 0.02, "{many}");
        assert!(few < 0.95 * many, "{few} {many}");
    }
}

/*!
What the two halves of a classifier count, fitted on documents that neither has learnt from: temperature scaling (Guo et al.
2017) with a temperature for each half, and a bias for each label.
*/

use carousel::inference::classifier::{Calibration, softmax};

/// Steps of the descent, and how far the first ones go.
const STEPS: usize = 400;
const RATE: f64 = 0.05;
/// How much, in nats of all documents together, a number counts that is 1 away from where it began: next to nothing with
/// many documents, and a rein with few.
const REIN: f64 = 1.0;

/// Fits scales and biases that make the labels of these documents likeliest, by Adam's descent (Kingma and Ba 2015) on what
/// is convex.
pub fn fit(deep: &[Vec<f64>], wide: &[Vec<f64>], truth: &[usize]) -> Calibration {
    let labels = deep.first().map_or(0, Vec::len);
    let begin: Vec<f64> = [1.0, 1.0].into_iter().chain(vec![0.0; labels]).collect();
    let mut numbers = begin.clone();
    let (mut first, mut second) = (vec![0.0; numbers.len()], vec![0.0; numbers.len()]);
    let documents = truth.len().max(1) as f64;
    for step in 1..=STEPS {
        let calibration = of(&numbers);
        let mut gradients: Vec<f64> = numbers
            .iter()
            .zip(&begin)
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
        let rate = RATE * (1.0 - (step - 1) as f64 / STEPS as f64);
        for (index, gradient) in gradients.iter().enumerate() {
            first[index] = 0.9 * first[index] + 0.1 * gradient;
            second[index] = 0.99 * second[index] + 0.01 * gradient * gradient;
            let mean = first[index] / (1.0 - 0.9f64.powi(step as i32));
            let spread = (second[index] / (1.0 - 0.99f64.powi(step as i32))).sqrt() + 1e-12;
            numbers[index] -= rate * mean / spread;
        }
        // A half that knows nothing is left out, never turned round.
        numbers[0] = numbers[0].max(0.0);
        numbers[1] = numbers[1].max(0.0);
    }
    of(&numbers)
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
}

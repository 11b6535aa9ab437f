/*!
Logits and probabilities.
*/

/// Index of the highest value, the first of equals.
pub fn argmax(values: &[f64]) -> usize {
    let better = |best: usize, index: usize| match values[index] > values[best] {
        true => index,
        false => best,
    };
    (0..values.len()).fold(0, better)
}

/// Softmax of logits: their probabilities.
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

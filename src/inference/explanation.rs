/*!
Explanations of a prediction: how much each word of a text speaks for a label, by leaving it out. What is left is read as it
was within the text.
*/

use std::iter::once;

use super::classifier::Classifier;
use super::encoded_document::strip_markup;

/// Largest number of pieces of a text; in a text of fewer words each piece is a word.
const PIECES: usize = 256;
/// Largest number of bytes that are classified to explain one text: longer texts have fewer pieces.
const BYTES: usize = 1 << 23;

/// A piece of a text, and its effect on the log odds of the label.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// One or more words, with the space after each.
    pub text: String,
    /// How far the log odds of the label fall when it is left out of the text: positive if it speaks for the label.
    pub contribution: f64,
}

/// The effects of all pieces of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Pieces in the text's order; concatenated they are the text.
    pub pieces: Vec<Piece>,
}

/// Explains the probability of a label, an index of the classifier's labels, for a text.
pub fn explain(classifier: &Classifier, text: &str, label: usize) -> Explanation {
    let text = strip_markup(text);
    let words: Vec<&str> = text.split_inclusive(char::is_whitespace).collect();
    let most_pieces = (BYTES / text.len().max(1)).clamp(2, PIECES);
    let words_per_piece = words.len().div_ceil(most_pieces).max(1);
    let pieces: Vec<String> = words
        .chunks(words_per_piece)
        .map(<[&str]>::concat)
        .collect();
    let without = (0..pieces.len()).map(|left_out| {
        let rest = pieces
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != left_out);
        rest.map(|(_, piece)| &piece[..]).collect::<String>()
    });
    let variants: Vec<String> = once(pieces.concat()).chain(without).collect();
    let variants: Vec<&str> = variants.iter().map(String::as_str).collect();
    let predictions = classifier.classify_variants(&text, &variants);
    let odds: Vec<f64> = predictions
        .iter()
        .map(|prediction| log_odds(&prediction.logits, label))
        .collect();
    let piece = |(text, without): (String, &f64)| Piece {
        text,
        contribution: odds[0] - without,
    };
    Explanation {
        pieces: pieces.into_iter().zip(&odds[1..]).map(piece).collect(),
    }
}

/// Log odds of a label, ln(p / (1 - p)), from the logits of all.
fn log_odds(logits: &[f64], label: usize) -> f64 {
    let others = logits
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != label);
    let others: Vec<f64> = others.map(|(_, &logit)| logit).collect();
    let highest = others.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = others.iter().map(|logit| (logit - highest).exp()).sum();
    logits[label] - highest - sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_odds_match_softmax() {
        let logits = [1.0, -0.5, 0.25];
        let probabilities = crate::metrics::softmax(&logits);
        for (label, p) in probabilities.iter().enumerate() {
            assert!((log_odds(&logits, label) - (p / (1.0 - p)).ln()).abs() < 1e-12);
        }
    }
}

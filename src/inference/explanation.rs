/*!
Which words moved a decision, and which way: by how the label's log odds change as the text is read, and by leaving words
out.
*/

use super::classifier::{Classifier, plain};

/// A text is taken in so many pieces at most, a word each if there are no more words.
const PIECES: usize = 256;
/// Bytes that may be read to explain one text: the longer it is, the fewer its pieces.
const BYTES: usize = 1 << 23;

/// A part of a text, and what it did.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// A word, or several, with the space after them.
    pub text: String,
    /// How the log odds changed when it was read.
    pub by_reading: f64,
    /// How much lower the log odds are without it.
    pub by_leaving_out: f64,
}

/// A text in pieces.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Together they are the text.
    pub pieces: Vec<Piece>,
}

/// Explains how likely a classifier found a label for a text.
pub fn explain(classifier: &Classifier, text: &str, label: usize) -> Explanation {
    let text = plain(text);
    let words: Vec<&str> = text.split_inclusive(char::is_whitespace).collect();
    let most = (BYTES / (2 * text.len().max(1))).clamp(2, PIECES);
    let together = words.len().div_ceil(most).max(1);
    let pieces: Vec<String> = words.chunks(together).map(<[&str]>::concat).collect();
    let prefixes = (0..=pieces.len()).map(|end| pieces[..end].concat());
    let without = (0..pieces.len()).map(|out| {
        let rest = pieces.iter().enumerate().filter(|(index, _)| *index != out);
        rest.map(|(_, piece)| &piece[..]).collect::<String>()
    });
    let texts: Vec<String> = prefixes.chain(without).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let odds: Vec<f64> = classifier
        .classify(&texts)
        .iter()
        .map(|verdict| log_odds(&verdict.logits, label))
        .collect();
    let (read, without) = odds.split_at(pieces.len() + 1);
    let whole = read[pieces.len()];
    let piece = |(index, text): (usize, String)| Piece {
        text,
        by_reading: read[index + 1] - read[index],
        by_leaving_out: whole - without[index],
    };
    Explanation {
        pieces: pieces.into_iter().enumerate().map(piece).collect(),
    }
}

/// ln(p / (1 - p)) of a label.
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
    fn log_odds_are_those_of_the_softmax() {
        let logits = [1.0, -0.5, 0.25];
        let probabilities = crate::inference::classifier::softmax(&logits);
        for (label, p) in probabilities.iter().enumerate() {
            assert!((log_odds(&logits, label) - (p / (1.0 - p)).ln()).abs() < 1e-12);
        }
    }
}

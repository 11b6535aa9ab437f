/*!
Documents as a classifier reads them: token ids for the recurrent layers, and words for the linear classifier.
*/

use std::borrow::Cow;

use crate::text::encoder::Encoder;
use crate::text::features::words;

/// A document, encoded for both parts of a classifier.
pub struct EncodedDocument {
    /// An end of line, and the document's token ids.
    pub tokens: Vec<u32>,
    /// Words in lower case.
    pub words: Vec<String>,
    /// Fraction of the characters that belong to unknown words.
    pub unknown: f64,
}

impl EncodedDocument {
    /// Encodes a document, by a forgiving encoder; `line_end` is its tokenizer's token for an end of line.
    pub fn new(text: &str, encoder: &mut Encoder, line_end: u32) -> Self {
        let text = encoder.normalized(text);
        let text = normalize(strip_markup(&text));
        // A word may have fewer subwords after a space than at the beginning of a line.
        let first = text.split_whitespace().next().unwrap_or_default();
        let mut count = |text: &str| encoder.encode(text).0.len();
        let shorter_after_space = count(&format!(" {first}")) < count(first);
        let (ids, unknown_words) = match shorter_after_space {
            true => encoder.encode(&format!(" {text}")),
            false => encoder.encode(&text),
        };
        let mut tokens = vec![line_end];
        tokens.extend(ids);
        let characters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
        let unknown: usize = unknown_words.iter().map(|word| characters(word)).sum();
        EncodedDocument {
            tokens,
            words: words(&text),
            unknown: unknown as f64 / characters(&text).max(1) as f64,
        }
    }
}

/// Replaces HTML line breaks, which are frequent in collections of reviews, and trims the text.
pub fn strip_markup(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if !text.contains("<br") {
        return Cow::Borrowed(text);
    }
    let breaks = ["<br />", "<br/>", "<br>"];
    let stripped = breaks
        .iter()
        .fold(text.to_string(), |text, tag| text.replace(tag, "\n"));
    Cow::Owned(stripped)
}

/// Lowercases a text that is all in capitals, and replaces variants of the apostrophe.
fn normalize(text: Cow<str>) -> Cow<str> {
    const APOSTROPHES: [char; 3] = ['‘', 'ʼ', '＇'];
    let capitals = text.chars().filter(|c| c.is_uppercase()).count();
    let all_capitals = capitals > 1 && !text.chars().any(char::is_lowercase);
    match (all_capitals, text.contains(APOSTROPHES)) {
        (false, false) => text,
        (false, true) => Cow::Owned(text.replace(APOSTROPHES, "'")),
        (true, _) => Cow::Owned(text.to_lowercase().replace(APOSTROPHES, "'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_breaks_become_line_ends() {
        assert_eq!(strip_markup(" a<br /><br>b "), "a\n\nb");
        assert!(matches!(strip_markup("a < b"), Cow::Borrowed("a < b")));
    }

    #[test]
    fn capitals_and_apostrophes_are_normalized() {
        assert_eq!(normalize("IT ISNʼT ‘BAD’!".into()), "it isn't 'bad’!");
        assert_eq!(normalize("It isn‘t BAD".into()), "It isn't BAD");
        assert!(matches!(
            normalize("I, 10/10".into()),
            Cow::Borrowed("I, 10/10")
        ));
    }
}

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

/// How a text is read: what is decided once for the whole of it. Parts of a text are read by the whole's reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Whether it is read in lower case, as it is all in capitals.
    lower_case: bool,
    /// Whether it is read as if a space were before it.
    after_space: bool,
}

impl Reading {
    /// The reading of a text without markup, by a forgiving encoder.
    pub fn of(text: &str, encoder: &mut Encoder) -> Self {
        let capitals = text.chars().filter(|c| c.is_uppercase()).count();
        let lower_case = capitals > 1 && !text.chars().any(char::is_lowercase);
        // A word may have fewer subwords after a space than at the beginning of a line.
        let first = text.split_whitespace().next().unwrap_or_default();
        let first = normalize(first, lower_case);
        let mut count = |text: &str| encoder.encode(text).0.len();
        Reading {
            lower_case,
            after_space: count(&format!(" {first}")) < count(&first),
        }
    }
}

impl EncodedDocument {
    /// Encodes a document, by a forgiving encoder; `line_end` is its tokenizer's token for an end of line.
    pub fn new(text: &str, encoder: &mut Encoder, line_end: u32) -> Self {
        let text = strip_markup(text);
        let reading = Reading::of(&text, encoder);
        Self::read(&text, reading, encoder, line_end)
    }

    /// Encodes a text without markup by a reading, which may be that of a text that it is part of.
    pub fn read(text: &str, reading: Reading, encoder: &mut Encoder, line_end: u32) -> Self {
        let text = encoder.normalized(text);
        let text = normalize(text.trim(), reading.lower_case);
        let (ids, unknown_words) = match reading.after_space && !text.is_empty() {
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

/// Lowercases a text that is to be read so, and replaces variants of the apostrophe.
fn normalize(text: &str, lower_case: bool) -> Cow<'_, str> {
    const APOSTROPHES: [char; 3] = ['‘', 'ʼ', '＇'];
    match (lower_case, text.contains(APOSTROPHES)) {
        (false, false) => Cow::Borrowed(text),
        (false, true) => Cow::Owned(text.replace(APOSTROPHES, "'")),
        (true, _) => Cow::Owned(text.to_lowercase().replace(APOSTROPHES, "'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tokenizer::Tokenizer;

    #[test]
    fn html_breaks_become_line_ends() {
        assert_eq!(strip_markup(" a<br /><br>b "), "a\n\nb");
        assert!(matches!(strip_markup("a < b"), Cow::Borrowed("a < b")));
    }

    #[test]
    fn capitals_and_apostrophes_are_normalized() {
        assert_eq!(normalize("IT ISNʼT ‘BAD’!", true), "it isn't 'bad’!");
        assert_eq!(normalize("It isn‘t BAD", false), "It isn't BAD");
        assert!(matches!(normalize("I, 10/10", false), Cow::Borrowed(_)));
    }

    #[test]
    fn a_part_is_read_as_the_whole_is() {
        let tokenizer = Tokenizer::characters(&['\n', ' ', 'G', 'a', 'g', 'o', 'o', 'd']);
        let mut encoder = Encoder::forgiving(&tokenizer);
        let line_end = tokenizer.line_end();
        let whole = Reading::of("GOOD a", &mut encoder);
        for (text, lower_case) in [
            ("GOOD a", false),
            ("GOOD", true),
            ("G", false),
            ("I, 10/10", false),
        ] {
            let reading = Reading::of(text, &mut encoder);
            assert_eq!(reading.lower_case, lower_case, "{text}");
        }
        let alone = EncodedDocument::new("GOOD ", &mut encoder, line_end);
        let part = EncodedDocument::read("GOOD ", whole, &mut encoder, line_end);
        // The encoder forgives capitals that the vocabulary lacks: only what it has tells them apart.
        assert_ne!(alone.tokens, part.tokens);
        let lower = EncodedDocument::new("good", &mut encoder, line_end);
        assert_eq!(alone.tokens, lower.tokens);
        let nothing = EncodedDocument::read(" ", whole, &mut encoder, line_end);
        assert_eq!(nothing.tokens, [line_end]);
    }
}

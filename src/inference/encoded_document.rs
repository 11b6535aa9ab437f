/*!
Documents as a classifier reads them: token ids for the recurrent layers, and words for the linear classifier.
*/

use std::borrow::Cow;

use crate::text::encoder::Encoder;
use crate::text::features::words;
use crate::text::preprocessing::Preprocessing;
use crate::text::tokenizer::Tokenizer;

/// Encodes documents as a classifier reads them.
pub struct DocumentEncoder<'t> {
    encoder: Encoder<'t>,
    /// The token for an end of line.
    line_end: u32,
    preprocessing: Preprocessing,
}

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
    /// The reading of a text in plain spelling, by a forgiving encoder; in lower case if the text was all in capitals.
    fn of(text: &str, lower_case: bool, encoder: &mut Encoder) -> Self {
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

impl<'t> DocumentEncoder<'t> {
    /// An encoder of documents for a classifier with this vocabulary, which reads them in this way.
    pub fn new(tokenizer: &'t Tokenizer, preprocessing: Preprocessing) -> Self {
        DocumentEncoder {
            encoder: Encoder::forgiving(tokenizer),
            line_end: tokenizer.line_end(),
            preprocessing,
        }
    }

    /// The reading of a text without markup.
    pub fn reading(&mut self, text: &str) -> Reading {
        self.reading_of(text, &self.preprocessing.apply(text))
    }

    /// The reading of a text, which is `read` in plain spelling.
    fn reading_of(&mut self, text: &str, read: &str) -> Reading {
        let lower_case = self.preprocessing.is_all_capitals(text);
        Reading::of(read, lower_case, &mut self.encoder)
    }

    /// Encodes a document.
    pub fn encode(&mut self, text: &str) -> EncodedDocument {
        let text = strip_markup(text);
        let read = self.preprocessing.apply(&text);
        let reading = self.reading_of(&text, &read);
        self.encode_read(&read, reading)
    }

    /// Encodes a text without markup by a reading, which may be that of a text that it is part of.
    pub fn encode_by(&mut self, text: &str, reading: Reading) -> EncodedDocument {
        self.encode_read(&self.preprocessing.apply(text), reading)
    }

    /// Encodes a text in plain spelling.
    fn encode_read(&mut self, text: &str, reading: Reading) -> EncodedDocument {
        let text = self.encoder.normalized(text);
        let text = normalize(text.trim(), reading.lower_case);
        let (ids, unknown_words) = match reading.after_space && !text.is_empty() {
            true => self.encoder.encode(&format!(" {text}")),
            false => self.encoder.encode(&text),
        };
        let mut tokens = vec![self.line_end];
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
        let mut encoder = DocumentEncoder::new(&tokenizer, Preprocessing::None);
        let whole = encoder.reading("GOOD a");
        for (text, lower_case) in [
            ("GOOD a", false),
            ("GOOD", true),
            ("G", false),
            ("I, 10/10", false),
        ] {
            let reading = encoder.reading(text);
            assert_eq!(reading.lower_case, lower_case, "{text}");
        }
        let alone = encoder.encode("GOOD ");
        let part = encoder.encode_by("GOOD ", whole);
        // The encoder forgives capitals that the vocabulary lacks: only what it has tells them apart.
        assert_ne!(alone.tokens, part.tokens);
        let lower = encoder.encode("good");
        assert_eq!(alone.tokens, lower.tokens);
        let nothing = encoder.encode_by(" ", whole);
        assert_eq!(nothing.tokens, [tokenizer.line_end()]);
    }
}

/*!
Unicode forms: whether accents and letters are composed, and composing text that comes in pieces.
*/

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use unicode_normalization_alignments::char::canonical_combining_class;
use unicode_normalization_alignments::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::level::Level;

/// The form in which characters are read that Unicode can write in several ways, such as é.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalization {
    /// As they are written.
    #[default]
    None,
    /// Composed where Unicode has a composed character (NFC).
    Nfc,
}

impl Normalization {
    /// That of new vocabularies of a level: bytes stay as they are.
    pub fn of(level: Level) -> Self {
        match level {
            Level::Byte => Normalization::None,
            Level::Character | Level::Word | Level::Subword => Normalization::Nfc,
        }
    }

    /// Whether characters are read as they are written.
    pub fn is_none(&self) -> bool {
        *self == Normalization::None
    }

    /// A whole text in this form.
    pub fn apply(self, text: &str) -> Cow<'_, str> {
        let changes = match self {
            Normalization::None => false,
            Normalization::Nfc => {
                !text.is_ascii() && is_nfc_quick(text.chars()) != IsNormalized::Yes
            }
        };
        match changes {
            true => Cow::Owned(text.nfc().map(|(character, _)| character).collect()),
            false => Cow::Borrowed(text),
        }
    }
}

/// Whether a character never changes with what is before it.
pub(super) fn stands_alone(character: char) -> bool {
    character.is_ascii()
        || canonical_combining_class(character) == 0
            && is_nfc_quick(std::iter::once(character)) == IsNormalized::Yes
}

/// Brings text that comes in pieces into a form.
pub(super) struct Normalizer {
    normalization: Normalization,
    /// The end of the text so far, which the next piece can change.
    held: String,
}

impl Normalizer {
    /// A normalizer at the start of a text.
    pub fn new(normalization: Normalization) -> Self {
        Normalizer {
            normalization,
            held: String::new(),
        }
    }

    /// The text that is certain after the next piece, or, if this is the last one, the rest of the text.
    ///
    /// # Panics
    /// If a piece is not UTF-8.
    pub fn push<'a>(&mut self, piece: &'a [u8], is_last: bool) -> Cow<'a, [u8]> {
        if self.normalization.is_none() {
            return Cow::Borrowed(piece);
        }
        let piece = std::str::from_utf8(piece).expect("pieces of text are UTF-8");
        let mut backwards = piece.char_indices().rev();
        let certain = match is_last {
            true => Some(piece.len()),
            false => backwards
                .find(|&(_, character)| stands_alone(character))
                .map(|(at, _)| at),
        };
        let Some(certain) = certain else {
            self.held.push_str(piece);
            return Cow::Borrowed(b"");
        };
        let mut text = std::mem::take(&mut self.held);
        text.push_str(&piece[..certain]);
        self.held.push_str(&piece[certain..]);
        Cow::Owned(self.normalization.apply(&text).into_owned().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECOMPOSED: &str =
        "Cafe\u{301} \u{1112}\u{1161}\u{11ab} q\u{323}\u{301}a\u{301}\u{323}\n";
    const COMPOSED: &str = "Caf\u{e9} \u{d55c} q\u{323}\u{301}\u{1ea1}\u{301}\n";

    #[test]
    fn both_forms_of_a_text_become_one() {
        for text in [DECOMPOSED, COMPOSED] {
            assert_eq!(Normalization::Nfc.apply(text), COMPOSED);
            assert_eq!(Normalization::None.apply(text), text);
        }
        assert!(matches!(
            Normalization::Nfc.apply("na\u{ef}ve"),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn marks_may_begin_a_piece() {
        for length in 1..8 {
            let characters: Vec<char> = DECOMPOSED.chars().collect();
            let mut normalizer = Normalizer::new(Normalization::Nfc);
            let mut text = Vec::new();
            for piece in characters.chunks(length) {
                let piece: String = piece.iter().collect();
                text.extend_from_slice(&normalizer.push(piece.as_bytes(), false));
            }
            text.extend_from_slice(&normalizer.push(b"", true));
            assert_eq!(text, COMPOSED.as_bytes(), "{length}");
        }
    }

    #[test]
    fn characters_stand_alone_unless_they_combine() {
        let combining = ['\u{301}', '\u{1161}', '\u{958}'];
        assert!(combining.iter().all(|&c| !stands_alone(c)));
        assert!(
            ['a', 'é', '世', '\n', '\u{1112}']
                .into_iter()
                .all(stands_alone)
        );
    }
}

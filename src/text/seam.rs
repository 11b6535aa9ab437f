/*!
Where generated tokens meet: whether the encoder would have put a token after those before it. It would not put two words
beside each other that make one, nor two subwords that it merges.
*/

use super::level::{Level, Split};
use super::normalization::{Normalization, stands_alone};
use super::splitter::Splitter;
use super::tokenizer::Tokenizer;

/// Most bytes that are kept of the end of a text. More are kept nowhere but in models that cut no long parts; there, the
/// last token alone is then compared.
const MOST_BYTES: usize = 512;
/// A letter of which no subword is merged with what is before it, for a text that goes on.
const RARE_LETTER: char = '\u{a500}';
/// What stands for an unknown token, which may be any word.
const UNKNOWN_WORD: &[u8] = b"x";

/// The end of a text of tokens, as far as it decides which token can follow.
#[derive(Clone)]
pub struct Seam<'t> {
    tokenizer: &'t Tokenizer,
    rule: Rule,
    /// The last tokens, which the encoder gives for their bytes.
    tokens: Vec<u32>,
    bytes: Vec<u8>,
    /// The token that was allowed last.
    allowed: Option<u32>,
}

/// Which token can follow others.
#[derive(Clone)]
enum Rule {
    /// Any: bytes, words between white space, and characters that are not composed.
    Any,
    /// Any character that is not composed with those before it.
    Composed,
    /// One that begins where a part of the text begins, or, of subwords, that is not merged.
    Parts(Splitter),
}

impl<'t> Seam<'t> {
    /// The seam at the start of a text.
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        let rule = match (tokenizer.level(), tokenizer.split()) {
            (Level::Byte, _) | (Level::Word, Split::Whitespace) => Rule::Any,
            (Level::Character, _) if tokenizer.normalization().is_none() => Rule::Any,
            (Level::Character, _) => Rule::Composed,
            (Level::Word | Level::Subword, _) => Rule::Parts(Splitter::new(tokenizer.division())),
        };
        Seam {
            tokenizer,
            rule,
            tokens: Vec::new(),
            bytes: Vec::new(),
            allowed: None,
        }
    }

    /// Whether the encoder would put a token here. A token that completes no character yet is judged by the one that does.
    pub fn allows(&mut self, id: u32) -> bool {
        let piece = self.bytes_of(id);
        let allows = match &self.rule {
            Rule::Any => true,
            _ if self.tokenizer.unknown() == Some(id) => true,
            Rule::Composed if begins_anew(piece) => true,
            Rule::Composed | Rule::Parts(_) => {
                let bytes = [&self.bytes[..], piece].concat();
                match std::str::from_utf8(&bytes) {
                    Ok(text) => self.encodes(text, id),
                    Err(error) => error.error_len().is_none(),
                }
            }
        };
        self.allowed = allows.then_some(id);
        allows
    }

    /// Adds a token to the text. One that the encoder would not put here came from elsewhere: what is before it no longer
    /// counts.
    pub fn push(&mut self, id: u32) {
        if let Rule::Any = self.rule {
            return;
        }
        let begins = match self.rule {
            Rule::Composed => begins_anew(self.bytes_of(id)),
            _ => self.tokenizer.unknown() == Some(id),
        };
        let fits = self.allowed == Some(id) || self.allows(id);
        self.allowed = None;
        let restarts = !fits || self.bytes.len() > MOST_BYTES;
        if begins || restarts {
            self.clear();
        }
        let bytes = self.bytes_of(id).to_vec();
        self.tokens.push(id);
        self.bytes.extend(bytes);
        if restarts && !self.is_encoded() {
            self.clear();
        }
        self.forget();
    }

    fn clear(&mut self) {
        self.tokens.clear();
        self.bytes.clear();
    }

    /// The bytes that stand for a token here.
    fn bytes_of(&self, id: u32) -> &'t [u8] {
        match self.tokenizer.unknown() {
            Some(unknown) if unknown == id => UNKNOWN_WORD,
            _ => self.tokenizer.piece(id),
        }
    }

    /// Whether the last tokens are what the encoder gives for their bytes.
    fn is_encoded(&self) -> bool {
        let Some((&last, before)) = self.tokens.split_last() else {
            return true;
        };
        let before = Seam {
            tokens: before.to_vec(),
            ..self.clone()
        };
        std::str::from_utf8(&self.bytes).is_ok_and(|text| before.encodes(text, last))
    }

    /// Whether the encoder gives the last tokens and `id` for a text, which is that of these.
    fn encodes(&self, text: &str, id: u32) -> bool {
        let normalization = self.tokenizer.normalization();
        if normalization != Normalization::None && normalization.apply(text) != text {
            return false;
        }
        let tokens = self.tokens.iter().copied().chain([id]);
        match &self.rule {
            Rule::Any | Rule::Composed => true,
            Rule::Parts(splitter) if self.tokenizer.level() == Level::Subword => {
                let subwords = |text: &str| -> Vec<u32> {
                    let parts = splitter.parts(text);
                    parts
                        .flat_map(|part| self.tokenizer.subwords_of(part))
                        .collect()
                };
                let tokens: Vec<u32> = tokens.collect();
                // With a letter after it, an apostrophe belongs to the word before it, and may be merged with that.
                let inner = text.ends_with(['\'', '’']);
                subwords(text) == tokens
                    || inner && subwords(&format!("{text}{RARE_LETTER}")).starts_with(&tokens)
            }
            Rule::Parts(splitter) => {
                let lengths = tokens.map(|token| self.bytes_of(token).len());
                splitter.parts(text).map(str::len).eq(lengths)
            }
        }
    }

    /// Forgets the tokens whose place no later text can change: those before the last two parts. A part that begins with a
    /// mark or an apostrophe can belong to the one before it.
    fn forget(&mut self) {
        let (Rule::Parts(splitter), Ok(text)) = (&self.rule, std::str::from_utf8(&self.bytes))
        else {
            return;
        };
        let mut end = 0;
        let mut starts = Vec::new();
        for part in splitter.parts(text) {
            starts.push(end);
            end += part.len();
        }
        let begins = |start: &usize| {
            let part = &text[*start..];
            begins_anew(part.as_bytes()) && !part.starts_with(['\'', '’'])
        };
        let Some(start) = starts.into_iter().rev().skip(1).find(begins) else {
            return;
        };
        let mut end = 0;
        let forgotten = self.tokens.iter().take_while(|&&token| {
            end += self.bytes_of(token).len();
            end <= start
        });
        let forgotten = forgotten.count();
        self.tokens.drain(..forgotten);
        self.bytes.drain(..start);
    }
}

/// Whether the first character of some text is not composed with what is before it.
fn begins_anew(piece: &[u8]) -> bool {
    let text = std::str::from_utf8(piece).ok();
    text.and_then(|text| text.chars().next())
        .is_some_and(stands_alone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::vocabulary::{VocabularyConfig, VocabularyTrainer};
    use proptest::prelude::*;

    fn train(text: &str, level: Level, vocab_size: Option<usize>) -> Tokenizer {
        let config = VocabularyConfig {
            level,
            split: Split::Natural,
            vocab_size,
            min_count: 1,
            normalization: Normalization::of(level),
        };
        let mut trainer = VocabularyTrainer::new(config, text.len() as u64);
        trainer.push(config.normalization.apply(text).as_bytes());
        trainer.finish().unwrap()
    }

    /// Whether each piece is allowed after a text, by its words.
    fn allowed(tokenizer: &Tokenizer, text: &str, pieces: &[&str]) -> Vec<bool> {
        let mut seam = Seam::new(tokenizer);
        tokenizer
            .encode(text)
            .0
            .into_iter()
            .for_each(|id| seam.push(id));
        let id = |piece: &str| {
            let ids = 0..tokenizer.vocab_size() as u32;
            ids.into_iter()
                .find(|&id| tokenizer.piece(id) == piece.as_bytes())
        };
        let allowed = pieces.iter().map(|piece| seam.allows(id(piece).unwrap()));
        allowed.collect()
    }

    #[test]
    fn words_are_not_glued() {
        let text = "go going' on, the end's ‘the’ end\ngo\t (on)";
        let tokenizer = train(text, Level::Word, None);
        let pieces = ["go", " on", ",", "\n", "'", " ("];
        for (before, expected) in [
            ("the end", [false, true, true, true, true, true]),
            ("the,", [true, true, true, true, true, true]),
            ("the\t", [true, true, true, true, true, true]),
            // It would make one word with the word before.
            ("the'", [false, true, true, true, true, true]),
            (",'", [true, true, true, true, true, true]),
            // An unknown word.
            ("strange", [false, true, true, true, true, true]),
            ("", [true, true, true, true, true, true]),
        ] {
            assert_eq!(allowed(&tokenizer, before, &pieces), expected, "{before}");
        }
    }

    #[test]
    fn subwords_are_not_merged() {
        let tokenizer = train(&"low lower ".repeat(99), Level::Subword, Some(262));
        let pieces = ["er", " low", "l", "w", " ", "\n"];
        assert_eq!(
            allowed(&tokenizer, " low", &pieces),
            [false, true, true, true, true, true]
        );
        // Two spaces would be one part, and the word after them another.
        let after_space = allowed(&tokenizer, " ", &["l", " low", "low", "\n"]);
        assert_eq!(after_space, [true, false, false, true]);
        assert_eq!(allowed(&tokenizer, " lo", &["w", "l"]), [false, true]);
        // Bytes that are no character.
        let mut seam = Seam::new(&tokenizer);
        let id = |byte: u8| {
            let mut ids = 0..tokenizer.vocab_size() as u32;
            ids.find(|&id| tokenizer.piece(id) == [byte]).unwrap()
        };
        assert!(!seam.allows(id(0xA9)) && seam.allows(id(0xC3)));
        seam.push(id(0xC3));
        assert!(seam.allows(id(0xA9)) && !seam.allows(id(b'a')));
    }

    #[test]
    fn an_apostrophe_may_be_merged_with_the_word_before_it() {
        // "n'" is the most frequent pair.
        let text = "an' aren't can'b hasn'c don'd in'e ".repeat(9);
        let tokenizer = train(&text, Level::Subword, Some(257));
        let ids = 0..tokenizer.vocab_size() as u32;
        let merged: Vec<u32> = ids.filter(|&id| tokenizer.piece(id) == b"n'").collect();
        assert_eq!(
            tokenizer
                .encode("don't")
                .0
                .iter()
                .filter(|id| merged.contains(id))
                .count(),
            1
        );
        let mut seam = Seam::new(&tokenizer);
        for id in tokenizer.encode("don't").0 {
            assert!(seam.allows(id), "{:?}", tokenizer.piece(id));
            seam.push(id);
        }
        // After it a letter is due: without one, the apostrophe would be a part of its own.
        let mut seam = Seam::new(&tokenizer);
        tokenizer.encode("don't").0[..3]
            .iter()
            .for_each(|&id| seam.push(id));
        let allows = [b"t", b" ", b"'", b"."].map(|piece| {
            let mut ids = 0..tokenizer.vocab_size() as u32;
            seam.allows(ids.find(|&id| tokenizer.piece(id) == piece).unwrap())
        });
        assert_eq!(allows, [true, false, false, false]);
    }

    #[test]
    fn marks_are_not_put_where_they_would_be_composed() {
        let tokenizer = train("e\u{301} q\u{301} ae", Level::Character, None);
        assert_eq!(
            allowed(&tokenizer, "e", &["\u{301}", "q", "é"]),
            [false, true, true]
        );
        assert_eq!(allowed(&tokenizer, "q", &["\u{301}"]), [true]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

        #[test]
        fn what_is_encoded_is_allowed(text in r"([a-c]{1,9}|['’ \n.,]{1,3}|[é世\u{301}1]{1,2}){0,40}|[ab]{300}") {
            for level in [Level::Character, Level::Word, Level::Subword] {
                let tokenizer = train(&text, level, (level == Level::Subword).then_some(280));
                let mut seam = Seam::new(&tokenizer);
                for id in tokenizer.encode(&text).0 {
                    prop_assert!(seam.allows(id), "{level} {text:?} {:?}", tokenizer.piece(id));
                    seam.push(id);
                    prop_assert!(seam.bytes.len() < 700);
                }
            }
        }

        #[test]
        fn what_is_allowed_is_encoded(corpus in r"([a-c]{1,3}|['’ \n.,]{1,3}|[é世\u{301}\u{323}q1]{1,2}){5,40}", draws in prop::collection::vec(0u32..1000, 200)) {
            for level in [Level::Character, Level::Word, Level::Subword] {
                let tokenizer = train(&corpus, level, (level == Level::Subword).then_some(280));
                let mut seam = Seam::new(&tokenizer);
                let mut written = Vec::new();
                for draw in &draws {
                    let id = draw % tokenizer.vocab_size() as u32;
                    // Incomplete characters are tested above.
                    let whole = std::str::from_utf8(tokenizer.piece(id)).is_ok();
                    if whole && Some(id) != tokenizer.unknown() && seam.allows(id) {
                        seam.push(id);
                        written.push(id);
                    }
                }
                // An apostrophe that was merged with its word needs a letter after it.
                if level == Level::Subword && tokenizer.decode(&written).ends_with(['\'', '’']) {
                    let letter = |&id: &u32| tokenizer.piece(id).iter().all(u8::is_ascii_lowercase);
                    let mut letters = (0..tokenizer.vocab_size() as u32).filter(letter);
                    written.extend(letters.find(|&id| seam.allows(id)));
                }
                prop_assert_eq!(tokenizer.encode(&tokenizer.decode(&written)).0, written);
            }
        }
    }
}

use carousel::text::encoder::Encoder;
use carousel::text::tokenizer::Tokenizer;
use carousel::text::vocabulary::{VocabularyConfig, VocabularyTrainer};
use carousel::text::{Level, Normalization, Split};
use proptest::prelude::*;

/// Any text: letters, digits, marks, white space, apostrophes, several scripts, combining marks.
const ANY: &str = r"(?s)([a-z]{1,8}|[A-Z0-9'’\-_.,!?]{1,4}|[ \n\t\r]{1,3}|\PC|[äößé世界अनुच्छेद😀\u{301}\u{85}\u{2028}]{1,3}|.){0,40}";

pub fn train(text: &str, level: Level, split: Split) -> Tokenizer {
    let vocabulary = VocabularyConfig {
        level,
        split,
        vocab_size: None,
        min_count: 1,
        normalization: Normalization::of(level),
    };
    let mut trainer = VocabularyTrainer::new(vocabulary, text.len() as u64);
    trainer.push(vocabulary.normalization.apply(text).as_bytes());
    trainer.finish().unwrap()
}

/// Encodes a text in pieces of at least the given lengths, in turn.
fn encode_in_pieces(tokenizer: &Tokenizer, text: &str, lengths: &[usize]) -> Vec<u32> {
    let mut encoder = Encoder::new(tokenizer);
    let mut ids = Vec::new();
    let mut ignore = |_: &str| ();
    let mut rest = text;
    for &length in lengths.iter().cycle().take(10_000) {
        let end = (length..=rest.len())
            .find(|&end| rest.is_char_boundary(end))
            .unwrap_or(rest.len());
        let (piece, later) = rest.split_at(end);
        encoder.push(piece.as_bytes(), &mut ids, &mut ignore);
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    encoder.finish(&mut ids, &mut ignore);
    ids
}

const KINDS: [(Level, Split); 5] = [
    (Level::Character, Split::Natural),
    (Level::Byte, Split::Natural),
    (Level::Word, Split::Natural),
    (Level::Word, Split::Whitespace),
    (Level::Subword, Split::Natural),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_encoder_agrees_with_the_tokenizers_crate(
        corpus in ANY, text in ANY, lengths in prop::collection::vec(1usize..30, 1..6),
    ) {
        for (level, split) in KINDS {
            let tokenizer = train(&format!("{corpus} and a word or two"), level, split);
            for text in [&corpus, &text] {
                let expected = tokenizer.encode_reference(text);
                let text = tokenizer.normalized(text);
                prop_assert_eq!(encode_in_pieces(&tokenizer, &text, &lengths), expected, "{:?} {:?}", level, split);
            }
        }
    }

    #[test]
    fn a_forgiving_encoder_changes_only_unknown_words(corpus in ANY, text in ANY) {
        for (level, split) in KINDS {
            let tokenizer = train(&corpus, level, split);
            for text in [text.clone(), corpus.to_uppercase(), corpus.to_lowercase()] {
                let (exact, unknown_words) = tokenizer.encode(&text);
                let (forgiving, still_unknown) = Encoder::forgiving(&tokenizer).encode(&text);
                prop_assert_eq!(exact.len(), forgiving.len());
                let changed = exact.iter().zip(&forgiving).filter(|(a, b)| a != b);
                prop_assert!(changed.clone().all(|(&exact, _)| Some(exact) == tokenizer.unknown()));
                prop_assert_eq!(changed.count(), unknown_words.len() - still_unknown.len());
            }
        }
    }

    #[test]
    fn bytes_and_subwords_decode_to_the_same_text(corpus in ANY, text in ANY) {
        for level in [Level::Byte, Level::Subword] {
            let tokenizer = train(&corpus, level, Split::Natural);
            let (ids, unknown_words) = tokenizer.encode(&text);
            prop_assert_eq!(tokenizer.decode(&ids), tokenizer.normalized(&text));
            prop_assert!(unknown_words.is_empty());
        }
    }

    #[test]
    fn characters_and_words_decode_to_the_same_text_without_unknown_tokens(text in ANY) {
        for level in [Level::Character, Level::Word] {
            let tokenizer = train(&text, level, Split::Natural);
            let (ids, unknown_words) = tokenizer.encode(&text);
            prop_assert_eq!(tokenizer.decode(&ids), tokenizer.normalized(&text));
            prop_assert!(unknown_words.is_empty());
        }
    }

    #[test]
    fn a_saved_tokenizer_encodes_alike(corpus in ANY, text in ANY) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        for (level, split) in KINDS {
            let tokenizer = train(&corpus, level, split);
            std::fs::write(&path, tokenizer.to_json()).unwrap();
            let loaded = Tokenizer::load(&path, level, split).unwrap();
            prop_assert_eq!(loaded.encode(&text), tokenizer.encode(&text));
            prop_assert_eq!(loaded.to_json(), tokenizer.to_json());
        }
    }

    #[test]
    fn any_bytes_decode_to_the_same_bytes(bytes: Vec<u8>) {
        let tokenizer = Tokenizer::bytes();
        let mut ids = Vec::new();
        Encoder::new(&tokenizer).push(&bytes, &mut ids, &mut |_: &str| ());
        let back: Vec<u8> = ids.iter().flat_map(|&id| tokenizer.piece(id)).copied().collect();
        prop_assert_eq!(back, bytes);
    }
}

//! The figures of sacreBLEU in tests/data/translation.json. `scripts/translation_reference.py` made them, and its text says what
//! each key means.

use std::path::Path;

use serde::Deserialize;

use carousel::metrics::bleu::{self, Bleu};
use carousel::metrics::chrf;

#[derive(Deserialize)]
struct Reference {
    signatures: [String; 2],
    corpora: Vec<Corpus>,
}

#[derive(Deserialize)]
struct Corpus {
    hypotheses: Vec<String>,
    references: Vec<String>,
    bleu: f64,
    precisions: [f64; 4],
    brevity_penalty: f64,
    words: u64,
    reference_words: u64,
    chrf: f64,
    sentence_bleu: Vec<f64>,
    sentence_chrf: Vec<f64>,
}

fn reference() -> Reference {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/translation.json");
    let text = std::fs::read_to_string(path).expect("a file");
    serde_json::from_str(&text).expect("figures")
}

fn check(what: &str, found: f64, expected: f64) {
    assert!(
        (found - expected).abs() < 1e-8,
        "{what}: {found}, sacreBLEU {expected}"
    );
}

#[test]
fn scores_of_corpora_are_those_of_sacrebleu() {
    for corpus in reference().corpora {
        let name = &corpus.hypotheses[0];
        let found = Bleu::corpus(&corpus.hypotheses, &corpus.references);
        check(name, found.score, corpus.bleu);
        for (found, expected) in found.precisions.into_iter().zip(corpus.precisions) {
            check(name, found, expected);
        }
        check(name, found.brevity_penalty, corpus.brevity_penalty);
        assert_eq!(found.hypothesis_words, corpus.words, "{name}");
        assert_eq!(found.reference_words, corpus.reference_words, "{name}");
        let found = chrf::corpus(&corpus.hypotheses, &corpus.references);
        check(name, found, corpus.chrf);
    }
}

#[test]
fn scores_of_sentences_are_those_of_sacrebleu() {
    for corpus in reference().corpora {
        let sides = corpus.hypotheses.iter().zip(&corpus.references);
        let expected = corpus.sentence_bleu.iter().zip(&corpus.sentence_chrf);
        for ((hypothesis, reference), (&of_bleu, &of_chrf)) in sides.zip(expected) {
            check(hypothesis, bleu::sentence(hypothesis, reference), of_bleu);
            let found = chrf::corpus(&[hypothesis], &[reference]);
            check(hypothesis, found, of_chrf);
        }
    }
}

#[test]
fn signatures_say_what_sacrebleu_counts() {
    let counted = |signature: &str| signature.rsplit_once("|version:").unwrap().0.to_string();
    let expected = reference().signatures.map(|signature| counted(&signature));
    assert_eq!([Bleu::SIGNATURE, chrf::SIGNATURE].map(counted), expected);
}

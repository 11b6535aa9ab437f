use std::fs;

use serde_json::Value;

use carousel::checkpoint::Lock;

use crate::sandbox::{Sandbox, model_by_hand};

/// Lines of a tale that repeats itself with changes.
fn tale() -> String {
    let (who, what) = (
        ["miller", "fox", "widow", "smith"],
        ["bell", "well", "boat"],
    );
    let line = |i: usize| {
        let (who, what) = (who[i * i % 4], what[i * 7 % 5 % 3]);
        format!("The {who} went to the {what}, {i} steps, and came home.\n")
    };
    (0..120).map(line).collect()
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("tale.txt", tale());
    sandbox
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn ngrams_are_a_model_as_any_other() {
    let sandbox = sandbox();
    for (level, order) in [
        ("char", 6),
        ("byte", 10),
        ("word", 3),
        ("bpe", 4),
        ("word --split whitespace", 5),
    ] {
        let line = format!(
            "train tale.txt -o model --overwrite --level {level} --baseline ngram --order {order}"
        );
        let outcome = sandbox.carousel(&line).success();
        assert!(outcome.err.contains("tokens/s"), "{}", outcome.err);
        let text = |seed: u64| {
            let line = format!("generate -m model -p 'The fox' --length 30 --seed {seed} --json");
            json(&sandbox.carousel(&line).success().out)["text"].clone()
        };
        assert_eq!(text(1), text(1));
        let out = sandbox
            .carousel("generate -m model --length 5 --samples 9 --json")
            .success()
            .out;
        assert_eq!(out.lines().count(), 9);
        let score = |text: &str| {
            let line = format!("score -m model --json '{text}'");
            let score = json(&sandbox.carousel(&line).success().out);
            score["bits_per_character"].as_f64().unwrap()
        };
        assert!(score("The fox went to the well") < score("well went The to fox the"));
        let out = sandbox
            .carousel("evaluate -m model tale.txt --json")
            .success()
            .out;
        let figures = json(&out);
        let bits = figures["bits_per_character"].as_f64().unwrap();
        let baselines = figures["baselines"].as_array().unwrap();
        assert_eq!(baselines[0]["name"], "uniform");
        assert_eq!(baselines[1]["name"], "unigram");
        assert!(bits < baselines[1]["bits_per_character"].as_f64().unwrap());
        let out = sandbox.carousel("inspect model").success().out;
        assert!(out.contains(&format!("up to order {order}")), "{out}");
    }
}

#[test]
fn ngrams_and_xz_stand_beside_a_model_whose_corpus_is_there() {
    let sandbox = sandbox();
    sandbox
        .carousel("train tale.txt -o model --baseline ngram --order 2 -q")
        .success();
    let outcome = sandbox
        .carousel("evaluate -m model tale.txt --json")
        .success();
    assert_eq!(outcome.err, "");
    let figures = json(&outcome.out);
    let names: Vec<_> = figures["baselines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| &b["name"])
        .collect();
    assert_eq!(names, ["uniform", "unigram", "ngram-6", "xz"]);
    for baseline in figures["baselines"].as_array().unwrap() {
        for key in ["loss", "perplexity", "bits_per_character", "bits_per_byte"] {
            assert!(baseline[key].is_f64(), "{key} of {baseline}");
        }
    }
    let table = sandbox.carousel("evaluate -m model tale.txt").success().out;
    assert!(table.contains("ngram-6") && table.contains("xz"), "{table}");

    fs::remove_file(sandbox.path("tale.txt")).unwrap();
    sandbox.write("other.txt", "The fox came home.\n");
    let outcome = sandbox
        .carousel("evaluate -m model other.txt --json")
        .success();
    assert!(
        outcome.err.starts_with("note: ") && outcome.err.contains("tale.txt"),
        "{}",
        outcome.err
    );
    assert_eq!(json(&outcome.out)["baselines"].as_array().unwrap().len(), 2);
}

#[test]
fn copies_hold_the_same_numbers() {
    let sandbox = sandbox();
    sandbox
        .carousel("train tale.txt -o model --baseline ngram -q")
        .success();
    sandbox.carousel("export -m model -o copy").success();
    assert_eq!(
        sandbox.read("copy/config.json"),
        sandbox.read("model/config.json")
    );
    let score = |model: &str| {
        sandbox
            .carousel(&format!("score -m {model} 'came home'"))
            .success()
            .out
    };
    assert_eq!(score("copy"), score("model"));
    // Numbers that lead out of their lists are noticed.
    let mut weights = sandbox.read("model/model.safetensors");
    let last = weights.len() - 4;
    weights[last..].copy_from_slice(&u32::MAX.to_le_bytes());
    sandbox.write("model/model.safetensors", weights);
    let outcome = sandbox.carousel("score -m model 'came home'");
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.err.contains("damaged"), "{}", outcome.err);
}

#[test]
fn plans_write_nothing_and_small_texts_are_learnt() {
    let sandbox = sandbox();
    let outcome = sandbox
        .carousel("train tale.txt --baseline ngram --plan")
        .success();
    assert!(
        outcome.err.contains("n-grams up to order 6"),
        "{}",
        outcome.err
    );
    assert!(outcome.err.contains("of memory"), "{}", outcome.err);
    sandbox.write("one.txt", "a single line without an end");
    sandbox.write("empty.txt", "");
    sandbox.write("ab.txt", "ab");
    sandbox
        .carousel("train one.txt -o one --baseline ngram --order 10")
        .success();
    sandbox
        .carousel("generate -m one -p ünknown --length 20")
        .success();
    sandbox
        .carousel("train ab.txt -o ab --valid one.txt --baseline ngram --order 10")
        .success();
    sandbox.carousel("score -m ab abc").success();
    let outcome = sandbox.carousel("train empty.txt -o none --baseline ngram");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("there is no text in"),
        "{}",
        outcome.err
    );
    assert!(!sandbox.path("none").exists());
    let outcome = sandbox.carousel("train tale.txt -o one --baseline ngram");
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("--overwrite"), "{}", outcome.err);
    // Standard input is kept in the model's folder, and so is still there to compare with.
    sandbox
        .carousel_reading("tale.txt", "train - -o piped --baseline ngram --order 3")
        .success();
    let outcome = sandbox
        .carousel("evaluate -m piped tale.txt --json")
        .success();
    assert_eq!(json(&outcome.out)["baselines"].as_array().unwrap().len(), 4);
}

#[test]
fn other_commands_say_that_they_need_a_network() {
    let sandbox = sandbox();
    sandbox
        .carousel("train tale.txt -o model --baseline ngram -q")
        .success();
    let outcome = sandbox.carousel("classify -m model text");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("is an n-gram model and has no labels"),
        "{}",
        outcome.err
    );
    let config = String::from_utf8(sandbox.read("model/config.json")).unwrap();
    let head = r#"{"type": "labels", "labels": ["a", "b"], "ngrams": 0}"#;
    let mut classifier = json(&config);
    classifier["head"] = json(head);
    sandbox.write("model/config.json", classifier.to_string());
    let outcome = sandbox.carousel("classify -m model text");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("the head is of labels"),
        "{}",
        outcome.err
    );
}

#[test]
fn contradictions_are_refused() {
    let sandbox = sandbox();
    for (options, expected) in [
        (
            "--order 0",
            "--order 0 is not possible: n-grams of characters have an order between 1 and 10",
        ),
        ("--order 11", "between 1 and 10"),
        (
            "--level word --order 6",
            "n-grams of words have an order between 1 and 5",
        ),
        (
            "--hidden-size 9",
            "--hidden-size is for networks; leave it away with --baseline ngram",
        ),
        (
            "--time 9s --seed 2",
            "--seed and --time are for networks; leave them away",
        ),
        ("--split whitespace", "--split is for --level word"),
    ] {
        let outcome = sandbox.carousel(&format!("train tale.txt -o x --baseline ngram {options}"));
        assert_eq!(outcome.code, Some(2), "{options}");
        assert!(outcome.err.contains(expected), "{options}: {}", outcome.err);
    }
    let outcome = sandbox.carousel("train tale.txt -o x --interpolate --baseline ngram");
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("--baseline"), "{}", outcome.err);
    assert!(!sandbox.path("x").exists());
}

#[test]
fn records_of_earlier_versions_are_read() {
    let sandbox = sandbox();
    model_by_hand(&sandbox.path("model"), "abc\n", 1, false);
    let mut record = json(&String::from_utf8(sandbox.read("model/training.json")).unwrap());
    let score = record["baselines"][0].clone();
    record["baselines"] = serde_json::json!({ "uniform": score, "unigram": score });
    sandbox.write("model/training.json", record.to_string());
    let out = sandbox.carousel("inspect model").success().out;
    assert!(out.contains("uniform") && out.contains("unigram"), "{out}");
    sandbox.carousel("score -m model abc").success();
}

#[test]
fn both_unicode_forms_of_a_text_are_one() {
    let sandbox = Sandbox::new();
    let composed: String = (0..200)
        .map(|i| {
            format!(
                "Zo\u{eb} went to caf\u{e9} {} for cr\u{ea}pes.\n",
                i * i % 7
            )
        })
        .collect();
    let decomposed = composed
        .replace('\u{eb}', "e\u{308}")
        .replace('\u{e9}', "e\u{301}")
        .replace('\u{ea}', "e\u{302}");
    sandbox.write("composed.txt", &composed);
    sandbox.write("decomposed.txt", &decomposed);
    for level in ["char", "word", "bpe"] {
        let train = format!("--level {level} --baseline ngram --overwrite -q");
        sandbox
            .carousel(&format!("train decomposed.txt -o other {train}"))
            .success();
        sandbox
            .carousel(&format!("train composed.txt -o model {train}"))
            .success();
        let tokenizer = sandbox.read("model/tokenizer.json");
        assert_eq!(tokenizer, sandbox.read("other/tokenizer.json"), "{level}");
        let all = |line: &str| {
            let out = sandbox.carousel(line).success().out;
            let mut all = json(&out);
            let removed = ["tokens_per_second", "text", "prompt"];
            for key in removed {
                all.as_object_mut().unwrap().remove(key);
            }
            all
        };
        for [one, other] in [
            [
                "score -m model --json 'Zo\u{eb} at caf\u{e9} 4'",
                "score -m model --json 'Zoe\u{308} at cafe\u{301} 4'",
            ],
            [
                "evaluate -m model --json composed.txt",
                "evaluate -m model --json decomposed.txt",
            ],
        ] {
            assert_eq!(all(one), all(other), "{level}");
        }
        let text = |prompt: &str| {
            let line = format!("generate -m model -p '{prompt}' --seed 2 --length 20 --json");
            json(&sandbox.carousel(&line).success().out)["text"].clone()
        };
        assert_eq!(text("Zo\u{eb}"), text("Zoe\u{308}"), "{level}");
    }
    // Bytes stay as they are.
    sandbox
        .carousel("train composed.txt -o bytes --level byte --baseline ngram -q")
        .success();
    let figures = |file: &str| {
        let line = format!("evaluate -m bytes --json {file}");
        json(&sandbox.carousel(&line).success().out)["tokens"].clone()
    };
    assert_eq!(figures("composed.txt"), composed.len());
    assert_eq!(figures("decomposed.txt"), decomposed.len());
}

#[test]
fn a_vocabulary_without_a_word_is_refused_before_anything_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "once.txt",
        "each word of these two lines\nis written here once, never twice\n",
    );
    for (options, expected) in [
        ("--level word", "no word of the text occurs 2 times or more"),
        ("--level word --min-count 9", "give --min-count 1"),
        (
            "--level char --min-count 99",
            "no character of the text occurs 99 times",
        ),
        (
            "--level word --min-count 1 --vocab-size 2",
            "--vocab-size 2 has room for",
        ),
    ] {
        let line = format!("train once.txt -o model --baseline ngram {options}");
        // The second time the corpus may be in the cache.
        for _ in 0..2 {
            let outcome = sandbox.carousel(&line);
            assert_eq!(outcome.code, Some(1), "{outcome:?}");
            assert!(outcome.err.contains(expected), "{}", outcome.err);
            assert!(!sandbox.path("model").exists());
        }
    }
    let line = "train once.txt -o model --baseline ngram --level word --min-count 1 --order 2 -q";
    sandbox.carousel(line).success();
}

#[test]
fn lines_without_a_space_are_learnt() {
    let sandbox = Sandbox::new();
    let mut state = 1u32;
    let mut letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"ACGT"[(state >> 30) as usize] as char
    };
    let genes: String = (0..100_000).map(|_| letter()).collect();
    for text in [genes, "a".repeat(200_000), "世界和平".repeat(20_000)] {
        sandbox.write("line.txt", &text);
        let line = "train line.txt -o model --baseline ngram --level bpe --order 3 --overwrite -q";
        sandbox.carousel(line).success();
        let out = sandbox
            .carousel("generate -m model --length 300 --json")
            .success()
            .out;
        assert_eq!(json(&out)["tokens"], 300);
    }
}

#[test]
fn a_folder_that_another_process_writes_is_left_alone() {
    let sandbox = sandbox();
    let train = "train tale.txt -o model --baseline ngram -q";
    sandbox.carousel(train).success();
    sandbox.carousel("export -m model -o copy").success();
    let weights = sandbox.read("model/model.safetensors");
    let lock = Lock::take(&sandbox.path("model")).unwrap();
    for line in [
        &format!("{train} --overwrite --order 2"),
        "export -m copy -o model --overwrite",
        "compare tale.txt -o model",
    ] {
        let outcome = sandbox.carousel(line);
        assert_eq!(outcome.code, Some(1), "{line}: {outcome:?}");
        let who = format!(
            "carousel: model is in use: process {} has been writing there since ",
            std::process::id()
        );
        assert!(outcome.err.starts_with(&who), "{line}: {}", outcome.err);
    }
    assert_eq!(sandbox.read("model/model.safetensors"), weights);
    sandbox.carousel("generate -m model --length 5").success();
    drop(lock);
    sandbox
        .carousel(&format!("{train} --overwrite --order 2"))
        .success();
    assert_ne!(sandbox.read("model/model.safetensors"), weights);
    let entries = fs::read_dir(sandbox.path("model")).unwrap();
    assert_eq!(entries.count(), 4, "the files of a model, and nothing else");
}

#[test]
fn a_model_stays_where_another_cannot_be_learnt_or_copied() {
    let sandbox = sandbox();
    let train = "train tale.txt -o model --baseline ngram -q";
    sandbox.carousel(train).success();
    let weights = sandbox.read("model/model.safetensors");
    sandbox.write("empty.txt", "");
    let line = "train - -o model --baseline ngram --overwrite";
    let outcome = sandbox.carousel_reading("empty.txt", line);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    sandbox.carousel("export -m model -o copy").success();
    sandbox.write("copy/model.safetensors", "damaged");
    let outcome = sandbox.carousel("export -m copy -o model --overwrite");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(sandbox.read("model/model.safetensors"), weights);

    // A copy names files without the folders of this machine, and finds them where it is used.
    let record = String::from_utf8(sandbox.read("copy/training.json")).unwrap();
    let folder = sandbox.path("").display().to_string();
    assert!(!record.contains(folder.trim_end_matches('/')), "{record}");
    sandbox
        .carousel("export -m model -o copy --overwrite")
        .success();
    let outcome = sandbox.carousel("evaluate -m copy tale.txt").success();
    assert!(outcome.out.contains("xz"), "{outcome:?}");
}

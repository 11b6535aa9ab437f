use carousel::checkpoint::encoder_decoder::Attention;
use carousel::text::Split;
use carousel::text::tokenizer::Tokenizer;
use serde_json::Value;

use crate::sandbox::{Sandbox, model_by_hand, translator_by_hand};

/// A sandbox with a translator of characters, and one of words.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let characters = |text: &str| Tokenizer::characters(&text.chars().collect::<Vec<_>>());
    let (source, target) = (characters("\n .abcdefgh"), characters("\n .stuvwxyzé"));
    let save = |name: &str, target: Option<&Tokenizer>, attention: Attention| {
        translator_by_hand(&sandbox.path(name), &source, target, attention);
    };
    save("model", Some(&target), Attention::Additive);
    save("shared", None, Attention::Dot);
    save("blind", Some(&target), Attention::None);
    let words = ["\n", "a", "cat", "sat"].map(String::from).to_vec();
    let words = Tokenizer::words(Split::Whitespace, words);
    translator_by_hand(&sandbox.path("words"), &words, None, Attention::Dot);
    sandbox
}

fn json(out: &str) -> Vec<Value> {
    let lines = out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_line_comes_out_for_each_line() {
    let sandbox = sandbox();
    let text = "a bad cab.\n\nfed. a dad. a gag\n  \nbeef";
    sandbox.write("text", text);
    for model in ["model", "shared", "blind", "words"] {
        let line = |rest: &str| format!("translate -m {model} --lossy {rest}");
        let out = sandbox.carousel(&line("--input text")).success().out;
        assert_eq!(out.lines().count(), 5, "{out}");
        for (source, translation) in text.lines().zip(out.lines()) {
            assert_eq!(source.trim().is_empty(), translation.is_empty(), "{out}");
            let alone = sandbox.carousel(&line(&format!("'{source}'"))).success();
            assert_eq!(alone.out, format!("{translation}\n"));
        }
        let piped = sandbox.carousel_reading("text", &line("")).success();
        assert_eq!(piped.out, out);
        let named = sandbox.carousel_reading("text", &line("-")).success();
        assert_eq!(named.out, out);
        let typed = sandbox.carousel_reading("text", &line("--interactive"));
        let written: Vec<&str> = out.lines().filter(|line| !line.is_empty()).collect();
        let typed = typed.success().out;
        assert_eq!(typed.lines().collect::<Vec<_>>(), written);
        // Any number of threads gives the same.
        let one = sandbox
            .carousel(&line("--input text --threads 1"))
            .success();
        assert_eq!(one.out, out);
        assert!(!out.contains("unk"), "{out}");
    }
}

#[test]
fn the_best_translations_have_scores() {
    let sandbox = sandbox();
    let line = "translate -m model 'a bad cab' '' --best 3 --beam 4";
    let out = sandbox.carousel(line).success().out;
    let rows: Vec<Vec<&str>> = out.lines().map(|line| line.split('\t').collect()).collect();
    let numbers: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(numbers, ["1", "1", "1", "2"]);
    let score = |row: &Vec<&str>| row[1].parse::<f64>().unwrap();
    assert!(rows[..3].is_sorted_by(|a, b| score(a) >= score(b)), "{out}");
    let objects = json(&sandbox.carousel(&format!("{line} --json")).success().out);
    assert_eq!(objects.len(), 2);
    assert_eq!(objects[0]["source"], "a bad cab");
    assert_eq!(objects[0]["row"], 1);
    assert_eq!(objects[1]["translation"], "");
    let best = objects[0]["best"].as_array().unwrap();
    for (row, object) in rows.iter().zip(best) {
        assert_eq!(object["translation"], row[2]);
        assert!((object["score"].as_f64().unwrap() - score(row)).abs() < 1e-4);
    }
    for key in ["translation", "score", "log_probability"] {
        assert_eq!(objects[0][key], best[0][key]);
    }
    // The most probable token at each step is the beam's only one.
    let greedy = sandbox.carousel("translate -m model 'a bad cab' --beam 1 --json");
    let greedy = json(&greedy.success().out);
    let found = |object: &Value| object["log_probability"].as_f64().unwrap();
    assert!(found(&greedy[0]).is_finite());
    assert!(greedy[0].get("best").is_none());
}

#[test]
fn attention_is_shown_and_drawn() {
    let sandbox = sandbox();
    let out =
        sandbox.carousel("translate -m model 'bad cab' --attention --attention-picture look.svg");
    let out = out.success().out;
    assert!(
        out.lines().nth(1).unwrap().ends_with("b a d ␣ c a b ↵"),
        "{out}"
    );
    let picture = String::from_utf8(sandbox.read("look.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains('↵'));
    let out = sandbox.carousel("translate -m model 'bad cab' --attention --json");
    let object = &json(&out.success().out)[0]["attention"][0];
    let weights = object["weights"].as_array().unwrap();
    assert_eq!(weights.len(), object["target"].as_array().unwrap().len());
    for row in weights {
        let row = row.as_array().unwrap().iter();
        let sum: f64 = row.map(|weight| weight.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-4, "{object}");
    }
    let blind = sandbox.carousel("translate -m blind 'bad cab' --attention");
    assert_eq!(blind.code, Some(1));
    assert!(blind.err.contains("no attention"), "{}", blind.err);
}

#[test]
fn long_sentences_are_cut_and_unknown_words_named() {
    let sandbox = sandbox();
    sandbox.write("long", "abc ".repeat(500));
    let outcome = sandbox
        .carousel("translate -m model --beam 1 --input long")
        .success();
    assert_eq!(outcome.out.lines().count(), 1);
    assert!(outcome.err.contains("cut into parts"), "{}", outcome.err);
    let outcome = sandbox.carousel("translate -m words 'a dog sat'").success();
    assert!(
        outcome.err.contains("does not know \"dog\""),
        "{}",
        outcome.err
    );
}

#[test]
fn models_are_used_with_their_own_commands() {
    let sandbox = sandbox();
    model_by_hand(&sandbox.path("language"), "abc\n", 1, false);
    sandbox.write("text", "abc\n");
    let wrong = sandbox.carousel("translate -m language abc");
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.err.contains("carousel generate -m"), "{}", wrong.err);
    for line in [
        "generate -m model",
        "classify -m model a",
        "score -m model a",
    ] {
        let wrong = sandbox.carousel(line);
        assert_eq!(wrong.code, Some(1), "{line}");
        assert!(wrong.err.contains("carousel translate -m"), "{}", wrong.err);
    }
    for (line, part) in [
        ("translate -m model --best 6 a", "--best 6"),
        (
            "translate -m model --length-penalty -1 a",
            "--length-penalty",
        ),
        ("translate -m model --beam 0 a", "--beam"),
    ] {
        let wrong = sandbox.carousel(line);
        assert_eq!(wrong.code, Some(2), "{line}");
        assert!(wrong.err.contains(part), "{}", wrong.err);
    }
}

#[test]
fn texts_in_the_wrong_language_are_noted() {
    let sandbox = sandbox();
    for (text, part) in [("жук", "script"), ("stu uvw xyz", "translates into")] {
        let outcome = sandbox.carousel(&format!("translate -m model --beam 1 '{text}'"));
        let err = outcome.success().err;
        assert!(err.contains(part), "{err}");
    }
    let outcome = sandbox.carousel("translate -m model --beam 1 'a bad cab'");
    let err = outcome.success().err;
    assert!(
        !err.contains("language") && !err.contains("script"),
        "{err}"
    );
}

#[test]
fn a_line_of_sentences_is_translated_sentence_by_sentence() {
    let sandbox = sandbox();
    let translate = |text: &str| {
        let outcome = sandbox.carousel(&format!("translate -m model '{text}'"));
        outcome.success().out.trim_end().to_string()
    };
    let parts = [translate("A cab."), translate("Bad dad.")];
    assert_eq!(translate("A cab. Bad dad."), parts.join(" "));
}

#[test]
fn pairs_are_scored_with_baselines() {
    let sandbox = sandbox();
    sandbox.write("pairs.tsv", "source\ttarget\na bad cab\tstu vw\nfed\txyz\n");
    sandbox.write("other.tsv", "source\ttarget\na bad dad\tstu vw\nfed\tuvw\n");
    sandbox.write("a", "a bad cab\nfed\n");
    sandbox.write("b", "stu vw\nxyz\n");
    let line = "evaluate -m model pairs.tsv --baseline-from other.tsv";
    let object = &json(&sandbox.carousel(&format!("{line} --json")).success().out)[0];
    assert_eq!(object["sentences"], 2);
    assert_eq!(object["tokens"], 7 + 4);
    let loss = object["loss"].as_f64().unwrap();
    assert!((object["perplexity"].as_f64().unwrap().ln() - loss).abs() < 1e-9);
    for key in ["bleu", "chrf"] {
        let score = object[key].as_f64().unwrap();
        assert!((0.0..100.0).contains(&score), "{object}");
    }
    let names: Vec<&str> = (object["baselines"].as_array().unwrap().iter())
        .map(|baseline| baseline["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["copy", "nearest"]);
    assert!(
        object["signature"].as_str().unwrap().contains("tok:13a"),
        "{object}"
    );
    let out = sandbox.carousel(line).success().out;
    assert!(out.contains("nearest") && out.contains("BLEU"), "{out}");
    // Without the training pairs there is no nearest sentence.
    let lines = sandbox.carousel("evaluate -m model --source a --target b --beam 5 --json");
    let lines = lines.success();
    assert!(lines.err.contains("nearest"), "{}", lines.err);
    let other = &json(&lines.out)[0];
    for key in ["bleu", "chrf", "loss"] {
        assert_eq!(other[key], object[key]);
    }
    model_by_hand(&sandbox.path("language"), "abc\n", 1, false);
    let wrong = sandbox.carousel("evaluate -m language a --beam 2");
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.err.contains("--beam is for translators"),
        "{}",
        wrong.err
    );
}

#[test]
fn copies_of_translators_translate_the_same() {
    let sandbox = sandbox();
    for (model, precision) in [("model", "int8"), ("shared", "f32"), ("blind", "int8")] {
        let export = format!("export -m {model} -o copy-{model} --precision {precision}");
        sandbox.carousel(&export).success();
        let translate = |model: &str| {
            let line = format!("translate -m {model} --precision {precision} --json 'a bad cab'");
            sandbox.carousel(&line).success().out
        };
        assert_eq!(translate(model), translate(&format!("copy-{model}")));
    }
}

#[test]
fn a_translator_is_described() {
    let sandbox = sandbox();
    for flag in ["--gates", "--unit 0:1"] {
        let wrong = sandbox.carousel(&format!("inspect model {flag} text"));
        assert_eq!(wrong.code, Some(1), "{wrong:?}");
        assert!(wrong.err.contains("is a translator"), "{}", wrong.err);
    }
    let out = sandbox.carousel("inspect model").success().out;
    for part in [
        "encoder",
        "decoder",
        "additive",
        "in both directions",
        "300 for training",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

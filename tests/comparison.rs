use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::program;
use crate::sandbox::{Outcome, Sandbox, words};

/// Flags of small networks, which are trained in a moment.
const SMALL: &str = "-- --embedding-size 16 --batch-size 4 --bptt 16 --dropout 0";

fn text() -> String {
    let line = |i: usize| {
        let (who, what) = (["a fox", "the miller", "nobody"], ["a boat", "the bridge"]);
        format!("{} saw {} {}.\n", who[i * i % 3], what[i / 3 % 2], i % 10)
    };
    (0..700).map(line).collect()
}

fn labelled() -> String {
    let row = |i: usize| match i % 2 {
        0 => format!("good,a lovely bright thing number {i}\n"),
        _ => format!("bad,a dull and cold thing number {i}\n"),
    };
    std::iter::once("label,text\n".to_string())
        .chain((0..300).map(row))
        .collect()
}

fn entries(sandbox: &Sandbox, folder: &str) -> Vec<Value> {
    let json = sandbox.read(&format!("{folder}/compare.json"));
    let json: Value = serde_json::from_slice(&json).unwrap();
    json["entries"].as_array().unwrap().clone()
}

fn named<'a>(entries: &'a [Value], name: &str) -> &'a Value {
    entries.iter().find(|entry| entry["name"] == name).unwrap()
}

/// Interrupts a comparison as soon as a file exists.
fn interrupt_at(sandbox: &Sandbox, line: &str, file: &str) -> Outcome {
    let mut command = sandbox.command(&program());
    command
        .args(words(line))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    while !sandbox.path(file).exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let id = child.id().to_string();
    // A program that has ended before cannot be interrupted, which its exit code shows.
    let _ = Command::new("kill").args(["-TERM", &id]).output();
    Outcome::new(child.wait_with_output().unwrap())
}

#[test]
#[cfg(unix)]
fn an_interrupted_comparison_goes_on_and_repeats_no_finished_run() {
    let sandbox = Sandbox::new();
    sandbox.write("text.txt", text());
    let line = format!(
        "compare text.txt -o compared --steps 200 --seeds 2 --cells lstm,lstm:autograd {SMALL} --hidden-size 24"
    );
    let trial = "compared/runs/lstm-rate0.0025/model.safetensors";
    let run = "compared/runs/lstm-seed1/metrics.jsonl";
    let outcome = interrupt_at(&sandbox, &line, run);
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
    let last = outcome.err.lines().last().unwrap();
    assert!(last.contains(" of 10; everything is saved, and "), "{last}");
    assert!(
        last.ends_with("`carousel compare --resume compared` continues"),
        "{last}"
    );
    let finished = fs::metadata(sandbox.path(trial))
        .unwrap()
        .modified()
        .unwrap();

    let outcome = sandbox.carousel("compare --resume compared").success();
    assert!(!outcome.err.contains("run 3 of 10"), "{}", outcome.err);
    assert!(outcome.err.contains("run 10 of 10"), "{}", outcome.err);
    let again = fs::metadata(sandbox.path(trial))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(finished, again);
    assert!(outcome.out.contains("lstm:autograd") && outcome.out.contains("perplexity"));
    assert!(outcome.out.contains("kept of the text"), "{}", outcome.out);
    assert!(
        outcome.out.lines().all(|line| line.chars().count() <= 100),
        "{}",
        outcome.out
    );

    let entries = entries(&sandbox, "compared");
    let losses: Vec<f64> = entries
        .iter()
        .map(|entry| entry["loss"].as_f64().unwrap())
        .collect();
    assert!(losses.is_sorted(), "{losses:?}");
    let lstm = named(&entries, "lstm");
    for key in [
        "parameters",
        "hidden_size",
        "learning_rate",
        "tokens_per_second",
        "loss_spread",
        "loss_at_equal_tokens",
        "bits_per_character",
        "perplexity",
    ] {
        assert!(lstm[key].is_number(), "{key} in {lstm}");
    }
    assert_eq!(
        (lstm["trials"].as_array().unwrap().len(), &lstm["seeds"]),
        (3, &2.into())
    );
    assert!(
        lstm["sample"]
            .as_str()
            .is_some_and(|text| !text.contains('\n'))
    );
    assert!(lstm["loss"].as_f64() < named(&entries, "unigram")["loss"].as_f64());
    let picture = String::from_utf8(sandbox.read("compared/compare.svg")).unwrap();
    assert!(picture.contains("lstm:autograd") && picture.contains("uniform"));

    // The same command again trains nothing; another one is refused.
    let outcome = sandbox
        .carousel(&line.replace(" --seeds", " --json --seeds"))
        .success();
    assert!(!outcome.err.contains("run 1"), "{}", outcome.err);
    assert_eq!(outcome.out.lines().count(), entries.len());
    let outcome = sandbox.carousel(&line.replace("200", "300"));
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.err.contains("holds another comparison"),
        "{}",
        outcome.err
    );
}

#[test]
fn the_loss_of_a_comparison_is_that_of_its_model_on_the_validation_data() {
    let sandbox = Sandbox::new();
    sandbox.write("text.txt", text());
    sandbox.write("valid.txt", text().replace("boat", "barn"));
    let line = format!(
        "compare text.txt -o compared --steps 40 --cells lstm --valid valid.txt {SMALL} --hidden-size 24 --learning-rate 0.01"
    );
    sandbox.carousel(&line).success();
    let entries = entries(&sandbox, "compared");
    let evaluated = sandbox
        .carousel("evaluate -m compared/runs/lstm-seed1 valid.txt --json")
        .success();
    let evaluated: Value = serde_json::from_str(&evaluated.out).unwrap();
    for key in ["loss", "bits_per_character", "perplexity"] {
        let (own, other) = (&named(&entries, "lstm")[key], &evaluated[key]);
        let difference = own.as_f64().unwrap() - other.as_f64().unwrap();
        assert!(difference.abs() < 1e-6, "{key}: {own} {other}");
    }
    assert_eq!(named(&entries, "lstm")["trials"], serde_json::json!([]));
}

#[test]
fn networks_of_equally_many_parameters_are_compared() {
    let sandbox = Sandbox::new();
    sandbox.write("text.txt", text());
    let line = format!(
        "compare text.txt -o compared --steps 5 --match params --cells lstm,lstm:num-layers=2 {SMALL} --learning-rate 0.01"
    );
    sandbox.carousel(&line).success();
    let entries = entries(&sandbox, "compared");
    let count = |name: &str| {
        let count = &named(&entries, name)["parameters_without_embedding"];
        count.as_f64().unwrap()
    };
    let ratio = count("lstm:num-layers=2") / count("lstm");
    assert!((ratio - 1.0).abs() <= 0.02, "{ratio}");
    let width = |name: &str| &named(&entries, name)["hidden_size"];
    assert_ne!(width("lstm"), width("lstm:num-layers=2"));
}

#[test]
fn a_transformer_keeps_more_of_a_longer_text_and_a_recurrent_network_does_not() {
    let sandbox = Sandbox::new();
    sandbox.write("text.txt", text());
    let line = "compare text.txt -o compared --steps 5 --cells lstm,transformer -- --hidden-size 16 --batch-size 4 --bptt 128 \
                --learning-rate 0.01";
    sandbox.carousel(line).success();
    let entries = entries(&sandbox, "compared");
    let kept = |name: &str| -> Vec<u64> {
        let writing = named(&entries, name)["writing"].as_array().unwrap();
        let positive = |of: &&Value| of["tokens_per_second"].as_f64().unwrap() > 0.0;
        assert_eq!(writing.iter().filter(positive).count(), 3, "{writing:?}");
        let bytes = writing.iter().map(|of| of["state_bytes"].as_u64().unwrap());
        bytes.collect()
    };
    let lstm = kept("lstm");
    assert!(lstm.iter().all(|&bytes| bytes == lstm[0]), "{lstm:?}");
    // 100 tokens after a line end leave 28 places free in the window of 128; 1,000 have left it for others, at least half full.
    let transformer = kept("transformer");
    assert_eq!(transformer[0], 100 * 4 * (1 + 2 * 16 * layers(&sandbox)));
    assert!(transformer.iter().all(|&bytes| bytes > lstm[0]));
}

/// Number of layers of the transformer that was compared.
fn layers(sandbox: &Sandbox) -> u64 {
    let config = sandbox.read("compared/runs/transformer-seed1/config.json");
    let config: Value = serde_json::from_slice(&config).unwrap();
    let body = config.pointer("/body/num_layers");
    body.and_then(Value::as_u64).unwrap()
}

#[test]
fn classifiers_are_compared_by_accuracy_and_f1() {
    let sandbox = Sandbox::new();
    sandbox.write("reviews.csv", labelled());
    let line = "compare reviews.csv -o compared --steps 60 --cells lstm,lstm:bidirectional -- --batch-size 8";
    let outcome = sandbox.carousel(line).success();
    assert!(outcome.out.contains("macro F1"), "{}", outcome.out);
    let entries = entries(&sandbox, "compared");
    for name in ["lstm", "lstm:bidirectional"] {
        let entry = named(&entries, name);
        assert!(entry["accuracy"].as_f64().unwrap() > 0.9, "{entry}");
        assert!(entry["macro_f1"].is_number() && entry["perplexity"].is_null());
    }
    assert!(named(&entries, "majority")["accuracy"].as_f64().unwrap() < 0.6);
    assert!(sandbox.path("compared/compare.svg").exists());
}

#[test]
fn a_corpus_too_small_to_compare_on_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("short.txt", "the cat and the hat saw the rat.\n".repeat(20));
    let outcome = sandbox.carousel("compare short.txt -o compared --steps 5 --cells lstm");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("and a comparison needs at least 1000"),
        "{}",
        outcome.err
    );
    assert!(!sandbox.path("compared").exists());
}

#[test]
#[cfg(unix)]
fn a_comparison_goes_on_with_a_corpus_that_was_moved_and_with_no_other() {
    let sandbox = Sandbox::new();
    sandbox.write("data/text.txt", text());
    sandbox.write("data/valid.txt", text().replace("boat", "barn"));
    let line = format!(
        "compare data/text.txt -o compared --valid data/valid.txt --steps 400 --seeds 2 --cells lstm {SMALL} --hidden-size 24 \
         --learning-rate 0.01"
    );
    let outcome = interrupt_at(&sandbox, &line, "compared/runs/lstm-seed1/metrics.jsonl");
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
    let [from, to] = ["compared", "again"].map(|name| sandbox.path(name));
    let copied = Command::new("cp").arg("-r").args([from, to]).status();
    assert!(copied.unwrap().success());

    // Changed, moved without a trace, and another: nothing is trained.
    sandbox.write("data/text.txt", text() + "Nobody saw it.\n");
    fs::rename(sandbox.path("data/valid.txt"), sandbox.path("valid.txt")).unwrap();
    fs::create_dir(sandbox.path("deep")).unwrap();
    let refused = |line: &str, message: &str| {
        let outcome = sandbox.carousel(line);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.err.contains(message), "{}", outcome.err);
    };
    refused(
        "compare --resume compared",
        "no longer there, and not found beside compared",
    );
    fs::rename(sandbox.path("valid.txt"), sandbox.path("data/valid.txt")).unwrap();
    refused(
        "compare --resume compared",
        "has changed since the comparison in compared began",
    );
    sandbox.write("deep/text.txt", text());
    fs::rename(
        sandbox.path("data/valid.txt"),
        sandbox.path("deep/valid.txt"),
    )
    .unwrap();
    fs::remove_file(sandbox.path("data/text.txt")).unwrap();
    let help = "say where it is now: `carousel compare --resume compared PATH --valid FILE`";
    refused("compare --resume compared", help);
    refused(
        "compare --resume compared deep/valid.txt --valid deep/valid.txt",
        "is not the data that the comparison in compared is made on",
    );
    let outcome = sandbox.carousel("compare --resume compared --valid deep/valid.txt");
    assert_eq!(outcome.code, Some(2), "{outcome:?}");

    let line = "compare --resume compared deep/text.txt --valid deep/valid.txt";
    let outcome = sandbox.carousel(line).success();
    assert!(outcome.err.contains("run 2 of 2"), "{}", outcome.err);
    // Beside the folder it is found.
    for name in ["text.txt", "valid.txt"] {
        fs::rename(sandbox.path(&format!("deep/{name}")), sandbox.path(name)).unwrap();
    }
    let outcome = sandbox.carousel("compare --resume again").success();
    assert!(outcome.err.contains("the data is now "), "{}", outcome.err);
    let losses = ["compared", "again"].map(|folder| {
        let entries = entries(&sandbox, folder);
        named(&entries, "lstm")["loss"].clone()
    });
    assert_eq!(losses[0], losses[1]);
}

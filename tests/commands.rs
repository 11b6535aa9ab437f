use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use carousel::checkpoint::architecture::Recurrent;
use carousel_kernels::recurrent::Cell;
use serde_json::Value;

use crate::sandbox::{Outcome, Sandbox, model_by_hand, model_of_layers};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    model_by_hand(&sandbox.path("model"), "abcdefgh \n", 1, false);
    sandbox
}

/// What `carousel` prints when `typed` is its standard input.
fn typing(sandbox: &Sandbox, line: &str, typed: &str) -> Outcome {
    sandbox.write("typed", typed);
    sandbox.carousel_reading("typed", line).success()
}

#[test]
fn prompts_and_options_have_the_names_that_people_bring() {
    let sandbox = sandbox();
    let expected = sandbox
        .carousel("generate -m model -p 'abc de' --length 12 --temperature 0.5 --seed 3")
        .success()
        .out;
    for line in [
        "generate -m model 'abc de' -n 12 --temp 0.5 --seed 3",
        "generate 'abc de' -m model --max-tokens 12 -t 0.5 --seed 3",
        "generate -m model 'abc de' --n-predict 12 --temp 0.5 --seed 3",
    ] {
        assert_eq!(sandbox.carousel(line).success().out, expected, "{line}");
    }
    let twice = sandbox.carousel("generate -m model abc -p abc");
    assert_eq!(twice.code, Some(2), "{twice:?}");
}

#[test]
fn mistyped_models_are_answered_with_the_nearest_and_all() {
    let sandbox = sandbox();
    model_by_hand(&sandbox.path("checkpoints/limericks"), "abc\n", 1, false);
    let outcome = sandbox.carousel("generate -m limerick");
    assert_eq!(outcome.code, Some(1));
    for part in ["did you mean limericks?", "models with names are limericks"] {
        assert!(outcome.err.contains(part), "{}", outcome.err);
    }
    let outcome = sandbox.carousel("generate -m weather");
    assert!(!outcome.err.contains("did you mean"), "{}", outcome.err);
}

#[test]
fn models_are_listed_with_what_they_are() {
    let sandbox = sandbox();
    model_by_hand(&sandbox.path("checkpoints/limericks"), "abc\n", 1, false);
    let table = sandbox.carousel("models").success().out;
    let row = table.lines().find(|line| line.starts_with("limericks"));
    let row = row.unwrap_or_else(|| panic!("{table}"));
    assert!(
        row.contains("writes") && row.contains("checkpoints/limericks"),
        "{row}"
    );
    let card = |line: &str| sandbox.carousel(line).success().out;
    assert!(card("models limericks").contains("it has no card"));
    sandbox.write("checkpoints/limericks/card.md", "# Limericks\n\nRude.\n");
    let shown = card("models limericks");
    assert!(shown.starts_with("limericks writes: "), "{shown}");
    assert!(shown.ends_with("\n# Limericks\n\nRude.\n"), "{shown}");
    let object: serde_json::Value = serde_json::from_str(&card("models limericks --json")).unwrap();
    assert_eq!(object["card"], "# Limericks\n\nRude.\n");
    std::fs::remove_file(sandbox.path("checkpoints/limericks/card.md")).unwrap();
    let out = sandbox.carousel("models --json").success().out;
    let first: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(first["name"], "limericks");
    assert_eq!(first["task"], "writes");
    assert!(first["parameters"].as_u64().unwrap() > 0);
    // A name is that of one model: the first that is found.
    let names = out
        .lines()
        .filter(|line| line.contains("\"name\":\"limericks\""));
    assert_eq!(names.count(), 1);
}

#[test]
fn the_doctor_tells_what_is_there() {
    let sandbox = sandbox();
    // Whether there is a problem depends on the machine.
    let out = sandbox.carousel("doctor --json").out;
    let found: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
    for key in [
        "version",
        "processor",
        "kernels",
        "threads",
        "memory",
        "bandwidth",
        "training",
    ] {
        assert!(!found[key]["found"].is_null(), "{key}: {out}");
    }
    let speed = found["products"]["found"].as_str().unwrap();
    let speed: f64 = speed.split(' ').next().unwrap().parse().unwrap();
    assert!(speed > 0.0, "{out}");
    // No problem is told without what mends it.
    let problems = found.as_object().unwrap().values();
    let problems: Vec<_> = problems.filter_map(|one| one["problem"].as_str()).collect();
    assert!(
        problems.iter().all(|problem| problem.len() > 20),
        "{problems:?}"
    );
}

#[test]
fn shells_and_man_learn_the_commands() {
    let sandbox = sandbox();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox
            .carousel(&format!("completions {shell}"))
            .success()
            .out;
        assert!(script.contains("train-classifier"), "{shell}");
    }
    sandbox.carousel("man -o pages").success();
    let page = String::from_utf8(sandbox.read("pages/carousel-generate.1")).unwrap();
    assert!(page.contains("temperature"), "{page}");
    let version = sandbox.carousel("--version").success().out;
    for part in ["kernels: f32 ", "libtorch 2."] {
        assert!(version.contains(part), "{version}");
    }
}

#[test]
fn a_conversation_obeys_commands() {
    let sandbox = sandbox();
    let line = "generate -m model -i --length 15 --seed 1";
    let plain = typing(&sandbox, line, "abc\n");
    let after_reset = typing(&sandbox, line, "abc\n/reset\nabc\n");
    assert_eq!(after_reset.out, plain.out.repeat(2));
    let greedy = typing(&sandbox, &format!("{line} --greedy"), "abc\n");
    let cold = typing(&sandbox, line, "/temperature 0\nabc\n");
    assert_eq!(cold.out, greedy.out);
    let other = typing(
        &sandbox,
        "generate -m model -i --length 15 --seed 2",
        "abc\n",
    );
    assert_eq!(typing(&sandbox, line, "/seed 2\nabc\n").out, other.out);
    let help = typing(&sandbox, line, "/help\n/nothing\n");
    assert_eq!(help.out, "");
    assert!(help.err.contains("/temperature T") && help.err.contains("/nothing is no command"));
}

#[test]
fn texts_are_classified_as_they_are_typed() {
    let sandbox = sandbox();
    let typed = typing(
        &sandbox,
        "classify -m sentiment -i",
        "a lovely film\n\nawful\n",
    );
    let lines: Vec<&str> = typed.out.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].starts_with("positive") && lines[1].starts_with("negative"),
        "{lines:?}"
    );
    sandbox.write("reviews.txt", "a lovely film\n");
    let outcome = sandbox
        .carousel("classify -m sentiment reviews.txt")
        .success();
    assert!(
        outcome.err.contains("--input reviews.txt"),
        "{}",
        outcome.err
    );
}

#[test]
fn copies_in_half_the_bytes_are_nearly_the_same() {
    let sandbox = sandbox();
    let loss = |model: &str| {
        let out = sandbox
            .carousel(&format!("score -m {model} --json 'abc de'"))
            .success()
            .out;
        let score: Value = serde_json::from_str(&out).unwrap();
        score["log_probability"].as_f64().unwrap()
    };
    for (precision, off) in [("f32", 1e-6), ("f16", 0.02), ("bf16", 0.2)] {
        let line = format!("export -m model -o copy --overwrite --precision {precision}");
        sandbox.carousel(&line).success();
        let change = (loss("copy") - loss("model")).abs();
        assert!(change <= off, "{precision}: {change}");
    }
}

/// What the commands say of texts under a model, in a precision.
fn said(sandbox: &Sandbox, model: &str, precision: &str) -> Vec<String> {
    let lines = [
        "score --json --tokens 'abc de' 'hg f'",
        "generate -p 'abc' -n 40 --seed 3",
        "evaluate --json text.txt",
    ];
    let said = |line: &str| {
        let (command, rest) = line.split_once(' ').unwrap();
        let line = format!("{command} -m {model} {precision} {rest}");
        let out = sandbox.carousel(&line).success().out;
        match serde_json::from_str::<Value>(&out) {
            Ok(mut object) => {
                object["tokens_per_second"].take();
                object.to_string()
            }
            Err(_) => out,
        }
    };
    lines.map(said).to_vec()
}

#[test]
fn a_copy_in_int8_computes_as_int8_does_with_the_model() {
    let sandbox = Sandbox::new();
    sandbox.write("text.txt", "abc de\nhg f\n".repeat(30));
    // More characters than a first layer has a table for, so that the embedding is int8 too.
    let many: String = "abcdefgh \n".chars().chain('一'..'戀').collect();
    let skip = Recurrent {
        skip: vec![2],
        ..Recurrent::new(Cell::Skip, 20, 2)
    };
    model_by_hand(&sandbox.path("small"), "abcdefgh \n", 2, false);
    model_by_hand(&sandbox.path("many"), &many, 1, false);
    model_by_hand(&sandbox.path("tied"), &many, 2, true);
    model_of_layers(&sandbox.path("skip"), &many, skip, false);
    for model in ["small", "many", "tied", "skip"] {
        let export = format!("export -m {model} -o copy-{model} --precision int8");
        sandbox.carousel(&export).success();
        let expected = said(&sandbox, model, "--precision int8");
        let copy = format!("copy-{model}");
        assert_eq!(said(&sandbox, &copy, ""), expected, "{model}");
        // A copy of the copy is the same file.
        let again = format!("export -m {copy} -o again-{model} --precision int8");
        sandbox.carousel(&again).success();
        let weights = |model: &str| sandbox.read(&format!("{model}/model.safetensors"));
        assert!(weights(&copy) == weights(&format!("again-{model}")));
        let ratio = weights(&copy).len() as f64 / weights(model).len() as f64;
        assert!(model == "small" || ratio < 0.45, "{model}: {ratio}");
        // In another precision the rounded weights are computed with, which is said.
        let line = format!("score -m {copy} --precision f32 'abc de'");
        let said = sandbox.carousel(&line).success().err;
        assert!(
            said.contains("the weights of this model are int8"),
            "{said}"
        );
    }
}

#[test]
fn a_classifier_in_int8_computes_as_int8_does_with_the_model() {
    let sandbox = Sandbox::new();
    let line = "export -m sentiment -o copy --precision int8";
    sandbox.carousel(line).success();
    let texts = "'not bad at all' 'a waste of two hours' 'it rained'";
    let classified = |line: &str| {
        let line = format!("classify {line} --json {texts}");
        sandbox.carousel(&line).success().out
    };
    assert_eq!(
        classified("-m copy"),
        classified("-m sentiment --precision int8")
    );
    let weights = sandbox.read("copy/model.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&weights).unwrap();
    let matrix = tensors.tensor("rnn.weight_hh_l0").unwrap();
    let scales = tensors.tensor("rnn.weight_hh_l0.scales").unwrap();
    assert_eq!(matrix.dtype(), safetensors::Dtype::I8);
    assert_eq!(scales.shape(), &matrix.shape()[..1]);
}

#[test]
fn interactive_commands_read_pipes_as_all_text_is_read() {
    let sandbox = sandbox();
    let typed = "a lovely film\r\nawful\n";
    let line = "classify -m sentiment -i";
    let expected = typing(&sandbox, line, "a lovely film\nawful\n").out;
    let utf16 = |text: &str| -> Vec<u8> {
        let text = format!("\u{FEFF}{text}");
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    };
    for bytes in [utf16(typed), format!("\u{FEFF}{typed}").into_bytes()] {
        sandbox.write("typed", bytes);
        let outcome = sandbox.carousel_reading("typed", line).success();
        assert_eq!(outcome.out, expected);
    }
    let generate = "generate -m model -i -n 15 --seed 1";
    let plain = typing(&sandbox, generate, "abc\n").out;
    sandbox.write("typed", utf16("abc\n"));
    let outcome = sandbox.carousel_reading("typed", generate).success();
    assert_eq!(outcome.out, plain);
    sandbox.write("typed", b"a film\ncold \xF8\n");
    for line in [line, generate] {
        let outcome = sandbox.carousel_reading("typed", line);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        let place = "standard input is not UTF-8 text: line 2, byte offset 12, found byte 0xF8";
        assert!(outcome.err.contains(place), "{}", outcome.err);
    }
    let lossy = sandbox.carousel_reading("typed", "classify -m sentiment -i --lossy");
    assert_eq!(lossy.success().out.lines().count(), 2);
}

#[test]
fn each_line_of_a_pipe_is_answered_before_the_next_comes() {
    let sandbox = sandbox();
    let mut command = sandbox.command(&crate::program());
    command
        .args(["classify", "-m", "sentiment", "-i"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut typed = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap());
    // The first bytes might begin a mark or a compressed file, if there were more.
    for text in ["P\n", "é\n", "(\n", "a lovely film\n"] {
        typed.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert!(answer.contains('\t'), "{answer}");
    }
    drop(typed);
    assert!(child.wait().unwrap().success());
}

#[test]
fn json_holds_nothing_that_a_terminal_obeys() {
    let sandbox = sandbox();
    sandbox.write("texts.txt", "abc \u{9b}31m\u{7f}\u{202e} d\n");
    let text = "abc \u{9b}31m\u{7f}\u{202e} d";
    for line in [
        "score -m model --json --input texts.txt",
        "generate -m model --json -n 5 --prompts texts.txt",
        "classify -m sentiment --json",
    ] {
        let command = match line.starts_with("classify") {
            true => format!("{line} '{text}'"),
            false => line.to_string(),
        };
        let out = sandbox.carousel(&command).success().out;
        assert!(out.contains("\\u009b31m\\u007f\\u202e"), "{out}");
        let printed = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
        assert!(out.chars().all(printed), "{out:?}");
        let object: Value = serde_json::from_str(&out).unwrap();
        let key = if line.starts_with("generate") {
            "prompt"
        } else {
            "text"
        };
        assert_eq!(object[key], text);
    }
}

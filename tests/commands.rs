use serde_json::Value;

use crate::sandbox::{Outcome, Sandbox, model_by_hand};

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

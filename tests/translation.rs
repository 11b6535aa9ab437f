use crate::sandbox::Sandbox;

/// Options of a small network.
const SMALL: &str = "--hidden-size 24 --embedding-size 12 --batch-size 8 --level word --seed 3";

/// Numbers in English and in Spanish, a pair on each line of two files.
fn sandbox() -> Sandbox {
    let english = ["one", "two", "three", "four", "five", "six"];
    let spanish = ["uno", "dos", "tres", "cuatro", "cinco", "seis"];
    let (mut sources, mut targets) = (String::new(), String::new());
    for line in 0..300usize {
        let digits = (0..1 + line % 4).map(|place| (line * line / 7 + 3 * place * line) % 6);
        let words = |of: &[&str]| -> Vec<String> {
            digits.clone().map(|digit| of[digit].to_string()).collect()
        };
        sources += &(words(&english).join(" ") + "\n");
        targets += &(words(&spanish).join(" ") + "\n");
    }
    let sandbox = Sandbox::new();
    sandbox.write("train.en", sources);
    sandbox.write("train.es", targets);
    sandbox
}

fn record(sandbox: &Sandbox, model: &str) -> serde_json::Value {
    serde_json::from_slice(&sandbox.read(&format!("{model}/training.json"))).unwrap()
}

#[test]
fn translators_of_every_kind_learn_and_are_resumed_bit_for_bit() {
    let sandbox = sandbox();
    let kinds = [
        "",
        "--attention additive --input-feeding --cell lstm",
        "--attention none --vocabulary apart --bidirectional=false",
        "--num-layers 2 --residual --embedding-dropout 0.1 --weight-drop 0.1",
    ];
    for (number, kind) in kinds.iter().enumerate() {
        let whole = format!(
            "train-translator --source train.en --target train.es -o whole-{number} {SMALL} {kind} --steps 60 -q"
        );
        sandbox.carousel(&whole).success();
        let cut = whole.replace("-o whole", "-o cut");
        sandbox.kill_at(&cut, &format!("cut-{number}/resume.safetensors"));
        let resumed = format!("train-translator --resume cut-{number} -q");
        sandbox.carousel(&resumed).success();
        let weights = |model: &str| sandbox.read(&format!("{model}-{number}/model.safetensors"));
        assert!(weights("whole") == weights("cut"), "{kind}");
        let record = record(&sandbox, &format!("whole-{number}"));
        let evaluations = record["evaluations"].as_array().unwrap();
        let loss = |evaluation: &serde_json::Value| evaluation["valid_loss"].as_f64().unwrap();
        let (first, last) = (loss(&evaluations[0]), loss(evaluations.last().unwrap()));
        assert!(last < 0.8 * first, "{kind}: {first} {last}");
        assert!(sandbox.path(&format!("whole-{number}/report.svg")).exists());
    }
}

#[test]
fn pairs_that_do_not_belong_together_are_refused() {
    let sandbox = sandbox();
    sandbox.write("short.es", "uno\ndos\n");
    let line = "train-translator --source train.en --target short.es -o model --steps 1";
    let outcome = sandbox.carousel(line);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(
        outcome.err,
        "carousel: train.en has 300 lines and short.es has 2; each line is to be the translation of the same line of the \
         other file\n"
    );
    assert!(!sandbox.path("model").exists());
}

#[test]
fn the_run_of_a_translator_is_resumed_by_its_own_command() {
    let sandbox = sandbox();
    let line = format!(
        "train-translator --source train.en --target train.es -o model {SMALL} --steps 100000 -q"
    );
    assert!(sandbox.kill_at(&line, "model/resume.safetensors"));
    let outcome = sandbox.carousel("train --resume model");
    assert_eq!(
        outcome.err,
        "carousel: model holds the run of a translator; `carousel train-translator --resume model` continues it\n"
    );
    let outcome = sandbox.carousel("train-translator --resume model --steps 3");
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
}

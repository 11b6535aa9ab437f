use crate::sandbox::Sandbox;

/// Options of a small network.
const SMALL: &str = "--hidden-size 24 --embedding-size 12 --batch-size 8 --level word --learning-rate 0.01 --ema 0.5";

/// The same for a transformer, whose embedding is as wide as its layers.
fn one_width() -> String {
    SMALL.replace("--embedding-size 12 ", "")
}

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
        "--cell transformer --heads 2 --num-layers 1 --embedding-dropout 0.1",
    ];
    for (number, kind) in kinds.iter().enumerate() {
        let small = match kind.contains("transformer") {
            true => one_width(),
            false => SMALL.to_string(),
        };
        let whole = format!(
            "train-translator --source train.en --target train.es -o whole-{number} {small} {kind} --steps 60 -q"
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
        assert!(
            evaluations
                .iter()
                .all(|evaluation| evaluation["bleu"].is_f64())
        );
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
    for words in ["short.es ends after line 2, but", "train.en has 300 lines"] {
        assert!(outcome.err.contains(words), "{outcome:?}");
    }
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

#[test]
fn pairs_of_a_table_are_learnt_as_those_of_two_files() {
    let sandbox = sandbox();
    let lines = |name: &str| String::from_utf8(sandbox.read(name)).unwrap();
    let (sources, targets) = (lines("train.en"), lines("train.es"));
    let rows = targets.lines().zip(sources.lines());
    let rows: String = rows
        .map(|(target, source)| format!("{target}\t{source}\n"))
        .collect();
    sandbox.write("pairs.tsv", format!("spanish\tenglish\n{rows}"));
    let columns = "--source-column english --target-column spanish";
    let files = [
        "--source train.en --target train.es".to_string(),
        format!("pairs.tsv {columns}"),
    ];
    for (number, files) in files.iter().enumerate() {
        let line = format!("train-translator {files} -o model-{number} {SMALL} --steps 5 -q");
        sandbox.carousel(&line).success();
    }
    let weights = |number: usize| sandbox.read(&format!("model-{number}/model.safetensors"));
    assert!(weights(0) == weights(1));
    let record = record(&sandbox, "model-1");
    assert_eq!(record["baselines"]["copy"].as_f64(), Some(0.0));
    let words = record["profile"]["target_words"].as_array().unwrap();
    assert!(words.iter().any(|word| word == "cuatro"), "{record}");

    // Validation pairs of their own, and a run that is resumed with pairs that were moved.
    sandbox.write("few.tsv", "spanish\tenglish\nuno dos\tone two\n");
    let line = format!(
        "train-translator pairs.tsv {columns} --valid few.tsv -o apart {SMALL} --steps 100000 -q"
    );
    assert!(sandbox.kill_at(&line, "apart/resume.safetensors"));
    std::fs::create_dir(sandbox.path("moved")).unwrap();
    std::fs::rename(sandbox.path("pairs.tsv"), sandbox.path("moved/them.tsv")).unwrap();
    let outcome = sandbox.carousel("train-translator --resume apart");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("pairs.tsv is no longer there"),
        "{outcome:?}"
    );
    let outcome = sandbox.carousel("train-translator --resume apart few.tsv");
    assert!(
        outcome.err.contains("the pairs have changed"),
        "{outcome:?}"
    );
    let whole = "train-translator --resume apart moved/them.tsv";
    let mut command = sandbox.command(&crate::program());
    let silent = std::process::Stdio::null();
    let mut child = (command.args(whole.split(' ')).stderr(silent).spawn()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_plan_says_what_is_chosen() {
    let sandbox = sandbox();
    let files = "--source train.en --target train.es";
    let line = format!("train-translator {files} {SMALL} --input-feeding --plan");
    let outcome = sandbox.carousel(&line).success();
    for words in [
        "pairs       ",
        "BLEU on validation pairs",
        "decoder GRU, 1 x 24 with input feeding",
        "by libtorch's autograd",
        "input feeding has no kernels",
    ] {
        assert!(outcome.err.contains(words), "{words}: {}", outcome.err);
    }
    let outcome = sandbox
        .carousel(&format!("train-translator {files} {SMALL} --plan --json"))
        .success();
    let plan: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(plan["options"]["gradients"], "kernels");
    assert_eq!(plan["options"]["label_smoothing"], 0.1);
    let wrong =
        format!("train-translator {files} {SMALL} --input-feeding --gradients kernels --plan");
    let outcome = sandbox.carousel(&wrong);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.err.contains("no kernels for --input-feeding"),
        "{outcome:?}"
    );
}

#[test]
fn a_transformer_translates_and_refuses_the_options_of_others() {
    let sandbox = sandbox();
    let files = "--source train.en --target train.es --cell transformer";
    let line = format!("train-translator {files} {} --plan", one_width());
    let outcome = sandbox.carousel(&line).success();
    for words in [
        "transformer, 4 heads, encoder and decoder 2 x 24 each",
        "label smoothing 0.1",
        "transformers have no kernels",
    ] {
        assert!(outcome.err.contains(words), "{words}: {}", outcome.err);
    }
    for (options, words) in [
        (
            "--attention dot",
            "has attention in every layer; leave --attention away",
        ),
        ("--input-feeding", "leave --input-feeding away"),
        ("--bidirectional=false", "leave --bidirectional away"),
        ("--residual", "--residual is for recurrent cells"),
        ("--weight-drop 0.1", "--weight-drop is for recurrent cells"),
        ("--gradients kernels", "no kernels for transformers"),
        (
            "--hidden-size 24 --heads 5",
            "5 heads do not divide a width of 24",
        ),
        (
            "--hidden-size 24 --embedding-size 12",
            "leave --embedding-size away",
        ),
    ] {
        let outcome = sandbox.carousel(&format!("train-translator {files} {options} --plan"));
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.err.contains(words), "{words}: {outcome:?}");
    }
    let outcome =
        sandbox.carousel("train-translator --source train.en --target train.es --heads 2 --plan");
    assert!(
        outcome.err.contains("--heads is for a transformer"),
        "{outcome:?}"
    );

    let line = format!(
        "train-translator {files} -o model {} --steps 60 -q",
        one_width()
    );
    sandbox.carousel(&line).success();
    for precision in ["f32", "bf16", "int8"] {
        let line = format!("translate -m model --precision {precision} 'one two six'");
        let words = sandbox.carousel(&line).success().out;
        assert!(words.contains("uno"), "{precision}: {words}");
    }
    let picture = sandbox.carousel("translate -m model --attention 'one two six'");
    assert!(picture.success().out.contains("six"));
    let found = sandbox.carousel("evaluate -m model --source train.en --target train.es --json");
    let found: serde_json::Value = serde_json::from_str(&found.success().out).unwrap();
    assert!(found["bleu"].as_f64().unwrap() > 20.0, "{found}");
    let inspected = sandbox.carousel("inspect -m model").success().out;
    for words in [
        "transformer, 4 heads",
        "decoder.layers.1.multihead_attn.in_proj_weight",
    ] {
        assert!(inspected.contains(words), "{inspected}");
    }
    sandbox
        .carousel("export -m model -o small --precision int8")
        .success();
    let line = |model: &str| format!("translate -m {model} --precision int8 'one two six' 'five'");
    let [whole, copy] =
        ["model", "small"].map(|model| sandbox.carousel(&line(model)).success().out);
    assert_eq!(whole, copy);
}

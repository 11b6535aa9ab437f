use std::fs;

use crate::sandbox::{Outcome, Sandbox, model_by_hand};

/// Runs `line`, which must fail with `code` and print `message` alone; `{}` stands for the sandbox's folder.
#[track_caller]
fn check(sandbox: &Sandbox, line: &str, code: i32, message: &str) {
    let Outcome {
        code: found,
        out,
        err,
    } = sandbox.carousel(line);
    let folder = sandbox.path("");
    let err = err
        .replace(&*folder.to_string_lossy(), "{}/")
        .replace("{}//", "{}/");
    assert_eq!(
        (found, out.as_str(), err.as_str()),
        (Some(code), "", format!("carousel: {message}\n").as_str())
    );
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    model_by_hand(&sandbox.path("model"), "abc\n", 1, false);
    sandbox
}

#[test]
fn names_in_messages_do_nothing_to_a_terminal() {
    let line = "evaluate -m model 'gone\u{1b}[31m\u{202e}.txt'";
    let outcome = sandbox().carousel(line);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("gone\\x1b[31m\\u{202e}.txt"),
        "{}",
        outcome.err
    );
    assert!(!outcome.err.contains('\u{1b}'), "{}", outcome.err);
}

#[test]
fn damaged_weights_and_unknown_cells_are_reported() {
    let sandbox = sandbox();
    let mut weights = sandbox.read("model/model.safetensors");
    let last = weights.len() - 4;
    weights[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    sandbox.write("model/model.safetensors", weights);
    let message = "model/model.safetensors: rnn.weight_ih_l0 has a value that is not a finite number; the file is \
                   damaged, or the training that wrote it diverged";
    for line in [
        "generate -m model -p a",
        "score -m model abc",
        "evaluate -m model model/config.json",
    ] {
        check(&sandbox, line, 1, message);
    }
    let config = String::from_utf8(sandbox.read("model/config.json")).unwrap();
    sandbox.write(
        "model/config.json",
        config.replace("\"lstm\"", "\"transformer\""),
    );
    let outcome = sandbox.carousel("generate -m model -p a");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("model/config.json")
            && outcome.err.contains("`transformer`")
            && outcome.err.contains("lstm"),
        "{}",
        outcome.err
    );
}

#[test]
fn empty_text_cannot_be_scored() {
    let sandbox = sandbox();
    let message = "an empty text cannot be scored; give at least one character";
    check(&sandbox, "score -m model ''", 1, message);
    check(&sandbox, "score -m model", 1, message);
}

#[test]
fn sampling_flags_out_of_range_are_refused() {
    let sandbox = sandbox();
    let table = [
        (
            "--temperature=-1",
            "--temperature -1 is out of range; give 0 (always the most probable token) or more",
        ),
        (
            "--temperature nan",
            "--temperature NaN is out of range; give 0 (always the most probable token) or more",
        ),
        (
            "--top-k 0",
            "--top-k 0 leaves no token to choose from; give 1 or more",
        ),
        (
            "--top-p 0",
            "--top-p 0 is out of range; give a probability above 0, up to 1",
        ),
        (
            "--top-p 1.5",
            "--top-p 1.5 is out of range; give a probability above 0, up to 1",
        ),
        (
            "--min-p -0.1",
            "--min-p -0.1 is out of range; give a fraction from 0 to 1",
        ),
        (
            "--repeat-penalty 0",
            "--repeat-penalty 0 is out of range; give a number above 0, where 1 is no penalty",
        ),
        (
            "--stop ''",
            "--stop '' would end every text before it begins; give the string to stop at",
        ),
        (
            "--length 0 --json",
            "--length 0 generates one text without end, but --json and --samples print finished texts; give a length",
        ),
        (
            "--length 0 --samples 2",
            "--length 0 generates one text without end, but --json and --samples print finished texts; give a length",
        ),
    ];
    for (options, message) in table {
        check(
            &sandbox,
            &format!("generate -m model {options}"),
            2,
            message,
        );
    }
}

#[test]
fn missing_files_and_models_are_reported() {
    let sandbox = sandbox();
    fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.write("nothing.txt", "");
    check(
        &sandbox,
        "generate -m model --prompt-file gone.txt",
        1,
        "cannot read gone.txt: there is no such file or folder",
    );
    check(
        &sandbox,
        "evaluate -m model gone.txt",
        1,
        "cannot read gone.txt: there is no such file or folder",
    );
    check(
        &sandbox,
        "evaluate -m model empty",
        1,
        "the folder empty holds no files",
    );
    check(
        &sandbox,
        "evaluate -m model nothing.txt",
        1,
        "there is no text in nothing.txt",
    );
    check(
        &sandbox,
        "inspect empty",
        1,
        "empty is not a checkpoint: it has no config.json; give the folder that `carousel train` wrote with -o",
    );
    let outcome = sandbox.carousel("inspect gone");
    assert_eq!(outcome.code, Some(1));
    assert!(
        (outcome.err).starts_with("carousel: there is no model gone: it is not a folder, and ")
    );
    assert!(
        outcome
            .err
            .ends_with("; `carousel train CORPUS -o gone` makes one\n"),
        "{}",
        outcome.err
    );
}

#[test]
fn invalid_utf8_is_reported_or_replaced() {
    let sandbox = sandbox();
    sandbox.write("latin.txt", b"abc\nab\xE4c");
    check(
        &sandbox,
        "evaluate -m model latin.txt",
        1,
        "latin.txt is not UTF-8 text: line 2, byte offset 6, found byte 0xE4; convert the file, or \
         replace invalid bytes (--lossy)",
    );
    let outcome = sandbox
        .carousel("evaluate -m model latin.txt --lossy")
        .success();
    assert_eq!(
        outcome.err,
        "note: invalid byte sequences replaced by U+FFFD (--lossy): 1\n\
         note: not compared with n-grams and xz, which learn from the training data: made-up.txt is no longer there, \
         and not found beside model either\n"
    );
}

#[test]
fn damaged_models_are_reported() {
    let damage = |change: &dyn Fn(&Sandbox), message: &str| {
        let sandbox = sandbox();
        change(&sandbox);
        check(&sandbox, "generate -m model -p a", 1, message);
    };
    let edit = |sandbox: &Sandbox, name: &str, from: &str, to: &str| {
        let text = String::from_utf8(sandbox.read(name)).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        sandbox.write(name, text.replace(from, to));
    };
    let remove = |sandbox: &Sandbox, name: &str| fs::remove_file(sandbox.path(name)).unwrap();

    damage(
        &|s| remove(s, "model/tokenizer.json"),
        "cannot read model/tokenizer.json: there is no such file or folder",
    );
    damage(
        &|s| remove(s, "model/model.safetensors"),
        "model has no model.safetensors: no weights were saved yet; continue with `carousel train --resume model`",
    );
    damage(
        &|s| {
            edit(
                s,
                "model/config.json",
                "\"hidden_size\": 20",
                "\"hidden_size\": 21",
            )
        },
        "model/model.safetensors: rnn.weight_ih_l0 has the shape [80, 12], but the model's configuration asks for [84, 12]; \
         they belong to different models",
    );
    damage(
        &|s| {
            edit(
                s,
                "model/config.json",
                "\"num_layers\": 1",
                "\"num_layers\": 2",
            )
        },
        "model/model.safetensors has no tensor rnn.weight_ih_l1; it belongs to another kind of model",
    );
    damage(
        &|s| {
            edit(
                s,
                "model/config.json",
                "\"vocab_size\": 5",
                "\"vocab_size\": 6",
            )
        },
        "model/tokenizer.json has 5 tokens, but config.json beside it is for 6; one of them belongs to another model",
    );
    damage(
        &|s| {
            edit(
                s,
                "model/config.json",
                "\"format_version\": 2",
                "\"format_version\": 9",
            )
        },
        "model/config.json: the checkpoint has format version 9, and this program reads versions 1 and 2; use \
         the version of carousel that wrote it",
    );
    damage(
        &|s| edit(s, "model/config.json", "\"lstm\"", "\"elman\""),
        "model/config.json: unknown cell `elman`; this program has rnn, leaky, skip, gru, lstm",
    );
    damage(
        &|s| {
            edit(
                s,
                "model/config.json",
                "\"dropout\": 0.0",
                "\"dropout\": 1.0",
            )
        },
        "model/config.json: dropout is 1; it must be at least 0 and below 1",
    );
    let cut = |sandbox: &Sandbox| {
        let mut bytes = sandbox.read("model/model.safetensors");
        bytes.truncate(bytes.len() - 5);
        sandbox.write("model/model.safetensors", bytes);
    };
    let sandbox = sandbox();
    cut(&sandbox);
    let outcome = sandbox.carousel("generate -m model -p a");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome
            .err
            .starts_with("carousel: model/model.safetensors is not a whole safetensors file: "),
        "{}",
        outcome.err
    );
    sandbox.write(
        "model/model.safetensors",
        b"PK\x03\x04 a pickle in a zip, as torch.save writes it",
    );
    let outcome = sandbox.carousel("generate -m model -p a");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("is not a whole safetensors file"),
        "{}",
        outcome.err
    );
}

#[test]
fn missing_training_program_is_reported() {
    let sandbox = Sandbox::new();
    let alone = sandbox.path("bin/carousel");
    fs::create_dir(sandbox.path("bin")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_carousel"), &alone).unwrap();
    let output = sandbox
        .command(&alone)
        .args(["train", "text", "-o", "model"])
        .output()
        .unwrap();
    let outcome = Outcome::new(output);
    assert_eq!(outcome.code, Some(1));
    let expected = format!(
        "carousel: training needs carousel-train, which is not beside {}; install both with `make install` in carousel's source \
         folder\n",
        alone.canonicalize().unwrap().display()
    );
    assert_eq!(outcome.err, expected);
}

#[test]
fn unknown_options_are_usage_errors() {
    let sandbox = sandbox();
    let outcome = sandbox.carousel("generate -m model --wings 2");
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("--wings"));
}

#[test]
fn comparisons_that_make_no_sense_are_refused_before_any_work() {
    let sandbox = sandbox();
    sandbox.write("text.txt", "abc\n".repeat(1000));
    sandbox.write("table.csv", "label,text\na,b\nc,d\n");
    let table = [
        (
            "text.txt --cells lstm:fast",
            "--cells: lstm:fast has an unknown variant \"fast\"; variants are autograd, kernels, ",
        ),
        (
            "text.txt --cells brain",
            "--cells: there is no cell \"brain\"; the cells are ",
        ),
        ("text.txt --cells lstm,lstm", "--cells names lstm twice"),
        ("text.txt --steps 0", "--steps 0 is no budget"),
        ("text.txt --time 0s", "--time 0 is no budget"),
        (
            "text.txt --steps 9 --match time",
            "--match time gives every run the same time",
        ),
        (
            "text.txt -- --seed 3",
            "--seed after -- is set by the comparison itself",
        ),
        (
            "text.txt --match params -- --hidden-size 8",
            "--match params chooses each width, but --hidden-size gives one for all",
        ),
        (
            "table.csv --labelled=false --format csv",
            "--labelled=false is for text",
        ),
    ];
    for (options, message) in table {
        let outcome = sandbox.carousel(&format!("compare -o comparison {options}"));
        assert_eq!(
            (outcome.code, outcome.out.as_str()),
            (Some(2), ""),
            "{options}"
        );
        assert!(
            outcome.err.starts_with(&format!("carousel: {message}")),
            "{options}: {}",
            outcome.err
        );
        assert!(!sandbox.path("comparison").exists(), "{options}");
    }
    let message = "cannot read gone.txt: there is no such file or folder";
    check(&sandbox, "compare gone.txt", 1, message);
    let message =
        "gone holds no comparison to resume; `carousel compare CORPUS -o gone` begins one";
    check(&sandbox, "compare --resume gone", 1, message);
}

#[test]
fn values_that_are_no_numbers_and_paths_of_another_kind_are_explained() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "text\n");
    std::fs::create_dir(sandbox.path("folder")).unwrap();
    for (line, code, message) in [
        (
            "generate --seed -1",
            2,
            "'-1' for '--seed <N>': give a whole number, not below 0",
        ),
        (
            "generate --samples 0",
            2,
            "'0' for '--samples <N>': 0 is too small; give 1 or more",
        ),
        (
            "generate --top-p much",
            2,
            "'much' for '--top-p <P>': give a number",
        ),
        (
            "classify --threshold -1 text",
            2,
            "--threshold -1 is not a probability",
        ),
        (
            "train file -o m --baseline ngram --valid -1",
            2,
            "--valid -1 is not a fraction",
        ),
        (
            "classify --input folder",
            1,
            "cannot read folder: it is a folder, where a file is expected",
        ),
        (
            "export -m reviews -o file",
            1,
            "cannot create the folder file: there is a file of that name",
        ),
        (
            "export -m reviews -o file/m",
            1,
            "cannot create the folder file/m: a folder in its path is a file",
        ),
    ] {
        let outcome = sandbox.carousel(line);
        assert_eq!(outcome.code, Some(code), "{line}: {outcome:?}");
        assert!(outcome.err.contains(message), "{line}: {}", outcome.err);
    }
}

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use crate::program;
use crate::sandbox::{Outcome, Sandbox, words};

/// About 20 kB of sentences, which can be predicted to some degree.
fn tale() -> String {
    const WHO: [&str; 7] = [
        "the miller",
        "a fox",
        "her uncle",
        "nobody",
        "the tall clerk",
        "Anna",
        "the ferryman",
    ];
    const DOES: [&str; 6] = ["saw", "mended", "sold", "forgot", "carried", "painted"];
    const WHAT: [&str; 5] = [
        "the bridge",
        "a red boat",
        "seven apples",
        "the last letter",
        "an old clock",
    ];
    let sentences = (0..600usize).map(|i| {
        let pick = |list: &'static [&'static str], salt: usize| {
            list[(i * i + i * salt + i / 7) % list.len()]
        };
        format!(
            "{} {} {}.\n",
            pick(&WHO, 3),
            pick(&DOES, 5),
            pick(&WHAT, 11)
        )
    });
    sentences.collect()
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("tale.txt", tale());
    sandbox
}

/// Options of a small network that is trained in a moment.
const SMALL: &str =
    "--hidden-size 24 --embedding-size 16 --num-layers 2 --dropout 0.2 --batch-size 4 --bptt 16";

/// The same for a transformer, whose embedding is as wide as its layers.
fn one_width() -> String {
    SMALL.replace("--embedding-size 16 ", "")
}

fn metrics(sandbox: &Sandbox, model: &str) -> Vec<serde_json::Value> {
    let text = String::from_utf8(sandbox.read(&format!("{model}/metrics.jsonl"))).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// metrics.jsonl without times and speeds.
fn metrics_without_times(sandbox: &Sandbox, model: &str) -> Vec<serde_json::Value> {
    let mut lines = metrics(sandbox, model);
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        line.remove("seconds");
        line.remove("tokens_per_second");
    }
    lines
}

#[test]
fn a_network_overfits_a_short_text_perfectly() {
    let sandbox = Sandbox::new();
    let tale = include_str!("../corpora/tales/the_glass_harbour.txt");
    let text: String = tale.chars().take(1024).collect();
    sandbox.write("poem.txt", &text);
    let options = "--valid poem.txt --steps 1200 --hidden-size 128 --dropout 0 --batch-size 1 --bptt 64 --learning-rate 0.004";
    sandbox
        .carousel(&format!("train poem.txt -o model -q {options}"))
        .success();
    let prompt: String = text.chars().take(40).collect();
    sandbox.write("prompt.txt", &prompt);
    let length = text.chars().count() - 40;
    let outcome = sandbox.carousel(&format!(
        "generate -m model --prompt-file prompt.txt --greedy --length {length}"
    ));
    assert_eq!(
        outcome.success().out.trim_end_matches('\n'),
        text.trim_end_matches('\n')
    );
}

#[test]
fn what_the_saved_weights_write_is_shown_and_kept() {
    let sandbox = Sandbox::new();
    sandbox.write("corpus.txt", "all alone at the well\n".repeat(200));
    let line = format!("train corpus.txt -o model --steps 40 {SMALL}");
    let shown = sandbox.carousel(&line).success().err;
    let lines = metrics(&sandbox, "model");
    let samples: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["sample"].as_str())
        .collect();
    let last = samples.last().unwrap();
    assert_eq!(last.chars().count(), 160, "{last}");
    let first = last.lines().next().unwrap();
    assert!(shown.contains(&format!("  | {first}\n")), "{shown}");
    let quiet = line.replace("model", "quiet") + " -q";
    sandbox.carousel(&quiet).success();
    assert_eq!(
        metrics_without_times(&sandbox, "model"),
        metrics_without_times(&sandbox, "quiet")
    );
}

/// Runs `line` to its end, or kills it when `model` has at least a number of lines in metrics.jsonl, after a `delay`.
/// Returns the exit status of a run that ended, and the output.
fn run_or_kill(
    sandbox: &Sandbox,
    line: &str,
    model: &str,
    kill: Option<(usize, Duration)>,
) -> (Option<ExitStatus>, Outcome) {
    let mut command = sandbox.command(&program());
    command.args(words(line)).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let path = sandbox.path(&format!("{model}/metrics.jsonl"));
    let written = || {
        let metrics = fs::read(&path).unwrap_or_default();
        metrics.iter().filter(|&&byte| byte == b'\n').count()
    };
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if let Some((_, delay)) = kill.filter(|(lines, _)| written() >= *lines) {
            std::thread::sleep(delay);
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    (status, Outcome::new(child.wait_with_output().unwrap()))
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one_bit_for_bit() {
    let sandbox = sandbox();
    let options = format!("{SMALL} --epochs 40 --seed 3");
    sandbox
        .carousel(&format!("train tale.txt -o whole -q {options}"))
        .success();

    // The run is killed six times, each time a little later, at random moments that do not depend on the machine's speed.
    let lines = metrics(&sandbox, "whole").len();
    let mut targets = (1..=6).map(|kill| kill * lines / 7);
    let mut random = 12_345u64;
    let mut kills = 0;
    let mut resumed = false;
    loop {
        let line = if sandbox.path("killed/training.json").exists() {
            "train --resume killed -q".to_string()
        } else {
            format!("train tale.txt -o killed -q {options}")
        };
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let delay = Duration::from_micros((random >> 33) % 5000);
        let kill = targets.next().map(|lines| (lines, delay));
        let (status, outcome) = run_or_kill(&sandbox, &line, "killed", kill);
        resumed |= outcome.err.contains("resuming after step ");
        match status {
            Some(status) => {
                assert!(status.success(), "{outcome:?}");
                break;
            }
            None => kills += 1,
        }
    }
    assert!(kills >= 3, "only {kills} kills");
    assert!(resumed, "no run resumed another");
    assert_eq!(
        sandbox.read("whole/model.safetensors"),
        sandbox.read("killed/model.safetensors")
    );
    assert_eq!(
        metrics_without_times(&sandbox, "whole"),
        metrics_without_times(&sandbox, "killed")
    );
    assert!(!sandbox.path("killed/resume.safetensors").exists());

    let again = sandbox.carousel("train --resume killed").success();
    assert_eq!(
        again.err,
        "this run is finished; there is nothing left to resume\n"
    );
}

#[test]
#[cfg(unix)]
fn termination_saves_the_run_and_names_the_command_that_resumes_it() {
    let sandbox = sandbox();
    // SIGTERM is handled as Ctrl-C is, which background jobs of a shell ignore.
    let line = format!("train tale.txt -o model {SMALL} --steps 3000");
    let last = interrupt_at_the_first_step(&sandbox, &line);
    assert!(
        last.starts_with("carousel: interrupted after step "),
        "{last}"
    );
    assert!(
        last.ends_with("; everything is saved, and `carousel train --resume model` continues"),
        "{last}"
    );
    assert!(sandbox.path("model/resume.safetensors").exists());
    let resumed = sandbox.carousel("train --resume model").success();
    assert!(
        resumed.err.contains("resuming after step"),
        "{}",
        resumed.err
    );
    assert!(sandbox.path("model/model.safetensors").exists());
}

#[test]
fn weights_depend_on_the_seed() {
    let sandbox = sandbox();
    let weights = |folder: &str, seed: u32| {
        sandbox
            .carousel(&format!(
                "train tale.txt -o {folder} -q {SMALL} --steps 20 --seed {seed}"
            ))
            .success();
        sandbox.read(&format!("{folder}/model.safetensors"))
    };
    let first = weights("first", 1);
    assert_eq!(first, weights("second", 1));
    assert_ne!(first, weights("third", 2));
}

#[test]
fn metrics_are_written_every_ten_steps_and_at_the_last() {
    let sandbox = sandbox();
    sandbox
        .carousel(&format!("train tale.txt -o model -q {SMALL} --steps 57"))
        .success();
    let lines = metrics(&sandbox, "model");
    let steps: Vec<u64> = lines
        .iter()
        .filter(|l| l.get("learning_rate").is_some())
        .map(|l| l["step"].as_u64().unwrap())
        .collect();
    assert!(
        steps
            .windows(2)
            .all(|pair| pair[1] > pair[0] && pair[1] - pair[0] <= 10),
        "{steps:?}"
    );
    assert_eq!((steps[0] <= 10, steps.last()), (true, Some(&57)));
    for key in [
        "step",
        "epoch",
        "tokens",
        "seconds",
        "loss",
        "learning_rate",
        "gradient_norm",
        "tokens_per_second",
    ] {
        assert!(lines[0][key].is_number(), "{key} in {}", lines[0]);
    }
    let losses: Vec<f64> = lines
        .iter()
        .filter_map(|line| line["valid_loss"].as_f64())
        .collect();
    assert!(
        losses.len() >= 2 && losses.last() < losses.first(),
        "{losses:?}"
    );
    let rates: Vec<f64> = lines
        .iter()
        .filter_map(|line| line["learning_rate"].as_f64())
        .collect();
    assert!(
        rates.last().unwrap() < &(rates[2] * 0.1),
        "the cosine ends low: {rates:?}"
    );
}

#[test]
fn a_run_with_an_exploding_loss_is_rescued_a_few_times() {
    let sandbox = sandbox();
    let outcome = sandbox.carousel(&format!(
        "train tale.txt -o model {SMALL} --steps 400 --learning-rate 1e4 --clip-norm 0"
    ));
    assert!(
        outcome.err.contains("the loss exploded at step ")
            && outcome.err.contains("with the learning rate times 0.5")
    );
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("the loss exploded 6 times"),
        "{}",
        outcome.err
    );
    assert!(
        String::from_utf8(sandbox.read("model/training.json"))
            .unwrap()
            .contains("\"finished\": \"diverged\"")
    );
    // The run says what it saw, and what helps beyond what was chosen.
    assert!(
        outcome.err.contains("the largest gradient norm was")
            && outcome
                .err
                .contains("what helps: --clip-norm 1, or a --learning-rate well below 10000"),
        "{}",
        outcome.err
    );
}

#[test]
fn gradients_through_time_are_shown_for_the_model_and_untrained() {
    let sandbox = sandbox();
    sandbox
        .carousel(&format!("train tale.txt -o model {SMALL} --steps 20 -q"))
        .success();
    let line = "inspect model tale.txt --gradients --window 20";
    let outcome = sandbox
        .carousel(&format!("{line} -o gradients.svg"))
        .success();
    for expected in [
        "16 windows of 20 steps from tale.txt",
        "trained",
        "untrained",
        "layer 1, cell state",
    ] {
        assert!(outcome.out.contains(expected), "{}", outcome.out);
    }
    let picture = String::from_utf8(sandbox.read("gradients.svg")).unwrap();
    assert!(picture.contains("<svg") && picture.contains("layer 1, untrained"));
    let json = sandbox.carousel(&format!("{line} --json")).success().out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["layers"].as_array().unwrap().len(), 8);
    assert_eq!(json["layers"][0]["norms"].as_array().unwrap().len(), 20);
    let outcome = sandbox.carousel("inspect model --gradients");
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
}

#[test]
fn patience_stops_a_run_that_no_longer_improves() {
    let sandbox = sandbox();
    let outcome = sandbox.carousel(&format!(
        "train tale.txt -o model {SMALL} --steps 2000 --learning-rate 1e-30 --schedule constant --patience 2"
    ));
    assert!(outcome.success().err.contains("stopped early"));
}

#[test]
fn a_plateau_halves_the_learning_rate() {
    let sandbox = sandbox();
    let options = "--steps 3000 --learning-rate 1e-20 --schedule plateau --patience 0 --warmup 0";
    sandbox
        .carousel(&format!("train tale.txt -o model -q {SMALL} {options}"))
        .success();
    let lines = metrics(&sandbox, "model");
    let rates: Vec<f64> = lines
        .iter()
        .filter_map(|line| line["learning_rate"].as_f64())
        .collect();
    assert!(
        rates.contains(&1e-20) && rates.contains(&5e-21),
        "{rates:?}"
    );
}

#[test]
fn models_are_overwritten_only_with_overwrite() {
    let sandbox = sandbox();
    let train = format!("train tale.txt -o model -q {SMALL} --steps 2");
    sandbox.carousel(&train).success();
    let weights = sandbox.read("model/model.safetensors");
    for impossible in [
        "--dropout 1",
        "--device cuda:7",
        "--batch-size 9999 --bptt 9999",
    ] {
        let outcome =
            sandbox.carousel(&format!("train tale.txt -o model --overwrite {impossible}"));
        assert_ne!(outcome.code, Some(0), "{impossible}");
        assert_eq!(
            sandbox.read("model/model.safetensors"),
            weights,
            "a refused run replaces nothing"
        );
    }
    let outcome = sandbox.carousel(&train);
    assert_eq!(outcome.code, Some(2));
    assert_eq!(
        outcome.err,
        "carousel: model holds a model already; continue it with --resume model, choose another folder, or replace it \
         with --overwrite\n"
    );
    sandbox.carousel(&format!("{train} --overwrite")).success();
}

/// Begins a long run in `model`, and kills it as soon as the configuration is saved.
fn kill_at_the_start(sandbox: &Sandbox, options: &str) {
    let line = format!("train tale.txt -o model -q {options} --steps 100000");
    let killed = sandbox.kill_at(&line, "model/config.json");
    assert!(killed, "the run was over before");
}

#[test]
fn a_run_killed_before_its_first_save_starts_again() {
    let sandbox = sandbox();
    kill_at_the_start(&sandbox, SMALL);
    let _ = std::fs::remove_file(sandbox.path("model/resume.safetensors"));
    let json = String::from_utf8(sandbox.read("model/training.json")).unwrap();
    sandbox.write("model/training.json", json.replace("100000", "4"));
    let outcome = sandbox.carousel("train --resume model -q").success();
    assert_eq!(outcome.err, "nothing was saved yet: starting again\n");
}

#[test]
fn a_run_killed_before_its_first_save_starts_again_from_its_base_model() {
    let sandbox = sandbox();
    let line = format!("train tale.txt -o base -q {SMALL} --steps 30");
    sandbox.carousel(&line).success();
    // With so small a learning rate the weights hardly change.
    kill_at_the_start(&sandbox, "--from base --learning-rate 1e-9");
    let _ = std::fs::remove_file(sandbox.path("model/resume.safetensors"));
    let json = String::from_utf8(sandbox.read("model/training.json")).unwrap();
    sandbox.write("model/training.json", json.replace("100000", "2"));
    sandbox.carousel("train --resume model -q").success();
    let loss = |model: &str| {
        let outcome = sandbox.carousel(&format!("evaluate -m {model} tale.txt --json"));
        let figures: serde_json::Value = serde_json::from_str(&outcome.success().out).unwrap();
        figures["loss"].as_f64().unwrap()
    };
    assert!((loss("model") - loss("base")).abs() < 1e-4);
}

#[test]
fn a_run_killed_while_reading_the_corpus_starts_again() {
    let sandbox = sandbox();
    let line = format!("train tale.txt -o model -q {SMALL} --steps 3 --level word --seed 9");
    sandbox.carousel(&line).success();
    let weights = sandbox.read("model/model.safetensors");
    // At the start, the folder has only the request.
    let record: serde_json::Value =
        serde_json::from_slice(&sandbox.read("model/training.json")).unwrap();
    std::fs::remove_dir_all(sandbox.path("model")).unwrap();
    sandbox.write(
        "model/training.json",
        serde_json::json!({ "request": record["request"] }).to_string(),
    );
    assert_eq!(sandbox.carousel(&line).code, Some(2), "the folder is taken");
    let outcome = sandbox.carousel("train --resume model -q").success();
    assert_eq!(outcome.err, "nothing was saved yet: starting again\n");
    assert_eq!(sandbox.read("model/model.safetensors"), weights);
}

#[test]
fn a_corpus_in_the_model_folder_is_kept() {
    let sandbox = sandbox();
    sandbox.write("model/standard-input.txt", tale());
    let outcome =
        sandbox.carousel("train model/standard-input.txt -o model --batch-size 9999 --bptt 9999");
    assert_eq!(outcome.code, Some(1));
    sandbox
        .carousel(&format!(
            "train model/standard-input.txt -o model -q {SMALL} --steps 2"
        ))
        .success();
    sandbox
        .carousel(&format!(
            "train model/standard-input.txt -o model -q {SMALL} --steps 2 --overwrite"
        ))
        .success();
    assert_eq!(
        sandbox.read("model/standard-input.txt"),
        tale().into_bytes()
    );
}

#[test]
fn networks_larger_than_the_memory_are_refused() {
    let sandbox = sandbox();
    let outcome = sandbox.carousel("train tale.txt -o model --hidden-size 1000000 --steps 1");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("this network needs about "),
        "{}",
        outcome.err
    );
    assert!(!sandbox.path("model").exists());
}

#[test]
fn resume_takes_no_options_and_needs_the_same_corpus() {
    let sandbox = sandbox();
    let outcome = sandbox.carousel("train --resume model --steps 7");
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("give it alone"), "{}", outcome.err);
    let outcome = sandbox.carousel("train --resume nowhere");
    assert_eq!(
        outcome.err,
        "carousel: nowhere holds no run to resume; `carousel train CORPUS -o nowhere` begins one\n"
    );

    kill_at_the_start(&sandbox, SMALL);
    sandbox.write("tale.txt", tale().replace("fox", "cat"));
    let outcome = sandbox.carousel("train --resume model");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome
            .err
            .contains("the corpus has changed since the run began"),
        "{}",
        outcome.err
    );
}

#[test]
fn a_small_corpus_shrinks_defaults_but_refuses_given_options() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "short.txt",
        "the rat.\nthe cat and the hat and the mat and the bat saw the rat at the hat.\n",
    );
    let outcome = sandbox
        .carousel("train short.txt -o model --steps 3")
        .success();
    assert!(
        outcome
            .err
            .contains("the corpus is too small for a batch of 8 and windows of 32"),
        "{}",
        outcome.err
    );
    let outcome = sandbox.carousel("train short.txt -o other --steps 3 --batch-size 64 --bptt 64");
    assert_eq!(outcome.code, Some(1));
    assert_eq!(
        outcome.err,
        "carousel: the training part has 62 tokens, but a batch of 64 streams and windows of 64 need at least 4097; \
         give more text, or a smaller --batch-size or --bptt\n"
    );
    assert!(
        !sandbox.path("other").exists(),
        "a refused run leaves nothing behind"
    );
    sandbox.write("letter.txt", "a");
    let outcome = sandbox.carousel("train letter.txt -o other --steps 3");
    assert_eq!(outcome.code, Some(1));
}

#[test]
fn every_level_can_be_trained_generated_and_evaluated() {
    let sandbox = sandbox();
    for level in ["char", "byte", "word", "bpe", "word --split whitespace"] {
        let line = format!(
            "train tale.txt -o model --overwrite -q --level {level} --steps 30 --hidden-size 32"
        );
        sandbox.carousel(&line).success();
        sandbox
            .carousel("generate -m model -p 'the miller' --length 20")
            .success();
        let out = sandbox
            .carousel("evaluate -m model tale.txt --json")
            .success()
            .out;
        let figures: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(figures["characters"], tale().chars().count());
        let bits = figures["bits_per_character"].as_f64().unwrap();
        let names = figures["baselines"].as_array().unwrap().iter();
        let names: Vec<_> = names.map(|baseline| &baseline["name"]).collect();
        assert_eq!(names.len(), 4, "{names:?}");
        let naive = figures["baselines"][0]["bits_per_character"]
            .as_f64()
            .unwrap();
        assert!(bits < naive, "{level}: {bits} {naive}");
    }
}

#[test]
fn folders_and_standard_input_are_read() {
    let sandbox = sandbox();
    sandbox.write("folder/one.txt", tale());
    sandbox.write("folder/deeper/two.txt", "\u{FEFF}and that was all.\r\n");
    let outcome = sandbox
        .carousel(&format!("train folder -o model {SMALL} --steps 2"))
        .success();
    assert!(
        outcome.err.contains("CRLF line ends were converted to LF"),
        "{}",
        outcome.err
    );

    let mut command = sandbox.command(&program());
    command.args(words(&format!("train - -o piped -q {SMALL} --steps 20")));
    command.stdin(std::fs::File::open(sandbox.path("tale.txt")).unwrap());
    Outcome::new(command.output().unwrap()).success();
    assert_eq!(
        sandbox.read("piped/standard-input.txt"),
        sandbox.read("tale.txt")
    );
    sandbox
        .carousel(&format!("train tale.txt -o named -q {SMALL} --steps 20"))
        .success();
    assert_eq!(
        sandbox.read("piped/model.safetensors"),
        sandbox.read("named/model.safetensors")
    );
}

#[test]
fn a_time_budget_completes_the_schedule() {
    let sandbox = sandbox();
    sandbox
        .carousel(&format!("train tale.txt -o model -q {SMALL} --time 3s"))
        .success();
    let rates: Vec<f64> = metrics(&sandbox, "model")
        .iter()
        .filter_map(|line| line["learning_rate"].as_f64())
        .collect();
    assert!(
        rates.last().unwrap() < &(rates.iter().copied().fold(0.0, f64::max) * 0.05),
        "{rates:?}"
    );
}

#[test]
fn contradicting_options_are_refused() {
    let sandbox = sandbox();
    let table = [
        ("--steps 0", "--steps 0 is no budget; give 1 or more"),
        (
            "--split whitespace",
            "--split is for --level word, not for char",
        ),
        (
            "--dropout 1",
            "--dropout 1 is out of range; give a fraction from 0 to below 1",
        ),
        (
            "--hidden-size 0",
            "--hidden-size 0 is out of range; give a number from 1 to 16777216",
        ),
        (
            "--num-layers 99999999",
            "--num-layers 99999999 is out of range; give a number from 1 to 4096",
        ),
        (
            "--vocab-size 0 --level word",
            "--vocab-size 0 is out of range; give a number from 1 to 16777216",
        ),
        (
            "--valid 2",
            "--valid 2 is not a fraction: give a number above 0 and below 1, or the name of a file",
        ),
        (
            "--tie-weights --hidden-size 10 --embedding-size 20",
            "tied weights need an embedding as wide as the hidden state, but embedding_size is 20 and hidden_size 10",
        ),
        (
            "--device cuda:7",
            "libtorch finds no GPU number 7; use --device cpu, or a libtorch with CUDA (make libtorch CUDA=1)",
        ),
    ];
    for (options, message) in table {
        let outcome = sandbox.carousel(&format!("train tale.txt -o model {options}"));
        assert_eq!(
            (outcome.code, outcome.err.as_str()),
            (Some(2), format!("carousel: {message}\n").as_str()),
            "{options}"
        );
    }
}

#[test]
fn a_model_is_fine_tuned_on_another_text() {
    let sandbox = sandbox();
    let other = tale().replace("fox", "fuchs é").replace("Anna", "Ñora");
    sandbox.write("other.txt", &other);
    let train = |line: &str| {
        sandbox
            .carousel(&format!("train {line} --precision f32 --interpolate=false"))
            .success()
    };
    train(&format!("tale.txt -o base -q --steps 150 {SMALL}"));
    let outcome = train("other.txt -o grown --from base --steps 10 --batch-size 4 --bptt 16");
    assert!(
        outcome.err.contains("going on from base: ")
            && outcome.err.contains("of which 2 are new to it"),
        "{}",
        outcome.err
    );
    train(&format!("other.txt -o fresh -q --steps 10 {SMALL}"));
    let first_loss = |model: &str| {
        let lines = metrics(&sandbox, model);
        lines
            .iter()
            .find_map(|line| line["valid_loss"].as_f64())
            .unwrap()
    };
    let (grown, fresh) = (first_loss("grown"), first_loss("fresh"));
    assert!(grown < fresh - 0.5, "{grown} is not far below {fresh}");
    // Old tokens keep their ids, and new tokens follow.
    let vocabulary = |model: &str| -> serde_json::Value {
        let json: serde_json::Value =
            serde_json::from_slice(&sandbox.read(&format!("{model}/tokenizer.json"))).unwrap();
        json["model"]["vocab"].clone()
    };
    let (old, new) = (vocabulary("base"), vocabulary("grown"));
    let old = old.as_object().unwrap();
    assert!(old.iter().all(|(token, id)| new[token] == *id));
    assert_eq!(new.as_object().unwrap().len(), old.len() + 2);
    sandbox
        .carousel("generate -m grown -p Ñora --length 20")
        .success();
    // Without --from, the same text has a vocabulary of its own despite the cache.
    assert_ne!(vocabulary("fresh"), new);
}

#[test]
fn options_that_contradict_the_base_model_are_refused() {
    let sandbox = sandbox();
    let line = format!("train tale.txt -o base -q --steps 2 {SMALL}");
    sandbox.carousel(&line).success();
    let table = [
        ("--hidden-size 25", "--hidden-size 24"),
        ("--num-layers 1", "--num-layers 2"),
        ("--level word", "--level char"),
    ];
    for (option, own) in table {
        let outcome = sandbox.carousel(&format!(
            "train tale.txt -o new --from base --steps 2 {option}"
        ));
        assert_eq!(outcome.code, Some(2));
        assert!(
            outcome
                .err
                .contains(&format!("has {own}, and --from keeps that")),
            "{}",
            outcome.err
        );
        assert!(!sandbox.path("new").exists());
    }
}

#[test]
fn a_transformer_is_gone_on_from_with_its_layers() {
    let sandbox = sandbox();
    let small = one_width();
    let line = format!("train tale.txt -o base -q --steps 2 {small} --cell transformer");
    sandbox.carousel(&line).success();
    // Dropout is the run's, not the model's.
    let go_on = |options: &str| {
        let line = "train tale.txt -o new --from base -q --steps 2 --batch-size 4 --dropout 0.2";
        sandbox.carousel(&format!("{line} {options}"))
    };
    for (option, message) in [
        ("--cell gru", "base has other layers (transformer"),
        ("--context 8", "has --context 16, and --from keeps that"),
        ("--bptt 8", "--context is 16 and --bptt 8"),
    ] {
        let outcome = go_on(option);
        assert_eq!(outcome.code, Some(2), "{option}: {}", outcome.err);
        assert!(outcome.err.contains(message), "{option}: {}", outcome.err);
    }
    go_on("").success();
    let config = |model: &str| sandbox.read(&format!("{model}/config.json"));
    assert_eq!(config("base"), config("new"));
    sandbox
        .carousel("generate -m new -p the --length 40 --precision int8")
        .success();
}

#[test]
fn plan_writes_no_model() {
    let sandbox = sandbox();
    let outcome = sandbox
        .carousel("train tale.txt --plan --time 1m")
        .success();
    assert!(
        outcome.err.contains("network ") && outcome.err.contains("tokens/s in "),
        "{}",
        outcome.err
    );
    assert_eq!(
        std::fs::read_dir(sandbox.path("")).unwrap().count(),
        2,
        "the text and the cache"
    );
}

#[test]
fn dropout_and_averaged_weights_are_resumed_bit_for_bit() {
    let sandbox = sandbox();
    let options =
        format!("{SMALL} --embedding-dropout 0.2 --weight-drop 0.3 --ema 0.9 --steps 60 -q");
    for precision in ["f32", "bf16"] {
        let whole =
            format!("train tale.txt -o whole-{precision} {options} --precision {precision}");
        sandbox.carousel(&whole).success();
        let cut = whole.replace("-o whole", "-o cut");
        sandbox.kill_at(&cut, &format!("cut-{precision}/resume.safetensors"));
        sandbox
            .carousel(&format!("train --resume cut-{precision} -q"))
            .success();
        let weights = |model: &str| sandbox.read(&format!("{model}-{precision}/model.safetensors"));
        assert!(weights("whole") == weights("cut"), "{precision}");
        assert!(
            sandbox
                .path(&format!("whole-{precision}/report.svg"))
                .exists()
        );
    }
}

#[test]
fn networks_of_every_kind_are_resumed_bit_for_bit_and_evaluated_alike() {
    let sandbox = sandbox();
    let kinds = [
        "--cell rnn --activation relu --recurrent-init uniform",
        "--cell leaky --initial-state learned",
        "--cell leaky --leak 0.9 --layer-norm",
        "--cell skip --skip 2,5 --residual",
        "--cell gru --bidirectional",
        "--cell lstm --horizon 3 --initial-state zero",
        "--cell gru --predict last",
        "--cell transformer",
        "--cell transformer --heads 3 --positions learned --predict last",
    ];
    for (number, kind) in kinds.iter().enumerate() {
        let small = match kind.contains("transformer") {
            true => one_width(),
            false => SMALL.to_string(),
        };
        let whole = format!("train tale.txt -o whole-{number} {small} {kind} --steps 40 -q");
        sandbox.carousel(&whole).success();
        let cut = whole.replace("-o whole", "-o cut");
        sandbox.kill_at(&cut, &format!("cut-{number}/resume.safetensors"));
        sandbox
            .carousel(&format!("train --resume cut-{number} -q"))
            .success();
        let weights = |model: &str| sandbox.read(&format!("{model}-{number}/model.safetensors"));
        assert!(weights("whole") == weights("cut"), "{kind}");

        // The validation part is the last tenth.
        let tale = tale();
        let start = tale.len() - tale.len() / 10;
        sandbox.write("last.txt", &tale[start..]);
        let line = format!("evaluate -m whole-{number} last.txt --json");
        let found: serde_json::Value =
            serde_json::from_str(&sandbox.carousel(&line).success().out).unwrap();
        let best = metrics(&sandbox, &format!("whole-{number}"));
        let losses = best.iter().filter_map(|line| line["valid_loss"].as_f64());
        let best = losses.fold(f64::INFINITY, f64::min);
        let off = found["loss"].as_f64().unwrap() - best;
        assert!(off.abs() < 0.02, "{kind}: {found} {best}");
        let length = "--length 20 --seed 1 -p the --json";
        let line = format!("generate -m whole-{number} {length}");
        let written: serde_json::Value =
            serde_json::from_str(&sandbox.carousel(&line).success().out).unwrap();
        assert_eq!(written["tokens"], 20, "{kind}");
    }
}

#[test]
fn ngrams_beside_a_network_lower_its_loss() {
    let sandbox = sandbox();
    let json = |line: &str| -> serde_json::Value {
        let out = sandbox.carousel(line).success().out;
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
    };
    let tale = tale();
    let lines: Vec<&str> = tale.split_inclusive('\n').collect();
    sandbox.write("first.txt", lines[..540].concat());
    sandbox.write("last.txt", lines[540..].concat());
    for options in [
        "",
        "--level word --order 3",
        "--level word --bidirectional --cache 9",
        "--level bpe --vocab-size 300",
    ] {
        let line = "train first.txt --valid last.txt -o model --overwrite --steps 60";
        let line = format!("{line} {SMALL} {options}");
        let outcome = sandbox.carousel(&line).success();
        assert!(
            outcome.err.contains("interpolated with the network"),
            "{outcome:?}"
        );
        let lines = metrics(&sandbox, "model");
        let loss = |figures: &serde_json::Value, key: &str| figures[key].as_f64().unwrap();
        let evaluations = lines.iter().filter(|line| line["valid_loss"].is_f64());
        let of = |line: &&serde_json::Value| loss(line, "valid_loss");
        let best = evaluations.min_by(|a, b| of(a).total_cmp(&of(b))).unwrap();
        let (both, network) = (loss(best, "valid_loss"), loss(best, "network_loss"));
        assert!(both < network - 0.1, "{options}: {both} {network}");

        // Whoever uses the model measures the same, of both and of each.
        let found = json("evaluate -m model last.txt --json");
        assert!((loss(&found, "loss") - both).abs() < 0.02, "{found} {both}");
        assert!(
            (loss(&found["network"], "loss") - network).abs() < 0.02,
            "{found} {network}"
        );
        let record: serde_json::Value =
            serde_json::from_slice(&sandbox.read("model/training.json")).unwrap();
        let ngrams = record["baselines"].as_array().unwrap().last().unwrap();
        assert!(ngrams["name"].as_str().unwrap().starts_with("ngram-"));
        // Where n-grams know all, they may have all of the weight, but for rounding.
        assert!(both < loss(ngrams, "loss") + 1e-6, "{both} {ngrams}");
        let table = sandbox.carousel("evaluate -m model last.txt").success().out;
        assert!(table.contains("network alone"), "{table}");

        // Token by token it costs the same as in many streams, and copies are the same model.
        let text = &tale[tale.len() - 300..];
        sandbox.write("end.txt", text);
        let score = json(&format!("score -m model --json '{text}'"));
        let whole = json("evaluate -m model end.txt --json");
        let bits = "bits_per_character";
        assert!(
            (loss(&score, bits) - loss(&whole, bits)).abs() < 1e-4,
            "{score} {whole}"
        );
        sandbox
            .carousel("export -m model -o copy --overwrite")
            .success();
        let copy = json("evaluate -m copy end.txt --json");
        assert!(
            (loss(&copy, "loss") - loss(&whole, "loss")).abs() < 5e-3,
            "{copy} {whole}"
        );
        let written = json("generate -m model --length 20 --seed 1 -p the --json");
        assert_eq!(written["tokens"], 20);
    }
}

#[test]
fn ngrams_beside_a_network_can_be_left_out() {
    let sandbox = sandbox();
    let line = format!("train tale.txt -o alone -q {SMALL} --steps 20 --interpolate=false");
    sandbox.carousel(&line).success();
    let lines = metrics(&sandbox, "alone");
    assert!(
        lines.iter().all(|line| line["network_loss"].is_null()),
        "{lines:?}"
    );
    let table = [
        (
            "--interpolate=false --order 4",
            "--interpolate=false leaves n-grams and the cache out, but --order or --cache asks for them; leave one of both \
             away",
        ),
        (
            "--interpolate --horizon 2",
            "n-grams predict one token at a time, and --horizon 2 several at once; leave --horizon away, or \
             --interpolate, --order and --cache",
        ),
        (
            "--order 11",
            "--order 11 is not possible: n-grams of characters have an order between 1 and 10",
        ),
    ];
    for (options, message) in table {
        let outcome = sandbox.carousel(&format!("train tale.txt -o model {options}"));
        let found = (outcome.code, outcome.err.as_str());
        let expected = format!("carousel: {message}\n");
        assert_eq!(found, (Some(2), expected.as_str()), "{options}");
        assert!(!sandbox.path("model").exists(), "{options}");
    }
}

#[test]
fn options_of_other_cells_are_refused_before_any_work() {
    let sandbox = Sandbox::new();
    let table = [
        (
            "--cell elman",
            "there is no cell elman; give rnn, leaky, skip, gru, lstm, transformer",
        ),
        (
            "--cell gru --activation relu",
            "--activation is for rnn, leaky and skip",
        ),
        ("--leak 0.5", "--leak is for --cell leaky"),
        (
            "--cell leaky --leak 1.5",
            "give a fraction from 0 to below 1, or learn",
        ),
        ("--cell rnn --skip 4", "--skip is for --cell skip"),
        ("--cell skip --skip 1", "give 2 to 1024"),
        ("--cell skip --skip 8,4", "in ascending order"),
        (
            "--cell skip --skip 40 --bptt 32",
            "beyond the window of 32 tokens",
        ),
        (
            "--layer-norm --gradients kernels",
            "no kernels for --layer-norm",
        ),
        ("--horizon 0", "a step predicts 1 to 64 tokens at once"),
        ("--horizon 3 --tie-weights", "one token at a time"),
        ("--horizon 2 --bidirectional", "one token at a time"),
        (
            "--predict last --candidates 50",
            "--candidates is for one target",
        ),
        ("--heads 4", "--heads is for a transformer"),
        (
            "--cell transformer --skip 4",
            "--skip is for recurrent cells",
        ),
        (
            "--cell transformer --gradients kernels",
            "no kernels for transformers",
        ),
        (
            "--cell transformer --hidden-size 64 --heads 5",
            "5 heads do not divide a width of 64",
        ),
        (
            "--cell transformer --context 64 --bptt 32",
            "--context is 64 and --bptt 32",
        ),
    ];
    for (options, message) in table {
        let outcome = sandbox.carousel(&format!("train nothing.txt -o model {options}"));
        assert_eq!(outcome.code, Some(2), "{options}: {}", outcome.err);
        assert!(outcome.err.contains(message), "{options}: {}", outcome.err);
    }
    let line = "train-classifier nothing.csv -o model --initial-state carried";
    let outcome = sandbox.carousel(line);
    assert!(outcome.err.contains("zero or learned"), "{}", outcome.err);
    let line = "train-classifier nothing.csv -o model --cell transformer";
    let outcome = sandbox.carousel(line);
    assert_eq!(outcome.code, Some(2), "{}", outcome.err);
    assert!(
        outcome.err.contains("a classifier has a recurrent cell"),
        "{}",
        outcome.err
    );
}

#[test]
fn autograd_trains_as_the_kernels_do() {
    let sandbox = sandbox();
    let rows: Vec<String> = tale()
        .lines()
        .enumerate()
        .map(|(i, line)| format!("{},{line}", i % 2))
        .collect();
    sandbox.write("labels.csv", format!("label,text\n{}\n", rows.join("\n")));
    let runs = [
        format!("train tale.txt {SMALL} --weight-drop 0.2 --embedding-dropout 0.1"),
        "train tale.txt --level word --candidates 20 --hidden-size 16 --batch-size 4 --bptt 16"
            .to_string(),
        "train-classifier labels.csv --hidden-size 12 --bidirectional --adversarial 0.5"
            .to_string(),
    ];
    for (number, run) in runs.iter().enumerate() {
        let losses = ["kernels", "autograd"].map(|gradients| {
            let model = format!("{gradients}-{number}");
            let options =
                format!("--gradients {gradients} --precision f32 --steps 20 -q -o {model}");
            sandbox.carousel(&format!("{run} {options}")).success();
            let lines = metrics(&sandbox, &model);
            lines
                .iter()
                .map(|line| line["loss"].as_f64().unwrap())
                .collect::<Vec<f64>>()
        });
        let [kernels, autograd] = &losses;
        assert_eq!(kernels.len(), autograd.len());
        let close = kernels
            .iter()
            .zip(autograd)
            .all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(close, "{run}: {losses:?}");
    }
}

#[test]
#[cfg(unix)]
fn a_full_disk_leaves_the_last_checkpoint_intact() {
    let sandbox = sandbox();
    let options = format!("{SMALL} --epochs 6 -q");
    sandbox
        .carousel(&format!("train tale.txt -o whole {options}"))
        .success();
    let line = format!("train tale.txt -o full {options}");
    sandbox.kill_at(&line, "full/resume.safetensors");
    let files = ["model.safetensors", "resume.safetensors", "training.json"];
    let saved = files.map(|file| sandbox.read(&format!("full/{file}")));

    // A limit on the size of files acts as a full disk.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 16; exec '{}' train --resume full -q",
        program().display()
    );
    let output = sandbox
        .command(Path::new("sh"))
        .args(["-c", &limited])
        .output()
        .unwrap();
    let outcome = Outcome::new(output);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let last = outcome.err.lines().last().unwrap();
    assert!(
        last.starts_with("carousel: cannot write full/"),
        "{outcome:?}"
    );
    for (file, saved) in files.iter().zip(&saved) {
        assert!(&sandbox.read(&format!("full/{file}")) == saved, "{file}");
    }

    sandbox.carousel("generate -m full --length 20").success();
    sandbox.carousel("train --resume full -q").success();
    let weights = |model: &str| sandbox.read(&format!("{model}/model.safetensors"));
    assert!(weights("whole") == weights("full"));
}

#[test]
fn a_corpus_of_one_repeated_character_can_be_trained_on() {
    let sandbox = Sandbox::new();
    sandbox.write("one.txt", "a".repeat(3000));
    sandbox
        .carousel("train one.txt -o model --steps 40 -q")
        .success();
    let outcome = sandbox.carousel("generate -m model --length 30").success();
    assert_eq!(outcome.out.trim_end(), "a".repeat(30));
    // So can bytes and subwords of it.
    for level in ["byte", "bpe"] {
        sandbox
            .carousel(&format!(
                "train one.txt -o {level} --level {level} --steps 2 -q"
            ))
            .success();
    }
    // A single word has no next word to predict.
    let outcome = sandbox.carousel("train one.txt -o word --level word -q");
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.err.contains("give more text"), "{}", outcome.err);
}

#[test]
fn the_shortest_time_budget_ends_with_an_evaluation() {
    let sandbox = sandbox();
    let outcome = sandbox
        .carousel(&format!("train tale.txt -o model {SMALL} --time 1ms"))
        .success();
    assert!(
        outcome.err.contains("  validation loss "),
        "{}",
        outcome.err
    );
    sandbox.carousel("generate -m model --length 5").success();
}

#[test]
#[cfg(unix)]
fn a_suspended_run_ends_within_its_time_budget() {
    let sandbox = sandbox();
    let mut command = sandbox.command(&program());
    let line = format!("train tale.txt -o model {SMALL} --time 6s -q");
    let mut child = command.args(words(&line)).spawn().unwrap();
    let signal = |which: &str| {
        let status = std::process::Command::new("kill")
            .args([which, &child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    };
    std::thread::sleep(Duration::from_secs(2));
    signal("-STOP");
    std::thread::sleep(Duration::from_secs(3));
    signal("-CONT");
    assert!(child.wait().unwrap().success());
    // The time of the suspension counts, so the schedule is complete.
    let lines = metrics(&sandbox, "model");
    let rates = lines
        .iter()
        .filter_map(|line| line["learning_rate"].as_f64());
    let rates: Vec<f64> = rates.collect();
    let highest = rates.iter().copied().fold(0.0, f64::max);
    assert!(rates.last().unwrap() < &(highest * 0.2), "{rates:?}");
    let seconds = |line: &serde_json::Value| line["seconds"].as_f64();
    let times: Vec<f64> = lines.iter().filter_map(seconds).collect();
    let gap = |pair: &[f64]| pair[1] - pair[0] >= 2.9;
    assert!(times.windows(2).any(gap), "{times:?}");
    assert!(times.last().unwrap() < &7.0, "{times:?}");
}

/// Begins a run in `folder`, and waits until a file of it exists.
fn begin(sandbox: &Sandbox, line: &str, file: &str) -> std::process::Child {
    let mut command = sandbox.command(&program());
    command.args(words(line)).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    while !sandbox.path(file).exists() {
        assert!(child.try_wait().unwrap().is_none(), "{line} has ended");
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

/// Names of the files in a folder, sorted.
fn names(sandbox: &Sandbox, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(sandbox.path(folder)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_folder_has_one_writer_at_a_time() {
    let sandbox = sandbox();
    let small = format!("train tale.txt -q {SMALL} --steps");
    sandbox.carousel(&format!("{small} 2 -o other")).success();
    sandbox.write("labels.csv", "label,text\ngood,fine\nbad,dull\n");
    let line = format!("{small} 1000000 -o model");
    let mut child = begin(&sandbox, &line, "model/config.json");
    let record = sandbox.read("model/training.json");
    for refused in [
        format!("{small} 2 -o model --overwrite"),
        format!("{small} 2 -o model"),
        "train --resume model".to_string(),
        "train tale.txt -o model --overwrite --baseline ngram".to_string(),
        "train-classifier labels.csv -o model --overwrite".to_string(),
        "export -m other -o model --overwrite".to_string(),
        "compare tale.txt -o model --steps 1".to_string(),
    ] {
        let outcome = sandbox.carousel(&refused);
        assert_eq!(outcome.code, Some(1), "{refused}: {outcome:?}");
        let who = format!(
            "carousel: model is in use: process {} has been writing there since 2",
            child.id()
        );
        let command = format!("`carousel {line}`");
        assert!(
            outcome.err.starts_with(&who) && outcome.err.contains(&command),
            "{refused}: {}",
            outcome.err
        );
    }
    assert_eq!(sandbox.read("model/training.json"), record);
    // Readers need no lock, and a dead process holds none.
    let outcome = sandbox.carousel("inspect model").success();
    assert!(outcome.out.contains("tale.txt"), "{}", outcome.out);
    child.kill().unwrap();
    child.wait().unwrap();
    let line = format!("{small} 2 -o model --overwrite");
    sandbox.carousel(&line).success();
    let files = names(&sandbox, "model");
    assert!(!files.iter().any(|name| name.starts_with('.')), "{files:?}");
}

#[test]
fn a_model_stays_until_there_are_weights_to_replace_it() {
    let sandbox = sandbox();
    let line = format!("train tale.txt -o model -q {SMALL} --steps");
    sandbox.carousel(&format!("{line} 30")).success();
    let (files, weights) = (
        names(&sandbox, "model"),
        sandbox.read("model/model.safetensors"),
    );
    // With n-grams beside it, even the losses of a network that has exploded are low.
    for beside in ["--interpolate", "--interpolate=false"] {
        let outcome = sandbox.carousel(&format!(
            "{line} 400 --overwrite --learning-rate 1e20 --clip-norm 0 {beside}"
        ));
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        let expected = "; what was in model is still there, unchanged; what helps: ";
        assert!(outcome.err.contains(expected), "{}", outcome.err);
        assert_eq!(names(&sandbox, "model"), files);
        assert_eq!(sandbox.read("model/model.safetensors"), weights);
    }

    // A run that is killed is resumed by the usual command, and the old model can be used until then.
    let new = format!("{line} 100000 --seed 7 --overwrite");
    assert!(sandbox.kill_at(&new, "model/.new-run/config.json"));
    assert_eq!(sandbox.read("model/model.safetensors"), weights);
    sandbox.carousel("generate -m model --length 5").success();
    let _ = fs::remove_file(sandbox.path("model/.new-run/resume.safetensors"));
    let json = String::from_utf8(sandbox.read("model/.new-run/training.json")).unwrap();
    sandbox.write("model/.new-run/training.json", json.replace("100000", "4"));
    // One that cannot begin takes nothing from it.
    let outcome = sandbox.carousel(&new.replace("--batch-size 4", "--batch-size 9999"));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let outcome = sandbox.carousel("train --resume model -q").success();
    let note = "model holds another model, until this run has weights to replace it\n";
    assert!(outcome.err.starts_with(note), "{}", outcome.err);
    let fresh = "train tale.txt -o fresh -q --steps 4 --seed 7";
    sandbox.carousel(&format!("{fresh} {SMALL}")).success();
    for folder in ["model", "fresh"] {
        let record: serde_json::Value =
            serde_json::from_slice(&sandbox.read(&format!("{folder}/training.json"))).unwrap();
        assert_eq!(record["finished"], "budget");
    }
    assert_eq!(names(&sandbox, "model"), names(&sandbox, "fresh"));
    // The shorter run is evaluated more often, and ends with the same weights.
    assert!(sandbox.read("model/model.safetensors") == sandbox.read("fresh/model.safetensors"));
}

#[test]
fn a_run_without_weights_says_what_can_be_done() {
    let sandbox = sandbox();
    let line = format!("train tale.txt -o model -q {SMALL} --interpolate=false --steps 400");
    let outcome = sandbox.carousel(&format!("{line} --learning-rate 1e20 --clip-norm 0"));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(!sandbox.path("model/model.safetensors").exists());
    for line in ["generate -m model", "train --resume model"] {
        let outcome = sandbox.carousel(line);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        let advice =
            "begin again, with a lower --learning-rate, in another folder or with --overwrite\n";
        assert!(
            outcome.err.contains("its loss diverged before") && outcome.err.ends_with(advice),
            "{}",
            outcome.err
        );
    }
    let again = line.replace("400", "20");
    sandbox
        .carousel(&format!("{again} --learning-rate 0.001 --overwrite"))
        .success();
    sandbox.carousel("generate -m model --length 5").success();
}

#[test]
fn a_run_from_standard_input_needs_nothing_but_its_folder() {
    let sandbox = sandbox();
    let line = format!("train - -q {SMALL} --steps 1500 --seed 2 -o");
    sandbox
        .carousel_reading("tale.txt", &format!("{line} whole"))
        .success();
    let mut command = sandbox.command(&program());
    command
        .args(words(&format!("{line} piped")))
        .stdin(fs::File::open(sandbox.path("tale.txt")).unwrap());
    let mut child = command.spawn().unwrap();
    while !sandbox.path("piped/resume.safetensors").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(sandbox.path("piped/resume.safetensors").exists());

    // A pipe without text takes nothing away.
    sandbox.write("empty.txt", "");
    let empty = |line: &str| {
        let outcome = sandbox.carousel_reading("empty.txt", line);
        let found = (outcome.code, outcome.err.as_str());
        let expected = "carousel: there is no text in standard input\n";
        assert_eq!(found, (Some(1), expected), "{line}");
    };
    empty(&format!("{line} piped --overwrite"));
    empty("train - -o piped --overwrite --baseline ngram");
    assert_eq!(
        sandbox.read("piped/standard-input.txt"),
        sandbox.read("tale.txt")
    );
    for line in [
        &format!("{line} new"),
        "train - -o new --baseline ngram",
        "compare - -o new",
    ] {
        empty(line);
        assert!(!sandbox.path("new").exists(), "{line}");
    }

    fs::create_dir(sandbox.path("elsewhere")).unwrap();
    fs::rename(sandbox.path("piped"), sandbox.path("elsewhere/renamed")).unwrap();
    sandbox
        .carousel("train --resume elsewhere/renamed -q")
        .success();
    assert_eq!(
        sandbox.read("elsewhere/renamed/model.safetensors"),
        sandbox.read("whole/model.safetensors")
    );
    // So does what compares with n-grams of the training data.
    let outcome = sandbox
        .carousel("evaluate -m elsewhere/renamed tale.txt")
        .success();
    assert!(outcome.out.contains("ngram-6"), "{}", outcome.out);
}

#[test]
fn a_corpus_that_was_moved_is_found_by_its_content_or_asked_for() {
    let sandbox = sandbox();
    sandbox.write("project/data/book.txt", tale());
    sandbox.write("project/data/valid.txt", tale().replace("fox", "cat"));
    let options = format!("--valid project/data/valid.txt -q {SMALL} --steps 100000");
    let line = format!("train project/data/book.txt -o project/model {options}");
    assert!(sandbox.kill_at(&line, "project/model/config.json"));
    let _ = fs::remove_file(sandbox.path("project/model/resume.safetensors"));
    let json = String::from_utf8(sandbox.read("project/model/training.json")).unwrap();
    sandbox.write("project/model/training.json", json.replace("100000", "4"));
    let rename = |old: &str, new: &str| {
        fs::rename(sandbox.path(old), sandbox.path(new)).unwrap();
    };

    // Under another name it has to be given, with the content that it had.
    rename("project", "moved");
    rename("moved/data/book.txt", "moved/data/text");
    sandbox.write("book.txt", "of the same name\n".repeat(90));
    let outcome = sandbox.carousel("train --resume moved/model");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let asks = "put it back, or say where it is now: `carousel train --resume moved/model PATH --valid FILE`\n";
    assert!(
        outcome.err.contains("book.txt") && outcome.err.ends_with(asks),
        "{}",
        outcome.err
    );
    let valid = "--valid moved/data/valid.txt";
    let outcome = sandbox.carousel(&format!("train --resume moved/model book.txt {valid}"));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.err.contains("has another content"),
        "{}",
        outcome.err
    );
    fs::create_dir(sandbox.path("copy")).unwrap();
    for file in names(&sandbox, "moved/model") {
        sandbox.write(
            &format!("copy/{file}"),
            sandbox.read(&format!("moved/model/{file}")),
        );
    }
    let given = format!("train --resume copy moved/data/text {valid} -q");
    let outcome = sandbox.carousel(&given).success();
    assert!(
        outcome
            .err
            .starts_with("the data was moved, and is read from "),
        "{}",
        outcome.err
    );
    for wrong in ["-", "moved/data/text --seed 3"] {
        let outcome = sandbox.carousel(&format!("train --resume moved/model {wrong}"));
        assert_eq!(outcome.code, Some(2), "{wrong}: {outcome:?}");
    }

    // What was moved together with the folder is found.
    rename("moved/data/text", "moved/data/book.txt");
    sandbox.carousel("train --resume moved/model -q").success();
    assert_eq!(
        sandbox.read("moved/model/model.safetensors"),
        sandbox.read("copy/model.safetensors")
    );
}

/// Interrupts a run with SIGTERM as soon as a step is shown. Returns its last message.
#[cfg(unix)]
fn interrupt_at_the_first_step(sandbox: &Sandbox, line: &str) -> String {
    let mut command = sandbox.command(&program());
    command.args(words(line)).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line.contains("  step ")));
    let interrupt = std::process::Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    let last = lines.last().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    last
}

#[test]
#[cfg(unix)]
fn a_run_interrupted_before_its_first_evaluation_can_be_used_and_goes_on_bit_for_bit() {
    let sandbox = sandbox();
    let line = format!("train tale.txt {SMALL} --steps 12000 -o");
    sandbox.carousel(&format!("{line} whole -q")).success();
    let model = ", before the first evaluation; the model has the weights so far (validation loss ";
    // On a busy machine the signal may come late.
    let cut = (0..5).map(|attempt| format!("cut-{attempt}")).find(|cut| {
        interrupt_at_the_first_step(&sandbox, &format!("{line} {cut}")).contains(model)
    });
    let cut = cut.expect("a run that was interrupted before its first evaluation");
    let generate = format!("generate -m {cut} --length 5");
    sandbox.carousel(&generate).success();
    sandbox
        .carousel(&format!("train --resume {cut} -q"))
        .success();
    let weights = |model: &str| sandbox.read(&format!("{model}/model.safetensors"));
    assert!(weights("whole") == weights(&cut));
    assert_eq!(
        metrics_without_times(&sandbox, "whole"),
        metrics_without_times(&sandbox, &cut)
    );
}

#[test]
fn a_line_without_a_space_is_learnt_from_a_part_of_it() {
    let sandbox = Sandbox::new();
    let mut state = 1u32;
    let mut letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"ACGT"[(state >> 30) as usize] as char
    };
    sandbox.write(
        "genes.txt",
        (0..1_000_000).map(|_| letter()).collect::<String>(),
    );
    let line = format!("train genes.txt -o model --level bpe --time 5s {SMALL}");
    let outcome = sandbox.carousel(&line).success();
    // What merges are learnt from is bounded: 8192 parts of 64 letters, of 900,000 letters.
    let note = "subwords are learnt from the 8192 most frequent of 14";
    assert!(outcome.err.contains(note), "{}", outcome.err);
}

#[test]
fn a_vocabulary_without_a_word_is_refused_and_a_known_one_may_gain_none() {
    let sandbox = sandbox();
    let once: String = (0..400).map(|i| format!("word{i} ")).collect();
    sandbox.write("once.txt", once + "the bridge\n");
    let outcome = sandbox.carousel(&format!("train once.txt -o model --level word {SMALL}"));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.err.contains("give --min-count 1"),
        "{}",
        outcome.err
    );
    assert!(!sandbox.path("model").exists());
    let line = format!("train tale.txt -o base --level word {SMALL} --steps 2 -q");
    sandbox.carousel(&line).success();
    let line = "train once.txt -o model --from base --batch-size 2 --bptt 8 --steps 2 -q";
    sandbox.carousel(line).success();
    let tokenizers =
        ["base", "model"].map(|model| sandbox.read(&format!("{model}/tokenizer.json")));
    assert_eq!(tokenizers[0], tokenizers[1]);
}

//! Runs that are killed, disks that fill, data that changes, memory that is refused, and clocks that jump: in short, or
//! `CAROUSEL_FAULTS` times (`make test-faults`).

use std::env;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::sandbox::{Outcome, Sandbox, words};

/// Small runs of each task, of so many steps that they take a second or two.
const TASKS: [&str; 3] = [
    "train tale.txt --steps 1500 --hidden-size 16 --embedding-size 8 --batch-size 4 --bptt 16",
    "train-classifier reviews.csv --steps 300 --hidden-size 16 --embedding-size 8 --batch-size 8",
    "train-translator pairs.tsv --steps 300 --hidden-size 16 --embedding-size 8 --batch-size 8",
];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "tale.txt",
        include_str!("../corpora/tales/the_glass_harbour.txt"),
    );
    sandbox.write("reviews.csv", include_str!("../corpora/reviews.csv"));
    sandbox.write("pairs.tsv", include_str!("../corpora/pairs.tsv"));
    sandbox
}

/// The number of times, where the long form asks for more.
fn times(few: usize) -> usize {
    let asked = env::var("CAROUSEL_FAULTS").ok();
    asked.map_or(few, |times| {
        times.parse().expect("CAROUSEL_FAULTS is a number")
    })
}

fn weights(sandbox: &Sandbox, model: &str) -> Vec<u8> {
    sandbox.read(&format!("{model}/model.safetensors"))
}

/// Begins a run in `model`, or goes on with what is there.
fn begin_or_resume(sandbox: &Sandbox, task: &str) -> Outcome {
    let begun = sandbox.carousel(&format!("{task} -q -o model"));
    match begun.code {
        Some(0) => begun,
        _ => sandbox.carousel(&format!("{} -q --resume model", words(task)[0])),
    }
}

#[test]
fn runs_that_are_killed_at_any_moment_end_as_if_they_had_not_been() {
    for (number, task) in TASKS.into_iter().enumerate() {
        let sandbox = sandbox();
        sandbox.carousel(&format!("{task} -q -o whole")).success();
        let mut random = ChaCha8Rng::seed_from_u64(number as u64);
        let mut kills = 0;
        while kills < times(4) {
            let _ = std::fs::remove_dir_all(sandbox.path("model"));
            let mut line = format!("{task} -q -o model");
            // Some runs are killed more than once before they end.
            loop {
                let mut command = sandbox.command(&crate::program());
                let child = command.args(words(&line)).stderr(Stdio::null()).spawn();
                let mut child = child.unwrap();
                sleep(Duration::from_millis(random.random_range(50..1800)));
                let ended = child.try_wait().unwrap();
                child.kill().unwrap();
                child.wait().unwrap();
                if ended.is_some_and(|status| status.success()) || kills >= times(4) {
                    break;
                }
                kills += 1;
                line = format!("{} -q --resume model", words(task)[0]);
                if !sandbox.path("model/training.json").exists() {
                    line = format!("{task} -q -o model");
                }
            }
            let done = begin_or_resume(&sandbox, task);
            assert_eq!(done.code, Some(0), "{task}: {}", done.err);
            assert!(
                weights(&sandbox, "model") == weights(&sandbox, "whole"),
                "{task}"
            );
        }
    }
}

/// A library that makes system calls fail.
fn faults(sandbox: &Sandbox) -> std::path::PathBuf {
    let source = sandbox.write("faults.c", include_str!("data/faults.c"));
    let library = sandbox.path("faults.so");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl");
    assert!(compiler.status().unwrap().success());
    library
}

/// Runs `carousel` on a disk that is full from the n-th system call of a kind on in the folder `model`.
fn carousel_on_full_disk(sandbox: &Sandbox, line: &str, kind: &str, nth: usize) -> Outcome {
    let mut command = sandbox.command(&crate::program());
    command
        .args(words(line))
        .env("LD_PRELOAD", sandbox.path("faults.so"))
        .env("FAULT_KIND", kind)
        .env("FAULT_NTH", nth.to_string())
        .env(
            "FAULT_UNDER",
            std::fs::canonicalize(sandbox.path("."))
                .unwrap()
                .join("model"),
        );
    Outcome::new(command.output().unwrap())
}

/// The calls that fail first: the first few, and some later ones; all in the long form.
fn calls() -> impl Iterator<Item = usize> {
    let all = env::var_os("CAROUSEL_FAULTS").is_some();
    let some = move |n: &usize| all || *n <= 4 || n.is_power_of_two();
    (1..).filter(some)
}

#[test]
fn a_disk_that_fills_at_any_call_loses_nothing() {
    let sandbox = sandbox();
    faults(&sandbox);
    let task =
        "train tale.txt --steps 60 --hidden-size 16 --embedding-size 8 --batch-size 4 --bptt 16";
    sandbox.carousel(&format!("{task} -q -o whole")).success();
    let other = task.replace("60", "20");
    for kind in ["open", "write", "fsync", "rename", "mkdir"] {
        for nth in calls() {
            for holds_model in [false, true] {
                let _ = std::fs::remove_dir_all(sandbox.path("model"));
                if holds_model {
                    sandbox.carousel(&format!("{other} -q -o model")).success();
                }
                let former = holds_model.then(|| weights(&sandbox, "model"));
                let line = format!("{task} -q -o model --overwrite");
                let failed = carousel_on_full_disk(&sandbox, &line, kind, nth);
                let place = format!(
                    "{kind} {nth}, a model before: {holds_model}: {}",
                    failed.err
                );
                if failed.code == Some(0) {
                    assert!(
                        weights(&sandbox, "model") == weights(&sandbox, "whole"),
                        "{place}"
                    );
                    continue;
                }
                assert_eq!(failed.code, Some(1), "{place}");
                assert!(failed.err.contains("the disk is full"), "{place}");
                assert!(failed.err.contains("model"), "{place}");
                if former.is_some() {
                    // Whatever the folder holds can be used.
                    sandbox
                        .carousel("generate -m model --length 5 --seed 1")
                        .success();
                }
                // With room again the run goes on, or begins again.
                let resumed = sandbox.carousel("train -q --resume model");
                let same = weights_if_any(&sandbox) == Some(weights(&sandbox, "whole"));
                if resumed.code != Some(0) || !same {
                    sandbox.carousel(&line).success();
                }
                assert!(
                    weights(&sandbox, "model") == weights(&sandbox, "whole"),
                    "{place}"
                );
            }
            if carousel_on_full_disk(
                &sandbox,
                &format!("{task} -q -o model --overwrite"),
                kind,
                nth,
            )
            .code
                == Some(0)
            {
                // There are no more calls of this kind.
                break;
            }
        }
    }
}

fn weights_if_any(sandbox: &Sandbox) -> Option<Vec<u8>> {
    std::fs::read(sandbox.path("model/model.safetensors")).ok()
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let sandbox = sandbox();
    // A file stands where the folder is to be: also for who may write everywhere.
    sandbox.write("taken", "");
    for task in TASKS {
        let refused = sandbox.carousel(&format!("{task} -q -o taken/model"));
        assert_eq!(refused.code, Some(1), "{}", refused.err);
        assert!(refused.err.contains("taken/model"), "{}", refused.err);
        assert_eq!(refused.err.trim().lines().count(), 1, "{}", refused.err);
    }
}

/// The first line of what was said, where there is but one.
fn one_line(outcome: &Outcome) -> &str {
    let said = outcome.err.trim();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// Runs `carousel` while another program deletes, shortens or appends to a file, before it is opened or read for the n-th time.
fn carousel_and_another(
    sandbox: &Sandbox,
    line: &str,
    (file, how): (&str, &str),
    nth: usize,
) -> Outcome {
    let mut command = sandbox.command(&crate::program());
    command
        .args(words(line))
        .env("LD_PRELOAD", sandbox.path("faults.so"))
        .env("FAULT_KIND", how)
        .env("FAULT_NTH", nth.to_string())
        .env(
            "FAULT_UNDER",
            std::fs::canonicalize(sandbox.path(file)).unwrap(),
        );
    Outcome::new(command.output().unwrap())
}

#[test]
fn data_that_changes_while_it_is_read_is_read_whole_or_named() {
    let sandbox = sandbox();
    faults(&sandbox);
    let all = env::var_os("CAROUSEL_FAULTS").is_some();
    for task in TASKS {
        let file = words(task)[1].clone();
        // The precision that is faster is measured anew without a cache, and may be another one each time.
        let task = task.replace("1500", "20").replace("300", "20") + " --precision f32";
        let before = sandbox.read(&file);
        let run = |model: &str| sandbox.carousel(&format!("{task} -q -o {model} --overwrite"));
        run("whole").success();
        for how in ["delete", "shorten", "append"] {
            for nth in [1, 2, 5, 9, 12, 16].into_iter().filter(|&n| all || n == 9) {
                let _ = std::fs::remove_dir_all(sandbox.path("model"));
                let _ = std::fs::remove_dir_all(sandbox.path("cache"));
                let line = format!("{task} -q -o model");
                let found = carousel_and_another(&sandbox, &line, (&file, how), nth);
                let place = format!("{task}, {how} {nth}: {}", found.err);
                if found.code != Some(0) {
                    assert_eq!(found.code, Some(1), "{place}");
                    assert!(one_line(&found).contains(&file), "{place}");
                } else if weights(&sandbox, "model") != weights(&sandbox, "whole") {
                    // What was read is what the file has now.
                    assert_ne!(how, "delete", "{place}");
                    run("now").success();
                    assert!(
                        weights(&sandbox, "model") == weights(&sandbox, "now"),
                        "{place}"
                    );
                }
                sandbox.write(&file, &before);
            }
        }
    }
}

#[test]
fn a_run_whose_data_has_changed_says_so_and_goes_on_when_it_is_back() {
    let sandbox = sandbox();
    for task in TASKS {
        let file = words(task)[1].clone();
        let line = format!("{task} -q -o model --overwrite");
        assert!(sandbox.kill_at(&line, "model/resume.safetensors"), "{task}");
        let (command, before) = (words(task)[0].clone(), sandbox.read(&file));
        let resume = format!("{command} -q --resume model");
        let saved = weights_if_any(&sandbox);
        let mut changed = before.clone();
        let middle = before.len() / 2;
        changed[middle] = if before[middle] == b'e' { b'a' } else { b'e' };
        for (now, said) in [
            (None, "is no longer there"),
            (Some(&before[..middle]), "changed"),
            (Some(&changed), "changed"),
        ] {
            std::fs::remove_file(sandbox.path(&file)).unwrap();
            now.map(|bytes| sandbox.write(&file, bytes));
            let refused = sandbox.carousel(&resume);
            assert_eq!(refused.code, Some(1), "{task}: {}", refused.err);
            assert!(one_line(&refused).contains(said), "{task}: {}", refused.err);
            sandbox.write(&file, &before);
        }
        assert!(weights_if_any(&sandbox) == saved, "{task}");
        sandbox.carousel(&resume).success();
        sandbox
            .carousel(&format!("{task} -q -o whole --overwrite"))
            .success();
        assert!(
            weights(&sandbox, "model") == weights(&sandbox, "whole"),
            "{task}"
        );
    }
}

/// Runs `carousel` with so many MB of addresses.
fn carousel_in_memory(sandbox: &Sandbox, line: &str, megabytes: usize) -> (Option<i32>, String) {
    let mut command = sandbox.command(std::path::Path::new("sh"));
    let script = format!("ulimit -v {}; exec \"$0\" \"$@\"", megabytes << 10);
    command
        .args(["-c", &script])
        .arg(crate::program())
        .args(words(line))
        .env("RUST_BACKTRACE", "0");
    let output = command.output().unwrap();
    // After an abort a shell would say 134.
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn memory_that_is_refused_is_told_and_damages_nothing() {
    let sandbox = sandbox();
    let task = |hidden: usize| {
        format!(
            "train tale.txt --steps 2 --hidden-size {hidden} --batch-size 32 --bptt 64 -q -o model --overwrite"
        )
    };
    sandbox.carousel(&task(16)).success();
    let former = weights(&sandbox, "model");
    let mut told = 0;
    // Libraries that cannot be loaded, libtorch that ends, tensors that are refused, and at last enough.
    for megabytes in (100..).step_by(200) {
        let (code, said) = carousel_in_memory(&sandbox, &task(1024), megabytes);
        if code == Some(0) {
            break;
        }
        assert!(
            code != Some(101) && !said.trim().is_empty() && !said.contains("panicked"),
            "{megabytes} MB: {code:?} {said}"
        );
        told += usize::from(said.contains("there is too little memory"));
        // With nearly enough, the new model has been saved.
        if weights(&sandbox, "model") != former {
            sandbox
                .carousel("generate -m model --length 5 --seed 1")
                .success();
        }
    }
    assert!(told > 0, "no tensor was refused");
    sandbox.carousel(&task(16)).success();
    // With less, the program ends by a signal while it is loaded.
    for megabytes in [20, 22, 24, 28, 40] {
        let (code, said) =
            carousel_in_memory(&sandbox, "generate -m model --length 5 --seed 1", megabytes);
        assert!(
            code == Some(0) || !said.trim().is_empty(),
            "{megabytes} MB: {code:?}"
        );
        assert!(
            code != Some(101) && !said.contains("panicked"),
            "{megabytes} MB: {said}"
        );
    }
    sandbox
        .carousel("generate -m model --length 5 --seed 1")
        .success();
}

#[test]
fn a_clock_that_jumps_changes_no_budget() {
    let sandbox = sandbox();
    faults(&sandbox);
    for seconds in ["86400", "-86400"] {
        let mut command = sandbox.command(&crate::program());
        let line =
            "train tale.txt --time 1s --hidden-size 16 --embedding-size 8 -q -o model --overwrite";
        command
            .args(words(line))
            .env("LD_PRELOAD", sandbox.path("faults.so"))
            .env("FAULT_CLOCK", seconds);
        let begin = Instant::now();
        Outcome::new(command.output().unwrap()).success();
        let took = begin.elapsed();
        // It is a second of training, and some of getting ready; a busy machine takes longer.
        let bounds = Duration::from_millis(500)..Duration::from_secs(60);
        assert!(bounds.contains(&took), "{seconds}: {took:?}");
    }
}

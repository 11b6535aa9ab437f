//! Damaged bytes in what a training is continued from: a few, or for `CAROUSEL_FUZZ_SECONDS` (`make fuzz`).

use std::env;
use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::mutation::Mutator;
use crate::sandbox::{Outcome, Sandbox, words};

/// Number of cases in short.
const CASES: u64 = 10;
/// What a run is continued from.
const FILES: [&str; 3] = ["resume.safetensors", "training.json", "model.safetensors"];
/// A run with a larger budget than before goes on for ever: what it does in this time is what is tried.
const MOST_TIME: Duration = Duration::from_secs(10);

fn number_of(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// Continues the run; `None` if it goes on for longer than is waited.
fn resumed(sandbox: &Sandbox) -> Option<Outcome> {
    let mut command = sandbox.command(&crate::program());
    command.args(words("train -q --resume model"));
    let mut process = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while process.try_wait().unwrap().is_none() {
        if begin.elapsed() > MOST_TIME {
            process.kill().unwrap();
            process.wait().unwrap();
            return None;
        }
        sleep(Duration::from_millis(5));
    }
    Some(Outcome::new(process.wait_with_output().unwrap()))
}

#[test]
fn damaged_runs_are_continued_or_refused() {
    let sandbox = Sandbox::new();
    let tale = include_str!("../corpora/tales/the_glass_harbour.txt");
    sandbox.write("tale.txt", tale);
    let line = "train tale.txt --steps 2000 --hidden-size 8 --embedding-size 8 --batch-size 4 --bptt 16 -q -o model";
    assert!(
        sandbox.kill_at(line, "model/resume.safetensors"),
        "the run was over before"
    );
    let names = fs::read_dir(sandbox.path("model")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names
        .filter(|name| sandbox.path(&format!("model/{name}")).is_file())
        .collect();
    let whole: Vec<(String, Vec<u8>)> = names
        .into_iter()
        .map(|name| (format!("model/{name}"), name))
        .map(|(path, _)| (path.clone(), sandbox.read(&path)))
        .collect();
    let first = number_of("CAROUSEL_FUZZ_FROM").unwrap_or(0);
    let seconds = number_of("CAROUSEL_FUZZ_SECONDS").map(Duration::from_secs);
    let begin = Instant::now();
    for number in first.. {
        let is_over = seconds.map_or(number == first + CASES, |seconds| {
            begin.elapsed() >= seconds
        });
        if is_over {
            println!("runs: {} cases", number - first);
            break;
        }
        let mut mutator = Mutator::new(number);
        let _ = fs::remove_dir_all(sandbox.path("model"));
        let file = format!("model/{}", FILES[mutator.below(FILES.len())]);
        for (path, bytes) in &whole {
            let bytes = match *path == file {
                true => &mutator.input(std::slice::from_ref(bytes)),
                false => bytes,
            };
            sandbox.write(path, bytes);
        }
        let Some(outcome) = resumed(&sandbox) else {
            // Nothing else says how long it takes.
            assert_eq!(file, "model/training.json", "case {number} goes on");
            continue;
        };
        let place = format!("case {number}, {file}: {}", outcome.err);
        assert!(
            matches!(outcome.code, Some(0..=2)),
            "{:?} {place}",
            outcome.code
        );
        assert!(!outcome.err.contains("panicked"), "{place}");
    }
}

//! Damaged bytes in what a training is continued from: a few, or for `CAROUSEL_FUZZ_SECONDS` (`make fuzz`).

use std::env;
use std::fs;
use std::time::{Duration, Instant};

use crate::mutation::Mutator;
use crate::sandbox::Sandbox;

/// Number of cases in short.
const CASES: u64 = 10;
/// What a run is continued from. The last one is changed for `CAROUSEL_FUZZ_SECONDS` alone: not all of its numbers are held to
/// bounds yet.
const FILES: [&str; 3] = ["resume.safetensors", "model.safetensors", "training.json"];

fn number_of(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
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
        let file = format!(
            "model/{}",
            FILES[mutator.below(if seconds.is_some() { 3 } else { 2 })]
        );
        for (path, bytes) in &whole {
            let bytes = match *path == file {
                true => &mutator.input(std::slice::from_ref(bytes)),
                false => bytes,
            };
            sandbox.write(path, bytes);
        }
        let outcome = sandbox.carousel("train -q --resume model");
        let place = format!("case {number}, {file}: {}", outcome.err);
        assert!(
            matches!(outcome.code, Some(0..=2)),
            "{:?} {place}",
            outcome.code
        );
        assert!(!outcome.err.contains("panicked"), "{place}");
    }
}

//! Tells the program its commit and the version of libtorch that it is made for, where both are known.

use std::fs;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=scripts/libtorch.py");
    println!("cargo:rustc-env=CAROUSEL_LIBTORCH={}", libtorch());
    println!("cargo:rustc-env=CAROUSEL_COMMIT={}", commit());
}

/// The commit of a clone, abbreviated; outside a clone nothing.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_string())
    };
    // The file changes with every commit on any branch.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=10", "HEAD"]).unwrap_or_default()
}

/// The version in the script that fetches libtorch; in a package without it nothing.
fn libtorch() -> String {
    let script = fs::read_to_string("scripts/libtorch.py").unwrap_or_default();
    let line = script
        .lines()
        .find_map(|line| line.strip_prefix("VERSION = "));
    line.unwrap_or_default().trim_matches('"').to_string()
}

/*!
Handing a command to `carousel-train`, the way git and cargo run their siblings: same terminal, same exit code, same
signals.
*/

use std::env;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};

const SIBLING: &str = "carousel-train";

/// What training wants of its surroundings; what the user has set wins.
///
/// glibc gives large blocks back to the system when they are freed and faults them in again, page by page, when they are
/// allocated at the next step: a fifth of the time of a training step. These keep them (see mallopt(3)).
///
/// libtorch's threads spin when they have nothing to do, on the cores that carousel's own threads need: with one layer of
/// 256 units that took almost half of the speed. They are to sleep.
const SURROUNDINGS: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "8589934592"),
    ("MALLOC_TRIM_THRESHOLD_", "17179869184"),
    ("OMP_WAIT_POLICY", "passive"),
];

/// Becomes `carousel-train` with the same arguments; returns only if that cannot be.
pub fn carousel_train() -> Result<()> {
    let here = env::current_exe()
        .map_err(|e| Error::new(format!("cannot tell where carousel is installed: {e}")))?;
    let sibling = here.with_file_name(format!("{SIBLING}{}", env::consts::EXE_SUFFIX));
    if !sibling.is_file() {
        return Err(Error::new(format!(
            "training needs {SIBLING}, which is not beside {}; install both with `make install` in carousel's \
             source folder",
            here.display()
        )));
    }
    if let Some(missing) = missing_library(&sibling) {
        return Err(Error::new(format!(
            "{SIBLING} needs the library {missing}, which is not where it was when {SIBLING} was built; \
             run `make libtorch build` again, or name its folder in LD_LIBRARY_PATH"
        )));
    }
    become_program(&sibling)
}

/// The first shared library that the dynamic loader would not find for `program`. It is asked as `ldd` asks it: with
/// this variable set, it lists what it would load and runs nothing.
fn missing_library(program: &Path) -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let output = Command::new(program)
        .env("LD_TRACE_LOADED_OBJECTS", "1")
        .output()
        .ok()?;
    let listing = String::from_utf8_lossy(&output.stdout).into_owned();
    let missing = listing.lines().find(|line| line.contains("not found"))?;
    Some(
        missing
            .split_whitespace()
            .next()
            .unwrap_or(missing)
            .to_string(),
    )
}

#[cfg(unix)]
fn become_program(program: &Path) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let unset = SURROUNDINGS
        .iter()
        .filter(|(name, _)| env::var_os(name).is_none());
    let error = Command::new(program)
        .args(env::args_os().skip(1))
        .envs(unset.copied())
        .exec();
    Err(Error::new(format!(
        "cannot run {}: {error}",
        program.display()
    )))
}

#[cfg(not(unix))]
fn become_program(program: &Path) -> Result<()> {
    let status = Command::new(program)
        .args(env::args_os().skip(1))
        .status()
        .map_err(|e| Error::new(format!("cannot run {}: {e}", program.display())))?;
    std::process::exit(status.code().unwrap_or(1))
}

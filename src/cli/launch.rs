/*!
Running `carousel-train`: in the place of this program, as git and cargo run their subcommands, with the same terminal,
exit code and signals; or as a process of its own.
*/

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// The program that trains.
const TRAINER: &str = "carousel-train";

/// Environment variables for training; those that the user has set are kept.
///
/// The first two let glibc keep large blocks of memory (see mallopt(3)). Otherwise it returns them to the system when
/// they are freed, and their pages are faulted in again at the next step: a fifth of the time of a training step.
///
/// The third lets libtorch's idle threads sleep. Otherwise they spin on the cores that carousel's own threads need: with
/// one layer of 256 units that cost almost half of the speed.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("MALLOC_MMAP_THRESHOLD_", "8589934592"),
    ("MALLOC_TRIM_THRESHOLD_", "17179869184"),
    ("OMP_WAIT_POLICY", "passive"),
];

/// Replaces this program by `carousel-train` with the same arguments; returns only an error.
pub fn carousel_train() -> Result<()> {
    let trainer = trainer()?;
    let mut command = command(&trainer);
    command.args(env::args_os().skip(1));
    replace_by(&trainer, command)
}

/// Path of `carousel-train`.
///
/// # Errors
/// If it is not beside this program, or lacks a library.
pub fn trainer() -> Result<PathBuf> {
    let program = env::current_exe()
        .map_err(|e| Error::new(format!("cannot find out where carousel is installed: {e}")))?;
    let trainer = program.with_file_name(format!("{TRAINER}{}", env::consts::EXE_SUFFIX));
    if !trainer.is_file() {
        return Err(Error::new(format!(
            "training needs {TRAINER}, which is not beside {}; install both with `make install` in carousel's \
             source folder",
            program.display()
        )));
    }
    match missing_library(&trainer) {
        Some(missing) => Err(Error::new(format!(
            "{TRAINER} needs the library {missing}, which is not where it was when {TRAINER} was built; \
             run `make libtorch build` again, or name its folder in LD_LIBRARY_PATH"
        ))),
        None => Ok(trainer),
    }
}

/// The command that runs `carousel-train`, with the environment that suits it.
pub fn command(trainer: &Path) -> Command {
    let unset = ENVIRONMENT
        .iter()
        .filter(|(name, _)| env::var_os(name).is_none());
    let mut command = Command::new(trainer);
    command.envs(unset.copied());
    command
}

/// The first shared library that the dynamic loader does not find for `program`. As for `ldd`, the variable makes the
/// loader list the libraries and run nothing.
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
fn replace_by(program: &Path, mut command: Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(Error::new(format!(
        "cannot run {}: {error}",
        program.display()
    )))
}

#[cfg(not(unix))]
fn replace_by(program: &Path, mut command: Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|e| Error::new(format!("cannot run {}: {e}", program.display())))?;
    std::process::exit(status.code().unwrap_or(1))
}

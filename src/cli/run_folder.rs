/*!
The folder that a training command writes.
*/

use std::path::PathBuf;

use super::standard;
use crate::checkpoint::Directory;
use crate::error::{Error, Result};

/// Checks that a folder holds no run, unless that may be replaced.
///
/// # Errors
/// If it holds one.
pub fn check_vacant(directory: &Directory, overwrite: bool) -> Result<()> {
    if overwrite || !directory.holds_run() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{0} holds a model already; continue it with --resume {0}, choose another folder, or replace it with --overwrite",
        directory.path().display()
    )))
}

/// Copies standard input, if it is named, to the model's folder, so that the run can be resumed. Returns the paths of the
/// corpus, with the copy's.
///
/// # Errors
/// If it cannot be read or written.
pub fn keep_standard_input(corpus: &[PathBuf], directory: &Directory) -> Result<Vec<PathBuf>> {
    let kept = directory.standard_input();
    if corpus.iter().any(|path| standard::is_input(path)) {
        directory.create()?;
        standard::save_input(&kept)?;
    }
    let named = |path: &PathBuf| match standard::is_input(path) {
        true => kept.clone(),
        false => path.clone(),
    };
    Ok(corpus.iter().map(named).collect())
}

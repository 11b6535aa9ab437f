/*!
The folder that a command writes: locked until the command has ended, and with a place for what it writes.
*/

use std::path::{Path, PathBuf};

use super::standard;
use crate::checkpoint::{Directory, Lock};
use crate::error::{Error, Result};

/// A folder that no other process writes in.
pub struct RunFolder {
    /// The directory to write in.
    pub directory: Directory,
    /// Of the folder, and of the language model in it, if there is one. They end when this is dropped.
    locks: Vec<Lock>,
}

impl RunFolder {
    /// The folder at `path`, whose files may be replaced.
    ///
    /// # Errors
    /// If another process writes there.
    pub fn replaceable(path: &Path) -> Result<Self> {
        let mut folder = RunFolder {
            directory: Directory::at(path),
            locks: Vec::new(),
        };
        folder.add(Lock::take(path)?);
        folder.directory.settle()?;
        let part = folder.directory.language_model();
        if part.holds_run() {
            folder.add(Lock::take(part.path())?.removing_folder());
        }
        Ok(folder)
    }

    fn add(&mut self, lock: Lock) {
        standard::notes(lock.note().map(String::from).as_slice());
        self.locks.push(lock);
    }

    /// Locks the language model that a classifier is to learn from, unless it is locked already or no other process can know
    /// of it.
    ///
    /// # Errors
    /// If another process writes there.
    pub fn lock_part(&self, part: &Directory) -> Result<Option<Lock>> {
        let is_locked = self.locks.len() > 1 || part.replaces_another();
        (!is_locked).then(|| Lock::take(part.path())).transpose()
    }

    /// The folder for a new run: one that holds none, unless that may be replaced.
    ///
    /// # Errors
    /// If it holds one; if another process writes there.
    pub fn for_new_run(path: &Path, overwrite: bool) -> Result<Self> {
        let folder = Self::replaceable(path)?;
        let directory = folder.directory.for_new_run()?;
        folder.with(directory, overwrite)
    }

    /// The same for a classifier: one that holds no language model in the place of the classifier's own either.
    ///
    /// # Errors
    /// As [`Self::for_new_run`].
    pub fn for_new_classifier(path: &Path, overwrite: bool) -> Result<Self> {
        let folder = Self::replaceable(path)?;
        let directory = folder.directory.for_new_classifier()?;
        folder.with(directory, overwrite)
    }

    /// The folder with the directory of a new run, which replaces another only if it may.
    fn with(self, directory: Directory, overwrite: bool) -> Result<Self> {
        if !directory.replaces_another() || overwrite {
            return Ok(RunFolder { directory, ..self });
        }
        let run = match self.directory.newest().holds_run() {
            true => self.directory,
            false => self.directory.language_model(),
        };
        Err(Error::usage(format!(
            "{0} holds a model already; continue it with --resume {0}, choose another folder, or replace it with \
             --overwrite",
            run.path().display()
        )))
    }

    /// The folder of a run that is to be resumed, which `command` begins.
    ///
    /// # Errors
    /// If it holds none; if another process writes there.
    pub fn of_run(path: &Path, command: &str) -> Result<Self> {
        let found = Directory::at(path).newest();
        if !found.holds_run() {
            return Err(Error::new(format!(
                "{0} holds no run to resume; `carousel {command} -o {0}` begins one",
                path.display()
            )));
        }
        let folder = Self::replaceable(path)?;
        let directory = folder.directory.newest();
        if directory.replaces_another() {
            standard::message(format!(
                "{} holds another model, until this run has weights to replace it",
                path.display()
            ));
        }
        Ok(RunFolder {
            directory,
            ..folder
        })
    }
}

/// Copies standard input, if it is named, to the model's folder, so that the run can be resumed. Returns the paths of the
/// corpus, with the copy's.
///
/// # Errors
/// If it cannot be read or written, or is empty.
pub fn keep_standard_input(corpus: &[PathBuf], directory: &Directory) -> Result<Vec<PathBuf>> {
    let kept = directory.standard_input();
    if corpus.iter().any(|path| standard::is_input(path)) {
        directory.create()?;
        if let Err(error) = standard::keep_input(&kept) {
            // What the directory held before stays, and an interrupted run has the text that it needs.
            return match directory.replaces_another() {
                true => directory.discard(&[]).and(Err(error)),
                false => Err(error),
            };
        }
    }
    let named = |path: &PathBuf| match standard::is_input(path) {
        true => kept.clone(),
        false => path.clone(),
    };
    Ok(corpus.iter().map(named).collect())
}

/// Removes what a command wrote for a run that then could not begin: a copy of standard input, or a language model whose
/// training diverged. Files of the `corpus` stay, and so does a run that was saved.
pub fn leave_nothing(corpus: &[PathBuf], directory: &Directory) {
    let part = directory.language_model();
    let part_failed = part.holds_failure();
    if part_failed {
        let _ = part.clear(corpus);
    }
    if part_failed || !directory.holds_run() {
        // The command has failed already, and says why.
        let _ = directory.discard(corpus);
    }
}

/*!
How a run replaces another one in a directory: it is written in a folder of its own there, and moves in once it has weights
that are worth it. Until then the old one is untouched.

The folder is renamed first. From that moment on its files count, wherever the move has got to, and whoever writes in the
directory next ends a move that was cut short.
*/

use std::fs;
use std::path::{Path, PathBuf};

use super::directory::{ARRIVING, CONFIG, Directory, FILES, FOLDS, LANGUAGE_MODEL, SUCCESSOR};
use super::directory::{remove, remove_folder};
use crate::error::{Error, Result};
use crate::files;

impl Directory {
    /// The directory for a new run: this one if it holds none, else a folder in it.
    ///
    /// # Errors
    /// Remains of a run that never began, which cannot be removed.
    pub fn for_new_run(&self) -> Result<Directory> {
        let newest = self.newest();
        match newest.holds_run() {
            true => newest.vacant_successor(),
            false => Ok(newest),
        }
    }

    /// The same for a classifier, which may bring a language model: a folder in it also if there is such a model already.
    ///
    /// # Errors
    /// As [`Self::for_new_run`].
    pub fn for_new_classifier(&self) -> Result<Directory> {
        let newest = self.newest();
        match newest.holds_run() || newest.language_model().holds_run() {
            true => newest.vacant_successor(),
            false => Ok(newest),
        }
    }

    fn vacant_successor(&self) -> Result<Directory> {
        let successor = self.successor();
        remove_folder(&successor.place)?;
        Ok(successor)
    }

    /// The directory of the newest run, which is the one to resume: it may be one that is to replace another.
    pub fn newest(&self) -> Directory {
        let mut newest = self.clone();
        while newest.successor().holds_run() {
            newest = newest.successor();
        }
        newest
    }

    fn successor(&self) -> Directory {
        Directory {
            path: self.path.clone(),
            place: self.place.join(SUCCESSOR),
        }
    }

    /// Whether its run is to replace another one, which is still there.
    pub fn replaces_another(&self) -> bool {
        self.place != self.path
    }

    /// Replaces the other run by this one, which has been saved completely. Returns the directory that it is in then.
    ///
    /// # Errors
    /// Files that cannot be moved; the next writer tries again.
    pub fn move_in(&self) -> Result<Directory> {
        let directory = Directory::at(&self.path);
        if self.replaces_another() {
            let arriving = self.path.join(ARRIVING);
            fs::rename(&self.place, &arriving).map_err(|e| Error::file("move", &self.place, e))?;
            files::flush_folder(&self.path)?;
            directory.settle()?;
        }
        Ok(directory)
    }

    /// Ends a move that was cut short, if there was one.
    ///
    /// # Errors
    /// Files that cannot be moved.
    pub fn settle(&self) -> Result<()> {
        let arriving = self.path.join(ARRIVING);
        if !arriving.is_dir() {
            return Ok(());
        }
        // The configuration is moved first: as long as it is not, nothing has been moved.
        let config = arriving.join(CONFIG);
        if config.exists() {
            self.remove_old(&arriving)?;
            rename(&config, &self.path.join(CONFIG))?;
        }
        move_files(&arriving, &self.path)?;
        files::flush_folder(&self.path)
    }

    /// Removes what the old run has and the arriving one has not, except the data that this one learns from.
    fn remove_old(&self, arriving: &Path) -> Result<()> {
        let kept = self.data_of_run();
        let is_kept = |path: &Path| {
            let path = path.canonicalize().ok();
            path.is_some_and(|path| kept.iter().any(|kept| kept.starts_with(&path)))
        };
        for name in FILES {
            let path = self.path.join(name);
            if !arriving.join(name).exists() && !is_kept(&path) {
                remove(&path)?;
            }
        }
        remove_folder(&self.path.join(SUCCESSOR))?;
        remove_folder(&self.path.join(FOLDS))?;
        let part = Directory::at(self.path.join(LANGUAGE_MODEL));
        let is_part = arriving.join(LANGUAGE_MODEL).exists() || self.old_is_classifier();
        match is_part && part.holds_run() && !is_kept(&part.path) {
            true => part.clear(&kept),
            false => Ok(()),
        }
    }

    /// Whether the run in the directory itself, which is to be replaced, is that of a classifier.
    fn old_is_classifier(&self) -> bool {
        let config = files::read_text(&self.path.join(CONFIG)).unwrap_or_default();
        let config: serde_json::Value = serde_json::from_str(&config).unwrap_or_default();
        config["head"]["type"] == "labels"
    }

    /// Files and folders that the newest run reads.
    fn data_of_run(&self) -> Vec<PathBuf> {
        let Ok(request) = self.load_request() else {
            return Vec::new();
        };
        let named = [request.arguments.valid, request.arguments.from];
        let paths = named.into_iter().flatten().map(PathBuf::from);
        let paths = paths.chain(request.paths);
        paths.filter_map(|path| path.canonicalize().ok()).collect()
    }

    /// Removes a run that cannot begin, or was given up before it could replace another. Files to `keep` stay, and what
    /// the directory held before.
    ///
    /// # Errors
    /// Files that cannot be removed.
    pub fn discard(&self, keep: &[PathBuf]) -> Result<()> {
        match self.replaces_another() {
            true => remove_folder(&self.place),
            false => self.clear(keep),
        }
    }
}

/// Moves everything in a folder to another one, and removes the folder.
fn move_files(from: &Path, to: &Path) -> Result<()> {
    let failed = |e| Error::file("read the folder", from, e);
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(failed)?.is_dir() {
            files::create_folder(&new)?;
            move_files(&old, &new)?;
        } else {
            rename(&old, &new)?;
        }
    }
    fs::remove_dir(from).map_err(|e| Error::file("remove", from, e))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| Error::file("replace", to, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes files with a text each, and config.json.
    fn write(folder: &Path, names: &[&str], text: &str) {
        fs::create_dir_all(folder).unwrap();
        for name in names.iter().chain(&[CONFIG]) {
            let config = format!("{{\"{text}\": 1}}");
            fs::write(folder.join(name), config).unwrap();
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_run_moves_in_at_once_and_a_move_that_was_cut_short_is_ended() {
        for cut in [false, true] {
            let place = tempfile::tempdir().unwrap();
            let folder = place.path();
            write(folder, &["report.svg", "metrics.jsonl", "own.txt"], "old");
            let old = Directory::at(folder);
            let new = old.for_new_run().unwrap();
            assert!(new.replaces_another() && new.path() == folder);
            write(&new.place, &["metrics.jsonl"], "new");
            assert_eq!(old.newest().place, new.place);
            if cut {
                // Killed after the folder was renamed and one file was moved.
                fs::rename(&new.place, folder.join(ARRIVING)).unwrap();
                old.remove_old(&folder.join(ARRIVING)).unwrap();
                rename(&folder.join(ARRIVING).join(CONFIG), &folder.join(CONFIG)).unwrap();
                assert!(old.load_metrics().unwrap().contains("new"));
                old.settle().unwrap();
            } else {
                assert_eq!(new.move_in().unwrap().place, folder);
            }
            assert_eq!(names(folder), ["config.json", "metrics.jsonl", "own.txt"]);
            assert!(old.load_metrics().unwrap().contains("new"));
        }
    }

    #[test]
    fn a_run_that_is_discarded_leaves_the_one_that_it_was_to_replace() {
        let place = tempfile::tempdir().unwrap();
        write(place.path(), &["metrics.jsonl"], "old");
        let old = Directory::at(place.path());
        let first = old.for_new_run().unwrap();
        write(&first.place, &[], "first");
        let second = old.for_new_run().unwrap();
        write(&second.place, &["metrics.jsonl"], "second");
        assert_eq!(old.newest().place, second.place);
        second.discard(&[]).unwrap();
        assert_eq!(old.newest().place, first.place);
        // The newest run takes the place of all before it.
        let third = old.for_new_run().unwrap();
        write(&third.place, &["metrics.jsonl"], "third");
        third.move_in().unwrap();
        assert_eq!(names(place.path()), ["config.json", "metrics.jsonl"]);
        assert!(old.load_metrics().unwrap().contains("third"));
    }
}

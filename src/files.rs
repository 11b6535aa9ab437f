/*!
Files and folders of the user, atomic writes, memory maps, and the memory that is available.
*/

use std::env;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::{Error, Result};

/// The user's cache folder for this program, in `$XDG_CACHE_HOME` or `~/.cache`; a temporary folder where neither is known.
pub fn cache_folder() -> PathBuf {
    user_folder("XDG_CACHE_HOME", ".cache")
        .unwrap_or_else(env::temp_dir)
        .join("carousel")
}

/// The user's data folder for this program, in `$XDG_DATA_HOME` or `~/.local/share`.
pub fn data_folder() -> Option<PathBuf> {
    user_folder("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("carousel"))
}

fn user_folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let named = env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    named.or_else(|| env::home_dir().map(|home| home.join(below_home)))
}

/// Creates a folder and its parents.
pub fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| Error::file("create the folder", folder, e))
}

/// Writes the file at `path` completely or not at all: into a partial file beside it, which is flushed and then renamed.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = partial_path(path);
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        move_partial(&partial, path)
    };
    write().map_err(|e| {
        // On a full disk the partial file would leave no room for anything else.
        let _ = fs::remove_file(&partial);
        Error::file("write", path, e)
    })
}

/// Renames a partial file that was flushed.
fn move_partial(partial: &Path, path: &Path) -> std::io::Result<()> {
    fs::rename(partial, path)?;
    // The rename reaches the disk only when the folder is flushed.
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Copies everything that `source` gives to the file at `path`, completely or not at all. Returns the number of bytes; if
/// there are none, nothing is written.
pub fn copy_atomically(source: &mut impl Read, path: &Path) -> Result<u64> {
    let partial = partial_path(path);
    let mut copy = || {
        let mut file = File::create(&partial)?;
        let bytes = std::io::copy(source, &mut file)?;
        file.sync_data()?;
        match bytes {
            0 => fs::remove_file(&partial)?,
            _ => move_partial(&partial, path)?,
        }
        Ok(bytes)
    };
    copy().map_err(|e| {
        let _ = fs::remove_file(&partial);
        Error::file("write", path, e)
    })
}

/// Flushes a folder, so that what was renamed in it reaches the disk.
pub fn flush_folder(folder: &Path) -> Result<()> {
    let flushed = File::open(folder).and_then(|folder| folder.sync_all());
    flushed.map_err(|e| Error::file("write to", folder, e))
}

/// Path of the partial file that a file is written as. It is always the same, so that the partial file of a killed run is
/// replaced by the next run.
pub fn partial_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}

/// Bytes of memory available to programs, where the system reports it.
pub fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Whether two paths lead to the same existing file or folder.
pub fn same_file(one: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| path.canonicalize().ok();
    canonical(one).is_some_and(|one| canonical(other) == Some(one))
}

/// Names of the first three files and the number of the others, for messages.
pub fn names(files: &[PathBuf]) -> String {
    let mut names: Vec<String> = files
        .iter()
        .take(3)
        .map(|file| file.display().to_string())
        .collect();
    if files.len() > names.len() {
        names.push(format!("and {} more files", files.len() - names.len()));
    }
    names.join(", ")
}

/// Reads a whole text file.
pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| Error::file("read", path, e))
}

/// Makes paths absolute, so that they can be recorded.
///
/// # Errors
/// A name that is not UTF-8, which JSON cannot hold.
pub fn absolute(files: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let absolute = |file: PathBuf| {
        if file.to_str().is_none() {
            return Err(Error::new(format!(
                "the name of {} is not UTF-8; rename it",
                file.display()
            )));
        }
        std::path::absolute(&file).map_err(|e| Error::file("find", &file, e))
    };
    files.into_iter().map(absolute).collect()
}

/// Maps an open file into memory for reading; `path` is for the message of an error.
pub fn map_file(file: &File, path: &Path) -> Result<Mmap> {
    // SAFETY: the files mapped here (token ids and weights) are written under another name and renamed into place, and
    // never changed afterwards. If another program truncates one, this process ends with a bus error, as any program that
    // maps files does.
    unsafe { Mmap::map(file) }.map_err(|e| Error::file("map", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_file_has_the_bytes_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i * 7) as u8).collect();
        write_atomically(&path, &bytes).unwrap();
        let mapped = map_file(&File::open(&path).unwrap(), &path).unwrap();
        assert_eq!(mapped[..], fs::read(&path).unwrap()[..]);
    }

    #[test]
    fn only_the_first_names_are_listed() {
        let files = ["a", "b", "c", "d", "e"].map(PathBuf::from);
        assert_eq!(names(&files[..2]), "a, b");
        assert_eq!(names(&files), "a, b, c, and 2 more files");
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        write_atomically(&path, b"old").unwrap();
        let below_a_file = path.join("new");
        assert!(write_atomically(&below_a_file, b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
}

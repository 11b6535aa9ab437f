/*!
The right to write in a folder, which one process has at a time.
*/

use std::env;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files;

/// The file that is locked. Its content is for messages alone: the lock is the system's, which ends with its process.
const LOCK: &str = ".lock";
/// Number of times that the file is opened: another process may remove it just then.
const ATTEMPTS: usize = 100;

/// The right to write in a folder, held until it is dropped and every process that shares it has ended.
pub struct Lock {
    file: File,
    path: PathBuf,
    /// Whether the folder is removed with the lock if it is empty then.
    removes_folder: bool,
    note: Option<String>,
}

/// Who holds a lock.
#[derive(Serialize, Deserialize)]
struct Holder {
    process: u32,
    since: String,
    command: String,
}

impl Lock {
    /// Locks a folder, which is created if there is none.
    ///
    /// # Errors
    /// If another process has locked it: the message says which; a folder that cannot be written.
    pub fn take(folder: &Path) -> Result<Self> {
        let is_new = !folder.exists();
        let path = folder.join(LOCK);
        for _ in 0..ATTEMPTS {
            files::create_folder(folder)?;
            let file = match open(&path) {
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                opened => opened.map_err(|e| Error::file("lock", &path, e))?,
            };
            let note = match file.try_lock() {
                Ok(()) => None,
                Err(TryLockError::WouldBlock) => return Err(in_use(folder, &path)),
                Err(TryLockError::Error(e)) => Some(format!(
                    "{} is on a file system without locks ({e}): see to it that nothing else writes there meanwhile",
                    folder.display()
                )),
            };
            // Whoever had the lock before has removed the file, and another process may have locked a new one.
            if is_at(&file, &path) {
                Holder::this().write(&file);
                return Ok(Lock {
                    file,
                    path,
                    removes_folder: is_new,
                    note,
                });
            }
        }
        Err(Error::new(format!(
            "cannot lock {}: other processes create and remove it again and again",
            path.display()
        )))
    }

    /// Whether a process that lives has said that it writes in a folder. It may have ended since, and another have its
    /// number: this is for showing alone.
    pub fn is_held(folder: &Path) -> bool {
        let holder = fs::read(folder.join(LOCK)).ok();
        let holder = holder.and_then(|json| serde_json::from_slice::<Holder>(&json).ok());
        holder.is_some_and(|holder| is_alive(holder.process))
    }

    /// The same lock of a folder that is removed with it if it is empty then, as one is that was new.
    pub fn removing_folder(mut self) -> Self {
        self.removes_folder = true;
        self
    }

    /// A note for the user, where the file system has no locks.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Empty standard input for a process that shares the lock.
    ///
    /// # Errors
    /// If the system refuses another handle of the file.
    pub fn input(&self) -> Result<Stdio> {
        // It stands at the end of the file, where there is nothing to read.
        let shared = self.file.try_clone();
        shared
            .map(Stdio::from)
            .map_err(|e| Error::file("share", &self.path, e))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is locked: whoever opened it meanwhile sees that it is gone. If this fails, the next writer
        // takes the file over.
        let _ = fs::remove_file(&self.path);
        if let (true, Some(folder)) = (self.removes_folder, self.path.parent()) {
            // This fails, as intended, if something was written.
            let _ = fs::remove_dir(folder);
        }
    }
}

impl Holder {
    fn this() -> Self {
        let arguments = env::args_os().skip(1).map(|argument| {
            let argument = argument.to_string_lossy();
            match argument.contains(char::is_whitespace) {
                true => format!("'{argument}'"),
                false => argument.into_owned(),
            }
        });
        let words: Vec<String> = ["carousel".to_string()]
            .into_iter()
            .chain(arguments)
            .collect();
        Holder {
            process: process::id(),
            since: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            command: words.join(" "),
        }
    }

    fn write(&self, mut file: &File) {
        let json = serde_json::to_vec(self).expect("a holder is plain data");
        // On a full disk the lock holds without it.
        let _ = file.set_len(0).and_then(|()| file.write_all(&json));
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true);
    options.open(path)
}

/// The error that another process has locked the folder.
fn in_use(folder: &Path, path: &Path) -> Error {
    let holder: Option<Holder> = fs::read(path)
        .ok()
        .and_then(|json| serde_json::from_slice(&json).ok());
    let who = match holder {
        Some(Holder {
            process,
            since,
            command,
        }) if is_alive(process) => {
            format!("process {process} has been writing there since {since}: `{command}`")
        }
        Some(Holder {
            process, command, ..
        }) => format!(
            "a process that process {process} began is still writing there; `{command}` itself has ended"
        ),
        None => "another process is writing there".to_string(),
    };
    Error::new(format!(
        "{} is in use: {who}; wait until it has ended, or give another folder",
        folder.display()
    ))
}

/// Whether `file` is the one at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let (opened, found) = (file.metadata().map(place), fs::metadata(path).map(place));
    matches!((opened, found), (Ok(opened), Ok(found)) if opened == found)
}

#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(unix)]
fn is_alive(process: u32) -> bool {
    use rustix::io::Errno;
    use rustix::process::{Pid, test_kill_process};
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    // A process of another user exists too.
    pid.is_some_and(|pid| !matches!(test_kill_process(pid), Err(Errno::SRCH)))
}

#[cfg(not(unix))]
fn is_alive(_process: u32) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_writer_at_a_time_and_no_trace_of_it_afterwards() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("model");
        let lock = Lock::take(&folder).unwrap();
        assert_eq!(lock.note(), None);
        assert!(Lock::is_held(&folder));
        let message = Lock::take(&folder).err().unwrap().to_string();
        let process = format!(
            "is in use: process {} has been writing there since 2",
            process::id()
        );
        assert!(message.contains(&process), "{message}");
        drop(lock);
        assert!(!folder.exists() && !Lock::is_held(&folder));
        // What was written stays, and so does a folder that was there.
        let lock = Lock::take(&folder).unwrap();
        fs::write(folder.join("file"), "written").unwrap();
        drop(lock);
        fs::remove_file(folder.join("file")).unwrap();
        drop(Lock::take(&folder).unwrap());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_a_dead_process_left_locks_nothing() {
        let place = tempfile::tempdir().unwrap();
        fs::write(
            place.path().join(LOCK),
            r#"{"process":1,"since":"x","command":"y"}"#,
        )
        .unwrap();
        let lock = Lock::take(place.path()).unwrap();
        let shared = lock.input().unwrap();
        drop((lock, shared));
        assert!(!place.path().join(LOCK).exists());
    }
}

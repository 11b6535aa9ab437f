/*!
What can go wrong, in words for the person at the keyboard.

An [`Error`] is built where the file, the line or the number is known, travels up by `?`, and is printed
once, by `main`. Its kind decides the exit code.
*/

use std::fmt;
use std::io;
use std::path::Path;

/// The result of anything that can fail for a reason a user should read.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure: one sentence that says what was found, where, and what to do about it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// What a failure means for the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The work was tried and failed: exit code 1.
    Failed,
    /// The command line asks for something impossible: exit code 2.
    Usage,
    /// The user interrupted the work, which was saved: exit code 130.
    Interrupted,
    /// Whoever read the output went away, as `head` does: exit code 0.
    BrokenPipe,
}

impl Error {
    /// The work failed.
    pub fn new(message: impl Into<String>) -> Self {
        Error {
            kind: ErrorKind::Failed,
            message: message.into(),
        }
    }

    /// The command line cannot be obeyed.
    pub fn usage(message: impl Into<String>) -> Self {
        Error {
            kind: ErrorKind::Usage,
            message: message.into(),
        }
    }

    /// The user stopped the work.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Error {
            kind: ErrorKind::Interrupted,
            message: message.into(),
        }
    }

    /// `verb` (read, write, …) failed on the file at `path`.
    pub fn file(verb: &str, path: &Path, source: io::Error) -> Self {
        let reason = match source.kind() {
            io::ErrorKind::NotFound => "there is no such file or folder".to_string(),
            io::ErrorKind::PermissionDenied => "permission was denied".to_string(),
            io::ErrorKind::StorageFull => "the disk is full".to_string(),
            _ => source.to_string(),
        };
        Error::new(format!("cannot {verb} {}: {reason}", path.display()))
    }

    /// Standard output could not be written; a closed pipe is no failure.
    pub fn output(source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::BrokenPipe => ErrorKind::BrokenPipe,
            _ => ErrorKind::Failed,
        };
        Error {
            kind,
            message: format!("cannot write to standard output: {source}"),
        }
    }

    /// What the failure means for the process.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Failed => 1,
            ErrorKind::Usage => 2,
            ErrorKind::Interrupted => 130,
            ErrorKind::BrokenPipe => 0,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

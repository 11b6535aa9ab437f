/*!
Errors with a message for the user.

An [`Error`] is built where the file, the line or the number is known, is passed up by `?`, and is printed once, by
`main`. Its kind decides the exit code.
*/

use std::fmt;
use std::io;
use std::path::Path;

/// Result of an operation that can fail with a message for the user.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure, with one sentence that says what was found, where, and what to do.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// Kind of a failure, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The work failed: exit code 1.
    Failed,
    /// The command line is wrong: exit code 2.
    Usage,
    /// The user interrupted the work, and it was saved: exit code 130.
    Interrupted,
    /// The reader of the output closed it, as `head` does: exit code 0.
    BrokenPipe,
}

impl Error {
    /// Failure of the work.
    pub fn new(message: impl Into<String>) -> Self {
        Error {
            kind: ErrorKind::Failed,
            message: message.into(),
        }
    }

    /// Wrong use of the command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Error {
            kind: ErrorKind::Usage,
            message: message.into(),
        }
    }

    /// Interruption by the user.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Error {
            kind: ErrorKind::Interrupted,
            message: message.into(),
        }
    }

    /// Failure of an operation, `verb` (read, write, …), on the file at `path`.
    pub fn file(verb: &str, path: &Path, source: io::Error) -> Self {
        let reason = match source.kind() {
            io::ErrorKind::NotFound => "there is no such file or folder".to_string(),
            io::ErrorKind::PermissionDenied => "permission was denied".to_string(),
            io::ErrorKind::StorageFull => "the disk is full".to_string(),
            io::ErrorKind::ReadOnlyFilesystem => "the disk can only be read".to_string(),
            io::ErrorKind::IsADirectory => "it is a folder, where a file is expected".to_string(),
            io::ErrorKind::NotADirectory => "a folder in its path is a file".to_string(),
            io::ErrorKind::AlreadyExists => "there is a file of that name".to_string(),
            _ => source.to_string(),
        };
        Error::new(format!("cannot {verb} {}: {reason}", path.display()))
    }

    /// Failure of a reader of the text of `file`: the error that it passed on inside of an [`io::Error`], or that itself.
    pub fn of_reader(file: &str, source: io::Error) -> Self {
        source
            .downcast()
            .unwrap_or_else(|e| Error::file("read", Path::new(file), e))
    }

    /// Failure to write to standard output, which may be a closed pipe.
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

    /// The same failure, with a file called by another name than its path.
    pub fn renamed(self, path: &Path, name: &str) -> Self {
        Error {
            message: self.message.replace(&path.display().to_string(), name),
            ..self
        }
    }

    /// The same failure of the work, with the file that it is about; wrong use of the command line stays as it is.
    pub fn in_file(self, path: &Path) -> Self {
        match self.kind {
            ErrorKind::Failed => Error {
                message: format!("{}: {}", path.display(), self.message),
                ..self
            },
            _ => self,
        }
    }

    /// Kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Exit code of the process.
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

/*!
Standard input, output and error.
*/

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::text::source::{Form, read};

/// How long written text may stay unseen: a reader does not notice, and a system call for each character would take
/// longer than the character.
const UNSEEN: Duration = Duration::from_millis(10);

/// Writes a text to standard output while it comes about.
#[derive(Default)]
pub struct Stream {
    unseen: String,
    shown: Option<Instant>,
}

impl Stream {
    /// Writes a piece, to be seen soon.
    pub fn write(&mut self, piece: &str) -> Result<()> {
        self.unseen.push_str(piece);
        if self.shown.is_some_and(|shown| shown.elapsed() < UNSEEN) {
            return Ok(());
        }
        self.show()
    }

    /// Lets everything be seen.
    pub fn show(&mut self) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(self.unseen.as_bytes())
            .and_then(|()| out.flush())
            .map_err(Error::output)?;
        self.unseen.clear();
        self.shown = Some(Instant::now());
        Ok(())
    }
}

/// Writes a line of a result to standard output.
pub fn line(text: impl Display) -> Result<()> {
    writeln!(io::stdout().lock(), "{text}").map_err(Error::output)
}

/// Tells the user something on standard error. If that is closed, there is nobody to tell.
pub fn tell(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether a path means standard input.
pub fn is_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// All of standard input, read as text files are.
pub fn read_text() -> Result<String> {
    let folder = tempfile::tempdir()
        .map_err(|e| Error::file("create a folder in", &std::env::temp_dir(), e))?;
    text_of(&keep(&folder.path().join("standard input"))?)
}

/// All of a text file.
pub fn text_of(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let each = &mut |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    read(&[path.to_path_buf()], Form::Text, false, each)?;
    String::from_utf8(bytes).map_err(|_| Error::new(format!("{} is not text", path.display())))
}

/// Copies standard input to a file, as it can be read only once.
pub fn keep(path: &Path) -> Result<PathBuf> {
    let failed = |e| Error::file("write", path, e);
    let mut file = File::create(path).map_err(|e| Error::file("create", path, e))?;
    io::copy(&mut io::stdin().lock(), &mut file).map_err(failed)?;
    file.flush().map_err(failed)?;
    Ok(path.to_path_buf())
}

/// Tells of words and characters that the model does not know.
pub fn tell_strangers(mut strangers: Vec<String>) {
    if strangers.is_empty() {
        return;
    }
    strangers.sort();
    strangers.dedup();
    let shown: Vec<String> = strangers
        .iter()
        .take(10)
        .map(|word| format!("{word:?}"))
        .collect();
    let more = if strangers.len() > 10 {
        format!(" and {} more", strangers.len() - 10)
    } else {
        String::new()
    };
    tell(format!(
        "note: the model does not know {}{more}; read as unknown",
        shown.join(", ")
    ));
}

/*!
Standard input, output and error.
*/

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

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

/// All of standard input.
pub fn read() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|e| Error::new(format!("cannot read standard input: {e}")))?;
    Ok(bytes)
}

/// All of standard input, which has to be text; `what` it is to be, for the error.
pub fn read_text(what: &str) -> Result<String> {
    text_of(read()?, what, "standard input")
}

/// Bytes as text.
pub fn text_of(bytes: Vec<u8>, what: &str, from: &str) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::new(format!("{what} in {from} is not UTF-8 text")))
}

/// Copies standard input to a writer.
pub fn copy(path: &Path, to: &mut impl Write) -> Result<()> {
    io::copy(&mut io::stdin().lock(), to).map_err(|e| Error::file("write", path, e))?;
    to.flush().map_err(|e| Error::file("write", path, e))
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

/*!
Standard input, output and error.
*/

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes a piece of a result to standard output, and lets it be seen at once.
pub fn write(piece: impl Display) -> Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{piece}")
        .and_then(|()| out.flush())
        .map_err(Error::output)
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

/// Copies standard input to a writer.
pub fn copy(path: &Path, to: &mut impl Write) -> Result<()> {
    io::copy(&mut io::stdin().lock(), to).map_err(|e| Error::file("write", path, e))?;
    to.flush().map_err(|e| Error::file("write", path, e))
}

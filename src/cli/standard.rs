/*!
Standard input, output and error.
*/

use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget};
use tempfile::TempDir;

use crate::data::labelled::{DocumentOptions, LabelledRows};
use crate::data::text_rows::{TextRow, text_rows};
use crate::error::{Error, Result};
use crate::text::Normalization;
use crate::text::source::{InvalidBytes, ReadMode, read};

/// Longest time that text is buffered. A reader does not notice it, and a system call for each character would take
/// longer than generating it.
const DELAY: Duration = Duration::from_millis(10);

/// Writes a text to standard output while it is generated.
#[derive(Default)]
pub struct TextWriter {
    pending: String,
    flushed: Option<Instant>,
}

impl TextWriter {
    /// Writes a piece, at once or with the next ones.
    pub fn write(&mut self, piece: &str) -> Result<()> {
        self.pending.push_str(piece);
        if self.flushed.is_some_and(|time| time.elapsed() < DELAY) {
            return Ok(());
        }
        self.flush()
    }

    /// Writes everything that is buffered.
    pub fn flush(&mut self) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(self.pending.as_bytes())
            .and_then(|()| out.flush())
            .map_err(Error::output)?;
        self.pending.clear();
        self.flushed = Some(Instant::now());
        Ok(())
    }
}

/// Prints a line of a result to standard output.
pub fn line(text: impl Display) -> Result<()> {
    writeln!(io::stdout().lock(), "{text}").map_err(Error::output)
}

/// Prints a message to standard error.
pub fn message(text: impl Display) {
    // If standard error is closed, the message has nowhere to go.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether a path means standard input.
pub fn is_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Reads all of standard input, as a text file is read.
pub fn read_input() -> Result<String> {
    let copy = InputCopy::new()?;
    read_text_file(&copy.save()?).map_err(|error| copy.named(error))
}

/// A temporary copy of standard input, which can be read only once; it is removed when this is dropped.
pub struct InputCopy {
    folder: TempDir,
}

impl InputCopy {
    const NAME: &str = "standard input";

    /// Nothing copied yet.
    pub fn new() -> Result<Self> {
        let folder = temporary_folder()?;
        Ok(InputCopy { folder })
    }

    /// Copies standard input; returns the copy's path.
    pub fn save(&self) -> Result<PathBuf> {
        save_input(&self.folder.path().join(Self::NAME))
    }

    /// The same error, with standard input by its name instead of the copy's path.
    pub fn named(&self, error: Error) -> Error {
        error.renamed(&self.folder.path().join(Self::NAME), Self::NAME)
    }
}

/// Reads a text file.
pub fn read_text_file(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let each = &mut |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    let invalid = InvalidBytes::Refused("convert the file to UTF-8");
    // What reads the text brings it into its own form.
    let mode = ReadMode::Text(Normalization::None);
    read(&[path.to_path_buf()], mode, invalid, each)?;
    String::from_utf8(bytes).map_err(|_| Error::new(format!("{} is not text", path.display())))
}

/// Reads a file of texts, or standard input: one a line, or objects with a text under `key`.
pub fn read_text_rows(path: &Path, key: &str) -> Result<Vec<TextRow>> {
    match is_input(path) {
        true => text_rows(&read_input()?, InputCopy::NAME, key),
        false => text_rows(&read_text_file(path)?, &path.display().to_string(), key),
    }
}

/// Creates a folder that is removed when it is dropped.
pub fn temporary_folder() -> Result<TempDir> {
    tempfile::tempdir().map_err(|e| Error::file("create a folder in", &std::env::temp_dir(), e))
}

/// Copies standard input to a file.
pub fn save_input(path: &Path) -> Result<PathBuf> {
    let failed = |e| Error::file("write", path, e);
    let mut file = File::create(path).map_err(|e| Error::file("create", path, e))?;
    io::copy(&mut io::stdin().lock(), &mut file).map_err(failed)?;
    file.flush().map_err(failed)?;
    Ok(path.to_path_buf())
}

/// Opens a file of documents, or standard input, and prints the notes on how it was understood.
pub fn open_rows(path: &Path, options: &DocumentOptions) -> Result<LabelledRows> {
    let rows = if is_input(path) {
        LabelledRows::read(io::stdin(), "standard input", options)?
    } else {
        LabelledRows::open(path, options)?
    };
    notes(&rows.notes);
    Ok(rows)
}

/// Prints notes, such as those on the reading of a file.
pub fn notes(notes: &[String]) {
    notes
        .iter()
        .for_each(|note| message(format!("note: {note}")));
}

/// Prints a note on words and characters that are not in the vocabulary.
pub fn note_unknown_words(mut words: Vec<String>) {
    if words.is_empty() {
        return;
    }
    words.sort();
    words.dedup();
    let shown: Vec<String> = words
        .iter()
        .take(10)
        .map(|word| format!("{word:?}"))
        .collect();
    let more = if words.len() > 10 {
        format!(" and {} more", words.len() - 10)
    } else {
        String::new()
    };
    message(format!(
        "note: the model does not know {}{more}; read as unknown",
        shown.join(", ")
    ));
}

/// Whether standard output shows colours: it is a terminal, and NO_COLOR is not set.
pub fn has_colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A progress bar on standard error, where that is a terminal.
pub fn progress_bar(length: u64) -> ProgressBar {
    let target = if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    ProgressBar::with_draw_target(Some(length), target)
}

/// Prints a named value.
pub(super) fn row(name: &str, value: String) -> Result<()> {
    line(format!("{name:<12}{value}"))
}

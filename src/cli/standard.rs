/*!
Standard input, output and error.
*/

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::Value;
use tempfile::TempDir;

use crate::data::labelled::{DocumentOptions, LabelledRows, format_of_name};
use crate::data::text_rows::{TextFile, TextRow};
use crate::error::{Error, Result};
use crate::files;
use crate::text::escape::{escaped_json, escaped_lines};
use crate::text::source::InvalidBytes;
use crate::text::text_reader::TextReader;

/// Longest time that text is buffered. A reader does not notice it, and a system call for each character would take
/// longer than generating it.
const DELAY: Duration = Duration::from_millis(10);

/// What standard input is called in messages.
pub const INPUT_NAME: &str = "standard input";
/// Invalid bytes are refused by commands that have no `--lossy`.
pub const CONVERTED: InvalidBytes = InvalidBytes::Refused("convert the file to UTF-8");

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
pub fn line(text: impl AsRef<str>) -> Result<()> {
    writeln!(io::stdout().lock(), "{}", text.as_ref()).map_err(Error::output)
}

/// Prints a result as a line of JSON. What a terminal would obey is in it as `\u` and the number of the character.
pub fn json_line(value: &Value) -> Result<()> {
    line(escaped_json(&value.to_string()))
}

/// Prints a message to standard error. What a message quotes of a file or a name may hold control characters: they are
/// shown as escapes.
pub fn message(text: impl Display) {
    let text = text.to_string();
    // If standard error is closed, the message has nowhere to go.
    let _ = writeln!(io::stderr().lock(), "{}", escaped_lines(&text));
}

/// Whether a path means standard input.
pub fn is_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What a path is called in messages.
pub fn input_name(path: &Path) -> String {
    match is_input(path) {
        true => INPUT_NAME.to_string(),
        false => path.display().to_string(),
    }
}

/// Reads a text file, or all of standard input.
///
/// # Errors
/// If it cannot be read. Invalid bytes, unless they are replaced.
pub fn read_text(path: &Path, invalid: InvalidBytes) -> Result<String> {
    let mut reader = open_text(path, invalid)?;
    let text = reader.rest()?;
    notes(&Vec::from_iter(reader.notes().replacements()));
    Ok(text)
}

/// Opens a text file, or standard input.
pub fn open_text(path: &Path, invalid: InvalidBytes) -> Result<TextReader> {
    match is_input(path) {
        true => TextReader::new(io::stdin(), INPUT_NAME, invalid),
        false => TextReader::open(path, invalid),
    }
}

/// A temporary copy of standard input, which can be read only once; it is removed when this is dropped.
pub struct InputCopy {
    folder: TempDir,
}

impl InputCopy {
    /// Nothing copied yet.
    pub fn new() -> Result<Self> {
        let folder = temporary_folder()?;
        Ok(InputCopy { folder })
    }

    /// Copies standard input; returns the copy's path.
    pub fn save(&self) -> Result<PathBuf> {
        let path = self.folder.path().join(INPUT_NAME);
        let failed = |e| Error::file("write", &path, e);
        let mut file = File::create(&path).map_err(failed)?;
        io::copy(&mut io::stdin().lock(), &mut file).map_err(failed)?;
        Ok(path)
    }

    /// The same error, with standard input by its name instead of the copy's path.
    pub fn named(&self, error: Error) -> Error {
        error.renamed(&self.folder.path().join(INPUT_NAME), INPUT_NAME)
    }
}

/// Reads a file of texts, or standard input: one a line, objects with a text under the key `column`, or a table with such a
/// column.
pub fn read_text_rows(path: &Path, column: &str) -> Result<Vec<TextRow>> {
    let file = TextFile {
        input: open_text(path, CONVERTED)?,
        name: &input_name(path),
        column,
    };
    let mut noted = Vec::new();
    let rows = file.rows(&mut noted);
    notes(&noted);
    rows
}

/// Prints results of rows as JSON, each with the other fields of its row.
#[derive(Default)]
pub struct RowPrinter {
    /// Names of fields of which it was said that they are hidden.
    noted: BTreeSet<String>,
}

impl RowPrinter {
    /// Prints a result. Where a row has a field of the same name as the result, that is said once.
    pub fn print(&mut self, row: &TextRow, result: Value) -> Result<()> {
        for field in row.hidden_by(&result) {
            if self.noted.insert(field.clone()) {
                message(format!(
                    "note: the rows have a field {field:?}, and the results too; only that of the result is printed"
                ));
            }
        }
        json_line(&row.with_fields(result))
    }
}

/// Creates a folder that is removed when it is dropped.
pub fn temporary_folder() -> Result<TempDir> {
    tempfile::tempdir().map_err(|e| Error::file("create a folder in", &std::env::temp_dir(), e))
}

/// Copies standard input to a file, which is written only when all of it has come.
///
/// # Errors
/// A copy that cannot be written; nothing to copy.
pub fn keep_input(path: &Path) -> Result<()> {
    match files::copy_atomically(&mut io::stdin().lock(), path)? {
        0 => Err(Error::new("there is no text in standard input")),
        _ => Ok(()),
    }
}

/// Opens a file of documents, or standard input, and prints the notes on how it was understood.
pub fn open_rows(path: &Path, options: &DocumentOptions) -> Result<LabelledRows> {
    let rows = if is_input(path) {
        LabelledRows::read(io::stdin(), INPUT_NAME, options)?
    } else {
        LabelledRows::open(path, options)?
    };
    notes(&rows.notes);
    Ok(rows)
}

/// Whether a file is a table by its name, with columns of labels and texts as they are laid out by `options`.
pub fn is_labelled(path: &Path, options: &DocumentOptions) -> bool {
    format_of_name(path).is_some() && LabelledRows::open(path, options).is_ok()
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

/// Whether standard output shows colours: it is a terminal that has some, and NO_COLOR is not set.
pub fn has_colours() -> bool {
    let plain = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !plain && !refused
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
    line(format!("{name:<12}{}", escaped_lines(&value)))
}

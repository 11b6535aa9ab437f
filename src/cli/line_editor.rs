/*!
Lines that a person types, with those of earlier sessions; or those of a pipe or a file in the place of a terminal.
*/

use std::io::{BufRead, IsTerminal, stdin};
use std::path::PathBuf;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::standard;
use crate::error::{Error, Result};
use crate::files;
use crate::text::source::InvalidBytes;
use crate::text::text_reader::TextReader;

/// A source of lines.
pub enum LineEditor {
    /// A terminal, where lines are edited, and the file with those of earlier sessions.
    Terminal(Box<DefaultEditor>, PathBuf),
    /// Another standard input, read as all text is.
    Text(Box<TextReader>),
}

impl LineEditor {
    /// The lines of standard input. On a terminal those that the file `history` in the user's cache folder holds can be
    /// called back; from elsewhere invalid bytes are treated as `invalid` says.
    ///
    /// # Errors
    /// If nothing can be read.
    pub fn new(history: &str, invalid: InvalidBytes) -> Result<Self> {
        if !stdin().is_terminal() {
            let reader = TextReader::new(stdin(), standard::INPUT_NAME, invalid)?;
            return Ok(LineEditor::Text(Box::new(reader.unbuffered())));
        }
        let mut editor = DefaultEditor::new().map_err(cannot_read)?;
        let history = files::cache_folder().join(history);
        // The first time there is no history.
        let _ = editor.load_history(&history);
        Ok(LineEditor::Terminal(Box::new(editor), history))
    }

    /// Reads a line, and adds it to the history; `None` at the end of the input.
    ///
    /// # Errors
    /// If nothing can be read; invalid bytes, unless they are replaced.
    pub fn read(&mut self) -> Result<Option<String>> {
        match self {
            LineEditor::Terminal(editor, _) => read_typed(editor),
            LineEditor::Text(reader) => read_line(reader),
        }
    }

    /// Saves the history.
    pub fn save(self) {
        match self {
            LineEditor::Terminal(mut editor, history) => {
                if files::create_folder(&files::cache_folder()).is_ok() {
                    // A history that cannot be saved is no reason to fail.
                    let _ = editor.save_history(&history);
                }
            }
            LineEditor::Text(reader) => {
                standard::notes(&Vec::from_iter(reader.notes().replacements()));
            }
        }
    }
}

fn read_typed(editor: &mut DefaultEditor) -> Result<Option<String>> {
    loop {
        let line = match editor.readline("> ") {
            Ok(line) => line,
            // At the prompt, Ctrl-C discards the line.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(None),
            Err(e) => return Err(cannot_read(e)),
        };
        if !line.is_empty() {
            // The history is not essential.
            let _ = editor.add_history_entry(&line);
        }
        return Ok(Some(line));
    }
}

fn read_line(reader: &mut TextReader) -> Result<Option<String>> {
    let mut line = String::new();
    let length = reader
        .read_line(&mut line)
        .map_err(|e| Error::of_reader(standard::INPUT_NAME, e))?;
    if line.ends_with('\n') {
        line.pop();
    }
    Ok((length > 0).then_some(line))
}

fn cannot_read(error: ReadlineError) -> Error {
    Error::new(format!("cannot read the input: {error}"))
}

/*!
Lines that a person types, with those of earlier sessions.
*/

use std::io::{IsTerminal, stdin};
use std::path::PathBuf;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::error::{Error, Result};
use crate::files;

/// An editor of lines.
pub struct LineEditor {
    editor: DefaultEditor,
    history: PathBuf,
}

impl LineEditor {
    /// An editor with the lines that the file `history` in the user's cache folder holds.
    ///
    /// # Errors
    /// If nothing can be read from the terminal.
    pub fn new(history: &str) -> Result<Self> {
        let mut editor = DefaultEditor::new().map_err(cannot_read)?;
        let history = files::cache_folder().join(history);
        // The first time there is no history.
        let _ = editor.load_history(&history);
        Ok(LineEditor { editor, history })
    }

    /// Reads a line, and adds it to the history; `None` at the end of the input.
    ///
    /// # Errors
    /// If nothing can be read.
    pub fn read(&mut self) -> Result<Option<String>> {
        loop {
            let line = match self.editor.readline("> ") {
                Ok(line) => line,
                // At the prompt, Ctrl-C discards the line.
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => return Ok(None),
                Err(e) => return Err(cannot_read(e)),
            };
            if !line.is_empty() && stdin().is_terminal() {
                // The history is not essential.
                let _ = self.editor.add_history_entry(&line);
            }
            return Ok(Some(line));
        }
    }

    /// Saves the history.
    pub fn save(mut self) {
        if files::create_folder(&files::cache_folder()).is_ok() {
            // A history that cannot be saved is no reason to fail.
            let _ = self.editor.save_history(&self.history);
        }
    }
}

fn cannot_read(error: ReadlineError) -> Error {
    Error::new(format!("cannot read the input: {error}"))
}

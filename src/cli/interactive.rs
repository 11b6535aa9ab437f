/*!
`carousel generate --interactive`: the user and the model write in turns.
*/

use std::io::{IsTerminal, stdin};
use std::sync::atomic::Ordering;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::generation::generate;
use super::interrupt;
use super::standard::{self, TextWriter};
use crate::error::{Error, Result};
use crate::files;
use crate::inference::Model;
use crate::inference::generator::{Generator, Prompt, StopConditions, TextEvent};
use crate::inference::recurrent::Clamp;
use crate::inference::sampling::Sampling;

/// File of the lines that were typed, in the user's cache folder.
const HISTORY: &str = "history";

/// Lets the user and the model write in turns, until the input ends.
pub fn run(
    model: &Model,
    clamps: &[Clamp],
    sampling: Sampling,
    stop: StopConditions,
    seed: u64,
) -> Result<()> {
    let mut editor = DefaultEditor::new().map_err(cannot_read)?;
    let history = files::cache_folder().join(HISTORY);
    // The first time there is no history.
    let _ = editor.load_history(&history);
    standard::message(format!(
        "Type how a text begins; after an empty line the model continues by itself. Ctrl-C stops it, Ctrl-D ends. Seed {seed}."
    ));
    let mut generator: Option<Generator> = None;
    let interrupted = interrupt::watch();
    while let Some(line) = read_line(&mut editor)? {
        if interrupted.swap(false, Ordering::Relaxed) {
            // The editor reads Ctrl-C as a key, so a signal at the prompt came from another program.
            break;
        }
        let text = match &generator {
            // Later input begins a line of its own, as on the screen.
            Some(_) if !line.is_empty() => format!("\n{line}"),
            _ => line,
        };
        let (tokens, unknown_words) = model.tokenizer.encode(&text);
        standard::note_unknown_words(unknown_words);
        let generator = match &mut generator {
            Some(generator) => {
                generator.continue_after(&tokens);
                generator
            }
            none => {
                let prompt = Prompt::read_clamped(model, tokens, clamps, |_| ());
                none.insert(Generator::new(&prompt, sampling, stop.clone(), seed, 0..1))
            }
        };
        let mut writer = TextWriter::default();
        generate(generator, interrupted, |_, event| match event {
            TextEvent::Piece(piece) => writer.write(piece),
            TextEvent::Finished(..) => Ok(()),
        })?;
        writer.write("\n")?;
        writer.flush()?;
        interrupted.store(false, Ordering::Relaxed);
    }
    if files::create_folder(&files::cache_folder()).is_ok() {
        // A history that cannot be saved is no reason to fail.
        let _ = editor.save_history(&history);
    }
    Ok(())
}

/// Reads a line, and adds it to the history; `None` at the end of the input.
fn read_line(editor: &mut DefaultEditor) -> Result<Option<String>> {
    loop {
        let line = match editor.readline("> ") {
            Ok(line) => line,
            // At the prompt, Ctrl-C discards the line.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(None),
            Err(e) => return Err(cannot_read(e)),
        };
        if !line.is_empty() && stdin().is_terminal() {
            // The history is not essential.
            let _ = editor.add_history_entry(&line);
        }
        return Ok(Some(line));
    }
}

fn cannot_read(error: ReadlineError) -> Error {
    Error::new(format!("cannot read the input: {error}"))
}

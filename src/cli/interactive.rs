/*!
`carousel generate --interactive`: a person and a model, in turns.
*/

use std::io::{IsTerminal, stdin};
use std::sync::atomic::Ordering;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::generate::grow;
use super::interrupt;
use super::standard::{self, Stream};
use crate::error::{Error, Result};
use crate::files;
use crate::inference::Model;
use crate::inference::generator::{Ending, Generator, News, Prompt};
use crate::inference::sampling::Sampling;

/// The lines that were typed, within the user's cache.
const HISTORY: &str = "history";

/// Takes turns until the person has had enough.
pub fn run(model: &Model, sampling: Sampling, ending: Ending, seed: u64) -> Result<()> {
    let failed = |e: ReadlineError| Error::new(format!("cannot read what is typed: {e}"));
    let mut editor = DefaultEditor::new().map_err(failed)?;
    let history = files::cache_folder().join(HISTORY);
    // The first time there is none.
    let _ = editor.load_history(&history);
    standard::tell(format!(
        "Type how a text begins; an empty line lets the model go on by itself. Ctrl-C stops it, Ctrl-D ends. Seed {seed}."
    ));
    let mut generator: Option<Generator> = None;
    let interrupted = interrupt::watch();
    loop {
        let line = match editor.readline("> ") {
            Ok(line) => line,
            // At the prompt, Ctrl-C drops the line.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(e) => return Err(failed(e)),
        };
        if interrupted.swap(false, Ordering::Relaxed) {
            // No key, but a signal from elsewhere: to stop, and not just to stop writing.
            break;
        }
        if !line.is_empty() && stdin().is_terminal() {
            // Without history one can still talk.
            let _ = editor.add_history_entry(&line);
        }
        let text = match &generator {
            // What is typed later begins a line of its own, as it does on the screen.
            Some(_) if !line.is_empty() => format!("\n{line}"),
            _ => line,
        };
        let (words, strangers) = model.tokenizer.encode(&text);
        standard::tell_strangers(strangers);
        let generator = match &mut generator {
            Some(generator) => {
                generator.go_on(&words);
                generator
            }
            none => {
                let prompt = Prompt::read(model, words, |_| ());
                none.insert(Generator::new(
                    &prompt,
                    sampling,
                    ending.clone(),
                    seed,
                    0..1,
                ))
            }
        };
        let mut stream = Stream::default();
        grow(generator, interrupted, |_, news| match news {
            News::Piece(piece) => stream.write(piece),
            News::Finished(..) => Ok(()),
        })?;
        stream.write("\n")?;
        stream.show()?;
        interrupted.store(false, Ordering::Relaxed);
    }
    if files::create_folder(&files::cache_folder()).is_ok() {
        // A history that cannot be kept is no reason to fail.
        let _ = editor.save_history(&history);
    }
    Ok(())
}

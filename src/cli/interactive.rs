/*!
`carousel generate --interactive`: the user and the model write in turns.
*/

use std::sync::atomic::Ordering;

use super::generation::generate;
use super::interrupt;
use super::line_editor::LineEditor;
use super::standard::{self, TextWriter};
use crate::error::Result;
use crate::inference::Model;
use crate::inference::generator::{Generator, Prompt, StopConditions, TextEvent};
use crate::inference::sampling::Sampling;
use crate::inference::stack::Clamp;

/// File of the lines that were typed, in the user's cache folder.
const HISTORY: &str = "history";

/// What can be typed besides text.
const HELP: &str = "\
/temperature T   below 1 more likely text, above 1 more varied text, 0 always the most probable token
/seed N          random numbers from this seed on
/reset           forget the conversation
/help            this list
A text that begins with / is typed with two: //";

/// A conversation, and how the model writes in it.
struct Conversation<'m> {
    model: &'m Model,
    clamps: &'m [Clamp],
    sampling: Sampling,
    stop: StopConditions,
    seed: u64,
    /// What the model remembers; nothing before the first text.
    generator: Option<Generator<'m>>,
}

/// A line that was typed.
#[derive(Debug, PartialEq)]
enum Input<'l> {
    Text(&'l str),
    Temperature(f32),
    Seed(u64),
    Reset,
    Help,
    /// A command that there is not, or one without its number.
    Unknown(&'l str),
}

impl<'l> Input<'l> {
    fn of(line: &'l str) -> Self {
        let Some(command) = line.strip_prefix('/') else {
            return Input::Text(line);
        };
        if command.starts_with('/') {
            return Input::Text(command);
        }
        let (name, value) = command.split_once(' ').unwrap_or((command, ""));
        let temperature = || {
            value
                .trim()
                .parse()
                .ok()
                .filter(|t: &f32| *t >= 0.0 && t.is_finite())
        };
        let known = match name.trim() {
            "temperature" | "temp" => temperature().map(Input::Temperature),
            "seed" => value.trim().parse().ok().map(Input::Seed),
            "reset" => Some(Input::Reset),
            "help" | "?" => Some(Input::Help),
            _ => None,
        };
        known.unwrap_or(Input::Unknown(line))
    }
}

/// Lets the user and the model write in turns, until the input ends.
pub fn run(
    model: &Model,
    clamps: &[Clamp],
    sampling: Sampling,
    stop: StopConditions,
    seed: u64,
) -> Result<()> {
    let mut editor = LineEditor::new(HISTORY, standard::CONVERTED)?;
    standard::message(format!(
        "Type how a text begins; after an empty line the model continues by itself. Ctrl-C stops it, Ctrl-D ends, /help \
         lists commands. Seed {seed}."
    ));
    let mut conversation = Conversation {
        model,
        clamps,
        sampling,
        stop,
        seed,
        generator: None,
    };
    let interrupted = interrupt::watch();
    while let Some(line) = editor.read()? {
        if interrupted.swap(false, Ordering::Relaxed) {
            // The editor reads Ctrl-C as a key, so a signal at the prompt came from another program.
            break;
        }
        match Input::of(&line) {
            Input::Text(text) => conversation.write(text)?,
            command => standard::message(conversation.obey(&command)),
        }
        interrupted.store(false, Ordering::Relaxed);
    }
    editor.save();
    Ok(())
}

impl Conversation<'_> {
    /// Reads a text, and writes what the model makes of it.
    fn write(&mut self, text: &str) -> Result<()> {
        let text = match &self.generator {
            // Later input begins a line of its own, as on the screen.
            Some(_) if !text.is_empty() => format!("\n{text}"),
            _ => text.to_string(),
        };
        let (tokens, unknown_words) = self.model.tokenizer.encode(&text);
        standard::note_unknown_words(unknown_words);
        let generator = match &mut self.generator {
            Some(generator) => {
                generator.continue_after(&tokens);
                generator
            }
            none => {
                let prompt = Prompt::read_clamped(self.model, tokens, self.clamps, |_| ());
                let stop = self.stop.clone();
                none.insert(Generator::new(
                    &prompt,
                    self.sampling,
                    stop,
                    self.seed,
                    0..1,
                ))
            }
        };
        let mut writer = TextWriter::default();
        generate(generator, interrupt::watch(), |_, event| match event {
            TextEvent::Piece(piece) => writer.write(piece),
            TextEvent::Token(_) | TextEvent::Finished(..) => Ok(()),
        })?;
        writer.write("\n")?;
        writer.flush()
    }

    /// Does what a command says, and tells what it did.
    fn obey(&mut self, command: &Input) -> String {
        match *command {
            Input::Temperature(temperature) => {
                self.sampling = self.sampling.at_temperature(temperature);
                if let Some(generator) = &mut self.generator {
                    generator.set_sampling(self.sampling);
                }
                format!("temperature {temperature}")
            }
            Input::Seed(seed) => {
                self.seed = seed;
                if let Some(generator) = &mut self.generator {
                    generator.reseed(seed);
                }
                format!("seed {seed}")
            }
            Input::Reset => {
                self.generator = None;
                "the conversation is forgotten".to_string()
            }
            Input::Help | Input::Text(_) => HELP.to_string(),
            Input::Unknown(line) => format!("{line} is no command here:\n{HELP}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_or_commands() {
        for (line, input) in [
            ("It was", Input::Text("It was")),
            ("", Input::Text("")),
            ("//etc", Input::Text("/etc")),
            ("/temperature 0.5", Input::Temperature(0.5)),
            ("/temp 0", Input::Temperature(0.0)),
            ("/temp warm", Input::Unknown("/temp warm")),
            ("/temp -1", Input::Unknown("/temp -1")),
            ("/seed 7", Input::Seed(7)),
            ("/reset", Input::Reset),
            ("/help", Input::Help),
            ("/quit now", Input::Unknown("/quit now")),
        ] {
            assert_eq!(Input::of(line), input, "{line}");
        }
    }
}

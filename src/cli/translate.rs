/*!
`carousel translate`.
*/

use std::io::{BufRead, IsTerminal, stdin};
use std::path::{Path, PathBuf};

use clap::Args;

use super::line_editor::LineEditor;
use super::model::{ModelArguments, default_model, default_precision};
use super::standard;
use crate::answers::translation::{Shown, object};
use crate::checkpoint::Directory;
use crate::checkpoint::record::PairsRecord;
use crate::data::pairs::LanguageProfile;
use crate::error::{Error, Result};
use crate::files;
use crate::inference::beam_search::Search;
use crate::inference::computation::PrecisionChoice;
use crate::inference::translator::{Look, Translation, Translator};
use crate::pictures::attention;
use crate::text::source::InvalidBytes;

/// The model that is used if none is given.
const DEFAULT_MODEL: &str = "en-fr";
/// File of the texts that were typed, in the user's cache folder.
const HISTORY: &str = "translate-history";
/// Number of lines that are translated together.
const BATCH_LINES: usize = 512;

/// Translate texts, line by line.
#[derive(Args)]
#[command(
    mut_arg("model", default_model(Some(DEFAULT_MODEL))),
    mut_arg("precision", default_precision(PrecisionChoice::Auto))
)]
#[command(after_help = "Examples:
  carousel translate \"Where is the station?\"
  carousel translate -m model --input letter.txt > brief.txt
  cat letter.txt | carousel translate -m model --beam 1
  carousel translate --best 3 --attention \"It is cold today.\"

One line is printed for each line, and an empty one for an empty one. A line of several sentences is
translated sentence by sentence. With --best, a line has several: the row's number, the score and
the translation, divided by tabs.

The score is the logarithm of the translation's probability, divided by ((5 + tokens) / 6) to the
power of --length-penalty; the higher the better.")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The texts; - is standard input [default: the lines of standard input]
    #[arg(value_name = "TEXT", conflicts_with = "input")]
    texts: Vec<String>,
    /// A file of lines, of any length; - is standard input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Type texts one after another, and see their translations
    #[arg(short, long, conflicts_with_all = ["texts", "input", "json"])]
    interactive: bool,
    /// Number of translations that are followed at once; 1 takes the most probable token at each step, in a fifth of the time
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    beam: u16,
    /// How much long translations are favoured, 0 or more; with 0 by their probability alone
    #[arg(long, value_name = "POWER", default_value_t = 1.0)]
    length_penalty: f64,
    /// Print the N best translations of each text, with their scores; N is --beam at most
    #[arg(long, value_name = "N")]
    best: Option<u16>,
    /// Show which words of the text each word of its translation looked at
    #[arg(long)]
    attention: bool,
    /// Draw that of the first text as a picture
    #[arg(long, value_name = "FILE.svg")]
    attention_picture: Option<PathBuf>,
    /// Replace invalid UTF-8 instead of refusing it
    #[arg(long)]
    lossy: bool,
    /// Print a JSON object for each line
    #[arg(long)]
    json: bool,
}

/// Translates texts.
pub fn run(arguments: &Arguments) -> Result<()> {
    let search = arguments.search()?;
    let directory = arguments.model.directory(Some(DEFAULT_MODEL))?;
    let translator = arguments
        .model
        .open_translator(Some(DEFAULT_MODEL), PrecisionChoice::Auto)?;
    if search.keeps_attention && !translator.has_attention() {
        return Err(Error::new(
            "this model has no attention; train one with --attention dot or additive, or leave --attention away",
        ));
    }
    let mut printer = Printer {
        arguments,
        translator,
        search,
        profile: profile(&directory),
        rows: 0,
        unknown: Vec::new(),
        cut: 0,
        unfinished: 0,
    };
    if arguments.interactive {
        return printer.translate_typed();
    }
    for text in &arguments.texts {
        if text == "-" {
            printer.translate_file(Path::new("-"))?;
            continue;
        }
        note_file(text);
        let lines: Vec<&str> = text.lines().collect();
        printer.translate(if lines.is_empty() { &[""] } else { &lines })?;
    }
    if arguments.texts.is_empty() {
        printer.translate_file(arguments.input.as_deref().unwrap_or(Path::new("-")))?;
    }
    printer.note();
    Ok(())
}

/// What tells a translator's languages apart, if its training.json is there and has it.
fn profile(directory: &Directory) -> Option<LanguageProfile> {
    let record: PairsRecord = directory.load_record().ok()?;
    Some(record.profile).filter(|profile| !profile.source_blocks.is_empty())
}

impl Arguments {
    /// How translations are searched for.
    fn search(&self) -> Result<Search> {
        let search = Search {
            beam: self.beam.into(),
            best: self.best.unwrap_or(1).into(),
            length_penalty: self.length_penalty,
            keeps_attention: self.attention || self.attention_picture.is_some(),
        };
        let search = search.checked(|name| format!("--{}", name.replace('_', "-")))?;
        let given = !self.texts.is_empty() || self.input.is_some() || self.interactive;
        if !given && stdin().is_terminal() {
            return Err(Error::usage(
                "give the texts to translate, a file with --input, a pipe, or --interactive",
            ));
        }
        Ok(search)
    }
}

/// Prints a note if a text is the name of a file, whose lines may have been meant.
fn note_file(text: &str) {
    if Path::new(text).is_file() {
        standard::message(format!(
            "note: {text} is a file, and its name was translated; --input {text} translates its lines"
        ));
    }
}

/// Translates texts, and prints the translations.
struct Printer<'a> {
    arguments: &'a Arguments,
    translator: Translator,
    search: Search,
    /// What tells the languages apart; `None` for models from before it was recorded.
    profile: Option<LanguageProfile>,
    /// Number of lines so far.
    rows: u64,
    /// What was not in the vocabulary.
    unknown: Vec<String>,
    /// Number of sentences that were cut.
    cut: usize,
    /// Number of lines whose translation came to no end.
    unfinished: usize,
}

impl Printer<'_> {
    /// Translates the lines that are typed, until the input ends.
    fn translate_typed(&mut self) -> Result<()> {
        let mut editor = LineEditor::new(HISTORY, InvalidBytes::lossy(self.arguments.lossy))?;
        standard::message("Type a text to see its translation; Ctrl-D ends.");
        while let Some(text) = editor.read()? {
            if !text.trim().is_empty() {
                self.translate(&[&text])?;
                self.note();
            }
        }
        editor.save();
        Ok(())
    }

    /// Translates the lines of a file or of standard input, in batches as they are read.
    fn translate_file(&mut self, path: &Path) -> Result<()> {
        let invalid = InvalidBytes::lossy(self.arguments.lossy);
        let mut reader = standard::open_text(path, invalid)?;
        loop {
            let mut lines = Vec::new();
            while lines.len() < BATCH_LINES {
                let mut line = String::new();
                let read = reader.read_line(&mut line);
                if read.map_err(|e| Error::of_reader(&standard::input_name(path), e))? == 0 {
                    break;
                }
                lines.push(line);
            }
            if lines.is_empty() {
                break;
            }
            self.translate(&lines.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        standard::notes(&Vec::from_iter(reader.notes().replacements()));
        Ok(())
    }

    /// Translates lines, and prints their translations.
    fn translate(&mut self, lines: &[&str]) -> Result<()> {
        let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
        self.note_doubt(&lines);
        let translations = self.translator.translate_texts(&lines, &self.search);
        for (line, translation) in lines.iter().zip(translations) {
            self.rows += 1;
            self.print(line, &translation)?;
            let best = &translation.candidates[0];
            self.unfinished += usize::from(!best.is_whole);
            self.cut += translation.cut;
            if self.rows == 1
                && let Some(path) = &self.arguments.attention_picture
            {
                draw(path, &best.looks)?;
            }
            self.unknown.extend(translation.unknown);
        }
        Ok(())
    }

    /// Says what speaks against texts as sources, once unless they are typed.
    fn note_doubt(&mut self, lines: &[&str]) {
        let profile = self.profile.as_ref();
        if let Some(doubt) = profile.and_then(|profile| profile.doubt(lines.iter().copied())) {
            standard::message(format!("note: {}", doubt.message()));
            self.profile = self.profile.take().filter(|_| self.arguments.interactive);
        }
    }

    fn print(&self, line: &str, translation: &Translation) -> Result<()> {
        if self.arguments.json {
            let shown = Shown {
                attention: self.arguments.attention,
                best: self.arguments.best.is_some(),
            };
            return standard::json_line(&object(shown, self.rows, line, translation));
        }
        for candidate in &translation.candidates {
            standard::line(match self.arguments.best {
                Some(_) => format!(
                    "{}\t{:.4}\t{}",
                    self.rows,
                    candidate.score(),
                    candidate.text
                ),
                None => candidate.text.clone(),
            })?;
            if self.arguments.attention {
                for look in &candidate.looks {
                    standard::line(attention::blocks(look))?;
                }
            }
        }
        Ok(())
    }

    /// Says what was noticed since the last time.
    fn note(&mut self) {
        standard::note_unknown_words(std::mem::take(&mut self.unknown));
        if std::mem::take(&mut self.cut) > 0 {
            standard::message(
                "note: long sentences were cut into parts, which were translated by themselves",
            );
        }
        let unfinished = std::mem::take(&mut self.unfinished);
        if unfinished > 0 {
            standard::message(format!(
                "note: {unfinished} {} came to no end, and {} cut off",
                if unfinished == 1 {
                    "translation"
                } else {
                    "translations"
                },
                if unfinished == 1 { "was" } else { "were" }
            ));
        }
    }
}

/// Draws what was looked at.
fn draw(path: &Path, looks: &[Look]) -> Result<()> {
    let picture = attention::svg(looks)
        .ok_or_else(|| Error::new("an empty text looks at nothing; give a text to draw"))?;
    files::write_atomically(path, picture.as_bytes())
}

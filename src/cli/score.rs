/*!
`carousel score`.
*/

use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};

use clap::Args;

use super::model::{ModelArguments, default_model, default_precision};
use super::standard::{self, CONVERTED, RowPrinter};
use crate::answers::score;
use crate::checkpoint::record::TextRecord;
use crate::data::text_rows::TextRow;
use crate::error::{Error, Result};
use crate::inference::computation::PrecisionChoice;
use crate::inference::evaluation::{self, ScoredText, ScoredToken};
use crate::text::escape::escaped_lines;

/// Most unknown words that are named.
const MOST_SHOWN: usize = 10;

/// Print the probability of texts under a model.
#[derive(Args)]
#[command(
    mut_arg("model", default_model(None)),
    mut_arg("precision", default_precision(PrecisionChoice::F32))
)]
#[command(after_help = "Examples:
  carousel score -m model \"It was a dark night.\" \"Night dark a was it.\"
  carousel score -m model --tokens \"It was a dark night.\"
  carousel score -m model - < letter.txt
  carousel score -m model --input sentences.jsonl --json

Each text is scored by itself, as if it began a line. A word that the model does not know costs what
its spelling costs, and is named. On a terminal the tokens are coloured by their probability, from
green for probable tokens over yellow to red.")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The texts; - is standard input [default: standard input]
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// A file with many texts: one a line; or, if its name ends with .jsonl, .csv or .tsv, objects or rows, whose other fields
    /// --json keeps
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    input: Option<PathBuf>,
    /// The column of the texts by its name or number, or the key
    #[arg(
        long,
        value_name = "NAME|N",
        requires = "input",
        default_value = "text"
    )]
    text_column: String,
    /// Print the log probability of each token too
    #[arg(long)]
    tokens: bool,
    /// Print a JSON object for each text
    #[arg(long)]
    json: bool,
}

/// Scores texts.
pub fn run(arguments: &Arguments) -> Result<()> {
    let rows = rows(arguments)?;
    let model = arguments
        .model
        .open_language_model(None, PrecisionChoice::F32)?;
    let subject: TextRecord = arguments.model.directory(None)?.load_record()?;
    let spelling = subject.statistics.spelling;
    if !arguments.json && standard::has_colours() {
        standard::message(
            "colours: from green for expected tokens over yellow to red for surprising ones",
        );
    }
    let mut printer = RowPrinter::default();
    for row in rows {
        let scored = evaluation::score(&model, &spelling, &row.text)
            .ok_or_else(|| Error::new(evaluation::EMPTY_TEXT))?;
        if arguments.json {
            printer.print(&row, score::object(&row.text, &scored, arguments.tokens))?;
        } else {
            print(&row.text, &scored, arguments.tokens)?;
        }
    }
    Ok(())
}

/// The texts, with what stands beside them.
fn rows(arguments: &Arguments) -> Result<Vec<TextRow>> {
    if let Some(file) = &arguments.input {
        return standard::read_text_rows(file, &arguments.text_column);
    }
    let mut texts = arguments.texts.clone();
    if texts.is_empty() {
        if stdin().is_terminal() {
            return Err(Error::usage(
                "give the texts to score, or - to type one, or a pipe",
            ));
        }
        texts.push("-".to_string());
    }
    let row = |text: String| {
        Ok(TextRow {
            text: match &text[..] {
                "-" => standard::read_text(Path::new("-"), CONVERTED)?,
                _ => text,
            },
            ..TextRow::default()
        })
    };
    texts.into_iter().map(row).collect()
}

/// Prints the text, the log probabilities of its tokens if requested, and the score of the whole.
fn print(text: &str, scored: &ScoredText, tokens: bool) -> Result<()> {
    if standard::has_colours() {
        let coloured: Vec<String> = scored
            .tokens
            .iter()
            .map(|token| coloured(&token.text, token.log_probability))
            .collect();
        standard::line(coloured.concat().trim_end_matches('\n'))?;
    } else {
        standard::line(escaped_lines(text.trim_end_matches('\n')))?;
    }
    if tokens {
        for token in &scored.tokens {
            // Quotes show a token's spaces and line ends.
            let note = if token.is_unknown { "  unknown" } else { "" };
            let ScoredToken {
                text,
                log_probability,
                ..
            } = token;
            standard::line(format!("{log_probability:>10.4}  {text:?}{note}"))?;
        }
    }
    standard::line(format!(
        "log probability {:.4}, perplexity {:.2}, {:.4} bits/char, {} tokens{}",
        scored.log_probability(),
        scored.score.perplexity,
        scored.score.bits_per_character,
        scored.tokens.len(),
        unknown_note(&scored.unknown().collect::<Vec<_>>())
    ))
}

/// What is said of unknown words or characters; nothing if there are none.
fn unknown_note(unknown: &[&str]) -> String {
    if unknown.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = unknown
        .iter()
        .take(MOST_SHOWN)
        .map(|word| format!("{word:?}"))
        .collect();
    let more = match unknown.len().saturating_sub(MOST_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        ", {} of them unknown and spelt out: {}{more}",
        unknown.len(),
        shown.join(", ")
    )
}

/// A token on a background of the terminal's 256 colours.
fn coloured(token: &str, log_probability: f64) -> String {
    let bits = -log_probability / std::f64::consts::LN_2;
    let colour = match bits {
        b if b < 1.0 => 22,
        b if b < 3.0 => 28,
        b if b < 5.0 => 100,
        b if b < 8.0 => 130,
        _ => 124,
    };
    // A coloured line end would colour the rest of the line on some terminals.
    let lines: Vec<String> = escaped_lines(token)
        .split('\n')
        .map(|line| {
            if line.is_empty() {
                String::new()
            } else {
                format!("\x1b[48;5;{colour}m{line}\x1b[0m")
            }
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_are_named() {
        assert_eq!(unknown_note(&[]), "");
        assert_eq!(
            unknown_note(&["a", "\t"]),
            ", 2 of them unknown and spelt out: \"a\", \"\\t\""
        );
        let many = unknown_note(&["w"; 13]);
        assert!(many.starts_with(", 13 of them") && many.ends_with("\"w\" and 3 more"));
    }

    #[test]
    fn colours_do_not_cross_line_ends() {
        assert_eq!(coloured("a", -0.1), "\x1b[48;5;22ma\x1b[0m");
        assert_eq!(coloured("a", -20.0), "\x1b[48;5;124ma\x1b[0m");
        assert_eq!(coloured("\n", -0.1), "\n");
        assert_eq!(coloured("\x1b", -0.1), "\x1b[48;5;22m\\x1b\x1b[0m");
        assert_eq!(coloured("a\n", -3.0), "\x1b[48;5;100ma\x1b[0m\n");
    }
}

/*!
The table of a comparison, for people.
*/

use indicatif::{HumanBytes, HumanCount};

use super::report::Report;
use super::results::{Row, Scores, Trained};
use super::writing::{LENGTHS, Writing};

/// Least and largest width of the column of names.
const NAMES: (usize, usize) = (10, 17);

/// A column: its heading, its width, and what it shows of a row.
type Column = (&'static str, usize, fn(&Row) -> String);

/// The lines of the table, and below it the learning rates and a line of text of each entry.
pub fn lines(report: &Report) -> Vec<String> {
    let names = report.rows.iter().map(|row| row.name.chars().count());
    let width = names.max().unwrap_or(0).clamp(NAMES.0, NAMES.1);
    let columns = columns(report);
    let name = |name: &str| format!("{:width$}", shortened(name, width));
    let headings: String = columns
        .iter()
        .map(|(heading, width, _)| format!("{heading:>width$}"))
        .collect();
    let mut lines = vec![name("") + &headings];
    for row in &report.rows {
        let cells: String = columns
            .iter()
            .map(|(_, width, cell)| format!("{:>width$}", cell(row)))
            .collect();
        lines.push((name(&row.name) + &cells).trim_end().to_string());
    }
    lines.extend(notes(report));
    lines.extend(writing(report, width));
    for row in &report.rows {
        if let Some(trained) = &row.trained {
            lines.push(format!(
                "{}  {}",
                name(&row.name),
                rate(trained, report.labelled())
            ));
        }
    }
    let samples: Vec<(&Row, &String)> = report
        .rows
        .iter()
        .filter_map(|row| Some((row, row.trained.as_ref()?.sample.as_ref()?)))
        .collect();
    if !samples.is_empty() {
        lines.push(String::new());
    }
    lines.extend(
        samples
            .iter()
            .map(|(row, text)| format!("{} | {text}", name(&row.name))),
    );
    lines
}

fn columns(report: &Report) -> Vec<Column> {
    let several = report.plan.request.seeds > 1;
    let mut columns: Vec<Column> = vec![
        ("params", 11, |row| {
            of(row, |t| Some(HumanCount(t.parameters as u64).to_string()))
        }),
        ("width", 6, |row| {
            of(row, |t| Some(t.hidden_size.to_string()))
        }),
        ("tokens/s", 10, |row| {
            of(row, |t| {
                t.tokens_per_second
                    .map(|speed| HumanCount(speed as u64).to_string())
            })
        }),
        ("memory", 9, |row| {
            of(row, |t| {
                t.memory_bytes.map(|bytes| {
                    HumanBytes(bytes / 1_048_576 * 1_048_576)
                        .to_string()
                        .replace(".00", "")
                })
            })
        }),
        ("loss", 8, |row| figure(row.scores.loss, 4)),
    ];
    if report.labelled() {
        columns.push(("accuracy", 10, |row| figure(row.scores.accuracy, 4)));
        columns.push(("macro F1", 10, |row| figure(row.scores.macro_f1, 4)));
        if several {
            columns.push(("±", 8, |row| {
                of(row, |t| t.macro_f1_spread.map(|s| format!("{s:.4}")))
            }));
        }
    } else {
        if several {
            columns.push(("±", 8, |row| {
                of(row, |t| t.loss_spread.map(|s| format!("{s:.4}")))
            }));
        }
        columns.push(("at equal", 10, |row| {
            of(row, |t| {
                t.loss_at_equal_tokens.map(|loss| format!("{loss:.4}"))
            })
        }));
        columns.push(("bits/char", 10, |row| {
            figure(row.scores.bits_per_character, 3)
        }));
        columns.push(("perplexity", 11, |row| figure(row.scores.perplexity, 2)));
    }
    columns
}

/// A name of at most `width` characters: of a longer one the beginning, and the end, which has the variant.
fn shortened(name: &str, width: usize) -> String {
    let count = name.chars().count();
    if count <= width {
        return name.to_string();
    }
    let begin: String = name.chars().take(width / 3).collect();
    let rest = count - (width - width / 3 - 1);
    format!("{begin}…{}", name.chars().skip(rest).collect::<String>())
}

/// What writing costs each entry; nothing of classifiers.
fn writing(report: &Report, names: usize) -> Vec<String> {
    let trained = report.rows.iter().filter_map(|row| {
        let writing = &row.trained.as_ref()?.writing;
        (!writing.is_empty()).then_some((row.name.as_str(), writing))
    });
    let cells = |writing: &[Writing], cell: fn(&Writing) -> String| -> String {
        writing
            .iter()
            .map(|of| format!("{:>11}", cell(of)))
            .collect()
    };
    let speed = |of: &Writing| HumanCount(of.tokens_per_second as u64).to_string();
    let kept = |of: &Writing| HumanBytes(of.state_bytes as u64).to_string();
    let line = |name: &str, left: String, right: String| {
        format!("{:names$}{left} {right}", shortened(name, names))
    };
    let mut lines: Vec<String> = trained
        .map(|(name, writing)| line(name, cells(writing, speed), cells(writing, kept)))
        .collect();
    if !lines.is_empty() {
        let lengths: String = LENGTHS
            .iter()
            .map(|length| format!("{:>11}", HumanCount(*length as u64).to_string()))
            .collect();
        let (left, right) = ("written, tokens/s at", "kept of the text");
        let width = lengths.len();
        lines.insert(
            0,
            line("", format!("{left:>width$}"), format!("{right:>width$}")),
        );
        lines.insert(1, line("", lengths.clone(), lengths));
        lines.push(String::new());
    }
    lines
}

/// What an entry has; nothing for a baseline.
fn of(row: &Row, cell: impl Fn(&Trained) -> Option<String>) -> String {
    row.trained.as_ref().map_or(String::new(), |trained| {
        cell(trained).unwrap_or_else(|| "-".to_string())
    })
}

fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_string(), |value| format!("{value:.digits$}"))
}

/// What the columns mean, where that is not plain.
fn notes(report: &Report) -> Vec<String> {
    let mut notes = vec![String::new()];
    if let (Some(tokens), false) = (report.equal_tokens, report.labelled()) {
        notes.push(format!(
            "at equal: the loss at {} tokens, which every run has read; - before a first validation",
            HumanCount(tokens)
        ));
    }
    for row in &report.rows {
        if let Some(trained) = row.trained.as_ref().filter(|trained| trained.diverged > 0) {
            notes.push(format!(
                "{}: the loss of {} of {} runs exploded",
                row.name, trained.diverged, trained.seeds
            ));
        }
    }
    notes
}

/// The learning rate, and the trials that chose it.
fn rate(trained: &Trained, labelled: bool) -> String {
    let score = |scores: &Scores| match labelled {
        true => scores.macro_f1,
        false => scores.loss,
    };
    let trials: Vec<String> = trained
        .trials
        .iter()
        .map(|trial| {
            format!(
                "{} {}",
                trial.learning_rate,
                figure(score(&trial.scores), 3)
            )
        })
        .collect();
    let rate = trained.learning_rate;
    let figure = if labelled { "macro F1" } else { "loss" };
    match trials.is_empty() {
        true => format!("learning rate {rate}, as given"),
        false => format!(
            "learning rate {rate}; {figure} of trials: {}",
            trials.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(shortened("lstm", 10), "lstm");
        assert_eq!(
            shortened("transformer:context=1024", 17),
            "trans…ontext=1024"
        );
        assert_eq!(shortened("abcdefghij", 10), "abcdefghij");
    }
}

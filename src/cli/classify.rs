/*!
`carousel classify`.
*/

use std::io::{IsTerminal, stdin, stdout};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::flags::DocumentFlags;
use super::model::{Choice, ModelArguments};
use super::standard;
use crate::data::labelled::{Count, Document, LabelledRows};
use crate::error::{Error, Result};
use crate::inference::classifier::{Classifier, Verdict};
use crate::inference::explanation::{Explanation, explain};
use crate::metrics::likeliest;

/// The model that is asked if none is named.
const SHIPS: &str = "sentiment";
/// What is answered where no label is sure enough.
const UNSURE: &str = "unsure";
/// LabelledRows that are read before they are answered, and the most bytes of them.
const ROWS: usize = 512;
const BYTES: usize = 1 << 23;
/// Pieces of a text that moved the decision most, which are listed where colours cannot show them.
const LISTED: usize = 10;

/// Tell the label, as of sentiment, of texts.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel classify \"what a film\"
  carousel classify --explain \"not bad at all\"
  carousel classify --input reviews.csv --json > labels.jsonl
  sort reviews.txt | carousel classify -m model --threshold 0.9

One line is answered for each text: its label and the probability of that; for each row of a file, its number comes first.")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The texts [default: the lines of standard input]
    #[arg(value_name = "TEXT", conflicts_with = "input")]
    texts: Vec<String>,
    /// A file of lines, CSV, TSV or JSONL, of any length; - is standard input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Tell so many labels of each text, the likeliest first
    #[arg(long, value_name = "N", default_value_t = 1)]
    top_k: usize,
    /// Answer `unsure` where no label is as probable as this
    #[arg(long, value_name = "P")]
    threshold: Option<f64>,
    /// Tell which words moved the decision, and which way
    #[arg(long)]
    explain: bool,
    /// Print a JSON object for each text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    layout: DocumentFlags,
}

/// A text, and what it is called in the answer.
struct Asked {
    row: Option<u64>,
    text: String,
}

/// Tells labels.
pub fn run(arguments: &Arguments) -> Result<()> {
    if let Some(threshold) = arguments.threshold
        && !(0.0..=1.0).contains(&threshold)
    {
        return Err(Error::usage(format!(
            "--threshold {threshold} is no probability; give one from 0 to 1"
        )));
    }
    if arguments.top_k == 0 {
        return Err(Error::usage("--top-k 0 tells nothing; give 1 or more"));
    }
    if arguments.texts.is_empty() && arguments.input.is_none() && stdin().is_terminal() {
        return Err(Error::usage(
            "give the texts to classify, a file with --input, or a pipe",
        ));
    }
    let classifier = arguments.model.open_classifier(Some(SHIPS), Choice::Auto)?;
    if !arguments.texts.is_empty() {
        let asked = |text: &String| Asked {
            row: None,
            text: text.clone(),
        };
        let asked: Vec<Asked> = arguments.texts.iter().map(asked).collect();
        return answer(arguments, &classifier, &asked);
    }
    let rows = match arguments.input.as_deref() {
        Some(path) if !standard::is_input(path) => {
            LabelledRows::open(path, &arguments.layout.options())?
        }
        _ => LabelledRows::read(stdin(), "standard input", &arguments.layout.options())?,
    };
    rows.notes
        .iter()
        .for_each(|note| standard::tell(format!("note: {note}")));
    let (mut asked, mut bytes) = (Vec::new(), 0);
    let mut count = Count::default();
    for row in rows {
        let row = row?;
        let number = row.number;
        if let Some(Document { text, .. }) = count.take(row, &mut standard::tell) {
            bytes += text.len();
            asked.push(Asked {
                row: Some(number),
                text,
            });
        }
        if asked.len() == ROWS || bytes >= BYTES {
            answer(arguments, &classifier, &asked)?;
            (asked, bytes) = (Vec::new(), 0);
        }
    }
    answer(arguments, &classifier, &asked)?;
    count.check()
}

fn answer(arguments: &Arguments, classifier: &Classifier, asked: &[Asked]) -> Result<()> {
    let texts: Vec<&str> = asked.iter().map(|asked| &asked.text[..]).collect();
    let labels = &classifier.config.labels;
    for (asked, verdict) in asked.iter().zip(classifier.classify(&texts)) {
        let best = likeliest(&verdict.probabilities);
        let sure = verdict.note.is_none()
            && arguments
                .threshold
                .is_none_or(|least| verdict.probabilities[best] >= least);
        let label = if sure { &labels[best] } else { UNSURE };
        let explanation = (arguments.explain && verdict.note.is_none())
            .then(|| explain(classifier, &asked.text, best));
        if arguments.json {
            standard::line(object(asked, labels, label, &verdict, explanation.as_ref()))?;
            continue;
        }
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|&a, &b| verdict.probabilities[b].total_cmp(&verdict.probabilities[a]));
        let mut line = asked.row.map_or_else(String::new, |row| format!("{row}\t"));
        if !sure {
            line += UNSURE;
            line += "\t";
        }
        let told =
            |&label: &usize| format!("{}\t{:.4}", labels[label], verdict.probabilities[label]);
        let told: Vec<String> = order.iter().take(arguments.top_k).map(told).collect();
        line += &told.join("\t");
        if let Some(note) = verdict.note {
            line += &format!("\t({note})");
        }
        standard::line(line)?;
        if let Some(explanation) = explanation {
            show(&explanation, &labels[best])?;
        }
    }
    Ok(())
}

fn object(
    asked: &Asked,
    labels: &[String],
    label: &str,
    verdict: &Verdict,
    explanation: Option<&Explanation>,
) -> Value {
    let probabilities: serde_json::Map<String, Value> = labels
        .iter()
        .zip(&verdict.probabilities)
        .map(|(label, &probability)| (label.clone(), json!(probability)))
        .collect();
    let mut object = json!({
        "label": label,
        "probability": verdict.probabilities[likeliest(&verdict.probabilities)],
        "probabilities": probabilities,
    });
    match asked.row {
        Some(row) => object["row"] = json!(row),
        None => object["text"] = json!(asked.text),
    }
    if let Some(note) = verdict.note {
        object["note"] = json!(note);
    }
    if let Some(explanation) = explanation {
        let piece = |piece: &crate::inference::explanation::Piece| {
            json!({
                "text": piece.text.trim(),
                "by_reading": piece.by_reading,
                "by_leaving_out": piece.by_leaving_out,
            })
        };
        object["explanation"] = explanation.pieces.iter().map(piece).collect();
    }
    object
}

/// The text with what spoke for the label in green and what spoke against it in red; without colours, what moved most.
fn show(explanation: &Explanation, label: &str) -> Result<()> {
    let colours =
        stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    if colours {
        let painted = |piece: &crate::inference::explanation::Piece| {
            let colour = match piece.by_leaving_out {
                d if d > 0.5 => 28,
                d if d > 0.15 => 22,
                d if d < -0.5 => 124,
                d if d < -0.15 => 52,
                _ => return piece.text.clone(),
            };
            format!("\x1b[48;5;{colour}m\x1b[97m{}\x1b[0m", piece.text)
        };
        let painted: Vec<String> = explanation.pieces.iter().map(painted).collect();
        return standard::line(painted.concat().trim());
    }
    let mut pieces: Vec<_> = explanation.pieces.iter().collect();
    pieces.sort_by(|a, b| b.by_leaving_out.abs().total_cmp(&a.by_leaving_out.abs()));
    standard::line(format!("    log odds of {label}: left out, read"))?;
    for piece in pieces.iter().take(LISTED) {
        standard::line(format!(
            "    {:+8.3}  {:+8.3}  {}",
            piece.by_leaving_out,
            piece.by_reading,
            piece.text.trim()
        ))?;
    }
    Ok(())
}

/*!
`carousel classify`.
*/

use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::explanation;
use super::flags::DocumentFlags;
use super::line_editor::LineEditor;
use super::model::{ModelArguments, default_model, default_precision};
use super::standard::{self, RowPrinter};
use crate::answers::classification::{Answer, check_threshold};
use crate::answers::prior::{Prior, PriorChoice};
use crate::data::labelled::{Document, DocumentOptions, RowCount};
use crate::data::text_rows::TextRow;
use crate::error::{Error, Result};
use crate::inference::classifier::{Classifier, Prediction};
use crate::inference::computation::PrecisionChoice;
use crate::text::escape::escaped;
use crate::text::source::InvalidBytes;

/// The model that is used if none is given.
const DEFAULT_MODEL: &str = "sentiment";
/// File of the texts that were typed, in the user's cache folder.
const HISTORY: &str = "classify-history";
/// Largest number of rows that are classified together.
const BATCH_ROWS: usize = 512;
/// Number of bytes of text that fill a batch before it has that many rows.
const BATCH_BYTES: usize = 1 << 23;

/// Classify texts, for example by sentiment.
#[derive(Args)]
#[command(
    mut_arg("model", default_model(Some(DEFAULT_MODEL))),
    mut_arg("precision", default_precision(PrecisionChoice::Auto))
)]
#[command(after_help = "Examples:
  carousel classify \"what a film\"
  carousel classify --explain \"a warm and funny film with a dull ending\"
  carousel classify --input reviews.csv --json > labels.jsonl
  sort reviews.txt | carousel classify -m model --threshold 0.9

One line is printed for each text: its most probable label and the label's probability, divided
by a tab. For rows of a file, the row's number comes first. Where the label is not to be trusted, a
last column says so: `unsure:` and the reason. Control characters of a label are printed as
escapes, such as \\t and \\n; --json has the label as it is.

--explain lists the words that matter most: + speaks for the printed label, - against it. The
number is how far the label's log odds fall when the word is left out.")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The texts [default: the lines of standard input]
    #[arg(value_name = "TEXT", conflicts_with = "input")]
    texts: Vec<String>,
    /// A file of lines, CSV, TSV, JSONL or fastText's lines, of any length; - is standard input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Type texts one after another, and see their labels
    #[arg(short, long, conflicts_with_all = ["texts", "input", "json"])]
    interactive: bool,
    /// Print the N most probable labels of each text
    #[arg(long, value_name = "N", default_value_t = 1)]
    top_k: usize,
    /// Mark answers as unsure where no label is as probable as this
    #[arg(long, value_name = "P")]
    threshold: Option<f64>,
    /// How frequent the labels are here, where that is otherwise than in training: a share of each, as in
    /// negative=0.2,positive=0.8; uniform; or estimate, from all the texts
    #[arg(long, value_name = "SHARES")]
    prior: Option<PriorChoice>,
    /// Show how much each word speaks for the label (+) or against it (-)
    #[arg(long)]
    explain: bool,
    /// Print a JSON object for each text, with the other fields of its row
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    layout: DocumentFlags,
}

/// A text to classify, with its row's number and other fields if it comes from a file.
#[derive(Default)]
struct InputText {
    row: Option<u64>,
    text: TextRow,
}

impl InputText {
    /// A text that comes from no file.
    fn of(text: &str) -> Self {
        InputText {
            row: None,
            text: TextRow {
                text: text.to_string(),
                ..TextRow::default()
            },
        }
    }
}

/// Classifies texts.
pub fn run(arguments: &Arguments) -> Result<()> {
    check(arguments)?;
    let model = &arguments.model;
    let classifier = model.open_classifier(Some(DEFAULT_MODEL), PrecisionChoice::Auto)?;
    let prior = arguments.prior.as_ref().map(|choice| {
        let directory = model.directory(Some(DEFAULT_MODEL))?;
        Prior::open(choice, &directory, classifier.config.labels())
    });
    let mut printer = Printer {
        arguments,
        classifier: &classifier,
        prior: prior.transpose()?,
        rows: RowPrinter::default(),
    };
    if arguments.interactive {
        return classify_typed(&mut printer);
    }
    arguments.texts.iter().for_each(|text| note_file(text));
    if !arguments.texts.is_empty() {
        let texts = arguments.texts.iter();
        let inputs: Vec<InputText> = texts.map(|text| InputText::of(text)).collect();
        return printer.classify(&inputs);
    }
    classify_rows(&mut printer)
}

fn check(arguments: &Arguments) -> Result<()> {
    check_threshold(arguments.threshold, "--threshold")?;
    if arguments.interactive && arguments.prior == Some(PriorChoice::Estimate) {
        return Err(Error::usage(
            "--prior estimate needs all texts before the first answer, and --interactive answers one by one; give shares",
        ));
    }
    if arguments.top_k == 0 {
        return Err(Error::usage("--top-k 0 prints no label; give 1 or more"));
    }
    let given = !arguments.texts.is_empty() || arguments.input.is_some() || arguments.interactive;
    if !given && stdin().is_terminal() {
        return Err(Error::usage(
            "give the texts to classify, a file with --input, a pipe, or --interactive",
        ));
    }
    Ok(())
}

/// Prints a note if a text is the name of a file, whose rows may have been meant.
fn note_file(text: &str) {
    if Path::new(text).is_file() {
        standard::message(format!(
            "note: {text} is a file, and its name was classified; --input {text} classifies its rows"
        ));
    }
}

/// Classifies the lines that are typed, until the input ends.
fn classify_typed(printer: &mut Printer) -> Result<()> {
    let invalid = InvalidBytes::lossy(printer.arguments.layout.options().lossy);
    let mut editor = LineEditor::new(HISTORY, invalid)?;
    standard::message("Type a text to see its label; Ctrl-D ends.");
    while let Some(text) = editor.read()? {
        if !text.trim().is_empty() {
            printer.classify(&[InputText::of(&text)])?;
        }
    }
    editor.save();
    Ok(())
}

/// Classifies the rows of a file or of standard input, in batches as they are read.
fn classify_rows(printer: &mut Printer) -> Result<()> {
    let arguments = printer.arguments;
    let input = arguments.input.as_deref().unwrap_or(Path::new("-"));
    let options = DocumentOptions {
        keeps_fields: arguments.json,
        ..arguments.layout.options()
    };
    let mut rows = standard::open_rows(input, &options)?;
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let mut count = RowCount::default();
    for row in rows.by_ref() {
        let row = row?;
        let number = row.number;
        if let Some(document) = count.take(row, &mut standard::message) {
            let Document { text, fields, .. } = document;
            bytes += text.len();
            batch.push(InputText {
                row: Some(number),
                text: TextRow { text, fields },
            });
        }
        let full = batch.len() == BATCH_ROWS || bytes >= BATCH_BYTES;
        // Shares are estimated from all rows together, which are then kept.
        if full && !printer.needs_all() {
            printer.classify(&batch)?;
            (batch, bytes) = (Vec::new(), 0);
        }
    }
    printer.classify(&batch)?;
    standard::notes(&rows.closing_notes());
    count.check()
}

/// Classifies texts, and prints the answers.
struct Printer<'a> {
    arguments: &'a Arguments,
    classifier: &'a Classifier,
    prior: Option<Prior>,
    rows: RowPrinter,
}

impl Printer<'_> {
    /// Whether no text can be answered before all are read.
    fn needs_all(&self) -> bool {
        self.prior.as_ref().is_some_and(Prior::is_open)
    }

    /// The predictions of texts, under the shares of labels that were asked for.
    fn predictions(&mut self, inputs: &[InputText]) -> Vec<Prediction> {
        let texts: Vec<&str> = inputs.iter().map(|input| &input.text.text[..]).collect();
        let parts = texts.chunks(BATCH_ROWS);
        let mut predictions: Vec<Prediction> = parts
            .flat_map(|part| self.classifier.classify(part))
            .collect();
        if let Some(prior) = &mut self.prior {
            let said = prior.apply_all(&mut predictions, self.classifier.config.labels());
            said.iter().for_each(standard::message);
        }
        predictions
    }

    /// Classifies a batch of texts, and prints the answers.
    fn classify(&mut self, inputs: &[InputText]) -> Result<()> {
        let predictions = self.predictions(inputs);
        let (arguments, classifier) = (self.arguments, self.classifier);
        let labels = classifier.config.labels();
        for (input, prediction) in inputs.iter().zip(predictions) {
            let mut answer = Answer::new(prediction, arguments.threshold);
            if arguments.explain {
                answer = answer.explained(classifier, &input.text.text);
            }
            let row = Row { input, answer };
            if arguments.json {
                self.rows.print(&input.text, row.object(labels))?;
                continue;
            }
            standard::line(row.line(labels, arguments.top_k))?;
            if let Some(explanation) = &row.answer.explanation {
                explanation::print(explanation, &labels[row.answer.best])?;
            }
        }
        Ok(())
    }
}

/// An answer, with the text that it is for.
struct Row<'a> {
    input: &'a InputText,
    answer: Answer,
}

impl Row<'_> {
    /// The line that is printed: row, the most probable labels with their probabilities, and a last column if they are not
    /// to be trusted. Pairs come first, so that no label can be taken for that column.
    fn line(&self, labels: &[String], top_k: usize) -> String {
        let probabilities = &self.answer.prediction.probabilities;
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        let row = self.input.row.map(|row| row.to_string());
        let top = order.iter().take(top_k);
        let pair = |&label: &usize| {
            let probability = probabilities[label];
            format!("{}\t{probability:.4}", escaped(&labels[label]))
        };
        let unsure = self
            .answer
            .unsure
            .iter()
            .map(|reason| format!("unsure: {reason}"));
        let columns: Vec<String> = row.into_iter().chain(top.map(pair)).chain(unsure).collect();
        columns.join("\t")
    }

    fn object(&self, labels: &[String]) -> Value {
        let mut object = self.answer.object(labels);
        match self.input.row {
            Some(row) => object["row"] = json!(row),
            None => object["text"] = json!(self.input.text.text),
        }
        object
    }
}

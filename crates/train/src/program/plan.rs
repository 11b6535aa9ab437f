/*!
`--plan`: a run is prepared in a temporary folder, and ends before its first step.
*/

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::progress::Progress;
use carousel::checkpoint::Directory;
use carousel::checkpoint::arguments::TrainArguments;
use carousel::cli::run_folder::keep_standard_input;
use carousel::cli::{standard, train, train_classifier, train_translator};
use carousel::error::{Error, Result};
use carousel::forecasting::numeric_series::NumericSeries;
use carousel_train::distributed::Share;
use carousel_train::run::{DataSummary, Event, ExampleRow, Plan};
use carousel_train::tasks::classifier::{self, Inner};
use carousel_train::tasks::language_model as text;
use carousel_train::tasks::series::{self, SeriesOptions};
use carousel_train::tasks::translation;

/// Shows the plan of a language model.
pub fn language_model(flags: &train::Arguments, started: Instant) -> Result<()> {
    let folder = standard::temporary_folder()?;
    let directory = Directory::at(folder.path());
    let mut output = Output::new(&folder, flags.run.json);
    let notify = &mut |event| output.take(event);
    let corpus = keep_standard_input(&flags.corpus, &directory)?;
    text::begin(
        directory,
        &corpus,
        &flags.training(),
        (started, Share::WHOLE),
        notify,
    )?
    .announce(notify);
    output.print()
}

/// Shows the plan of a classifier.
pub fn classifier(flags: &train_classifier::Arguments, started: Instant) -> Result<()> {
    let folder = standard::temporary_folder()?;
    let mut output = Output::new(&folder, flags.run.json);
    let notify = &mut |event| output.take(event);
    let directory = Directory::at(folder.path());
    let files = keep_standard_input(&flags.documents, &directory)?;
    classifier::begin(
        directory,
        &files,
        (&flags.training(), &flags.layout.options()),
        started,
        notify,
        Inner {
            language_model: &mut untrained,
            fold: None,
        },
    )?
    .announce(notify);
    output.print()
}

/// Shows the plan of a translator.
pub fn translator(flags: &train_translator::Arguments, started: Instant) -> Result<()> {
    let folder = standard::temporary_folder()?;
    let mut output = Output::new(&folder, flags.run.json);
    let notify = &mut |event| output.take(event);
    let directory = Directory::at(folder.path());
    let paths = keep_standard_input(&flags.paths(), &directory)?;
    let (arguments, layout) = (flags.training(), flags.layout());
    translation::begin(directory, &paths, (&arguments, &layout), started, notify)?.announce(notify);
    output.print()
}

/// Shows the plan of a forecaster's network.
pub fn forecaster(panel: &[NumericSeries], options: &SeriesOptions, json: bool) -> Result<()> {
    let folder = standard::temporary_folder()?;
    let mut output = Output::new(&folder, json);
    let directory = Directory::at(folder.path());
    let config = options.config(panel)?;
    if let Some((numbers, values)) = config.forecaster().filter(|_| !json) {
        standard::message(format!(
            "windows     {} steps, lags {}, season {}, horizon {}",
            numbers.window, numbers.lags, numbers.season, values.horizon
        ));
    }
    series::begin(directory, panel, options, &[], Instant::now())?
        .announce(&mut |event| output.take(event));
    output.print()
}

/// A language model of the sizes that a classifier would start from, after one step.
fn untrained(
    part: Directory,
    corpus: &Path,
    arguments: &TrainArguments,
    started: Instant,
) -> Result<()> {
    let corpus = [corpus.to_path_buf()];
    text::begin(
        part.clone(),
        &corpus,
        arguments,
        (started, Share::WHOLE),
        &mut |_| (),
    )?;
    let config = part.load_config()?;
    let one_step = TrainArguments {
        embedding_size: Some(config.tokens().embedding_size),
        hidden_size: Some(config.hidden_size()),
        num_layers: Some(config.num_layers()),
        time: None,
        epochs: None,
        steps: Some(1),
        ..arguments.clone()
    };
    let mut run = text::begin(
        part,
        &corpus,
        &one_step,
        (started, Share::WHOLE),
        &mut |_| (),
    )?;
    run.train(&false.into(), &mut |_| ())
}

/// Where a plan goes: lines for people, or an object.
struct Output {
    progress: Progress,
    json: bool,
    plan: Option<Box<Plan>>,
    /// Number of folds of cross-validation.
    folds: usize,
}

impl Output {
    fn new(folder: &TempDir, json: bool) -> Self {
        Output {
            progress: Progress::new(Directory::at(folder.path()), false),
            json,
            plan: None,
            folds: 0,
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::CrossValidation { folds, .. } if self.json => self.folds = folds,
            Event::Plan(plan) if self.json => self.plan = Some(plan),
            Event::Plan(plan) => {
                let rows = match &plan.data {
                    DataSummary::Text { rows, .. } | DataSummary::Series { rows, .. } => {
                        rows_table(rows)
                    }
                    DataSummary::Documents { .. } | DataSummary::Pairs { .. } => Vec::new(),
                };
                self.progress.show(Event::Plan(plan));
                rows.into_iter().for_each(standard::message);
            }
            event => self.progress.show(event),
        }
    }

    fn print(self) -> Result<()> {
        match self.plan {
            Some(plan) => standard::json_line(&object(&plan, self.folds)),
            None if self.json => Err(Error::new("the run has no plan")),
            None => Ok(()),
        }
    }
}

/// The first rows of a window, what each step reads above what it is to predict.
fn rows_table(rows: &[ExampleRow]) -> Vec<String> {
    let visible = |text: &String| match text.as_str() {
        "\n" => "⏎".to_string(),
        " " => "␣".to_string(),
        text => text.replace('\n', "⏎").replace(' ', "␣"),
    };
    let mut lines = Vec::new();
    for (number, row) in (1..).zip(rows) {
        let last = row.inputs.len() - 1;
        let (mut inputs, mut targets) = (String::new(), String::new());
        for (index, (input, predicted)) in row.inputs.iter().zip(&row.targets).enumerate() {
            let input = visible(input);
            let predicted: Vec<String> = predicted.iter().map(visible).collect();
            let predicted = match predicted.is_empty() {
                true => "·".to_string(),
                false => predicted.join(" "),
            };
            let width = input.chars().count().max(predicted.chars().count()) + 2;
            let gap = if index == last && last > 0 {
                "…  "
            } else {
                ""
            };
            inputs += &format!("{gap}{input:<width$}");
            targets += &format!("{gap}{predicted:<width$}");
        }
        lines.push(format!("row {number:<4}inputs   {}", inputs.trim_end()));
        lines.push(format!("        targets  {}", targets.trim_end()));
    }
    lines
}

/// A plan as an object; with folds, `seconds` are those of one of the runs, and `total_seconds` of all.
fn object(plan: &Plan, folds: usize) -> Value {
    let mut object = json!({
        "config": plan.config.to_json(),
        "options": plan.training,
        "chosen": plan.chosen,
        "data": data(&plan.data),
        "parameters": plan.config.parameters(),
        "memory_bytes": plan.memory,
        "tokens_per_second": plan.tokens_per_second,
        "steps": plan.total_steps,
        "seconds": plan.seconds,
    });
    if folds > 0 {
        object["folds"] = folds.into();
        object["total_seconds"] = (plan.seconds * (folds + 1) as f64).into();
    }
    object
}

fn objects(rows: &[ExampleRow]) -> Vec<Value> {
    let object = |row: &ExampleRow| json!({ "inputs": row.inputs, "targets": row.targets });
    rows.iter().map(object).collect()
}

fn data(data: &DataSummary) -> Value {
    match data {
        DataSummary::Text {
            train_tokens,
            valid_tokens,
            vocab_size,
            rows,
            ..
        } => json!({
            "train_tokens": train_tokens,
            "valid_tokens": valid_tokens,
            "vocab_size": vocab_size,
            "rows": objects(rows),
        }),
        DataSummary::Series {
            series,
            train_windows,
            valid_windows,
            rows,
        } => json!({
            "series": series,
            "train_windows": train_windows,
            "valid_windows": valid_windows,
            "rows": objects(rows),
        }),
        DataSummary::Pairs {
            train_pairs,
            train_tokens: [source_tokens, target_tokens],
            valid_pairs,
            vocab_sizes,
            baselines,
            ..
        } => json!({
            "train_pairs": train_pairs,
            "source_tokens": source_tokens,
            "target_tokens": target_tokens,
            "valid_pairs": valid_pairs,
            "vocab_sizes": vocab_sizes,
            "bleu_of_copy": baselines[0],
            "bleu_of_nearest": baselines[1],
        }),
        DataSummary::Documents {
            train_documents,
            train_tokens,
            valid_documents,
            ..
        } => json!({
            "train_documents": train_documents,
            "train_tokens": train_tokens,
            "valid_documents": valid_documents,
        }),
    }
}

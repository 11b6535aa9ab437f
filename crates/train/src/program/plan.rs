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
use carousel::cli::{standard, train, train_classifier};
use carousel::error::{Error, Result};
use carousel_train::run::{DataSummary, Event, Plan};
use carousel_train::tasks::{classifier, language_model as text};

/// Shows the plan of a language model.
pub fn language_model(flags: &train::Arguments, started: Instant) -> Result<()> {
    let folder = standard::temporary_folder()?;
    let directory = Directory::at(folder.path());
    let mut output = Output::new(&folder, flags.json);
    let notify = &mut |event| output.take(event);
    let corpus = keep_standard_input(&flags.corpus, &directory)?;
    text::begin(directory, &corpus, &flags.training(), started, notify)?.announce(notify);
    output.print()
}

/// Shows the plan of a classifier.
pub fn classifier(flags: &train_classifier::Arguments, started: Instant) -> Result<()> {
    let folder = standard::temporary_folder()?;
    let mut output = Output::new(&folder, flags.json);
    let notify = &mut |event| output.take(event);
    classifier::begin(
        Directory::at(folder.path()),
        &flags.documents,
        (&flags.training(), &flags.layout.options()),
        started,
        notify,
        &mut |part, corpus, arguments| untrained(part, corpus, arguments, started),
    )?
    .announce(notify);
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
    text::begin(part.clone(), &corpus, arguments, started, &mut |_| ())?;
    let config = part.load_config()?;
    let one_step = TrainArguments {
        embedding_size: Some(config.tokens().embedding_size),
        hidden_size: Some(config.recurrent().hidden_size),
        num_layers: Some(config.recurrent().num_layers),
        time: None,
        epochs: None,
        steps: Some(1),
        ..arguments.clone()
    };
    let mut run = text::begin(part, &corpus, &one_step, started, &mut |_| ())?;
    run.train(&false.into(), &mut |_| ())
}

/// Where a plan goes: lines for people, or an object.
struct Output {
    progress: Progress,
    json: bool,
    plan: Option<Box<Plan>>,
}

impl Output {
    fn new(folder: &TempDir, json: bool) -> Self {
        Output {
            progress: Progress::new(Directory::at(folder.path()), false),
            json,
            plan: None,
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Plan(plan) if self.json => self.plan = Some(plan),
            event => self.progress.show(event),
        }
    }

    fn print(self) -> Result<()> {
        match self.plan {
            Some(plan) => standard::line(object(&plan)),
            None if self.json => Err(Error::new("the run has no plan")),
            None => Ok(()),
        }
    }
}

fn object(plan: &Plan) -> Value {
    json!({
        "config": plan.config.to_json(),
        "options": plan.training,
        "chosen": plan.chosen,
        "data": data(&plan.data),
        "parameters": plan.config.parameters(),
        "memory_bytes": plan.memory,
        "tokens_per_second": plan.tokens_per_second,
        "steps": plan.total_steps,
        "seconds": plan.seconds,
    })
}

fn data(data: &DataSummary) -> Value {
    match data {
        DataSummary::Text {
            train_tokens,
            valid_tokens,
            vocab_size,
            ..
        } => json!({
            "train_tokens": train_tokens,
            "valid_tokens": valid_tokens,
            "vocab_size": vocab_size,
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

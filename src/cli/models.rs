/*!
`carousel models`: the models that commands find by name.
*/

use std::fs;

use clap::Args;
use indicatif::{HumanBytes, HumanCount};
use serde::Deserialize;
use serde_json::{Value, json};

use super::standard::{json_line, line, message};
use crate::checkpoint::parts::Head;
use crate::checkpoint::record::{Evaluation, best};
use crate::checkpoint::{Directory, ModelConfig, models};
use crate::error::Result;

/// List the models that are found by name.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel models
  carousel models --json

Models are searched in the folder that CAROUSEL_MODELS names, in ./checkpoints, and where `make install` puts them.")]
pub struct Arguments {
    /// Print a JSON object for each model
    #[arg(long)]
    json: bool,
}

/// Prints the models.
pub fn run(arguments: &Arguments) -> Result<()> {
    let found = models::all();
    if found.is_empty() {
        message("no model has a name here; `carousel train CORPUS -o checkpoints/NAME` makes one");
        return Ok(());
    }
    if !arguments.json {
        line(format!(
            "{:14}{:12}{:>12}{:>12}  {:18}{:32}learnt from",
            "name", "task", "parameters", "bytes", "figures", "found in"
        ))?;
    }
    for directory in found {
        let model = Model::read(&directory)?;
        match arguments.json {
            true => json_line(&model.object())?,
            false => line(model.row())?,
        }
    }
    Ok(())
}

/// What is told of a model.
struct Model {
    name: String,
    task: &'static str,
    parameters: usize,
    bytes: u64,
    /// The figures of its best evaluation.
    figures: Value,
    /// Names of the files that it learnt from.
    corpus: Vec<String>,
    folder: String,
}

impl Model {
    fn read(directory: &Directory) -> Result<Self> {
        let config = directory.load_config()?;
        // A model whose record is gone still works.
        let record: Value = directory.load_record().unwrap_or_default();
        let files = fs::read_dir(directory.path()).into_iter().flatten();
        let sizes = files.flatten().filter_map(|file| file.metadata().ok());
        Ok(Model {
            name: directory.name(),
            task: task(&config),
            parameters: config.parameters(),
            bytes: sizes.map(|file| file.len()).sum(),
            figures: figures(&record),
            corpus: corpus(&record),
            folder: directory.path().display().to_string(),
        })
    }

    fn row(&self) -> String {
        let shown = [
            ("accuracy", "accuracy"),
            ("bits_per_character", "bits/char"),
            ("bleu", "BLEU"),
        ];
        let figures: Vec<String> = shown
            .iter()
            .filter_map(|(key, name)| Some(format!("{name} {:.3}", self.figures[key].as_f64()?)))
            .collect();
        format!(
            "{:14}{:12}{:>12}{:>12}  {:18}{:32}{}",
            self.name,
            self.task,
            HumanCount(self.parameters as u64).to_string(),
            HumanBytes(self.bytes).to_string(),
            figures.join(", "),
            self.folder,
            self.corpus.join(", ")
        )
    }

    fn object(&self) -> Value {
        json!({
            "name": self.name,
            "task": self.task,
            "parameters": self.parameters,
            "bytes": self.bytes,
            "validation": self.figures,
            "corpus": self.corpus,
            "folder": self.folder,
        })
    }
}

fn task(config: &ModelConfig) -> &'static str {
    match config.head {
        _ if config.target().is_some() => "translates",
        Head::Labels(_) => "classifies",
        Head::NextToken(_) => "writes",
        Head::Values(_) => "forecasts",
    }
}

/// The figures of the evaluation whose weights were saved, or those of n-grams.
fn figures(record: &Value) -> Value {
    let evaluations = Vec::<Evaluation>::deserialize(&record["evaluations"]).unwrap_or_default();
    best(&evaluations).map_or_else(|| record["validation"].clone(), |best| json!(best))
}

fn corpus(record: &Value) -> Vec<String> {
    let paths = record["request"]["paths"].as_array().into_iter().flatten();
    let name = |path: &Value| {
        let path = path.as_str()?;
        Some(path.rsplit('/').next().unwrap_or(path).to_string())
    };
    let mut names: Vec<String> = paths.filter_map(name).collect();
    names.sort();
    names.dedup();
    names
}

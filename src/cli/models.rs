/*!
`carousel models`: the models that commands find by name, and the card of one.
*/

use std::fs;
use std::path::PathBuf;

use clap::Args;
use indicatif::{HumanBytes, HumanCount};
use serde::Deserialize;
use serde_json::{Value, json};

use super::standard::{json_line, line, message};
use crate::checkpoint::parts::Head;
use crate::checkpoint::record::{Evaluation, best};
use crate::checkpoint::{Directory, ModelConfig, models};
use crate::error::Result;

/// List the models that are found by name, or show the card of one.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel models
  carousel models sentiment
  carousel models --json

Models are searched in the folder that CAROUSEL_MODELS names, in ./checkpoints, and where `make install` puts them.")]
pub struct Arguments {
    /// The model whose card is shown: its data, licence, figures and weaknesses; its folder, or the name of one that ships
    #[arg(value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Print a JSON object for each model
    #[arg(long)]
    json: bool,
}

/// Prints the models.
pub fn run(arguments: &Arguments) -> Result<()> {
    if let Some(model) = &arguments.model {
        return show(&models::find(model)?, arguments.json);
    }
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

/// Prints what is known of a model, and its card.
fn show(directory: &Directory, json: bool) -> Result<()> {
    let model = Model::read(directory)?;
    let card = directory.load_card()?;
    if json {
        let mut object = model.object();
        object["card"] = json!(card);
        return json_line(&object);
    }
    let name = &model.name;
    line(format!(
        "{name} {}: {} parameters, {}, in {}",
        model.task,
        HumanCount(model.parameters as u64),
        HumanBytes(model.bytes),
        model.folder
    ))?;
    if !model.corpus.is_empty() {
        line(format!("learnt from {}", model.corpus.join(", ")))?;
    }
    match card {
        Some(card) => line(format!("\n{}", card.trim_end())),
        None => line(format!(
            "it has no card; `carousel inspect {}` shows its options and its history",
            directory.path().display()
        )),
    }
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

/*!
The report of a comparison: rows, and what they were compared at.
*/

use serde_json::{Value, json};

use super::baselines::baselines;
use super::curve::{Curve, common_tokens};
use super::folder::Folder;
use super::plan::{Network, Plan};
use super::results::{self, Row, RunResult, Trial, mean};
use super::{validation, writing};
use crate::error::Result;

/// Results of a whole comparison.
#[derive(Clone, Debug)]
pub struct Report {
    /// The plan.
    pub plan: Plan,
    /// Entries and baselines, the best first.
    pub rows: Vec<Row>,
    /// The largest number of tokens that all runs reached.
    pub equal_tokens: Option<u64>,
}

/// Results of the runs of an entry.
pub struct EntryResult {
    /// The network.
    pub network: Network,
    /// The learning rate that was chosen.
    pub learning_rate: f64,
    /// The learning rates that were tried.
    pub trials: Vec<Trial>,
    /// The runs.
    pub runs: Vec<RunResult>,
}

impl Report {
    /// Brings the results of all entries together.
    ///
    /// # Errors
    /// Files of runs that are damaged.
    pub fn new(plan: Plan, folder: &Folder, entries: &[EntryResult]) -> Result<Self> {
        let curves = || {
            entries
                .iter()
                .flat_map(|entry| &entry.runs)
                .map(|run| &run.curve)
        };
        let learnt = |curve: &&Curve| !curve.points.is_empty();
        let equal_tokens = common_tokens(curves().filter(learnt));
        let mut rows = Vec::new();
        for entry in entries {
            rows.push(row(&plan, folder, entry, equal_tokens)?);
        }
        if let Some(entry) = entries.first()
            && let Some(run) = plan.runs(&entry.network, entry.learning_rate).first()
        {
            let record = folder.directory(run).load_record::<serde_json::Value>()?;
            rows.extend(baselines(&record).iter().filter_map(Row::of_baseline));
        }
        results::sort(&mut rows);
        Ok(Report {
            plan,
            rows,
            equal_tokens,
        })
    }

    /// Whether classifiers are compared.
    pub fn labelled(&self) -> bool {
        self.plan.request.documents.is_some()
    }

    /// The object in compare.json.
    pub fn object(&self) -> Value {
        let request = &self.plan.request;
        json!({
            "version": request.version,
            "corpus": request.corpus,
            "task": match self.labelled() {
                true => "classifier",
                false => "language_model",
            },
            "budget": request.budget,
            "match": request.matching,
            "seeds": request.seeds,
            "flags": request.flags,
            "equal_tokens": self.equal_tokens,
            "entries": self.rows,
        })
    }
}

fn row(
    plan: &Plan,
    folder: &Folder,
    entry: &EntryResult,
    equal_tokens: Option<u64>,
) -> Result<Row> {
    let EntryResult {
        network,
        learning_rate,
        trials,
        runs,
    } = entry;
    let mut row = Row::of_entry(network, *learning_rate, trials.clone(), runs);
    if let Some(trained) = &mut row.trained {
        let losses = equal_tokens.map(|tokens| {
            let losses = runs.iter().filter_map(|run| run.curve.loss_at(tokens));
            losses.collect::<Vec<f64>>()
        });
        trained.loss_at_equal_tokens = losses.and_then(|losses| mean(&losses));
        if plan.request.documents.is_none() {
            let runs = plan.runs(network, *learning_rate);
            let mut directories = runs.iter().map(|run| folder.directory(run));
            if let Some(directory) = directories.find(|directory| directory.has_weights()) {
                trained.sample = Some(validation::sample(&directory)?);
                trained.writing = writing::measure(&directory)?;
            }
        }
    }
    Ok(row)
}

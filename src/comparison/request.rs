/*!
The request for a comparison, as it was typed.
*/

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::checkpoint::data_paths::DataPaths;
use crate::checkpoint::record::Budget;
use crate::data::labelled::DocumentOptions;
use crate::error::{Error, Result};

/// Flags of the training command that the comparison itself sets.
const OWN_FLAGS: [&str; 12] = [
    "--output",
    "-o",
    "--resume",
    "--overwrite",
    "--plan",
    "--json",
    "--quiet",
    "-q",
    "--time",
    "--epochs",
    "--steps",
    "--seed",
];

/// The flag of the validation data, before its value.
const VALID: &str = "--valid=";

/// What is equal for all entries, besides the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    /// The number of parameters, without the embedding.
    Params,
    /// The time; each has the width that suits it.
    Time,
}

/// What is compared, and on what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The version of carousel.
    pub version: String,
    /// Files and folders of data, as absolute paths.
    pub corpus: Vec<PathBuf>,
    /// Layout of labelled documents; `None` for text.
    pub documents: Option<DocumentOptions>,
    /// The networks.
    pub entries: Vec<Entry>,
    /// The budget of each run.
    pub budget: Budget,
    /// What is equal for all entries; `None`: the number of steps alone.
    #[serde(rename = "match")]
    pub matching: Option<Matching>,
    /// Number of runs of each entry, with the seeds from 1 on.
    pub seeds: u64,
    /// Flags for every run.
    pub flags: Vec<String>,
}

impl Request {
    /// Checks what can be checked before any work.
    ///
    /// # Errors
    /// An empty budget; flags that contradict the comparison.
    pub fn check(&self) -> Result<()> {
        match self.budget {
            Budget::Steps(0) => {
                return Err(Error::usage("--steps 0 is no budget; give 1 or more"));
            }
            Budget::Seconds(seconds) if seconds <= 0.0 => {
                return Err(Error::usage("--time 0 is no budget; give 30s, 2m, 1h …"));
            }
            Budget::Steps(_) if self.matching == Some(Matching::Time) => {
                return Err(Error::usage(
                    "--match time gives every run the same time, but --steps gives none; give --time, or --match params",
                ));
            }
            _ => {}
        }
        let own = |flag: &&str| OWN_FLAGS.contains(&flag_name(flag));
        if let Some(flag) = self.flags.iter().map(String::as_str).find(own) {
            return Err(Error::usage(format!(
                "{} after -- is set by the comparison itself; give its own flags before --",
                flag_name(flag)
            )));
        }
        if self.matching == Some(Matching::Params) && self.gives("--hidden-size") {
            return Err(Error::usage(
                "--match params chooses each width, but --hidden-size gives one for all; leave one of them away",
            ));
        }
        Ok(())
    }

    /// Whether a flag is given for every run.
    pub fn gives(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| flag_name(given) == flag)
    }

    /// The data.
    pub fn data(&self) -> DataPaths {
        let valid = self.flags.iter().find_map(|flag| flag.strip_prefix(VALID));
        let valid = valid.filter(|valid| valid.parse::<f64>().is_err());
        DataPaths {
            paths: self.corpus.clone(),
            valid: valid.map(PathBuf::from),
        }
    }

    /// Replaces the paths of the data, which has moved.
    pub fn move_data(&mut self, data: &DataPaths) {
        self.corpus.clone_from(&data.paths);
        if let Some(valid) = &data.valid {
            let flags = self.flags.iter_mut();
            for flag in flags.filter(|flag| flag.starts_with(VALID)) {
                *flag = format!("{VALID}{}", valid.display());
            }
        }
    }

    /// The training command.
    pub fn command(&self) -> &'static str {
        match self.documents {
            None => "train",
            Some(_) => "train-classifier",
        }
    }

    /// The seeds of the runs of an entry.
    pub fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        1..=self.seeds
    }

    /// Arguments of a training command for an entry: its data, and the flags that all runs have.
    pub fn arguments(&self, entry: &Entry) -> Vec<String> {
        let mut arguments = vec![self.command().to_string()];
        let paths = self.corpus.iter().map(|path| path.display().to_string());
        arguments.extend(paths);
        if let Some(documents) = &self.documents {
            let format = serde_json::json!(documents.format);
            let format = format.as_str().map(String::from);
            let named = [
                ("--format", &format),
                ("--label-column", &documents.label_column),
                ("--text-column", &documents.text_column),
            ];
            for (flag, value) in named {
                arguments.extend(
                    value
                        .iter()
                        .flat_map(|value| [flag.to_string(), value.clone()]),
                );
            }
        }
        if self.documents.is_none() && !self.gives("--interpolate") {
            // The networks themselves are compared, with n-grams as a baseline.
            arguments.push("--interpolate=false".to_string());
        }
        arguments.extend(entry.flags.iter().chain(&self.flags).cloned());
        arguments
    }
}

/// The name of a flag that may have its value with it.
pub fn flag_name(flag: &str) -> &str {
    flag.split('=').next().unwrap_or(flag)
}

/// The flags of a budget.
pub fn budget_flags(budget: Budget) -> [String; 2] {
    match budget {
        Budget::Seconds(seconds) => [
            "--time".to_string(),
            format!("{}ms", (seconds * 1e3).round()),
        ],
        Budget::Steps(steps) => ["--steps".to_string(), steps.to_string()],
        Budget::Epochs(epochs) => ["--epochs".to_string(), epochs.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(budget: Budget, matching: Matching, flags: &[&str]) -> Request {
        Request {
            version: "0".to_string(),
            corpus: vec!["text".into()],
            documents: None,
            entries: Vec::new(),
            budget,
            matching: Some(matching),
            seeds: 1,
            flags: flags.iter().map(|flag| flag.to_string()).collect(),
        }
    }

    #[test]
    fn contradictions_are_refused_before_any_work() {
        let (steps, time) = (Budget::Steps(10), Budget::Seconds(1.0));
        let table = [
            (request(steps, Matching::Time, &[]), "--match time"),
            (
                request(Budget::Steps(0), Matching::Params, &[]),
                "--steps 0",
            ),
            (
                request(time, Matching::Time, &["--seed", "3"]),
                "--seed after --",
            ),
            (
                request(time, Matching::Params, &["--hidden-size=9"]),
                "--hidden-size gives one for all",
            ),
        ];
        for (request, message) in table {
            let error = request.check().unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let fine = request(time, Matching::Time, &["--hidden-size", "9"]);
        assert!(fine.check().is_ok());
    }
}

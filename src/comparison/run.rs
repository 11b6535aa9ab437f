/*!
One run of a comparison.
*/

use serde::{Deserialize, Serialize};

use crate::checkpoint::record::Budget;
use crate::metrics::LanguageScore;

/// A run of the training command, in a folder of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Name of its folder.
    pub folder: String,
    /// What it is, for people.
    pub label: String,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// The seed.
    pub seed: u64,
    /// Seconds that it takes, an estimate unless that is its budget.
    pub seconds: f64,
    /// Arguments of the training command, but for the folder.
    pub arguments: Vec<String>,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To choose the learning rate.
    Trial,
    /// To be compared.
    Result,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is there.
    Vacant,
    /// It has begun, and can be resumed.
    Begun,
    /// It is finished.
    Finished,
}

/// What the run's own files do not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Largest memory of the process, in bytes.
    pub memory_bytes: Option<u64>,
    /// Score of a language model's best weights on the validation data.
    pub score: Option<LanguageScore>,
}

/// A budget, for people.
pub fn budget_text(budget: Budget) -> String {
    match budget {
        Budget::Seconds(seconds) => duration(seconds),
        Budget::Steps(1) => "1 step".to_string(),
        Budget::Steps(steps) => format!("{steps} steps"),
        Budget::Epochs(epochs) => format!("{epochs} epochs"),
    }
}

/// Whole seconds in units for people.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 1e9).round() as u64;
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}

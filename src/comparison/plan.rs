/*!
The plan of a comparison: the network of each entry, the learning rates that are tried, and the runs.
*/

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::Entry;
use super::request::{Matching, Request};
use super::run::{Purpose, Run};
use super::widths;
use crate::checkpoint::ModelConfig;
use crate::checkpoint::record::{Budget, TrainingConfig};
use crate::error::{Error, Result};

/// Factors of the recipe's learning rate that are tried.
const FACTORS: [f64; 3] = [0.5, 1.0, 2.0];
/// Number of trials for each network.
pub const TRIALS: usize = FACTORS.len();
/// Fraction of the budget that a trial of a learning rate has.
const TRIAL_FRACTION: f64 = 0.1;
/// Least budget of a trial, where the budget itself allows it: in less, hardly anything is learnt.
const LEAST_TRIAL: (f64, u64) = (3.0, 20);
/// Least validation data: on less, differences are chance.
const LEAST_VALID: [(&str, &str, u64); 2] = [
    ("valid_tokens", "tokens", 1000),
    ("valid_documents", "documents", 20),
];

/// Everything that is decided before the first run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What was asked for.
    pub request: Request,
    /// The networks, in the order of the entries; empty before they are planned.
    pub networks: Vec<Network>,
    /// Hash of the data's content.
    #[serde(default)]
    pub content: Option<String>,
    /// Where the folder of the comparison was when this was written.
    #[serde(default)]
    pub folder: Option<PathBuf>,
}

/// The network of an entry, and how it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// The entry.
    pub entry: Entry,
    /// Width of the layers.
    pub hidden_size: usize,
    /// Number of parameters.
    pub parameters: usize,
    /// Number of parameters without the embedding.
    pub parameters_without_embedding: usize,
    /// Learning rates to try; only one where none is tried.
    pub learning_rates: Vec<f64>,
    /// Flags of sizes and regularisation, so that a short trial trains the same network as a long run.
    pub flags: Vec<String>,
    /// Seconds of a run, an estimate unless that is its budget.
    pub seconds: f64,
}

/// What `carousel-train` plans for an entry.
#[derive(Clone, Debug)]
pub struct Proposal {
    config: ModelConfig,
    training: TrainingConfig,
    seconds: f64,
}

impl Proposal {
    /// Reads the object that the training command prints with `--plan --json`.
    ///
    /// # Errors
    /// An object of another form; too little validation data.
    pub fn parse(json: &str) -> Result<Self> {
        let invalid =
            |e: String| Error::new(format!("the plan of carousel-train cannot be read: {e}"));
        let value: Value = serde_json::from_str(json).map_err(|e| invalid(e.to_string()))?;
        for (key, unit, least) in LEAST_VALID {
            if let Some(found) = value["data"][key].as_u64().filter(|&found| found < least) {
                return Err(Error::new(format!(
                    "the validation part has {found} {unit}, and a comparison needs at least {least}: on fewer, differences \
                     are chance; give more data, or other data to validate on with --valid"
                )));
            }
        }
        Ok(Proposal {
            config: ModelConfig::from_json(&value["config"])?,
            training: TrainingConfig::deserialize(&value["options"])
                .map_err(|e| invalid(e.to_string()))?,
            seconds: value["seconds"].as_f64().unwrap_or(f64::NAN),
        })
    }
}

impl Plan {
    /// A plan without networks.
    pub fn new(request: Request) -> Self {
        Plan {
            request,
            networks: Vec::new(),
            content: None,
            folder: None,
        }
    }

    /// Decides the networks, from a proposal for each entry.
    ///
    /// # Errors
    /// If no width has the number of parameters that is asked for.
    pub fn decide(&mut self, proposals: &[Proposal]) -> Result<()> {
        let entries = &self.request.entries;
        let is_lstm = |entry: &Entry| entry.cell == "lstm";
        let reference = &proposals[entries.iter().position(is_lstm).unwrap_or(0)];
        let mut networks = Vec::new();
        for (entry, proposal) in entries.iter().zip(proposals) {
            let config = match self.request.matching {
                Some(Matching::Time) | None => proposal.config.clone(),
                Some(Matching::Params) => equal(&proposal.config, &reference.config)?,
            };
            networks.push(network(&self.request, entry, proposal, &config));
        }
        self.networks = networks;
        Ok(())
    }

    /// The trials of learning rates for a network, none where there is no choice.
    pub fn trials(&self, network: &Network) -> Vec<Run> {
        let budget = trial_budget(self.request.budget);
        let rates = match &network.learning_rates[..] {
            [_] => &[][..],
            rates => rates,
        };
        let run = |&rate| self.run(network, Purpose::Trial, (1, rate), budget);
        rates.iter().map(run).collect()
    }

    /// The runs of a network at a learning rate, one for each seed.
    pub fn runs(&self, network: &Network, learning_rate: f64) -> Vec<Run> {
        let budget = self.request.budget;
        let run = |seed| self.run(network, Purpose::Result, (seed, learning_rate), budget);
        self.request.seeds().map(run).collect()
    }

    fn run(
        &self,
        network: &Network,
        purpose: Purpose,
        (seed, rate): (u64, f64),
        budget: Budget,
    ) -> Run {
        let name = network.entry.folder_name();
        let mut arguments = self.request.arguments(&network.entry);
        arguments.extend(network.flags.iter().cloned());
        arguments.extend(super::request::budget_flags(budget));
        arguments.extend(["--seed".to_string(), seed.to_string()]);
        if !self.request.gives("--learning-rate") {
            arguments.extend(["--learning-rate".to_string(), rate.to_string()]);
        }
        Run {
            folder: match purpose {
                Purpose::Trial => format!("{name}-rate{rate}"),
                Purpose::Result => format!("{name}-seed{seed}"),
            },
            label: match purpose {
                Purpose::Trial => format!("{}, trial of learning rate {rate}", network.entry.name),
                Purpose::Result => format!("{}, seed {seed}", network.entry.name),
            },
            learning_rate: rate,
            seed,
            seconds: match (budget, self.request.budget) {
                (Budget::Seconds(seconds), _) => seconds,
                (Budget::Steps(own), Budget::Steps(all)) => {
                    network.seconds * own as f64 / all.max(1) as f64
                }
                _ => network.seconds,
            },
            arguments,
        }
    }

    /// Number of runs, trials among them, and their seconds.
    pub fn total(&self) -> (usize, f64) {
        let all = self.networks.iter().flat_map(|network| {
            let rate = network.learning_rates[0];
            [self.trials(network), self.runs(network, rate)].concat()
        });
        all.fold((0, 0.0), |(count, seconds), run| {
            (count + 1, seconds + run.seconds)
        })
    }
}

/// The budget of a trial.
pub fn trial_budget(budget: Budget) -> Budget {
    match budget {
        Budget::Seconds(seconds) => {
            Budget::Seconds((seconds * TRIAL_FRACTION).max(LEAST_TRIAL.0.min(seconds)))
        }
        Budget::Steps(steps) => Budget::Steps((steps / 10).max(LEAST_TRIAL.1.min(steps))),
        Budget::Epochs(epochs) => Budget::Epochs(epochs * TRIAL_FRACTION),
    }
}

/// The network with as many parameters without the embedding as the reference, over vectors of the same width.
fn equal(config: &ModelConfig, reference: &ModelConfig) -> Result<ModelConfig> {
    let mut config = config.clone();
    if !config.tie_weights() && config.transformer().is_none() {
        config.tokens_mut().embedding_size = reference.tokens().embedding_size;
    }
    widths::matched(&config, widths::parameters_without_embedding(reference))
}

fn network(request: &Request, entry: &Entry, proposal: &Proposal, config: &ModelConfig) -> Network {
    let rate = proposal.training.learning_rate;
    let gives = |flag: &str| {
        let own = entry.flags.iter();
        own.chain(&request.flags)
            .any(|given| super::request::flag_name(given) == flag)
    };
    let flags = settings(request, proposal, config)
        .into_iter()
        .filter(|(flag, _)| !gives(flag))
        .map(|(flag, value)| format!("{flag}={value}"));
    Network {
        entry: entry.clone(),
        hidden_size: config.hidden_size(),
        parameters: config.parameters(),
        parameters_without_embedding: widths::parameters_without_embedding(config),
        learning_rates: match gives("--learning-rate") {
            true => vec![rate],
            false => FACTORS.map(|factor| rounded(rate * factor)).to_vec(),
        },
        flags: flags.collect(),
        seconds: proposal.seconds,
    }
}

/// Flags of everything that a recipe chooses by the budget, with the values of the whole budget.
fn settings(
    request: &Request,
    proposal: &Proposal,
    config: &ModelConfig,
) -> Vec<(&'static str, String)> {
    let training = &proposal.training;
    let mut settings = vec![
        ("--hidden-size", config.hidden_size().to_string()),
        (
            "--embedding-size",
            config.tokens().embedding_size.to_string(),
        ),
        ("--num-layers", config.num_layers().to_string()),
        ("--dropout", config.dropout().to_string()),
        (
            "--embedding-dropout",
            training.embedding_dropout.to_string(),
        ),
        ("--input-dropout", training.input_dropout.to_string()),
        ("--weight-drop", training.weight_drop.to_string()),
        ("--batch-size", training.batch_size.to_string()),
    ];
    if request.documents.is_none() {
        settings.extend([
            ("--tie-weights", config.tie_weights().to_string()),
            ("--bptt", training.bptt.to_string()),
            ("--candidates", training.candidates.to_string()),
        ]);
    }
    settings
}

/// A learning rate without the digits that doubling and halving leave behind.
fn rounded(rate: f64) -> f64 {
    format!("{rate:.3e}").parse().unwrap_or(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_have_a_tenth_of_the_budget_and_no_less_than_is_sensible() {
        let table = [
            (Budget::Seconds(120.0), Budget::Seconds(12.0)),
            (Budget::Seconds(10.0), Budget::Seconds(3.0)),
            (Budget::Seconds(2.0), Budget::Seconds(2.0)),
            (Budget::Steps(5000), Budget::Steps(500)),
            (Budget::Steps(100), Budget::Steps(20)),
            (Budget::Steps(7), Budget::Steps(7)),
        ];
        for (budget, expected) in table {
            assert_eq!(trial_budget(budget), expected);
        }
    }

    #[test]
    fn too_little_validation_data_is_refused() {
        let error = Proposal::parse(r#"{"data": {"valid_tokens": 12}}"#).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the validation part has 12 tokens"),
            "{error}"
        );
    }
}

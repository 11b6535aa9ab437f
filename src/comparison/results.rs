/*!
Results of the runs of a comparison: a row for each entry, and one for each baseline.
*/

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::curve::{Curve, Point};
use super::folder::Folder;
use super::plan::Network;
use super::run::{Measured, Run};
use super::validation;
use super::writing::Writing;
use crate::checkpoint::record::{Evaluation, Figures, best};
use crate::error::{Error, Result};

/// Difference of two losses, as a fraction, that a short trial does not decide.
const CLOSE: f64 = 0.02;

/// Figures of one run, or means of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scores {
    /// Validation loss in nats: per token, or per document of a classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// exp(loss), of a language model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<f64>,
    /// Bits per character, of a language model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_character: Option<f64>,
    /// Bits per byte, of a language model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_byte: Option<f64>,
    /// Accuracy, of a classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Mean of the labels' F1, of a classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunResult {
    /// Figures of its best weights; without a loss if it diverged before the first validation.
    pub scores: Scores,
    /// Its validations.
    pub curve: Curve,
    /// Largest memory of the process, in bytes.
    pub memory_bytes: Option<u64>,
}

/// A learning rate that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The highest learning rate.
    pub learning_rate: f64,
    /// What came of it.
    #[serde(flatten)]
    pub scores: Scores,
}

/// A row of the comparison: an entry or a baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// Name of the entry or of the baseline.
    pub name: String,
    /// Whether it is a baseline.
    pub baseline: bool,
    /// What only an entry has.
    #[serde(flatten)]
    pub trained: Option<Trained>,
    /// The figures, means over seeds.
    #[serde(flatten)]
    pub scores: Scores,
}

/// What an entry has and a baseline has not.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trained {
    /// Number of parameters.
    pub parameters: usize,
    /// Number of parameters without the embedding.
    pub parameters_without_embedding: usize,
    /// Width of the layers.
    pub hidden_size: usize,
    /// The learning rate that was chosen.
    pub learning_rate: f64,
    /// The learning rates that were tried.
    pub trials: Vec<Trial>,
    /// Number of runs.
    pub seeds: usize,
    /// Number of runs without a result, as their loss exploded.
    pub diverged: usize,
    /// Training speed.
    pub tokens_per_second: Option<f64>,
    /// Largest memory of a run's process, in bytes.
    pub memory_bytes: Option<u64>,
    /// Tokens read, on average.
    pub tokens: Option<f64>,
    /// Standard deviation of the loss over seeds.
    pub loss_spread: Option<f64>,
    /// Standard deviation of the macro F1 over seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macro_f1_spread: Option<f64>,
    /// Loss at the largest number of tokens that all runs reached.
    pub loss_at_equal_tokens: Option<f64>,
    /// What writing costs, of a language model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub writing: Vec<Writing>,
    /// A line of generated text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// The validations of all runs.
    pub curve: Vec<Point>,
}

impl Scores {
    /// Whether these are better: a higher macro F1 where there is one, then a lower loss.
    pub fn better_than(&self, other: &Scores) -> bool {
        match (self.loss, other.loss) {
            (Some(_), Some(_)) => self.figures().better_than(&other.figures()),
            (own, other) => own.is_some() && other.is_none(),
        }
    }

    fn figures(&self) -> Figures {
        Figures {
            valid_loss: self.loss.unwrap_or(f64::INFINITY),
            bits_per_character: self.bits_per_character,
            accuracy: self.accuracy,
            macro_f1: self.macro_f1,
            ..Figures::default()
        }
    }

    /// Means of the figures that runs have.
    fn mean(all: &[Scores]) -> Scores {
        let mean = |figure: fn(&Scores) -> Option<f64>| {
            let values: Vec<f64> = all.iter().filter_map(figure).collect();
            mean(&values)
        };
        let loss = mean(|scores| scores.loss);
        let has_perplexity = all.iter().any(|scores| scores.perplexity.is_some());
        Scores {
            loss,
            perplexity: loss.filter(|_| has_perplexity).map(f64::exp),
            bits_per_character: mean(|scores| scores.bits_per_character),
            bits_per_byte: mean(|scores| scores.bits_per_byte),
            accuracy: mean(|scores| scores.accuracy),
            macro_f1: mean(|scores| scores.macro_f1),
        }
    }
}

impl RunResult {
    /// Reads a finished run, and measures it if that has not been done yet.
    ///
    /// # Errors
    /// Files that are damaged; a corpus that has changed.
    pub fn read(folder: &Folder, run: &Run, labelled: bool, threads: usize) -> Result<Self> {
        let directory = folder.directory(run);
        let mut measured = folder.load_measured(run);
        if !labelled && measured.score.is_none() && directory.has_weights() {
            measured = Measured {
                score: Some(validation::score(&directory, threads)?),
                ..measured
            };
            folder.save_measured(run, &measured)?;
        }
        let mut curve = Curve::read(&directory.load_metrics().unwrap_or_default(), run.seed);
        let scores = match measured.score {
            Some(score) => {
                curve.move_to(score.loss);
                Scores {
                    loss: Some(score.loss),
                    perplexity: Some(score.perplexity),
                    bits_per_character: Some(score.bits_per_character),
                    bits_per_byte: Some(score.bits_per_byte),
                    ..Scores::default()
                }
            }
            None if labelled => best_evaluation(&directory.load_record::<serde_json::Value>()?)?,
            None => Scores::default(),
        };
        Ok(RunResult {
            scores,
            curve,
            memory_bytes: measured.memory_bytes,
        })
    }
}

fn best_evaluation(record: &Value) -> Result<Scores> {
    let evaluations: Vec<Evaluation> = Vec::deserialize(&record["evaluations"])
        .map_err(|e| Error::new(format!("the evaluations of a run cannot be read: {e}")))?;
    Ok(
        best(&evaluations).map_or_else(Scores::default, |best| Scores {
            loss: Some(best.figures.valid_loss),
            accuracy: best.figures.accuracy,
            macro_f1: best.figures.macro_f1,
            ..Scores::default()
        }),
    )
}

/// The learning rate of the best trial, or a lower one whose loss is hardly higher: short trials favour high rates. Of
/// trials without a result, the lowest.
pub fn best_rate(trials: &[Trial]) -> Option<f64> {
    let better = |best: Trial, other: &Trial| match other.scores.better_than(&best.scores) {
        true => *other,
        false => best,
    };
    let (first, others) = trials.split_first()?;
    let best = others.iter().fold(*first, better);
    let is_close = |trial: &&Trial| match (trial.scores, best.scores) {
        (
            Scores {
                macro_f1: None,
                loss: Some(own),
                ..
            },
            Scores {
                loss: Some(best), ..
            },
        ) => own <= best * (1.0 + CLOSE),
        _ => false,
    };
    let close = trials.iter().filter(is_close);
    let rates = close.map(|trial| trial.learning_rate);
    Some(rates.fold(best.learning_rate, f64::min))
}

impl Row {
    /// The row of an entry with a result.
    pub fn of_entry(
        network: &Network,
        learning_rate: f64,
        trials: Vec<Trial>,
        runs: &[RunResult],
    ) -> Row {
        let scores: Vec<Scores> = runs.iter().map(|run| run.scores).collect();
        let figures = |figure: fn(&RunResult) -> Option<f64>| -> Vec<f64> {
            runs.iter().filter_map(figure).collect()
        };
        let trained = Trained {
            parameters: network.parameters,
            parameters_without_embedding: network.parameters_without_embedding,
            hidden_size: network.hidden_size,
            learning_rate,
            trials,
            seeds: runs.len(),
            diverged: scores.iter().filter(|scores| scores.loss.is_none()).count(),
            tokens_per_second: mean(&figures(|run| run.curve.tokens_per_second)),
            memory_bytes: runs.iter().filter_map(|run| run.memory_bytes).max(),
            tokens: mean(&figures(|run| {
                run.curve.tokens().map(|tokens| tokens as f64)
            })),
            loss_spread: spread(&figures(|run| run.scores.loss)),
            macro_f1_spread: spread(&figures(|run| run.scores.macro_f1)),
            curve: runs
                .iter()
                .flat_map(|run| run.curve.points.clone())
                .collect(),
            ..Trained::default()
        };
        Row {
            name: network.entry.name.clone(),
            baseline: false,
            trained: Some(trained),
            scores: Scores::mean(&scores),
        }
    }

    /// The row of a baseline, from its object in training.json.
    pub fn of_baseline(object: &Value) -> Option<Row> {
        Some(Row {
            name: object["name"].as_str()?.to_string(),
            baseline: true,
            trained: None,
            scores: Scores::deserialize(object).ok()?,
        })
    }
}

/// Sorts rows, the best first, and those without a result last.
pub fn sort(rows: &mut [Row]) {
    let key = |row: &Row| match (row.scores.macro_f1, row.scores.loss) {
        (Some(f1), _) => -f1,
        (None, Some(loss)) => loss,
        (None, None) => f64::INFINITY,
    };
    rows.sort_by(|one, other| key(one).total_cmp(&key(other)));
}

/// Mean of values, if there are any.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Standard deviation of a sample, if there are two values or more.
pub fn spread(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn trial(learning_rate: f64, loss: Option<f64>, macro_f1: Option<f64>) -> Trial {
        Trial {
            learning_rate,
            scores: Scores {
                loss,
                macro_f1,
                ..Scores::default()
            },
        }
    }

    #[test]
    fn the_best_rate_has_the_lowest_loss_or_the_highest_f1() {
        let losses = [
            trial(1.0, Some(3.0), None),
            trial(2.0, Some(2.5), None),
            trial(4.0, None, None),
        ];
        assert_eq!(best_rate(&losses), Some(2.0));
        let close = [
            trial(1.0, Some(2.6), None),
            trial(2.0, Some(2.52), None),
            trial(4.0, Some(2.5), None),
        ];
        assert_eq!(best_rate(&close), Some(2.0));
        let scores = [
            trial(1.0, Some(0.3), Some(0.8)),
            trial(2.0, Some(0.2), Some(0.7)),
        ];
        assert_eq!(best_rate(&scores), Some(1.0));
        assert_eq!(
            best_rate(&[trial(1.0, None, None), trial(2.0, None, None)]),
            Some(1.0)
        );
        assert_eq!(best_rate(&[]), None);
    }

    #[test]
    fn several_seeds_have_a_mean_and_a_spread() {
        let scores = [1.0, 3.0].map(|loss| Scores {
            loss: Some(loss),
            perplexity: Some(f64::exp(loss)),
            ..Scores::default()
        });
        let mean = Scores::mean(&scores);
        assert_eq!(
            (mean.loss, mean.perplexity),
            (Some(2.0), Some(f64::exp(2.0)))
        );
        assert_eq!(spread(&[1.0, 3.0]), Some(2f64.sqrt()));
        assert_eq!(spread(&[1.0]), None);
    }

    #[test]
    fn rows_are_sorted_with_baselines_among_them() {
        let row = |object: Value| Row::of_baseline(&object).unwrap();
        let mut rows = vec![
            row(json!({"name": "a", "loss": 3.0})),
            row(json!({"name": "none"})),
            row(json!({"name": "b", "loss": 2.0, "confusion": [[1]]})),
        ];
        sort(&mut rows);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["b", "a", "none"]);
    }
}

/*!
Probabilities of labels where these are as frequent as a user says, or as the texts themselves tell.
*/

use crate::checkpoint::Directory;
use crate::error::{Error, Result};
use crate::inference::classifier::Prediction;
use crate::inference::label_shares::{estimated_shares, normalised, trained_shares, with_shares};
use crate::text::escape::{escaped, escaped_list};

/// How frequent labels are.
#[derive(Clone, Debug, PartialEq)]
pub enum PriorChoice {
    /// As the texts themselves tell.
    Estimate,
    /// All alike.
    Uniform,
    /// As given: shares of labels.
    Shares(Vec<(String, f64)>),
}

/// Shares of labels: those that probabilities go with, and those to go with instead.
pub struct Prior {
    from: Vec<f64>,
    to: Option<Vec<f64>>,
}

impl Prior {
    /// Opens what a classifier knows of its labels' shares.
    ///
    /// # Errors
    /// As [`Prior::new`]; a damaged record.
    pub fn open(choice: &PriorChoice, directory: &Directory, labels: &[String]) -> Result<Self> {
        Self::new(choice, &trained_shares(&directory.load_record()?), labels)
    }

    /// The shares that were asked for, beside those that the classifier was `trained` with.
    ///
    /// # Errors
    /// Shares of other labels than the model has, or not of all.
    pub fn new(choice: &PriorChoice, trained: &[f64], labels: &[String]) -> Result<Self> {
        Ok(Prior {
            from: trained.to_vec(),
            to: match choice {
                PriorChoice::Estimate => None,
                PriorChoice::Uniform => Some(vec![1.0 / labels.len() as f64; labels.len()]),
                PriorChoice::Shares(shares) => Some(given(shares, labels)?),
            },
        })
    }

    /// Whether the shares are yet to be estimated.
    pub fn is_open(&self) -> bool {
        self.to.is_none()
    }

    /// Estimates the shares from the probabilities of all texts, unless they were given. Returns a line that says what they
    /// are.
    pub fn estimate(&mut self, predicted: &[Vec<f64>], labels: &[String]) -> Option<String> {
        if self.to.is_some() {
            return None;
        }
        let shares = estimated_shares(predicted, &self.from);
        let names = labels.iter().zip(&shares);
        let names =
            names.map(|(label, share)| format!("{} {:.1} %", escaped(label), 100.0 * share));
        let line = names.collect::<Vec<_>>().join(", ");
        self.to = Some(shares);
        Some(format!("estimated shares of the labels: {line}"))
    }

    /// Estimates the shares from predictions, unless they were given, and applies them to these. Returns what
    /// [`Prior::estimate`] says.
    pub fn apply_all(
        &mut self,
        predictions: &mut [Prediction],
        labels: &[String],
    ) -> Option<String> {
        let trusted = predictions.iter().filter(|found| found.note.is_none());
        let trusted: Vec<Vec<f64>> = trusted.map(|found| found.probabilities.clone()).collect();
        let said = self.estimate(&trusted, labels);
        for found in predictions {
            found.probabilities = self.apply(&found.probabilities);
        }
        said
    }

    /// Probabilities under the shares; as they are while these are not estimated.
    pub fn apply(&self, probabilities: &[f64]) -> Vec<f64> {
        match &self.to {
            Some(to) => with_shares(probabilities, &self.from, to),
            None => probabilities.to_vec(),
        }
    }
}

/// The shares that were given, in the order of the labels.
fn given(shares: &[(String, f64)], labels: &[String]) -> Result<Vec<f64>> {
    let unknown = shares.iter().find(|(label, _)| !labels.contains(label));
    if let Some((label, _)) = unknown {
        return Err(Error::usage(format!(
            "the prior has the label {}, which the model does not know; it knows {}",
            escaped(label),
            escaped_list(labels)
        )));
    }
    let share = |label: &String| {
        let mut own = shares.iter().filter(|(name, _)| name == label);
        match (own.next(), own.next()) {
            (Some((_, share)), None) => Ok(*share),
            (None, _) => Err(Error::usage(format!(
                "the prior has no share of the label {}; give one of each label of the model, {}",
                escaped(label),
                escaped_list(labels)
            ))),
            (Some(_), Some(_)) => Err(Error::usage(format!(
                "the prior names the label {} twice",
                escaped(label)
            ))),
        }
    };
    let shares: Result<Vec<f64>> = labels.iter().map(share).collect();
    Ok(normalised(shares?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_labels_and_no_others() {
        let labels = ["good", "bad"].map(String::from);
        let given = |list: &[(&str, f64)]| {
            let list: Vec<(String, f64)> = list.iter().map(|(l, s)| (l.to_string(), *s)).collect();
            given(&list, &labels).map_err(|e| e.to_string())
        };
        assert_eq!(given(&[("bad", 1.0), ("good", 3.0)]), Ok(vec![0.75, 0.25]));
        for (list, message) in [
            (&[("bad", 1.0)][..], "no share of the label good"),
            (&[("bad", 1.0), ("awful", 1.0)], "awful"),
            (&[("bad", 1.0), ("good", 1.0), ("bad", 2.0)], "bad twice"),
        ] {
            let error = given(list).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}

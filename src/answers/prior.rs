/*!
Probabilities of labels where these are as frequent as a user says, or as the texts themselves tell.
*/

use std::str::FromStr;

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

impl FromStr for PriorChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "estimate" => return Ok(PriorChoice::Estimate),
            "uniform" => return Ok(PriorChoice::Uniform),
            _ => {}
        }
        let share = |part: &str| {
            let (label, share) = part.rsplit_once('=')?;
            let share = share.trim().parse::<f64>().ok()?;
            (share.is_finite() && share >= 0.0).then(|| (label.trim().to_string(), share))
        };
        let shares: Option<Vec<_>> = text.split(',').map(share).collect();
        let message =
            "give estimate, uniform, or a share of each label, as in negative=0.2,positive=0.8";
        shares
            .filter(|shares| shares.iter().any(|(_, share)| *share > 0.0))
            .map(PriorChoice::Shares)
            .ok_or_else(|| message.to_string())
    }
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
        let said = match self.is_open() {
            true => {
                let trusted = predictions.iter().filter(|found| found.note.is_none());
                let trusted = trusted.map(|found| found.probabilities.clone());
                self.estimate(&trusted.collect::<Vec<_>>(), labels)
            }
            false => None,
        };
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
    let shares = labels.iter().map(share).collect::<Result<Vec<f64>>>()?;
    match shares.iter().sum::<f64>() {
        sum if sum.is_finite() => Ok(normalised(shares)),
        _ => Err(Error::usage(
            "the shares of the prior are too large; give fractions, or percents",
        )),
    }
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
            (&[("bad", 1e308), ("good", 1e308)], "too large"),
        ] {
            let error = given(list).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn shares_are_words_or_a_list() {
        let parse = |text: &str| text.parse::<PriorChoice>();
        assert_eq!(parse("estimate"), Ok(PriorChoice::Estimate));
        assert_eq!(parse("uniform"), Ok(PriorChoice::Uniform));
        let list = [("a=b".to_string(), 1.0), ("c".to_string(), 3.0)];
        assert_eq!(parse("a=b=1, c=3"), Ok(PriorChoice::Shares(list.to_vec())));
        for wrong in ["", "a", "a=x", "a=-1", "a=nan", "a=0,b=0", "a=1,,b=2"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

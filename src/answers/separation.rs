/*!
The units that best separate the two labels of some documents, as JSON.
*/

use serde_json::{Value, json};

use crate::checkpoint::ModelConfig;
use crate::data::labelled::{LabelledRows, RowCount};
use crate::error::{Error, Result};
use crate::inference::inspection::separation::{self, Separation};
use crate::inference::inspection::units::{Feature, UnitReader};
use crate::text::escape::{escaped, escaped_list};
use crate::text::tokenizer::Tokenizer;

/// Fewest documents of a label.
const FEWEST: usize = 4;

/// Encoded documents of two labels.
pub struct LabelledTokens {
    /// The tokens of each, and whether it has the second label.
    documents: Vec<(Vec<u32>, bool)>,
    labels: [String; 2],
}

impl LabelledTokens {
    /// Reads the documents of a `file`; those that cannot be read are counted and reported.
    ///
    /// # Errors
    /// Rows that cannot be read; other than two labels, or too few documents of one.
    pub fn read(
        input: &mut LabelledRows,
        tokenizer: &Tokenizer,
        file: &str,
        rows: &mut RowCount,
        report: &mut dyn FnMut(String),
    ) -> Result<Self> {
        let mut labelled = Vec::new();
        for row in input.by_ref() {
            let document = rows.take(row?, report);
            if let Some((text, label)) = document.and_then(|d| Some((d.text, d.label?))) {
                let mut ids = vec![tokenizer.line_end()];
                ids.extend(tokenizer.encode(&text).0);
                labelled.push((ids, label));
            }
        }
        let mut labels: Vec<String> = labelled.iter().map(|(_, label)| label.clone()).collect();
        labels.sort();
        labels.dedup();
        let labels: [String; 2] = labels.try_into().map_err(|labels: Vec<String>| {
            Error::new(format!(
                "{file} has {} labels, and a unit separates two: {}; leave the documents of two labels in the file",
                labels.len(),
                escaped_list(&labels)
            ))
        })?;
        for label in &labels {
            let count = labelled.iter().filter(|(_, own)| own == label).count();
            if count < FEWEST {
                return Err(Error::new(format!(
                    "{file} has {count} documents with the label {}; give {FEWEST} or more of each, better hundreds",
                    escaped(label)
                )));
            }
        }
        let second = |(ids, label): (Vec<u32>, String)| (ids, label == labels[1]);
        Ok(LabelledTokens {
            documents: labelled.into_iter().map(second).collect(),
            labels,
        })
    }

    /// Number of tokens.
    pub fn count(&self) -> u64 {
        self.documents.iter().map(|(ids, _)| ids.len() as u64).sum()
    }
}

/// The units that were found.
pub struct Found {
    /// The labels.
    pub labels: [String; 2],
    /// Number of documents of each.
    pub counts: [usize; 2],
    /// Accuracy of always answering the label that is more frequent.
    pub majority: f64,
    /// The best units.
    pub best: Vec<Separation>,
    /// Their layer.
    pub layer: usize,
    features: &'static [Feature],
    hidden_size: usize,
}

impl Found {
    /// Searches for the `most` best units of the last layer; `progress` is called with the number of tokens of each part.
    pub fn search(
        documents: LabelledTokens,
        reader: &UnitReader,
        config: &ModelConfig,
        most: usize,
        progress: impl FnMut(u64),
    ) -> Self {
        let LabelledTokens { documents, labels } = documents;
        let (tokens, is_second): (Vec<Vec<u32>>, Vec<bool>) = documents.into_iter().unzip();
        let numbers = reader.document_features(&tokens, progress);
        let numbers: Vec<(Vec<f32>, bool)> = numbers.into_iter().zip(is_second).collect();
        let count = |label: bool| numbers.iter().filter(|(_, own)| *own == label).count();
        Found {
            labels,
            counts: [false, true].map(count),
            majority: separation::majority(&numbers),
            best: separation::best(&numbers, most),
            features: reader.features(),
            layer: config.recurrent().num_layers - 1,
            hidden_size: config.recurrent().hidden_size,
        }
    }

    /// The unit and the feature of a number.
    pub fn unit(&self, separation: &Separation) -> (usize, Feature) {
        let number = separation.number;
        (
            number % self.hidden_size,
            self.features[number / self.hidden_size],
        )
    }

    /// The label of documents above the threshold.
    pub fn above(&self, separation: &Separation) -> &str {
        &self.labels[usize::from(separation.above_is_second)]
    }

    /// Whether the best unit is better than the majority by more than twice the standard error of its accuracy.
    pub fn separates(&self) -> bool {
        let tested = (self.counts[0] / 2 + self.counts[1] / 2).max(1) as f64;
        self.best.first().is_some_and(|best| {
            let error = (best.accuracy * (1.0 - best.accuracy) / tested).sqrt();
            best.accuracy > self.majority + 2.0 * error
        })
    }

    /// As an object.
    pub fn object(&self) -> Value {
        let best: Vec<Value> = (self.best.iter())
            .map(|separation| {
                let (unit, feature) = self.unit(separation);
                json!({
                    "layer": self.layer,
                    "unit": unit,
                    "feature": feature.name(),
                    "threshold": separation.threshold,
                    "above": self.above(separation),
                    "accuracy": separation.accuracy,
                    "fitted_accuracy": separation.fitted_accuracy,
                })
            })
            .collect();
        json!({
            "labels": self.labels,
            "documents": self.counts,
            "majority": self.majority,
            "units": best,
        })
    }
}

/*!
config.json in format version 1, which was flat, and its conversion.
*/

use serde::Deserialize;

use carousel_kernels::recurrent::Cell;

use super::architecture::{Labels, NextToken, Recurrent, Tokens, cell_name};
use super::parts::{Body, Head, Input};
use crate::text::preprocessing::Preprocessing;
use crate::text::{Level, Split};

/// The keys of format version 1.
#[derive(Deserialize)]
pub struct Version1 {
    task: TaskName,
    level: Level,
    split: Split,
    #[serde(with = "cell_name")]
    cell: Cell,
    vocab_size: usize,
    embedding_size: usize,
    hidden_size: usize,
    num_layers: usize,
    dropout: f64,
    tie_weights: bool,
    #[serde(default)]
    bidirectional: bool,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    ngrams: usize,
    #[serde(default)]
    semantics: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum TaskName {
    LanguageModel,
    Classifier,
}

impl Version1 {
    /// The parts of the configuration.
    pub fn parts(self) -> (Input, Body, Head) {
        let input = Input::Tokens(Tokens {
            level: self.level,
            split: self.split,
            vocab_size: self.vocab_size,
            embedding_size: self.embedding_size,
        });
        let body = Body::Recurrent(Recurrent {
            dropout: self.dropout,
            bidirectional: self.bidirectional,
            ..Recurrent::new(self.cell, self.hidden_size, self.num_layers)
        });
        let head = match self.task {
            TaskName::LanguageModel => Head::NextToken(NextToken {
                tie_weights: self.tie_weights,
                lsa_size: self.semantics,
                ..NextToken::default()
            }),
            TaskName::Classifier => Head::Labels(Labels {
                labels: self.labels,
                ngrams: self.ngrams,
                preprocessing: Preprocessing::None,
            }),
        };
        (input, body, head)
    }
}

/*!
config.json as format version 1 had it, flat, and its conversion.
*/

use serde::Deserialize;

use carousel_kernels::recurrent::Cell;

use super::architecture::cell_name;
use super::architecture::{Body, Head, Input, Labels, NextToken, Recurrent, Tokens};
use super::config::ModelConfig;
use crate::text::{Level, Split};

/// The keys of format version 1.
#[derive(Deserialize)]
pub struct Version1 {
    task: Task,
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
enum Task {
    LanguageModel,
    Classifier,
}

impl From<Version1> for ModelConfig {
    fn from(old: Version1) -> Self {
        ModelConfig {
            input: Input::Tokens(Tokens {
                level: old.level,
                split: old.split,
                vocab_size: old.vocab_size,
                embedding_size: old.embedding_size,
            }),
            body: Body::Recurrent(Recurrent {
                cell: old.cell,
                hidden_size: old.hidden_size,
                num_layers: old.num_layers,
                dropout: old.dropout,
                bidirectional: old.bidirectional,
            }),
            head: match old.task {
                Task::LanguageModel => Head::NextToken(NextToken {
                    tie_weights: old.tie_weights,
                    lsa_size: old.semantics,
                }),
                Task::Classifier => Head::Labels(Labels {
                    labels: old.labels,
                    ngrams: old.ngrams,
                }),
            },
        }
    }
}

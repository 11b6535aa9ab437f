/*!
Flags of `carousel train-translator`, which `carousel-train` runs.
*/

use std::path::PathBuf;

use clap::Args;

use super::flags::{CellFlags, RunFlags, TrainingFlags};
use crate::checkpoint::arguments::{TrainArguments, Vocabularies};
use crate::checkpoint::encoder_decoder::Attention;
use crate::checkpoint::record::PairLayout;
use crate::data::labelled::Format;
use crate::data::pairs::PairOptions;
use crate::text::Level;

/// Train a translator on sentences with their translations.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel train-translator pairs.tsv -o model
  carousel train-translator pairs.csv --source-column english --target-column french -o en-fr --time 10m
  carousel train-translator --source train.en --target train.de --valid-source valid.en --valid-target valid.de -o en-de \
--time 30m
  carousel train-translator pairs.tsv -o model --cell transformer
  carousel train-translator --resume en-de")]
pub struct Arguments {
    /// CSV, TSV or JSONL files with a column of sentences and one of their translations; - is standard input
    #[arg(value_name = "PAIRS", required_unless_present_any = ["resume", "source"])]
    pairs: Vec<PathBuf>,
    /// In place of PAIRS, the file of the sources, a sentence on each line
    #[arg(
        long,
        value_name = "FILE",
        requires = "target",
        conflicts_with = "pairs",
        help_heading = "Pairs"
    )]
    source: Option<PathBuf>,
    /// The file of the targets, the translation of each line of --source on the same line
    #[arg(long, value_name = "FILE", requires = "source", help_heading = "Pairs")]
    target: Option<PathBuf>,
    /// How pairs are laid out in the files [default: by their names and beginnings]
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        conflicts_with = "source",
        help_heading = "Pairs"
    )]
    format: Option<Format>,
    /// The column of the sources by its name or number, or the key [default: source, or the first]
    #[arg(
        long,
        value_name = "NAME|N",
        conflicts_with = "source",
        help_heading = "Pairs"
    )]
    source_column: Option<String>,
    /// The column of the targets by its name or number, or the key [default: target, or the second]
    #[arg(
        long,
        value_name = "NAME|N",
        conflicts_with = "source",
        help_heading = "Pairs"
    )]
    target_column: Option<String>,
    /// The folder of the run, and what is shown
    #[command(flatten)]
    pub run: RunFlags,

    /// What a token is [default: bpe]
    #[arg(display_order = 3, long, value_enum)]
    level: Option<Level>,
    /// One vocabulary for both languages, learnt from both, with one embedding; or one for each [default: shared]
    #[arg(long, value_enum, value_name = "WHICH", help_heading = "Text")]
    vocabulary: Option<Vocabularies>,
    /// Most entries of a vocabulary [default: bpe by the text's size; all characters; 30000 words]
    #[arg(long, value_name = "N", help_heading = "Text")]
    vocab_size: Option<usize>,
    /// The validation data: a file of PAIRS, or a fraction of the pairs [default: 0.05, at most 1000 pairs]
    #[arg(
        display_order = 5,
        long,
        value_name = "FILE|FRACTION",
        conflicts_with = "valid_source"
    )]
    valid: Option<String>,
    /// With --source, the file of the validation sources
    #[arg(
        long,
        value_name = "FILE",
        requires_all = ["valid_target", "source"],
        help_heading = "Pairs"
    )]
    valid_source: Option<PathBuf>,
    /// With --target, the file of the validation targets
    #[arg(
        long,
        value_name = "FILE",
        requires = "valid_source",
        help_heading = "Pairs"
    )]
    valid_target: Option<PathBuf>,
    /// Replace invalid UTF-8 instead of refusing it
    #[arg(long, help_heading = "Pairs")]
    lossy: bool,

    /// How the decoder looks at the source [default: dot]
    #[arg(long, value_enum, value_name = "ATTENTION", help_heading = "Network")]
    attention: Option<Attention>,
    /// The decoder also reads what the output read a step before; trained by autograd [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", help_heading = "Network")]
    input_feeding: Option<bool>,
    /// Read the source from its end too, by layers of their own, each of half the width [default: true]
    #[arg(long, value_name = "true|false", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", help_heading = "Network")]
    bidirectional: Option<bool>,
    /// Width of a token's vector [default: suits the pairs]
    #[arg(long, value_name = "N", help_heading = "Network")]
    embedding_size: Option<usize>,
    /// Width of the decoder's layers, and of the encoder's outputs; of a transformer's layers and token vectors [default: suits the pairs]
    #[arg(long, value_name = "N", help_heading = "Network")]
    hidden_size: Option<usize>,
    /// Stacked layers of the encoder, and of the decoder [default: 1; of a transformer suits the pairs]
    #[arg(long, value_name = "N", help_heading = "Network")]
    num_layers: Option<usize>,
    /// Heads of a transformer's attention, which divide its width [default: 4, or one for each 64 of the width]
    #[arg(long, value_name = "N", help_heading = "Network")]
    heads: Option<usize>,
    /// Fraction of the layers' outputs, and of what the output reads, dropped in training, the same for a whole sentence; of a
    /// transformer, of what each part of its layers adds, anew for each token [default: suits the pairs]
    #[arg(long, value_name = "P", help_heading = "Network")]
    dropout: Option<f64>,
    /// Use the target's embedding as the output's weights [default: true]
    #[arg(long, value_name = "true|false", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", help_heading = "Network")]
    tie_weights: Option<bool>,
    /// Fraction of the vocabulary whose vectors are dropped in training, for a whole batch [default: 0]
    #[arg(long, value_name = "P", help_heading = "Advanced")]
    embedding_dropout: Option<f64>,
    /// Fraction of the components of token vectors dropped in training, for a whole sentence, or by a transformer anew for each
    /// token [default: suits the pairs]
    #[arg(long, value_name = "P", help_heading = "Advanced")]
    input_dropout: Option<f64>,
    /// Fraction of recurrent weights dropped in training, for a whole batch [default: 0]
    #[arg(long, value_name = "P", help_heading = "Advanced")]
    weight_drop: Option<f64>,

    /// Part of each target's probability that is spread over the whole vocabulary in training; validation has none
    /// [default: 0.1]
    #[arg(long, value_name = "P", help_heading = "Training")]
    label_smoothing: Option<f64>,
    /// Pairs before each update [default: suits the pairs]
    #[arg(long, value_name = "N", help_heading = "Training")]
    batch_size: Option<usize>,
    /// The highest learning rate [default: suits the pairs]
    #[arg(
        long,
        visible_alias = "lr",
        value_name = "RATE",
        help_heading = "Training"
    )]
    learning_rate: Option<f64>,
    /// Fraction of the budget over which the learning rate rises [default: 0.05; of a transformer 0.1]
    #[arg(long, value_name = "FRACTION", help_heading = "Advanced")]
    warmup: Option<f64>,
    /// Stop after this many evaluations without improvement, 0 for never [default: 0]
    #[arg(long, value_name = "N", help_heading = "Advanced")]
    patience: Option<u64>,

    #[command(flatten)]
    cell: CellFlags,
    #[command(flatten)]
    training: TrainingFlags,
}

impl Arguments {
    /// The files of the pairs; of those line by line sources and targets, and those of the validation pairs, if there are any.
    pub fn paths(&self) -> Vec<PathBuf> {
        let lines = [
            &self.source,
            &self.target,
            &self.valid_source,
            &self.valid_target,
        ];
        let lines = lines.into_iter().flatten();
        self.pairs.iter().chain(lines).cloned().collect()
    }

    /// How the pairs lie in the files.
    pub fn layout(&self) -> PairLayout {
        match self.source {
            Some(_) => PairLayout::Lines,
            None => PairLayout::Table(PairOptions {
                format: self.format,
                source_column: self.source_column.clone(),
                target_column: self.target_column.clone(),
                lossy: self.lossy,
            }),
        }
    }

    /// The options that were given, as training.json records them.
    pub fn training(&self) -> TrainArguments {
        TrainArguments {
            level: self.level,
            vocabulary: self.vocabulary,
            vocab_size: self.vocab_size,
            valid: self.valid.clone(),
            lossy: self.lossy,
            attention: self.attention,
            input_feeding: self.input_feeding,
            bidirectional: self.bidirectional,
            embedding_size: self.embedding_size,
            hidden_size: self.hidden_size,
            num_layers: self.num_layers,
            heads: self.heads,
            dropout: self.dropout,
            tie_weights: self.tie_weights,
            embedding_dropout: self.embedding_dropout,
            input_dropout: self.input_dropout,
            weight_drop: self.weight_drop,
            label_smoothing: self.label_smoothing,
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            warmup: self.warmup,
            patience: self.patience,
            ..self.cell.added_to(self.training.arguments())
        }
    }
}

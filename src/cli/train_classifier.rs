/*!
Flags of `carousel train-classifier`, which `carousel-train` runs.
*/

use std::path::PathBuf;

use clap::Args;

use super::flags::{CellFlags, DocumentFlags, RunFlags, TrainingFlags};
use crate::checkpoint::arguments::{ClassWeights, TrainArguments};
use crate::text::Level;
use crate::text::preprocessing::Preprocessing;

/// Train a classifier on labelled texts.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel train-classifier reviews.csv -o model
  carousel train-classifier reviews.csv -o model --from language-model --time 10m
  carousel train-classifier train.csv --valid valid.csv --test test.csv -o model --label-column stars
  carousel train-classifier --resume model")]
pub struct Arguments {
    /// CSV, TSV or JSONL files with a column of labels and one of texts, or lines as fastText has them; - is standard
    /// input
    #[arg(value_name = "LABELLED", required_unless_present = "resume")]
    pub documents: Vec<PathBuf>,
    /// The folder of the run, and what is shown
    #[command(flatten)]
    pub run: RunFlags,

    /// How documents are laid out in the files
    #[command(flatten)]
    pub layout: DocumentFlags,

    /// What a token is [default: word, or the model's with --from]
    #[arg(display_order = 3, long, value_enum)]
    level: Option<Level>,
    /// Most entries of the vocabulary [default: 30000 words; all characters; bpe by the texts' size]
    #[arg(long, value_name = "N", help_heading = "Text")]
    vocab_size: Option<usize>,
    /// The validation data: a file, or a fraction of each label's documents [default: 0.1]
    #[arg(display_order = 5, long, value_name = "FILE|FRACTION")]
    valid: Option<String>,
    /// Documents to test the finished model on, once; nothing is chosen by them
    #[arg(long, value_name = "FILE", help_heading = "Text")]
    test: Option<PathBuf>,
    /// Cross-validate with K folds first: K classifiers, each tested on the fold that it was not trained on; the model
    /// learns from all documents then. A budget of --time is divided among all K + 1 runs
    #[arg(
        long,
        value_name = "K",
        conflicts_with = "valid",
        help_heading = "Text"
    )]
    folds: Option<usize>,

    /// Go on from a trained model: its folder, or the name of one that ships. Its vocabulary and its layers are kept; of a
    /// classifier of the same labels the head too, and its weights of words where they help
    #[arg(display_order = 4, long, value_name = "MODEL")]
    from: Option<String>,
    /// Width of a token's vector [default: suits the documents]
    #[arg(long, value_name = "N", help_heading = "Network")]
    embedding_size: Option<usize>,
    /// Width of each layer's hidden state [default: suits the documents]
    #[arg(long, value_name = "N", help_heading = "Network")]
    hidden_size: Option<usize>,
    /// Stacked recurrent layers [default: 1]
    #[arg(long, value_name = "N", help_heading = "Network")]
    num_layers: Option<usize>,
    /// Fraction of the head's inputs dropped in training [default: 0.4]
    #[arg(long, value_name = "P", help_heading = "Network")]
    dropout: Option<f64>,
    /// Fraction of the vocabulary whose vectors are dropped in training, for a whole batch [default: 0.1]
    #[arg(long, value_name = "P", help_heading = "Advanced")]
    embedding_dropout: Option<f64>,
    /// Fraction of the components of token vectors dropped in training, for a whole text [default: 0.2]
    #[arg(long, value_name = "P", help_heading = "Advanced")]
    input_dropout: Option<f64>,
    /// Fraction of recurrent weights dropped in training, for a whole batch [default: 0.2]
    #[arg(long, value_name = "P", help_heading = "Advanced")]
    weight_drop: Option<f64>,
    /// Read texts from their end too, by layers of their own [default: false, or as the model's with --from]
    #[arg(long, value_name = "true|false", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", help_heading = "Advanced")]
    bidirectional: Option<bool>,

    /// What is done to a text before it is read [default: plain for words and bpe, else none; or the classifier's with --from]
    #[arg(long, value_enum, value_name = "HOW", help_heading = "Text")]
    preprocessing: Option<Preprocessing>,
    /// How the documents of rare and of frequent labels count [default: balanced]
    #[arg(long, value_enum, value_name = "WEIGHTS", help_heading = "Training")]
    class_weights: Option<ClassWeights>,
    /// Adversarial training: length of the perturbation of a text's vectors towards a higher loss, in units of the root mean
    /// square of their components; steps take twice as long unless it is 0 [default: 0]
    #[arg(long, value_name = "LENGTH", help_heading = "Advanced")]
    adversarial: Option<f64>,
    /// Documents before each update [default: suits the documents]
    #[arg(long, value_name = "N", help_heading = "Training")]
    batch_size: Option<usize>,
    /// The highest learning rate, that of the head; layers below have less [default: suits the documents]
    #[arg(long, value_name = "RATE", help_heading = "Training")]
    learning_rate: Option<f64>,
    /// Fraction of the budget over which the learning rate rises [default: 0.1]
    #[arg(long, value_name = "FRACTION", help_heading = "Advanced")]
    warmup: Option<f64>,
    /// Stop after this many evaluations without a better balanced accuracy, the mean recall of the labels; 0 for never
    /// [default: 8]
    #[arg(long, value_name = "N", help_heading = "Advanced")]
    patience: Option<u64>,

    #[command(flatten)]
    cell: CellFlags,
    #[command(flatten)]
    training: TrainingFlags,
}

impl Arguments {
    /// The options that were given, as training.json records them.
    pub fn training(&self) -> TrainArguments {
        TrainArguments {
            level: self.level,
            vocab_size: self.vocab_size,
            valid: self.valid.clone(),
            test: self.test.clone(),
            folds: self.folds,
            preprocessing: self.preprocessing,
            class_weights: self.class_weights,
            from: self.from.clone(),
            embedding_size: self.embedding_size,
            hidden_size: self.hidden_size,
            num_layers: self.num_layers,
            dropout: self.dropout,
            embedding_dropout: self.embedding_dropout,
            input_dropout: self.input_dropout,
            weight_drop: self.weight_drop,
            bidirectional: self.bidirectional,
            adversarial: self.adversarial,
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            warmup: self.warmup,
            patience: self.patience,
            ..self.cell.added_to(self.training.arguments())
        }
    }
}

/*!
Flags of `carousel train`, which `carousel-train` runs.
*/

use std::path::PathBuf;

use clap::Args;

use super::flags::{CellFlags, RunFlags, TrainingFlags};
use crate::checkpoint::architecture::Predict;
use crate::checkpoint::arguments::{BaselineChoice, TrainArguments};
use crate::checkpoint::transformer::Positions;
use crate::text::Level;

/// Train a language model on text.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel train book.txt -o model
  carousel train books/ -o model --level word --time 10m
  carousel train ptb.train.txt -o ptb --level word --split whitespace --valid ptb.valid.txt
  carousel train book.txt --plan --time 10m
  carousel train book.txt -o counts --baseline ngram --order 6
  carousel train --resume model
  carousel train --resume model moved/book.txt")]
pub struct Arguments {
    /// Files and folders of text; - is standard input
    #[arg(value_name = "CORPUS", required_unless_present = "resume")]
    pub corpus: Vec<PathBuf>,
    /// The folder of the run, and what is shown
    #[command(flatten)]
    pub run: RunFlags,

    /// Learn a baseline instead of a network: a model as any other, in about a second
    #[arg(
        long,
        value_enum,
        value_name = "BASELINE",
        conflicts_with_all = ["resume", "processes"],
        help_heading = "N-grams"
    )]
    pub baseline: Option<BaselineChoice>,
    /// Most tokens of n-grams: up to 10 characters or bytes, 5 words or subwords [default: 6; words 5, bpe 4]
    #[arg(long, value_name = "N", help_heading = "N-grams")]
    order: Option<usize>,
    /// Interpolate the network with n-grams of the same text and a cache, weighed by the validation data; they are saved
    /// with it [default: true, where n-grams take little time and room]
    #[arg(long, value_name = "true|false", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", conflicts_with = "baseline", help_heading = "N-grams")]
    interpolate: Option<bool>,
    /// Recent tokens, likely again where the network's output is alike (a continuous cache); 0 for none
    /// [default: 500 for words and bpe, else 0]
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "baseline",
        help_heading = "N-grams"
    )]
    cache: Option<usize>,

    /// What a token is [default: char]
    #[arg(display_order = 3, long, value_enum)]
    level: Option<Level>,
    /// Most entries of the vocabulary [default: all characters; 30000 words; bpe by the corpus's size]
    #[arg(long, value_name = "N", help_heading = "Text")]
    vocab_size: Option<usize>,
    /// The validation data: a file, or a fraction of the corpus, taken from its end [default: 0.1]
    #[arg(display_order = 5, long, value_name = "FILE|FRACTION")]
    valid: Option<String>,
    /// Replace invalid UTF-8 instead of refusing it
    #[arg(long, help_heading = "Text")]
    lossy: bool,

    /// Parallel streams that the corpus is cut into [default: suits the corpus]
    #[arg(long, value_name = "N", help_heading = "Training")]
    batch_size: Option<usize>,
    /// Window length: tokens of a stream before each update [default: suits the corpus]
    #[arg(
        long,
        alias = "seq-length",
        value_name = "N",
        help_heading = "Training"
    )]
    bptt: Option<usize>,
    /// The highest learning rate [default: suits the corpus]
    #[arg(
        long,
        visible_alias = "lr",
        value_name = "RATE",
        help_heading = "Training"
    )]
    learning_rate: Option<f64>,

    /// Go on from a trained model: its folder, or the name of one that ships. Its network is kept, and its vocabulary,
    /// which grows by the characters or words that are new
    #[arg(display_order = 4, long, value_name = "MODEL")]
    from: Option<String>,
    /// Width of a token's vector [default: suits the corpus]
    #[arg(long, value_name = "N", help_heading = "Network")]
    embedding_size: Option<usize>,
    /// Width of each layer's hidden state [default: suits the corpus]
    #[arg(long, aliases = ["hidden", "rnn-size"], value_name = "N", help_heading = "Network")]
    hidden_size: Option<usize>,
    /// Stacked layers [default: suits the corpus]
    #[arg(long, alias = "layers", value_name = "N", help_heading = "Network")]
    num_layers: Option<usize>,
    /// Heads of a transformer's attention, which divide its width [default: one for each 32 of the width]
    #[arg(long, value_name = "N", help_heading = "Network")]
    heads: Option<usize>,
    /// Most tokens that a transformer's prediction depends on, which are its window in training too [default: suits the corpus]
    #[arg(long, value_name = "N", help_heading = "Network")]
    context: Option<usize>,
    /// How a transformer knows where in its window a token is [default: rotary]
    #[arg(long, value_enum, value_name = "KIND", help_heading = "Advanced")]
    positions: Option<Positions>,
    /// Fraction of a layer's outputs dropped in training, the same for a whole window [default: suits the corpus]
    #[arg(long, value_name = "P", help_heading = "Network")]
    dropout: Option<f64>,
    /// Fraction of the vocabulary whose vectors are dropped in training, for a whole window [default: suits the corpus]
    #[arg(long, value_name = "P", help_heading = "Advanced")]
    embedding_dropout: Option<f64>,
    /// Fraction of the components of token vectors dropped in training, for a whole window [default: suits the corpus]
    #[arg(long, value_name = "P", help_heading = "Advanced")]
    input_dropout: Option<f64>,
    /// Fraction of recurrent weights dropped in training, for a whole window [default: suits the corpus]
    #[arg(long, value_name = "P", help_heading = "Advanced")]
    weight_drop: Option<f64>,
    /// Where a window predicts in training [default: every]
    #[arg(long, value_enum, value_name = "STEPS", help_heading = "Advanced")]
    predict: Option<Predict>,
    /// Number of tokens that a step predicts at once; generation then writes so many a step [default: 1]
    #[arg(long, value_name = "N", help_heading = "Advanced")]
    horizon: Option<usize>,
    /// Use the embedding as the output's weights [default: for words and bpe]
    #[arg(long, value_name = "true|false", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", help_heading = "Advanced")]
    tie_weights: Option<bool>,
    /// Train layers that read the text backwards too, for a classifier that goes on from the model; they get half of the
    /// budget [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", help_heading = "Advanced")]
    bidirectional: Option<bool>,

    /// About how many tokens take part in the softmax of a training step, 0 for all; validation always uses all
    /// [default: all, or a fifth of very many]
    #[arg(long, value_name = "N", help_heading = "Advanced")]
    candidates: Option<usize>,
    /// Fraction of the budget over which the learning rate rises [default: 0.05]
    #[arg(long, value_name = "FRACTION", help_heading = "Advanced")]
    warmup: Option<f64>,
    /// Stop after this many evaluations without improvement, 0 for never
    /// [default: 0; 10 with --schedule constant or plateau]
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
            lossy: self.lossy,
            from: self.from.clone(),
            embedding_size: self.embedding_size,
            hidden_size: self.hidden_size,
            num_layers: self.num_layers,
            heads: self.heads,
            context: self.context,
            positions: self.positions,
            dropout: self.dropout,
            embedding_dropout: self.embedding_dropout,
            input_dropout: self.input_dropout,
            weight_drop: self.weight_drop,
            predict: self.predict,
            horizon: self.horizon,
            tie_weights: self.tie_weights,
            bidirectional: self.bidirectional,
            candidates: self.candidates,
            batch_size: self.batch_size,
            bptt: self.bptt,
            learning_rate: self.learning_rate,
            warmup: self.warmup,
            patience: self.patience,
            baseline: self.baseline,
            order: self.order,
            interpolate: self.interpolate,
            cache: self.cache,
            ..self.cell.added_to(self.training.arguments())
        }
    }
}

/*!
What was typed: the options of `carousel train`, before anything is made of them. [`crate::recipe`] resolves them.
*/

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text::{Level, Split};

/// The options of `carousel train`, as they were typed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default)]
pub struct Settings {
    /// What a token is [default: char]
    #[arg(long, value_enum, help_heading = "Text")]
    pub level: Option<Level>,
    /// Where words end, at word level [default: natural]
    #[arg(long, value_enum, help_heading = "Text")]
    pub split: Option<Split>,
    /// The most different tokens [default: all characters; 30000 words; bpe by the corpus's size]
    #[arg(long, value_name = "N", help_heading = "Text")]
    pub vocab_size: Option<usize>,
    /// How often a character or word must occur to get a token [default: 1; words 2, unless --split whitespace]
    #[arg(long, value_name = "N", help_heading = "Text")]
    pub min_count: Option<u64>,
    /// What to measure on: a file, or a share of the corpus's end [default: 0.1]
    #[arg(long, value_name = "FILE|FRACTION", help_heading = "Text")]
    pub valid: Option<String>,
    /// Replace bytes that are no text instead of refusing them
    #[arg(long, help_heading = "Text")]
    pub lossy: bool,

    /// Go on from a trained model: its folder, or the name of one that ships. Its network is kept, and its vocabulary,
    /// which grows by the characters or words that are new
    #[arg(long, value_name = "MODEL", help_heading = "Network")]
    pub from: Option<String>,
    /// Width of a token's vector [default: suits the corpus]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub embedding_size: Option<usize>,
    /// Width of each layer's hidden state [default: suits the corpus]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub hidden_size: Option<usize>,
    /// Stacked LSTM layers [default: suits the corpus]
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub num_layers: Option<usize>,
    /// Share of a layer's outputs dropped in training, the same for all of a window [default: suits the corpus]
    #[arg(long, value_name = "P", help_heading = "Network")]
    pub dropout: Option<f64>,
    /// Share of symbols whose vectors are dropped in training, for all of a window [default: suits the corpus]
    #[arg(long, value_name = "P", help_heading = "Network")]
    pub embedding_dropout: Option<f64>,
    /// Share of the places of the symbols' vectors dropped in training, for all of a window [default: suits the corpus]
    #[arg(long, value_name = "P", help_heading = "Network")]
    pub input_dropout: Option<f64>,
    /// Share of recurrent weights dropped in training, for all of a window [default: suits the corpus]
    #[arg(long, value_name = "P", help_heading = "Network")]
    pub weight_drop: Option<f64>,
    /// Use the embedding as the output's weights [default: for words and bpe]
    #[arg(long, value_name = "true|false", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", help_heading = "Network")]
    pub tie_weights: Option<bool>,
    /// Read the text from its end too, by layers of their own, for a classifier that goes on from the model; half of the
    /// budget is theirs [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", help_heading = "Network")]
    pub bidirectional: Option<bool>,

    /// How long to train, the whole command: 90s, 2m, 1h30m [default: 3m]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, group = "budget", help_heading = "Training")]
    pub time: Option<Duration>,
    /// How long to train, in passes over the corpus
    #[arg(long, value_name = "N", group = "budget", help_heading = "Training")]
    pub epochs: Option<f64>,
    /// How long to train, in updates of the weights
    #[arg(long, value_name = "N", group = "budget", help_heading = "Training")]
    pub steps: Option<u64>,
    /// About how many symbols compete with the right one in a training step, 0 for all; measured is always among all
    /// [default: all, or 2000 of very many]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub candidates: Option<usize>,
    /// How far the vectors of a text are pushed, together, to where its label is told worst, to be learnt from there too: in
    /// typical sizes of a number in them; a step takes twice as long unless it is 0 [default: 0]
    #[arg(long, value_name = "LENGTH", help_heading = "Training")]
    pub adversarial: Option<f64>,
    /// Parallel streams that the corpus is cut into [default: suits the corpus]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch_size: Option<usize>,
    /// Window length: tokens before each update [default: suits the corpus]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub bptt: Option<usize>,
    /// The highest learning rate [default: suits the corpus]
    #[arg(long, value_name = "RATE", help_heading = "Training")]
    pub learning_rate: Option<f64>,
    /// How the learning rate runs over the budget [default: linear for characters and bytes, cosine for words, bpe and labels]
    #[arg(long, value_enum, help_heading = "Training")]
    pub schedule: Option<Schedule>,
    /// Share of the budget over which the learning rate rises [default: 0.05]
    #[arg(long, value_name = "SHARE", help_heading = "Training")]
    pub warmup: Option<f64>,
    /// Weight decay, on matrices [default: 0.01]
    #[arg(long, value_name = "RATE", help_heading = "Training")]
    pub weight_decay: Option<f64>,
    /// The longest gradient, 0 for any [default: 1]
    #[arg(long, value_name = "NORM", help_heading = "Training")]
    pub clip_norm: Option<f64>,
    /// How much of the averaged weights is kept at each step, as 0.999, 0 for no averages; if there are some, they are
    /// what is measured and saved [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Training")]
    pub ema: Option<f64>,
    /// Stop after so many evaluations without a better one, 0 for never
    /// [default: 0; 10 with --schedule constant or plateau]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub patience: Option<u64>,
    /// What everything random comes from [default: 1]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub seed: Option<u64>,
    /// How numbers are kept in products; weights, sums and losses are float32 always [default: auto]
    #[arg(long, value_enum, help_heading = "Training")]
    pub precision: Option<Precision>,
    /// Where to compute: auto, cpu or cuda:N [default: auto]
    #[arg(long, value_name = "DEVICE", help_heading = "Training")]
    pub device: Option<Device>,
}

/// How training keeps the factors of its products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Whichever is faster here, measured once for each shape
    Auto,
    /// float32
    F32,
    /// bfloat16: faster where the CPU multiplies it, slow elsewhere
    Bf16,
}

/// Where training computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The first GPU that libtorch sees, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU with this number.
    Cuda(usize),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = |n: &str| n.parse().ok().map(Device::Cuda);
        match text {
            "auto" => Some(Device::Auto),
            "cpu" => Some(Device::Cpu),
            "cuda" => Some(Device::Cuda(0)),
            _ => text.strip_prefix("cuda:").and_then(number),
        }
        .ok_or_else(|| "give auto, cpu, cuda or cuda:N".to_string())
    }
}

/// How the learning rate runs over the budget, after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Down to nearly nothing along half a cosine
    Cosine,
    /// Down to nearly nothing along a straight line
    Linear,
    /// The same all along
    Constant,
    /// Halved when the validation loss has stopped falling
    Plateau,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        let table = [
            ("auto", Some(Device::Auto)),
            ("cpu", Some(Device::Cpu)),
            ("cuda:3", Some(Device::Cuda(3))),
            ("gpu", None),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse().ok(), expected);
        }
    }
}

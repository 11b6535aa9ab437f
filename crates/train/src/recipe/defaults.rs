/*!
The defaults that suit a corpus or labelled documents. What was measured for them is in docs/recipes.md.
*/

use super::resolved::Circumstances;
use carousel::checkpoint::arguments::{CellChoice, Schedule};
use carousel::checkpoint::record::Budget;
use carousel::text::Level;
use carousel_kernels::recurrent::Cell;

/// Speed, in tokens a second, and tokens in a step of the nominal network, on two cores of 2023.
const NOMINAL_SPEED: f64 = 60_000.0;
const NOMINAL_STEP: f64 = 2048.0;
/// Cost of a word in a layer of 512 units, and of each word in its softmax, where a character of the nominal network costs
/// 1.
const LAYER_COST: f64 = 2.5;
const OUTPUT_COST: f64 = 7.5e-4;
/// Vocabulary size from which on only a part of the tokens takes part in the softmax of a step: one in `SAMPLED_FRACTION`,
/// but `MOST_SAMPLED` at most.
const LARGE_VOCABULARY: usize = 8_000;
const SAMPLED_FRACTION: usize = 5;
const MOST_SAMPLED: usize = 4_000;
/// Number of tokens read from which on 512 units are worth their cost.
const WORTH_512: f64 = 2e7;
/// Fraction of the nominal network's tokens that 512 units read in the same time.
const SPEED_OF_512: f64 = 0.6;
/// Number of tokens, of those that the nominal network reads, from which on a transformer's wider layers and longer contexts
/// are worth their cost.
const WORTH_256: f64 = 1e7;
const WORTH_384: f64 = 2e8;
/// Numbers of documents below this are small.
const FEW_DOCUMENTS: usize = 5_000;

/// Values of the options that the user does not give.
pub struct Defaults {
    /// What layers are made of.
    pub cell: CellChoice,
    /// Width of a token's vector.
    pub embedding_size: usize,
    /// Width of each layer.
    pub hidden_size: usize,
    /// Stacked layers.
    pub num_layers: usize,
    /// Fraction of the layers' outputs that is dropped.
    pub dropout: f64,
    /// Fraction of the vocabulary that is dropped.
    pub embedding_dropout: f64,
    /// Fraction of the vectors' components that is dropped.
    pub input_dropout: f64,
    /// Fraction of the recurrent weights that is dropped.
    pub weight_drop: f64,
    /// Streams or documents of a batch.
    pub batch_size: usize,
    /// Window length.
    pub bptt: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// How it changes over the budget.
    pub schedule: Schedule,
    /// Fraction of the budget over which it rises.
    pub warmup: f64,
    /// Evaluations without a better one before training stops; 0 for never.
    pub patience: u64,
    /// Tokens in the softmax of a step; 0 for all.
    pub candidates: usize,
    /// What they are set for, as it is reported to the user.
    pub reason: &'static str,
}

/// The defaults for a corpus.
///
/// A small corpus is overfitted without much dropout, and small batches suit it. For a larger one the number of passes
/// matters: twice the tokens and a wider layer are useful only together with more dropout, also of recurrent weights.
/// `cell` is the cell that was asked for, if one was.
pub fn language_model(
    level: Level,
    circumstances: &Circumstances,
    budget: &Budget,
    directions: usize,
    cell: Option<CellChoice>,
) -> Defaults {
    let words = matches!(level, Level::Word | Level::Subword);
    let reading = CorpusReading::of(words, circumstances, budget, directions);
    let base = base(words, circumstances.vocab_size);
    let defaults = match (words, circumstances.train_tokens) {
        (false, 0..20_000) => Defaults {
            embedding_size: 64,
            hidden_size: 128,
            dropout: 0.3,
            batch_size: 8,
            bptt: 32,
            learning_rate: 5e-3,
            reason: "a very small corpus",
            ..base
        },
        (false, 20_000..400_000) => Defaults {
            hidden_size: 384,
            dropout: 0.5,
            weight_drop: if reading.passes < 36.0 { 0.2 } else { 0.4 },
            batch_size: 8,
            learning_rate: 4e-3,
            reason: "a small corpus, which is easily overfitted",
            ..base
        },
        (false, _) => {
            let timed = matches!(budget, Budget::Seconds(_));
            let cell = match cell {
                Some(CellChoice::Recurrent(cell)) => Some(cell),
                Some(CellChoice::Transformer) | None => None,
            };
            many_characters(&reading, timed, cell, base)
        }
        (true, 0..100_000) => Defaults {
            hidden_size: 128,
            dropout: 0.5,
            batch_size: 16,
            bptt: 32,
            learning_rate: 5e-3,
            reason: "a small corpus, which is easily overfitted",
            ..base
        },
        (true, _) => many_words(&reading, base),
    };
    match cell {
        Some(CellChoice::Transformer) => transformer(&reading, defaults),
        Some(cell) => Defaults { cell, ..defaults },
        None => defaults,
    }
}

/// The defaults for a corpus that the budget hardly goes over twice.
fn base(words: bool, vocab_size: usize) -> Defaults {
    let sampled = sampled(vocab_size);
    Defaults {
        cell: CellChoice::Recurrent(Cell::Lstm),
        embedding_size: 128,
        hidden_size: 512,
        num_layers: 1,
        dropout: 0.1,
        embedding_dropout: 0.0,
        input_dropout: 0.0,
        weight_drop: 0.0,
        batch_size: 32,
        bptt: 64,
        learning_rate: 6e-3,
        schedule: match words {
            true => Schedule::Cosine,
            false => Schedule::Linear,
        },
        warmup: 0.05,
        patience: 0,
        candidates: if sampled == vocab_size { 0 } else { sampled },
        reason: "a corpus that the budget hardly goes over twice",
    }
}

/// How much of a corpus a budget reads.
struct CorpusReading {
    tokens: f64,
    passes: f64,
}

impl CorpusReading {
    fn of(words: bool, circumstances: &Circumstances, budget: &Budget, directions: usize) -> Self {
        let train_tokens = circumstances.train_tokens;
        let speed = circumstances.speed.unwrap_or(NOMINAL_SPEED);
        let cost = match words {
            true => LAYER_COST + OUTPUT_COST * sampled(circumstances.vocab_size) as f64,
            false => 1.0,
        };
        let tokens = match *budget {
            Budget::Seconds(seconds) => seconds * speed / cost,
            Budget::Epochs(epochs) => epochs * train_tokens as f64,
            Budget::Steps(steps) => steps as f64 * NOMINAL_STEP,
        };
        // A pass reads everything in each direction.
        let passes = match *budget {
            Budget::Epochs(epochs) => epochs,
            _ => tokens / (train_tokens * directions) as f64,
        };
        CorpusReading { tokens, passes }
    }
}

fn many_characters(
    reading: &CorpusReading,
    timed: bool,
    cell: Option<Cell>,
    base: Defaults,
) -> Defaults {
    let wide = reading.tokens >= WORTH_512;
    // In a short time a GRU comes further, as it is faster; it wants a lower rate, and so do cells without gates.
    let cell = cell.unwrap_or(if wide { Cell::Lstm } else { Cell::Gru });
    let learning_rate = match (wide, cell) {
        (true, Cell::Lstm) => 6e-3,
        (false, Cell::Lstm) => 8e-3,
        _ => 4e-3,
    };
    let passes = match wide && timed {
        true => reading.passes * SPEED_OF_512,
        false => reading.passes,
    };
    let (dropout, weight_drop, reason) = match passes {
        ..2.0 => (0.1, 0.0, base.reason),
        2.0..5.0 => (0.2, 0.0, "a corpus that the budget goes over a few times"),
        5.0..15.0 => (0.3, 0.0, "a corpus that the budget goes over several times"),
        _ => (0.45, 0.15, "a corpus that the budget goes over many times"),
    };
    Defaults {
        hidden_size: if wide { 512 } else { 384 },
        dropout,
        weight_drop,
        cell: CellChoice::Recurrent(cell),
        learning_rate,
        reason,
        ..base
    }
}

fn many_words(reading: &CorpusReading, base: Defaults) -> Defaults {
    let few = "a corpus that the budget goes over a few times";
    let many = "a corpus that the budget goes over many times";
    let very_many = "a corpus that the budget goes over very many times";
    let (hidden_size, [dropout, input, embedding, weight], reason) = match reading.passes {
        ..0.5 => (
            256,
            [0.1, 0.0, 0.0, 0.0],
            "a corpus that the budget does not go over once",
        ),
        0.5..2.0 => (512, [0.2, 0.0, 0.0, 0.0], base.reason),
        2.0..8.0 => (512, [0.4, 0.2, 0.0, 0.0], few),
        8.0..60.0 => (640, [0.5, 0.4, 0.1, 0.2], many),
        _ => (640, [0.5, 0.4, 0.1, 0.3], very_many),
    };
    Defaults {
        embedding_size: 256,
        hidden_size,
        dropout,
        input_dropout: input,
        embedding_dropout: embedding,
        weight_drop: weight,
        bptt: 35,
        // With a sampled softmax only the tokens of a step are updated, and a higher rate suits them; over many passes it
        // overfits.
        learning_rate: match base.candidates {
            1.. if reading.passes < 8.0 => 6e-3,
            _ => 3e-3,
        },
        reason,
        ..base
    }
}

/// The defaults of a transformer, where those of recurrent layers for the same corpus are `base`.
fn transformer(reading: &CorpusReading, base: Defaults) -> Defaults {
    let (hidden_size, num_layers, bptt, learning_rate) = match reading.tokens {
        ..WORTH_256 => (128, 4, 64, 3e-3),
        WORTH_256..WORTH_384 => (256, 4, 128, 1.5e-3),
        _ => (384, 6, 256, 1e-3),
    };
    Defaults {
        cell: CellChoice::Transformer,
        embedding_size: hidden_size,
        hidden_size,
        num_layers,
        dropout: match reading.passes {
            ..2.0 => 0.0,
            2.0..8.0 => 0.1,
            8.0..30.0 => 0.2,
            _ => 0.3,
        },
        embedding_dropout: 0.0,
        input_dropout: 0.0,
        weight_drop: 0.0,
        bptt,
        learning_rate,
        warmup: 0.1,
        ..base
    }
}

/// Tokens of a vocabulary that take part in the softmax of a step.
fn sampled(vocab_size: usize) -> usize {
    match vocab_size {
        ..LARGE_VOCABULARY => vocab_size,
        _ => MOST_SAMPLED.min(vocab_size / SAMPLED_FRACTION),
    }
}

/// The defaults for labelled documents.
pub fn classifier(documents: usize) -> Defaults {
    let few = documents < FEW_DOCUMENTS;
    let (embedding_size, hidden_size, batch_size, reason) = match few {
        true => (64, 64, 16, "few documents"),
        false => (128, 256, 32, "many documents"),
    };
    Defaults {
        cell: CellChoice::Recurrent(Cell::Lstm),
        embedding_size,
        hidden_size,
        num_layers: 1,
        dropout: 0.4,
        embedding_dropout: 0.1,
        input_dropout: 0.2,
        weight_drop: 0.2,
        batch_size: batch_size.min(documents),
        bptt: 1,
        learning_rate: 2e-3,
        schedule: Schedule::Cosine,
        warmup: 0.1,
        patience: 8,
        candidates: 0,
        reason,
    }
}

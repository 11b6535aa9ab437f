/*!
The options of a translator, resolved.
*/

use super::budget::budget;
use super::defaults::Defaults;
use super::layers::{recurrent_cell, with_cell};
use super::ranges;
use super::resolved::Resolved;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::{Body, Head, Input, NextToken, Recurrent, Tokens};
use carousel::checkpoint::arguments::{CellChoice, Schedule, TrainArguments, Vocabularies};
use carousel::checkpoint::encoder_decoder::{Attention, EncoderDecoder};
use carousel::checkpoint::record::TrainingConfig;
use carousel::error::{Error, Result};
use carousel::text::{Level, Split};
use carousel_kernels::recurrent::Cell;

/// Numbers of pairs below this are small.
const FEW_PAIRS: usize = 10_000;
/// Part of a target's probability that is spread over the whole vocabulary (Szegedy et al. 2016).
const LABEL_SMOOTHING: f64 = 0.1;
/// Decay of the moving average of the weights.
const EMA: f64 = 0.999;

/// The arguments with a level: subwords, unless another was asked for.
pub fn with_level(arguments: &TrainArguments) -> TrainArguments {
    TrainArguments {
        level: arguments.level.or(Some(Level::Subword)),
        ..arguments.clone()
    }
}

/// Checks the arguments before anything is read: refuses those that are wrong for any pairs.
///
/// # Errors
/// As [`resolve`].
pub fn check(arguments: &TrainArguments) -> Result<()> {
    if arguments.initial_state.is_some() {
        return Err(Error::usage(
            "a translator's encoder begins with zeros, and its decoder with what the encoder read; leave --initial-state away",
        ));
    }
    resolve(arguments, usize::MAX, [1000; 2]).map(|_| ())
}

/// Resolves the arguments for a number of training pairs, and the sizes of the vocabularies of source and target.
///
/// # Errors
/// Values out of range; options that contradict each other.
pub fn resolve(
    arguments: &TrainArguments,
    pairs: usize,
    vocab_sizes: [usize; 2],
) -> Result<Resolved> {
    ranges::network(arguments)?;
    ranges::not_zero("--batch-size", arguments.batch_size)?;
    let arguments = with_level(arguments);
    let defaults = defaults(pairs);
    let config = config(&arguments, &defaults, vocab_sizes)?;
    config.check().map_err(|e| Error::usage(e.to_string()))?;
    let batch_size = arguments
        .batch_size
        .unwrap_or(defaults.batch_size)
        .min(pairs);
    let smoothed = TrainArguments {
        label_smoothing: arguments.label_smoothing.or(Some(LABEL_SMOOTHING)),
        ema: arguments.ema.or(Some(EMA)),
        ..arguments.clone()
    };
    let training = ranges::training(
        &smoothed,
        &defaults,
        budget(&arguments)?,
        [batch_size, defaults.bptt],
    )?;
    Ok(Resolved {
        config,
        training,
        chosen: vec![format!("what was not given is set for {}", defaults.reason)],
    })
}

/// The network that was asked for, with defaults.
fn config(
    arguments: &TrainArguments,
    defaults: &Defaults,
    vocab_sizes: [usize; 2],
) -> Result<ModelConfig> {
    let vocabulary = arguments.vocabulary()?;
    let tokens = vocab_sizes.map(|vocab_size| Tokens {
        level: vocabulary.level,
        split: match vocabulary.level {
            Level::Word => vocabulary.split,
            _ => Split::default(),
        },
        vocab_size,
        embedding_size: arguments.embedding_size.unwrap_or(defaults.embedding_size),
    });
    let [source, target] = tokens;
    let hidden_size = arguments.hidden_size.unwrap_or(defaults.hidden_size);
    let bidirectional = arguments.bidirectional.unwrap_or(true);
    let width = match bidirectional {
        true => hidden_size.div_ceil(2),
        false => hidden_size,
    };
    Ok(ModelConfig {
        input: Input::Tokens(source),
        body: Body::EncoderDecoder(EncoderDecoder {
            target,
            shared_vocabulary: arguments.vocabulary.unwrap_or_default() == Vocabularies::Shared,
            encoder: layers(arguments, defaults, width, bidirectional)?,
            decoder: layers(arguments, defaults, hidden_size, false)?,
            attention: arguments.attention.unwrap_or_default(),
            input_feeding: arguments.input_feeding.unwrap_or(false),
        }),
        head: Head::NextToken(NextToken {
            tie_weights: arguments.tie_weights.unwrap_or(true),
            ..NextToken::default()
        }),
    })
}

/// Layers of a width.
fn layers(
    arguments: &TrainArguments,
    defaults: &Defaults,
    hidden_size: usize,
    bidirectional: bool,
) -> Result<Recurrent> {
    let cell = recurrent_cell(arguments.cell, defaults.cell, "a translator")?;
    let num_layers = arguments.num_layers.unwrap_or(defaults.num_layers);
    let layers = Recurrent {
        dropout: arguments.dropout.unwrap_or(defaults.dropout),
        bidirectional,
        ..Recurrent::new(cell, hidden_size, num_layers)
    };
    Ok(with_cell(layers, cell, arguments))
}

/// The defaults for a number of pairs. Fewer are easily learnt by heart, against which dropout and a small network help.
fn defaults(pairs: usize) -> Defaults {
    let few = pairs < FEW_PAIRS;
    let (embedding_size, hidden_size, dropout, reason) = match few {
        true => (128, 256, 0.3, "few pairs"),
        false => (256, 512, 0.3, "many pairs"),
    };
    Defaults {
        cell: CellChoice::Recurrent(Cell::Gru),
        embedding_size,
        hidden_size,
        num_layers: 1,
        dropout,
        embedding_dropout: 0.0,
        input_dropout: dropout,
        weight_drop: 0.0,
        batch_size: if few { 32 } else { 64 },
        bptt: 1,
        learning_rate: 2e-3,
        schedule: Schedule::Cosine,
        warmup: 0.05,
        patience: 0,
        candidates: 0,
        reason,
    }
}

/// Bytes that training a translator holds, as [`super::memory`] has them, for sentences of these lengths in tokens.
pub fn memory(config: &ModelConfig, training: &TrainingConfig, lengths: [usize; 2]) -> u64 {
    let body = config.encoder_decoder().expect("a translator");
    let [source, target] = lengths.map(|length| length * training.batch_size);
    // What libtorch's operations keep of a layer: gates, their gradients, states; and of attention.
    let width = |layers: &Recurrent| 20 * layers.hidden_size * layers.num_layers;
    let encoder = source * (body.encoder.directions().len() * width(&body.encoder));
    let additive = match body.attention {
        Attention::Additive => 3 * body.decoder.hidden_size,
        Attention::None | Attention::Dot => 3,
    };
    let decoder = target * (width(&body.decoder) + additive * lengths[0]);
    let logits = 4 * target * body.target.vocab_size;
    (4 * (4 + 6) * config.parameters() + 4 * (encoder + decoder + logits)) as u64
}

/*!
The options of a translator, resolved.
*/

use super::budget::budget;
use super::defaults::Defaults;
use super::layers::{recurrent_cell, with_cell};
use super::ranges;
use super::resolved::Resolved;
use super::transformer;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::{NextToken, Recurrent, Tokens};
use carousel::checkpoint::arguments::{CellChoice, Schedule, TrainArguments, Vocabularies};
use carousel::checkpoint::encoder_decoder::{Attention, EncoderDecoder};
use carousel::checkpoint::parts::{Body, Head, Input};
use carousel::checkpoint::record::TrainingConfig;
use carousel::checkpoint::transformer_encoder_decoder::TransformerEncoderDecoder;
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

/// Checks that a transformer was given no option that recurrent translators alone have, and they none of a transformer.
fn check_layers(arguments: &TrainArguments) -> Result<()> {
    transformer::checked(arguments)?;
    if !is_transformer(arguments) {
        return Ok(());
    }
    let others = [
        (
            "--attention",
            arguments.attention.is_some(),
            "has attention in every layer",
        ),
        (
            "--input-feeding",
            arguments.input_feeding.is_some(),
            "reads its target alone",
        ),
        (
            "--bidirectional",
            arguments.bidirectional.is_some(),
            "sees the whole source at once",
        ),
        (
            "--context",
            arguments.context.is_some(),
            "sees whole sentences",
        ),
        (
            "--positions",
            arguments.positions.is_some(),
            "has rotary positions",
        ),
    ];
    match others.iter().find(|(_, given, _)| *given) {
        Some((option, _, why)) => Err(Error::usage(format!(
            "a translator that is a transformer {why}; leave {option} away with --cell transformer"
        ))),
        None => Ok(()),
    }
}

/// Whether a transformer was asked for.
fn is_transformer(arguments: &TrainArguments) -> bool {
    arguments.cell == Some(CellChoice::Transformer)
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
    check_layers(arguments)?;
    let arguments = with_level(arguments);
    let defaults = match is_transformer(&arguments) {
        true => transformer_defaults(pairs),
        false => defaults(pairs),
    };
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
        embedding_size: embedding_size(arguments, defaults),
    });
    let [source, target] = tokens;
    Ok(ModelConfig {
        input: Input::Tokens(source),
        body: match is_transformer(arguments) {
            true => Body::TransformerEncoderDecoder(attending(arguments, defaults, target)),
            false => Body::EncoderDecoder(recurrent(arguments, defaults, target)?),
        },
        head: Head::NextToken(NextToken {
            tie_weights: arguments.tie_weights.unwrap_or(true),
            ..NextToken::default()
        }),
    })
}

/// Width of a token's vector: that of a transformer's layers, so that a width given for either is meant for both.
fn embedding_size(arguments: &TrainArguments, defaults: &Defaults) -> usize {
    let given = match is_transformer(arguments) {
        true => arguments.embedding_size.or(arguments.hidden_size),
        false => arguments.embedding_size,
    };
    given.unwrap_or(defaults.embedding_size)
}

/// Whether source and target have one vocabulary.
fn shares_vocabulary(arguments: &TrainArguments) -> bool {
    arguments.vocabulary.unwrap_or_default() == Vocabularies::Shared
}

/// An encoder and a decoder of recurrent layers.
fn recurrent(
    arguments: &TrainArguments,
    defaults: &Defaults,
    target: Tokens,
) -> Result<EncoderDecoder> {
    let hidden_size = arguments.hidden_size.unwrap_or(defaults.hidden_size);
    let bidirectional = arguments.bidirectional.unwrap_or(true);
    let width = match bidirectional {
        true => hidden_size.div_ceil(2),
        false => hidden_size,
    };
    Ok(EncoderDecoder {
        target,
        shared_vocabulary: shares_vocabulary(arguments),
        encoder: layers(arguments, defaults, width, bidirectional)?,
        decoder: layers(arguments, defaults, hidden_size, false)?,
        attention: arguments.attention.unwrap_or_default(),
        input_feeding: arguments.input_feeding.unwrap_or(false),
    })
}

/// An encoder and a decoder of attention.
fn attending(
    arguments: &TrainArguments,
    defaults: &Defaults,
    target: Tokens,
) -> TransformerEncoderDecoder {
    let num_layers = arguments.num_layers.unwrap_or(defaults.num_layers);
    let shared = shares_vocabulary(arguments);
    let usual = TransformerEncoderDecoder::new(target, shared, num_layers);
    TransformerEncoderDecoder {
        hidden_size: arguments.hidden_size.unwrap_or(usual.hidden_size),
        heads: arguments.heads.unwrap_or(usual.heads),
        dropout: arguments.dropout.unwrap_or(defaults.dropout),
        ..usual
    }
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

/// The same of a transformer: many passes over few pairs want more dropout, and a smaller network.
fn transformer_defaults(pairs: usize) -> Defaults {
    let few = pairs < FEW_PAIRS;
    let (hidden_size, num_layers, dropout) = match few {
        true => (128, 2, 0.3),
        false => (256, 3, 0.1),
    };
    Defaults {
        cell: CellChoice::Transformer,
        embedding_size: hidden_size,
        hidden_size,
        num_layers,
        dropout,
        input_dropout: dropout,
        learning_rate: 1e-3,
        warmup: 0.1,
        ..defaults(pairs)
    }
}

/// Bytes that training a translator holds, as [`super::memory`] has them, for sentences of these lengths in tokens.
pub fn memory(config: &ModelConfig, training: &TrainingConfig, lengths: [usize; 2]) -> u64 {
    let [source, target] = lengths.map(|length| length * training.batch_size);
    let logits = 4 * target * config.written().vocab_size;
    let own = match config.transformer_encoder_decoder() {
        Some(body) => {
            // As of a transformer's layers; a decoder's layer has a part more, and scores are of all pairs of tokens.
            let layer = 14 * body.hidden_size + 3 * body.feed_forward_size;
            let scores = 2 * body.heads * lengths[0].max(lengths[1]);
            body.num_layers * ((source + 2 * target) * (layer + scores))
        }
        None => recurrent_memory(config, lengths, [source, target]),
    };
    (4 * (4 + 6) * config.parameters() + 4 * (own + logits)) as u64
}

/// Numbers that recurrent layers and attention keep, for sentences of these lengths, and so many tokens of each side in a batch.
fn recurrent_memory(config: &ModelConfig, lengths: [usize; 2], tokens: [usize; 2]) -> usize {
    let body = config.encoder_decoder().expect("a translator");
    let [source, target] = tokens;
    // What libtorch's operations keep of a layer: gates, their gradients, states; and of attention.
    let width = |layers: &Recurrent| 20 * layers.hidden_size * layers.num_layers;
    let encoder = source * (body.encoder.directions().len() * width(&body.encoder));
    let additive = match body.attention {
        Attention::Additive => 3 * body.decoder.hidden_size,
        Attention::None | Attention::Dot => 3,
    };
    let decoder = target * (width(&body.decoder) + additive * lengths[0]);
    encoder + decoder
}

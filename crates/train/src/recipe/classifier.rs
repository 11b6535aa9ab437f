/*!
The options of a classifier, resolved.
*/

use super::budget::budget;
use super::defaults::Defaults;
use super::kept::keep_sizes;
use super::layers::{recurrent_cell, with_cell};
use super::resolved::{Circumstances, Resolved};
use super::{defaults, ranges};
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::{InitialState, Labels, Recurrent, Tokens};
use carousel::checkpoint::arguments::TrainArguments;
use carousel::checkpoint::parts::{Body, Head, Input};
use carousel::error::{Error, Result};
use carousel::text::Level;
use carousel::text::preprocessing::Preprocessing;
use carousel_kernels::recurrent::Cell;

/// The arguments with a level: word, unless another was asked for.
pub fn with_level(arguments: &TrainArguments) -> TrainArguments {
    TrainArguments {
        level: arguments.level.or(Some(Level::Word)),
        ..arguments.clone()
    }
}

/// What is done to texts before they are read: what was asked for or what the model does that the run goes on from; otherwise
/// texts are brought into plain spelling, except where single characters or bytes are the tokens.
pub fn preprocessing(arguments: &TrainArguments, base: Option<&ModelConfig>) -> Preprocessing {
    let of_classifier = base.filter(|config| !config.labels().is_empty());
    let level = base.map(|config| config.tokens().level);
    let level = level.or(arguments.level);
    let own = match level {
        Some(Level::Character | Level::Byte) => Preprocessing::None,
        Some(Level::Word | Level::Subword) | None => Preprocessing::Plain,
    };
    let kept = of_classifier.map(ModelConfig::preprocessing);
    arguments.preprocessing.or(kept).unwrap_or(own)
}

/// Checks the arguments before anything is read: refuses those that are wrong for any documents.
///
/// # Errors
/// As [`resolve`].
pub fn check(arguments: &TrainArguments) -> Result<()> {
    let of_vocabulary = [
        ("--level", arguments.level.is_some()),
        ("--split", arguments.split.is_some()),
        ("--vocab-size", arguments.vocab_size.is_some()),
        ("--min-count", arguments.min_count.is_some()),
    ];
    if arguments.from.is_some()
        && let Some((option, _)) = of_vocabulary.iter().find(|(_, given)| *given)
    {
        return Err(Error::usage(format!(
            "--from keeps the model's vocabulary; leave {option} away"
        )));
    }
    if arguments.initial_state == Some(InitialState::Carried) {
        return Err(Error::usage(
            "a classifier reads each text from its beginning, so that no state is carried on; give --initial-state zero \
             or learned",
        ));
    }
    if let Some(folds @ (0 | 1)) = arguments.folds {
        return Err(Error::usage(format!(
            "--folds {folds} is no cross-validation; give 2 or more"
        )));
    }
    arguments.validation()?;
    let labels = ["a", "b"].map(String::from).to_vec();
    let anything = Circumstances {
        vocab_size: 1000,
        train_tokens: 1000,
        valid_tokens: 1000,
        speed: None,
    };
    resolve(arguments, &anything, usize::MAX, labels, None).map(|_| ())
}

/// Resolves the arguments for a number of training documents with these labels. `base` is the model that the run starts
/// from, with its name, if there is one.
///
/// # Errors
/// Values out of range; options that contradict each other, or the model.
pub fn resolve(
    arguments: &TrainArguments,
    circumstances: &Circumstances,
    documents: usize,
    labels: Vec<String>,
    base: Option<(&str, &ModelConfig)>,
) -> Result<Resolved> {
    ranges::network(arguments)?;
    let mut arguments = with_level(arguments);
    let vocabulary = arguments.vocabulary()?;
    let preprocessing = preprocessing(&arguments, base.map(|(_, config)| config));
    let defaults = defaults::classifier(documents);
    if let Some((name, config)) = base {
        keep_sizes(name, config, &mut arguments)?;
    }
    let cell = recurrent_cell(arguments.cell, defaults.cell, "a classifier")?;
    ranges::not_zero("--batch-size", arguments.batch_size)?;
    let config = ModelConfig {
        input: Input::Tokens(Tokens {
            level: vocabulary.level,
            split: vocabulary.split,
            vocab_size: circumstances.vocab_size,
            embedding_size: arguments.embedding_size.unwrap_or(defaults.embedding_size),
        }),
        body: Body::Recurrent(layers(&arguments, &defaults, cell)),
        head: Head::Labels(Labels {
            labels,
            ngrams: 0,
            preprocessing,
        }),
    };
    config.check().map_err(|e| Error::usage(e.to_string()))?;
    let batch_size = arguments.batch_size.unwrap_or(defaults.batch_size);
    let training = ranges::training(
        &arguments,
        &defaults,
        budget(&arguments)?,
        [batch_size, defaults.bptt],
    )?;
    let chosen = match base {
        Some(_) => "sizes are those of the model to go on from".to_string(),
        None => format!("what was not given is set for {}", defaults.reason),
    };
    Ok(Resolved {
        config,
        training,
        chosen: vec![chosen],
    })
}

/// The layers that were asked for, with defaults.
fn layers(arguments: &TrainArguments, defaults: &Defaults, cell: Cell) -> Recurrent {
    let hidden_size = arguments.hidden_size.unwrap_or(defaults.hidden_size);
    let num_layers = arguments.num_layers.unwrap_or(defaults.num_layers);
    let layers = Recurrent {
        dropout: arguments.dropout.unwrap_or(defaults.dropout),
        bidirectional: arguments.bidirectional.unwrap_or(false),
        ..Recurrent::new(cell, hidden_size, num_layers)
    };
    with_cell(layers, cell, arguments)
}

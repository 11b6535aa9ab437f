/*!
The options of a language model, resolved.
*/

use super::budget::{EVALUATIONS, budget, total_steps};
use super::defaults::{self, Defaults};
use super::layers::with_cell;
use super::ranges;
use super::resolved::{Circumstances, MOST_VALID_TOKENS, Resolved};
use super::transformer;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::{NextToken, Predict, Recurrent, Tokens};
use carousel::checkpoint::arguments::{CellChoice, Schedule, TrainArguments};
use carousel::checkpoint::parts::{Body, Head, Input};
use carousel::checkpoint::record::{Budget, TrainingConfig};
use carousel::error::{Error, Result};
use carousel::text::Level;
use carousel::text::streams::TrainingStreams;
use carousel::text::vocabulary::VocabularyConfig;
use carousel_kernels::recurrent::{Activation, Cell};

/// Factor of the learning rate where a run starts from a trained model: a high rate would undo what the model has learnt.
const FROM_FACTOR: f64 = 0.25;
/// The same for rectified units, whose states have no bound: at the rates of other cells they explode.
const RELU_FACTOR: f64 = 0.1;
/// Tokens that training may read for each that is validated; validating costs a third of training.
const TRAINED_PER_VALIDATED: u64 = 7;
/// Patience of schedules that do not end by themselves.
const PATIENCE: u64 = 10;

/// The network and the training options that a machine's speed is measured with.
pub fn nominal(threads: i32) -> (ModelConfig, TrainingConfig) {
    let arguments = TrainArguments {
        cell: Some(CellChoice::Recurrent(Cell::Lstm)),
        embedding_size: Some(128),
        hidden_size: Some(384),
        num_layers: Some(1),
        batch_size: Some(32),
        bptt: Some(64),
        ..TrainArguments::default()
    };
    let circumstances = Circumstances {
        vocab_size: 65,
        train_tokens: 1_000_000,
        valid_tokens: 100_000,
        speed: None,
    };
    let resolved = resolve(&arguments, &circumstances).expect("nothing contradicts");
    let training = TrainingConfig {
        threads,
        ..resolved.training
    };
    (resolved.config, training)
}

/// Checks the arguments before anything is read: refuses those that are wrong for any corpus.
///
/// # Errors
/// As [`resolve`].
pub fn check(arguments: &TrainArguments) -> Result<()> {
    arguments.validation()?;
    let anything = Circumstances {
        vocab_size: 1000,
        train_tokens: usize::MAX / 2,
        valid_tokens: 1000,
        speed: None,
    };
    resolve(arguments, &anything).map(|_| ())
}

/// Resolves the arguments for a corpus.
///
/// # Errors
/// Values out of range, options that contradict each other, a corpus too small for what was asked.
pub fn resolve(arguments: &TrainArguments, circumstances: &Circumstances) -> Result<Resolved> {
    let arguments = &transformer::checked(arguments)?;
    let vocabulary = arguments.vocabulary()?;
    let budget = budget(arguments)?;
    let directions = 1 + usize::from(arguments.bidirectional.unwrap_or(false));
    let mut defaults = defaults::language_model(
        vocabulary.level,
        circumstances,
        &budget,
        directions,
        arguments.cell,
    );
    if arguments.from.is_some() {
        defaults.learning_rate *= FROM_FACTOR;
    }
    if arguments.activation == Some(Activation::Relu) {
        defaults.learning_rate *= RELU_FACTOR;
    }
    if let Some(Schedule::Constant | Schedule::Plateau) = arguments.schedule {
        defaults.patience = PATIENCE;
    }
    let mut config = configuration(arguments, circumstances.vocab_size, &vocabulary, &defaults)?;
    if !may_sample(arguments, config.next_token())? {
        defaults.candidates = 0;
    }
    let mut chosen = Vec::new();
    let streams = fit(
        arguments,
        &defaults,
        // The last tokens are targets only.
        circumstances
            .train_tokens
            .saturating_sub(config.next_token().horizon - 1),
        &mut chosen,
    )?;
    suit_window(&mut config, streams.bptt)?;
    if circumstances.valid_tokens == 0 {
        return Err(arguments.nothing_to_validate());
    }
    let mut training = ranges::training(
        arguments,
        &defaults,
        budget,
        [streams.batch_size, streams.bptt],
    )?;
    let valid_tokens = circumstances.valid_tokens.min(MOST_VALID_TOKENS);
    training.evaluate_every = evaluate_every(&budget, &streams, directions, valid_tokens);
    if !all_given(arguments) {
        let tokens = circumstances.train_tokens;
        chosen.insert(
            0,
            format!(
                "what was not given is set for {} ({tokens} tokens)",
                defaults.reason
            ),
        );
    }
    Ok(Resolved {
        config,
        training,
        chosen,
    })
}

/// The network that was asked for, with defaults.
///
/// # Errors
/// Sizes that are impossible.
fn configuration(
    arguments: &TrainArguments,
    vocab_size: usize,
    vocabulary: &VocabularyConfig,
    defaults: &Defaults,
) -> Result<ModelConfig> {
    ranges::network(arguments)?;
    let sizes = sizes(arguments, defaults, vocabulary.level);
    let body = match defaults.cell {
        CellChoice::Transformer => {
            Body::Transformer(transformer::layers(arguments, defaults, sizes.hidden_size))
        }
        CellChoice::Recurrent(cell) => {
            let num_layers = arguments.num_layers.unwrap_or(defaults.num_layers);
            let layers = Recurrent {
                dropout: arguments.dropout.unwrap_or(defaults.dropout),
                bidirectional: arguments.bidirectional.unwrap_or(false),
                ..Recurrent::new(cell, sizes.hidden_size, num_layers)
            };
            Body::Recurrent(with_cell(layers, cell, arguments))
        }
    };
    let config = ModelConfig {
        input: Input::Tokens(Tokens {
            level: vocabulary.level,
            split: vocabulary.split,
            vocab_size,
            embedding_size: sizes.embedding_size,
        }),
        body,
        head: Head::NextToken(NextToken {
            tie_weights: sizes.tie_weights,
            predict: arguments.predict.unwrap_or_default(),
            horizon: arguments.horizon.unwrap_or(1),
            ..NextToken::default()
        }),
    };
    config.check().map_err(|e| Error::usage(e.to_string()))?;
    Ok(config)
}

struct Sizes {
    embedding_size: usize,
    hidden_size: usize,
    tie_weights: bool,
}

/// The widths, and whether they are tied: tied weights have one width, as transformers have, so that a width given for either
/// is meant for both.
fn sizes(arguments: &TrainArguments, defaults: &Defaults, level: Level) -> Sizes {
    let words = matches!(level, Level::Word | Level::Subword);
    let (embedding, hidden) = (arguments.embedding_size, arguments.hidden_size);
    let one_width = embedding == hidden || embedding.is_none() || hidden.is_none();
    let tieable = one_width && arguments.horizon.unwrap_or(1) == 1;
    let tie_weights = arguments.tie_weights.unwrap_or(words && tieable);
    let is_transformer = defaults.cell == CellChoice::Transformer;
    let hidden_size = match tie_weights || is_transformer {
        true => hidden.or(embedding).unwrap_or(defaults.hidden_size),
        false => hidden.unwrap_or(defaults.hidden_size),
    };
    let default_embedding = match tie_weights || is_transformer {
        true => hidden_size,
        false => defaults.embedding_size.min(hidden_size),
    };
    Sizes {
        embedding_size: embedding.unwrap_or(default_embedding),
        hidden_size,
        tie_weights,
    }
}

/// Whether a part of the tokens may take part in a step: a sample suits one target at every step.
fn may_sample(arguments: &TrainArguments, head: &NextToken) -> Result<bool> {
    let one_at_every_step = head.horizon == 1 && head.predict == Predict::Every;
    match arguments.candidates {
        Some(1..) if !one_at_every_step => Err(Error::usage(
            "--candidates is for one target at every step; leave it away, or --predict last and --horizon",
        )),
        _ => Ok(one_at_every_step),
    }
}

/// Gives a transformer its context, and checks that connections that skip steps stay within a window: no gradient would flow
/// through longer ones.
fn suit_window(config: &mut ModelConfig, bptt: usize) -> Result<()> {
    transformer::set_context(config, bptt)?;
    let skip = config.carried().and_then(|layers| layers.skip.last());
    match skip {
        Some(&skip) if skip >= bptt => Err(Error::usage(format!(
            "--skip {skip} goes back beyond the window of {bptt} tokens, so that nothing would be learnt of it; give a \
             shorter one, or a longer window with --bptt"
        ))),
        _ => Ok(()),
    }
}

/// Whether the user gave all of these: a size, dropout, a batch size or window, and a learning rate.
fn all_given(arguments: &TrainArguments) -> bool {
    let size = arguments.embedding_size.is_some()
        || arguments.hidden_size.is_some()
        || arguments.num_layers.is_some();
    let batch = arguments.batch_size.is_some() || arguments.bptt.is_some();
    size && arguments.dropout.is_some() && batch && arguments.learning_rate.is_some()
}

/// Batch and window that the corpus is large enough for. What the user gave stays; what was chosen shrinks.
fn fit(
    arguments: &TrainArguments,
    defaults: &Defaults,
    train_tokens: usize,
    chosen: &mut Vec<String>,
) -> Result<TrainingStreams> {
    ranges::not_zero("--batch-size", arguments.batch_size)?;
    ranges::not_zero("--bptt", arguments.bptt)?;
    let wanted = [
        arguments.batch_size.unwrap_or(defaults.batch_size),
        arguments.bptt.unwrap_or(defaults.bptt),
    ];
    let [mut batch_size, mut bptt] = wanted;
    let fits = |batch_size: usize, bptt: usize| batch_size.saturating_mul(bptt) < train_tokens;
    while !fits(batch_size, bptt) && arguments.batch_size.is_none() && batch_size > 1 {
        batch_size /= 2;
    }
    while !fits(batch_size, bptt) && arguments.bptt.is_none() && bptt > 1 {
        bptt /= 2;
    }
    if !fits(batch_size, bptt) {
        return Err(Error::new(format!(
            "the training part has {train_tokens} tokens, but a batch of {batch_size} streams and windows of {bptt} need \
             at least {}; give more text, or a smaller --batch-size or --bptt",
            batch_size.saturating_mul(bptt).saturating_add(1)
        )));
    }
    if [batch_size, bptt] != wanted {
        chosen.push(format!(
            "the corpus is too small for a batch of {} and windows of {}: {batch_size} and {bptt} instead",
            wanted[0], wanted[1]
        ));
    }
    Ok(TrainingStreams::new(train_tokens, batch_size, bptt))
}

/// Steps between evaluations: fixed by the sizes, so that an interrupted run has the same ones. A time budget leaves it
/// open (0).
fn evaluate_every(
    budget: &Budget,
    streams: &TrainingStreams,
    directions: usize,
    valid_tokens: usize,
) -> u64 {
    let Some(steps) = total_steps(budget, directions * streams.windows()) else {
        return 0;
    };
    let trained = steps.saturating_mul((streams.batch_size * streams.bptt) as u64);
    let affordable = trained / (TRAINED_PER_VALIDATED * valid_tokens.max(1) as u64);
    steps.div_ceil(affordable.clamp(2, EVALUATIONS)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use carousel::checkpoint::arguments::GradientMethod;
    use carousel::text::Split;
    use std::time::Duration;

    fn resolved(arguments: TrainArguments, train_tokens: usize) -> Result<Resolved> {
        let circumstances = Circumstances {
            vocab_size: 65,
            train_tokens,
            valid_tokens: train_tokens / 10,
            speed: None,
        };
        resolve(&arguments, &circumstances)
    }

    #[test]
    fn given_options_are_kept() {
        let arguments = TrainArguments {
            hidden_size: Some(512),
            embedding_size: Some(100),
            num_layers: Some(2),
            dropout: Some(0.2),
            batch_size: Some(64),
            bptt: Some(50),
            learning_rate: Some(1e-3),
            steps: Some(10),
            ..TrainArguments::default()
        };
        let Resolved {
            config,
            training,
            chosen,
        } = resolved(arguments, 1_000_000).unwrap();
        assert_eq!(
            (
                config.recurrent().hidden_size,
                config.tokens().embedding_size,
                config.recurrent().num_layers
            ),
            (512, 100, 2)
        );
        assert_eq!(
            (config.recurrent().dropout, config.tie_weights()),
            (0.2, false)
        );
        assert_eq!(
            (training.batch_size, training.bptt, training.learning_rate),
            (64, 50, 1e-3)
        );
        assert_eq!(
            (training.budget, training.evaluate_every),
            (Budget::Steps(10), 5)
        );
        assert_eq!(chosen, [""; 0]);
    }

    #[test]
    fn tied_weights_have_one_width() {
        let words = |embedding_size, hidden_size, tie_weights| TrainArguments {
            level: Some(Level::Word),
            embedding_size,
            hidden_size,
            tie_weights,
            ..TrainArguments::default()
        };
        let table = [
            (words(None, None, None), Some((512, 512, true))),
            (words(Some(100), None, None), Some((100, 100, true))),
            (words(None, Some(300), None), Some((300, 300, true))),
            (words(Some(100), Some(300), None), Some((100, 300, false))),
            (words(Some(100), Some(300), Some(true)), None),
            (words(None, None, Some(false)), Some((256, 512, false))),
        ];
        for (arguments, expected) in table {
            let found = resolved(arguments.clone(), 1_000_000)
                .ok()
                .map(|r| r.config);
            let found = found.map(|c| {
                (
                    c.tokens().embedding_size,
                    c.recurrent().hidden_size,
                    c.tie_weights(),
                )
            });
            assert_eq!(found, expected, "{arguments:?}");
        }
    }

    #[test]
    fn more_passes_make_wider_layers_and_more_dropout() {
        let chosen = |level: Level, vocab_size, train_tokens, seconds, speed| {
            let arguments = TrainArguments {
                level: Some(level),
                time: Some(Duration::from_secs(seconds)),
                ..TrainArguments::default()
            };
            let circumstances = Circumstances {
                vocab_size,
                train_tokens,
                valid_tokens: 1000,
                speed: Some(speed),
            };
            resolve(&arguments, &circumstances).unwrap()
        };
        let summary = |Resolved {
                           config, training, ..
                       }| {
            (
                config.recurrent().hidden_size,
                config.recurrent().dropout,
                training.weight_drop,
            )
        };
        let characters =
            |tokens, seconds, speed| summary(chosen(Level::Character, 65, tokens, seconds, speed));
        assert_eq!(characters(90_000, 30, 6e4), (384, 0.5, 0.2));
        assert_eq!(characters(90_000, 60, 6e4), (384, 0.5, 0.4));
        assert_eq!(characters(1_000_000, 120, 6e4), (384, 0.3, 0.0));
        assert_eq!(characters(1_000_000, 600, 6e4), (512, 0.45, 0.15));
        assert_eq!(characters(3_000_000, 600, 6e4), (512, 0.3, 0.0));
        // A wider network goes over it less often than the nominal one: ten times, not seventeen.
        assert_eq!(characters(3_000_000, 600, 8.4e4), (512, 0.3, 0.0));
        assert_eq!(characters(100_000_000, 600, 6e4), (512, 0.1, 0.0));
        // A machine of a quarter of the speed does less.
        assert_eq!(characters(1_000_000, 600, 1.5e4), (384, 0.3, 0.0));
        let cell = |seconds| {
            let resolved = chosen(Level::Character, 65, 1_000_000, seconds, 6e4);
            let rate = resolved.training.learning_rate;
            (resolved.config.recurrent().cell, rate)
        };
        assert_eq!(cell(120), (Cell::Gru, 4e-3));
        assert_eq!(cell(600), (Cell::Lstm, 6e-3));
        let words = |seconds| summary(chosen(Level::Word, 10_000, 930_000, seconds, 6e4));
        assert_eq!(words(30), (256, 0.1, 0.0));
        assert_eq!(words(120), (512, 0.2, 0.0));
        assert_eq!(words(3600), (640, 0.5, 0.2));
        assert_eq!(words(7200), (640, 0.5, 0.3));
        // Where all words take part in a step, and where passes are many, the learning rate is lower.
        let rate = |vocab_size, seconds| {
            let resolved = chosen(Level::Word, vocab_size, 930_000, seconds, 6e4);
            resolved.training.learning_rate
        };
        assert_eq!(rate(10_000, 240), 6e-3);
        assert_eq!(rate(10_000, 3600), 3e-3);
        assert_eq!(rate(7_000, 60), 3e-3);
    }

    #[test]
    fn for_a_small_corpus_defaults_shrink_and_given_options_do_not() {
        let Resolved {
            training, chosen, ..
        } = resolved(TrainArguments::default(), 100).unwrap();
        assert!(training.batch_size * training.bptt < 100);
        assert!(
            chosen
                .iter()
                .any(|line| line.contains("too small for a batch of 8")),
            "{chosen:?}"
        );
        let given = TrainArguments {
            batch_size: Some(4),
            bptt: Some(32),
            ..TrainArguments::default()
        };
        let message = resolved(given, 100).unwrap_err().to_string();
        assert!(
            message.contains("has 100 tokens") && message.contains("at least 129"),
            "{message}"
        );
        assert!(resolved(TrainArguments::default(), 1).is_err());
    }

    #[test]
    fn impossible_values_are_refused() {
        let impossible = [
            TrainArguments {
                steps: Some(0),
                ..TrainArguments::default()
            },
            TrainArguments {
                epochs: Some(-1.0),
                ..TrainArguments::default()
            },
            TrainArguments {
                time: Some(Duration::ZERO),
                ..TrainArguments::default()
            },
            TrainArguments {
                learning_rate: Some(0.0),
                ..TrainArguments::default()
            },
            TrainArguments {
                learning_rate: Some(f64::NAN),
                ..TrainArguments::default()
            },
            TrainArguments {
                dropout: Some(1.0),
                ..TrainArguments::default()
            },
            TrainArguments {
                warmup: Some(1.5),
                ..TrainArguments::default()
            },
            TrainArguments {
                clip_norm: Some(-1.0),
                ..TrainArguments::default()
            },
            TrainArguments {
                batch_size: Some(0),
                ..TrainArguments::default()
            },
            TrainArguments {
                split: Some(Split::Whitespace),
                ..TrainArguments::default()
            },
            TrainArguments {
                level: Some(Level::Byte),
                vocab_size: Some(9),
                ..TrainArguments::default()
            },
        ];
        for arguments in impossible {
            assert!(
                resolved(arguments.clone(), 1_000_000).is_err(),
                "{arguments:?}"
            );
        }
        assert!(
            TrainArguments {
                valid: Some("1.5".to_string()),
                ..TrainArguments::default()
            }
            .validation()
            .is_err()
        );
    }

    fn transformer() -> TrainArguments {
        TrainArguments {
            cell: Some(CellChoice::Transformer),
            ..TrainArguments::default()
        }
    }

    #[test]
    fn the_window_in_training_is_the_context() {
        let with = |context, bptt| TrainArguments {
            context,
            bptt,
            ..transformer()
        };
        let table = [
            (Some(48), None, 48),
            (None, Some(40), 40),
            (Some(8), Some(8), 8),
        ];
        for (context, bptt, expected) in table {
            let Resolved {
                config, training, ..
            } = resolved(with(context, bptt), 1_000_000).unwrap();
            let transformer = config.transformer().unwrap();
            assert_eq!((transformer.context, training.bptt), (expected, expected));
        }
        assert!(resolved(with(Some(8), Some(9)), 1_000_000).is_err());
        assert!(resolved(with(Some(1), None), 1_000_000).is_err());
        // A small corpus makes both shorter.
        let small = resolved(with(None, None), 40).unwrap();
        assert_eq!(
            small.config.transformer().unwrap().context,
            small.training.bptt
        );
        assert!(small.training.bptt < 64);
    }

    #[test]
    fn options_of_other_layers_are_refused() {
        let wrong = [
            TrainArguments {
                heads: Some(2),
                ..TrainArguments::default()
            },
            TrainArguments {
                context: Some(64),
                ..TrainArguments::default()
            },
            TrainArguments {
                cell: Some(CellChoice::Recurrent(Cell::Lstm)),
                positions: Some(Default::default()),
                ..TrainArguments::default()
            },
            TrainArguments {
                skip: vec![4],
                ..transformer()
            },
            TrainArguments {
                bidirectional: Some(true),
                ..transformer()
            },
            TrainArguments {
                weight_drop: Some(0.1),
                ..transformer()
            },
            TrainArguments {
                residual: Some(true),
                ..transformer()
            },
            TrainArguments {
                gradients: Some(GradientMethod::Kernels),
                ..transformer()
            },
            TrainArguments {
                heads: Some(3),
                ..transformer()
            },
            TrainArguments {
                hidden_size: Some(128),
                heads: Some(128),
                ..transformer()
            },
            TrainArguments {
                embedding_size: Some(64),
                hidden_size: Some(128),
                ..transformer()
            },
        ];
        for arguments in wrong {
            assert!(
                resolved(arguments.clone(), 1_000_000).is_err(),
                "{arguments:?}"
            );
        }
        assert!(resolved(transformer(), 1_000_000).is_ok());
    }
}

/*!
What the arguments come to for a corpus: the one place where defaults are chosen.

[`resolve`] turns what was typed and the circumstances into a [`ModelConfig`] and [`TrainingConfig`]. The machine's speed matters
only where the budget is one of time.
*/

use std::path::PathBuf;
use std::time::Duration;

use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::arguments::{Schedule, TrainArguments, TrainingPrecision};
use carousel::checkpoint::config::{Cell, FORMAT_VERSION, Task};
use carousel::checkpoint::record::{Budget, TrainingConfig};
use carousel::error::{Error, Result};
use carousel::text::corpus::Validation;
use carousel::text::streams::TrainingStreams;
use carousel::text::vocabulary::VocabularyConfig;
use carousel::text::{Level, Split};

/// The default budget.
const DEFAULT_TIME: Duration = Duration::from_secs(180);
/// The most evaluations that a budget in steps or epochs is given by default.
const EVALUATIONS: u64 = 20;
/// Tokens that training may read for each that is measured; measuring costs a third of training.
const TRAINED_PER_MEASURED: u64 = 7;
/// The most validation tokens that an evaluation during training reads.
pub const MOST_VALID_TOKENS: usize = 1 << 18;

/// TrainArguments resolved, with a reason for each thing that was chosen or changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The network.
    pub config: ModelConfig,
    /// The training; device, threads and precision are filled in by whoever knows them.
    pub training: TrainingConfig,
    /// What the program chose, and why.
    pub chosen: Vec<String>,
}

/// What the recipe goes by besides what was typed.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Different tokens.
    pub vocab_size: usize,
    /// Tokens to train on.
    pub train_tokens: usize,
    /// Tokens to measure on.
    pub valid_tokens: usize,
    /// Tokens a second at which the [`nominal`] network trains here; `None` where it was not measured.
    pub speed: Option<f64>,
}

/// The network, and its training, that a machine's speed is measured by.
pub fn nominal(threads: i32) -> (ModelConfig, TrainingConfig) {
    let arguments = TrainArguments {
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

/// How the vocabulary is to be made.
///
/// # Errors
/// TrainingConfig that contradict the level.
pub fn vocabulary(arguments: &TrainArguments) -> Result<VocabularyConfig> {
    let level = arguments.level.unwrap_or(Level::Character);
    let split = arguments.split.unwrap_or_default();
    if arguments.split.is_some() && level != Level::Word {
        return Err(Error::usage(format!(
            "--split is for --level word, not for {level}"
        )));
    }
    if arguments.vocab_size.is_some() && level == Level::Byte {
        return Err(Error::usage(
            "--vocab-size is not for --level byte, which always has 256 tokens",
        ));
    }
    if arguments.min_count.is_some() && matches!(level, Level::Byte | Level::Subword) {
        return Err(Error::usage(format!(
            "--min-count is for characters and words, not for {level}"
        )));
    }
    let natural_words = level == Level::Word && split == Split::Natural;
    Ok(VocabularyConfig {
        level,
        split,
        vocab_size: arguments
            .vocab_size
            .or((level == Level::Word).then_some(30_000)),
        min_count: arguments
            .min_count
            .unwrap_or(if natural_words { 2 } else { 1 }),
    })
}

/// What is measured on.
///
/// # Errors
/// A share that is not from 0 to below 1.
pub fn validation(arguments: &TrainArguments) -> Result<Validation> {
    let Some(given) = &arguments.valid else {
        return Ok(Validation::Default);
    };
    match given.parse::<f64>() {
        Ok(fraction) if fraction > 0.0 && fraction < 1.0 => Ok(Validation::Fraction(fraction)),
        Ok(fraction) => Err(Error::usage(format!(
            "--valid {fraction} is no share: give a number above 0 and below 1, or the name of a file"
        ))),
        Err(_) => Ok(Validation::Files(vec![PathBuf::from(given)])),
    }
}

/// When training ends.
///
/// # Errors
/// A budget of nothing.
pub fn budget(arguments: &TrainArguments) -> Result<Budget> {
    let budget = match (arguments.time, arguments.epochs, arguments.steps) {
        (_, Some(epochs), _) => Budget::Epochs(epochs),
        (_, _, Some(steps)) => Budget::Steps(steps),
        (time, None, None) => Budget::Seconds(time.unwrap_or(DEFAULT_TIME).as_secs_f64()),
    };
    match budget {
        Budget::Epochs(n) if !(n > 0.0 && n <= 1e9) => Err(Error::usage(format!(
            "--epochs {n} is no budget; give a number above 0"
        ))),
        Budget::Steps(0) => Err(Error::usage("--steps 0 is no budget; give 1 or more")),
        Budget::Seconds(s) if s <= 0.0 => {
            Err(Error::usage("--time 0 is no budget; give 30s, 2m, 1h …"))
        }
        budget => Ok(budget),
    }
}

/// Tokens a second, and in a step, of the network that the recipe counts by, on two cores of 2023.
const NOMINAL_SPEED: f64 = 60_000.0;
const NOMINAL_STEP: f64 = 2048.0;
/// What a word costs in a layer of 512 units, and for each that competes with it, where a character of the nominal network
/// costs 1.
const LAYER_COST: f64 = 2.5;
const OUTPUT_COST: f64 = 7.5e-4;
/// Symbols that are too many to compete all at every step; then a share of them does, up to a number.
const MANY_SYMBOLS: usize = 8_000;
const CANDIDATES_SHARE: usize = 5;
const MOST_CANDIDATES: usize = 4_000;
/// Tokens read that are worth 512 units.
const WORTH_512: f64 = 2e7;
/// Share of these that 512 units read in the same time, being slower than the nominal network.
const LEFT_OF_512: f64 = 0.6;

/// Documents that are few.
const FEW_DOCUMENTS: usize = 5_000;
/// What the learning rate is multiplied by for a model that is trained already.
const FROM_FACTOR: f64 = 0.25;

/// The settings that suit a corpus: what the user did not give.
struct Recipe {
    embedding_size: usize,
    hidden_size: usize,
    num_layers: usize,
    dropout: f64,
    embedding_dropout: f64,
    input_dropout: f64,
    weight_drop: f64,
    batch_size: usize,
    bptt: usize,
    learning_rate: f64,
    reason: &'static str,
}

/// A small corpus is learnt by heart unless much is dropped, and small batches serve it. A larger one is judged by how
/// often the budget goes over it: twice the tokens and a wider layer pay only together with more dropping, of recurrent
/// weights too. What was measured is in benches/RECIPES.md.
fn recipe(level: Level, circumstances: &Circumstances, budget: &Budget, ways: usize) -> Recipe {
    let train_tokens = circumstances.train_tokens;
    let speed = circumstances.speed.unwrap_or(NOMINAL_SPEED);
    let words = matches!(level, Level::Word | Level::Subword);
    let cost = match words {
        true => LAYER_COST + OUTPUT_COST * competing(circumstances.vocab_size) as f64,
        false => 1.0,
    };
    let reads = match *budget {
        Budget::Seconds(seconds) => seconds * speed / cost,
        Budget::Epochs(epochs) => epochs * train_tokens as f64,
        Budget::Steps(steps) => steps as f64 * NOMINAL_STEP,
    };
    // A pass reads everything each way.
    let passes = match *budget {
        Budget::Epochs(epochs) => epochs,
        _ => reads / (train_tokens * ways) as f64,
    };
    let base = Recipe {
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
        reason: "a corpus that the budget hardly goes over twice",
    };
    match (words, train_tokens) {
        (false, 0..20_000) => Recipe {
            embedding_size: 64,
            hidden_size: 128,
            dropout: 0.3,
            batch_size: 8,
            bptt: 32,
            learning_rate: 5e-3,
            reason: "a very small corpus",
            ..base
        },
        (false, 20_000..400_000) => Recipe {
            hidden_size: 384,
            dropout: 0.5,
            weight_drop: if passes < 36.0 { 0.2 } else { 0.4 },
            batch_size: 8,
            learning_rate: 4e-3,
            reason: "a small corpus, easily learnt by heart",
            ..base
        },
        (false, _) => {
            let wide = reads >= WORTH_512;
            let timed = matches!(budget, Budget::Seconds(_));
            let passes = if wide && timed {
                passes * LEFT_OF_512
            } else {
                passes
            };
            let (dropout, weight_drop, reason) = match passes {
                ..2.0 => (0.1, 0.0, base.reason),
                2.0..5.0 => (0.2, 0.0, "a corpus that the budget goes over a few times"),
                5.0..15.0 => (0.3, 0.0, "a corpus that the budget goes over several times"),
                _ => (0.45, 0.15, "a corpus that the budget goes over many times"),
            };
            Recipe {
                hidden_size: if wide { 512 } else { 384 },
                dropout,
                weight_drop,
                learning_rate: if wide { 6e-3 } else { 8e-3 },
                reason,
                ..base
            }
        }
        (true, 0..100_000) => Recipe {
            hidden_size: 128,
            dropout: 0.5,
            batch_size: 16,
            bptt: 32,
            learning_rate: 5e-3,
            reason: "a small corpus, easily learnt by heart",
            ..base
        },
        (true, _) => {
            let (hidden_size, [dropout, input, embedding, weight], reason) = match passes {
                ..0.5 => (
                    256,
                    [0.1, 0.0, 0.0, 0.0],
                    "a corpus that the budget does not go over once",
                ),
                0.5..2.0 => (512, [0.2, 0.0, 0.0, 0.0], base.reason),
                2.0..8.0 => (
                    512,
                    [0.4, 0.2, 0.0, 0.0],
                    "a corpus that the budget goes over a few times",
                ),
                8.0..60.0 => (
                    640,
                    [0.5, 0.4, 0.1, 0.2],
                    "a corpus that the budget goes over many times",
                ),
                _ => (
                    640,
                    [0.5, 0.4, 0.1, 0.3],
                    "a corpus that the budget goes over very many times",
                ),
            };
            Recipe {
                embedding_size: 256,
                hidden_size,
                dropout,
                input_dropout: input,
                embedding_dropout: embedding,
                weight_drop: weight,
                bptt: 35,
                // Only what takes part in a step is moved, and so bears to be moved further; in many passes it is then
                // learnt by heart.
                learning_rate: match competing(circumstances.vocab_size) {
                    some if some < circumstances.vocab_size && passes < 8.0 => 6e-3,
                    _ => 3e-3,
                },
                reason,
                ..base
            }
        }
    }
}

/// How many of so many symbols compete in a training step.
fn competing(vocab_size: usize) -> usize {
    match vocab_size {
        ..MANY_SYMBOLS => vocab_size,
        _ => MOST_CANDIDATES.min(vocab_size / CANDIDATES_SHARE),
    }
}

/// Resolves what was typed.
///
/// # Errors
/// Values that cannot be, options that contradict each other, a corpus too small for what was asked.
pub fn resolve(arguments: &TrainArguments, circumstances: &Circumstances) -> Result<Resolved> {
    let &Circumstances {
        vocab_size,
        train_tokens,
        valid_tokens,
        ..
    } = circumstances;
    let vocabulary = vocabulary(arguments)?;
    let budget = budget(arguments)?;
    let bidirectional = arguments.bidirectional.unwrap_or(false);
    let ways = 1 + usize::from(bidirectional);
    let recipe = recipe(vocabulary.level, circumstances, &budget, ways);
    let words = matches!(vocabulary.level, Level::Word | Level::Subword);
    let mut chosen = Vec::new();

    let widths = (arguments.embedding_size, arguments.hidden_size);
    let tie_weights = arguments
        .tie_weights
        .unwrap_or(words && (widths.0 == widths.1 || widths.0.is_none() || widths.1.is_none()));
    // Tied weights are of one width: what was given for either is meant for both.
    let (embedding_size, hidden_size) = match widths {
        (embedding, hidden) if tie_weights => {
            let width = hidden.or(embedding).unwrap_or(recipe.hidden_size);
            (embedding.unwrap_or(width), width)
        }
        (embedding, hidden) => {
            let hidden = hidden.unwrap_or(recipe.hidden_size);
            (
                embedding.unwrap_or(recipe.embedding_size.min(hidden)),
                hidden,
            )
        }
    };
    let config = ModelConfig {
        format_version: FORMAT_VERSION,
        task: Task::LanguageModel,
        level: vocabulary.level,
        split: vocabulary.split,
        cell: Cell::Lstm,
        vocab_size,
        embedding_size,
        hidden_size,
        num_layers: arguments.num_layers.unwrap_or(recipe.num_layers),
        dropout: arguments.dropout.unwrap_or(recipe.dropout),
        tie_weights,
        bidirectional,
        labels: Vec::new(),
        ngrams: 0,
        semantics: 0,
    };
    config.check().map_err(|e| Error::usage(e.to_string()))?;

    let streams = fit(arguments, &recipe, train_tokens, &mut chosen)?;
    if valid_tokens == 0 {
        return Err(Error::new(match validation(arguments)? {
            Validation::Files(_) => "the file to measure on (--valid) holds no text",
            _ => {
                "the corpus is too small to measure on a part of it; give more text, or a text of its own with --valid"
            }
        }));
    }
    // What is learnt already is not to be shaken out.
    let rate = match arguments.from {
        Some(_) => recipe.learning_rate * FROM_FACTOR,
        None => recipe.learning_rate,
    };
    let schedule = arguments.schedule.unwrap_or(match words {
        true => Schedule::Cosine,
        false => Schedule::Linear,
    });
    let training = TrainingConfig {
        budget,
        batch_size: streams.batch_size,
        bptt: streams.bptt,
        learning_rate: positive("--learning-rate", arguments.learning_rate.unwrap_or(rate))?,
        schedule,
        warmup: within_one("--warmup", arguments.warmup.unwrap_or(0.05))?,
        weight_decay: not_negative("--weight-decay", arguments.weight_decay.unwrap_or(0.01))?,
        clip_norm: not_negative("--clip-norm", arguments.clip_norm.unwrap_or(1.0))?,
        embedding_dropout: share(
            "--embedding-dropout",
            arguments
                .embedding_dropout
                .unwrap_or(recipe.embedding_dropout),
        )?,
        input_dropout: share(
            "--input-dropout",
            arguments.input_dropout.unwrap_or(recipe.input_dropout),
        )?,
        weight_drop: share(
            "--weight-drop",
            arguments.weight_drop.unwrap_or(recipe.weight_drop),
        )?,
        adversarial: not_negative("--adversarial", arguments.adversarial.unwrap_or(0.0))?,
        candidates: arguments.candidates.unwrap_or(match competing(vocab_size) {
            all if all == vocab_size => 0,
            some => some,
        }),
        ema: share("--ema", arguments.ema.unwrap_or(0.0))?,
        patience: arguments.patience.unwrap_or(match schedule {
            Schedule::Cosine | Schedule::Linear => 0,
            Schedule::Constant | Schedule::Plateau => 10,
        }),
        evaluate_every: evaluate_every(
            &budget,
            &streams,
            ways,
            valid_tokens.min(MOST_VALID_TOKENS),
        ),
        seed: arguments.seed.unwrap_or(1),
        precision: arguments.precision.unwrap_or(TrainingPrecision::Auto),
        device: "cpu".to_string(),
        threads: 1,
    };
    let given = [
        arguments.embedding_size.is_some()
            || arguments.hidden_size.is_some()
            || arguments.num_layers.is_some(),
        arguments.dropout.is_some(),
        arguments.batch_size.is_some() || arguments.bptt.is_some(),
        arguments.learning_rate.is_some(),
    ];
    if given.contains(&false) {
        chosen.insert(
            0,
            format!(
                "what was not given is set for {} ({train_tokens} tokens)",
                recipe.reason
            ),
        );
    }
    Ok(Resolved {
        config,
        training,
        chosen,
    })
}

/// Refuses, before anything is read, what no documents could make possible.
///
/// # Errors
/// As [`resolve_classifier`].
pub fn check_classifier(arguments: &TrainArguments) -> Result<()> {
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
    let words = arguments.level.or(Some(Level::Word));
    check(&TrainArguments {
        level: words,
        ..arguments.clone()
    })
}

/// Resolves what was typed for a classifier of so many documents, which may go on from a model.
///
/// # Errors
/// Values that cannot be; options that contradict each other, or the model.
pub fn resolve_classifier(
    arguments: &TrainArguments,
    circumstances: &Circumstances,
    documents: usize,
    base: Option<&ModelConfig>,
) -> Result<Resolved> {
    let mut arguments = arguments.clone();
    let few = documents < FEW_DOCUMENTS;
    arguments.level.get_or_insert(Level::Word);
    let (embedding_size, hidden_size, num_layers) = match base {
        Some(base) => (base.embedding_size, base.hidden_size, base.num_layers),
        None if few => (64, 64, 1),
        None => (128, 256, 1),
    };
    if let Some(base) = base {
        let given = *arguments.bidirectional.get_or_insert(base.bidirectional);
        if given != base.bidirectional {
            return Err(Error::usage(format!(
                "the model to go on from has --bidirectional {}, and --from keeps that; leave --bidirectional away",
                base.bidirectional
            )));
        }
    }
    let sizes = [
        (
            "--embedding-size",
            &mut arguments.embedding_size,
            embedding_size,
        ),
        ("--hidden-size", &mut arguments.hidden_size, hidden_size),
        ("--num-layers", &mut arguments.num_layers, num_layers),
    ];
    for (option, given, own) in sizes {
        let given = *given.get_or_insert(own);
        if base.is_some() && given != own {
            return Err(Error::usage(format!(
                "the model to go on from has {option} {own}, and --from keeps that; leave {option} away"
            )));
        }
    }
    arguments.tie_weights = Some(false);
    let batch_size = if few { 16 } else { 32 };
    arguments
        .batch_size
        .get_or_insert(batch_size.min(documents));
    arguments.bptt = Some(1);
    arguments.learning_rate.get_or_insert(2e-3);
    arguments.dropout.get_or_insert(0.4);
    arguments.input_dropout.get_or_insert(0.2);
    arguments.embedding_dropout.get_or_insert(0.1);
    arguments.weight_drop.get_or_insert(0.2);
    arguments.warmup.get_or_insert(0.1);
    arguments.patience.get_or_insert(8);
    arguments.schedule.get_or_insert(Schedule::Cosine);
    // Documents are not cut into streams: they are never too short.
    let any = Circumstances {
        train_tokens: usize::MAX / 2,
        valid_tokens: 1,
        ..*circumstances
    };
    let mut resolved = resolve(&arguments, &any)?;
    resolved.config.task = Task::Classifier;
    resolved.chosen = vec![match base {
        Some(_) => "sizes are those of the model to go on from".to_string(),
        None if few => "what was not given is set for few documents".to_string(),
        None => "what was not given is set for many documents".to_string(),
    }];
    Ok(resolved)
}

/// Refuses, before anything is read, what no corpus could make possible.
///
/// # Errors
/// As [`resolve`].
pub fn check(arguments: &TrainArguments) -> Result<()> {
    validation(arguments)?;
    let anything = Circumstances {
        vocab_size: 1000,
        train_tokens: usize::MAX / 2,
        valid_tokens: 1000,
        speed: None,
    };
    resolve(arguments, &anything).map(|_| ())
}

/// Batch and window that the corpus is large enough for. What the user gave stays; what was chosen shrinks.
fn fit(
    arguments: &TrainArguments,
    recipe: &Recipe,
    train_tokens: usize,
    chosen: &mut Vec<String>,
) -> Result<TrainingStreams> {
    for (name, value) in [
        ("--batch-size", arguments.batch_size),
        ("--bptt", arguments.bptt),
    ] {
        if value == Some(0) {
            return Err(Error::usage(format!(
                "{name} 0 trains nothing; give 1 or more"
            )));
        }
    }
    let mut batch_size = arguments.batch_size.unwrap_or(recipe.batch_size);
    let mut bptt = arguments.bptt.unwrap_or(recipe.bptt);
    let fits = |batch_size: usize, bptt: usize| batch_size.saturating_mul(bptt) < train_tokens;
    while !fits(batch_size, bptt) && arguments.batch_size.is_none() && batch_size > 1 {
        batch_size /= 2;
    }
    while !fits(batch_size, bptt) && arguments.bptt.is_none() && bptt > 1 {
        bptt /= 2;
    }
    if !fits(batch_size, bptt) {
        return Err(Error::new(format!(
            "the text to train on has {train_tokens} tokens, but a batch of {batch_size} streams and windows of {bptt} \
             need at least {}; give more text, or a smaller --batch-size or --bptt",
            batch_size.saturating_mul(bptt).saturating_add(1)
        )));
    }
    if batch_size != arguments.batch_size.unwrap_or(recipe.batch_size)
        || bptt != arguments.bptt.unwrap_or(recipe.bptt)
    {
        chosen.push(format!(
            "the corpus is too small for a batch of {} and windows of {}: {batch_size} and {bptt} instead",
            arguments.batch_size.unwrap_or(recipe.batch_size),
            arguments.bptt.unwrap_or(recipe.bptt)
        ));
    }
    Ok(TrainingStreams::new(train_tokens, batch_size, bptt))
}

/// Steps between evaluations: fixed by the sizes, so that an interrupted run meets the same ones. A time budget
/// leaves it open (0).
fn evaluate_every(
    budget: &Budget,
    streams: &TrainingStreams,
    ways: usize,
    valid_tokens: usize,
) -> u64 {
    let Some(steps) = total_steps(budget, ways * streams.windows()) else {
        return 0;
    };
    let trained = steps.saturating_mul((streams.batch_size * streams.bptt) as u64);
    let affordable = trained / (TRAINED_PER_MEASURED * valid_tokens.max(1) as u64);
    steps.div_ceil(affordable.clamp(2, EVALUATIONS)).max(1)
}

/// Steps between two evaluations of a classifier that so many steps are for.
pub fn between_evaluations(steps: u64) -> u64 {
    steps.div_ceil(EVALUATIONS).max(1)
}

/// The updates that a budget comes to; `None` where the clock decides.
pub fn total_steps(budget: &Budget, steps_in_pass: usize) -> Option<u64> {
    match *budget {
        Budget::Steps(steps) => Some(steps),
        Budget::Epochs(epochs) => Some(((epochs * steps_in_pass as f64).round() as u64).max(1)),
        Budget::Seconds(_) => None,
    }
}

/// Bytes that training holds: weights, their gradients, two moments and the copies that a rescue and a save need;
/// what each step keeps for its gradients; logits. `streams` are those of an evaluation.
pub fn memory(config: &ModelConfig, training: &TrainingConfig, streams: usize) -> u64 {
    let parameters = config.parameters();
    let tokens = training.batch_size * training.bptt;
    // In each layer four gates, the sums they began with, their gradients encoded by rows and by columns; cell, output,
    // its dropout and its gradient; the embedding and its gradient.
    let layers = config.num_layers * 20 * config.hidden_size + 2 * config.embedding_size;
    let layers = config.directions().len() * layers;
    // The logits' gradients, by rows and by columns; an evaluation keeps logits.
    let logits = match config.task {
        Task::LanguageModel => (2 * tokens).max(2 * 64 * streams) * config.vocab_size,
        Task::Classifier => 0,
    };
    (4 * (4 + 6) * parameters + 4 * (tokens * layers + logits)) as u64
}

fn positive(name: &str, value: f64) -> Result<f64> {
    if value > 0.0 && value.is_finite() {
        return Ok(value);
    }
    Err(Error::usage(format!(
        "{name} {value} cannot be; give a number above 0"
    )))
}

fn not_negative(name: &str, value: f64) -> Result<f64> {
    if value >= 0.0 && value.is_finite() {
        return Ok(value);
    }
    Err(Error::usage(format!(
        "{name} {value} cannot be; give 0 or more"
    )))
}

fn share(name: &str, value: f64) -> Result<f64> {
    if (0.0..1.0).contains(&value) {
        return Ok(value);
    }
    Err(Error::usage(format!(
        "{name} {value} cannot be; give a share from 0 to below 1"
    )))
}

fn within_one(name: &str, value: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(Error::usage(format!(
        "{name} {value} cannot be; give a share from 0 to 1"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_was_given_is_obeyed() {
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
            (config.hidden_size, config.embedding_size, config.num_layers),
            (512, 100, 2)
        );
        assert_eq!((config.dropout, config.tie_weights), (0.2, false));
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
    fn tied_weights_are_of_one_width() {
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
            let found = found.map(|c| (c.embedding_size, c.hidden_size, c.tie_weights));
            assert_eq!(found, expected, "{arguments:?}");
        }
    }

    #[test]
    fn more_passes_make_wider_layers_and_drop_more() {
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
        let summary =
            |Resolved {
                 config, training, ..
             }| (config.hidden_size, config.dropout, training.weight_drop);
        let characters =
            |tokens, seconds, speed| summary(chosen(Level::Character, 65, tokens, seconds, speed));
        assert_eq!(characters(90_000, 30, 6e4), (384, 0.5, 0.2));
        assert_eq!(characters(90_000, 60, 6e4), (384, 0.5, 0.4));
        assert_eq!(characters(1_000_000, 120, 6e4), (384, 0.3, 0.0));
        assert_eq!(characters(1_000_000, 600, 6e4), (512, 0.45, 0.15));
        assert_eq!(characters(3_000_000, 600, 6e4), (512, 0.3, 0.0));
        // A wider network goes over it less often than the nominal one would: ten times, not seventeen.
        assert_eq!(characters(3_000_000, 600, 8.4e4), (512, 0.3, 0.0));
        assert_eq!(characters(100_000_000, 600, 6e4), (512, 0.1, 0.0));
        // A machine of a quarter of the speed is to do less.
        assert_eq!(characters(1_000_000, 600, 1.5e4), (384, 0.3, 0.0));
        let words = |seconds| summary(chosen(Level::Word, 10_000, 930_000, seconds, 6e4));
        assert_eq!(words(30), (256, 0.1, 0.0));
        assert_eq!(words(120), (512, 0.2, 0.0));
        assert_eq!(words(3600), (640, 0.5, 0.2));
        assert_eq!(words(7200), (640, 0.5, 0.3));
        // Where all compete, and where passes are many, words are moved less.
        let rate = |vocab_size, seconds| {
            let resolved = chosen(Level::Word, vocab_size, 930_000, seconds, 6e4);
            resolved.training.learning_rate
        };
        assert_eq!(rate(10_000, 240), 6e-3);
        assert_eq!(rate(10_000, 3600), 3e-3);
        assert_eq!(rate(7_000, 60), 3e-3);
    }

    #[test]
    fn what_was_chosen_shrinks_for_a_small_corpus_and_what_was_given_does_not() {
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
            validation(&TrainArguments {
                valid: Some("1.5".to_string()),
                ..TrainArguments::default()
            })
            .is_err()
        );
    }
}

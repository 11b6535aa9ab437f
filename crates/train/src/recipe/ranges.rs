/*!
Options with their defaults, and the ranges that they may be in.
*/

use super::defaults::Defaults;
use carousel::checkpoint::arguments::{
    GradientMethod, RecurrentInit, TrainArguments, TrainingPrecision,
};
use carousel::checkpoint::config::{LARGEST_SIZE, MOST_LAYERS};
use carousel::checkpoint::record::{Budget, TrainingConfig};
use carousel::error::{Error, Result};
use carousel_kernels::recurrent::Activation;

/// The seed of everything random.
pub fn seed(arguments: &TrainArguments) -> u64 {
    arguments.seed.unwrap_or(1)
}

/// The training options, with defaults for those that were not given. The batch is given apart, as a small corpus makes it
/// smaller; steps between evaluations and what depends on the machine are filled in later.
///
/// # Errors
/// Values out of range; kernels asked for where there are none.
pub fn training(
    arguments: &TrainArguments,
    defaults: &Defaults,
    budget: Budget,
    [batch_size, bptt]: [usize; 2],
) -> Result<TrainingConfig> {
    if arguments.gradients == Some(GradientMethod::Kernels) && arguments.layer_norm == Some(true) {
        return Err(Error::usage(
            "there are no kernels for --layer-norm yet; leave --gradients kernels away",
        ));
    }
    let drop =
        |name: &str, given: Option<f64>, default: f64| fraction(name, given.unwrap_or(default));
    Ok(TrainingConfig {
        budget,
        batch_size,
        bptt,
        learning_rate: positive(
            "--learning-rate",
            arguments.learning_rate.unwrap_or(defaults.learning_rate),
        )?,
        schedule: arguments.schedule.unwrap_or(defaults.schedule),
        warmup: at_most_one("--warmup", arguments.warmup.unwrap_or(defaults.warmup))?,
        weight_decay: not_negative("--weight-decay", arguments.weight_decay.unwrap_or(0.01))?,
        clip_norm: not_negative("--clip-norm", arguments.clip_norm.unwrap_or(1.0))?,
        embedding_dropout: drop(
            "--embedding-dropout",
            arguments.embedding_dropout,
            defaults.embedding_dropout,
        )?,
        input_dropout: drop(
            "--input-dropout",
            arguments.input_dropout,
            defaults.input_dropout,
        )?,
        weight_drop: drop("--weight-drop", arguments.weight_drop, defaults.weight_drop)?,
        adversarial: not_negative("--adversarial", arguments.adversarial.unwrap_or(0.0))?,
        label_smoothing: drop("--label-smoothing", arguments.label_smoothing, 0.0)?,
        candidates: arguments.candidates.unwrap_or(defaults.candidates),
        ema: fraction("--ema", arguments.ema.unwrap_or(0.0))?,
        patience: arguments.patience.unwrap_or(defaults.patience),
        evaluate_every: 0,
        seed: seed(arguments),
        precision: arguments.precision.unwrap_or(TrainingPrecision::Auto),
        gradients: arguments.gradients.unwrap_or(GradientMethod::Auto),
        recurrent_init: recurrent_init(arguments),
        device: "cpu".to_string(),
        threads: 1,
        world_size: 1,
        gradient_precision: arguments.gradient_precision.unwrap_or_default(),
        sync_every: arguments.sync_every.unwrap_or(1),
    })
}

/// What the recurrent weights begin as: with rectified units the identity (Le et al. 2015), else orthogonal matrices.
fn recurrent_init(arguments: &TrainArguments) -> RecurrentInit {
    arguments
        .recurrent_init
        .unwrap_or(match arguments.activation {
            Some(Activation::Relu) => RecurrentInit::Identity,
            _ => RecurrentInit::Orthogonal,
        })
}

/// Checks the sizes of the network that were given, so that an error names the option and not what follows from it.
///
/// # Errors
/// A size of zero, or an enormous one; a dropout outside [0, 1).
pub fn network(arguments: &TrainArguments) -> Result<()> {
    let sizes = [
        ("--embedding-size", arguments.embedding_size, LARGEST_SIZE),
        ("--hidden-size", arguments.hidden_size, LARGEST_SIZE),
        ("--num-layers", arguments.num_layers, MOST_LAYERS),
        ("--vocab-size", arguments.vocab_size, LARGEST_SIZE),
    ];
    for (name, given, largest) in sizes {
        if let Some(size) = given
            && !(1..=largest).contains(&size)
        {
            return Err(Error::usage(format!(
                "{name} {size} is out of range; give a number from 1 to {largest}"
            )));
        }
    }
    let dropout = arguments.dropout.unwrap_or(0.0);
    fraction("--dropout", dropout).map(|_| ())
}

/// Checks that a size of a batch, if it was given, is not zero.
///
/// # Errors
/// A size of zero.
pub fn not_zero(name: &str, given: Option<usize>) -> Result<()> {
    match given {
        Some(0) => Err(Error::usage(format!(
            "{name} 0 trains nothing; give 1 or more"
        ))),
        _ => Ok(()),
    }
}

fn positive(name: &str, value: f64) -> Result<f64> {
    in_range(
        name,
        value,
        value > 0.0 && value.is_finite(),
        "a number above 0",
    )
}

fn not_negative(name: &str, value: f64) -> Result<f64> {
    in_range(name, value, value >= 0.0 && value.is_finite(), "0 or more")
}

fn fraction(name: &str, value: f64) -> Result<f64> {
    in_range(
        name,
        value,
        (0.0..1.0).contains(&value),
        "a fraction from 0 to below 1",
    )
}

fn at_most_one(name: &str, value: f64) -> Result<f64> {
    in_range(
        name,
        value,
        (0.0..=1.0).contains(&value),
        "a fraction from 0 to 1",
    )
}

fn in_range(name: &str, value: f64, is_in: bool, what: &str) -> Result<f64> {
    match is_in {
        true => Ok(value),
        false => Err(Error::usage(format!(
            "{name} {value} is out of range; give {what}"
        ))),
    }
}

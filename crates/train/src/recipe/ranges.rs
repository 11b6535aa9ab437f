/*!
Options with their defaults, and the ranges that they may be in.
*/

use super::defaults::Defaults;
use carousel::checkpoint::arguments::{
    GradientMethod, RecurrentInit, TrainArguments, TrainingPrecision,
};
use carousel::checkpoint::config::{LARGEST_SIZE, MOST_LAYERS};
use carousel::checkpoint::record::{Budget, TrainingConfig};
use carousel::checkpoint::training_check::fraction;
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
    let training = TrainingConfig {
        budget,
        batch_size,
        bptt,
        learning_rate: arguments.learning_rate.unwrap_or(defaults.learning_rate),
        schedule: arguments.schedule.unwrap_or(defaults.schedule),
        warmup: arguments.warmup.unwrap_or(defaults.warmup),
        weight_decay: arguments.weight_decay.unwrap_or(0.01),
        clip_norm: arguments.clip_norm.unwrap_or(1.0),
        embedding_dropout: arguments
            .embedding_dropout
            .unwrap_or(defaults.embedding_dropout),
        input_dropout: arguments.input_dropout.unwrap_or(defaults.input_dropout),
        weight_drop: arguments.weight_drop.unwrap_or(defaults.weight_drop),
        adversarial: arguments.adversarial.unwrap_or(0.0),
        label_smoothing: arguments.label_smoothing.unwrap_or(0.0),
        candidates: arguments.candidates.unwrap_or(defaults.candidates),
        ema: arguments.ema.unwrap_or(0.0),
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
    };
    training.check(|name| format!("--{}", name.replace('_', "-")))?;
    Ok(training)
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
    fraction("--dropout", dropout)
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

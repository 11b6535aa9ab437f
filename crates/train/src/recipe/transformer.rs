/*!
The options of a transformer: those that it has, and its layers.
*/

use super::defaults::Defaults;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::arguments::{CellChoice, GradientMethod, TrainArguments};
use carousel::checkpoint::parts::Body;
use carousel::checkpoint::transformer::Transformer;
use carousel::error::{Error, Result};

/// Checks that no option was given that is for other layers, and returns the arguments with a transformer's context as its
/// window.
///
/// # Errors
/// The first such option.
pub fn checked(arguments: &TrainArguments) -> Result<TrainArguments> {
    check(arguments)?;
    Ok(TrainArguments {
        bptt: arguments.bptt.or(arguments.context),
        ..arguments.clone()
    })
}

fn check(arguments: &TrainArguments) -> Result<()> {
    if arguments.cell.is_none() && arguments.from.is_some() {
        // The layers are those of the model to go on from, which is not read yet.
        return Ok(());
    }
    if arguments.cell != Some(CellChoice::Transformer) {
        let own = [
            ("--heads", arguments.heads.is_some()),
            ("--context", arguments.context.is_some()),
            ("--positions", arguments.positions.is_some()),
        ];
        return match own.iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(Error::usage(format!(
                "{option} is for a transformer; give --cell transformer too, or leave {option} away"
            ))),
            None => Ok(()),
        };
    }
    let recurrent = [
        ("--activation", arguments.activation.is_some()),
        ("--leak", arguments.leak.is_some()),
        ("--skip", !arguments.skip.is_empty()),
        ("--layer-norm", arguments.layer_norm.is_some()),
        ("--residual", arguments.residual.is_some()),
        ("--initial-state", arguments.initial_state.is_some()),
        ("--recurrent-init", arguments.recurrent_init.is_some()),
        (
            "--weight-drop",
            arguments.weight_drop.is_some_and(|dropped| dropped > 0.0),
        ),
        ("--bidirectional", arguments.bidirectional == Some(true)),
    ];
    if let Some((option, _)) = recurrent.iter().find(|(_, given)| *given) {
        return Err(Error::usage(format!(
            "{option} is for recurrent cells; leave it away with --cell transformer"
        )));
    }
    if arguments.gradients == Some(GradientMethod::Kernels) {
        return Err(Error::usage(
            "there are no kernels for transformers; leave --gradients kernels away",
        ));
    }
    match (arguments.context, arguments.bptt) {
        (Some(context), Some(bptt)) if context != bptt => Err(Error::usage(format!(
            "a transformer's window in training is its context, but --context is {context} and --bptt {bptt}; give one of both"
        ))),
        _ => Ok(()),
    }
}

/// The layers that were asked for, of this width.
pub fn layers(arguments: &TrainArguments, defaults: &Defaults, hidden_size: usize) -> Transformer {
    let num_layers = arguments.num_layers.unwrap_or(defaults.num_layers);
    let context = arguments.bptt.unwrap_or(defaults.bptt);
    let usual = Transformer::new(hidden_size, num_layers, context);
    Transformer {
        heads: arguments.heads.unwrap_or(usual.heads),
        positions: arguments.positions.unwrap_or_default(),
        dropout: arguments.dropout.unwrap_or(defaults.dropout),
        ..usual
    }
}

/// Sets the context of a transformer to the window that the corpus is large enough for.
///
/// # Errors
/// A window that is too short.
pub fn set_context(config: &mut ModelConfig, bptt: usize) -> Result<()> {
    if let Body::Transformer(transformer) = &mut config.body {
        transformer.context = bptt;
    }
    config.check().map_err(|e| Error::usage(e.to_string()))
}

/*!
Options that are kept from the model that a run starts from (`--from`).
*/

use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::Recurrent;
use carousel::checkpoint::arguments::TrainArguments;
use carousel::error::{Error, Result};

/// Sets an option to the model's `own` value.
///
/// # Errors
/// If another value was given.
pub fn keep<T: Copy + PartialEq + std::fmt::Display>(
    model: &str,
    option: &str,
    given: &mut Option<T>,
    own: T,
) -> Result<()> {
    if *given.get_or_insert(own) == own {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{model} has {option} {own}, and --from keeps that; leave {option} away"
    )))
}

/// Sets the sizes to those of the model.
///
/// # Errors
/// As [`keep`].
pub fn keep_sizes(model: &str, config: &ModelConfig, arguments: &mut TrainArguments) -> Result<()> {
    let (tokens, recurrent) = (config.tokens(), config.recurrent());
    keep_cell(model, recurrent, arguments)?;
    keep(
        model,
        "--hidden-size",
        &mut arguments.hidden_size,
        recurrent.hidden_size,
    )?;
    keep(
        model,
        "--embedding-size",
        &mut arguments.embedding_size,
        tokens.embedding_size,
    )?;
    keep(
        model,
        "--num-layers",
        &mut arguments.num_layers,
        recurrent.num_layers,
    )?;
    keep(
        model,
        "--bidirectional",
        &mut arguments.bidirectional,
        recurrent.bidirectional,
    )
}

/// Sets the cell and its options to those of the model.
fn keep_cell(model: &str, own: &Recurrent, arguments: &mut TrainArguments) -> Result<()> {
    let other_skip = !arguments.skip.is_empty() && arguments.skip != own.skip;
    let contradictions = [
        (
            "--cell",
            arguments.cell.is_some_and(|cell| cell != own.cell),
        ),
        (
            "--activation",
            arguments
                .activation
                .is_some_and(|given| given != own.activation),
        ),
        (
            "--leak",
            arguments.leak.is_some() && arguments.leak != own.leak,
        ),
        ("--skip", other_skip),
        (
            "--layer-norm",
            arguments
                .layer_norm
                .is_some_and(|given| given != own.layer_norm),
        ),
        (
            "--initial-state",
            arguments
                .initial_state
                .is_some_and(|given| given != own.initial_state),
        ),
        (
            "--residual",
            arguments
                .residual
                .is_some_and(|given| given != own.residual),
        ),
    ];
    if let Some((option, _)) = contradictions.iter().find(|(_, contradicts)| *contradicts) {
        return Err(Error::usage(format!(
            "{model} has other layers ({}), and --from keeps them; leave {option} away",
            own.cell_description()
        )));
    }
    arguments.cell = Some(own.cell);
    arguments.activation = Some(own.activation);
    arguments.leak = own.leak;
    arguments.skip = own.skip.clone();
    arguments.layer_norm = Some(own.layer_norm);
    arguments.residual = Some(own.residual);
    arguments.initial_state = Some(own.initial_state);
    Ok(())
}

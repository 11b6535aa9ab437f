/*!
Options that are kept from the model that a run starts from (`--from`).
*/

use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::Recurrent;
use carousel::checkpoint::arguments::{CellChoice, TrainArguments};
use carousel::checkpoint::parts::Body;
use carousel::checkpoint::transformer::Transformer;
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
    let tokens = config.tokens();
    match &config.body {
        Body::Transformer(own) => keep_transformer(model, own, arguments)?,
        _ => keep_cell(model, config.recurrent(), arguments)?,
    }
    keep(
        model,
        "--hidden-size",
        &mut arguments.hidden_size,
        config.hidden_size(),
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
        config.num_layers(),
    )?;
    keep(
        model,
        "--bidirectional",
        &mut arguments.bidirectional,
        config.directions().len() > 1,
    )
}

/// Sets the options of a transformer to those of the model.
fn keep_transformer(model: &str, own: &Transformer, arguments: &mut TrainArguments) -> Result<()> {
    let other_cell = |cell| cell != CellChoice::Transformer;
    let other_positions = |positions| positions != own.positions;
    let contradictions = [
        ("--cell", arguments.cell.is_some_and(other_cell)),
        (
            "--positions",
            arguments.positions.is_some_and(other_positions),
        ),
    ];
    if let Some((option, _)) = contradictions.iter().find(|(_, contradicts)| *contradicts) {
        return Err(Error::usage(format!(
            "{model} has other layers ({}), and --from keeps them; leave {option} away",
            own.description()
        )));
    }
    keep(model, "--heads", &mut arguments.heads, own.heads)?;
    keep(model, "--context", &mut arguments.context, own.context)?;
    arguments.cell = Some(CellChoice::Transformer);
    arguments.positions = Some(own.positions);
    Ok(())
}

/// Sets the cell and its options to those of the model.
fn keep_cell(model: &str, own: &Recurrent, arguments: &mut TrainArguments) -> Result<()> {
    let other_skip = !arguments.skip.is_empty() && arguments.skip != own.skip;
    let contradictions = [
        (
            "--cell",
            (arguments.cell).is_some_and(|cell| cell != CellChoice::Recurrent(own.cell)),
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
    arguments.cell = Some(CellChoice::Recurrent(own.cell));
    arguments.activation = Some(own.activation);
    arguments.leak = own.leak;
    arguments.skip = own.skip.clone();
    arguments.layer_norm = Some(own.layer_norm);
    arguments.residual = Some(own.residual);
    arguments.initial_state = Some(own.initial_state);
    Ok(())
}

/*!
Options that are kept from the model that a run starts from (`--from`).
*/

use carousel::checkpoint::ModelConfig;
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

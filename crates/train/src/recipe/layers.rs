/*!
The recurrent layers that were asked for.
*/

use carousel::checkpoint::architecture::{Leak, Recurrent};
use carousel::checkpoint::arguments::{CellChoice, TrainArguments};
use carousel::error::{Error, Result};
use carousel_kernels::recurrent::Cell;

/// Steps that skip connections go back by default.
const SKIP: usize = 4;

/// The recurrent cell that was asked for, or the default. `what` is what has recurrent cells alone.
///
/// # Errors
/// A transformer.
pub fn recurrent_cell(asked: Option<CellChoice>, default: CellChoice, what: &str) -> Result<Cell> {
    match asked.unwrap_or(default) {
        CellChoice::Recurrent(cell) => Ok(cell),
        CellChoice::Transformer => Err(Error::usage(format!(
            "a transformer is a language model, which `carousel train` learns, or a translator; {what} has a recurrent cell, such as --cell lstm, \
             and goes on from a model that has one"
        ))),
    }
}

/// Sets the cell and its options to what was given; what is not given has the cell's defaults.
pub fn with_cell(layers: Recurrent, cell: Cell, arguments: &TrainArguments) -> Recurrent {
    let skip = match (cell, &arguments.skip[..]) {
        (Cell::Skip, []) => vec![SKIP],
        (_, given) => given.to_vec(),
    };
    Recurrent {
        cell,
        activation: arguments.activation.unwrap_or_default(),
        leak: arguments
            .leak
            .or((cell == Cell::Leaky).then_some(Leak::Learnt)),
        skip,
        layer_norm: arguments.layer_norm.unwrap_or(false),
        residual: arguments.residual.unwrap_or(false),
        initial_state: arguments.initial_state.unwrap_or_default(),
        ..layers
    }
}

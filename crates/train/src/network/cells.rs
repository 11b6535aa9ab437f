/*!
The cells in libtorch's operations: the reference for the kernels, and the code that runs on a GPU.
*/

use tch::Tensor;

use carousel_kernels::recurrent::Cell;

/// Runs a layer over a window.
///
/// `inputs` is `[steps, batch_size, input_size]`, `state` the cell's parts, `[1, batch_size, hidden_size]` each, and
/// `weights` are weight_ih, weight_hh, bias_ih and bias_hh. Returns the outputs, `[steps, batch_size, hidden_size]`, and the
/// parts afterwards.
pub fn forward(
    cell: Cell,
    inputs: &Tensor,
    state: &[Tensor],
    weights: &[Tensor; 4],
) -> (Tensor, Vec<Tensor>) {
    match cell {
        Cell::Lstm => {
            let (outputs, hidden, cell) =
                inputs.lstm(state, weights, true, 1, 0.0, false, false, false);
            (outputs, vec![hidden, cell])
        }
    }
}

/// Initialises a cell's input bias, `[gates · hidden_size]`, which is zero: an LSTM's forget gate begins at one
/// (Jozefowicz et al. 2015), so that its cell state is kept from the first step on.
pub fn initialise_bias(cell: Cell, bias: &Tensor, hidden_size: i64) {
    match cell {
        Cell::Lstm => {
            let _ = bias.narrow(0, hidden_size, hidden_size).fill_(1.0);
        }
    }
}

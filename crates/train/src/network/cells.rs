/*!
The cells in libtorch's operations: the reference for the kernels, and the code that runs on a GPU.

A layer's terms of the input x and of the hidden state h are, for all gates at once,

```text
X = W_ih · x + b_ih        H = W_hh · h + b_hh
```

and with layer normalisation (Ba et al. 2016, without that of the cell state)

```text
X = γ_ih · norm(W_ih · x) + b_ih        H = γ_hh · norm(W_hh · h) + b_hh
```

[`step`] has the equations of each cell. A cell that libtorch has as one operation is run by that where nothing is
normalised; it gives the same numbers, which the tests check.
*/

use tch::Tensor;

use carousel::checkpoint::architecture::{LayerTensors, Leak, Recurrent};
use carousel_kernels::recurrent::{Activation, Cell};

/// Added to a variance, as PyTorch does.
const EPSILON: f64 = 1e-5;

/// Runs a layer over a window.
///
/// `inputs` is `[steps, batch_size, input_size]`, and `state` the parts of the layer's state, `[1, batch_size, hidden_size]`
/// each. Returns the outputs, `[steps, batch_size, hidden_size]`, and the parts afterwards.
pub fn forward(
    recurrent: &Recurrent,
    inputs: &Tensor,
    state: &[Tensor],
    weights: &LayerTensors<Tensor>,
) -> (Tensor, Vec<Tensor>) {
    if recurrent.layer_norm {
        return unrolled(recurrent, inputs, state, weights);
    }
    let own = [
        &weights.weight_ih,
        &weights.weight_hh[0],
        &weights.bias_ih,
        &weights.bias_hh,
    ]
    .map(Tensor::shallow_clone);
    let one = |(outputs, hidden): (Tensor, Tensor)| (outputs, vec![hidden]);
    let hidden = &state[0];
    match (recurrent.cell, recurrent.activation) {
        (Cell::Lstm, _) => {
            let (outputs, hidden, cell) =
                inputs.lstm(state, &own, true, 1, 0.0, false, false, false);
            (outputs, vec![hidden, cell])
        }
        (Cell::Gru, _) => one(inputs.gru(hidden, &own, true, 1, 0.0, false, false, false)),
        (Cell::Rnn, Activation::Tanh) => {
            one(inputs.rnn_tanh(hidden, &own, true, 1, 0.0, false, false, false))
        }
        (Cell::Rnn, Activation::Relu) => {
            one(inputs.rnn_relu(hidden, &own, true, 1, 0.0, false, false, false))
        }
        (Cell::Leaky | Cell::Skip, _) => unrolled(recurrent, inputs, state, weights),
    }
}

/// Runs a layer step by step, as [`forward`] does.
pub(super) fn unrolled(
    recurrent: &Recurrent,
    inputs: &Tensor,
    state: &[Tensor],
    weights: &LayerTensors<Tensor>,
) -> (Tensor, Vec<Tensor>) {
    let norms = weights.norms.as_ref();
    let x = inputs.matmul(&weights.weight_ih.tr());
    let x = normalised(x, norms.map(|[gains, _]| gains)) + &weights.bias_ih;
    let lags = recurrent.layer_spec().lags;
    let mut state: Vec<Tensor> = state.iter().map(|part| part.squeeze_dim(0)).collect();
    let mut outputs = Vec::new();
    for x in x.unbind(0) {
        let products = lags.iter().zip(&weights.weight_hh).map(|(lag, weights)| {
            // Part 0 is the last hidden state, part 1 the one before.
            state[lag - 1].matmul(&weights.tr())
        });
        let h = products.reduce(|sum, product| sum + product);
        let h = normalised(h.expect("a lag"), norms.map(|[_, gains]| gains)) + &weights.bias_hh;
        let after = step(recurrent, x, h, &state, weights.leak.as_ref());
        outputs.push(after[0].shallow_clone());
        // The hidden states before move on by one.
        let kept = state.drain(..).skip(after.len() - 1).collect::<Vec<_>>();
        let moved = kept
            .into_iter()
            .take(lags.iter().max().map_or(0, |lag| lag - 1));
        state = after.into_iter().chain(moved).collect();
    }
    let state = state.iter().map(|part| part.unsqueeze(0)).collect();
    (Tensor::stack(&outputs, 0), state)
}

/// One step of a cell, from its terms of the input and of the hidden state, `[batch_size, gates · hidden_size]`. Returns the
/// hidden state, and the cell state of an LSTM.
///
/// - `rnn` (Elman 1990), and `skip`, whose H is of several earlier states (Lin et al. 1996): h′ = f(X + H)
/// - `leaky` (Jaeger et al. 2007): h′ = α h + (1 − α) f(X + H)
/// - `gru` (Cho et al. 2014, as cuDNN has it): r = σ(X_r + H_r), z = σ(X_z + H_z), n = tanh(X_n + r H_n),
///   h′ = (1 − z) n + z h
/// - `lstm` (Hochreiter and Schmidhuber 1997; Gers et al. 2000): i, f, o = σ(X + H), g = tanh(X_g + H_g),
///   c′ = f c + i g, h′ = o tanh(c′)
fn step(
    recurrent: &Recurrent,
    x: Tensor,
    h: Tensor,
    state: &[Tensor],
    leak: Option<&Tensor>,
) -> Vec<Tensor> {
    let activate = |sum: Tensor| match recurrent.activation {
        Activation::Tanh => sum.tanh(),
        Activation::Relu => sum.relu(),
    };
    match recurrent.cell {
        Cell::Rnn | Cell::Skip => vec![activate(x + h)],
        Cell::Leaky => {
            let new = activate(x + h);
            let kept = match (recurrent.leak, leak) {
                (Some(Leak::Fixed(leak)), _) => (&state[0] - &new) * leak,
                (_, Some(odds)) => (&state[0] - &new) * odds.sigmoid(),
                (_, None) => unreachable!("leaky units have a leak"),
            };
            vec![new + kept]
        }
        Cell::Gru => {
            let (x, h) = (x.chunk(3, -1), h.chunk(3, -1));
            let [r, z] = [0, 1].map(|gate| (&x[gate] + &h[gate]).sigmoid());
            let n = (&x[2] + r * &h[2]).tanh();
            vec![&n + z * (&state[0] - &n)]
        }
        Cell::Lstm => {
            let sums = (x + h).chunk(4, -1);
            let [i, f, o] = [0, 1, 3].map(|gate| sums[gate].sigmoid());
            let cell = f * &state[1] + i * sums[2].tanh();
            vec![o * cell.tanh(), cell]
        }
    }
}

/// Products, normalised over all gates if there are gains.
fn normalised(products: Tensor, gains: Option<&Tensor>) -> Tensor {
    let Some(gains) = gains else { return products };
    products.layer_norm(gains.size(), Some(gains), None::<&Tensor>, EPSILON, false)
}

/// Initialises a cell's input bias, `[gates · hidden_size]`, which is zero: an LSTM's forget gate begins at one
/// (Jozefowicz et al. 2015), so that its cell state is kept from the first step on.
pub fn initialise_bias(cell: Cell, bias: &Tensor, hidden_size: i64) {
    if cell == Cell::Lstm {
        let _ = bias.narrow(0, hidden_size, hidden_size).fill_(1.0);
    }
}

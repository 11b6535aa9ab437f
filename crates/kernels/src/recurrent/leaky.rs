/*!
Arithmetic of leaky units:

```text
n  = f(sum)                 f: tanh, or max(·, 0)
h′ = α · h + (1 − α) · n    α: the leak of each unit
```
*/

use super::simple::{activate, slopes};
use super::step::{Activation, BackwardStep, ForwardStep};
use crate::elementwise::add_rows;

/// One step: `sums`, `state` and `hidden` are `[rows, units]`; `state` and `hidden` are replaced.
pub(crate) fn step(
    sums: &[f32],
    state: &mut [f32],
    hidden: &mut [f32],
    leak: &[f32],
    activation: Activation,
) {
    hidden.copy_from_slice(sums);
    activate(hidden, activation);
    let rows = hidden.chunks_exact_mut(leak.len());
    for (hidden, state) in rows.zip(state.chunks_exact_mut(leak.len())) {
        for ((hidden, state), leak) in hidden.iter_mut().zip(state).zip(leak) {
            *hidden = mix(*leak, *state, *hidden);
            *state = *hidden;
        }
    }
}

/// α · h + (1 − α) · n.
fn mix(leak: f32, state: f32, new: f32) -> f32 {
    leak * (state - new) + new
}

/// As [`step`], for training: the sums are replaced by the new values, and the states before the step are kept.
pub(crate) fn forward(step: ForwardStep, activation: Activation) {
    let ForwardStep {
        gates: [gates, ..],
        before,
        after,
        hidden,
        leak,
    } = step;
    activate(gates, activation);
    let units = leak.len();
    let rows = gates.chunks_exact(units).zip(before.chunks_exact(units));
    for ((gates, before), after) in rows.zip(after.chunks_exact_mut(units)) {
        let values = gates.iter().zip(before).zip(leak);
        for (after, ((new, before), leak)) in after.iter_mut().zip(values) {
            *after = mix(*leak, *before, *new);
        }
    }
    hidden.copy_from_slice(after);
}

/// Gradients of [`forward`].
pub(crate) fn backward(step: BackwardStep, activation: Activation) {
    let BackwardStep {
        gates: [gates, ..],
        carried: (before, _),
        hidden_gradient,
        carried_gradient,
        bias_gradient,
        leak: (leak, leak_gradient),
    } = step;
    let units = leak.len();
    // The state is the hidden state: both gradients are of it.
    for (carried, hidden) in carried_gradient.iter_mut().zip(hidden_gradient) {
        *carried += hidden;
    }
    let rows = gates.chunks_exact(units).zip(before.chunks_exact(units));
    for ((new, before), gradient) in rows.zip(carried_gradient.chunks_exact(units)) {
        let values = new.iter().zip(before).zip(gradient);
        for (sum, ((new, before), gradient)) in leak_gradient.iter_mut().zip(values) {
            *sum += gradient * (before - new);
        }
    }
    slopes(gates, activation);
    let rows = gates
        .chunks_exact_mut(units)
        .zip(carried_gradient.chunks_exact_mut(units));
    for (gates, gradient) in rows {
        for ((gate, gradient), leak) in gates.iter_mut().zip(gradient).zip(leak) {
            *gate *= *gradient * (1.0 - leak);
            *gradient *= leak;
        }
    }
    add_rows(gates, bias_gradient);
}

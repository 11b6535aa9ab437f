/*!
Arithmetic of gated recurrent units, for a panel of units for each gate:

```text
r = σ(sum)                   reset gate
z = σ(sum)                   update gate
n = tanh(x's + r · h's)      new gate, whose sums of the input and of the hidden state are apart
h′ = (1 − z) · n + z · h
```

The gates are in libtorch's order: reset, update, new.
*/

use super::step::{BackwardStep, ForwardStep, Panels};
use crate::cpu::{for_each_cpu, multiply_add};
use crate::elementwise::{add_rows, sigmoid, tanh};

/// Number of gates.
pub(crate) const GATES: usize = 3;
/// Sums of the reset gate, of the update gate, and of the new gate: from the input, and from the hidden state.
pub(crate) const PANELS: Panels = Panels {
    count: 4,
    input: &[0, 1, 2],
    recurrent: &[0, 1, 3],
};

for_each_cpu! {
    /// One step: `sums` is `[4, rows, units]`; `state` and `hidden` are `[rows, units]` and are replaced.
    pub(crate) fn step(sums: &[f32], state: &mut [f32], hidden: &mut [f32]) {
        let count = state.len();
        let (r, rest) = sums.split_at(count);
        let (z, rest) = rest.split_at(count);
        let (n, h) = rest.split_at(count);
        let (h, hidden) = (&h[..count], &mut hidden[..count]);
        for i in 0..count {
            let (reset, update) = (sigmoid::<FMA>(r[i]), sigmoid::<FMA>(z[i]));
            let new = tanh::<FMA>(multiply_add::<FMA>(reset, h[i], n[i]));
            state[i] = multiply_add::<FMA>(update, state[i] - new, new);
            hidden[i] = state[i];
        }
    }
}

/// As [`step`], for training: the sums are replaced by the gates, and the states before the step are kept.
pub(crate) fn forward(step: ForwardStep) {
    forward_of(step.gates, step.before, step.after);
    step.hidden.copy_from_slice(step.after);
}

for_each_cpu! {
    fn forward_of(gates: [&mut [f32]; 4], before: &[f32], after: &mut [f32]) {
        let count = after.len();
        let [r, z, n, h] = gates.map(|gate| &mut gate[..count]);
        let before = &before[..count];
        for i in 0..count {
            let (reset, update) = (sigmoid::<FMA>(r[i]), sigmoid::<FMA>(z[i]));
            let new = tanh::<FMA>(multiply_add::<FMA>(reset, h[i], n[i]));
            (r[i], z[i], n[i]) = (reset, update, new);
            after[i] = multiply_add::<FMA>(update, before[i] - new, new);
        }
    }
}

/// Gradients of [`forward`].
pub(crate) fn backward(step: BackwardStep) {
    let BackwardStep {
        mut gates,
        carried: (before, _),
        hidden_gradient,
        carried_gradient,
        bias_gradient,
        ..
    } = step;
    let parts = gates.each_mut().map(|gate| &mut **gate);
    backward_of(parts, before, hidden_gradient, carried_gradient);
    let width = bias_gradient.len() / gates.len();
    for (gate, bias_gradient) in gates.iter().zip(bias_gradient.chunks_exact_mut(width)) {
        add_rows(gate, bias_gradient);
    }
}

for_each_cpu! {
    fn backward_of(gates: [&mut [f32]; 4], before: &[f32], hidden_gradient: &[f32], carried_gradient: &mut [f32]) {
        let count = carried_gradient.len();
        let [r, z, n, h] = gates.map(|gate| &mut gate[..count]);
        let (before, hidden_gradient) = (&before[..count], &hidden_gradient[..count]);
        for i in 0..count {
            let (reset, update, new) = (r[i], z[i], n[i]);
            // The state is the hidden state: both gradients are of it.
            let gradient = carried_gradient[i] + hidden_gradient[i];
            carried_gradient[i] = gradient * update;
            let d_new = gradient * (1.0 - update) * (1.0 - new * new);
            r[i] = d_new * h[i] * reset * (1.0 - reset);
            z[i] = gradient * (before[i] - new) * update * (1.0 - update);
            n[i] = d_new;
            h[i] = d_new * reset;
        }
    }
}

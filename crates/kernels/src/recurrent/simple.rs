/*!
Arithmetic of the plain recurrent cell, with connections to the step before or to several:

```text
h′ = f(sum)     f: tanh, or max(·, 0)
```
*/

use super::step::{Activation, BackwardStep, ForwardStep};
use crate::cpu::for_each_cpu;
use crate::elementwise::{add_rows, tanh};

/// One step: `sums` and `hidden` are `[rows, units]`.
pub(crate) fn step(sums: &[f32], hidden: &mut [f32], activation: Activation) {
    hidden.copy_from_slice(sums);
    activate(hidden, activation);
}

/// As [`step`], for training: the sums are replaced by the hidden state.
pub(crate) fn forward(step: ForwardStep, activation: Activation) {
    let [gates, ..] = step.gates;
    activate(gates, activation);
    step.hidden.copy_from_slice(gates);
}

/// Gradients of [`forward`].
pub(crate) fn backward(step: BackwardStep, activation: Activation) {
    let [gates, ..] = step.gates;
    slopes(gates, activation);
    for (gate, gradient) in gates.iter_mut().zip(step.hidden_gradient) {
        *gate *= gradient;
    }
    add_rows(gates, step.bias_gradient);
}

/// Applies an activation.
pub(super) fn activate(values: &mut [f32], activation: Activation) {
    match activation {
        Activation::Tanh => tanh_of(values),
        Activation::Relu => values.iter_mut().for_each(|value| *value = value.max(0.0)),
    }
}

for_each_cpu! {
    fn tanh_of(values: &mut [f32]) {
        for value in values {
            *value = tanh::<FMA>(*value);
        }
    }
}

/// Replaces values of an activation by its slopes there.
pub(super) fn slopes(values: &mut [f32], activation: Activation) {
    match activation {
        Activation::Tanh => values
            .iter_mut()
            .for_each(|value| *value = 1.0 - *value * *value),
        Activation::Relu => values
            .iter_mut()
            .for_each(|value| *value = if *value > 0.0 { 1.0 } else { 0.0 }),
    }
}

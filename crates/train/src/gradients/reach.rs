/*!
How far gradients reach back in time: those of the loss at one step with respect to the states at the steps before it
(Bengio et al. 1994; Pascanu et al. 2013).
*/

use tch::{Kind, Reduction, Tensor};

use crate::network::{Network, State};
use carousel_kernels::recurrent::Cell;

/// Norms of gradients by distance in time.
#[derive(Clone, Debug, PartialEq)]
pub struct Reach {
    /// The layer, from 0.
    pub layer: usize,
    /// Whether it is of an LSTM's cell state, not of the hidden state.
    pub of_cell: bool,
    /// The distance of the first norm: 0, and 1 for a cell state, of which the last step's loss reads only the output.
    pub nearest: usize,
    /// The mean norm for each distance from `nearest` on.
    pub norms: Vec<f64>,
}

impl Reach {
    /// Distances, and norms relative to the nearest.
    pub fn relative(&self) -> impl Iterator<Item = (usize, f64)> {
        let first = self.norms.first().copied().unwrap_or(1.0);
        let norms = self.norms.iter().enumerate();
        norms.map(move |(index, norm)| (self.nearest + index, norm / first))
    }
}

/// Windows of text, time-major: token ids `[steps, windows]`, before which others may be read without gradients.
pub struct ReachWindows {
    /// Token ids that are read first, to begin with a state; may be empty.
    pub before: Vec<u32>,
    /// The window's token ids.
    pub inputs: Vec<u32>,
    /// The token ids after the last step.
    pub targets: Vec<u32>,
}

impl ReachWindows {
    /// At most `most` windows of `steps` steps, spread evenly over the tokens; of a short text one window, which may be
    /// shorter. `None` if there are fewer than three tokens.
    pub fn spread(tokens: &[u32], steps: usize, most: usize) -> Option<Self> {
        if tokens.len() < 3 {
            return None;
        }
        let steps = steps.min(tokens.len() - 1);
        let before = steps.min((tokens.len() - 1) - steps);
        let length = before + steps + 1;
        let count = (tokens.len() / length).clamp(1, most);
        let room = tokens.len() - length;
        let starts: Vec<usize> = (0..count)
            .map(|window| room * window / (count - 1).max(1))
            .collect();
        let at = |step: usize| starts.iter().map(move |start| tokens[start + step]);
        Some(ReachWindows {
            before: (0..before).flat_map(at).collect(),
            inputs: (before..before + steps).flat_map(at).collect(),
            targets: at(before + steps).collect(),
        })
    }

    /// Number of windows.
    pub fn count(&self) -> usize {
        self.targets.len()
    }

    /// Number of steps of a window.
    pub fn steps(&self) -> usize {
        self.inputs.len() / self.count()
    }
}

/// The gradients of the loss of the token after each window's last step, with respect to each layer's state at each step,
/// in float64: the norm for each window, and the mean of these.
pub fn reach(network: &Network, windows: &ReachWindows) -> Vec<Reach> {
    let network = network.to_kind(Kind::Double);
    let recurrent = network.config.recurrent();
    let count = windows.count();
    let device = network.device();
    let zeros = State::zeros(recurrent, count, device).map(|part| part.to_kind(Kind::Double));
    let mut state = zeros;
    if !windows.before.is_empty() {
        let before = ids(&windows.before)
            .view([-1, count as i64])
            .to_device(device);
        state = tch::no_grad(|| network.predict(&before, &state).1);
    }
    let inputs = ids(&windows.inputs)
        .view([-1, count as i64])
        .to_device(device);
    let unrolled = network.unrolled(&inputs, &state);
    let targets = ids(&windows.targets).to_device(device);
    // A sum, so that each window's gradients are those of its own loss.
    let loss = network
        .logits(&unrolled.outputs)
        .cross_entropy_loss::<Tensor>(&targets, None, Reduction::Sum, -100, 0.0);
    let has_cell = recurrent.cell == Cell::Lstm;
    let steps = windows.steps();
    let mut wanted = Vec::new();
    for layer in 0..recurrent.num_layers {
        for part in 0..=usize::from(has_cell) {
            // The last cell state is read by no later step.
            let states = (0..steps - part).rev();
            let states: Vec<&Tensor> = states
                .map(|step| &unrolled.states[step][layer][part])
                .collect();
            wanted.push((layer, part, states));
        }
    }
    let flat: Vec<&Tensor> = wanted
        .iter()
        .flat_map(|(_, _, states)| states.iter().copied())
        .collect();
    let mut gradients = Tensor::run_backward(&[loss], &flat, false, false).into_iter();
    let mut norms = |states: &[&Tensor]| -> Vec<f64> {
        let gradients = gradients.by_ref().take(states.len());
        gradients.map(|gradient| mean_norm(&gradient)).collect()
    };
    wanted
        .iter()
        .map(|(layer, part, states)| Reach {
            layer: *layer,
            of_cell: *part == 1,
            nearest: *part,
            norms: norms(states),
        })
        .collect()
}

/// Mean over windows of the norm over units.
fn mean_norm(gradient: &Tensor) -> f64 {
    let squares = gradient
        .square()
        .sum_dim_intlist([-1i64].as_slice(), false, Kind::Double);
    squares.sqrt().mean(Kind::Double).double_value(&[])
}

fn ids(tokens: &[u32]) -> Tensor {
    let ids: Vec<i64> = tokens.iter().map(|&id| i64::from(id)).collect();
    Tensor::from_slice(&ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::testing::{calm, config, every_reference, network_of_cosines};
    use tch::Device;

    const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

    fn tokens() -> Vec<u32> {
        (0..200).map(|i| (i * i + i / 3) % 7).collect()
    }

    #[test]
    fn windows_are_spread_over_the_text() {
        let tokens: Vec<u32> = (0..100).collect();
        let windows = ReachWindows::spread(&tokens, 10, 3).unwrap();
        assert_eq!((windows.count(), windows.steps()), (3, 10));
        assert_eq!(windows.targets, [20, 59, 99]);
        assert_eq!(windows.inputs[27..], [19, 58, 98]);
        // A short text is one window, from the zero state.
        let short = ReachWindows::spread(&tokens[..5], 10, 3).unwrap();
        assert_eq!(
            (short.before.len(), &short.inputs[..]),
            (0, &[0, 1, 2, 3][..])
        );
        assert!(ReachWindows::spread(&tokens[..2], 10, 3).is_none());
    }

    #[test]
    fn gradients_are_those_of_small_changes() {
        let base = config(false, 0.0);
        for layers in every_reference(base.recurrent()) {
            let mut config = base.clone();
            *config.recurrent_mut() = layers;
            let network = network_of_cosines(&config);
            calm(&network);
            let windows = ReachWindows::spread(&tokens(), 4, 1).unwrap();
            let found = reach(&network, &windows);
            let network = network.to_kind(Kind::Double);
            let recurrent = config.recurrent();
            let zeros =
                State::zeros(recurrent, 1, Device::Cpu).map(|part| part.to_kind(Kind::Double));
            let read = |tokens: &[u32], state: &State| {
                let tokens = ids(tokens).view([-1, 1]);
                tch::no_grad(|| network.predict(&tokens, state))
            };
            let (_, begin) = read(&windows.before, &zeros);
            let (_, begin) = read(&windows.inputs[..2], &begin);
            let loss = |state: &State| {
                let (logits, _) = read(&windows.inputs[2..], state);
                let targets = ids(&windows.targets);
                let last = logits.narrow(0, 1, 1);
                let sum = Reduction::Sum;
                last.cross_entropy_loss::<Tensor>(&targets, None, sum, -100, 0.0)
                    .double_value(&[])
            };
            let mut squares = 0.0;
            for unit in 0..recurrent.hidden_size as i64 {
                let change = |by: f64| {
                    let state = begin.map(|part| part.copy());
                    let cell = state.parts[0].get(1).get(0).get(unit);
                    let _ = cell.shallow_clone().g_add_(&Tensor::full([], by, DOUBLE));
                    loss(&state)
                };
                squares += ((change(1e-5) - change(-1e-5)) / 2e-5).powi(2);
            }
            let top = found
                .iter()
                .find(|layer| layer.layer == 1 && !layer.of_cell)
                .unwrap();
            let expected = squares.sqrt();
            // Of the last layer, whose output at an earlier step nothing but its own next step reads.
            assert!(
                (top.norms[2] - expected).abs() < 1e-6 * expected.max(1e-3),
                "{}: {} and {expected}",
                recurrent.cell_description(),
                top.norms[2]
            );
        }
    }
}

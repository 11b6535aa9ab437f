/*!
How gates, leaks and plain units behave over a text.
*/

use super::plain::{PlainNetwork, gate_names};
use carousel_kernels::recurrent::{Activation, Cell};

/// Below the first and above the second a gate counts as saturated.
const SATURATED: (f32, f32) = (0.1, 0.9);
/// Quantiles of time constants.
const QUANTILES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// One layer over a text.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerActivity {
    /// The gates, in the cell's order; none for cells without.
    pub gates: Vec<GateActivity>,
    /// How long units remember, in steps: −1 / ln of what they keep at a step, the mean of a forget gate (of a GRU's update
    /// gate) or a leak, as quantiles over the units from the least to the largest. `None` for cells without such a thing.
    pub time_constants: Option<[f64; 5]>,
    /// Share of the units' hidden states that are saturated: |h| above 0.9.
    pub saturated: f64,
    /// Share of the hidden states that are exactly zero: units of a ReLU that are off.
    pub zero: f64,
}

/// One gate over a text.
#[derive(Clone, Debug, PartialEq)]
pub struct GateActivity {
    /// Its name.
    pub name: &'static str,
    /// Mean over units and steps.
    pub mean: f64,
    /// Share of activations below 0.1.
    pub closed: f64,
    /// Share of activations above 0.9.
    pub open: f64,
}

/// Sums of one layer.
struct Sums {
    /// For each gate: sums by unit, and numbers of closed and of open activations.
    gates: Vec<(Vec<f64>, u64, u64)>,
    saturated: u64,
    zero: u64,
}

/// Reads tokens from the zero state, and returns what each layer did. `progress` is called after each token.
pub fn activity(
    network: &PlainNetwork,
    tokens: &[u32],
    mut progress: impl FnMut(),
) -> Vec<LayerActivity> {
    let recurrent = network.recurrent();
    let size = recurrent.hidden_size;
    let names = gate_names(recurrent.cell);
    let zeros = || Sums {
        gates: vec![(vec![0.0; size], 0, 0); names.len()],
        saturated: 0,
        zero: 0,
    };
    let mut sums: Vec<Sums> = (0..recurrent.num_layers).map(|_| zeros()).collect();
    let mut state = network.zero_state();
    for &token in tokens {
        network.step(token, &mut state);
        for (sums, layer) in sums.iter_mut().zip(&state) {
            for ((units, closed, open), gate) in sums.gates.iter_mut().zip(&layer.gates) {
                for (sum, &value) in units.iter_mut().zip(gate) {
                    *sum += f64::from(value);
                    *closed += u64::from(value < SATURATED.0);
                    *open += u64::from(value > SATURATED.1);
                }
            }
            for &hidden in &layer.hidden[0] {
                sums.saturated += u64::from(hidden.abs() > SATURATED.1);
                sums.zero += u64::from(hidden == 0.0);
            }
        }
        progress();
    }
    let layers = sums.into_iter().enumerate();
    layers
        .map(|(layer, sums)| layer_activity(network, layer, sums, tokens.len()))
        .collect()
}

fn layer_activity(network: &PlainNetwork, layer: usize, sums: Sums, steps: usize) -> LayerActivity {
    let recurrent = network.recurrent();
    let all = (steps * recurrent.hidden_size).max(1) as f64;
    let names = gate_names(recurrent.cell).iter();
    let gate =
        |(&name, (units, closed, open)): (&&'static str, &(Vec<f64>, u64, u64))| GateActivity {
            name,
            mean: units.iter().sum::<f64>() / all,
            closed: *closed as f64 / all,
            open: *open as f64 / all,
        };
    let means = |gate: usize| -> Vec<f64> {
        let units = sums.gates[gate].0.iter();
        units.map(|sum| sum / steps.max(1) as f64).collect()
    };
    let kept: Vec<f64> = match recurrent.cell {
        // Both stand second: an LSTM's forget gate, and a GRU's update gate, which keeps the state where it is open.
        Cell::Lstm | Cell::Gru => means(1),
        Cell::Leaky => network.leak(layer).into_iter().map(f64::from).collect(),
        Cell::Rnn | Cell::Skip => Vec::new(),
    };
    LayerActivity {
        gates: names.zip(&sums.gates).map(gate).collect(),
        time_constants: (!kept.is_empty()).then(|| quantiles(&kept)),
        saturated: sums.saturated as f64 / all,
        zero: match recurrent.activation {
            Activation::Relu => sums.zero as f64 / all,
            Activation::Tanh => 0.0,
        },
    }
}

/// Steps after which what is kept at a step has fallen to 1/e.
pub fn time_constant(kept: f64) -> f64 {
    match kept {
        kept if kept <= 0.0 => 0.0,
        kept if kept >= 1.0 => f64::INFINITY,
        kept => -1.0 / kept.ln(),
    }
}

fn quantiles(kept: &[f64]) -> [f64; 5] {
    let mut sorted = kept.to_vec();
    sorted.sort_by(f64::total_cmp);
    QUANTILES.map(|at| {
        let place = (at * (sorted.len() - 1) as f64).round() as usize;
        time_constant(sorted[place])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_constants_follow_what_is_kept() {
        assert_eq!(time_constant(0.0), 0.0);
        assert_eq!(time_constant(1.0), f64::INFINITY);
        assert!((time_constant(0.9) - 9.491).abs() < 1e-3);
        let spread = quantiles(&[0.9, 0.5, 0.1, 0.99, 0.7]);
        assert!(spread.is_sorted(), "{spread:?}");
        assert!((spread[2] - time_constant(0.7)).abs() < 1e-12);
    }
}

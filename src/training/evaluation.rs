/*!
Validation, by the rule that `evaluate` follows in the inference wing: the same streams, the same sums.
*/

use tch::{Kind, Reduction, Tensor};

use crate::network::{Network, State};
use carousel::text::corpus::Ids;
use carousel::text::streams::EvaluationStreams;

/// The most steps read at once.
const WINDOW: usize = 64;
/// The most logits held at once.
const LOGITS: usize = 1 << 24;
/// The target that libtorch's cross entropy leaves out.
const NOT_COUNTED: i64 = -100;

/// The nats that the network spends on `ids`, each predicted once, the first after `line_end`. Drops no units.
pub fn nats(network: &Network, ids: &Ids, line_end: u32) -> f64 {
    let streams = EvaluationStreams::new(ids.len());
    let device = network.device();
    let row = streams.streams * network.config.vocab_size;
    let mut state = State::zeros(&network.config, streams.streams, device);
    let mut nats = 0.0;
    tch::no_grad(|| {
        for window in streams.windows(ids, line_end, (LOGITS / row).clamp(1, WINDOW)) {
            if window.begins {
                state.forget(0);
            }
            let inputs: Vec<i64> = window.inputs.iter().map(|&id| i64::from(id)).collect();
            let targets: Vec<i64> = window
                .targets
                .iter()
                .map(|id| id.map_or(NOT_COUNTED, i64::from))
                .collect();
            let inputs = Tensor::from_slice(&inputs)
                .view([-1, streams.streams as i64])
                .to_device(device);
            let (logits, next) = network.forward(&inputs, &state, false);
            state = next;
            if window.targets.iter().any(Option::is_some) {
                let targets = Tensor::from_slice(&targets).to_device(device);
                let loss = logits.cross_entropy_loss::<Tensor>(
                    &targets,
                    None,
                    Reduction::Sum,
                    NOT_COUNTED,
                    0.0,
                );
                nats += loss.to_kind(Kind::Double).double_value(&[]);
            }
        }
    });
    nats
}

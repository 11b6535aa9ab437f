/*!
How well a model predicts a text.
*/

use super::recurrent::{Network, Wanted};
use crate::kernels::log_sum_exp;
use crate::text::corpus::Ids;
use crate::text::streams::EvaluationStreams;

/// Steps read at once.
const WINDOW: usize = 64;

/// The nats that `network` spends on `ids`, each predicted once, the first after `line_end`.
/// `progress` hears how many have been.
pub fn nats(network: &Network, ids: &Ids, line_end: u32, mut progress: impl FnMut(u64)) -> f64 {
    let streams = EvaluationStreams::new(ids.len());
    let mut state = network.zero_state(streams.streams);
    let mut nats = 0.0;
    for window in streams.windows(ids, line_end, WINDOW) {
        if window.begins {
            state.forget(0);
        }
        let logits = network.forward(&window.inputs, &mut state, Wanted::All);
        let mut counted = 0;
        for (logits, target) in logits
            .chunks_exact(network.vocab_size())
            .zip(&window.targets)
        {
            if let Some(target) = target {
                nats += log_sum_exp(logits) - f64::from(logits[*target as usize]);
                counted += 1;
            }
        }
        progress(counted);
    }
    nats
}

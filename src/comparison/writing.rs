/*!
Speed and memory of a network that writes: what a text costs at each length.
*/

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::checkpoint::Directory;
use crate::error::Result;
use crate::inference::Model;
use crate::inference::next_token::{NextTokenNetwork, Wanted};
use crate::inference::predictor::Predictor;
use crate::inference::sampling::{Choice, Sampler, Sampling};
use carousel_kernels::Precision;

/// The lengths of the texts, in tokens.
pub const LENGTHS: [usize; 3] = [100, 1_000, 10_000];
/// A text is written again until this time has passed.
const LEAST_TIME: Duration = Duration::from_millis(200);

/// What writing one text of some length costs, on one thread, in float32.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Writing {
    /// Number of tokens.
    pub length: usize,
    /// Tokens a second, from the first to the last.
    pub tokens_per_second: f64,
    /// Bytes that the network keeps of the text at its end: its state, or keys and values.
    pub state_bytes: usize,
}

/// Writes a text of each length; nothing for what is no network alone.
///
/// # Errors
/// A checkpoint that is damaged.
pub fn measure(directory: &Directory) -> Result<Vec<Writing>> {
    let model = Model::open(directory, Precision::Float32, 1)?;
    let line_end = model.tokenizer.line_end();
    Ok(match &model.predictor {
        Predictor::Network(network) => LENGTHS
            .map(|length| write(network, line_end, length))
            .to_vec(),
        Predictor::Ngram(_) | Predictor::Interpolated(_) => Vec::new(),
    })
}

fn write(network: &NextTokenNetwork, line_end: u32, length: usize) -> Writing {
    let (began, mut texts) = (Instant::now(), 0);
    loop {
        let state_bytes = write_once(network, line_end, length);
        texts += 1;
        let time = began.elapsed();
        if time >= LEAST_TIME {
            return Writing {
                length,
                tokens_per_second: (texts * length) as f64 / time.as_secs_f64(),
                state_bytes,
            };
        }
    }
}

/// Writes a text, token by token, or as many as the network predicts at once. Returns the size of its state.
fn write_once(network: &NextTokenNetwork, line_end: u32, length: usize) -> usize {
    let choice = Choice::Random {
        top_k: None,
        top_p: None,
        min_p: None,
        temperature: 1.0,
    };
    let sampling = Sampling {
        repetition: None,
        choice,
    };
    let mut sampler = Sampler::new(sampling, 1);
    let mut state = network.initial_state(1);
    let (mut unread, mut written) = (vec![line_end], 0);
    while written < length {
        let mut logits = network.forward(&unread, &mut state, Wanted::Last);
        let steps = logits.chunks_exact_mut(network.vocab_size());
        unread = steps
            .map(|logits| sampler.choose(logits, |_| true).unwrap_or(line_end))
            .collect();
        written += unread.len();
    }
    state.bytes()
}

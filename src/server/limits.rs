/*!
Bounds on what a request may ask for, and on how many there may be.
*/

use std::time::Duration;

/// Largest body of a request, in bytes.
pub const BODY_BYTES: usize = 1 << 20;
/// Time within which the head of a request has to come, and the time for its body.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// Time within which a body has to come.
pub const BODY_TIME: Duration = Duration::from_secs(20);
/// Time that a client may take to read what was sent before more can be.
pub const WRITE_TIME: Duration = Duration::from_secs(30);
/// Most connections at once.
pub const CONNECTIONS: usize = 2048;
/// Number of files that the program may have open, if the system lets it: those of connections, and others.
pub const OPEN_FILES: u64 = 4096;

/// Most texts of one request to `/v1/completions`: prompts times `n`.
pub const CHOICES: usize = 64;
/// Most stop strings.
pub const STOP_STRINGS: usize = 16;
/// Longest stop string, in bytes.
pub const STOP_BYTES: usize = 1024;
/// Most tokens beside each token in `logprobs`.
pub const LOGPROBS: usize = 5;
/// Most texts of one request that are classified, scored or translated.
pub const TEXTS: usize = 1024;
/// Most bytes that are translated for one request.
pub const TRANSLATED_BYTES: usize = 1 << 15;
/// Most bytes that are scored for one request.
pub const SCORED_BYTES: usize = 1 << 17;
/// Most texts of one request that are explained, and most bytes of them: each is read once for each of its words.
pub const EXPLAINED_TEXTS: usize = 16;
/// The bytes.
pub const EXPLAINED_BYTES: usize = 1 << 14;
/// Most values that models are fitted to for one request, counted anew at each origin of a backtest.
pub const FITTED_VALUES: usize = 200_000;
/// Most numbers of one answer that shows gates.
pub const GATE_NUMBERS: usize = 1 << 20;
/// Most bytes of a request that starts a run, with the text that is learnt, and longest time of the run.
pub const TRAINING_BYTES: usize = 16 << 20;
/// The time.
pub const TRAINING_SECONDS: u64 = 86_400;
/// Most lines of a run's metrics in one answer.
pub const RUN_LINES: usize = 2000;

/// Bounds that a user may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most tokens of one text.
    pub max_tokens: u64,
    /// Texts of one model that grow side by side.
    pub parallel: usize,
    /// Requests that wait for their turn with one model; more are sent away.
    pub queue: usize,
    /// Longest time of a request.
    pub time: Duration,
    /// Time for what runs when the server is asked to end.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_tokens: 4096,
            parallel: 128,
            queue: 128,
            time: Duration::from_secs(120),
            grace: Duration::from_secs(5),
        }
    }
}

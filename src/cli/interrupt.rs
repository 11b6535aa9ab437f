/*!
Interruption by SIGINT (Ctrl-C), SIGTERM or SIGHUP.

While the work watches for it, the first signal asks the work to end; otherwise, and at a later signal, the program exits.
Signals that the program was started to ignore, as by `nohup`, stay ignored.
*/

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::exit;

use crate::error::{Error, Result};

/// Signals within this time count as one: a terminal and a program such as `timeout` may both send the same one.
const TOGETHER: Duration = Duration::from_millis(500);

static WATCHED: AtomicBool = AtomicBool::new(false);
static RAISED: AtomicBool = AtomicBool::new(false);

/// Starts to handle the signals, in a thread of its own.
///
/// # Errors
/// If the handlers cannot be installed, or no thread can be started.
pub fn listen() -> Result<()> {
    let handled = [SIGINT, SIGTERM, SIGHUP];
    let mut signals = Signals::new(handled.into_iter().filter(|&signal| !is_ignored(signal)))
        .map_err(|e| Error::new(format!("cannot handle Ctrl-C: {e}")))?;
    let wait = move || {
        let mut first = Instant::now();
        for _ in signals.forever() {
            if !RAISED.swap(true, Ordering::Relaxed) {
                first = Instant::now();
            }
            if first.elapsed() > TOGETHER || !WATCHED.load(Ordering::Relaxed) {
                // Without exit handlers: libtorch's would free what training still uses.
                exit(130);
            }
        }
    };
    // Where memory is limited, this is the first that is refused.
    match thread::Builder::new().spawn(wait) {
        Ok(_) => Ok(()),
        Err(e) => Err(Error::new(format!(
            "no thread can be started ({e}): there is too little memory, or too many processes (ulimit -v, ulimit -u)"
        ))),
    }
}

/// Returns the flag that the first signal sets, and that the caller has to watch from now on; it may also clear it.
pub fn watch() -> &'static AtomicBool {
    WATCHED.store(true, Ordering::Relaxed);
    &RAISED
}

/// Whether the program was started to ignore a signal, where the system reports it.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

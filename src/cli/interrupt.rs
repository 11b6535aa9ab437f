/*!
Ctrl-C, a polite kill, or a terminal that goes away.

While somebody watches, the first of these asks the work to come to an end; otherwise, and at a later one, the program
just ends. What `nohup` has the program ignore stays ignored.
*/

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::exit;

use crate::error::{Error, Result};

/// Signals so close together are one: a terminal, and what was begun from it, as `timeout`, may send the same one twice.
const TOGETHER: Duration = Duration::from_millis(500);

static WATCHED: AtomicBool = AtomicBool::new(false);
static RAISED: AtomicBool = AtomicBool::new(false);

/// Begins to listen.
pub fn listen() -> Result<()> {
    let heard = [SIGINT, SIGTERM, SIGHUP];
    let mut signals = Signals::new(heard.into_iter().filter(|&signal| !is_ignored(signal)))
        .map_err(|e| Error::new(format!("cannot listen for Ctrl-C: {e}")))?;
    thread::spawn(move || {
        let mut first = Instant::now();
        for _ in signals.forever() {
            if !RAISED.swap(true, Ordering::Relaxed) {
                first = Instant::now();
            }
            if first.elapsed() > TOGETHER || !WATCHED.load(Ordering::Relaxed) {
                // Without libtorch's farewells: they would take away what the training still uses.
                exit(130);
            }
        }
    });
    Ok(())
}

/// From now on somebody looks at the flag that this returns; whoever does may also lower it.
pub fn watch() -> &'static AtomicBool {
    WATCHED.store(true, Ordering::Relaxed);
    &RAISED
}

/// Whether the program was started with orders to ignore a signal, as far as the system tells.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

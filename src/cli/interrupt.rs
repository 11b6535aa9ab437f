/*!
Ctrl-C, or a polite kill.

While somebody watches for it, the first one asks the work to come to an end; otherwise, and at the second one, the
program just ends.
*/

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

static WATCHED: AtomicBool = AtomicBool::new(false);
static RAISED: AtomicBool = AtomicBool::new(false);

/// Begins to listen.
pub fn listen() -> Result<()> {
    ctrlc::set_handler(|| {
        if RAISED.swap(true, Ordering::Relaxed) || !WATCHED.load(Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .map_err(|e| Error::new(format!("cannot listen for Ctrl-C: {e}")))
}

/// From now on somebody looks at the flag that this returns; whoever does may also lower it.
pub fn watch() -> &'static AtomicBool {
    WATCHED.store(true, Ordering::Relaxed);
    &RAISED
}

/*!
Work without Python's lock, which Ctrl-C can still end.
*/

use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// How often work asks Python for signals.
const INTERVAL: Duration = Duration::from_millis(100);

/// Asks Python now and then whether a signal came, as Ctrl-C sends one.
pub struct Watch {
    asked: Instant,
    raised: Option<PyErr>,
}

impl Watch {
    /// A watch that has not asked yet.
    pub fn new() -> Self {
        Watch {
            asked: Instant::now(),
            raised: None,
        }
    }

    /// Whether the work goes on.
    pub fn goes_on(&mut self) -> bool {
        if self.raised.is_none() && self.asked.elapsed() >= INTERVAL {
            self.asked = Instant::now();
            self.raised = Python::try_attach(|py| py.check_signals().err()).flatten();
        }
        self.raised.is_none()
    }

    /// What a signal raised, or the result.
    pub fn result<T>(self, result: T) -> PyResult<T> {
        self.raised.map_or(Ok(result), Err)
    }
}

/// What `work` makes of texts, so many at a time, without Python's lock.
pub fn in_batches<R: Send>(
    py: Python<'_>,
    texts: &[String],
    size: usize,
    work: impl Fn(&[&str]) -> Vec<R> + Sync,
) -> PyResult<Vec<R>> {
    py.detach(|| {
        let mut watch = Watch::new();
        let mut all = Vec::with_capacity(texts.len());
        for part in texts.chunks(size) {
            let part: Vec<&str> = part.iter().map(String::as_str).collect();
            all.extend(work(&part));
            if !watch.goes_on() {
                break;
            }
        }
        watch.result(all)
    })
}

/*!
Work that is done for one request after another: each model has a turn, for which a bounded number of requests wait.
*/

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::errors::Failure;
use super::metrics::ModelMetrics;

/// The turn of a model, and those who wait for it.
pub struct Turns {
    turn: Arc<Semaphore>,
    metrics: Arc<ModelMetrics>,
    most_waiting: i64,
}

/// Whether the client has hung up, or waits no more: there is no use in going on.
#[derive(Clone, Debug, Default)]
pub struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    /// Ends the work where its answer is of no use.
    ///
    /// # Errors
    /// If so.
    pub fn check(&self) -> Result<(), Failure> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(Failure::timed_out()),
            false => Ok(()),
        }
    }
}

/// Cancels when it is dropped, as it is with a handler whose client has hung up.
struct CancelOnDrop(Cancelled);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// A request that waits: it is counted until this is dropped.
pub struct Waiting(Arc<ModelMetrics>);

impl Waiting {
    /// One more, beside at most so many.
    ///
    /// # Errors
    /// As many that wait already.
    pub fn new(metrics: &Arc<ModelMetrics>, most: i64) -> Result<Self, Failure> {
        let before = metrics.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(Arc::clone(metrics));
        match before < most {
            true => Ok(waiting),
            false => Err(Failure::overloaded()),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turns {
    /// A turn for which so many may wait.
    pub fn new(metrics: Arc<ModelMetrics>, most_waiting: usize) -> Self {
        Turns {
            turn: Arc::new(Semaphore::new(1)),
            metrics,
            most_waiting: most_waiting as i64,
        }
    }

    /// Waits for the turn, and does the work on a thread of its own. Work that takes longer than the time is to end itself;
    /// until then the turn is not given on.
    ///
    /// # Errors
    /// Too many who wait; too much time; those of the work.
    pub async fn work<T: Send + 'static>(
        &self,
        time: Duration,
        work: impl FnOnce(&Cancelled) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let cancelled = Cancelled::default();
        let _guard = CancelOnDrop(cancelled.clone());
        let in_time = async {
            let waiting = Waiting::new(&self.metrics, self.most_waiting)?;
            let turn = Arc::clone(&self.turn).acquire_owned().await;
            drop(waiting);
            let done = spawn_blocking(move || {
                let _turn = turn;
                work(&cancelled)
            });
            done.await.unwrap_or_else(|_| Err(Failure::internal()))
        };
        let done = timeout(time, in_time).await;
        done.unwrap_or_else(|_| Err(Failure::timed_out()))
    }
}

/*!
A pool of threads for short jobs, which do not sleep between jobs.

A step of a small network takes tens of microseconds and has a job for each layer: waking a sleeping thread takes as long.
So a helper spins while jobs keep coming, and sleeps once they stop. If jobs had to wait for the helpers, something else
is running on their cores, and one thread is faster than two: then they are not used for a while.

Each thread has a queue of parts, the same ones of every job of one shape, so that the weights that it reads stay in its
core's cache. A thread that has finished its own steals from the others' queues.
*/

use std::cell::UnsafeCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Number of parts in a thread's queue. Those that a slow thread has not started, the others steal.
const PARTS_PER_THREAD: usize = 4;
/// Largest number of threads: the number of all parts has to fit in 16 bits.
const MAX_THREADS: usize = 256;
/// Time that a helper spins for a new job before it sleeps.
const SPIN_TIME: Duration = Duration::from_millis(1);
/// Number of turns of a spinning loop between two readings of the clock.
const TURNS_PER_READING: u32 = 256;
/// A wait of this time, and of as long as the caller's own parts took, is a stall: something else ran on a helper's core.
const STALL_TIME: Duration = Duration::from_micros(50);
/// Helpers are paused when one in this number of seconds is lost to stalls: two threads save at most half of the time.
const SECONDS_PER_STALLED_SECOND: u32 = 8;
/// Length of the first pause. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// Length of the longest pause. After this time without a pause, stalls are counted anew.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The calling thread and its helpers.
pub struct ThreadPool {
    shared: Arc<Shared>,
    /// Locked while a job runs.
    leader: Mutex<Leader>,
    helpers: Vec<JoinHandle<()>>,
}

/// What the threads share.
struct Shared {
    queues: Vec<Queue>,
    /// Written only while every queue is empty and no part is being worked on; read only by a thread that has taken a part.
    job: UnsafeCell<Option<Job>>,
    /// Number of parts that are not finished.
    unfinished: CacheLine<AtomicUsize>,
    panicked: AtomicBool,
    quit: AtomicBool,
}

// SAFETY: `job` is the only field that is not Sync by itself, and its rule makes every read follow the write: queues are
// filled by a release after it, taken from by an acquire, and a new job waits until `unfinished` is zero.
unsafe impl Sync for Shared {}
// SAFETY: the job's closure is Sync, and outlives every use of it (see `ThreadPool::run`).
unsafe impl Send for Shared {}

/// A value on a cache line of its own: what one thread writes does not slow down another that reads something beside it.
#[repr(align(128))]
#[derive(Default)]
struct CacheLine<T>(T);

/// A range of parts that no thread has taken yet, on a cache line of its own.
#[repr(align(128))]
#[derive(Default)]
struct Queue {
    /// `start << 16 | end`.
    range: AtomicU32,
    asleep: AtomicBool,
}

#[derive(Clone, Copy)]
struct Job(*const (dyn Fn(usize) + Sync));

/// Recent stalls and pauses of the helpers.
struct Leader {
    /// The end of their last pause, which may be in the future: stalls are summed from then on.
    since: Instant,
    stalled: Duration,
    next_pause: Duration,
}

impl Queue {
    fn fill(&self, parts: Range<usize>) {
        self.range
            .store((parts.start << 16 | parts.end) as u32, Ordering::SeqCst);
    }

    fn is_empty(&self) -> bool {
        let range = self.range.load(Ordering::SeqCst);
        range >> 16 == range & 0xFFFF
    }

    /// Takes a part from the front, as the owner does, or from the back.
    fn take(&self, front: bool) -> Option<usize> {
        let mut range = self.range.load(Ordering::Relaxed);
        loop {
            let (start, end) = (range >> 16, range & 0xFFFF);
            if start == end {
                return None;
            }
            let (part, left) = if front {
                (start, (start + 1) << 16 | end)
            } else {
                (end - 1, start << 16 | (end - 1))
            };
            let taken =
                self.range
                    .compare_exchange_weak(range, left, Ordering::Acquire, Ordering::Relaxed);
            match taken {
                Ok(_) => return Some(part as usize),
                Err(now) => range = now,
            }
        }
    }
}

impl Shared {
    /// Works on the parts in the queue of thread `own`, then on those that are left in the others'.
    fn work(&self, own: usize) {
        let count = self.queues.len();
        for other in 0..count {
            let queue = &self.queues[(own + other) % count];
            while let Some(part) = queue.take(other == 0) {
                // SAFETY: a part was taken, so the job was written before, and will not change or end before
                // `unfinished` has counted the part.
                let job = unsafe { &*(*self.job.get()).expect("a part belongs to a job").0 };
                if catch_unwind(AssertUnwindSafe(|| job(part))).is_err() {
                    self.panicked.store(true, Ordering::Relaxed);
                }
                self.unfinished.0.fetch_sub(1, Ordering::Release);
            }
        }
    }

    /// The loop of a helper, thread `own`.
    fn help(&self, own: usize) {
        let queue = &self.queues[own];
        let mut idle_since: Option<Instant> = None;
        let mut turns: u32 = 0;
        loop {
            // Between two readings only the queue is looked at, which nothing else shares a cache line with.
            if !queue.is_empty() {
                self.work(own);
                idle_since = None;
                continue;
            }
            std::hint::spin_loop();
            turns = turns.wrapping_add(1);
            if !turns.is_multiple_of(TURNS_PER_READING) {
                continue;
            }
            if self.quit.load(Ordering::Relaxed) {
                return;
            }
            if idle_since.get_or_insert_with(Instant::now).elapsed() > SPIN_TIME {
                queue.asleep.store(true, Ordering::SeqCst);
                if queue.is_empty() && !self.quit.load(Ordering::SeqCst) {
                    thread::park();
                }
                queue.asleep.store(false, Ordering::SeqCst);
                idle_since = None;
            }
        }
    }
}

impl ThreadPool {
    /// A pool of `threads` threads, 256 at most, including the caller. The helpers sleep until there is a job.
    pub fn new(threads: usize) -> Self {
        let threads = threads.min(MAX_THREADS);
        let shared = Arc::new(Shared {
            queues: (0..threads.max(1)).map(|_| Queue::default()).collect(),
            job: UnsafeCell::new(None),
            unfinished: CacheLine::default(),
            panicked: AtomicBool::new(false),
            quit: AtomicBool::new(false),
        });
        let spawn = |own| {
            let shared = Arc::clone(&shared);
            let name = format!("pool {own}");
            thread::Builder::new()
                .name(name)
                .spawn(move || shared.help(own))
        };
        // If the system refuses more threads, fewer do: their parts are stolen by the others.
        let helpers = (1..threads).map_while(|own| spawn(own).ok()).collect();
        ThreadPool {
            shared,
            leader: Mutex::new(Leader {
                since: Instant::now(),
                stalled: Duration::ZERO,
                next_pause: FIRST_PAUSE,
            }),
            helpers,
        }
    }

    /// Number of threads, including the caller.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Calls `work` once for each item, with its index, on up to `threads` threads, and returns when all calls have. Which
    /// thread takes which item has no influence on the result.
    ///
    /// # Panics
    /// If `work` does.
    pub fn for_each<T: Send>(
        &self,
        threads: usize,
        items: &mut [T],
        work: impl Fn(usize, &mut T) + Sync,
    ) {
        let count = items.len();
        let threads = threads.min(self.threads()).min(count);
        // Alone, a step is so short that a lock and a look at the clock would be felt.
        let leader = match threads > 1 {
            true => self.free_leader(),
            false => None,
        };
        let Some((mut leader, began)) = leader else {
            for (index, item) in items.iter_mut().enumerate() {
                work(index, item);
            }
            return;
        };
        let parts = (threads * PARTS_PER_THREAD).min(count);
        let first = Pointer(items.as_mut_ptr());
        let part = |part: usize| {
            for index in part * count / parts..(part + 1) * count / parts {
                // SAFETY: the item is one of the slice, which this function has borrowed until all parts are
                // finished, and no other part has this index.
                work(index, unsafe { &mut *first.at(index) });
            }
        };
        self.run(&mut leader, began, threads, parts, &part);
    }

    /// The leader and the time, if no other job is being worked on and the helpers are not paused.
    fn free_leader(&self) -> Option<(MutexGuard<'_, Leader>, Instant)> {
        let leader = match self.leader.try_lock() {
            Ok(leader) => leader,
            // A panic leaves nothing unfinished that the next job needs.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let now = Instant::now();
        leader.may_use_helpers(now).then_some((leader, now))
    }

    /// Runs a job of `parts` parts, and returns when all are finished.
    fn run(
        &self,
        leader: &mut Leader,
        began: Instant,
        threads: usize,
        parts: usize,
        job: &(dyn Fn(usize) + Sync),
    ) {
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. No thread uses the job after the last part is finished, and this
        // function does not return before.
        let job = unsafe {
            std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(job)
        };
        // SAFETY: all queues are empty and no part is being worked on: the last job waited for that.
        unsafe { *shared.job.get() = Some(Job(job)) };
        shared.unfinished.0.store(parts, Ordering::Relaxed);
        for own in (0..threads).rev() {
            shared.queues[own].fill(own * parts / threads..(own + 1) * parts / threads);
            if own > 0 && shared.queues[own].asleep.load(Ordering::SeqCst) {
                self.helpers[own - 1].thread().unpark();
            }
        }
        shared.work(0);
        leader.wait(&shared.unfinished.0, began);
        if shared.panicked.swap(false, Ordering::Relaxed) {
            panic!("a part of a shared job failed");
        }
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.shared.quit.store(true, Ordering::SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A helper returns nothing, and its panics were caught.
            let _ = helper.join();
        }
    }
}

impl Leader {
    /// Whether the helpers are not paused.
    fn may_use_helpers(&self, now: Instant) -> bool {
        now >= self.since
    }

    /// Waits for the last parts, and records a stall if that took long.
    fn wait(&mut self, unfinished: &AtomicUsize, began: Instant) {
        let mut turns: u32 = 0;
        let mut waiting: Option<Instant> = None;
        let mut stalled = Duration::ZERO;
        while unfinished.load(Ordering::Acquire) > 0 {
            std::hint::spin_loop();
            turns = turns.wrapping_add(1);
            if !turns.is_multiple_of(TURNS_PER_READING) {
                continue;
            }
            let since = *waiting.get_or_insert_with(Instant::now);
            if since.elapsed() > STALL_TIME.max(since - began) {
                stalled = since.elapsed();
                // The helper may be waiting for this very core.
                thread::yield_now();
            }
        }
        if !stalled.is_zero() {
            self.record_stall(stalled, Instant::now());
        }
    }

    /// Pauses the helpers if stalls take too much of the time.
    fn record_stall(&mut self, stalled: Duration, now: Instant) {
        let elapsed = now - self.since;
        if elapsed > LONGEST_PAUSE {
            (self.since, self.stalled, self.next_pause) =
                (now - stalled, Duration::ZERO, FIRST_PAUSE);
            return;
        }
        self.stalled += stalled;
        if self.stalled * SECONDS_PER_STALLED_SECOND > elapsed {
            self.since = now + self.next_pause;
            self.stalled = Duration::ZERO;
            self.next_pause = (2 * self.next_pause).min(LONGEST_PAUSE);
        }
    }
}

/// The start of a slice, for threads that take different items of it.
struct Pointer<T>(*mut T);

impl<T> Pointer<T> {
    fn at(&self, offset: usize) -> *mut T {
        self.0.wrapping_add(offset)
    }
}

// SAFETY: an address; its uses have their own reasons, and the values may be sent to other threads.
unsafe impl<T: Send> Sync for Pointer<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items filled by a pool, each value a function of its indices.
    fn filled(pool: &ThreadPool, threads: usize, count: usize, length: usize) -> Vec<Vec<f32>> {
        let mut chunks = vec![vec![0.0; length]; count];
        pool.for_each(threads, &mut chunks, |index, chunk| {
            for (i, value) in chunk.iter_mut().enumerate() {
                *value += (index * 1000 + i) as f32;
            }
        });
        chunks
    }

    #[test]
    fn every_item_is_processed_once_by_any_number_of_threads() {
        let alone = ThreadPool::new(1);
        for threads in [1, 2, 3, 7] {
            let pool = ThreadPool::new(threads);
            for count in [0, 1, 2, 5, 8, 9, 100, 1001] {
                for length in [0, 3, 16] {
                    for used in [1, 2, 99] {
                        let expected = filled(&alone, 1, count, length);
                        assert_eq!(filled(&pool, used, count, length), expected);
                    }
                }
            }
        }
    }

    #[test]
    fn many_tasks_run_in_a_row_and_after_helpers_slept() {
        let pool = ThreadPool::new(2);
        let expected = filled(&pool, 1, 40, 4);
        for round in 0..5000 {
            assert_eq!(filled(&pool, 2, 40, 4), expected);
            if round % 1000 == 0 {
                thread::sleep(3 * SPIN_TIME);
            }
        }
    }

    #[test]
    fn concurrent_callers_of_one_pool_get_the_same_results() {
        let pool = ThreadPool::new(2);
        let expected = filled(&pool, 1, 400, 16);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        assert_eq!(filled(&pool, 2, 400, 16), expected);
                    }
                });
            }
        });
    }

    #[test]
    fn a_stalled_helper_is_paused() {
        let pool = ThreadPool::new(2);
        let caller = thread::current().id();
        let slow = |_: usize, item: &mut bool| {
            if thread::current().id() == caller {
                // Time for the helper to start.
                thread::sleep(Duration::from_millis(1));
            } else {
                thread::sleep(Duration::from_millis(100));
            }
            *item = true;
        };
        for _ in 0..100 {
            pool.for_each(2, &mut [false; 8], slow);
            if !pool.leader.lock().unwrap().may_use_helpers(Instant::now()) {
                return;
            }
        }
        panic!("a helper that takes a hundred times as long was never paused");
    }

    #[test]
    fn rare_stalls_are_ignored_and_frequent_stalls_pause_for_longer_and_longer() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut leader = Leader {
            since: start,
            stalled: Duration::ZERO,
            next_pause: FIRST_PAUSE,
        };
        leader.record_stall(Duration::from_millis(3), at(500));
        assert!(leader.may_use_helpers(at(501)));
        leader.record_stall(Duration::from_millis(3), at(1600));
        assert!(leader.may_use_helpers(at(1601)));
        let mut now = 1700;
        for pause in [10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            leader.record_stall(Duration::from_millis(50), at(now));
            assert!(!leader.may_use_helpers(at(now + pause - 1)), "{pause}");
            assert!(leader.may_use_helpers(at(now + pause)), "{pause}");
            now += pause + 60;
        }
        leader.record_stall(Duration::from_millis(50), at(now + 2000));
        assert!(leader.may_use_helpers(at(now + 2001)));
        assert_eq!(leader.next_pause, FIRST_PAUSE);
    }

    #[test]
    fn a_panic_in_a_part_is_propagated_and_the_pool_still_works() {
        let pool = ThreadPool::new(2);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            pool.for_each(2, &mut [(); 9], |index, _| {
                assert_ne!(index, 5);
            });
        }));
        assert!(failed.is_err());
        let expected = filled(&pool, 1, 40, 4);
        assert_eq!(filled(&pool, 2, 40, 4), expected);
    }
}

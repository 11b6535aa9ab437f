/*!
Threads that share the parts of a short task without sleeping between tasks.

A step of a small network takes some ten microseconds and has a task for each layer: waking a sleeping thread takes as
long. So a helper spins while tasks keep coming, sleeps once they stop, and is left alone for a while when it was kept
waiting for: then something else runs on its core, and one thread is faster than two.

Each thread has a share of the parts, the same of every task of one shape, so that the weights it reads stay in its
core's cache; who has finished takes from the others' shares.
*/

use std::cell::UnsafeCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Parts of a thread's share: what a slow one has not begun, the others take.
const PARTS: usize = 4;
/// All parts have to be counted in 16 bits.
const MOST_THREADS: usize = 256;
/// How long a helper spins for a new task before it sleeps.
const PATIENCE: Duration = Duration::from_millis(1);
/// Turns of a spinning loop between two looks at the clock.
const TURNS: u32 = 256;
/// Waiting this long, and as long as the own work took, means that something else ran on a helper's core.
const STALL: Duration = Duration::from_micros(50);
/// Helpers whose stalls take more than this share of the time are more trouble than help: two threads save half of it
/// at most.
const TROUBLE: u32 = 8;
/// How long helpers are left alone then: at first, and, doubled each time, at most. Without trouble for the longest
/// time, the past is forgotten.
const REST: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// The calling thread and its helpers.
pub struct ThreadPool {
    shared: Arc<Shared>,
    /// Locked while a task is on.
    leader: Mutex<Leader>,
    helpers: Vec<JoinHandle<()>>,
}

/// What the threads share. A share is a range of parts that nobody has taken yet.
struct Shared {
    shares: Vec<Share>,
    /// Written only while every share is empty and no part is being worked on; read only by who has taken a part.
    task: UnsafeCell<Option<Task>>,
    /// Parts that are not finished.
    unfinished: AtomicUsize,
    panicked: AtomicBool,
    quit: AtomicBool,
}

// SAFETY: `task` is the only field that is not Sync by itself, and its rule makes every read follow the write: shares
// are filled by a release after it, taken from by an acquire, and a new task waits until `unfinished` is zero.
unsafe impl Sync for Shared {}
// SAFETY: the task's closure is Sync, and outlives every use of it (see `ThreadPool::run`).
unsafe impl Send for Shared {}

/// On a cache line of its own.
#[repr(align(128))]
#[derive(Default)]
struct Share {
    /// `begin << 16 | end`.
    range: AtomicU32,
    asleep: AtomicBool,
}

#[derive(Clone, Copy)]
struct Task(*const (dyn Fn(usize) + Sync));

/// How the helpers have done lately.
struct Leader {
    /// When their rest ends, or when the time began over which stalls are summed.
    since: Instant,
    stalled: Duration,
    next_rest: Duration,
}

impl Share {
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
            let (begin, end) = (range >> 16, range & 0xFFFF);
            if begin == end {
                return None;
            }
            let (part, left) = if front {
                (begin, (begin + 1) << 16 | end)
            } else {
                (end - 1, begin << 16 | (end - 1))
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
    /// Works through the share of thread `own`, then through what is left of the others'.
    fn work(&self, own: usize) {
        let count = self.shares.len();
        for other in 0..count {
            let share = &self.shares[(own + other) % count];
            while let Some(part) = share.take(other == 0) {
                // SAFETY: a part was taken, so the task was written before, and will not change nor end before
                // `unfinished` has counted the part.
                let task = unsafe { &*(*self.task.get()).expect("a part belongs to a task").0 };
                if catch_unwind(AssertUnwindSafe(|| task(part))).is_err() {
                    self.panicked.store(true, Ordering::Relaxed);
                }
                self.unfinished.fetch_sub(1, Ordering::Release);
            }
        }
    }

    /// A helper's life.
    fn help(&self, own: usize) {
        let share = &self.shares[own];
        let mut idle: Option<Instant> = None;
        let mut turns: u32 = 0;
        while !self.quit.load(Ordering::Relaxed) {
            if !share.is_empty() {
                self.work(own);
                idle = None;
                continue;
            }
            std::hint::spin_loop();
            turns = turns.wrapping_add(1);
            if !turns.is_multiple_of(TURNS) {
                continue;
            }
            if idle.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                share.asleep.store(true, Ordering::SeqCst);
                if share.is_empty() && !self.quit.load(Ordering::SeqCst) {
                    thread::park();
                }
                share.asleep.store(false, Ordering::SeqCst);
                idle = None;
            }
        }
    }
}

impl ThreadPool {
    /// A pool of `threads`, 256 at most, the caller among them. The helpers sleep until there is something to do.
    pub fn new(threads: usize) -> Self {
        let threads = threads.min(MOST_THREADS);
        let shared = Arc::new(Shared {
            shares: (0..threads.max(1)).map(|_| Share::default()).collect(),
            task: UnsafeCell::new(None),
            unfinished: AtomicUsize::new(0),
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
        // Where the system gives no more threads, fewer will do: their shares are worked off by the others.
        let helpers = (1..threads).map_while(|own| spawn(own).ok()).collect();
        ThreadPool {
            shared,
            leader: Mutex::new(Leader {
                since: Instant::now(),
                stalled: Duration::ZERO,
                next_rest: REST.0,
            }),
            helpers,
        }
    }

    /// How many threads there are, the caller among them.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Calls `work` once for each item, on up to `threads` threads, and returns when all is done. Which thread does
    /// what has no influence on the result.
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
        let leader = match self.leader.try_lock() {
            Ok(leader) if threads > 1 => Some(leader),
            // A panic leaves nothing half done that the next task needs.
            Err(std::sync::TryLockError::Poisoned(poisoned)) if threads > 1 => {
                Some(PoisonError::into_inner(poisoned))
            }
            _ => None,
        };
        let began = Instant::now();
        let leader = leader.filter(|leader| leader.may_call(began));
        let Some(mut leader) = leader else {
            for (index, item) in items.iter_mut().enumerate() {
                work(index, item);
            }
            return;
        };
        let parts = (threads * PARTS).min(count);
        let first = Pointer(items.as_mut_ptr());
        let part = |part: usize| {
            for index in part * count / parts..(part + 1) * count / parts {
                // SAFETY: the item is one of the slice, which this function has borrowed until all is done, and no
                // other part has this index.
                work(index, unsafe { &mut *first.at(index) });
            }
        };
        self.run(&mut leader, began, threads, parts, &part);
    }

    /// Has the parts worked off, and returns when none is left.
    fn run(
        &self,
        leader: &mut Leader,
        began: Instant,
        threads: usize,
        parts: usize,
        task: &(dyn Fn(usize) + Sync),
    ) {
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. Nobody uses the task after the last part is finished, and this function
        // does not return before.
        let task = unsafe {
            std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(task)
        };
        // SAFETY: all shares are empty and no part is being worked on: the last task waited for that.
        unsafe { *shared.task.get() = Some(Task(task)) };
        shared.unfinished.store(parts, Ordering::Relaxed);
        for own in (0..threads).rev() {
            shared.shares[own].fill(own * parts / threads..(own + 1) * parts / threads);
            if own > 0 && shared.shares[own].asleep.load(Ordering::SeqCst) {
                self.helpers[own - 1].thread().unpark();
            }
        }
        shared.work(0);
        leader.wait(&shared.unfinished, began);
        if shared.panicked.swap(false, Ordering::Relaxed) {
            panic!("a part of a shared task failed");
        }
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.shared.quit.store(true, Ordering::SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A helper has no result, and its panics were caught.
            let _ = helper.join();
        }
    }
}

impl Leader {
    /// Whether helpers may be called: they are not at rest.
    fn may_call(&self, now: Instant) -> bool {
        now >= self.since
    }

    /// Waits for the last parts, and sends the helpers to rest if they are in trouble.
    fn wait(&mut self, unfinished: &AtomicUsize, began: Instant) {
        let mut turns: u32 = 0;
        let mut waiting: Option<Instant> = None;
        let mut stalled = Duration::ZERO;
        while unfinished.load(Ordering::Acquire) > 0 {
            std::hint::spin_loop();
            turns = turns.wrapping_add(1);
            if !turns.is_multiple_of(TURNS) {
                continue;
            }
            let since = *waiting.get_or_insert_with(Instant::now);
            if since.elapsed() > STALL.max(since - began) {
                stalled = since.elapsed();
                // The helper may be waiting for this very core.
                thread::yield_now();
            }
        }
        if !stalled.is_zero() {
            self.judge(stalled, Instant::now());
        }
    }

    fn judge(&mut self, stalled: Duration, now: Instant) {
        let worked = now - self.since;
        if worked > REST.1 {
            (self.since, self.stalled, self.next_rest) = (now - stalled, Duration::ZERO, REST.0);
            return;
        }
        self.stalled += stalled;
        if self.stalled * TROUBLE > worked {
            self.since = now + self.next_rest;
            self.stalled = Duration::ZERO;
            self.next_rest = (2 * self.next_rest).min(REST.1);
        }
    }
}

/// Where a slice begins, for threads that have different items of it.
struct Pointer<T>(*mut T);

impl<T> Pointer<T> {
    fn at(&self, offset: usize) -> *mut T {
        self.0.wrapping_add(offset)
    }
}

// SAFETY: an address; who uses it answers for it, and the values may go to other threads.
unsafe impl<T: Send> Sync for Pointer<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items filled by a pool, each value a function of its place.
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
    fn every_item_is_worked_on_once_by_any_number_of_threads() {
        let alone = ThreadPool::new(1);
        for threads in [1, 2, 3, 7] {
            let pool = ThreadPool::new(threads);
            for count in [0, 1, 2, 5, 8, 9, 100, 1001] {
                for length in [0, 3, 16] {
                    for engaged in [1, 2, 99] {
                        let expected = filled(&alone, 1, count, length);
                        assert_eq!(filled(&pool, engaged, count, length), expected);
                    }
                }
            }
        }
    }

    #[test]
    fn thousands_of_tasks_in_a_row_and_after_sleep() {
        let pool = ThreadPool::new(2);
        let expected = filled(&pool, 1, 40, 4);
        for round in 0..5000 {
            assert_eq!(filled(&pool, 2, 40, 4), expected);
            if round % 1000 == 0 {
                thread::sleep(3 * PATIENCE);
            }
        }
    }

    #[test]
    fn a_team_that_is_busy_leaves_the_second_caller_alone() {
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
    fn a_stalled_helper_is_left_alone_for_a_while() {
        let pool = ThreadPool::new(2);
        let caller = thread::current().id();
        let slow = |_: usize, item: &mut bool| {
            if thread::current().id() == caller {
                // Time for the helper to begin.
                thread::sleep(Duration::from_millis(1));
            } else {
                thread::sleep(Duration::from_millis(100));
            }
            *item = true;
        };
        for _ in 0..100 {
            pool.for_each(2, &mut [false; 8], slow);
            if !pool.leader.lock().unwrap().may_call(Instant::now()) {
                return;
            }
        }
        panic!("a helper that takes a hundred times as long was never sent to rest");
    }

    #[test]
    fn rare_stalls_are_forgiven_and_frequent_ones_bring_longer_and_longer_rest() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut leader = Leader {
            since: start,
            stalled: Duration::ZERO,
            next_rest: REST.0,
        };
        leader.judge(Duration::from_millis(3), at(500));
        assert!(leader.may_call(at(501)));
        leader.judge(Duration::from_millis(3), at(1600));
        assert!(leader.may_call(at(1601)));
        let mut now = 1700;
        for rest in [10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            leader.judge(Duration::from_millis(50), at(now));
            assert!(!leader.may_call(at(now + rest - 1)), "{rest}");
            assert!(leader.may_call(at(now + rest)), "{rest}");
            now += rest + 60;
        }
        leader.judge(Duration::from_millis(50), at(now + 2000));
        assert!(leader.may_call(at(now + 2001)));
        assert_eq!(leader.next_rest, REST.0);
    }

    #[test]
    fn a_panic_in_a_part_comes_out_and_the_team_works_on() {
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

/*!
The processes that train one model together.
*/

use std::cell::{Cell, RefCell};
use std::env;
use std::ffi::OsString;
use std::iter::StepBy;
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rand::Rng;
use tch::{Kind, Tensor};

use super::c10d::Group;
use super::place::Place;
use super::store::{LOOKS, Silence, Store};
use carousel::error::{Error, Result};

/// Longest time for which something is exchanged. Much earlier, a process that gives no sign of life is given up.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Time in which those that are left say so, once one is lost.
const ROLL_CALL: Duration = Duration::from_millis(1500);
/// Time between two questions to the store whether rank 0 is ready, and the key that says so.
const POLL: Duration = Duration::from_millis(50);
const READY: &str = "ready";
/// What is said where the store is gone, which is rank 0's.
const GONE: &str = "rank 0 has ended or cannot be reached";
/// The variable that may hold a word that all processes have to know.
const TOKEN: &str = "CAROUSEL_JOB_TOKEN";

/// The processes that train together; or this one alone, which costs nothing.
pub struct World {
    share: Share,
    restarted: bool,
    joined: Option<Joined>,
    sent: Cell<u64>,
}

/// What connects the processes.
struct Joined {
    group: Arc<Group>,
    store: Store,
    /// Time between two looks at the others' signs of life, and what was seen of each.
    look: Duration,
    silences: RefCell<Vec<Silence>>,
}

/// The part of each batch that a process computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The number of this process, from 0.
    pub rank: usize,
    /// Number of processes.
    pub ranks: usize,
}

/// What rank 0 tells the others to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision {
    /// A step.
    Step {
        /// The fraction of the budget that is spent.
        spent: f64,
        /// The learning rate.
        learning_rate: f64,
    },
    /// Steps that each process takes alone, before one of all together.
    LocalSteps {
        /// Their number.
        count: u64,
        /// The fraction of the budget that is spent.
        spent: f64,
        /// The fraction that a step takes.
        each: f64,
    },
    /// To put together the state of the streams.
    Gather {
        /// Whether the state is kept, for a rescue to return to.
        keep: bool,
    },
    /// To validate a part.
    Evaluate {
        /// About the number of tokens that all read.
        valid_tokens: usize,
    },
    /// To return to the state that was kept.
    Rescue {
        /// Number of rescues.
        rescues: u64,
        /// The new scale of the learning rate.
        scale: f64,
    },
    /// The end.
    End {
        /// Whether the run was interrupted.
        interrupted: bool,
    },
}

impl Share {
    /// All of it.
    pub const WHOLE: Share = Share { rank: 0, ranks: 1 };

    /// The rows of a batch that this process computes.
    pub fn rows(self, batch_size: usize) -> Range<usize> {
        let count = batch_size / self.ranks;
        self.rank * count..(self.rank + 1) * count
    }

    /// The positions of a batch, of whatever size, that this process computes: at least one, so that each has something to
    /// compute, and whether they count.
    pub fn positions(self, size: usize) -> (Vec<usize>, bool) {
        let own: Vec<usize> = self.own(size).collect();
        match own.is_empty() {
            true => (vec![0], false),
            false => (own, true),
        }
    }

    /// The positions of a list of whatever size that this process computes, dealt out in turn; there may be none.
    pub fn own(self, size: usize) -> StepBy<Range<usize>> {
        (self.rank..size).step_by(self.ranks)
    }

    /// Checks that a batch can be divided.
    ///
    /// # Errors
    /// If not.
    pub fn check(self, batch_size: usize) -> Result<()> {
        match batch_size.is_multiple_of(self.ranks) {
            true => Ok(()),
            false => Err(Error::usage(format!(
                "a batch of {batch_size} cannot be divided among {} processes; give a --batch-size that can",
                self.ranks
            ))),
        }
    }

    /// A seed of this process's own random numbers; that of rank 0 is the given one.
    pub fn seed(self, seed: u64) -> u64 {
        seed ^ (self.rank as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl World {
    /// This process alone.
    pub fn alone() -> Self {
        World {
            share: Share::WHOLE,
            restarted: false,
            joined: None,
            sent: Cell::new(0),
        }
    }

    /// Joins the others.
    ///
    /// # Errors
    /// Others that do not come in time, or that are not what they should be: another version, another number of processes, a
    /// rank that is there twice, another token; a port that is in use.
    pub fn join(place: &Place) -> Result<Self> {
        let restarted = place.restarts > 0;
        if place.ranks == 1 {
            return Ok(World {
                restarted,
                ..World::alone()
            });
        }
        let share = Share {
            rank: place.rank,
            ranks: place.ranks,
        };
        let group = Arc::new(connect(place)?);
        let look = place.patience.lost / LOOKS;
        Ok(World {
            share,
            restarted,
            joined: Some(Joined {
                store: Store::new(Arc::clone(&group), place.rank, look),
                group,
                look,
                silences: RefCell::new(vec![Silence::default(); place.ranks]),
            }),
            sent: Cell::new(0),
        })
    }

    /// The part of each batch that this process computes.
    pub fn share(&self) -> Share {
        self.share
    }

    /// Whether the processes were started again, as torchrun does with `--max-restarts`.
    pub fn is_restarted(&self) -> bool {
        self.restarted
    }

    /// Bytes that this process has sent for gradients and states.
    pub fn bytes_sent(&self) -> u64 {
        self.sent.get()
    }

    /// Sums a tensor over the processes, in place.
    ///
    /// # Errors
    /// A process that is lost.
    pub fn sum(&self, tensor: &mut Tensor) -> Result<()> {
        let Some(joined) = &self.joined else {
            return Ok(());
        };
        // A ring sends each part once to be summed, and once as a sum.
        let (bytes, ranks) = (
            tensor.numel() * tensor.kind().elt_size_in_bytes(),
            self.share.ranks,
        );
        let sent = 2 * bytes * (ranks - 1) / ranks;
        self.sent.set(self.sent.get() + sent as u64);
        let begun = joined.group.begin_sum(tensor);
        self.complete(joined, begun)
    }

    /// Sums numbers over the processes, in place.
    ///
    /// # Errors
    /// A process that is lost.
    pub fn sum_numbers(&self, numbers: &mut [f64]) -> Result<()> {
        if self.joined.is_none() {
            return Ok(());
        }
        let mut tensor = Tensor::from_slice(numbers);
        self.sum(&mut tensor)?;
        tensor.copy_data(numbers, numbers.len());
        Ok(())
    }

    /// Says that there is something to receive, which may have taken long.
    ///
    /// # Errors
    /// A store that does not answer.
    pub fn announce(&self) -> Result<()> {
        match &self.joined {
            None => Ok(()),
            Some(joined) => joined.store.add(READY, 1).map(|_| ()),
        }
    }

    /// Waits, however long it takes, until rank 0 has something to send.
    ///
    /// # Errors
    /// Rank 0 that has ended; an interruption.
    pub fn wait_for_rank_0(&self, interrupt: &AtomicBool) -> Result<()> {
        let Some(joined) = &self.joined else {
            return Ok(());
        };
        let mut looked = Instant::now();
        loop {
            let ready = joined.store.get(READY);
            let gone = |_| Error::new(format!("rank {}: {GONE}", self.share.rank));
            if ready.map_err(gone)? > Some(0) {
                return Ok(());
            }
            if interrupt.load(Ordering::Relaxed) {
                return Err(Error::interrupted("interrupted before there was a run"));
            }
            if looked.elapsed() >= joined.look {
                self.look_for_signs(joined)?;
                looked = Instant::now();
            }
            sleep(POLL);
        }
    }

    /// Gives the others the tensor of rank 0, in place.
    ///
    /// # Errors
    /// A process that is lost.
    pub fn share_tensor(&self, tensor: &mut Tensor) -> Result<()> {
        self.broadcast(tensor)
    }

    /// Tells the others what to do next.
    ///
    /// # Errors
    /// A process that is lost.
    pub fn tell(&self, decision: Decision) -> Result<()> {
        match &self.joined {
            None => Ok(()),
            Some(_) => self.broadcast(&mut Tensor::from_slice(&decision.numbers())),
        }
    }

    /// What rank 0 decides.
    ///
    /// # Errors
    /// A process that is lost.
    pub fn hear(&self) -> Result<Decision> {
        let mut numbers = Tensor::from_slice(&[0f64; 4]);
        self.broadcast(&mut numbers)?;
        let numbers = Vec::<f64>::try_from(&numbers).map_err(|e| Error::new(e.to_string()))?;
        Ok(Decision::of(&numbers))
    }

    /// Sends bytes from rank 0 to the others.
    ///
    /// # Errors
    /// A process that is lost.
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        self.broadcast(&mut Tensor::from_slice(&[bytes.len() as i64]))?;
        match bytes.is_empty() {
            true => Ok(()),
            false => self.broadcast(&mut Tensor::from_slice(bytes)),
        }
    }

    /// The bytes that rank 0 sends.
    ///
    /// # Errors
    /// A process that is lost.
    pub fn receive(&self) -> Result<Vec<u8>> {
        let mut length = Tensor::from_slice(&[0i64]);
        self.broadcast(&mut length)?;
        let length = length.int64_value(&[0]);
        if length == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = Tensor::zeros([length], (Kind::Uint8, tch::Device::Cpu));
        self.broadcast(&mut bytes)?;
        Vec::<u8>::try_from(&bytes).map_err(|e| Error::new(e.to_string()))
    }

    fn broadcast(&self, tensor: &mut Tensor) -> Result<()> {
        match &self.joined {
            None => Ok(()),
            Some(joined) => {
                let begun = joined.group.begin_broadcast(tensor);
                self.complete(joined, begun)
            }
        }
    }

    /// Waits until what was begun is done, as long as the others give signs of life.
    fn complete(&self, joined: &Joined, begun: Result<()>) -> Result<()> {
        let lost = |error| self.lost(joined, &error);
        begun.map_err(lost)?;
        while !joined.group.wait(joined.look).map_err(lost)? {
            self.look_for_signs(joined).inspect_err(|_| {
                // Its end would wait for what was begun.
                mem::forget(Arc::clone(&joined.group));
            })?;
        }
        Ok(())
    }

    /// Looks whether the others give signs of life.
    fn look_for_signs(&self, joined: &Joined) -> Result<()> {
        let (own, store) = (self.share.rank, &joined.store);
        let others = (0..self.share.ranks).filter(|&rank| rank != own);
        // Once the store does not answer, nothing is known of any.
        let seen = others.clone().map(|rank| store.signs(rank).transpose());
        let seen: Option<Result<Vec<i64>>> = seen.collect();
        let seen = seen.transpose().map_err(|_| self.without(GONE))?;
        let mut silences = joined.silences.borrow_mut();
        let signs = |place: usize| seen.as_ref().map(|signs| signs[place]);
        let silent = |(place, rank): (usize, usize)| {
            let is_lost = silences[rank].look(signs(place));
            is_lost.then_some(rank)
        };
        let lost: Vec<usize> = others.enumerate().filter_map(silent).collect();
        let Some(&rank) = lost.first() else {
            return Ok(());
        };
        let seconds = (joined.look * LOOKS).as_secs();
        let who = match &seen {
            // The store is rank 0's.
            None => "rank 0 cannot be reached, or has stopped".to_string(),
            Some(_) => format!("rank {rank} has given no sign of life for {seconds} seconds"),
        };
        if seen.is_some() {
            // The others have to learn whom this one has given up, before they lose its own connection.
            let _ = store.give_up(rank);
            sleep(joined.look + ROLL_CALL);
        }
        Err(self.without(&who))
    }

    /// The error that a process is lost whose connection was, with its number where that can be found out: those that are left
    /// say so.
    fn lost(&self, joined: &Joined, error: &Error) -> Error {
        let store = &joined.store;
        let key = |rank: usize| format!("left/{rank}");
        let present = |rank: usize| store.add(&key(rank), 0).map(|count| count > 0);
        let others = (0..self.share.ranks).filter(|&rank| rank != self.share.rank);
        let missing = || -> Result<Vec<String>> {
            store.add(&key(self.share.rank), 1)?;
            // The store ends with rank 0, which waits until the others have asked.
            sleep(ROLL_CALL * if self.share.rank == 0 { 2 } else { 1 });
            let mut missing = Vec::new();
            for rank in others {
                if !present(rank)? {
                    missing.push(rank.to_string());
                }
            }
            Ok(missing)
        };
        let who = match missing() {
            // The store is rank 0's.
            Err(_) => GONE.to_string(),
            Ok(ranks) => match &ranks[..] {
                [] => format!("a connection was lost ({error})"),
                [rank] => format!("rank {rank} has ended or does not answer"),
                // Those that are not beside it in the ring may not know yet.
                several => format!(
                    "one of the ranks {} has ended or does not answer",
                    several.join(", ")
                ),
            },
        };
        self.without(&who)
    }

    /// The error of a run that goes on no more.
    fn without(&self, who: &str) -> Error {
        Error::new(format!(
            "rank {}: {who}; what was saved is in the model's folder, and --resume continues",
            self.share.rank
        ))
    }
}

/// What the processes of a world have to have in common, and what each has of its own.
struct Identity {
    version: &'static str,
    share: Share,
    token: OsString,
}

impl Identity {
    /// That of this process.
    fn own(share: Share) -> Self {
        Identity {
            version: env!("CARGO_PKG_VERSION"),
            share,
            token: env::var_os(TOKEN).unwrap_or_default(),
        }
    }

    /// Checks, by the store, that processes belong together.
    ///
    /// # Errors
    /// If not; a store that does not answer.
    fn agree(&self, group: &Group) -> Result<()> {
        let version = self.version;
        let told = group.agree("version", version)?;
        if told != version {
            return Err(Error::new(format!(
                "this is carousel {version}, and another process is carousel {told}"
            )));
        }
        let ranks = self.share.ranks.to_string();
        let told = group.agree("ranks", &ranks)?;
        if told != ranks {
            return Err(Error::new(format!(
                "this process counts {ranks} processes, and another one {told}"
            )));
        }
        // The token itself is never sent.
        let nonce = group.agree("nonce", &format!("{:016x}", rand::rng().random::<u64>()))?;
        let key = blake3::hash(self.token.as_encoded_bytes());
        let mac = blake3::keyed_hash(key.as_bytes(), nonce.as_bytes());
        if group.agree("token", mac.to_hex().as_str())? != mac.to_hex().as_str() {
            return Err(Error::new(format!(
                "another process has another {TOKEN}, or none"
            )));
        }
        // Last, so that a process that was refused takes no other's rank.
        match group.add(&format!("rank/{}", self.share.rank), 1)? {
            1 => Ok(()),
            _ => Err(Error::new("another process has the same rank")),
        }
    }
}

/// Joins the others: finds the store, agrees with them, and connects to each.
fn connect(place: &Place) -> Result<Group> {
    let (rank, ranks, join) = (place.rank, place.ranks, place.patience.join);
    let (host, port, seconds) = (&place.address.0, place.address.1, join.as_secs());
    let at_store = |error: Error| match place.holds_store {
        true => Error::new(format!(
            "rank 0 cannot listen on port {port} of {host}: {error}; is the port in use?"
        )),
        false => Error::new(format!(
            "rank {rank} cannot reach rank 0 at {host}:{port} within {seconds} seconds ({error}); is it running, and the \
             port open?"
        )),
    };
    let local = place.local_address()?;
    let own = place.clone();
    let store = move || Group::of_store(&own.store());
    let group = within(join, "nothing there answers as carousel does", store).map_err(at_store)?;
    let identity = Identity::own(Share { rank, ranks });
    let agree = move || identity.agree(&group).map(|()| group);
    let group = within(join, "rank 0 does not answer", agree);
    let group = group.map_err(|error| Error::new(format!("rank {rank}: {error}")))?;
    let times = [join, LONGEST].map(|time| time.as_millis() as i64);
    let all = move || {
        let connected = group.connect((rank, ranks), &local, times);
        connected.map(|()| group)
    };
    // libtorch gives up by itself, unless the store does not answer.
    let group = within(join + ROLL_CALL, "no answer", all);
    group.map_err(|error| {
        Error::new(format!(
            "rank {rank}: not all of the {ranks} processes have joined within {seconds} seconds ({error})"
        ))
    })
}

/// What work comes to, which may last without end, within some time; else what is the matter.
fn within<R: Send + 'static>(
    time: Duration,
    matter: &str,
    work: impl FnOnce() -> Result<R> + Send + 'static,
) -> Result<R> {
    let (tell, told) = channel();
    thread::spawn(move || {
        // Nobody may wait any more.
        let _ = tell.send(work());
    });
    let told = told.recv_timeout(time);
    told.unwrap_or_else(|_| Err(Error::new(matter)))
}

impl Decision {
    fn numbers(self) -> [f64; 4] {
        match self {
            Decision::Step {
                spent,
                learning_rate,
            } => [0.0, spent, learning_rate, 0.0],
            Decision::Gather { keep } => [1.0, f64::from(u8::from(keep)), 0.0, 0.0],
            Decision::Rescue { rescues, scale } => [2.0, rescues as f64, scale, 0.0],
            Decision::LocalSteps { count, spent, each } => [3.0, count as f64, spent, each],
            Decision::Evaluate { valid_tokens } => [4.0, valid_tokens as f64, 0.0, 0.0],
            Decision::End { interrupted } => [5.0, f64::from(u8::from(interrupted)), 0.0, 0.0],
        }
    }

    fn of(numbers: &[f64]) -> Self {
        let [kind, first, second, third] = [0, 1, 2, 3].map(|index| numbers[index]);
        match kind as u8 {
            0 => Decision::Step {
                spent: first,
                learning_rate: second,
            },
            1 => Decision::Gather { keep: first > 0.0 },
            2 => Decision::Rescue {
                rescues: first as u64,
                scale: second,
            },
            3 => Decision::LocalSteps {
                count: first as u64,
                spent: second,
                each: third,
            },
            4 => Decision::Evaluate {
                valid_tokens: first as usize,
            },
            _ => Decision::End {
                interrupted: first > 0.0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_a_batch_once() {
        for ranks in [1, 2, 4] {
            let shares = (0..ranks).map(|rank| Share { rank, ranks });
            let rows: Vec<usize> = shares.flat_map(|share| share.rows(8)).collect();
            assert_eq!(rows, (0..8).collect::<Vec<_>>());
        }
        // Of any batch, in turn; who has nothing of it computes what does not count.
        let of_five = |rank| Share { rank, ranks: 2 }.positions(5);
        assert_eq!(
            [0, 1].map(of_five),
            [(vec![0, 2, 4], true), (vec![1, 3], true)]
        );
        assert_eq!(Share { rank: 1, ranks: 2 }.positions(1), (vec![0], false));
        let of_three = Share { rank: 0, ranks: 3 };
        assert!(of_three.check(9).is_ok());
        assert!(of_three.check(8).is_err());
        assert_eq!(Share::WHOLE.seed(7), 7);
        assert_ne!(Share { rank: 1, ranks: 2 }.seed(7), 7);
    }

    #[test]
    fn those_that_do_not_belong_together_are_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let store = |rank: usize| {
            let of_rank = [
                ("RANK", rank.to_string()),
                ("WORLD_SIZE", "2".to_string()),
                ("MASTER_ADDR", "127.0.0.1".to_string()),
                ("MASTER_PORT", port.to_string()),
            ];
            let place = Place::from_variables(|name| {
                let found = of_rank.iter().find(|(own, _)| *own == name);
                found.map(|(_, value)| value.clone())
            });
            Group::of_store(&place.unwrap().unwrap().store()).unwrap()
        };
        let identity = |rank: usize, ranks: usize| Identity {
            version: "1.2.3",
            share: Share { rank, ranks },
            token: OsString::from("word"),
        };
        let (first, other) = (store(0), store(1));
        identity(0, 2).agree(&first).unwrap();
        let refused = |identity: Identity| identity.agree(&other).unwrap_err().to_string();
        let older = Identity {
            version: "1.2.2",
            ..identity(1, 2)
        };
        let told = "this is carousel 1.2.2, and another process is carousel 1.2.3";
        assert_eq!(refused(older), told);
        let told = "this process counts 3 processes, and another one 2";
        assert_eq!(refused(identity(1, 3)), told);
        let stranger = Identity {
            token: OsString::new(),
            ..identity(1, 2)
        };
        let told = "another process has another CAROUSEL_JOB_TOKEN, or none";
        assert_eq!(refused(stranger), told);
        let told = "another process has the same rank";
        assert_eq!(refused(identity(0, 2)), told);
        // Those that were refused took no rank.
        identity(1, 2).agree(&other).unwrap();
    }

    #[test]
    fn decisions_arrive_as_they_were() {
        for decision in [
            Decision::Step {
                spent: 0.1,
                learning_rate: 1e-3,
            },
            Decision::Gather { keep: true },
            Decision::Gather { keep: false },
            Decision::Rescue {
                rescues: 3,
                scale: 0.125,
            },
            Decision::LocalSteps {
                count: 50,
                spent: 0.1,
                each: 1e-4,
            },
            Decision::Evaluate {
                valid_tokens: 123_456_789,
            },
            Decision::End { interrupted: true },
            Decision::End { interrupted: false },
        ] {
            assert_eq!(Decision::of(&decision.numbers()), decision);
        }
    }
}

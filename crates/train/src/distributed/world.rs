/*!
The processes that train one model together.
*/

use std::cell::Cell;
use std::env;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use rand::Rng;
use tch::{Kind, Tensor};

use super::c10d::{Group, StorePlace};
use super::place::Place;
use carousel::error::{Error, Result};

/// Longest time to wait for the others as they join.
const JOIN: Duration = Duration::from_secs(60);
/// Longest time to wait for them later: while rank 0 evaluates, the others wait.
const TIMEOUT: Duration = Duration::from_secs(900);
/// Time in which those that are left say so, once one is lost.
const ROLL_CALL: Duration = Duration::from_millis(1500);
/// Time between two questions to the store whether rank 0 is ready, and the key that says so.
const POLL: Duration = Duration::from_millis(50);
const READY: &str = "ready";
/// The variable that may hold a word that all processes have to know.
const TOKEN: &str = "CAROUSEL_JOB_TOKEN";

/// The processes that train together; or this one alone, which costs nothing.
pub struct World {
    share: Share,
    restarted: bool,
    group: Option<Group>,
    sent: Cell<u64>,
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
        let own: Vec<usize> = (self.rank..size).step_by(self.ranks).collect();
        match own.is_empty() {
            true => (vec![0], false),
            false => (own, true),
        }
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
            group: None,
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
        let (host, port) = (&place.address.0, place.address.1);
        let at_store = |error: Error| match place.holds_store {
            true => Error::new(format!(
                "rank 0 cannot listen on port {port} of {host}: {error}; is the port in use?"
            )),
            false => Error::new(format!(
                "rank {} cannot reach rank 0 at {host}:{port} within {} seconds ({error}); is it running, and the port open?",
                place.rank,
                JOIN.as_secs()
            )),
        };
        let local = place.local_address()?;
        let store = StorePlace {
            address: (host, port),
            holds: place.holds_store,
            prefix: &format!("carousel/{}", place.restarts),
            join_ms: JOIN.as_millis() as i64,
        };
        let group = Group::of_store(&store).map_err(at_store)?;
        let agreed = agree(&group, share);
        agreed.map_err(|error| Error::new(format!("rank {}: {error}", place.rank)))?;
        let times = [JOIN, TIMEOUT].map(|time| time.as_millis() as i64);
        let connected = group.connect((place.rank, place.ranks), &local, times);
        connected.map_err(|error| {
            Error::new(format!(
                "rank {}: not all of the {} processes have joined within {} seconds ({error})",
                place.rank,
                place.ranks,
                JOIN.as_secs()
            ))
        })?;
        Ok(World {
            share,
            restarted,
            group: Some(group),
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
        let Some(group) = &self.group else {
            return Ok(());
        };
        // A ring sends each part once to be summed, and once as a sum.
        let (bytes, ranks) = (
            tensor.numel() * tensor.kind().elt_size_in_bytes(),
            self.share.ranks,
        );
        let sent = 2 * bytes * (ranks - 1) / ranks;
        self.sent.set(self.sent.get() + sent as u64);
        group.sum(tensor).map_err(|error| self.lost(&error))
    }

    /// Sums numbers over the processes, in place.
    ///
    /// # Errors
    /// A process that is lost.
    pub fn sum_numbers(&self, numbers: &mut [f64]) -> Result<()> {
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
        match &self.group {
            None => Ok(()),
            Some(group) => group.add(READY, 1).map(|_| ()),
        }
    }

    /// Waits, however long it takes, until rank 0 has something to send.
    ///
    /// # Errors
    /// Rank 0 that has ended; an interruption.
    pub fn wait_for_rank_0(&self, interrupt: &AtomicBool) -> Result<()> {
        let Some(group) = &self.group else {
            return Ok(());
        };
        let gone = |_| {
            let rank = self.share.rank;
            Error::new(format!(
                "rank {rank}: rank 0 has ended or cannot be reached"
            ))
        };
        while group.add(READY, 0).map_err(gone)? == 0 {
            if interrupt.load(Ordering::Relaxed) {
                return Err(Error::interrupted("interrupted before there was a run"));
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// Tells the others what to do next.
    ///
    /// # Errors
    /// A process that is lost.
    pub fn tell(&self, decision: Decision) -> Result<()> {
        match &self.group {
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
        match &self.group {
            None => Ok(()),
            Some(group) => group.broadcast(tensor).map_err(|error| self.lost(&error)),
        }
    }

    /// The error that a process is lost, with its number where that can be found out: those that are left say so.
    fn lost(&self, error: &Error) -> Error {
        let group = self.group.as_ref().expect("a world of several processes");
        let key = |rank: usize| format!("left/{rank}");
        let present = |rank: usize| group.add(&key(rank), 0).map(|count| count > 0);
        let others = (0..self.share.ranks).filter(|&rank| rank != self.share.rank);
        let missing = || -> Result<Vec<String>> {
            group.add(&key(self.share.rank), 1)?;
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
            Err(_) => "rank 0 has ended or cannot be reached".to_string(),
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
        Error::new(format!(
            "rank {}: {who}; what was saved is in the model's folder, and --resume continues",
            self.share.rank
        ))
    }
}

/// Checks, by the store, that processes belong together.
fn agree(group: &Group, share: Share) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let told = group.agree("version", version)?;
    if told != version {
        return Err(Error::new(format!(
            "this is carousel {version}, and another process is carousel {told}"
        )));
    }
    let ranks = share.ranks.to_string();
    let told = group.agree("ranks", &ranks)?;
    if told != ranks {
        return Err(Error::new(format!(
            "this process counts {ranks} processes, and another one {told}"
        )));
    }
    // The token itself is never sent.
    let nonce = group.agree("nonce", &format!("{:016x}", rand::rng().random::<u64>()))?;
    let token = env::var_os(TOKEN).unwrap_or_default();
    let key = blake3::hash(token.as_encoded_bytes());
    let mac = blake3::keyed_hash(key.as_bytes(), nonce.as_bytes());
    if group.agree("token", mac.to_hex().as_str())? != mac.to_hex().as_str() {
        return Err(Error::new(format!(
            "another process has another {TOKEN}, or none"
        )));
    }
    // Last, so that a process that was refused takes no other's rank.
    match group.add(&format!("rank/{}", share.rank), 1)? {
        1 => Ok(()),
        _ => Err(Error::new("another process has the same rank")),
    }
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
            Decision::End { interrupted } => [4.0, f64::from(u8::from(interrupted)), 0.0, 0.0],
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
            Decision::End { interrupted: true },
            Decision::End { interrupted: false },
        ] {
            assert_eq!(Decision::of(&decision.numbers()), decision);
        }
    }
}

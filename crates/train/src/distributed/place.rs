/*!
Where a process stands among those that train together, as the variables say that torchrun sets.
*/

use std::env;
use std::net::UdpSocket;
use std::str::FromStr;
use std::time::Duration;

use super::c10d::StorePlace;
use carousel::error::{Error, Result};

/// The number of this process, and of all.
const RANK: &str = "RANK";
const WORLD_SIZE: &str = "WORLD_SIZE";
/// Host and port of rank 0's store.
const MASTER_ADDR: &str = "MASTER_ADDR";
const MASTER_PORT: &str = "MASTER_PORT";
/// Number of processes on this machine.
const LOCAL_WORLD_SIZE: &str = "LOCAL_WORLD_SIZE";
/// Whether torchrun holds the store, and how often it has restarted the processes.
const AGENT_STORE: &str = "TORCHELASTIC_USE_AGENT_STORE";
const RESTARTS: &str = "TORCHELASTIC_RESTART_COUNT";
/// The network interface, where the user names one.
const INTERFACE: &str = "GLOO_SOCKET_IFNAME";
/// Seconds for joining, and without a sign of life; and what they are where the variables are not set.
const JOIN_TIMEOUT: &str = "CAROUSEL_JOIN_TIMEOUT";
const LOST_TIMEOUT: &str = "CAROUSEL_LOST_TIMEOUT";
const SECONDS: u64 = 60;

/// The error that networks which forecast are trained by one process.
pub fn forecasts_alone() -> Error {
    Error::usage(format!(
        "{RANK} and {WORLD_SIZE} are set, and `carousel forecast` cannot be shared by several processes; the commands that train can"
    ))
}

/// The place of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of this process, from 0.
    pub rank: usize,
    /// Number of processes.
    pub ranks: usize,
    /// Number of processes on this machine.
    pub local_ranks: usize,
    /// Host and port of the store.
    pub address: (String, u16),
    /// Whether this process holds the store.
    pub holds_store: bool,
    /// How often the processes have been restarted.
    pub restarts: u64,
    /// How long it waits for the others.
    pub patience: Patience,
}

/// How long a process waits for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Longest time to wait for them as they join.
    pub join: Duration,
    /// Time without a sign of life after which one is given up.
    pub lost: Duration,
}

impl Patience {
    /// What the environment gives, a minute each where it gives nothing.
    ///
    /// # Errors
    /// A variable that is no number above 0.
    pub fn from_environment() -> Result<Self> {
        Self::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let time = |name: &str| match variable(name) {
            None => Ok(Duration::from_secs(SECONDS)),
            Some(seconds) => match number::<u64>(name, &seconds)? {
                0 => Err(Error::usage(format!("{name} is 0, and has to be more"))),
                seconds => Ok(Duration::from_secs(seconds)),
            },
        };
        Ok(Patience {
            join: time(JOIN_TIMEOUT)?,
            lost: time(LOST_TIMEOUT)?,
        })
    }
}

impl Place {
    /// The place that the environment gives; `None` where it gives none.
    ///
    /// # Errors
    /// A variable that is missing beside others, or that has no such value.
    pub fn from_environment() -> Result<Option<Self>> {
        Self::from_variables(|name| env::var(name).ok())
    }

    /// The place that some variables give.
    ///
    /// # Errors
    /// Those of [`Place::from_environment`].
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        if [RANK, WORLD_SIZE]
            .iter()
            .all(|name| variable(name).is_none())
        {
            return Ok(None);
        }
        let needed = |name: &str| {
            variable(name).ok_or_else(|| {
                Error::usage(format!(
                    "{name} is not set; processes that train together need {RANK}, {WORLD_SIZE}, {MASTER_ADDR} and {MASTER_PORT}, \
                     which torchrun sets"
                ))
            })
        };
        let place = Place {
            rank: number(RANK, &needed(RANK)?)?,
            ranks: number(WORLD_SIZE, &needed(WORLD_SIZE)?)?,
            local_ranks: match variable(LOCAL_WORLD_SIZE) {
                Some(ranks) => number::<usize>(LOCAL_WORLD_SIZE, &ranks)?.max(1),
                None => 1,
            },
            address: (
                needed(MASTER_ADDR)?,
                number(MASTER_PORT, &needed(MASTER_PORT)?)?,
            ),
            holds_store: false,
            restarts: match variable(RESTARTS) {
                Some(restarts) => number(RESTARTS, &restarts)?,
                None => 0,
            },
            patience: Patience::from_variables(&variable)?,
        };
        if place.rank >= place.ranks {
            return Err(Error::usage(format!(
                "{RANK} is {}, and {WORLD_SIZE} is {}: ranks count from 0",
                place.rank, place.ranks
            )));
        }
        let agent = variable(AGENT_STORE).is_some_and(|value| value == "True");
        let holds_store = place.rank == 0 && !agent;
        Ok(Some(Place {
            holds_store,
            ..place
        }))
    }

    /// The store. After a restart the keys are others, as torchrun's store keeps those of before.
    pub fn store(&self) -> StorePlace {
        StorePlace {
            address: self.address.clone(),
            holds: self.holds_store,
            prefix: format!("carousel/{}", self.restarts),
            join_ms: self.patience.join.as_millis() as i64,
        }
    }

    /// The variables of another rank of a world on one machine.
    pub fn variables(&self, rank: usize) -> [(&'static str, String); 5] {
        [
            (RANK, rank.to_string()),
            (WORLD_SIZE, self.ranks.to_string()),
            (LOCAL_WORLD_SIZE, self.local_ranks.to_string()),
            (MASTER_ADDR, self.address.0.clone()),
            (MASTER_PORT, self.address.1.to_string()),
        ]
    }

    /// This machine's address towards the store; empty where the user names an interface. No packet is sent.
    ///
    /// # Errors
    /// A host that is not known.
    pub fn local_address(&self) -> Result<String> {
        if env::var_os(INTERFACE).is_some() {
            return Ok(String::new());
        }
        let (host, port) = (&self.address.0[..], self.address.1);
        let any = match host.contains(':') {
            true => "[::]:0",
            false => "0.0.0.0:0",
        };
        let towards = || {
            let socket = UdpSocket::bind(any)?;
            socket.connect((host, port))?;
            socket.local_addr()
        };
        match towards() {
            Ok(address) => Ok(address.ip().to_string()),
            Err(error) => Err(Error::new(format!(
                "the host of {MASTER_ADDR}, {host}, cannot be found: {error}"
            ))),
        }
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T> {
    value
        .parse()
        .map_err(|_| Error::usage(format!("{name} is {value:?}, and has to be a number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(variables: &[(&str, &str)]) -> Result<Option<Place>> {
        Place::from_variables(|name| {
            let found = variables.iter().find(|(own, _)| *own == name);
            found.map(|(_, value)| value.to_string())
        })
    }

    #[test]
    fn places_are_those_of_the_variables() {
        assert_eq!(place(&[]).unwrap(), None);
        let all = [
            (RANK, "1"),
            (WORLD_SIZE, "2"),
            (MASTER_ADDR, "box"),
            (MASTER_PORT, "4000"),
        ];
        let found = place(&all).unwrap().unwrap();
        assert_eq!((found.rank, found.ranks, found.local_ranks), (1, 2, 1));
        assert_eq!(found.address, ("box".to_string(), 4000));
        assert!(!found.holds_store);
        let minute = Duration::from_secs(60);
        assert_eq!([found.patience.join, found.patience.lost], [minute; 2]);
        let first = [(RANK, "0"), all[1], all[2], all[3]];
        assert!(place(&first).unwrap().unwrap().holds_store);
        let agent = [first[0], all[1], all[2], all[3], (AGENT_STORE, "True")];
        assert!(!place(&agent).unwrap().unwrap().holds_store);
        let hasty = [first[0], all[1], all[2], all[3], (LOST_TIMEOUT, "5")];
        let patience = place(&hasty).unwrap().unwrap().patience;
        assert_eq!(patience.lost, Duration::from_secs(5));
        let alone = [first[0], (WORLD_SIZE, "1"), all[2], all[3]];
        assert_eq!(place(&alone).unwrap().unwrap().ranks, 1);
    }

    #[test]
    fn wrong_variables_are_named() {
        let all = [
            (RANK, "2"),
            (WORLD_SIZE, "2"),
            (MASTER_ADDR, "box"),
            (MASTER_PORT, "4000"),
        ];
        let zero = [(RANK, "1"), all[1], all[2], all[3], (JOIN_TIMEOUT, "0")];
        let table: [(&[(&str, &str)], &str); 5] = [
            (&zero, "CAROUSEL_JOIN_TIMEOUT is 0"),
            (&all[..1], "WORLD_SIZE is not set"),
            (&all[..3], "MASTER_PORT is not set"),
            (&[(RANK, "x"), all[1], all[2], all[3]], "RANK is \"x\""),
            (&all, "ranks count from 0"),
        ];
        for (variables, message) in table {
            let error = place(variables).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}

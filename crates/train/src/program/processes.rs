/*!
The processes that train together: this one's place among them, and those that `--processes` starts on this machine.
*/

use std::env;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

use carousel::checkpoint::Directory;
use carousel::cli::interrupt;
use carousel::error::{Error, Result};
use carousel_train::distributed::{Patience, Place, World};
use carousel_train::run::{Run, Task, receive};

/// The address for processes of one machine.
const LOOPBACK: &str = "127.0.0.1";
/// Longest time for the others to end after this one.
const PATIENCE: Duration = Duration::from_secs(8);
/// The variable by which a user sets the number of threads; torchrun sets it to 1 where a machine has several processes.
const THREADS: &str = "OMP_NUM_THREADS";

/// Processes that end when this one does.
#[derive(Default)]
pub struct Others(Vec<Child>);

/// Joins the world that the environment or `--processes` gives, this process alone without either. Returns the processes that
/// it has started, too, which are waited for or ended as they are dropped.
///
/// # Errors
/// A place that cannot be; processes that cannot be started or joined.
pub fn join(processes: Option<usize>) -> Result<(World, Others)> {
    let place = Place::from_environment()?;
    let (place, others) = match (place, processes) {
        (Some(place), _) => (place, Others::default()),
        (None, Some(ranks)) if ranks > 1 => start(ranks)?,
        _ => return Ok((World::alone(), Others::default())),
    };
    let cores = available_parallelism().map_or(1, |cores| cores.get());
    if env::var(THREADS).is_ok_and(|threads| threads == "1") || env::var_os(THREADS).is_none() {
        tch::set_num_threads((cores / place.local_ranks).max(1) as i32);
    }
    Ok((World::join(&place)?, others))
}

impl Others {
    /// Waits for their ends, which come by themselves; ends what is still there after a while.
    pub fn wait(mut self) {
        let began = Instant::now();
        let ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        while !self.0.iter_mut().all(ended) && began.elapsed() < PATIENCE {
            sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts the other ranks of a world on this machine, as processes of this program with the same arguments.
fn start(ranks: usize) -> Result<(Place, Others)> {
    let cannot = |error| Error::new(format!("the other processes cannot be started: {error}"));
    let port = || TcpListener::bind((LOOPBACK, 0))?.local_addr();
    let place = Place {
        rank: 0,
        ranks,
        local_ranks: ranks,
        address: (LOOPBACK.to_string(), port().map_err(cannot)?.port()),
        holds_store: true,
        restarts: 0,
        patience: Patience::from_environment()?,
    };
    let program = env::current_exe().map_err(cannot)?;
    let mut others = Others::default();
    for rank in 1..ranks {
        let child = Command::new(&program)
            .args(env::args_os().skip(1))
            .envs(place.variables(rank))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        others.0.push(child.map_err(cannot)?);
    }
    Ok((place, others))
}

/// Trains as one of the others: what rank 0 tells, in a folder that is thrown away. `resume` resumes the run that rank 0 shares.
///
/// # Errors
/// Rank 0 or another process that is lost; data that is not that of rank 0.
pub fn follow<T: Task>(
    world: World,
    resume: impl FnOnce(Directory) -> Result<Option<Run<T>>>,
) -> Result<()> {
    let rank = world.share().rank;
    let cannot = |error| Error::new(format!("rank {rank}: no folder can be made: {error}"));
    let folder = tempfile::tempdir().map_err(cannot)?;
    let directory = Directory::at(folder.path());
    if !receive(&world, &directory, interrupt::watch())? {
        return Ok(());
    }
    let run = resume(directory).map_err(|error| Error::new(format!("rank {rank}: {error}")))?;
    match run {
        Some(mut run) => run.follow(world, interrupt::watch()),
        None => Ok(()),
    }
}

/*!
A run that several processes train together: how rank 0 shares it, and what the others do.

The others resume the run that rank 0 has begun or resumed, in folders of their own that are thrown away: they read the same
data, check that it is the same, and do what rank 0 tells them.
*/

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::resume::Snapshot;
use super::task::Task;
use super::training::Run;
use crate::distributed::{self, Decision, World};
use carousel::checkpoint::record::Figures;
use carousel::checkpoint::{Directory, RunFiles};
use carousel::error::{Error, Result};

/// What describes a run to the other processes.
#[derive(Serialize, Deserialize)]
struct Described {
    record: Value,
    files: RunFiles,
}

impl<T: Task> Run<T> {
    /// Shares the run with the other processes of a world, from rank 0: its options, its state, and its weights with what was
    /// learnt before the run, so that they need not learn that again.
    ///
    /// # Errors
    /// A batch that cannot be divided, a task that cannot be shared, a process that is lost.
    pub fn share(&mut self, world: World) -> Result<()> {
        self.record.training.world_size = world.share().ranks;
        if world.share().ranks == 1 {
            return Ok(());
        }
        self.join(world)?;
        self.directory.save_record(&self.record)?;
        let described = Described {
            record: self.directory.load_record()?,
            files: self.directory.run_files()?,
        };
        let described = serde_json::to_vec(&described).expect("a description is plain data");
        self.world.announce()?;
        self.world.send(&described)?;
        let mut state = Snapshot::of(&self.state);
        let mut good = self.good.clone();
        // The others have no metrics.
        for snapshot in [&mut state, &mut good] {
            snapshot.counters.metrics_length = 0;
        }
        self.world.send(&state.serialize(&good)?)?;
        self.world.send(&self.task.weights(&self.state)?)
    }

    fn join(&mut self, world: World) -> Result<()> {
        let (share, training) = (world.share(), &self.record.training);
        let config = self.state.network.config.clone();
        self.task.take_share(share, &config, training)?;
        self.world = world;
        Ok(())
    }

    /// Validates the averaged weights, as all processes do it together.
    pub(super) fn figures(&mut self) -> Result<Option<Figures>> {
        if self.record.training.sync_every > 1 {
            self.share_averages()?;
        }
        let training = &self.record.training;
        self.task.evaluate(&self.state, training, &self.world)
    }

    /// Does what rank 0 tells this process, to the end.
    ///
    /// # Errors
    /// A process that is lost; an interruption.
    pub fn follow(&mut self, world: World, interrupt: &AtomicBool) -> Result<()> {
        self.join(world)?;
        loop {
            match self.world.hear()? {
                Decision::Step {
                    spent,
                    learning_rate,
                } => {
                    let interrupted = interrupt.load(Ordering::Relaxed);
                    self.take_step(spent, learning_rate, interrupted)?;
                }
                Decision::LocalSteps { count, spent, each } => {
                    self.follow_local_steps(count, [spent, each], interrupt)?;
                }
                Decision::Gather { keep } => {
                    distributed::gather(&self.world, &mut self.state.streams)?;
                    if keep {
                        self.good = Snapshot::of(&self.state);
                    }
                }
                Decision::Evaluate { valid_tokens } => {
                    // Rank 0 has measured how many it can afford.
                    (self.task).shorten_validation(valid_tokens, &mut self.record.subject);
                    self.figures()?;
                }
                Decision::Rescue { rescues, scale } => self.return_to_good(rescues, scale),
                Decision::End { interrupted: false } => return Ok(()),
                Decision::End { interrupted: true } => {
                    return Err(Error::interrupted(
                        "interrupted; rank 0 has saved everything",
                    ));
                }
            }
        }
    }
}

/// Tells the other processes, from rank 0, that there is nothing to train.
///
/// # Errors
/// A process that is lost.
pub fn share_nothing(world: &World) -> Result<()> {
    world.announce()?;
    world.send(&[])
}

/// Receives the run that rank 0 shares, into a directory; `false` if there is nothing to train.
///
/// # Errors
/// A process that is lost; a directory that cannot be written; an interruption.
pub fn receive(world: &World, directory: &Directory, interrupt: &AtomicBool) -> Result<bool> {
    world.wait_for_rank_0(interrupt)?;
    let described = world.receive()?;
    if described.is_empty() {
        return Ok(false);
    }
    let described: Described = serde_json::from_slice(&described)
        .map_err(|e| Error::new(format!("what rank 0 sent cannot be read: {e}")))?;
    directory.save_run_files(&described.files)?;
    directory.save_record(&described.record)?;
    directory.save_resume(&world.receive()?)?;
    directory.save_weights(&world.receive()?)?;
    Ok(true)
}

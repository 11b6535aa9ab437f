/*!
The folder of a comparison, and the names in it, which are spelled nowhere else.
*/

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::plan::Plan;
use super::run::{Measured, Progress, Run};
use crate::checkpoint::Directory;
use crate::error::{Error, Result};
use crate::files;

const PLAN: &str = "plan.json";
const RESULT: &str = "compare.json";
const PICTURE: &str = "compare.svg";
const RUNS: &str = "runs";
const LOCK: &str = ".lock";
const STANDARD_INPUT: &str = "standard-input.txt";

/// The folder of a comparison, which may still be empty.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// The right to write in the folder, held until it is dropped and every process that shares it has ended.
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Empty standard input for a process that shares the lock.
    pub fn input(&self) -> Result<Stdio> {
        let shared = self.file.try_clone();
        shared
            .map(Stdio::from)
            .map_err(|e| Error::file("share", &self.path, e))
    }
}

impl Folder {
    /// The folder at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Folder { path: path.into() }
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a comparison was begun in the folder.
    pub fn holds_comparison(&self) -> bool {
        self.path.join(PLAN).exists()
    }

    /// Locks the folder.
    ///
    /// # Errors
    /// If another comparison, or a process of its runs, has locked it.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.path.join(LOCK);
        let failed = |e| Error::file("lock", &path, e);
        let mut options = File::options();
        let file = options.create(true).truncate(false).read(true).write(true);
        let file = file.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { file, path }),
            Err(TryLockError::WouldBlock) => Err(Error::new(format!(
                "a comparison is running in {}, or a run that it began; wait until it has ended",
                self.path.display()
            ))),
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }

    /// Path of the copy of standard input.
    pub fn standard_input(&self) -> PathBuf {
        self.path.join(STANDARD_INPUT)
    }

    /// Writes plan.json, in a folder that is created if there is none.
    pub fn save_plan(&self, plan: &Plan) -> Result<()> {
        files::create_folder(&self.path.join(RUNS))?;
        save(&self.path.join(PLAN), plan)
    }

    /// Loads plan.json.
    pub fn load_plan(&self) -> Result<Plan> {
        load(&self.path.join(PLAN))
    }

    /// Writes compare.json.
    pub fn save_result(&self, result: &Value) -> Result<()> {
        save(&self.path.join(RESULT), result)
    }

    /// Writes compare.svg.
    pub fn save_picture(&self, svg: &str) -> Result<()> {
        files::write_atomically(&self.path.join(PICTURE), svg.as_bytes())
    }

    /// The checkpoint directory of a run.
    pub fn directory(&self, run: &Run) -> Directory {
        Directory::at(self.path.join(RUNS).join(&run.folder))
    }

    /// How far a run is.
    pub fn progress(&self, run: &Run) -> Result<Progress> {
        let directory = self.directory(run);
        if !directory.holds_run() {
            return Ok(Progress::Vacant);
        }
        let finished = !directory.load_record::<serde_json::Value>()?["finished"].is_null();
        Ok(match finished {
            true => Progress::Finished,
            false => Progress::Begun,
        })
    }

    /// What was measured of a run; nothing if it was not saved.
    pub fn load_measured(&self, run: &Run) -> Measured {
        load(&self.measured(run)).unwrap_or_default()
    }

    /// Saves what was measured of a run.
    pub fn save_measured(&self, run: &Run, measured: &Measured) -> Result<()> {
        save(&self.measured(run), measured)
    }

    fn measured(&self, run: &Run) -> PathBuf {
        self.path.join(RUNS).join(format!("{}.json", run.folder))
    }
}

fn save(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(value).expect("the value is plain data");
    json.push(b'\n');
    files::write_atomically(path, &json)
}

fn load<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_str(&files::read_text(path)?)
        .map_err(|e| Error::new(format!("{} cannot be understood: {e}", path.display())))
}

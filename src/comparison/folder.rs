/*!
The folder of a comparison, and the names in it, which are spelled nowhere else.
*/

use std::fs;
use std::path::{Path, PathBuf};

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
const STANDARD_INPUT: &str = "standard-input.txt";

/// The folder of a comparison, which may still be empty.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
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

    /// Path of the copy of standard input.
    pub fn standard_input(&self) -> PathBuf {
        self.path.join(STANDARD_INPUT)
    }

    /// Removes the copy of standard input of a comparison that could not begin.
    pub fn leave_nothing(&self) {
        if !self.holds_comparison() {
            // The command has failed already, and says why.
            let _ = fs::remove_file(self.standard_input());
        }
    }

    /// Writes plan.json, in a folder that is created if there is none. The copy of standard input is named without the
    /// folder, which may be moved.
    pub fn save_plan(&self, plan: &Plan) -> Result<()> {
        files::create_folder(&self.path.join(RUNS))?;
        let copy = absolute(&self.standard_input());
        let mut plan = plan.clone();
        plan.folder = Some(absolute(&self.path));
        for path in &mut plan.request.corpus {
            if *path == copy {
                *path = PathBuf::from(STANDARD_INPUT);
            }
        }
        save(&self.path.join(PLAN), &plan)
    }

    /// Loads plan.json.
    pub fn load_plan(&self) -> Result<Plan> {
        let mut plan: Plan = load(&self.path.join(PLAN))?;
        for path in &mut plan.request.corpus {
            if *path == Path::new(STANDARD_INPUT) {
                *path = absolute(&self.standard_input());
            }
        }
        Ok(plan)
    }

    /// Whether the comparison is finished.
    pub fn holds_result(&self) -> bool {
        self.path.join(RESULT).exists()
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

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
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

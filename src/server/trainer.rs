/*!
Training that is started over HTTP, where `--allow-training` lets it. One run goes on at a time, as a process of `carousel`
itself.
*/

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::Failure;
use super::limits::TRAINING_SECONDS;
use crate::text::Level;

/// Most letters of a run's name.
const NAME_LETTERS: usize = 64;
/// Seconds that a run takes where its request does not say.
const SECONDS: u64 = 180;

/// What starts runs.
pub struct Trainer {
    /// The program `carousel`.
    program: PathBuf,
    /// The folder of the runs, and of what they learn from.
    folder: PathBuf,
    /// The run that was started last.
    last: Mutex<Option<Started>>,
}

/// A run that was started.
struct Started {
    name: String,
    process: Child,
    /// The file with what the program has to say.
    log: PathBuf,
}

/// The command that trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Trains {
    Train,
    TrainClassifier,
}

/// What is to be learnt, from what, and for how long.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRequest {
    name: String,
    command: Trains,
    text: String,
    seconds: Option<u64>,
    level: Option<Level>,
}

impl TrainingRequest {
    /// Checks the name, the time, and that there is a text.
    ///
    /// # Errors
    /// What cannot be.
    pub fn check(&self) -> Result<(), Failure> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        let is_name = self.name.chars().all(fits) && !self.name.starts_with('-');
        if !is_name || !(1..=NAME_LETTERS).contains(&self.name.len()) {
            let message = format!(
                "a run's name has 1 to {NAME_LETTERS} letters and digits of ASCII, _ and -, and begins with none of -"
            );
            return Err(Failure::malformed(message).param("name"));
        }
        if !(1..=TRAINING_SECONDS).contains(&self.seconds()) {
            let message = format!("a run takes 1 to {TRAINING_SECONDS} seconds");
            return Err(Failure::malformed(message).param("seconds"));
        }
        match self.text.trim().is_empty() {
            true => Err(Failure::malformed("there is nothing to learn from").param("text")),
            false => Ok(()),
        }
    }

    fn seconds(&self) -> u64 {
        self.seconds.unwrap_or(SECONDS)
    }
}

impl Trainer {
    /// What starts runs of a program in a folder.
    pub fn of((program, folder): (PathBuf, PathBuf)) -> Self {
        Trainer {
            program,
            folder,
            last: Mutex::new(None),
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<Started>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a run, which was checked.
    ///
    /// # Errors
    /// A name that is taken, a run that goes on, a folder that cannot be written.
    pub fn start(&self, asked: &TrainingRequest) -> Result<Value, Failure> {
        let conflict = |message: String| Failure::new(StatusCode::CONFLICT, message);
        let mut last = self.last();
        if let Some(other) = going_on(&mut last) {
            let name = &other.name;
            return Err(conflict(format!(
                "{name} is being trained; stop it, or wait"
            )));
        }
        let run = self.folder.join(&asked.name);
        if run.exists() {
            let message = format!("there is a run {} already; give another name", asked.name);
            return Err(conflict(message).param("name"));
        }
        let corpus = self.beside(&asked.name, asked.command.extension());
        let log = self.beside(&asked.name, "log");
        let written = write_new(&corpus, asked.text.as_bytes());
        let written = written.and_then(|()| File::create(&log));
        let said = written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => conflict(format!(
                "there is a file {} already; give another name",
                shown(&corpus)
            )),
            _ => Failure::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("{} cannot be written: {error}", shown(&corpus)),
            ),
        })?;
        let process = self.command(asked, &corpus, &run).stderr(said).spawn();
        let process = process.map_err(|error| {
            let _ = fs::remove_file(&corpus);
            let message = format!("carousel could not be started: {error}");
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, message)
        })?;
        *last = Some(Started {
            name: asked.name.clone(),
            process,
            log,
        });
        Ok(json!({"name": asked.name, "state": "running", "message": null}))
    }

    fn beside(&self, name: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{name}.{extension}"))
    }

    fn command(&self, asked: &TrainingRequest, corpus: &Path, run: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(asked.command.name())
            .arg(corpus)
            .arg("-o")
            .arg(run)
            .args(["--time", &format!("{}s", asked.seconds()), "--quiet"]);
        if let Some(level) = asked.level {
            command.args(["--level", &level.to_string()]);
        }
        // A Ctrl-C at the terminal is the server's, which passes it on once.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// Ends the run that goes on: it saves all it has. Returns its name.
    pub fn stop(&self) -> Option<String> {
        let mut last = self.last();
        let started = going_on(&mut last)?;
        let _ = kill_process(Pid::from_child(&started.process), Signal::INT);
        Some(started.name.clone())
    }

    /// The run that was started last, with what the program said if it failed.
    pub fn told(&self) -> Value {
        let mut last = self.last();
        let Some(started) = last.as_mut() else {
            return Value::Null;
        };
        let state = match started.process.try_wait() {
            Ok(None) => "running",
            Ok(Some(status)) if status.success() => "finished",
            _ => "ended",
        };
        let said = match state {
            "ended" => fs::read_to_string(&started.log).unwrap_or_default(),
            _ => String::new(),
        };
        let message = said.lines().last();
        json!({"name": started.name, "state": state, "message": message})
    }
}

/// The run that was started last, if it goes on.
fn going_on(last: &mut Option<Started>) -> Option<&mut Started> {
    let started = last.as_mut()?;
    matches!(started.process.try_wait(), Ok(None)).then_some(started)
}

impl Trains {
    fn name(self) -> &'static str {
        match self {
            Trains::Train => "train",
            Trains::TrainClassifier => "train-classifier",
        }
    }

    /// What the name of a file of its data ends in.
    fn extension(self) -> &'static str {
        match self {
            Trains::Train => "txt",
            Trains::TrainClassifier => "csv",
        }
    }
}

/// Writes a file that was not there.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)
}

/// The last part of a path: where the folder is, is not told.
fn shown(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_times_and_texts_are_checked() {
        let request = |name: &str, seconds: u64, text: &str| TrainingRequest {
            name: name.to_string(),
            command: Trains::Train,
            text: text.to_string(),
            seconds: Some(seconds),
            level: None,
        };
        assert!(request("my_tales-2", 60, "a text").check().is_ok());
        for name in ["", "-o", "..", "a/b", "a b", "é", &"x".repeat(65)] {
            assert!(request(name, 60, "a text").check().is_err(), "{name}");
        }
        for seconds in [0, TRAINING_SECONDS + 1] {
            assert!(request("a", seconds, "a text").check().is_err());
        }
        assert!(request("a", 60, " \n").check().is_err());
    }
}

/*!
A process of `carousel-train` that this program waits for.
*/

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::launch;
use crate::error::{Error, Result};

/// Time between two looks at the process.
const PAUSE: Duration = Duration::from_millis(40);
/// Exit code of a process that was interrupted and has saved its work.
const INTERRUPTED: i32 = 130;

/// What came of a process.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code; `None` if it was killed.
    pub code: Option<i32>,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
    /// Its largest memory in bytes, where the system reports it.
    pub memory_bytes: Option<u64>,
}

impl Ended {
    /// Whether it ended because it was interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.code == Some(INTERRUPTED)
    }

    /// The error that it ended with, with its exit code.
    pub fn error(&self, what: &str) -> Error {
        let said = |line| {
            let from = |program| str::strip_prefix(line, program);
            from("carousel: ").or_else(|| from("error: "))
        };
        let said = self.errors.lines().filter_map(said).next_back();
        let message = match (said, self.code) {
            (Some(message), _) => message.to_string(),
            (None, Some(code)) => format!("carousel-train ended with exit code {code}"),
            (None, None) => {
                "carousel-train was killed, perhaps as the memory was used up".to_string()
            }
        };
        match self.code {
            Some(2) => Error::usage(format!("{what}: {message}")),
            _ => Error::new(format!("{what}: {message}")),
        }
    }
}

/// Runs the program `trainer` to its end; when `interrupt` is set, asks it to save its work and end. Its standard input is
/// `input`. `each` is called again and again meanwhile.
///
/// # Errors
/// If it cannot be started.
pub fn run(
    trainer: &Path,
    arguments: &[String],
    input: Stdio,
    interrupt: &AtomicBool,
    mut each: impl FnMut(),
) -> Result<Ended> {
    let failed = |e| Error::file("run", trainer, e);
    let mut command = launch::command(trainer);
    command.args(arguments).stdin(input);
    let mut child = start(command).map_err(failed)?;
    let output = child.stdout.take().map(read::<ChildStdout>);
    let errors = child.stderr.take().map(read::<ChildStderr>);
    let mut memory_bytes = None;
    let mut asked = false;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        // Once the process has ended, its memory is no longer reported.
        memory_bytes = peak_memory(child.id()).or(memory_bytes);
        if interrupt.load(Ordering::Relaxed) && !asked {
            asked = true;
            end(&mut child);
        }
        each();
        thread::sleep(PAUSE);
    };
    let text = |reader: Option<JoinHandle<String>>| {
        reader
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default()
    };
    Ok(Ended {
        code: status.code(),
        output: text(output),
        errors: text(errors),
        memory_bytes,
    })
}

/// Starts a process in a group of its own: Ctrl-C in a terminal goes to this program alone, which passes it on once. A
/// second signal would end training without saving.
fn start(mut command: Command) -> std::io::Result<Child> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Reads a stream to its end, in a thread, so that the process never waits for a full pipe.
fn read<R: Read + Send + 'static>(mut stream: R) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is all that there is.
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Asks a process to end.
#[cfg(unix)]
fn end(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process};
    // If it has ended meanwhile, there is nothing to do.
    let _ = kill_process(Pid::from_child(child), Signal::TERM);
}

#[cfg(not(unix))]
fn end(child: &mut Child) {
    let _ = child.kill();
}

/// Largest resident memory of a process so far, where the system reports it.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/*!
`carousel serve`.
*/

use std::env::{self, VarError};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use clap::Args;

use super::forecast_request;
use super::model::computation;
use super::standard;
use super::time::time;
use crate::checkpoint::models;
use crate::error::{Error, Result};
use crate::forecasting::folder::ForecastFolder;
use crate::inference::computation::PrecisionChoice;
use crate::server::limits::Limits;
use crate::server::listener::{Options, ServerEvent, serve};
use crate::server::models::{Folder, Models, Served, Source};

/// The variable that may hold the key, which others could read in a list of processes.
const KEY_VARIABLE: &str = "CAROUSEL_API_KEY";

/// Serve models to a browser and to programs, on this machine.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel serve
  carousel serve tales reviews --port 9000 --open
  carousel serve --runs runs
  CAROUSEL_API_KEY=secret carousel serve --host 0.0.0.0

The page is at http://127.0.0.1:8080. Programs that speak OpenAI's completions take http://127.0.0.1:8080/v1 as their base
URL; /openapi.json describes all else. Without --host, only this machine is answered. Prompts and answers are not logged.")]
pub struct Arguments {
    /// The models: their folders or names [default: all that have a name]
    #[arg(value_name = "MODEL")]
    models: Vec<PathBuf>,
    /// The address to listen on. Any but a loopback address lets other machines in the network use the models, and without
    /// --api-key whoever reaches it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: String,
    /// The port; 0 is one that is free
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// Open the page in a browser
    #[arg(long)]
    open: bool,
    /// The key that requests need, as `Authorization: Bearer KEY` [default: that in CAROUSEL_API_KEY, or none]
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// A name by which browsers may call this machine; may be given several times
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Show the training runs in this folder
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// Let clients start training in the folder of --runs, with their own texts, one run at a time
    #[arg(long, requires = "runs")]
    allow_training: bool,
    /// Most tokens that a request may ask for in each text
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_tokens, help_heading = "Limits")]
    max_tokens: u64,
    /// Texts of one model that grow side by side; others wait
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Limits")]
    parallel: u16,
    /// Requests that wait for one model; more are sent away with 503
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=10_000), help_heading = "Limits")]
    queue: u16,
    /// Longest time of a request
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = time, help_heading = "Limits")]
    timeout: Duration,
    /// Precision of the computation [default: auto]; scores are always computed in f32
    #[arg(long, value_name = "PRECISION", help_heading = "Computing")]
    precision: Option<PrecisionChoice>,
    /// Number of threads of each model [default: one for each core, 8 at most]
    #[arg(long, value_name = "N", help_heading = "Computing", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

/// Serves until it is asked to end.
pub fn run(arguments: &Arguments) -> Result<()> {
    let address = address(&arguments.host)?;
    let key = key(arguments.api_key.as_ref(), env::var(KEY_VARIABLE))?;
    if let Some(runs) = arguments.runs.as_ref().filter(|runs| !runs.is_dir()) {
        return Err(Error::usage(format!(
            "--runs {} is not a folder",
            runs.display()
        )));
    }
    let limits = Limits {
        max_tokens: arguments.max_tokens,
        parallel: arguments.parallel.into(),
        queue: arguments.queue.into(),
        time: arguments.timeout,
        ..Limits::default()
    };
    let models = Models::new(arguments.served(&limits)?)?;
    for model in models.all() {
        standard::message(format!("serves      {}: {}", model.id, model.description()));
    }
    if !address.is_loopback() {
        standard::message(format!(
            "note: other machines that reach {address} can use these models{}",
            if key.is_some() {
                ", with the key"
            } else {
                "; --api-key asks them for a key"
            }
        ));
    }
    let options = Options {
        address,
        port: arguments.port,
        hosts: arguments.allow_host.clone(),
        models,
        runs: arguments.runs.clone(),
        trains: match arguments.allow_training {
            true => Some(trains(address, key.is_some())?),
            false => None,
        },
        key,
        limits,
        forecast: forecast_request::answer,
    };
    serve(options, |event| tell(&event, arguments.open))
}

/// The program that trains, where clients may start it.
fn trains(address: IpAddr, has_key: bool) -> Result<PathBuf> {
    if !address.is_loopback() && !has_key {
        return Err(Error::usage(format!(
            "with --allow-training, whoever reaches {address} could keep this machine busy and fill its disk; give a key \
             with --api-key, too"
        )));
    }
    env::current_exe().map_err(|e| Error::new(format!("cannot find out where carousel is: {e}")))
}

/// The key that was given, or that of the variable.
fn key(
    given: Option<&String>,
    variable: std::result::Result<String, VarError>,
) -> Result<Option<String>> {
    let key = match (given, variable) {
        (Some(key), _) => key.clone(),
        (None, Ok(key)) => key,
        (None, Err(VarError::NotPresent)) => return Ok(None),
        (None, Err(VarError::NotUnicode(_))) => {
            return Err(Error::usage(format!(
                "the key in {KEY_VARIABLE} is not UTF-8, as a key in a header has to be; give another one"
            )));
        }
    };
    match key.is_empty() {
        false => Ok(Some(key)),
        true => Err(Error::usage(format!(
            "the key of --api-key, or in {KEY_VARIABLE}, is empty; leave it away, or give one"
        ))),
    }
}

/// Tells what happens to the server.
fn tell(event: &ServerEvent, opens: bool) {
    match event {
        ServerEvent::Listens(address) => {
            let url = format!("http://{address}");
            standard::message(format!("listens     {url}; Ctrl-C ends"));
            if opens {
                open(&url);
            }
        }
        ServerEvent::Ends => standard::message("ends        what runs is finished first"),
        ServerEvent::CutsShort => {
            standard::message("ends        what still runs is cut short, and its clients are told");
        }
    }
}

/// The address to listen on.
fn address(host: &str) -> Result<IpAddr> {
    match host {
        "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
        _ => host.parse().map_err(|_| {
            Error::usage(format!(
                "--host {host} is no address; give one of this machine, such as 127.0.0.1, or 0.0.0.0 for all"
            ))
        }),
    }
}

/// Opens a page in the user's browser.
fn open(url: &str) {
    let mut command = Command::new(if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    });
    let command = command
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match command.spawn() {
        Ok(mut child) => {
            thread::spawn(move || child.wait());
        }
        Err(_) => standard::message(format!("note: no browser was found; open {url}")),
    }
}

impl Arguments {
    /// The models that were given, or all that have a name; of the latter, damaged ones are left out, and that is said.
    fn served(&self, limits: &Limits) -> Result<Vec<Served>> {
        if !self.models.is_empty() {
            let folder = |model: &PathBuf| {
                let forecaster = ForecastFolder::at(model);
                Ok(match forecaster.holds_forecaster() {
                    true => Folder::Forecaster(forecaster),
                    false => Folder::Checkpoint(models::find(model)?),
                })
            };
            let open = |model| Served::open(&self.source(folder(model)?), limits);
            return self.models.iter().map(open).collect();
        }
        let mut served = Vec::new();
        for directory in models::all() {
            let name = directory.name();
            match Served::open(&self.source(Folder::Checkpoint(directory)), limits) {
                Ok(model) => served.push(model),
                Err(error) => standard::message(format!("note: {name} is left out: {error}")),
            }
        }
        match served.is_empty() {
            false => Ok(served),
            true => Err(Error::new(
                "no model has a name here; give a folder, or make a model with `carousel train CORPUS -o DIR`",
            )),
        }
    }

    fn source(&self, folder: Folder) -> Source {
        let directory = match &folder {
            Folder::Checkpoint(directory) => Some(directory),
            Folder::Forecaster(_) => None,
        };
        let default = PrecisionChoice::Auto;
        let (precision, threads) = computation((self.precision, default), self.threads, directory);
        Source {
            folder,
            precision,
            threads,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    #[test]
    fn a_key_that_was_meant_is_never_left_away() {
        let (given, text) = ("a".to_string(), |text: &str| Ok(text.to_string()));
        let found = |given, variable| key(given, variable).map_err(|e| e.to_string());
        assert_eq!(found(None, Err(VarError::NotPresent)), Ok(None));
        assert_eq!(found(None, text("b")), Ok(Some("b".to_string())));
        assert_eq!(found(Some(&given), text("b")), Ok(Some("a".to_string())));
        for wrong in [text(""), Err(VarError::NotUnicode(OsString::new()))] {
            assert!(found(None, wrong).is_err());
        }
    }
}

/*!
`/runs`, `/runs/NAME` and `/runs/NAME/stop`: the runs in the folder of `--runs`, what they have told so far, and their
beginning and end.
*/

use std::fs;
use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::application::Application;
use super::bodies;
use super::errors::{Failure, json_body};
use super::limits::{RUN_LINES, TRAINING_BYTES};
use super::trainer::TrainingRequest;
use crate::checkpoint::record::{Evaluation, best};
use crate::checkpoint::{Directory, Lock};

/// The path before a run's name.
const PREFIX: &str = "/runs/";
/// The path after the name of a run that is to end.
const STOP: &str = "/stop";

/// Lists the runs.
///
/// # Errors
/// 404 without `--runs`.
pub async fn list(State(application): State<Arc<Application>>) -> Result<Response, Failure> {
    let read = move || {
        let mut runs = runs(&application)?;
        runs.sort_by_key(Directory::name);
        let runs: Vec<Value> = runs.iter().map(summary).collect();
        Ok(match &application.trainer {
            Some(trainer) => json!({"runs": runs, "may_train": true, "started": trainer.told()}),
            None => json!({"runs": runs, "may_train": false, "started": null}),
        })
    };
    answer(read).await
}

/// Tells the events of a run, from the line that `after` says on.
///
/// # Errors
/// 404 without `--runs`, or for a name that is not in its list; 400 for another query.
pub async fn events(
    State(application): State<Arc<Application>>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let after = match query.as_deref() {
        None | Some("") => 0,
        Some(query) => {
            let after = query
                .strip_prefix("after=")
                .and_then(|number| number.parse().ok());
            let wrong = || Failure::malformed("the query is after=N, a number of lines");
            after.ok_or_else(wrong)?
        }
    };
    // A name is compared with those that are there, and never becomes a path.
    let name = unescaped(uri.path().strip_prefix(PREFIX).unwrap_or_default());
    answer(move || told(&application, &name, after)).await
}

/// Starts a run.
///
/// # Errors
/// 404 without `--allow-training`; 409 for a name that is taken, or while a run goes on.
pub async fn start(
    State(application): State<Arc<Application>>,
    request: Request,
) -> Result<Response, Failure> {
    application.trainer()?;
    let asked: TrainingRequest = bodies::read_within(request, TRAINING_BYTES).await?;
    asked.check()?;
    answer(move || application.trainer()?.start(&asked)).await
}

/// Ends the run that was started last, if it goes on: it saves all it has.
///
/// # Errors
/// 404 without `--allow-training`, or for another run than that.
pub async fn stop(
    State(application): State<Arc<Application>>,
    uri: Uri,
) -> Result<Response, Failure> {
    let path = uri.path();
    let name = path
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(STOP));
    let name = unescaped(name.unwrap_or_default());
    let stopped = move || {
        let trainer = application.trainer()?;
        let mut told = trainer.told();
        if told["name"] != name {
            return Err(Failure::not_found(
                "this is not the run that was started here last",
            ));
        }
        if trainer.stop().is_some_and(|stopped| stopped == name) {
            told["state"] = json!("ending");
        }
        Ok(told)
    };
    answer(stopped).await
}

/// Answers by what is done with files, on a thread that may wait for them.
async fn answer(
    read: impl FnOnce() -> Result<Value, Failure> + Send + 'static,
) -> Result<Response, Failure> {
    let read = spawn_blocking(read).await;
    Ok(json_body(
        &read.unwrap_or_else(|_| Err(Failure::internal()))?,
    ))
}

/// The events of a run.
fn told(application: &Application, name: &str, after: usize) -> Result<Value, Failure> {
    let mut runs = runs(application)?.into_iter();
    let run = runs.find(|run| run.name() == name);
    let run = run.ok_or_else(|| Failure::not_found("there is no such run; /runs lists them"))?;
    let metrics = run.load_metrics().unwrap_or_default();
    // The last line may be incomplete.
    let whole = metrics.rfind('\n').map_or("", |end| &metrics[..end]);
    let lines = whole.lines().skip(after).take(RUN_LINES);
    let read = |line: &str| serde_json::from_str(line).unwrap_or(Value::Null);
    let events: Vec<Value> = lines.map(read).collect();
    // Fewer than are known already: the run has begun anew.
    let next = after.min(whole.lines().count()) + events.len();
    Ok(json!({"name": name, "events": events, "next": next}))
}

/// The runs that are there.
fn runs(application: &Application) -> Result<Vec<Directory>, Failure> {
    let Some(folder) = &application.runs else {
        return Err(Failure::not_found(
            "no runs are shown; `carousel serve --runs DIR` shows those in DIR",
        ));
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let directories = entries.map(|entry| Directory::at(entry.path()));
    Ok(directories
        .filter(|run| run.holds_run() || run.holds_metrics())
        .collect())
}

fn summary(run: &Directory) -> Value {
    let record: Value = run.load_record().unwrap_or_default();
    let evaluations = Vec::<Evaluation>::deserialize(&record["evaluations"]).unwrap_or_default();
    let state = match () {
        () if Lock::is_held(run.path()) => "running",
        () if !record["finished"].is_null() => "finished",
        () => "interrupted",
    };
    json!({
        "name": run.name(),
        "task": run.load_config().ok().map(|config| config.command()),
        "state": state,
        "best": best(&evaluations),
    })
}

/// A part of a path without its escapes, such as `%20`.
fn unescaped(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| first == b'%');
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_paths_are_read() {
        let table = [
            ("a%20b", "a b"),
            ("%C3%A9", "é"),
            ("100%", "100%"),
            ("%zz", "%zz"),
            ("..%2f", "../"),
        ];
        for (part, expected) in table {
            assert_eq!(unescaped(part), expected);
        }
    }
}

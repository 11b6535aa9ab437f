/*!
`POST /forecast`.
*/

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::application::Application;
use super::bodies;
use super::errors::{Failure, json_body};
use super::forecast_request::ForecastRequest;
use super::models::{Engine, Kind};
use super::work::Cancelled;

/// A request; lists may be given as such, or with commas.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ForecastBody {
    model: Option<String>,
    csv: String,
    method: Value,
    horizon: Option<u32>,
    season: Value,
    column: Value,
    date_column: Value,
    id_column: Option<String>,
    backtest: Value,
}

/// Forecasts series.
///
/// # Errors
/// Those of the request; too many who wait; too much time.
pub async fn forecast(
    State(application): State<Arc<Application>>,
    request: Request,
) -> Result<Response, Failure> {
    let body: ForecastBody = bodies::read(request).await?;
    let served = match body.model.as_deref() {
        None => None,
        Some(name) => Some(application.models.of_kind(Kind::Forecaster, Some(name))?),
    };
    let mut request = body.request()?;
    if let Some(served) = &served {
        let Engine::Forecaster(folder) = &served.engine else {
            return Err(Failure::internal());
        };
        if request.method.is_some() || request.season.is_some() {
            let message = "a model has its method and season already; leave them or the model away";
            return Err(Failure::malformed(message).param("model"));
        }
        request.folder = Some(folder.path().to_path_buf());
    } else if request.csv.is_empty() {
        let message = "give the series as csv, the text of a file";
        return Err(Failure::malformed(message).param("csv"));
    }
    let make = application.forecast;
    let work = move |cancelled: &Cancelled| {
        cancelled.check()?;
        Ok(make(&request)?)
    };
    let turns = served
        .as_ref()
        .map_or(&application.forecasts, |served| &served.turns);
    let mut answer = turns.work(application.limits.time, work).await?;
    answer["model"] = json!(served.map(|served| served.id.clone()));
    Ok(json_body(&answer))
}

impl ForecastBody {
    fn request(self) -> Result<ForecastRequest, Failure> {
        Ok(ForecastRequest {
            folder: None,
            method: list(&self.method, "method")?,
            horizon: self.horizon.map(|steps| steps.to_string()),
            season: list(&self.season, "season")?,
            column: list(&self.column, "column")?,
            date_column: list(&self.date_column, "date_column")?,
            id_column: self.id_column,
            backtest: self.backtest,
            csv: self.csv,
        })
    }
}

/// A string, a number, or a list of them, with commas.
fn list(value: &Value, name: &'static str) -> Result<Option<String>, Failure> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let found = match value {
        Value::Null => return Ok(None),
        Value::Array(list) => list.iter().map(one).collect::<Option<Vec<_>>>(),
        other => one(other).map(|one| vec![one]),
    };
    let wrong = || Failure::malformed(format!("{name} is a string or a list")).param(name);
    let found = found.filter(|list| !list.is_empty()).ok_or_else(wrong)?;
    Ok(Some(found.join(",")))
}

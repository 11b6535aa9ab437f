/*!
`POST /score`.
*/

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::application::Application;
use super::bodies;
use super::errors::Failure;
use super::limits::SCORED_BYTES;
use super::models::{Engine, Kind, Served};
use super::work::Cancelled;
use crate::answers::score::object;
use crate::inference::evaluation::{EMPTY_TEXT, score};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScoreRequest {
    model: Option<String>,
    text: Option<String>,
    texts: Option<Vec<String>>,
    #[serde(default)]
    tokens: bool,
}

/// Scores texts.
///
/// # Errors
/// Those of the request; too many who wait; too much time.
pub async fn score_texts(
    State(application): State<Arc<Application>>,
    request: Request,
) -> Result<Response, Failure> {
    let request: ScoreRequest = bodies::read(request).await?;
    let served = application
        .models
        .of_kind(Kind::Writer, request.model.as_deref())?;
    let texts = bodies::texts(request.text, request.texts, SCORED_BYTES)?;
    let (shared, tokens) = (Arc::clone(&served), request.tokens);
    let work = move |cancelled: &Cancelled| results(&shared, &texts, tokens, cancelled);
    application.results(&served, work).await
}

fn results(
    served: &Served,
    texts: &[String],
    tokens: bool,
    cancelled: &Cancelled,
) -> Result<Vec<Value>, Failure> {
    let Engine::Writer(writer) = &served.engine else {
        return Err(Failure::internal());
    };
    let unrecorded =
        || Failure::malformed("this model has no training.json that says what unknown words cost");
    let spelling = writer.spelling.as_ref().ok_or_else(unrecorded)?;
    let model = writer.exact(served.network()?, served.threads)?;
    let result = |text: &String| {
        cancelled.check()?;
        let empty = || Failure::malformed(EMPTY_TEXT);
        let scored = score(&model, spelling, text).ok_or_else(empty)?;
        Ok(object(text, &scored, tokens))
    };
    texts.iter().map(result).collect()
}

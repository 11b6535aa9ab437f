/*!
What is served under which path, and what is checked before.
*/

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use super::application::Application;
use super::errors::{Failure, json_body};
use super::{
    classifications, completions, forecasts, inside, openapi, page, runs, scores, translations,
};

/// Paths that need no key: the page asks for it.
const WITHOUT_KEY: [&str; 2] = ["/", "/health"];
/// Names of endpoints in the metrics; others are counted together.
const ENDPOINTS: [&str; 14] = [
    "/",
    "/health",
    "/metrics",
    "/openapi.json",
    "/v1/models",
    "/v1/completions",
    "/classify",
    "/score",
    "/translate",
    "/forecast",
    "/inside",
    "/inside/find",
    "/runs",
    "/runs/",
];

/// All routes.
pub fn routes(application: Arc<Application>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(description))
        .route("/v1/models", get(models))
        .route("/v1/completions", post(completions::complete))
        .route("/classify", post(classifications::classify))
        .route("/score", post(scores::score_texts))
        .route("/translate", post(translations::translate))
        .route("/forecast", post(forecasts::forecast))
        .route("/inside", post(inside::show))
        .route("/inside/find", post(inside::find))
        .route("/runs", get(runs::list).post(runs::start))
        .route("/runs/{name}", get(runs::events))
        .route("/runs/{name}/stop", post(runs::stop))
        .fallback(unknown)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn_with_state(Arc::clone(&application), check))
        .with_state(application)
}

/// Checks where a request comes from, and its key; counts it.
async fn check(
    State(application): State<Arc<Application>>,
    request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let path = request.uri().path();
    let same = |endpoint: &&&str| {
        **endpoint == path || **endpoint == "/runs/" && path.starts_with("/runs/")
    };
    let endpoint = ENDPOINTS.iter().find(same).copied().unwrap_or("other");
    let guard = &application.guard;
    let checked =
        guard
            .check_origin(request.headers())
            .and_then(|()| match WITHOUT_KEY.contains(&path) {
                true => Ok(()),
                false => guard.check_key(request.headers()),
            });
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    let status = response.status();
    if [StatusCode::REQUEST_TIMEOUT, StatusCode::PAYLOAD_TOO_LARGE].contains(&status) {
        // The rest of the body is not read.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    let headers = response.headers_mut();
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    application
        .metrics
        .answered(endpoint, status.as_u16(), start.elapsed());
    response
}

async fn health() -> Response {
    json_body(&json!({"status": "ok"}))
}

async fn description() -> Response {
    json_body(&openapi::description())
}

async fn models(State(application): State<Arc<Application>>) -> Response {
    json_body(&application.models.object())
}

async fn metrics(State(application): State<Arc<Application>>) -> Response {
    let models = application.models.all().iter();
    let models: Vec<_> = models
        .map(|model| (&model.id[..], &*model.metrics))
        .collect();
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, application.metrics.text(&models)).into_response()
}

async fn unknown() -> Failure {
    Failure::not_found("there is nothing under this path; /openapi.json says what is served")
}

async fn other_method() -> Failure {
    let message = "this path takes another method; /openapi.json says which";
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, message)
}

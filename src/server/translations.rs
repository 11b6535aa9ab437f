/*!
`POST /translate`.
*/

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::application::Application;
use super::bodies;
use super::errors::Failure;
use super::limits::TRANSLATED_BYTES;
use super::models::{Engine, Kind};
use super::work::Cancelled;
use crate::answers::translation::{Shown, object};
use crate::inference::beam_search::Search;
use crate::inference::translator::Translator;

/// Number of lines that are translated together.
const BATCH_LINES: usize = 8;
/// Most translations that are followed at once.
const MOST_BEAM: usize = 32;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TranslateRequest {
    model: Option<String>,
    text: Option<String>,
    texts: Option<Vec<String>>,
    beam: Option<usize>,
    best: Option<usize>,
    length_penalty: Option<f64>,
    #[serde(default)]
    attention: bool,
}

/// Translates texts, line by line.
///
/// # Errors
/// Those of the request; too many who wait; too much time.
pub async fn translate(
    State(application): State<Arc<Application>>,
    request: Request,
) -> Result<Response, Failure> {
    let request: TranslateRequest = bodies::read(request).await?;
    let served = application
        .models
        .of_kind(Kind::Translator, request.model.as_deref())?;
    let Engine::Translator(translator) = &served.engine else {
        return Err(Failure::internal());
    };
    let shown = Shown {
        attention: request.attention,
        best: request.best.is_some(),
    };
    if shown.attention && !translator.has_attention() {
        return Err(Failure::malformed("this model has no attention").param("attention"));
    }
    let search = request.search()?;
    let texts = bodies::texts(request.text, request.texts, TRANSLATED_BYTES)?;
    let translator = Arc::clone(translator);
    let work = move |cancelled: &Cancelled| results(&translator, &texts, &search, shown, cancelled);
    application.results(&served, work).await
}

impl TranslateRequest {
    fn search(&self) -> Result<Search, Failure> {
        let (default, best) = (Search::default(), self.best.unwrap_or(1));
        let beam = self.beam.unwrap_or(default.beam);
        if !(1..=MOST_BEAM).contains(&beam) {
            return Err(Failure::malformed(format!("beam is from 1 to {MOST_BEAM}")).param("beam"));
        }
        if !(1..=beam).contains(&best) {
            let message = format!("best is from 1 to {beam}, which is beam");
            return Err(Failure::malformed(message).param("best"));
        }
        let length_penalty = self.length_penalty.unwrap_or(default.length_penalty);
        if !(0.0..=10.0).contains(&length_penalty) {
            let message = "length_penalty is from 0 to 10";
            return Err(Failure::malformed(message).param("length_penalty"));
        }
        Ok(Search {
            beam,
            best,
            length_penalty,
            keeps_attention: self.attention,
        })
    }
}

fn results(
    translator: &Translator,
    texts: &[String],
    search: &Search,
    shown: Shown,
    cancelled: &Cancelled,
) -> Result<Vec<Value>, Failure> {
    let lines = |text: &String| -> Vec<String> {
        let lines: Vec<String> = text.lines().map(|line| line.trim().to_string()).collect();
        match lines.is_empty() {
            true => vec![String::new()],
            false => lines,
        }
    };
    let lines: Vec<String> = texts.iter().flat_map(lines).collect();
    let mut results = Vec::with_capacity(lines.len());
    for part in lines.chunks(BATCH_LINES) {
        cancelled.check()?;
        let part: Vec<&str> = part.iter().map(String::as_str).collect();
        let translations = translator.translate_texts(&part, search);
        for (line, translation) in part.iter().zip(&translations) {
            results.push(object(shown, results.len() as u64 + 1, line, translation));
        }
    }
    Ok(results)
}

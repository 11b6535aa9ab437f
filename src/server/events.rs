/*!
Server-sent events: the body of a streamed completion. When the client hangs up it is dropped, and with it the way back for
what is told of the texts, which ends them.
*/

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Sleep, sleep};

use super::batcher::Event;
use super::choices::{Choices, Part, join};
use super::errors::Failure;

/// Number of pieces that are sent together at most, if more have come.
const FRAME_PIECES: usize = 1024;

/// Time between two frames. A reader does not notice it, and a system call for each token of each text, on both sides, would
/// take as long as generating it.
const DELAY: Duration = Duration::from_millis(20);

/// What is sent of a completion, and when.
pub struct Stream {
    /// Where the events come from.
    pub events: UnboundedReceiver<Event>,
    /// The texts.
    pub choices: Choices,
    /// An answer without its choices, as JSON without its last brace.
    answer: String,
    /// Number of tokens of the prompts, if the last event is to tell the usage.
    pub usage: Option<u64>,
    /// What is sent before anything comes.
    pub first: Vec<Part>,
    /// Whether all was sent.
    is_over: bool,
    /// The time until the next frame.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    /// A stream of which nothing was sent. `answer` is an object without choices.
    pub fn new(events: UnboundedReceiver<Event>, choices: Choices, answer: &Value) -> Self {
        let mut answer = answer.to_string();
        answer.pop();
        Stream {
            events,
            choices,
            answer,
            usage: None,
            first: Vec::new(),
            is_over: false,
            pause: None,
        }
    }

    /// The response.
    pub fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        (headers, Body::new(self)).into_response()
    }

    /// An event with an answer of these choices.
    fn line(&self, choices: &Value) -> String {
        format!("data: {},\"choices\":{choices}}}\n\n", self.answer)
    }

    /// The last events.
    fn end(&mut self, failure: Option<&Failure>) -> String {
        self.is_over = true;
        self.events.close();
        let mut text = String::new();
        if let Some(failure) = failure {
            text += &format!("data: {}\n\n", failure.object());
        } else if let Some(prompt) = self.usage {
            let usage = usage(prompt, self.choices.tokens);
            let answer = &self.answer;
            text += &format!("data: {answer},\"choices\":[],\"usage\":{usage}}}\n\n");
        }
        text + "data: [DONE]\n\n"
    }

    /// What has come since the last frame: an event for each text, with all its pieces. Empty if nothing has.
    fn frame(&mut self, context: &mut Context<'_>) -> String {
        let mut parts: BTreeMap<usize, Part> = BTreeMap::new();
        let mut pieces = std::mem::take(&mut self.first);
        let mut end = String::new();
        while !self.is_over
            && pieces.len() < FRAME_PIECES
            && let Poll::Ready(event) = self.events.poll_recv(context)
        {
            let event = event.ok_or_else(Failure::internal);
            match event.and_then(|event| self.choices.take(event)) {
                Err(failure) => end = self.end(Some(&failure)),
                Ok(part) => pieces.extend(part),
            }
            if !self.is_over && self.choices.are_finished() {
                end = self.end(None);
            }
        }
        for part in pieces {
            join(parts.entry(part.index).or_default(), part);
        }
        let mut text: String = (parts.values())
            .map(|part| self.line(&json!([self.choices.object(part)])))
            .collect();
        text += &end;
        text
    }
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        let text = self.frame(context);
        match (text.is_empty(), self.is_over) {
            (false, _) => {
                self.pause = (!self.is_over).then(|| Box::pin(sleep(DELAY)));
                Poll::Ready(Some(Ok(Frame::data(text.into()))))
            }
            (true, true) => Poll::Ready(None),
            (true, false) => Poll::Pending,
        }
    }
}

/// Numbers of tokens.
pub fn usage(prompt: u64, generated: u64) -> Value {
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": generated,
        "total_tokens": prompt + generated,
    })
}

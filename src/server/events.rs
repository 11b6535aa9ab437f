/*!
Server-sent events: the body of a streamed completion. When the client hangs up it is dropped, and with it the way back for
what is told of the texts, which ends them.
*/

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::batcher::Event;
use super::choices::{Choices, Part};
use super::errors::Failure;

/// Bytes that are sent together at most, if more has come.
const FRAME_BYTES: usize = 1 << 16;

/// What is sent of a completion, and when.
pub struct Stream {
    /// Where the events come from.
    pub events: UnboundedReceiver<Event>,
    /// The texts.
    pub choices: Choices,
    /// An answer without its choices.
    pub answer: Value,
    /// Number of tokens of the prompts, if the last event is to tell the usage.
    pub usage: Option<u64>,
    /// What is sent before anything comes.
    pub first: Vec<Part>,
    /// Whether all was sent.
    pub is_over: bool,
}

impl Stream {
    /// The response.
    pub fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        (headers, Body::new(self)).into_response()
    }

    /// An event with an answer of these choices.
    fn line(&self, choices: Value) -> String {
        let mut answer = self.answer.clone();
        answer["choices"] = choices;
        format!("data: {answer}\n\n")
    }

    /// The last events.
    fn end(&mut self, failure: Option<&Failure>) -> String {
        self.is_over = true;
        self.events.close();
        let mut text = String::new();
        if let Some(failure) = failure {
            text += &format!("data: {}\n\n", failure.object());
        } else if let Some(prompt) = self.usage {
            self.answer["usage"] = usage(prompt, self.choices.tokens);
            text += &self.line(json!([]));
        }
        text + "data: [DONE]\n\n"
    }

    /// The events that follow from one of the batch; `None` is the end of it.
    fn next(&mut self, event: Option<Event>) -> String {
        let part = match event.map(|event| self.choices.take(event)) {
            None => return self.end(Some(&Failure::internal())),
            Some(Err(failure)) => return self.end(Some(&failure)),
            Some(Ok(part)) => part,
        };
        let mut text = part.map_or(String::new(), |part| {
            self.line(json!([self.choices.object(&part)]))
        });
        if self.choices.are_finished() {
            text += &self.end(None);
        }
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
        let mut text = String::new();
        for part in std::mem::take(&mut self.first) {
            text += &self.line(json!([self.choices.object(&part)]));
        }
        while !self.is_over && text.len() < FRAME_BYTES {
            match self.events.poll_recv(context) {
                Poll::Pending => break,
                Poll::Ready(event) => text += &self.next(event),
            }
        }
        match (text.is_empty(), self.is_over) {
            (false, _) => Poll::Ready(Some(Ok(Frame::data(text.into())))),
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

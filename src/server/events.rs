/*!
Server-sent events: the body of a streamed completion. When the client hangs up it is dropped, and with it the way back for
what is told of the texts, which ends them.
*/

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
use super::choices::{Choices, Part};
use super::errors::Failure;

/// Bytes that are sent together at most, if more has come.
const FRAME_BYTES: usize = 1 << 16;

/// Time between two frames. A reader does not notice it, and a system call for each token of each text would take as long as
/// generating it.
const DELAY: Duration = Duration::from_millis(10);

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

    /// The events that follow from one of the batch; `None` is the end of it.
    fn next(&mut self, event: Option<Event>) -> String {
        let part = match event.map(|event| self.choices.take(event)) {
            None => return self.end(Some(&Failure::internal())),
            Some(Err(failure)) => return self.end(Some(&failure)),
            Some(Ok(part)) => part,
        };
        let mut text = part.map_or(String::new(), |part| {
            self.line(&json!([self.choices.object(&part)]))
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
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        let mut text = String::new();
        for part in std::mem::take(&mut self.first) {
            text += &self.line(&json!([self.choices.object(&part)]));
        }
        while !self.is_over && text.len() < FRAME_BYTES {
            match self.events.poll_recv(context) {
                Poll::Pending => break,
                Poll::Ready(event) => text += &self.next(event),
            }
        }
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

/*!
Errors in the form that clients of OpenAI's interface read.
*/

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::Error;

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    status: StatusCode,
    message: String,
    param: Option<&'static str>,
    code: Option<&'static str>,
    /// Seconds after which the client may try again.
    retry_after: Option<u32>,
}

impl Failure {
    /// A failure with a status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Failure {
            status,
            message: message.into(),
            param: None,
            code: None,
            retry_after: None,
        }
    }

    /// A request that asks for what cannot be.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A request that asks for too much.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// A path or a model that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// More requests than can wait.
    pub fn overloaded() -> Self {
        let message = "too many requests wait for this model; try again in a second";
        Failure {
            retry_after: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message).code("overloaded")
        }
    }

    /// A request that took too long.
    pub fn timed_out() -> Self {
        let message = "the request took longer than the server's --timeout; ask for less";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message).code("timeout")
    }

    /// A request that the end of the server cut short.
    pub fn ending() -> Self {
        let message = "the server is ending; what was generated until now is all";
        Failure {
            retry_after: Some(5),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message).code("shutting_down")
        }
    }

    /// A bug of the server.
    pub fn internal() -> Self {
        let message = "the server failed at this request; others are not disturbed";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// The same, about a field of the request.
    pub fn param(self, name: &'static str) -> Self {
        Failure {
            param: Some(name),
            ..self
        }
    }

    /// The same, with a code for programs.
    pub fn code(self, code: &'static str) -> Self {
        Failure {
            code: Some(code),
            ..self
        }
    }

    /// Its body.
    pub fn object(&self) -> Value {
        let kind = match self.status.is_server_error() {
            true => "server_error",
            false => "invalid_request_error",
        };
        json!({"error": {
            "message": self.message,
            "type": kind,
            "param": self.param,
            "code": self.code,
        }})
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::malformed(error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, json_body(&self.object())).into_response();
        if let Some(seconds) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A response of JSON.
pub fn json_body(value: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, value.to_string()).into_response()
}

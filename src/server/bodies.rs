/*!
Bodies of requests, read within a size and a time.
*/

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::errors::Failure;
use super::limits::{BODY_BYTES, BODY_TIME, TEXTS};

/// Reads a request of JSON.
///
/// # Errors
/// A body that is too large, that does not come in time, or that is not what is asked for.
pub async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Failure> {
    read_within(request, BODY_BYTES).await
}

/// Reads a request of JSON that has at most so many bytes.
///
/// # Errors
/// As [`read`].
pub async fn read_within<T: DeserializeOwned>(request: Request, most: usize) -> Result<T, Failure> {
    let too_large = || {
        Failure::too_large(format!(
            "the body is larger than {most} bytes; send less at once"
        ))
    };
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let body = timeout(BODY_TIME, to_bytes(request.into_body(), most)).await;
    let body = body.map_err(|_| {
        let message = "the body did not come in time";
        Failure::new(StatusCode::REQUEST_TIMEOUT, message)
    })?;
    let body = body.map_err(|error| match length {
        // One that says its length, and comes to an end before it.
        Some(_) => Failure::malformed(format!("the body could not be read: {error}")),
        None => too_large(),
    })?;
    parsed(&body)
}

/// The request in a body, an object.
///
/// # Errors
/// Anything else.
pub fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    // A list would be taken for the fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Failure::malformed(
            "the body is no request: it is not an object of JSON",
        ));
    }
    serde_json::from_slice(body)
        .map_err(|error| Failure::malformed(format!("the body is no such request: {error}")))
}

/// The texts of a request that gives one, or a list.
///
/// # Errors
/// Neither, both, or more texts or bytes than are taken at once.
pub fn texts(
    one: Option<String>,
    list: Option<Vec<String>>,
    most_bytes: usize,
) -> Result<Vec<String>, Failure> {
    let texts = match (one, list) {
        (Some(text), None) => vec![text],
        (None, Some(texts)) => texts,
        _ => {
            let message = "give either text, a string, or texts, a list of strings";
            return Err(Failure::malformed(message).param("text"));
        }
    };
    let bytes: usize = texts.iter().map(String::len).sum();
    if texts.len() > TEXTS || bytes > most_bytes {
        return Err(Failure::too_large(format!(
            "{} texts of {bytes} bytes; at most {TEXTS} of {most_bytes} bytes are taken at once",
            texts.len()
        )));
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    #[test]
    fn a_text_or_a_list_is_given() {
        let list = || Some(vec!["a".to_string(), "b".to_string()]);
        assert_eq!(texts(Some("a".to_string()), None, 9).unwrap(), ["a"]);
        assert_eq!(texts(None, list(), 9).unwrap(), ["a", "b"]);
        assert!(texts(Some(String::new()), list(), 9).is_err());
        assert!(texts(None, None, 9).is_err());
        assert!(texts(None, list(), 1).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_are_a_request_or_an_error(start in "(\\{|\\[|)", body: Vec<u8>) {
            let body = [start.as_bytes(), &body].concat();
            let found = parsed::<BTreeMap<String, u8>>(&body);
            let expected = serde_json::from_slice::<BTreeMap<String, u8>>(&body);
            prop_assert_eq!(found.ok(), expected.ok());
        }
    }
}

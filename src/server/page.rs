/*!
`GET /`: the page, which is one file. What may run in it has a number that only this answer knows, so that no text that is
shown in it can become a script.
*/

use std::hash::{BuildHasher, RandomState};

use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

const PAGE: &str = include_str!("page.html");

/// The page, with a policy of its own.
pub async fn page() -> Response {
    let number = || RandomState::new().hash_one(0u8);
    let nonce = format!("{:016x}{:016x}", number(), number());
    let html = PAGE
        .replace("<script>", &format!("<script nonce=\"{nonce}\">"))
        .replace("<style>", &format!("<style nonce=\"{nonce}\">"));
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data: blob:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store".to_string()),
    ];
    (headers, Html(html)).into_response()
}

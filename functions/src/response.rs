//! Answers.

use std::collections::HashMap;

use http::StatusCode;
use serde::Serialize;

/// An answer in the form of API Gateway's HTTP APIs, payload version 2.0.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    pub(crate) status_code: u16,
    headers: HashMap<&'static str, String>,
    body: String,
    is_base64_encoded: bool,
    // Optional for API Gateway, but `cargo lambda watch` makes a 500 of an answer without.
    cookies: [String; 0],
}

impl Response {
    pub(crate) fn new(status: StatusCode, content_type: &str, body: &impl Serialize) -> Self {
        let headers =
            HashMap::from([("Content-Type", content_type.into()), ("Cache-Control", "no-store".into())]);
        let body = serde_json::to_string(body).expect("answers are plain structs");
        Self { status_code: status.as_u16(), headers, body, is_base64_encoded: false, cookies: [] }
    }

    /// The answer with one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.insert(name, value.into());
        self
    }
}

/// A successful answer.
#[must_use]
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    Response::new(status, "application/json", body)
}

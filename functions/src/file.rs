//! Files that a function serves out of its own program.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use lambda_http::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use lambda_http::http::{HeaderName, StatusCode};
use sha2::{Digest, Sha256};

use crate::Response;

/// A file, and the headers that it is served with.
pub struct File {
    content: Cow<'static, str>,
    headers: HeaderMap,
}

impl File {
    /// A file of this name. The end of the name says what type it has.
    #[must_use]
    pub fn new(name: &str, content: impl Into<Cow<'static, str>>) -> Self {
        let content = content.into();
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(content_type(name))),
            (ETAG, tag(&content)),
            // Always asked for anew: the files of one release belong together, and the next one changes them.
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        Self { content, headers: headers.into_iter().collect() }
    }

    /// The same file with one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The answer to a request with these headers: the file, unless the client has it.
    #[must_use]
    pub fn answer(&self, request: &HeaderMap) -> Response {
        let mut response = Response::default();
        if self.is_known(request) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = self.content.clone().into();
        }
        // A cache updates its headers by those of a 304. Without a type, API Gateway would make one up.
        response.headers_mut().clone_from(&self.headers);
        response
    }

    /// Whether the client has the file (RFC 9110, section 13.1.2).
    fn is_known(&self, request: &HeaderMap) -> bool {
        let known = request.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // A tag of another server may hold a comma, but then no part of it is one of these, quotes included.
        let is_this = |tag: &str| self.headers[ETAG] == *tag.strip_prefix("W/").unwrap_or(tag);
        known.trim() == "*" || known.split(',').map(str::trim).any(is_this)
    }
}

/// A strong tag.
fn tag(content: &str) -> HeaderValue {
    let digest = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(content));
    HeaderValue::try_from(format!("\"{digest}\"")).expect("base64url")
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "yaml" => "application/yaml",
        _ => "application/octet-stream",
    }
}

//! API Gateway's management API, by which functions push to connections (Amazon API Gateway Developer Guide, "Use
//! `@connections` commands in your backend service"). It never answers 429, since it does not throttle.

use std::borrow::Cow;

use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::event::is_id;
use crate::http::{self, Answer, empty};
use crate::signature;
use crate::web_socket::{MAX_MESSAGE, WebSocketApi};

/// The id of the connection that a request is about, if it is about one. Some clients encode the `@`, too.
pub(crate) fn connection_id(parts: &Parts) -> Option<Cow<'_, str>> {
    let (first, id) = parts.uri.path().strip_prefix('/')?.split_once('/')?;
    let is_it = percent_decode_str(first).eq(*b"@connections");
    is_it.then(|| percent_decode_str(id).decode_utf8_lossy())
}

pub(crate) async fn answer(api: &WebSocketApi, parts: &Parts, body: Incoming, id: &str) -> Answer {
    let Ok(body) = http::body(body, MAX_MESSAGE).await else {
        let detail = "Message too long";
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", detail);
    };
    if let Err(detail) = signature::check(&api.credentials, parts, &body) {
        return refusal(StatusCode::FORBIDDEN, "ForbiddenException", detail);
    }
    if !is_id(id) {
        let detail = format!("Invalid connectionId: {id}");
        return refusal(StatusCode::BAD_REQUEST, "BadRequestException", &detail);
    }
    let done = match parts.method {
        Method::POST => api.push(id, &body).map(|()| empty(StatusCode::OK)),
        Method::GET => api.status(id).map(|status| http::json(StatusCode::OK, status.to_string())),
        Method::DELETE => api.disconnect(id).map(|()| empty(StatusCode::NO_CONTENT)),
        _ => return refusal(StatusCode::FORBIDDEN, "ForbiddenException", "Forbidden"),
    };
    done.unwrap_or_else(|| refusal(StatusCode::GONE, "GoneException", "Gone"))
}

fn refusal(status: StatusCode, kind: &'static str, detail: &str) -> Answer {
    let mut answer = http::json(status, json!({"message": detail}).to_string());
    answer.headers_mut().insert("X-Amzn-ErrorType", HeaderValue::from_static(kind));
    answer
}

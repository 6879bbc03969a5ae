//! Lambda's Invoke API, for `cargo lambda invoke` and AWS's own tools. It waits for the response, whatever invocation
//! type was asked for.

use std::borrow::Cow;

use hyper::Method;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;
use serde::de::IgnoredAny;

use crate::gateway::{Api, MAX_EVENT};
use crate::http::{self, Answer, json};

/// The function that a request invokes, if it does.
pub(crate) fn function_name(parts: &Parts) -> Option<Cow<'_, str>> {
    let path = parts.uri.path().strip_prefix("/2015-03-31/functions/")?;
    let name = path.strip_suffix("/invocations")?;
    (parts.method == Method::POST).then(|| percent_decode_str(name).decode_utf8_lossy())
}

pub(crate) async fn invoke(api: &Api, name: Cow<'_, str>, body: Incoming) -> Answer {
    let body = http::body(body, MAX_EVENT).await;
    let Some(function) = api.function(&name) else {
        let detail = format!("Function not found: {name}");
        return refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException", &detail);
    };
    let Ok(body) = body else {
        let detail =
            format!("Request must be smaller than {MAX_EVENT} bytes for the InvokeFunction operation");
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &detail);
    };
    let event = match String::from_utf8(body) {
        Ok(event) if event.is_empty() => "{}".into(),
        Ok(event) if serde_json::from_str::<IgnoredAny>(&event).is_ok() => event,
        _ => {
            let detail = "Could not parse request body into json";
            return refusal(StatusCode::BAD_REQUEST, "InvalidRequestContentException", detail);
        }
    };
    let outcome = function.respond(event, api.timeout).await;
    let is_error = outcome.is_err();
    let mut answer = json(StatusCode::OK, outcome.map_or_else(|error| error, |response| response.body));
    answer.headers_mut().insert("X-Amz-Executed-Version", HeaderValue::from_static("$LATEST"));
    if is_error {
        answer.headers_mut().insert("X-Amz-Function-Error", HeaderValue::from_static("Unhandled"));
    }
    answer
}

fn refusal(status: StatusCode, kind: &'static str, detail: &str) -> Answer {
    let body = serde_json::json!({"Type": "User", "Message": detail});
    let mut answer = json(status, body.to_string());
    answer.headers_mut().insert("X-Amzn-ErrorType", HeaderValue::from_static(kind));
    answer
}

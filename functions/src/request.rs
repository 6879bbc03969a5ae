//! Requests: the session token, the source address, and the fields.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lambda_runtime::LambdaEvent;
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::session::Source;
use shared::token::Token;

use crate::ApiError;
use crate::fields::Fields;

/// The largest body that is read, in bytes. The largest message with every character escaped fits.
pub(crate) const MAX_BODY: usize = 128 * 1024;

/// What is read of API Gateway's event (HTTP API, payload version 2.0).
///
/// The type that `aws_lambda_events` has for it fails on a control character in any header: a 500 for the client.
/// What is optional here, `cargo lambda watch` may send as null.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Event {
    raw_query_string: Option<String>,
    headers: Headers,
    request_context: RequestContext,
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestContext {
    request_id: Option<String>,
    http: Http,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Http {
    source_ip: Option<String>,
}

/// Headers, those that were sent more than once joined by commas.
#[derive(Default, Deserialize)]
pub(crate) struct Headers(BTreeMap<String, String>);

impl Headers {
    /// The value of the header `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A request as API Gateway hands it to a function.
pub struct Request(Event);

impl Request {
    /// The request, and API Gateway's id of it, which the client sees too; Lambda's where there is none.
    ///
    /// Read here and not by the runtime, which would quote in the log what it can't read.
    pub(crate) fn read(event: LambdaEvent<Box<RawValue>>) -> (String, Result<Self, ApiError>) {
        let LambdaEvent { payload, context } = event;
        match serde_json::from_str::<Event>(payload.get()) {
            Ok(mut event) => {
                (event.request_context.request_id.take().unwrap_or(context.request_id), Ok(Self(event)))
            }
            Err(_) => (context.request_id, Err(ApiError::Bug("an event that is none of API Gateway's"))),
        }
    }

    /// The token in `Authorization: Bearer …` (RFC 6750, section 2.1).
    pub fn token(&self) -> Result<Token, ApiError> {
        let header = self.0.headers.get("Authorization");
        let (scheme, token) = header.and_then(|value| value.split_once(' ')).ok_or(ApiError::NoToken)?;
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return Err(ApiError::NoToken);
        }
        token.parse().map_err(|_| ApiError::NoToken)
    }

    /// Where the request comes from, as API Gateway saw it: no header can claim another.
    #[must_use]
    pub fn source(&self) -> Source {
        let address = self.0.request_context.http.source_ip.as_deref().and_then(|ip| ip.parse().ok());
        Source::from(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }

    /// What `read` makes of the fields of the JSON body and of the headers.
    pub fn body<T>(&self, read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Result<T, ApiError> {
        if !self.0.headers.get("Content-Type").is_some_and(is_json) {
            return Err(ApiError::UnsupportedMediaType);
        }
        let body = self.0.body.as_deref().unwrap_or_default();
        let decoded;
        let body = if self.0.is_base64_encoded {
            decoded =
                BASE64_STANDARD.decode(body).map_err(|error| ApiError::InvalidJson(error.to_string()))?;
            &decoded
        } else {
            body.as_bytes()
        };
        if body.len() > MAX_BODY {
            return Err(ApiError::BodyTooLarge);
        }
        Fields::of_body(body, self.query(), &self.0.headers)?.read(read)
    }

    fn query(&self) -> &str {
        self.0.raw_query_string.as_deref().unwrap_or_default()
    }

    /// What `read` makes of the query parameters. A body is ignored.
    pub fn parameters<T>(&self, read: impl FnOnce(&mut Fields<'_>) -> Option<T>) -> Result<T, ApiError> {
        Fields::of_query(self.query(), &self.0.headers).read(read)
    }
}

/// Whether a `Content-Type` (RFC 9110, section 8.3) is JSON in UTF-8, the only encoding that RFC 8259
/// (section 8.1) knows.
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    media_type.eq_ignore_ascii_case("application/json") && parts.all(utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_recognised_in_every_spelling() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json ; Charset=utf-8",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in [
            "",
            "json",
            "text/json",
            "application/json-patch+json",
            "application/problem+json",
            "application/json; charset=latin1",
            "application/json, application/json",
            "application/json; charset=utf-8; charset=latin1",
            "application/json; charset=",
            "application/json; charset =latin1",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}

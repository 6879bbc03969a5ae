//! What a handler is given: the request, and what belongs to the execution environment.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use lambda_http::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};
use shared::database::Database;
use shared::session::Source;
use shared::token::Token;

use crate::ApiError;
use crate::fields::{self, Fields};
use crate::log::Requester;
use crate::request::FromFields;

/// The largest body that is read, in bytes. The largest message fits, even if every character is escaped.
pub(crate) const MAX_BODY: usize = 128 * 1024;

/// A request, and the database to answer it from.
pub struct Context<'a> {
    request: Request,
    /// The connection of this execution environment.
    pub database: &'a Database,
    deadline: Instant,
    requester: &'a Requester,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        request: Request,
        database: &'a Database,
        deadline: Instant,
        requester: &'a Requester,
    ) -> Self {
        Self { request, database, deadline, requester }
    }

    /// How long the request may still take.
    pub(crate) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The token in `Authorization: Bearer …`, behind one or more spaces (RFC 6750, section 2.1).
    pub fn token(&self) -> Result<Token, ApiError> {
        let header = fields::header(self.request.headers(), AUTHORIZATION.as_str()).unwrap_or_default();
        let (scheme, token) = header.split_once(' ').unwrap_or_default();
        let token = token.trim_start_matches(' ');
        if !scheme.eq_ignore_ascii_case("Bearer") || token.is_empty() {
            return Err(ApiError::NoToken);
        }
        token.parse().map_err(|_| ApiError::MalformedToken)
    }

    /// The source that the request comes from, for counting.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::from(self.address().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }

    /// The address that the request comes from, as API Gateway saw it. No header can change it.
    fn address(&self) -> Option<IpAddr> {
        match self.request.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref()?.parse().ok(),
            _ => None,
        }
    }

    /// Has the log tell the address that the request comes from.
    pub fn log_source(&self) {
        if let Some(address) = self.address() {
            self.requester.source.set(address).ok();
        }
    }

    /// The same, and the caller's name, unless the session turns out not to be the caller's.
    pub fn log_caller(&self, username: &str) {
        self.log_source();
        self.requester.caller.set(username.to_owned()).ok();
    }

    /// The request in the JSON body and, for some fields, in headers. A query parameter is always unknown.
    pub fn body<T: FromFields>(&self) -> Result<T, ApiError> {
        let headers = self.request.headers();
        if !fields::header(headers, CONTENT_TYPE.as_str()).is_some_and(|value| is_json(&value)) {
            return Err(ApiError::UnsupportedMediaType);
        }
        let is_identity = |encoding: Cow<'_, str>| encoding.eq_ignore_ascii_case("identity");
        if !fields::header(headers, CONTENT_ENCODING.as_str()).is_none_or(is_identity) {
            return Err(ApiError::UnsupportedEncoding);
        }
        let body = self.request.body();
        if body.len() > MAX_BODY {
            return Err(ApiError::BodyTooLarge);
        }
        Fields::of_body(body, self.query(), headers)?.read()
    }

    /// The request in the query parameters. A body is ignored.
    pub fn parameters<T: FromFields>(&self) -> Result<T, ApiError> {
        Fields::of_query(self.query(), self.request.headers()).read()
    }

    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    fn query(&self) -> &str {
        self.request.uri().query().unwrap_or_default()
    }
}

/// Whether a `Content-Type` (RFC 9110, section 8.3) is JSON. Parameters are ignored: RFC 8259, section 11, defines
/// none.
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
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
            "application/json ; Charset=latin1",
            "application/json;",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in [
            "",
            "json",
            "text/json",
            "application/json-patch+json",
            "application/problem+json",
            "application/json, application/json",
            ";application/json",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}

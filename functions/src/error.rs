//! Errors as the client sees them: RFC 9457 problem documents.

use std::error::Error as _;

use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use shared::Error;

use crate::fields::Fault;
use crate::request::MAX_BODY;
use crate::response::Response;

/// How long a client is asked to wait when the database is away, in seconds.
const RETRY_AFTER_UNAVAILABLE: u32 = 2;

/// Why a request is not answered with success. `Display` is the `detail` of the problem document.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No session token, or none that could be one.
    #[error("Send the token that Login answered in the header `Authorization: Bearer <token>`.")]
    NoToken,
    /// The body is not declared to be JSON in UTF-8.
    #[error("Send the body as JSON, with the header `Content-Type: application/json`.")]
    UnsupportedMediaType,
    /// The body is larger than any valid one can be.
    #[error("The body has more than {MAX_BODY} bytes; send a smaller one.")]
    BodyTooLarge,
    /// The body is not JSON.
    #[error("The body is not JSON: {0}.")]
    InvalidJson(String),
    /// The body is JSON, but no object.
    #[error("The body must be a JSON object.")]
    NoObject,
    /// Fields, parameters or headers are at fault: at least one.
    #[error("{}", summary(.0))]
    Fields(Vec<Fault>),
    /// The operation itself was refused.
    #[error(transparent)]
    Refused(#[from] Error),
    /// The answer was not ready in time.
    #[error("The service is too slow at the moment; try again shortly.")]
    Timeout,
    /// What nobody foresaw, for the log.
    #[error("Something went wrong on our side.")]
    Bug(&'static str),
}

fn summary(faults: &[Fault]) -> String {
    let first = &faults[0];
    match faults.len() - 1 {
        0 => format!("`{}` {}.", first.field, first.detail),
        others => format!("`{}` {}; see `errors` for {others} more.", first.field, first.detail),
    }
}

impl ApiError {
    /// The status and the `code` of the problem document.
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidJson(_) => (StatusCode::BAD_REQUEST, "INVALID_JSON"),
            Self::NoObject => (StatusCode::BAD_REQUEST, "WRONG_TYPE"),
            Self::Fields(faults) => (StatusCode::BAD_REQUEST, faults[0].code),
            Self::NoToken | Self::Refused(Error::InvalidToken) => (StatusCode::UNAUTHORIZED, "INVALID_TOKEN"),
            Self::Refused(Error::InvalidCredentials) => (StatusCode::UNAUTHORIZED, "INVALID_CREDENTIALS"),
            Self::Refused(Error::Forbidden { .. }) => (StatusCode::FORBIDDEN, "FORBIDDEN"),
            Self::Refused(Error::UnknownReceiver) => (StatusCode::NOT_FOUND, "UNKNOWN_RECEIVER"),
            Self::Refused(Error::UsernameTaken) => (StatusCode::CONFLICT, "USERNAME_TAKEN"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE"),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE"),
            Self::Refused(Error::KeyReused) => (StatusCode::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED"),
            Self::Refused(Error::TooManyAttempts { .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_ATTEMPTS")
            }
            Self::Refused(Error::Unexpected(_)) | Self::Bug(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL")
            }
            Self::Refused(Error::Unavailable(_)) | Self::Timeout => {
                (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE")
            }
        }
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.kind().0
    }

    /// The stable name of the problem, for programs.
    pub(crate) fn code(&self) -> &'static str {
        self.kind().1
    }

    /// What is to be known of trouble on our side; for the log only.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Refused(error @ (Error::Unavailable(_) | Error::Unexpected(_))) => {
                error.source().map(ToString::to_string)
            }
            Self::Timeout => Some("the request's deadline".into()),
            Self::Bug(what) => Some((*what).into()),
            _ => None,
        }
    }

    /// The fields, parameters and headers at fault.
    fn faults(&self) -> Vec<Fault> {
        let (field, detail) = match self {
            Self::Fields(faults) => return faults.clone(),
            Self::NoToken => ("Authorization", "must be `Bearer` and the token"),
            Self::Refused(Error::InvalidToken) => ("Authorization", "carries a token of no live session"),
            Self::UnsupportedMediaType => ("Content-Type", "must be application/json"),
            Self::Refused(Error::Forbidden { field }) => (field.as_str(), "is not the caller's name"),
            Self::Refused(Error::UnknownReceiver) => ("receiver", "is not the name of a user"),
            Self::Refused(Error::UsernameTaken) => ("username", "is taken"),
            Self::Refused(Error::KeyReused) => ("Idempotency-Key", "was used for another message"),
            _ => return Vec::new(),
        };
        vec![Fault { code: self.code(), field: field.into(), detail: detail.into() }]
    }

    fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Refused(Error::TooManyAttempts { wait_seconds }) => Some(*wait_seconds),
            _ if self.status() == StatusCode::SERVICE_UNAVAILABLE => Some(RETRY_AFTER_UNAVAILABLE),
            _ => None,
        }
    }

    /// The problem document.
    pub(crate) fn to_response(&self, request_id: &str) -> Response {
        let status = self.status();
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code: self.code(),
            detail: self.to_string(),
            instance: format!("urn:request:{}", utf8_percent_encode(request_id, UNRESERVED)),
            errors: self.faults(),
        };
        let mut response = Response::new(status, "application/problem+json", &problem);
        if let Some(seconds) = self.retry_after() {
            response = response.header("Retry-After", seconds.to_string());
        }
        if status == StatusCode::UNAUTHORIZED {
            response = response.header("WWW-Authenticate", "Bearer");
        }
        response
    }
}

/// All but the unreserved characters of RFC 3986, section 2.3.
const UNRESERVED: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// RFC 9457, section 3, with `code` and `errors` as extensions.
#[derive(Serialize)]
struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
    instance: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

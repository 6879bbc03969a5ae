//! Errors as the client sees them: RFC 9457 problem documents.

use std::error::Error as _;

use lambda_http::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use lambda_http::http::{HeaderName, HeaderValue, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use shared::Error;

use crate::context::MAX_BODY;
use crate::fields::Fault;
use crate::function::Interrupted;
use crate::http::{Response, response};
use crate::log::Line;
use crate::web_socket::SUBPROTOCOL;

/// How long a client is asked to wait when the database is away, in seconds.
const RETRY_AFTER_UNAVAILABLE: u32 = 2;

/// Why a request is not answered with success. `Display` is the `detail` of the problem document.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// An event that API Gateway can't have sent.
    #[error("The request can't be read.")]
    UnreadableEvent,
    /// No session token.
    #[error("Send the header `Authorization: Bearer <token>`, with the token from Login.")]
    NoToken,
    /// A malformed session token.
    #[error("Send the header `Authorization: Bearer <token>`, with the token exactly as Login returned it.")]
    MalformedToken,
    /// A WebSocket without the subprotocol.
    #[error(
        "Offer the subprotocol `{SUBPROTOCOL}`: `Sec-WebSocket-Protocol: {SUBPROTOCOL}, <token>`, with the token from Login."
    )]
    NoSubprotocol,
    /// The body is not declared to be JSON.
    #[error("Send the body as JSON, with the header `Content-Type: application/json`.")]
    UnsupportedMediaType,
    /// The body is declared to be compressed.
    #[error("Send the body as it is, without the header `Content-Encoding`.")]
    UnsupportedEncoding,
    /// The body is larger than any valid one.
    #[error("The body has more than {MAX_BODY} bytes; send a smaller one.")]
    BodyTooLarge,
    /// The body is not JSON in UTF-8.
    #[error("The body is not JSON: {0}.")]
    InvalidJson(String),
    /// The body is JSON, but not an object.
    #[error("The body must be a JSON object.")]
    NoObject,
    /// Fields, parameters or headers are at fault: the first, and the others.
    #[error("{}", summary(.0, .1))]
    Fields(Fault, Vec<Fault>),
    /// The operation itself was refused.
    #[error(transparent)]
    Refused(#[from] Error),
    /// No file has the name that the path ends with.
    #[error("There is no file of this name; the page at `/` leads to those that there are.")]
    UnknownFile,
    /// The answer was not ready in time.
    #[error("The service is too slow at the moment; try again shortly.")]
    Timeout,
    /// A bug, described for the log.
    #[error("Something went wrong on our side.")]
    Bug(&'static str),
}

fn summary(first: &Fault, others: &[Fault]) -> String {
    match others.len() {
        0 => format!("`{}` {}.", first.field, first.detail),
        others => format!("`{}` {}; see `errors` for {others} more.", first.field, first.detail),
    }
}

impl From<Interrupted> for ApiError {
    fn from(interrupted: Interrupted) -> Self {
        match interrupted {
            Interrupted::Deadline => Self::Timeout,
            Interrupted::Panic => Self::Bug("a panic"),
        }
    }
}

/// What the client is told about an error, besides the text.
struct Told {
    status: StatusCode,
    /// The stable name of the problem, for programs.
    code: &'static str,
    /// The fields, parameters and headers at fault.
    faults: Vec<Fault>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Told {
    fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code, faults: Vec::new(), header: None }
    }

    fn field(mut self, field: &str, detail: &'static str) -> Self {
        self.faults.push(Fault { code: self.code, field: field.into(), detail: detail.into() });
        self
    }

    fn header(self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        Self { header: Some((name, value.into())), ..self }
    }
}

/// The challenges to a client without a token, and to one whose token is not valid (RFC 6750, section 3).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer");
const INVALID_TOKEN: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");

impl ApiError {
    /// The table of all errors.
    fn told(&self) -> Told {
        use StatusCode as S;
        let told = Told::new;
        match self {
            Self::UnreadableEvent | Self::InvalidJson(_) => told(S::BAD_REQUEST, "INVALID_JSON"),
            Self::NoObject => told(S::BAD_REQUEST, "WRONG_TYPE"),
            Self::Fields(first, others) => Told {
                faults: [std::slice::from_ref(first), others].concat(),
                ..told(S::BAD_REQUEST, first.code)
            },
            Self::NoToken => told(S::UNAUTHORIZED, "INVALID_TOKEN")
                .field("Authorization", "must be `Bearer` and the token")
                .header(WWW_AUTHENTICATE, CHALLENGE),
            Self::MalformedToken => told(S::UNAUTHORIZED, "INVALID_TOKEN")
                .field("Authorization", "carries a malformed token: it must be 43 characters of base64url")
                .header(WWW_AUTHENTICATE, INVALID_TOKEN),
            Self::NoSubprotocol => told(S::UNAUTHORIZED, "INVALID_TOKEN")
                .field("Sec-WebSocket-Protocol", "must offer the subprotocol, and the token behind a comma")
                .header(WWW_AUTHENTICATE, CHALLENGE),
            Self::Refused(Error::InvalidToken) => told(S::UNAUTHORIZED, "INVALID_TOKEN")
                .field("Authorization", "carries a token of no live session")
                .header(WWW_AUTHENTICATE, INVALID_TOKEN),
            // Without `invalid_token`: the token, if there is one, is not at fault.
            Self::Refused(Error::InvalidCredentials) => {
                told(S::UNAUTHORIZED, "INVALID_CREDENTIALS").header(WWW_AUTHENTICATE, CHALLENGE)
            }
            Self::Refused(Error::Forbidden { field }) => {
                told(S::FORBIDDEN, "FORBIDDEN").field(field, "is not the caller's name")
            }
            Self::Refused(Error::Blocked) => {
                told(S::FORBIDDEN, "BLOCKED").field("receiver", "has blocked the caller, or is blocked")
            }
            Self::Refused(Error::UnknownReceiver) => {
                told(S::NOT_FOUND, "UNKNOWN_RECEIVER").field("receiver", "is not the name of a user")
            }
            Self::Refused(Error::UnknownUser) => {
                told(S::NOT_FOUND, "UNKNOWN_USER").field("peer", "is not the name of a user")
            }
            Self::Refused(Error::UnknownMessage) => told(S::NOT_FOUND, "UNKNOWN_MESSAGE")
                .field("id", "is not the id of a message of this conversation"),
            Self::Refused(Error::UnknownSession) => told(S::NOT_FOUND, "UNKNOWN_SESSION")
                .field("id", "is not the id of a live session of the caller"),
            Self::UnknownFile => {
                told(S::NOT_FOUND, "UNKNOWN_FILE").field("file", "is not the name of a file")
            }
            Self::Refused(Error::UnknownPosition) => {
                told(S::GONE, "UNKNOWN_POSITION").field("after", "is beyond the newest position")
            }
            Self::Refused(Error::UsernameTaken) => {
                told(S::CONFLICT, "USERNAME_TAKEN").field("username", "is taken")
            }
            Self::BodyTooLarge => told(S::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE"),
            Self::UnsupportedMediaType => told(S::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE")
                .field("Content-Type", "must be application/json"),
            Self::UnsupportedEncoding => told(S::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE")
                .field("Content-Encoding", "must be missing, or `identity`"),
            Self::Refused(Error::KeyReused) => told(S::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED")
                .field("Idempotency-Key", "was used for another message"),
            Self::Refused(Error::TooManyAttempts { wait_seconds }) => {
                told(S::TOO_MANY_REQUESTS, "TOO_MANY_ATTEMPTS").header(RETRY_AFTER, *wait_seconds)
            }
            Self::Refused(Error::Unexpected(_)) | Self::Bug(_) => told(S::INTERNAL_SERVER_ERROR, "INTERNAL"),
            Self::Refused(Error::Unavailable(_)) | Self::Timeout => {
                told(S::SERVICE_UNAVAILABLE, "UNAVAILABLE").header(RETRY_AFTER, RETRY_AFTER_UNAVAILABLE)
            }
        }
    }

    /// The problem document.
    pub(crate) fn to_response(&self, request_id: &str) -> Response {
        let Told { status, code, faults, header } = self.told();
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code,
            detail: self.to_string(),
            instance: format!("urn:request:{}", utf8_percent_encode(request_id, UNRESERVED)),
            errors: faults,
        };
        let mut response = response(status, "application/problem+json", &problem);
        response.headers_mut().extend(header);
        response
    }
}

impl From<&ApiError> for Line {
    fn from(error: &ApiError) -> Self {
        let cause = match error {
            ApiError::Refused(refusal @ (Error::Unavailable(_) | Error::Unexpected(_))) => {
                refusal.source().map(ToString::to_string)
            }
            ApiError::Timeout => Some("the request's deadline".into()),
            ApiError::UnreadableEvent => Some("an event that is none of API Gateway's".into()),
            ApiError::Bug(what) => Some((*what).into()),
            _ => None,
        };
        let Told { status, code, .. } = error.told();
        Self { outcome: code, status: Some(status.as_u16()), report: None, cause }
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

//! The handshake of a WebSocket (RFC 6455, section 4), as far as API Gateway leaves it to the function behind `$connect`.

use lambda_http::RequestExt;
use lambda_http::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use lambda_http::http::{HeaderValue, StatusCode};
use lambda_http::request::RequestContext;
use serde_json::json;
use shared::token::Token;

use crate::{ApiError, Context, Response, fields};

/// What is spoken on a connection: events as JSON, from the service only.
pub(crate) const SUBPROTOCOL: &str = "chat.v1";

impl Context<'_> {
    /// The token of who opens a WebSocket: offered as a second subprotocol, the only header that browsers let a page
    /// set, or in `Authorization`.
    pub fn web_socket_token(&self) -> Result<Token, ApiError> {
        let headers = self.request().headers();
        let offered = fields::header(headers, SEC_WEBSOCKET_PROTOCOL.as_str()).unwrap_or_default();
        let mut offered: Vec<_> = offered.split(',').map(str::trim).collect();
        let Some(ours) = offered.iter().position(|protocol| *protocol == SUBPROTOCOL) else {
            return Err(ApiError::NoSubprotocol);
        };
        offered.remove(ours);
        match offered[..] {
            [] if headers.contains_key(AUTHORIZATION) => self.token(),
            [] => Err(ApiError::NoToken),
            [token] => token.parse().map_err(|_| ApiError::MalformedToken),
            _ => Err(ApiError::MalformedToken),
        }
    }

    /// API Gateway's id of the connection that is being opened.
    pub fn connection_id(&self) -> Result<&str, ApiError> {
        match self.request().request_context_ref() {
            Some(RequestContext::WebSocket(context)) if context.event_type.as_deref() == Some("CONNECT") => {
                context.connection_id.as_deref().ok_or(ApiError::UnreadableEvent)
            }
            _ => Err(ApiError::UnreadableEvent),
        }
    }
}

/// The answer that opens the connection.
#[must_use]
pub fn opened() -> Response {
    let mut response = crate::json(StatusCode::OK, &json!({}));
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    response
}

//! API Gateway's events (HTTP API, payload format 2.0, and `$connect` of a WebSocket API) become requests, and responses
//! become its answers.
//!
//! `lambda_http` could read events too, but panics or fails on some that API Gateway sends: query strings that are not
//! valid in a URI, such as `?after=<`, and control characters in headers.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lambda_http::aws_lambda_events::apigw::{
    ApiGatewayV2httpRequestContext, ApiGatewayV2httpResponse, ApiGatewayWebsocketProxyRequestContext,
};
use lambda_http::http::{HeaderName, HeaderValue, Uri};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::function::Event;
use crate::{ApiError, Response};

/// What the query of a URI may not hold (RFC 3986, section 3.4), besides what is not ASCII. `%` stays as it is.
const NOT_IN_A_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// The members of an event that are read. Any of them may be missing or null. Texts are bytes, because JSON can
/// write half of a surrogate pair, which is not UTF-8.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpEvent {
    raw_query_string: Option<ByteBuf>,
    /// The values of a header that was sent more than once are joined by commas.
    headers: Option<BTreeMap<ByteBuf, Option<ByteBuf>>>,
    /// Percent-decoded.
    path_parameters: Option<BTreeMap<ByteBuf, Option<ByteBuf>>>,
    request_context: Option<EventContext>,
    body: Option<ByteBuf>,
    is_base64_encoded: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventContext {
    request_id: Option<ByteBuf>,
    http: Option<Http>,
    /// Of events of a WebSocket API only, as is the connection.
    event_type: Option<ByteBuf>,
    connection_id: Option<ByteBuf>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    source_ip: Option<ByteBuf>,
}

/// Reads an event. Returns the request's id (API Gateway's, which the client sees too, or else Lambda's) and the
/// request, without method and path, which say no more than the function's name and the path's parameters.
///
/// Fails with [`ApiError::UnreadableEvent`] on an event that API Gateway can't have sent.
pub(crate) fn read(event: Event) -> (String, Result<Request, ApiError>) {
    let Event { payload, context } = event;
    match serde_json::from_str::<HttpEvent>(payload.get()) {
        Ok(mut event) => {
            let event_context = event.request_context.take().unwrap_or_default();
            let id = event_context.request_id.as_ref().map_or(context.request_id, text);
            let context = event_context.into_request_context();
            let request = event.into_request().ok_or(ApiError::UnreadableEvent);
            (id, request.map(|request| request.with_request_context(context)))
        }
        Err(_) => (context.request_id, Err(ApiError::UnreadableEvent)),
    }
}

fn text(bytes: &ByteBuf) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl EventContext {
    fn into_request_context(self) -> RequestContext {
        if self.connection_id.is_some() {
            let mut context = ApiGatewayWebsocketProxyRequestContext::default();
            context.event_type = self.event_type.as_ref().map(text);
            context.connection_id = self.connection_id.as_ref().map(text);
            RequestContext::WebSocket(context)
        } else {
            let mut context = ApiGatewayV2httpRequestContext::default();
            context.http.source_ip = self.http.unwrap_or_default().source_ip.as_ref().map(text);
            RequestContext::ApiGatewayV2(context)
        }
    }
}

impl HttpEvent {
    /// The request. What its type can't hold is replaced by something that it can hold and that is just as invalid, so
    /// that the operation refuses it. `None` if the event makes no request at all.
    fn into_request(self) -> Option<Request> {
        let body = self.body.unwrap_or_default().into_vec();
        let body =
            if self.is_base64_encoded == Some(true) { BASE64_STANDARD.decode(body).ok()? } else { body };
        let mut request = Request::new(Body::Binary(body));

        let query = self.raw_query_string.unwrap_or_default();
        let query = percent_encode(&query, NOT_IN_A_QUERY);
        *request.uri_mut() = Uri::try_from(format!("/?{query}")).ok()?;

        for (name, value) in self.headers.unwrap_or_default() {
            // Nobody reads a header whose name is invalid.
            if let (Ok(name), Some(value)) = (HeaderName::from_bytes(&name), value) {
                request.headers_mut().try_append(name, header_value(value.into_vec())).ok()?;
            }
        }
        let parameters = self.path_parameters.unwrap_or_default().into_iter();
        let parameters = parameters.filter_map(|(name, value)| Some((text(&name), text(&value?))));
        Some(request.with_path_parameters(parameters.collect::<HashMap<_, _>>()))
    }
}

/// The value of a header, with control characters replaced by a byte that is not part of any text.
fn header_value(mut value: Vec<u8>) -> HeaderValue {
    for byte in &mut value {
        if byte.is_ascii_control() && *byte != b'\t' {
            *byte = 0xff;
        }
    }
    HeaderValue::from_bytes(&value).expect("no control characters")
}

/// The answer for API Gateway.
pub(crate) fn answer(response: Response) -> ApiGatewayV2httpResponse {
    let (parts, body) = response.into_parts();
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = parts.status.as_u16().into();
    answer.headers = parts.headers;
    answer.body = Some(body);
    answer
}

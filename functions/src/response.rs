//! Answers.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde::Serialize;

/// An answer in the form of API Gateway's HTTP APIs, payload version 2.0.
pub type Response = ApiGatewayV2httpResponse;

/// A successful answer.
#[must_use]
pub fn json(status: http::StatusCode, body: &impl Serialize) -> Response {
    with_type(status, HeaderValue::from_static("application/json"), body)
}

pub(crate) fn with_type(
    status: http::StatusCode,
    content_type: HeaderValue,
    body: &impl Serialize,
) -> Response {
    let mut response = Response::default();
    response.status_code = status.as_u16().into();
    response.headers.insert(CONTENT_TYPE, content_type);
    response.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.body = Some(Body::Text(serde_json::to_string(body).expect("answers are plain structs")));
    response
}

//! Lambda's runtime API (AWS Lambda Developer Guide, "Using the Lambda runtime API"): how a process asks for events
//! and responds to them.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use tokio::task::AbortHandle;

use crate::function::Environments;
use crate::http::{self, Answer, empty};

/// Lambda's limit for the response of an invocation, in bytes.
const MAX_RESPONSE: usize = 6 * 1024 * 1024;

/// Serves the environments of a function.
pub(crate) fn serve(listener: TcpListener, environments: &Arc<Environments>) -> io::Result<AbortHandle> {
    let environments = Arc::clone(environments);
    http::serve(listener, move |_, request| answer(Arc::clone(&environments), request))
}

async fn answer(environments: Arc<Environments>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let Some((environment, call)) = call(parts.uri.path()) else { return empty(StatusCode::NOT_FOUND) };
    match (&parts.method, call.split_once('/')) {
        (&Method::GET, None) if call == "next" => next(&environments, environment).await,
        (&Method::POST, Some((id, kind @ ("response" | "error")))) => {
            let body = match http::body(body, MAX_RESPONSE).await {
                Ok(body) => {
                    String::from_utf8(body).map_err(|_| r#"{"errorType":"Runtime.InvalidResponse"}"#.into())
                }
                Err(_) => Err(r#"{"errorType":"Function.ResponseSizeTooLarge"}"#.into()),
            };
            let outcome = if kind == "response" { body } else { Err(body.unwrap_or_else(|error| error)) };
            environments.respond(environment, id, outcome);
            empty(StatusCode::ACCEPTED)
        }
        _ => empty(StatusCode::NOT_FOUND),
    }
}

/// The number of the environment, which is the first part of the path, and what it asks for.
fn call(path: &str) -> Option<(usize, &str)> {
    let (environment, path) = path.strip_prefix('/')?.split_once('/')?;
    Some((environment.parse().ok()?, path.strip_prefix("2018-06-01/runtime/invocation/")?))
}

async fn next(environments: &Arc<Environments>, environment: usize) -> Answer {
    let Some(event) = environments.next(environment).await else { return empty(StatusCode::GONE) };
    let deadline = event.deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Response::builder()
        .header("Lambda-Runtime-Aws-Request-Id", event.id)
        .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:local:0:function:local")
        .body(Full::new(event.body.into()))
        .expect("valid headers")
}

//! Serves the operations of the HTTP API.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use lambda_http::http::{HeaderValue, StatusCode};
use lambda_http::{Body, Request};
use serde::Serialize;
use shared::SettingError;
use shared::database::Database;

use crate::function::Function;
use crate::log::{Line, Requester};
use crate::{ApiError, Context, api_gateway};

/// How long a request may take; with what API Gateway and Lambda add, the client has its answer within 5 s.
const REQUEST_DEADLINE: Duration = Duration::from_secs(4);

/// An answer.
pub type Response = lambda_http::Response<Body>;

/// Serves one operation until Lambda ends the process: connects to the database and prepares `statements`
/// while the environment starts, then answers each request with what `handle` returns.
///
/// Ends with a failure if a setting is missing or wrong, or if the runtime API can't be reached; the log says why.
pub async fn run<H>(operation: &'static str, statements: &'static [&'static str], handle: H) -> ExitCode
where
    H: AsyncFn(&Context<'_>) -> Result<Response, ApiError>,
{
    let function = Function::start(operation);
    let database = match Database::open(statements).await {
        Ok(database) => database,
        Err(error) => return function.can_not_start(error),
    };
    let handle = async |request, deadline, requester: &Requester| {
        handle(&Context::new(request, &database, deadline, requester)).await
    };
    serve(&function, handle).await
}

/// Serves without a database: answers each request with what `handle` makes of it and of `resource`, which has been
/// made of the settings.
///
/// Ends as [`run`] does.
pub async fn run_without_database<T>(
    operation: &'static str,
    resource: Result<T, SettingError>,
    handle: impl Fn(&T, &Request) -> Result<Response, ApiError>,
) -> ExitCode {
    let function = Function::start(operation);
    match resource {
        Ok(resource) => serve(&function, async |request, _, _| handle(&resource, &request)).await,
        Err(error) => function.can_not_start(error),
    }
}

async fn serve<H>(function: &Function, handle: H) -> ExitCode
where
    H: AsyncFn(Request, Instant, &Requester) -> Result<Response, ApiError>,
{
    let answer = async |event| {
        let (id, request) = api_gateway::read(event);
        let (deadline, requester) = (Instant::now() + REQUEST_DEADLINE, Requester::default());
        let work = async { handle(request?, deadline, &requester).await };
        let result = function.attempt(&id, REQUEST_DEADLINE, &requester, work).await;
        Ok(api_gateway::answer(result.unwrap_or_else(|error| error.to_response(&id))))
    };
    function.serve(answer).await
}

/// A successful answer.
#[must_use]
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    response(status, "application/json", body)
}

pub(crate) fn response(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> Response {
    let body = serde_json::to_string(body).expect("answers are plain structs");
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl From<&Response> for Line {
    fn from(response: &Response) -> Self {
        Self { outcome: "OK", status: Some(response.status().as_u16()), report: None, cause: None }
    }
}

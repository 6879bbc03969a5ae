//! HTTP glue between API Gateway's events and the handlers in `bin/`.

pub mod custom_resource;
mod error;
mod fields;
mod log;
mod request;
mod response;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;
use shared::database::Database;

pub use error::ApiError;
pub use fields::{Fields, Value};
pub use request::Request;
pub use response::{Response, json};

/// How long a request may take; with what API Gateway and Lambda add, the client has its answer within 5 s.
const REQUEST_DEADLINE: Duration = Duration::from_secs(4);

/// Serves one operation until Lambda ends the process: connects to the database and prepares `statements`
/// while the environment starts, then answers each request with what `handle` returns.
///
/// Ends with a failure where a setting is missing or wrong, or when the runtime API can't be reached; the log
/// says why.
pub async fn run<H>(operation: &'static str, statements: &'static [&'static str], handle: H) -> ExitCode
where
    H: AsyncFn(&Request, &Database) -> Result<Response, ApiError>,
{
    log::init();
    let database = match Database::open(statements).await {
        Ok(database) => database,
        Err(error) => {
            tracing::error!(operation, %error, "{operation} can't start");
            return ExitCode::FAILURE;
        }
    };
    let serve = async |event: LambdaEvent<Box<RawValue>>| {
        let started = Instant::now();
        let (id, request) = Request::read(event);
        let answer = async { handle(&request?, &database).await };
        // A panic is a bug, and must not keep what it interrupted: the connection in use is dropped with it.
        let answer = AssertUnwindSafe(tokio::time::timeout(REQUEST_DEADLINE, answer));
        let result = match answer.catch_unwind().await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(ApiError::Timeout),
            Err(_) => Err(ApiError::Bug("a panic")),
        };
        log::request(operation, &id, &result, started.elapsed());
        Ok::<_, Infallible>(result.unwrap_or_else(|error| error.to_response(&id)))
    };
    log::exit_code(operation, lambda_runtime::run(service_fn(serve)).await)
}

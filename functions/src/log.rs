//! One JSON object a line on standard output; never a password, a token or a message's text.

use std::process::ExitCode;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{ApiError, Response};

/// Installs the subscriber, and has panics logged as JSON too: with their place in the code, but not their
/// message, which may quote anything.
pub(crate) fn init() {
    let json = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false);
    // The runtime warns of a setting that the local emulator makes.
    let levels =
        Targets::new().with_default(LevelFilter::INFO).with_target("lambda_runtime", LevelFilter::ERROR);
    tracing_subscriber::registry().with(json).with(levels).init();
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "panicked");
    }));
}

/// The line of one request. Failures are logged here and nowhere else.
pub(crate) fn request(operation: &str, id: &str, result: &Result<Response, ApiError>, took: Duration) {
    let duration_ms = (took.as_secs_f64() * 1_000_000.0).round() / 1_000.0;
    match result {
        Ok(response) => {
            let status = response.status_code;
            tracing::info!(operation, outcome = "OK", status, duration_ms, request_id = id, "{operation} OK");
        }
        Err(error) => {
            let (status, outcome) = (error.status().as_u16(), error.code());
            match error.cause() {
                None => tracing::info!(
                    operation,
                    outcome,
                    status,
                    duration_ms,
                    request_id = id,
                    "{operation} {outcome}"
                ),
                Some(cause) => {
                    tracing::error!(
                        operation,
                        outcome,
                        status,
                        duration_ms,
                        cause,
                        request_id = id,
                        "{operation} {outcome}"
                    );
                }
            }
        }
    }
}

/// What a process ends with once its runtime API is gone.
pub(crate) fn exit_code(operation: &str, result: Result<(), lambda_runtime::Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(operation, %error, "{operation} has lost its runtime API");
            ExitCode::FAILURE
        }
    }
}

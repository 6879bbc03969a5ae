//! One JSON object a line on standard output; never a password, a token or a message's text.

use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;

use crate::{ApiError, Response};

/// Installs the subscriber, and has panics logged as JSON too: with their place in the code, but not their
/// message, which may quote anything.
pub(crate) fn init() {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(LevelFilter::INFO)
        .init();
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

//! One JSON object a line on standard output; never a password, a token or a message's text.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Installs the subscriber, and has panics logged as JSON too: with their place in the code, but not their
/// message, which may quote anything.
pub(crate) fn init() {
    let json = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false);
    // The runtime warns about a setting that the local gateway makes.
    let levels =
        Targets::new().with_default(LevelFilter::INFO).with_target("lambda_runtime", LevelFilter::ERROR);
    tracing_subscriber::registry().with(json).with(levels).init();
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "panicked");
    }));
}

/// Who asks, and from where, as far as an operation has it logged.
#[derive(Default)]
pub(crate) struct Requester {
    /// The name that the request gives.
    pub(crate) caller: OnceCell<String>,
    pub(crate) source: OnceCell<IpAddr>,
}

/// The log's line about one event. Failures are logged here and nowhere else.
pub(crate) struct Line {
    /// The code of the outcome, for programs that count.
    pub(crate) outcome: &'static str,
    /// The HTTP status, if the answer has one.
    pub(crate) status: Option<u16>,
    /// What was done, if the answer does not say it.
    pub(crate) report: Option<String>,
    /// The cause of trouble on our side. It makes the line an error.
    pub(crate) cause: Option<String>,
}

impl Line {
    /// Writes the line.
    pub(crate) fn write(self, operation: &str, request_id: &str, took: Duration, requester: &Requester) {
        let Self { outcome, status, report, cause } = self;
        // After these the name is only what the request claims.
        let is_claim = cause.is_some() || ["INVALID_TOKEN", "FORBIDDEN"].contains(&outcome);
        let caller = requester.caller.get().filter(|_| !is_claim);
        let source = requester.source.get().map(tracing::field::display);
        let duration_ms = (took.as_secs_f64() * 1_000_000.0).round() / 1_000.0;
        // The level of a line is fixed when the code is compiled.
        macro_rules! write {
            ($level:ident) => {
                tracing::$level!(
                    operation,
                    outcome,
                    status,
                    caller,
                    source,
                    report,
                    cause,
                    duration_ms,
                    request_id,
                    "{operation} {outcome}"
                )
            };
        }
        if cause.is_some() { write!(error) } else { write!(info) }
    }
}

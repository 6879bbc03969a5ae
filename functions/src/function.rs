//! The core of every function, whatever its events are: it starts, gives each event a deadline, survives a panic,
//! and writes one line to the log for each.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::log::{self, Line, Requester};

/// An event as Lambda hands it over. The runtime does not parse it, since it would quote in the log what it can't
/// parse.
pub(crate) type Event = LambdaEvent<Box<RawValue>>;

/// A function: an operation while it is served.
pub(crate) struct Function {
    operation: &'static str,
}

/// What ended the work on an event before it was done.
pub(crate) enum Interrupted {
    /// It took too long.
    Deadline,
    /// It panicked, which has been logged already.
    Panic,
}

impl Function {
    /// Starts the function of an operation: from here on it logs.
    pub(crate) fn start(operation: &'static str) -> Self {
        log::init();
        Self { operation }
    }

    /// Ends a function that lacks what it needs.
    pub(crate) fn can_not_start(&self, error: impl Display) -> ExitCode {
        let operation = self.operation;
        tracing::error!(operation, %error, "{operation} can't start");
        ExitCode::FAILURE
    }

    /// Returns what `work` makes of an event, within `time`, and logs it, with what `work` has noted of the requester.
    pub(crate) async fn attempt<T, E>(
        &self,
        request_id: &str,
        time: Duration,
        requester: &Requester,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E>
    where
        for<'a> Line: From<&'a T> + From<&'a E>,
        E: From<Interrupted>,
    {
        let started = Instant::now();
        // After a panic, which is a bug, `work` is dropped, and with it the connection that was in use.
        let result = match AssertUnwindSafe(timeout(time, work)).catch_unwind().await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Interrupted::Deadline.into()),
            Err(_) => Err(Interrupted::Panic.into()),
        };
        let line = result.as_ref().map_or_else(Line::from, Line::from);
        line.write(self.operation, request_id, started.elapsed(), requester);
        result
    }

    /// Serves events until Lambda ends the process, each with what `answer` returns.
    pub(crate) async fn serve<T: Serialize>(
        &self,
        answer: impl AsyncFn(Event) -> Result<T, lambda_runtime::Error>,
    ) -> ExitCode {
        let operation = self.operation;
        if let Err(cause) = lambda_runtime::run(service_fn(|event| answer(event))).await {
            // Lambda has ended the environment. If the end was not orderly, Lambda itself logs it.
            tracing::info!(operation, %cause, "{operation} has ended with its runtime API");
        }
        ExitCode::SUCCESS
    }
}

//! CloudFormation custom resources: a function that does its work while a stack is deployed, and answers at a
//! presigned URL (AWS CloudFormation User Guide, "Custom resource request objects").

use std::fmt::Display;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use lambda_runtime::{LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::log;

/// What is kept of Lambda's time for the answer: CloudFormation waits for one up to an hour.
const ANSWER_TIME: Duration = Duration::from_secs(20);
/// How often the answer is sent.
const ANSWER_ATTEMPTS: u32 = 4;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "the names are CloudFormation's")]
struct Request {
    request_type: RequestType,
    #[serde(rename = "ResponseURL")]
    response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    physical_resource_id: Option<String>,
}

#[derive(Deserialize, PartialEq)]
enum RequestType {
    Create,
    Update,
    Delete,
}

/// Serves a custom resource until Lambda ends the process. To Create and Update, `work` is done, and its success or
/// the reason of its failure is the answer; Delete succeeds and does nothing.
///
/// `work` is told how long it may wait for others: half of the time that there is.
pub async fn serve<W, T, E>(operation: &'static str, work: W) -> ExitCode
where
    W: AsyncFn(Duration) -> Result<T, E>,
    T: Display,
    E: Display,
{
    log::init();
    let serve = async |event: LambdaEvent<Request>| {
        let request = event.payload;
        let time = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let time = time.saturating_sub(ANSWER_TIME);
        let result = match request.request_type {
            RequestType::Delete => Ok("nothing to undo".to_owned()),
            RequestType::Create | RequestType::Update => match timeout(time, work(time / 2)).await {
                Ok(Ok(report)) => Ok(report.to_string()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("not done within {} s", time.as_secs())),
            },
        };
        match &result {
            Ok(report) => tracing::info!(operation, outcome = "SUCCESS", report, "{operation} SUCCESS"),
            Err(reason) => tracing::error!(operation, outcome = "FAILED", reason, "{operation} FAILED"),
        }
        answer(&request, &result).await
    };
    log::exit_code(operation, lambda_runtime::run(service_fn(serve)).await)
}

/// Sends the answer, again where the URL can't be reached. Where it never can, the invocation fails, and Lambda
/// makes it anew.
async fn answer(request: &Request, result: &Result<String, String>) -> Result<(), lambda_runtime::Error> {
    let reason = result.as_ref().unwrap_or_else(|reason| reason);
    let id = request.physical_resource_id.as_ref().unwrap_or(&request.logical_resource_id);
    let body = json!({
        "Status": if result.is_ok() { "SUCCESS" } else { "FAILED" },
        // CloudFormation takes no answer of more than 4,096 bytes.
        "Reason": reason.chars().take(500).collect::<String>(),
        // One and the same, or CloudFormation would take an update for a replacement.
        "PhysicalResourceId": id,
        "StackId": request.stack_id,
        "RequestId": request.request_id,
        "LogicalResourceId": request.logical_resource_id,
    });
    let mut attempts = 1;
    loop {
        match put(&request.response_url, &body) {
            Err(_) if attempts < ANSWER_ATTEMPTS => sleep(Duration::from_secs(1) * attempts).await,
            Err(error) => return Err(format!("CloudFormation could not be answered: {error}").into()),
            Ok(()) => return Ok(()),
        }
        attempts += 1;
    }
}

fn put(url: &str, body: &Value) -> Result<(), ureq::Error> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(3))).build().into();
    // S3 has signed an empty content type.
    agent.put(url).header("Content-Type", "").send(body.to_string()).map(drop)
}

//! CloudFormation custom resources: a function that does its work while a stack is deployed, and answers at a
//! presigned URL (AWS CloudFormation User Guide, "Custom resource request objects").

use std::fmt::Display;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::function::{Event, Function, Interrupted};
use crate::log::{Line, Requester};

/// The part of Lambda's time that is kept for the answer. Without one, CloudFormation waits for up to an hour.
const ANSWER_TIME: Duration = Duration::from_secs(20);
/// How many times sending the answer is tried.
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

/// Serves a custom resource until Lambda ends the process. Create and Update do `work`, and answer its success or
/// the reason for its failure. Delete does nothing and succeeds.
///
/// `work` is told how long it may wait for others: half of the time that is left.
pub async fn serve<W, T, E>(operation: &'static str, work: W) -> ExitCode
where
    W: AsyncFn(Duration) -> Result<T, E>,
    T: Display,
    E: Display,
{
    let function = Function::start(operation);
    let serve = async |event: Event| {
        let request: Request = serde_json::from_str(event.payload.get())?;
        let time = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let time = time.saturating_sub(ANSWER_TIME);
        let work = async {
            match request.request_type {
                RequestType::Delete => Ok(Done("nothing to undo".into())),
                RequestType::Create | RequestType::Update => match work(time / 2).await {
                    Ok(report) => Ok(Done(report.to_string())),
                    Err(error) => Err(Failed(error.to_string())),
                },
            }
        };
        let result = function.attempt(&event.context.request_id, time, &Requester::default(), work).await;
        answer(&request, &result).await
    };
    function.serve(serve).await
}

/// What was done.
struct Done(String);

/// Why it was not done.
struct Failed(String);

impl From<Interrupted> for Failed {
    fn from(interrupted: Interrupted) -> Self {
        Self(match interrupted {
            Interrupted::Deadline => "not done in time".into(),
            Interrupted::Panic => "a panic; the log says where".into(),
        })
    }
}

impl From<&Done> for Line {
    fn from(Done(report): &Done) -> Self {
        Self { outcome: "SUCCESS", status: None, report: Some(report.clone()), cause: None }
    }
}

impl From<&Failed> for Line {
    fn from(Failed(reason): &Failed) -> Self {
        Self { outcome: "FAILED", status: None, report: None, cause: Some(reason.clone()) }
    }
}

/// Sends the answer, and tries again if the URL can't be reached. If it never can, the invocation fails, and Lambda
/// repeats it.
async fn answer(request: &Request, result: &Result<Done, Failed>) -> Result<(), lambda_runtime::Error> {
    let (Ok(Done(reason)) | Err(Failed(reason))) = result;
    let id = request.physical_resource_id.as_ref().unwrap_or(&request.logical_resource_id);
    let body = json!({
        "Status": if result.is_ok() { "SUCCESS" } else { "FAILED" },
        // CloudFormation takes no answer of more than 4,096 bytes.
        "Reason": reason.chars().take(500).collect::<String>(),
        // Always the same: CloudFormation would take a new one for a replacement.
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
    // The URL was signed for an empty content type.
    agent.put(url).header("Content-Type", "").send(body.to_string()).map(drop)
}

//! `GetSessions`: `GET /sessions`

use std::process::ExitCode;

use functions::{ApiError, Context, Response, json};
use lambda_http::http::StatusCode;
use shared::session::{self, GET_SESSIONS};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    functions::run("get_sessions", &[GET_SESSIONS], handle).await
}

async fn handle(context: &Context<'_>) -> Result<Response, ApiError> {
    let token = context.token()?;
    let () = context.parameters()?;
    context.log_source();
    let sessions = session::get_sessions(context.database, &token).await?;
    context.log_caller(&sessions.username);
    Ok(json(StatusCode::OK, &sessions))
}
